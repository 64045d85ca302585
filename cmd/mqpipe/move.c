/* SPDX-License-Identifier: MIT */
/*
 * mqpipe move: messages from one queue to another, with their priorities. One that cannot be sent goes
 * back. Who kills us between taking and sending takes that one message with us.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "exitcode.h"
#include "mqpipe.h"
#include "parse.h"
#include "patience.h"
#include "progress.h"
#include "queueopen.h"
#include "say.h"
#include "stop.h"

struct opts {
	struct patience patience;
	struct sync_queue_opts open;
	struct progress_opts progress;
	uint64_t count;
	char *from, *to;
};

static const struct argp_option options[] = {
	{"count", 'N', "N", 0, "Move N messages at most", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->open;
		state->child_inputs[1] = &o->patience;
		state->child_inputs[2] = &o->progress;
		o->count = UINT64_MAX;
		return 0;
	case 'N':
		if (!parse_count(arg, INT64_MAX, &o->count) || !o->count)
			argp_error(state, "invalid count '%s': expected 1 or more messages", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->to)
			argp_error(state, "expected two queues");
		*(o->from ? &o->to : &o->from) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->to)
			argp_error(state, "expected two queues");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&making_argp, 0, NULL, 0},
	{&patience_argp, 0, NULL, 0},
	{&progress_argp, 0, NULL, 0},
	{0},
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "FROM TO",
	.doc = "Move the messages that are in the queue FROM now to the queue TO. TO is made if it "
	       "is "
	       "missing, as large as FROM."
	       "\vExit status: 0 done; 75 not now: TO is full; see mqpipe(1).",
	.children = children,
};

struct mover {
	struct opts *o;
	struct sync_queue *from, *to;
	struct progress progress;
	char *buf;
};

enum { STOPPED = -1 };

/* A queue of types has none that is 0. */
static long number_for(const struct mover *v, long number)
{
	return !number && !(sync_queue_caps(v->to) & SYNC_CAP_PRIORITY) ? 1 : number;
}

static int not_in_time(const struct mover *v)
{
	const struct common_opts *o = &v->o->patience.common;
	if (!o->quiet)
		warn("not in time: moved %llu of the messages to %s",
		     (unsigned long long)v->progress.messages, quote(v->o->to));
	return o->busy_status;
}

static int send_or_return(const struct mover *v, const char *data, size_t len, long number)
{
	const struct patience *p = &v->o->patience;
	const char *to = quote(v->o->to);
	int r;
	do
		r = sync_queue_send(v->to, data, len, number_for(v, number),
				    patience_until(&v->o->patience, p->common.timeout));
	while (r == -EINTR && !stop_wanted());
	if (!r)
		return 0;
	int back = sync_queue_put_back(v->from, data, len, number);
	if (back)
		warn("LOST is a message of %zu bytes, number %ld, as it cannot be put back into "
		     "%s: %s",
		     len, number, quote(v->o->from),
		     back == -ETIMEDOUT ? "the queue is full" : strerror(-back));
	switch (-r) {
	case EINTR:
		return STOPPED;
	case ETIMEDOUT:
		return not_in_time(v);
	case EMSGSIZE:
		warn("cannot move a message of %zu bytes to %s, which takes %llu at most: make it "
		     "with "
		     "a larger -s",
		     len, to, (unsigned long long)queue_state(v->to).size);
		return EXIT_BAD_DATA;
	case EINVAL:
		warn("cannot move a message with number %ld to %s, which has %s", number, to,
		     sync_queue_caps(v->to) & SYNC_CAP_PRIORITY ? "priorities from 0 to 32767"
								: "types from 1 on");
		return EXIT_BAD_DATA;
	default:
		return queue_fail("send to", v->to, r);
	}
}

static int move(struct mover *v)
{
	struct sync_queue_state now = queue_state(v->from);
	size_t size = now.size;
	uint64_t left = now.messages < v->o->count ? now.messages : v->o->count;
	char *buf = v->buf = malloc(size);
	if (!buf)
		die(EXIT_SYSTEM, "no memory for messages of %zu bytes", size);
	for (; left && !stop_wanted(); left--) {
		if (patience_is_over(&v->o->patience))
			return not_in_time(v);
		long number;
		ssize_t n = sync_queue_recv(v->from, buf, size, NULL, SYNC_NOW, &number);
		if (n == -ETIMEDOUT)
			break;
		if (n == -EINTR) {
			left++;
			continue;
		}
		if (n < 0)
			return queue_fail("receive from", v->from, (int)n);
		int status = send_or_return(v, buf, (size_t)n, number);
		if (status)
			return status == STOPPED ? EXIT_DONE : status;
		progress_add(&v->progress, 1, (uint64_t)n);
	}
	return EXIT_DONE;
}

/* As large as FROM, if the other kind of queue can be; as large as usual otherwise: it is emptied, too. */
static struct sync_queue *open_like(const struct sync_queue_opts *asked, const char *name,
				    struct sync_queue *from)
{
	struct sync_queue_state s = queue_state(from);
	struct sync_queue_opts like = *asked;
	struct sync_queue *q;
	if (!like.capacity)
		like.capacity = s.capacity;
	if (!like.size)
		like.size = s.size;
	like.flags |= SYNC_QUEUE_SEND;
	return sync_queue_open(name, &like, &q) ? queue_open(name, asked, SYNC_QUEUE_SEND) : q;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	static struct mover v;
	const struct sync_queue_opts look = {.flags = SYNC_QUEUE_RECV};
	v.o = &o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	patience_begin(&o.patience);
	stop_catch();
	v.from = queue_open(o.from, &look, 0);
	v.to = open_like(&o.open, o.to, v.from);
	queue_attend(v.to, patience_until(&o.patience, o.patience.common.timeout),
		     o.patience.common.busy_status);
	progress_begin(&v.progress, &o.progress, "moved", v.from);
	int status = move(&v);
	progress_end(&v.progress);
	if (o.patience.common.verbose)
		warn("moved %llu messages", (unsigned long long)v.progress.messages);
	stop_end();
	return status;
}

const struct applet mqpipe_move = {
	.name = "move",
	.summary = "move messages to another queue",
	.argp = &argp,
	.run = run,
};
