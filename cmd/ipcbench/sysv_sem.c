/* SPDX-License-Identifier: MIT */
/* A System V semaphore. */
#include <errno.h>
#include <sys/sem.h>

#include "warden.h"

static int make(void)
{
	return semget(IPC_PRIVATE, 1, IPC_CREAT | 0600); /* Linux makes it 0 */
}

static void remove_set(int id)
{
	semctl(id, 0, IPC_RMID);
}

static int open_set(struct channel *c)
{
	return warden_start(c, "make a System V semaphore", make, remove_set);
}

static void close_set(struct channel *c)
{
	warden_end(c, remove_set);
}

static int add(struct channel *c, short n)
{
	struct sembuf op = {.sem_op = n};
	return semop(c->id, &op, 1) ? -errno : 0;
}

static int post(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return add(c, 1);
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return add(c, -1);
}

const struct transport transport_sysv_sem = {
	.about = "a System V semaphore",
	.open = open_set,
	.send = post,
	.recv = wait_for,
	.close = close_set,
};
