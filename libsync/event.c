/* SPDX-License-Identifier: MIT */
/* The event object: names, and the waits for its counter and for its holder's end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counter.h"

/* ---- open, close ---- */

typedef int sync_reach(struct sync_event *ev, const char *rest, const struct timespec *deadline);

static int number(const char *s, size_t len, int *out)
{
	uint64_t n = 0;
	int r = sync_name_number(s, len, INT_MAX, &n);
	*out = (int)n;
	return r ? -EINVAL : 0;
}

static int reach_fd(struct sync_event *ev, const char *rest, const struct timespec *deadline)
{
	(void)deadline;
	ev->borrowed = true;
	int r = number(rest, strlen(rest), &ev->fd);
	return r ? r : sync_counter_check(ev->fd);
}

/* "P:N". The raw calls: libcs are younger than kernels. */
static int reach_pid(struct sync_event *ev, const char *rest, const struct timespec *deadline)
{
	const char *colon = strchr(rest, ':');
	int pid;
	int fd;
	(void)deadline;
	if (!colon || number(rest, (size_t)(colon - rest), &pid) || !pid ||
	    number(colon + 1, strlen(colon + 1), &fd))
		return -EINVAL;
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process < 0)
		return -errno;
	ev->fd = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	int r = ev->fd < 0 ? -errno : 0;
	close(process);
	if (r)
		return r;
	ev->fd = sync_fd_raise(ev->fd);
	if (ev->fd < 0)
		return ev->fd;
	r = sync_counter_check(ev->fd);
	if (r)
		close(ev->fd);
	return r;
}

static const struct way {
	const char *scheme;
	sync_reach *reach;
} ways[] = {
	{"holder", sync_event_ask}, /* what a bare name means */
	{"fd", reach_fd},
	{"pid", reach_pid},
};

static const struct way *way_of(const char *name, const char **rest)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t len = strlen(ways[i].scheme);
		if (!strncmp(name, ways[i].scheme, len) && name[len] == ':') {
			*rest = name + len + 1;
			return &ways[i];
		}
	}
	*rest = name;
	return &ways[0];
}

static struct sync_event *new_event(const char *name)
{
	size_t size = strlen(name) + 1;
	struct sync_event *ev = calloc(1, sizeof(*ev) + size);
	if (!ev)
		return NULL;
	memcpy(ev->name, name, size);
	ev->fd = ev->life = ev->semaphore = -1;
	return ev;
}

SYNC_API int sync_event_open(const char *name, const struct timespec *deadline,
			     struct sync_event **out)
{
	const char *rest;
	const struct way *way = way_of(name, &rest);
	struct sync_event *ev = new_event(name);
	if (!ev)
		return -ENOMEM;
	int r = way->reach(ev, rest, deadline);
	if (r)
		free(ev);
	else
		*out = ev;
	return r;
}

SYNC_API int sync_event_make(const struct sync_event_opts *opts, struct sync_event **out)
{
	static const struct sync_event_opts defaults;
	char name[16] = "fd:";
	opts = opts ? opts : &defaults;
	unsigned semaphore = opts->flags & SYNC_EVENT_SEMAPHORE ? SYNC_COUNTER_SEMAPHORE : 0;
	int fd = sync_counter_new(opts->initial, semaphore);
	if (fd < 0)
		return fd;
	size_t end = strlen(name);
	for (int rest = fd; rest; rest /= 10)
		end++;
	for (int rest = fd; rest; rest /= 10)
		name[--end] = (char)('0' + rest % 10);
	struct sync_event *ev = new_event(name);
	if (!ev) {
		close(fd);
		return -ENOMEM;
	}
	ev->fd = fd;
	ev->semaphore = !!semaphore;
	*out = ev;
	return 0;
}

SYNC_API void sync_event_close(struct sync_event *ev)
{
	if (!ev)
		return;
	int saved = errno;
	if (!ev->borrowed)
		close(ev->fd);
	if (ev->life >= 0)
		close(ev->life);
	free(ev);
	errno = saved;
}

/* ---- signal, wait, await ---- */

/* 0 done; SYNC_NOT_NOW; -errno. */
typedef int sync_try(struct sync_event *ev, uint64_t *value);

static int take(struct sync_event *ev, uint64_t *value)
{
	return sync_counter_take(ev->fd, value);
}

static int add(struct sync_event *ev, uint64_t *value)
{
	return sync_counter_add(ev->fd, *value);
}

static int reached(struct sync_event *ev, uint64_t *value)
{
	struct sync_counter c;
	if (*value <= 1)
		return !*value || sync_counter_is_set(ev->fd) ? 0 : SYNC_NOT_NOW;
	int r = sync_counter_look(ev->fd, &c);
	return r ? r : c.value >= *value ? 0 : SYNC_NOT_NOW;
}

/*
 * An epoll instance tells each change, even if the counter was not 0 before, or not full: what makes a
 * try succeed later may not be what poll(2) would call readable or writable.
 */
static int watch(const struct sync_event *ev, uint32_t changes)
{
	struct epoll_event e = {.events = changes | EPOLLET};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!epoll_ctl(fd, EPOLL_CTL_ADD, ev->fd, &e))
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

/* Until there is a change, or the holder is gone. */
static int doze(const struct sync_event *ev, int watch, const struct timespec *deadline)
{
	struct epoll_event e;
	struct pollfd p[2] = {{.fd = watch, .events = POLLIN}, {.fd = ev->life, .events = POLLIN}};
	int n = sync_poll(p, 2, deadline);
	if (n <= 0)
		return n ? n : -ETIMEDOUT;
	if (p[0].revents)
		epoll_wait(watch, &e, 1, 0); /* from here on the next change is a new one */
	return 0;
}

static int try_once(struct sync_event *ev, sync_try *try, uint64_t *value)
{
	int r = sync_event_life(ev->life);
	return r ? r : try(ev, value);
}

/* The watch is there before the try, so no change between that and the sleep is missed. */
static int try_until(struct sync_event *ev, sync_try *try, uint64_t *value,
		     const struct timespec *deadline)
{
	int r = try_once(ev, try, value);
	if (r != SYNC_NOT_NOW)
		return r;
	if (sync_deadline_passed(deadline))
		return -ETIMEDOUT;
	int fd = watch(ev, try == add ? EPOLLOUT : EPOLLIN);
	if (fd < 0)
		return fd;
	for (;;) {
		r = try_once(ev, try, value);
		if (r != SYNC_NOT_NOW)
			break;
		r = doze(ev, fd, deadline);
		if (r)
			break;
	}
	close(fd);
	return r;
}

SYNC_API int sync_event_signal(struct sync_event *ev, uint64_t n, const struct timespec *deadline)
{
	if (!n || n > SYNC_COUNTER_MAX)
		return -EINVAL;
	if (!deadline && ev->life < 0) {
		int r = sync_counter_add_blocking(ev->fd, n);
		if (r != SYNC_NOT_NOW)
			return r;
	}
	return try_until(ev, add, &n, deadline);
}

SYNC_API int sync_event_wait(struct sync_event *ev, const struct timespec *deadline,
			     uint64_t *value)
{
	uint64_t taken;
	int r = try_until(ev, take, &taken, deadline);
	if (!r && value)
		*value = taken;
	return r;
}

SYNC_API int sync_event_await(struct sync_event *ev, uint64_t at_least,
			      const struct timespec *deadline)
{
	if (at_least > SYNC_COUNTER_MAX)
		return -EINVAL;
	return try_until(ev, reached, &at_least, deadline);
}

/* ---- look, remove ---- */

SYNC_API int sync_event_state(struct sync_event *ev, struct sync_event_state *out)
{
	struct sync_counter c;
	int r = sync_event_life(ev->life);
	if (!r)
		r = sync_counter_look(ev->fd, &c);
	if (r)
		return r;
	*out = (struct sync_event_state){
		.value = c.value,
		.semaphore = ev->semaphore >= 0 ? ev->semaphore : c.semaphore,
		.id = c.id,
		.holder = ev->holder,
		.uid = ev->life >= 0 ? ev->uid : (uid_t)-1,
		.mode = ev->mode,
	};
	return 0;
}

SYNC_API int sync_event_unlink(const char *name, const struct timespec *deadline)
{
	const char *rest;
	return way_of(name, &rest) == &ways[0] ? sync_event_dismiss(rest, deadline) : -EOPNOTSUPP;
}

SYNC_API int sync_event_fd(const struct sync_event *ev)
{
	return ev->fd;
}

SYNC_API const char *sync_event_name(const struct sync_event *ev)
{
	return ev->name;
}
