/* SPDX-License-Identifier: MIT */
/* A bare futex: one that waits is woken by one system call. */
#include "futexes.h"
#include "transport.h"

static int open_futex(struct channel *c)
{
	return share_memory(c, sizeof(_Atomic uint32_t));
}

static int post(struct channel *c, char *block, size_t n)
{
	_Atomic uint32_t *word = c->mem;
	(void)block, (void)n;
	atomic_fetch_add(word, 1);
	futex_wake(word);
	return 0;
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	_Atomic uint32_t *word = c->mem;
	(void)block, (void)n;
	while (atomic_load(word) == (uint32_t)c->received)
		futex_wait(word, (uint32_t)c->received);
	c->received++;
	return 0;
}

const struct transport transport_futex = {
	.about = "a bare futex",
	.open = open_futex,
	.send = post,
	.recv = wait_for,
};
