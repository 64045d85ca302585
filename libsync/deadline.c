/* SPDX-License-Identifier: MIT */
/* Absolute CLOCK_MONOTONIC deadlines, and the alarm that ends a blocking call at one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#ifndef sigev_notify_thread_id /* glibc < 2.37 has the field but not its name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define NSEC_PER_SEC 1000000000

SYNC_API const struct timespec sync_now = {0, 0};

static int64_t latest_second(void)
{
	return sizeof(time_t) == 4 ? INT32_MAX : INT64_MAX;
}

SYNC_API void sync_deadline_in(int64_t nsec, struct timespec *out)
{
	if (nsec <= 0) {
		*out = sync_now;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, out);
	int64_t sec = nsec / NSEC_PER_SEC;
	long rest = out->tv_nsec + (long)(nsec % NSEC_PER_SEC);
	if (rest >= NSEC_PER_SEC) {
		rest -= NSEC_PER_SEC;
		sec++;
	}
	if (sec > latest_second() - (int64_t)out->tv_sec)
		sec = latest_second() - (int64_t)out->tv_sec;
	out->tv_sec += (time_t)sec;
	out->tv_nsec = rest;
}

bool sync_deadline_passed(const struct timespec *deadline)
{
	struct timespec now;
	if (!deadline)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != deadline->tv_sec)
		return now.tv_sec > deadline->tv_sec;
	return now.tv_nsec >= deadline->tv_nsec;
}

bool sync_deadline_left(const struct timespec *deadline, struct timespec *left)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left->tv_sec = deadline->tv_sec - now.tv_sec;
	left->tv_nsec = deadline->tv_nsec - now.tv_nsec;
	if (left->tv_nsec < 0) {
		left->tv_sec--;
		left->tv_nsec += NSEC_PER_SEC;
	}
	if (left->tv_sec >= 0 && (left->tv_sec || left->tv_nsec))
		return true;
	*left = (struct timespec){0, 0};
	return false;
}

/*
 * flock(2) and fcntl(F_SETLKW) know no timeout, and asking again and again would lose the place
 * in the queue each time. So a timer sends a signal to this thread. SIGALRM will not do: it may be
 * blocked, ignored or in use. We take a real-time signal without a handler, put an empty handler
 * there (not SA_RESTART, so the call ends with EINTR) and unblock it for this thread.
 * Handlers belong to the process, so threads that wait at the same time share one: the first
 * puts it in place, the last puts back what was there.
 */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned shared_users;
static int shared_signo;
static struct sigaction shared_old;

static void wake(int signo)
{
	(void)signo;
}

/* Called with shared_lock held. A signal that is pending is somebody's, and would be eaten. */
static int choose_signal(void)
{
	sigset_t pending;
	sigemptyset(&pending);
	sigpending(&pending);
	for (int signo = SIGRTMAX; signo >= SIGRTMIN; signo--) {
		struct sigaction sa;
		if (!sigismember(&pending, signo) && !sigaction(signo, NULL, &sa) &&
		    !(sa.sa_flags & SA_SIGINFO) &&
		    (sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN))
			return signo;
	}
	return 0;
}

static int take_signal(void)
{
	int r = 0;
	pthread_mutex_lock(&shared_lock);
	if (!shared_users) {
		struct sigaction sa = {.sa_handler = wake};
		shared_signo = choose_signal();
		if (!shared_signo || sigaction(shared_signo, &sa, &shared_old))
			r = -EBUSY;
	}
	if (!r) {
		shared_users++;
		r = shared_signo;
	}
	pthread_mutex_unlock(&shared_lock);
	return r;
}

static void give_signal(void)
{
	pthread_mutex_lock(&shared_lock);
	if (!--shared_users)
		sigaction(shared_signo, &shared_old, NULL);
	pthread_mutex_unlock(&shared_lock);
}

int sync_alarm_start(struct sync_alarm *a, const struct timespec *deadline)
{
	int signo = take_signal();
	if (signo < 0)
		return signo;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = signo,
	};
	event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	/*
	 * It fires again every 10 ms: the first signal may land between here and the system call,
	 * where it interrupts nothing.
	 */
	struct itimerspec when = {.it_value = *deadline, .it_interval.tv_nsec = 10000000};
	if (!when.it_value.tv_sec && !when.it_value.tv_nsec)
		when.it_value.tv_nsec = 1; /* zero would disarm it */
	if (timer_create(CLOCK_MONOTONIC, &event, &a->timer)) {
		int r = -errno;
		give_signal();
		return r;
	}
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigset_t old;
	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	a->blocked = sigismember(&old, signo);
	timer_settime(a->timer, TIMER_ABSTIME, &when, NULL);
	return 0;
}

void sync_alarm_stop(struct sync_alarm *a)
{
	int saved = errno;
	/* The signal is unblocked here, so one that is still under way arrives during this call. */
	timer_delete(a->timer);
	if (a->blocked) {
		/* Not the old mask as a whole: musl leaves signals of its own out of it. */
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, shared_signo);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	}
	give_signal();
	errno = saved;
}
