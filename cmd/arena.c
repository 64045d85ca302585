/* SPDX-License-Identifier: MIT */
/*
 * The first few kilobytes that are allocated lie in main's frame, on pages of the stack that the dynamic linker has
 * used: the libc's allocator, whose own start costs six system calls and three page faults (musl; with
 * glibc three and one), is not woken by a command that only takes a lock and execs. What is more, the
 * libc allocates as ever.
 *
 * Both libcs let a program define malloc(3) and its kin, and export their own under the names below. Under a
 * sanitizer, which does so itself, this file is empty.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ARENA_OFF
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ARENA_OFF
#endif

#ifndef ARENA_OFF

/* For the shared libc as well: its argp allocates. */
#define EXPORTED __attribute__((visibility("default")))

#define ALIGN ARENA_ALIGN

/* A block is preceded by its size. What is freed is not used again: the arena only serves a start. */
static unsigned char *arena;
static _Atomic size_t used = ARENA;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

void arena_begin(void *memory)
{
	arena = memory;
	used = 0;
}

static bool ours(const void *block)
{
	return arena && (uintptr_t)block - (uintptr_t)arena < ARENA;
}

/* NULL: the libc's turn. */
static void *take(size_t size)
{
	if (size > ARENA)
		return NULL;
	size_t room = ALIGN + (size + ALIGN - 1) / ALIGN * ALIGN;
	size_t begin = atomic_load_explicit(&used, memory_order_relaxed);
	do {
		if (room > ARENA - begin)
			return NULL;
	} while (!atomic_compare_exchange_weak(&used, &begin, begin + room));
	memcpy(arena + begin, &size, sizeof(size));
	return arena + begin + ALIGN;
}

static void *allocate(size_t size)
{
	void *block = take(size);
	return block ? block : __libc_malloc(size);
}

EXPORTED void *malloc(size_t size)
{
	return allocate(size);
}

EXPORTED void *calloc(size_t n, size_t size)
{
	size_t all;
	void *block = __builtin_mul_overflow(n, size, &all) ? NULL : take(all);
	return block ? memset(block, 0, all) : __libc_calloc(n, size);
}

EXPORTED void free(void *block)
{
	if (!ours(block))
		__libc_free(block);
}

EXPORTED void *realloc(void *block, size_t size)
{
	if (!block)
		return allocate(size);
	if (!ours(block))
		return __libc_realloc(block, size);
	size_t before;
	memcpy(&before, (unsigned char *)block - ALIGN, sizeof(before));
	if (size <= before)
		return block;
	void *larger = allocate(size);
	return larger ? memcpy(larger, block, before) : NULL;
}

#else

void arena_begin(void *memory)
{
	(void)memory;
}

#endif
