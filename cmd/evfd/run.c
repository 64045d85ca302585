/* SPDX-License-Identifier: MIT */
/*
 * evfd run: a command with an event of its own, which all that it starts inherit. It lives in their
 * descriptors, so it is gone with the last of them: nothing is left behind, whoever is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libsync.h"

#include "child.h"
#include "common.h"
#include "evfd.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"

/* Every shell can name these, as in >&3; dash no others. */
enum { FD_FIRST = 3, FD_LAST = 9 };

struct opts {
	struct sync_event_opts event;
	const char *variable;
	int fd; /* -1: any that is free */
	char **command;
};

enum { OPT_NAME = 256 };

static const struct argp_option options[] = {
	{"init", 'i', "N", 0, "Begin with N instead of 0", 1},
	{"semaphore", 'S', NULL, 0, "evfd wait takes 1 at a time", 1},
	{"fd", 'f', "FD", 0, "Use this descriptor, instead of the first free one from 3 to 9", 2},
	{"name", OPT_NAME, "VAR", 0, "Put its number into this variable instead of EVFD", 2},
	{0},
};

static bool is_variable(const char *s)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return *s && !(*s >= '0' && *s <= '9') && !s[strspn(s, letters)];
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		o->fd = -1;
		o->variable = "EVFD";
		return 0;
	case 'i':
		if (!parse_count(arg, UINT64_MAX - 1, &o->event.initial))
			argp_error(state, "invalid number '%s': expected 0 to 18446744073709551614",
				   arg);
		return 0;
	case 'S':
		o->event.flags |= SYNC_EVENT_SEMAPHORE;
		return 0;
	case 'f':
		if (!parse_count(arg, 1 << 20, &n) || n < FD_FIRST)
			argp_error(state,
				   "invalid descriptor '%s': expected 3 or more, 9 at most for "
				   "dash",
				   arg);
		o->fd = (int)n;
		return 0;
	case OPT_NAME:
		if (!is_variable(arg))
			argp_error(state, "invalid name '%s': expected that of a variable", arg);
		o->variable = arg;
		return 0;
	case ARGP_KEY_ARG:
		o->command = common_command(state);
		return 0;
	case ARGP_KEY_END:
		if (!o->command)
			argp_error(state, "expected a command");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "COMMAND [ARG...]",
	.doc = "Run COMMAND with a new event, which is there until the last process has closed it. "
	       "Actions without EVENT use it.",
};

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int choose(const struct opts *o)
{
	if (o->fd >= 0 && is_open(o->fd))
		die(EXIT_NO_CREATE, "descriptor %d is open already: give another -f", o->fd);
	if (o->fd >= 0)
		return o->fd;
	for (int fd = FD_FIRST; fd <= FD_LAST; fd++)
		if (!is_open(fd))
			return fd;
	die(EXIT_NO_CREATE, "descriptors 3 to 9 are all open: close one, or give -f");
}

static int run(int argc, char **argv)
{
	static struct opts o;
	char number[16];
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	struct sync_event *e;
	int fd = choose(&o); /* before ours is open, which may get just that number */
	int r = sync_event_make(&o.event, &e);
	if (r)
		die(exit_status_of(r), "cannot make an event: %s", strerror(-r));
	if (dup2(sync_event_fd(e), fd) < 0)
		die(EXIT_SYSTEM, "cannot use descriptor %d: %s: see ulimit -n", fd,
		    strerror(errno));
	snprintf(number, sizeof(number), "%d", fd);
	if (setenv(o.variable, number, 1))
		die(EXIT_SYSTEM, "cannot set %s: %s", o.variable, strerror(errno));
	const struct child_plan plan = {.argv = o.command, .keep = &fd, .keep_count = 1};
	return child_exec(&plan);
}

const struct applet evfd_run = {
	.name = "run",
	.summary = "run a command with an event of its own",
	.argp = &argp,
	.run = run,
};
