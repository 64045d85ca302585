/* SPDX-License-Identifier: MIT */
/* The options that every waiting applet shares, as an argp child. */
#include "common.h"
#include "exitcode.h"
#include "parse.h"

static const struct argp_option options[] = {
	{"nonblock", 'n', NULL, 0, "Try once, never wait", 10},
	{"timeout", 'w', "DURATION", 0, "Wait no longer than this: 5, 1.5, 300ms, 2m, 1h, inf", 10},
	{"conflict-exit-code", 'E', "NUMBER", 0, "Exit status for \"not now\" instead of 75", 10},
	{"quiet", 'q', NULL, 0, "Do not say \"not now\", nor whom we wait for", 10},
	{"verbose", 'v', NULL, 0, "Say on standard error what happens", 10},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct common_opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		o->timeout = DURATION_FOREVER;
		o->busy_status = EXIT_BUSY;
		return 0;
	case 'n':
		o->timeout = 0;
		return 0;
	case 'w':
		if (!parse_duration(arg, &o->timeout))
			argp_error(state,
				   "invalid timeout '%s': expected a duration such as 5, "
				   "1.5, 300ms, 2m, 1h or inf",
				   arg);
		return 0;
	case 'E':
		if (!parse_count(arg, 255, &n))
			argp_error(state, "invalid exit status '%s': expected 0 to 255", arg);
		o->busy_status = (int)n;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp common_argp = {.options = options, .parser = parse};

const struct timespec *common_deadline(struct common_opts *o)
{
	if (o->timeout == DURATION_FOREVER)
		return NULL;
	sync_deadline_in(o->timeout, &o->deadline);
	return &o->deadline;
}

char **common_command(struct argp_state *state)
{
	char **words = state->argv + state->next - 1;
	state->next = state->argc;
	return words;
}
