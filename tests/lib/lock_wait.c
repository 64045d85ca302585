/* SPDX-License-Identifier: MIT */
/* The contract of waiting for a lock: deadlines, signals, order, threads, and what is left behind. */
#include <pthread.h>
#include <sys/time.h>

#include "lockutil.h"

#define SHORT_MS 40 /* of a wait that shall end by itself */

/* ---- who waits is served ---- */

static void served(int ms, const char *released, const char *killed)
{
	struct kid holder = kid_holding("serve", SYNC_EXCLUSIVE);
	struct kid waiter = kid_waiting("serve", SYNC_EXCLUSIVE, ms);
	need(ask(&holder, job_release) == 0, "release");
	is(heard(&waiter), 0, released);
	is(answered.mode, SYNC_EXCLUSIVE, "and then it holds the lock");
	kid_kill(&waiter);
	kid_kill(&holder);

	holder = kid_holding("serve", SYNC_EXCLUSIVE);
	waiter = kid_waiting("serve", SYNC_SHARED, ms);
	kid_kill(&holder);
	is(heard(&waiter), 0, killed);
	is(attempt("serve", SYNC_EXCLUSIVE), -ETIMEDOUT, "and then it holds the lock shared");
	kid_kill(&waiter);
}

static void all_are_served(void)
{
	served(FOREVER, "who waits for ever is served when the holder releases",
	       "who waits for ever is served when the holder dies of SIGKILL");
	served(LIMIT_MS, "who waits with a deadline is served when the holder releases",
	       "who waits with a deadline is served when the holder dies of SIGKILL");
}

/* ---- the end of a timed wait ---- */

static void times_out(void)
{
	struct kid holder = kid_holding("time", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("time");
	is(ask(&waiter, job_acquire, .mode = SYNC_SHARED, .ms = SHORT_MS), -ETIMEDOUT,
	   "a wait with a deadline ends with -ETIMEDOUT");
	claim(answered.late >= 0, "and not before its deadline");
	is(answered.mode, SYNC_UNLOCKED, "and nothing is held");
	is(ask(&waiter, job_acquire, .mode = SYNC_SHARED, .same_deadline = true), -ETIMEDOUT,
	   "a deadline that has passed tries once");
	kid_kill(&holder);
	is(ask(&waiter, job_acquire, .mode = SYNC_SHARED, .same_deadline = true), 0,
	   "and a free lock is had even so");
	kid_kill(&waiter);
}

static int job_latest(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct timespec latest;
	(void)deadline;
	sync_deadline_in(INT64_MAX, &latest);
	return sync_lock_acquire(*l, o->mode, &latest);
}

static void latest_deadline(void)
{
	struct kid holder = kid_holding("latest", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("latest");
	tell(&waiter, job_latest, .mode = SYNC_EXCLUSIVE);
	claim(seen_waiting(&waiter, "latest"), "the latest deadline there is can be waited for");
	kid_kill(&holder);
	is(heard(&waiter), 0, "and is no obstacle to being served");
	kid_kill(&waiter);
}

/* ---- signals on entry ---- */

static int job_deafen(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	sigset_t all;
	(void)l;
	(void)o;
	(void)deadline;
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
	sigfillset(&all);
	return sigprocmask(SIG_SETMASK, &all, NULL);
}

static void deaf(void)
{
	struct kid holder = kid_holding("deaf", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("deaf");
	need(ask(&waiter, job_deafen) == 0, "block and ignore signals");
	is(ask(&waiter, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = SHORT_MS), -ETIMEDOUT,
	   "a deadline holds with every signal blocked and ignored");
	claim(answered.late >= 0, "and is not cut short");
	start_waiting(&waiter, "deaf", SYNC_EXCLUSIVE, LIMIT_MS);
	kid_kill(&holder);
	is(heard(&waiter), 0, "and who waits so is served");
	kid_kill(&waiter);
}

/* ---- handlers ---- */

static volatile sig_atomic_t handled;

static void count(int signo)
{
	(void)signo;
	handled++;
}

/* .ms is the interval of a SIGALRM storm, or 0. */
static int job_handle(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct sigaction sa = {.sa_handler = count};
	struct itimerval storm = {{0, o->ms * 1000}, {0, o->ms * 1000}};
	(void)l;
	(void)deadline;
	return sigaction(SIGUSR1, &sa, NULL) || sigaction(SIGALRM, &sa, NULL) ||
	       setitimer(ITIMER_REAL, &storm, NULL);
}

static int job_insist(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	int r;
	do
		r = sync_lock_acquire(*l, o->mode, deadline);
	while (r == -EINTR);
	return r;
}

static void interrupted(int ms, const char *text)
{
	struct kid holder = kid_holding("intr", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("intr");
	need(ask(&waiter, job_handle) == 0, "install a handler");
	start_waiting(&waiter, "intr", SYNC_EXCLUSIVE, ms);
	kill(waiter.pid, SIGUSR1);
	is(heard(&waiter), -EINTR, text);
	is(answered.mode, SYNC_UNLOCKED, "and nothing is held");
	start_waiting(&waiter, "intr", SYNC_EXCLUSIVE, ms);
	kid_kill(&holder);
	is(heard(&waiter), 0, "after -EINTR one can wait again, and is served");
	kid_kill(&waiter);
}

static void interruptions(void)
{
	interrupted(FOREVER, "a handler without SA_RESTART ends a wait for ever with -EINTR");
	interrupted(LIMIT_MS, "a handler without SA_RESTART ends a timed wait with -EINTR");
}

static void retries(void)
{
	struct kid holder = kid_holding("retry", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("retry");
	need(ask(&waiter, job_handle) == 0, "install a handler");
	tell(&waiter, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = 150);
	seen_waiting(&waiter, "retry");
	kill(waiter.pid, SIGUSR1);
	int r = heard(&waiter);
	/* On a slow day the signal comes too late; then the deadline has been kept, too. */
	claim(r == -EINTR || (r == -ETIMEDOUT && answered.late >= 0), "a wait is interrupted");
	is(ask(&waiter, job_acquire, .mode = SYNC_EXCLUSIVE, .same_deadline = true), -ETIMEDOUT,
	   "a retry with the same deadline ends with -ETIMEDOUT");
	claim(answered.late >= 0, "and not before it");
	claim(answered.late < INT64_C(5000000000), "nor long after it");
	need(ask(&waiter, job_handle, .ms = 2) == 0, "start a storm of signals");
	is(ask(&waiter, job_insist, .mode = SYNC_EXCLUSIVE, .ms = 2 * SHORT_MS), -ETIMEDOUT,
	   "retries in a storm of signals end at the deadline");
	claim(answered.late >= 0 && answered.late < INT64_C(5000000000),
	      "not before, not long after");
	kid_kill(&waiter);
	kid_kill(&holder);
}

/* ---- what a timed wait leaves behind: nothing ---- */

struct traces {
	char masks[512]; /* the Sig... and ShdPnd lines: all 64 signals, also those of libc */
	struct sigaction actions[NSIG];
	sigset_t mask;
};

static void read_masks(char *out, size_t size)
{
	char buf[4096];
	slurp("/proc/self/status", buf, sizeof(buf));
	const char *start = strstr(buf, "\nSigQ");
	const char *end = strstr(buf, "\nCapInh");
	start = start ? strstr(start + 1, "\n") : NULL; /* SigQ counts those of other processes */
	out[0] = '\0';
	if (start && end)
		snprintf(out, size, "%.*s", (int)(end - start), start);
}

static void take_traces(struct traces *t)
{
	memset(t, 0, sizeof(*t));
	read_masks(t->masks, sizeof(t->masks));
	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, NULL, &t->actions[signo]);
	pthread_sigmask(SIG_SETMASK, NULL, &t->mask);
}

#define SA_LIBC 0x04000000 /* SA_RESTORER, which libc adds */

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	bool same = a->sa_handler == b->sa_handler &&
		    (a->sa_flags & ~SA_LIBC) == (b->sa_flags & ~SA_LIBC);
	for (int signo = 1; signo < NSIG; signo++)
		same = same && sigismember(&a->sa_mask, signo) == sigismember(&b->sa_mask, signo);
	return same;
}

/* 0, or what differs: a signal, or 100 for a mask. */
static int compare_traces(const struct traces *before)
{
	struct traces now;
	take_traces(&now);
	for (int signo = 1; signo < NSIG; signo++) {
		if (!same_action(&before->actions[signo], &now.actions[signo]))
			return signo;
		if (sigismember(&before->mask, signo) != sigismember(&now.mask, signo))
			return 100;
	}
	return strcmp(before->masks, now.masks) != 0 || !now.masks[0] ? 100 : 0;
}

static struct traces before;

static void ignore_and_block(int signo)
{
	struct sigaction sa = {.sa_handler = SIG_IGN, .sa_flags = SA_RESTART | SA_NODEFER};
	sigset_t one;
	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(signo, &sa, NULL);
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigprocmask(SIG_BLOCK, &one, NULL);
}

/* A process with habits of its own: handlers, ignored and blocked ones at both ends of the range. */
static int job_odd_signals(struct sync_lock **l, const struct order *o,
			   const struct timespec *deadline)
{
	struct sigaction sa = {.sa_handler = count, .sa_flags = SA_RESTART};
	(void)l;
	(void)o;
	(void)deadline;
	sigaction(SIGRTMAX, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	for (int signo = SIGRTMIN + 1; signo < SIGRTMAX; signo += 2)
		ignore_and_block(signo);
	handled = 0;
	take_traces(&before);
	return 0;
}

static int job_compare(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	(void)l;
	(void)o;
	(void)deadline;
	return compare_traces(&before);
}

static int job_handled(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	(void)l;
	(void)o;
	(void)deadline;
	return handled;
}

static int job_timers(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	char buf[256];
	(void)l;
	(void)o;
	(void)deadline;
	return slurp("/proc/self/timers", buf, sizeof(buf));
}

static void no_timer_is_left(const struct kid *kid)
{
	static const char text[] = "and no timer";
	int r = ask(kid, job_timers);
	if (r == -ENOENT)
		skip("no /proc/PID/timers in this kernel", text);
	else
		is(r, 0, text);
}

static void leaves_nothing(void)
{
	struct kid holder = kid_holding("trace", SYNC_EXCLUSIVE);
	struct kid waiter = kid_opening("trace");
	need(ask(&waiter, job_odd_signals) == 0, "change dispositions");
	need(ask(&waiter, job_acquire, .mode = SYNC_SHARED, .ms = SHORT_MS) == -ETIMEDOUT, "wait");
	is(ask(&waiter, job_compare), 0,
	   "a wait that timed out leaves mask and dispositions alone");
	no_timer_is_left(&waiter);
	is(ask(&waiter, job_handled), 0, "and no handler of the process ran for it");

	start_waiting(&waiter, "trace", SYNC_SHARED, LIMIT_MS);
	kill(waiter.pid, SIGRTMAX);
	kill(waiter.pid, SIGUSR1);
	need(heard(&waiter) == -EINTR, "interrupt a wait");
	is(ask(&waiter, job_handled), 2, "handlers of the process keep working while it waits");
	is(ask(&waiter, job_compare), 0, "a wait interrupted leaves mask and dispositions alone");
	no_timer_is_left(&waiter);

	start_waiting(&waiter, "trace", SYNC_SHARED, LIMIT_MS);
	kid_kill(&holder);
	need(heard(&waiter) == 0, "be served");
	is(ask(&waiter, job_compare), 0,
	   "a wait that was served leaves mask and dispositions alone");
	no_timer_is_left(&waiter);
	kid_kill(&waiter);
}

/* ---- order ---- */

static void queue_order(void)
{
	static const int deadlines[] = {LIMIT_MS, LIMIT_MS / 3, LIMIT_MS / 2};
	struct kid holder = kid_holding("queue", SYNC_EXCLUSIVE);
	struct kid waiter[LENGTH(deadlines)];
	bool in_order = true;
	for (size_t i = 0; i < LENGTH(deadlines); i++)
		waiter[i] = kid_waiting("queue", SYNC_EXCLUSIVE, deadlines[i]);
	kid_kill(&holder);
	for (size_t i = 0; i < LENGTH(deadlines); i++) {
		in_order = in_order && heard(&waiter[i]) == 0;
		for (size_t j = i + 1; j < LENGTH(deadlines); j++)
			in_order = in_order && !has_answered(&waiter[j], 0);
		kid_kill(&waiter[i]);
	}
	claim(in_order, "waiters with different deadlines are served in the order they came");
}

static void giving_up_in_the_queue(void)
{
	struct kid holder = kid_holding("leave", SYNC_EXCLUSIVE);
	struct kid first = kid_opening("leave");
	tell(&first, job_acquire, .mode = SYNC_EXCLUSIVE, .ms = 100);
	seen_waiting(&first, "leave");
	struct kid second = kid_waiting("leave", SYNC_EXCLUSIVE, LIMIT_MS);
	is(heard(&first), -ETIMEDOUT, "a waiter gives up in front of another");
	claim(seen_waiting(&second, "leave"), "the other stays");
	kid_kill(&holder);
	is(heard(&second), 0, "and is served");
	kid_kill(&second);
	kid_kill(&first);
}

/* ---- threads ---- */

#define THREADS 8

struct thread {
	pthread_t id;
	int ms;
	int result;
	int64_t late;
	bool mask_changed;
};

static void *wait_in_thread(void *arg)
{
	struct thread *t = arg;
	struct sync_lock *l;
	struct timespec deadline;
	sigset_t old;
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &old);
	t->result = sync_lock_open(named("threads"), NULL, NULL, &l);
	if (t->result)
		return NULL;
	t->result = sync_lock_acquire(l, SYNC_EXCLUSIVE, in_ms(t->ms, &deadline));
	t->late = since(&deadline);
	sync_lock_close(l);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	for (int signo = 1; signo < NSIG; signo++)
		if (sigismember(&old, signo) != sigismember(&now, signo))
			t->mask_changed = true;
	return NULL;
}

static void *nothing(void *arg)
{
	return arg;
}

/* How many threads did not time out as they should; 100: a mask, 1000: dispositions are not as before. */
static int job_threads(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct thread t[THREADS] = {0};
	int bad = 0;
	(void)l;
	(void)o;
	(void)deadline;
	/* libc may install handlers of its own when the first one starts. */
	if (pthread_create(&t[0].id, NULL, nothing, NULL) || pthread_join(t[0].id, NULL))
		return -1;
	take_traces(&before);
	for (int i = 0; i < THREADS; i++) {
		t[i].ms = 10 + i * 10;
		if (pthread_create(&t[i].id, NULL, wait_in_thread, &t[i]))
			return -1;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i].id, NULL);
		bad += t[i].result != -ETIMEDOUT || t[i].late < 0;
		bad += t[i].mask_changed ? 100 : 0;
	}
	return bad + (compare_traces(&before) ? 1000 : 0);
}

static void threads(void)
{
	struct kid holder = kid_holding("threads", SYNC_EXCLUSIVE);
	struct kid kid = kid_start();
	is(ask(&kid, job_threads), 0,
	   "threads that wait at once time out each by its deadline, and nothing is left behind");
	no_timer_is_left(&kid);
	kid_kill(&kid);
	kid_kill(&holder);
}

/* ---- an open that has to wait ---- */

static int job_lease(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	(void)l;
	(void)deadline;
	signal(SIGIO, SIG_IGN);
	int fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) ? -errno : 0;
}

static bool is_opening(pid_t pid)
{
	char path[64];
	char buf[256];
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	if (slurp(path, buf, sizeof(buf)) <= 0)
		return false;
	long nr = strtol(buf, NULL, 10);
#ifdef SYS_open
	if (nr == SYS_open)
		return true;
#endif
	return nr == SYS_openat;
}

static void leased_file(const struct kid *holder)
{
	struct kid kid = kid_start();
	is(ask(&kid, job_open, .path = "lease"), -ETIMEDOUT,
	   "opening a file under a lease with SYNC_NOW gives -ETIMEDOUT");
	is(ask(&kid, job_open, .path = "lease", .ms = SHORT_MS), -ETIMEDOUT,
	   "opening a file under a lease ends at the deadline");
	claim(answered.late >= 0, "and not before it");
	tell(&kid, job_open, .path = "lease", .ms = LIMIT_MS);
	need(until(is_opening(kid.pid) || has_answered(&kid, 0)), "see it open the file");
	kill(holder->pid, SIGKILL);
	is(heard(&kid), 0, "and succeeds as soon as the lease is gone");
	kid_kill(&kid);
}

static void leases(void)
{
	struct kid holder = kid_start();
	int r = ask(&holder, job_lease, .path = "lease");
	if (r)
		skip(strerror(-r), "a deadline bounds opening a file under a lease");
	else
		leased_file(&holder);
	kid_kill(&holder);
}

static void ended_waits(void)
{
	static void (*const tests[])(void) = {
		times_out, deaf, interruptions, retries, leaves_nothing, giving_up_in_the_queue,
		threads,
	};
	if (under_memcheck() && !strcmp(scheme, "ofd")) {
		skip(MEMCHECK_OFD, "waits that end early");
		return;
	}
	for (size_t i = 0; i < LENGTH(tests); i++)
		tests[i]();
}

int main(void)
{
	static void (*const tests[])(void) = {
		all_are_served, latest_deadline, ended_waits, queue_order, leases,
	};
	return run_suite(tests, LENGTH(tests));
}
