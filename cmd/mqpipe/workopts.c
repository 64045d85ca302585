/* SPDX-License-Identifier: MIT */
/* The options of mqpipe work. */
#include <string.h>

#include "exitcode.h"
#include "exitcode.h"
#include "parse.h"
#include "worker.h"

enum {
	OPT_TRIES = 256,
	OPT_BACKOFF,
	OPT_TIMEOUT,
	OPT_KILL_AFTER,
	OPT_HALT,
	OPT_TAG,
	OPT_DEAD,
	OPT_EVENTS,
	OPT_METRICS,
	OPT_TOTAL,
};

static const struct argp_option options[] = {
	{"jobs", 'j', "N", 0, "Run so many at a time instead of 1", 3},
	{"tries", OPT_TRIES, "N", 0, "A job that fails N times is a dead letter; default 3", 3},
	{"backoff", OPT_BACKOFF, "DURATION", 0,
	 "Before it is tried again; twice as long each time; default 1", 3},
	{"timeout", OPT_TIMEOUT, "DURATION", 0, "End a job that runs longer: its status is 124", 3},
	{"kill-after", OPT_KILL_AFTER, "DURATION", 0,
	 "Kill it if it goes on so long after that; default 5", 3},
	{"halt", OPT_HALT, "N", 0, "Stop when N jobs have failed for good", 3},
	{"dead", OPT_DEAD, "QUEUE", 0, "Where dead letters go, instead of QUEUE.dead", 3},
	{"tag", OPT_TAG, NULL, 0, "Put what the message begins with before each line of output", 4},
	{"keep-order", 'k', NULL, 0, "Write output in the order in which jobs were taken", 4},
	{"ungroup", 'u', NULL, 0, "Do not hold output back until its job has ended", 4},
	{"events", OPT_EVENTS, "FILE", 0, "Append a line of JSON for each event; or FD", 5},
	{"metrics", OPT_METRICS, "FILE", 0, "Keep counters in FILE, as Prometheus reads them", 5},
	{"total", OPT_TOTAL, "DURATION", 0, "Take jobs no longer than this in all", 6},
	{"quiet", 'q', NULL, 0, "Do not tell of jobs that have failed for good", 6},
	{"verbose", 'v', NULL, 0, "Say at the end how many jobs there were", 6},
	{0},
};

static unsigned parse_number(const char *arg, uint64_t max, const char *what,
			     struct argp_state *state)
{
	uint64_t n;
	if (!parse_count(arg, max, &n) || !n)
		argp_error(state, "invalid number of %s '%s': expected 1 to %llu", what, arg,
			   (unsigned long long)max);
	return (unsigned)n;
}

static int64_t parse_time(const char *arg, struct argp_state *state)
{
	int64_t nsec;
	if (!parse_duration(arg, &nsec))
		argp_error(state, "invalid time '%s': expected a duration such as 5, 300ms or 2m",
			   arg);
	return nsec;
}

static void set_defaults(struct work_opts *o)
{
	o->jobs = 1;
	o->tries = 3;
	o->backoff = INT64_C(1000000000);
	o->kill_after = INT64_C(5000000000);
	o->timeout = DURATION_FOREVER;
	o->source.patience.common.timeout = DURATION_FOREVER;
	o->source.patience.common.busy_status = EXIT_BUSY;
	o->source.patience.common.busy_status = EXIT_BUSY;
	o->source.patience.total = DURATION_FOREVER;
}

/* Queues up to --, then COMMAND. */
static error_t parse_operand(struct work_opts *o, char *arg, struct argp_state *state)
{
	(void)arg;
	if (state->quoted) {
		o->command = common_command(state);
		return 0;
	}
	if (!o->source.queues)
		o->source.names = state->argv + state->next - 1;
	o->source.queues++;
	return 0;
}

static error_t finish(const struct work_opts *o, struct argp_state *state)
{
	if (!o->source.queues || !o->command)
		argp_error(state, "expected a queue, -- and a command");
	for (size_t i = 0; i < o->source.queues; i++)
		if (o->source.names[i][0] == '-')
			argp_error(state, "options go before the queues");
	if (o->ungroup && (o->tag || o->keep_order))
		argp_error(state, "-u does not go with --tag and -k");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct work_opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->source;
		state->child_inputs[1] = &o->progress;
		set_defaults(o);
		return 0;
	case 'j':
		o->jobs = parse_number(arg, 1024, "jobs", state);
		return 0;
	case OPT_TRIES:
		o->tries = parse_number(arg, INT32_MAX, "tries", state);
		return 0;
	case OPT_BACKOFF:
		o->backoff = parse_time(arg, state);
		return 0;
	case OPT_TIMEOUT:
		o->timeout = parse_time(arg, state);
		return 0;
	case OPT_KILL_AFTER:
		o->kill_after = parse_time(arg, state);
		return 0;
	case OPT_HALT:
		o->halt = parse_number(arg, INT32_MAX, "jobs", state);
		return 0;
	case OPT_DEAD:
		o->dead = arg;
		return 0;
	case OPT_TAG:
		o->tag = true;
		return 0;
	case 'k':
		o->keep_order = true;
		return 0;
	case 'u':
		o->ungroup = true;
		return 0;
	case OPT_EVENTS:
		o->events = arg;
		return 0;
	case OPT_METRICS:
		o->metrics = arg;
		return 0;
	case OPT_TOTAL:
		o->source.patience.total = parse_time(arg, state);
		return 0;
	case 'q':
		o->source.patience.common.quiet = true;
		return 0;
	case 'v':
		o->source.patience.common.verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_operand(o, arg, state);
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&source_argp, 0, NULL, 0},
	{&progress_argp, 0, NULL, 0},
	{0},
};
const struct argp work_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE [QUEUE...] -- COMMAND [ARG...]",
	.doc = "Run COMMAND for each message, which is on its standard input, or in place of {} in "
	       "its "
	       "arguments. Status 0 of COMMAND: done; 75: again later; 65: a dead letter at once; "
	       "others: again, up to --tries."
	       "\vExit status: 0 done; 65 stopped by --halt; 75 by --total; 126, 127 COMMAND "
	       "cannot be run; see "
	       "mqpipe(1).",
	.children = children,
};
