/* SPDX-License-Identifier: MIT */
/*
 * A ring of blocks in shared memory, for one sender and one receiver. Blocks are copied in and out, as a
 * program would that has no use for them in place.
 *
 * Each side counts what it has done, in a cache line of its own, and looks at the other's count only if what it
 * saw of it last is used up. If there is nothing to do it says that it sleeps, looks again, and sleeps, on the
 * other's count. A receiver is woken by the first block; a sender when half of the ring is free, or the two
 * would take turns for each block.
 *
 * A sender counts each block, as the receiver may wait for it. The receiver lets the sender know of an eighth of the
 * ring at a time, and of the last block it knows of, so whoever sleeps has told all: to make a count seen costs more
 * than to copy a small block. For the same reason a receiver that has come to the end looks again for a while.
 */
#include <stdbool.h>
#include <string.h>

#include "futexes.h"
#include "ring.h"

enum { LINE = 64, LEAST = 1 << 20, PAUSES = 32, LOOKS = 256 };

struct ring {
	_Alignas(LINE) _Atomic uint32_t sent;
	_Alignas(LINE) _Atomic uint32_t received;
	_Alignas(LINE) _Atomic uint64_t sender_sleeps;
	_Alignas(LINE) _Atomic uint64_t receiver_sleeps;
	_Alignas(LINE) char slots[];
};

static size_t slot_of(size_t size)
{
	return (size + LINE - 1) / LINE * LINE;
}

/* A power of two, so that counts may wrap; two at least. */
static uint32_t slots_for(size_t size)
{
	uint32_t n = 2;
	while ((size_t)n * 2 * slot_of(size) <= LEAST)
		n *= 2;
	return n;
}

size_t ring_bytes(size_t size)
{
	return sizeof(struct ring) + slots_for(size) * slot_of(size);
}

void ring_init(struct channel *c, void *mem)
{
	c->ring = mem;
	c->depth = slots_for(c->size);
}

/*
 * A sleeper says at which count of the other it sleeps. Sequentially consistent: whoever says so and then looks
 * again, and whoever counts and then looks for sleepers, cannot both miss the other.
 */
#define AT(count) ((uint64_t)1 << 32 | (count))

static void wait_while(_Atomic uint32_t *count, uint32_t seen, _Atomic uint64_t *sleeper)
{
	for (;;) {
		atomic_store(sleeper, AT(seen));
		if (atomic_load(count) != seen)
			break;
		futex_wait(count, seen);
	}
	atomic_store_explicit(sleeper, 0, memory_order_relaxed);
}

/*
 * Once for each sleep, as the sleeper may not run before long. One that sleeps at COUNT itself has seen it,
 * and waits for the next: its sign must stay.
 */
static void wake(_Atomic uint32_t *word, uint32_t count, _Atomic uint64_t *sleeper)
{
	uint64_t at = atomic_load(sleeper);
	if (at && at != AT(count) && atomic_compare_exchange_strong(sleeper, &at, 0))
		futex_wake(word);
}

static void wait_for_room(struct channel *c, struct ring *r)
{
	uint32_t full = (uint32_t)c->sent - (uint32_t)c->depth;
	if (atomic_load_explicit(&r->received, memory_order_acquire) == full)
		wait_while(&r->received, full, &r->sender_sleeps);
	c->received = atomic_load_explicit(&r->received, memory_order_acquire);
}

static void pause_briefly(void)
{
	for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#else
		__asm__ volatile("");
#endif
	}
}

/*
 * The sender is at work on a CPU of its own: then to be woken costs it more than many blocks, and it wakes who
 * comes to the end of each handful. So who has not slept of late looks again for a while, and lets the sender get
 * ahead by half of the ring while it does: close behind it the two would fight for every cache line.
 */
static bool more_comes(const struct channel *c, const struct ring *r, uint32_t at)
{
	if (!c->apart || at - (uint32_t)c->slept_at <= c->depth / 8)
		return false;
	uint32_t seen = at;
	for (int still = 0; still < LOOKS; still++) {
		pause_briefly();
		uint32_t now = atomic_load_explicit(&r->sent, memory_order_acquire);
		if (now - at >= c->depth / 2)
			return true;
		if (now != seen)
			still = 0;
		seen = now;
	}
	return seen != at;
}

static void wait_for_block(struct channel *c, struct ring *r)
{
	uint32_t at = (uint32_t)c->received;
	if (atomic_load_explicit(&r->sent, memory_order_acquire) == at && !more_comes(c, r, at)) {
		wait_while(&r->sent, at, &r->receiver_sleeps);
		c->slept_at = at;
	}
	c->sent = atomic_load_explicit(&r->sent, memory_order_acquire);
}

static char *slot(const struct channel *c, struct ring *r, uint32_t at, size_t n)
{
	return r->slots + (at & ((uint32_t)c->depth - 1)) * slot_of(n);
}

/* c->sent and c->received: what this side has done, and what it last saw of the other. */
int ring_send(struct channel *c, char *block, size_t n)
{
	struct ring *r = c->ring;
	uint32_t at = (uint32_t)c->sent;
	if (at - (uint32_t)c->received == c->depth)
		wait_for_room(c, r);
	memcpy(slot(c, r, at, n), block, n);
	c->sent = ++at;
	atomic_store(&r->sent, at);
	if (atomic_load(&r->receiver_sleeps))
		wake(&r->sent, at, &r->receiver_sleeps);
	return 0;
}

int ring_recv(struct channel *c, char *block, size_t n)
{
	struct ring *r = c->ring;
	uint32_t at = (uint32_t)c->received;
	if (at == (uint32_t)c->sent)
		wait_for_block(c, r);
	memcpy(block, slot(c, r, at, n), n);
	c->received = ++at;
	uint32_t left = (uint32_t)c->sent - at;
	if (left && at & (c->depth - 1) / 8) /* of fewer than 16, each */
		return 0;
	atomic_store(&r->received, at);
	if (left <= c->depth / 2 && atomic_load(&r->sender_sleeps))
		wake(&r->received, at, &r->sender_sleeps);
	return 0;
}
