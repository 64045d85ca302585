/* SPDX-License-Identifier: MIT */
/* Locks of flock(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "turns.h"

static int open_files(struct channel *c)
{
	for (int i = 0; i < 2; i++) {
		c->fd[i] = nameless_file(c);
		if (c->fd[i] < 0)
			return -1;
	}
	return 0;
}

static int take(struct channel *c, int i)
{
	return flock(c->fd[2 + i], LOCK_EX) ? -errno : 0;
}

static int give(struct channel *c, int i)
{
	return flock(c->fd[2 + i], LOCK_UN) ? -errno : 0;
}

/* The lock belongs to the open file description: each side opens the files anew. */
static int join(struct channel *c, enum side side)
{
	char path[64];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd[i]);
		c->fd[2 + i] = open(path, O_RDWR | O_CLOEXEC);
		if (c->fd[2 + i] < 0)
			return -errno;
	}
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

const struct transport transport_flock = {
	.about = "two locks of flock(2), handed over in turn",
	.open = open_files,
	.join = join,
	.send = post,
	.recv = wait_for,
};
