/* SPDX-License-Identifier: MIT */
/* A pipe, as pipe(2) makes it. */
#include <fcntl.h>
#include <unistd.h>

#include "transport.h"

static int open_pipe(struct channel *c)
{
	int fd[2];
	if (pipe2(fd, O_CLOEXEC))
		return refuse_errno(c, "make a pipe", NULL);
	c->fd[SENDER] = fd[1];
	c->fd[RECEIVER] = fd[0];
	c->depth = (uint64_t)fcntl(fd[0], F_GETPIPE_SZ) / c->size;
	return 0;
}

const struct transport transport_pipe = {
	.about = "a stream through the kernel, 64 KiB at a time",
	.caps = CARRIES,
	.open = open_pipe,
	.send = mine_write_block,
	.recv = mine_read_block,
};
