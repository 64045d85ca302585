/* SPDX-License-Identifier: MIT */
/* The locks of a job: opened, taken together, given up; with everything a person is told of it. */
#ifndef CMD_LOCKSET_H
#define CMD_LOCKSET_H

#include "common.h"
#include "libsync.h"

struct report;

/* More than any job needs. Arrays of a fixed size: an allocation costs page faults at every start. */
enum { LOCKSET_MAX = 16 };

/* One lock as it was asked for. */
struct lockset_ask {
	const char *name;
	enum sync_mode mode;
};

struct lockset {
	/* set by the caller */
	struct common_opts *common;
	unsigned flags; /* SYNC_LOCK_ bits for every lock */
	mode_t create_mode;
	bool reentrant;
	bool no_lend;          /* inside make: keep our slot while we wait */
	struct report *report; /* NULL: nobody wants to know */
	/* ours */
	const struct timespec *deadline;
	struct sync_lock_want wants[LOCKSET_MAX];
	size_t count;
	struct timespec began; /* with -v */
	mode_t umask;          /* as we found it */
};

/* The functions below say what went wrong and exit; nothing stays locked then. */

/*
 * Open them all; the clock of -w starts here. What a command above us holds is refused, or, if
 * reentrant, left out.
 */
void lockset_open(struct lockset *set, const struct lockset_ask *asks, size_t count);
/* Do all of them have these SYNC_CAP_ bits? */
bool lockset_can(const struct lockset *set, unsigned caps);
/* Take them all. The umask, which was 0 since lockset_open(), is put back. */
void lockset_acquire(struct lockset *set);
/* LOCK, one of the set, is not to be had in time. */
__attribute__((noreturn)) void lockset_busy(const struct lockset *set,
					    const struct sync_lock *lock);
/* Say why this lock of the set could not be locked or unlocked; returns the exit status. */
int lockset_fail(const struct lockset *set, const struct sync_lock *lock, int err);
/* With -v, and to who wants reports: that they are held, and how long that took. */
void lockset_say_acquired(const struct lockset *set);
/* The descriptors to inherit, into FDS; returns how many. */
size_t lockset_fds(const struct lockset *set, int fds[LOCKSET_MAX]);
/* Warn of files that were removed meanwhile, remove them ourselves if REMOVE, unlock. */
void lockset_release(struct lockset *set, bool remove);

#endif
