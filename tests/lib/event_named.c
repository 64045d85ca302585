/* SPDX-License-Identifier: MIT */
/* Events that a holder keeps: names, ends, who may, and what hostile clients cannot do to others. */
#include <sched.h>
#include <stddef.h>

#include "eventutil.h"

#define ADDERS 200

/* ---- use ---- */

static void one_name(void)
{
	const char *name = event_name("one");
	struct sync_event_holder *second = NULL;
	struct sync_event_state s = {0};
	is(try_open(name), -ENOENT, "a name without a holder is -ENOENT");
	is(try_unlink(name), -ENOENT, "also to remove it");
	struct kid holder = start_holder(name, 0, 7, 0);
	is(sync_event_holder_open(name, NULL, &second), -EEXIST, "a name is taken once");
	claim(!second, "and *out is untouched");
	struct sync_event *ev = open_event(name);
	need(sync_event_state(ev, &s) == 0, "look");
	claim(s.value == 7 && s.mode == 0600 && s.semaphore == 0 && s.uid == geteuid(),
	      "its state is told");
	is(s.holder, holder.pid, "and who holds it");
	claim(sync_event_fd(ev) >= 10 && fcntl(sync_event_fd(ev), F_GETFD) == FD_CLOEXEC,
	      "the descriptor is 10 or above, and close-on-exec");
	struct sync_event *same = open_event(spell("holder:sb%d-%s", "one"));
	char full[128];
	snprintf(full, sizeof(full), "%u/%s", (unsigned)geteuid(), name);
	struct sync_event *third = open_event(full);
	need(sync_event_signal(same, 1, SYNC_NOW) == 0, "signal");
	claim(value_now(ev) == 8 && value_now(third) == 8, "all spellings are the same event");
	sync_event_close(third);
	sync_event_close(same);
	is(try_unlink(name), 0, "it can be removed");
	is(heard(&holder), 0, "its holder is told so");
	is(try_open(name), -ENOENT, "its name is gone at once");
	is(sync_event_signal(ev, 1, NULL), -EIDRM, "who has it open is told");
	is(sync_event_wait(ev, NULL, NULL), -EIDRM, "whatever it does");
	is(sync_event_await(ev, 1, NULL), -EIDRM, "even if it would not have to wait");
	is(sync_event_state(ev, &s), -EIDRM, "or looks");
	sync_event_close(ev);
	kid_kill(&holder);
	holder = start_holder(name, SYNC_EVENT_SEMAPHORE, 2, 0);
	ev = open_event(name);
	need(sync_event_state(ev, &s) == 0, "look");
	claim(s.value == 2 && s.semaphore == 1, "the name can be used again");
	sync_event_close(ev);
	kid_kill(&holder);
}

/* One that was made for children, and so blocks; the holder may be a child of who took the name. */
static void given_one(void)
{
	const char *name = event_name("given");
	struct sync_event *ev = make_event(0, MOST);
	struct sync_event_opts opts = {.event = ev};
	struct sync_event_holder *h = NULL;
	struct sync_event_state s = {0};
	int flags = fcntl(sync_event_fd(ev), F_GETFL);
	is(sync_event_holder_open(name, &opts, &h), 0, "an event can be given a name");
	pid_t pid = fork_event_kid();
	if (!pid) {
		sync_event_holder_serve(h, -1, NULL);
		sync_event_holder_close(h);
		_exit(0);
	}
	struct sync_event *named = open_event(name);
	need(sync_event_state(named, &s) == 0, "look");
	is(s.holder, pid, "the holder is who serves, not who took the name");
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_open, .ms = PATIENCE};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(query_event(&k, o) == 0, "open");
	ORDER(&k, e_signal, .n = 2, .ms = FOREVER);
	claim(seen_blocked(&k), "an add that does not fit waits");
	is(fcntl(sync_event_fd(ev), F_GETFL), flags, "the description is as it was");
	is(try_unlink(name), 0, "it is removed");
	is(heard(&k), -EIDRM, "which ends an add, too");
	waitpid(pid, NULL, 0);
	claim(value_now(ev) == MOST, "who made it still has it");
	kid_kill(&k);
	sync_event_close(named);
	sync_event_close(ev);
	/* Ours too: that is what would be left to exit. */
	sync_event_holder_close(h);
}

static void many_adders(void)
{
	const char *name = event_name("adders");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct sync_event *ev = open_event(name);
	struct timespec room;
	pid_t pids[ADDERS];
	int status;
	int bad = 0;
	for (int i = 0; i < ADDERS; i++) {
		pids[i] = fork_event_kid();
		if (!pids[i]) {
			struct sync_event *mine;
			int r = sync_event_open(name, in_ms(PATIENCE, &room), &mine);
			_exit(r ? 1 : -sync_event_signal(mine, 1, in_ms(PATIENCE, &room)));
		}
	}
	is(sync_event_await(ev, ADDERS, in_ms(LIMIT_MS, &room)), 0,
	   "200 adds from 200 processes are counted");
	for (int i = 0; i < ADDERS; i++)
		bad += waitpid(pids[i], &status, 0) != pids[i] || status;
	is(bad, 0, "none of them failed");
	claim(value_now(ev) == ADDERS, "and none was counted twice");
	sync_event_close(ev);
	kid_kill(&holder);
}

/* ---- the holder's end ---- */

/* All kinds of waits at once. */
static struct kids start_waiters(const char *name)
{
	struct kids k = start_kids(name);
	for (int i = 0; i < MANY; i++)
		ORDER(&k.kid[i], i % 2 ? e_wait : e_await, .n = 1 + (uint64_t)(i % 4),
		      .ms = i % 5 ? FOREVER : LIMIT_MS);
	for (int i = 0; i < MANY; i++)
		need(seen_blocked(&k.kid[i]), "see it wait");
	return k;
}

static void holder_dies(void)
{
	const char *name = event_name("dies");
	struct sync_event_holder *h = NULL;
	struct kid holder = start_holder(name, 0, 0, 0);
	struct kids k = start_waiters(name);
	kid_kill(&holder);
	is(try_open(name), -ENOENT, "the name of a holder that was killed is free at once");
	is(sync_event_holder_open(name, NULL, &h), 0, "and can be taken at once");
	is(count_answers(&k, -EOWNERDEAD), MANY, "all 20 waiters end with -EOWNERDEAD");
	is(QUERY(&k.kid[0], e_signal, .ms = FOREVER), -EOWNERDEAD, "nothing can be added then");
	sync_event_holder_close(h);
	is(try_open(name), -ENOENT, "closing a holder frees the name");
	kill_kids(&k);
}

static void removed(void)
{
	const char *name = event_name("removed");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct kids k = start_waiters(name);
	is(try_unlink(name), 0, "remove an event for which 20 wait");
	is(try_open(name), -ENOENT, "the name is free at once");
	is(count_answers(&k, -EIDRM), MANY, "all of them end with -EIDRM");
	is(heard(&holder), 0, "and the holder with 0");
	kill_kids(&k);
	kid_kill(&holder);
}

static void time_to_live(void)
{
	const char *name = event_name("ttl");
	struct timespec room;
	struct sync_event_holder *h = NULL;
	int pipe_ends[2];
	need(sync_event_holder_open(name, NULL, &h) == 0, "hold");
	is(sync_event_holder_serve(h, -1, in_ms(SHORT_MS, &room)), -ETIMEDOUT,
	   "a deadline ends it");
	claim(since(&room) >= 0 && since(&room) < REASON, "in time");
	need(!pipe2(pipe_ends, O_CLOEXEC), "pipe");
	is(sync_event_holder_serve(h, pipe_ends[0], in_ms(SHORT_MS, &room)), -ETIMEDOUT,
	   "a descriptor that is not readable does not");
	close(pipe_ends[1]);
	is(sync_event_holder_serve(h, pipe_ends[0], NULL), -ESRCH, "one that is does");
	close(pipe_ends[0]);
	sync_event_holder_close(h);
	sync_event_holder_close(NULL);
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_hold};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(QUERY(&k, e_handle) == 0 && query_event(&k, o) == 0, "hold");
	struct kid client = start_event_kid();
	ORDER(&k, e_serve, .ms = FOREVER);
	o = (struct ev_order){.job = e_open, .ms = PATIENCE};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(query_event(&client, o) == 0, "open");
	ORDER(&client, e_wait, .ms = FOREVER);
	need(seen_blocked(&client) && seen_blocked(&k), "see both wait");
	interrupt(&k);
	is(heard(&k), -EINTR, "a signal handler ends it");
	is(heard(&client), -EIDRM, "and closing is a removal");
	kid_kill(&client);
	kid_kill(&k);
}

/* It neither answers nor ends. */
static void stopped_holder(void)
{
	const char *name = event_name("stopped");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct timespec room;
	struct sync_event *ev = NULL;
	need(try_open(name) == 0, "open");
	kill(holder.pid, SIGSTOP);
	is(sync_event_open(name, in_ms(SHORT_MS, &room), &ev), -ETIMEDOUT,
	   "a holder that is stopped is waited for until the deadline");
	claim(since(&room) >= 0 && since(&room) < REASON, "and no longer");
	is(sync_event_unlink(name, in_ms(SHORT_MS, &room)), -ETIMEDOUT, "also to remove it");
	kill(holder.pid, SIGCONT);
	is(try_open(name), 0, "what was given up is not done when it goes on");
	kid_kill(&holder);
}

/* ---- the list ---- */

static bool is_listed(const char *name)
{
	struct sync_event_entry *list = NULL;
	size_t count = 0;
	bool found = false;
	need(sync_event_list(&list, &count) == 0, "list");
	for (size_t i = 0; i < count; i++)
		found = found || (!strcmp(list[i].name, name) && list[i].uid == geteuid());
	free(list);
	return found;
}

static void listing(void)
{
	const char *name = event_name("listed");
	claim(!is_listed(name), "a name that nobody holds is not listed");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct sync_event *ev = open_event(name);
	claim(is_listed(name), "one that is held is");
	kid_kill(&holder);
	claim(!is_listed(name), "until its holder ends");
	sync_event_close(ev);
}

/* ---- who may ---- */

static void arguments(void)
{
	struct sync_event_holder *h = NULL;
	static const mode_t none[] = {0400, 0700, 0606, 0640, 0777, 01600};
	for (size_t i = 0; i < LENGTH(none); i++) {
		struct sync_event_opts opts = {.mode = none[i]};
		is(sync_event_holder_open(event_name("none"), &opts, &h), -EINVAL,
		   "a mode that cannot be kept is -EINVAL");
	}
	struct sync_event_opts opts = {.initial = UINT64_MAX};
	is(sync_event_holder_open(event_name("none"), &opts, &h), -EINVAL, "so is 2^64-1");
	is(sync_event_holder_open("fd:3", NULL, &h), -EINVAL, "and another scheme");
	is(sync_event_holder_open(".x", NULL, &h), -EINVAL, "and what is no name");
}

static int as_user(int uid, int gid, int group, ev_job *what, const char *name)
{
	struct kid k = start_event_kid();
	struct ev_order o = {.job = what, .ms = PATIENCE};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(QUERY(&k, e_become, .uid = uid, .gid = gid, .n = (uint64_t)group) == 0, "become");
	int r = query_event(&k, o);
	kid_kill(&k);
	return r;
}

static struct kid hold_as(int uid, int gid, mode_t mode, const char *name)
{
	struct kid k = start_event_kid();
	struct ev_order o = {.job = e_hold, .mode = mode};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(QUERY(&k, e_become, .uid = uid, .gid = gid) == 0, "become");
	need(query_event(&k, o) == 0, "hold");
	ORDER(&k, e_serve, .ms = FOREVER);
	return k;
}

#define ALICE 64001
#define BOB 64002
#define FRIENDS 64010

static void users(void)
{
	const char *name = event_name("users");
	char full[128];
	snprintf(full, sizeof(full), "%d/%s", ALICE, name);
	if (geteuid()) {
		skip("not root", "other users");
		return;
	}
	struct kid holder = hold_as(ALICE, FRIENDS, 0600, name);
	is(as_user(ALICE, ALICE, 0, e_open, name), 0, "its user opens an event");
	is(as_user(BOB, BOB, 0, e_open, name), -ENOENT, "for another the name is another");
	is(as_user(BOB, BOB, 0, e_open, full), -EACCES, "and is refused when he asks for hers");
	is(as_user(BOB, FRIENDS, 0, e_open, full), -EACCES, "also one of her group");
	is(as_user(BOB, BOB, 0, e_unlink, full), -EACCES, "nor can he remove it");
	is(as_user(BOB, BOB, 0, e_hold, full), -EPERM, "or take her names");
	is(try_open(full), 0, "root opens it");
	struct sync_event_entry *list = NULL;
	size_t count = 0;
	bool found = false;
	need(sync_event_list(&list, &count) == 0, "list");
	for (size_t i = 0; i < count; i++)
		found = found || !strcmp(list[i].name, full);
	free(list);
	claim(found, "and sees it listed");
	is(try_unlink(full), 0, "and removes it");
	kid_kill(&holder);
	holder = hold_as(ALICE, FRIENDS, 0660, name);
	is(as_user(BOB, FRIENDS, 0, e_open, full), 0, "0660 lets her group in");
	is(as_user(BOB, BOB, FRIENDS, e_open, full), 0, "also who has it among others");
	is(as_user(BOB, BOB, 0, e_open, full), -EACCES, "and nobody else");
	is(as_user(BOB, FRIENDS, 0, e_unlink, full), -EPERM, "to use it, not to remove it");
	kid_kill(&holder);
	holder = hold_as(ALICE, FRIENDS, 0666, name);
	is(as_user(BOB, BOB, 0, e_open, full), 0, "0666 lets everybody in");
	is(as_user(BOB, BOB, 0, e_unlink, full), -EPERM, "to use it, not to remove it");
	kid_kill(&holder);
}

/* The address as any program can spell it. */
static struct sockaddr_un address(unsigned uid, const char *name, socklen_t *len)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "libsync-event/%u/%s", uid,
			 name);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return sun;
}

/* .n is whose name it takes. */
EVENT_JOB(squat)
{
	socklen_t len;
	struct sockaddr_un sun = address((unsigned)o->n, o->name, &len);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(sock, (struct sockaddr *)&sun, len) || listen(sock, 10))
		return -errno;
	return 0;
}

static void squatters(void)
{
	const char *name = event_name("squat");
	struct sync_event_holder *h = NULL;
	if (geteuid()) {
		skip("not root", "squatters");
		return;
	}
	struct kid bob = start_event_kid();
	struct ev_order o = {.job = squat, .n = ALICE};
	snprintf(o.name, sizeof(o.name), "%s", name);
	need(QUERY(&bob, e_become, .uid = BOB, .gid = BOB) == 0, "become");
	need(query_event(&bob, o) == 0, "squat");
	is(as_user(ALICE, ALICE, 0, e_open, name), -EACCES, "a squatter's socket is noticed");
	is(as_user(ALICE, ALICE, 0, e_hold, name), -EACCES, "also by who would take the name");
	o.n = 0;
	need(query_event(&bob, o) == 0, "squat");
	is(try_open(name), -EACCES, "root notices it, too");
	is(sync_event_holder_open(name, NULL, &h), -EACCES, "and does not get the name");
	kid_kill(&bob);
	is(try_open(name), -ENOENT, "the name is free when the squatter is gone");
}

/* ---- hostile clients ---- */

static int raw_connect(const char *name)
{
	socklen_t len;
	struct sockaddr_un sun = address((unsigned)geteuid(), name, &len);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(sock, (struct sockaddr *)&sun, len)) {
		close(sock);
		return -errno;
	}
	return sock;
}

static int fds_of(pid_t pid)
{
	char path[64];
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		n += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static long rss_of(pid_t pid)
{
	char path[64];
	char buf[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	slurp(path, buf, sizeof(buf));
	const char *s = strstr(buf, "\nRssAnon:");
	return s ? strtol(s + 9, NULL, 10) : -1;
}

static void hostile(void)
{
	static const char junk[4096] = "rrrrr";
	const char *name = event_name("hostile");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct sync_event *ev = open_event(name);
	int socks[300];
	need(until(seen_blocked(&holder)), "see the holder idle");
	int before = fds_of(holder.pid);
	for (size_t i = 0; i < LENGTH(socks); i++) {
		socks[i] = raw_connect(name);
		need(socks[i] >= 0, "connect");
		if (i % 3 == 1)
			(void)!send(socks[i], junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (i % 3 == 2)
			(void)!send(socks[i], "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	is(try_open(name), 0, "300 clients that say nothing, or nonsense, do not stop another");
	need(seen_blocked(&holder), "see the holder idle");
	claim(fds_of(holder.pid) <= before + 64, "the holder keeps 64 of them at most");
	is(sync_event_signal(ev, 1, SYNC_NOW), 0, "who had it open uses it as before");
	for (size_t i = 0; i < LENGTH(socks); i++)
		close(socks[i]);
	need(seen_blocked(&holder), "see the holder idle");
	claim(until(fds_of(holder.pid) == before), "nothing is left of them in the holder");
	is(try_unlink(name), 0, "and it can be removed");
	is(sync_event_wait(ev, NULL, NULL), -EIDRM, "which is told");
	sync_event_close(ev);
	kid_kill(&holder);
}

static void removal_in_a_crowd(void)
{
	const char *name = event_name("crowd");
	struct kid holder = start_holder(name, 0, 0, 0);
	pid_t pids[8];
	for (size_t i = 0; i < LENGTH(pids); i++) {
		pids[i] = fork_event_kid();
		while (!pids[i])
			if (try_open(name) == -ENOENT)
				_exit(0);
	}
	is(try_unlink(name), 0, "an event that others keep opening can be removed");
	is(heard(&holder), 0, "at once");
	for (size_t i = 0; i < LENGTH(pids); i++)
		waitpid(pids[i], NULL, 0);
	kid_kill(&holder);
}

/* A bit of a storm: each opens, one in two is killed at some moment of it. */
static void killed_clients(void)
{
	const char *name = event_name("killed");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct sync_event *ev = open_event(name);
	for (int i = 0; i < 50; i++) /* let it have its memory */
		need(try_open(name) == 0, "open");
	need(seen_blocked(&holder), "see the holder idle");
	int before = fds_of(holder.pid);
	long memory = rss_of(holder.pid);
	for (int i = 0; i < rounds(200); i++) {
		pid_t pid = fork_event_kid();
		while (!pid)
			if (try_open(name) == -ENOENT)
				_exit(0);
		if (i % 2)
			sched_yield();
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	claim(until(fds_of(holder.pid) == before),
	      "killed clients leave no descriptor in the holder");
	claim(rss_of(holder.pid) <= memory + 16, "nor does its memory grow");
#ifndef SANITIZED
	claim(memory < 1024, "of which it has less than 1 MB");
#endif
	is(sync_event_signal(ev, 1, SYNC_NOW), 0, "and others use the event as before");
	sync_event_close(ev);
	kid_kill(&holder);
}

static void use_up_descriptors(void)
{
	struct rlimit limit = {40, 40};
	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(1);
	while (dup(0) >= 0)
		;
}

/* What is open stays so, what is new is told why not. */
static void full_holder(void)
{
	const char *name = event_name("full");
	struct sync_event_holder *h = NULL;
	int go[2];
	need(!pipe2(go, O_CLOEXEC), "pipe");
	need(sync_event_holder_open(name, NULL, &h) == 0, "hold");
	pid_t pid = fork_event_kid();
	if (!pid) {
		sync_event_holder_serve(h, go[0], NULL);
		use_up_descriptors();
		sync_event_holder_serve(h, -1, NULL);
		_exit(0);
	}
	int before = fds_of(pid);
	struct sync_event *ev = open_event(name);
	int r = 0;
	need(until(fds_of(pid) == before), "see the holder forget us");
	need(write(go[1], "", 1) == 1, "go on");
	need(until(fds_of(pid) > before), "use up its descriptors");
	need(until((r = try_open(name)) != 0), "see no room");
	is(r, -EUSERS, "a holder without descriptors says so");
	is(try_open(name), -EUSERS, "again and again");
	is(sync_event_signal(ev, 1, SYNC_NOW), 0, "who had it open uses it as before");
	is(sync_event_wait(ev, SYNC_NOW, NULL), 0, "all of it");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go[0]);
	close(go[1]);
	sync_event_close(ev);
	sync_event_holder_close(h);
}

/* ---- what is left behind ---- */

static void leaves_nothing(void)
{
	const char *name = event_name("traces");
	struct kid holder = start_holder(name, 0, 0, 0);
	struct timespec room;
	struct traces before;
	take_traces(&before);
	for (int i = 0; i < 3; i++) {
		struct sync_event *ev = open_event(name);
		sync_event_signal(ev, 1, NULL);
		sync_event_wait(ev, SYNC_NOW, NULL);
		sync_event_wait(ev, in_ms(5, &room), NULL);
		sync_event_close(ev);
		(void)try_open(event_name("nobody"));
		(void)is_listed(name);
	}
	unchanged(&before, "opening and using leaves nothing behind");
	kid_kill(&holder);
}

int main(void)
{
	static void (*const tests[])(void) = {
		leaves_nothing, /* first: before anything can have been left */
		one_name,
		given_one,
		many_adders,
		holder_dies,
		removed,
		time_to_live,
		stopped_holder,
		listing,
		arguments,
		users,
		squatters,
		hostile,
		removal_in_a_crowd,
		killed_clients,
		full_holder,
	};
	return run_event_suite(tests, LENGTH(tests));
}
