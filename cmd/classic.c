/* SPDX-License-Identifier: MIT */
/*
 * lockrun classic: the command line of Friedl's lockrun 1.1.1 and of the fork by pushcx, with their
 * messages and their status 1, over our way of holding a lock:
 *
 * 1. Options up to "--", which must be there; each is spelled out, as -X VALUE, -X=VALUE or in words. One
 *    of them is --lockfile, or lockrun.c had not handed over.
 * 2. One try. If it is busy: without --wait give up; else wait in the kernel's queue, where theirs
 *    sleep and try again. --retries times --sleep bounds the wait.
 * 3. COMMAND inherits the lock and gets our signals; unlock when it has ended.
 * 4. Its own status is returned, where Friedl's mangles it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "libsync.h"

#include "child.h"
#include "classic.h"
#include "held.h"
#include "laxnum.h"
#include "say.h"

struct classic {
	const char *lockfile;
	bool wait, verbose, quiet, idempotent;
	int sleep, retries, maxtime;
	char **command;
};

/* In the order of --help. */
enum option { LOCKFILE, WAIT, SLEEP, RETRIES, MAXTIME, VERBOSE, QUIET, IDEMPOTENT, HELP, VERSION_ };

static const struct {
	const char *name, *letter, *value, *doc;
} options[] = {
	[LOCKFILE] = {"--lockfile", "-L", "=FILE", "The lock file; made if it is missing"},
	[WAIT] = {"--wait", "-W", "", "Wait while another has the lock"},
	[SLEEP] = {"--sleep", "-S", "=N", "With --retries: seconds for each (10)"},
	[RETRIES] = {"--retries", "-R", "=N", "With --wait: give up after N-1 times --sleep"},
	[MAXTIME] = {"--maxtime", "-T", "=N", "Say so if all took more than N seconds"},
	[VERBOSE] = {"--verbose", "-V", "", "Say what happens"},
	[QUIET] = {"--quiet", "-q", "", "If another has the lock: end silently with status 0"},
	[IDEMPOTENT] = {"--idempotent", "-I", "", "The same, and say things as the fork does"},
	[HELP] = {"--help", "", "", "Show these options"},
	[VERSION_] = {"--version", "", "", "Show the version"},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

/* Theirs, with no name of a program in front. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	char line[8192];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
	line[len++] = '\n';
	say_bytes(line, len);
	exit(EXIT_FAILURE);
}

/* ---- the words ---- */

/* Which option is WORD, up to a '='? OPTIONS for none. */
static int find(const char *word)
{
	size_t len = strcspn(word, "=");
	int i = 0;
	for (; i < OPTIONS; i++)
		if (len && ((!strncmp(word, options[i].name, len) && !options[i].name[len]) ||
			    (!strncmp(word, options[i].letter, len) && !options[i].letter[len])))
			break;
	return i;
}

static bool takes_next_word(const char *word, int option)
{
	return option < OPTIONS && *options[option].value && !strchr(word, '=');
}

/* By hand, as every start of lockrun asks: see same() in main.c. */
static bool may_name_lockfile(const char *word)
{
	return word[0] == '-' && (word[1] == 'L' || (word[1] == '-' && word[2] == 'l'));
}

bool classic_is_meant(char *const *argv)
{
	char *const *word = argv;
	while (*word && !may_name_lockfile(*word))
		word++;
	if (!*word)
		return false;
	for (argv++; *argv && **argv == '-' && strcmp(*argv, "--") != 0; argv++) {
		int option = find(*argv);
		if (option == LOCKFILE)
			return true;
		if (takes_next_word(*argv, option) && argv[1])
			argv++;
	}
	return false;
}

__attribute__((noreturn)) static void show_help(void)
{
	puts("Usage: lockrun [options] -- command args...\n");
	for (int i = 0; i < OPTIONS; i++)
		printf("  %2s%c %s%-*s %s\n", options[i].letter, *options[i].letter ? ',' : ' ',
		       options[i].name, 17 - (int)strlen(options[i].name), options[i].value,
		       options[i].doc);
	puts("\nThese are the options with --lockfile; see lockrun(1), CLASSIC.");
	exit(EXIT_SUCCESS);
}

static void take(struct classic *o, int option, const char *value)
{
	switch ((enum option)option) {
	case LOCKFILE:
		o->lockfile = value;
		break;
	case WAIT:
		o->wait = true;
		break;
	case SLEEP:
		o->sleep = laxnum_atoi(value);
		break;
	case RETRIES:
		o->retries = laxnum_atoi(value);
		break;
	case MAXTIME:
		o->maxtime = laxnum_atoi(value);
		break;
	case VERBOSE:
		o->verbose = true;
		break;
	case IDEMPOTENT:
		o->idempotent = true;
		break;
	case QUIET:
		o->quiet = true;
		break;
	case HELP:
		show_help();
	case VERSION_:
		puts("lockrun of syncbox " VERSION);
		exit(EXIT_SUCCESS);
	}
}

static void take_words(struct classic *o, char **argv)
{
	const char *name = *argv;
	for (argv++; *argv && strcmp(*argv, "--") != 0; argv++) {
		char *word = *argv;
		int option = find(word);
		char *value = strchr(word, '=');
		int len = (int)strcspn(word, "=");
		if (option == OPTIONS)
			fail("ERROR: \"%.*s\" is an invalid cmdline param", len, tame(word));
		if (value)
			value++;
		else if (takes_next_word(word, option) && !(value = *++argv))
			fail("ERROR: option %s requires a parameter", word);
		take(o, option, value);
	}
	if (!*argv || !argv[1])
		fail("ERROR: missing command to %s (must follow \"--\" marker) ", name);
	o->command = argv + 1;
}

/* ---- the lock ---- */

static struct sync_lock *open_lock(const struct classic *o)
{
	mode_t mask = umask(0);
	umask(mask);
	const struct sync_lock_opts opts = {.flags = SYNC_LOCK_FOLLOW, .mode = 0666 & ~mask};
	struct sync_lock *lock;
	char *name;
	/* A path, whatever is in it. */
	if (asprintf(&name, "flock:%s", o->lockfile) < 0)
		fail("ERROR: cannot open(%s) [err=%s]", tame(o->lockfile), strerror(ENOMEM));
	int r = sync_lock_open(name, &opts, NULL, &lock);
	free(name);
	if (r)
		fail("ERROR: cannot open(%s) [err=%s]", tame(o->lockfile), strerror(-r));
	return lock;
}

static int acquire(struct sync_lock *lock, const struct timespec *deadline)
{
	int r;
	do
		r = sync_lock_acquire(lock, SYNC_EXCLUSIVE, deadline);
	while (r == -EINTR);
	return r;
}

/* Of N attempts, N-1 would have been followed by a sleep. */
static const struct timespec *patience(const struct classic *o, struct timespec *end)
{
	int64_t nsec = INT64_C(1000000000);
	if (o->retries <= 0)
		return NULL;
	if (__builtin_mul_overflow(nsec, (unsigned)o->sleep, &nsec) ||
	    __builtin_mul_overflow(nsec, o->retries - 1, &nsec))
		return NULL;
	sync_deadline_in(nsec, end);
	return end;
}

static int wait_for(const struct classic *o, struct sync_lock *lock)
{
	struct timespec end;
	/* It would be a wait for ourselves. */
	if (held_claimed() && held_above(lock).any)
		return -EDEADLK;
	if (o->retries != 1 && o->verbose) {
		if (o->idempotent)
			printf("(locked: sleeping %d secs)\n", o->sleep);
		else
			printf("(locked: sleeping %d secs, after attempt #1)\n", o->sleep);
		fflush(stdout);
	}
	return acquire(lock, patience(o, &end));
}

static void take_lock(const struct classic *o, struct sync_lock *lock)
{
	const char *command = tame(o->command[0]);
	int r = acquire(lock, SYNC_NOW);
	if (r == -ETIMEDOUT && !o->wait) {
		if (o->quiet || o->idempotent)
			exit(EXIT_SUCCESS);
		fail("ERROR: cannot launch %s - run is locked", command);
	}
	if (r == -ETIMEDOUT)
		r = wait_for(o, lock);
	if (r == -ETIMEDOUT)
		fail("ERROR: cannot launch %s - run is locked (after %d attempts)", command,
		     o->retries);
	if (r)
		fail("ERROR: cannot lock(%s) [err=%s]", tame(o->lockfile), strerror(-r));
}

/* ---- COMMAND ---- */

static bool talks;
static int job;

static void started(int pid)
{
	job = pid;
	if (talks)
		printf("Waiting for process %d\n", pid);
}

static void say_end(const struct classic *o, int raw, int status, long elapsed)
{
	if (!o->verbose && !(o->maxtime > 0 && elapsed > o->maxtime))
		return;
	if (o->idempotent)
		printf("pid %d exited with status %d, exit code: %d (time=%ld sec)\n", job, raw,
		       status, elapsed);
	else
		printf("pid %d exited with status %d (time=%ld sec)\n", job, raw, elapsed);
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

int classic_run(char **argv)
{
	struct classic o = {.sleep = 10};
	const long began = now(); /* what is told includes the wait */
	take_words(&o, argv);
	struct sync_lock *lock = open_lock(&o);
	take_lock(&o, lock);
	child_hold_signals();
	struct sync_lock_want want = {lock, SYNC_EXCLUSIVE};
	if (held_export(&want, 1))
		fail("ERROR: cannot fork [%s]", strerror(E2BIG));
	int fd = sync_lock_fd(lock);
	talks = o.verbose;
	const struct child_plan plan = {
		.argv = o.command,
		.keep = &fd,
		.keep_count = 1,
		.started = started,
	};
	int status = child_run(&plan);
	(void)sync_lock_release(lock);
	if (status < 0)
		fail("ERROR: cannot fork [%s]", strerror(-status));
	if (job)
		say_end(&o, child_wait_status(), status, now() - began);
	return status;
}
