/* SPDX-License-Identifier: MIT */
/* What is in a block: its number, and behind that bytes that follow from it. */
#ifndef CMD_IPCBENCH_BLOCK_H
#define CMD_IPCBENCH_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How much of the number a block of SIZE bytes holds. */
static inline size_t block_number_bytes(size_t size)
{
	return size < sizeof(uint64_t) ? size : sizeof(uint64_t);
}

/* The number alone, as timed blocks have it. The usual case has a length the compiler knows. */
static inline void block_set_number(char *block, size_t size, uint64_t number)
{
	if (size >= sizeof(number))
		memcpy(block, &number, sizeof(number));
	else
		memcpy(block, &number, size);
}

/* The number that is in the block. */
static inline uint64_t block_number(const char *block, size_t size)
{
	uint64_t n = 0;
	if (size >= sizeof(n))
		memcpy(&n, block, sizeof(n));
	else
		memcpy(&n, block, size);
	return n;
}

/* NUMBER as far as a block of SIZE can hold it. */
static inline uint64_t block_number_in(size_t size, uint64_t number)
{
	return size < sizeof(number) ? number & ((UINT64_C(1) << 8 * size) - 1) : number;
}

/* All of it: each byte follows from the number and its place. */
void block_fill(char *block, size_t size, uint64_t number);
/* The place of the first byte that is not as block_fill() has made it; SIZE if there is none. */
size_t block_first_wrong(const char *block, size_t size, uint64_t number);

#endif
