/* SPDX-License-Identifier: MIT */
/*
 * Threads blocked on the locks of slots. There is no system call that waits for one of several locks.
 *
 * What a thread has won stays locked by the probes' own description until the main thread takes it
 * over. exec and exit end the threads, close that description, and so give back what was won too much.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "poolfile.h"
#include "probe.h"

struct probe {
	struct sync_probes *all;
	unsigned slot;
	uint32_t word;
	pthread_t thread;
	bool won; /* under all->lock */
	struct probe *next;
};

struct sync_probes {
	int fd;     /* the description that wins */
	int event;  /* counts what was won */
	void *page; /* of the size; NULL unless it is watched */
	pthread_mutex_t lock;
	struct probe *list;
};

int sync_probes_begin(const char *path, struct sync_probes **out)
{
	struct sync_probes *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = p->event < 0 ? -errno : 0;
	if (!r) {
		p->fd = sync_poolfile_again(path);
		r = p->fd < 0 ? p->fd : 0;
	}
	if (r) {
		if (p->event >= 0)
			close(p->event);
		free(p);
		return r;
	}
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

static void report(struct probe *probe)
{
	uint64_t one = 1;
	pthread_mutex_lock(&probe->all->lock);
	probe->won = true;
	pthread_mutex_unlock(&probe->all->lock);
	if (write(probe->all->event, &one, sizeof(one)) < 0)
		return; /* it cannot overflow */
}

static void *block(void *arg)
{
	struct probe *probe = arg;
	unsigned byte = POOL_SLOTS + probe->slot;
	int r;
	int old;
	/*
	 * To musl F_OFD_SETLKW is no cancellation point. What is won at the moment of cancellation goes
	 * when the description is closed, and nothing else is done here meanwhile: so, against the rule,
	 * asynchronously.
	 */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old); /* NOLINT(cert-pos47-c) */
	do
		r = probe->slot == POOL_TURN
			    ? sync_poolfile_await_size(probe->all->page, probe->word)
			    : sync_poolfile_lock(probe->all->fd, byte, byte, SYNC_EXCLUSIVE, true);
	while (r == -EINTR);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (!r)
		report(probe);
	return NULL;
}

/* Signals are for the threads of the program. */
static int start(struct probe *probe)
{
	pthread_attr_t attr;
	sigset_t every;
	sigset_t before;
	sigfillset(&every);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	int err = pthread_create(&probe->thread, &attr, block, probe);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	/* Its EAGAIN means a limit on threads, no "try again". */
	return err ? -ENOMEM : 0;
}

int sync_probes_add(struct sync_probes *p, unsigned slot, uint32_t word)
{
	for (const struct probe *i = p->list; i; i = i->next)
		if (i->slot == slot)
			return 0;
	struct probe *probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -ENOMEM;
	if (slot == POOL_TURN && !p->page)
		p->page = sync_poolfile_map(p->fd);
	if (slot == POOL_TURN && !p->page) {
		free(probe);
		return -ENOMEM;
	}
	probe->all = p;
	probe->slot = slot;
	probe->word = word;
	int r = start(probe);
	if (r) {
		free(probe);
		return r;
	}
	probe->next = p->list;
	p->list = probe;
	return 0;
}

int sync_probes_fd(const struct sync_probes *p)
{
	return p->event;
}

int sync_probes_won(struct sync_probes *p)
{
	uint64_t count;
	if (read(p->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -1;
	for (struct probe **at = &p->list; *at; at = &(*at)->next) {
		struct probe *probe = *at;
		pthread_mutex_lock(&p->lock);
		bool won = probe->won;
		pthread_mutex_unlock(&p->lock);
		if (!won)
			continue;
		pthread_join(probe->thread, NULL);
		int slot = (int)probe->slot;
		*at = probe->next;
		free(probe);
		return slot;
	}
	return -1;
}

void sync_probes_give_up(struct sync_probes *p, unsigned slot)
{
	/* Unlocking what is locked needs no memory and cannot fail. */
	if (sync_poolfile_lock(p->fd, POOL_SLOTS + slot, POOL_SLOTS + slot, SYNC_UNLOCKED, false))
		return;
}

void sync_probes_end(struct sync_probes *p)
{
	if (!p)
		return;
	for (const struct probe *i = p->list; i; i = i->next)
		pthread_cancel(i->thread);
	while (p->list) {
		struct probe *probe = p->list;
		pthread_join(probe->thread, NULL);
		p->list = probe->next;
		free(probe);
	}
	sync_poolfile_unmap(p->page);
	close(p->fd);
	close(p->event);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
