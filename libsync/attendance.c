/* SPDX-License-Identifier: MIT */
/*
 * Who attends a queue, and the end of a queue, as a pipe knows it: no message, and no sender left.
 *
 * A sender holds a shared flock on the queue itself, a receiver a read lock on a byte of it. So a
 * sender that is killed is gone for the kernel, and no end marker is ever put into the queue.
 *
 * To see the last sender go, a thread for each queue blocks in flock(LOCK_EX), which is granted when
 * nobody holds it shared, and gives it back at once. That only wakes us. What decides is one look while
 * we hold that lock ourselves: nobody can have begun to send, so if the queue is empty now, it is at
 * its end.
 *
 * To see the last receiver go, the thread asks for a write lock of that byte; whether one is there is seen
 * without any lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blocked.h"
#include "internal.h"

#define RECEIVER_BYTE 1

struct member {
	struct sync_queue_watch *all;
	int queue;   /* the caller's descriptor */
	int lock;    /* a description of its own, for the lock */
	int notices; /* number of the inotify watch */
	bool begun;  /* there was a sender, or a message */
	bool has_thread;
	bool ended; /* under all->mutex: the thread is done */
	int error;  /* of the thread, when it is done */
	struct sync_blocked thread;
};

struct sync_queue_watch {
	unsigned until;
	int event;   /* a thread is done */
	int inotify; /* a queue was removed, or closed by one who could write */
	pthread_mutex_t mutex;
	struct pollfd *polls; /* the queues, then event, then inotify */
	size_t n;
	struct member members[];
};

#define PATH_SIZE 40

static void spell_path(char *path, int fd)
{
	snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
}

/* ---- attending ---- */

static int receiver_lock(int fd, int cmd, struct flock *record)
{
	record->l_whence = SEEK_SET;
	record->l_start = RECEIVER_BYTE;
	record->l_len = 1;
	return fcntl(fd, cmd, record) ? -errno : 0;
}

static int attend(int fd, bool sends, bool wait)
{
	struct flock record = {.l_type = F_RDLCK};
	if (sends)
		return flock(fd, wait ? LOCK_SH : LOCK_SH | LOCK_NB) ? -errno : 0;
	return receiver_lock(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &record);
}

/* Whoever may open the queue can hold a lock that is in our way: so that is bounded, too. */
static int attend_until(int fd, bool sends, const struct timespec *deadline)
{
	struct sync_alarm alarm;
	int r = attend(fd, sends, false);
	if (r != -EAGAIN && r != -EACCES)
		return r;
	if (!deadline)
		return attend(fd, sends, true);
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	r = sync_alarm_start(&alarm, deadline);
	if (r)
		return r;
	r = attend(fd, sends, true);
	sync_alarm_stop(&alarm);
	return r == -EINTR && sync_deadline_passed(deadline) ? -ETIMEDOUT : r;
}

SYNC_API int sync_queue_attend(struct sync_queue *q, const struct timespec *deadline)
{
	if (!(q->ops->caps & SYNC_CAP_PRESENCE))
		return -EOPNOTSUPP;
	int fd = q->ops->fd(q);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	bool sends = (flags & O_ACCMODE) != O_RDONLY;
	int r = attend_until(fd, sends, deadline);
	if (r || sends)
		return r;
	/* To read it as a file takes no message, but is a notice to those who await a receiver. */
	char byte;
	return pread(fd, &byte, 1, 0) < 0 ? -errno : 0;
}

static int find_receiver(int fd)
{
	struct flock record = {.l_type = F_WRLCK};
	int r = receiver_lock(fd, F_OFD_GETLK, &record);
	/* A write lock is a sender's, that has waited till nobody was here. */
	return r ? r : record.l_type == F_RDLCK;
}

SYNC_API int sync_queue_has_receiver(const struct sync_queue *q)
{
	return q->ops->caps & SYNC_CAP_PRESENCE ? find_receiver(q->ops->fd(q)) : -EOPNOTSUPP;
}

static int await_notice(int inotify, const struct timespec *deadline)
{
	_Alignas(struct inotify_event) char buf[4096];
	struct pollfd one = {.fd = inotify, .events = POLLIN};
	struct timespec left;
	if (deadline && !sync_deadline_left(deadline, &left))
		return -ETIMEDOUT;
	int n = ppoll(&one, 1, deadline ? &left : NULL, NULL);
	return n < 0 || (n && read(inotify, buf, sizeof(buf)) < 0) ? -errno : 0;
}

SYNC_API int sync_queue_await_receiver(struct sync_queue *q, const struct timespec *deadline)
{
	char path[PATH_SIZE];
	int r = sync_queue_has_receiver(q);
	if (r)
		return r < 0 ? r : 0;
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	int inotify = inotify_init1(IN_CLOEXEC);
	if (inotify < 0)
		return -errno;
	spell_path(path, q->ops->fd(q));
	if (inotify_add_watch(inotify, path, IN_ACCESS) < 0)
		r = -errno;
	while (!r && (r = sync_queue_has_receiver(q)) == 0)
		r = await_notice(inotify, deadline);
	close(inotify);
	return r < 0 ? r : 0;
}

/* ---- the threads ---- */

/* An error is told, too: nobody would wake us otherwise. */
static int over(struct member *m, int r)
{
	if (r == -EINTR)
		return r;
	m->error = r;
	return 0;
}

static int await_last_sender(void *arg)
{
	struct member *m = arg;
	if (flock(m->lock, LOCK_EX))
		return over(m, -errno);
	flock(m->lock, LOCK_UN);
	return over(m, 0);
}

static int await_last_receiver(void *arg)
{
	struct member *m = arg;
	struct flock record = {.l_type = F_WRLCK};
	int r = receiver_lock(m->lock, F_OFD_SETLKW, &record);
	if (r)
		return over(m, r);
	record.l_type = F_UNLCK;
	return over(m, receiver_lock(m->lock, F_OFD_SETLK, &record));
}

static void report(void *arg)
{
	struct member *m = arg;
	uint64_t one = 1;
	pthread_mutex_lock(&m->all->mutex);
	m->ended = true;
	pthread_mutex_unlock(&m->all->mutex);
	if (write(m->all->event, &one, sizeof(one)) < 0)
		return; /* it cannot overflow */
}

static int start(struct member *m)
{
	if (m->has_thread)
		return 0;
	m->ended = false;
	m->error = 0;
	m->thread = (struct sync_blocked){
		.call = m->all->until & SYNC_UNTIL_UNREAD ? await_last_receiver : await_last_sender,
		.after = report,
		.arg = m,
	};
	int r = sync_blocked_start(&m->thread);
	m->has_thread = !r;
	return r;
}

/* What the thread has come to, if it has ended. */
static int reap(struct member *m)
{
	pthread_mutex_lock(&m->all->mutex);
	bool ended = m->ended;
	pthread_mutex_unlock(&m->all->mutex);
	if (!m->has_thread || !ended)
		return 0;
	sync_blocked_stop(&m->thread);
	m->has_thread = false;
	return m->error;
}

/* ---- is this the end? ---- */

/* 1, 0, -errno. */
static int is_empty(const struct member *m)
{
	struct pollfd poll_one = {.fd = m->queue, .events = POLLIN};
	static const struct timespec now = {0, 0};
	int n;
	do
		n = ppoll(&poll_one, 1, &now, NULL);
	while (n < 0 && errno == EINTR); /* signals end it although it does not wait */
	return n < 0 ? -errno : n == 0;
}

static bool is_removed(const struct member *m)
{
	struct stat st;
	return !fstat(m->queue, &st) && st.st_nlink == 0;
}

/* As at_end(). The thread may not know yet, so the lock itself is asked. */
static int is_unread(struct member *m)
{
	int r = find_receiver(m->lock);
	if (r <= 0)
		return r ? r : 1;
	r = reap(m);
	return r ? r : start(m);
}

/* 1 it is; 0 it is not, and a thread waits for it; -errno. */
static int at_end(struct member *m)
{
	unsigned until = m->all->until;
	int empty = until & SYNC_UNTIL_REMOVED && is_removed(m) ? is_empty(m) : 0;
	if (empty)
		return empty;
	if (until & SYNC_UNTIL_UNREAD)
		return is_unread(m);
	if (!(until & SYNC_UNTIL_EOF))
		return 0;
	int r = reap(m);
	if (r || m->has_thread)
		return r;
	/* A sender has it shared, or another receiver looks: a sender will be noticed when it closes. */
	if (flock(m->lock, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? start(m) : -errno;
	r = m->begun ? is_empty(m) : 0;
	flock(m->lock, LOCK_UN);
	return r;
}

static int all_at_end(struct sync_queue_watch *w)
{
	int sum = 1;
	for (size_t i = 0; i < w->n; i++) {
		int r = at_end(&w->members[i]);
		if (r < 0)
			return r;
		sum = sum && r;
	}
	return sum;
}

/* ---- open, close ---- */

static int add_notices(const struct sync_queue_watch *w, struct member *m, const char *path)
{
	/* A sender that came and went without a word is seen by its close. */
	uint32_t mask = IN_ATTRIB | IN_DELETE_SELF;
	if (w->until & SYNC_UNTIL_EOF)
		mask |= IN_CLOSE_WRITE;
	m->notices = inotify_add_watch(w->inotify, path, mask);
	if (m->notices < 0)
		return -errno;
	/* Looked at when later senders are noticed already; who takes this message may not ask us first. */
	int empty = is_empty(m);
	m->begun = !empty;
	return empty < 0 ? empty : 0;
}

static int open_member(struct sync_queue_watch *w, struct sync_queue *q)
{
	char path[PATH_SIZE];
	struct member *m = &w->members[w->n];
	bool sends = w->until & SYNC_UNTIL_UNREAD || !(q->flags & SYNC_QUEUE_RECV);
	if (!(q->ops->caps & SYNC_CAP_PRESENCE))
		return -EOPNOTSUPP;
	if (w->until & SYNC_UNTIL_UNREAD && !(q->flags & SYNC_QUEUE_SEND))
		return -EBADF;
	*m = (struct member){.all = w, .queue = q->ops->fd(q), .lock = -1};
	w->polls[w->n++] = (struct pollfd){.fd = m->queue, .events = sends ? POLLOUT : POLLIN};
	if (!w->until)
		return 0;
	spell_path(path, m->queue);
	/* The kernel wants a description that is open for writing for a write lock. */
	int mode = w->until & SYNC_UNTIL_UNREAD ? O_WRONLY : O_RDONLY;
	m->lock = sync_fd_raise(open(path, mode | O_CLOEXEC));
	if (m->lock < 0)
		return m->lock == -1 ? -errno : m->lock;
	return mode == O_RDONLY ? add_notices(w, m, path) : 0;
}

SYNC_API void sync_queue_watch_close(struct sync_queue_watch *w)
{
	if (!w)
		return;
	int saved = errno;
	for (size_t i = 0; i < w->n; i++) {
		struct member *m = &w->members[i];
		if (m->has_thread)
			sync_blocked_stop(&m->thread);
		if (m->lock >= 0)
			close(m->lock);
	}
	if (w->event >= 0)
		close(w->event);
	if (w->inotify >= 0)
		close(w->inotify);
	pthread_mutex_destroy(&w->mutex);
	free(w->polls);
	free(w);
	errno = saved;
}

SYNC_API int sync_queue_watch_open(struct sync_queue *const *queues, size_t n, unsigned until,
				   struct sync_queue_watch **out)
{
	if (until & SYNC_UNTIL_UNREAD && until != SYNC_UNTIL_UNREAD)
		return -EINVAL;
	struct sync_queue_watch *w = calloc(1, sizeof(*w) + n * sizeof(w->members[0]));
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->mutex, NULL);
	w->until = until;
	w->event = w->inotify = -1;
	w->polls = calloc(n + 2, sizeof(*w->polls));
	int r = w->polls ? 0 : -ENOMEM;
	if (!r && until) {
		w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		r = w->event < 0 || w->inotify < 0 ? -errno : 0;
	}
	for (size_t i = 0; i < n && !r; i++)
		r = open_member(w, queues[i]);
	if (r) {
		sync_queue_watch_close(w);
		return r;
	}
	w->polls[n] = (struct pollfd){.fd = w->event, .events = POLLIN};
	w->polls[n + 1] = (struct pollfd){.fd = w->inotify, .events = POLLIN};
	*out = w;
	return 0;
}

SYNC_API void sync_queue_watch_seen(struct sync_queue_watch *w, const struct sync_queue *q)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->members[i].queue == q->ops->fd(q))
			w->members[i].begun = true;
}

/* ---- wait ---- */

static void note(struct sync_queue_watch *w)
{
	_Alignas(struct inotify_event) char buf[4096];
	uint64_t count;
	if (w->polls[w->n].revents && read(w->event, &count, sizeof(count)) < 0)
		return;
	if (!w->polls[w->n + 1].revents)
		return;
	ssize_t got = read(w->inotify, buf, sizeof(buf));
	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *e = (const struct inotify_event *)(buf + at);
		for (size_t i = 0; i < w->n && e->mask & IN_CLOSE_WRITE; i++)
			if (w->members[i].notices == e->wd)
				w->members[i].begun = true;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
}

static ssize_t first_ready(struct sync_queue_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->polls[i].revents & (POLLIN | POLLOUT)) {
			w->members[i].begun = true;
			return (ssize_t)i;
		}
	}
	return -1;
}

SYNC_API ssize_t sync_queue_watch_wait(struct sync_queue_watch *w, const struct timespec *deadline)
{
	struct timespec none = {0, 0};
	struct timespec left;
	if (deadline != SYNC_NOW)
		sched_yield(); /* as before any wait for a queue: see queue.c */
	for (;;) {
		/*
		 * Only when there is nothing to receive it may be the end; but room is for nothing
		 * when nobody receives.
		 */
		int n = ppoll(w->polls, w->n + 2, &none, NULL);
		ssize_t ready = n > 0 ? first_ready(w) : -1;
		if (ready >= 0 && !(w->until & SYNC_UNTIL_UNREAD))
			return ready;
		if (n > 0)
			note(w);
		int r = n < 0 ? -errno : w->until ? all_at_end(w) : 0;
		if (r)
			return r > 0 ? -ENODATA : r;
		if (ready >= 0)
			return ready;
		if (deadline && !sync_deadline_left(deadline, &left))
			return -ETIMEDOUT;
		if (ppoll(w->polls, w->n + 2, deadline ? &left : NULL, NULL) < 0)
			return -errno;
	}
}
