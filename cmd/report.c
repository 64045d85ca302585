/* SPDX-License-Identifier: MIT */
/* What lockrun tells programs of a run. Nothing here can keep a job from running, or a lock from being given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "exitcode.h"
#include "holders.h"
#include "json.h"
#include "metrics.h"
#include "report.h"
#include "say.h"

enum { OPT_EVENTS = 340, OPT_METRICS };

static const struct argp_option options[] = {
	{"events", OPT_EVENTS, "FILE", 0, "Append a line of JSON for each event; or FD", 8},
	{"metrics", OPT_METRICS, "FILE", 0, "Add the run to counters in FILE, for Prometheus", 8},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct report *r = state->input;
	switch (key) {
	case OPT_EVENTS:
		r->events = arg;
		return 0;
	case OPT_METRICS:
		r->metrics = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp report_argp = {.options = options, .parser = parse};

static double since(const struct timespec *then)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

void report_begin(struct report *r, const char *lock)
{
	size_t size;
	FILE *f = open_memstream(&r->lock, &size);
	if (!f)
		die(EXIT_SYSTEM, "no memory");
	json_write(f, lock);
	fclose(f);
	r->name = lock;
	clock_gettime(CLOCK_MONOTONIC, &r->began);
	if (r->events)
		events_open(r->events);
}

/* A line has to fit into what a pipe takes at once, 4096 bytes; long names leave less room for holders. */
static const char *holders(const struct report *r, char *buf, size_t size,
			   const struct sync_lock *lock, enum sync_mode mode)
{
	size_t taken = strlen(r->lock) + 200;
	if (!lock || taken + 3 > size)
		return "[]";
	return holders_json(buf, size - taken, lock, mode);
}

void report_wait(const struct report *r, const struct sync_lock *lock, enum sync_mode mode)
{
	char list[4096];
	if (r->events)
		event("wait", "\"lock\":%s,\"holders\":%s", r->lock,
		      holders(r, list, sizeof(list), lock, mode));
}

void report_busy(struct report *r, const struct sync_lock *lock, enum sync_mode mode)
{
	char list[4096];
	r->waited = since(&r->began);
	if (r->events)
		event("busy", "\"lock\":%s,\"wait\":%.6f,\"holders\":%s", r->lock, r->waited,
		      holders(r, list, sizeof(list), lock, mode));
	report_end(r);
}

void report_skip(struct report *r, const char *what)
{
	r->waited = since(&r->began);
	event(what, "\"lock\":%s,\"wait\":%.6f", r->lock, r->waited);
	report_end(r);
}

void report_acquired(struct report *r)
{
	r->waited = since(&r->began);
	clock_gettime(CLOCK_MONOTONIC, &r->acquired);
	event("acquired", "\"lock\":%s,\"wait\":%.6f", r->lock, r->waited);
}

void report_exited(struct report *r, int status)
{
	r->ran = true;
	r->status = status;
	r->run = since(&r->acquired);
	event("exited", "\"lock\":%s,\"status\":%d,\"run\":%.6f", r->lock, status, r->run);
}

void report_end(const struct report *r)
{
	struct timespec now;
	if (!r->metrics)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	const struct metric list[] = {
		{"lockrun_runs_total", "counter", "Commands that were run.", r->ran},
		{"lockrun_failures_total", "counter",
		 "Commands that ended with another status than 0.", r->ran && r->status},
		{"lockrun_skips_total", "counter", "Commands not run, as the lock was not free.",
		 !r->ran},
		{"lockrun_wait_seconds_total", "counter", "Time spent waiting for the lock.",
		 r->waited},
		{"lockrun_run_seconds_total", "counter", "Time that commands have run.", r->run},
		{"lockrun_last_success_timestamp_seconds", "gauge",
		 "When a command last ended with status 0; 0 for never.",
		 r->ran && !r->status ? (double)now.tv_sec : 0},
	};
	int err = metrics_add(r->metrics, "lock", r->name, list, sizeof(list) / sizeof(list[0]));
	if (err == -EUCLEAN)
		warn("%s is no metrics file of lockrun: it was left alone", quote(r->metrics));
	else if (err)
		warn("cannot write metrics to %s: %s", quote(r->metrics),
		     err == -EMEDIUMTYPE ? "it is no regular file" : strerror(-err));
}
