/* SPDX-License-Identifier: MIT */
/* The contract of deadlines: what sync_deadline_in() makes of ordinary and of extreme values; and the alarm's signal. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "internal.h"
#include "tap.h"

#define SECOND INT64_C(1000000000)

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool is_normal(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < SECOND;
}

static struct timespec now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

static struct timespec plus(struct timespec t, int64_t nsec)
{
	t.tv_sec += (time_t)(nsec / SECOND);
	t.tv_nsec += (long)(nsec % SECOND);
	if (t.tv_nsec >= SECOND) {
		t.tv_nsec -= SECOND;
		t.tv_sec++;
	}
	return t;
}

/* The clock may be anywhere between the two times it is read here. */
static bool is_exact(int64_t nsec)
{
	struct timespec out;
	struct timespec first = now();
	sync_deadline_in(nsec, &out);
	struct timespec last = now();
	first = plus(first, nsec);
	last = plus(last, nsec);
	return is_normal(&out) && !before(&out, &first) && !before(&last, &out);
}

static void ordinary_values(void)
{
	static const int64_t values[] = {1,          999,        SECOND - 1,    SECOND,
					 SECOND + 1, 3 * SECOND, 3600 * SECOND, 999999999 * SECOND};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		ok(is_exact(values[i]), "%lld ns from now is just that", (long long)values[i]);
	bool good = true;
	for (int i = 0; i < 1000; i++)
		good = good && is_exact(SECOND - 1 - i * INT64_C(1000003));
	ok(good, "nanoseconds never overflow into an illegal time");
}

static void passed_values(void)
{
	static const int64_t values[] = {0, -1, -SECOND, INT64_MIN};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct timespec out = {.tv_sec = 99, .tv_nsec = -99};
		sync_deadline_in(values[i], &out);
		struct timespec after = now();
		ok(is_normal(&out) && before(&out, &after), "%lld ns gives one that has passed",
		   (long long)values[i]);
	}
}

static void largest_value(void)
{
	struct timespec out;
	struct timespec first = now();
	sync_deadline_in(INT64_MAX, &out);
	struct timespec year = plus(first, 365 * 86400 * SECOND);
	ok(is_normal(&out), "INT64_MAX ns gives a legal time");
	ok(before(&year, &out) || sizeof(time_t) == 4, "which is years away");
}

static void handle(int signo)
{
	(void)signo;
}

/* The real-time signals of the caller are the caller's. */
static void signals_in_use(void)
{
	struct sync_alarm alarm;
	struct sigaction sa = {.sa_handler = handle};
	struct timespec never;
	sync_deadline_in(INT64_MAX, &never);
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		sigaction(signo, &sa, NULL);
	ok(sync_alarm_start(&alarm, &never) == -EBUSY,
	   "where all real-time signals have handlers there is no alarm");
	signal(SIGRTMIN, SIG_DFL);
	ok(sync_alarm_start(&alarm, &never) == 0, "one without will do");
	sigaction(SIGRTMIN, NULL, &sa);
	ok(sa.sa_handler != SIG_DFL && sa.sa_handler != handle, "and has one meanwhile");
	sync_alarm_stop(&alarm);
	sigaction(SIGRTMIN, NULL, &sa);
	ok(sa.sa_handler == SIG_DFL, "and none afterwards");
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		signal(signo, SIG_DFL);
}

int main(void)
{
	ok(SYNC_NOW->tv_sec == 0 && SYNC_NOW->tv_nsec == 0, "SYNC_NOW is the beginning of time");
	ok(SYNC_NOW == &sync_now, "SYNC_NOW is one object, comparable by address");
	passed_values();
	ordinary_values();
	largest_value();
	signals_in_use();
	return tap_end();
}
