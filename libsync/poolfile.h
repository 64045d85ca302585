/* SPDX-License-Identifier: MIT */
/*
 * The file of a pool, which people can read:
 *
 *	  0	"syncbox pool v1\n"
 *	 16	"N = 0016 (0016)\n"	the size, twice: who reads while it is written sees two numbers, and
 *				reads again
 *	 32	"wake 00...1f semwait(1)...\n"	the inode of FILE.wake, see below
 *	 64	the record of slot 0: 64 bytes of text, for people only; then that of slot 1 ...
 *
 * What counts are record locks on it (open file descriptions), which the kernel drops with the last
 * descriptor, whatever happens to its owners. They lie where the bytes need not exist:
 *
 *	  0	QUEUE	who waits, in line; its holder is the head
 *	  2	GATE	for the moment in which slots are looked at and taken
 *	  4	WAITS	the head really waits: those that try once must not overtake it
 *	  6	CONFIG	for the moment in which the size is changed
 *	  4096+i	slot i is taken
 *
 * The first four are not neighbours: the kernel makes one lock of neighbouring ones, and whenever such
 * a lock grows or shrinks it wakes all who wait for any of it, who then have to queue up again.
 *
 * Beside the file is a directory, FILE.wake, with a FIFO for each slot that was ever taken. Who takes a
 * slot opens its FIFO and hands both descriptors on; so the head can poll for all slots at once. It is
 * closed with the lock, just behind it. The FIFOs speed things up: what has none is waited for by a thread.
 * Who shares the file but not the directory (a container with another FILE.wake) finds no writers in its
 * FIFOs, and so waits by threads; one of them sleeps on the size, by futex. The size can only be changed
 * where the directory is the one that the file names.
 */
#ifndef LIBSYNC_POOLFILE_H
#define LIBSYNC_POOLFILE_H

#include "internal.h"

enum {
	POOL_MAX = 4096,
	POOL_QUEUE = 0,
	POOL_GATE = 2,
	POOL_WAITS = 4,
	POOL_CONFIG = 6,
	POOL_SLOTS = SYNC_SLOTS,
};

/* The FIFO that is opened and closed again whenever the head shall look at everything anew. */
#define POOL_TURN POOL_MAX

/* Open the pool at PATH, or make it; a descriptor numbered 10 or above, or -errno. */
MUST_CHECK int sync_poolfile_open(const char *path, const struct sync_sem_opts *opts);
/* Only open it, as sync_poolfile_open() does. */
MUST_CHECK int sync_poolfile_again(const char *path);
/* 0; -ESTALE PATH leads to another file than FD. */
MUST_CHECK int sync_poolfile_check(const char *path, int fd);

struct sync_poolinfo {
	unsigned size;
	uint32_t word; /* the size as the futex sees it */
	uint64_t wake; /* inode of FILE.wake; 0: there was none */
};

MUST_CHECK int sync_poolfile_info(int fd, struct sync_poolinfo *info);
/* The page of the file that holds the size, for the futex; NULL. */
void *sync_poolfile_map(int fd);
void sync_poolfile_unmap(void *page);
/* Sleep until the size is not what WORD says, or perhaps is not. */
MUST_CHECK int sync_poolfile_await_size(void *page, uint32_t word);
/*
 * -EXDEV: this is not where its FIFOs are, and somebody may wait by them. With NOBODY_WAITS (the caller has
 * QUEUE) these here will be its FIFOs from now on.
 */
MUST_CHECK int sync_poolfile_resize(const char *path, int fd, unsigned size, bool nobody_waits);
/* Write down, for people, who took a slot. */
void sync_poolfile_record(int fd, unsigned slot, const char *label);
MUST_CHECK int sync_poolfile_unlink(const char *path);

/* The directory of FIFOs; made if it is missing; -errno if that cannot be. */
int sync_poolfile_wake_dir(const char *path);
/* Is that directory the one that the pool's other users have, too? */
bool sync_poolfile_shares_wake(int dir, int fd);
/* Open the FIFO of a slot below that directory, with these open(2) flags; make it if it is missing. */
int sync_poolfile_fifo(int dir, unsigned slot, int flags);

/*
 * Have the head of the line look at everything anew, when it ends; or when who began it is killed: so it is
 * begun before anything is given back. -errno, which end_turn() takes as well.
 */
int sync_poolfile_begin_turn(const char *path);
void sync_poolfile_end_turn(const char *path, int turn);
/* Who holds a slot does this before giving it back with heirs about, who keep its FIFO open. */
void sync_poolfile_drop_fifo(const char *path, unsigned slot);

/* Set the lock on bytes FIRST to LAST; -EAGAIN busy. With WAIT, block: -EINTR. */
MUST_CHECK int sync_poolfile_lock(int fd, unsigned first, unsigned last, enum sync_mode mode,
				  bool wait);
/* Is a lock on one of the bytes held by another open file description? */
bool sync_poolfile_is_held(int fd, unsigned first, unsigned last);
/* How many of so many slots are held by other descriptions; or -errno. */
MUST_CHECK int sync_poolfile_count(int fd, unsigned size, unsigned *held);
/* Does another description hold it by one lock with the byte before? */
bool sync_poolfile_is_held_with(int fd, unsigned byte);

#endif
