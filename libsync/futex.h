/* SPDX-License-Identifier: MIT */
/* futex(2), shared between processes. musl brings no <linux/futex.h>, so its numbers are here. */
#ifndef LIBSYNC_FUTEX_H
#define LIBSYNC_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Sleep while the word is VALUE, until the absolute CLOCK_MONOTONIC time, if any.
 * 0 woken; -EAGAIN it is not VALUE; -ETIMEDOUT, -EINTR; -EFAULT its page is gone.
 */
static inline int sync_futex_wait(void *word, uint32_t value, const struct timespec *deadline)
{
	enum { WAIT_BITSET = 9 }; /* the one whose time is absolute */
	return syscall(SYS_futex, word, WAIT_BITSET, value, deadline, NULL, ~0U) ? -errno : 0;
}

static inline void sync_futex_wake(void *word, unsigned count)
{
	enum { WAKE = 1 };
	syscall(SYS_futex, word, WAKE, count < INT_MAX ? count : INT_MAX, NULL, NULL, 0);
}

#endif
