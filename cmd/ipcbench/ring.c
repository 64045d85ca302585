/* SPDX-License-Identifier: MIT */
/*
 * A ring of blocks in shared memory, for one sender and one receiver. Blocks are copied in and out, as a
 * program would that has no use for them in place.
 *
 * Each side counts what it has done, in a cache line of its own, and looks at the other's count only if what it
 * saw of it last is used up. If there is nothing to do it says that it sleeps, looks again, and sleeps, on the
 * other's count. A receiver is woken by the first block; a sender when half of the ring is free, or all of it if both
 * have the same CPU: or the two would take turns for each block.
 *
 * A sender counts each block, as the receiver may wait for it. The receiver lets the sender know of an eighth of the
 * ring at a time, and of the last block it knows of, so whoever sleeps has told all: to make a count seen costs more
 * than to copy a small block. For the same reason a receiver that has come to the end looks again for a while, or, if
 * both have the same CPU, lets the other have it first.
 */
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "futexes.h"
#include "ring.h"

enum { LINE = 64, LEAST = 1 << 20, PAUSES = 128, LOOKS = 64 };

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
	c->slot = slot_of(c->size);
}

/*
 * A sleeper says at which count of the other it sleeps, and looks again. Whoever counts then looks for sleepers. So that
 * they cannot both miss the other, each must have its own store seen before it loads. That takes a fence, which in
 * the sender would cost as much as the copy of a small block, for each of them. So the sleeper has the kernel make
 * one in both, if the kernel can: membarrier(2). Who cannot be fenced so has the other marked as one that may sleep at
 * any time, and looks closely for each block.
 */
enum { FENCE_IN_ALL = 1 << 1, LET_ME_BE_FENCED = 1 << 2 };
#define ASLEEP(count) ((uint64_t)1 << 32 | (count))
#define MAY_SLEEP ((uint64_t)1 << 33)

static bool membarrier(int what)
{
	return syscall(SYS_membarrier, what, 0, 0) == 0;
}

int ring_join(struct channel *c, enum side side)
{
	struct ring *r = c->ring;
	c->at = 0;
	c->until = side == SENDER ? (uint32_t)c->depth : 0;
	if (!membarrier(LET_ME_BE_FENCED))
		atomic_fetch_or(side == SENDER ? &r->receiver_sleeps : &r->sender_sleeps,
				MAY_SLEEP);
	return 0;
}

static inline bool may_sleep(const _Atomic uint64_t *sleeper)
{
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(sleeper, memory_order_relaxed);
}

static void wait_while(_Atomic uint32_t *count, uint32_t seen, _Atomic uint64_t *sleeper)
{
	for (;;) {
		atomic_fetch_or(sleeper, ASLEEP(seen));
		membarrier(FENCE_IN_ALL); /* of no use if the other side makes its own */
		if (atomic_load(count) != seen)
			break;
		futex_wait(count, seen);
	}
	atomic_fetch_and(sleeper, MAY_SLEEP);
}

/*
 * Once for each sleep, as the sleeper may not run before long. One that sleeps at COUNT itself has seen it,
 * and waits for the next: its sign must stay. What is not done for each block is kept out of what is, here and below,
 * for its registers must be saved.
 */
__attribute__((noinline)) static void wake(_Atomic uint32_t *word, uint32_t count,
					   _Atomic uint64_t *sleeper)
{
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t sign = atomic_load(sleeper);
	uint64_t asleep = sign & ~MAY_SLEEP;
	if (asleep && asleep != ASLEEP(count) &&
	    atomic_compare_exchange_strong(sleeper, &sign, sign & MAY_SLEEP))
		futex_wake(word);
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
 * On one CPU it is the sender's turn, and it fills the ring.
 *
 * Or the sender is at work on a CPU of its own: then to be woken costs it more than many blocks, and it wakes who
 * comes to the end of each handful. So who has not slept of late looks again for a while, and lets the sender get
 * ahead by half of the ring while it does: close behind it the two would fight for every cache line.
 */
static bool more_comes(const struct channel *c, const struct ring *r, uint32_t at)
{
	if (!c->apart) {
		sched_yield();
		return atomic_load_explicit(&r->sent, memory_order_acquire) != at;
	}
	if (at - c->slept_at <= c->depth / 8)
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

__attribute__((noinline)) static void wait_for_room(struct channel *c)
{
	struct ring *r = c->ring;
	uint32_t full = c->at - (uint32_t)c->depth;
	if (atomic_load_explicit(&r->received, memory_order_acquire) == full)
		wait_while(&r->received, full, &r->sender_sleeps);
	c->until = atomic_load_explicit(&r->received, memory_order_acquire) + (uint32_t)c->depth;
}

/* When the sender is told next: an eighth of the ring on (of fewer than 16, each), or at the end of what is known. */
static void tell_next(struct channel *c)
{
	uint32_t eighth = c->depth < 16 ? 1 : (uint32_t)c->depth / 8;
	uint32_t next = eighth - c->at % eighth;
	uint32_t left = c->until - c->at;
	c->tell = c->at + (left < next ? left : next);
}

__attribute__((noinline)) static void wait_for_block(struct channel *c)
{
	struct ring *r = c->ring;
	uint32_t at = c->at;
	if (atomic_load_explicit(&r->sent, memory_order_acquire) == at && !more_comes(c, r, at)) {
		wait_while(&r->sent, at, &r->receiver_sleeps);
		c->slept_at = at;
	}
	c->until = atomic_load_explicit(&r->sent, memory_order_acquire);
	tell_next(c);
}

__attribute__((noinline)) static void tell_sender(struct channel *c)
{
	struct ring *r = c->ring;
	atomic_store_explicit(&r->received, c->at, memory_order_release);
	if (c->until - c->at <= (c->apart ? c->depth / 2 : 0) && may_sleep(&r->sender_sleeps))
		wake(&r->received, c->at, &r->sender_sleeps);
	tell_next(c);
}

static inline char *slot(const struct channel *c, uint32_t at)
{
	struct ring *r = c->ring;
	return r->slots + (at & ((uint32_t)c->depth - 1)) * c->slot;
}

int ring_send(struct channel *c, char *block, size_t n)
{
	uint32_t at = c->at;
	if (at == c->until)
		wait_for_room(c);
	memcpy(slot(c, at), block, n);
	struct ring *r = c->ring;
	c->at = ++at;
	atomic_store_explicit(&r->sent, at, memory_order_release);
	if (may_sleep(&r->receiver_sleeps))
		wake(&r->sent, at, &r->receiver_sleeps);
	return 0;
}

int ring_recv(struct channel *c, char *block, size_t n)
{
	uint32_t at = c->at;
	if (at == c->until)
		wait_for_block(c);
	memcpy(block, slot(c, at), n);
	c->at = ++at;
	if (at == c->tell)
		tell_sender(c);
	return 0;
}
