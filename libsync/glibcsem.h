/* SPDX-License-Identifier: MIT */
/*
 * The semaphore of glibc in memory that is shared, without glibc: its sem_t on 64-bit machines
 * (nptl/sem_waitcommon.c, sem_post.c; the same since 2.21).
 *
 *   u64 at 0   the value below, the number of waiters above: one word, so that a post knows whether
 *              it has somebody to wake
 *   u32 at 8   0x80: the futex is shared; 0 in a private one, and in all of musl's
 *
 * post: add 1; if there are waiters, FUTEX_WAKE one of them on the value.
 * wait: take 1 if there is one; else count as a waiter, and FUTEX_WAIT while the value is 0.
 *
 * A waiter that is killed stays counted for ever: each post then makes one system call too many.
 */
#ifndef LIBSYNC_GLIBCSEM_H
#define LIBSYNC_GLIBCSEM_H

#include <limits.h>
#include <stdatomic.h>

#include "internal.h"

#define GLIBCSEM_MAX INT_MAX
#define GLIBCSEM_SHARED 0x80

struct glibcsem {
	_Atomic uint64_t data;
	uint32_t shared;
	uint32_t unused[5];
};
_Static_assert(sizeof(struct glibcsem) == 32, "sizeof(sem_t)");

/* 32-bit glibc and the other byte order have it laid out in another way. */
static const bool glibcsem_known = sizeof(void *) == 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

/* Does it look like one? -EUCLEAN no. */
MUST_CHECK int sync_glibcsem_check(const struct glibcsem *s);

unsigned sync_glibcsem_value(const struct glibcsem *s);
unsigned sync_glibcsem_waiters(const struct glibcsem *s);

/* Take one; -EAGAIN there is none. */
MUST_CHECK int sync_glibcsem_take(struct glibcsem *s);

/* -EAGAIN there would be more than MAX, if that is not 0; -EOVERFLOW. Wakes nobody: wake() does. */
MUST_CHECK int sync_glibcsem_add(struct glibcsem *s, unsigned count, unsigned max);
void sync_glibcsem_wake(struct glibcsem *s, unsigned count);

/*
 * Between enter() and leave() sleep() may be called: until there may be a permit. 0, -ETIMEDOUT,
 * -EINTR, -EUCLEAN its memory is gone.
 */
void sync_glibcsem_enter(struct glibcsem *s);
MUST_CHECK int sync_glibcsem_sleep(struct glibcsem *s, const struct timespec *deadline);
void sync_glibcsem_leave(struct glibcsem *s);

#endif
