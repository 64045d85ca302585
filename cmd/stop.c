/* SPDX-License-Identifier: MIT */
/*
 * Stopping in good order. A signal that comes just before a system call does not end it; so from the
 * first on a timer sends SIGALRM, every 10 ms, until whoever is in a call has come out of it.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include "stop.h"

static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGALRM, SIGPIPE, SIGXFSZ, SIGCHLD};
enum { STOPPING = 4, SIGNALS = sizeof(signals) / sizeof(signals[0]) };

static volatile sig_atomic_t wanted, signal_number, signal_code, urgent, child, knocking;
static bool second_is_ours;
static struct sigaction before[SIGNALS];
static sigset_t mask_before;

static void knock(long usec)
{
	const struct itimerval t = {.it_value.tv_usec = usec, .it_interval.tv_usec = 10000};
	knocking = 1;
	setitimer(ITIMER_REAL, &t, NULL);
}

static void be_quiet(void)
{
	static const struct itimerval never;
	/* One that is on its way may still come; so from the first on none is taken for another's. */
	setitimer(ITIMER_REAL, &never, NULL);
}

void stop_request(void)
{
	wanted = 1;
	knock(1);
}

static void handle(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (signal_number && !second_is_ours) {
		signal(signo, SIG_DFL);
		raise(signo);
		return;
	}
	urgent = signal_number != 0;
	signal_number = signo;
	signal_code = info->si_code;
	stop_request();
}

/* One that is not ours was set before we were started, as a limit on our time. */
static void handle_alarm(int signo, siginfo_t *info, void *context)
{
	if (!knocking)
		handle(signo, info, context);
}

static void handle_child(int signo)
{
	(void)signo;
	child = 1;
	knock(10000);
}

void stop_catch(void)
{
	struct sigaction sa = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
	sigset_t alarm;
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], NULL, &before[i]);
	for (size_t i = 0; i < STOPPING; i++)
		if (before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	sa.sa_sigaction = handle_alarm;
	sigaction(SIGALRM, &sa, NULL);
	sa = (struct sigaction){.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
	/* Nobody may have blocked the one that we count on; the others are as they were. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm, &mask_before);
}

void stop_catch_second(void)
{
	second_is_ours = true;
}

bool stop_urgent(void)
{
	return urgent;
}

int stop_signal(void)
{
	return signal_number;
}

int stop_signal_code(void)
{
	return signal_code;
}

bool stop_wanted(void)
{
	return wanted;
}

void stop_end(void)
{
	if (!signal_number)
		return;
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void stop_watch_children(void)
{
	struct sigaction sa = {.sa_handler = handle_child, .sa_flags = SA_NOCLDSTOP};
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, SIGCHLD);
	sigaction(SIGCHLD, &sa, NULL);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

bool stop_child_ended(void)
{
	if (!child)
		return false;
	/* A child that ends from here on is seen by the caller, who looks now, or asks again. */
	child = 0;
	be_quiet();
	if (wanted)
		knock(1);
	return true;
}

void stop_hush(void)
{
	be_quiet();
}

void stop_forget(void)
{
	be_quiet();
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
}

void stop_release(void)
{
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
}
