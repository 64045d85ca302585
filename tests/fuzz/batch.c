/* SPDX-License-Identifier: MIT */
/* Batches: anything that comes from a queue may claim to be one. */
#include "../../cmd/mqpipe/batch.c"

#include "fuzz.h"

/* How many messages are in it; all of them lie in DATA, in order, and do not overlap. */
static unsigned long take_apart(const char *data, size_t size, bool *damaged)
{
	struct unbatch u;
	const char *m = NULL;
	size_t len = 0;
	unsigned long sum = 0;
	const char *at = data;
	int r;
	*damaged = true;
	if (!unbatch_begin(&u, data, size))
		return 0;
	unsigned long told = u.separated ? unbatch_count(&u) : 0;
	while ((r = unbatch_next(&u, &m, &len)) > 0) {
		MUST(m >= at && len <= (size_t)(data + size - m));
		at = m + len;
		sum++;
	}
	*damaged = r < 0;
	if (u.separated)
		MUST(!r && sum == told);
	return sum;
}

static void put_together(struct input *in, unsigned bits)
{
	struct frame_opts frame = {.kind = bits & 2 ? FRAME_SEPARATOR : FRAME_NETSTRING,
				   .separator = {(char)take_byte(in)},
				   .separator_len = 1};
	struct batch b = {0};
	struct unbatch u;
	struct input again;
	const char *m;
	size_t len;
	bool damaged;
	unsigned long n = 0;
	size_t room = BATCH_OVERHEAD + 1 + take_byte(in);
	if (batch_begin(&b, room, &frame))
		abort();
	MUST(batch_most(&b) > 0 && batch_most(&b) < room);
	again = *in;
	for (; left(in); n++) {
		char *s = take_string(in, take_byte(in));
		bool fits = strlen(s) <= batch_most(&b);
		bool added = !strchr(s, frame.separator[0]) && batch_add(&b, s, strlen(s), 3);
		MUST(b.len <= room);
		MUST(n || !fits || strchr(s, frame.separator[0]) || added);
		free(s);
		if (!added)
			break;
	}
	if (n) {
		MUST(b.messages == n && take_apart(b.buf, b.len, &damaged) == n && !damaged);
		MUST(unbatch_begin(&u, b.buf, b.len));
	}
	for (unsigned long i = 0; i < n; i++) {
		char *s = take_string(&again, take_byte(&again));
		MUST(unbatch_next(&u, &m, &len) == 1 && len == strlen(s) && !memcmp(m, s, len));
		free(s);
	}
	free(b.buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	bool damaged;
	unsigned bits = take_byte(&in);
	if (bits & 1)
		put_together(&in, bits);
	else
		take_apart((const char *)in.p, left(&in), &damaged);
	return 0;
}
