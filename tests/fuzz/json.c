/* SPDX-License-Identifier: MIT */
/* What we write as JSON is JSON whatever is in it, and what we take for JSON is. */
#include <errno.h>

#include "../../cmd/json.c"
#include "../../cmd/mqpipe/jsonline.c"

#include "fuzz.h"
#include "jsonscan.h"

static void written(const char *text)
{
	static char buf[1 << 16];
	size_t len = strlen(text);
	if (6 * len + 3 > sizeof(buf))
		return;
	FILE *f = fmemopen(buf, sizeof(buf), "w");
	if (!f)
		abort();
	json_write(f, text);
	long n = ftell(f);
	fclose(f);
	MUST(n >= 2 && scan_is_json(buf, (size_t)n) && buf[0] == '"');
	MUST(!memchr(buf, '\n', (size_t)n) && !memchr(buf, 0x1b, (size_t)n));
	struct jsonscan s = {(unsigned char *)buf, (unsigned char *)buf + n};
	unsigned char *out = fuzz_alloc((size_t)n);
	size_t got = 0;
	MUST(scan_string(&s, out, &got));
	if (scan_is_utf8(text, len))
		MUST(got == len && !memcmp(out, text, len));
	free(out);
}

/* A message, and what a line of it says, are the same. */
static void formatted(const char *data, size_t len, long number, const char *queue)
{
	struct message m = {data, len, number, false};
	struct jsonline j = {.number = -1};
	char *line = fuzz_alloc(JSONLINE_MAX(len, queue ? strlen(queue) : 0));
	size_t n = jsonline_format(line, &m, queue);
	MUST(n <= JSONLINE_MAX(len, queue ? strlen(queue) : 0) && line[n - 1] == '\n');
	MUST(!memchr(line, '\n', n - 1) && scan_is_json(line, n));
	char *exact = fuzz_alloc(n - 1);
	memcpy(exact, line, n - 1);
	char *out = fuzz_alloc(n - 1);
	MUST(jsonline_parse(&j, exact, n - 1, out));
	MUST(j.number == number && j.len == len && (!len || !memcmp(out, data, len)));
	free(exact);
	free(out);
	free(line);
}

static void parsed(const char *line, size_t n)
{
	struct jsonline j = {.number = 17};
	char *out = fuzz_alloc(n);
	if (!jsonline_parse(&j, line, n, out)) {
		MUST(j.why && j.wrong_at <= n);
	} else {
		MUST(j.len <= n && j.number >= 0 && scan_is_json(line, n));
		formatted(out, j.len, j.number, NULL);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	unsigned what = take_byte(&in);
	if (what % 3 == 0) {
		parsed((const char *)in.p, left(&in));
	} else if (what % 3 == 1) {
		char *s = take_string(&in, left(&in));
		written(s);
		free(s);
	} else {
		char *queue = what & 64 ? take_string(&in, 40) : NULL;
		long number = (long)(((uint64_t)take_u32(&in) << 32 | take_u32(&in)) & INT64_MAX);
		formatted((const char *)in.p, left(&in), number, queue);
		free(queue);
	}
	return 0;
}
