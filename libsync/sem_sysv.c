/* SPDX-License-Identifier: MIT */
/*
 * System V semaphores. One that we make is a set of three: the permits, a tag, and the number of
 * permits that it was made with.
 *
 * A new set begins with zeros, and whoever makes it may be killed before it has set it up. So it is
 * not the maker who sets it up but whoever comes first, in one semop that the kernel does as a whole
 * or not at all: "if the tag is 0, set tag, size and permits". Nobody waits for a maker, and no
 * set is ever seen half set up.
 *
 * Names hash to a key of 32 bits; the tag has 15 more, so that a collision is noticed.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

#include "internal.h"
#include "label.h"

enum { PERMITS, TAG, SIZE, MEMBERS };

#define SEMVMX 32767

struct sem_sysv {
	struct sync_sem base;
	int id;
	bool foreign;   /* no tag, and no size */
	unsigned owned; /* taken with SEM_UNDO, */
	pid_t owner;    /* by this process: its children own nothing */
};

static struct sem_sysv *cast(struct sync_sem *sem)
{
	return (struct sem_sysv *)sem;
}

/* ---- open ---- */

static int get_value(int id, int member)
{
	int value = semctl(id, member, GETVAL);
	/* A set can go at any moment; its number is then invalid. */
	return value >= 0 ? value : errno == EINVAL ? -EIDRM : -errno;
}

/* 0, also if somebody else has done it meanwhile. */
static int set_up(int id, int tag, unsigned initial)
{
	struct sembuf ops[] = {
		{TAG, 0, IPC_NOWAIT},
		{TAG, (short)tag, IPC_NOWAIT},
		/* To add nothing means to wait for zero: true here. */
		{SIZE, (short)initial, IPC_NOWAIT},
		{PERMITS, (short)initial, IPC_NOWAIT},
	};
	if (!semop(id, ops, sizeof(ops) / sizeof(ops[0])) || errno == EAGAIN)
		return 0;
	return errno == EINVAL ? -EIDRM : -errno;
}

/* What was found under a key: ours and set up, foreign, or -errno. */
static int examine(struct sem_sysv *s, const struct sync_sysv_name *a,
		   const struct sync_sem_opts *opts)
{
	int tag = get_value(s->id, TAG);
	if (tag == -EIDRM && !a->by_key)
		return tag;
	s->foreign = a->by_key && tag != a->tag && tag != 0;
	if (tag == a->tag || s->foreign)
		return tag == -EACCES ? tag : 0;
	if (tag < 0)
		return tag;
	if (tag)
		return -EEXIST;
	/* Its maker was killed, or just now makes it; unless it is not of our kind, or in use. */
	struct semid_ds ds;
	if (semctl(s->id, 0, IPC_STAT, &ds))
		return errno == EINVAL ? -EIDRM : -errno;
	if (ds.sem_nsems != MEMBERS || ds.sem_otime) {
		/* Or somebody else has set it up since. */
		if (get_value(s->id, TAG) == a->tag)
			return 0;
		s->foreign = a->by_key;
		return a->by_key ? 0 : -EEXIST;
	}
	return opts->flags & SYNC_SEM_CREATE ? set_up(s->id, a->tag, opts->initial) : -ENOENT;
}

/* The sets of others may have a single member. */
static int find(const struct sync_sysv_name *a)
{
	int id = semget((key_t)a->key, a->by_key ? 1 : MEMBERS, 0);
	if (id < 0 && errno == EINVAL)
		return -EEXIST; /* a smaller set */
	return id < 0 ? -errno : id;
}

static int make(const char *name, const struct sync_sysv_name *a, const struct sync_sem_opts *opts)
{
	mode_t mode = opts->mode ? opts->mode & 0777 : 0600; /* the umask does not count here */
	int id = semget((key_t)a->key, MEMBERS, IPC_CREAT | IPC_EXCL | (int)mode);
	if (id < 0)
		return -errno;
	if (!a->by_key)
		sync_label_set(name, a->key);
	return id;
}

static int find_or_make(struct sem_sysv *s, const char *name, const struct sync_sysv_name *a,
			const struct sync_sem_opts *opts)
{
	for (;;) {
		int r = find(a);
		if (r == -ENOENT && opts->flags & SYNC_SEM_CREATE)
			r = make(name, a, opts);
		if (r == -EEXIST && opts->flags & SYNC_SEM_CREATE && find(a) != -EEXIST)
			continue; /* made by somebody else just now */
		if (r < 0)
			return r;
		s->id = r;
		r = examine(s, a, opts);
		if (r != -EIDRM)
			return r; /* not removed meanwhile */
	}
}

static int sysv_open(struct sync_sem *sem, const char *rest, const struct sync_sem_opts *opts)
{
	struct sem_sysv *s = cast(sem);
	struct sync_sysv_name a;
	int r = sync_name_sysv(rest, &a);
	if (r)
		return r;
	if (!a.by_id)
		return find_or_make(s, rest, &a, opts);
	s->id = a.id;
	s->foreign = true;
	r = get_value(s->id, PERMITS);
	if (r == -EIDRM)
		r = opts->flags & SYNC_SEM_CREATE ? -ENXIO : -ENOENT;
	return r < 0 ? r : 0;
}

static void sysv_close(struct sync_sem *sem)
{
	(void)sem; /* what was taken with SEM_UNDO is the process's, not the handle's */
}

/* ---- wait, post ---- */

static int operate(struct sem_sysv *s, struct sembuf *ops, size_t n,
		   const struct timespec *deadline)
{
	struct timespec left;
	bool now = deadline && !sync_deadline_left(deadline, &left);
	if (now)
		ops[0].sem_flg |= IPC_NOWAIT;
	/* Without a timeout semop: a system call that seccomp filters and valgrind know longer. */
	int r = !deadline || now ? semop(s->id, ops, n) : semtimedop(s->id, ops, n, &left);
	if (!r)
		return 0;
	switch (errno) {
	case EAGAIN:
		return -ETIMEDOUT;
	case EINVAL:
		return -EIDRM; /* removed before we came: its number is no longer valid */
	default:
		return -errno;
	}
}

static int sysv_wait(struct sync_sem *sem, unsigned count, unsigned flags,
		     const struct timespec *deadline)
{
	struct sem_sysv *s = cast(sem);
	bool owned = flags & SYNC_SEM_OWNED;
	struct sembuf op = {PERMITS, (short)-(int)count, owned ? SEM_UNDO : 0};
	int r = operate(s, &op, 1, deadline);
	if (!r && owned) {
		pid_t self = getpid();
		s->owned = count + (s->owner == self ? s->owned : 0);
		s->owner = self;
	}
	return r;
}

static int sysv_wait_zero(struct sync_sem *sem, const struct timespec *deadline)
{
	struct sembuf op = {PERMITS, 0, 0};
	return operate(cast(sem), &op, 1, deadline);
}

/*
 * The kernel refuses what would pass SEMVMX, operation by operation, before anything is done. With
 * MAX we lift the value by SEMVMX - MAX for the moment, so that it refuses what would pass MAX.
 */
static int sysv_post(struct sync_sem *sem, unsigned count, unsigned max)
{
	int lift = max ? SEMVMX - (int)max : 0;
	struct sembuf ops[] = {
		{PERMITS, (short)((int)count + lift), IPC_NOWAIT},
		{PERMITS, (short)-lift, IPC_NOWAIT},
	};
	int r = operate(cast(sem), ops, lift ? 2 : 1, NULL);
	if (r == -ERANGE)
		return max ? -EAGAIN : -EOVERFLOW;
	return r;
}

static int sysv_release(struct sync_sem *sem)
{
	struct sem_sysv *s = cast(sem);
	if (!s->owned || s->owner != getpid())
		return 0;
	struct sembuf op = {PERMITS, (short)s->owned, SEM_UNDO};
	int r = operate(s, &op, 1, NULL);
	if (!r)
		s->owned = 0;
	return r;
}

/* ---- look, remove ---- */

static int sysv_state(struct sync_sem *sem, struct sync_sem_state *out)
{
	const struct sem_sysv *s = cast(sem);
	int value = get_value(s->id, PERMITS);
	int size = s->foreign ? 0 : get_value(s->id, SIZE);
	int waiters = semctl(s->id, PERMITS, GETNCNT);
	int last = semctl(s->id, PERMITS, GETPID);
	if (value < 0)
		return value;
	*out = (struct sync_sem_state){
		.value = (unsigned)value,
		.capacity = size > 0 ? (unsigned)size : 0,
		.waiters = waiters > 0 ? (unsigned)waiters : 0,
		.last = last > 0 ? last : 0,
	};
	return 0;
}

static int sysv_unlink(struct sync_sem *sem)
{
	int id = cast(sem)->id;
	struct semid_ds ds;
	bool known = !semctl(id, 0, IPC_STAT, &ds);
	if (semctl(id, 0, IPC_RMID))
		return errno == EINVAL ? -ENOENT : -errno;
	if (known)
		sync_label_drop((uint32_t)ds.sem_perm.__key, ds.sem_perm.cuid);
	return 0;
}

const struct sync_sem_ops sync_sem_sysv = {
	.name = "sysv",
	.caps = SYNC_CAP_OWN | SYNC_CAP_EXEC | SYNC_CAP_SHARE | SYNC_CAP_COUNT | SYNC_CAP_ZERO,
	.max = SEMVMX,
	.size = sizeof(struct sem_sysv),
	.open = sysv_open,
	.close = sysv_close,
	.wait = sysv_wait,
	.wait_zero = sysv_wait_zero,
	.post = sysv_post,
	.release = sysv_release,
	.state = sysv_state,
	.unlink = sysv_unlink,
};
