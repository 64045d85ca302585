/* SPDX-License-Identifier: MIT */
/* Mutexes of POSIX threads that processes share. */
#include <pthread.h>

#include "turns.h"

static int open_mutexes(struct channel *c)
{
	pthread_mutexattr_t attr;
	if (share_memory(c, 2 * sizeof(pthread_mutex_t)))
		return -1;
	pthread_mutex_t *m = c->mem;
	pthread_mutexattr_init(&attr);
	if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED))
		return refuse(c, "this libc has no mutexes that processes share");
	for (int i = 0; i < 2; i++)
		pthread_mutex_init(&m[i], &attr);
	return 0;
}

static int take(struct channel *c, int i)
{
	return -pthread_mutex_lock((pthread_mutex_t *)c->mem + i);
}

static int give(struct channel *c, int i)
{
	return -pthread_mutex_unlock((pthread_mutex_t *)c->mem + i);
}

static int join(struct channel *c, enum side side)
{
	return turns_begin(c, side, take);
}

static int post(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return turns_send(c, take, give);
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return turns_recv(c, take, give);
}

const struct transport transport_mutex = {
	.about = "two process-shared mutexes, handed over in turn",
	.open = open_mutexes,
	.join = join,
	.send = post,
	.recv = wait_for,
};
