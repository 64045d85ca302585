/* SPDX-License-Identifier: MIT */
/*
 * A ledger of debts, for permits that the kernel does not give back when their owner is killed.
 *
 * Beside the semaphore lies a file with 1024 slots. Each debt has one, and its debtor has locked
 * the byte 4096+i with fcntl(F_OFD_SETLK) on a descriptor that its children inherit. Whoever gets
 * the lock of a slot that is in use knows by that: debtor and heirs are gone; and settles.
 *
 *   state     if its lock can be had, then
 *   FREE      nothing is owed
 *   CLAIMED   nothing has been taken yet: it becomes FREE
 *   TAKING    the permit was or was not taken: in doubt, unless take() has left a note
 *   HOLDING   the permit is given back
 *   GIVING    it was or was not given back: in doubt
 *   LENDING   a permit of the debtor's own was or was not lent: in doubt
 *   LENT      one is taken from the semaphore, for the debtor has it no longer; a note says it has been
 *
 * In doubt nothing is given back: one permit too few is better than one too many. The slot stays
 * as it is until sync_escrow_settle() is told to clear it.
 * Byte 0 is the queue of those who wait; byte 1 is held while the file's name is removed.
 */
#ifndef LIBSYNC_ESCROW_H
#define LIBSYNC_ESCROW_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "guard.h"
#include "internal.h"

#define SYNC_DEBTS 1024

enum {
	SYNC_DEBT_FREE,
	SYNC_DEBT_CLAIMED,
	SYNC_DEBT_TAKING,
	SYNC_DEBT_HOLDING,
	SYNC_DEBT_GIVING,
	SYNC_DEBT_LENDING,
	SYNC_DEBT_LENT,
};

struct sync_debt {
	_Atomic uint32_t state;
	_Atomic uint32_t count; /* permits */
	_Atomic uint32_t pid;   /* for people who look; it proves nothing */
	unsigned char note;     /* which permit, if they differ; not 0: it has been taken */
	unsigned char unused[3];
};

struct sync_ledger {
	char magic[8];
	uint64_t dev, ino;        /* of the semaphore: another one of its name has another ledger */
	_Atomic uint32_t news;    /* futex: counts claims */
	_Atomic uint32_t removed; /* the semaphore has no name any more */
	uint32_t unused[8];
	struct sync_debt debt[SYNC_DEBTS];
};
_Static_assert(sizeof(struct sync_ledger) == 64 + 16 * SYNC_DEBTS, "a file format");

/*
 * The thing that permits are taken from. take(): one; -EAGAIN there is none. If it leaves a note, which
 * give() gets, it must do that and take the permit in one: who is killed has done both or neither.
 * attempt(): what sync_escrow_wait() was asked for, WHAT; -EAGAIN. await(): the same, until it can be had; -ETIMEDOUT.
 */
struct sync_escrow_ops {
	int (*take)(void *arg, unsigned char *note);
	int (*give)(void *arg, unsigned count, unsigned char note);
	void (*wake)(void *arg);
	int (*attempt)(void *arg, unsigned what);
	int (*await)(void *arg, unsigned what, const struct timespec *deadline);
};

struct sync_escrow {
	/* Set by the user before open(). */
	const struct sync_escrow_ops *ops;
	void *arg;
	const char *path;      /* the ledger's */
	const char *of_path;   /* the semaphore's */
	struct sync_map *maps; /* all that has to be guarded; leads to map */
	/* Ours. */
	int fd; /* the debts of this handle belong to it; -1: not open */
	struct stat file;
	struct sync_map map;
	uint64_t mine[SYNC_DEBTS / 64];
	int lent; /* the slot of a permit that was lent, plus 1; 0: none was */
};

static inline struct sync_ledger *sync_escrow_ledger(const struct sync_escrow *e)
{
	return e->map.addr;
}

/*
 * Open the ledger of the semaphore OF, or with CREATE make it; that of an earlier semaphore of this
 * name is removed then. -ENOENT; -EIDRM this semaphore itself is not the one of that name any more;
 * -EUCLEAN; -EPERM others could have written in it who cannot write to the semaphore; or what the
 * kernel says.
 */
MUST_CHECK int sync_escrow_open(struct sync_escrow *e, const struct stat *of, bool create);
/* Debts stay written down; if nobody has inherited the descriptor, the next waiter settles them. */
void sync_escrow_close(struct sync_escrow *e);
/* The semaphore's name is gone: tell who waits, and remove the ledger's. */
void sync_escrow_remove(struct sync_escrow *e);

/* What follows is called under the guard of e->maps. */

/* Take one permit and owe it. As take(); -ENOSPC no slot is free. */
MUST_CHECK int sync_escrow_take(struct sync_escrow *e);
/* Give back all that is owed through this handle, whoever inherited it, but what is in KEEP, if not NULL. */
MUST_CHECK int sync_escrow_give(struct sync_escrow *e, const uint64_t *keep);

/* Give away a permit that we have without having taken it. -EUSERS no slot is free. */
MUST_CHECK int sync_escrow_lend(struct sync_escrow *e, unsigned char note);
/* Take one in its place. -EAGAIN there is none. */
MUST_CHECK int sync_escrow_reclaim(struct sync_escrow *e);
/* One that was just taken shall be in its place: nothing is owed for either then. */
void sync_escrow_cancel_loan(struct sync_escrow *e);

/*
 * For ledgers that go when nobody uses them. join(): be one of its users, and those who inherit the
 * descriptor too; -ESTALE it has just gone. leave(): be none any more, none of the heirs either; if nobody is, settle all, and
 * unless a debt remains that could still be settled, remove the name.
 */
MUST_CHECK int sync_escrow_join(struct sync_escrow *e);
void sync_escrow_leave(struct sync_escrow *e);

/*
 * Remove the name of a ledger whose semaphore is gone, with the debts in it, if it is the file INO; unless FORCE,
 * under all its locks: -EBUSY somebody uses it. Who comes meanwhile gets -ESTALE of join(). -ENOENT; -ESTALE.
 */
MUST_CHECK int sync_escrow_discard(const char *path, uint64_t ino, bool force);

/* Lock the thing with the number WHICH, any but 0, for this descriptor and its heirs. -EAGAIN. */
MUST_CHECK int sync_escrow_lock_other(struct sync_escrow *e, uint32_t which);
/* Wait for it. -EINTR. */
MUST_CHECK int sync_escrow_await_other(struct sync_escrow *e, uint32_t which);
void sync_escrow_unlock_other(struct sync_escrow *e, uint32_t which);

/*
 * Another open file description of the ledger, to lock the slots of others with, and the queue:
 * locks of one description never conflict, and children of ours must not inherit these.
 * -ESTALE its name leads elsewhere.
 */
MUST_CHECK int sync_escrow_peer_open(const struct sync_escrow *e);
void sync_escrow_peer_close(int peer);
/* Wait for the head of the queue, which PEER keeps. -EINTR. */
MUST_CHECK int sync_escrow_queue(int peer);

struct sync_settled {
	unsigned returned, doubtful; /* permits */
};
/* Settle what debtors who are gone have left; CLEAR what is in doubt. */
MUST_CHECK int sync_escrow_settle(struct sync_escrow *e, int peer, bool clear,
				  struct sync_settled *sum);
/* Slot I alone. -EAGAIN its debtor, or an heir, is there. */
MUST_CHECK int sync_escrow_settle_one(struct sync_escrow *e, int peer, unsigned i, bool clear,
				      struct sync_settled *sum);
/* The same when the lock has to be waited for, in two steps. -EINTR. */
MUST_CHECK int sync_escrow_await(int peer, unsigned i);
void sync_escrow_settle_awaited(struct sync_escrow *e, int peer, unsigned i, atomic_bool *done);

/*
 * Wait in the queue, and at its head for what attempt() takes; meanwhile settle each debt whose debtor ends: escrow_watch.c.
 * Closes PEER. -ETIMEDOUT; -EINTR; -EIDRM the semaphore was removed; what attempt() and await() say.
 */
MUST_CHECK int sync_escrow_wait(struct sync_escrow *e, int peer, unsigned what,
				const struct timespec *deadline);

#endif
