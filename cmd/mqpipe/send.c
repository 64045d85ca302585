/* SPDX-License-Identifier: MIT */
/*
 * mqpipe send: messages into a queue.
 *
 * 1. Open the queue, or make it, and be counted as a sender until we end, whatever ends us.
 * 2. Cut the input into messages, one at a time; nothing of one that is too long is sent.
 * 3. Send it, waiting as long as we may while the queue is full.
 * 4. Where we stop before the end of the input, say which message was not sent, and leave the rest of a
 *    file unread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libsync.h"

#include "batch.h"
#include "cut.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "oversize.h"
#include "parse.h"
#include "patience.h"
#include "progress.h"
#include "queueopen.h"
#include "say.h"

enum drop { DROP_NONE, DROP_OLD, DROP_NEW };

struct opts {
	struct patience patience;
	struct frame_opts frame;
	struct sync_queue_opts open;
	struct progress_opts progress;
	long number;
	bool has_number, batch, need_reader;
	enum drop drop;
	enum oversize oversize;
	int64_t reader_wait;
	char *name;
	char **messages;
};

enum { OPT_DROP_OLD = 256, OPT_DROP_NEW, OPT_NEED_READER, OPT_OVERSIZE, OPT_BATCH };

static const struct argp_option options[] = {
	{"priority", 'p', "N", 0, "Send with this priority (sysv: type) instead of 0 (1)", 1},
	{"drop-old", OPT_DROP_OLD, NULL, 0, "If the queue is full, drop what is received next", 2},
	{"drop-new", OPT_DROP_NEW, NULL, 0, "If the queue is full, drop the message to be sent", 2},
	{"need-reader", OPT_NEED_READER, "DURATION", OPTION_ARG_OPTIONAL,
	 "Fail if nobody receives; or wait so long for one", 2},
	{"oversize", OPT_OVERSIZE, "POLICY", 0,
	 "What to do with a message that is too long: refuse; truncate; skip; spill", 3},
	{"batch", OPT_BATCH, NULL, 0, "Pack many messages into one; recv needs --batch too", 3},
	{0},
};

static error_t finish(struct opts *o, struct argp_state *state)
{
	if (!o->name)
		argp_error(state, "expected a queue, and perhaps messages");
	if (o->messages && (o->frame.kinds_given || o->frame.numbered))
		argp_error(state,
			   "messages that are arguments need no -l, -0, -d, -r, -R, -L, --json or "
			   "-P");
	if ((o->batch != 0) + (o->drop != 0) + (o->oversize == OVERSIZE_SPILL) > 1)
		argp_error(state,
			   "--batch, --oversize=spill and --drop-old or --drop-new: give one of "
			   "them");
	if (o->need_reader && o->drop)
		argp_error(state, "--need-reader does not go with --drop-old and --drop-new");
	if (o->has_number && o->frame.numbered)
		argp_error(state, "-p and -P: give one of them");
	return 0;
}

static void choose_drop(struct opts *o, enum drop drop, struct argp_state *state)
{
	if (o->drop && o->drop != drop)
		argp_error(state, "--drop-old and --drop-new: give one of them");
	o->drop = drop;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->frame;
		state->child_inputs[1] = &o->open;
		state->child_inputs[2] = &o->patience;
		state->child_inputs[3] = &o->progress;
		return 0;
	case 'p':
		if (!parse_count(arg, INT64_MAX, &n))
			argp_error(state, "invalid priority '%s': expected a number", arg);
		o->number = (long)n;
		o->has_number = true;
		return 0;
	case OPT_DROP_OLD:
	case OPT_DROP_NEW:
		choose_drop(o, key == OPT_DROP_OLD ? DROP_OLD : DROP_NEW, state);
		return 0;
	case OPT_NEED_READER:
		o->need_reader = true;
		if (arg && !parse_duration(arg, &o->reader_wait))
			argp_error(state,
				   "invalid time '%s': expected a duration such as 5 or 300ms",
				   arg);
		return 0;
	case OPT_OVERSIZE:
		if (!oversize_parse(arg, &o->oversize))
			argp_error(state,
				   "invalid policy '%s': expected refuse, truncate, skip or spill",
				   arg);
		return 0;
	case OPT_BATCH:
		o->batch = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->name) {
			o->messages = common_command(state);
			return 0;
		}
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&frame_argp, 0, NULL, 0},
	{&making_argp, 0, NULL, 0},
	{&patience_argp, 0, NULL, 0},
	{&progress_argp, 0, NULL, 0},
	{0},
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE [MESSAGE...]",
	.doc = "Send standard input, cut into messages, or each MESSAGE. QUEUE is made if it is "
	       "missing: a name, posix:/NAME, or sysv:NAME."
	       "\vExit status: 0 all was sent; 75 not now: the queue is full; see mqpipe(1).",
	.children = children,
};

struct sender {
	struct opts *o;
	struct sync_queue *q;
	struct sync_queue_watch *readers; /* with --need-reader: of the queue's room and readers */
	struct cut cut;
	struct batch batch;
	struct progress progress;
	uint64_t dropped, cut_short, skipped;
	uint64_t at;           /* in the input, of the message in hand, if there is one */
	bool in_hand;          /* it is not sent yet */
	uint64_t batch_offset; /* in the input, of the batch's first message */
	char *old;             /* with --drop-old: room for what is dropped */
	size_t size;
	char ticket[OVERSIZE_TICKET_MAX]; /* of the message that was spilled last */
};

/* ---- one message ---- */

/* 0 there is a reader; -EPIPE not even after the time that we may wait; -ETIMEDOUT there is no more time. */
static int find_reader(const struct sender *s, const struct timespec *deadline)
{
	struct timespec until;
	int r = sync_queue_has_receiver(s->q);
	if (r)
		return r < 0 ? r : 0;
	sync_deadline_in(s->o->reader_wait, &until);
	bool first = s->o->reader_wait != DURATION_FOREVER &&
		     (!deadline || patience_is_before(&until, deadline));
	do
		r = sync_queue_await_receiver(s->q, first ? &until : deadline);
	while (r == -EINTR);
	return r == -ETIMEDOUT && first ? -EPIPE : r;
}

/* A full queue whose readers have all gone will not get emptier. */
static int send_to_reader(struct sender *s, const struct message *m,
			  const struct timespec *deadline)
{
	for (;;) {
		int r = find_reader(s, deadline);
		if (r)
			return r;
		r = sync_queue_send(s->q, m->data, m->len, m->number, SYNC_NOW);
		if (r != -ETIMEDOUT || deadline == SYNC_NOW)
			return r;
		ssize_t room = sync_queue_watch_wait(s->readers, deadline);
		if (room < 0 && room != -ENODATA && room != -EINTR)
			return (int)room;
	}
}

static int still_fits(const struct sender *s, const struct message *m)
{
	struct sync_queue_state now;
	if (patience_is_over(&s->o->patience))
		return -ETIMEDOUT;
	int r = sync_queue_state(s->q, &now);
	return r ? r : now.capacity_bytes && m->len > now.capacity_bytes ? -EMSGSIZE : 0;
}

static int drop_old_and_send(struct sender *s, const struct message *m)
{
	for (;;) {
		int r = sync_queue_send(s->q, m->data, m->len, m->number, SYNC_NOW);
		if (r != -ETIMEDOUT)
			return r;
		ssize_t n = sync_queue_recv(s->q, s->old, s->size, NULL, SYNC_NOW, NULL);
		if (n < 0 && n != -ETIMEDOUT)
			return (int)n;
		s->dropped += n >= 0;
		/* Full, and nothing in it: it has been made smaller than the message. */
		if (n < 0 && (r = still_fits(s, m)))
			return r;
	}
}

static int send_one(struct sender *s, const struct message *m)
{
	const struct timespec *until =
		patience_until(&s->o->patience, s->o->patience.common.timeout);
	int r;
	if (patience_is_over(&s->o->patience))
		return -ETIMEDOUT;
	switch (s->o->drop) {
	case DROP_OLD:
		return drop_old_and_send(s, m);
	case DROP_NEW:
		r = sync_queue_send(s->q, m->data, m->len, m->number, SYNC_NOW);
		if (r == -ETIMEDOUT) {
			s->dropped++;
			r = 0;
		}
		return r;
	case DROP_NONE:
	default:
		if (s->o->need_reader)
			return send_to_reader(s, m, until);
		do
			r = sync_queue_send(s->q, m->data, m->len, m->number, until);
		while (r == -EINTR);
		return r;
	}
}

static int flush_batch(struct sender *s)
{
	struct message m = {s->batch.buf, s->batch.len, s->batch.number, false};
	if (!s->batch.len)
		return 0;
	int r = send_one(s, &m);
	if (r)
		return r;
	progress_add(&s->progress, s->batch.messages, s->batch.len);
	batch_clear(&s->batch);
	return 0;
}

/* The message goes into a file, and its ticket through the queue; the status to stop with, or 1 to go on. */
static int spill(struct sender *s, struct message *m, int err)
{
	if (err && (s->cut.read_failed || err == -EBADMSG || err == -ETIMEDOUT))
		return err;
	if (err) {
		warn("cannot keep a long message in %s: %s", quote(oversize_place()),
		     strerror(-err));
		return EXIT_IO;
	}
	size_t len = m->len;
	m->data = s->ticket;
	m->len = strlen(s->ticket);
	int r = send_one(s, m);
	if (r)
		oversize_forget(s->ticket);
	else
		progress_add(&s->progress, 1, len);
	return r ? r : 1;
}

/* What looks like a ticket, but is none, would be taken for one. */
static int deliver_in_file(struct sender *s, struct message *m)
{
	return spill(s, m, oversize_spill_bytes(m->data, m->len, s->ticket));
}

/* 1 to go on, -errno, or the status to stop with. */
static int deliver(struct sender *s, struct message *m)
{
	/* From a queue with priorities; a type of 0 there is none. */
	if (!m->number && !s->o->has_number && !(sync_queue_caps(s->q) & SYNC_CAP_PRIORITY))
		m->number = 1;
	if (s->o->oversize == OVERSIZE_SPILL && oversize_is_ticket(m))
		return deliver_in_file(s, m);
	if (s->o->batch) {
		if (!s->batch.len)
			s->batch_offset = s->cut.offset;
		if (batch_add(&s->batch, m->data, m->len, m->number))
			return 1;
		int r = flush_batch(s);
		if (r)
			return r;
		s->batch_offset = s->cut.offset;
		return batch_add(&s->batch, m->data, m->len, m->number) ? 1 : -EMSGSIZE;
	}
	int r = send_one(s, m);
	if (!r)
		progress_add(&s->progress, 1, m->len);
	return r ? r : 1;
}

/* ---- all of them ---- */

static int refuse(const struct sender *s, const struct message *m, bool at_least)
{
	char sysctl[96] = "";
	struct sync_queue_limit limit;
	if (!sync_queue_limit(s->o->name, &s->o->open, -EMSGSIZE, &limit))
		snprintf(sysctl, sizeof(sysctl), " (up to %s, which is %llu)", limit.name,
			 (unsigned long long)limit.value);
	warn("cannot send a message of %s%zu bytes, at byte %llu of the input: %s takes %zu at "
	     "most: "
	     "make it with a larger -s%s, or see --oversize",
	     at_least ? "more than " : "", m->len, (unsigned long long)s->cut.offset,
	     quote(s->o->name), s->cut.limit, sysctl);
	return EXIT_BAD_DATA;
}

/* 1 to go on, -errno, or the status to stop with. */
static int handle_oversize(struct sender *s, struct message *m, bool at_least)
{
	int r = 1;
	ssize_t n = 0;
	switch (s->o->oversize) {
	case OVERSIZE_TRUNCATE:
		m->len = s->cut.limit;
		s->cut_short++;
		r = deliver(s, m);
		n = cut_rest(&s->cut, -1);
		break;
	case OVERSIZE_SKIP:
		s->skipped++;
		n = cut_rest(&s->cut, -1);
		break;
	case OVERSIZE_SPILL:
		return spill(s, m, oversize_spill(&s->cut, s->ticket));
	case OVERSIZE_REFUSE:
	default:
		return refuse(s, m, at_least);
	}
	return r != 1 ? r : n < 0 ? (int)n : 1;
}

/* Where the first message begins that was not sent. */
static uint64_t unsent(const struct sender *s)
{
	return s->batch.len ? s->batch_offset : s->in_hand ? s->at : s->cut.offset;
}

/* "sent 1 message, but not the one at byte 2 of the input" */
static const char *account(const struct sender *s, char *buf, size_t size)
{
	unsigned long long n = s->progress.messages;
	int len = snprintf(buf, size, "sent %llu message%s, but not ", n, n == 1 ? "" : "s");
	if (s->cut.args)
		snprintf(buf + len, size - (size_t)len, "number %llu",
			 n + s->dropped + s->skipped + 1);
	else
		snprintf(buf + len, size - (size_t)len, "the one at byte %llu of the input",
			 (unsigned long long)unsent(s));
	return buf;
}

static int stop_because(struct sender *s, int err)
{
	const char *name = quote(s->o->name);
	char text[128];
	if (s->cut.read_failed) {
		warn("cannot read standard input: %s", strerror(-err));
		return EXIT_IO;
	}
	switch (-err) {
	case EBADMSG:
		warn("cannot read the messages: at byte %llu of the input: %s",
		     (unsigned long long)s->cut.fault, s->cut.why);
		return EXIT_BAD_DATA;
	case ETIMEDOUT:
		if (!s->o->patience.common.quiet)
			warn("not in time for %s: %s", name, account(s, text, sizeof(text)));
		return s->o->patience.common.busy_status;
	case EPIPE:
		warn("nobody receives from %s: %s", name, account(s, text, sizeof(text)));
		return EXIT_GONE;
	case EINVAL:
		warn("cannot send to %s: %s: %s", name,
		     sync_queue_caps(s->q) & SYNC_CAP_PRIORITY ? "a priority is 0 to 32767"
							       : "a type is 1 or more",
		     account(s, text, sizeof(text)));
		return EXIT_BAD_DATA;
	case EACCES:
		warn("cannot wait for a reader of %s: that needs the right to read it", name);
		return EXIT_DENIED;
	case EIDRM:
		warn("%s was removed: %s", name, account(s, text, sizeof(text)));
		return EXIT_GONE;
	default:
		return queue_fail("send to", s->q, err);
	}
}

/* What has come is sent before we wait for more. */
static int before_read(void *arg)
{
	struct sender *s = arg;
	int r = flush_batch(s);
	return r ? r : patience_for_input(&s->o->patience, s->cut.fd);
}

/* Whole lines are batched without a look at each; cut_next() comes to those that are left. */
static void batch_many(struct sender *s)
{
	const char *data;
	size_t n;
	while ((n = cut_many(&s->cut, batch_room(&s->batch), &data)) > 0) {
		if (!s->batch.len)
			s->batch_offset = s->cut.offset;
		batch_add_many(&s->batch, data, n);
	}
}

static int send_all(struct sender *s)
{
	struct message m;
	bool at_least = false;
	const bool many =
		s->o->batch && s->batch.separated && !s->o->frame.numbered && !s->cut.args;
	int r;
	do {
		if (many)
			batch_many(s);
		s->in_hand = false;
		r = cut_next(&s->cut, &m, &at_least);
		s->in_hand = r == 1 || r == -EMSGSIZE;
		s->at = s->cut.offset;
		if (r == 0 && s->o->batch)
			r = flush_batch(s);
		else if (r == 1)
			r = deliver(s, &m);
		else if (r == -EMSGSIZE)
			r = handle_oversize(s, &m, at_least);
	} while (r == 1);
	/* What came before a bad message is sent, as it is without --batch. */
	int flushed = r == -EBADMSG || r > 0 ? flush_batch(s) : 0;
	if (flushed)
		r = flushed;
	return r < 0 ? stop_because(s, r) : r;
}

static void begin(struct sender *s)
{
	struct opts *o = s->o;
	s->q = queue_open(o->name, &o->open,
			  SYNC_QUEUE_SEND | (o->drop == DROP_OLD ? SYNC_QUEUE_RECV : 0));
	queue_attend(s->q, patience_until(&o->patience, o->patience.common.timeout),
		     o->patience.common.busy_status);
	int r = 0;
	s->size = queue_state(s->q).size;
	if (!o->has_number)
		o->number = sync_queue_caps(s->q) & SYNC_CAP_PRIORITY ? 0 : 1;
	s->cut = (struct cut){
		.frame = &o->frame,
		.limit = s->size,
		.number = o->number,
		.args = o->messages,
		.fd = STDIN_FILENO,
		.before_read = before_read,
		.arg = s,
	};
	if (o->oversize == OVERSIZE_SPILL && s->size < OVERSIZE_TICKET_MAX)
		die(EXIT_BAD_DATA,
		    "messages of %s are too short for --oversize=spill: make it with -s "
		    "%d or more",
		    quote(o->name), OVERSIZE_TICKET_MAX);
	if (o->batch) {
		if (s->size <= BATCH_OVERHEAD)
			die(EXIT_BAD_DATA, "messages of %s are too short for --batch",
			    quote(o->name));
		s->batch.number = o->number;
		r = batch_begin(&s->batch, s->size, &o->frame);
		s->cut.limit = batch_most(&s->batch);
	}
	if (!r && o->drop == DROP_OLD)
		r = (s->old = malloc(s->size)) ? 0 : -ENOMEM;
	if (!r && o->need_reader) {
		r = sync_queue_watch_open(&s->q, 1, SYNC_UNTIL_UNREAD, &s->readers);
		if (r)
			exit(queue_fail("look for readers of", s->q, r));
	}
	if (r || cut_begin(&s->cut))
		die(EXIT_SYSTEM, "no memory for messages of %zu bytes", s->size);
}

static void report(const struct sender *s)
{
	const struct common_opts *o = &s->o->patience.common;
	if (s->dropped && !o->quiet)
		warn("%s was full: dropped %llu", quote(s->o->name),
		     (unsigned long long)s->dropped);
	if (s->cut_short && !o->quiet)
		warn("truncated to %zu bytes: %llu", s->cut.limit,
		     (unsigned long long)s->cut_short);
	if (s->skipped && !o->quiet)
		warn("skipped, as longer than %zu bytes: %llu", s->cut.limit,
		     (unsigned long long)s->skipped);
	if (o->verbose)
		warn("messages sent: %llu, bytes: %llu", (unsigned long long)s->progress.messages,
		     (unsigned long long)s->progress.bytes);
}

static int run(int argc, char **argv)
{
	static struct opts o;
	static struct sender s;
	s.o = &o;
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	patience_begin(&o.patience);
	begin(&s);
	progress_begin(&s.progress, &o.progress, "sent", s.q);
	int status = send_all(&s);
	progress_end(&s.progress);
	if (status)
		cut_unread(&s.cut, unsent(&s));
	report(&s);
	return status;
}

const struct applet mqpipe_send = {
	.name = "send",
	.summary = "put messages into a queue",
	.argp = &argp,
	.run = run,
};
