/* SPDX-License-Identifier: MIT */
/* The list of facilities, and what all transports need. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parse.h"
#include "transport.h"

#define TRANSPORT(symbol, name) extern const struct transport transport_##symbol;
#include "transports.def"
#undef TRANSPORT

static const struct facility built_in[] = {
#define TRANSPORT(symbol, name) {name, &transport_##symbol},
#include "transports.def"
	{NULL, NULL},
};

/* Tests link a program with facilities of their own, that do it wrong: tests/fault/ipcbench.c. */
extern const struct facility *const other_facilities __attribute__((weak));

const struct facility *facilities(void)
{
	return &other_facilities ? other_facilities : built_in;
}

const struct facility *facility_named(const char *name)
{
	for (const struct facility *f = facilities(); f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

size_t facility_largest(const struct facility *f)
{
	size_t n = f->is->largest ? f->is->largest() : CHANNEL_LARGEST;
	return n < CHANNEL_LARGEST ? n : CHANNEL_LARGEST;
}

int channel_open(struct channel *c, const struct transport *is, size_t size)
{
	*c = (struct channel){.is = is, .size = size, .id = -1, .mine = -1, .tie = -1};
	for (size_t i = 0; i < sizeof(c->fd) / sizeof(c->fd[0]); i++)
		c->fd[i] = -1;
	if (!is->open(c))
		return 0;
	channel_close(c);
	return -1;
}

int channel_join(struct channel *c, enum side side)
{
	c->mine = c->fd[side];
	return c->is->join ? c->is->join(c, side) : 0;
}

void channel_close(struct channel *c)
{
	if (c->is->close)
		c->is->close(c);
	for (size_t i = 0; i < sizeof(c->fd) / sizeof(c->fd[0]); i++)
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	unshare_memory(c);
}

int refuse(struct channel *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(c->why, sizeof(c->why), format, args);
	va_end(args);
	return -1;
}

int refuse_errno(struct channel *c, const char *what, const char *advice)
{
	return refuse(c, "cannot %s: %s%s%s", what, strerror(errno), advice ? ": " : "",
		      advice ? advice : "");
}

int share_memory(struct channel *c, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return refuse_errno(c, "share memory", NULL);
	c->mem = mem;
	c->mem_size = size;
	return 0;
}

void unshare_memory(struct channel *c)
{
	if (c->mem)
		munmap(c->mem, c->mem_size);
	c->mem = NULL;
}

int nameless_file(struct channel *c)
{
	char path[4096];
	const char *dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has O_TMPFILE. A kill between the two calls below leaves an empty file. */
	snprintf(path, sizeof(path), "%s/ipcbench.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return refuse_errno(c, "make a file in $TMPDIR", "is there such a directory?");
	unlink(path);
	return fd;
}

uint64_t kernel_limit(const char *file)
{
	char text[64];
	uint64_t n;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 1)
		return 0;
	text[len] = '\0';
	text[strcspn(text, " \t\n")] = '\0';
	return parse_count(text, UINT64_MAX, &n) ? n : 0;
}

int write_block(int fd, const char *block, size_t n)
{
	while (n) {
		ssize_t k = write(fd, block, n);
		if (k < 0)
			return -errno;
		block += k;
		n -= (size_t)k;
	}
	return 0;
}

int read_block(int fd, char *block, size_t n)
{
	while (n) {
		ssize_t k = read(fd, block, n);
		if (k <= 0)
			return k ? -errno : -EPIPE;
		block += k;
		n -= (size_t)k;
	}
	return 0;
}

int write_whole(int fd, const char *block, size_t n)
{
	ssize_t k = write(fd, block, n);
	if (k < 0)
		return -errno;
	return (size_t)k == n ? 0 : -EMSGSIZE;
}

int read_whole(int fd, char *block, size_t n)
{
	ssize_t k = read(fd, block, n);
	if (k < 0)
		return -errno;
	return (size_t)k == n ? 0 : -EBADMSG;
}

int mine_write_block(struct channel *c, char *block, size_t n)
{
	return write_block(c->mine, block, n);
}

int mine_read_block(struct channel *c, char *block, size_t n)
{
	return read_block(c->mine, block, n);
}

int mine_write_whole(struct channel *c, char *block, size_t n)
{
	return write_whole(c->mine, block, n);
}

int mine_read_whole(struct channel *c, char *block, size_t n)
{
	return read_whole(c->mine, block, n);
}
