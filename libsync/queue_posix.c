/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues. On Linux a queue descriptor is a file descriptor: it can be polled, and fstat
 * and fchmod work on it. No /dev/mqueue has to be mounted for any of this.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Longer ones are -ENAMETOOLONG to the kernel; with the slash. */
#define NAME_MOST 255

struct queue_posix {
	struct sync_queue base;
	mqd_t fd;
	char path[NAME_MOST + 2]; /* with its slash */
};

static struct queue_posix *cast(struct sync_queue *q)
{
	return (struct queue_posix *)q;
}

/* ---- open ---- */

static int set_path(struct queue_posix *q, const char *name)
{
	name += *name == '/';
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	if (strlen(name) > NAME_MOST)
		return -ENAMETOOLONG;
	snprintf(q->path, sizeof(q->path), "/%s", name);
	return 0;
}

static int access_mode(unsigned flags)
{
	if (flags & SYNC_QUEUE_SEND)
		return flags & SYNC_QUEUE_RECV ? O_RDWR : O_WRONLY;
	return O_RDONLY; /* also to look */
}

/* The default of what was not asked for, where something else was; the kernel has both or none. */
static long system_default(const char *file, long fallback)
{
	char path[64];
	char text[32];
	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", file);
	if (sync_proc_read(path, text, sizeof(text)) <= 0)
		return fallback;
	long n = strtol(text, NULL, 10);
	return n > 0 ? n : fallback;
}

/* -EEXIST somebody was faster. */
static int make(const char *path, const struct sync_queue_opts *opts)
{
	mode_t mode = opts->mode ? opts->mode & 0777 : 0600;
	struct mq_attr attr = {0};
	bool asked = opts->capacity || opts->size;
	if (opts->capacity > INT32_MAX || opts->size > INT32_MAX)
		return -EINVAL;
	if (asked) {
		attr.mq_maxmsg =
			opts->capacity ? (long)opts->capacity : system_default("msg_default", 10);
		attr.mq_msgsize =
			opts->size ? (long)opts->size : system_default("msgsize_default", 8192);
	}
	mqd_t fd = mq_open(path, access_mode(opts->flags) | O_CREAT | O_EXCL | O_CLOEXEC, mode,
			   asked ? &attr : NULL);
	if (fd < 0)
		return -errno;
	struct stat st;
	/* The umask may have taken bits away. */
	if (!fstat(fd, &st) && ((st.st_mode & 0777) == mode || !fchmod(fd, mode)))
		return fd;
	int r = -errno;
	mq_unlink(path);
	mq_close(fd);
	return r;
}

static int find_or_make(const char *path, const struct sync_queue_opts *opts, bool *made)
{
	bool create = opts->flags & SYNC_QUEUE_CREATE;
	bool fresh = create && opts->flags & SYNC_QUEUE_NEW;
	for (;;) {
		int r = -ENOENT;
		if (!fresh) {
			mqd_t fd = mq_open(path, access_mode(opts->flags) | O_CLOEXEC);
			r = fd < 0 ? -errno : fd;
		}
		if (r != -ENOENT || !create)
			return r;
		r = make(path, opts);
		*made = r >= 0;
		if (r != -EEXIST || fresh)
			return r;
	}
}

static int queue_open(struct sync_queue *queue, const char *rest,
		      const struct sync_queue_opts *opts)
{
	struct queue_posix *q = cast(queue);
	int r = set_path(q, rest);
	if (r)
		return r;
	bool made = false;
	r = sync_fd_raise(find_or_make(q->path, opts, &made));
	if (r < 0 && made)
		mq_unlink(q->path);
	q->fd = r;
	return r < 0 ? r : 0;
}

static void queue_close(struct sync_queue *queue)
{
	close(cast(queue)->fd);
}

/* ---- send, receive ---- */

/* A time that has passed: where the call would block, it fails instead. */
static const struct timespec passed = {0, 0};

static int error_of(void)
{
	return errno == ETIMEDOUT ? -EAGAIN : -errno;
}

union number {
	long number;
	unsigned priority;
};

static int queue_send(struct sync_queue *queue, const void *data, size_t len, long number,
		      bool wait)
{
	mqd_t fd = cast(queue)->fd;
	unsigned priority = (unsigned)number;
	int r = wait ? mq_send(fd, data ? data : "", len, priority)
		     : mq_timedsend(fd, data ? data : "", len, priority, &passed);
	return r ? error_of() : 0;
}

static ssize_t queue_recv(struct sync_queue *queue, void *buf, size_t size,
			  const struct sync_queue_want *want, bool wait, long *number)
{
	(void)want;
	mqd_t fd = cast(queue)->fd;
	/* The kernel itself shall write to *number: who is killed before we return has both. */
	union number *out = (union number *)number;
	ssize_t n = wait ? mq_receive(fd, buf, size, &out->priority)
			 : mq_timedreceive(fd, buf, size, &out->priority, &passed);
	if (n < 0)
		return error_of();
	out->number = (long)out->priority;
	return n;
}

/* ---- look, remove ---- */

/* A queue that is read as a file says "QSIZE:n ...". */
static uint64_t bytes_in(mqd_t fd)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strncmp(text, "QSIZE:", 6) ? 0 : strtoull(text + 6, NULL, 10);
}

static int queue_state(struct sync_queue *queue, struct sync_queue_state *out)
{
	mqd_t fd = cast(queue)->fd;
	struct mq_attr attr;
	struct stat st;
	if (mq_getattr(fd, &attr) || fstat(fd, &st))
		return -errno;
	*out = (struct sync_queue_state){
		.messages = (uint64_t)attr.mq_curmsgs,
		.bytes = attr.mq_curmsgs ? bytes_in(fd) : 0,
		.capacity = (uint64_t)attr.mq_maxmsg,
		.size = (uint64_t)attr.mq_msgsize,
		.uid = st.st_uid,
		.mode = st.st_mode & 0777,
	};
	return 0;
}

static int queue_unlink(struct sync_queue *queue)
{
	return mq_unlink(cast(queue)->path) ? -errno : 0;
}

static int queue_fd(const struct sync_queue *queue)
{
	return ((const struct queue_posix *)queue)->fd;
}

const struct sync_queue_ops sync_queue_posix = {
	.name = "posix",
	.caps = SYNC_CAP_PRIORITY | SYNC_CAP_POLL | SYNC_CAP_PRESENCE,
	.size = sizeof(struct queue_posix),
	.least = 0,
	.most = 32767,
	.open = queue_open,
	.close = queue_close,
	.send = queue_send,
	.recv = queue_recv,
	.state = queue_state,
	.unlink = queue_unlink,
	.fd = queue_fd,
};
