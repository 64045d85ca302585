/* SPDX-License-Identifier: MIT */
/*
 * Streams cut into messages. A model that has the whole input at hand, and no limits, says what the messages are; the
 * product reads through a buffer that is too small, in pieces of odd sizes. Then the messages are written again.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz.h"

/* The system calls of the product: what it reads is the input, in pieces; what it writes is kept. */
static struct input stream;
static uint32_t pieces;
static struct {
	char *data;
	size_t len, room;
} written;

static size_t piece(size_t most)
{
	pieces = pieces * 1664525 + 1013904223;
	size_t n = 1 + (pieces >> 24) % 61;
	return n < most ? n : most;
}

static ssize_t fuzz_read(int fd, void *buf, size_t size)
{
	(void)fd;
	MUST(size);
	size_t n = left(&stream) ? piece(left(&stream) < size ? left(&stream) : size) : 0;
	memcpy(buf, stream.p, n);
	stream.p += n;
	return (ssize_t)n;
}

static ssize_t fuzz_write(int fd, const void *data, size_t size)
{
	(void)fd;
	size_t n = size ? piece(size) : 0;
	if (written.len + n > written.room) {
		written.room = 2 * (written.len + n);
		written.data = realloc(written.data, written.room);
		if (!written.data)
			abort();
	}
	if (n)
		memcpy(written.data + written.len, data, n);
	written.len += n;
	return (ssize_t)n;
}

static ssize_t fuzz_writev(int fd, const struct iovec *v, int n)
{
	while (n && !v->iov_len)
		v++, n--;
	return n ? fuzz_write(fd, v->iov_base, v->iov_len) : 0;
}

static int fuzz_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	(void)fds;
	(void)timeout;
	return (int)n;
}

static off_t fuzz_lseek(int fd, off_t offset, int whence)
{
	(void)fd;
	(void)whence;
	return offset;
}

#define ROOM_LEAST ((size_t)64)
#define read fuzz_read
#define write fuzz_write
#define writev fuzz_writev
#define poll fuzz_poll
#define lseek fuzz_lseek
#define put cut_put
#include "../../cmd/mqpipe/cut.c"
#undef put
#include "../../cmd/mqpipe/emit.c"
#define wrong json_wrong
#define is_blank json_is_blank
#define string json_parse_string
#include "../../cmd/json.c"
#include "../../cmd/mqpipe/jsonline.c"
#include "../../cmd/parse.c"

bool stop_wanted(void)
{
	return false;
}

/* ---- what the messages are ---- */

enum what { MESSAGE, NO_MORE, DAMAGED };

struct model {
	const struct frame_opts *frame;
	const char *p, *end;
	bool began;
	size_t at; /* where the message begins, in DATA */
	const char *data;
	size_t len;
	long number;
};

/* The number in front; false if there is none. */
static bool model_number(struct model *m)
{
	uint64_t n = 0;
	size_t i = 0;
	for (; i < m->len && m->data[i] >= '0' && m->data[i] <= '9'; i++) {
		unsigned digit = (unsigned)(m->data[i] - '0');
		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (!i || i == m->len || m->data[i] != '\t' || i >= FRAME_NUMBER_MAX)
		return false;
	m->number = (long)n;
	m->data += i + 1;
	m->len -= i + 1;
	return true;
}

static enum what model_take(struct model *m)
{
	size_t n = (size_t)(m->end - m->p);
	const struct frame_opts *f = m->frame;
	size_t used = n;
	m->data = m->p;
	m->len = n;
	if (f->kind == FRAME_RAW) {
		if (m->began)
			return NO_MORE;
	} else if (!n) {
		return NO_MORE;
	} else if (f->kind == FRAME_FIXED) {
		used = m->len = n < f->record ? n : f->record;
	} else if (f->kind == FRAME_SEPARATOR) {
		const char *at = memmem(m->p, n, f->separator, f->separator_len);
		m->len = at ? (size_t)(at - m->p) : n;
		used = at ? m->len + f->separator_len : n;
	} else {
		size_t digits = 0;
		unsigned __int128 len = 0;
		while (digits < n && digits < 30 && m->p[digits] >= '0' && m->p[digits] <= '9')
			len = len * 10 + (unsigned)(m->p[digits++] - '0');
		if (!digits || digits > 18 || (digits > 1 && m->p[0] == '0'))
			return DAMAGED;
		if (digits == n || m->p[digits] != ':' || len > n - digits - 1)
			return DAMAGED;
		m->data = m->p + digits + 1;
		m->len = (size_t)len;
		used = digits + 1 + m->len + 1;
		if (used > n || m->data[m->len] != ',')
			return DAMAGED;
	}
	m->began = true;
	m->p += used;
	return f->numbered && !model_number(m) ? DAMAGED : MESSAGE;
}

/* ---- the two side by side ---- */

static void same(const struct model *model, const struct message *m, const struct cut *c)
{
	MUST(m->len == model->len && (!m->len || !memcmp(m->data, model->data, m->len)));
	MUST(m->number == (model->frame->numbered ? model->number : c->number));
}

/* It is too long: what is at hand of it, and the rest, wanted or not. */
static bool too_long(struct cut *c, const struct model *model, enum what what,
		     const struct message *m, bool keep)
{
	if (what == MESSAGE) {
		MUST(model->len > c->limit && !memcmp(m->data, model->data, c->limit));
		MUST(m->len <= model->len);
	}
	written.len = 0;
	ssize_t n = cut_rest(c, keep ? 1 : -1);
	if (what == DAMAGED) {
		MUST(n == -EBADMSG && c->why);
		return false;
	}
	MUST(n == (ssize_t)model->len && written.len == (keep ? model->len : 0));
	MUST(!keep || !memcmp(written.data, model->data, model->len));
	return true;
}

/* Whole messages at once, no check of their lengths. */
static void several(struct cut *c, struct model *model, size_t room)
{
	const char *data;
	size_t n = cut_many(c, room, &data);
	MUST(n <= room);
	for (size_t at = 0; at < n;) {
		MUST(model_take(model) == MESSAGE && at + model->len + 1 <= n);
		MUST(!memcmp(data + at, model->data, model->len));
		at += model->len + 1;
		MUST(data[at - 1] == model->frame->separator[0]);
	}
}

static void compare(struct cut *c, struct model *model)
{
	struct message m;
	bool at_least;
	for (;;) {
		pieces = pieces * 1664525 + 1013904223;
		if (model->frame->kind == FRAME_SEPARATOR && model->frame->separator_len == 1 &&
		    !model->frame->numbered && pieces >> 30 == 1)
			several(c, model, pieces >> 20 & 127);
		int r = cut_next(c, &m, &at_least);
		enum what what = model_take(model);
		if (r == -EMSGSIZE) {
			MUST(what != NO_MORE);
			if (!too_long(c, model, what, &m, pieces >> 31))
				return;
			continue;
		}
		MUST(r == (what == MESSAGE ? 1 : what == NO_MORE ? 0 : -EBADMSG));
		if (r <= 0) {
			MUST(!r || c->why);
			return;
		}
		MUST(m.len <= c->limit);
		same(model, &m, c);
	}
}

static void cut_up(const struct frame_opts *frame, size_t limit, struct input *in)
{
	struct cut c = {.frame = frame, .limit = limit, .number = 3, .fd = 0};
	struct model model = {
		.frame = frame, .p = (const char *)in->p, .end = (const char *)in->end};
	stream = *in;
	if (cut_begin(&c))
		abort();
	if (frame->kind != FRAME_JSON) {
		compare(&c, &model);
	} else {
		struct message m;
		bool at_least;
		int r;
		while ((r = cut_next(&c, &m, &at_least)) == 1 || r == -EMSGSIZE)
			MUST((m.len > limit) == (r == -EMSGSIZE) && m.number >= 0);
		MUST(r == 0 || (r == -EBADMSG && c.why && c.fault <= left(in)));
	}
	free(c.buf);
	free(c.text);
}

/* ---- there and back ---- */

/* A message that this framing can say. */
static bool can_say(const struct frame_opts *f, const char *s, size_t len, bool first)
{
	if (f->kind == FRAME_RAW)
		return first;
	if (f->kind == FRAME_FIXED)
		return len == f->record;
	if (f->kind != FRAME_SEPARATOR)
		return true;
	/* Its end and the separator might be taken for an earlier one. */
	size_t sep = f->separator_len;
	char *both = fuzz_alloc(len + sep + 24);
	int n = f->numbered ? 2 : 0;
	memcpy(both, "7\t", 2);
	memcpy(both + n, s, len);
	memcpy(both + n + len, f->separator, sep);
	bool good = memmem(both, (size_t)n + len + sep, f->separator, sep) == both + n + len;
	free(both);
	return good;
}

static void there_and_back(const struct frame_opts *frame, struct input *in)
{
	struct emit e = {.frame = frame, .fd = 1};
	struct cut c = {.frame = frame, .limit = 4096, .number = 7, .fd = 0};
	struct input again = *in;
	struct message m;
	bool at_least;
	bool first = true;
	static const uint8_t data[1];
	written.len = 0;
	while (left(in)) {
		size_t len = take_byte(in) % 32;
		len = len < left(in) ? len : left(in);
		m = (struct message){(const char *)in->p, len, 7, false};
		in->p += len;
		if (!can_say(frame, m.data, len, first))
			continue;
		first = false;
		MUST(!emit_message(&e, &m, NULL));
	}
	free(e.line);
	if (first)
		return;
	stream = (struct input){data, data};
	if (written.len)
		stream.end = (stream.p = (uint8_t *)written.data) + written.len;
	if (cut_begin(&c))
		abort();
	first = true;
	while (left(&again)) {
		size_t len = take_byte(&again) % 32;
		len = len < left(&again) ? len : left(&again);
		const char *s = (const char *)again.p;
		again.p += len;
		if (!can_say(frame, s, len, first))
			continue;
		first = false;
		MUST(cut_next(&c, &m, &at_least) == 1);
		MUST(m.len == len && !memcmp(m.data, s, len) && m.number == 7);
	}
	MUST(cut_next(&c, &m, &at_least) == 0);
	free(c.buf);
	free(c.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	unsigned bits = take_byte(&in);
	size_t limit = 1 + take_byte(&in) % 96;
	struct frame_opts frame = {.kind = bits % 5, .separator_len = 1};
	pieces = take_byte(&in);
	if (frame.kind == FRAME_FIXED)
		frame.record = 1 + take_byte(&in);
	if (frame.kind == FRAME_SEPARATOR) {
		frame.separator_len = 1 + (bits >> 5 & 3);
		for (size_t i = 0; i < frame.separator_len; i++)
			frame.separator[i] = (char)take_byte(&in);
	}
	frame.numbered = bits & 8 && frame.kind != FRAME_FIXED && frame.kind != FRAME_JSON;
	if (bits & 16)
		there_and_back(&frame, &in);
	else
		cut_up(&frame, limit, &in);
	free(written.data);
	memset(&written, 0, sizeof(written));
	return 0;
}
