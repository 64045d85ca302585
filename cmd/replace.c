/* SPDX-License-Identifier: MIT */
/*
 * --replace: whoever holds the lock is asked to end, until it is ours; the last one who asked for it runs.
 *
 * All that follows is done within the door, a mark on the lock file that one process at a time can hold. So all who
 * replace have an order, that in which they came through the door:
 *
 * 1. If another waits to replace (its mark tells), it is older: tell it to give way, wait until its mark is gone, and set
 *    our own. So one at most waits to replace, the newest.
 * 2. Ask those who hold the lock to end: the uppermost of them, as a lockrun passes the signal on to its job. Then
 *    leave the door, and wait for the lock in the kernel's queue.
 * 3. When one that was asked has ended, and the lock is still not ours, a process below it may hold it, or another
 *    that was in the queue before us: through the door again, and, if our mark still stands, 2. again.
 * 4. When we have the lock, through the door once more: if nobody has told us to give way, the mark is taken off, and from then on we are
 *    a holder like any other, to be asked by the next.
 *
 * Nobody is told to give way but within the door and by the newest, and in 3 and 4 the older one notices before it does
 * anything. So of two who replace at once, one is the older, and never ends the newer.
 *
 * Three threads: the first waits for the lock; one does 3; one hears that we have to give way, also while the others are
 * stuck at the door, within which the newer one waits for just that.
 *
 * Who is signalled is first pinned by a pidfd and then found, once more, to hold this lock, by a descriptor of its own.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "exitcode.h"
#include "holders.h"
#include "mark.h"
#include "peer.h"
#include "replace.h"
#include "report.h"
#include "say.h"
#include "tree.h"

/*
 * So often in a row we look before we believe that the holder cannot be seen, if the lock is held; or, if it is
 * free, that it is not just changing hands. Between two looks we wait for the lock a little: of a process that ends and
 * has inherited it, nothing is to be seen for a moment in which it is still held.
 */
#define LOOKS 50
#define A_LITTLE 40000000 /* ns */

struct person {
	int pid, fd;
	bool ending; /* not to be seen any more, nor to be asked, but waited for */
	bool holds, ask;
};

static struct {
	struct lockset *set;
	const struct sync_lock *lock;
	struct sync_lock *door, *mark, *probe;
	enum sync_mode mode;
	int signo, listening;
	pthread_mutex_t round;    /* door, mark, probe, asked */
	pthread_mutex_t decision; /* over, and what is heard */
	struct person *asked;
	size_t count;
	atomic_bool have;
	bool over;
} me = {.round = PTHREAD_MUTEX_INITIALIZER, .decision = PTHREAD_MUTEX_INITIALIZER};

static _Noreturn void give_way(void)
{
	if (me.set->report)
		report_skip(me.set->report, "superseded");
	if (!me.set->common->quiet)
		warn("%s is wanted by a newer lockrun --replace: this one gives way",
		     quote(sync_lock_name(me.lock)));
	/* Another thread may be about to exit, too; there is nothing to flush. */
	_exit(me.set->common->busy_status);
}

static _Noreturn void refuse(const struct sync_owner *o, const char *why)
{
	const char *name = quote(sync_lock_name(me.lock));
	if (o && o->pid)
		warn("cannot replace the holder of %s, pid %d (%s): %s", name, (int)o->pid,
		     quote(o->name), why);
	else
		warn("cannot replace the holder of %s: %s", name, why);
	_exit(EXIT_DENIED);
}

/* ---- who holds it ---- */

struct view {
	struct sync_owner *list;
	size_t count, hidden;
};

static void look(const struct sync_lock *lock, struct view *v)
{
	int r = sync_lock_owners(lock, &v->list, &v->count, &v->hidden);
	if (r)
		refuse(NULL, strerror(-r));
}

static bool in_the_way(const struct sync_owner *o)
{
	return !o->waiting && sync_lock_conflicts(me.lock, me.mode, o);
}

/* One who was pinned before cannot have handed its number on while it holds the lock. */
static bool holds(int pid)
{
	int mode = sync_lock_held_by(me.lock, pid);
	return mode > 0 && (me.mode == SYNC_EXCLUSIVE || mode == SYNC_EXCLUSIVE);
}

static bool was_asked(int pid)
{
	for (size_t i = 0; i < me.count; i++)
		if (me.asked[i].pid == pid)
			return true;
	return false;
}

static bool is_ending(int pid)
{
	struct tree_process p;
	return tree_look(pid, &p) && p.ending;
}

static bool is_closed_to_us(int pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/fd/.", pid);
	return pid && access(path, X_OK) && errno == EACCES;
}

/* Pin O, which must not change any more. -1: it has ended. */
static int pin(const struct sync_owner *o)
{
	if (tree_is_below(getpid(), o->pid))
		refuse(o, "it has started this very command");
	int fd = child_open(o->pid);
	int r = fd < 0 ? fd : peer_try(fd);
	if (r == -EPERM)
		refuse(o, "it may not be signalled: replace it as its user, or as root");
	if (r && r != -ESRCH)
		refuse(o, strerror(-r));
	if (r && fd >= 0)
		close(fd);
	return r ? -1 : fd;
}

static void ask(const struct person *p)
{
	struct person *more = realloc(me.asked, (me.count + 1) * sizeof(*more));
	if (!more)
		refuse(NULL, "no memory");
	me.asked = more;
	me.asked[me.count++] = *p;
	if (!p->ending && !peer_ask(p->fd, me.signo) && me.set->common->verbose)
		warn("asked pid %d, which holds %s, to end", p->pid,
		     quote(sync_lock_name(me.lock)));
}

/* ---- one round, within the door ---- */

enum sight { NOBODY, SOMEBODY, OURSELVES, MOVED };

/* Pin all who are in the way, or refuse. */
static enum sight pin_all(const struct view *v, struct person *people, size_t *n)
{
	enum sight sight = NOBODY;
	*n = 0;
	for (size_t i = 0; i < v->count; i++) {
		const struct sync_owner *o = &v->list[i];
		bool known = false;
		if (!in_the_way(o))
			continue;
		if (o->pid == getpid())
			return OURSELVES;
		for (size_t k = 0; k < *n; k++)
			known = known || people[k].pid == o->pid;
		bool ending = !o->seen && is_ending(o->pid);
		if (!o->seen && !ending && is_closed_to_us(o->pid))
			refuse(o, "it cannot be looked into: replace it as its user, or as root");
		/* The kernel's list alone may name one who came or went while we looked. */
		if (!o->seen && !ending)
			continue;
		sight = SOMEBODY;
		int fd = known ? -1 : pin(o);
		if (fd >= 0)
			people[(*n)++] = (struct person){.pid = o->pid, .fd = fd, .ending = ending};
	}
	return sight;
}

/* A lockrun, or flock(1), holds the lock together with the job below it. */
static bool is_uppermost(const struct person *people, size_t n, int pid)
{
	struct tree_process p;
	if (!tree_look(pid, &p))
		return false;
	for (size_t i = 0; i < n; i++)
		if (people[i].holds && people[i].pid == p.parent)
			return false;
	return true;
}

/*
 * Ask those to end who hold the lock now and have not been asked. When it is known that all may be asked, and nobody
 * has been, BEFORE is done.
 */
static enum sight ask_holders(void (*before)(void))
{
	struct view v;
	size_t n;
	look(me.lock, &v);
	struct person *people = calloc(v.count + 1, sizeof(*people));
	if (!people)
		refuse(NULL, "no memory");
	enum sight sight = pin_all(&v, people, &n);
	free(v.list);
	if (before)
		before();
	if (sight == SOMEBODY)
		sight = NOBODY;
	for (size_t i = 0; i < n; i++) {
		people[i].holds = people[i].ending || holds(people[i].pid);
		if (people[i].holds && sight == NOBODY)
			sight = SOMEBODY;
	}
	/* Looked up by name. Only if that led to the file with the door all the time were these its holders. */
	if (sync_lock_check(me.door))
		sight = MOVED;
	/* All are looked at before any of them can end. */
	for (size_t i = 0; i < n; i++)
		people[i].ask = sight == SOMEBODY && people[i].holds && !was_asked(people[i].pid) &&
				is_uppermost(people, n, people[i].pid);
	for (size_t i = 0; i < n; i++)
		if (people[i].ask)
			ask(&people[i]);
		else
			close(people[i].fd);
	free(people);
	return sight;
}

/* Is it held at all? In the moment in which it changes hands it is not. */
static bool is_free(void)
{
	struct timespec soon;
	int r;
	sync_deadline_in(A_LITTLE, &soon);
	do
		r = sync_lock_acquire(me.probe, me.mode, &soon);
	while (r == -EINTR);
	if (!r)
		(void)sync_lock_release(me.probe);
	return !r;
}

/* Until holders were seen and asked, or there are none. */
static enum sight ask_all(void (*before)(void))
{
	for (int looks = 0;; looks++) {
		enum sight sight = ask_holders(before);
		if (sight != NOBODY || atomic_load(&me.have) || is_free())
			return sight;
		if (looks == LOOKS)
			refuse(NULL, "it cannot be seen from here");
	}
}

/* ---- coming ---- */

/* The one that waits to replace, if it can still be seen. */
static void tell_older(void)
{
	struct view v;
	look(me.mark, &v);
	for (size_t i = 0; i < v.count; i++) {
		const struct sync_owner *o = &v.list[i];
		if (o->waiting || !o->pid || !mark_is(o) ||
		    !sync_lock_conflicts(me.mark, SYNC_EXCLUSIVE, o))
			continue;
		int fd = pin(o);
		if (fd >= 0 && sync_lock_held_by(me.mark, o->pid) > 0)
			(void)peer_tell(fd);
		if (fd >= 0)
			close(fd);
	}
	free(v.list);
}

static void set_mark(void)
{
	if (mark_take(me.mark, SYNC_NOW))
		return;
	tell_older();
	if (!mark_take(me.mark, me.set->deadline))
		lockset_busy(me.set, me.lock);
}

static void come(void)
{
	do
		if (!mark_take(me.door, me.set->deadline))
			lockset_busy(me.set, me.lock);
	while (ask_all(set_mark) == MOVED);
	(void)sync_lock_release(me.door);
}

/* ---- waiting ---- */

static void forget_ended(void)
{
	size_t kept = 0;
	for (size_t i = 0; i < me.count; i++) {
		struct pollfd p = {.fd = me.asked[i].fd, .events = POLLIN};
		if (poll(&p, 1, 0) == 1)
			close(p.fd);
		else
			me.asked[kept++] = me.asked[i];
	}
	me.count = kept;
}

/*
 * One whom we asked has ended, or nobody was there to ask when we came. If the lock is free, the kernel is just giving
 * it to the next in its queue, and we look again until that one has it; unless we wait for another lock first (-l), or on a
 * file that has gone. True: there is nobody to be asked any more.
 */
static bool go_round(void)
{
	bool done = false;
	pthread_mutex_lock(&me.round);
	forget_ended();
	for (int looks = 0; !done && !me.count && !atomic_load(&me.have); looks++) {
		(void)mark_take(me.door, NULL);
		/* Ours still, or again where the file has been replaced: else a newer one came before us. */
		if (!mark_take(me.mark, SYNC_NOW))
			give_way();
		enum sight sight = ask_all(NULL);
		(void)sync_lock_release(me.door);
		done = sight == OURSELVES ||
		       (sight == NOBODY && (me.set->count > 1 || looks == LOOKS));
	}
	done = done || atomic_load(&me.have);
	pthread_mutex_unlock(&me.round);
	return done;
}

static void *watch(void *arg)
{
	(void)arg;
	while (!go_round()) {
		struct pollfd ends[64];
		size_t n = me.count < 64 ? me.count : 64; /* more end later than these */
		for (size_t i = 0; i < n; i++)
			ends[i] = (struct pollfd){.fd = me.asked[i].fd, .events = POLLIN};
		(void)poll(ends, (nfds_t)n, -1);
	}
	return NULL;
}

static void *hear(void *arg)
{
	struct pollfd p = {.fd = me.listening, .events = POLLIN};
	(void)arg;
	for (;;) {
		(void)poll(&p, 1, -1);
		pthread_mutex_lock(&me.decision);
		if (me.over)
			break; /* the next is for COMMAND */
		if (peer_hear(me.listening))
			give_way();
		pthread_mutex_unlock(&me.decision);
	}
	pthread_mutex_unlock(&me.decision);
	return NULL;
}

static void start(void *(*run)(void *))
{
	int err = child_start_thread(run, NULL);
	if (err)
		die(EXIT_SYSTEM, "cannot start a thread: %s", strerror(err));
}

void replace_begin(struct lockset *set, const struct sync_lock *lock, enum sync_mode mode,
		   int signo)
{
	struct sync_lock_opts opts = {.flags = set->flags, .mode = set->create_mode};
	me.set = set;
	me.lock = lock;
	me.mode = mode;
	me.signo = signo;
	me.door = mark_open(set, lock, MARK_DOOR, "--replace");
	me.mark = mark_open(set, lock, MARK_REPLACE, "--replace");
	int r = sync_lock_open(sync_lock_name(lock), &opts, set->deadline, &me.probe);
	if (r)
		die(exit_status_of(r), "cannot open %s: %s", quote(sync_lock_name(lock)),
		    strerror(-r));
	/* Before there is a mark by which we could be told. */
	me.listening = peer_listen();
	start(hear);
	come();
	start(watch);
}

void replace_end(void)
{
	atomic_store(&me.have, true);
	pthread_mutex_lock(&me.round);
	(void)mark_take(me.door, NULL);
	pthread_mutex_lock(&me.decision);
	/* Whoever is in the door now has not told us yet; whoever was there before us has. */
	if (peer_hear(me.listening) || !mark_take(me.mark, SYNC_NOW))
		give_way();
	me.over = true;
	pthread_mutex_unlock(&me.decision);
	(void)sync_lock_release(me.mark);
	(void)sync_lock_release(me.door);
	pthread_mutex_unlock(&me.round);
	peer_stop_listening(me.listening);
}
