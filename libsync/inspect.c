/* SPDX-License-Identifier: MIT */
/* Who has one file locked, and who waits for it: a survey (survey.h) that looks for nothing else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "survey.h"

#define PATH_SIZE 64
#ifndef AT_STATX_DONT_SYNC
#define AT_STATX_DONT_SYNC 0x4000
#endif

static int export(struct sync_survey *s, const struct sync_node *node, struct sync_owner **list)
{
	struct sync_owner *out = calloc(node->count + 1, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < node->count; i++)
		sync_survey_owner(s, &node->sights[i], &out[i]);
	if (s->no_memory) {
		free(out);
		return -ENOMEM;
	}
	*list = out;
	return 0;
}

static int look(struct sync_survey *s, struct sync_node *node)
{
	node->count = 0;
	s->hidden = 0;
	int r = sync_survey_look(s);
	if (!r)
		r = sync_survey_merge_locks(s);
	return !r && s->no_memory ? -ENOMEM : r;
}

/*
 * The kernel's list is read page by page, and locks that come and go meanwhile make it show others
 * twice, or not at all. So doubt a lock without a process although we could look into all of them,
 * and that nobody holds it when we could not.
 */
static bool is_doubtful(const struct sync_survey *s, const struct sync_node *node)
{
	bool unseen = false;
	bool held = false;
	for (size_t i = 0; i < node->count; i++) {
		unseen = unseen || !node->sights[i].pid;
		held = held || !node->sights[i].waiting;
	}
	return s->hidden ? !held : unseen;
}

int sync_inspect_file(dev_t dev, ino_t ino, struct sync_owner **list, size_t *count, size_t *hidden)
{
	struct sync_survey *s = calloc(1, sizeof(*s));
	struct sync_node *node = s ? sync_survey_file(s, dev, ino, true) : NULL;
	int r = node ? 0 : -ENOMEM;
	if (node)
		s->only = node;
	for (int tries = 0; !r && tries < 3; tries++) {
		r = look(s, node);
		if (!is_doubtful(s, node))
			break;
	}
	if (!r) {
		sync_survey_sort(node);
		*count = node->count;
		*hidden = s->hidden;
		r = export(s, node, list);
	}
	sync_survey_close(s);
	return r;
}

int sync_inspect_permits(const char *path, struct sync_owner **list, size_t *count, size_t *hidden)
{
	struct stat st;
	if (stat(path, &st))
		return -errno;
	int r = sync_inspect_file(st.st_dev, st.st_ino, list, count, hidden);
	if (r)
		return r;
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++) {
		struct sync_owner *o = &(*list)[i];
		if (!o->waiting && o->start >= SYNC_SLOTS) {
			o->start -= SYNC_SLOTS;
		} else if (!o->start) {
			o->waiting = true; /* the head of the line, who has that lock, too */
			o->len = 0;
		} else {
			continue;
		}
		(*list)[kept++] = *o;
	}
	*count = kept;
	return 0;
}

SYNC_API int sync_lock_owners(const struct sync_lock *l, struct sync_owner **list, size_t *count,
			      size_t *hidden)
{
	dev_t dev;
	ino_t ino;
	int r = sync_lockfile_identity(l, &dev, &ino);
	return r ? r : sync_inspect_file(dev, ino, list, count, hidden);
}

/* ---- does this one get in the way of that one? ---- */

static bool same_kind(const char *a, const char *b)
{
	/* ofd and fcntl exclude each other; flock is a world of its own on local disks */
	return (!strcmp(a, "flock")) == (!strcmp(b, "flock"));
}

SYNC_API bool sync_lock_conflicts(const struct sync_lock *l, enum sync_mode mode,
				  const struct sync_owner *a)
{
	struct sync_range range = {a->start, a->len ? a->start + a->len - 1 : SYNC_RANGE_END};
	if (!same_kind(l->ops->name, a->kind) || !sync_range_overlap(&l->asked, &range))
		return false;
	return mode == SYNC_EXCLUSIVE || a->mode == SYNC_EXCLUSIVE;
}

struct held {
	const struct sync_lock *lock;
	enum sync_mode any, all;
};

static void weigh(const struct sync_proc_lock *line, void *arg)
{
	struct held *h = arg;
	const struct sync_range *asked = &h->lock->asked;
	if (!same_kind(h->lock->ops->name, line->kind) || !sync_range_overlap(asked, &line->range))
		return;
	if (line->mode > h->any)
		h->any = line->mode;
	bool covers = line->range.first <= asked->first && line->range.last >= asked->last;
	if (covers && line->mode > h->all)
		h->all = line->mode;
}

SYNC_API int sync_lock_held_at(const struct sync_lock *l, pid_t pid, int fd, enum sync_mode *whole)
{
	char path[PATH_SIZE];
	struct stat st;
	dev_t dev;
	ino_t ino;
	struct held h = {.lock = l};
	if (!pid)
		pid = getpid();
	else if (pid != getpid() && !sync_proc_is_ancestor(pid))
		return SYNC_UNLOCKED;
	pid = sync_proc_thread(pid);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	if (stat(path, &st))
		return errno == ENOENT ? SYNC_UNLOCKED : -errno;
	if (sync_lockfile_identity(l, &dev, &ino) || st.st_dev != dev || st.st_ino != ino)
		return SYNC_UNLOCKED;
	int r = sync_proc_fd_locks(pid, fd, weigh, &h);
	if (r)
		return r;
	if (whole && h.all > *whole)
		*whole = h.all;
	return (int)h.any;
}

/* The descriptors of a process come and go; what is not there any more when it is looked at holds nothing. */
SYNC_API int sync_lock_held_by(const struct sync_lock *l, pid_t pid)
{
	char path[PATH_SIZE];
	dev_t dev;
	ino_t ino;
	struct stat st;
	struct held h = {.lock = l};
	int r = sync_lockfile_identity(l, &dev, &ino);
	if (r)
		return r;
	pid = sync_proc_thread(pid);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? SYNC_UNLOCKED : -errno;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		uint64_t fd;
		/* Do not ask a file server: a dead one would hang us. */
		if (!sync_name_number(d->d_name, strlen(d->d_name), INT32_MAX, &fd) &&
		    !fstatat(dirfd(dir), d->d_name, &st, AT_STATX_DONT_SYNC) && st.st_ino == ino &&
		    st.st_dev == dev)
			(void)sync_proc_fd_locks(pid, (int)fd, weigh, &h);
	}
	closedir(dir);
	return (int)h.any;
}
