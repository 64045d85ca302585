/* SPDX-License-Identifier: MIT */
/* Why a lock could not be opened or taken, in one line that says what to do. */
#ifndef CMD_LOCKFAIL_H
#define CMD_LOCKFAIL_H

/* Who asks: it changes the reason and the remedy. */
struct lockfail {
	const char *name; /* as the user wrote it */
	_Bool by_fd, no_create, follow;
	_Bool is_record; /* an ofd or fcntl lock */
};

/* ERR is from sync_lock_open(); says it, returns the exit status. */
int lockfail_open(const struct lockfail *f, int err);
/* ERR is from sync_lock_acquire(), and not -ETIMEDOUT. */
int lockfail_acquire(const struct lockfail *f, int err);

#endif
