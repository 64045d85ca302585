/* SPDX-License-Identifier: MIT */
/*
 * flock: a drop-in for flock(1) of util-linux. Nothing here is as we would have it, but as scripts know it:
 * the order of the steps, the messages, the statuses.
 *
 * 1. Read options as getopt_long(3) does; the first thing that is wrong ends it.
 * 2. Open FILE, or take the descriptor as it is. What comes of FIFOs and links is the kernel's business.
 * 3. Lock; -w bounds this step alone. An NFS server may want the file open for writing: once more, then.
 * 4. COMMAND inherits the descriptor, which is not unlocked when it ends: so what it leaves running keeps
 *    the lock. Signals are nobody's but those they were sent to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libsync.h"

#include "applet.h"
#include "child.h"
#include "flockcode.h"
#include "getopts.h"
#include "laxnum.h"
#include "say.h"

/* The newest release that has nothing which is missing here. */
#define STANDS_FOR "util-linux 2.42"

struct opts {
	enum sync_mode mode;
	bool nonblock, timed, verbose, close, in_place;
	int64_t timeout; /* -1: none that can be */
	int busy_status;
	bool record; /* --fcntl */
	uint64_t start, length;
	const char *file; /* or else */
	int fd;           /* -1 until it is known */
	char **command;   /* or NULL */
};

enum { OPT_VERBOSE = 256, OPT_FCNTL, OPT_START, OPT_LENGTH, OPT_FD };

/* The order is that in which an abbreviation that could be several lists them. */
static const struct argp_option options[] = {
	{"shared", 's', NULL, 0, "Get a shared lock", 1},
	{"exclusive", 'x', NULL, 0, "Get an exclusive lock (default)", 1},
	{NULL, 'e', NULL, OPTION_HIDDEN, NULL, 1},
	{"unlock", 'u', NULL, 0, "Remove a lock", 1},
	{"nonblocking", 'n', NULL, 0, "Fail rather than wait", 2},
	{"nb", 'n', NULL, 0, "The same", 2},
	{"timeout", 'w', "SECONDS", 0, "Wait no longer than this", 2},
	{"wait", 'w', "SECONDS", 0, "The same", 2},
	{"conflict-exit-code", 'E', "NUMBER", 0, "Exit status after conflict or timeout", 2},
	{"close", 'o', NULL, 0, "COMMAND does not inherit the descriptor", 3},
	{"command", 'c', "LINE", OPTION_NO_USAGE, "After FILE: have a shell run this line", 3},
	{"no-fork", 'F', NULL, 0, "Become COMMAND, instead of starting it", 3},
	{"verbose", OPT_VERBOSE, NULL, 0, "Say how long it took, or why it failed", 5},
	{"fcntl", OPT_FCNTL, NULL, 0, "Use fcntl(F_OFD_SETLK) rather than flock()", 4},
	{"start", OPT_START, "OFFSET", 0, "Lock from this byte on (implies --fcntl)", 4},
	{"length", OPT_LENGTH, "NUMBER", 0, "Lock so many bytes (implies --fcntl)", 4},
	{"fd", OPT_FD, "NUMBER", 0, "Lock this descriptor; all operands are COMMAND", 4},
	{"help", 'h', NULL, 0, "Show the options", 6},
	{NULL, '?', NULL, OPTION_HIDDEN, NULL, 6},
	{"version", 'V', NULL, 0, "Show the version", 6},
	{0},
};

/* Only for --help and --dump-options; getopts.c reads the table. */
static const struct argp argp = {
	.options = options,
	.args_doc = "FILE COMMAND [ARG...]\nFILE -c LINE\nFD",
	.doc = "Run COMMAND while holding a lock on FILE, which may be a directory, or lock the "
	       "open "
	       "descriptor FD.\vA drop-in for flock(1) of util-linux; see flock(1) of syncbox for "
	       "what "
	       "differs, and lockrun(1) for more.",
};

__attribute__((noreturn)) static void try_help(void)
{
	say_bytes("Try 'flock --help' for more information.\n", 41);
	exit(FLOCK_EXIT_USAGE);
}

/* As close_stdout() of util-linux: a reader that has gone, or a closed descriptor, is no failure. */
static int finish(int status)
{
	errno = 0;
	if ((!ferror(stdout) && !fflush(stdout)) || errno == EPIPE || errno == EBADF)
		_exit(status);
	if (errno)
		warn("write error: %s", strerror(errno));
	else
		warn("write error"); /* it was an earlier one */
	_exit(EXIT_FAILURE);
}

/* musl writes the first line at once, whatever it goes to. */
static void buffer_output(void)
{
	setvbuf(stdout, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, 0);
}

/* ---- the words ---- */

/* R is from laxnum.h, or ERANGE for what is beyond bounds. */
static void need_number(int r, const char *what, const char *s)
{
	if (r == ERANGE)
		die(FLOCK_EXIT_USAGE, "%s: '%s': %s", what, tame(s), strerror(r));
	if (r)
		die(FLOCK_EXIT_USAGE, "%s: '%s'", what, tame(s));
}

static int descriptor_of(const char *s)
{
	int64_t n = 0;
	int r = laxnum_integer(s, &n);
	need_number(n < 0 || n > INT_MAX ? ERANGE : r, "invalid file descriptor", s);
	return (int)n;
}

static int busy_status_of(const char *s)
{
	int64_t n = 0;
	int r = laxnum_integer(s, &n);
	need_number(n < INT_MIN || n > INT_MAX ? ERANGE : r, "invalid exit code", s);
	if (n < 0 || n > 255)
		die(FLOCK_EXIT_USAGE, "exit code out of range (expected 0 to 255)");
	return (int)n;
}

static void take_option(struct opts *o, int key, const char *value)
{
	switch (key) {
	case 's':
		o->mode = SYNC_SHARED;
		break;
	case 'x':
	case 'e':
		o->mode = SYNC_EXCLUSIVE;
		break;
	case 'u':
		o->mode = SYNC_UNLOCKED;
		break;
	case 'n':
		o->nonblock = true;
		break;
	case 'w':
		need_number(laxnum_seconds(value, &o->timeout), "invalid timeout", value);
		o->timed = true;
		break;
	case 'E':
		o->busy_status = busy_status_of(value);
		break;
	case 'o':
		o->close = true;
		break;
	case 'F':
		o->in_place = true;
		break;
	case OPT_VERBOSE:
		o->verbose = true;
		break;
	case OPT_START:
		need_number(laxnum_size(value, &o->start), "invalid start offset", value);
		o->record = true;
		break;
	case OPT_LENGTH:
		need_number(laxnum_size(value, &o->length), "invalid length", value);
		o->record = true;
		break;
	case OPT_FCNTL:
		o->record = true;
		break;
	case OPT_FD:
		o->fd = descriptor_of(value);
		break;
	case 'h':
		buffer_output();
		argp_help(&argp, stdout, ARGP_HELP_STD_HELP, (char *)applet_flock.name);
		finish(FLOCK_EXIT_DONE);
		break;
	case 'V':
		buffer_output();
		printf("flock from " STANDS_FOR " (syncbox " VERSION ")\n");
		finish(FLOCK_EXIT_DONE);
		break;
	default:
		try_help();
	}
}

/* -c is no option: it is known by its place. */
static bool is_dash_c(const char *word)
{
	return word && (!strcmp(word, "-c") || !strcmp(word, "--command"));
}

static void take_command(struct opts *o, char **words)
{
	static char *shell_command[4];
	static char fallback[] = "/bin/sh";
	static char dash_c[] = "-c";
	o->command = words;
	if (!is_dash_c(words[0]))
		return;
	if (!words[1] || words[2])
		die(FLOCK_EXIT_USAGE, "%s requires exactly one command argument", words[0]);
	char *shell = secure_getenv("SHELL");
	shell_command[0] = shell && *shell ? shell : fallback;
	shell_command[1] = dash_c;
	shell_command[2] = words[1];
	o->command = shell_command;
}

static void take_operands(struct opts *o, char **words)
{
	if (o->fd >= 0) {
		if (words[0])
			take_command(o, words);
	} else if (!words[0]) {
		die(FLOCK_EXIT_USAGE, "requires file descriptor, file or directory");
	} else if (words[1]) {
		o->file = words[0];
		take_command(o, words + 1);
	} else {
		o->fd = descriptor_of(words[0]);
	}
}

static void take_words(struct opts *o, int argc, char **argv)
{
	struct getopts g = {.table = options, .argc = argc, .argv = argv, .at = 1};
	if (argc < 2) {
		warn("not enough arguments");
		try_help();
	}
	while (o->fd < 0 || g.letters || !is_dash_c(argv[g.at])) {
		int key = getopts_next(&g);
		if (key == GETOPTS_END)
			break;
		take_option(o, key, g.value);
	}
	if (o->in_place && o->close)
		die(FLOCK_EXIT_USAGE, "the --no-fork and --close options are incompatible");
	take_operands(o, argv + g.at);
}

/* ---- the lock ---- */

static int status_of_open(int err)
{
	if (err == ENOMEM || err == EMFILE || err == ENFILE)
		return FLOCK_EXIT_SYSTEM;
	return err == EROFS || err == ENOSPC ? FLOCK_EXIT_NO_CREATE : FLOCK_EXIT_NO_INPUT;
}

/* COMMAND inherits it under the number that it has. *access becomes what it was opened for. */
static int open_file(const char *file, int *access)
{
	int fd = open(file, *access | O_NOCTTY | O_CREAT, 0666);
	if (fd < 0 && errno == EISDIR) {
		*access = O_RDONLY;
		fd = open(file, O_RDONLY | O_NOCTTY);
	}
	if (fd < 0) {
		int err = errno;
		die(status_of_open(err), "cannot open lock file %s: %s", tame(file), strerror(err));
	}
	return fd;
}

/* One try, or one wait, by libsync. 0, or -errno. */
static int take(const struct opts *o, const struct timespec *deadline)
{
	static const struct sync_lock_opts as_is = {.flags = SYNC_LOCK_BY_FD | SYNC_LOCK_AS_IS};
	char name[80];
	struct sync_lock *lock;
	if (was_closed(o->fd))
		return -EBADF;
	if (o->record)
		snprintf(name, sizeof(name), "ofd:%d@%llu+%llu", o->fd,
			 (unsigned long long)o->start, (unsigned long long)o->length);
	else
		snprintf(name, sizeof(name), "flock:%d", o->fd);
	int r = sync_lock_open(name, &as_is, NULL, &lock);
	if (r)
		return r;
	do
		r = o->mode == SYNC_UNLOCKED ? sync_lock_release(lock)
					     : sync_lock_acquire(lock, o->mode, deadline);
	while (r == -EINTR);
	sync_lock_close(lock); /* the descriptor stays open, and locked */
	return r;
}

__attribute__((noreturn)) static void fail(const struct opts *o, int err)
{
	int status = err == ENOLCK || err == ENOMEM ? FLOCK_EXIT_SYSTEM : FLOCK_EXIT_DATA;
	if (o->file)
		die(status, "%s: %s", tame(o->file), strerror(err));
	die(status, "%d: %s", o->fd, strerror(err));
}

__attribute__((noreturn)) static void give_up(const struct opts *o, const char *why)
{
	if (o->verbose)
		warn("%s", why);
	exit(o->busy_status);
}

__attribute__((noreturn)) static void no_timer(int err)
{
	die(FLOCK_EXIT_SYSTEM, "cannot set up timer: %s", strerror(err));
}

/* NFS has record locks for flock(2), and wants files open for writing: so open it anew, unless it is. */
static void reopen(struct opts *o, int *access_mode, int err)
{
	if (*access_mode == O_RDWR || o->mode == SYNC_SHARED || !o->file)
		fail(o, err);
	if (access(o->file, R_OK | W_OK))
		fail(o, errno);
	close(o->fd);
	*access_mode = O_RDWR;
	o->fd = open_file(o->file, access_mode);
	if (*access_mode != O_RDWR)
		fail(o, EISDIR);
}

static const struct timespec *deadline_of(const struct opts *o, struct timespec *deadline)
{
	if (o->timed && o->timeout < 0)
		no_timer(EINVAL);
	if (o->nonblock || (o->timed && !o->timeout))
		return SYNC_NOW;
	if (!o->timed || o->timeout == INT64_MAX)
		return NULL;
	sync_deadline_in(o->timeout, deadline);
	return deadline;
}

static void lock(struct opts *o, int access_mode)
{
	struct timespec end;
	const struct timespec *deadline = deadline_of(o, &end);
	for (;;) {
		int r = take(o, deadline);
		if (!r)
			return;
		if (r == -EIO || r == -EBADF)
			reopen(o, &access_mode, -r);
		else if (r == -EACCES || (r == -EAGAIN && !deadline))
			give_up(o, "failed to get lock");
		else if (r == -ETIMEDOUT)
			give_up(o, deadline == SYNC_NOW ? "failed to get lock"
							: "timeout while waiting to get lock");
		else if (r == -EAGAIN || r == -EBUSY)
			no_timer(-r);
		else
			fail(o, -r);
	}
}

static void say_how_long(const struct timespec *since)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long long usec =
		(now.tv_sec - since->tv_sec) * 1000000LL + (now.tv_nsec - since->tv_nsec) / 1000;
	printf("flock: getting lock took %lld.%06lld seconds\n", usec / 1000000, usec % 1000000);
}

/* ---- COMMAND ---- */

static int run_command(const struct opts *o)
{
	const struct child_plan plan = {.argv = o->command};
	int err = 0;
	int status = 0;
	if (o->close)
		fcntl(o->fd, F_SETFD, FD_CLOEXEC);
	if (o->in_place)
		err = child_become(&plan);
	else
		status = child_attend(&plan, &err);
	if (status < 0)
		die(FLOCK_EXIT_SYSTEM, "fork failed: %s", strerror(-status));
	if (!err)
		return status;
	warn("failed to execute %s: %s", tame(o->command[0]), strerror(err));
	return err == ENOMEM ? FLOCK_EXIT_SYSTEM : FLOCK_EXIT_NO_EXEC;
}

static int run(int argc, char **argv)
{
	struct opts o = {.mode = SYNC_EXCLUSIVE, .busy_status = FLOCK_EXIT_BUSY, .fd = -1};
	struct timespec began = {0};
	take_words(&o, argc, argv);
	/* An exclusive record lock needs a file that can be written. */
	int access_mode = o.record && o.mode == SYNC_EXCLUSIVE ? O_WRONLY : O_RDONLY;
	if (o.file)
		o.fd = open_file(o.file, &access_mode);
	if (o.verbose) {
		buffer_output();
		clock_gettime(CLOCK_MONOTONIC, &began);
	}
	lock(&o, access_mode);
	if (o.verbose)
		say_how_long(&began);
	if (!o.command)
		return finish(FLOCK_EXIT_DONE);
	if (o.verbose)
		printf("flock: executing %s\n", o.command[0]);
	return finish(run_command(&o));
}

const struct applet applet_flock = {
	.name = "flock",
	.summary = "manage locks from shell scripts, as flock(1) of util-linux does",
	.argp = &argp,
	.drop_in = true,
	.run = run,
};
