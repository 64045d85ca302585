/* SPDX-License-Identifier: MIT */
/*
 * What a job writes, kept until it has ended. On a disk, not in memory: a job may write without end.
 *
 * To make a file takes longer than to run a small command, so the next job gets the same one, emptied: if nobody
 * can write to it any more. A job gets a descriptor of its own by opening the file anew, and the kernel gives a
 * write lease only to who alone has a file open. What a background process of a job still holds, stays its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "say.h"
#include "stop.h"

static int open_file(void)
{
	char path[4096];
	const char *dir = getenv("TMPDIR");
	dir = dir && *dir ? dir : "/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd < 0 ? -errno : fd;
	snprintf(path, sizeof(path), "%s/mqpipe.XXXXXX", dir);
	fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

/* ---- files that wait for a job ---- */

enum { SPARE_MOST = 16 };
static int spare[SPARE_MOST];
static size_t spares;
static bool opens_anew = true; /* there is a /proc */

static int get_file(void)
{
	return spares ? spare[--spares] : open_file();
}

/* The lease is the question alone; a file system that has none says no. */
static bool is_ours_alone(int fd)
{
	return !fcntl(fd, F_SETLEASE, F_WRLCK) && !fcntl(fd, F_SETLEASE, F_UNLCK);
}

static void put_file(int *fd, off_t size)
{
	if (opens_anew && spares < SPARE_MOST && is_ours_alone(*fd) &&
	    (!size || !ftruncate(*fd, 0)))
		spare[spares++] = *fd;
	else
		close(*fd);
	*fd = -1;
}

static off_t size_of(int fd)
{
	struct stat st;
	return fstat(fd, &st) ? 0 : st.st_size;
}

/* ---- a job's ---- */

static int open_anew(int fd)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int new = opens_anew ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	opens_anew = opens_anew && (new >= 0 || errno != ENOENT);
	if (!opens_anew)
		new = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return new < 0 ? -errno : new;
}

static int begin(int *file, int *fd)
{
	if (*file < 0)
		*file = get_file();
	if (*file < 0)
		return *file;
	*fd = open_anew(*file);
	return *fd < 0 ? *fd : 0;
}

int output_begin(struct output *o, int fds[2])
{
	int r = begin(&o->out, &fds[0]);
	if (r)
		return r;
	r = begin(&o->err, &fds[1]);
	if (r)
		close(fds[0]);
	return r;
}

void output_rest(struct output *o)
{
	if (o->out >= 0 && !size_of(o->out))
		put_file(&o->out, 0);
	if (o->err >= 0 && !size_of(o->err))
		put_file(&o->err, 0);
}

/* ---- show it ---- */

static int put(bool is_out, const char *data, size_t len)
{
	if (!is_out) {
		say_bytes(data, len);
		return 0;
	}
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);
		/* Who does not read shall not keep us from ending, either. */
		if (n < 0 && (errno != EINTR || stop_urgent()))
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int put_tagged(bool is_out, const char *data, size_t len, const char *tag, bool *in_line)
{
	int r = 0;
	while (len && !r) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) + 1 : len;
		if (!*in_line)
			r = put(is_out, tag, strlen(tag));
		if (!r)
			r = put(is_out, data, n);
		*in_line = !newline;
		data += n;
		len -= n;
	}
	return r;
}

/* What comes later has been written by nobody whose end was waited for. */
static int copy(int fd, off_t size, bool is_out, const char *tag)
{
	enum { ROOM = 64 * 1024 };
	static char *buf; /* not a static array: its pages would lie between those of every start */
	bool in_line = false;
	ssize_t n;
	if (!buf && !(buf = malloc(ROOM)))
		return -ENOMEM;
	for (off_t at = 0; at < size; at += n) {
		n = pread(fd, buf, size - at < ROOM ? (size_t)(size - at) : ROOM, at);
		if (n <= 0)
			return n ? -errno : 0;
		int r = tag ? put_tagged(is_out, buf, (size_t)n, tag, &in_line)
			    : put(is_out, buf, (size_t)n);
		if (r)
			return r;
	}
	return in_line ? put(is_out, "\n", 1) : 0;
}

static int show(int *fd, bool is_out, const char *tag)
{
	if (*fd < 0)
		return 0;
	off_t size = size_of(*fd);
	int r = size ? copy(*fd, size, is_out, tag) : 0;
	put_file(fd, size);
	return r;
}

int output_write(struct output *o, const char *tag)
{
	int r = show(&o->out, true, tag);
	show(&o->err, false, tag);
	return r;
}
