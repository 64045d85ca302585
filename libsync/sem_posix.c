/* SPDX-License-Identifier: MIT */
/*
 * posix: semaphores: /dev/shm/sem.NAME, shared with programs that use sem_open(3) of glibc; with a
 * ledger /dev/shm/dbt.NAME beside it (escrow.h) once somebody owns a permit or waits for one.
 *
 * A wait:
 * 1. try; if that works, the ledger is needed for owned permits only;
 * 2. stand in line, on the queue of the ledger, where those who gave up or died leave no gap;
 * 3. at the head of it, settle the debts of those who are gone, and try again;
 * 4. sleep on the semaphore itself among the waiters of libc, while threads watch all debts.
 * SYNC_NOW does 1 and 3.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "escrow.h"
#include "glibcsem.h"
#include "guard.h"
#include "shmfile.h"

#define NAME_MOST 250

struct posix_sem {
	struct sync_sem base;
	struct sync_map map;
	struct stat file;
	struct sync_escrow escrow;
	char path[sizeof(SYNC_SHM_DIR "/sem.") + NAME_MOST];
	char ledger_path[sizeof(SYNC_SHM_DIR "/dbt.") + NAME_MOST];
};

static struct posix_sem *cast(struct sync_sem *sem)
{
	return (struct posix_sem *)sem; /* base comes first */
}

static struct glibcsem *shared(const struct posix_sem *p)
{
	return p->map.addr;
}

/* ---- for the ledger ---- */

static int take_one(void *arg, unsigned char *note)
{
	(void)note; /* one is as good as another */
	return sync_glibcsem_take(shared(arg));
}

static int give(void *arg, unsigned count, unsigned char note)
{
	(void)note;
	return sync_glibcsem_add(shared(arg), count, 0);
}

static void wake_one(void *arg)
{
	if (sync_glibcsem_value(shared(arg)))
		sync_glibcsem_wake(shared(arg), 1);
}

static int attempt(void *arg, unsigned flags);
static int sleep_until_taken(void *arg, unsigned flags, const struct timespec *deadline);

static const struct sync_escrow_ops escrow_ops = {
	.take = take_one,
	.give = give,
	.wake = wake_one,
	.attempt = attempt,
	.await = sleep_until_taken,
};

/* ---- open, close ---- */

static int set_paths(struct posix_sem *p, const char *name)
{
	name += *name == '/';
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	if (strlen(name) > NAME_MOST)
		return -ENAMETOOLONG;
	snprintf(p->path, sizeof(p->path), SYNC_SHM_DIR "/sem.%s", name);
	snprintf(p->ledger_path, sizeof(p->ledger_path), SYNC_SHM_DIR "/dbt.%s", name);
	return 0;
}

static int open_file(struct posix_sem *p, const struct sync_sem_opts *opts)
{
	const struct glibcsem fresh = {.data = opts->initial, .shared = GLIBCSEM_SHARED};
	const struct stat like = {
		.st_mode = opts->mode ? opts->mode : 0600,
		.st_uid = (uid_t)-1,
		.st_gid = (gid_t)-1,
	};
	const void *content = opts->flags & SYNC_SEM_CREATE ? &fresh : NULL;
	return sync_shm_open(p->path, sizeof(fresh), content, &like, &p->file);
}

/* Read, not mapped: the file may be cut off at this moment. */
static int examine(int fd)
{
	struct glibcsem s;
	return pread(fd, &s, sizeof(s), 0) == sizeof(s) ? sync_glibcsem_check(&s) : -EUCLEAN;
}

static int open_sem(struct sync_sem *sem, const char *rest, const struct sync_sem_opts *opts)
{
	struct posix_sem *p = cast(sem);
	if (!glibcsem_known)
		return -EOPNOTSUPP;
	int fd = -1;
	int r = set_paths(p, rest);
	if (!r)
		r = fd = open_file(p, opts);
	if (r >= 0)
		r = examine(fd);
	if (!r)
		r = sync_map_open(&p->map, fd, sizeof(struct glibcsem));
	if (fd >= 0)
		close(fd);
	if (r)
		return r;
	p->escrow = (struct sync_escrow){
		.ops = &escrow_ops,
		.arg = p,
		.path = p->ledger_path,
		.of_path = p->path,
		.maps = &p->map,
		.fd = -1,
	};
	p->map.next = &p->escrow.map;
	return 0;
}

/*
 * Permits that are still owed through this handle go back as if its process had been killed: with
 * the next waiter, when the last heir of the descriptor is gone.
 */
static void close_sem(struct sync_sem *sem)
{
	struct posix_sem *p = cast(sem);
	sync_escrow_close(&p->escrow);
	sync_map_close(&p->map);
}

/* ---- wait ---- */

/* Does the name still lead to it? Not to wait for what nobody can find any more. */
static int check_name(const struct posix_sem *p)
{
	int r = sync_shm_check(p->path, &p->file);
	return r == -ESTALE ? -EIDRM : r;
}

static int open_ledger(struct posix_sem *p, bool create)
{
	struct sync_escrow *e = &p->escrow;
	if (e->fd >= 0)
		return 0;
	int r = sync_escrow_open(e, &p->file, create);
	if (r == -EUCLEAN || r == -ELOOP)
		return -EBADMSG; /* not that the semaphore is */
	/* Whoever removed the name before we made the ledger has not seen it: leave none behind. */
	int named = r ? 0 : check_name(p);
	if (named == -EIDRM)
		sync_escrow_remove(e);
	if (named)
		sync_escrow_close(e);
	return r ? r : named;
}

/* Without its name the ledger is of no use: removed with the semaphore, or by hand. */
static int open_peer(const struct posix_sem *p)
{
	int peer = sync_escrow_peer_open(&p->escrow);
	return peer != -ESTALE ? peer : check_name(p) ? -EIDRM : -EBADMSG;
}

/* Try once. -EAGAIN. */
static int attempt(void *arg, unsigned flags)
{
	struct posix_sem *p = arg;
	/* Look first: a debt that is not made need not be settled by anybody. */
	if (!sync_glibcsem_value(shared(p)))
		return -EAGAIN;
	if (!(flags & SYNC_SEM_OWNED))
		return sync_glibcsem_take(shared(p));
	int r = open_ledger(p, true);
	return r ? r : sync_escrow_take(&p->escrow);
}

static int sleep_once(struct posix_sem *p, const struct timespec *deadline)
{
	int r = sync_glibcsem_sleep(shared(p), deadline);
	if (!r)
		r = sync_glibcsem_check(shared(p));
	return r ? r : check_name(p);
}

/*
 * A plain sem_unlink(3) wakes nobody, here as in glibc: it is noticed after the next wake-up.
 * sync_sem_unlink() tells the watcher.
 */
static int sleep_until_taken(void *arg, unsigned flags, const struct timespec *deadline)
{
	struct posix_sem *p = arg;
	int r;
	sync_glibcsem_enter(shared(p));
	do {
		r = sleep_once(p, deadline);
		if (!r)
			r = attempt(p, flags);
	} while (r == -EAGAIN);
	sync_glibcsem_leave(shared(p));
	/* We may have been woken in the place of one who can use it. */
	if (r)
		wake_one(p);
	return r;
}

static int wait_in_line(struct posix_sem *p, unsigned flags, const struct timespec *deadline)
{
	int peer = open_peer(p);
	return peer < 0 ? peer : sync_escrow_wait(&p->escrow, peer, flags, deadline);
}

/* There is no permit and no time: unless somebody who is gone owes one. */
static int last_attempt(struct posix_sem *p, unsigned flags)
{
	struct sync_settled sum = {0, 0};
	int peer = -ENOENT;
	if (!open_ledger(p, false))
		peer = open_peer(p);
	if (peer < 0)
		return -ETIMEDOUT;
	int r = sync_escrow_settle(&p->escrow, peer, false, &sum);
	sync_escrow_peer_close(peer);
	if (!r || r == -EOVERFLOW)
		r = attempt(p, flags);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int wait_guarded(struct posix_sem *p, unsigned flags, const struct timespec *deadline)
{
	int r = attempt(p, flags);
	if (r != -EAGAIN)
		return r;
	if (sync_deadline_passed(deadline))
		return last_attempt(p, flags);
	r = check_name(p);
	if (r)
		return r;
	r = open_ledger(p, true);
	if (!r)
		return wait_in_line(p, flags, deadline);
	/* Who owns nothing can do without, but is not served when an owner is killed. */
	return flags & SYNC_SEM_OWNED || r == -EIDRM ? r : sleep_until_taken(p, flags, deadline);
}

static int wait_sem(struct sync_sem *sem, unsigned count, unsigned flags,
		    const struct timespec *deadline)
{
	struct posix_sem *p = cast(sem);
	/*
	 * COUNT is 1: no SYNC_CAP_COUNT. SYNC_SEM_EXEC is not made use of: should the exec fail, threads
	 * that were left would touch what a close has unmapped.
	 */
	(void)count;
	sync_guard_start(&p->map);
	int r = wait_guarded(p, flags, deadline);
	sync_guard_stop();
	return sync_guard_torn(&p->map) ? -EUCLEAN : r;
}

/* ---- the other verbs ---- */

static int post_sem(struct sync_sem *sem, unsigned count, unsigned max)
{
	struct posix_sem *p = cast(sem);
	sync_guard_start(&p->map);
	int r = sync_glibcsem_add(shared(p), count, max);
	if (!r)
		sync_glibcsem_wake(shared(p), count);
	sync_guard_stop();
	return sync_guard_torn(&p->map) ? -EUCLEAN : r;
}

static int release_sem(struct sync_sem *sem)
{
	struct posix_sem *p = cast(sem);
	if (p->escrow.fd < 0)
		return 0;
	sync_guard_start(&p->map);
	int r = sync_escrow_give(&p->escrow, NULL);
	sync_guard_stop();
	return sync_guard_torn(&p->map) ? -EUCLEAN : r;
}

static int look_at_sem(struct sync_sem *sem, struct sync_sem_state *out)
{
	struct posix_sem *p = cast(sem);
	*out = (struct sync_sem_state){0};
	sync_guard_start(&p->map);
	out->value = sync_glibcsem_value(shared(p));
	out->waiters = sync_glibcsem_waiters(shared(p));
	sync_guard_stop();
	return sync_guard_torn(&p->map) ? -EUCLEAN : 0;
}

static int repair_guarded(struct posix_sem *p, struct sync_settled *sum)
{
	int r = open_ledger(p, false);
	if (r)
		return r == -ENOENT ? 0 : r;
	int peer = open_peer(p);
	if (peer < 0)
		return peer;
	r = sync_escrow_settle(&p->escrow, peer, true, sum);
	sync_escrow_peer_close(peer);
	return r;
}

static int repair_sem(struct sync_sem *sem, unsigned *returned, unsigned *doubtful)
{
	struct posix_sem *p = cast(sem);
	struct sync_settled sum = {0, 0};
	sync_guard_start(&p->map);
	int r = repair_guarded(p, &sum);
	sync_guard_stop();
	*returned = sum.returned;
	*doubtful = sum.doubtful;
	return sync_guard_torn(&p->map) ? -EUCLEAN : r;
}

static int unlink_sem(struct sync_sem *sem)
{
	struct posix_sem *p = cast(sem);
	int r = check_name(p);
	if (!r && unlink(p->path)) /* a name has no lock: it may have changed since */
		r = -errno;
	/* The ledger after it, so that none can be made for it any more; and also if it was late. */
	if ((!r || r == -EIDRM) &&
	    (p->escrow.fd >= 0 || !sync_escrow_open(&p->escrow, &p->file, false))) {
		sync_guard_start(&p->map);
		sync_escrow_remove(&p->escrow);
		sync_guard_stop();
	}
	return r;
}

static size_t fds_of_sem(const struct sync_sem *sem, const int **fds)
{
	const struct posix_sem *p = (const struct posix_sem *)sem;
	*fds = &p->escrow.fd;
	return p->escrow.fd >= 0;
}

/* Whose permits are in the ledger; others' cannot be known. */
static int owners_of_sem(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
			 size_t *hidden)
{
	const struct posix_sem *p = (const struct posix_sem *)sem;
	return sync_inspect_permits(p->ledger_path, list, count, hidden);
}

const struct sync_sem_ops sync_sem_posix = {
	.name = "posix",
	.caps = SYNC_CAP_OWN | SYNC_CAP_SHARE,
	.max = GLIBCSEM_MAX,
	.size = sizeof(struct posix_sem),
	.open = open_sem,
	.close = close_sem,
	.wait = wait_sem,
	.post = post_sem,
	.release = release_sem,
	.state = look_at_sem,
	.repair = repair_sem,
	.unlink = unlink_sem,
	.fds = fds_of_sem,
	.owners = owners_of_sem,
};
