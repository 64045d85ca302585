/* SPDX-License-Identifier: MIT */
/*
 * Cutting a stream into messages. A buffer holds what was read and not used; a message is returned
 * where it lies. One that is too long never has to fit: its rest is passed on in pieces.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cut.h"
#include "jsonline.h"
#include "parse.h"

/* A test makes it small, to see what happens at the end of the buffer. */
#ifndef ROOM_LEAST
#define ROOM_LEAST ((size_t)64 * 1024)
#endif
#define JSON_LINE_MOST ((size_t)64 * 1024 * 1024)

enum { NEED_MORE = 2, OVER = 3, AGAIN = 4 };

int cut_begin(struct cut *c)
{
	/* A netstring's length and the number come on top. */
	c->room = c->limit + c->frame->separator_len + 2 * FRAME_NUMBER_MAX;
	if (c->room < ROOM_LEAST)
		c->room = ROOM_LEAST;
	if (!c->args)
		c->buf = malloc(c->room);
	return c->args || c->buf ? 0 : -ENOMEM;
}

/* A descriptor that shall not block is waited for. */
static bool wait_for_input(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

static ssize_t fill(struct cut *c)
{
	int r = c->before_read ? c->before_read(c->arg) : 0;
	if (r)
		return r;
	if (c->begin) {
		memmove(c->buf, c->buf + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	if (c->end == c->room) {
		size_t room = c->room < ROOM_LEAST ? ROOM_LEAST : 2 * c->room;
		char *larger = realloc(c->buf, room);
		if (!larger)
			return -ENOMEM;
		c->buf = larger;
		c->room = room;
	}
	ssize_t n;
	do
		n = read(c->fd, c->buf + c->end, c->room - c->end);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_input(c->fd))));
	c->read_failed = n < 0;
	if (n < 0)
		return -errno;
	c->end += (size_t)n;
	c->eof = n == 0;
	return n;
}

static void advance(struct cut *c, size_t n)
{
	c->begin += n;
	c->offset += n;
	c->scanned = 0;
}

static int wrong(struct cut *c, size_t at, const char *why)
{
	c->fault = c->offset + at;
	c->why = why;
	return -EBADMSG;
}

/* ---- one function for each kind; N bytes are at hand from P ---- */

/* The message is the LEN bytes from begin + AT; with its frame it takes USED. */
static int found(struct cut *c, struct message *m, size_t at, size_t len, size_t used)
{
	m->data = c->buf + c->begin + at;
	m->len = len;
	c->used = used;
	return 1;
}

static int over(struct cut *c, struct message *m, int how, size_t at, size_t len)
{
	m->data = c->buf + c->begin + at;
	m->len = len;
	c->rest.how = how;
	c->rest.at = at;
	c->rest.left = len;
	return OVER;
}

static const char *search(const struct frame_opts *f, const char *p, size_t n)
{
	return f->separator_len == 1 ? memchr(p, f->separator[0], n)
				     : memmem(p, n, f->separator, f->separator_len);
}

static int next_separated(struct cut *c, struct message *m)
{
	const char *p = c->buf + c->begin;
	size_t n = c->end - c->begin;
	size_t sep = c->frame->separator_len;
	const char *at = search(c->frame, p + c->scanned, n - c->scanned);
	if (at)
		return found(c, m, 0, (size_t)(at - p), (size_t)(at - p) + sep);
	if (c->eof)
		return n ? found(c, m, 0, n, n) : 0;
	if (n >= c->limit + FRAME_NUMBER_MAX + sep && n >= ROOM_LEAST)
		return over(c, m, REST_SEPARATOR, 0, n - sep); /* the rest may be of a separator */
	c->scanned = n < sep ? 0 : n - (sep - 1);
	return NEED_MORE;
}

static int next_raw(struct cut *c, struct message *m)
{
	size_t n = c->end - c->begin;
	if (c->over)
		return 0;
	if (n > c->limit + FRAME_NUMBER_MAX)
		return over(c, m, REST_ALL, 0, n);
	if (!c->eof)
		return NEED_MORE;
	c->over = true;
	return found(c, m, 0, n, n);
}

/* LEN bytes from begin + AT, and TAIL bytes behind them. */
static int next_counted(struct cut *c, struct message *m, size_t at, size_t len, size_t tail)
{
	size_t n = c->end - c->begin;
	if (n >= at + len + tail)
		return found(c, m, at, len, at + len + tail);
	/* As much as a message may have is at hand, for who wants to cut it off there. */
	if (len > c->limit + FRAME_NUMBER_MAX && n >= at + c->limit + FRAME_NUMBER_MAX)
		return over(c, m, REST_LENGTH, at, len);
	return NEED_MORE;
}

static int next_fixed(struct cut *c, struct message *m)
{
	size_t n = c->end - c->begin;
	if (c->eof && n < c->frame->record)
		return n ? found(c, m, 0, n, n) : 0;
	return next_counted(c, m, 0, c->frame->record, 0);
}

static int next_netstring(struct cut *c, struct message *m)
{
	const char *p = c->buf + c->begin;
	size_t n = c->end - c->begin;
	size_t digits = 0;
	size_t len = 0;
	if (!n && c->eof)
		return 0;
	while (digits < n && p[digits] >= '0' && p[digits] <= '9') {
		if ((digits && p[0] == '0') || digits == 18)
			return wrong(c, 0, "expected a length, as in 5:hello,");
		len = len * 10 + (size_t)(p[digits++] - '0');
	}
	if (digits < n && (!digits || p[digits] != ':'))
		return wrong(c, digits, "expected a length and a colon, as in 5:hello,");
	int r = digits < n ? next_counted(c, m, digits + 1, len, 1) : NEED_MORE;
	if (r == NEED_MORE && c->eof)
		return wrong(c, n, "the input ends inside a message");
	if (r == 1 && m->data[len] != ',')
		return wrong(c, digits + 1 + len,
			     "expected a comma behind a message, as in 5:hello,");
	return r;
}

static int make_text_room(struct cut *c, size_t size)
{
	if (size <= c->text_room)
		return 0;
	char *larger = realloc(c->text, size);
	if (!larger)
		return -ENOMEM;
	c->text = larger;
	c->text_room = size;
	return 0;
}

static bool is_blank(const char *p, size_t n)
{
	while (n && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++, n--;
	return !n;
}

static int next_json(struct cut *c, struct message *m)
{
	const char *p = c->buf + c->begin;
	size_t n = c->end - c->begin;
	const char *newline = memchr(p + c->scanned, '\n', n - c->scanned);
	size_t len = newline ? (size_t)(newline - p) : n;
	if (!newline && !c->eof) {
		c->scanned = n;
		return n > JSON_LINE_MOST ? wrong(c, 0, "a line of more than 64 MiB") : NEED_MORE;
	}
	if (!len && !newline)
		return 0;
	c->used = len + (newline != NULL);
	if (is_blank(p, len))
		return AGAIN;
	struct jsonline j = {.number = c->number};
	if (make_text_room(c, len))
		return -ENOMEM;
	if (!jsonline_parse(&j, p, len, c->text))
		return wrong(c, j.wrong_at, j.why);
	m->data = c->text;
	m->len = j.len;
	m->number = j.number;
	return 1;
}

static int next_argument(struct cut *c, struct message *m)
{
	if (!*c->args)
		return 0;
	m->data = *c->args++;
	m->len = strlen(m->data);
	return 1;
}

static int next_of_kind(struct cut *c, struct message *m)
{
	if (c->args)
		return next_argument(c, m);
	switch (c->frame->kind) {
	case FRAME_RAW:
		return next_raw(c, m);
	case FRAME_FIXED:
		return next_fixed(c, m);
	case FRAME_NETSTRING:
		return next_netstring(c, m);
	case FRAME_JSON:
		return next_json(c, m);
	case FRAME_SEPARATOR:
	default:
		return next_separated(c, m);
	}
}

/* ---- */

/* "5<TAB>" before the message. */
static int take_number(struct cut *c, struct message *m)
{
	char digits[FRAME_NUMBER_MAX];
	uint64_t n;
	size_t most = m->len < sizeof(digits) ? m->len : sizeof(digits);
	const char *tab = memchr(m->data, '\t', most);
	size_t len = tab ? (size_t)(tab - m->data) : 0;
	memcpy(digits, m->data, len);
	digits[len < sizeof(digits) ? len : 0] = '\0';
	/* A NUL would end it too early. */
	if (!tab || strlen(digits) != len || !parse_count(digits, INT64_MAX, &n))
		return wrong(c, 0, "expected a priority (or type) and a tab before each message");
	m->number = (long)n;
	m->data += len + 1;
	m->len -= len + 1;
	c->rest.at += len + 1;
	return 0;
}

int cut_next(struct cut *c, struct message *m, bool *at_least)
{
	int r;
	for (;;) {
		advance(c, c->used);
		c->used = 0;
		m->number = c->number;
		for (r = next_of_kind(c, m); r == NEED_MORE; r = next_of_kind(c, m)) {
			ssize_t n = fill(c);
			if (n < 0)
				return (int)n;
		}
		if (r != AGAIN)
			break;
	}
	if (r <= 0)
		return r;
	if (r != OVER)
		c->rest.how = REST_HERE;
	*at_least = r == OVER && (c->rest.how != REST_LENGTH || c->frame->kind == FRAME_FIXED);
	if (r == OVER && c->frame->kind == FRAME_FIXED)
		m->len = c->end - c->begin; /* what we have seen of it */
	int bad = c->frame->numbered ? take_number(c, m) : 0;
	if (bad)
		return bad;
	if (r != OVER && m->len <= c->limit)
		return 1;
	c->rest.here = m->data;
	/* Of a record m->len is what we have seen, but the whole of it is to go. */
	if (r != OVER || c->frame->kind != FRAME_FIXED)
		c->rest.left = m->len;
	return -EMSGSIZE;
}

size_t cut_many(struct cut *c, size_t room, const char **data)
{
	advance(c, c->used);
	c->used = 0;
	size_t n = c->end - c->begin;
	if (n > room)
		n = room;
	const char *p = c->buf + c->begin;
	const char *last = n ? memrchr(p, c->frame->separator[0], n) : NULL;
	if (!last)
		return 0;
	*data = p;
	c->used = (size_t)(last - p) + 1;
	return c->used;
}

/* ---- the rest of a long one ---- */

static int put(int fd, const char *p, size_t n)
{
	while (n && fd >= 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

/* How many bytes at hand belong to it; *ends: no more will come. */
static size_t at_hand(struct cut *c, size_t *tail)
{
	const char *p = c->buf + c->begin;
	size_t n = c->end - c->begin;
	const char *at;
	*tail = SIZE_MAX;
	switch (c->rest.how) {
	case REST_LENGTH:
		if (n >= c->rest.left || (c->eof && c->frame->kind == FRAME_FIXED))
			*tail = 0; /* the last record may be shorter */
		return n < c->rest.left ? n : c->rest.left;
	case REST_SEPARATOR:
		at = search(c->frame, p, n);
		if (at) {
			*tail = c->frame->separator_len;
			return (size_t)(at - p);
		}
		if (c->eof)
			*tail = 0;
		/* Its last bytes may be the first of a separator. */
		return c->eof                        ? n
		       : n < c->frame->separator_len ? 0
						     : n - c->frame->separator_len + 1;
	case REST_ALL:
	case REST_HERE:
	default:
		if (c->eof)
			*tail = 0;
		return n;
	}
}

static int end_counted(struct cut *c)
{
	if (c->frame->kind != FRAME_NETSTRING)
		return 0;
	while (c->begin == c->end && !c->eof) {
		ssize_t n = fill(c);
		if (n < 0)
			return (int)n;
	}
	if (c->begin == c->end || c->buf[c->begin] != ',')
		return wrong(c, 0, "expected a comma behind a message, as in 5:hello,");
	advance(c, 1);
	return 0;
}

ssize_t cut_rest(struct cut *c, int fd)
{
	size_t sum = 0;
	size_t tail;
	if (c->rest.how == REST_HERE) {
		int r = put(fd, c->rest.here, c->rest.left);
		return r ? r : (ssize_t)c->rest.left;
	}
	advance(c, c->rest.at);
	for (;;) {
		size_t n = at_hand(c, &tail);
		int r = put(fd, c->buf + c->begin, n);
		if (r)
			return r;
		sum += n;
		c->rest.left -= n;
		advance(c, n);
		if (tail != SIZE_MAX)
			break;
		if (c->eof)
			return wrong(c, 0, "the input ends inside a message");
		ssize_t got = fill(c);
		if (got < 0)
			return got;
	}
	advance(c, tail);
	c->over = c->rest.how == REST_ALL;
	int r = c->rest.how == REST_LENGTH ? end_counted(c) : 0;
	return r ? r : (ssize_t)sum;
}

void cut_unread(const struct cut *c, uint64_t offset)
{
	if (c->args)
		return;
	off_t here = lseek(c->fd, 0, SEEK_CUR);
	off_t back = (off_t)(c->offset - offset + (c->end - c->begin));
	if (here >= back)
		lseek(c->fd, -back, SEEK_CUR);
}
