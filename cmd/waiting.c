/* SPDX-License-Identifier: MIT */
/* The line that tells a person at a terminal whom we wait for, drawn by a thread of its own. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "child.h"
#include "say.h"
#include "waiting.h"

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool over, drawn, lines;
	waiting_text *text;
	const void *what;
};

/* Sleep until AT or the end of the wait; true at the end. */
static bool is_over(struct waiting *w, const struct timespec *at)
{
	pthread_mutex_lock(&w->lock);
	while (!w->over && !pthread_cond_timedwait(&w->done, &w->lock, at))
		;
	bool over = w->over;
	pthread_mutex_unlock(&w->lock);
	return over;
}

/*
 * What is written is looked up first, which may take its time on a busy machine; then it is only
 * written if the wait still goes on.
 */
static void *draw(void *arg)
{
	struct waiting *w = arg;
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (at.tv_sec++; !is_over(w, &at); at.tv_sec++) {
		char buf[1024];
		w->text(buf, sizeof(buf), w->what);
		pthread_mutex_lock(&w->lock);
		if (!w->over && w->lines)
			warn("%s", buf);
		else if (!w->over)
			say_status("%s", buf);
		w->drawn = !w->lines;
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

struct waiting *waiting_begin(waiting_text *text, const void *what, bool always)
{
	bool on_terminal = say_on_terminal();
	if (!on_terminal && !always)
		return NULL;
	struct waiting *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->text = text;
	w->what = what;
	w->lines = !on_terminal;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->done, &attr);
	if (child_start_thread(draw, w)) {
		free(w); /* no line, then: the wait is what matters */
		return NULL;
	}
	return w;
}

void waiting_end(struct waiting *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->over = true;
	pthread_cond_signal(&w->done);
	if (w->drawn)
		say_wipe_status();
	pthread_mutex_unlock(&w->lock);
	/* Not joined: COMMAND shall not wait for a look through /proc. So w is the thread's for ever. */
}
