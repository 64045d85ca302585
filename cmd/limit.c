/* SPDX-License-Identifier: MIT */
/* How long COMMAND may run, and what is done when it runs longer. */
#include <signal.h>
#include <string.h>

#include "limit.h"
#include "parse.h"
#include "say.h"
#include "signame.h"
#include "tree.h"

#define NSEC_PER_SEC INT64_C(1000000000)
#define GRACE (5 * NSEC_PER_SEC)

enum { OPT_MAX_RUN = 320, OPT_KILL_AFTER, OPT_SIGNAL, OPT_WARN_AFTER };

static const struct argp_option options[] = {
	{"max-run", OPT_MAX_RUN, "DURATION", 0,
	 "End COMMAND, and all it has started, when it runs longer: status 124", 6},
	{"kill-after", OPT_KILL_AFTER, "DURATION", 0,
	 "Kill what is left so long after that; default 5", 6},
	{"signal", OPT_SIGNAL, "SIGNAL", 0, "Ask with this signal, instead of TERM", 6},
	{"warn-after", OPT_WARN_AFTER, "DURATION", 0, "Say so when COMMAND runs longer", 6},
	{0},
};

/* 0, no limit, is what inf means. */
static int64_t parse_limit(const char *name, const char *arg, struct argp_state *state)
{
	int64_t nsec;
	if (!parse_duration(arg, &nsec) || !nsec)
		argp_error(state,
			   "invalid %s '%s': expected a duration above 0, such as 30, 1.5, 300ms, "
			   "2m, 1h or inf",
			   name, arg);
	return nsec == DURATION_FOREVER ? 0 : nsec;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct limit_opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		o->kill_after = GRACE;
		o->signo = SIGTERM;
		return 0;
	case OPT_MAX_RUN:
		o->max_run = parse_limit("--max-run", arg, state);
		return 0;
	case OPT_KILL_AFTER:
		if (!parse_duration(arg, &o->kill_after))
			argp_error(state,
				   "invalid --kill-after '%s': expected a duration such as 5, 1.5, "
				   "300ms, 2m, 1h or inf",
				   arg);
		o->detailed = true;
		return 0;
	case OPT_SIGNAL:
		if (!signal_parse(arg, &o->signo))
			argp_error(state,
				   "invalid signal '%s': expected a name such as TERM, or a "
				   "number",
				   arg);
		o->detailed = true;
		return 0;
	case OPT_WARN_AFTER:
		o->warn_after = parse_limit("--warn-after", arg, state);
		return 0;
	case ARGP_KEY_SUCCESS:
		if (o->detailed && !o->max_run)
			argp_error(state, "--kill-after and --signal go with --max-run");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp limit_argp = {.options = options, .parser = parse};

static int64_t now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static int64_t after(int64_t nsec)
{
	int64_t sum;
	return __builtin_add_overflow(now(), nsec, &sum) ? INT64_MAX : sum;
}

void limit_begin(struct limit *l, const struct limit_opts *opts, const char *command)
{
	*l = (struct limit){
		.opts = opts,
		.command = command,
		.warn_at = opts->warn_after ? after(opts->warn_after) : INT64_MAX,
		.end_at = opts->max_run ? after(opts->max_run) : INT64_MAX,
		.kill_at = INT64_MAX,
	};
}

bool limit_next(const struct limit *l, struct timespec *left)
{
	int64_t at = l->warn_at;
	if (l->end_at < at)
		at = l->end_at;
	if (l->kill_at < at)
		at = l->kill_at;
	if (at == INT64_MAX)
		return false;
	int64_t nsec = at - now();
	if (nsec < 0)
		nsec = 0;
	*left = (struct timespec){.tv_sec = (time_t)(nsec / NSEC_PER_SEC),
				  .tv_nsec = (long)(nsec % NSEC_PER_SEC)};
	return true;
}

/* Signals go out first: whoever reads our messages may be slow, or stuck. */
static void end_all(struct limit *l, int signo)
{
	int refused = tree_signal(signo);
	if (!refused || l->told)
		return;
	l->told = true;
	warn("pid %d, which %s has started, is another user's and cannot be ended: it is waited "
	     "for",
	     refused, quote(l->command));
}

void limit_act(struct limit *l)
{
	int64_t t = now();
	if (t >= l->end_at) {
		l->end_at = INT64_MAX;
		l->ending = true;
		l->kill_at = after(l->opts->kill_after);
		end_all(l, l->opts->signo);
		warn("%s runs longer than --max-run: SIG%s was sent to it and all it has started",
		     quote(l->command), signal_name(l->opts->signo));
	}
	if (t >= l->kill_at) {
		l->kill_at = INT64_MAX;
		l->killing = true;
	}
	/* Again at each call: some may have been missed, or forked by who was not yet dead. */
	if (l->killing)
		end_all(l, SIGKILL);
	if (t >= l->warn_at) {
		l->warn_at = INT64_MAX;
		warn("%s runs longer than --warn-after, and goes on", quote(l->command));
	}
}
