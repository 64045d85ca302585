/* SPDX-License-Identifier: MIT */
/*
 * SYNCBOX_HELD is "PID:FD PID:FD ...": process PID took a lock on its descriptor FD, and unless it
 * was told to close it, COMMAND has the same descriptor under the same number. Both are claims, to
 * be believed only where the kernel confirms them: a job may outlive the lock it ran under.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "held.h"

#define VARIABLE "SYNCBOX_HELD"
/* Commands that run each other in place for ever must not grow it for ever: the oldest go. */
#define LONGEST 256

static enum sync_mode stronger(enum sync_mode mode, int found)
{
	return found > (int)mode ? (enum sync_mode)found : mode;
}

bool held_claimed(void)
{
	/* secure_getenv: a setuid copy of us believes nothing. */
	const char *s = secure_getenv(VARIABLE);
	return s && *s;
}

enum sync_mode held_above(const struct sync_lock *lock)
{
	const char *s = secure_getenv(VARIABLE);
	enum sync_mode mode = SYNC_UNLOCKED;
	/* A descriptor that has the lock already, through the same description, may convert it. */
	int own = sync_lock_fd(lock);
	if (own >= 0 && sync_lock_held_at(lock, 0, own) > 0)
		return mode;
	int pid;
	int fd;
	int used;
	while (s && sscanf(s, " %d:%d%n", &pid, &fd, &used) == 2) {
		mode = stronger(mode, sync_lock_held_at(lock, 0, fd));
		if (pid > 0)
			mode = stronger(mode, sync_lock_held_at(lock, pid, fd));
		s += used;
	}
	return mode;
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

int held_export(struct sync_lock_want *wants, size_t count)
{
	static char entry[sizeof(VARIABLE "=") + LONGEST + 64] = VARIABLE "=";
	char *const value = entry + strlen(VARIABLE "=");
	char *at = value;
	const char *old = secure_getenv(VARIABLE);
	size_t length = old ? strlen(old) : 0;
	if (length && length < LONGEST / 2)
		at = (char *)memcpy(value, old, length) + length;
	for (size_t i = 0; i < count && at < value + LONGEST; i++) {
		if (sync_lock_mode(wants[i].lock) == SYNC_UNLOCKED)
			continue;
		if (at > value)
			*at++ = ' ';
		at = put_number(at, getpid());
		*at++ = ':';
		at = put_number(at, sync_lock_fd(wants[i].lock));
	}
	*at = '\0';
	return putenv(entry) ? -errno : 0; /* it stays ours: setenv() would copy it */
}
