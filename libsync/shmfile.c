/* SPDX-License-Identifier: MIT */
/* Opens files in /dev/shm, or makes them complete under no name and then gives them theirs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shmfile.h"

/*
 * Owner, group, mode. The group's bits are for that group and no other: to ours, which it is
 * otherwise, everybody's apply. Never a bit that gives others our rights: LIKE may be anybody's.
 */
static int dress(int fd, const struct stat *like)
{
	mode_t mode = like->st_mode & 0666;
	if (fchown(fd, like->st_uid, like->st_gid) && fchown(fd, (uid_t)-1, like->st_gid))
		mode = (mode & ~(mode_t)070) | (mode & 07) << 3;
	return fchmod(fd, mode) ? -errno : 0; /* not the umask's business */
}

/* All of it is written: a hole for which there is no memory later would be a SIGBUS. */
static int fill(int fd, const void *content, size_t size, const struct stat *like)
{
	ssize_t n = write(fd, content, size);
	if (n != (ssize_t)size)
		return n < 0 ? -errno : -ENOSPC;
	return dress(fd, like);
}

/* Whoever is killed here leaves nothing. Any error but -EEXIST: try it the other way. */
static int make_nameless(const char *path, const void *content, size_t size,
			 const struct stat *like)
{
	char self[32];
	int fd = open(SYNC_SHM_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	int r = fill(fd, content, size, like);
	if (!r && linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		r = -errno;
	if (!r)
		return fd;
	close(fd);
	return r;
}

/*
 * No O_TMPFILE in this file system, or no /proc: as glibc does it, under a name of glibc's
 * kind, which a SIGKILL leaves behind.
 */
static int make_renamed(const char *path, const void *content, size_t size, const struct stat *like)
{
	char temp[] = SYNC_SHM_DIR "/sem.XXXXXX";
	int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
	int r = fill(fd, content, size, like);
	if (!r && link(temp, path))
		r = -errno;
	unlink(temp);
	if (!r)
		return fd;
	close(fd);
	return r;
}

static int make(const char *path, const void *content, size_t size, const struct stat *like)
{
	int r = sync_file_may_end(size);
	if (r)
		return r;
	int fd = make_nameless(path, content, size, like);
	return fd >= 0 || fd == -EEXIST ? fd : make_renamed(path, content, size, like);
}

/* O_NONBLOCK: should it be a FIFO, the open returns. */
static int open_existing(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	if (errno == EWOULDBLOCK)
		return -EBUSY; /* a file lease; -EAGAIN means something else to those who wait */
	return errno == EISDIR || errno == ENXIO ? -EUCLEAN : -errno;
}

int sync_shm_open(const char *path, size_t size, const void *content, const struct stat *like,
		  struct stat *st)
{
	int fd;
	/* Not O_CREAT: fs.protected_regular would refuse others' files in a sticky directory. */
	while ((fd = open_existing(path)) == -ENOENT && content) {
		fd = make(path, content, size, like);
		if (fd < 0 && fd != -EEXIST)
			return fd;
		/* Opened anew by its name: /proc would go on to show this one as deleted. */
		if (fd >= 0)
			close(fd);
	}
	if (fd < 0)
		return fd;
	int r = fstat(fd, st) ? -errno : 0;
	if (!r && (!S_ISREG(st->st_mode) || st->st_size != (off_t)size))
		r = -EUCLEAN;
	if (!r)
		return fd;
	close(fd);
	return r;
}

int sync_shm_check(const char *path, const struct stat *st)
{
	struct stat now;
	if (lstat(path, &now))
		return errno == ENOENT ? -ESTALE : -errno;
	return now.st_dev == st->st_dev && now.st_ino == st->st_ino ? 0 : -ESTALE;
}

bool sync_shm_is(const char *path, const struct stat *st)
{
	return !sync_shm_check(path, st);
}
