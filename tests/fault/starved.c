/* SPDX-License-Identifier: MIT */
/*
 * A syncbox whose allocations fail, for tests/storm/run-fault: linked in the place of cmd/arena.c. $FAULT_ALLOC is
 * the number of the one that fails, counted from 1, and with a + behind it all later ones do. Then the file
 * $FAULT_HIT is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena.h"

#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static _Atomic unsigned long count;

void arena_begin(void *memory)
{
	(void)memory;
}

static bool fails(void)
{
	const char *which = getenv("FAULT_ALLOC");
	const char *hit = getenv("FAULT_HIT");
	char *end;
	unsigned long now = ++count;
	unsigned long wanted = which ? strtoul(which, &end, 10) : 0;
	if (!wanted || (now != wanted && !(*end == '+' && now > wanted)))
		return false;
	int fd = hit ? open(hit, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
	errno = ENOMEM;
	return true;
}

EXPORTED void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

EXPORTED void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

EXPORTED void *realloc(void *block, size_t size)
{
	return fails() ? NULL : __libc_realloc(block, size);
}

EXPORTED void free(void *block)
{
	__libc_free(block);
}
