/* SPDX-License-Identifier: MIT */
/* mqpipe work: its options, its state, and what becomes of a job. */
#ifndef CMD_MQPIPE_WORKER_H
#define CMD_MQPIPE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "job.h"
#include "progress.h"
#include "source.h"

struct work_opts {
	struct source_opts source;
	struct progress_opts progress;
	unsigned jobs, tries;
	uint64_t halt;
	int64_t timeout, kill_after, backoff;
	bool tag, keep_order, ungroup;
	const char *dead, *events, *metrics;
	char **command;
};

/* Its input is a struct work_opts. */
extern const struct argp work_argp;

struct worker {
	struct work_opts *o;
	struct source source;
	struct job *jobs;
	size_t count; /* of those that were ever used */
	bool *places; /* taken by a job that runs */
	unsigned running, waiting, held;
	struct sync_queue *dead; /* NULL: not needed yet */
	struct timespec idle_until;
	const struct timespec *until; /* of the wait for a message; NULL: for ever */
	bool no_slot;                 /* in the journal, until a job ends */
	bool ended;                   /* take no more */
	bool put_back;                /* nor start any */
	int status;                   /* to exit with */
	uint64_t taken, shown;
	uint64_t done, failed, retried;
	double seconds;
	struct timespec started;
	struct waiting *line;
	struct sync_queue *look; /* a handle for the line's thread */
	bool metrics_stale;
	struct timespec metrics_due; /* not before that */
};

/* Write what the job has written so far. False: that failed, which was said, and we come to an end. */
bool show_output(struct worker *w, struct job *j);
void log_job(const char *what, const struct job *j, int status);

/* COMMAND has ended with STATUS: the job is done, waits to be run again, or is a dead letter. */
void verdict(struct worker *w, struct job *j, int status);
/* The same where it is known without running it (again). */
void verdict_dead(struct worker *w, struct job *j, int status);
/* It was done, and now its output is written: the message is given up. */
void verdict_done(struct worker *w, struct job *j);
/* COMMAND cannot be run, which was said: put the job back, and come to an end with STATUS. */
void verdict_stop(struct worker *w, struct job *j, int status);
/* Has it failed less often than --tries? */
bool may_fail_again(const struct worker *w, const struct job *j);
/* Into the queue that it is from, for others; where it is full, the journal keeps it, or the dead have it. */
void verdict_return(struct worker *w, struct job *j);

#endif
