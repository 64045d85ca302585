/* SPDX-License-Identifier: MIT */
/* The contract of looking at locks: who holds, who waits, and what a given descriptor holds. */
#include <pthread.h>

#include "lockutil.h"

#define EX SYNC_EXCLUSIVE
#define SH SYNC_SHARED

static struct sync_owner *owner;
static size_t owners;

/* List the owners of PATH through a handle by name; 0 or -errno. */
static int list(const char *path)
{
	size_t hidden = 0;
	struct sync_lock *l = open_flags(path, SYNC_LOCK_BY_NAME);
	free(owner);
	owner = NULL;
	owners = 0;
	int r = sync_lock_owners(l, &owner, &owners, &hidden);
	sync_lock_close(l);
	return r;
}

static const struct sync_owner *find(pid_t pid)
{
	for (size_t i = 0; i < owners; i++)
		if (owner[i].pid == pid)
			return &owner[i];
	return NULL;
}

/* Is PID listed, and just so? */
static bool is_listed(pid_t pid, bool waiting, enum sync_mode mode, bool inherited)
{
	const struct sync_owner *o = find(pid);
	return o && o->waiting == waiting && o->mode == mode && o->inherited == inherited &&
	       !strcmp(o->kind, scheme);
}

/* All modes known: a waiter's is not, while the queue moves. */
static bool is_settled(void)
{
	for (size_t i = 0; i < owners; i++)
		if (!owner[i].mode)
			return false;
	return true;
}

/*
 * List PATH until there are COUNT, and claim that. /proc/locks is no snapshot: when locks come and
 * go anywhere on the machine between two reads of it, lines are missed or seen twice.
 */
static void count_owners(const char *path, int count, const char *text)
{
	int r = 0;
	bool good = until((r = list(path)) == 0 && (int)owners == count && is_settled());
	if (!good)
		printf("# %s: result %d, %zu owners\n", scheme, r, owners);
	claim(good, text);
}

/* ---- holders ---- */

static void nobody(void)
{
	make_file("nobody");
	is(list("nobody"), 0, "a file that nobody locks can be looked at");
	is((int)owners, 0, "and has no owners");
	is(list("missing"), -ENOENT, "a missing file is -ENOENT");
	claim(!exists("missing"), "and is not made");
}

static void one_holder(void)
{
	char comm[64] = "";
	struct kid holder = kid_holding("one", EX);
	count_owners("one", 1, "one holder is listed");
	claim(is_listed(holder.pid, false, EX, false), "with pid, mode and kind, not inherited");
	claim(find(holder.pid) && find(holder.pid)->seen, "and seen to have it");
	struct sync_lock *look = open_flags("one", SYNC_LOCK_BY_NAME);
	is(sync_lock_held_by(look, holder.pid), EX, "asked by its pid, it holds the lock");
	is(sync_lock_held_by(look, getpid()), SYNC_UNLOCKED, "and we do not");
	sync_lock_close(look);
	const struct sync_owner *o = find(holder.pid);
	if (o) {
		slurp("/proc/self/comm", comm, sizeof(comm));
		comm[strcspn(comm, "\n")] = '\0';
		is((int)o->uid, (int)getuid(), "its user");
		claim(!strcmp(o->name, comm), "its name");
		claim(strstr(o->command, comm), "its command");
		claim(llabs((long long)time(NULL) - o->since) < 600, "its age");
		claim(!o->stopped, "and that it is not stopped");
		claim(o->start == 0 && o->len == 0, "the range is the whole file");
	}
	kid_kill(&holder);
	count_owners("one", 0, "and is not when it is dead");
}

static void stopped_holder(void)
{
	struct kid holder = kid_holding("stopped", EX);
	kill(holder.pid, SIGSTOP);
	need(waitpid(holder.pid, NULL, WUNTRACED) == holder.pid, "stop it");
	need(list("stopped") == 0, "list");
	claim(find(holder.pid) && find(holder.pid)->stopped, "a stopped holder is shown as such");
	kid_kill(&holder);
}

static void several_holders(void)
{
	struct kid one = kid_holding("many", SH);
	struct kid two = kid_holding("many", SH);
	struct kid bystander = kid_opening("many");
	count_owners("many", 2,
		     "two shared holders are listed, and nobody who has the file just open");
	claim(is_listed(one.pid, false, SH, false), "the one as shared, not inherited");
	claim(is_listed(two.pid, false, SH, false), "the other as well");
	kid_kill(&one);
	kid_kill(&two);
	kid_kill(&bystander);
}

static void ourselves(void)
{
	struct sync_lock *l = hold("self", SH);
	count_owners("self", 1, "the one who asks is listed if it holds the lock");
	claim(is_listed(getpid(), false, SH, false), "like anybody else");
	is(attempt("self", EX), -ETIMEDOUT, "looking does not change what is held");
	struct sync_owner *again;
	size_t count;
	size_t hidden;
	is(sync_lock_owners(l, &again, &count, &hidden), 0, "looking through the handle itself");
	is((int)count, 1, "shows the same");
	free(again);
	is(attempt("self", EX), -ETIMEDOUT, "and does not change what is held, either");
	is(sync_lock_mode(l), SH, "nor what the handle says");
	let_go(l);
}

/* ---- waiters ---- */

static void queue(void)
{
	struct kid holder = kid_holding("queue", EX);
	struct kid one = kid_waiting("queue", SH, FOREVER);
	struct kid two = kid_waiting("queue", EX, LIMIT_MS);
	count_owners("queue", 3, "one holder and two waiters are listed");
	claim(owners && !owner[0].waiting, "the holder first");
	claim(is_listed(holder.pid, false, EX, false), "as it is");
	claim(is_listed(one.pid, true, SH, false), "one waits for a shared lock");
	claim(is_listed(two.pid, true, EX, false), "one for an exclusive lock, with a deadline");
	kid_kill(&two);
	count_owners("queue", 2, "a waiter that was killed is not listed any more");
	kid_kill(&holder);
	need(heard(&one) == 0, "be served");
	count_owners("queue", 1, "one that was served is listed once");
	claim(is_listed(one.pid, false, SH, false), "as a holder");
	kid_kill(&one);
}

static void waiter_for_another_file(void)
{
	struct kid holder = kid_holding("here", EX);
	struct kid elsewhere = kid_holding("there", EX);
	struct kid both = kid_holding("here2", EX);
	need(ask(&both, job_open, .path = "here") == 0, "open");
	struct kid waiter = kid_opening("here");
	need(ask(&waiter, job_open, .path = "there") == 0, "open a second file");
	start_waiting(&waiter, "there", EX, FOREVER);
	count_owners("here", 1, "who has the file open but waits for another is not listed");
	claim(is_listed(holder.pid, false, EX, false), "only the holder is");
	kid_kill(&waiter);
	kid_kill(&both);
	kid_kill(&elsewhere);
	kid_kill(&holder);
}

static void *wait_in_thread(void *lock)
{
	return (void *)(intptr_t)sync_lock_acquire(lock, EX, NULL);
}

/* One thread waits on a handle, another looks through it: allowed by the header. */
static int job_watch(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	pthread_t thread;
	struct sync_owner *seen;
	size_t count;
	size_t hidden;
	bool found = false;
	(void)o;
	if (pthread_create(&thread, NULL, wait_in_thread, *l))
		return -1;
	while (!found && since(deadline) < 0) {
		if (sync_lock_owners(*l, &seen, &count, &hidden))
			return -2;
		for (size_t i = 0; i < count; i++)
			found = found || (seen[i].waiting && seen[i].pid == getpid());
		free(seen);
	}
	return found ? 0 : -3;
}

static void watched_by_a_thread(void)
{
	struct kid holder = kid_holding("watch", EX);
	struct kid kid = kid_opening("watch");
	is(ask(&kid, job_watch, .ms = LIMIT_MS), 0,
	   "a thread can watch another wait, through its handle");
	kid_kill(&kid);
	kid_kill(&holder);
}

/* ---- a busy machine ---- */

#define FILLERS 100 /* so many that /proc/locks is longer than a page */

/* Take and release locks without an end, so that lines of /proc/locks come and go. */
static int job_churn(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	static struct sync_lock *filler[FILLERS];
	char path[16];
	(void)l;
	(void)o;
	(void)deadline;
	for (size_t i = 0; i < FILLERS; i++) {
		snprintf(path, sizeof(path), "filler%zu", i);
		if (sync_lock_open(named(path), NULL, NULL, &filler[i]))
			return -1;
	}
	for (;;)
		for (size_t i = 0; i < FILLERS; i++)
			if (sync_lock_mode(filler[i]) ? sync_lock_release(filler[i])
						      : sync_lock_acquire(filler[i], EX, NULL))
				return -2;
}

static void busy_machine(void)
{
	struct kid churn = kid_start();
	struct kid holder = kid_holding("busy", EX);
	struct kid waiter = kid_waiting("busy", EX, FOREVER);
	int bad = 0;
	size_t most = 0;
	tell(&churn, job_churn);
	for (int i = 0; i < 120; i++) {
		bad += list("busy") != 0;
		most = owners > most ? owners : most;
	}
	is(bad, 0, "one can look while locks come and go elsewhere");
	is((int)most, 2, "and nobody is listed twice for that");
	kid_kill(&waiter);
	kid_kill(&holder);
	kid_kill(&churn);
}

/* ---- heirs ---- */

static void heirs(void)
{
	struct kid heir;
	struct kid kid = kid_start_with_heir(&heir);
	need(ask(&kid, job_open, .path = "heir") == 0, "open a lock");
	need(ask(&kid, job_acquire, .mode = EX) == 0, "hold a lock");
	heir.pid = ask(&kid, job_beget);
	bool inherits = caps & SYNC_CAP_INHERIT;
	count_owners("heir", inherits ? 2 : 1,
		     "a child is listed where it inherits, and nowhere else");
	claim(is_listed(kid.pid, false, EX, false), "the one who asked is not marked as heir");
	if (inherits)
		claim(is_listed(heir.pid, false, EX, true), "its child is");
	else
		claim(!find(heir.pid), "its child is not listed");
	kid_kill(&kid);
	count_owners("heir", inherits ? 1 : 0, "when its parent is dead the heir is listed alone");
	claim(!!find(heir.pid) == inherits, "under its own pid");
	heir_kill(&heir);
}

/* ---- ranges ---- */

static void ranges(void)
{
	if (!(caps & SYNC_CAP_RANGE)) {
		skip("no byte ranges", "the ranges of holders and waiters are listed");
		return;
	}
	struct kid one = kid_holding("r@5+10", EX);
	struct kid two = kid_holding("r@20", SH);
	struct kid waiter = kid_waiting("r@0+7", SH, FOREVER);
	count_owners("r", 3, "holders and waiters of ranges are listed");
	const struct sync_owner *o = find(one.pid);
	claim(o && o->start == 5 && o->len == 10, "with start and length");
	o = find(two.pid);
	claim(o && o->start == 20 && o->len == 0, "with length 0 for one to the end");
	o = find(waiter.pid);
	claim(o && o->waiting && o->start == 0 && o->len == 7, "and those of a waiter");
	kid_kill(&waiter);
	kid_kill(&two);
	kid_kill(&one);
}

/* ---- conflicts ---- */

static void conflicts(void)
{
	struct sync_lock *l = open_lock("conflict");
	struct sync_owner o = {.pid = 1, .mode = SH, .kind = scheme};
	claim(!sync_lock_conflicts(l, SH, &o), "two shared locks do not conflict");
	claim(sync_lock_conflicts(l, EX, &o), "an exclusive one conflicts with a shared one");
	o.mode = EX;
	claim(sync_lock_conflicts(l, SH, &o), "and a shared one with an exclusive one");
	claim(sync_lock_conflicts(l, EX, &o), "and two exclusive ones");
	sync_lock_close(l);
	if (!(caps & SYNC_CAP_RANGE)) {
		skip("no byte ranges", "only overlapping ranges conflict");
		return;
	}
	l = open_lock("conflict@10+10");
	o.start = 20;
	bool good = !sync_lock_conflicts(l, EX, &o);
	o.start = 0;
	o.len = 10;
	good = good && !sync_lock_conflicts(l, EX, &o);
	o.len = 11;
	claim(good && sync_lock_conflicts(l, EX, &o), "only overlapping ranges conflict");
	sync_lock_close(l);
}

/* ---- one descriptor ---- */

static void own_descriptor(void)
{
	struct sync_lock *l = open_lock("at");
	int fd = sync_lock_fd(l);
	is(sync_lock_held_at(l, 0, fd, NULL), SYNC_UNLOCKED, "a descriptor that holds nothing");
	need(sync_lock_acquire(l, SH, SYNC_NOW) == 0, "lock");
	is(sync_lock_held_at(l, 0, fd, NULL), SH, "one that holds it shared");
	need(sync_lock_acquire(l, EX, SYNC_NOW) == 0, "lock");
	is(sync_lock_held_at(l, 0, fd, NULL), EX, "one that holds it exclusively");
	is(sync_lock_held_at(l, getpid(), fd, NULL), EX, "0 means our own pid");
	is(attempt("at", SH), -ETIMEDOUT, "looking at it does not change what is held");
	struct sync_lock *other = hold("other", EX);
	is(sync_lock_held_at(l, 0, sync_lock_fd(other), NULL), SYNC_UNLOCKED, "another file's");
	let_go(other);
	is(sync_lock_held_at(l, 0, fd + 500, NULL), SYNC_UNLOCKED, "one that is closed");
	need(sync_lock_release(l) == 0, "release");
	is(sync_lock_held_at(l, 0, fd, NULL), SYNC_UNLOCKED, "one that has released it");
	sync_lock_close(l);
}

/* .flags: a descriptor of our parent. */
static int job_held_at(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	(void)deadline;
	return sync_lock_held_at(*l, getppid(), (int)o->flags, NULL);
}

static void others_descriptor(void)
{
	struct kid kid = kid_opening("above");
	struct sync_lock *l = hold("above", EX);
	unsigned fd = (unsigned)sync_lock_fd(l);
	is(ask(&kid, job_held_at, .flags = fd), EX, "a parent's descriptor can be looked at");
	need(sync_lock_release(l) == 0, "release");
	is(ask(&kid, job_held_at, .flags = fd), SYNC_UNLOCKED, "and what it has released is seen");
	/* It has inherited the descriptor, by the same number. */
	struct sync_lock *below = hold("below", EX);
	struct kid heir = kid_start();
	is(sync_lock_held_at(below, heir.pid, sync_lock_fd(below), NULL), SYNC_UNLOCKED,
	   "not so a child's: its number may be another's by now");
	kid_kill(&heir);
	let_go(below);
	sync_lock_close(l);
	kid_kill(&kid);
}

static void ranges_of_descriptors(void)
{
	if (!(caps & SYNC_CAP_RANGE)) {
		skip("no byte ranges", "only an overlapping range counts for a descriptor");
		return;
	}
	struct sync_lock *apart = open_lock("span@20+10");
	struct sync_lock *whole = open_lock("span");
	struct sync_lock *l = hold("span@10+10", EX);
	int fd = sync_lock_fd(l);
	is(sync_lock_held_at(l, 0, fd, NULL), EX, "a descriptor that holds the range");
	is(sync_lock_held_at(apart, 0, fd, NULL), SYNC_UNLOCKED,
	   "only an overlapping range counts for a descriptor");
	enum sync_mode all = SYNC_UNLOCKED;
	is(sync_lock_held_at(whole, 0, fd, &all), EX, "as the whole file does");
	is(all, SYNC_UNLOCKED, "of which only a part is held");
	need(sync_lock_held_at(l, 0, fd, &all) == EX, "look");
	is(all, EX, "while the range is held as a whole");
	let_go(l);
	sync_lock_close(whole);
	sync_lock_close(apart);
}

int main(void)
{
	static void (*const tests[])(void) = {
		nobody,
		one_holder,
		stopped_holder,
		several_holders,
		ourselves,
		queue,
		waiter_for_another_file,
		watched_by_a_thread,
		busy_machine,
		heirs,
		ranges,
		conflicts,
		own_descriptor,
		others_descriptor,
		ranges_of_descriptors,
	};
	int r = run_suite(tests, LENGTH(tests));
	free(owner);
	return r;
}
