/* SPDX-License-Identifier: MIT */
/* A POSIX message queue, ten messages deep if the limits allow. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <unistd.h>

#include "transport.h"

#define LIMITS "/proc/sys/fs/mqueue/"
enum { DEEP = 10 };

/* RLIMIT_MSGQUEUE counts all queues of a user: as deep as still fits. */
static int open_as_deep_as_can_be(struct channel *c, const char *name)
{
	for (long depth = DEEP; depth; depth /= 2) {
		struct mq_attr a = {.mq_maxmsg = depth, .mq_msgsize = (long)c->size};
		int fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &a);
		c->depth = (uint64_t)depth;
		if (fd >= 0 || (errno != EMFILE && errno != EINVAL))
			return fd;
	}
	return -1;
}

static int open_queue(struct channel *c)
{
	char name[64];
	snprintf(name, sizeof(name), "/ipcbench.%d", (int)getpid());
	c->fd[SENDER] = open_as_deep_as_can_be(c, name);
	if (c->fd[SENDER] < 0 && errno == EINVAL)
		return refuse(c, "a message may have %llu bytes: raise " LIMITS "msgsize_max",
			      (unsigned long long)kernel_limit(LIMITS "msgsize_max"));
	if (c->fd[SENDER] < 0)
		return refuse_errno(c, "make a POSIX message queue",
				    errno == EMFILE || errno == ENOSPC ? "see ulimit -q and " LIMITS
									 "queues_max"
								       : NULL);
	mq_unlink(name);
	return 0;
}

static int send_queue(struct channel *c, char *block, size_t n)
{
	return mq_send(c->fd[SENDER], block, n, 0) ? -errno : 0;
}

static int recv_queue(struct channel *c, char *block, size_t n)
{
	ssize_t k = mq_receive(c->fd[SENDER], block, n, NULL);
	if (k < 0)
		return -errno;
	return (size_t)k == n ? 0 : -EBADMSG;
}

const struct transport transport_posix_mq = {
	.about = "a POSIX message queue, 10 deep",
	.caps = CARRIES | BOUNDARIES | PRIORITY,
	.open = open_queue,
	.send = send_queue,
	.recv = recv_queue,
};
