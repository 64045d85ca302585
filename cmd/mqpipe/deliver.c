/* SPDX-License-Identifier: MIT */
/* A message that was taken from a queue goes to the output; what cannot go there goes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "deliver.h"
#include "exitcode.h"
#include "oversize.h"
#include "say.h"

/* What became of a message that could not be written, for the end of a line that says why. */
static void put_back(struct delivery *d, struct sync_queue *q, const struct message *m, char *fate,
		     size_t size)
{
	int r = sync_queue_put_back(q, m->data, m->len, m->number);
	d->is_back = !r;
	if (!r)
		snprintf(fate, size, "it was put back into the queue");
	else if (d->kept)
		snprintf(fate, size, "it is kept in the journal");
	else
		snprintf(fate, size,
			 "LOST is a message of %zu bytes, number %ld, as it cannot be put back: %s",
			 m->len, m->number, r == -ETIMEDOUT ? "the queue is full" : strerror(-r));
}

static int fail(struct delivery *d, struct sync_queue *q, const struct message *m, int err)
{
	char fate[200];
	char partly[64] = "";
	put_back(d, q, m, fate, sizeof(fate));
	if (err == -EINTR && fate[0] != 'L')
		return err;
	if (err == -EMSGSIZE) {
		warn("a message of %zu bytes does not fit the records of -R, which only the last "
		     "may "
		     "be shorter than: %s",
		     m->len, fate);
		return EXIT_BAD_DATA;
	}
	if (d->emit.partly)
		snprintf(partly, sizeof(partly), ", after %zu bytes of a message", d->emit.partly);
	warn("cannot write to standard output%s: %s: %s", partly, strerror(-err), fate);
	return EXIT_IO;
}

/* What cannot be had is said, and counts in the end; but it stops nobody. */
static void drop(struct delivery *d, const char *what, const struct sync_queue *q, size_t bytes)
{
	warn("%s: dropped are %zu bytes from %s", what, bytes, quote(sync_queue_name(q)));
	d->dropped = true;
}

static int write_one(struct delivery *d, struct sync_queue *q, const struct message *m)
{
	int r = emit_message(&d->emit, m, sync_queue_name(q));
	if (!r)
		progress_add(&d->progress, 1, m->len);
	return r;
}

/*
 * What was not written of a batch is a batch again: its head, with the messages that are left. In memory of
 * its own, as a journal must keep the batch as it is until the rest is in the queue.
 */
static int fail_rest(struct delivery *d, struct sync_queue *q, const struct message *m,
		     const struct unbatch *begin, const char *left, int err)
{
	size_t head = (size_t)(begin->p - m->data);
	size_t len = head + (size_t)(begin->end - left);
	char *rest = malloc(len);
	if (!rest)
		return fail(d, q, m, err);
	memcpy(rest, m->data, head);
	memcpy(rest + head, left, len - head);
	const struct message again = {rest, len, m->number, false};
	int status = fail(d, q, &again, err);
	free(rest);
	return status;
}

static int write_batch(struct delivery *d, struct sync_queue *q, const struct message *m)
{
	const struct frame_opts *f = d->emit.frame;
	struct unbatch u;
	if (!unbatch_begin(&u, m->data, m->len)) {
		char fate[200];
		put_back(d, q, m, fate, sizeof(fate));
		warn("a message of %zu bytes was not sent with --batch: %s", m->len, fate);
		return EXIT_BAD_DATA;
	}
	const struct unbatch begin = u;
	if (u.separated && f->kind == FRAME_SEPARATOR && f->separator_len == 1 && !f->numbered &&
	    f->separator[0] == u.separator) {
		int r = emit_bytes(&d->emit, u.p, (size_t)(u.end - u.p));
		if (r)
			return fail(d, q, m, r);
		progress_add(&d->progress, unbatch_count(&u), m->len);
		return 0;
	}
	struct message one = {.number = m->number};
	const char *left = u.p;
	int r;
	while ((r = unbatch_next(&u, &one.data, &one.len)) == 1) {
		r = write_one(d, q, &one);
		if (r)
			return fail_rest(d, q, m, &begin, left, r);
		left = u.p;
	}
	if (r < 0)
		drop(d, "a batch is damaged", q, (size_t)(u.end - left));
	return 0;
}

static int write_spilled(struct delivery *d, struct sync_queue *q, const struct message *ticket)
{
	struct message m;
	char name[OVERSIZE_TICKET_MAX] = "";
	int r = oversize_open(ticket, &m);
	/* A receiver that was killed had come as far as to remove the file. */
	if (r == -ENOENT && d->again)
		return 0;
	/* Whoever may send can send a ticket of nothing, which must not stop those who receive. */
	if (r == -ENOENT || r == -EBADMSG || r == -EPERM || r == -ELOOP) {
		drop(d, "the file of a spilled message is not there, or not ours", q, ticket->len);
		return 0;
	}
	if (r) {
		char fate[200];
		put_back(d, q, ticket, fate, sizeof(fate));
		warn("cannot read the file of a spilled message: %s: %s", strerror(-r), fate);
		return EXIT_IO;
	}
	r = write_one(d, q, &m);
	oversize_close(&m);
	if (r)
		return fail(d, q, ticket, r);
	memcpy(name, ticket->data, ticket->len);
	oversize_forget(name);
	return 0;
}

int deliver(struct delivery *d, struct sync_queue *q, const struct message *m)
{
	if (d->batch)
		return write_batch(d, q, m);
	if (d->spill && oversize_is_ticket(m))
		return write_spilled(d, q, m);
	int r = write_one(d, q, m);
	return r ? fail(d, q, m, r) : 0;
}
