/* SPDX-License-Identifier: MIT */
/* The contract of the lock object: who excludes whom, who owns a lock, what ends one. */
#include "lockutil.h"

/* ---- exclusion ---- */

static void exclusive_excludes_all(void)
{
	struct kid holder = kid_holding("excl", SYNC_EXCLUSIVE);
	is(attempt("excl", SYNC_EXCLUSIVE), -ETIMEDOUT, "an exclusive lock keeps out another");
	is(attempt("excl", SYNC_SHARED), -ETIMEDOUT, "an exclusive lock keeps out a shared one");
	kid_kill(&holder);
}

static void shared_coexists(void)
{
	struct kid holder = kid_holding("shared", SYNC_SHARED);
	struct kid second = kid_opening("shared");
	is(ask(&second, job_acquire, .mode = SYNC_SHARED), 0, "two can hold a lock shared");
	is(attempt("shared", SYNC_EXCLUSIVE), -ETIMEDOUT, "shared locks keep out an exclusive one");
	kid_kill(&holder);
	is(attempt("shared", SYNC_EXCLUSIVE), -ETIMEDOUT, "so does the one that is left");
	kid_kill(&second);
	is(attempt("shared", SYNC_EXCLUSIVE), 0, "when both are gone it is free");
}

static void files_are_apart(void)
{
	struct kid holder = kid_holding("one", SYNC_EXCLUSIVE);
	is(attempt("two", SYNC_EXCLUSIVE), 0, "locks of different files do not touch each other");
	kid_kill(&holder);
}

static void trying_is_immediate(void)
{
	struct kid holder = kid_holding("busy", SYNC_EXCLUSIVE);
	struct kid other = kid_opening("busy");
	struct timespec began;
	sync_deadline_in(1, &began);
	is(ask(&other, job_acquire, .mode = SYNC_EXCLUSIVE), -ETIMEDOUT,
	   "SYNC_NOW on a busy lock gives -ETIMEDOUT");
	claim(since(&began) < INT64_C(5000000000), "and that at once");
	is(answered.mode, SYNC_UNLOCKED, "and nothing is held");
	is(ask(&holder, job_check), 0, "and the holder is none the worse for it");
	kid_kill(&other);
	kid_kill(&holder);
}

static void owner_of_a_lock(void)
{
	struct kid kid = kid_holding("own", SYNC_EXCLUSIVE);
	is(ask(&kid, job_open, .path = "own"), 0, "a second handle can be had by the holder");
	int want = caps & SYNC_CAP_INHERIT ? -ETIMEDOUT : 0;
	is(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE), want,
	   caps & SYNC_CAP_INHERIT ? "two handles of one process exclude each other"
				   : "two handles of one process do not exclude each other");
	kid_kill(&kid);
}

static int job_open_again(struct sync_lock **l, const struct order *o,
			  const struct timespec *deadline)
{
	(void)l;
	struct sync_lock *second;
	return sync_lock_open(named(o->path), NULL, deadline, &second);
}

static void no_mode(void)
{
	struct sync_lock *l = open_lock("mode");
	need(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW) == 0, "lock");
	is(sync_lock_acquire(l, SYNC_UNLOCKED, SYNC_NOW), -EINVAL,
	   "to be unlocked is no mode to ask for");
	is(sync_lock_mode(l), SYNC_SHARED, "and changes nothing");
	let_go(l);
}

static void opening_again(void)
{
	struct kid kid = kid_holding("again", SYNC_EXCLUSIVE);
	need(ask(&kid, job_open_again, .path = "again") == 0, "open it again");
	is(attempt("again", SYNC_EXCLUSIVE), caps & SYNC_CAP_INHERIT ? -ETIMEDOUT : 0,
	   "opening the name once more drops only what belongs to the process");
	kid_kill(&kid);
}

/* ---- what ends a lock ---- */

static void ends(void)
{
	struct kid kid = kid_holding("ends", SYNC_EXCLUSIVE);
	is(ask(&kid, job_release), 0, "release succeeds");
	is(answered.mode, SYNC_UNLOCKED, "a released handle says that it holds nothing");
	is(attempt("ends", SYNC_EXCLUSIVE), 0, "a released lock is free");
	is(ask(&kid, job_release), 0, "release of what is not held is harmless");
	is(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE), 0, "it can be taken again");
	is(answered.mode, SYNC_EXCLUSIVE, "a handle says that it holds exclusively");
	is(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE), 0, "taking what is held succeeds");
	ask(&kid, job_close);
	is(attempt("ends", SYNC_EXCLUSIVE), 0, "a closed lock is free");
	kid_kill(&kid);
	kid = kid_holding("ends", SYNC_EXCLUSIVE);
	kid_kill(&kid);
	is(attempt("ends", SYNC_EXCLUSIVE), 0, "the lock of a holder killed by SIGKILL is free");
}

/* ---- conversion ---- */

static void failed_upgrade(int ms, const char *kept, const char *lost, const char *truth)
{
	bool keeps = caps & SYNC_CAP_UPGRADE;
	struct kid one = kid_holding("up", SYNC_SHARED);
	struct kid two = kid_holding("up", SYNC_SHARED);
	is(ask(&one, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = ms), -ETIMEDOUT,
	   "upgrading is refused while another holds it shared");
	is(answered.mode, keeps ? SYNC_SHARED : SYNC_UNLOCKED, keeps ? kept : lost);
	kid_kill(&two);
	is(attempt("up", SYNC_EXCLUSIVE), keeps ? -ETIMEDOUT : 0, truth);
	kid_kill(&one);
}

static void failed_upgrades(void)
{
	failed_upgrade(0, "a failed try to upgrade keeps the shared lock",
		       "a failed try to upgrade loses the shared lock, and says so",
		       "and what the handle says is true");
	failed_upgrade(30, "a timed upgrade that fails keeps the shared lock",
		       "a timed upgrade that fails loses the shared lock, and says so",
		       "and what the handle says is true after a timed upgrade");
}

static void upgrade(void)
{
	struct kid kid = kid_holding("alone", SYNC_SHARED);
	is(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE), 0, "who is alone can upgrade");
	is(answered.mode, SYNC_EXCLUSIVE, "and then holds it exclusively");
	is(attempt("alone", SYNC_SHARED), -ETIMEDOUT, "and keeps out shared locks");
	kid_kill(&kid);
}

static void downgrade(void)
{
	struct kid kid = kid_holding("down", SYNC_EXCLUSIVE);
	struct kid waiter = kid_waiting("down", SYNC_SHARED, FOREVER);
	is(ask(&kid, job_acquire, .mode = SYNC_SHARED), 0, "an exclusive lock can be downgraded");
	is(answered.mode, SYNC_SHARED, "and then it is held shared");
	is(heard(&waiter), 0, "a downgrade lets in who waits for a shared lock");
	is(attempt("down", SYNC_EXCLUSIVE), -ETIMEDOUT, "but nobody who wants it exclusively");
	kid_kill(&waiter);
	kid_kill(&kid);
}

/* ---- fork and exec ---- */

static void fork_shares(void)
{
	struct kid heir;
	struct kid kid = kid_start_with_heir(&heir);
	need(ask(&kid, job_open, .path = "heir") == 0, "open a lock");
	need(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE) == 0, "hold a lock");
	heir.pid = ask(&kid, job_beget);
	is(ask(&heir, job_acquire, .mode = SYNC_EXCLUSIVE), 0, "a child holds what it inherited");
	kid_kill(&kid);
	is(attempt("heir", SYNC_EXCLUSIVE), -ETIMEDOUT,
	   "what a child inherited outlives a parent killed by SIGKILL");
	heir_kill(&heir);
	is(attempt("heir", SYNC_EXCLUSIVE), 0, "and ends with the last heir");
}

static void fork_does_not_share(void)
{
	struct kid heir;
	struct kid kid = kid_start_with_heir(&heir);
	need(ask(&kid, job_open, .path = "heir") == 0, "open a lock");
	need(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE) == 0, "hold a lock");
	heir.pid = ask(&kid, job_beget);
	is(ask(&heir, job_acquire, .mode = SYNC_EXCLUSIVE), -ETIMEDOUT,
	   "a child does not hold what its parent does");
	kid_kill(&kid);
	is(attempt("heir", SYNC_EXCLUSIVE), 0, "a lock ends with its process, not with an heir");
	heir_kill(&heir);
}

static void inheritance(void)
{
	if (caps & SYNC_CAP_INHERIT)
		fork_shares();
	else
		fork_does_not_share();
}

static void heirs_and_release(void)
{
	if (!(caps & SYNC_CAP_INHERIT)) {
		skip("nothing is inherited", "release frees what children inherited");
		skip("nothing is inherited", "close leaves children what they inherited");
		skip("nothing is inherited", "a child that closes its copy unlocks nothing");
		return;
	}
	struct kid heir;
	struct kid kid = kid_start_with_heir(&heir);
	need(ask(&kid, job_open, .path = "legacy") == 0, "open a lock");
	need(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE) == 0, "hold a lock");
	heir.pid = ask(&kid, job_beget);
	ask(&kid, job_release);
	is(attempt("legacy", SYNC_EXCLUSIVE), 0, "release frees what children inherited");
	ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE);
	ask(&kid, job_close);
	is(attempt("legacy", SYNC_EXCLUSIVE), -ETIMEDOUT,
	   "close leaves children what they inherited");
	kid_kill(&kid);
	heir_kill(&heir);
	kid = kid_start_with_heir(&heir);
	need(ask(&kid, job_open, .path = "legacy") == 0, "open a lock");
	need(ask(&kid, job_acquire, .mode = SYNC_EXCLUSIVE) == 0, "hold a lock");
	heir.pid = ask(&kid, job_beget);
	ask(&heir, job_close);
	is(attempt("legacy", SYNC_EXCLUSIVE), -ETIMEDOUT,
	   "a child that closes its copy unlocks nothing");
	heir_kill(&heir);
	kid_kill(&kid);
}

/* Become a cat that answers on our socket; .flags: with the descriptor of the lock. */
static int job_exec(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	(void)deadline;
	if (o->flags)
		fcntl(sync_lock_fd(*l), F_SETFD, 0);
	int sock = -1;
	struct sockaddr_storage addr;
	for (int fd = 3; fd < HIGHEST_FD && sock < 0; fd++) {
		socklen_t size = sizeof(addr);
		if (!getsockname(fd, (struct sockaddr *)&addr, &size))
			sock = fd;
	}
	dup2(sock, STDIN_FILENO);
	dup2(sock, STDOUT_FILENO);
	execlp("cat", "cat", (char *)NULL);
	return -errno;
}

static void exec_as(unsigned with_descriptor, int want, const char *text)
{
	char c = 0;
	struct kid kid = kid_holding("exec", SYNC_EXCLUSIVE);
	tell(&kid, job_exec, .flags = with_descriptor);
	need(send(kid.sock, "x", 1, MSG_NOSIGNAL) == 1, "talk to cat");
	need(has_answered(&kid, LIMIT_MS) && recv(kid.sock, &c, 1, 0) == 1 && c == 'x', "run cat");
	is(attempt("exec", SYNC_EXCLUSIVE), want, text);
	kid_kill(&kid);
	is(attempt("exec", SYNC_EXCLUSIVE), 0, "and it is free when the program ends");
}

static void exec_keeps(void)
{
	exec_as(1, -ETIMEDOUT, "a lock survives exec when its descriptor does");
	exec_as(0, 0, "a lock ends at exec as its descriptor closes");
}

/* ---- deadlock ---- */

static void deadlock(void)
{
	struct kid one = kid_holding("left", SYNC_EXCLUSIVE);
	struct kid two = kid_holding("right", SYNC_EXCLUSIVE);
	/* Each drops its first handle, but not the lock: the process or its descriptor lives on. */
	need(ask(&one, job_open, .path = "right") == 0 && ask(&two, job_open, .path = "left") == 0,
	     "open");
	start_waiting(&one, "right", SYNC_EXCLUSIVE, FOREVER);
	if (caps & SYNC_CAP_EDEADLK)
		is(ask(&two, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = LIMIT_MS), -EDEADLK,
		   "a cycle of waiters gives -EDEADLK");
	else
		is(ask(&two, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = 30), -ETIMEDOUT,
		   "a cycle of waiters goes unnoticed, but a deadline ends it");
	is(answered.mode, SYNC_UNLOCKED, "and nothing is held by who was told");
	kid_kill(&two);
	is(heard(&one), 0, "when one of them gives up, the other gets its lock");
	kid_kill(&one);
}

/* ---- what a handle says of itself ---- */

static void self_knowledge(void)
{
	struct sync_lock *l = open_lock("self");
	claim(!strcmp(sync_lock_name(l), named("self")), "a handle has the name it was given");
	claim(!strcmp(sync_lock_path(l), "self"), "and the path in it");
	is(sync_lock_mode(l), SYNC_UNLOCKED, "a new handle holds nothing");
	is((int)(sync_lock_caps(l) & ~(unsigned)SYNC_CAP_UNLINK), (int)caps,
	   "a backend has the same abilities for every handle");
	claim(sync_lock_caps(l) & SYNC_CAP_UNLINK, "a handle on a regular file can unlink it");
	claim(sync_lock_fd(l) >= 0, "a handle has a descriptor");
	sync_lock_close(l);
	l = open_flags("self", SYNC_LOCK_BY_NAME);
	is(sync_lock_fd(l), -EBADF, "a handle by name has none");
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), -EBADF, "and takes no locks");
	sync_lock_close(l);
}

static void bare_name(void)
{
	struct kid holder = kid_holding("bare", SYNC_EXCLUSIVE);
	struct sync_lock *l = NULL;
	need(sync_lock_open("bare", NULL, SYNC_NOW, &l) == 0, "open a bare name");
	bool first = scheme == backends[0];
	if (first)
		is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), -ETIMEDOUT,
		   "a bare name means this backend, the first");
	else
		skip("not the first backend", "a bare name means this backend");
	sync_lock_close(l);
	kid_kill(&holder);
}

int main(void)
{
	static void (*const tests[])(void) = {
		exclusive_excludes_all,
		shared_coexists,
		files_are_apart,
		trying_is_immediate,
		owner_of_a_lock,
		no_mode,
		opening_again,
		ends,
		failed_upgrades,
		upgrade,
		downgrade,
		inheritance,
		heirs_and_release,
		exec_keeps,
		deadlock,
		self_knowledge,
		bare_name,
	};
	return run_suite(tests, LENGTH(tests));
}
