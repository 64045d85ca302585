/* SPDX-License-Identifier: MIT */
/* The queue object: checks arguments, chooses the backend, bounds what blocks by the deadline. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define QUEUE_BACKEND(name) extern const struct sync_queue_ops sync_queue_##name;
#include "backends.def"

static const struct sync_queue_ops *const queue_backends[] = {
#define QUEUE_BACKEND(name) &sync_queue_##name,
#include "backends.def"
};
#define QUEUE_BACKENDS (sizeof(queue_backends) / sizeof(queue_backends[0]))

/* The backend of NAME, and in *rest what is behind its scheme. */
static const struct sync_queue_ops *backend_of(const char *name, const char **rest)
{
	for (size_t i = 0; i < QUEUE_BACKENDS; i++) {
		size_t len = strlen(queue_backends[i]->name);
		if (!strncmp(name, queue_backends[i]->name, len) && name[len] == ':') {
			*rest = name + len + 1;
			return queue_backends[i];
		}
	}
	*rest = name;
	return queue_backends[0]; /* no scheme: the first */
}

bool sync_queue_is_same_name(const char *a, const char *b)
{
	const char *rest_a;
	const char *rest_b;
	if (backend_of(a, &rest_a) != backend_of(b, &rest_b))
		return false;
	return !strcmp(rest_a + (*rest_a == '/'), rest_b + (*rest_b == '/'));
}

SYNC_API int sync_queue_open(const char *name, const struct sync_queue_opts *opts,
			     struct sync_queue **out)
{
	static const struct sync_queue_opts defaults;
	const char *rest;
	const struct sync_queue_ops *ops = backend_of(name, &rest);
	size_t name_size = strlen(name) + 1;
	struct sync_queue *q = calloc(1, ops->size + name_size);
	if (!q)
		return -ENOMEM;
	q->ops = ops;
	q->flags = opts ? opts->flags : 0;
	q->name = memcpy((char *)q + ops->size, name, name_size);
	int r = ops->open(q, rest, opts ? opts : &defaults);
	if (r)
		free(q);
	else
		*out = q;
	return r;
}

SYNC_API int sync_queue_limit(const char *name, const struct sync_queue_opts *opts, int err,
			      struct sync_queue_limit *out)
{
	static const struct sync_queue_opts defaults;
	struct sync_queue_limit limit = {0};
	const char *rest;
	const struct sync_queue_ops *ops = backend_of(name, &rest);
	int r = ops->limit ? ops->limit(rest, opts ? opts : &defaults, err, &limit) : -ENOENT;
	if (!r)
		*out = limit;
	return r;
}

SYNC_API void sync_queue_close(struct sync_queue *q)
{
	if (!q)
		return;
	int saved = errno;
	q->ops->close(q);
	free(q);
	errno = saved;
}

/* ---- send, receive ---- */

/*
 * Who finds an empty queue lets others run for a moment before it gets in line. Otherwise, where both
 * sides share a processor, each message that comes costs two switches between them: a stream of
 * small messages is a third slower.
 *
 * Neither kind of queue has a timeout on CLOCK_MONOTONIC; so, as with locks, a signal ends the call. It
 * blocks all the time until then, and keeps its place in line.
 */
struct bound {
	const struct timespec *deadline;
	struct sync_alarm alarm;
};

static int begin(struct bound *b)
{
	if (sync_deadline_passed(b->deadline))
		return -ETIMEDOUT;
	return sync_alarm_start(&b->alarm, b->deadline);
}

static ssize_t end(struct bound *b, ssize_t r)
{
	sync_alarm_stop(&b->alarm);
	return r == -EINTR && sync_deadline_passed(b->deadline) ? -ETIMEDOUT : r;
}

SYNC_API int sync_queue_send(struct sync_queue *q, const void *data, size_t len, long number,
			     const struct timespec *deadline)
{
	if (!(q->flags & SYNC_QUEUE_SEND))
		return -EBADF;
	if (number < q->ops->least || number > q->ops->most)
		return -EINVAL;
	int r = q->ops->send(q, data, len, number, false);
	if (r != -EAGAIN || deadline == SYNC_NOW)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	sched_yield();
	if (!deadline)
		return q->ops->send(q, data, len, number, true);
	struct bound b = {.deadline = deadline};
	r = begin(&b);
	return r ? r : (int)end(&b, q->ops->send(q, data, len, number, true));
}

SYNC_API ssize_t sync_queue_recv(struct sync_queue *q, void *buf, size_t size,
				 const struct sync_queue_want *want,
				 const struct timespec *deadline, long *number)
{
	long ignored = 0;
	number = number ? number : &ignored;
	if (!(q->flags & SYNC_QUEUE_RECV))
		return -EBADF;
	if (want && (want->number || want->except) && !(q->ops->caps & SYNC_CAP_SELECT))
		return -EOPNOTSUPP;
	ssize_t r = q->ops->recv(q, buf, size, want, false, number);
	if (r != -EAGAIN || deadline == SYNC_NOW)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	sched_yield();
	if (!deadline)
		return q->ops->recv(q, buf, size, want, true, number);
	struct bound b = {.deadline = deadline};
	r = begin(&b);
	return r ? r : end(&b, q->ops->recv(q, buf, size, want, true, number));
}

SYNC_API int sync_queue_put_back(struct sync_queue *q, const void *data, size_t len, long number)
{
	if (!(q->flags & SYNC_QUEUE_RECV))
		return -EBADF;
	if (number < q->ops->least || number > q->ops->most)
		return -EINVAL;
	int r = q->ops->put_back ? q->ops->put_back(q, data, len, number)
				 : q->ops->send(q, data, len, number, false);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* ---- look, remove ---- */

SYNC_API ssize_t sync_queue_peek(struct sync_queue *q, size_t place, void *buf, size_t size,
				 long *number)
{
	long ignored = 0;
	if (!q->ops->peek)
		return -EOPNOTSUPP;
	if (!(q->flags & SYNC_QUEUE_RECV))
		return -EBADF;
	return q->ops->peek(q, place, buf, size, number ? number : &ignored);
}

SYNC_API int sync_queue_state(struct sync_queue *q, struct sync_queue_state *out)
{
	return q->ops->state(q, out);
}

SYNC_API int sync_queue_unlink(struct sync_queue *q)
{
	return q->ops->unlink(q);
}

SYNC_API int sync_queue_fd(const struct sync_queue *q)
{
	return q->ops->fd ? q->ops->fd(q) : -EOPNOTSUPP;
}

SYNC_API const char *sync_queue_name(const struct sync_queue *q)
{
	return q->name;
}

SYNC_API unsigned sync_queue_caps(const struct sync_queue *q)
{
	return q->ops->caps;
}

SYNC_API unsigned sync_queue_caps_of(const char *name)
{
	const char *rest;
	return backend_of(name, &rest)->caps;
}
