/* SPDX-License-Identifier: MIT */
/* Many small messages in one of the queue's; batch.h says how they lie in it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

static const char magic[] = {'\x89', 'm', 'q'};
#define MAGIC sizeof(magic)
#define LENGTH ((size_t)4) /* before each message */

/* The kind, and the separator. */
static size_t head(const struct batch *b)
{
	return MAGIC + (b->separated ? 2 : 1);
}

static size_t each(const struct batch *b)
{
	return b->separated ? 1 : LENGTH;
}

size_t batch_most(const struct batch *b)
{
	return b->room - head(b) - each(b);
}

int batch_begin(struct batch *b, size_t room, const struct frame_opts *frame)
{
	b->room = room;
	b->separated = frame->kind == FRAME_SEPARATOR && frame->separator_len == 1;
	b->separator = frame->separator[0];
	b->buf = malloc(room);
	return b->buf ? 0 : -ENOMEM;
}

static void start(struct batch *b, long number)
{
	memcpy(b->buf, magic, MAGIC);
	b->len = MAGIC;
	b->buf[b->len++] = b->separated ? 'S' : 'L';
	if (b->separated)
		b->buf[b->len++] = b->separator;
	b->number = number;
}

bool batch_add(struct batch *b, const char *data, size_t len, long number)
{
	if (!b->len)
		start(b, number);
	if (number != b->number || b->room - b->len < len + each(b))
		return false;
	char *p = b->buf + b->len;
	if (!b->separated)
		for (unsigned i = 0; i < LENGTH; i++)
			*p++ = (char)(len >> (24 - 8 * i));
	memcpy(p, data, len);
	if (b->separated)
		p[len] = b->separator;
	b->len += len + each(b);
	b->messages++;
	return true;
}

size_t batch_room(const struct batch *b)
{
	return b->room - (b->len ? b->len : head(b));
}

static unsigned long count(const char *p, size_t n, char byte)
{
	unsigned long sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += p[i] == byte;
	return sum;
}

void batch_add_many(struct batch *b, const char *data, size_t n)
{
	if (!b->len)
		start(b, b->number);
	memcpy(b->buf + b->len, data, n);
	b->len += n;
	b->messages += count(data, n, b->separator);
}

void batch_clear(struct batch *b)
{
	b->len = 0;
	b->messages = 0;
}

bool unbatch_begin(struct unbatch *u, const char *data, size_t len)
{
	if (len <= MAGIC || memcmp(data, magic, MAGIC) != 0)
		return false;
	u->p = data + MAGIC + 1;
	u->end = data + len;
	u->separated = data[MAGIC] == 'S';
	if (!u->separated)
		return data[MAGIC] == 'L';
	if (u->p == u->end)
		return false;
	u->separator = *u->p++;
	return u->p == u->end || u->end[-1] == u->separator;
}

unsigned long unbatch_count(const struct unbatch *u)
{
	return count(u->p, (size_t)(u->end - u->p), u->separator);
}

int unbatch_next(struct unbatch *u, const char **data, size_t *len)
{
	size_t left = (size_t)(u->end - u->p);
	if (!left)
		return 0;
	if (u->separated) {
		const char *at = memchr(u->p, u->separator, left);
		if (!at)
			return -1;
		*data = u->p;
		*len = (size_t)(at - u->p);
		u->p = at + 1;
		return 1;
	}
	if (left < LENGTH)
		return -1;
	uint32_t n = 0;
	for (unsigned i = 0; i < LENGTH; i++)
		n = n << 8 | (unsigned char)u->p[i];
	if (n > left - LENGTH)
		return -1;
	*data = u->p + LENGTH;
	*len = n;
	u->p += LENGTH + n;
	return 1;
}
