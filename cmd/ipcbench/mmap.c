/* SPDX-License-Identifier: MIT */
/* A ring in a file of $TMPDIR that both have mapped: the file system may write it to the disk at times. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring.h"

static int open_file(struct channel *c)
{
	size_t size = ring_bytes(c->size);
	c->fd[0] = nameless_file(c);
	if (c->fd[0] < 0)
		return -1;
	int err = posix_fallocate(c->fd[0], 0, (off_t)size);
	void *mem = err ? MAP_FAILED
			: mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd[0], 0);
	if (mem == MAP_FAILED)
		return refuse_errno(c, "map a file of $TMPDIR", "is there room?");
	c->mem = mem;
	c->mem_size = size;
	ring_init(c, mem);
	return 0;
}

const struct transport transport_mmap = {
	.about = "a ring in a mapped file, copied in and out",
	.caps = CARRIES | BOUNDARIES,
	.open = open_file,
	.join = ring_join,
	.send = ring_send,
	.recv = ring_recv,
};
