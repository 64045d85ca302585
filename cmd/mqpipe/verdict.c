/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a job: done; run again; put back for others; a dead letter. In each case there is first a
 * new place for the message, or no need for one, and then source_done() gives up the old one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deadletter.h"
#include "events.h"
#include "exitcode.h"
#include "oversize.h"
#include "say.h"
#include "stop.h"
#include "worker.h"

/* Exit statuses of COMMAND that mean something to us. */
enum { JOB_RETRY = 75, JOB_HOPELESS = 65 };

#define NSEC_PER_SEC INT64_C(1000000000)
#define BACKOFF_MOST (3600 * NSEC_PER_SEC)

void log_job(const char *what, const struct job *j, int status)
{
	event(what, "\"job\":%llu,\"attempt\":%u,\"slot\":%u,\"pid\":%d,\"status\":%d",
	      (unsigned long long)j->number, j->attempt, j->place + 1, j->pid, status);
}

/* Its output may still have to wait. */
static void end(struct worker *w, struct job *j, enum job_state how)
{
	if (w->o->keep_order)
		output_rest(&j->output);
	if (j->state != JOB_DONE) /* else it is held already */
		w->held++;
	j->state = how;
}

/* The message is dealt with, one way or another. */
static void give_up(struct worker *w, struct job *j)
{
	/* Killed between the two, we would rather have it run twice than lose what it wrote. */
	if (!w->o->keep_order)
		show_output(w, j);
	source_done(&j->landing);
	if (j->landing.slot != j->own.slot)
		sync_slot_close(j->landing.slot);
	end(w, j, JOB_ENDED);
}

void verdict_done(struct worker *w, struct job *j)
{
	w->done++;
	log_job("done", j, EXIT_DONE);
	give_up(w, j);
}

static int open_dead(struct worker *w, const struct job *j)
{
	char name[300];
	const struct sync_queue_opts opts = {.flags = SYNC_QUEUE_CREATE | SYNC_QUEUE_SEND};
	struct sync_queue *q;
	if (w->o->dead)
		snprintf(name, sizeof(name), "%s", w->o->dead);
	else if (!letter_queue(sync_queue_name(j->from), name, sizeof(name)))
		return -EINVAL;
	if (w->dead && !strcmp(sync_queue_name(w->dead), name))
		return 0;
	int r = sync_queue_open(name, &opts, &q);
	if (r)
		return r;
	sync_queue_close(w->dead);
	w->dead = q;
	return 0;
}

void verdict_dead(struct worker *w, struct job *j, int status)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	const struct letter letter = {
		.job = j->m,
		.status = (unsigned)status,
		.attempts = j->attempt,
		.time = now.tv_sec,
	};
	int r = open_dead(w, j);
	if (!r)
		r = letter_send(w->dead, &letter);
	if (r) {
		warn("a job has failed for good with status %d, but cannot be put into the queue "
		     "of "
		     "dead letters: %s",
		     status,
		     r == -ETIMEDOUT ? "it is full: see mqpipe dead"
		     : r == -EINVAL  ? "there is none for such a name: give --dead=QUEUE"
		     : r == -EMFILE
			     ? "too many bytes in queues, or descriptors: make it smaller with "
			       "mqpipe create, or see ulimit -q and -n"
			     : strerror(-r));
		w->status = r == -ETIMEDOUT ? EXIT_BUSY : EXIT_SYSTEM;
		w->ended = w->put_back = true;
		verdict_return(w, j);
		return;
	}
	if (!w->o->source.patience.common.quiet)
		warn("job %llu has failed for good, with status %d after %u attempts: it is in %s",
		     (unsigned long long)j->number, status, j->attempt,
		     quote(sync_queue_name(w->dead)));
	log_job("dead", j, status);
	w->failed++;
	give_up(w, j);
	if (w->o->halt && w->failed >= w->o->halt) {
		w->ended = w->put_back = true;
		if (!w->status)
			w->status = EXIT_BAD_DATA;
	}
}

void verdict_return(struct worker *w, struct job *j)
{
	int r = sync_queue_put_back(j->from, j->m.data, j->m.len, j->m.number);
	if (!r) {
		log_job("put_back", j, 0);
		give_up(w, j);
		return;
	}
	if (j->landing.slot) {
		warn("job %llu stays in the journal, as it cannot be put back: %s",
		     (unsigned long long)j->number,
		     r == -ETIMEDOUT ? "the queue is full" : strerror(-r));
		sync_slot_close(j->landing.slot);
		if (j->landing.slot == j->own.slot)
			j->own.slot = NULL;
		j->landing.slot = NULL;
		end(w, j, JOB_ENDED);
		return;
	}
	const struct letter letter = {.job = j->m, .status = JOB_RETRY, .attempts = j->attempt};
	char ticket[OVERSIZE_TICKET_MAX];
	char why[128] = "its queue is full";
	if (r != -ETIMEDOUT)
		snprintf(why, sizeof(why), "it cannot be put back (%s)", strerror(-r));
	if (!open_dead(w, j) && !letter_send(w->dead, &letter))
		warn("job %llu is in %s, as %s", (unsigned long long)j->number,
		     quote(sync_queue_name(w->dead)), why);
	else if (!oversize_spill_bytes(j->m.data, j->m.len, ticket))
		warn("job %llu is in the file %s/%s, as its queue is full, and the dead letters'",
		     (unsigned long long)j->number, oversize_place(), ticket + 4);
	else
		warn("LOST is job %llu of %zu bytes, as it cannot be put back: %s",
		     (unsigned long long)j->number, j->m.len,
		     r == -ETIMEDOUT ? "the queue is full" : strerror(-r));
	give_up(w, j);
}

static int64_t backoff(const struct worker *w, unsigned attempt)
{
	int64_t nsec = w->o->backoff;
	for (unsigned i = 1; i < attempt && nsec && nsec < BACKOFF_MOST; i++)
		nsec *= 2;
	return nsec < BACKOFF_MOST || w->o->backoff >= nsec ? nsec : BACKOFF_MOST;
}

static void run_again(struct worker *w, struct job *j, int status)
{
	if (w->put_back) {
		verdict_return(w, j);
		return;
	}
	if (!w->o->keep_order)
		show_output(w, j);
	else
		output_rest(&j->output);
	if (status == JOB_RETRY)
		j->deferred++;
	if (j->landing.slot)
		sync_slot_set_mark(j->landing.slot, j->deferred);
	w->retried++;
	log_job("retry", j, status);
	j->state = JOB_WAITING;
	w->waiting++;
	sync_deadline_in(backoff(w, j->attempt), &j->due);
	j->has_due = true;
}

bool may_fail_again(const struct worker *w, const struct job *j)
{
	return j->attempt - j->deferred < w->o->tries;
}

void verdict_stop(struct worker *w, struct job *j, int status)
{
	w->status = status;
	w->ended = w->put_back = true;
	verdict_return(w, j);
}

void verdict(struct worker *w, struct job *j, int status)
{
	if (status == EXIT_DONE) {
		end(w, j, JOB_DONE);
	} else if (stop_urgent() && j->ending != JOB_LIVE) {
		verdict_return(w, j);
	} else if (status == EXIT_CANNOT_RUN || status == EXIT_NOT_FOUND) {
		verdict_stop(w, j, status);
	} else if (status == JOB_HOPELESS || (status != JOB_RETRY && !may_fail_again(w, j))) {
		verdict_dead(w, j, status);
	} else {
		run_again(w, j, status);
	}
}
