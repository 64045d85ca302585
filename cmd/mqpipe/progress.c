/* SPDX-License-Identifier: MIT */
/* The progress of a transfer. The counters are written by one thread and read by the line's. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "progress.h"
#include "say.h"
#include "waiting.h"

enum { OPT_PROGRESS = 1792 };

static const struct argp_option options[] = {
	{"progress", OPT_PROGRESS, "WHEN", OPTION_ARG_OPTIONAL,
	 "Show messages, bytes, rate and queue: auto, on a terminal; always", 11},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct progress_opts *o = state->input;
	if (key != OPT_PROGRESS)
		return ARGP_ERR_UNKNOWN;
	o->on = true;
	o->always = arg && !strcmp(arg, "always");
	if (arg && !o->always && strcmp(arg, "auto") != 0)
		argp_error(state, "invalid argument '%s' of --progress: expected auto or always",
			   arg);
	return 0;
}

const struct argp progress_argp = {.options = options, .parser = parse};

void progress_add(struct progress *p, uint64_t messages, uint64_t bytes)
{
	__atomic_store_n(&p->messages, p->messages + messages, __ATOMIC_RELAXED);
	__atomic_store_n(&p->bytes, p->bytes + bytes, __ATOMIC_RELAXED);
}

static void put_scaled(char *buf, size_t size, double n)
{
	static const char units[] = " kMGTPE";
	size_t unit = 0;
	for (; n >= 9999.5 && unit + 2 < sizeof(units); unit++)
		n /= 1000;
	snprintf(buf, size, unit ? "%.1f%c" : "%.0f", n, units[unit]);
}

static void put_fill(char *buf, size_t size, struct sync_queue *q)
{
	struct sync_queue_state now;
	buf[0] = '\0';
	if (!q || sync_queue_state(q, &now))
		return;
	if (now.capacity)
		snprintf(buf, size, ", queue %llu of %llu", (unsigned long long)now.messages,
			 (unsigned long long)now.capacity);
	else
		snprintf(buf, size, ", queue %llu, %llu of %llu bytes",
			 (unsigned long long)now.messages, (unsigned long long)now.bytes,
			 (unsigned long long)now.capacity_bytes);
}

/* Called by the line's thread alone. */
static const char *describe(char *buf, size_t size, const void *what)
{
	struct progress *p = (struct progress *)what;
	struct timespec now;
	char count[4][32];
	char fill[96];
	uint64_t messages = __atomic_load_n(&p->messages, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_load_n(&p->bytes, __ATOMIC_RELAXED);
	clock_gettime(CLOCK_MONOTONIC, &now);
	double seconds = (double)(now.tv_sec - p->last.tv_sec) +
			 (double)(now.tv_nsec - p->last.tv_nsec) / 1e9;
	seconds = seconds > 0 ? seconds : 1;
	put_scaled(count[0], sizeof(count[0]), (double)messages);
	put_scaled(count[1], sizeof(count[1]), (double)bytes);
	put_scaled(count[2], sizeof(count[2]), (double)(messages - p->last_messages) / seconds);
	put_scaled(count[3], sizeof(count[3]), (double)(bytes - p->last_bytes) / seconds);
	put_fill(fill, sizeof(fill), p->queue);
	p->last = now;
	p->last_messages = messages;
	p->last_bytes = bytes;
	snprintf(buf, size, "%s %s messages, %s bytes, %s/s, %s bytes/s%s", p->verb, count[0],
		 count[1], count[2], count[3], fill);
	return buf;
}

void progress_begin(struct progress *p, const struct progress_opts *o, const char *verb,
		    const struct sync_queue *q)
{
	p->verb = verb;
	p->always = o->always;
	if (!o->on)
		return;
	/* A handle of its own, for the thread that looks; without one the fill is not shown. */
	if (sync_queue_open(sync_queue_name(q), NULL, &p->queue))
		p->queue = NULL;
	clock_gettime(CLOCK_MONOTONIC, &p->last);
	p->line = waiting_begin(describe, p, o->always);
}

void progress_end(struct progress *p)
{
	waiting_end(p->line);
	if (p->line && p->always)
		warn("%s %llu messages, %llu bytes", p->verb, (unsigned long long)p->messages,
		     (unsigned long long)p->bytes);
}
