/* SPDX-License-Identifier: MIT */
/*
 * For the harnesses, one for each parser: LLVMFuzzerTestOneInput() is called with bytes of any kind, and aborts if
 * what came of them is not what the parser promises. An engine (libFuzzer, with FUZZ_ENGINE defined) finds bytes
 * that lead to new code; without one the program has a main() that goes through files and changes them a little, always
 * in the same way (replay.h). What was found once is kept in corpus/NAME.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))

__attribute__((noreturn, cold)) static inline void fuzz_failed(const char *file, int line,
							       const char *condition)
{
	fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, condition);
	abort();
}

/* The input, taken piece by piece; at its end there are zeros. */
struct input {
	const uint8_t *p, *end;
};

static inline size_t left(const struct input *in)
{
	return (size_t)(in->end - in->p);
}

static inline unsigned take_byte(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

static inline uint32_t take_u32(struct input *in)
{
	uint32_t n = 0;
	for (int i = 0; i < 4; i++)
		n = n << 8 | take_byte(in);
	return n;
}

/* Memory of exactly that size: what reads or writes beside it is seen by the sanitizer. */
static inline void *fuzz_alloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		abort();
	return p;
}

/* N bytes, or what is left, as a string that ends where the first NUL is; to be freed. */
static inline char *take_string(struct input *in, size_t n)
{
	size_t len = left(in) < n ? left(in) : n;
	const void *nul = len ? memchr(in->p, 0, len) : NULL;
	size_t used = nul ? (size_t)((const uint8_t *)nul - in->p) : len;
	char *s = fuzz_alloc(used + 1);
	if (used)
		memcpy(s, in->p, used);
	s[used] = '\0';
	in->p += nul ? used + 1 : used;
	return s;
}

#ifndef FUZZ_ENGINE
#include "replay.h"
#endif

#endif
