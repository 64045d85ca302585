/* SPDX-License-Identifier: MIT */
/*
 * evfd loop: a command for each burst of events.
 *
 * 1. Wait until something is added, and take it.
 * 2. With --debounce, wait until nothing has been added for so long, and take what was.
 * 3. Run the command. What is added meanwhile stays in the counter, and leads to one more run: so one always
 *    begins after the last event.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "child.h"
#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"
#include "stop.h"

struct opts {
	struct event_args args;
	int64_t debounce; /* nanoseconds; 0: at once */
	uint64_t count;   /* runs; 0: no end */
	bool errexit;
};

enum { OPT_DEBOUNCE = 256 };

#define DRAIN_NSEC INT64_C(100000000)

static const struct argp_option options[] = {
	{"debounce", OPT_DEBOUNCE, "DURATION", 0,
	 "Run it when nothing was added for so long, or ten times that has passed", 1},
	{"count", 'N', "N", 0, "Stop after N runs", 1},
	{"errexit", 'e', NULL, 0, "Stop when the command fails, with its status", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		o->args.takes = TAKES_COMMAND;
		state->child_inputs[0] = &o->args;
		return 0;
	case OPT_DEBOUNCE:
		if (!parse_duration(arg, &o->debounce) || o->debounce > DURATION_FOREVER / 10)
			argp_error(state,
				   "invalid time '%s': expected a duration such as 200ms or 5",
				   arg);
		return 0;
	case 'N':
		if (!parse_count(arg, INT64_MAX, &o->count) || !o->count)
			argp_error(state, "invalid count '%s': expected 1 or more runs", arg);
		return 0;
	case 'e':
		o->errexit = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[EVENT] -- COMMAND [ARG...]",
	.doc = "Run COMMAND once for each burst of events, with their sum in EVFD_COUNT, until "
	       "EVENT is "
	       "removed.",
	.children = children,
};

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool has_passed(const struct timespec *t)
{
	struct timespec now;
	sync_deadline_in(1, &now); /* 0 would be the past */
	return !is_before(&now, t);
}

/* -EINTR: stop. */
static int take(struct sync_event *e, const struct timespec *until, uint64_t *sum)
{
	uint64_t value = 0;
	int r;
	do {
		stop_child_ended(); /* one that we were started with: it need not be told again */
		r = sync_event_wait(e, until, &value);
	} while (r == -EINTR && !stop_wanted());
	*sum = value > UINT64_MAX - *sum ? UINT64_MAX : *sum + value;
	return r;
}

/*
 * Take what is added until there is a pause. Who adds all the time would keep us for ever: what is not
 * taken leads to one more run.
 */
static int take_burst(const struct opts *o, struct sync_event *e, uint64_t *sum)
{
	struct timespec end;
	int r = 0;
	sync_deadline_in(10 * o->debounce, &end);
	while (!r && !has_passed(&end)) {
		struct timespec pause;
		sync_deadline_in(o->debounce, &pause);
		r = take(e, is_before(&pause, &end) ? &pause : &end, sum);
	}
	if (r && r != -ETIMEDOUT)
		return r;
	/* A semaphore gives 1 at a time. */
	sync_deadline_in(DRAIN_NSEC, &end);
	do
		r = take(e, SYNC_NOW, sum);
	while (!r && !has_passed(&end));
	return r == -ETIMEDOUT ? 0 : r;
}

/* -EINTR: stop. */
static int run_command(const struct opts *o, uint64_t sum, int *status)
{
	extern char **environ;
	const struct child_plan plan = {.argv = o->args.command};
	char count[32];
	bool told = false;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)sum);
	setenv("EVFD_COUNT", count, 1);
	const struct child_io io = {
		.in = -1, .out = -1, .err = -1, .env = environ, .with_us = true};
	int pid = child_start(&plan, &io, status);
	if (pid < 0) {
		warn("cannot start a process: %s", strerror(-pid));
		*status = EXIT_CANNOT_RUN; /* so what was taken goes back */
		return 0;
	}
	if (!pid)
		return 0;
	while (!child_has_ended(pid, status)) {
		if (stop_wanted() && !told)
			child_pass_on(pid, stop_signal(), stop_signal_code());
		told = told || stop_wanted();
		if (!stop_child_ended()) /* then a signal will tell of its end, or ours */
			ppoll(NULL, 0, NULL, NULL);
	}
	return stop_wanted() ? -EINTR : 0;
}

static bool cannot_run(int status)
{
	return status == EXIT_CANNOT_RUN || status == EXIT_NOT_FOUND;
}

/* Wait for a burst and run COMMAND; -EINTR: stop. */
static int turn(const struct opts *o, struct sync_event *e, int *status)
{
	struct common_opts again = o->args.common;
	uint64_t sum = 0;
	bool ran = false;
	int r = take(e, common_deadline(&again), &sum);
	if (!r)
		r = take_burst(o, e, &sum);
	if (!r && stop_wanted())
		r = -EINTR;
	/* Removed in the middle of a burst: that is still run for. */
	if (!r || (sum && (r == -EIDRM || r == -EOWNERDEAD))) {
		int ended = run_command(o, sum, status);
		r = r ? r : ended;
		ran = r || !cannot_run(*status);
	}
	if (sum && !ran) /* for who comes after us */
		(void)sync_event_signal(e, sum, SYNC_NOW);
	return r;
}

static int loop(const struct opts *o, struct sync_event *e)
{
	for (uint64_t n = 0; !o->count || n < o->count; n++) {
		int status = 0;
		int r = turn(o, e, &status);
		if (r == -EINTR)
			return EXIT_DONE; /* stop_end() deals with it */
		if (r)
			return event_fail("wait for", e, &o->args, r);
		if (cannot_run(status) || (status && o->errexit))
			return status;
	}
	return EXIT_DONE;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	struct sync_event *e = event_open(&o.args);
	stop_catch();
	stop_watch_children();
	int status = loop(&o, e);
	stop_end();
	return status;
}

const struct applet evfd_loop = {
	.name = "loop",
	.summary = "run a command for each burst of events",
	.argp = &argp,
	.run = run,
};
