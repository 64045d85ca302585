/* SPDX-License-Identifier: MIT */
/*
 * jobserver: the tokens of a GNU make jobserver, one byte each in a pipe or FIFO that others serve; with
 * a ledger /dev/shm/jobs.DEV.INO beside it (escrow.h) while anybody of ours uses it.
 *
 * The job that make has started has one permit already, its slot, for which there is no byte. The
 * first of its processes to ask (opts.slot says for which job) has it as its first permit; a lock in the
 * ledger says so. While one waits, and no other of the same job uses the slot, it is lent.
 *
 * A wait for several holds none meanwhile, else two could wait for each other for ever:
 * 1. if as many bytes are there, take them; should another client have been faster, give all back;
 * 2. stand in line, on the queue of the ledger; at the head of it settle the debts of those who
 *    are gone, and try again;
 * 3. sleep until bytes are written, while threads watch all debts.
 *
 * Descriptors that were inherited are never touched: O_NONBLOCK belongs to the open file description,
 * which make shares, and which it sets and clears as it likes. So the pipe is opened anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "escrow.h"
#include "guard.h"
#include "jobserver.h"
#include "loan.h"
#include "shmfile.h"

#define FIFO "fifo:"
/* What make writes, when the byte does not come from a client that gives back its own. */
#define TOKEN '+'

struct jobserver {
	struct sync_sem base;
	int fd;       /* our own open file description: reads and writes, never blocks */
	int edge;     /* epoll: wakes at each byte that is written, where several are wanted; -1 */
	bool counted; /* it is a pipe or FIFO, so its bytes can be counted */
	bool has_slot;
	bool slot_is_free; /* and no wait of ours has been given it yet */
	unsigned capacity;
	uint32_t slot;
	struct stat file;
	struct sync_map maps; /* nothing itself: the ledger's hangs from it */
	struct sync_escrow escrow;
	struct sync_loan *loan; /* the thread that will lend the slot; NULL */
	char ledger_path[SYNC_JOBSERVER_LEDGER];
	char fifo[4096]; /* its path; empty: a pipe */
};

static struct jobserver *cast(struct sync_sem *sem)
{
	return (struct jobserver *)sem; /* base comes first */
}

/* ---- for the ledger ---- */

/*
 * The kernel puts the byte into the ledger and takes it from the pipe in one: a kill waits for the end
 * of a read that does not block, and if the page cannot be written to, the byte stays in the pipe.
 */
static int take_one(void *arg, unsigned char *note)
{
	const struct jobserver *p = arg;
	ssize_t n;
	do
		n = read(p->fd, note, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	/* An end: of a device or the like that has been closed down. */
	return n == 0 ? -EPIPE : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* The pipe can be full only by others' fault; then there is nothing but to wait for room. */
static int give_one(const struct jobserver *p, unsigned char token)
{
	struct pollfd room = {.fd = p->fd, .events = POLLOUT};
	for (;;) {
		if (write(p->fd, &token, 1) == 1)
			return 0;
		if (errno != EINTR && errno != EWOULDBLOCK)
			return -errno;
		if (sync_poll(&room, 1, NULL) < 0)
			continue; /* EINTR: the byte must go back all the same */
	}
}

static int give(void *arg, unsigned count, unsigned char note)
{
	int r = 0;
	for (; count && !r; count--)
		r = give_one(arg, note);
	return r;
}

static void wake(void *arg)
{
	(void)arg; /* to write a byte has woken whoever waits for it */
}

static int attempt(void *arg, unsigned count);
static int sleep_until_taken(void *arg, unsigned count, const struct timespec *deadline);

static const struct sync_escrow_ops escrow_ops = {
	.take = take_one,
	.give = give,
	.wake = wake,
	.attempt = attempt,
	.await = sleep_until_taken,
};

/* ---- open, close ---- */

static bool is_end(int fd, int mode, struct stat *st)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && ((flags & O_ACCMODE) == O_RDWR || (flags & O_ACCMODE) == mode) &&
	       !fstat(fd, st) && S_ISFIFO(st->st_mode);
}

/* "R,W". The numbers may mean something else by now: are they the two ends of one pipe? */
static int open_pipe(const char *auth)
{
	char self[32];
	struct stat in;
	struct stat out;
	uint64_t r;
	uint64_t w;
	const char *comma = strchr(auth, ',');
	if (!comma || sync_name_number(auth, (size_t)(comma - auth), INT32_MAX, &r) ||
	    sync_name_number(comma + 1, strlen(comma + 1), INT32_MAX, &w))
		return -EINVAL;
	if (fcntl((int)r, F_GETFD) < 0 || fcntl((int)w, F_GETFD) < 0)
		return -EBADF;
	if (!is_end((int)r, O_RDONLY, &in) || !is_end((int)w, O_WRONLY, &out) ||
	    in.st_dev != out.st_dev || in.st_ino != out.st_ino)
		return -EBADFD;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", (int)r);
	int fd = open(self, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/*
 * For reading and writing, so that the open does not wait, nor can there be an end of file or EPIPE. It
 * need not be a FIFO: there are jobservers that are character devices, or files of FUSE.
 */
static int open_fifo(struct jobserver *p, const char *path, const struct sync_sem_opts *opts)
{
	mode_t mode = opts->mode ? opts->mode : 0600;
	bool made = false;
	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(p->fifo))
		return -ENAMETOOLONG;
	memcpy(p->fifo, path, strlen(path) + 1);
	if (opts->flags & SYNC_SEM_CREATE && !mkfifo(path, 0600))
		made = true;
	else if (opts->flags & SYNC_SEM_CREATE && errno != EEXIST)
		return -errno;
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno == EISDIR || errno == ENXIO ? -EUCLEAN : -errno;
	p->fd = fd;
	int r = made ? give(p, opts->initial, TOKEN) : 0;
	if (!r && made && mode != 0600 && fchmod(fd, mode))
		r = -errno;
	if (!r)
		return fd;
	close(fd);
	return r;
}

/* statx(2), of which musl has had the call only, and not the rest. */
struct birth {
	uint32_t mask, before[19];
	int64_t sec;
	uint32_t nsec, after[41];
};
_Static_assert(offsetof(struct birth, sec) == 80 && sizeof(struct birth) == 256, "the kernel's");
enum { BIRTH_IS_KNOWN = 0x800 };

/* A later FIFO may get the number of this one, but will not have been made at the same moment. */
void sync_jobserver_ledger(char *buf, size_t size, int dir, const char *path, const struct stat *st)
{
	struct birth b = {0};
	if (syscall(SYS_statx, dir, path, *path ? 0 : AT_EMPTY_PATH, BIRTH_IS_KNOWN, &b) ||
	    !(b.mask & BIRTH_IS_KNOWN))
		b = (struct birth){0};
	snprintf(buf, size, SYNC_SHM_DIR "/jobs.%llx.%llx.%llx%08x", (unsigned long long)st->st_dev,
		 (unsigned long long)st->st_ino, (unsigned long long)b.sec, b.nsec);
}

bool sync_jobserver_is_ledger(const char *file, dev_t *dev, uint64_t *ino)
{
	unsigned long long d;
	unsigned long long i;
	int end = 0;
	if (sscanf(file, "jobs.%llx.%llx.%*[0-9a-f]%n", &d, &i, &end) != 2 || !end || file[end])
		return false;
	*dev = (dev_t)d;
	*ino = i;
	return true;
}

static int set_ledger_path(struct jobserver *p)
{
	if (fstat(p->fd, &p->file))
		return -errno;
	sync_jobserver_ledger(p->ledger_path, sizeof(p->ledger_path), p->fd, "", &p->file);
	p->counted = S_ISFIFO(p->file.st_mode);
	return S_ISDIR(p->file.st_mode) || S_ISREG(p->file.st_mode) ? -EUCLEAN : 0;
}

static int open_sem(struct sync_sem *sem, const char *rest, const struct sync_sem_opts *opts)
{
	struct jobserver *p = cast(sem);
	const char *auth = *rest ? rest : opts->server;
	if (!auth)
		return -EDESTADDRREQ;
	bool fifo = !strncmp(auth, FIFO, strlen(FIFO));
	if (opts->flags & SYNC_SEM_CREATE && !fifo)
		return -EINVAL;
	int fd = sync_fd_raise(fifo ? open_fifo(p, auth + strlen(FIFO), opts) : open_pipe(auth));
	if (fd < 0)
		return fd;
	p->fd = fd;
	p->edge = -1;
	p->capacity = opts->flags & SYNC_SEM_CREATE ? opts->initial : opts->capacity;
	p->slot = opts->slot;
	p->maps.next = &p->escrow.map;
	p->escrow = (struct sync_escrow){
		.ops = &escrow_ops,
		.arg = p,
		.path = p->ledger_path,
		.of_path = p->ledger_path,
		.maps = &p->maps,
		.fd = -1,
	};
	int r = set_ledger_path(p);
	if (r)
		close(fd);
	return r;
}

static bool owes(const struct sync_escrow *e)
{
	bool any = e->lent;
	for (size_t i = 0; i < sizeof(e->mine) / sizeof(e->mine[0]); i++)
		any = any || e->mine[i];
	return any;
}

/* What is still owed goes back as if the process had been killed: when its last heir is gone. */
static void close_sem(struct sync_sem *sem)
{
	struct jobserver *p = cast(sem);
	struct sync_escrow *e = &p->escrow;
	if (e->fd >= 0 && !owes(e)) {
		sync_guard_start(&p->maps);
		sync_escrow_leave(e);
		sync_guard_stop();
	}
	sync_escrow_close(e);
	if (p->edge >= 0)
		close(p->edge);
	close(p->fd);
}

/* ---- the ledger ---- */

/* Its name says which jobserver's it is, so none of an earlier one can be in its place. */
static int open_ledger(struct jobserver *p)
{
	struct sync_escrow *e = &p->escrow;
	int r = e->fd >= 0 ? 0 : -ESTALE;
	while (r == -ESTALE) {
		r = sync_escrow_open(e, &p->file, true);
		if (r)
			return r;
		r = sync_escrow_join(e);
		if (r)
			sync_escrow_close(e);
	}
	return r;
}

/* Somebody has cut it, or removed it by hand. */
static int open_peer(const struct jobserver *p)
{
	int peer = sync_escrow_peer_open(&p->escrow);
	return peer == -ESTALE ? -EUCLEAN : peer;
}

static int settle(struct jobserver *p, bool clear, struct sync_settled *sum)
{
	int peer = open_peer(p);
	if (peer < 0)
		return peer;
	int r = sync_escrow_settle(&p->escrow, peer, clear, sum);
	sync_escrow_peer_close(peer);
	return r;
}

/* ---- wait ---- */

/* Of COUNT permits, how many are bytes. */
static unsigned bytes_of(const struct jobserver *p, unsigned count)
{
	return count - (p->slot_is_free && !p->escrow.lent);
}

static int count_bytes(const struct jobserver *p, unsigned *out)
{
	int n;
	if (ioctl(p->fd, FIONREAD, &n) || n < 0)
		return -errno;
	*out = (unsigned)n;
	return 0;
}

/*
 * Try once. -EAGAIN. Bytes are counted first: to give back what was taken in vain wakes others, who would
 * do the same, for ever.
 */
static int attempt_alone(struct jobserver *p, unsigned count)
{
	struct sync_escrow *e = &p->escrow;
	uint64_t before[SYNC_DEBTS / 64];
	unsigned there = count;
	int r = 0;
	count = bytes_of(p, count);
	memcpy(before, e->mine, sizeof(before));
	if (p->counted)
		r = count_bytes(p, &there);
	if (!r && there < count)
		r = -EAGAIN;
	for (unsigned i = 0; i < count && !r; i++)
		r = sync_escrow_take(e);
	if (r) {
		int back = sync_escrow_give(e, before);
		return back ? back : r;
	}
	/* One of them is the slot again, for which nothing is owed. */
	sync_escrow_cancel_loan(e);
	p->slot_is_free = false;
	return 0;
}

static int attempt(void *arg, unsigned count)
{
	struct jobserver *p = arg;
	if (!p->loan)
		return attempt_alone(p, count);
	sync_loan_lock(p->loan);
	int r = attempt_alone(p, count);
	if (!r)
		sync_loan_refuse(p->loan);
	sync_loan_unlock(p->loan);
	return r;
}

/* A byte that is there already does not wake who wants two: another that comes must. */
static int watch_edges(struct jobserver *p)
{
	struct epoll_event in = {.events = EPOLLIN | EPOLLET};
	if (p->edge >= 0)
		return 0;
	int fd = sync_fd_raise(epoll_create1(EPOLL_CLOEXEC));
	if (fd < 0)
		return -errno;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, p->fd, &in)) {
		int r = -errno;
		close(fd);
		return r;
	}
	p->edge = fd;
	return 0;
}

static int sleep_once(const struct jobserver *p, unsigned bytes, const struct timespec *deadline)
{
	struct epoll_event event;
	struct pollfd in = {.fd = bytes > 1 ? p->edge : p->fd, .events = POLLIN};
	int n = sync_poll(&in, 1, deadline);
	if (n > 0 && bytes > 1)
		(void)epoll_wait(p->edge, &event, 1,
				 0); /* from here on the next byte is a new one */
	return n < 0 ? n : n ? 0 : -ETIMEDOUT;
}

static int sleep_until_taken(void *arg, unsigned count, const struct timespec *deadline)
{
	struct jobserver *p = arg;
	unsigned bytes = bytes_of(p, count);
	int r = 0;
	if (bytes > 1)
		r = p->counted ? watch_edges(p) : -EOPNOTSUPP;
	if (r)
		return r;
	do {
		r = sleep_once(p, bytes, deadline);
		if (!r)
			r = attempt(p, count);
	} while (r == -EAGAIN);
	return r;
}

static int wait_in_line(struct jobserver *p, unsigned count, const struct timespec *deadline)
{
	int peer = open_peer(p);
	return peer < 0 ? peer : sync_escrow_wait(&p->escrow, peer, count, deadline);
}

/* The slot is whose process asks first; while that, or an heir, lives, it is nobody else's. */
static void get_slot(struct jobserver *p)
{
	if (p->slot && !p->has_slot)
		p->has_slot = p->slot_is_free = !sync_escrow_lock_other(&p->escrow, p->slot);
}

static void drop_slot(struct jobserver *p)
{
	if (!p->has_slot || p->escrow.lent)
		return;
	sync_escrow_unlock_other(&p->escrow, p->slot);
	p->has_slot = p->slot_is_free = false;
}

/* Where threads cannot be had we do without the slot; that is slower, and no more. */
static int wait_lending(struct jobserver *p, unsigned count, const struct timespec *deadline)
{
	if (p->slot_is_free)
		(void)!sync_escrow_lend(&p->escrow, TOKEN);
	else if (p->slot && !p->has_slot && sync_loan_start(&p->escrow, p->slot, TOKEN, &p->loan))
		p->loan = NULL;
	int r = wait_in_line(p, count, deadline);
	if (!p->loan)
		return r;
	p->has_slot = sync_loan_stop(p->loan);
	p->slot_is_free = p->escrow.lent;
	p->loan = NULL;
	return r;
}

static int wait_guarded(struct jobserver *p, unsigned count, const struct timespec *deadline)
{
	struct sync_settled sum = {0, 0};
	get_slot(p);
	int r = attempt(p, count);
	if (r == -EAGAIN && !sync_deadline_passed(deadline)) {
		r = wait_lending(p, count, deadline);
	} else if (r == -EAGAIN) {
		r = settle(p, false, &sum);
		if (!r)
			r = attempt(p, count);
	}
	if (p->slot_is_free)
		drop_slot(p);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int wait_sem(struct sync_sem *sem, unsigned count, unsigned flags,
		    const struct timespec *deadline)
{
	struct jobserver *p = cast(sem);
	(void)flags; /* always owned; threads must not be left, as in sem_posix.c */
	if (p->capacity && count > p->capacity)
		return -E2BIG;
	int r = open_ledger(p);
	if (r)
		return r;
	sync_guard_start(&p->maps);
	r = wait_guarded(p, count, deadline);
	sync_guard_stop();
	return sync_guard_torn(&p->maps) ? -EUCLEAN : r;
}

/* ---- the other verbs ---- */

/* What others, who are gone, owe goes back as well: make has nobody else to see to that. */
static int release_guarded(struct jobserver *p)
{
	struct sync_settled sum = {0, 0};
	int r = sync_escrow_give(&p->escrow, NULL);
	drop_slot(p);
	if (!r)
		(void)settle(p, false, &sum);
	return r;
}

static int release_sem(struct sync_sem *sem)
{
	struct jobserver *p = cast(sem);
	if (p->escrow.fd < 0)
		return 0;
	sync_guard_start(&p->maps);
	int r = release_guarded(p);
	sync_guard_stop();
	return sync_guard_torn(&p->maps) ? -EUCLEAN : r;
}

static int lend_guarded(struct jobserver *p)
{
	if (p->escrow.lent)
		return 0;
	get_slot(p);
	return p->slot_is_free ? sync_escrow_lend(&p->escrow, TOKEN) : -EBUSY;
}

static int lend_sem(struct sync_sem *sem)
{
	struct jobserver *p = cast(sem);
	int r = open_ledger(p);
	if (r)
		return r;
	sync_guard_start(&p->maps);
	r = lend_guarded(p);
	sync_guard_stop();
	return sync_guard_torn(&p->maps) ? -EUCLEAN : r;
}

static int reclaim_guarded(struct jobserver *p, const struct timespec *deadline)
{
	struct pollfd in = {.fd = p->fd, .events = POLLIN};
	int r;
	while ((r = sync_escrow_reclaim(&p->escrow)) == -EAGAIN) {
		r = sync_poll(&in, 1, deadline);
		if (r <= 0)
			return r ? r : -ETIMEDOUT;
	}
	if (!r)
		drop_slot(p);
	return r;
}

static int reclaim_sem(struct sync_sem *sem, const struct timespec *deadline)
{
	struct jobserver *p = cast(sem);
	if (!p->escrow.lent)
		return 0;
	sync_guard_start(&p->maps);
	int r = reclaim_guarded(p, deadline);
	sync_guard_stop();
	return sync_guard_torn(&p->maps) ? -EUCLEAN : r;
}

static int look_at_sem(struct sync_sem *sem, struct sync_sem_state *out)
{
	const struct jobserver *p = cast(sem);
	*out = (struct sync_sem_state){.capacity = p->capacity};
	return count_bytes(p, &out->value);
}

static int repair_sem(struct sync_sem *sem, unsigned *returned, unsigned *doubtful)
{
	struct jobserver *p = cast(sem);
	struct sync_settled sum = {0, 0};
	int r = open_ledger(p);
	if (r)
		return r;
	sync_guard_start(&p->maps);
	r = settle(p, true, &sum);
	sync_guard_stop();
	*returned = sum.returned;
	*doubtful = sum.doubtful;
	return sync_guard_torn(&p->maps) ? -EUCLEAN : r;
}

static int unlink_sem(struct sync_sem *sem)
{
	const struct jobserver *p = cast(sem);
	if (!*p->fifo)
		return -EOPNOTSUPP;
	return unlink(p->fifo) ? -errno : 0;
}

static size_t fds_of_sem(const struct sync_sem *sem, const int **fds)
{
	const struct jobserver *p = (const struct jobserver *)sem;
	*fds = &p->escrow.fd;
	return p->escrow.fd >= 0;
}

static const char *path_of_sem(const struct sync_sem *sem)
{
	const struct jobserver *p = (const struct jobserver *)sem;
	return *p->fifo ? p->fifo : NULL;
}

static int owners_of_sem(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
			 size_t *hidden)
{
	const struct jobserver *p = (const struct jobserver *)sem;
	int r = sync_inspect_permits(p->ledger_path, list, count, hidden);
	if (r != -ENOENT)
		return r;
	*list = NULL;
	*count = *hidden = 0;
	return 0;
}

const struct sync_sem_ops sync_sem_jobserver = {
	.name = "jobserver",
	.caps = SYNC_CAP_OWN | SYNC_CAP_COUNT | SYNC_CAP_SERVED,
	.max = 4096,
	.size = sizeof(struct jobserver),
	.open = open_sem,
	.close = close_sem,
	.wait = wait_sem,
	.release = release_sem,
	.lend = lend_sem,
	.reclaim = reclaim_sem,
	.state = look_at_sem,
	.repair = repair_sem,
	.unlink = unlink_sem,
	.fds = fds_of_sem,
	.path = path_of_sem,
	.owners = owners_of_sem,
};
