/* SPDX-License-Identifier: MIT */
/* How long COMMAND may run: --max-run --kill-after --signal --warn-after, as an argp child. */
#ifndef CMD_LIMIT_H
#define CMD_LIMIT_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* What was asked for, in nanoseconds; 0: not at all. */
struct limit_opts {
	int64_t max_run, kill_after, warn_after;
	int signo;
	bool detailed; /* --kill-after or --signal was given */
};

/* The argp child; its input is a struct limit_opts. */
extern const struct argp limit_argp;

static inline bool limit_wanted(const struct limit_opts *o)
{
	return o->max_run || o->warn_after;
}

/* The limit of a run that is under way. Times are of CLOCK_MONOTONIC, in nanoseconds. */
struct limit {
	const struct limit_opts *opts;
	const char *command;
	int64_t warn_at, end_at, kill_at; /* INT64_MAX: never */
	bool ending, killing;
	bool told;
};

/* The clock starts. */
void limit_begin(struct limit *l, const struct limit_opts *opts, const char *command);
/* How long until something has to be done; false: nothing ever will. */
bool limit_next(const struct limit *l, struct timespec *left);
/* Do what is due: warn, have the job and all it has started ended, or kill what is left. */
void limit_act(struct limit *l);

#endif
