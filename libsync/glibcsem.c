/* SPDX-License-Identifier: MIT */
/* The operations on glibc's semaphores, with atomics and futex(2). */
#include "futex.h"
#include "glibcsem.h"

#define ONE_WAITER (UINT64_C(1) << 32)

int sync_glibcsem_check(const struct glibcsem *s)
{
	bool good = s->shared == GLIBCSEM_SHARED && sync_glibcsem_value(s) <= GLIBCSEM_MAX;
	return good ? 0 : -EUCLEAN;
}

static unsigned value_of(uint64_t data)
{
	return (uint32_t)data;
}

unsigned sync_glibcsem_value(const struct glibcsem *s)
{
	return value_of(atomic_load(&s->data));
}

unsigned sync_glibcsem_waiters(const struct glibcsem *s)
{
	return (unsigned)(atomic_load(&s->data) / ONE_WAITER);
}

int sync_glibcsem_take(struct glibcsem *s)
{
	uint64_t data = atomic_load(&s->data);
	do
		if (!value_of(data))
			return -EAGAIN;
	while (!atomic_compare_exchange_weak(&s->data, &data, data - 1));
	return 0;
}

int sync_glibcsem_add(struct glibcsem *s, unsigned count, unsigned max)
{
	uint64_t data = atomic_load(&s->data);
	do {
		unsigned value = value_of(data);
		if (count > GLIBCSEM_MAX || value > GLIBCSEM_MAX - count)
			return -EOVERFLOW;
		if (max && value + count > max)
			return -EAGAIN;
	} while (!atomic_compare_exchange_weak(&s->data, &data, data + count));
	return 0;
}

void sync_glibcsem_wake(struct glibcsem *s, unsigned count)
{
	/* Who counts himself after this look finds the value that was there before it. */
	if (sync_glibcsem_waiters(s))
		sync_futex_wake(&s->data, count); /* little-endian: the value comes first */
}

void sync_glibcsem_enter(struct glibcsem *s)
{
	atomic_fetch_add(&s->data, ONE_WAITER);
}

int sync_glibcsem_sleep(struct glibcsem *s, const struct timespec *deadline)
{
	int r = sync_futex_wait(&s->data, 0, deadline);
	return r == -EAGAIN ? 0 : r == -EFAULT ? -EUCLEAN : r;
}

void sync_glibcsem_leave(struct glibcsem *s)
{
	uint64_t data = atomic_load(&s->data);
	/* In a file that was cut off and has grown again nobody is counted. */
	while (data >= ONE_WAITER &&
	       !atomic_compare_exchange_weak(&s->data, &data, data - ONE_WAITER))
		;
}
