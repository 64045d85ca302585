/* SPDX-License-Identifier: MIT */
/* An eventfd: a count that can be waited for. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "transport.h"

static int open_eventfd(struct channel *c)
{
	c->fd[SENDER] = eventfd(0, EFD_CLOEXEC);
	return c->fd[SENDER] < 0 ? refuse_errno(c, "make an eventfd", NULL) : 0;
}

static int post(struct channel *c, char *block, size_t n)
{
	const uint64_t one = 1;
	(void)block, (void)n;
	return write(c->fd[SENDER], &one, sizeof(one)) < 0 ? -errno : 0;
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	uint64_t count;
	(void)block, (void)n;
	return read(c->fd[SENDER], &count, sizeof(count)) < 0 ? -errno : 0;
}

const struct transport transport_eventfd = {
	.about = "an eventfd",
	.open = open_eventfd,
	.send = post,
	.recv = wait_for,
};
