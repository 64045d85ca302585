/* SPDX-License-Identifier: MIT */
/* A FIFO: a pipe that had a name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport.h"

/*
 * In a directory of its own, as there is no mkstemp for FIFOs; both ends are opened before the name goes, which
 * is at once. Killed before that, an empty directory or one with a FIFO stays.
 */
static int open_fifo(struct channel *c)
{
	char dir[4096];
	char path[4096 + 8];
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%s/ipcbench.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return refuse_errno(c, "make a directory in $TMPDIR", "is there such a directory?");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	int made = mkfifo(path, 0600);
	/* Open for both: neither open waits for the other side. */
	c->fd[RECEIVER] = made ? -1 : open(path, O_RDWR | O_CLOEXEC);
	c->fd[SENDER] = made ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	if (c->fd[SENDER] < 0)
		refuse_errno(c, "make a FIFO in $TMPDIR", NULL);
	unlink(path);
	rmdir(dir);
	if (c->fd[SENDER] < 0)
		return -1;
	c->depth = (uint64_t)fcntl(c->fd[SENDER], F_GETPIPE_SZ) / c->size;
	return 0;
}

const struct transport transport_fifo = {
	.about = "a pipe with a name",
	.caps = CARRIES,
	.open = open_fifo,
	.send = mine_write_block,
	.recv = mine_read_block,
};
