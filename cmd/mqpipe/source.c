/* SPDX-License-Identifier: MIT */
/* Where messages are taken from, and what ends that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exitcode.h"
#include "parse.h"
#include "queueopen.h"
#include "say.h"
#include "source.h"

enum { OPT_EOF = 2048, OPT_UNTIL_REMOVED, OPT_JOURNAL };

static const struct argp_option options[] = {
	{"count", 'N', "N", 0, "Stop after N messages, and take no more", 1},
	{"empty", 'e', NULL, 0, "Stop when the queue is empty", 1},
	{"idle", 'i', "DURATION", 0, "Stop when no message has come for so long", 1},
	{"eof", OPT_EOF, NULL, 0, "Stop when the queue is empty and no sender is left", 1},
	{"until-removed", OPT_UNTIL_REMOVED, NULL, 0,
	 "Stop when the queue was removed, and is empty", 1},
	{"type", 't', "TYPE", 0, "sysv: only type N; -N: up to N, lowest first; ^N: not N", 2},
	{"journal", OPT_JOURNAL, "DIR", 0, "Keep each message in DIR until it is dealt with", 4},
	{0},
};

/* "5", "-5", "^5" */
static void parse_type(struct source_opts *o, const char *arg, struct argp_state *state)
{
	uint64_t n;
	const char *digits = arg + (*arg == '-' || *arg == '^');
	if (!parse_count(digits, INT64_MAX, &n) || !n)
		argp_error(state, "invalid type '%s': expected N, -N or ^N, from 1 on", arg);
	o->want.number = *arg == '-' ? -(long)n : (long)n;
	o->want.except = *arg == '^';
	o->selects = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct source_opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->open;
		o->idle = DURATION_FOREVER;
		return 0;
	case 'N':
		if (!parse_count(arg, INT64_MAX, &o->count) || !o->count)
			argp_error(state, "invalid count '%s': expected 1 or more messages", arg);
		return 0;
	case 'e':
		o->idle = 0;
		return 0;
	case 'i':
		if (!parse_duration(arg, &o->idle))
			argp_error(state,
				   "invalid time '%s': expected a duration such as 5 or 300ms",
				   arg);
		return 0;
	case OPT_EOF:
		o->until |= SYNC_UNTIL_EOF;
		return 0;
	case OPT_UNTIL_REMOVED:
		o->until |= SYNC_UNTIL_REMOVED;
		return 0;
	case 't':
		parse_type(o, arg, state);
		return 0;
	case OPT_JOURNAL:
		o->journal = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&making_argp, 0, NULL, 0},
	{0},
};
const struct argp source_argp = {.options = options, .parser = parse, .children = children};

/* ---- open ---- */

const struct timespec *source_until(struct source *s)
{
	struct source_opts *o = s->o;
	int64_t wait = o->patience.common.timeout;
	return patience_until(&o->patience, o->idle < wait ? o->idle : wait);
}

/* Can queues of these kinds do what was asked for? Before any is made. */
static void check_kinds(const struct source_opts *o)
{
	bool watched = o->queues > 1 || o->until & SYNC_UNTIL_EOF;
	for (size_t i = 0; i < o->queues; i++) {
		unsigned caps = sync_queue_caps_of(o->names[i]);
		if (o->selects && !(caps & SYNC_CAP_SELECT))
			die(EXIT_BAD_USAGE,
			    "%s: its messages have priorities, not types to choose from: -t is for "
			    "sysv: queues",
			    quote(o->names[i]));
		if (watched && !(caps & SYNC_CAP_PRESENCE))
			die(EXIT_BAD_USAGE,
			    "a sysv: queue does not tell who sends to it, and cannot be waited for "
			    "with others: use posix: queues");
	}
}

static struct sync_queue *open_one(struct source *s, const char *name)
{
	const struct source_opts *o = s->o;
	struct sync_queue *q = queue_open(name, &o->open, SYNC_QUEUE_RECV);
	queue_attend(q, source_until(s), o->patience.common.busy_status);
	return q;
}

static void open_watch(struct source *s)
{
	const struct source_opts *o = s->o;
	unsigned until = o->until;
	/* Where removal ends a wait anyway, there is nothing to watch. */
	if (!(sync_queue_caps(s->queues[0]) & SYNC_CAP_PRESENCE))
		until &= ~(unsigned)SYNC_UNTIL_REMOVED;
	if (o->queues == 1 && !until)
		return;
	int r = sync_queue_watch_open(s->queues, o->queues, until, &s->watch);
	if (r)
		die(exit_status_of(r), "cannot watch %s: %s", quote(o->names[0]), strerror(-r));
}

static void open_journal(struct source *s)
{
	const char *name = s->o->journal;
	if (!name)
		return;
	int r = sync_journal_open(name, &s->journal);
	if (r == -EPERM)
		die(EXIT_DENIED,
		    "%s is not a directory that only you can write to: chmod it, or take another",
		    quote(name));
	if (r)
		die(exit_status_of(r), "cannot open the journal %s: %s", quote(name), strerror(-r));
}

void source_open(struct source *s)
{
	const struct source_opts *o = s->o;
	check_kinds(o);
	s->queues = calloc(o->queues, sizeof(struct sync_queue *));
	if (!s->queues)
		die(EXIT_SYSTEM, "no memory for %zu queues", o->queues);
	for (size_t i = 0; i < o->queues; i++) {
		s->queues[i] = open_one(s, o->names[i]);
		size_t size = queue_state(s->queues[i]).size;
		s->size = size > s->size ? size : s->size;
	}
	open_watch(s);
	open_journal(s);
}

void source_close(struct source *s)
{
	sync_journal_close(s->journal);
	s->journal = NULL;
}

/* ---- landings ---- */

struct landing_buffer {
	long number;
	char text[];
};

int source_try_landing(const struct source *s, struct landing *l)
{
	*l = (struct landing){0};
	if (s->journal)
		return sync_journal_slot(s->journal, s->size, &l->slot);
	l->buffer = malloc(sizeof(*l->buffer) + s->size + 1); /* a separator fits behind it */
	return l->buffer ? 0 : -ENOMEM;
}

struct landing source_landing(const struct source *s)
{
	struct landing l;
	int r = source_try_landing(s, &l);
	if (r && s->journal)
		die(exit_status_of(r), "cannot make a slot of %zu bytes in the journal %s: %s",
		    s->size, quote(s->o->journal), strerror(-r));
	if (r)
		die(EXIT_SYSTEM, "no memory for messages of %zu bytes", s->size);
	return l;
}

void source_done(const struct landing *l)
{
	if (l->slot)
		sync_slot_done(l->slot);
}

/* ---- take ---- */

static int take_from(const struct source *s, const struct landing *l, struct sync_queue *q,
		     struct message *m, const struct timespec *until)
{
	const struct sync_queue_want *want = s->o->selects ? &s->o->want : NULL;
	ssize_t n;
	if (l->slot) {
		const void *data = NULL;
		n = sync_slot_recv(l->slot, q, want, until, &data, &m->number);
		m->data = data;
		m->roomy = false;
	} else {
		n = sync_queue_recv(q, l->buffer->text, s->size, want, until, &l->buffer->number);
		m->data = l->buffer->text;
		m->number = l->buffer->number;
		m->roomy = true;
	}
	m->len = (size_t)n;
	return n < 0 ? (int)n : 0;
}

int source_take(struct source *s, const struct landing *l, struct message *m,
		struct sync_queue **from, const struct timespec *until)
{
	*from = s->queues[0];
	if (!s->watch)
		return take_from(s, l, *from, m, until);
	for (;;) {
		for (size_t i = 0; i < s->o->queues; i++) {
			*from = s->queues[i];
			int r = take_from(s, l, *from, m, SYNC_NOW);
			if (r != -ETIMEDOUT)
				return r;
		}
		ssize_t ready = sync_queue_watch_wait(s->watch, until);
		if (ready < 0)
			return (int)ready;
	}
}

int source_orphan(struct source *s, struct landing *l, struct message *m, struct sync_queue **from)
{
	int r = -ENOENT;
	for (size_t i = 0; i < s->o->queues && s->journal && r; i++) {
		*from = s->queues[i];
		r = sync_journal_orphan(s->journal, sync_queue_name(*from), &l->slot);
	}
	if (r == -EUCLEAN)
		warn("%s has files that are no part of a journal, or damaged",
		     quote(s->o->journal));
	if (r)
		return r;
	if (s->watch) /* what it waits for may have come while nobody received */
		sync_queue_watch_seen(s->watch, *from);
	*m = (struct message){0};
	m->data = sync_slot_data(l->slot, &m->len, &m->number);
	if (!sync_slot_is_exact(l->slot))
		warn("a message was saved from a receiver killed in taking it: if it ended in "
		     "bytes "
		     "0xFF, they are missing");
	return 0;
}

int source_end(const struct source *s, const struct sync_queue *q, int err, uint64_t taken)
{
	const struct patience *p = &s->o->patience;
	switch (-err) {
	case ENODATA:
		return EXIT_DONE;
	case EIDRM:
		if (s->o->until & SYNC_UNTIL_REMOVED)
			return EXIT_DONE;
		return queue_fail("receive from", q, err);
	case ETIMEDOUT:
		if (s->o->idle <= p->common.timeout && !patience_is_over(p))
			return EXIT_DONE;
		if (!p->common.quiet)
			warn("no message in time from %s: received %llu", quote(sync_queue_name(q)),
			     (unsigned long long)taken);
		return p->common.busy_status;
	default:
		return queue_fail("receive from", q, err);
	}
}
