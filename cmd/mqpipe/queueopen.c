/* SPDX-License-Identifier: MIT */
/* Opening a queue; and errno with the circumstances, turned into advice. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "exitcode.h"
#include "parse.h"
#include "queueopen.h"
#include "say.h"
#include "stop.h"

enum { OPT_NO_CREATE = 1536 };

static const struct argp_option geometry_options[] = {
	{"capacity", 'c', "N", 0, "A queue that has to be made holds N messages", 7},
	{"size", 's', "BYTES", 0, "Messages of one that has to be made have BYTES at most", 7},
	{"mode", 'm', "MODE", 0, "Mode of one that has to be made, in octal, instead of 600", 7},
	{0},
};

static error_t parse_geometry(int key, char *arg, struct argp_state *state)
{
	struct sync_queue_opts *o = state->input;
	switch (key) {
	case 'c':
		if (!parse_count(arg, INT32_MAX, &o->capacity) || !o->capacity)
			argp_error(state,
				   "invalid capacity '%s': expected 1 to 2147483647 messages", arg);
		return 0;
	case 's':
		if (!parse_count(arg, INT32_MAX, &o->size) || !o->size)
			argp_error(state, "invalid size '%s': expected 1 to 2147483647 bytes", arg);
		return 0;
	case 'm':
		if (!parse_mode(arg, &o->mode) || !o->mode)
			argp_error(state, "invalid mode '%s': expected octal, 1 to 777", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp geometry_argp = {.options = geometry_options, .parser = parse_geometry};

static const struct argp_option making_options[] = {
	{"no-create", OPT_NO_CREATE, NULL, 0, "Do not make the queue if it is missing", 7},
	{0},
};

static error_t parse_making(int key, char *arg, struct argp_state *state)
{
	struct sync_queue_opts *o = state->input;
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = o;
		o->flags |= SYNC_QUEUE_CREATE;
		return 0;
	case OPT_NO_CREATE:
		o->flags &= ~(unsigned)SYNC_QUEUE_CREATE;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child making_children[] = {{&geometry_argp, 0, NULL, 0}, {0}};
const struct argp making_argp = {
	.options = making_options,
	.parser = parse_making,
	.children = making_children,
};

/* What errno alone does not say; NULL where strerror() is enough. */
static const char *reason(int err)
{
	switch (-err) {
	case EINVAL:
		return "not a queue's name: expected NAME or /NAME without another slash, or "
		       "sysv:NAME, sysv:0xKEY, sysv:id=N";
	case ENAMETOOLONG:
		return "the name is too long: at most 255 bytes";
	case ENXIO:
		return "no such queue, and a number cannot be chosen: name it, or give a key";
	case ENOSYS:
		return "this kernel has no such message queues (CONFIG_POSIX_MQUEUE, "
		       "CONFIG_SYSVIPC)";
	case EAGAIN:
		return "no timer could be had for the timeout: raise ulimit -i (pending signals)";
	case EBUSY:
		return "every real-time signal has a handler, so none is left for the timeout";
	case ENOMEM:
		return "no memory, or too many threads: see ulimit -u";
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
	case EMSGSIZE:
		return EXIT_BAD_DATA;
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EAGAIN:
		return EXIT_SYSTEM;
	default:
		return exit_status_of(err);
	}
}

/* The limit, its value, what would do, and where it is raised. */
__attribute__((noreturn)) static void die_of_limit(const char *name, uint64_t capacity,
						   const struct sync_queue_limit *l)
{
	const bool of_user = !strcmp(l->name, "RLIMIT_MSGQUEUE");
	const bool of_size = strstr(l->name, "size") || strstr(l->name, "msgmax");
	char asked[64] = "";
	char fits[64] = "";
	if (l->asked)
		snprintf(asked, sizeof(asked), ", and it would need %llu",
			 (unsigned long long)l->asked);
	if (of_user && l->fits >= (capacity ? capacity : 1))
		snprintf(fits, sizeof(fits), "your other queues take the rest: ");
	else if (l->fits)
		snprintf(fits, sizeof(fits), "give at most %s %llu, ", of_size ? "-s" : "-c",
			 (unsigned long long)l->fits);
	die(EXIT_SYSTEM, "cannot create %s: %s%s is %llu%s: %s%sor raise it with %s%s", quote(name),
	    l->name, of_user ? ", for the bytes of all queues of a user," : "",
	    (unsigned long long)l->value, asked, fits,
	    of_user || strstr(l->name, "queues") || strstr(l->name, "msgmni")
		    ? "remove others with mqpipe rm, "
		    : "",
	    of_user                          ? "ulimit -q"
	    : !strncmp(l->name, "RLIMIT", 6) ? "ulimit -n"
					     : "sysctl ",
	    strncmp(l->name, "RLIMIT", 6) ? l->name : "");
}

__attribute__((noreturn)) static void fail_open(const char *name,
						const struct sync_queue_opts *opts, int err)
{
	const char *why = reason(err);
	struct sync_queue_limit limit;
	if (!sync_queue_limit(name, opts, err, &limit))
		die_of_limit(name, opts->capacity, &limit);
	if (err == -ENOENT)
		die(EXIT_NO_OBJECT, "no queue %s in this IPC namespace: mqpipe create makes it",
		    quote(name));
	if (err == -EEXIST)
		die(EXIT_NO_CREATE, "cannot create %s: it exists", quote(name));
	if (err == -EACCES || err == -EPERM)
		die(EXIT_DENIED, "cannot open %s: its mode does not let you %s it", quote(name),
		    opts->flags & SYNC_QUEUE_SEND ? "write to" : "read");
	die(status(err), "cannot open %s: %s", quote(name), why ? why : strerror(-err));
}

struct sync_queue *queue_open(const char *name, const struct sync_queue_opts *opts, unsigned flags)
{
	struct sync_queue_opts all = *opts;
	struct sync_queue *q;
	all.flags |= flags;
	int r = sync_queue_open(name, &all, &q);
	if (r)
		fail_open(name, &all, r);
	return q;
}

void queue_attend(struct sync_queue *q, const struct timespec *until, int busy)
{
	int r;
	do
		r = sync_queue_attend(q, until);
	while (r == -EINTR && !stop_wanted());
	if (r == -ETIMEDOUT)
		die(busy, "cannot be counted as a user of %s: somebody has it locked",
		    quote(sync_queue_name(q)));
	if (r && r != -EOPNOTSUPP && r != -EINTR)
		die(EXIT_SYSTEM, "cannot be counted as a user of %s: %s", quote(sync_queue_name(q)),
		    strerror(-r));
}

struct sync_queue_state queue_state(struct sync_queue *q)
{
	struct sync_queue_state s;
	int r = sync_queue_state(q, &s);
	if (r)
		die(exit_status_of(r), "cannot look at %s: %s", quote(sync_queue_name(q)),
		    strerror(-r));
	return s;
}

int queue_fail(const char *what, const struct sync_queue *q, int err)
{
	const char *name = quote(sync_queue_name(q));
	const char *why = reason(err);
	switch (-err) {
	case EIDRM:
		warn("%s was removed", name);
		return EXIT_GONE;
	case EOPNOTSUPP:
		warn("cannot %s %s: this kind of queue does not do that: see sync-backends(7)",
		     what, name);
		return EXIT_BAD_USAGE;
	default:
		warn("cannot %s %s: %s", what, name, why ? why : strerror(-err));
		return status(err);
	}
}
