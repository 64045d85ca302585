/* SPDX-License-Identifier: MIT */
/*
 * System V message queues. A queue counts bytes, not messages, but holds no more messages than bytes.
 * There is no room in it for a second hash of the name: two names with the same key of 32 bits are the
 * same queue.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <unistd.h>

#include "internal.h"
#include "label.h"

#ifndef MSG_COPY /* Linux 3.8 */
#define MSG_COPY 040000
#endif

struct message {
	long number;
	char text[];
};

struct queue_sysv {
	struct sync_queue base;
	int id;
	size_t size; /* of the longest message: msgmax, or the whole queue */
	size_t room; /* in buf */
	struct message *buf;
};

static struct queue_sysv *cast(struct sync_queue *q)
{
	return (struct queue_sysv *)q;
}

/* The queue can go at any moment; its number is then invalid. */
static int error_of(void)
{
	switch (errno) {
	case EINVAL:
		return -EIDRM;
	case E2BIG:
		return -EMSGSIZE;
	default:
		return -errno;
	}
}

/* ---- open ---- */

static int limits(struct msginfo *info)
{
	return msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)info) < 0 ? -errno : 0;
}

/* The owner's right to set does not need the right to read, which the mode may not give. */
static int set_bytes(int id, mode_t mode, uint64_t bytes)
{
	struct msqid_ds ds = {.msg_qbytes = bytes};
	ds.msg_perm.uid = geteuid();
	ds.msg_perm.gid = getegid();
	ds.msg_perm.mode = (unsigned short)mode;
	return msgctl(id, IPC_SET, &ds) ? error_of() : 0;
}

/* Tried on a queue that nobody else can see, so that none is made in vain: only some may pass msgmnb. */
static int may_hold(uint64_t bytes)
{
	int id = msgget(IPC_PRIVATE, 0600);
	if (id < 0)
		return -errno;
	int r = set_bytes(id, 0600, bytes);
	msgctl(id, IPC_RMID, NULL);
	return r;
}

/* -EEXIST somebody was faster. */
static int make(const char *name, const struct sync_sysv_name *a,
		const struct sync_queue_opts *opts)
{
	struct msginfo info;
	mode_t mode = opts->mode ? opts->mode & 0777 : 0600; /* the umask does not count here */
	int r = limits(&info);
	if (r)
		return r;
	uint64_t size = opts->size ? opts->size : (uint64_t)info.msgmax;
	uint64_t bytes = opts->capacity * size;
	if (size > (uint64_t)info.msgmax || opts->capacity > INT32_MAX || bytes > INT32_MAX)
		return -EINVAL;
	if (bytes > (uint64_t)info.msgmnb)
		r = may_hold(bytes);
	if (r)
		return r;
	int id = msgget((key_t)a->key, IPC_CREAT | IPC_EXCL | (int)mode);
	if (id < 0)
		return -errno;
	/* Killed here, we leave a queue of the default size: usable, and no bigger than asked for. */
	r = bytes ? set_bytes(id, mode, bytes) : 0;
	if (r)
		msgctl(id, IPC_RMID, NULL);
	else if (!a->by_key)
		sync_label_set(name, a->key);
	return r ? r : id;
}

/* Asked for, it must be allowed. */
static int access_mode(unsigned flags)
{
	return (flags & SYNC_QUEUE_SEND ? 0200 : 0) |
	       (flags & SYNC_QUEUE_RECV || !(flags & SYNC_QUEUE_SEND) ? 0400 : 0);
}

static int find_or_make(const char *name, const struct sync_sysv_name *a,
			const struct sync_queue_opts *opts)
{
	bool create = opts->flags & SYNC_QUEUE_CREATE;
	bool fresh = create && opts->flags & SYNC_QUEUE_NEW;
	for (;;) {
		int r = -ENOENT;
		if (!fresh) {
			r = msgget((key_t)a->key, access_mode(opts->flags));
			r = r < 0 ? -errno : r;
		}
		if (r != -ENOENT || !create)
			return r;
		r = make(name, a, opts);
		if (r != -EEXIST || fresh)
			return r;
	}
}

static int sysv_open(struct sync_queue *queue, const char *rest, const struct sync_queue_opts *opts)
{
	struct queue_sysv *q = cast(queue);
	struct sync_sysv_name a;
	struct msginfo info;
	int r = sync_name_sysv(rest, &a);
	if (!r)
		r = limits(&info);
	if (r)
		return r;
	r = a.by_id ? a.id : find_or_make(rest, &a, opts);
	if (r < 0)
		return r;
	q->id = r;
	struct msqid_ds ds;
	q->size = (size_t)info.msgmax;
	if (!msgctl(q->id, IPC_STAT, &ds)) {
		if (ds.msg_qbytes < q->size)
			q->size = ds.msg_qbytes;
		return a.by_id && opts->flags & SYNC_QUEUE_CREATE && opts->flags & SYNC_QUEUE_NEW
			       ? -EEXIST
			       : 0;
	}
	if (errno == EACCES)
		/* Who may write, or has made it, need not read. */
		return opts->flags & (SYNC_QUEUE_SEND | SYNC_QUEUE_CREATE) ? 0 : -EACCES;
	r = error_of();
	if (r == -EIDRM && a.by_id)
		return opts->flags & SYNC_QUEUE_CREATE ? -ENXIO : -ENOENT;
	return r;
}

/* ---- limits ---- */

/* A message was too long for a queue: for any, or just for that one? */
static bool is_full_size(const struct sync_sysv_name *a, const struct msginfo *info)
{
	struct msqid_ds ds;
	int id = a->by_id ? a->id : msgget((key_t)a->key, 0);
	if (id < 0 || msgctl(id, IPC_STAT, &ds))
		return id >= 0 && errno == EACCES;
	return ds.msg_qbytes >= (uint64_t)info->msgmax;
}

static int limit_of_bytes(const struct sync_queue_opts *opts, const struct msginfo *info,
			  struct sync_queue_limit *out)
{
	uint64_t most = (uint64_t)info->msgmnb;
	uint64_t size = opts->size ? opts->size : (uint64_t)info->msgmax;
	uint64_t bytes;
	if (__builtin_mul_overflow(opts->capacity, size, &bytes))
		bytes = UINT64_MAX;
	if (bytes <= most)
		return -ENOENT;
	*out = (struct sync_queue_limit){"kernel.msgmnb", most, bytes, most / size};
	return 0;
}

static int sysv_limit(const char *rest, const struct sync_queue_opts *opts, int err,
		      struct sync_queue_limit *out)
{
	struct msginfo info;
	struct sync_sysv_name a;
	bool makes = opts->flags & SYNC_QUEUE_CREATE;
	if (sync_name_sysv(rest, &a) || limits(&info))
		return -ENOENT;
	uint64_t msgmax = (uint64_t)info.msgmax;
	if ((makes && err == -EINVAL && opts->size > msgmax) ||
	    (err == -EMSGSIZE && is_full_size(&a, &info))) {
		uint64_t asked = opts->size > msgmax ? opts->size : 0;
		*out = (struct sync_queue_limit){"kernel.msgmax", msgmax, asked, msgmax};
		return 0;
	}
	if (makes && (err == -EINVAL || err == -EPERM))
		return limit_of_bytes(opts, &info, out);
	if (!makes || err != -ENOSPC)
		return -ENOENT;
	out->name = "kernel.msgmni";
	out->value = (uint64_t)info.msgmni;
	return 0;
}

/* ---- close ---- */

static void sysv_close(struct sync_queue *queue)
{
	free(cast(queue)->buf);
}

/* ---- send, receive ---- */

static int make_room(struct queue_sysv *q, size_t size)
{
	if (size <= q->room && q->buf)
		return 0;
	struct message *buf = realloc(q->buf, sizeof(*buf) + size);
	if (!buf)
		return -ENOMEM;
	q->buf = buf;
	q->room = size;
	return 0;
}

static int sysv_send(struct sync_queue *queue, const void *data, size_t len, long number, bool wait)
{
	struct queue_sysv *q = cast(queue);
	if (len > q->size)
		return -EMSGSIZE; /* the kernel would wait for ever for room that cannot be */
	int r = make_room(q, len);
	if (r)
		return r;
	q->buf->number = number;
	if (len)
		memcpy(q->buf->text, data, len);
	return msgsnd(q->id, q->buf, len, wait ? 0 : IPC_NOWAIT) ? error_of() : 0;
}

static ssize_t take(struct queue_sysv *q, void *buf, size_t size, long type, int flags,
		    long *number)
{
	/* No message is longer, so a larger buffer would be for nothing. */
	struct msginfo info;
	if (size > q->size && !limits(&info) && size > (size_t)info.msgmax)
		size = (size_t)info.msgmax;
	/* What the caller has laid out as the kernel does needs no copy, and is there if we are killed. */
	struct message *to = (struct message *)(void *)number;
	if ((void *)to->text != buf) {
		int r = make_room(q, size);
		if (r)
			return r;
		to = q->buf;
	}
	ssize_t n = msgrcv(q->id, to, size, type, flags);
	if (n < 0)
		return error_of();
	if (to->text != (char *)buf && n)
		memcpy(buf, to->text, (size_t)n);
	*number = to->number;
	return n;
}

static ssize_t sysv_recv(struct sync_queue *queue, void *buf, size_t size,
			 const struct sync_queue_want *want, bool wait, long *number)
{
	int flags = wait ? 0 : IPC_NOWAIT;
	if (want && want->except && want->number < 0)
		return -EINVAL; /* the kernel would take it for "up to" */
	if (want && want->except)
		flags |= MSG_EXCEPT;
	ssize_t n = take(cast(queue), buf, size, want ? want->number : 0, flags, number);
	return n == -ENOMSG ? -EAGAIN : n;
}

static ssize_t sysv_peek(struct sync_queue *queue, size_t place, void *buf, size_t size,
			 long *number)
{
	if (place > LONG_MAX)
		return -ENOMSG;
	ssize_t n = take(cast(queue), buf, size, (long)place, MSG_COPY | IPC_NOWAIT, number);
	return n == -ENOSYS ? -EOPNOTSUPP : n; /* a kernel without CHECKPOINT_RESTORE */
}

/* ---- look, remove ---- */

static int sysv_state(struct sync_queue *queue, struct sync_queue_state *out)
{
	const struct queue_sysv *q = cast(queue);
	struct msqid_ds ds;
	*out = (struct sync_queue_state){.size = q->size};
	if (msgctl(q->id, IPC_STAT, &ds)) /* who may write need not read */
		return errno == EACCES && q->base.flags & SYNC_QUEUE_SEND ? 0 : error_of();
	*out = (struct sync_queue_state){
		.messages = ds.msg_qnum,
		.bytes = ds.__msg_cbytes,
		.capacity_bytes = ds.msg_qbytes,
		.size = q->size,
		.uid = ds.msg_perm.uid,
		.mode = ds.msg_perm.mode & 0777,
	};
	return 0;
}

static int sysv_unlink(struct sync_queue *queue)
{
	int id = cast(queue)->id;
	struct msqid_ds ds;
	bool known = !msgctl(id, IPC_STAT, &ds);
	if (msgctl(id, IPC_RMID, NULL))
		return errno == EINVAL ? -ENOENT : -errno;
	if (known)
		sync_label_drop((uint32_t)ds.msg_perm.__key, ds.msg_perm.cuid);
	return 0;
}

const struct sync_queue_ops sync_queue_sysv = {
	.name = "sysv",
	.caps = SYNC_CAP_SELECT | SYNC_CAP_PEEK,
	.size = sizeof(struct queue_sysv),
	.least = 1,
	.most = LONG_MAX,
	.open = sysv_open,
	.close = sysv_close,
	.send = sysv_send,
	.recv = sysv_recv,
	.state = sysv_state,
	.unlink = sysv_unlink,
	.peek = sysv_peek,
	.limit = sysv_limit,
};
