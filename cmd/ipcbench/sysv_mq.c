/* SPDX-License-Identifier: MIT */
/* A System V message queue. */
#include <errno.h>
#include <sys/msg.h>

#include "warden.h"

static int make(void)
{
	return msgget(IPC_PRIVATE, IPC_CREAT | 0600);
}

static void remove_queue(int id)
{
	msgctl(id, IPC_RMID, NULL);
}

static int open_queue(struct channel *c)
{
	struct msqid_ds state;
	if (warden_start(c, "make a System V message queue", make, remove_queue))
		return -1;
	if (msgctl(c->id, IPC_STAT, &state))
		return refuse_errno(c, "look at a System V message queue", NULL);
	c->depth = state.msg_qbytes / c->size;
	if (!c->depth)
		return refuse(c, "a queue may have %lu bytes: raise /proc/sys/kernel/msgmnb",
			      (unsigned long)state.msg_qbytes);
	return 0;
}

static void close_queue(struct channel *c)
{
	warden_end(c, remove_queue);
}

/* The type of a message lies before its text. */
static void *with_type(char *block)
{
	long *message = (long *)(void *)(block - sizeof(long));
	*message = 1;
	return message;
}

static int send_queue(struct channel *c, char *block, size_t n)
{
	return msgsnd(c->id, with_type(block), n, 0) ? -errno : 0;
}

static int recv_queue(struct channel *c, char *block, size_t n)
{
	ssize_t k = msgrcv(c->id, with_type(block), n, 0, 0);
	if (k < 0)
		return -errno;
	return (size_t)k == n ? 0 : -EBADMSG;
}

static size_t largest_queue(void)
{
	uint64_t max = kernel_limit("/proc/sys/kernel/msgmax");
	return max ? (size_t)max : 8192;
}

const struct transport transport_sysv_mq = {
	.about = "a System V message queue",
	.caps = CARRIES | BOUNDARIES | PRIORITY,
	.open = open_queue,
	.send = send_queue,
	.recv = recv_queue,
	.close = close_queue,
	.largest = largest_queue,
};
