/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests of locks: the backends, a scratch directory, processes that do as told.
 *
 * A test program is a table of functions, run once per backend with that backend's scratch
 * directory as the working directory. "Kids" are processes that carry out orders, one at a time,
 * each on its own handle; nothing is ever synchronised by sleeping. A kid dies with the test.
 */
#ifndef TESTS_LOCKUTIL_H
#define TESTS_LOCKUTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "counts.h"
#include "libsync.h"
#include "tap.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define FOREVER (-1)      /* for .ms; 0 tries once */
#define NO_ANSWER (-9999) /* of a kid: it died, or takes too long */
#define LIMIT_MS 30000    /* for what must happen sooner or later */

static const char *const backends[] = {
#define LOCK_BACKEND(name) #name,
#include "backends.def"
};

static const char *scheme; /* the backend under test */
static unsigned caps;      /* what it can do: SYNC_CAP_ bits */
static char scratch[128];

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline bool remove_scratch(void)
{
	return !chdir("/") && !nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The directory does not go by itself. */
static inline void bail_out(const char *why)
{
	printf("Bail out! %s: %s\n", why, strerror(errno));
	remove_scratch();
	exit(1);
}

/* ---- claims ---- */

static inline bool claim(bool good, const char *text)
{
	return ok(good, "%s: %s", scheme, text);
}

static inline bool is(int got, int want, const char *text)
{
	if (got != want)
		printf("# %s: got %d, expected %d\n", scheme, got, want);
	return claim(got == want, text);
}

static inline void skip(const char *why, const char *text)
{
	tap_skip(why, "%s: %s", scheme, text);
}

/* What a test needs but is not about: only its failure is told. */
static inline void need(bool good, const char *text)
{
	if (!good)
		ok(false, "%s: (preparation) %s: %s", scheme, text, strerror(errno));
}

/* ---- names, times, observations ---- */

/* "SCHEME:PATH"; good for the next few calls. */
static inline const char *named(const char *path)
{
	static _Thread_local char names[16][256];
	static _Thread_local unsigned next;
	char *name = names[next++ % LENGTH(names)];
	snprintf(name, sizeof(names[0]), "%s:%s", scheme, path);
	return name;
}

/* Lateness in ns against DEADLINE: negative if it is still to come. */
static inline int64_t since(const struct timespec *deadline)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)(now.tv_sec - deadline->tv_sec) * 1000000000 + now.tv_nsec -
	       deadline->tv_nsec;
}

static inline const struct timespec *in_ms(int ms, struct timespec *room)
{
	if (ms == FOREVER)
		return NULL;
	if (ms == 0)
		return SYNC_NOW;
	sync_deadline_in(ms * INT64_C(1000000), room);
	return room;
}

static inline void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* In ms. Under memcheck some of what must happen never does, and that need not take half a minute each time. */
static inline int patience(void)
{
	return under_memcheck() ? LIMIT_MS / 3 : LIMIT_MS;
}

/* Until COND is seen to be true; false if that takes too long. */
#define until(cond)                                                                                \
	__extension__({                                                                            \
		struct timespec limit_;                                                            \
		bool seen_ = (cond);                                                               \
		for (in_ms(patience(), &limit_); !seen_ && since(&limit_) < 0; seen_ = (cond))     \
			nap();                                                                     \
		seen_;                                                                             \
	})

static inline int slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t used = 0;
	ssize_t n = 1;
	while (used < size - 1 && n > 0) {
		n = read(fd, buf + used, size - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	buf[used] = '\0';
	return n < 0 ? -EIO : (int)used;
}

static inline bool exists(const char *path)
{
	struct stat st;
	return !lstat(path, &st);
}

static inline void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	need(fd >= 0, "make a file");
	close(fd);
}

/* Is process PID no more, but perhaps for its exit status? */
static inline bool is_dead(pid_t pid)
{
	char path[64];
	char buf[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (slurp(path, buf, sizeof(buf)) < 0)
		return true;
	const char *state = strrchr(buf, ')');
	return !state || state[2] == 'Z' || state[2] == 'X';
}

/* Is PID seen to wait for a lock on the file of PATH? Once; it may blink when the queue moves. */
static inline bool waits(const char *path, pid_t pid)
{
	static const struct sync_lock_opts by_name = {.flags = SYNC_LOCK_BY_NAME};
	struct sync_lock *l;
	struct sync_owner *list;
	size_t count;
	size_t hidden;
	bool found = false;
	if (sync_lock_open(named(path), &by_name, NULL, &l))
		return false;
	if (!sync_lock_owners(l, &list, &count, &hidden)) {
		for (size_t i = 0; i < count; i++)
			found = found || (list[i].waiting && list[i].pid == pid);
		free(list);
	}
	sync_lock_close(l);
	return found;
}

/* ---- kids ---- */

struct order;
typedef int job(struct sync_lock **lock, const struct order *o, const struct timespec *deadline);

/* Strings and functions stay where they are in a kid: only what was made before its start will do. */
struct order {
	job *job;
	const char *path;
	enum sync_mode mode;
	unsigned flags;
	int ms;             /* the deadline: from when the job starts */
	bool same_deadline; /* as the order before */
};

struct answer {
	int result;
	enum sync_mode mode; /* what its handle holds afterwards */
	int64_t late;        /* ns after the deadline */
};

struct kid {
	pid_t pid;
	int sock;
};

static struct answer answered; /* the last one heard */
static int heir_sock = -1;     /* where a child of a kid shall take its orders */

/* A handler of the kid may interrupt it between two jobs. */
static inline bool next_order(int sock, struct order *o)
{
	ssize_t n;
	do
		n = recv(sock, o, sizeof(*o), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*o);
}

static inline void obey(int sock, struct sync_lock *lock)
{
	struct timespec room = {0};
	struct order o;
	while (next_order(sock, &o)) {
		const struct timespec *deadline = o.same_deadline ? &room : in_ms(o.ms, &room);
		struct answer a = {.result = o.job(&lock, &o, deadline)};
		a.late = deadline ? since(deadline) : 0;
		a.mode = lock ? sync_lock_mode(lock) : SYNC_UNLOCKED;
		if (send(sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
	}
	_exit(0);
}

static inline void pair_up(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		bail_out("socketpair");
}

static inline struct kid kid_start(void)
{
	int pair[2];
	pid_t parent = getpid();
	pair_up(pair);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		signal(SIGCHLD, SIG_IGN);
		signal(SIGALRM, SIG_DFL);
		close(pair[0]);
		obey(pair[1], NULL);
	}
	need(pid > 0, "fork");
	close(pair[1]);
	return (struct kid){pid, pair[0]};
}

/* A kid that can beget an heir (job_beget); the heir lives on without its parent. */
static inline struct kid kid_start_with_heir(struct kid *heir)
{
	int pair[2];
	pair_up(pair);
	heir->sock = pair[0];
	heir_sock = pair[1];
	struct kid k = kid_start();
	close(heir_sock);
	heir_sock = -1;
	return k;
}

static inline void tell_order(const struct kid *k, struct order o)
{
	need(send(k->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o), "give an order");
}
#define tell(kid, ...) tell_order(kid, (struct order){.job = __VA_ARGS__})

static inline bool has_answered(const struct kid *k, int ms)
{
	struct pollfd p = {.fd = k->sock, .events = POLLIN};
	return poll(&p, 1, ms) == 1;
}

static inline int heard(const struct kid *k)
{
	answered = (struct answer){.result = NO_ANSWER};
	if (has_answered(k, patience()) &&
	    recv(k->sock, &answered, sizeof(answered), 0) != sizeof(answered))
		answered.result = NO_ANSWER;
	return answered.result;
}

static inline int ask_order(const struct kid *k, struct order o)
{
	tell_order(k, o);
	return heard(k);
}
#define ask(kid, ...) ask_order(kid, (struct order){.job = __VA_ARGS__})

/* Whatever it holds is free afterwards, but for what it has bequeathed. */
static inline void kid_kill(struct kid *k)
{
	kill(k->pid, SIGKILL);
	waitpid(k->pid, NULL, 0);
	close(k->sock);
}

/* An heir is not a child of ours. */
static inline void heir_kill(struct kid *heir)
{
	kill(heir->pid, SIGKILL);
	need(until(is_dead(heir->pid)), "end the heir");
	close(heir->sock);
}

/* ---- jobs ---- */

static inline int job_open(struct sync_lock **l, const struct order *o,
			   const struct timespec *deadline)
{
	struct sync_lock_opts opts = {.flags = o->flags};
	return sync_lock_open(named(o->path), &opts, deadline, l);
}

static inline int job_acquire(struct sync_lock **l, const struct order *o,
			      const struct timespec *deadline)
{
	return sync_lock_acquire(*l, o->mode, deadline);
}

static inline int job_release(struct sync_lock **l, const struct order *o,
			      const struct timespec *deadline)
{
	(void)o;
	(void)deadline;
	return sync_lock_release(*l);
}

static inline int job_close(struct sync_lock **l, const struct order *o,
			    const struct timespec *deadline)
{
	(void)o;
	(void)deadline;
	sync_lock_close(*l);
	*l = NULL;
	return 0;
}

static inline int job_check(struct sync_lock **l, const struct order *o,
			    const struct timespec *deadline)
{
	(void)o;
	(void)deadline;
	return sync_lock_check(*l);
}

static inline int job_unlink(struct sync_lock **l, const struct order *o,
			     const struct timespec *deadline)
{
	(void)o;
	(void)deadline;
	return sync_lock_unlink(*l);
}

/* Answers with the pid of the heir, which has a copy of the handle. */
static inline int job_beget(struct sync_lock **l, const struct order *o,
			    const struct timespec *deadline)
{
	(void)o;
	(void)deadline;
	pid_t pid = fork();
	if (pid == 0)
		obey(heir_sock, *l);
	close(heir_sock);
	return pid;
}

/* ---- kids that hold, try or wait ---- */

static inline struct kid kid_opening(const char *path)
{
	struct kid k = kid_start();
	need(ask(&k, job_open, .path = path) == 0, "open a lock in another process");
	return k;
}

static inline struct kid kid_holding(const char *path, enum sync_mode mode)
{
	struct kid k = kid_opening(path);
	need(ask(&k, job_acquire, .mode = mode) == 0, "hold a lock in another process");
	return k;
}

static inline bool seen_waiting(const struct kid *k, const char *path)
{
	return until(waits(path, k->pid) || has_answered(k, 0)) && !has_answered(k, 0);
}

/* Seen to be blocked when this returns. */
static inline void start_waiting(const struct kid *k, const char *path, enum sync_mode mode, int ms)
{
	tell(k, job_acquire, .mode = mode, .ms = ms);
	need(seen_waiting(k, path), "see it wait");
}

static inline struct kid kid_waiting(const char *path, enum sync_mode mode, int ms)
{
	struct kid k = kid_opening(path);
	start_waiting(&k, path, mode, ms);
	return k;
}

/* What another process gets that tries to take PATH once. */
static inline int attempt(const char *path, enum sync_mode mode)
{
	struct kid k = kid_start();
	int r = ask(&k, job_open, .path = path);
	if (!r)
		r = ask(&k, job_acquire, .mode = mode);
	kid_kill(&k);
	return r;
}

/* ---- in this process ---- */

static inline struct sync_lock *open_flags(const char *path, unsigned flags)
{
	struct sync_lock_opts opts = {.flags = flags};
	struct sync_lock *l = NULL;
	int r = sync_lock_open(named(path), &opts, SYNC_NOW, &l);
	errno = -r;
	if (r)
		bail_out(named(path));
	return l;
}

static inline struct sync_lock *open_lock(const char *path)
{
	return open_flags(path, 0);
}

static inline struct sync_lock *hold(const char *path, enum sync_mode mode)
{
	struct sync_lock *l = open_lock(path);
	need(sync_lock_acquire(l, mode, SYNC_NOW) == 0, "hold a lock");
	return l;
}

static inline void let_go(struct sync_lock *l)
{
	need(sync_lock_release(l) == 0, "release a lock");
	sync_lock_close(l);
}

/* ---- the suite ---- */

/* Kids die with us, but the directory does not. */
static inline void give_up(int signo)
{
	static const char why[] = "Bail out! stopped by a signal, or after too long a time\n";
	ssize_t ignored = write(STDOUT_FILENO, why, sizeof(why) - 1);
	(void)ignored;
	(void)signo;
	remove_scratch();
	_exit(1);
}

static inline unsigned find_caps(void)
{
	struct sync_lock *l = open_flags("nothing", SYNC_LOCK_BY_NAME);
	unsigned found = sync_lock_caps(l);
	sync_lock_close(l);
	return found;
}

static inline bool enter_scratch(void)
{
	snprintf(scratch, sizeof(scratch), "%s/syncbox-%s-XXXXXX", tmp_dir(), scheme);
	return mkdtemp(scratch) && !chdir(scratch);
}

static inline int run_suite(void (*const *tests)(void), size_t n)
{
	umask(022);
	signal(SIGALRM, give_up);
	signal(SIGTERM, give_up);
	signal(SIGINT, give_up);
	limit_time(240);
	for (size_t i = 0; i < LENGTH(backends); i++) {
		scheme = backends[i];
		int fds = count_fds();
		if (!enter_scratch()) {
			printf("Bail out! scratch directory: %s\n", strerror(errno));
			return 1;
		}
		caps = find_caps();
		for (size_t t = 0; t < n; t++)
			tests[t]();
		is(count_fds(), fds, "no descriptor is left open");
		claim(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left");
		claim(remove_scratch(), "no file is left");
	}
	return tap_end();
}

#endif
