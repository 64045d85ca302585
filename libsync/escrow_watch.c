/* SPDX-License-Identifier: MIT */
/*
 * While the head of the queue waits for a permit, its threads wait for the end of every debtor.
 *
 * Nothing in the kernel waits for any one of several locks, so there is a thread for each: a
 * probe. One more, the watcher, sleeps on the ledger's news and starts probes for new debts. Only
 * the head of the queue has such threads.
 *
 * A thread is stopped as a wait is at its deadline: each has an alarm of its own, set to go off at
 * the end of time, and whoever wants it to stop sets that to now. It fires till the thread
 * has left its system call for good. pthread_cancel(3) would not do: musl's F_OFD_SETLKW is no
 * cancellation point, and glibc's loads another library for it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "escrow.h"
#include "futex.h"

#define STACK_SIZE (64 << 10)

struct helper {
	struct watch *watch;
	pthread_t thread;
	bool started;     /* and not joined; for the thread that starts and joins it */
	bool pokable;     /* its alarm is there; under the watch's lock */
	atomic_bool done; /* it has nothing more to do with its slot */
	struct sync_alarm alarm;
};

struct watch {
	struct sync_escrow *escrow;
	int peer;
	timer_t caller; /* its alarm */
	atomic_bool stop;
	_Atomic int error;
	pthread_mutex_t lock;
	pthread_attr_t attr;
	struct helper watcher;
	struct helper probe[SYNC_DEBTS];
};

/* From now on, and every 10 ms: the first may come before the system call it is to end. */
static void poke(timer_t timer)
{
	static const struct itimerspec now = {
		.it_value.tv_nsec = 1,
		.it_interval.tv_nsec = 10000000,
	};
	timer_settime(timer, TIMER_ABSTIME, &now, NULL);
}

static void fail(struct watch *w, int error)
{
	int none = 0;
	if (atomic_compare_exchange_strong(&w->error, &none, error))
		poke(w->caller);
}

/* ---- any thread of ours ---- */

static bool begin(struct helper *h)
{
	struct timespec never;
	sync_deadline_in(INT64_MAX, &never);
	int r = sync_alarm_start(&h->alarm, &never);
	if (r) {
		fail(h->watch, r);
		return false;
	}
	pthread_mutex_lock(&h->watch->lock);
	h->pokable = true;
	pthread_mutex_unlock(&h->watch->lock);
	sync_guard_start(h->watch->escrow->maps);
	return true;
}

static void end(struct helper *h)
{
	sync_guard_stop();
	pthread_mutex_lock(&h->watch->lock);
	h->pokable = false;
	pthread_mutex_unlock(&h->watch->lock);
	sync_alarm_stop(&h->alarm);
}

/* w->stop is set: either it sees that, or we see its alarm. */
static void tell_to_stop(struct helper *h)
{
	pthread_mutex_lock(&h->watch->lock);
	if (h->pokable)
		poke(h->alarm.timer);
	pthread_mutex_unlock(&h->watch->lock);
}

static void join(struct helper *h)
{
	pthread_join(h->thread, NULL);
	h->started = false;
}

/*
 * Threads take no signals of the process: a handler of the caller's must run in a thread of the
 * caller's. Those of faults cannot wait. The raw call: musl's leaves signals of its own out of the
 * mask that it hands back.
 */
static int start(struct helper *h, void *(*run)(void *))
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	sigset_t all;
	sigset_t old;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	atomic_store(&h->done, false);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, _NSIG / 8);
	int r = pthread_create(&h->thread, &h->watch->attr, run, h);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, _NSIG / 8);
	h->started = !r;
	return r ? -ENOMEM : 0; /* its EAGAIN is a limit on threads, not "try again" */
}

/* ---- probes ---- */

static void *probe_run(void *arg)
{
	struct helper *h = arg;
	struct watch *w = h->watch;
	unsigned i = (unsigned)(h - w->probe);
	if (!begin(h))
		return NULL;
	int r = -EINTR;
	while (r == -EINTR && !atomic_load(&w->stop))
		r = sync_escrow_await(w->peer, i);
	if (!r)
		sync_escrow_settle_awaited(w->escrow, w->peer, i, &h->done);
	else if (r != -EINTR)
		fail(w, r);
	end(h);
	return NULL;
}

/* A debt that is new to us, or was: its slot may have had a debtor who is gone, and a probe. */
static void watch_slot(struct watch *w, unsigned i)
{
	struct sync_settled sum = {0, 0};
	struct helper *h = &w->probe[i];
	if (h->started) {
		if (!atomic_load(&h->done))
			return;
		join(h);
	}
	int r = sync_escrow_settle_one(w->escrow, w->peer, i, false, &sum);
	if (r == -EAGAIN) {
		h->watch = w;
		r = start(h, probe_run);
	} else if (r == -EOVERFLOW) {
		r = 0; /* it stays owed */
	}
	if (r)
		fail(w, r);
}

/* ---- the watcher ---- */

static void look(struct watch *w)
{
	struct sync_ledger *l = sync_escrow_ledger(w->escrow);
	if (atomic_load(&l->removed))
		fail(w, -EIDRM);
	for (unsigned i = 0; i < SYNC_DEBTS; i++)
		if (atomic_load(&l->debt[i].state) != SYNC_DEBT_FREE)
			watch_slot(w, i);
	if (sync_guard_torn(w->escrow->maps))
		fail(w, -EUCLEAN);
}

static void stop_probes(struct watch *w)
{
	atomic_store(&w->stop, true);
	for (unsigned i = 0; i < SYNC_DEBTS; i++)
		if (w->probe[i].started)
			tell_to_stop(&w->probe[i]);
	for (unsigned i = 0; i < SYNC_DEBTS; i++)
		if (w->probe[i].started)
			join(&w->probe[i]);
}

static void *watcher_run(void *arg)
{
	struct helper *h = arg;
	struct watch *w = h->watch;
	struct sync_ledger *l = sync_escrow_ledger(w->escrow);
	if (!begin(h))
		return NULL;
	while (!atomic_load(&w->stop) && !atomic_load(&w->error)) {
		/* Read before we look: what comes later changes it. */
		uint32_t news = atomic_load(&l->news);
		look(w);
		/* Of a slot that was free again before we looked: who gave may have been killed before he woke anybody. */
		w->escrow->ops->wake(w->escrow->arg);
		if (!atomic_load(&w->error) && !atomic_load(&w->stop) &&
		    sync_futex_wait(&l->news, news, NULL) == -EFAULT)
			fail(w, -EUCLEAN);
	}
	stop_probes(w);
	end(h);
	return NULL;
}

/*
 * Watch all debts, also those to come, through PEER. What goes wrong (-EIDRM: the semaphore was
 * removed) interrupts the caller's system calls by ALARM, until it stops the watch.
 */
static int watch_start(struct sync_escrow *e, int peer, const struct sync_alarm *alarm,
		       struct watch **out)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->escrow = e;
	w->peer = peer;
	w->caller = alarm->timer;
	w->watcher.watch = w;
	pthread_mutex_init(&w->lock, NULL);
	pthread_attr_init(&w->attr);
	pthread_attr_setstacksize(&w->attr, STACK_SIZE);
	int r = start(&w->watcher, watcher_run);
	if (!r) {
		*out = w;
		return 0;
	}
	pthread_attr_destroy(&w->attr);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return r;
}

/* No thread is left when this returns. 0, or what went wrong. */
static int watch_stop(struct watch *w)
{
	atomic_store(&w->stop, true);
	tell_to_stop(&w->watcher);
	join(&w->watcher);
	int r = atomic_load(&w->error);
	pthread_attr_destroy(&w->attr);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return r;
}

/* ---- who waits ---- */

static int wait_as_head(struct sync_escrow *e, int peer, const struct sync_alarm *alarm,
			unsigned what, const struct timespec *deadline)
{
	struct sync_settled sum = {0, 0};
	struct watch *watch;
	int r = sync_escrow_settle(e, peer, false, &sum);
	if (!r || r == -EOVERFLOW) /* one too many is there: it can be taken */
		r = e->ops->attempt(e->arg, what);
	if (r != -EAGAIN)
		return r;
	r = watch_start(e, peer, alarm, &watch);
	if (r)
		return r;
	r = e->ops->await(e->arg, what, deadline);
	int why = watch_stop(watch);
	return r == -EINTR && why ? why : r;
}

int sync_escrow_wait(struct sync_escrow *e, int peer, unsigned what,
		     const struct timespec *deadline)
{
	struct sync_alarm alarm;
	struct timespec never;
	sync_deadline_in(INT64_MAX, &never);
	/* Also without a deadline: the watcher needs it. */
	int r = sync_alarm_start(&alarm, deadline ? deadline : &never);
	if (!r) {
		r = sync_escrow_queue(peer);
		if (!r)
			r = wait_as_head(e, peer, &alarm, what, deadline);
		sync_alarm_stop(&alarm);
	}
	sync_escrow_peer_close(peer);
	return r == -EINTR && sync_deadline_passed(deadline) ? -ETIMEDOUT : r;
}
