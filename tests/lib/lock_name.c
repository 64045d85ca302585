/* SPDX-License-Identifier: MIT */
/* The contract of lock files that are removed or replaced: one holder under one name, always. */
#include "lockutil.h"

/* Put a new file, and so another inode, under a name. */
static void replace(const char *path)
{
	make_file("new");
	need(!rename("new", path), "rename");
}

/* ---- check ---- */

static void check(void)
{
	struct sync_lock *l = hold("check", SYNC_EXCLUSIVE);
	is(sync_lock_check(l), 0, "check finds the name in order");
	need(!rename("check", "elsewhere"), "rename");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when the file was renamed");
	need(!symlink("elsewhere", "check"), "symlink");
	is(sync_lock_check(l), -ESTALE, "-ESTALE even when a link leads to it");
	struct sync_lock *follower = open_flags("check", SYNC_LOCK_FOLLOW);
	is(sync_lock_check(follower), 0, "but 0 for a handle that follows links");
	need(!unlink("check"), "unlink");
	is(sync_lock_check(follower), -ESTALE, "until the link is gone");
	sync_lock_close(follower);
	make_file("check");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when it was replaced");
	need(!rename("elsewhere", "check"), "rename");
	is(sync_lock_check(l), 0, "0 when it is back");
	need(!unlink("check"), "unlink");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when it was removed");
	need(!symlink("check2", "check"), "symlink");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when a link is in its place");
	need(!unlink("check") && !mkfifo("check", 0600), "mkfifo");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when a FIFO is in its place");
	let_go(l);
}

static void check_directory(void)
{
	need(!mkdir("d", 0700), "mkdir");
	struct sync_lock *l = hold("d/file", SYNC_SHARED);
	need(!unlink("d/file") && !rmdir("d"), "remove a directory");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when its directory is gone");
	make_file("d");
	is(sync_lock_check(l), -ESTALE, "-ESTALE when a file is in place of its directory");
	let_go(l);
}

/* ---- unlink ---- */

static void unlink_rights(void)
{
	struct sync_lock *l = open_lock("un");
	is(sync_lock_unlink(l), -EPERM, "unlink without the lock is -EPERM");
	need(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW) == 0, "lock");
	is(sync_lock_unlink(l), -EPERM, "unlink with a shared lock is -EPERM");
	claim(exists("un"), "and the file stays");
	need(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW) == 0, "lock");
	is(sync_lock_unlink(l), 0, "unlink with an exclusive lock works");
	claim(!exists("un"), "and the name is gone");
	is(sync_lock_unlink(l), -ESTALE, "a second time it is -ESTALE");
	make_file("un");
	is(sync_lock_unlink(l), -ESTALE, "unlink of a name that leads elsewhere is -ESTALE");
	claim(exists("un"), "and the replacement stays");
	let_go(l);
}

static void unlink_after_release(void)
{
	struct sync_lock *l = hold("late", SYNC_EXCLUSIVE);
	need(sync_lock_release(l) == 0, "release");
	is(sync_lock_unlink(l), -EPERM, "unlink after release is -EPERM");
	claim(exists("late"), "and the file stays after it");
	sync_lock_close(l);
}

static void taking_a_stale_name(void)
{
	struct sync_lock *l = open_lock("stale");
	replace("stale");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), 0, "a file replaced after open");
	is(sync_lock_check(l), 0, "is not the one that is locked");
	is(attempt("stale", SYNC_SHARED), -ETIMEDOUT, "but the new one, which keeps others out");
	claim(sync_lock_fd(l) >= 10 && fcntl(sync_lock_fd(l), F_GETFD) & FD_CLOEXEC,
	      "by a descriptor of 10 or above, close-on-exec");
	need(sync_lock_release(l) == 0 && !unlink("stale"), "remove");
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), 0,
	   "a file removed after open is made again");
	is(sync_lock_check(l), 0, "and locked");
	let_go(l);
	l = open_flags("stale", SYNC_LOCK_NO_CREATE);
	need(!unlink("stale"), "unlink");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), -ENOENT,
	   "but not with SYNC_LOCK_NO_CREATE: -ENOENT");
	is(sync_lock_mode(l), SYNC_UNLOCKED, "and nothing is held");
	claim(!exists("stale"), "and nothing made");
	sync_lock_close(l);
}

static void stale_traps(void)
{
	struct sync_lock *l = open_lock("trap");
	need(!unlink("trap") && !mkfifo("trap", 0600), "replace by a FIFO");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), -EMEDIUMTYPE,
	   "a FIFO in place of the file is -EMEDIUMTYPE");
	is(sync_lock_mode(l), SYNC_UNLOCKED, "and nothing is held");
	need(!unlink("trap") && !symlink("target", "trap"), "replace by a link");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), -ELOOP,
	   "a symbolic link in its place is -ELOOP");
	need(!unlink("trap"), "unlink");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), 0, "and all is well when that is gone");
	is(attempt("trap", SYNC_SHARED), -ETIMEDOUT, "as others can tell");
	let_go(l);
}

/* ---- removal under those who wait ---- */

static void removed_while_waiting(int ms, const char *text)
{
	struct kid holder = kid_holding("gone", SYNC_EXCLUSIVE);
	struct kid waiter = kid_waiting("gone", SYNC_EXCLUSIVE, ms);
	need(ask(&holder, job_unlink) == 0, "unlink");
	need(ask(&holder, job_release) == 0, "release");
	is(heard(&waiter), 0, text);
	is(ask(&waiter, job_check), 0, "its lock is on the file of that name");
	is(attempt("gone", SYNC_SHARED), -ETIMEDOUT, "and keeps others out");
	kid_kill(&waiter);
	kid_kill(&holder);
}

static void removals(void)
{
	removed_while_waiting(FOREVER,
			      "who waits for ever gets the new file if the old is removed");
	removed_while_waiting(LIMIT_MS,
			      "who waits with a deadline gets the new file if the old is removed");
}

/* Removed by hand, without the lock: flock(1) then runs both. */
static void never_two_holders(void)
{
	struct kid holder = kid_holding("name", SYNC_EXCLUSIVE);
	struct kid waiter = kid_waiting("name", SYNC_EXCLUSIVE, LIMIT_MS);
	need(!unlink("name"), "unlink");
	struct kid newcomer = kid_holding("name", SYNC_EXCLUSIVE);
	kid_kill(&holder);
	claim(seen_waiting(&waiter, "name"),
	      "who waited for a removed file waits again if somebody holds the new one");
	kid_kill(&newcomer);
	is(heard(&waiter), 0, "and is served by that");
	is(ask(&waiter, job_check), 0, "on the file of that name");
	kid_kill(&waiter);
}

static void deadline_over_two_files(void)
{
	struct kid holder = kid_holding("two", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("two");
	tell(&waiter, job_acquire, .mode = SYNC_SHARED, .ms = 100);
	seen_waiting(&waiter, "two");
	need(!unlink("two"), "unlink");
	struct kid newcomer = kid_holding("two", SYNC_EXCLUSIVE);
	kid_kill(&holder);
	is(heard(&waiter), -ETIMEDOUT, "one deadline bounds the waits for both files");
	claim(answered.late >= 0, "and is not cut short");
	kid_kill(&newcomer);
	kid_kill(&waiter);
}

/* ---- a storm: takers that remove the file each time ---- */

#define ROUNDS 200

/* The witness: a directory can be made by one at a time. */
static int job_storm(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	int bad = 0;
	for (int i = 0; i < ROUNDS; i++) {
		int r = sync_lock_acquire(*l, SYNC_EXCLUSIVE, deadline);
		if (r)
			return r;
		bad += mkdir("witness", 0700) != 0;
		bad += rmdir("witness") != 0;
		if (i % 2)
			bad += sync_lock_unlink(*l) != 0;
		bad += sync_lock_release(*l) != 0;
	}
	(void)o;
	return bad;
}

static void storm(void)
{
	struct kid kid[4];
	int bad = 0;
	for (size_t i = 0; i < LENGTH(kid); i++)
		kid[i] = kid_opening("storm");
	for (size_t i = 0; i < LENGTH(kid); i++)
		tell(&kid[i], job_storm, .ms = LIMIT_MS);
	for (size_t i = 0; i < LENGTH(kid); i++) {
		int r = heard(&kid[i]);
		bad += r < 0 ? 1000 : r;
		kid_kill(&kid[i]);
	}
	is(bad, 0, "four that take, remove and release one name are never in it together");
}

int main(void)
{
	static void (*const tests[])(void) = {
		check,
		check_directory,
		unlink_rights,
		unlink_after_release,
		taking_a_stale_name,
		stale_traps,
		removals,
		never_two_holders,
		deadline_over_two_files,
		storm,
	};
	return run_suite(tests, LENGTH(tests));
}
