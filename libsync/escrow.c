/* SPDX-License-Identifier: MIT */
/* The ledger of debts: its file, its slots, and how a debt is made, paid and settled. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "escrow.h"
#include "futex.h"
#include "shmfile.h"

/* Shells and scripts number their own descriptors 3 to 9. */
#define FIRST_HELD_FD 10

/* Bytes that are locked; what the file has there does not matter. */
enum { QUEUE = 0, NAME = 1, USERS = 2, SLOTS = SYNC_SLOTS };
#define OTHERS ((off_t)1 << 40)

static const char magic[8] = "syncdbt1";

static int set_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return fcntl(fd, cmd, &l) ? -errno : 0;
}

static int lock(int fd, off_t at)
{
	return set_lock(fd, F_OFD_SETLKW, F_WRLCK, at, 1);
}

static int try_lock(int fd, off_t at)
{
	return set_lock(fd, F_OFD_SETLK, F_WRLCK, at, 1);
}

static void unlock(int fd, off_t at)
{
	(void)set_lock(fd, F_OFD_SETLK, F_UNLCK, at, 1);
}

/* ---- the file ---- */

/*
 * Remove the name if it leads to the file of FD. All who remove it hold the lock meanwhile, so none
 * of them can hit the ledger that another has made in its place. Held for moments only.
 */
static int remove_name(const char *path, int fd, const struct stat *st)
{
	int r;
	do
		r = lock(fd, NAME);
	while (r == -EINTR);
	if (r)
		return r;
	if (sync_shm_is(path, st) && unlink(path))
		r = -errno;
	unlock(fd, NAME);
	return r;
}

/*
 * A ledger makes us post. So whoever could have written in it must be somebody who may write to the
 * semaphore; a file that has its group was made by a member.
 */
static bool trusted(const struct stat *st, const struct stat *of)
{
	if (of->st_mode & S_IWOTH)
		return true;
	bool group = of->st_mode & S_IWGRP && st->st_gid == of->st_gid;
	if (st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && !group))
		return false;
	return group || st->st_uid == of->st_uid || st->st_uid == 0 || st->st_uid == geteuid();
}

/* Is FD the ledger of the semaphore OF? -ESTALE of another. */
static int examine(int fd, const struct stat *st, const struct stat *of)
{
	struct sync_ledger head;
	size_t size = offsetof(struct sync_ledger, debt);
	if (!trusted(st, of))
		return -EPERM;
	if (pread(fd, &head, size, 0) != (ssize_t)size ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0)
		return -EUCLEAN;
	return head.dev == of->st_dev && head.ino == of->st_ino ? 0 : -ESTALE;
}

/*
 * FD is another semaphore's. Only now see whether that came before ours or after: had it come
 * after, it would have had our name already when its ledger was made, and so before we looked.
 */
static int replace(const struct sync_escrow *e, int fd, const struct stat *of)
{
	int r = sync_shm_check(e->of_path, of);
	return r ? (r == -ESTALE ? -EIDRM : r) : remove_name(e->path, fd, &e->file);
}

static int open_file(struct sync_escrow *e, const struct stat *of, const struct sync_ledger *fresh)
{
	for (;;) {
		int fd = sync_shm_open(e->path, sizeof(*fresh), fresh, of, &e->file);
		if (fd < 0)
			return fd;
		int r = examine(fd, &e->file, of);
		if (!r)
			return fd;
		if (r == -ESTALE)
			r = fresh ? replace(e, fd, of) : -ENOENT;
		close(fd);
		if (r)
			return r;
	}
}

int sync_escrow_open(struct sync_escrow *e, const struct stat *of, bool create)
{
	struct sync_ledger *fresh = NULL;
	if (create) {
		fresh = calloc(1, sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
		memcpy(fresh->magic, magic, sizeof(magic));
		fresh->dev = of->st_dev;
		fresh->ino = of->st_ino;
	}
	int fd = open_file(e, of, fresh);
	free(fresh);
	if (fd < 0)
		return fd;
	/* Nobody inherits it: where the limit on open files leaves no high number a low one does, and no ledger is left. */
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HELD_FD);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	int r = sync_map_open(&e->map, fd, sizeof(struct sync_ledger));
	if (r) {
		close(fd);
		return r;
	}
	memset(e->mine, 0, sizeof(e->mine));
	e->lent = 0;
	e->fd = fd;
	return 0;
}

void sync_escrow_close(struct sync_escrow *e)
{
	if (e->fd < 0)
		return;
	sync_map_close(&e->map);
	close(e->fd);
	e->fd = -1;
}

static void tell_news(struct sync_escrow *e)
{
	struct sync_ledger *l = sync_escrow_ledger(e);
	atomic_fetch_add(&l->news, 1);
	sync_futex_wake(&l->news, INT_MAX);
}

void sync_escrow_remove(struct sync_escrow *e)
{
	atomic_store(&sync_escrow_ledger(e)->removed, 1);
	tell_news(e);
	(void)remove_name(e->path, e->fd, &e->file);
}

/* ---- slots ---- */

/* A permit too many is there for good unless one is taken; if there is none now, it stays lent. */
static int settle_loan(struct sync_escrow *e, struct sync_debt *d)
{
	int r = d->note ? 0 : e->ops->take(e->arg, &d->note);
	if (!r)
		atomic_store(&d->state, SYNC_DEBT_FREE);
	return r == -EAGAIN ? 0 : r;
}

/* Every way out of a debt. Its byte is locked by us, so nobody else has a say in it. */
static int settle_locked(struct sync_escrow *e, struct sync_debt *d, bool clear,
			 struct sync_settled *sum)
{
	uint32_t state = SYNC_DEBT_TAKING;
	unsigned count = atomic_load(&d->count);
	int r = 0;
	if (d->note)
		(void)atomic_compare_exchange_strong(&d->state, &state, SYNC_DEBT_HOLDING);
	state = SYNC_DEBT_HOLDING;
	if (atomic_compare_exchange_strong(&d->state, &state, SYNC_DEBT_GIVING)) {
		/* Killed between the line above and the store below: in doubt. */
		r = e->ops->give(e->arg, count, d->note);
		atomic_store(&d->state, r ? SYNC_DEBT_HOLDING : SYNC_DEBT_FREE);
		sum->returned += r ? 0 : count;
	} else if (state == SYNC_DEBT_CLAIMED) {
		atomic_store(&d->state, SYNC_DEBT_FREE);
	} else if (state == SYNC_DEBT_LENT) {
		r = settle_loan(e, d);
	} else if (state != SYNC_DEBT_FREE) {
		sum->doubtful += count;
		if (clear)
			atomic_store(&d->state, SYNC_DEBT_FREE);
	}
	/* Whatever the state: someone may have given and been killed before it woke anybody. */
	e->ops->wake(e->arg);
	return r;
}

int sync_escrow_settle_one(struct sync_escrow *e, int peer, unsigned i, bool clear,
			   struct sync_settled *sum)
{
	int r = try_lock(peer, SLOTS + i);
	if (r)
		return r;
	r = settle_locked(e, &sync_escrow_ledger(e)->debt[i], clear, sum);
	unlock(peer, SLOTS + i);
	return r;
}

int sync_escrow_settle(struct sync_escrow *e, int peer, bool clear, struct sync_settled *sum)
{
	struct sync_ledger *l = sync_escrow_ledger(e);
	for (unsigned i = 0; i < SYNC_DEBTS; i++) {
		if (atomic_load(&l->debt[i].state) == SYNC_DEBT_FREE)
			continue;
		int r = sync_escrow_settle_one(e, peer, i, clear, sum);
		if (r && r != -EAGAIN)
			return r;
	}
	return 0;
}

int sync_escrow_await(int peer, unsigned i)
{
	return lock(peer, SLOTS + i);
}

void sync_escrow_settle_awaited(struct sync_escrow *e, int peer, unsigned i, atomic_bool *done)
{
	struct sync_settled sum = {0, 0};
	/* It cannot be given back if the semaphore is full; then it stays owed. */
	(void)settle_locked(e, &sync_escrow_ledger(e)->debt[i], false, &sum);
	/* Before the unlock: whoever finds the slot in use again must find that we have left it. */
	atomic_store(done, true);
	unlock(peer, SLOTS + i);
}

/* ---- debts of this handle ---- */

static int claim(struct sync_escrow *e)
{
	struct sync_ledger *l = sync_escrow_ledger(e);
	for (int i = 0; i < SYNC_DEBTS; i++) {
		uint32_t state = SYNC_DEBT_FREE;
		if (atomic_load(&l->debt[i].state) != state)
			continue;
		int r = try_lock(e->fd, SLOTS + i);
		if (r == -EAGAIN)
			continue;
		if (r)
			return r;
		if (atomic_compare_exchange_strong(&l->debt[i].state, &state, SYNC_DEBT_CLAIMED))
			return i;
		/* Somebody came and went between our look and our lock. */
		unlock(e->fd, SLOTS + i);
	}
	return -EUSERS;
}

static int claim_or_settle(struct sync_escrow *e)
{
	struct sync_settled sum = {0, 0};
	int i = claim(e);
	if (i != -EUSERS)
		return i;
	int peer = sync_escrow_peer_open(e);
	if (peer < 0)
		return peer;
	int r = sync_escrow_settle(e, peer, false, &sum);
	sync_escrow_peer_close(peer);
	return r ? r : claim(e);
}

static int open_debt(struct sync_escrow *e)
{
	int i = claim_or_settle(e);
	if (i < 0)
		return i;
	struct sync_debt *d = &sync_escrow_ledger(e)->debt[i];
	atomic_store(&d->count, 1);
	atomic_store(&d->pid, (uint32_t)getpid());
	d->note = 0;
	/* Who watches must have seen this slot before there is something in it to lose. */
	tell_news(e);
	return i;
}

int sync_escrow_take(struct sync_escrow *e)
{
	int i = open_debt(e);
	if (i < 0)
		return i;
	struct sync_debt *d = &sync_escrow_ledger(e)->debt[i];
	/*
	 * The residual window: who is killed between these two stores leaves it in doubt whether
	 * the permit was taken, unless take() leaves a note of it.
	 */
	atomic_store(&d->state, SYNC_DEBT_TAKING);
	int r = e->ops->take(e->arg, &d->note);
	atomic_store(&d->state, r ? SYNC_DEBT_FREE : SYNC_DEBT_HOLDING);
	if (r)
		unlock(e->fd, SLOTS + i);
	else
		e->mine[i / 64] |= UINT64_C(1) << (i % 64);
	return r;
}

int sync_escrow_give(struct sync_escrow *e, const uint64_t *keep)
{
	struct sync_settled sum = {0, 0};
	int result = 0;
	for (unsigned i = 0; i < SYNC_DEBTS; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);
		if (!(e->mine[i / 64] & bit) || (keep && keep[i / 64] & bit))
			continue;
		/*
		 * It is locked through this descriptor already, unless another process with a
		 * copy of this handle has given it back: then this is like any other's slot.
		 * The unlock takes it from all who have inherited the descriptor.
		 */
		int r = sync_escrow_settle_one(e, e->fd, i, false, &sum);
		if (!r || r == -EAGAIN)
			e->mine[i / 64] &= ~bit;
		else
			result = r;
	}
	return result;
}

/* ---- loans ---- */

int sync_escrow_lend(struct sync_escrow *e, unsigned char note)
{
	int i = open_debt(e);
	if (i < 0)
		return i;
	struct sync_debt *d = &sync_escrow_ledger(e)->debt[i];
	/* Who is killed between these two stores leaves it in doubt whether there is one too many. */
	atomic_store(&d->state, SYNC_DEBT_LENDING);
	int r = e->ops->give(e->arg, 1, note);
	atomic_store(&d->state, r ? SYNC_DEBT_FREE : SYNC_DEBT_LENT);
	if (r)
		unlock(e->fd, SLOTS + i);
	else
		e->lent = i + 1;
	return r;
}

static void end_loan(struct sync_escrow *e)
{
	int i = e->lent - 1;
	atomic_store(&sync_escrow_ledger(e)->debt[i].state, SYNC_DEBT_FREE);
	unlock(e->fd, SLOTS + i);
	e->lent = 0;
}

int sync_escrow_reclaim(struct sync_escrow *e)
{
	if (!e->lent)
		return 0;
	int r = e->ops->take(e->arg, &sync_escrow_ledger(e)->debt[e->lent - 1].note);
	if (!r)
		end_loan(e);
	return r;
}

void sync_escrow_cancel_loan(struct sync_escrow *e)
{
	for (unsigned i = 0; e->lent && i < SYNC_DEBTS; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);
		if (!(e->mine[i / 64] & bit))
			continue;
		/* In this order a kill in between loses one permit, and does not add one. */
		atomic_store(&sync_escrow_ledger(e)->debt[i].state, SYNC_DEBT_FREE);
		unlock(e->fd, SLOTS + i);
		e->mine[i / 64] &= ~bit;
		end_loan(e);
	}
}

/* ---- users ---- */

int sync_escrow_join(struct sync_escrow *e)
{
	int r;
	do
		r = set_lock(e->fd, F_OFD_SETLKW, F_RDLCK, USERS, 1);
	while (r == -EINTR); /* held by others for moments only */
	return r ? r : sync_shm_check(e->path, &e->file);
}

static bool is_settled(struct sync_escrow *e)
{
	for (unsigned i = 0; i < SYNC_DEBTS; i++) {
		uint32_t state = atomic_load(&sync_escrow_ledger(e)->debt[i].state);
		if (state == SYNC_DEBT_HOLDING || state == SYNC_DEBT_LENT)
			return false;
	}
	return true;
}

/* One after the other, else two who go at once would each take the other for one who stays. */
void sync_escrow_leave(struct sync_escrow *e)
{
	struct sync_settled sum = {0, 0};
	int r;
	do
		r = lock(e->fd, NAME);
	while (r == -EINTR);
	if (!r && !try_lock(e->fd, USERS) && !sync_escrow_settle(e, e->fd, false, &sum) &&
	    is_settled(e) && sync_shm_is(e->path, &e->file))
		(void)unlink(e->path);
	(void)set_lock(e->fd, F_OFD_SETLK, F_UNLCK, 0, 0);
}

int sync_escrow_discard(const char *path, uint64_t ino, bool force)
{
	struct stat st;
	int fd = sync_shm_open(path, sizeof(struct sync_ledger), NULL, NULL, &st);
	if (fd < 0)
		return fd;
	int r = st.st_ino == ino ? 0 : -ESTALE;
	if (!r && !force)
		r = set_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0);
	if (!r && !sync_shm_is(path, &st))
		r = -ESTALE;
	if (!r && unlink(path))
		r = -errno;
	close(fd);
	return r == -EAGAIN ? -EBUSY : r;
}

int sync_escrow_lock_other(struct sync_escrow *e, uint32_t which)
{
	return try_lock(e->fd, OTHERS + which);
}

int sync_escrow_await_other(struct sync_escrow *e, uint32_t which)
{
	return lock(e->fd, OTHERS + which);
}

void sync_escrow_unlock_other(struct sync_escrow *e, uint32_t which)
{
	unlock(e->fd, OTHERS + which);
}

/* ---- peers ---- */

int sync_escrow_peer_open(const struct sync_escrow *e)
{
	struct stat st;
	int fd = sync_shm_open(e->path, sizeof(struct sync_ledger), NULL, NULL, &st);
	if (fd == -ENOENT)
		return -ESTALE;
	if (fd >= 0 && (st.st_dev != e->file.st_dev || st.st_ino != e->file.st_ino)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

void sync_escrow_peer_close(int peer)
{
	/* A child that another thread has forked meanwhile may have the descriptor till it execs. */
	(void)set_lock(peer, F_OFD_SETLK, F_UNLCK, 0, 0);
	close(peer);
}

int sync_escrow_queue(int peer)
{
	return lock(peer, QUEUE);
}
