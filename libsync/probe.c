/* SPDX-License-Identifier: MIT */
/*
 * Threads blocked on the locks of slots. There is no system call that waits for one of several locks.
 *
 * What a thread has won stays locked by the probes' own description until the main thread takes it
 * over. exec and exit end the threads, close that description, and so give back what was won too much.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blocked.h"
#include "poolfile.h"
#include "probe.h"

struct probe {
	struct sync_probes *all;
	unsigned slot;
	uint32_t word;
	struct sync_blocked blocked;
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

static int block(void *arg)
{
	const struct probe *probe = arg;
	unsigned byte = POOL_SLOTS + probe->slot;
	if (probe->slot == POOL_TURN)
		return sync_poolfile_await_size(probe->all->page, probe->word);
	return sync_poolfile_lock(probe->all->fd, byte, byte, SYNC_EXCLUSIVE, true);
}

static void report(void *arg)
{
	struct probe *probe = arg;
	uint64_t one = 1;
	pthread_mutex_lock(&probe->all->lock);
	probe->won = true;
	pthread_mutex_unlock(&probe->all->lock);
	if (write(probe->all->event, &one, sizeof(one)) < 0)
		return; /* it cannot overflow */
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
	probe->blocked = (struct sync_blocked){.call = block, .after = report, .arg = probe};
	int r = sync_blocked_start(&probe->blocked);
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
		sync_blocked_stop(&probe->blocked);
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
	for (struct probe *probe = p->list; probe; probe = probe->next)
		sync_blocked_call_back(&probe->blocked);
	while (p->list) {
		struct probe *probe = p->list;
		sync_blocked_stop(&probe->blocked);
		p->list = probe->next;
		free(probe);
	}
	sync_poolfile_unmap(p->page);
	close(p->fd);
	close(p->event);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
