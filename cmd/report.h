/* SPDX-License-Identifier: MIT */
/* What lockrun tells programs of a run: --events and --metrics, as an argp child. */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include <argp.h>
#include <stdbool.h>
#include <time.h>

#include "libsync.h"

struct report {
	const char *events, *metrics; /* as asked for; NULL: not at all */
	char *lock;                   /* its name, as a JSON string */
	const char *name;
	struct timespec began, acquired;
	bool ran;
	int status;
	double waited, run;
};

/* The argp child; its input is a struct report. */
extern const struct argp report_argp;

static inline bool report_wanted(const struct report *r)
{
	return r->events || r->metrics;
}

/* LOCK is what the run is known by. The clock starts. Or die. */
void report_begin(struct report *r, const char *lock);
/* We have to wait for whoever keeps us from LOCK in MODE. */
void report_wait(const struct report *r, const struct sync_lock *lock, enum sync_mode mode);
/* We shall not have it; this is the end. Who is in the way may not be known: NULL. */
void report_busy(struct report *r, const struct sync_lock *lock, enum sync_mode mode);
/* We shall not have it for another reason, named WHAT. */
void report_skip(struct report *r, const char *what);
void report_acquired(struct report *r);
/* COMMAND has ended, and stands for this exit status. */
void report_exited(struct report *r, int status);
/* The locks are given back: add up, which may take a while. */
void report_end(const struct report *r);

#endif
