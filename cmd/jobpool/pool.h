/* SPDX-License-Identifier: MIT */
/* A pool of job tokens: a pipe of our own, or a FIFO that others of the same name share. */
#ifndef CMD_JOBPOOL_POOL_H
#define CMD_JOBPOOL_POOL_H

#include <stdbool.h>

#include "libsync.h"

enum { POOL_FDS = 3 };

struct pool {
	/* set by the caller */
	unsigned asked,
		fallback; /* tokens in the whole; 0: take the fallback, or what the pool has */
	bool fifo;        /* tell of it as fifo:PATH, not as R,W */
	/* for the caller */
	unsigned size;
	struct sync_sem *sem;
	int fds[POOL_FDS]; /* what COMMAND must inherit, that the pool lives while it does */
	size_t fd_count;
	/* ours */
	int spare; /* our own description, never blocks: to look, and to take what is too much */
	char *path, *lock_path; /* NULL: a pipe */
	struct sync_lock *moment, *users;
};

/*
 * Make the pool, or join that of NAME, if it is not NULL. It says what went wrong, and exits.
 * VERBOSE: it says what happens.
 */
void pool_join(struct pool *p, const char *name, const struct timespec *deadline, bool verbose);

/* "--jobserver-auth=...", as a word of MAKEFLAGS; static. */
const char *pool_auth(const struct pool *p);

/*
 * Leave it; nothing of ours is taken any more. Who is last counts, tells of what is missing or too much, and
 * removes the files.
 */
void pool_leave(struct pool *p, bool verbose);

#endif
