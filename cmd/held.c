/* SPDX-License-Identifier: MIT */
/*
 * SYNCBOX_HELD is "PID:FD PID:FD ...": process PID took a lock on its descriptor FD, and unless it
 * was told to close it, COMMAND has the same descriptor under the same number. Both are claims, to
 * be believed only where the kernel confirms them: a job may outlive the lock it ran under.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "held.h"

#define VARIABLE "SYNCBOX_HELD"
/* Some 70 levels. No more, that it shares a page with what else a start touches. */
#define LONGEST 768
#define LONGEST_CLAIM 24

/* As far up as a script is likely to number its descriptors, or we ours. */
#define LOOK_AT_FDS 64

static void look(struct held *held, const struct sync_lock *lock, pid_t pid, int fd)
{
	int found = sync_lock_held_at(lock, pid, fd, &held->whole);
	if (found > (int)held->any)
		held->any = (enum sync_mode)found;
}

bool held_claimed(void)
{
	/* secure_getenv: a setuid copy of us believes nothing. */
	const char *s = secure_getenv(VARIABLE);
	return s && *s;
}

struct held held_above(const struct sync_lock *lock)
{
	const char *s = secure_getenv(VARIABLE);
	struct held held = {SYNC_UNLOCKED, SYNC_UNLOCKED};
	/* A descriptor that has the lock already, through the same description, may convert it. */
	int own = sync_lock_fd(lock);
	if (own >= 0 && sync_lock_held_at(lock, 0, own, NULL) > 0)
		return held;
	int pid;
	int fd;
	int used;
	while (s && sscanf(s, " %d:%d%n", &pid, &fd, &used) == 2) {
		look(&held, lock, 0, fd);
		if (pid > 0)
			look(&held, lock, pid, fd);
		s += used;
	}
	return held;
}

struct held held_by_us(const struct sync_lock *lock)
{
	struct held held = {SYNC_UNLOCKED, SYNC_UNLOCKED};
	int own = sync_lock_fd(lock);
	if (own >= 0 && sync_lock_held_at(lock, 0, own, NULL) > 0)
		return held;
	for (int fd = 0; fd < LOOK_AT_FDS; fd++)
		if (fd != own)
			look(&held, lock, 0, fd);
	return held;
}

/* Only then can it have become us with its locks still held; and a look at all costs time. */
static bool is_own_claim(void)
{
	const char *s = secure_getenv(VARIABLE);
	int pid;
	int fd;
	int used;
	while (s && sscanf(s, " %d:%d%n", &pid, &fd, &used) == 2) {
		if (pid == getpid())
			return true;
		s += used;
	}
	return false;
}

bool held_by_process(const struct sync_lock *lock)
{
	if (!is_own_claim())
		return false;
	struct sync_owner *list;
	size_t count;
	size_t hidden;
	bool found = false;
	if (sync_lock_owners(lock, &list, &count, &hidden))
		return false;
	for (size_t i = 0; i < count; i++)
		found = found ||
			(list[i].by_process && !list[i].waiting && list[i].pid == getpid());
	free(list);
	return found;
}

/* snprintf() would do, at the price of more page faults than all else that lockrun does. */
static char *put_number(char *at, int n)
{
	char digits[12];
	int i = 0;
	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		*at++ = digits[--i];
	return at;
}

/* Is FD one that we opened? Then what a claim says of that number is not about ours. */
static bool is_of(const struct sync_lock_want *wants, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (sync_lock_fd(wants[i].lock) == fd)
			return true;
	return false;
}

/* Could the kernel confirm it, to us or to COMMAND? Not of a process or a descriptor that is gone. */
static bool may_be_true(int pid, int fd, const struct sync_lock_want *wants, size_t count)
{
	char path[48];
	char target[1];
	if (!is_of(wants, count, fd) && fcntl(fd, F_GETFD) >= 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	return readlink(path, target, sizeof(target)) >= 0 || errno == EACCES;
}

/*
 * Claims are passed on unread, also by scripts that keep the variable when the lock is long free. Only
 * when there are too many does it pay to look which are worth it. The length of what is put at AT, of SIZE.
 */
static size_t copy_live(char *at, size_t size, const char *old, const struct sync_lock_want *wants,
			size_t count)
{
	char *const start = at;
	int pid;
	int fd;
	int used;
	while (sscanf(old, " %d:%d%n", &pid, &fd, &used) == 2) {
		old += used;
		if (pid <= 0 || fd < 0 || !may_be_true(pid, fd, wants, count))
			continue;
		if ((size_t)(at - start) + LONGEST_CLAIM >= size)
			break;
		if (at > start)
			*at++ = ' ';
		at = put_number(at, pid);
		*at++ = ':';
		at = put_number(at, fd);
	}
	return (size_t)(at - start);
}

int held_export(struct sync_lock_want *wants, size_t count)
{
	const char *old = secure_getenv(VARIABLE);
	size_t length = old ? strlen(old) : 0;
	bool too_many = length + count * LONGEST_CLAIM >= LONGEST;
	static char *entry; /* it stays ours: setenv() would copy it */
	entry = malloc(sizeof(VARIABLE "=") +
		       (too_many ? LONGEST : length + count * LONGEST_CLAIM));
	if (!entry)
		return -ENOMEM;
	char *const value = entry + strlen(VARIABLE "=");
	char *at = value;
	memcpy(entry, VARIABLE "=", sizeof(VARIABLE "="));
	if (too_many)
		length = copy_live(value, LONGEST, old ? old : "", wants, count);
	if (length + count * LONGEST_CLAIM >= LONGEST) {
		free(entry);
		return -E2BIG;
	}
	if (!too_many && length)
		memcpy(value, old, length + 1);
	at += length;
	for (size_t i = 0; i < count; i++) {
		if (sync_lock_mode(wants[i].lock) == SYNC_UNLOCKED)
			continue;
		if (at > value)
			*at++ = ' ';
		at = put_number(at, getpid());
		*at++ = ':';
		at = put_number(at, sync_lock_fd(wants[i].lock));
	}
	*at = '\0';
	return putenv(entry) ? -errno : 0;
}
