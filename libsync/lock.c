/* SPDX-License-Identifier: MIT */
/* The lock object: checks arguments, chooses the backend, takes one lock or several. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define LOCK_BACKEND(name) extern const struct sync_lock_ops sync_lock_##name;
#include "backends.def"

static const struct sync_lock_ops *const lock_backends[] = {
#define LOCK_BACKEND(name) &sync_lock_##name,
#include "backends.def"
};
#define LOCK_BACKENDS (sizeof(lock_backends) / sizeof(lock_backends[0]))

const struct sync_lock_ops *sync_lock_ops_find(const char *scheme, size_t len, int *order)
{
	for (size_t i = 0; i < LOCK_BACKENDS; i++) {
		const char *name = lock_backends[i]->name;
		/* No scheme means the first. */
		if (!len || (strlen(name) == len && !memcmp(name, scheme, len))) {
			*order = (int)i;
			return lock_backends[i];
		}
	}
	return NULL;
}

static bool is_scheme(const char *s, size_t len)
{
	int order;
	return len && sync_lock_ops_find(s, len, &order);
}

static bool has_ranges(const char *s, size_t len)
{
	int order;
	const struct sync_lock_ops *ops = sync_lock_ops_find(s, len, &order);
	return ops && ops->caps & SYNC_CAP_RANGE;
}

/* ---- open, close ---- */

static struct sync_lock *new_lock(const char *name, const struct sync_name *parsed,
				  const struct sync_lock_opts *opts)
{
	size_t name_size = strlen(name) + 1;
	struct sync_lock *l = calloc(1, sizeof(*l) + name_size + parsed->path_len + 1);
	if (!l)
		return NULL;
	memcpy(l->name, name, name_size);
	l->path = l->name + name_size;
	memcpy(l->path, parsed->path, parsed->path_len);
	l->ops = sync_lock_ops_find(name, parsed->scheme_len, &l->order);
	l->fd = -1;
	l->flags = opts->flags;
	l->create_mode = opts->mode ? opts->mode & 07777 : 0600;
	l->asked = l->taken = parsed->range;
	return l;
}

/* The path of a borrowed descriptor is its number. */
static int borrow(struct sync_lock *l)
{
	uint64_t fd;
	int r = sync_name_number(l->path, strlen(l->path), INT_MAX, &fd);
	if (r || (l->path[0] == '0' && l->path[1])) /* 010 may be meant in octal, or be a file */
		return -EINVAL;
	l->fd = (int)fd;
	l->path = NULL;
	return 0;
}

SYNC_API int sync_lock_open(const char *name, const struct sync_lock_opts *opts,
			    const struct timespec *deadline, struct sync_lock **out)
{
	static const struct sync_lock_opts defaults;
	struct sync_name parsed;
	int r = sync_name_parse(name, is_scheme, has_ranges, &parsed);
	if (r)
		return r;
	if (!opts)
		opts = &defaults;
	struct sync_lock *l = new_lock(name, &parsed, opts);
	if (!l)
		return -ENOMEM;
	if (l->flags & SYNC_LOCK_BY_FD)
		r = borrow(l);
	if (!r && !(l->flags & SYNC_LOCK_BY_NAME))
		r = sync_lockfile_open(l, deadline);
	if (r) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

SYNC_API void sync_lock_close(struct sync_lock *l)
{
	int saved = errno;
	if (l && l->path && l->fd >= 0)
		close(l->fd);
	free(l);
	errno = saved;
}

/* ---- taking one ---- */

/* Why an exclusive record lock was refused with EBADF. */
static int explain_ebadf(const struct sync_lock *l)
{
	return l->write_error ? l->write_error : -EBADF;
}

/* One call to the kernel, with what an interruption costs written down. */
static int set(struct sync_lock *l, enum sync_mode mode, bool wait)
{
	int r = l->ops->set(l->fd, &l->taken, mode, wait);
	/*
	 * flock(2) on NFS is emulated with record locks, which want the file open for writing
	 * (EBADF, Linux; EIO from some servers): so try that, once.
	 */
	if ((r == -EBADF || r == -EIO) && mode == SYNC_EXCLUSIVE && !l->ops->wants_write &&
	    !sync_lockfile_make_writable(l))
		r = l->ops->set(l->fd, &l->taken, mode, wait);
	if (!r)
		l->held = mode;
	else if (l->held && !(l->ops->caps & SYNC_CAP_UPGRADE))
		l->held = SYNC_UNLOCKED; /* a failed conversion has lost the old lock */
	return r == -EBADF ? explain_ebadf(l) : r;
}

static int set_in_time(struct sync_lock *l, enum sync_mode mode, const struct timespec *deadline)
{
	if (!deadline)
		return set(l, mode, true);
	int r = set(l, mode, false);
	if (r != -EAGAIN)
		return r;
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	struct sync_alarm alarm;
	r = sync_alarm_start(&alarm, deadline);
	if (r)
		return r;
	r = set(l, mode, true);
	sync_alarm_stop(&alarm);
	return r == -EINTR && sync_deadline_passed(deadline) ? -ETIMEDOUT : r;
}

/*
 * While we waited, the holder may have removed the file and others may be locking a new one
 * under the same name (flock(1) then runs both). Only a lock on the file that the name leads to
 * *after* the lock was granted counts: whoever removes a file holds its lock until the name is gone.
 */
static int verify(struct sync_lock *l)
{
	if (l->path)
		return sync_lockfile_check(l);
	if (l->flags & SYNC_LOCK_AS_IS)
		return 0;
	struct stat st;
	if (fstat(l->fd, &st))
		return -errno;
	/* Nobody can find this file any more; the one who reopens the path gets another. */
	return st.st_nlink ? 0 : -EIDRM;
}

static int take(struct sync_lock *l, enum sync_mode mode, const struct timespec *deadline)
{
	int r = set_in_time(l, mode, deadline);
	if (r)
		return r;
	r = verify(l);
	if (r)
		(void)sync_lock_release(l);
	return r;
}

/* ---- taking several ---- */

/* Of equals the exclusive one leads, so that the one that fails is wanted as it was asked for. */
static int compare(const void *va, const void *vb)
{
	const struct sync_lock_want *one = va;
	const struct sync_lock_want *other = vb;
	const struct sync_lock *a = one->lock;
	const struct sync_lock *b = other->lock;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->asked.first != b->asked.first)
		return a->asked.first < b->asked.first ? -1 : 1;
	return (int)other->mode - (int)one->mode;
}

static bool same_lock(const struct sync_lock *a, const struct sync_lock *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->ops == b->ops &&
	       sync_range_overlap(&a->taken, &b->asked);
}

/* LOCK need not be taken, because LEADER will cover it. */
static void follow(struct sync_lock *lock, struct sync_lock *leader)
{
	if (lock->asked.last > leader->taken.last)
		leader->taken.last = lock->asked.last;
	if (lock == leader)
		return; /* one handle named twice */
	if (lock->held) /* from an earlier call: it would stand in its leader's way */
		(void)set(lock, SYNC_UNLOCKED, false);
	lock->folded = true;
}

/*
 * Two descriptions of one file exclude each other even within a process, so we would wait for
 * ourselves. Sorted, whatever overlaps a lock follows it: widen that one and skip the rest, whose
 * modes become SYNC_UNLOCKED.
 */
static void fold(struct sync_lock_want *wants, size_t n, enum sync_mode *modes)
{
	size_t leader = 0;
	for (size_t i = 0; i < n; i++) {
		wants[i].lock->folded = false;
		if (!wants[i].lock->held) /* a conversion is of all that is held */
			wants[i].lock->taken = wants[i].lock->asked;
		modes[i] = wants[i].mode;
	}
	for (size_t i = 1; i < n; i++) {
		if (!same_lock(wants[leader].lock, wants[i].lock)) {
			leader = i;
			continue;
		}
		follow(wants[i].lock, wants[leader].lock);
		if (modes[i] > modes[leader])
			modes[leader] = modes[i];
		modes[i] = SYNC_UNLOCKED;
	}
}

static void release_first(struct sync_lock_want *wants, size_t n)
{
	while (n--)
		(void)sync_lock_release(wants[n].lock);
}

/* One pass in order; *at is the one that failed. */
static int take_in_order(struct sync_lock_want *wants, size_t n, const enum sync_mode *modes,
			 const struct timespec *deadline, size_t *at)
{
	for (size_t i = 0; i < n; i++) {
		if (modes[i] == SYNC_UNLOCKED)
			continue;
		int r = take(wants[i].lock, modes[i], deadline);
		if (r) {
			release_first(wants, i);
			*at = i;
			return r;
		}
	}
	/* The name of a folded lock may be another than its leader's, and lead elsewhere by now. */
	for (size_t i = 0; i < n; i++) {
		int r = modes[i] == SYNC_UNLOCKED ? verify(wants[i].lock) : 0;
		if (r) {
			release_first(wants, n);
			*at = i;
			return r;
		}
	}
	return 0;
}

/* Record locks of two kinds on the same bytes: the second would wait for the first for ever. */
static bool at_odds(const struct sync_lock_want *wants, size_t n, size_t *at)
{
	for (size_t i = 0; i < n; i++) {
		const struct sync_lock *a = wants[i].lock;
		for (size_t j = i + 1; j < n && wants[j].lock->ino == a->ino; j++) {
			const struct sync_lock *b = wants[j].lock;
			*at = j;
			if (a->dev == b->dev && a->ops != b->ops &&
			    a->ops->caps & b->ops->caps & SYNC_CAP_RANGE &&
			    sync_range_overlap(&a->asked, &b->asked))
				return true;
		}
	}
	return false;
}

static int take_all(struct sync_lock_want *wants, size_t n, enum sync_mode *modes,
		    const struct timespec *deadline, struct sync_lock **failed)
{
	for (;;) {
		size_t at = 0;
		if (n > 1)
			qsort(wants, n, sizeof(*wants), compare);
		int r = -EOPNOTSUPP;
		if (!at_odds(wants, n, &at)) {
			fold(wants, n, modes);
			r = take_in_order(wants, n, modes, deadline, &at);
		}
		if (!r)
			return 0;
		/* Another file has another place in the order: let go of all and sort again. */
		if (r == -ESTALE)
			r = sync_lockfile_reopen(wants[at].lock, deadline);
		if (!r)
			continue;
		if (failed)
			*failed = wants[at].lock;
		return r;
	}
}

SYNC_API int sync_lock_acquire_all(struct sync_lock_want *wants, size_t n,
				   const struct timespec *deadline, struct sync_lock **failed)
{
	for (size_t i = 0; i < n; i++)
		if (wants[i].mode != SYNC_SHARED && wants[i].mode != SYNC_EXCLUSIVE)
			return -EINVAL; /* to give a lock up is sync_lock_release() */
	enum sync_mode few[8];
	enum sync_mode *modes = n <= sizeof(few) / sizeof(few[0]) ? few : calloc(n, sizeof(*modes));
	if (!modes)
		return -ENOMEM;
	int r = take_all(wants, n, modes, deadline, failed);
	if (modes != few)
		free(modes);
	return r;
}

SYNC_API int sync_lock_acquire(struct sync_lock *l, enum sync_mode mode,
			       const struct timespec *deadline)
{
	struct sync_lock_want want = {l, mode};
	return sync_lock_acquire_all(&want, 1, deadline, NULL);
}

/* ---- giving up, and questions ---- */

SYNC_API int sync_lock_release(struct sync_lock *l)
{
	if (l->folded)
		return 0;
	return set(l, SYNC_UNLOCKED, false);
}

SYNC_API int sync_lock_check(const struct sync_lock *l)
{
	return sync_lockfile_check(l);
}

SYNC_API int sync_lock_unlink(struct sync_lock *l)
{
	if (!(sync_lock_caps(l) & SYNC_CAP_UNLINK))
		return -EOPNOTSUPP;
	if (l->held != SYNC_EXCLUSIVE)
		return -EPERM;
	/*
	 * All who respect the lock remove the name only while they hold it, so between these two
	 * calls it changes only if somebody removes it by hand and makes another.
	 */
	int r = sync_lockfile_check(l);
	if (!r && unlink(l->path))
		r = -errno;
	return r;
}

SYNC_API int sync_lock_fd(const struct sync_lock *l)
{
	return l->fd >= 0 ? l->fd : -EBADF;
}

SYNC_API const char *sync_lock_name(const struct sync_lock *l)
{
	return l->name;
}

SYNC_API const char *sync_lock_path(const struct sync_lock *l)
{
	return l->path;
}

SYNC_API unsigned sync_lock_caps(const struct sync_lock *l)
{
	/*
	 * With a symbolic link followed, the name to remove would be the link's; other ranges of the
	 * file may be held by others; and a file with something in it is more than a lock.
	 */
	bool whole = l->asked.first == 0 && l->asked.last == SYNC_RANGE_END;
	bool removable =
		l->path && S_ISREG(l->type) && l->empty && whole && !(l->flags & SYNC_LOCK_FOLLOW);
	return l->ops->caps | (removable ? SYNC_CAP_UNLINK : 0);
}

SYNC_API enum sync_mode sync_lock_mode(const struct sync_lock *l)
{
	return l->held;
}
