/* SPDX-License-Identifier: MIT */
/* The file behind a lock: found or made without being hung, tricked or harmed, and looked up again. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* Shells and scripts number their own descriptors 3 to 9: `exec 9>file`. */
#define FIRST_HELD_FD 10

static int look(const struct sync_lock *l, struct stat *st)
{
	int flags = l->flags & SYNC_LOCK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
	return fstatat(AT_FDCWD, l->path, st, flags) ? -errno : 0;
}

static int type_error(mode_t mode)
{
	if (S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode))
		return 0;
	return S_ISLNK(mode) ? -ELOOP : -EMEDIUMTYPE;
}

/*
 * O_NONBLOCK: should a FIFO have taken the file's place since we looked, the open returns. The one
 * thing that makes it fail with EWOULDBLOCK is a file lease (fcntl(2), F_SETLEASE), whose holder the
 * kernel has now asked to give way: wait for that without O_NONBLOCK, but not beyond the deadline.
 */
static int open_in_time(const struct sync_lock *l, int flags, const struct timespec *deadline)
{
	flags |= O_CLOEXEC | O_NOCTTY | (l->flags & SYNC_LOCK_FOLLOW ? 0 : O_NOFOLLOW);
	int fd = open(l->path, flags | O_NONBLOCK, l->create_mode);
	if (fd >= 0 || errno != EWOULDBLOCK)
		return fd < 0 ? -errno : fd;
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	struct sync_alarm alarm;
	if (deadline) {
		int r = sync_alarm_start(&alarm, deadline);
		if (r)
			return r;
	}
	fd = open(l->path, flags, l->create_mode);
	int r = fd < 0 ? -errno : fd;
	if (deadline)
		sync_alarm_stop(&alarm);
	return r == -EINTR && sync_deadline_passed(deadline) ? -ETIMEDOUT : r;
}

static bool cannot_write(int err)
{
	return err == -EACCES || err == -EROFS || err == -EISDIR || err == -ETXTBSY ||
	       err == -EPERM;
}

/* Read-only where the backend allows it, so that COMMAND cannot scribble over the file. */
static int open_existing(struct sync_lock *l, const struct timespec *deadline)
{
	l->write_error = 0;
	if (l->ops->wants_write) {
		int fd = open_in_time(l, O_RDWR, deadline);
		if (!cannot_write(fd))
			return fd;
		l->write_error = fd;
	}
	return open_in_time(l, O_RDONLY, deadline);
}

/* Never O_CREAT without O_EXCL: fs.protected_regular would refuse others' files in /tmp. */
static int create(struct sync_lock *l, const struct timespec *deadline)
{
	l->write_error = 0;
	int access = l->ops->wants_write ? O_RDWR : O_RDONLY;
	int fd = open_in_time(l, access | O_CREAT | O_EXCL, deadline);
	if (fd < 0)
		return fd;
	struct stat st;
	/* The umask may have taken bits away. */
	if (fstat(fd, &st) ||
	    ((st.st_mode & 07777) != l->create_mode && fchmod(fd, l->create_mode))) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Existing file first, then creation; and again if others make or remove it meanwhile. */
static int find_or_make(struct sync_lock *l, const struct timespec *deadline)
{
	for (;;) {
		struct stat st;
		/* Look before opening: merely opening a device can start a watchdog or wind a tape. */
		int r = look(l, &st);
		if (!r)
			r = type_error(st.st_mode);
		if (!r) {
			r = open_existing(l, deadline);
			if (r != -ENOENT)
				return r;
		}
		if (r != -ENOENT || l->flags & SYNC_LOCK_NO_CREATE)
			return r;
		r = create(l, deadline);
		if (r != -EEXIST)
			return r;
		/* A dangling link exists for O_EXCL and does not exist for open: no use to go on. */
		if (!lstat(l->path, &st) && S_ISLNK(st.st_mode) && stat(l->path, &st))
			return -ELOOP;
	}
}

int sync_fd_raise(int fd)
{
	if (fd < 0 || fd >= FIRST_HELD_FD)
		return fd;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HELD_FD);
	/* EINVAL: the limit on open files leaves no such number. */
	int r = high >= 0 ? high : errno == EINVAL ? -EMFILE : -errno;
	close(fd);
	return r;
}

int sync_fd_is_steady(int fd)
{
	struct stat a;
	struct stat b;
	if (fstat(fd, &a) || fstat(fd, &b))
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -ENOTUNIQ;
}

int sync_file_may_end(uint64_t end)
{
	struct rlimit limit;
	return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < end ? -EFBIG : 0;
}

/* Remember which file it is; what we looked at and what we opened may differ. */
static int identify(struct sync_lock *l)
{
	struct stat st;
	/* As fstat(), but the libc function that look() has called already: see main.c's same(). */
	if (fstatat(l->fd, "", &st, AT_EMPTY_PATH))
		return -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->type = st.st_mode & S_IFMT;
	l->empty = st.st_size == 0;
	return l->flags & SYNC_LOCK_AS_IS ? 0 : type_error(st.st_mode);
}

int sync_lockfile_open(struct sync_lock *l, const struct timespec *deadline)
{
	if (l->path) {
		int fd = find_or_make(l, deadline);
		if (fd < 0)
			return fd;
		fd = sync_fd_raise(fd);
		if (fd < 0)
			return fd;
		l->fd = fd;
	}
	int r = identify(l);
	if (r && l->path) {
		close(l->fd);
		l->fd = -1;
	}
	return r;
}

int sync_lockfile_reopen(struct sync_lock *l, const struct timespec *deadline)
{
	int old = l->fd;
	int r = sync_fd_is_steady(old);
	if (!r)
		r = sync_lockfile_open(l, deadline);
	if (r)
		l->fd = old;
	else
		close(old);
	return r;
}

int sync_lockfile_identity(const struct sync_lock *l, dev_t *dev, ino_t *ino)
{
	struct stat st;
	int r = l->path ? look(l, &st) : fstat(l->fd, &st) ? -errno : 0;
	if (!r && l->path)
		r = type_error(st.st_mode);
	if (r)
		return r;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return 0;
}

int sync_lockfile_check(const struct sync_lock *l)
{
	dev_t dev;
	ino_t ino;
	if (!l->path)
		return 0;
	int r = sync_lockfile_identity(l, &dev, &ino);
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EMEDIUMTYPE)
		return -ESTALE;
	if (r)
		return r;
	return dev == l->dev && ino == l->ino ? 0 : -ESTALE;
}

int sync_lockfile_make_writable(struct sync_lock *l)
{
	if (!l->path || !S_ISREG(l->type))
		return -EBADF;
	int fd = open_in_time(l, O_RDWR, SYNC_NOW);
	if (fd < 0)
		return fd;
	fd = sync_fd_raise(fd);
	if (fd < 0)
		return fd;
	struct stat st;
	if (fstat(fd, &st) || st.st_dev != l->dev || st.st_ino != l->ino) {
		close(fd);
		return -ESTALE;
	}
	close(l->fd);
	l->fd = fd;
	return 0;
}
