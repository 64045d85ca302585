/* SPDX-License-Identifier: MIT */
/* sempost: give permits to a semaphore; change the size of a pool. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "applet.h"
#include "child.h"
#include "common.h"
#include "exitcode.h"
#include "holders.h"
#include "parse.h"
#include "say.h"
#include "shortargs.h"
#include "semopen.h"
#include "waiting.h"

enum action { POST, RESIZE, DRAIN, REPAIR, GIVE_BACK };

struct opts {
	struct common_opts common;
	struct sync_sem_opts open;
	enum action action;
	unsigned actions; /* how many were asked for */
	unsigned count, max, size;
	bool json;
	char *name;
};

enum { OPT_MAX = 256, OPT_RESIZE, OPT_DRAIN, OPT_REPAIR, OPT_FD, OPT_JSON };

static const struct argp_option options[] = {
	{"count", 'c', "K", 0, "Give K permits instead of 1", 1},
	{"max", OPT_MAX, "N", 0, "Give none if there would be more than N then", 1},
	{"init", 'i', "N", 0, "If SEM is missing, make it with N permits first", 2},
	{"mode", 'm', "MODE", 0, "Mode of one that has to be made, in octal, instead of 600", 2},
	{"resize", OPT_RESIZE, "N", 0, "Let the pool have N permits; 0 closes it", 3},
	{"drain", OPT_DRAIN, NULL, 0, "Close the pool, and wait until all permits are back", 3},
	{"fd", OPT_FD, "N", 0, "Give back what our caller's descriptor N has of the pool", 3},
	{"repair", OPT_REPAIR, NULL, 0, "Give back what owners who were killed had taken", 4},
	{"json", OPT_JSON, NULL, 0, "With --repair: as a JSON array", 4},
	{0},
};

static unsigned parse_permits(const char *arg, unsigned least, struct argp_state *state)
{
	uint64_t n;
	if (!parse_count(arg, INT32_MAX, &n) || n < least)
		argp_error(state, "invalid number of permits '%s': expected %u to 2147483647", arg,
			   least);
	return (unsigned)n;
}

static void choose(struct opts *o, enum action action)
{
	o->action = action;
	o->actions++;
}

static error_t finish(struct opts *o, struct argp_state *state)
{
	if (!o->name)
		argp_error(state, "expected a semaphore");
	if (o->actions > 1)
		argp_error(state, "--resize, --drain, --repair and --fd: give one of them");
	if (o->actions && (o->count || o->max))
		argp_error(state, "-c and --max go with giving permits alone");
	if (o->json && o->action != REPAIR)
		argp_error(state, "--json goes with --repair");
	o->count = o->count ? o->count : 1;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'c':
		o->count = parse_permits(arg, 1, state);
		return 0;
	case OPT_MAX:
		o->max = parse_permits(arg, 1, state);
		return 0;
	case 'i':
		o->open.initial = parse_permits(arg, 0, state);
		o->open.flags |= SYNC_SEM_CREATE;
		return 0;
	case 'm':
		if (!parse_mode(arg, &o->open.mode) || !o->open.mode)
			argp_error(state, "invalid mode '%s': expected octal, 1 to 777", arg);
		return 0;
	case OPT_RESIZE:
		o->size = parse_permits(arg, 0, state);
		choose(o, RESIZE);
		return 0;
	case OPT_DRAIN:
		choose(o, DRAIN);
		return 0;
	case OPT_REPAIR:
		choose(o, REPAIR);
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_FD:
		if (!parse_count(arg, INT32_MAX, &n))
			argp_error(state, "invalid descriptor '%s': expected a number", arg);
		o->open.fd = (int)n;
		o->open.flags |= SYNC_SEM_BY_FD;
		choose(o, GIVE_BACK);
		return 0;
	case ARGP_KEY_ARG:
		if (o->name)
			argp_error(state, "unexpected operand '%s': expected one semaphore", arg);
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SEM\n--resize=N SEM\n--drain SEM\n--repair SEM\n--fd=N SEM",
	.doc = "Give a permit to the semaphore SEM: a name, or sysv:NAME, posix:/NAME. A pool, "
	       "pool:NAME or pool:/PATH, can be resized and drained."
	       "\vExit status: 0 done; 75 not now (--max, --drain); see sempost(1).",
	.children = children,
};

static int post(const struct opts *o, struct sync_sem *sem)
{
	int r = sync_sem_post(sem, o->count, o->max);
	if (r == -EAGAIN) {
		if (!o->common.quiet)
			warn("%s has %u permits, or nearly: not giving %u more", quote(o->name),
			     o->max, o->count);
		return o->common.busy_status;
	}
	if (r)
		return semfail("post to", sem, 0, r);
	if (o->common.verbose)
		warn("gave %u to %s", o->count, quote(o->name));
	return EXIT_DONE;
}

static const char *heirs(char *buf, size_t size, const void *what)
{
	const struct opts *o = what;
	char name[256];
	char who[400] = "permits are in use";
	struct sync_sem_opts look = {.directory = o->open.directory};
	struct sync_sem *sem;
	if (!sync_sem_open(o->name, &look, &sem)) {
		holders_describe_sem(who, sizeof(who), sem, 0);
		sync_sem_close(sem);
	}
	escape(name, sizeof(name), o->name);
	snprintf(buf, size, "draining '%s': %s", name, who);
	return buf;
}

static int drain(struct opts *o, struct sync_sem *sem, const struct timespec *deadline)
{
	struct waiting *line = o->common.quiet ? NULL : waiting_begin(heirs, o, false);
	int r;
	do
		r = sync_sem_drain(sem, deadline);
	while (r == -EINTR);
	waiting_end(line);
	if (r && r != -ETIMEDOUT)
		return semfail("drain", sem, 0, r);
	if (!r && o->common.verbose)
		warn("%s is closed, and all its permits are back", quote(o->name));
	if (!r)
		return EXIT_DONE;
	if (!o->common.quiet) {
		char who[400];
		holders_describe_sem(who, sizeof(who), sem, 0);
		warn("%s is closed, but not all permits are back: %s", quote(o->name), who);
	}
	return o->common.busy_status;
}

static int resize(const struct opts *o, struct sync_sem *sem)
{
	int r = sync_sem_resize(sem, o->size);
	if (r)
		return semfail("resize", sem, 0, r);
	if (o->common.verbose)
		warn("%s has %u permits", quote(o->name), o->size);
	return EXIT_DONE;
}

static int repair(const struct opts *o, struct sync_sem *sem)
{
	unsigned returned;
	unsigned doubtful;
	int r = sync_sem_repair(sem, &returned, &doubtful);
	if (r == -EOPNOTSUPP)
		returned = doubtful = r = 0; /* the kernel has seen to it */
	if (r)
		return semfail("repair", sem, 0, r);
	if (o->json)
		printf("[{\"returned\":%u,\"doubtful\":%u}]\n", returned, doubtful);
	else if (!o->common.quiet)
		printf("returned %u doubtful %u\n", returned, doubtful);
	return EXIT_DONE;
}

/* What this kind of semaphore cannot do is refused before one is made. */
static void check_kind(const struct opts *o)
{
	unsigned can = sync_sem_caps_of(o->name);
	if (o->action == POST && !(can & SYNC_CAP_SHARE))
		die(EXIT_BAD_USAGE,
		    "%s: the permits of a pool come back by themselves: --resize=N makes it "
		    "larger, --fd=N gives back what a descriptor has",
		    quote(o->name));
	if ((o->action == RESIZE || o->action == DRAIN) && !(can & SYNC_CAP_RESIZE))
		die(EXIT_BAD_USAGE, "%s: only a pool can be resized or drained", quote(o->name));
	if (o->action == RESIZE && o->size > sync_sem_max_of(o->name))
		die(EXIT_BAD_USAGE, "cannot resize %s: %u permits are more than it can have",
		    quote(o->name), o->size);
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = parse_short_args(&argp, argc, argv, 0, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.common.verbose)
		child_guard_messages(true);
	const struct timespec *deadline = common_deadline(&o.common);
	check_kind(&o);
	const char *why;
	struct sync_sem *sem = semopen(o.name, &o.open, &why);
	if (!sem)
		die(EXIT_NO_OBJECT, "no jobserver: %s", *why ? why : "make -n does nothing");
	switch (o.action) {
	case RESIZE:
		return resize(&o, sem);
	case DRAIN:
		return drain(&o, sem, deadline);
	case REPAIR: {
		int status = repair(&o, sem);
		sync_sem_close(sem); /* a ledger that nobody uses goes with us */
		return status;
	}
	case GIVE_BACK: {
		int r = sync_sem_release(sem);
		return r ? semfail("give back to", sem, 0, r) : EXIT_DONE;
	}
	case POST:
	default:
		return post(&o, sem);
	}
}

const struct applet applet_sempost = {
	.name = "sempost",
	.summary = "give permits to a semaphore",
	.argp = &argp,
	.run = run,
};
