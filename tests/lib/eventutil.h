/* SPDX-License-Identifier: MIT */
/* For the tests of events: kids that carry out orders, and holders. The rest is that of the other tests. */
#ifndef TESTS_EVENTUTIL_H
#define TESTS_EVENTUTIL_H

#include <grp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "semutil.h"

#define MOST (UINT64_MAX - 1)
#define MANY 20
#define PATIENCE 10000 /* ms, for a holder's answer */

/* ---- kids ---- */

struct ev_order;
typedef int ev_job(struct sync_event **ev, const struct ev_order *o,
		   const struct timespec *deadline);

/* Strings and functions stay where they are in a kid: only what was made before its start will do. */
struct ev_order {
	ev_job *job;
	char name[128];
	uint64_t n;
	unsigned flags;
	mode_t mode;
	int uid, gid;
	int ms; /* the deadline: from when the job starts */
};

static inline void obey_event(int sock)
{
	struct sync_event *ev = NULL;
	struct timespec room = {0};
	struct ev_order o;
	ssize_t n;
	while ((n = recv(sock, &o, sizeof(o), 0)) == sizeof(o) || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		const struct timespec *deadline = in_ms(o.ms, &room);
		struct answer a = {.result = o.job(&ev, &o, deadline)};
		a.late = deadline ? since(deadline) : 0;
		if (send(sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
	}
	_exit(0);
}

/* It dies with us, and does nothing else of ours. */
static inline pid_t fork_event_kid(void)
{
	pid_t parent = getpid();
	fflush(stdout);
	pid_t pid = fork();
	need(pid >= 0, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	return 0;
}

static inline struct kid start_event_kid(void)
{
	int pair[2];
	pair_up(pair);
	pid_t pid = fork_event_kid();
	if (pid == 0) {
		close(pair[0]);
		obey_event(pair[1]);
	}
	close(pair[1]);
	return (struct kid){pid, pair[0]};
}

static inline void order_event(const struct kid *k, struct ev_order o)
{
	need(send(k->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o), "give an order");
}
#define ORDER(kid, ...) order_event(kid, (struct ev_order){.job = __VA_ARGS__})

static inline int query_event(const struct kid *k, struct ev_order o)
{
	order_event(k, o);
	return heard(k);
}
#define QUERY(kid, ...) query_event(kid, (struct ev_order){.job = __VA_ARGS__})

#define EVENT_JOB(name)                                                                            \
	static inline int name(__attribute__((unused)) struct sync_event **ev,                     \
			       __attribute__((unused)) const struct ev_order *o,                   \
			       __attribute__((unused)) const struct timespec *deadline)

/* A handle that is open already is given up. */
EVENT_JOB(e_open)
{
	sync_event_close(*ev);
	*ev = NULL;
	return sync_event_open(o->name, deadline, ev);
}

EVENT_JOB(e_signal)
{
	return sync_event_signal(*ev, o->n ? o->n : 1, deadline);
}

/* Small values: what was taken, or -errno. */
EVENT_JOB(e_wait)
{
	uint64_t value = 0;
	int r = sync_event_wait(*ev, deadline, &value);
	return r ? r : (int)value;
}

EVENT_JOB(e_await)
{
	return sync_event_await(*ev, o->n ? o->n : 1, deadline);
}

EVENT_JOB(e_handle)
{
	struct sigaction sa = {.sa_handler = count_signal};
	return sigaction(SIGUSR1, &sa, NULL);
}

EVENT_JOB(e_unlink)
{
	return sync_event_unlink(o->name, deadline);
}

/* Another user, if we are root. .uid, .gid, and .n a supplementary group, or none. */
EVENT_JOB(e_become)
{
	gid_t group = (gid_t)o->n;
	if (setgroups(o->n ? 1 : 0, &group) ||
	    setresgid((gid_t)o->gid, (gid_t)o->gid, (gid_t)o->gid) ||
	    setresuid((uid_t)o->uid, (uid_t)o->uid, (uid_t)o->uid))
		return -errno;
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Keep an event under the name; it answers when it is bound. */
static struct sync_event_holder *held;

EVENT_JOB(e_hold)
{
	struct sync_event_opts opts = {.flags = o->flags, .initial = o->n, .mode = o->mode};
	return sync_event_holder_open(o->name, &opts, &held);
}

EVENT_JOB(e_serve)
{
	int r = sync_event_holder_serve(held, -1, deadline);
	sync_event_holder_close(held);
	held = NULL;
	return r;
}

/* As many as wanted, which share EV, that was opened before the fork. */
struct kids {
	struct kid kid[MANY];
};

static inline struct kids start_kids(const char *name)
{
	struct kids k;
	for (int i = 0; i < MANY; i++) {
		struct ev_order o = {.job = e_open, .ms = PATIENCE};
		snprintf(o.name, sizeof(o.name), "%s", name);
		k.kid[i] = start_event_kid();
		need(query_event(&k.kid[i], o) == 0, "open an event in another process");
	}
	return k;
}

static inline void kill_kids(struct kids *k)
{
	for (int i = 0; i < MANY; i++)
		kid_kill(&k->kid[i]);
}

static inline void all_wait(const struct kids *k, struct ev_order o)
{
	for (int i = 0; i < MANY; i++)
		order_event(&k->kid[i], o);
	for (int i = 0; i < MANY; i++)
		need(seen_blocked(&k->kid[i]), "see it wait");
}
#define ALL_WAIT(kids, ...) all_wait(kids, (struct ev_order){.job = __VA_ARGS__})

static inline int count_answers(const struct kids *k, int result)
{
	int n = 0;
	for (int i = 0; i < MANY; i++)
		n += heard(&k->kid[i]) == result;
	return n;
}

static inline int count_answered(const struct kids *k)
{
	int n = 0;
	for (int i = 0; i < MANY; i++)
		n += has_answered(&k->kid[i], 0);
	return n;
}

/* ---- events in this process ---- */

static inline struct sync_event *make_event(unsigned flags, uint64_t initial)
{
	struct sync_event_opts opts = {.flags = flags, .initial = initial};
	struct sync_event *ev = NULL;
	if (sync_event_make(&opts, &ev))
		bail_out("make an event");
	return ev;
}

static inline uint64_t value_now(struct sync_event *ev)
{
	struct sync_event_state s = {.value = UINT64_MAX};
	need(sync_event_state(ev, &s) == 0, "look at an event");
	return s.value;
}

/* A name of this test's own; TAG tells it from its others. */
static inline const char *event_name(const char *tag)
{
	return spell("sb%d-%s", tag);
}

static inline struct kid start_holder(const char *name, unsigned flags, uint64_t n, mode_t mode)
{
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_hold, .flags = flags, .n = n, .mode = mode};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(query_event(&k, o) == 0, "take a name");
	ORDER(&k, e_serve, .ms = FOREVER);
	return k;
}

static inline int try_open(const char *name)
{
	struct timespec room;
	struct sync_event *ev;
	int r = sync_event_open(name, in_ms(PATIENCE, &room), &ev);
	if (!r)
		sync_event_close(ev);
	return r;
}

static inline struct sync_event *open_event(const char *name)
{
	struct timespec room;
	struct sync_event *ev = NULL;
	errno = -sync_event_open(name, in_ms(PATIENCE, &room), &ev);
	if (!ev)
		bail_out(name);
	return ev;
}

static inline int try_unlink(const char *name)
{
	struct timespec room;
	return sync_event_unlink(name, in_ms(PATIENCE, &room));
}

static inline int run_event_suite(void (*const *tests)(void), size_t n)
{
	scheme = "event";
	umask(022);
	tester = getpid();
	signal(SIGALRM, give_up);
	signal(SIGTERM, give_up);
	limit_time(240);
	int before = count_fds();
	for (size_t i = 0; i < n; i++)
		tests[i]();
	is(count_fds(), before, "no descriptor is left open");
	claim(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left");
	return tap_end();
}

#endif
