/* SPDX-License-Identifier: MIT */
/* The semaphore object: checks arguments, chooses the backend, takes from one or from several. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define SEM_BACKEND(name) extern const struct sync_sem_ops sync_sem_##name;
#include "backends.def"

static const struct sync_sem_ops *const sem_backends[] = {
#define SEM_BACKEND(name) &sync_sem_##name,
#include "backends.def"
};
#define SEM_BACKENDS (sizeof(sem_backends) / sizeof(sem_backends[0]))

static const struct sync_sem_ops *find(const char *scheme, size_t len)
{
	for (size_t i = 0; i < SEM_BACKENDS; i++) {
		const char *name = sem_backends[i]->name;
		if (strlen(name) == len && !memcmp(name, scheme, len))
			return sem_backends[i];
	}
	return NULL;
}

/* The backend of NAME, and in *rest what is behind its scheme. */
static const struct sync_sem_ops *backend_of(const char *name, const char **rest)
{
	const char *colon = strchr(name, ':');
	const struct sync_sem_ops *ops = colon ? find(name, (size_t)(colon - name)) : NULL;
	*rest = ops ? colon + 1 : name;
	return ops ? ops : sem_backends[0]; /* no scheme: the first */
}

SYNC_API unsigned sync_sem_caps_of(const char *name)
{
	const char *rest;
	return backend_of(name, &rest)->caps;
}

SYNC_API unsigned sync_sem_max_of(const char *name)
{
	const char *rest;
	return backend_of(name, &rest)->max;
}

/* ---- open, close ---- */

SYNC_API int sync_sem_open(const char *name, const struct sync_sem_opts *opts,
			   struct sync_sem **out)
{
	static const struct sync_sem_opts defaults;
	const char *rest;
	const struct sync_sem_ops *ops = backend_of(name, &rest);
	opts = opts ? opts : &defaults;
	if (opts->flags & SYNC_SEM_CREATE && opts->initial > ops->max)
		return -ERANGE;
	if (opts->flags & SYNC_SEM_BY_FD && !(ops->caps & SYNC_CAP_INHERIT))
		return -EOPNOTSUPP;

	size_t name_size = strlen(name) + 1;
	struct sync_sem *sem = calloc(1, ops->size + name_size);
	if (!sem)
		return -ENOMEM;
	sem->ops = ops;
	sem->name = memcpy((char *)sem + ops->size, name, name_size);
	int r = ops->open(sem, rest, opts);
	if (r)
		free(sem);
	else
		*out = sem;
	return r;
}

SYNC_API void sync_sem_close(struct sync_sem *sem)
{
	if (!sem)
		return;
	int saved = errno;
	sem->ops->close(sem);
	free(sem);
	errno = saved;
}

/* ---- wait, post ---- */

SYNC_API int sync_sem_wait(struct sync_sem *sem, unsigned count, unsigned flags,
			   const struct timespec *deadline)
{
	if (!count)
		return -EINVAL;
	if (count > sem->ops->max)
		return -E2BIG;
	if ((count > 1 && !(sem->ops->caps & SYNC_CAP_COUNT)) ||
	    (flags & SYNC_SEM_OWNED && !(sem->ops->caps & SYNC_CAP_OWN)))
		return -EOPNOTSUPP;
	return sem->ops->wait(sem, count, flags, deadline);
}

static int by_identity(const void *va, const void *vb)
{
	const struct sync_sem_want *a = va;
	const struct sync_sem_want *b = vb;
	return a->sem->ops->compare(a->sem, b->sem);
}

static int check_wants(const struct sync_sem_want *wants, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sync_sem_ops *ops = wants[i].sem->ops;
		if (!(ops->caps & SYNC_CAP_SET) || ops != wants[0].sem->ops)
			return -EOPNOTSUPP;
		if (!wants[i].count)
			return -EINVAL;
		if (wants[i].count > ops->max)
			return -E2BIG;
	}
	return 0;
}

/* What is asked of the semaphore of the first of N sorted wants, and in how many of them. */
static size_t sum(const struct sync_sem_want *wants, size_t n, unsigned *count)
{
	size_t same = 0;
	*count = 0;
	while (same < n && by_identity(&wants[0], &wants[same]) == 0)
		*count += wants[same++]
				  .count; /* at most n * max, so it cannot overflow in practice */
	return same;
}

/* One that is had may make others wait for it, but everybody only waits for later ones. */
SYNC_API int sync_sem_wait_all(struct sync_sem_want *wants, size_t n, unsigned flags,
			       const struct timespec *deadline, struct sync_sem **failed)
{
	unsigned count;
	size_t i = 0;
	int r = check_wants(wants, n);
	if (!r && n > 1)
		qsort(wants, n, sizeof(*wants), by_identity);
	while (!r && i < n) {
		size_t same = sum(wants + i, n - i, &count);
		/* The threads of a wait would win permits while we wait for the next. */
		unsigned with = i + same < n ? flags & ~(unsigned)SYNC_SEM_EXEC : flags;
		r = sync_sem_wait(wants[i].sem, count, with, deadline);
		if (!r)
			i += same;
	}
	if (!r)
		return 0;
	if (failed && n)
		*failed = wants[i].sem;
	for (size_t k = 0; k < i; k += sum(wants + k, n - k, &count))
		wants[k].sem->ops->undo(wants[k].sem);
	return r;
}

SYNC_API int sync_sem_wait_zero(struct sync_sem *sem, const struct timespec *deadline)
{
	return sem->ops->wait_zero ? sem->ops->wait_zero(sem, deadline) : -EOPNOTSUPP;
}

SYNC_API int sync_sem_post(struct sync_sem *sem, unsigned count, unsigned max)
{
	if (!count)
		return -EINVAL;
	if (!sem->ops->post)
		return -EOPNOTSUPP;
	if (count > sem->ops->max)
		return -EOVERFLOW;
	if (max && count > max)
		return -EAGAIN;
	if (max > sem->ops->max)
		max = 0; /* more than it can hold anyway */
	return sem->ops->post(sem, count, max);
}

SYNC_API int sync_sem_release(struct sync_sem *sem)
{
	return sem->ops->release ? sem->ops->release(sem) : 0;
}

SYNC_API int sync_sem_lend(struct sync_sem *sem)
{
	return sem->ops->lend ? sem->ops->lend(sem) : -EOPNOTSUPP;
}

SYNC_API int sync_sem_reclaim(struct sync_sem *sem, const struct timespec *deadline)
{
	return sem->ops->reclaim ? sem->ops->reclaim(sem, deadline) : 0;
}

/* ---- look, change ---- */

SYNC_API int sync_sem_state(struct sync_sem *sem, struct sync_sem_state *out)
{
	return sem->ops->state(sem, out);
}

SYNC_API int sync_sem_resize(struct sync_sem *sem, unsigned size)
{
	if (!sem->ops->resize)
		return -EOPNOTSUPP;
	return size > sem->ops->max ? -ERANGE : sem->ops->resize(sem, size);
}

SYNC_API int sync_sem_drain(struct sync_sem *sem, const struct timespec *deadline)
{
	return sem->ops->drain ? sem->ops->drain(sem, deadline) : -EOPNOTSUPP;
}

SYNC_API int sync_sem_repair(struct sync_sem *sem, unsigned *returned, unsigned *doubtful)
{
	unsigned none;
	if (!sem->ops->repair)
		return -EOPNOTSUPP;
	return sem->ops->repair(sem, returned ? returned : &none, doubtful ? doubtful : &none);
}

SYNC_API int sync_sem_unlink(struct sync_sem *sem)
{
	return sem->ops->unlink(sem);
}

SYNC_API size_t sync_sem_fds(const struct sync_sem *sem, const int **fds)
{
	return sem->ops->fds ? sem->ops->fds(sem, fds) : 0;
}

SYNC_API const char *sync_sem_name(const struct sync_sem *sem)
{
	return sem->name;
}

SYNC_API const char *sync_sem_path(const struct sync_sem *sem)
{
	return sem->ops->path ? sem->ops->path(sem) : NULL;
}

SYNC_API unsigned sync_sem_caps(const struct sync_sem *sem)
{
	return sem->ops->caps;
}

SYNC_API size_t sync_sem_slots(const struct sync_sem *sem, const unsigned **slots)
{
	return sem->ops->slots ? sem->ops->slots(sem, slots) : 0;
}

SYNC_API int sync_sem_owners(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
			     size_t *hidden)
{
	return sem->ops->owners ? sem->ops->owners(sem, list, count, hidden) : -EOPNOTSUPP;
}
