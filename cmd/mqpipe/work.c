/* SPDX-License-Identifier: MIT */
/*
 * mqpipe work: a command for each message.
 *
 * 1. What workers that were killed had in hand, by the journal, comes first.
 * 2. While fewer than -j jobs run, take a message and start COMMAND for it. One thread does it all: it
 *    waits for a message, and the end of a job, a signal or a time to come end that wait.
 * 3. What COMMAND's exit status says is done with the job: verdict.c. Only then the message is given up:
 *    in the journal, one store.
 * 4. Told to stop, take no more, put back what waits to be run again, and let what runs end.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "events.h"
#include "exitcode.h"
#include "metrics.h"
#include "mqpipe.h"
#include "parse.h"
#include "queueopen.h"
#include "say.h"
#include "stop.h"
#include "waiting.h"
#include "worker.h"

/* Jobs that do not run but have to wait, at the most; then no more are taken. */
enum { WAITING_MOST = 256 };

/* What a job has that ran too long, as with timeout(1); and one whose worker was killed. */
enum { JOB_TIMED_OUT = 124, JOB_KILLED_WITH_WORKER = EXIT_SIGNAL + 9 };

/* ---- jobs ---- */

/* There always is one: has_room() was asked. */
static struct job *free_job(struct worker *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->jobs[i].state == JOB_NONE)
			return &w->jobs[i];
	struct job *j = &w->jobs[w->count++];
	j->output = (struct output){-1, -1};
	return j;
}

bool show_output(struct worker *w, struct job *j)
{
	int r = output_write(&j->output, w->o->tag ? j->tag : NULL);
	if (!r || w->status)
		return !r;
	warn("cannot write what a job has written to standard output: %s", strerror(-r));
	w->status = EXIT_IO;
	w->ended = w->put_back = true;
	return false;
}

/* A job whose output nobody can have is not done. */
static void finish(struct worker *w, struct job *j)
{
	bool good = show_output(w, j);
	if (j->state == JOB_DONE && good)
		verdict_done(w, j);
	else if (j->state == JOB_DONE)
		verdict_return(w, j);
	j->state = JOB_NONE;
	w->held--;
	w->shown++;
}

/* Output of jobs that have ended: at once, or in the order in which they were taken. */
static void write_outputs(struct worker *w)
{
	bool again;
	do {
		again = false;
		for (size_t i = 0; i < w->count; i++) {
			struct job *j = &w->jobs[i];
			if ((j->state != JOB_DONE && j->state != JOB_ENDED) ||
			    (w->o->keep_order && j->number != w->shown + 1))
				continue;
			finish(w, j);
			again = w->o->keep_order;
		}
	} while (again);
}

/* ---- run, end ---- */

static double seconds_since(const struct timespec *t)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void reap(struct worker *w)
{
	int status;
	for (size_t i = 0; i < w->count; i++) {
		struct job *j = &w->jobs[i];
		if (j->state != JOB_RUNNING)
			continue;
		/* What it has started ends with it; its group's number is not free yet. */
		if (j->ending != JOB_LIVE && child_is_dead(j->pid))
			child_kill(j->pid);
		if (!child_has_ended(j->pid, &status))
			continue;
		w->running--;
		w->no_slot = false;
		w->places[j->place] = false;
		w->seconds += seconds_since(&j->begun);
		w->metrics_stale = true;
		if (j->ending != JOB_LIVE && !stop_urgent())
			status = JOB_TIMED_OUT;
		verdict(w, j, status);
	}
}

static unsigned free_place(struct worker *w)
{
	unsigned i = 0;
	while (w->places[i])
		i++;
	w->places[i] = true;
	return i;
}

/* Of descriptors, processes, memory: the jobs that run will give theirs back. */
static bool is_short(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -EAGAIN || err == -ENOMEM;
}

static void defer(struct worker *w, struct job *j)
{
	j->attempt--;
	output_rest(&j->output);
	j->state = JOB_WAITING;
	j->has_due = true;
	w->waiting++;
	sync_deadline_in(INT64_C(1000000000), &j->due);
}

static void start(struct worker *w, struct job *j)
{
	j->place = free_place(w);
	w->metrics_stale = true;
	j->attempt = j->landing.slot ? sync_slot_begin(j->landing.slot) : j->attempt + 1;
	int r = job_start(j, w->o->command, !w->o->ungroup, j->landing.slot != NULL);
	if (!r) {
		w->running++;
		j->has_due = w->o->timeout != DURATION_FOREVER;
		if (j->has_due)
			sync_deadline_in(w->o->timeout, &j->due);
		log_job("started", j, 0);
		return;
	}
	w->places[j->place] = false;
	if (r > 0) {
		verdict_stop(w, j, r);
	} else if (r == -EBADMSG) {
		warn("job %llu holds a NUL byte, which an argument cannot: leave {} out, and it is "
		     "on "
		     "standard input",
		     (unsigned long long)j->number);
		verdict_dead(w, j, EXIT_BAD_DATA);
	} else if (r == -E2BIG) {
		warn("job %llu of %zu bytes is too long for an argument: leave {} out, and it is "
		     "on "
		     "standard input",
		     (unsigned long long)j->number, j->m.len);
		verdict_dead(w, j, EXIT_BAD_DATA);
	} else if (is_short(r) && w->running && !w->put_back) {
		defer(w, j);
	} else {
		warn("cannot start a job: %s", strerror(-r));
		verdict_stop(w, j, EXIT_SYSTEM);
	}
}

/* ---- times to come ---- */

static bool has_passed(const struct timespec *t)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec != t->tv_sec ? now.tv_sec > t->tv_sec : now.tv_nsec >= t->tv_nsec;
}

static void end_overdue(struct worker *w, struct job *j)
{
	if (j->ending == JOB_LIVE && w->o->kill_after) {
		child_terminate(j->pid);
		j->ending = JOB_TERMINATED;
		sync_deadline_in(w->o->kill_after, &j->due);
		return;
	}
	child_kill(j->pid);
	j->ending = JOB_KILLED;
	j->has_due = false;
}

static void run_what_is_due(struct worker *w)
{
	for (size_t i = 0; i < w->count; i++) {
		struct job *j = &w->jobs[i];
		if (j->state == JOB_RUNNING && j->has_due && has_passed(&j->due))
			end_overdue(w, j);
		if (j->state == JOB_WAITING && w->put_back) {
			w->waiting--;
			verdict_return(w, j);
		}
		if (j->state == JOB_WAITING && w->running < w->o->jobs && has_passed(&j->due)) {
			w->waiting--;
			start(w, j);
		}
	}
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* The first of the times to come, and UNTIL; NULL: none. */
static const struct timespec *next_event(const struct worker *w, const struct timespec *until)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct job *j = &w->jobs[i];
		bool counts = j->state == JOB_RUNNING ||
			      (j->state == JOB_WAITING && w->running < w->o->jobs);
		if (counts && j->has_due && (!until || is_before(&j->due, until)))
			until = &j->due;
	}
	if (w->o->metrics && w->metrics_stale && (!until || is_before(&w->metrics_due, until)))
		until = &w->metrics_due;
	return until;
}

/* ---- take ---- */

/* Every message begins the time of -i anew. */
static void begin_wait(struct worker *w)
{
	const struct timespec *t = source_until(&w->source);
	w->until = t;
	if (t && t != SYNC_NOW) {
		w->idle_until = *t;
		w->until = &w->idle_until;
	}
}

static bool may_take(const struct worker *w)
{
	const struct source_opts *o = &w->o->source;
	return !w->ended && (!o->count || w->taken < o->count);
}

static bool has_room(const struct worker *w)
{
	return w->running < w->o->jobs && w->waiting + w->held < WAITING_MOST && !w->no_slot;
}

static void taken(struct worker *w, struct job *j)
{
	j->number = ++w->taken;
	j->state = JOB_READY;
	if (w->o->tag)
		job_tag(j);
	start(w, j);
	begin_wait(w);
}

/* What a dead worker had in hand. */
static bool take_orphan(struct worker *w)
{
	if (!w->source.journal)
		return false;
	struct job *j = free_job(w);
	if (source_orphan(&w->source, &j->landing, &j->m, &j->from))
		return false;
	j->attempt = sync_slot_attempts(j->landing.slot);
	/* A receiver that is no worker has a mark of its own, but no attempts. */
	uint64_t mark = sync_slot_mark(j->landing.slot);
	j->deferred = mark <= j->attempt ? (unsigned)mark : 0;
	if (j->attempt)
		warn("job %llu was begun %u times before: its worker was killed",
		     (unsigned long long)w->taken + 1, j->attempt);
	if (!may_fail_again(w, j)) {
		j->number = ++w->taken;
		j->pid = 0;
		w->metrics_stale = true;
		verdict_dead(w, j, JOB_KILLED_WITH_WORKER);
		return true;
	}
	taken(w, j);
	return true;
}

static void take(struct worker *w)
{
	struct job *j = free_job(w);
	int missing = j->own.slot || j->own.buffer ? 0 : source_try_landing(&w->source, &j->own);
	if (missing && w->running) {
		w->no_slot = true;
		return;
	}
	if (missing) {
		warn("cannot make room for a message: %s", strerror(-missing));
		w->status = EXIT_SYSTEM;
		w->ended = w->put_back = true;
		return;
	}
	j->landing = j->own;
	j->attempt = j->deferred = 0;
	j->pid = 0;
	const struct timespec *until = next_event(w, w->until);
	int r = source_take(&w->source, &j->landing, &j->m, &j->from, until);
	if (!r) {
		taken(w, j);
		return;
	}
	bool idle = w->until && has_passed(w->until);
	if (r == -EINTR || (r == -ETIMEDOUT && (!idle || patience_is_over(&w->o->source.patience))))
		return;
	if (take_orphan(w))
		return;
	w->ended = true;
	int status = source_end(&w->source, j->from, r, w->taken);
	if (!w->status)
		w->status = status;
}

static void check_total(struct worker *w)
{
	const struct patience *p = &w->o->source.patience;
	if (w->ended || !patience_is_over(p))
		return;
	w->ended = true;
	w->status = p->common.busy_status;
	if (!p->common.quiet)
		warn("the time of --total is up: took %llu jobs", (unsigned long long)w->taken);
}

/* ---- metrics ---- */

#define METRICS_EVERY INT64_C(1000000000)

static void report_metrics(struct worker *w, bool at_end)
{
	struct timespec now;
	if (!w->o->metrics)
		return;
	if (!at_end && !(w->metrics_stale && has_passed(&w->metrics_due)))
		return;
	w->metrics_stale = false;
	sync_deadline_in(METRICS_EVERY, &w->metrics_due);
	clock_gettime(CLOCK_REALTIME, &now);
	const struct metric list[] = {
		{"mqpipe_work_done_total", "counter", "Jobs that ended with status 0.",
		 (double)w->done},
		{"mqpipe_work_failed_total", "counter", "Jobs that became dead letters.",
		 (double)w->failed},
		{"mqpipe_work_retried_total", "counter", "Attempts that were put off.",
		 (double)w->retried},
		{"mqpipe_work_seconds_total", "counter", "Time that jobs have run.", w->seconds},
		{"mqpipe_work_running", "gauge", "Jobs that run.", (double)w->running},
		{"mqpipe_work_updated_seconds", "gauge", "When this was written.",
		 (double)now.tv_sec},
	};
	int r = metrics_write(w->o->metrics, "queue", w->o->source.names[0], list,
			      sizeof(list) / sizeof(list[0]));
	if (r) {
		warn("cannot write metrics to %s: %s", quote(w->o->metrics),
		     r == -EUCLEAN ? "it is something else than a file" : strerror(-r));
		w->o->metrics = NULL;
	}
}

/* ---- the loop ---- */

/* Until a job ends, a signal comes, or the next thing is due. */
static void wait_for_event(const struct worker *w)
{
	const struct timespec *until = next_event(w, NULL);
	struct timespec now;
	struct timespec left = {0, 0};
	if (until) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (is_before(until, &now))
			return;
		left.tv_sec = until->tv_sec - now.tv_sec;
		left.tv_nsec = until->tv_nsec - now.tv_nsec;
		if (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000;
		}
	}
	ppoll(NULL, 0, until ? &left : NULL, NULL);
}

static void stop(struct worker *w)
{
	w->ended = w->put_back = true;
	for (size_t i = 0; i < w->count && stop_urgent(); i++) {
		struct job *j = &w->jobs[i];
		if (j->state == JOB_RUNNING && j->ending != JOB_KILLED) {
			child_kill(j->pid);
			j->ending = JOB_KILLED;
		}
	}
}

static void work(struct worker *w)
{
	while (may_take(w) && has_room(w) && take_orphan(w))
		;
	for (;;) {
		if (stop_child_ended())
			reap(w);
		write_outputs(w);
		if (stop_wanted())
			stop(w);
		check_total(w);
		run_what_is_due(w);
		report_metrics(w, false);
		if (may_take(w) && has_room(w))
			take(w);
		else if (w->running || w->waiting)
			wait_for_event(w);
		else if (!w->held)
			break;
	}
}

/* ---- reports ---- */

/* Called by the line's thread; the counters are only looked at. */
static const char *describe(char *buf, size_t size, const void *what)
{
	const struct worker *w = what;
	struct sync_queue_state state = {0};
	double seconds = seconds_since(&w->started);
	double rate = seconds > 0 ? (double)w->done / seconds : 0;
	char left[48] = "";
	if (w->look)
		sync_queue_state(w->look, &state);
	if (rate > 0 && w->look)
		snprintf(left, sizeof(left), ", %.0f s left", (double)state.messages / rate);
	snprintf(buf, size,
		 "%llu done, %llu failed, %llu retried, %.1f/s, %u running, queue %llu%s",
		 (unsigned long long)w->done, (unsigned long long)w->failed,
		 (unsigned long long)w->retried, rate, w->running,
		 (unsigned long long)state.messages, left);
	return buf;
}

static int run(int argc, char **argv)
{
	static struct work_opts o;
	static struct worker w = {.o = &o, .source.o = &o.source};
	error_t err = argp_parse(&work_argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.events)
		events_open(o.events);
	patience_begin(&o.source.patience);
	stop_catch();
	stop_catch_second();
	stop_watch_children();
	source_open(&w.source);
	w.places = calloc(o.jobs, sizeof(*w.places));
	w.jobs = calloc((size_t)o.jobs + WAITING_MOST, sizeof(*w.jobs));
	if (!w.places || !w.jobs)
		die(EXIT_SYSTEM, "no memory for %u jobs", o.jobs);
	clock_gettime(CLOCK_MONOTONIC, &w.started);
	if (o.progress.on) {
		if (sync_queue_open(o.source.names[0], NULL, &w.look))
			w.look = NULL;
		w.line = waiting_begin(describe, &w, o.progress.always);
	}
	w.metrics_stale = true;
	begin_wait(&w);
	work(&w);
	waiting_end(w.line);
	report_metrics(&w, true);
	source_close(&w.source);
	if (o.source.patience.common.verbose)
		warn("%llu jobs done, %llu failed for good, %llu attempts put off",
		     (unsigned long long)w.done, (unsigned long long)w.failed,
		     (unsigned long long)w.retried);
	stop_end();
	return w.status;
}

const struct applet mqpipe_work = {
	.name = "work",
	.summary = "run a command for each message",
	.argp = &work_argp,
	.run = run,
};
