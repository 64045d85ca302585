/* SPDX-License-Identifier: MIT */
/*
 * evfd create: an event with a name, for processes that have nothing else in common.
 *
 * 1. Take the name. From here on whoever opens it waits for an answer.
 * 2. Print it, and fork: the child leaves the session and all that it has inherited, and answers; only
 *    when it has left the parent ends, for then its terminal may, too.
 * 3. The child ends when the event is removed, after --ttl, with --while's process, or by SIGTERM; then
 *    the name is free, and whoever waits is told. Killed, it frees the name, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libsync.h"

#include "child.h"
#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"
#include "stop.h"

struct opts {
	struct sync_event_opts event;
	bool exclusive;
	int64_t ttl;
	uint64_t pid; /* 0: none */
	char *name;
};

enum { OPT_TTL = 256, OPT_WHILE };
enum { MOMENTS = 50 }; /* each a millisecond longer than the one before: 1.2 seconds */

static const struct argp_option options[] = {
	{"init", 'i', "N", 0, "Begin with N instead of 0", 1},
	{"semaphore", 'S', NULL, 0, "evfd wait takes 1 at a time", 1},
	{"mode", 'm', "MODE", 0, "Who may use it: 600 we (default); 660 our group; 666 everybody",
	 1},
	{"exclusive", 'x', NULL, 0, "Fail if the name is taken", 1},
	{"ttl", OPT_TTL, "DURATION", 0, "Remove it after so long", 2},
	{"while", OPT_WHILE, "PID", 0, "Remove it when this process ends", 2},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		o->ttl = DURATION_FOREVER;
		return 0;
	case 'i':
		if (!parse_count(arg, UINT64_MAX - 1, &o->event.initial))
			argp_error(state, "invalid number '%s': expected 0 to 18446744073709551614",
				   arg);
		return 0;
	case 'S':
		o->event.flags |= SYNC_EVENT_SEMAPHORE;
		return 0;
	case 'm':
		if (!parse_mode(arg, &o->event.mode) || !o->event.mode)
			argp_error(state, "invalid mode '%s': expected 600, 660 or 666", arg);
		return 0;
	case 'x':
		o->exclusive = true;
		return 0;
	case OPT_TTL:
		if (!parse_duration(arg, &o->ttl))
			argp_error(state, "invalid time '%s': expected a duration such as 5 or 2h",
				   arg);
		return 0;
	case OPT_WHILE:
		if (!parse_count(arg, INT32_MAX, &o->pid) || !o->pid)
			argp_error(state, "invalid process '%s': expected its number", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->name)
			argp_error(state, "expected one name");
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->name)
			argp_error(state, "expected a name");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "NAME",
	.doc = "Let a process keep an event under NAME, until evfd rm, and print NAME.",
};

static void fail(const char *name, int err)
{
	switch (-err) {
	case EINVAL:
		die(EXIT_BAD_USAGE,
		    "cannot create %s: not an event's name, or no mode for one: expected letters, "
		    "digits, '.', '-', '_'; and 600, 660 or 666",
		    quote(name));
	case ENAMETOOLONG:
		die(EXIT_BAD_USAGE, "cannot create %s: at most 80 characters", quote(name));
	case EEXIST:
		die(EXIT_NO_CREATE, "cannot create %s: it exists", quote(name));
	case EACCES:
		die(EXIT_DENIED, "cannot create %s: another user has taken the name", quote(name));
	default:
		die(exit_status_of(err), "cannot create %s: %s", quote(name), strerror(-err));
	}
}

/* The child's part; it does not return. */
static void keep(struct sync_event_holder *holder, int pidfd, const struct timespec *until)
{
	int r;
	do
		r = sync_event_holder_serve(holder, pidfd, until);
	while (r == -EINTR && !stop_wanted());
	sync_event_holder_close(holder);
	exit(EXIT_DONE);
}

/* In the parent it returns when the child is on its own: when that has closed the pipe. */
static void start(struct sync_event_holder *holder, int pidfd, const struct timespec *until)
{
	int line[2];
	char none;
	if (pipe2(line, O_CLOEXEC))
		die(EXIT_SYSTEM, "cannot start a holder: %s", strerror(errno));
	int pid = child_detach();
	if (pid < 0)
		die(EXIT_SYSTEM, "cannot start a holder: %s", strerror(-pid));
	if (pid == 0) {
		stop_catch();
		if (write(line[1], "", 1) != 1)
			exit(EXIT_SYSTEM);
		close(line[0]);
		close(line[1]);
		keep(holder, pidfd, until);
	}
	close(line[1]);
	ssize_t n;
	do
		n = read(line[0], &none, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		die(EXIT_SYSTEM, "cannot start a holder: it ended at once: is there a /dev/null?");
}

/*
 * True: it is made. False: it was there, and who has the name is a holder that answers. Or die. A holder that comes
 * or goes has the name for a moment and is not there; anybody who binds it and does not listen has it for ever.
 */
static bool make(const struct opts *o, struct sync_event_holder **holder)
{
	for (int moments = 0; moments < MOMENTS; moments++) {
		struct sync_event *e;
		int r = sync_event_holder_open(o->name, &o->event, holder);
		if (!r)
			return true;
		if (r != -EEXIST || o->exclusive)
			fail(o->name, r);
		r = event_reach(o->name, &e);
		if (!r) {
			sync_event_close(e);
			return false;
		}
		if (r != -ENOENT) /* else it has just gone */
			event_die(o->name, r);
		poll(NULL, 0, moments);
	}
	die(EXIT_NO_CREATE, "cannot create %s: somebody has the name and does not serve it",
	    quote(o->name));
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	struct timespec until;
	struct sync_event_holder *holder;
	child_close_inherited(); /* a lock, say, that the holder would keep */
	int pidfd = o.pid ? child_open((int)o.pid) : -1;
	if (o.pid && pidfd < 0)
		die(pidfd == -ESRCH ? EXIT_NO_OBJECT : EXIT_SYSTEM, "cannot watch process %llu: %s",
		    (unsigned long long)o.pid, strerror(-pidfd));
	sync_deadline_in(o.ttl, &until);
	if (!make(&o, &holder)) {
		puts(o.name);
		return EXIT_DONE;
	}
	/* Written first, so that nobody holds an event whose name nobody got. */
	if (puts(o.name) < 0 || fflush(stdout)) {
		unwritable();
		sync_event_holder_close(holder);
		exit(EXIT_IO);
	}
	start(holder, pidfd, o.ttl == DURATION_FOREVER ? NULL : &until);
	return EXIT_DONE; /* the holder is the child's now */
}

const struct applet evfd_create = {
	.name = "create",
	.summary = "keep an event under a name",
	.argp = &argp,
	.run = run,
};
