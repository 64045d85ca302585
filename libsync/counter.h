/* SPDX-License-Identifier: MIT */
/* The counter of an event, an eventfd: add, take and look, and never block unless that is asked for. */
#ifndef LIBSYNC_COUNTER_H
#define LIBSYNC_COUNTER_H

#include "internal.h"

#define SYNC_COUNTER_MAX (UINT64_MAX - 1)
#define SYNC_NOT_NOW 1 /* it would have to block */

enum {
	SYNC_COUNTER_SEMAPHORE = 1 << 0,
	SYNC_COUNTER_NONBLOCK = 1 << 1, /* for whoever shares it, too */
};

/* A descriptor, close-on-exec and numbered 10 or above. */
MUST_CHECK int sync_counter_new(uint64_t initial, unsigned flags);

struct sync_counter {
	uint64_t value;
	int semaphore; /* 1, 0; -1 not known */
	int id;        /* -1 not known */
};
/* Is it one? 0; -EBADF not open; -EMEDIUMTYPE no eventfd; -EOPNOTSUPP no /proc. */
MUST_CHECK int sync_counter_check(int fd);
/* The same, and what is in it; several times as dear. */
MUST_CHECK int sync_counter_look(int fd, struct sync_counter *out);

/* All of it, or 1 in semaphore mode; SYNC_NOT_NOW. */
MUST_CHECK int sync_counter_take(int fd, uint64_t *value);
/* SYNC_NOT_NOW: there is no room for N. */
MUST_CHECK int sync_counter_add(int fd, uint64_t n);
/* The same, but SYNC_NOT_NOW only if the description does not block. -EINTR. */
MUST_CHECK int sync_counter_add_blocking(int fd, uint64_t n);
bool sync_counter_is_set(int fd);

#endif
