/* SPDX-License-Identifier: MIT */
/* The contract of taking several locks together: all or none, in one order, each only once. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "lockutil.h"

#define EX SYNC_EXCLUSIVE
#define SH SYNC_SHARED

static int take(struct sync_lock_want *wants, size_t n, int ms, struct sync_lock **failed)
{
	struct timespec room;
	return sync_lock_acquire_all(wants, n, in_ms(ms, &room), failed);
}

static int held(struct sync_lock *const *locks, size_t n, enum sync_mode mode)
{
	int count = 0;
	for (size_t i = 0; i < n; i++)
		count += sync_lock_mode(locks[i]) == mode;
	return count;
}

/* Release all, then close all: a close may drop the locks of a whole process. */
static void let_go_all(struct sync_lock *const *locks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		need(sync_lock_release(locks[i]) == 0, "release");
	for (size_t i = 0; i < n; i++)
		sync_lock_close(locks[i]);
}

/* ---- all ---- */

static void few(void)
{
	struct sync_lock *l[] = {open_lock("a"), open_lock("b"), open_lock("c")};
	struct sync_lock_want wants[] = {{l[2], SH}, {l[0], EX}, {l[1], EX}};
	is(take(NULL, 0, 0, NULL), 0, "no locks at all are had at once");
	is(take(wants, LENGTH(wants), 0, NULL), 0, "three free locks are had");
	is(sync_lock_mode(l[0]), EX, "the first as asked");
	is(sync_lock_mode(l[1]), EX, "the second as asked");
	is(sync_lock_mode(l[2]), SH, "the third as asked");
	is(attempt("a", SH), -ETIMEDOUT, "others are kept out of the first");
	is(attempt("b", SH), -ETIMEDOUT, "of the second");
	is(attempt("c", EX), -ETIMEDOUT, "of the third");
	is(attempt("c", SH), 0, "unless both want it shared");
	let_go_all(l, LENGTH(l));
}

static void many(void)
{
	static char path[20][8];
	struct sync_lock *l[LENGTH(path)];
	struct sync_lock_want wants[LENGTH(path)];
	for (size_t i = 0; i < LENGTH(path); i++) {
		snprintf(path[i], sizeof(path[i]), "m%zu", i);
		l[i] = open_lock(path[i]);
		wants[i] = (struct sync_lock_want){l[i], i % 2 ? EX : SH};
	}
	is(take(wants, LENGTH(wants), 0, NULL), 0, "20 locks can be taken together");
	is(held(l, LENGTH(l), EX), LENGTH(l) / 2, "half of them exclusively");
	is(held(l, LENGTH(l), SH), LENGTH(l) / 2, "half of them shared");
	struct kid kid = kid_opening("m19");
	is(ask(&kid, job_acquire, .mode = SH), -ETIMEDOUT, "the last keeps others out");
	let_go_all(l, LENGTH(l));
	is(ask(&kid, job_acquire, .mode = EX), 0, "until all are released");
	kid_kill(&kid);
}

/* ---- or none ---- */

static void none(int ms, const char *text)
{
	struct kid holder = kid_holding("b", SH);
	struct sync_lock *l[] = {open_lock("a"), open_lock("b"), open_lock("c")};
	struct sync_lock_want wants[] = {{l[0], EX}, {l[1], EX}, {l[2], SH}};
	struct sync_lock *failed = NULL;
	is(take(wants, LENGTH(wants), ms, &failed), -ETIMEDOUT, text);
	claim(failed == l[1], "*failed is the busy one");
	is(held(l, LENGTH(l), SYNC_UNLOCKED), LENGTH(l), "and none is held");
	is(attempt("a", EX), 0, "others can have the first");
	is(attempt("c", EX), 0, "and the last");
	is(take(wants, LENGTH(wants), 0, NULL), -ETIMEDOUT, "failed may be NULL");
	kid_kill(&holder);
	is(take(wants, LENGTH(wants), ms, &failed), 0, "a second try succeeds when it is free");
	let_go_all(l, LENGTH(l));
}

static void nones(void)
{
	none(0, "a try fails if one of three is busy");
	if (under_memcheck() && !strcmp(scheme, "ofd"))
		skip(MEMCHECK_OFD, "a timed wait fails if one of three stays busy");
	else
		none(30, "a timed wait fails if one of three stays busy");
}

/* Job: wait for two names at once. */
static int job_two(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct sync_lock *second;
	int r = sync_lock_open(named(o->path), NULL, NULL, &second);
	if (r)
		return r;
	struct sync_lock_want wants[] = {{*l, EX}, {second, EX}};
	return sync_lock_acquire_all(wants, LENGTH(wants), deadline, NULL);
}

static void waits_for_all(void)
{
	struct kid one = kid_holding("w1", EX);
	struct kid two = kid_holding("w2", EX);
	struct kid waiter = kid_opening("w1");
	tell(&waiter, job_two, .path = "w2", .ms = FOREVER);
	need(until(waits("w1", waiter.pid) || waits("w2", waiter.pid)), "see it wait");
	kid_kill(&one);
	claim(seen_waiting(&waiter, "w2"), "a wait for two goes on until both are free");
	kid_kill(&two);
	is(heard(&waiter), 0, "and succeeds then");
	is(attempt("w1", SH), -ETIMEDOUT, "the first is held");
	is(attempt("w2", SH), -ETIMEDOUT, "the second is held");
	kid_kill(&waiter);
}

static void replaced_while_waiting(void)
{
	struct kid holder = kid_holding("s2", EX);
	struct kid waiter = kid_opening("s1");
	tell(&waiter, job_two, .path = "s2", .ms = LIMIT_MS);
	need(seen_waiting(&waiter, "s2"), "see it wait");
	need(ask(&holder, job_unlink) == 0 && !unlink("s1"), "remove both files");
	need(ask(&holder, job_release) == 0, "release");
	is(heard(&waiter), 0, "a set whose files were removed is had all the same");
	is(ask(&waiter, job_check), 0, "on the new file of the one name");
	is(attempt("s1", SH), -ETIMEDOUT, "which keeps others out");
	is(attempt("s2", SH), -ETIMEDOUT, "and on the new file of the other");
	kid_kill(&waiter);
	kid_kill(&holder);
}

/* ---- order ---- */

#define ROUNDS 500

static atomic_int *inside; /* shared: how many hold the set now */

static int job_rounds(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct sync_lock *second;
	int bad = 0;
	if (sync_lock_open(named(o->path), NULL, NULL, &second))
		return -1;
	for (int i = 0; i < ROUNDS; i++) {
		struct sync_lock_want wants[] = {{*l, EX}, {second, EX}};
		int r = sync_lock_acquire_all(wants, 2, deadline, NULL);
		if (r)
			return r;
		bad += atomic_fetch_add(inside, 1) != 0;
		atomic_fetch_sub(inside, 1);
		bad += sync_lock_release(*l) != 0;
		bad += sync_lock_release(second) != 0;
	}
	sync_lock_close(second);
	return bad;
}

static void opposite_orders(void)
{
	inside = mmap(NULL, sizeof(*inside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	need(inside != MAP_FAILED, "mmap");
	struct kid one = kid_opening("x");
	struct kid two = kid_opening("y");
	tell(&one, job_rounds, .path = "y", .ms = LIMIT_MS);
	tell(&two, job_rounds, .path = "x", .ms = LIMIT_MS);
	is(heard(&one), 0, "two that name two locks in opposite orders never deadlock");
	is(heard(&two), 0, "nor are they ever in it together");
	kid_kill(&one);
	kid_kill(&two);
	munmap(inside, sizeof(*inside));
}

/* ---- folding ---- */

static void duplicates(void)
{
	struct sync_lock *l[] = {open_lock("dup"), open_lock("dup"), open_lock("dup")};
	struct sync_lock_want wants[] = {{l[0], SH}, {l[1], EX}, {l[2], SH}};
	is(take(wants, LENGTH(wants), 0, NULL), 0, "one name three times is no conflict");
	is(held(l, LENGTH(l), EX), 1, "the stronger mode wins");
	is(held(l, LENGTH(l), SYNC_UNLOCKED), 2, "and the other wants hold nothing");
	is(sync_lock_mode(wants[0].lock), EX, "the first of them keeps the lock");
	is(attempt("dup", SH), -ETIMEDOUT, "which keeps others out");
	for (size_t i = 0; i < LENGTH(l); i++)
		need(sync_lock_release(l[i]) == 0, "release");
	is(attempt("dup", EX), 0, "when all are released it is free");
	is(sync_lock_acquire(l[0], EX, SYNC_NOW), 0, "afterwards each handle works alone: one");
	need(sync_lock_release(l[0]) == 0, "release");
	is(sync_lock_acquire(l[1], EX, SYNC_NOW), 0, "another");
	is(attempt("dup", SH), -ETIMEDOUT, "as others can tell");
	let_go_all(l, LENGTH(l));
}

static void shared_duplicates(void)
{
	struct sync_lock *l[] = {open_lock("dup"), open_lock("dup")};
	struct sync_lock_want wants[] = {{l[0], SH}, {l[1], SH}};
	is(take(wants, LENGTH(wants), 0, NULL), 0, "shared wants are folded, too");
	is(held(l, LENGTH(l), SH), 1, "into one shared lock");
	is(attempt("dup", SH), 0, "that lets in others");
	is(attempt("dup", EX), -ETIMEDOUT, "who want it shared");
	let_go_all(l, LENGTH(l));
}

static void by_two_names(void)
{
	make_file("name1");
	need(!link("name1", "name2"), "link");
	struct sync_lock *l[] = {open_lock("name1"), open_lock("name2")};
	struct sync_lock_want wants[] = {{l[0], EX}, {l[1], EX}};
	is(take(wants, LENGTH(wants), 0, NULL), 0, "two names of one file are no conflict");
	is(attempt("name1", SH), -ETIMEDOUT, "and it is held");
	let_go_all(l, LENGTH(l));
}

static void same_handle_twice(void)
{
	struct sync_lock *l = open_lock("twice");
	struct sync_lock_want wants[] = {{l, SH}, {l, EX}};
	is(take(wants, LENGTH(wants), 0, NULL), 0, "one handle may be named twice");
	is(sync_lock_mode(l), EX, "it holds the stronger mode");
	is(attempt("twice", SH), -ETIMEDOUT, "and keeps others out");
	is(sync_lock_release(l), 0, "release of it succeeds");
	is(attempt("twice", EX), 0, "and frees it");
	let_go(l);
}

static void folded_while_held(void)
{
	struct sync_lock *l[] = {open_lock("own"), open_lock("own")};
	struct sync_lock_want wants[] = {{l[0], SH}, {l[1], SH}};
	need(sync_lock_acquire(l[0], SH, SYNC_NOW) == 0, "lock");
	need(sync_lock_acquire(l[1], SH, SYNC_NOW) == 0, "lock");
	is(take(wants, LENGTH(wants), 0, NULL), 0, "wants that are held already are had again");
	is(held(l, LENGTH(l), SYNC_UNLOCKED), 1, "and the folded one holds nothing any more");
	for (size_t i = 0; i < LENGTH(l); i++)
		need(sync_lock_release(l[i]) == 0, "release");
	is(attempt("own", EX), 0, "when all are released nothing is left held");
	let_go_all(l, LENGTH(l));
}

static void folded_while_held_exclusively(void)
{
	struct sync_lock *l[] = {open_lock("owx"), open_lock("owx")};
	struct sync_lock_want wants[] = {{l[0], EX}, {l[1], EX}};
	need(sync_lock_acquire(l[1], EX, SYNC_NOW) == 0, "lock");
	is(take(wants, LENGTH(wants), 0, NULL), 0, "nobody is in the way of a fold of its own");
	is(held(l, LENGTH(l), EX), 1, "and one of the two holds the lock");
	is(attempt("owx", SH), -ETIMEDOUT, "as others can tell");
	for (size_t i = 0; i < LENGTH(l); i++)
		need(sync_lock_release(l[i]) == 0, "release");
	is(attempt("owx", EX), 0, "until all are released");
	let_go_all(l, LENGTH(l));
}

/* ---- folding ranges ---- */

static void overlapping_ranges(void)
{
	struct sync_lock *l[] = {open_lock("f@5+10"), open_lock("f@30+5"), open_lock("f@0+10"),
				 open_lock("f@14+2")};
	struct sync_lock_want wants[] = {{l[0], SH}, {l[1], EX}, {l[2], SH}, {l[3], EX}};
	is(take(wants, LENGTH(wants), 0, NULL), 0, "ranges that overlap are no conflict");
	is(held(l, LENGTH(l), SYNC_UNLOCKED), 2, "they are folded into one");
	is(sync_lock_mode(l[2]), EX, "of the stronger mode, kept by the first byte's");
	is(sync_lock_mode(l[1]), EX, "and one apart stays apart");
	is(attempt("f@0+1", SH), -ETIMEDOUT, "the first byte is held");
	is(attempt("f@12+1", SH), -ETIMEDOUT, "one in the middle is held");
	is(attempt("f@15+1", SH), -ETIMEDOUT, "the last is held");
	is(attempt("f@16+14", EX), 0, "the gap is not");
	is(attempt("f@34+1", SH), -ETIMEDOUT, "the one apart is held");
	for (size_t i = 0; i < LENGTH(l); i++)
		need(sync_lock_release(l[i]) == 0, "release");
	is(attempt("f", EX), 0, "when all are released the file is free");
	need(sync_lock_acquire(l[2], EX, SYNC_NOW) == 0, "lock");
	is(attempt("f@10", EX), 0, "taken alone, a range is what it was named");
	let_go_all(l, LENGTH(l));
}

static void converted_fold(void)
{
	struct sync_lock *l[] = {open_lock("g@0+10"), open_lock("g@5+10")};
	struct sync_lock_want wants[] = {{l[0], EX}, {l[1], EX}};
	need(take(wants, LENGTH(wants), 0, NULL) == 0, "lock");
	need(sync_lock_acquire(l[0], SH, SYNC_NOW) == 0, "downgrade the one that keeps both");
	is(attempt("g@0+10", SH), 0, "a lock that was folded can be downgraded");
	for (size_t i = 0; i < LENGTH(l); i++)
		need(sync_lock_release(l[i]) == 0, "release");
	is(attempt("g", EX), 0, "and after release none of it is left");
	let_go_all(l, LENGTH(l));
}

static void ranges(void)
{
	if (!(caps & SYNC_CAP_RANGE)) {
		skip("no byte ranges", "overlapping ranges of one file are folded");
		return;
	}
	overlapping_ranges();
	converted_fold();
}

int main(void)
{
	static void (*const tests[])(void) = {
		few,
		many,
		nones,
		waits_for_all,
		replaced_while_waiting,
		opposite_orders,
		duplicates,
		shared_duplicates,
		by_two_names,
		same_handle_twice,
		folded_while_held,
		folded_while_held_exclusively,
		ranges,
	};
	return run_suite(tests, LENGTH(tests));
}
