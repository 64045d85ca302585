/* SPDX-License-Identifier: MIT */
/* The file of a pool and the FIFOs beside it; what lies where is told in poolfile.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "futex.h"
#include "lock_record.h"
#include "poolfile.h"

enum { RECORD = 64, HEADER = 64, SIZE_AT = 20, WAKE_AT = 37, PATH_ROOM = 4096 };

#define MAGIC "syncbox pool v1\n"

/* ---- the header ---- */

static void format_header(char header[HEADER + 1], const struct sync_poolinfo *info)
{
	snprintf(header, HEADER + 1, MAGIC "N = %04u (%04u)\nwake %016" PRIx64 " %s", info->size,
		 info->size, info->wake, "semwait(1)");
	header[HEADER - 1] = '\n';
}

static bool parse_header(const char header[HEADER], struct sync_poolinfo *info)
{
	char again[HEADER + 1];
	char hex[17];
	uint64_t n;
	if (sync_name_number(header + SIZE_AT, 4, POOL_MAX, &n))
		return false;
	memcpy(hex, header + WAKE_AT, 16);
	hex[16] = '\0';
	info->size = (unsigned)n;
	info->wake = strtoull(hex, NULL, 16);
	memcpy(&info->word, header + SIZE_AT, sizeof(info->word));
	format_header(again, info);
	return !memcmp(again, header, HEADER);
}

int sync_poolfile_info(int fd, struct sync_poolinfo *info)
{
	/* A reader may meet a writer, but not again and again. */
	for (int tries = 0; tries < 1000; tries++) {
		char header[HEADER];
		ssize_t n = pread(fd, header, sizeof(header), 0);
		if (n < 0)
			return -errno;
		if (n < (ssize_t)sizeof(header) || memcmp(header, MAGIC, strlen(MAGIC)) != 0)
			return -EUCLEAN;
		if (parse_header(header, info))
			return 0;
	}
	return -EUCLEAN;
}

int sync_poolfile_check(const char *path, int fd)
{
	struct stat now;
	struct stat ours;
	if (fstat(fd, &ours))
		return -errno;
	if (lstat(path, &now))
		return errno == ENOENT ? -ESTALE : -errno;
	return now.st_dev == ours.st_dev && now.st_ino == ours.st_ino ? 0 : -ESTALE;
}

void sync_poolfile_record(int fd, unsigned slot, const char *label)
{
	char line[RECORD];
	int n = snprintf(line, sizeof(line), "%04u pid %d uid %u since %lld ", slot, (int)getpid(),
			 (unsigned)getuid(), (long long)time(NULL));
	for (; label && *label && n < RECORD - 1; label++)
		line[n++] = (char)(*label > ' ' && *label < 127 ? *label : '?');
	memset(line + n, ' ', (size_t)(RECORD - n));
	line[RECORD - 1] = '\n';
	off_t at = HEADER + (off_t)RECORD * slot;
	/* Neither a full disk nor a limit shall keep anybody from a permit. */
	if (sync_file_may_end((uint64_t)at + RECORD) || pwrite(fd, line, RECORD, at) < 0)
		return;
}

/* ---- the directory of FIFOs ---- */

static int wake_path(char *buf, const char *path)
{
	return snprintf(buf, PATH_ROOM, "%s.wake", path) < PATH_ROOM ? 0 : -ENAMETOOLONG;
}

/* Of a directory that we have just made, whatever the umask has left of its mode. */
static void set_mode(const char *name, mode_t mode)
{
	char self[40];
	int fd = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* Should it fail, others cannot come in, and wait by threads. */
	if (chmod(self, mode))
		errno = 0;
	close(fd);
}

/* Whoever owns it could hinder us by its FIFOs: so it is the pool's owner's, root's, or ours. */
static int trust(int fd, uid_t owner)
{
	struct stat st;
	int r = fstat(fd, &st) ? -errno : 0;
	if (!r && st.st_uid != owner && st.st_uid != 0 && st.st_uid != geteuid())
		r = -EPERM;
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* Made for a file of that mode: who may read and write the file may come in, and add FIFOs. */
static int wake_dir(const char *path, mode_t mode, uid_t owner)
{
	char name[PATH_ROOM];
	int r = wake_path(name, path);
	if (r)
		return r;
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return trust(fd, owner);
	if (errno != ENOENT)
		return -errno;
	if (!mkdir(name, 0700))
		set_mode(name, (mode & 0666) | (mode & 0444) >> 2);
	else if (errno != EEXIST)
		return -errno;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : trust(fd, owner);
}

int sync_poolfile_wake_dir(const char *path)
{
	struct stat st;
	if (lstat(path, &st))
		return -errno;
	return wake_dir(path, st.st_mode, st.st_uid);
}

/* ---- open, make ---- */

int sync_poolfile_again(const char *path)
{
	/* O_NONBLOCK: should it be a FIFO. Never O_CREAT: see fs.protected_regular. */
	int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, O_RDWR | flags);
	/* Who may only read it can look. */
	if (fd < 0 && (errno == EACCES || errno == EROFS))
		fd = open(path, O_RDONLY | flags);
	if (fd < 0)
		return errno == EISDIR || errno == ENXIO || errno == ELOOP ? -EUCLEAN : -errno;
	struct stat st;
	struct sync_poolinfo info = {0};
	int r = fstat(fd, &st) ? -errno : 0;
	if (!r)
		r = S_ISREG(st.st_mode) ? sync_poolfile_info(fd, &info) : -EUCLEAN;
	if (!r)
		return sync_fd_raise(fd);
	close(fd);
	return r;
}

/* A file without a name yet, so that nothing is left if we are killed; -EOPNOTSUPP, -EISDIR, ... */
static int make_nameless(const char *path)
{
	char dir[PATH_ROOM];
	const char *slash = strrchr(path, '/');
	int n = slash ? snprintf(dir, sizeof(dir), "%.*s/", (int)(slash - path), path)
		      : snprintf(dir, sizeof(dir), ".");
	if (n >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int link_nameless(int fd, const char *path)
{
	char self[40];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* Where the file system cannot: a name of our own, which a kill may leave behind. */
static int make_named(const char *path, char name[PATH_ROOM])
{
	if (snprintf(name, PATH_ROOM, "%s.%d", path, (int)getpid()) >= PATH_ROOM)
		return -ENAMETOOLONG;
	unlink(name); /* of a namesake who was killed */
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static mode_t file_mode(const struct sync_sem_opts *opts)
{
	return opts->mode ? opts->mode & 0777 : 0600;
}

static int fill(int fd, const char *path, const struct sync_sem_opts *opts)
{
	char header[HEADER + 1];
	struct sync_poolinfo info = {.size = opts->initial};
	struct stat st;
	int r = sync_file_may_end(HEADER);
	if (r)
		return r;
	int dir = wake_dir(path, file_mode(opts), geteuid());
	if (dir >= 0 && !fstat(dir, &st))
		info.wake = st.st_ino;
	if (dir >= 0)
		close(dir);
	format_header(header, &info);
	ssize_t n = write(fd, header, HEADER);
	if (n != HEADER)
		return n < 0 ? -errno : -ENOSPC;
	return fchmod(fd, file_mode(opts)) ? -errno : 0;
}

/* Complete before it has its name. -EEXIST somebody was faster. */
static int make(const char *path, const struct sync_sem_opts *opts)
{
	char name[PATH_ROOM];
	int fd = make_nameless(path);
	int r = fd < 0 ? fd : fill(fd, path, opts);
	if (!r) {
		r = link_nameless(fd, path);
		if (r != -ENOENT && r != -EXDEV && r != -EOPNOTSUPP)
			goto done; /* not: no /proc here */
	} else if (r != -EOPNOTSUPP && r != -EISDIR && r != -EINVAL) {
		goto done;
	}
	if (fd >= 0)
		close(fd);
	fd = make_named(path, name);
	if (fd < 0)
		return fd;
	r = fill(fd, path, opts);
	if (!r && link(name, path))
		r = -errno;
	unlink(name);
done:
	/* Opened anew by its name: /proc would go on to show this one as deleted. */
	if (fd >= 0)
		close(fd);
	return r;
}

int sync_poolfile_open(const char *path, const struct sync_sem_opts *opts)
{
	for (;;) {
		int r = sync_poolfile_again(path);
		if (r != -ENOENT || !(opts->flags & SYNC_SEM_CREATE))
			return r;
		r = make(path, opts);
		if (r && r != -EEXIST)
			return r;
	}
}

/* ---- FIFOs ---- */

static void fifo_name(char name[16], unsigned slot)
{
	snprintf(name, 16, slot == POOL_TURN ? "turn" : "%u", slot);
}

/*
 * A FIFO that is ours gets the mode of its directory, whatever the umask has left of it, or a kill
 * of whoever made it. Not by its name: that may lead elsewhere by now.
 */
static void mend_fifo(int dir, const char *name)
{
	char self[40];
	struct stat here;
	struct stat there;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!fstat(fd, &here) && !fstat(dir, &there) && S_ISFIFO(here.st_mode) &&
	    here.st_uid == geteuid() && ((here.st_mode ^ there.st_mode) & 0666) &&
	    chmod(self, there.st_mode & 0666))
		errno = 0; /* others cannot open it, and wait by threads */
	close(fd);
}

int sync_poolfile_fifo(int dir, unsigned slot, int flags)
{
	char name[16];
	fifo_name(name, slot);
	flags |= O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(dir, name, flags);
	if (fd < 0 && errno == ENOENT) {
		if (!mkfifoat(dir, name, 0600))
			mend_fifo(dir, name);
		fd = openat(dir, name, flags);
	}
	if (fd < 0)
		return -errno;
	struct stat st;
	struct stat there;
	if (fstat(fd, &st) || fstat(dir, &there) || !S_ISFIFO(st.st_mode)) {
		close(fd);
		return -EUCLEAN;
	}
	if ((st.st_mode ^ there.st_mode) & 0666)
		mend_fifo(dir, name);
	return sync_fd_raise(fd);
}

/* ---- resize, remove ---- */

static bool is_wake_dir(int dir, int fd, const struct sync_poolinfo *info)
{
	struct stat there;
	struct stat here;
	return !fstat(dir, &there) && !fstat(fd, &here) && there.st_dev == here.st_dev &&
	       there.st_ino == info->wake;
}

bool sync_poolfile_shares_wake(int dir, int fd)
{
	struct sync_poolinfo info = {0};
	return dir >= 0 && !sync_poolfile_info(fd, &info) && is_wake_dir(dir, fd, &info);
}

/* Only the kernel reads what is mapped: there is no SIGBUS if others cut the file short. */
void *sync_poolfile_map(int fd)
{
	void *page = mmap(NULL, HEADER, PROT_READ, MAP_SHARED, fd, 0);
	return page == MAP_FAILED ? NULL : page;
}

void sync_poolfile_unmap(void *page)
{
	if (page)
		munmap(page, HEADER);
}

/* For heads that have other FIFOs than everybody else. */
static void wake_sleepers(int fd)
{
	void *page = sync_poolfile_map(fd);
	if (page)
		sync_futex_wake((char *)page + SIZE_AT, INT_MAX);
	sync_poolfile_unmap(page);
}

int sync_poolfile_await_size(void *page, uint32_t word)
{
	int r = sync_futex_wait((char *)page + SIZE_AT, word, NULL);
	return r == -EAGAIN ? 0 : r;
}

static int write_header(int fd, const struct sync_poolinfo *info)
{
	char header[HEADER + 1];
	int r = sync_file_may_end(HEADER);
	if (r)
		return r;
	format_header(header, info);
	ssize_t n = pwrite(fd, header, HEADER, 0);
	return n == HEADER ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* A head may sleep by FIFOs that are not here, or that we may not open: it would not hear of it. */
static int open_turn(int dir, int fd, struct sync_poolinfo *info, bool nobody_waits)
{
	struct stat st;
	if (dir >= 0 && !is_wake_dir(dir, fd, info) && nobody_waits && !fstat(dir, &st))
		info->wake = st.st_ino;
	if (!info->wake)
		return -ENOENT;
	if (dir < 0)
		return dir;
	return is_wake_dir(dir, fd, info) ? sync_poolfile_fifo(dir, POOL_TURN, O_RDWR) : -EXDEV;
}

int sync_poolfile_resize(const char *path, int fd, unsigned size, bool nobody_waits)
{
	struct sync_poolinfo info = {0};
	int r = sync_poolfile_info(fd, &info);
	if (r)
		return r;
	int dir = sync_poolfile_wake_dir(path);
	int turn = open_turn(dir, fd, &info, nobody_waits);
	if (turn < 0 && info.wake && !nobody_waits)
		r = turn;
	info.size = size;
	if (!r)
		r = write_header(fd, &info);
	if (!r)
		wake_sleepers(fd);
	if (turn >= 0)
		close(turn); /* whoever has it open for reading sees a hang-up */
	if (dir >= 0)
		close(dir);
	return r;
}

int sync_poolfile_begin_turn(const char *path)
{
	int dir = sync_poolfile_wake_dir(path);
	if (dir < 0)
		return dir;
	int turn = sync_poolfile_fifo(dir, POOL_TURN, O_RDWR);
	close(dir);
	return turn;
}

void sync_poolfile_end_turn(const char *path, int turn)
{
	/* There may be a descriptor for it now. */
	if (turn < 0)
		turn = sync_poolfile_begin_turn(path);
	/* Whoever has the FIFO open for reading sees a hang-up. */
	if (turn >= 0)
		close(turn);
}

void sync_poolfile_drop_fifo(const char *path, unsigned slot)
{
	char name[16];
	int dir = sync_poolfile_wake_dir(path);
	if (dir < 0)
		return;
	fifo_name(name, slot);
	unlinkat(dir, name, 0);
	close(dir);
}

int sync_poolfile_unlink(const char *path)
{
	char name[PATH_ROOM];
	int dir = sync_poolfile_wake_dir(path);
	if (unlink(path)) {
		int r = -errno;
		if (dir >= 0)
			close(dir);
		return r;
	}
	if (dir < 0)
		return 0;
	/* The head of the line looks, and finds that the name leads nowhere. */
	int turn = sync_poolfile_fifo(dir, POOL_TURN, O_RDWR);
	if (turn >= 0)
		close(turn);
	for (unsigned slot = 0; slot <= POOL_MAX; slot++) {
		fifo_name(name, slot);
		unlinkat(dir, name, 0);
	}
	close(dir);
	if (!wake_path(name, path))
		rmdir(name);
	return 0;
}

/* ---- locks ---- */

int sync_poolfile_lock(int fd, unsigned first, unsigned last, enum sync_mode mode, bool wait)
{
	struct sync_range range = {first, last};
	return sync_record_set(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range, mode);
}

/* The lock of another description on one of the bytes; l_type is F_UNLCK if there is none. */
static int find_lock(int fd, unsigned first, unsigned last, struct flock *record)
{
	*record = (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = first,
		.l_len = last - first + 1,
	};
	return fcntl(fd, F_OFD_GETLK, record);
}

bool sync_poolfile_is_held(int fd, unsigned first, unsigned last)
{
	struct flock record;
	return find_lock(fd, first, last, &record) || record.l_type != F_UNLCK;
}

int sync_poolfile_count(int fd, unsigned size, unsigned *held)
{
	*held = 0;
	for (unsigned slot = 0; slot < size; slot++) {
		struct flock record;
		if (find_lock(fd, POOL_SLOTS + slot, POOL_SLOTS + slot, &record))
			return -errno;
		*held += record.l_type != F_UNLCK;
	}
	return 0;
}

bool sync_poolfile_is_held_with(int fd, unsigned byte)
{
	struct flock record;
	return !find_lock(fd, byte, byte, &record) && record.l_type != F_UNLCK &&
	       record.l_start < byte;
}
