/* SPDX-License-Identifier: MIT */
/* What a facility is to ipcbench: a one-way channel between two processes that fork(2) has made. */
#ifndef CMD_IPCBENCH_TRANSPORT_H
#define CMD_IPCBENCH_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two ends of a channel, each a process. */
enum side { SENDER, RECEIVER };

/* What a facility can do. */
enum {
	CARRIES = 1 << 0,    /* data; without it a channel can only say "go on" */
	BOUNDARIES = 1 << 1, /* what is sent in one piece is received in one piece */
	BOTH_WAYS = 1 << 2,  /* one channel serves both directions */
	PRIORITY = 1 << 3,   /* messages may overtake each other, by priority or type */
};

struct channel {
	const struct transport *is;
	size_t size;     /* of every block */
	int fd[4];       /* -1: none */
	int mine;        /* of BOTH_WAYS: the descriptor of this side, see channel_join() */
	int id;          /* System V */
	int warden, tie; /* who removes it: see warden.h */
	void *mem;       /* shared by both, mapped */
	size_t mem_size;
	uint64_t depth; /* blocks that fit in, 0: not known */
	uint64_t sent, received;
	void *ring;        /* see ring.h */
	size_t slot;       /* of the ring, in bytes */
	uint32_t at;       /* how many blocks this side of the ring has sent or received */
	uint32_t until;    /* at which it has to look at the other's count */
	uint32_t tell;     /* at which the receiver tells its own */
	uint32_t slept_at; /* at which the receiver slept last */
	bool apart;        /* the sides have a CPU each */
	void *extra;
	char why[320]; /* it cannot be: why, and what to do */
};

/*
 * open(): before the fork, for blocks of c->size bytes. Whatever has a name loses it here already. -1 and
 * c->why if it cannot be.
 * join(): in each of the two processes, before anything is sent. May be NULL.
 * leave(): in the parent, when both processes are there. May be NULL.
 * send() and recv(): a whole block; 0 or -errno. The CHANNEL_HEAD bytes before a block belong to the transport.
 * close(): in the parent, when both have ended. May be NULL.
 */
struct transport {
	const char *about; /* for --list */
	unsigned caps;
	int (*open)(struct channel *c);
	int (*join)(struct channel *c, enum side side);
	void (*leave)(struct channel *c);
	int (*send)(struct channel *c, char *block, size_t n);
	int (*recv)(struct channel *c, char *block, size_t n);
	void (*close)(struct channel *c);
	size_t (*largest)(void); /* bytes of a block; NULL: CHANNEL_LARGEST */
};

enum { CHANNEL_HEAD = 16 };
#define CHANNEL_LARGEST ((size_t)64 << 20)

struct facility {
	const char *name;
	const struct transport *is;
};

/* All there are, in order; a NULL name ends them. */
const struct facility *facilities(void);
/* NULL: none of this name. */
const struct facility *facility_named(const char *name);
size_t facility_largest(const struct facility *f);

/* 0, or -1 and c->why. */
int channel_open(struct channel *c, const struct transport *is, size_t size);
int channel_join(struct channel *c, enum side side);
void channel_close(struct channel *c);

/* --- for transports --- */

/* It cannot be, and why: -1. */
__attribute__((format(printf, 2, 3))) int refuse(struct channel *c, const char *format, ...);
/* The same for what the system said: "cannot WHAT: errno"; and advice, if not NULL. */
int refuse_errno(struct channel *c, const char *what, const char *advice);
/* Memory that both sides share, zeroed: c->mem. 0, or -1 and c->why. */
int share_memory(struct channel *c, size_t size);
void unshare_memory(struct channel *c);
/* A file without a name in $TMPDIR. A descriptor, or -1 and c->why. */
int nameless_file(struct channel *c);
/* What the kernel allows, a number in FILE; 0: no such file. */
uint64_t kernel_limit(const char *file);

/* All of a block through a descriptor. */
int write_block(int fd, const char *block, size_t n);
int read_block(int fd, char *block, size_t n);
/* As one message. */
int write_whole(int fd, const char *block, size_t n);
int read_whole(int fd, char *block, size_t n);
/* send() and recv() through c->mine, as a stream and as messages. */
int mine_write_block(struct channel *c, char *block, size_t n);
int mine_read_block(struct channel *c, char *block, size_t n);
int mine_write_whole(struct channel *c, char *block, size_t n);
int mine_read_whole(struct channel *c, char *block, size_t n);

#endif
