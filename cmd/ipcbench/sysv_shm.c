/* SPDX-License-Identifier: MIT */
/* A ring in System V shared memory. */
#include <errno.h>
#include <stdint.h>
#include <sys/shm.h>

#include "ring.h"

/*
 * Marked for removal once it is attached; who forks attaches it too. Killed between the two calls it stays: this
 * is as early as it can be, for a segment that is marked and not attached is gone.
 */
static int open_shm(struct channel *c)
{
	int id = shmget(IPC_PRIVATE, ring_bytes(c->size), IPC_CREAT | 0600);
	if (id < 0)
		return refuse_errno(c, "make System V shared memory", "ipcs -l shows the limits");
	void *mem = shmat(id, NULL, 0);
	int err = errno;
	shmctl(id, IPC_RMID, NULL);
	errno = err;
	if ((intptr_t)mem == -1)
		return refuse_errno(c, "attach System V shared memory", NULL);
	ring_init(c, mem);
	return 0;
}

static void close_shm(struct channel *c)
{
	if (c->ring)
		shmdt(c->ring);
}

const struct transport transport_sysv_shm = {
	.about = "a ring in System V shared memory, copied in and out",
	.caps = CARRIES | BOUNDARIES,
	.open = open_shm,
	.join = ring_join,
	.send = ring_send,
	.recv = ring_recv,
	.close = close_shm,
};
