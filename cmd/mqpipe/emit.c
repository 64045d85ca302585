/* SPDX-License-Identifier: MIT */
/* Messages to a stream. Nothing is held back: a message that was taken is written before the next is. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emit.h"
#include "jsonline.h"
#include "stop.h"

/* A descriptor that shall not block, as some terminals' are, is waited for. */
static int wait_for_room(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	return poll(&p, 1, -1) < 0 ? -errno : 0;
}

static int put(struct emit *e, struct iovec *v, int n)
{
	while (n) {
		ssize_t done = n == 1 ? write(e->fd, v->iov_base, v->iov_len) : writev(e->fd, v, n);
		int r = done < 0 ? -errno : 0;
		if (r == -EAGAIN)
			r = wait_for_room(e->fd);
		if (r == -EINTR && (!stop_wanted() || e->partly))
			r = 0; /* a message is written whole, or not at all */
		if (r)
			return r;
		if (done < 0)
			continue;
		e->partly += (size_t)done;
		for (; n && (size_t)done >= v->iov_len; v++, n--)
			done -= (ssize_t)v->iov_len;
		if (n) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int emit_bytes(struct emit *e, const char *data, size_t n)
{
	ssize_t done = write(e->fd, data, n);
	if (done == (ssize_t)n)
		return 0;
	e->partly = done > 0 ? (size_t)done : 0;
	struct iovec v = {(char *)data + e->partly, n - e->partly};
	return put(e, &v, 1);
}

static int emit_json(struct emit *e, const struct message *m, const char *queue)
{
	size_t need = JSONLINE_MAX(m->len, queue ? strlen(queue) : 0);
	if (need > e->line_room) {
		char *line = realloc(e->line, need);
		if (!line)
			return -ENOMEM;
		e->line = line;
		e->line_room = need;
	}
	return emit_bytes(e, e->line, jsonline_format(e->line, m, queue));
}

int emit_message(struct emit *e, const struct message *m, const char *queue)
{
	const struct frame_opts *f = e->frame;
	char head[3 * FRAME_NUMBER_MAX];
	char number[FRAME_NUMBER_MAX];
	int number_len = 0;
	int head_len = 0;
	e->partly = 0;
	if (f->kind == FRAME_SEPARATOR && f->separator_len == 1 && m->roomy && !f->numbered) {
		((char *)m->data)[m->len] = f->separator[0]; /* the common case, and the cheapest */
		return emit_bytes(e, m->data, m->len + 1);
	}
	if (f->kind == FRAME_JSON)
		return emit_json(e, m, e->names ? queue : NULL);
	if (f->kind == FRAME_FIXED) {
		if (m->len > f->record || e->after_short)
			return -EMSGSIZE;
		e->after_short = m->len < f->record;
	}
	if (f->numbered)
		number_len = snprintf(number, sizeof(number), "%ld\t", m->number);
	if (f->kind == FRAME_NETSTRING)
		head_len = snprintf(head, sizeof(head), "%zu:", m->len + (size_t)number_len);
	memcpy(head + head_len, number, (size_t)number_len);
	head_len += number_len;

	const char *tail = f->kind == FRAME_NETSTRING ? "," : f->separator;
	size_t tail_len = f->kind == FRAME_NETSTRING   ? 1
			  : f->kind == FRAME_SEPARATOR ? f->separator_len
						       : 0;
	struct iovec v[3];
	int n = 0;
	if (head_len)
		v[n++] = (struct iovec){head, (size_t)head_len};
	if (m->len)
		v[n++] = (struct iovec){(char *)m->data, m->len};
	if (tail_len)
		v[n++] = (struct iovec){(char *)tail, tail_len};
	return put(e, v, n);
}

bool emit_is_unread(const struct emit *e)
{
	struct pollfd p = {.fd = e->fd};
	return poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLHUP);
}
