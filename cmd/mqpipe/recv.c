/* SPDX-License-Identifier: MIT */
/*
 * mqpipe recv: messages from queues to standard output.
 *
 * 1. Open the queues, or make them, and be counted as a receiver until we end, whatever ends us.
 * 2. Wait for a message, and for what stops us: the end of senders, the queue's removal, time, a signal,
 *    nobody left to read what we write.
 * 3. Take one message, and write it before the next is taken. What cannot be written goes back.
 *
 * Who kills us between the two halves of 3 takes a message with us, unless it lies in a journal.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "deliver.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "say.h"
#include "source.h"
#include "stop.h"

struct opts {
	struct source_opts source;
	struct frame_opts frame;
	struct progress_opts progress;
	bool batch, spill;
};

enum { OPT_BATCH = 256, OPT_SPILL };

static const struct argp_option options[] = {
	{"batch", OPT_BATCH, NULL, 0, "The messages were sent with --batch", 3},
	{"spill", OPT_SPILL, NULL, 0, "Long messages were sent with --oversize=spill", 3},
	{0},
};

static error_t finish(const struct opts *o, struct argp_state *state)
{
	if (!o->source.queues)
		argp_error(state, "expected a queue");
	if (o->batch && o->source.count)
		argp_error(state, "-N and --batch: a batch is received whole");
	if (o->batch && o->spill)
		argp_error(state, "--batch and --spill: give one of them");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->source;
		state->child_inputs[1] = &o->frame;
		state->child_inputs[2] = &o->source.patience;
		state->child_inputs[3] = &o->progress;
		return 0;
	case OPT_BATCH:
		o->batch = true;
		return 0;
	case OPT_SPILL:
		o->spill = true;
		return 0;
	case ARGP_KEY_ARG:
		o->source.names = common_command(state);
		o->source.queues = (size_t)(state->argc - (o->source.names - state->argv));
		return 0;
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&source_argp, 0, NULL, 0},
	{&frame_argp, 0, NULL, 0},
	{&patience_argp, 0, NULL, 0},
	{&progress_argp, 0, NULL, 0},
	{0},
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE [QUEUE...]",
	.doc = "Take messages and write them to standard output, each as soon as it is there; of "
	       "several posix: queues, those of the first that has one."
	       "\vExit status: 0 done; 75 no message came in time; see mqpipe(1).",
	.children = children,
};

struct receiver {
	struct opts *o;
	struct source source;
	struct delivery out;
	uint64_t received;
};

/* Set by the thread that looks whether anybody reads our output. */
static volatile bool unread;

static void *watch_output(void *arg)
{
	struct pollfd p = {.fd = STDOUT_FILENO}; /* what we wait for needs not be asked for */
	(void)arg;
	while (poll(&p, 1, -1) <= 0)
		;
	unread = true;
	stop_request();
	return NULL;
}

static void watch_reader(const struct receiver *r)
{
	struct stat st;
	if (fstat(STDOUT_FILENO, &st) || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		return;
	if (emit_is_unread(&r->out.emit))
		unread = true;
	if (unread)
		stop_request();
	else
		child_start_thread(watch_output, NULL); /* without it, a write will tell */
}

static int stopped(const struct receiver *r)
{
	if (!unread)
		return EXIT_DONE; /* by a signal, which stop_end() deals with */
	warn("nobody reads standard output any more: received %llu messages",
	     (unsigned long long)r->received);
	return EXIT_IO;
}

/* The mark of a message in the journal: who finds it there knows that it may be written already. */
enum { WRITING = 1 };

static int write_it(struct receiver *r, const struct landing *l, struct sync_queue *q,
		    const struct message *m)
{
	if (l->slot)
		sync_slot_set_mark(l->slot, WRITING);
	r->out.is_back = false;
	int status = deliver(&r->out, q, m);
	r->received += !status;
	if (!status || r->out.is_back)
		source_done(l);
	return status == -EINTR ? stopped(r) : status;
}

static bool may_take(const struct receiver *r)
{
	return !stop_wanted() && (!r->o->source.count || r->received < r->o->source.count);
}

/* What receivers that were killed had taken. */
static int receive_orphans(struct receiver *r)
{
	struct landing l = {0};
	struct message m;
	struct sync_queue *from;
	int status = EXIT_DONE;
	while (!status && may_take(r) && !source_orphan(&r->source, &l, &m, &from)) {
		/* Said first: killed behind the writing, we would never say it. */
		r->out.again = sync_slot_mark(l.slot) == WRITING;
		if (r->out.again)
			warn("message %llu may have been written before: its receiver was killed",
			     (unsigned long long)r->received + 1);
		status = write_it(r, &l, from, &m);
		sync_slot_close(l.slot);
		r->out.again = false;
	}
	return status;
}

static int receive_all(struct receiver *r)
{
	const struct landing l = source_landing(&r->source);
	struct message m;
	struct sync_queue *from;
	const struct timespec *until = source_until(&r->source);
	while (may_take(r)) {
		if (patience_is_over(&r->o->source.patience))
			return source_end(&r->source, r->source.queues[0], -ETIMEDOUT, r->received);
		int err = source_take(&r->source, &l, &m, &from, until);
		if (err == -EINTR)
			continue;
		if (err)
			return source_end(&r->source, from, err, r->received);
		int status = write_it(r, &l, from, &m);
		if (status)
			return status;
		until = source_until(&r->source);
	}
	return stop_wanted() ? stopped(r) : EXIT_DONE;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	static struct receiver r;
	r.o = &o;
	r.source.o = &o.source;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	patience_begin(&o.source.patience);
	stop_catch();
	source_open(&r.source);
	r.out = (struct delivery){
		.emit = {.frame = &o.frame, .fd = STDOUT_FILENO, .names = o.source.queues > 1},
		.batch = o.batch,
		.spill = o.spill,
		.kept = o.source.journal != NULL,
	};
	watch_reader(&r);
	progress_begin(&r.out.progress, &o.progress, "received", r.source.queues[0]);
	int status = receive_orphans(&r);
	if (!status)
		status = receive_all(&r);
	if (!status && r.out.dropped)
		status = EXIT_BAD_DATA;
	source_close(&r.source);
	progress_end(&r.out.progress);
	if (o.source.patience.common.verbose)
		warn("received %llu messages", (unsigned long long)r.received);
	stop_end();
	return status;
}

const struct applet mqpipe_recv = {
	.name = "recv",
	.summary = "take messages out of queues",
	.argp = &argp,
	.run = run,
};
