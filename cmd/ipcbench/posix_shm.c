/* SPDX-License-Identifier: MIT */
/* A ring in POSIX shared memory. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring.h"

static int open_shm(struct channel *c)
{
	char name[64];
	size_t size = ring_bytes(c->size);
	snprintf(name, sizeof(name), "/ipcbench.%d", (int)getpid());
	c->fd[0] = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->fd[0] < 0)
		return refuse_errno(c, "make POSIX shared memory", "is /dev/shm mounted?");
	shm_unlink(name);
	/* Allocated now: without room a touch of it would be SIGBUS. */
	int err = posix_fallocate(c->fd[0], 0, (off_t)size);
	void *mem = err ? MAP_FAILED
			: mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd[0], 0);
	if (mem == MAP_FAILED)
		return refuse_errno(c, "map POSIX shared memory", "is there room in /dev/shm?");
	c->mem = mem;
	c->mem_size = size;
	ring_init(c, mem);
	return 0;
}

const struct transport transport_posix_shm = {
	.about = "a ring in POSIX shared memory, copied in and out",
	.caps = CARRIES | BOUNDARIES,
	.open = open_shm,
	.join = ring_join,
	.send = ring_send,
	.recv = ring_recv,
};
