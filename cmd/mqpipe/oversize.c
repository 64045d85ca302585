/* SPDX-License-Identifier: MIT */
/* Messages that are too long for the queue: what was asked for, and the files of those that are spilled. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oversize.h"
#include "syncdir.h"

static const char magic[] = {'\x89', 'm', 'q', 'F'};
#define MAGIC sizeof(magic)
#define NAME "XXXXXX"
#define NAME_LEN (sizeof(NAME) - 1)

bool oversize_parse(const char *s, enum oversize *out)
{
	static const char *const names[] = {"refuse", "truncate", "skip", "spill"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(s, names[i])) {
			*out = (enum oversize)i;
			return true;
		}
	}
	return false;
}

static void put_directory(char *path, size_t size, bool make)
{
	snprintf(path, size, "%s/spill", syncdir(make));
	if (make)
		mkdir(path, 0700);
}

/* The ticket's file, if that is what a ticket of ours may name. */
static bool put_path(char *path, size_t size, const char *ticket)
{
	char directory[4096];
	const char *name = ticket + MAGIC;
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
	    NAME_LEN)
		return false;
	put_directory(directory, sizeof(directory), false);
	return (size_t)snprintf(path, size, "%s/%.6s", directory, name) < size;
}

const char *oversize_place(void)
{
	static char *place;
	char directory[4096];
	put_directory(directory, sizeof(directory), false);
	if (!place)
		place = strdup(directory);
	return place ? place : "spill";
}

/* In a directory that others share, it may be another's, who could take our files away. */
static bool is_ours(const char *directory)
{
	struct stat st;
	return !lstat(directory, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

static int create(char *path, size_t size)
{
	char directory[4096];
	put_directory(directory, sizeof(directory), true);
	if (!access(directory, F_OK) && !is_ours(directory))
		return -EPERM;
	snprintf(path, size, "%s/" NAME, directory);
	int fd = mkostemp(path, O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* R is what writing it has come to. */
static int finish(int fd, int r, const char *path, char *ticket)
{
	if (close(fd) && !r)
		r = -errno;
	if (r) {
		unlink(path);
		return r;
	}
	memcpy(ticket, magic, MAGIC);
	memcpy(ticket + MAGIC, path + strlen(path) - NAME_LEN, NAME_LEN + 1);
	return 0;
}

int oversize_spill(struct cut *c, char ticket[OVERSIZE_TICKET_MAX])
{
	char path[4096 + 16];
	int fd = create(path, sizeof(path));
	if (fd < 0)
		return fd;
	ssize_t n = cut_rest(c, fd);
	return finish(fd, n < 0 ? (int)n : 0, path, ticket);
}

int oversize_spill_bytes(const char *data, size_t len, char ticket[OVERSIZE_TICKET_MAX])
{
	char path[4096 + 16];
	int fd = create(path, sizeof(path));
	if (fd < 0)
		return fd;
	ssize_t n = write(fd, data, len); /* a disk that is full writes less */
	return finish(fd, n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC, path, ticket);
}

void oversize_forget(const char *ticket)
{
	char path[4096 + 16];
	struct stat st;
	if (put_path(path, sizeof(path), ticket) && !lstat(path, &st) && st.st_uid == geteuid())
		unlink(path);
}

bool oversize_is_ticket(const struct message *m)
{
	return m->len == MAGIC + NAME_LEN && !memcmp(m->data, magic, MAGIC);
}

/* Whoever may send can write a ticket: it leads to files in that directory alone, and to ours. */
int oversize_open(const struct message *ticket, struct message *m)
{
	char text[OVERSIZE_TICKET_MAX] = "";
	char path[4096 + 16];
	struct stat st;
	memcpy(text, ticket->data, ticket->len);
	if (!put_path(path, sizeof(path), text))
		return -EBADMSG;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st)                                   ? -errno
		: !S_ISREG(st.st_mode) || st.st_uid != geteuid() ? -EPERM
								 : 0;
	*m = (struct message){"", (size_t)st.st_size, ticket->number, false};
	if (!r && m->len) {
		void *data = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, fd, 0);
		r = data == MAP_FAILED ? -errno : 0;
		m->data = r ? NULL : data;
	}
	close(fd);
	return r;
}

void oversize_close(const struct message *m)
{
	if (m->len)
		munmap((void *)m->data, m->len);
}
