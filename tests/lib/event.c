/* SPDX-License-Identifier: MIT */
/* The contract of events that are inherited: the counter, waits, deadlines, and what is left as it was. */
#include "eventutil.h"
#include "forbid.h"

/* ---- against a model ---- */

struct model {
	uint64_t value;
	bool semaphore;
};

static int model_add(struct model *m, uint64_t n)
{
	if (!n || n == UINT64_MAX)
		return -EINVAL;
	if (n > MOST - m->value)
		return -ETIMEDOUT;
	m->value += n;
	return 0;
}

static int model_take(struct model *m, uint64_t *out)
{
	if (!m->value)
		return -ETIMEDOUT;
	*out = m->semaphore ? 1 : m->value;
	m->value -= *out;
	return 0;
}

static int model_reached(const struct model *m, uint64_t n)
{
	if (n == UINT64_MAX)
		return -EINVAL;
	return m->value >= n ? 0 : -ETIMEDOUT;
}

static uint64_t some_number(void)
{
	static const uint64_t edges[] = {0,        1,        2,          3,         UINT32_MAX,
					 MOST / 2, MOST - 1, UINT64_MAX, INT64_MAX, MOST};
	return rand() % 2 ? edges[(size_t)rand() % LENGTH(edges)] : (uint64_t)rand() % 5;
}

static bool step(struct sync_event *ev, struct model *m)
{
	uint64_t n = some_number();
	uint64_t got = 7;
	uint64_t expected = 7;
	switch (rand() % 4) {
	case 0:
		return sync_event_signal(ev, n, SYNC_NOW) == model_add(m, n);
	case 1:
		return sync_event_wait(ev, SYNC_NOW, &got) == model_take(m, &expected) &&
		       got == expected;
	case 2:
		return sync_event_await(ev, n, SYNC_NOW) == model_reached(m, n);
	default:
		return value_now(ev) == m->value;
	}
}

static void against_model(unsigned flags)
{
	struct model m = {.semaphore = flags & SYNC_EVENT_SEMAPHORE};
	struct sync_event *ev = make_event(flags, 0);
	int bad = 0;
	srand(12345);
	for (int i = 0; i < 4000; i++)
		bad += !step(ev, &m);
	is(bad, 0,
	   flags ? "4000 random calls in semaphore mode agree with a model"
		 : "4000 random calls agree with a model");
	sync_event_close(ev);
}

static void models(void)
{
	against_model(0);
	against_model(SYNC_EVENT_SEMAPHORE);
}

/* ---- making ---- */

static void making(void)
{
	struct sync_event_opts opts = {.initial = UINT64_MAX};
	struct sync_event *ev = NULL;
	struct sync_event *same = NULL;
	struct sync_event_state s;
	uint64_t value = 0;
	is(sync_event_make(&opts, &ev), -EINVAL, "2^64-1 is no initial value");
	claim(!ev, "and *out is untouched");
	opts.initial = MOST;
	is(sync_event_make(&opts, &ev), 0, "2^64-2 is one");
	claim(value_now(ev) == MOST, "and is kept");
	is(sync_event_wait(ev, SYNC_NOW, &value), 0, "it is taken");
	claim(value == MOST, "all of it");
	sync_event_close(ev);
	is(sync_event_make(NULL, &ev), 0, "no options mean 0");
	claim(sync_event_fd(ev) >= 10, "the descriptor is 10 or above");
	claim(fcntl(sync_event_fd(ev), F_GETFD) == FD_CLOEXEC, "and close-on-exec");
	claim(!(fcntl(sync_event_fd(ev), F_GETFL) & O_NONBLOCK), "and blocks who reads it");
	is(sync_event_open(sync_event_name(ev), SYNC_NOW, &same), 0, "its name can be opened");
	need(sync_event_signal(same, 5, SYNC_NOW) == 0, "signal");
	sync_event_close(same);
	need(sync_event_state(ev, &s) == 0, "look");
	claim(s.value == 5, "and is the same event, which closing leaves open");
	claim(s.holder == 0 && s.semaphore == 0 && s.id >= 0, "its state is told");
	is(sync_event_wait(ev, SYNC_NOW, NULL), 0, "the value need not be asked for");
	is(sync_event_wait(ev, SYNC_NOW, NULL), -ETIMEDOUT, "but is taken");
	is(sync_event_unlink(sync_event_name(ev), NULL), -EOPNOTSUPP, "it cannot be removed");
	errno = 77;
	sync_event_close(ev);
	sync_event_close(NULL);
	is(errno, 77, "close leaves errno alone");
}

static void names(void)
{
	static const char *const none[] = {"",
					   "fd:",
					   "fd:x",
					   "fd:-1",
					   "fd:1x",
					   "pid:",
					   "pid:1",
					   "pid:1:",
					   "pid::1",
					   "pid:0:1",
					   ".a",
					   "-a",
					   "a b",
					   "a/b",
					   "/a",
					   "1000/",
					   "1000/a/b",
					   "x:y",
					   "fd:99999999999",
					   "4294967295/a",
					   "holder:"};
	struct sync_event *const untouched = (struct sync_event *)(void *)&none;
	struct sync_event *ev = untouched;
	char longest[82];
	for (size_t i = 0; i < LENGTH(none); i++)
		is(sync_event_open(none[i], SYNC_NOW, &ev), -EINVAL, none[i]);
	memset(longest, 'x', sizeof(longest));
	longest[81] = '\0';
	is(sync_event_open(longest, SYNC_NOW, &ev), -ENAMETOOLONG, "81 characters");
	longest[80] = '\0';
	is(sync_event_open(longest, SYNC_NOW, &ev), -ENOENT, "80 are a name, but nobody's");
	is(sync_event_open("fd:999", SYNC_NOW, &ev), -EBADF, "a descriptor that is not open");
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	char name[32];
	snprintf(name, sizeof(name), "fd:%d", file);
	is(sync_event_open(name, SYNC_NOW, &ev), -EMEDIUMTYPE, "a file is no event");
	snprintf(name, sizeof(name), "pid:%d:%d", (int)getpid(), file);
	int r = sync_event_open(name, SYNC_NOW, &ev);
	claim(r == -EMEDIUMTYPE || r == -EPERM || r == -ENOSYS, "nor by pid:");
	is(sync_event_open("pid:2147483647:3", SYNC_NOW, &ev), -ESRCH, "a process that is not");
	claim(ev == untouched, "*out is untouched");
	close(file);
}

static void by_pid(void)
{
	struct sync_event *ev = make_event(0, 3);
	struct sync_event *far = NULL;
	struct kid k = start_event_kid();
	char name[64];
	snprintf(name, sizeof(name), "pid:%d:%d", (int)k.pid, sync_event_fd(ev));
	int r = sync_event_open(name, SYNC_NOW, &far);
	if (r == -EPERM || r == -ENOSYS) {
		skip("pidfd_getfd(2) is not allowed here", "pid:P:N");
	} else {
		is(r, 0, "a descriptor of another process");
		is(sync_event_signal(far, 4, SYNC_NOW), 0, "can be used");
		claim(value_now(ev) == 7, "and is the same event");
		claim(sync_event_fd(far) >= 10 && fcntl(sync_event_fd(far), F_GETFD) == FD_CLOEXEC,
		      "numbered 10 or above, and close-on-exec");
		snprintf(name, sizeof(name), "pid:%d:%d", (int)k.pid, 999);
		sync_event_close(far);
		is(sync_event_open(name, SYNC_NOW, &far), -EBADF, "that it does not have");
	}
	kid_kill(&k);
	sync_event_close(ev);
}

/* ---- waits ---- */

static void maxima(void)
{
	struct sync_event *ev = make_event(0, 0);
	is(sync_event_signal(ev, 0, NULL), -EINVAL, "0 cannot be added");
	is(sync_event_signal(ev, UINT64_MAX, NULL), -EINVAL, "nor 2^64-1");
	is(sync_event_signal(ev, MOST, SYNC_NOW), 0, "2^64-2 can");
	is(sync_event_signal(ev, 1, SYNC_NOW), -ETIMEDOUT, "and then nothing more");
	is(sync_event_await(ev, MOST, SYNC_NOW), 0, "which can be waited for");
	is(sync_event_await(ev, UINT64_MAX, NULL), -EINVAL, "but no more than that");
	is(sync_event_await(ev, 0, SYNC_NOW), 0, "0 is always reached");
	sync_event_close(ev);
}

static void overflow(int flags, bool forever, const char *text)
{
	struct sync_event *ev = make_event(0, MOST - 2);
	need(fcntl(sync_event_fd(ev), F_SETFL, flags) == 0, "set flags");
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_open};
	uint64_t value = 0;
	snprintf(o.name, sizeof(o.name), "%s", sync_event_name(ev));
	need(query_event(&k, o) == 0, "open");
	ORDER(&k, e_signal, .n = 3, .ms = forever ? FOREVER : LIMIT_MS);
	claim(seen_blocked(&k), text);
	is(sync_event_signal(ev, 1, SYNC_NOW), 0, "what fits goes ahead of it");
	need(seen_blocked(&k), "see it wait");
	is(sync_event_wait(ev, SYNC_NOW, &value), 0, "a reader");
	claim(value == MOST - 1, "takes what was there");
	is(heard(&k), 0, "and releases it");
	claim(value_now(ev) == 3, "its number is there");
	kid_kill(&k);
	sync_event_close(ev);
}

static void overflows(void)
{
	overflow(0, true, "an add that would pass 2^64-2 waits");
	overflow(0, false, "also with a deadline");
	overflow(O_NONBLOCK, true, "also where the description does not block");
	overflow(O_NONBLOCK, false, "with a deadline");
}

/* In semaphore mode one that is taken is not enough, though there is room for 1. */
static void overflow_by_steps(void)
{
	struct sync_event *ev = make_event(SYNC_EVENT_SEMAPHORE, MOST);
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_open};
	snprintf(o.name, sizeof(o.name), "%s", sync_event_name(ev));
	need(query_event(&k, o) == 0, "open");
	ORDER(&k, e_signal, .n = 3, .ms = LIMIT_MS);
	for (int i = 0; i < 3; i++) {
		need(seen_blocked(&k), "see it wait");
		need(sync_event_wait(ev, SYNC_NOW, NULL) == 0, "take one");
	}
	is(heard(&k), 0, "an add of 3 waits until 3 were taken one by one");
	claim(value_now(ev) == MOST, "and fills it again");
	kid_kill(&k);
	sync_event_close(ev);
}

static void gate(void)
{
	struct sync_event *ev = make_event(0, 0);
	struct kids k = start_kids(sync_event_name(ev));
	ALL_WAIT(&k, e_await, .ms = FOREVER);
	is(count_answered(&k), 0, "a gate holds 20 waiters");
	need(sync_event_signal(ev, 1, NULL) == 0, "signal");
	is(count_answers(&k, 0), MANY, "one add releases all of them");
	claim(value_now(ev) == 1, "and nothing is taken");
	kill_kids(&k);
	sync_event_close(ev);
}

static void latch(void)
{
	struct sync_event *ev = make_event(0, 0);
	struct kids k = start_kids(sync_event_name(ev));
	ALL_WAIT(&k, e_await, .n = 10, .ms = LIMIT_MS);
	for (int i = 0; i < 9; i++)
		need(sync_event_signal(ev, 1, NULL) == 0, "signal");
	for (int i = 0; i < MANY; i++)
		need(seen_blocked(&k.kid[i]), "see it wait");
	is(count_answered(&k), 0, "a latch of 10 holds all 20 waiters at 9");
	need(sync_event_signal(ev, 1, NULL) == 0, "signal");
	is(count_answers(&k, 0), MANY, "and passes all of them at 10");
	claim(value_now(ev) == 10, "and nothing is taken");
	is(sync_event_await(ev, 11, SYNC_NOW), -ETIMEDOUT, "11 is not reached");
	kill_kids(&k);
	sync_event_close(ev);
}

/* Reached while it does not look, and taken again: it never saw it. */
static void missed_latch(void)
{
	struct sync_event *ev = make_event(0, 0);
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_open};
	snprintf(o.name, sizeof(o.name), "%s", sync_event_name(ev));
	need(query_event(&k, o) == 0, "open");
	ORDER(&k, e_await, .n = 2, .ms = FOREVER);
	need(seen_blocked(&k), "see it wait");
	kill(k.pid, SIGSTOP);
	need(sync_event_signal(ev, 2, NULL) == 0 && sync_event_wait(ev, NULL, NULL) == 0,
	     "up, down");
	kill(k.pid, SIGCONT);
	/* A stop ends no wait, but it may be seen as EINTR. */
	claim(seen_blocked(&k) || heard(&k) == -EINTR,
	      "what was taken before it looked, it missed");
	kid_kill(&k);
	sync_event_close(ev);
}

static void one_each(unsigned flags, int adds, uint64_t n, const char *text)
{
	struct sync_event *ev = make_event(flags, 0);
	struct kids k = start_kids(sync_event_name(ev));
	int done = 0;
	ALL_WAIT(&k, e_wait, .ms = FOREVER);
	for (int i = 0; i < adds; i++) {
		need(sync_event_signal(ev, n, NULL) == 0, "signal");
		done += (int)n;
		need(until(count_answered(&k) == done), "see who took it");
	}
	for (int i = 0; i < MANY; i++)
		need(has_answered(&k.kid[i], 0) || seen_blocked(&k.kid[i]), "see it wait");
	is(count_answered(&k), done, text);
	claim(value_now(ev) == 0, "and nothing is left");
	need(sync_event_signal(ev, 1, NULL) == 0, "signal");
	need(until(count_answered(&k) == done + 1), "see who took it");
	kill_kids(&k);
	sync_event_close(ev);
}

static void permits(void)
{
	one_each(SYNC_EVENT_SEMAPHORE, 3, 4, "each permit lets one of 20 consumers go");
	one_each(0, 12, 1, "each add, taken at once, lets one of 20 go");
}

static void deadlines(void)
{
	struct sync_event *ev = make_event(0, MOST);
	struct sync_event *none = make_event(0, 0);
	struct timespec room;
	is(sync_event_signal(ev, 1, in_ms(SHORT_MS, &room)), -ETIMEDOUT, "an add ends in time");
	claim(since(&room) >= 0 && since(&room) < REASON, "not before, not long after");
	is(sync_event_wait(none, in_ms(SHORT_MS, &room), NULL), -ETIMEDOUT, "a wait ends in time");
	claim(since(&room) >= 0 && since(&room) < REASON, "not before, not long after");
	is(sync_event_await(none, 1, in_ms(SHORT_MS, &room)), -ETIMEDOUT, "a gate ends in time");
	claim(since(&room) >= 0 && since(&room) < REASON, "not before, not long after");
	is(sync_event_await(none, 2, in_ms(SHORT_MS, &room)), -ETIMEDOUT, "a latch ends in time");
	claim(since(&room) >= 0 && since(&room) < REASON, "not before, not long after");
	is(sync_event_wait(ev, &room, NULL), 0, "what is there is taken, however late");
	sync_event_close(none);
	sync_event_close(ev);
}

static void interrupted_one(ev_job *call, uint64_t initial, uint64_t n, int ms, const char *text)
{
	struct sync_event *ev = make_event(0, initial);
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_open};
	snprintf(o.name, sizeof(o.name), "%s", sync_event_name(ev));
	need(query_event(&k, o) == 0 && QUERY(&k, e_handle) == 0, "open, and handle a signal");
	ORDER(&k, call, .n = n, .ms = ms);
	need(seen_blocked(&k), "see it wait");
	interrupt(&k);
	is(heard(&k), -EINTR, text);
	kid_kill(&k);
	sync_event_close(ev);
}

static void interruptions(void)
{
	interrupted_one(e_wait, 0, 0, FOREVER, "a signal handler ends a wait");
	interrupted_one(e_wait, 0, 0, LIMIT_MS, "with a deadline, too");
	interrupted_one(e_await, 0, 1, FOREVER, "and a gate");
	interrupted_one(e_await, 1, 2, LIMIT_MS, "and a latch");
	interrupted_one(e_signal, MOST, 1, FOREVER, "and an add");
	interrupted_one(e_signal, MOST, 1, LIMIT_MS, "with a deadline, too");
}

/* ---- what is left behind ---- */

static void use_all(struct sync_event *ev, int *bad)
{
	struct timespec room;
	*bad += sync_event_signal(ev, 2, NULL) != 0;
	*bad += sync_event_signal(ev, 2, SYNC_NOW) != 0;
	*bad += sync_event_signal(ev, MOST, in_ms(5, &room)) != -ETIMEDOUT;
	*bad += sync_event_await(ev, 5, in_ms(5, &room)) != -ETIMEDOUT;
	*bad += sync_event_wait(ev, SYNC_NOW, NULL) != 0;
	*bad += sync_event_wait(ev, in_ms(5, &room), NULL) != -ETIMEDOUT;
}

static void leaves_nothing(void)
{
	static const int flags[] = {0, O_NONBLOCK};
	int bad = 0;
	struct traces before;
	for (size_t i = 0; i < LENGTH(flags); i++) {
		int fd = eventfd(0, EFD_CLOEXEC);
		struct sync_event *ev;
		char name[32];
		need(fcntl(fd, F_SETFL, flags[i]) == 0, "set flags");
		int was = fcntl(fd, F_GETFL);
		snprintf(name, sizeof(name), "fd:%d", fd);
		need(sync_event_open(name, SYNC_NOW, &ev) == 0, "open");
		take_traces(&before);
		use_all(ev, &bad);
		unchanged(&before, "calls leave nothing behind");
		is(fcntl(fd, F_GETFL), was,
		   flags[i] ? "a description that does not block is left so"
			    : "a description that blocks is left so");
		claim(fcntl(fd, F_GETFD) == FD_CLOEXEC, "and its descriptor");
		sync_event_close(ev);
		claim(fcntl(fd, F_GETFD) >= 0, "which is not closed");
		close(fd);
	}
	is(bad, 0, "and all calls did what they should");
}

/* ---- kernels without RWF_NOWAIT on an eventfd, and worlds without /proc ---- */

EVENT_JOB(on_an_old_kernel)
{
	struct model m = {0};
	struct sync_event *fresh = NULL;
	struct timespec room;
	int bad = 0;
	if (forbid_call(SYS_preadv2, EOPNOTSUPP))
		return -ENOSYS;
	need(sync_event_make(NULL, &fresh) == 0, "make");
	for (int i = 0; i < 200; i++)
		bad += !step(fresh, &m);
	while (sync_event_wait(fresh, SYNC_NOW, NULL) == 0)
		;
	bad += sync_event_wait(fresh, in_ms(SHORT_MS, &room), NULL) != -ETIMEDOUT;
	bad += fcntl(sync_event_fd(fresh), F_SETFL, O_NONBLOCK) != 0;
	bad += sync_event_wait(fresh, in_ms(SHORT_MS, &room), NULL) != -ETIMEDOUT;
	return bad;
}

EVENT_JOB(without_proc)
{
	struct sync_event *fresh = NULL;
	struct sync_event_state state;
	need(sync_event_make(NULL, &fresh) == 0, "make");
	if (forbid_call(SYS_openat, ENOENT))
		return -ENOSYS;
	return sync_event_state(fresh, &state);
}

/* Whether there is room cannot be known, so it is tried. */
EVENT_JOB(full_without_proc)
{
	struct sync_event *full = make_event(0, MOST);
	struct timespec room;
	uint64_t value = 0;
	int bad = 0;
	if (forbid_call(SYS_openat, ENOENT))
		return -ENOSYS;
	bad += sync_event_signal(full, 1, SYNC_NOW) != -ETIMEDOUT;
	bad += sync_event_signal(full, 1, in_ms(SHORT_MS, &room)) != -ETIMEDOUT;
	bad += sync_event_wait(full, SYNC_NOW, &value) != 0 || value != MOST;
	return bad;
}

/* A process of its own, as what is forbidden stays so. */
static void under_a_filter(ev_job *does, int want, const char *claim)
{
	struct kid k = start_event_kid();
	int r = QUERY(&k, does);
	if (r == -ENOSYS)
		skip("no seccomp here", claim);
	else
		is(r, want, claim);
	kid_kill(&k);
}

static void missing(void)
{
	under_a_filter(on_an_old_kernel, 0,
		       "all is the same where the kernel has no RWF_NOWAIT for it");
	under_a_filter(without_proc, -EOPNOTSUPP, "the state of one needs /proc");
	under_a_filter(full_without_proc, 0,
		       "an add that does not fit ends in time without it, and adds nothing");
}

int main(void)
{
	static void (*const tests[])(void) = {
		leaves_nothing, /* first: before anything can have been left */
		models,
		making,
		names,
		by_pid,
		maxima,
		overflows,
		overflow_by_steps,
		gate,
		latch,
		missed_latch,
		permits,
		deadlines,
		interruptions,
		missing,
	};
	return run_event_suite(tests, LENGTH(tests));
}
