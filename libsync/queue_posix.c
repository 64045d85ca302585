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
#include <sys/resource.h>
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
	/* The kernel has defaults for both or none. */
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

/* ---- limits ---- */

/* What sysctls can be set to at most, and what a privileged caller may ask for at most. */
#define MESSAGES_MOST 65536
#define SIZE_MOST ((uint64_t)16 << 20)

/*
 * RLIMIT_MSGQUEUE counts besides the data a header for each message and a node for each priority
 * that messages could have, both of this size in kernels of 64 bits.
 */
#define HEADER 48
#define NODE 48
#define NODES_MOST 32768

static void find_geometry(const struct sync_queue_opts *opts, uint64_t *capacity, uint64_t *size)
{
	*capacity = opts->capacity ? opts->capacity : (uint64_t)system_default("msg_default", 10);
	*size = opts->size ? opts->size : (uint64_t)system_default("msgsize_default", 8192);
	if (opts->capacity || opts->size)
		return;
	uint64_t most = (uint64_t)system_default("msg_max", 10);
	*capacity = *capacity < most ? *capacity : most;
	most = (uint64_t)system_default("msgsize_max", 8192);
	*size = *size < most ? *size : most;
}

static int is_over(const char *name, uint64_t asked, uint64_t most, struct sync_queue_limit *out)
{
	if (asked <= most)
		return -ENOENT;
	*out = (struct sync_queue_limit){name, most, asked, most};
	return 0;
}

static bool is_privileged(void)
{
	char text[8192];
	if (sync_proc_read("/proc/self/status", text, sizeof(text)) <= 0)
		return false;
	const char *caps = strstr(text, "\nCapEff:");
	return caps && strtoull(caps + 8, NULL, 16) & 1 << 24; /* CAP_SYS_RESOURCE */
}

/*
 * Who is privileged in a user namespace only is not so here: then what is within the hard limits is
 * over the others.
 */
static int limit_of_geometry(const struct sync_queue_opts *opts, struct sync_queue_limit *out)
{
	uint64_t capacity;
	uint64_t size;
	find_geometry(opts, &capacity, &size);
	if (is_privileged() && (!is_over("fs.mqueue.msg_max", capacity, MESSAGES_MOST, out) ||
				!is_over("fs.mqueue.msgsize_max", size, SIZE_MOST, out)))
		return 0;
	if (!is_over("fs.mqueue.msg_max", capacity, (uint64_t)system_default("msg_max", 10), out))
		return 0;
	return is_over("fs.mqueue.msgsize_max", size, (uint64_t)system_default("msgsize_max", 8192),
		       out);
}

/* Nothing tells the two apart but to look whether there is a descriptor now. */
static int limit_of_files(struct sync_queue_limit *out)
{
	struct rlimit limit;
	int fd = sync_fd_raise(open("/", O_PATH | O_CLOEXEC));
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || getrlimit(RLIMIT_NOFILE, &limit))
		return -ENOENT;
	*out = (struct sync_queue_limit){.name = "RLIMIT_NOFILE", .value = limit.rlim_cur};
	return 0;
}

static int limit_of_bytes(const struct sync_queue_opts *opts, struct sync_queue_limit *out)
{
	uint64_t capacity;
	uint64_t size;
	struct rlimit limit;
	find_geometry(opts, &capacity, &size);
	if (capacity > MESSAGES_MOST || size > SIZE_MOST || getrlimit(RLIMIT_MSGQUEUE, &limit))
		return -ENOENT;
	uint64_t nodes = capacity < NODES_MOST ? capacity : NODES_MOST;
	uint64_t fits = limit.rlim_cur / (size + HEADER + NODE);
	if (fits > NODES_MOST)
		fits = (limit.rlim_cur - (uint64_t)NODES_MOST * NODE) / (size + HEADER);
	*out = (struct sync_queue_limit){
		.name = "RLIMIT_MSGQUEUE",
		.value = limit.rlim_cur,
		.asked = capacity * (size + HEADER) + nodes * NODE,
		.fits = fits,
	};
	return 0;
}

static int queue_limit(const char *rest, const struct sync_queue_opts *opts, int err,
		       struct sync_queue_limit *out)
{
	struct queue_posix q;
	if (set_path(&q, rest))
		return -ENOENT;
	if (err == -EMFILE && !limit_of_files(out))
		return 0;
	if (!(opts->flags & SYNC_QUEUE_CREATE))
		return -ENOENT;
	switch (err) {
	case -EINVAL:
		return limit_of_geometry(opts, out);
	case -EMFILE:
		return limit_of_bytes(opts, out);
	case -ENOSPC:
		out->name = "fs.mqueue.queues_max";
		out->value = (uint64_t)system_default("queues_max", 256);
		return 0;
	default:
		return -ENOENT;
	}
}

/* ---- open, close ---- */

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

static int send_by(mqd_t fd, const void *data, size_t len, long number, bool wait)
{
	unsigned priority = (unsigned)number;
	int r = wait ? mq_send(fd, data ? data : "", len, priority)
		     : mq_timedsend(fd, data ? data : "", len, priority, &passed);
	return r ? error_of() : 0;
}

static int queue_send(struct sync_queue *queue, const void *data, size_t len, long number,
		      bool wait)
{
	return send_by(cast(queue)->fd, data, len, number, wait);
}

static int queue_put_back(struct sync_queue *queue, const void *data, size_t len, long number)
{
	char path[40];
	int fd = cast(queue)->fd;
	if (queue->flags & SYNC_QUEUE_SEND)
		return send_by(fd, data, len, number, false);
	/* By descriptor: the queue may have lost its name. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = send_by(fd, data, len, number, false);
	close(fd);
	return r;
}

static ssize_t queue_recv(struct sync_queue *queue, void *buf, size_t size,
			  const struct sync_queue_want *want, bool wait, long *number)
{
	(void)want;
	mqd_t fd = cast(queue)->fd;
	/* The kernel itself shall write to *number: who is killed before we return has both. */
	union number *out = (union number *)number;
	unsigned priority;
	ssize_t n = wait ? mq_receive(fd, buf, size, &out->priority)
			 : mq_timedreceive(fd, buf, size, &out->priority, &passed);
	if (n < 0)
		return error_of();
	priority = out->priority;
	out->number = (long)priority;
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
	.put_back = queue_put_back,
	.limit = queue_limit,
};
