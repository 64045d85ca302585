/* SPDX-License-Identifier: MIT */
/* A thread that blocks in one system call for us, and can be called back from it. */
#ifndef LIBSYNC_BLOCKED_H
#define LIBSYNC_BLOCKED_H

#include <pthread.h>
#include <stdatomic.h>

#include "internal.h"

struct sync_blocked {
	int (*call)(void *arg);   /* blocks; -EINTR when a signal ends it */
	void (*after)(void *arg); /* then, unless it was called back */
	void *arg;
	/* ours */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t told;
	enum { SYNC_BLOCKED_NEW, SYNC_BLOCKED_READY, SYNC_BLOCKED_OVER } state; /* under lock */
	int error;                                                              /* why it is over */
	atomic_bool stop;
	struct sync_alarm alarm;
};

/* 0 or -errno: then there is no thread. CALL, AFTER and ARG are set; B stays where it is. */
MUST_CHECK int sync_blocked_start(struct sync_blocked *b);
/* Call it back, if it still blocks. Of many, call all back before the first is joined. */
void sync_blocked_call_back(struct sync_blocked *b);
/* Call it back, and join it. */
void sync_blocked_stop(struct sync_blocked *b);

#endif
