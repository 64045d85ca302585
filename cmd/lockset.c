/* SPDX-License-Identifier: MIT */
/* The locks of a job: opened, taken together, given up; with everything a person is told of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exitcode.h"
#include "held.h"
#include "holders.h"
#include "lend.h"
#include "lockfail.h"
#include "lockset.h"
#include "report.h"
#include "say.h"
#include "stop.h"
#include "waiting.h"

static struct lockfail circumstances(const struct lockset *set, const char *name)
{
	return (struct lockfail){
		.name = name,
		.by_fd = set->flags & SYNC_LOCK_BY_FD,
		.no_create = set->flags & (SYNC_LOCK_NO_CREATE | SYNC_LOCK_BY_NAME),
		.follow = set->flags & SYNC_LOCK_FOLLOW,
	};
}

/* ---- re-entry ---- */

static _Noreturn void refuse(const char *name, const struct held *held, enum sync_mode asked)
{
	const char *why = held->any < asked ? "shared " : "";
	if (held->whole < asked)
		die(EXIT_SYSTEM,
		    "%s is held %sby a command that started this one, though not as it is wanted "
		    "here, so waiting for it would never end: take it in full there",
		    quote(name), why);
	die(EXIT_SYSTEM,
	    "%s is held by a command that started this one, so waiting for it would never end: "
	    "--reentrant goes on under that lock",
	    quote(name));
}

static bool stands_in_the_way(const struct held *held, enum sync_mode asked)
{
	return held->any == SYNC_EXCLUSIVE || (held->any && asked == SYNC_EXCLUSIVE);
}

static bool is_held(const struct lockset *set, const struct lockset_ask *ask,
		    const struct sync_lock *lock)
{
	struct held held = held_above(lock);
	if (set->reentrant && held.whole >= ask->mode) {
		if (set->common->verbose)
			warn("%s is held already by a command that started this one",
			     quote(ask->name));
		return true; /* so it is not even opened */
	}
	if (held_by_process(lock))
		die(EXIT_SYSTEM,
		    "%s has an fcntl: lock of this very process, which opening the file again "
		    "would drop: name all locks of a job in one lockrun",
		    quote(ask->name));
	if (stands_in_the_way(&held, ask->mode))
		refuse(ask->name, &held, ask->mode);
	return false;
}

/*
 * Asked before the file is opened: closing any descriptor of a file drops the fcntl: locks that the
 * process itself, before it became us, took on it.
 */
static bool is_held_above(const struct lockset *set, const struct lockset_ask *ask)
{
	struct sync_lock_opts opts = {.flags = set->flags | SYNC_LOCK_BY_NAME};
	struct sync_lock *lock;
	if (set->flags & SYNC_LOCK_BY_NAME || ask->mode == SYNC_UNLOCKED || !held_claimed())
		return false; /* nothing will be waited for, or nothing is held */
	if (sync_lock_open(ask->name, &opts, SYNC_NOW, &lock))
		return false; /* opening it in earnest will tell why */
	bool held = is_held(set, ask, lock);
	sync_lock_close(lock);
	return held;
}

/* No claim was made, but it is our own descriptor that keeps us from the lock. */
static void check_own_descriptors(const struct lockset *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct held held = held_by_us(set->wants[i].lock);
		if (stands_in_the_way(&held, set->wants[i].mode))
			die(EXIT_SYSTEM,
			    "%s is held through a descriptor that lockrun was started with, so "
			    "waiting for it would never end: close that one (9>&-), or lock it",
			    quote(sync_lock_name(set->wants[i].lock)));
	}
}

/* ---- opening ---- */

static int open_one(const struct lockset *set, const char *name, struct sync_lock **out)
{
	struct sync_lock_opts opts = {.flags = set->flags, .mode = set->create_mode};
	int r;
	do
		r = sync_lock_open(name, &opts, set->deadline, out);
	while (r == -EINTR);
	return r;
}

static _Noreturn void cannot_open(const struct lockset *set, const char *name, int err)
{
	if (err != -ETIMEDOUT) {
		struct lockfail f = circumstances(set, name);
		exit(lockfail_open(&f, err));
	}
	if (!set->common->quiet)
		warn("%s is not free to be opened: another process has a lease on it", quote(name));
	if (set->report)
		report_busy(set->report, NULL, SYNC_EXCLUSIVE);
	exit(set->common->busy_status);
}

/* Who can read a file can keep it locked for ever. That may be meant, so only who asked hears of it. */
static void say_who_else(const struct lockset *set, const struct sync_lock *lock)
{
	struct stat st;
	if (fstat(sync_lock_fd(lock), &st))
		return;
	bool foreign = st.st_uid != geteuid() && st.st_uid != 0;
	if (foreign || (st.st_mode & 044 && !set->create_mode))
		warn("%s is open to others, who could keep it locked: it belongs to uid %u, and "
		     "has mode %o",
		     quote(sync_lock_name(lock)), (unsigned)st.st_uid, st.st_mode & 0777u);
}

void lockset_open(struct lockset *set, const struct lockset_ask *asks, size_t count)
{
	if (set->common->verbose)
		clock_gettime(CLOCK_MONOTONIC, &set->began);
	set->deadline = common_deadline(set->common);
	/*
	 * Until the locks are held, for as long as a file may have to be made: nobody shall see it
	 * with another mode than was asked for. The default, 600, is the same under any usual umask.
	 */
	if (set->create_mode)
		set->umask = umask(0);
	for (size_t i = 0; i < count; i++) {
		struct sync_lock_want *want = &set->wants[set->count];
		if (is_held_above(set, &asks[i]))
			continue;
		int r = open_one(set, asks[i].name, &want->lock);
		if (r)
			cannot_open(set, asks[i].name, r);
		if (set->common->verbose)
			say_who_else(set, want->lock);
		want->mode = asks[i].mode;
		set->count++;
	}
}

bool lockset_can(const struct lockset *set, unsigned caps)
{
	for (size_t i = 0; i < set->count; i++)
		if ((sync_lock_caps(set->wants[i].lock) & caps) != caps)
			return false;
	return true;
}

/* ---- taking them ---- */

static int acquire(struct lockset *set, const struct timespec *deadline, struct sync_lock **failed)
{
	int r;
	do
		r = sync_lock_acquire_all(set->wants, set->count, deadline, failed);
	while (r == -EINTR && !stop_wanted());
	return r;
}

static const struct sync_lock_want *find(const struct lockset *set, const struct sync_lock *lock)
{
	for (size_t i = 1; i < set->count; i++)
		if (set->wants[i].lock == lock)
			return &set->wants[i];
	return &set->wants[0];
}

/*
 * LOCK could not be had, and WHO has it. Or nobody has: then it was to cover another that overlaps it, of which some
 * part is somebody's; all that overlap nothing are ours or free.
 */
static const struct sync_lock_want *in_the_way(const struct lockset *set,
					       const struct sync_lock *lock, char *who, size_t size)
{
	const struct sync_lock_want *want = find(set, lock);
	bool told = holders_describe(who, size, want->lock, want->mode);
	for (size_t i = 0; !told && i < set->count; i++) {
		want = &set->wants[i];
		told = holders_describe(who, size, want->lock, want->mode);
	}
	return told ? want : find(set, lock);
}

static const char *blocker(char *buf, size_t size, const void *what)
{
	const struct lockset *set = what;
	char who[400] = "";
	const struct sync_lock_want *want = in_the_way(set, set->wants[0].lock, who, sizeof(who));
	/* Not quote(), which is never freed: this is said again each second. */
	char name[256];
	escape(name, sizeof(name), sync_lock_name(want->lock));
	snprintf(buf, size, "waiting for '%s': %s", name, who);
	return buf;
}

static int wait_for(struct lockset *set, struct sync_lock **failed)
{
	check_own_descriptors(set);
	char who[400] = "";
	if (set->report) {
		const struct sync_lock_want *want = in_the_way(set, *failed, who, sizeof(who));
		report_wait(set->report, want->lock, want->mode);
	}
	/* Its own copy of the list: the one in use is sorted again while the line is drawn. */
	static struct lockset seen;
	seen = *set;
	if (set->common->verbose) {
		char buf[1024];
		warn("%s", blocker(buf, sizeof(buf), &seen));
	}
	struct waiting *line = set->common->quiet ? NULL : waiting_begin(blocker, &seen, false);
	struct sync_sem *lent = NULL;
	if (lend_possible() && !set->no_lend)
		lent = lend_begin(set->common->verbose);
	int r = acquire(set, set->deadline, failed);
	waiting_end(line);
	lend_end(lent, set->common->verbose);
	return r;
}

void lockset_busy(const struct lockset *set, const struct sync_lock *lock)
{
	char who[400] = "";
	if (set->report || !set->common->quiet) {
		const struct sync_lock_want *want = in_the_way(set, lock, who, sizeof(who));
		if (set->report)
			report_busy(set->report, want->lock, want->mode);
		if (!set->common->quiet)
			warn("%s is %s", quote(sync_lock_name(want->lock)), who);
	}
	exit(set->common->busy_status);
}

void lockset_say_acquired(const struct lockset *set)
{
	struct timespec now;
	if (set->report)
		report_acquired(set->report);
	if (!set->common->verbose)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double waited = (double)(now.tv_sec - set->began.tv_sec) +
			(double)(now.tv_nsec - set->began.tv_nsec) / 1e9;
	for (size_t i = 0; i < set->count; i++)
		if (sync_lock_mode(set->wants[i].lock) != SYNC_UNLOCKED) /* folded into another */
			warn("locked %s after %.6f s", quote(sync_lock_name(set->wants[i].lock)),
			     waited);
}

int lockset_fail(const struct lockset *set, const struct sync_lock *lock, int err)
{
	struct lockfail f = circumstances(set, sync_lock_name(lock));
	f.is_record = sync_lock_caps(lock) & SYNC_CAP_RANGE;
	return lockfail_acquire(&f, err);
}

void lockset_acquire(struct lockset *set)
{
	struct sync_lock *failed = NULL;
	int r = acquire(set, SYNC_NOW, &failed);
	if (r == -ETIMEDOUT && set->common->timeout > 0)
		r = wait_for(set, &failed);
	if (r == -ETIMEDOUT)
		lockset_busy(set, failed);
	if (r)
		exit(lockset_fail(set, failed ? failed : set->wants[0].lock, r));
	if (set->create_mode)
		umask(set->umask);
}

size_t lockset_fds(const struct lockset *set, int fds[LOCKSET_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < set->count; i++)
		if (sync_lock_mode(set->wants[i].lock) != SYNC_UNLOCKED)
			fds[count++] = sync_lock_fd(set->wants[i].lock);
	return count;
}

/* ---- giving them up ---- */

static void remove_file(struct sync_lock *lock)
{
	int r;
	/* Others that share the lock are still at work: the last of them removes the file. */
	if (sync_lock_mode(lock) == SYNC_SHARED)
		r = sync_lock_acquire(lock, SYNC_EXCLUSIVE, SYNC_NOW);
	else
		r = 0;
	if (!r)
		r = sync_lock_unlink(lock);
	if (r && r != -ETIMEDOUT && r != -ESTALE)
		warn("cannot remove %s: %s", quote(sync_lock_name(lock)), strerror(-r));
}

void lockset_release(struct lockset *set, bool remove)
{
	for (size_t i = 0; i < set->count; i++) {
		struct sync_lock *lock = set->wants[i].lock;
		if (sync_lock_mode(lock) == SYNC_UNLOCKED)
			continue; /* folded into another */
		if (sync_lock_check(lock) == -ESTALE)
			warn("%s was removed or replaced while it was held: another job may have "
			     "run at the same time",
			     quote(sync_lock_name(lock)));
		else if (remove)
			remove_file(lock);
		(void)sync_lock_release(lock);
		if (set->common->verbose)
			warn("unlocked %s", quote(sync_lock_name(lock)));
	}
}
