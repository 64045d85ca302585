/* SPDX-License-Identifier: MIT */
/* What the head of a pool's line waits for: any of many slots to come back, or a new size. */
#ifndef LIBSYNC_POOLWATCH_H
#define LIBSYNC_POOLWATCH_H

#include "internal.h"
#include "probe.h"

struct sync_poolwatch {
	const char *path;
	int fd; /* to look at locks with */
	bool begun;
	int dir;       /* of the FIFOs; negative: none */
	int turn;      /* the FIFO that tells of a new size; -1 */
	int *fifos;    /* by slot; -1 */
	unsigned room; /* in fifos */
	bool turned;   /* there may be a new size */
	bool apart;    /* others have other FIFOs: the size is watched by a thread */
	struct sync_probes *probes;
};

/* Begin, unless begun. The size is to be read after this: no later change goes unnoticed. */
void sync_poolwatch_begin(struct sync_poolwatch *w, const char *path, int fd);
/* Whenever the size was read, this is what it was (sync_poolinfo.word). */
MUST_CHECK int sync_poolwatch_size(struct sync_poolwatch *w, uint32_t word);
/*
 * Watch this slot, unless it is watched. It may have come back before this: look at it afterwards. Call it for
 * slots in ascending order: one that is owned together with the one before needs no watch of its own.
 */
MUST_CHECK int sync_poolwatch_slot(struct sync_poolwatch *w, unsigned slot);
/* Sleep until something has happened. 0, -ETIMEDOUT, -EINTR. */
MUST_CHECK int sync_poolwatch_sleep(struct sync_poolwatch *w, const struct timespec *deadline);
/* Is the size to be read again? */
bool sync_poolwatch_turned(struct sync_poolwatch *w);
/* The number of a slot that a thread has locked, or -1; it stays so until sync_poolwatch_give_up(). */
int sync_poolwatch_won(struct sync_poolwatch *w);
void sync_poolwatch_give_up(struct sync_poolwatch *w, unsigned slot);
/* With LEAVE all is left to an exec or exit that follows at once. */
void sync_poolwatch_end(struct sync_poolwatch *w, bool leave);

#endif
