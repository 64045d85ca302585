/* SPDX-License-Identifier: MIT */
/* What a job writes, kept until it has ended. On a disk, not in memory: a job may write without end. */
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

int output_begin(struct output *o)
{
	if (o->out < 0)
		o->out = open_file();
	if (o->out >= 0 && o->err < 0)
		o->err = open_file();
	int r = o->out < 0 ? o->out : o->err < 0 ? o->err : 0;
	return r;
}

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

static int copy(int fd, bool is_out, const char *tag)
{
	enum { ROOM = 64 * 1024 };
	static char *buf; /* not a static array: its pages would lie between those of every start */
	bool in_line = false;
	ssize_t n;
	if (!buf && !(buf = malloc(ROOM)))
		return -ENOMEM;
	for (off_t at = 0; (n = pread(fd, buf, ROOM, at)) > 0; at += n) {
		int r = tag ? put_tagged(is_out, buf, (size_t)n, tag, &in_line)
			    : put(is_out, buf, (size_t)n);
		if (r)
			return r;
	}
	return in_line ? put(is_out, "\n", 1) : 0;
}

/* A file that was written to stays with who may still write to it, and the next job gets another. */
static int copy_and_forget(int *fd, bool is_out, const char *tag)
{
	struct stat st;
	if (*fd < 0 || fstat(*fd, &st) || !st.st_size)
		return 0;
	int r = copy(*fd, is_out, tag);
	close(*fd);
	*fd = -1;
	return r;
}

int output_write(struct output *o, const char *tag)
{
	int r = copy_and_forget(&o->out, true, tag);
	copy_and_forget(&o->err, false, tag);
	return r;
}
