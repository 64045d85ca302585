/* SPDX-License-Identifier: MIT */
/*
 * Threads that block for us. Such a thread is stopped as a wait is at its deadline: it has an alarm of its
 * own, set to go off at the end of time, and whoever wants it to stop sets that to now. It fires until
 * the thread has left its system call for good. pthread_cancel(3) would not do: the calls are no
 * cancellation points everywhere, and glibc's loads another library, which may not be there.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blocked.h"

static void change(struct sync_blocked *b, int state, int error)
{
	pthread_mutex_lock(&b->lock);
	b->state = state;
	b->error = error;
	pthread_cond_signal(&b->told);
	pthread_mutex_unlock(&b->lock);
}

static void *run(void *arg)
{
	struct sync_blocked *b = arg;
	struct timespec never;
	sync_deadline_in(INT64_MAX, &never);
	int r = sync_alarm_start(&b->alarm, &never);
	if (r) {
		change(b, SYNC_BLOCKED_OVER, r);
		return NULL;
	}
	change(b, SYNC_BLOCKED_READY, 0);
	do
		r = b->call(b->arg);
	while (r == -EINTR && !atomic_load(&b->stop));
	/* From here nobody touches the alarm but us. */
	change(b, SYNC_BLOCKED_OVER, 0);
	sync_alarm_stop(&b->alarm);
	if (!r && !atomic_load(&b->stop))
		b->after(b->arg);
	return NULL;
}

/*
 * Signals are for the threads of the program; those of faults cannot wait. The raw call: musl's leaves
 * signals of its own out of the mask that it hands back.
 */
static int create(struct sync_blocked *b)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	pthread_attr_t attr;
	sigset_t every;
	sigset_t before;
	sigfillset(&every);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&every, faults[i]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &every, &before, _NSIG / 8);
	int err = pthread_create(&b->thread, &attr, run, b);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, _NSIG / 8);
	pthread_attr_destroy(&attr);
	return err ? -ENOMEM : 0; /* its EAGAIN is a limit on threads, not "try again" */
}

static void destroy(struct sync_blocked *b)
{
	pthread_join(b->thread, NULL);
	pthread_cond_destroy(&b->told);
	pthread_mutex_destroy(&b->lock);
}

int sync_blocked_start(struct sync_blocked *b)
{
	b->state = SYNC_BLOCKED_NEW;
	atomic_store(&b->stop, false);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->told, NULL);
	int r = create(b);
	if (r) {
		pthread_cond_destroy(&b->told);
		pthread_mutex_destroy(&b->lock);
		return r;
	}
	pthread_mutex_lock(&b->lock);
	while (b->state == SYNC_BLOCKED_NEW)
		pthread_cond_wait(&b->told, &b->lock);
	r = b->error;
	pthread_mutex_unlock(&b->lock);
	if (r)
		destroy(b);
	return r;
}

void sync_blocked_call_back(struct sync_blocked *b)
{
	static const struct itimerspec now = {
		.it_value.tv_nsec = 1,
		.it_interval.tv_nsec = 10000000,
	};
	atomic_store(&b->stop, true);
	pthread_mutex_lock(&b->lock);
	/* Every 10 ms from now: the first may come before the system call that it is to end. */
	if (b->state == SYNC_BLOCKED_READY)
		timer_settime(b->alarm.timer, TIMER_ABSTIME, &now, NULL);
	pthread_mutex_unlock(&b->lock);
}

void sync_blocked_stop(struct sync_blocked *b)
{
	sync_blocked_call_back(b);
	destroy(b);
}
