/* SPDX-License-Identifier: MIT */
/*
 * The counter of an event: an eventfd that others share, who may expect it to block, or not to.
 *
 * Blocking or not is a flag of the open file description, so it is everybody's, and we leave it as it is.
 * A call of ours never blocks all the same: a read by RWF_NOWAIT (Linux 5.8), but there is no such thing
 * for writing to an eventfd. So that, where the description blocks, is a blocking call which an alarm
 * ends at once; and it is only made when there was room a moment ago.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "counter.h"

#ifndef RWF_NOWAIT /* musl 1.2.3 */
#define RWF_NOWAIT 8
#endif

int sync_counter_new(uint64_t initial, unsigned flags)
{
	if (initial > SYNC_COUNTER_MAX)
		return -EINVAL;
	int semaphore = flags & SYNC_COUNTER_SEMAPHORE ? EFD_SEMAPHORE : 0;
	int nonblock = flags & SYNC_COUNTER_NONBLOCK ? EFD_NONBLOCK : 0;
	int fd = eventfd(0, EFD_CLOEXEC | semaphore | nonblock);
	if (fd < 0)
		return -errno;
	fd = sync_fd_raise(fd);
	/* Not the argument of eventfd(): that has 32 bits. */
	if (fd >= 0 && initial && write(fd, &initial, sizeof(initial)) != sizeof(initial)) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* The number behind KEY, or NULL. */
static const char *find(const char *text, const char *key)
{
	const char *s = strstr(text, key);
	return s ? s + strlen(key) : NULL;
}

/* N is not negative. No snprintf(3), which would cost every start page faults. */
static void put_number(char *to, int n)
{
	int digits = 1;
	for (int rest = n; rest >= 10; rest /= 10)
		digits++;
	to[digits] = '\0';
	for (; digits; n /= 10)
		to[--digits] = (char)('0' + n % 10);
}

int sync_counter_check(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[64];
	char target[sizeof(eventfd)];
	put_number(stpcpy(path, "/proc/thread-self/fd/"), fd);
	ssize_t n = readlink(path, target, sizeof(target));
	if (n < 0 && errno == ENOENT)
		return fcntl(fd, F_GETFD) < 0 ? -errno : -EOPNOTSUPP;
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(eventfd) - 1 && !memcmp(target, eventfd, (size_t)n)
		       ? 0
		       : -EMEDIUMTYPE;
}

int sync_counter_look(int fd, struct sync_counter *out)
{
	char path[64];
	char text[1024];
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	/* A thread may have descriptors of its own. */
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	ssize_t n = sync_proc_read(path, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? -EOPNOTSUPP : (int)n;
	const char *count = find(text, "\neventfd-count:");
	const char *id = find(text, "\neventfd-id:");               /* Linux 5.2 */
	const char *semaphore = find(text, "\neventfd-semaphore:"); /* Linux 6.5 */
	if (!count)
		return -EMEDIUMTYPE;
	out->value = strtoull(count, NULL, 16);
	out->id = id ? (int)strtol(id, NULL, 10) : -1;
	out->semaphore = semaphore ? (int)strtol(semaphore, NULL, 10) : -1;
	return 0;
}

static int once(int fd, bool add, uint64_t *value)
{
	ssize_t n = add ? write(fd, value, sizeof(*value)) : read(fd, value, sizeof(*value));
	if (n == sizeof(*value))
		return 0;
	return errno == EAGAIN ? SYNC_NOT_NOW : -errno;
}

/* Would it have blocked a moment ago? If that cannot be known, no. */
static bool was_busy(int fd, bool add, uint64_t n)
{
	struct sync_counter c = {0};
	if (!add)
		return !sync_counter_is_set(fd);
	return !sync_counter_look(fd, &c) && n > SYNC_COUNTER_MAX - c.value;
}

static int without_blocking(int fd, bool add, uint64_t *value)
{
	struct sync_alarm alarm;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	if (flags & O_NONBLOCK)
		return once(fd, add, value);
	if (was_busy(fd, add, *value))
		return SYNC_NOT_NOW;
	int r = sync_alarm_start(&alarm, SYNC_NOW);
	if (r)
		return r;
	r = once(fd, add, value);
	sync_alarm_stop(&alarm);
	return r == -EINTR ? SYNC_NOT_NOW : r;
}

int sync_counter_take(int fd, uint64_t *value)
{
	struct iovec io = {value, sizeof(*value)};
	/* The raw call: musl 1.2.3 has no other. -1: no position. */
	if (syscall(SYS_preadv2, fd, &io, 1, -1L, -1L, RWF_NOWAIT) == sizeof(*value))
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return without_blocking(fd, false, value);
	return errno == EAGAIN ? SYNC_NOT_NOW : -errno;
}

int sync_counter_add(int fd, uint64_t n)
{
	return without_blocking(fd, true, &n);
}

int sync_counter_add_blocking(int fd, uint64_t n)
{
	return once(fd, true, &n);
}

bool sync_counter_is_set(int fd)
{
	return sync_ready(fd) != 0;
}
