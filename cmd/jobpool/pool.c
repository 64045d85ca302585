/* SPDX-License-Identifier: MIT */
/*
 * A pool of tokens. Without a name it is a pipe, or a FIFO of our own. A named one is a FIFO NAME.jobs
 * and beside it NAME.jobs.lock, which has the number of tokens in it, and two locks on it:
 *
 *   byte 0, for a moment: who joins or leaves
 *   byte 1, shared: who uses the pool; COMMAND inherits that, so it outlives us if we are killed
 *
 * To join: lock byte 0. If byte 1 can be had alone, nobody uses the pool, and whatever there is was left
 * behind by who was killed: make the FIFO anew and fill it. Then share byte 1.
 * To leave: lock byte 0, give up byte 1. If it can be had alone then, we were last: count, remove the files.
 * The kernel frees the locks of who is killed at any point of this, and tokens are in the FIFO only while
 * somebody has it open; so the next to come finds a pool that is in use, or makes one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exitcode.h"
#include "holders.h"
#include "pool.h"
#include "say.h"
#include "semopen.h"
#include "syncdir.h"

/* Shells and scripts number their own descriptors 3 to 9. */
#define FIRST_HELD_FD 10

static _Noreturn void fail(const char *what, const char *path, int err)
{
	if (err == -ENOENT)
		die(EXIT_NO_CREATE,
		    "cannot create %s: its directory does not exist: make that first", quote(path));
	die(exit_status_of(err), "cannot %s %s: %s", what, quote(path), strerror(-err));
}

static char *format(const char *pattern, const char *a, const char *b)
{
	char *s;
	if (asprintf(&s, pattern, a, b) < 0)
		die(EXIT_SYSTEM, "no memory");
	return s;
}

/* ---- descriptors ---- */

static int raise_fd(int fd)
{
	if (fd < 0)
		return -errno;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HELD_FD);
	int err = errno == EINVAL ? EMFILE : errno; /* the limit leaves no such number */
	close(fd);
	return high < 0 ? -err : high;
}

static int open_end(const char *path, int how)
{
	int fd = raise_fd(open(path, how | O_CLOEXEC | O_NOCTTY));
	if (fd < 0)
		fail("open", path, fd);
	return fd;
}

/* Both ways at first: then neither open of one end waits for the other. */
static void open_ends(struct pool *p)
{
	p->spare = open_end(p->path, O_RDWR | O_NONBLOCK);
	if (p->fifo) {
		p->fds[p->fd_count++] = open_end(p->path, O_RDWR);
	} else {
		p->fds[p->fd_count++] = open_end(p->path, O_RDONLY);
		p->fds[p->fd_count++] = open_end(p->path, O_WRONLY);
	}
}

static struct sync_sem *open_sem(const char *name, unsigned size, bool create)
{
	struct sync_sem_opts opts = {
		.flags = create ? SYNC_SEM_CREATE : 0,
		.initial = size,
		.capacity = size,
	};
	const char *why;
	return semopen(name, &opts, &why);
}

/* ---- a pipe ---- */

static void fill(int fd, unsigned count)
{
	char tokens[4096];
	memset(tokens, '+', sizeof(tokens));
	if (write(fd, tokens, count) != (ssize_t)count)
		die(EXIT_SYSTEM, "cannot fill a pipe with %u tokens: %s", count, strerror(errno));
}

static void make_pipe(struct pool *p)
{
	int ends[2];
	char name[64];
	if (pipe2(ends, O_CLOEXEC))
		die(EXIT_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		p->fds[i] = raise_fd(ends[i]);
		if (p->fds[i] < 0)
			die(EXIT_SYSTEM, "cannot make a pipe: %s", strerror(-p->fds[i]));
	}
	p->fd_count = 2;
	fill(p->fds[1], p->size);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p->fds[0]);
	p->spare = open_end(name, O_RDWR | O_NONBLOCK);
	snprintf(name, sizeof(name), "jobserver:%d,%d", p->fds[0], p->fds[1]);
	p->sem = open_sem(name, p->size, false);
}

/* ---- a FIFO, and its locks ---- */

static int acquire(struct sync_lock *lock, enum sync_mode mode, const struct timespec *deadline)
{
	int r;
	do
		r = sync_lock_acquire(lock, mode, deadline);
	while (r == -EINTR);
	return r;
}

/* Is there room for both locks? A file that is made and then cannot be kept open would be left. */
static void look_for_room(const struct pool *p)
{
	int a = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, FIRST_HELD_FD);
	int b = a < 0 ? a : fcntl(a, F_DUPFD_CLOEXEC, FIRST_HELD_FD);
	if (b < 0)
		fail("open", p->lock_path, -EMFILE);
	close(a);
	close(b);
}

static struct sync_lock *open_lock(const char *path, const char *byte)
{
	struct sync_lock *lock;
	struct sync_lock_opts opts = {0};
	char *name = format("ofd:%s@%s+1", path, byte);
	int r;
	do
		r = sync_lock_open(name, &opts, NULL, &lock);
	while (r == -EINTR);
	if (r)
		fail("open", path, r);
	free(name);
	return lock;
}

static void lock_moment(const struct pool *p, const struct timespec *deadline)
{
	int r = acquire(p->moment, SYNC_EXCLUSIVE, deadline);
	if (r == -ETIMEDOUT)
		die(EXIT_BUSY, "%s: another process is just joining or leaving, and does not end",
		    quote(p->path));
	if (r)
		fail("lock", p->lock_path, r);
}

/* What we are making: with a lock on each byte of its lock file, so nobody else has it. */
static const struct pool *unfinished;

/* A message that ends us leaves neither of its files. */
__attribute__((destructor)) static void drop_unfinished(void)
{
	if (!unfinished)
		return;
	unlink(unfinished->path);
	unlink(unfinished->lock_path);
}

/* With the FIFO of who was killed goes the ledger of what its tokens were. */
static void drop_ledger(const char *name)
{
	struct sync_sem *old;
	if (sync_sem_open(name, NULL, &old))
		return;
	(void)!sync_sem_repair(old, NULL, NULL);
	sync_sem_close(old);
}

/* Nobody uses it. */
static void make_fifo(struct pool *p, const char *name)
{
	char number[16];
	int fd = sync_lock_fd(p->moment);
	int n = snprintf(number, sizeof(number), "%u\n", p->size);
	drop_ledger(name);
	if (unlink(p->path) && errno != ENOENT)
		fail("remove", p->path, -errno);
	if (ftruncate(fd, 0) || pwrite(fd, number, (size_t)n, 0) != n)
		fail("write to", p->lock_path, -errno);
	p->sem = open_sem(name, p->size, true);
}

static void join_fifo(struct pool *p, const char *name)
{
	char number[16] = "";
	unsigned size = 0;
	if (pread(sync_lock_fd(p->moment), number, sizeof(number) - 1, 0) < 0)
		fail("read", p->lock_path, -errno);
	if (sscanf(number, "%u", &size) != 1 || !size)
		die(EXIT_BAD_DATA, "%s does not say how many tokens the pool has: end who uses it",
		    quote(p->lock_path));
	if (p->asked && p->asked != size)
		warn("%s has %u tokens, whatever -j says, until nobody uses it", quote(p->path),
		     size);
	p->size = size;
	p->sem = open_sem(name, p->size, false);
}

static void use_fifo(struct pool *p, const struct timespec *deadline, bool verbose)
{
	char *name = format("jobserver:fifo:%s%s", p->path, "");
	look_for_room(p);
	p->moment = open_lock(p->lock_path, "0");
	p->users = open_lock(p->lock_path, "1");
	lock_moment(p, deadline);
	int r = acquire(p->users, SYNC_EXCLUSIVE, SYNC_NOW);
	unfinished = r ? NULL : p;
	if (!r)
		make_fifo(p, name);
	else if (r == -ETIMEDOUT)
		join_fifo(p, name);
	if (verbose && (!r || r == -ETIMEDOUT))
		warn("%s %s, of %u tokens", r ? "joined" : "made", quote(p->path), p->size);
	open_ends(p);
	/* Nobody else wants it now but to share it: they would need byte 0. */
	r = r && r != -ETIMEDOUT ? r : acquire(p->users, SYNC_SHARED, SYNC_NOW);
	if (r)
		fail("lock", p->lock_path, r);
	unfinished = NULL;
	(void)sync_lock_release(p->moment);
	p->fds[p->fd_count++] = sync_lock_fd(p->users);
	free(name);
}

void pool_join(struct pool *p, const char *name, const struct timespec *deadline, bool verbose)
{
	char own[32];
	p->size = p->asked ? p->asked : p->fallback;
	if (!name && !p->fifo) {
		make_pipe(p);
		return;
	}
	snprintf(own, sizeof(own), "jobpool-%d", (int)getpid());
	p->path = format("%s/%s.jobs", syncdir(true), name ? name : own);
	p->lock_path = format("%s.lock%s", p->path, "");
	use_fifo(p, deadline, verbose);
}

const char *pool_auth(const struct pool *p)
{
	static char auth[8300];
	if (!p->fifo) {
		snprintf(auth, sizeof(auth), "--jobserver-auth=%d,%d", p->fds[0], p->fds[1]);
		return auth;
	}
	size_t n = (size_t)snprintf(auth, sizeof(auth), "--jobserver-auth=fifo:");
	for (const char *s = p->path; *s && n + 3 < sizeof(auth); s++) {
		if (strchr(" \t\n\\", *s))
			auth[n++] = '\\';
		auth[n++] = *s;
	}
	auth[n] = '\0';
	return auth;
}

/* ---- the end ---- */

static unsigned count(const struct pool *p)
{
	struct sync_sem_state state;
	return sync_sem_state(p->sem, &state) ? p->size : state.value;
}

/* A token too many is a job too many for who is still there. */
static void drop_surplus(const struct pool *p)
{
	unsigned dropped = 0;
	char token;
	while (count(p) > p->size && read(p->spare, &token, 1) == 1)
		dropped++;
	if (dropped)
		warn("%u token%s more than the %u of the pool had been put in: removed", dropped,
		     dropped == 1 ? "" : "s", p->size);
}

static void tell_missing(const struct pool *p)
{
	char who[400];
	unsigned there = count(p);
	if (there >= p->size)
		return;
	holders_describe_sem(who, sizeof(who), p->sem, p->size);
	warn("%u of %u tokens did not come back: %s", p->size - there, p->size, who);
}

static void settle(const struct pool *p)
{
	unsigned returned = 0;
	unsigned doubtful = 0;
	if (sync_sem_repair(p->sem, &returned, &doubtful))
		return;
	if (returned)
		warn("%u token%s came back from commands that had been killed", returned,
		     returned == 1 ? "" : "s");
	if (doubtful)
		warn("of %u token%s it is not known whether they came back: who had them was "
		     "killed at just that moment",
		     doubtful, doubtful == 1 ? "" : "s");
}

static void tell_balance(const struct pool *p, bool verbose)
{
	settle(p);
	drop_surplus(p);
	tell_missing(p);
	if (verbose && count(p) == p->size)
		warn("all %u tokens are back", p->size);
}

/* True if nobody else uses it; then we have both locks. */
static bool leave_fifo(struct pool *p)
{
	if (acquire(p->moment, SYNC_EXCLUSIVE, NULL))
		return false;
	(void)sync_lock_release(p->users); /* heirs lose it, too */
	return !acquire(p->users, SYNC_EXCLUSIVE, SYNC_NOW);
}

void pool_leave(struct pool *p, bool verbose)
{
	bool last = !p->path || leave_fifo(p);
	if (last) {
		tell_balance(p, verbose);
	} else {
		settle(p);
		drop_surplus(p);
	}
	sync_sem_close(p->sem); /* a ledger that nobody uses goes with us */
	if (last && p->path) {
		unlink(p->path);
		/* Before the unlock, so that whoever waits for it sees that it is another file by now. */
		unlink(p->lock_path);
	}
	sync_lock_close(p->users);
	sync_lock_close(p->moment);
}
