/* SPDX-License-Identifier: MIT */
/*
 * Of the processes of one job one has the slot, others wait for permits. When that one is done, or
 * killed, the slot must not lie idle: who waits takes its lock, and lends it, so that whoever is first in line
 * gets it. Only a blocking call can wait for a lock, so that is a thread's; it is stopped as those in escrow_watch.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loan.h"

#define STACK_SIZE (64 << 10)

struct sync_loan {
	struct sync_escrow *escrow;
	uint32_t which;
	unsigned char token;
	bool refused, lent, pokable; /* under the lock */
	bool stop;                   /* too */
	pthread_mutex_t lock;
	pthread_t thread;
	struct sync_alarm alarm;
};

void sync_loan_lock(struct sync_loan *l)
{
	pthread_mutex_lock(&l->lock);
}

void sync_loan_unlock(struct sync_loan *l)
{
	pthread_mutex_unlock(&l->lock);
}

void sync_loan_refuse(struct sync_loan *l)
{
	l->refused = true;
}

/* If it cannot be lent it stays free, for another to try. */
static void lend(struct sync_loan *l)
{
	sync_loan_lock(l);
	if (!l->refused && !l->stop)
		l->lent = !sync_escrow_lend(l->escrow, l->token);
	if (!l->lent)
		sync_escrow_unlock_other(l->escrow, l->which);
	sync_loan_unlock(l);
}

static bool is_stopped(struct sync_loan *l)
{
	sync_loan_lock(l);
	bool stop = l->stop;
	sync_loan_unlock(l);
	return stop;
}

static void *run(void *arg)
{
	struct sync_loan *l = arg;
	struct timespec never;
	sync_deadline_in(INT64_MAX, &never);
	if (sync_alarm_start(&l->alarm, &never))
		return NULL; /* then this wait goes on without the slot */
	sync_loan_lock(l);
	l->pokable = true;
	sync_loan_unlock(l);
	sync_guard_start(l->escrow->maps);
	int r = -EINTR;
	while (r == -EINTR && !is_stopped(l))
		r = sync_escrow_await_other(l->escrow, l->which);
	if (!r)
		lend(l);
	sync_guard_stop();
	sync_loan_lock(l);
	l->pokable = false;
	sync_loan_unlock(l);
	sync_alarm_stop(&l->alarm);
	return NULL;
}

/* It takes no signals of the process, as in escrow_watch.c. */
static int start(struct sync_loan *l)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	pthread_attr_t attr;
	sigset_t all;
	sigset_t old;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, _NSIG / 8);
	int r = pthread_create(&l->thread, &attr, run, l);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, _NSIG / 8);
	pthread_attr_destroy(&attr);
	return r ? -ENOMEM : 0;
}

int sync_loan_start(struct sync_escrow *e, uint32_t which, unsigned char token,
		    struct sync_loan **out)
{
	struct sync_loan *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->escrow = e;
	l->which = which;
	l->token = token;
	pthread_mutex_init(&l->lock, NULL);
	int r = start(l);
	if (!r) {
		*out = l;
		return 0;
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
	return r;
}

bool sync_loan_stop(struct sync_loan *l)
{
	/* From now on, and every 10 ms: the first may come before the system call it is to end. */
	static const struct itimerspec now = {
		.it_value.tv_nsec = 1,
		.it_interval.tv_nsec = 10000000,
	};
	sync_loan_lock(l);
	l->stop = true;
	if (l->pokable)
		timer_settime(l->alarm.timer, TIMER_ABSTIME, &now, NULL);
	sync_loan_unlock(l);
	pthread_join(l->thread, NULL);
	bool lent = l->lent;
	pthread_mutex_destroy(&l->lock);
	free(l);
	return lent;
}
