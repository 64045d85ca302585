/* SPDX-License-Identifier: MIT */
/* POSIX record locks, of fcntl(2). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "turns.h"

static int open_file(struct channel *c)
{
	c->fd[0] = nameless_file(c);
	return c->fd[0] < 0 ? -1 : 0;
}

static int set(struct channel *c, int i, short type)
{
	const struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};
	return fcntl(c->fd[0], F_SETLKW, &lock) ? -errno : 0;
}

static int take(struct channel *c, int i)
{
	return set(c, i, F_WRLCK);
}

static int give(struct channel *c, int i)
{
	return set(c, i, F_UNLCK);
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

const struct transport transport_fcntl = {
	.about = "two record locks of fcntl(2), handed over in turn",
	.open = open_file,
	.join = join,
	.send = post,
	.recv = wait_for,
};
