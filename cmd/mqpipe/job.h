/* SPDX-License-Identifier: MIT */
/* A message as a job: COMMAND run for it, once or more often. */
#ifndef CMD_MQPIPE_JOB_H
#define CMD_MQPIPE_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "output.h"
#include "source.h"

enum job_state {
	JOB_NONE,    /* no message */
	JOB_READY,   /* to be run as soon as possible */
	JOB_RUNNING, /* pid is its process */
	JOB_WAITING, /* to be run again, when it is due */
	JOB_DONE,    /* its output, and with that its message, is still to be dealt with */
	JOB_ENDED,   /* only its output is */
};

struct job {
	enum job_state state;
	struct landing own;     /* kept for the next message */
	struct landing landing; /* own, or the slot of an orphan */
	struct message m;
	struct sync_queue *from;
	uint64_t number; /* in the order in which they were taken */
	unsigned attempt;
	unsigned deferred; /* attempts that ended with 75, and so do not count as failures */
	unsigned place;    /* of those that run at the same time, from 0 */
	int pid;
	struct timespec begun;
	struct timespec due; /* RUNNING: to be ended; WAITING: to be run */
	bool has_due;
	enum { JOB_LIVE, JOB_TERMINATED, JOB_KILLED } ending; /* because it was due */
	struct output output;
	char tag[300]; /* with --tag: what the message begins with, and a tab */
};

/*
 * Run COMMAND for the job. WORDS that hold {} get the message there; without such words it is on its
 * standard input. GROUPED: its output is kept. MORTAL: it shall not outlive us. 0 it runs; 126 or 127
 * it cannot, which was said aloud; -EBADMSG a message with a NUL byte cannot be an argument, -E2BIG nor
 * one that is too long; -errno.
 */
int job_start(struct job *j, char *const *words, bool grouped, bool mortal);

/* Set its tag. */
void job_tag(struct job *j);

#endif
