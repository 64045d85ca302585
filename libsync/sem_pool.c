/* SPDX-License-Identifier: MIT */
/*
 * Pools: N permits, each a record lock on a byte of one file (poolfile.h has the map), so that a permit
 * belongs to an open file description and comes back with the last descriptor of it.
 *
 * 1. Stand in line: lock QUEUE, then GATE.
 * 2. Under GATE lock free slots until there are enough. Then leave the line: done.
 * 3. Otherwise keep what was got, mark WAITS, open GATE, and wait for any slot that is held, or for a
 *    new size; then again from 2. We are still the head: nobody overtakes, so a wait for many permits
 *    cannot starve.
 *
 * Who tries once (SYNC_NOW) needs GATE alone; it stands back while a head WAITS. All of it is let go
 * by the kernel when we are killed: the line moves on, and what was collected goes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poolfile.h"
#include "poolwatch.h"

/* For so many permits. What has none is waited for by a thread. */
#define MOST_FIFOS 16

struct sem_pool {
	struct sync_sem base;
	char *path;
	char *label;
	int fd;          /* the description that owns the permits */
	bool borrowed;   /* it is the caller's */
	int gate;        /* the description that stands in line: fd, unless that is borrowed */
	int *fds;        /* fd, and the FIFO of each slot: what an heir needs */
	unsigned *slots; /* taken through this handle, ascending */
	size_t fd_count, count, room;
	unsigned *latest; /* of these, what the last wait took, and fd_count before it */
	size_t latest_count, latest_fds;
};

static struct sem_pool *cast(struct sync_sem *sem)
{
	return (struct sem_pool *)sem;
}

static const struct sem_pool *const_cast(const struct sync_sem *sem)
{
	return (const struct sem_pool *)sem;
}

/* ---- open, close ---- */

static int find_path(const char *rest, const struct sync_sem_opts *opts, char **out)
{
	char *path = NULL;
	if (strchr(rest, '/')) {
		path = strdup(rest);
	} else {
		int r = sync_name_check(rest);
		if (r || !opts->directory)
			return r ? r : -ENOTDIR;
		if (asprintf(&path, "%s/%s.pool", opts->directory, rest) < 0)
			path = NULL;
	}
	*out = path;
	return path ? 0 : -ENOMEM;
}

static int borrow(struct sem_pool *p, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) != O_RDWR)
		return -EBADFD;
	p->fd = fd;
	p->borrowed = true;
	return sync_poolfile_check(p->path, fd);
}

static void pool_close(struct sync_sem *sem)
{
	struct sem_pool *p = cast(sem);
	for (size_t i = 1; i < p->fd_count; i++)
		close(p->fds[i]);
	if (p->gate >= 0)
		close(p->gate); /* fd itself, or beside it */
	free(p->fds);
	free(p->slots);
	free(p->latest);
	free(p->path);
	free(p->label);
}

static int pool_open(struct sync_sem *sem, const char *rest, const struct sync_sem_opts *opts)
{
	struct sem_pool *p = cast(sem);
	p->gate = -1;
	/* Before we open anything, which could get its number. */
	if (opts->flags & SYNC_SEM_BY_FD && fcntl(opts->fd, F_GETFD) < 0)
		return -errno;
	int r = find_path(rest, opts, &p->path);
	if (!r && opts->label) {
		p->label = strdup(opts->label);
		r = p->label ? 0 : -ENOMEM;
	}
	if (!r) {
		r = p->gate = sync_poolfile_open(p->path, opts);
		p->fd = p->gate;
		r = r < 0 ? r : 0;
	}
	if (!r && opts->flags & SYNC_SEM_BY_FD)
		r = borrow(p, opts->fd);
	if (r)
		pool_close(sem);
	return r;
}

/* ---- standing in line ---- */

static int lock_in_time(int fd, unsigned byte, const struct timespec *deadline)
{
	struct sync_alarm alarm;
	int r = sync_poolfile_lock(fd, byte, byte, SYNC_EXCLUSIVE, false);
	if (r == -EBADF)
		return -EACCES; /* it could only be opened for reading */
	if (r != -EAGAIN)
		return r;
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	if (deadline) {
		r = sync_alarm_start(&alarm, deadline);
		if (r)
			return r;
	}
	r = sync_poolfile_lock(fd, byte, byte, SYNC_EXCLUSIVE, true);
	if (deadline)
		sync_alarm_stop(&alarm);
	return r == -EINTR && sync_deadline_passed(deadline) ? -ETIMEDOUT : r;
}

/* GATE is only ever held for a moment. So even who will not wait does, in case its holder is stopped. */
static int lock_gate(const struct sem_pool *p, const struct timespec *deadline)
{
	struct timespec soon;
	if (sync_deadline_passed(deadline)) {
		sync_deadline_in(1000000000, &soon);
		deadline = &soon;
	}
	return lock_in_time(p->gate, POOL_GATE, deadline);
}

static int unlock(int fd, unsigned first, unsigned last)
{
	return sync_poolfile_lock(fd, first, last, SYNC_UNLOCKED, false);
}

static int leave_line(const struct sem_pool *p)
{
	return unlock(p->gate, POOL_QUEUE, POOL_WAITS);
}

static int stand_in_line(const struct sem_pool *p, const struct timespec *deadline)
{
	bool now = sync_deadline_passed(deadline);
	int r = lock_in_time(p->gate, POOL_QUEUE, deadline);
	bool behind = now && r == -ETIMEDOUT;
	if (!r || behind)
		r = lock_gate(p, deadline);
	if (!r && behind && sync_poolfile_is_held(p->gate, POOL_WAITS, POOL_WAITS))
		r = -ETIMEDOUT;
	return r;
}

/* The file was removed or replaced while we waited: whoever has it still does not count any more. */
static int reopen(struct sem_pool *p)
{
	if (p->borrowed || p->count)
		return -EIDRM;
	int r = sync_fd_is_steady(p->gate);
	int fd = r ? r : sync_poolfile_again(p->path);
	if (fd < 0)
		return fd == -ENOENT ? -EIDRM : fd;
	close(p->gate);
	p->fd = p->gate = fd;
	return 0;
}

/* ---- slots ---- */

/* A description does not get in its own way, so what it owns must be known. */
static bool is_ours(const struct sem_pool *p, unsigned slot)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->slots[i] == slot)
			return true;
	return false;
}

static int grow(struct sem_pool *p, size_t room)
{
	if (room <= p->room)
		return 0;
	unsigned *slots = realloc(p->slots, room * sizeof(*slots));
	if (slots)
		p->slots = slots;
	unsigned *latest = realloc(p->latest, room * sizeof(*latest));
	if (latest)
		p->latest = latest;
	int *fds = realloc(p->fds, (room + 1) * sizeof(*fds));
	if (fds)
		p->fds = fds;
	if (!slots || !latest || !fds)
		return -ENOMEM;
	p->room = room;
	return 0;
}

static void add_slot(struct sem_pool *p, unsigned slot)
{
	size_t i = p->count++;
	for (; i && p->slots[i - 1] > slot; i--)
		p->slots[i] = p->slots[i - 1];
	p->slots[i] = slot;
}

struct known {
	struct sem_pool *pool;
	int err;
};

static void know(const struct sync_proc_lock *line, void *arg)
{
	struct known *k = arg;
	if (strcmp(line->kind, "ofd") != 0 || line->range.first < POOL_SLOTS)
		return;
	/* Neighbouring locks are shown as one. */
	uint64_t last = line->range.last;
	for (uint64_t b = line->range.first; b <= last && b < POOL_SLOTS + POOL_MAX; b++) {
		if (is_ours(k->pool, (unsigned)(b - POOL_SLOTS)))
			continue;
		k->err = grow(k->pool, k->pool->count + 1);
		if (k->err)
			return;
		add_slot(k->pool, (unsigned)(b - POOL_SLOTS));
	}
}

/* What the caller's descriptor owns already, from earlier calls of other processes. */
static int find_ours(struct sem_pool *p)
{
	struct known k = {.pool = p};
	if (!p->borrowed)
		return 0;
	p->count = 0;
	int r = sync_proc_fd_locks(getpid(), p->fd, know, &k);
	return r ? r : k.err;
}

/* ---- a wait ---- */

/* Slots are owned only when there are enough of them. */
struct hunt {
	struct sem_pool *pool;
	unsigned want;
	unsigned size;     /* of the pool, now */
	unsigned *claimed; /* slots that p->gate has locked, but that are not yet in p->slots */
	unsigned got;
	struct sync_poolwatch watch;
	bool leave; /* its threads, to an exec that follows */
};

static bool is_claimed(const struct hunt *h, unsigned slot)
{
	for (unsigned i = 0; i < h->got; i++)
		if (h->claimed[i] == slot)
			return true;
	return is_ours(h->pool, slot);
}

/* Under GATE: lock free slots, lowest first, until there are enough. 0 enough; -EAGAIN; -errno. */
static int collect(struct hunt *h)
{
	for (unsigned slot = 0; slot < h->size && h->got < h->want; slot++) {
		if (is_claimed(h, slot))
			continue;
		unsigned byte = POOL_SLOTS + slot;
		int r = sync_poolfile_lock(h->pool->gate, byte, byte, SYNC_EXCLUSIVE, false);
		if (!r)
			h->claimed[h->got++] = slot;
		else if (r != -EAGAIN)
			return r;
	}
	return h->got == h->want ? 0 : -EAGAIN;
}

/* Also what was handed over already. */
static void give_back(struct hunt *h)
{
	const struct sem_pool *p = h->pool;
	while (h->got) {
		unsigned byte = POOL_SLOTS + h->claimed[--h->got];
		if (unlock(p->gate, byte, byte) || (p->borrowed && unlock(p->fd, byte, byte)))
			return; /* to unlock what is locked cannot fail */
	}
}

/* The size now. When it shrank below what was collected, that goes back. */
static int look_at_size(struct hunt *h)
{
	struct sync_poolinfo info = {0};
	int r = sync_poolfile_info(h->pool->gate, &info);
	if (r)
		return r;
	h->size = info.size;
	r = sync_poolwatch_size(&h->watch, info.word);
	if (r)
		return r;
	/* Size 0 is a pool that is closed for now. */
	if (h->size && h->want > h->size)
		return -E2BIG;
	for (unsigned i = 0; i < h->got; i++)
		if (h->claimed[i] >= h->size) {
			give_back(h);
			break;
		}
	return 0;
}

/* ---- waiting for any slot ---- */

/* Each may cost a thread, so that the deadline may pass meanwhile. */
static int watch_slots(struct hunt *h, const struct timespec *deadline)
{
	int r = 0;
	for (unsigned slot = 0; slot < h->size && !r; slot++) {
		if (is_claimed(h, slot))
			continue;
		r = sync_poolwatch_slot(&h->watch, slot);
		if (!r && sync_deadline_passed(deadline))
			r = -ETIMEDOUT;
	}
	return r;
}

/* A thread has got a slot: hand it to our own description. Under GATE, so that nobody comes between. */
static void take_over(struct hunt *h, unsigned slot)
{
	unsigned byte = POOL_SLOTS + slot;
	sync_poolwatch_give_up(&h->watch, slot);
	if (h->got < h->want && slot < h->size && !is_claimed(h, slot) &&
	    !sync_poolfile_lock(h->pool->gate, byte, byte, SYNC_EXCLUSIVE, false))
		h->claimed[h->got++] = slot;
}

/* The head waits here. GATE is held on entry, and when 0 is returned. */
static int wait_for_slot(struct hunt *h, const struct timespec *deadline)
{
	const struct sem_pool *p = h->pool;
	int slot;
	bool first = !h->watch.begun;
	sync_poolwatch_begin(&h->watch, p->path, p->gate);
	int r = first ? look_at_size(h) : 0;
	if (!r)
		r = watch_slots(h, deadline);
	if (r)
		return r; /* also -EAGAIN, no timer for a thread: asleep we would miss a slot */
	/* What came back before it was watched made no noise: look once more before sleeping. */
	r = collect(h);
	if (r != -EAGAIN)
		return r;
	r = sync_poolfile_lock(p->gate, POOL_WAITS, POOL_WAITS, SYNC_EXCLUSIVE, false);
	if (!r)
		r = unlock(p->gate, POOL_GATE, POOL_GATE);
	if (!r)
		r = sync_poolwatch_sleep(&h->watch, deadline);
	if (!r)
		r = lock_gate(p, deadline);
	while (!r && (slot = sync_poolwatch_won(&h->watch)) >= 0)
		take_over(h, (unsigned)slot);
	if (!r && sync_poolwatch_turned(&h->watch))
		r = look_at_size(h);
	return r;
}

/* ---- the slots are ours ---- */

/* What the owner's heirs must inherit. Without a FIFO a slot is waited for by a thread. */
static void open_fifo(struct sem_pool *p, int *dir, unsigned slot)
{
	/* We cannot give the caller one; and COMMAND needs descriptors, too. */
	if (p->borrowed || p->fd_count > MOST_FIFOS)
		return;
	if (*dir == -1)
		*dir = sync_poolfile_wake_dir(p->path);
	int fd = *dir >= 0 ? sync_poolfile_fifo(*dir, slot, O_RDWR) : *dir;
	if (fd >= 0)
		p->fds[p->fd_count++] = fd;
}

/*
 * exec and exit close descriptors so that the pool's comes first when it has the highest number: then
 * the hang-up tells of a lock that is gone. (Otherwise it costs a thread, no more.)
 */
static void renumber(struct sem_pool *p)
{
	int highest = p->fd;
	for (size_t i = 1; i < p->fd_count; i++)
		if (p->fds[i] > highest)
			highest = p->fds[i];
	if (p->borrowed || highest == p->fd)
		return;
	int fd = fcntl(p->fd, F_DUPFD_CLOEXEC, highest + 1);
	if (fd < 0)
		return;
	close(p->fd);
	p->fd = p->gate = fd;
}

/*
 * From our own description to the caller's, all or none: under GATE nobody comes between but a drain,
 * which wants all slots. Collected there from the start, they would stay with the caller if we are killed.
 */
static int hand_over(const struct hunt *h)
{
	const struct sem_pool *p = h->pool;
	int r = 0;
	for (unsigned i = 0; i < h->got && p->borrowed && !r; i++) {
		unsigned byte = POOL_SLOTS + h->claimed[i];
		r = unlock(p->gate, byte, byte);
		if (!r)
			r = sync_poolfile_lock(p->fd, byte, byte, SYNC_EXCLUSIVE, false);
	}
	return r == -EAGAIN ? -ERESTART : r;
}

/*
 * A drain needs no GATE: it may have come, and found all slots free, since we looked at the size. It closed the pool
 * before that, so who has locks now sees it.
 */
static int look_for_drain(const struct hunt *h)
{
	struct sync_poolinfo info = {0};
	int r = sync_poolfile_info(h->pool->gate, &info);
	return r ? r : info.size ? 0 : -ERESTART;
}

static int settle(struct hunt *h)
{
	struct sem_pool *p = h->pool;
	int dir = -1;
	int r = grow(p, p->count + h->got);
	if (!r)
		r = hand_over(h);
	if (!r)
		r = look_for_drain(h);
	if (r)
		return r;
	if (!p->fd_count)
		p->fd_count = 1;
	p->latest_count = h->got;
	p->latest_fds = p->fd_count;
	for (unsigned i = 0; i < h->got; i++) {
		p->latest[i] = h->claimed[i];
		add_slot(p, h->claimed[i]);
		open_fifo(p, &dir, h->claimed[i]);
		sync_poolfile_record(p->fd, h->claimed[i], p->label);
	}
	if (dir >= 0)
		close(dir);
	renumber(p);
	p->fds[0] = p->fd;
	h->got = 0;
	return 0;
}

/* Stand in line until there is enough. -ESTALE: for a file that is gone. */
static int hunt(struct hunt *h, const struct timespec *deadline)
{
	struct sem_pool *p = h->pool;
	int r = stand_in_line(p, deadline);
	if (!r)
		r = sync_poolfile_check(p->path, p->gate);
	if (!r)
		r = find_ours(p);
	if (!r)
		r = look_at_size(h);
	while (!r) {
		r = collect(h);
		if (r != -EAGAIN)
			break;
		r = sync_deadline_passed(deadline) ? -ETIMEDOUT : wait_for_slot(h, deadline);
		if (!r)
			r = sync_poolfile_check(p->path, p->gate);
	}
	if (!r) {
		/* Our threads would be the first to get what is handed over. */
		sync_poolwatch_end(&h->watch, !p->borrowed && h->leave);
		r = settle(h);
	}
	if (r)
		give_back(h);
	int r2 = leave_line(p);
	return r ? r : r2;
}

static int pool_wait(struct sync_sem *sem, unsigned count, unsigned flags,
		     const struct timespec *deadline)
{
	unsigned few[16];
	struct hunt h = {.pool = cast(sem), .want = count, .leave = flags & SYNC_SEM_EXEC};
	h.claimed = count <= 16 ? few : malloc(count * sizeof(*h.claimed));
	if (!h.claimed)
		return -ENOMEM;
	int r;
	do {
		r = hunt(&h, deadline);
		sync_poolwatch_end(&h.watch, !r && h.leave);
	} while (r == -ERESTART || (r == -ESTALE && (r = reopen(h.pool)) == 0));
	if (h.claimed != few)
		free(h.claimed);
	return r;
}

/*
 * Given back by its number, a slot makes no noise while heirs have its FIFO open; and they must not have
 * the one that its next owner opens.
 */
static void free_slot(const struct sem_pool *p, unsigned slot)
{
	sync_poolfile_drop_fifo(p->path, slot);
	if (unlock(p->fd, POOL_SLOTS + slot, POOL_SLOTS + slot))
		return; /* to unlock what is locked cannot fail */
}

static void close_fifos(struct sem_pool *p, size_t from)
{
	while (p->fd_count > from)
		close(p->fds[--p->fd_count]);
}

static int pool_release(struct sync_sem *sem)
{
	struct sem_pool *p = cast(sem);
	/* Somebody may be about to take for the same descriptor. */
	int r = p->borrowed ? lock_gate(p, NULL) : 0;
	if (!r)
		r = find_ours(p);
	int turn = r ? r : sync_poolfile_begin_turn(p->path);
	while (!r && p->count)
		free_slot(p, p->slots[--p->count]);
	int r2 = p->borrowed ? unlock(p->gate, POOL_GATE, POOL_GATE) : 0;
	if (r)
		return r;
	close_fifos(p, 1);
	p->latest_count = 0;
	sync_poolfile_end_turn(p->path, turn);
	return r2;
}

static void forget_slot(struct sem_pool *p, unsigned slot)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->count; i++)
		if (p->slots[i] != slot)
			p->slots[kept++] = p->slots[i];
	p->count = kept;
}

static void pool_undo(struct sync_sem *sem)
{
	struct sem_pool *p = cast(sem);
	int turn = sync_poolfile_begin_turn(p->path);
	while (p->latest_count) {
		unsigned slot = p->latest[--p->latest_count];
		free_slot(p, slot);
		forget_slot(p, slot);
	}
	close_fifos(p, p->latest_fds);
	sync_poolfile_end_turn(p->path, turn);
}

/* ---- look, change ---- */

static int pool_state(struct sync_sem *sem, struct sync_sem_state *out)
{
	struct sem_pool *p = cast(sem);
	struct sync_poolinfo info = {0};
	unsigned held = 0;
	int r = sync_poolfile_info(p->gate, &info);
	if (r)
		return r;
	/* Asked from another description than the owner's, which does not see its own. */
	int fd = p->count || p->borrowed ? sync_poolfile_again(p->path) : p->gate;
	if (fd < 0)
		return fd;
	r = sync_poolfile_count(fd, info.size, &held);
	if (fd != p->gate)
		close(fd);
	if (r)
		return r;
	*out = (struct sync_sem_state){
		.value = info.size - held,
		.capacity = info.size,
	};
	return 0;
}

static int pool_resize(struct sync_sem *sem, unsigned size)
{
	const struct sem_pool *p = cast(sem);
	struct timespec soon;
	sync_deadline_in(1000000000, &soon);
	int r = lock_in_time(p->gate, POOL_CONFIG, &soon);
	if (r)
		return r == -ETIMEDOUT ? -EINPROGRESS : r;
	/* Who has QUEUE knows that no head sleeps. */
	bool ours = !sync_poolfile_lock(p->gate, POOL_QUEUE, POOL_QUEUE, SYNC_EXCLUSIVE, false);
	r = sync_poolfile_resize(p->path, p->gate, size, ours);
	int r2 = ours ? unlock(p->gate, POOL_QUEUE, POOL_QUEUE) : 0;
	int r3 = unlock(p->gate, POOL_CONFIG, POOL_CONFIG);
	return r ? r : r2 ? r2 : r3;
}

/* One lock on all slots is granted when the last of them is free. */
static int pool_drain(struct sync_sem *sem, const struct timespec *deadline)
{
	struct sem_pool *p = cast(sem);
	int r = pool_resize(sem, 0);
	int fd = r ? r : sync_poolfile_again(p->path);
	if (fd < 0)
		return fd;
	struct sync_alarm alarm;
	unsigned last = POOL_SLOTS + POOL_MAX - 1;
	r = sync_poolfile_lock(fd, POOL_SLOTS, last, SYNC_EXCLUSIVE, false);
	if (r == -EAGAIN && sync_deadline_passed(deadline))
		r = -ETIMEDOUT;
	if (r == -EAGAIN) {
		r = deadline ? sync_alarm_start(&alarm, deadline) : 0;
		if (!r) {
			r = sync_poolfile_lock(fd, POOL_SLOTS, last, SYNC_EXCLUSIVE, true);
			if (deadline)
				sync_alarm_stop(&alarm);
		}
		if (r == -EINTR && sync_deadline_passed(deadline))
			r = -ETIMEDOUT;
	}
	close(fd);
	return r;
}

static int pool_unlink(struct sync_sem *sem)
{
	return sync_poolfile_unlink(cast(sem)->path);
}

static size_t pool_fds(const struct sync_sem *sem, const int **fds)
{
	const struct sem_pool *p = const_cast(sem);
	*fds = p->fds;
	return p->borrowed ? 0 : p->fd_count;
}

static const char *pool_path(const struct sync_sem *sem)
{
	return const_cast(sem)->path;
}

static size_t pool_slots(const struct sync_sem *sem, const unsigned **slots)
{
	const struct sem_pool *p = const_cast(sem);
	*slots = p->slots;
	return p->count;
}

static int pool_owners(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
		       size_t *hidden)
{
	return sync_inspect_permits(const_cast(sem)->path, list, count, hidden);
}

static int pool_compare(const struct sync_sem *a, const struct sync_sem *b)
{
	struct stat sa;
	struct stat sb;
	if (fstat(const_cast(a)->gate, &sa) || fstat(const_cast(b)->gate, &sb))
		return a < b ? -1 : a > b; /* not the same, whatever they are */
	if (sa.st_dev != sb.st_dev)
		return sa.st_dev < sb.st_dev ? -1 : 1;
	return sa.st_ino < sb.st_ino ? -1 : sa.st_ino > sb.st_ino;
}

const struct sync_sem_ops sync_sem_pool = {
	.name = "pool",
	.caps = SYNC_CAP_OWN | SYNC_CAP_EXEC | SYNC_CAP_INHERIT | SYNC_CAP_COUNT | SYNC_CAP_FAIR |
		SYNC_CAP_RESIZE | SYNC_CAP_SET,
	.max = POOL_MAX,
	.size = sizeof(struct sem_pool),
	.open = pool_open,
	.close = pool_close,
	.wait = pool_wait,
	.release = pool_release,
	.undo = pool_undo,
	.state = pool_state,
	.resize = pool_resize,
	.drain = pool_drain,
	.unlink = pool_unlink,
	.fds = pool_fds,
	.path = pool_path,
	.slots = pool_slots,
	.owners = pool_owners,
	.compare = pool_compare,
};
