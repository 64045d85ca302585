/* SPDX-License-Identifier: MIT */
/* What is in a block that is checked whole. */
#include "block.h"

enum { WORD = sizeof(uint64_t) };

/* Neighbours in place and in number differ in many bits, and a compiler can do several at once. */
static inline uint64_t word_of(uint64_t number, size_t at)
{
	uint64_t x =
		(number + 1) * UINT64_C(0x9e3779b97f4a7c15) + at * UINT64_C(0xd1342543de82ef95);
	return x ^ x >> 29;
}

void block_fill(char *block, size_t size, uint64_t number)
{
	size_t at = block_number_bytes(size);
	block_set_number(block, size, number);
	for (; size - at >= WORD; at += WORD) {
		uint64_t w = word_of(number, at);
		memcpy(block + at, &w, WORD);
	}
	uint64_t last = word_of(number, at);
	memcpy(block + at, &last, size - at);
}

static size_t first_difference(const char *a, const char *b, size_t n)
{
	size_t i = 0;
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

size_t block_first_wrong(const char *block, size_t size, uint64_t number)
{
	size_t at = block_number_bytes(size);
	size_t same = first_difference(block, (const char *)&number, at);
	if (same < at)
		return same;
	while (at < size) {
		size_t n = size - at < WORD ? size - at : WORD;
		uint64_t w = word_of(number, at);
		if (memcmp(block + at, &w, n) != 0)
			return at + first_difference(block + at, (const char *)&w, n);
		at += n;
	}
	return size;
}
