/* SPDX-License-Identifier: MIT */
/*
 * Facilities that do it wrong, for tests/ipcbench.t: linked with the rest of syncbox they take the place of its
 * list. Each is a pipe, but for one block: number 5, which with -n 10 is among those that are checked whole, or
 * number 15, which is among the timed ones (11 a pass: after each comes one more).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "transport.h"

extern const struct transport transport_pipe;

static int open_pipe(struct channel *c)
{
	return transport_pipe.open(c);
}

static int pass_on(struct channel *c, char *block, size_t n)
{
	return transport_pipe.send(c, block, n);
}

static int receive(struct channel *c, char *block, size_t n)
{
	return transport_pipe.recv(c, block, n);
}

static int corrupt_at(struct channel *c, char *block, size_t n, uint64_t number)
{
	if (c->sent++ == number)
		block[n - 1] ^= 1;
	return pass_on(c, block, n);
}

static int drop_at(struct channel *c, char *block, size_t n, uint64_t number)
{
	return c->sent++ == number ? 0 : pass_on(c, block, n);
}

static int double_at(struct channel *c, char *block, size_t n, uint64_t number)
{
	int r = c->sent++ == number ? pass_on(c, block, n) : 0;
	return r ? r : pass_on(c, block, n);
}

/* The block is kept until the next has passed. */
static int swap_at(struct channel *c, char *block, size_t n, uint64_t number)
{
	static char kept[8192];
	if (c->sent++ == number) {
		memcpy(kept, block, n);
		return 0;
	}
	int r = pass_on(c, block, n);
	return !r && c->sent - 2 == number ? pass_on(c, kept, n) : r;
}

/* Never comes back, and says that it has been called. */
static int hang(struct channel *c, char *block, size_t n)
{
	close(open("hangs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	return transport_pipe.recv(c, block, n + 1);
}

static int send_nothing(struct channel *c, char *block, size_t n)
{
	(void)c, (void)block, (void)n;
	return 0;
}

static const struct transport stuck = {
	.about = "hangs",
	.caps = CARRIES,
	.open = open_pipe,
	.send = send_nothing,
	.recv = hang,
};

#define FAULTY(name, fault, number)                                                                \
	static int send_##name(struct channel *c, char *block, size_t n)                           \
	{                                                                                          \
		return fault(c, block, n, number);                                                 \
	}                                                                                          \
	static const struct transport name = {                                                     \
		.about = "does it wrong",                                                          \
		.caps = CARRIES,                                                                   \
		.open = open_pipe,                                                                 \
		.send = send_##name,                                                               \
		.recv = receive,                                                                   \
	};

FAULTY(right, drop_at, UINT64_MAX)
FAULTY(corrupt, corrupt_at, 5)
FAULTY(drop, drop_at, 5)
FAULTY(twice, double_at, 5)
FAULTY(swap, swap_at, 5)
FAULTY(late_drop, drop_at, 15)
FAULTY(late_twice, double_at, 15)
FAULTY(late_swap, swap_at, 15)
FAULTY(last_drop, drop_at, 20)

static const struct facility faulty[] = {
	{"right", &right},
	{"corrupt", &corrupt},
	{"drop", &drop},
	{"twice", &twice},
	{"swap", &swap},
	{"late-drop", &late_drop},
	{"late-twice", &late_twice},
	{"late-swap", &late_swap},
	{"last-drop", &last_drop},
	{"stuck", &stuck},
	{NULL, NULL},
};

extern const struct facility *const other_facilities;
const struct facility *const other_facilities = faulty;
