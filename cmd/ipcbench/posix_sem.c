/* SPDX-License-Identifier: MIT */
/* A POSIX semaphore in shared memory. */
#include <errno.h>
#include <semaphore.h>

#include "transport.h"

static int open_sem(struct channel *c)
{
	if (share_memory(c, sizeof(sem_t)))
		return -1;
	return sem_init(c->mem, 1, 0) ? refuse_errno(c, "make a POSIX semaphore", NULL) : 0;
}

static int post(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return sem_post(c->mem) ? -errno : 0;
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	while (sem_wait(c->mem))
		if (errno != EINTR)
			return -errno;
	return 0;
}

const struct transport transport_posix_sem = {
	.about = "a POSIX semaphore in shared memory",
	.open = open_sem,
	.send = post,
	.recv = wait_for,
};
