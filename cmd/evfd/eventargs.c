/* SPDX-License-Identifier: MIT */
/* What most actions are given, and how an event is opened; errno turned into advice. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libsync.h"

#include "child.h"
#include "eventargs.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"

/* A holder that does not answer in this time will not. */
#define PATIENCE_NSEC INT64_C(5000000000)

static error_t finish(struct event_args *a, struct argp_state *state)
{
	const char *number = NULL;
	if (a->takes == TAKES_COMMAND && !a->command)
		argp_error(state, "expected -- and a command");
	if (a->takes == TAKES_A_NUMBER_AT_LEAST && !a->count)
		argp_error(state, "expected an event, and a number");
	a->event = a->words[0];
	if (a->count == 2)
		number = a->words[1];
	if (a->count == 1 && a->takes == TAKES_A_NUMBER_AT_LEAST) {
		a->event = NULL;
		number = a->words[0];
	}
	if (number && !parse_count(number, UINT64_MAX, &a->n))
		argp_error(state, "invalid number '%s': expected 1 to 18446744073709551614",
			   number);
	if (!a->n || a->n == UINT64_MAX)
		argp_error(
			state,
			"invalid number '%s': 0 would be no event, and 2^64-1 is what the kernel "
			"refuses: expected 1 to 18446744073709551614",
			number);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct event_args *a = state->input;
	unsigned most = a->takes == TAKES_NOTHING || a->takes == TAKES_COMMAND ? 1 : 2;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &a->common;
		a->n = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (a->takes == TAKES_COMMAND && state->quoted) {
			a->command = common_command(state);
			return 0;
		}
		if (a->count == most)
			argp_error(state, a->takes == TAKES_COMMAND
						  ? "expected -- before the command"
						  : "too many arguments");
		a->words[a->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		return finish(a, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
const struct argp event_args_argp = {.parser = parse, .children = children};

/* ---- open ---- */

/* What errno alone does not say; NULL where strerror() is enough. */
static const char *reason(int err)
{
	switch (-err) {
	case EINVAL:
		return "not an event's name: expected letters, digits, '.', '-', '_', or fd:N, "
		       "pid:PID:N, UID/NAME";
	case ENAMETOOLONG:
		return "the name is too long: at most 80 characters";
	case EMEDIUMTYPE:
		return "that descriptor is not an eventfd";
	case EACCES:
		return "it belongs to another user, who may have taken the name on purpose";
	case EPERM:
		return "we may not look into that process: another user's, or "
		       "kernel.yama.ptrace_scope "
		       "forbids it";
	case ESRCH:
		return "no such process";
	case EUSERS:
		return "its holder has no descriptors left, or too many ask it at once";
	case EPROTO:
		return "what answers there is no holder of ours";
	case ETIMEDOUT:
		return "its holder does not answer";
	case EOPNOTSUPP:
		return "that needs /proc, or a holder";
	case ENOSYS:
		return "this kernel is too old for pid: (Linux 5.6)";
	default:
		return NULL;
	}
}

static int status(int err)
{
	switch (-err) {
	case EINVAL:
	case ENAMETOOLONG:
		return EXIT_BAD_USAGE;
	case EMEDIUMTYPE:
	case EPROTO:
		return EXIT_BAD_DATA;
	case ESRCH:
		return EXIT_NO_OBJECT;
	case ETIMEDOUT:
		return EXIT_GONE;
	case EUSERS:
	case ENOSYS:
	case EOPNOTSUPP:
		return EXIT_SYSTEM;
	default:
		return exit_status_of(err);
	}
}

/* "fd:", and what EVFD may hold that is a number, and more that is none */
#define NAME_ROOM 32

static const char *name_of(const struct event_args *a, char inherited[NAME_ROOM])
{
	const char *fd = getenv("EVFD");
	if (a->event && strcmp(a->event, "-") != 0)
		return a->event;
	if (!fd || !*fd)
		die(EXIT_BAD_USAGE,
		    "expected an event: there is no EVFD in the environment, as under "
		    "evfd run");
	/* No snprintf(3) on the way of a start: it costs page faults. */
	char *end = stpcpy(inherited, "fd:");
	memccpy(end, fd, '\0', NAME_ROOM - sizeof("fd:"));
	inherited[NAME_ROOM - 1] = '\0';
	return inherited;
}

int event_reach(const char *name, struct sync_event **out)
{
	struct timespec until;
	int r;
	/* No holder: no wait, and no need to find out what time it is. */
	if (!strncmp(name, "fd:", 3))
		return sync_event_open(name, NULL, out);
	sync_deadline_in(PATIENCE_NSEC, &until);
	do
		r = sync_event_open(name, &until, out);
	while (r == -EINTR);
	return r;
}

void event_die(const char *name, int err)
{
	if (err == -ENOENT)
		die(EXIT_NO_OBJECT, "no event %s: evfd create makes it", quote(name));
	if (err == -EBADF && !strncmp(name, "fd:", 3))
		die(EXIT_NO_OBJECT,
		    "descriptor %s is not open: a program in between closes descriptors, as sudo "
		    "and "
		    "Python's subprocess do: use an event with a name, by evfd create",
		    name + 3);
	die(status(err), "cannot open %s: %s", quote(name),
	    reason(err) ? reason(err) : strerror(-err));
}

struct sync_event *event_open(const struct event_args *a)
{
	char inherited[NAME_ROOM];
	const char *name = name_of(a, inherited);
	struct sync_event *e;
	int r = event_reach(name, &e);
	if (r)
		event_die(name, r);
	return e;
}

int event_fail(const char *what, const struct sync_event *e, const struct event_args *a, int err)
{
	const char *name = quote(sync_event_name(e));
	switch (-err) {
	case ETIMEDOUT:
		if (!a->common.quiet)
			warn("cannot %s %s: not now", what, name);
		return a->common.busy_status;
	case EIDRM:
		warn("%s was removed", name);
		return EXIT_GONE;
	case EOWNERDEAD:
		warn("the holder of %s has died", name);
		return EXIT_GONE;
	default:
		warn("cannot %s %s: %s", what, name, strerror(-err));
		return exit_status_of(err);
	}
}

/* Not by stdio: what it could not write it would try again. */
static int write_number(uint64_t value)
{
	char line[32];
	char *end = line + sizeof(line);
	char *p = end;
	*--p = '\n';
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	ssize_t n;
	child_ignore_unread();
	do
		n = write(STDOUT_FILENO, p, (size_t)(end - p));
	while (n < 0 && errno == EINTR);
	return n == end - p ? 0 : n < 0 ? -errno : -ENOSPC;
}

int event_print(struct sync_event *e, uint64_t value)
{
	int err = write_number(value);
	if (!err)
		return EXIT_DONE;
	int r = value ? sync_event_signal(e, value, SYNC_NOW) : 0;
	const char *name = quote(sync_event_name(e));
	if (!r)
		warn("cannot write to standard output: %s: %llu was put back into %s",
		     strerror(-err), (unsigned long long)value, name);
	else
		warn("cannot write to standard output: %s: LOST is %llu, as %s %s", strerror(-err),
		     (unsigned long long)value, name,
		     r == -ETIMEDOUT ? "has no room for it any more" : "is gone");
	return EXIT_IO;
}
