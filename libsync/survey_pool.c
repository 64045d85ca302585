/* SPDX-License-Identifier: MIT */
/* Pools: those in the directory that we are told, and all others of which somebody has a permit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "poolfile.h"
#include "survey.h"

static void set_state(struct sync_object *o, const char *path)
{
	struct sync_poolinfo info = {0};
	unsigned held = 0;
	int fd = sync_poolfile_again(path);
	if (fd < 0)
		return;
	if (!sync_poolfile_info(fd, &info) && !sync_poolfile_count(fd, info.size, &held)) {
		o->value = info.size - held;
		o->capacity = info.size;
	}
	close(fd);
}

static void add_pool(struct sync_survey *s, const char *path, const char *name,
		     const struct stat *st)
{
	struct sync_node *node = sync_survey_file(s, st->st_dev, st->st_ino, true);
	struct sync_object *o = node && !node->shown ? sync_survey_add(s, SYNC_TYPE_POOL, "pool:%s",
								       name ? name : path)
						     : NULL;
	if (!o)
		return;
	node->listed = node->shown = node->own_locks = true;
	if (!node->path)
		node->path = strdup(path);
	o->uid = st->st_uid;
	o->mode = st->st_mode & 07777;
	o->since = st->st_mtime > st->st_ctime ? st->st_mtime : st->st_ctime;
	o->identity[0] = st->st_dev;
	o->identity[1] = st->st_ino;
	sync_survey_detail(o, "inode", (int64_t)st->st_ino);
	o->path = strdup(path);
	set_state(o, path);
}

static bool is_pool(const char *path, struct stat *st)
{
	/* Opening anything else could do harm. */
	if (lstat(path, st) || !S_ISREG(st->st_mode))
		return false;
	int fd = sync_poolfile_again(path);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void list_pools(struct sync_survey *s)
{
	DIR *dir = s->opts.directory ? opendir(s->opts.directory) : NULL;
	if (!dir && s->opts.directory && errno != ENOENT)
		s->blind |= SYNC_BLIND_POOLS;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
		char path[4096];
		char name[256];
		struct stat st;
		size_t len = strlen(d->d_name);
		if (len <= 5 || strcmp(d->d_name + len - 5, ".pool") != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", s->opts.directory, d->d_name) >=
			    (int)sizeof(path))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(len - 5), d->d_name);
		if (is_pool(path, &st))
			add_pool(s, path, sync_name_check(name) ? NULL : name, &st);
	}
	if (dir)
		closedir(dir);
}

/* Has somebody a lock there, as a pool's users have? */
static bool could_be_pool(const struct sync_node *node)
{
	if (node->space != SYNC_SPACE_FILE || node->shown || node->listed || !node->path ||
	    node->deleted)
		return false;
	for (size_t i = 0; i < node->count; i++)
		if (node->sights[i].kind && !strcmp(node->sights[i].kind, "ofd"))
			return true;
	return false;
}

static void find_more(struct sync_survey *s)
{
	for (struct sync_node *n = s->newest; n; n = n->older) {
		struct stat st;
		if (could_be_pool(n) && is_pool(n->path, &st) && st.st_dev == n->dev &&
		    st.st_ino == n->ino)
			add_pool(s, n->path, NULL, &st);
	}
}

/* Byte 0 is the line: its owner is the head, who waits as well. */
static void finish_one(struct sync_survey *s, struct sync_object *o)
{
	struct sync_node *node = sync_survey_file(s, (dev_t)o->identity[0], o->identity[1], false);
	if (!node)
		return;
	sync_survey_sort(node);
	for (int waiting = 0; waiting < 2; waiting++)
		for (size_t i = 0; i < node->count; i++) {
			struct sync_sight g = node->sights[i];
			bool wanted = waiting ? !g.has && g.kind && !g.range.first
					      : !g.waiting && !g.has && g.range.first >= POOL_SLOTS;
			if (!wanted)
				continue;
			g.waiting = waiting;
			if (!waiting) {
				g.range.first -= POOL_SLOTS;
				g.range.last -= POOL_SLOTS;
			}
			sync_survey_add_owner(s, o, &g, false);
		}
	for (size_t i = 0; i < node->count; i++) {
		bool known = !node->sights[i].has;
		for (size_t k = 0; k < o->owner_count && !known; k++)
			known = o->owners[k].pid == node->sights[i].pid;
		if (!known)
			sync_survey_add_owner(s, o, &node->sights[i], true);
	}
	if (o->value >= 0 && o->value < o->capacity)
		o->use |= SYNC_USE_OUT;
}

static void finish_pools(struct sync_survey *s)
{
	find_more(s);
	for (size_t i = 0; i < s->count; i++)
		if (s->objects[i]->type == SYNC_TYPE_POOL)
			finish_one(s, s->objects[i]);
}

static bool pool_matches(const struct sync_object *o, const char *name)
{
	struct stat st;
	const char *rest = sync_survey_rest(name, "pool", true);
	if (!strchr(rest, '/'))
		return !strcmp(o->name + 5, rest);
	return !stat(rest, &st) && st.st_dev == o->identity[0] && st.st_ino == o->identity[1];
}

/*
 * Under the lock of the line and of the gate, and of all slots: so nobody has a permit, nor waits for one. Who comes
 * now finds, when it gets the gate, that the name leads elsewhere.
 */
static int lock_out(int fd)
{
	int r = sync_poolfile_lock(fd, POOL_QUEUE, POOL_QUEUE, SYNC_EXCLUSIVE, false);
	if (!r)
		r = sync_poolfile_lock(fd, POOL_GATE, POOL_CONFIG, SYNC_EXCLUSIVE, false);
	if (!r)
		r = sync_poolfile_lock(fd, POOL_SLOTS, POOL_SLOTS + POOL_MAX - 1, SYNC_EXCLUSIVE,
				       false);
	return r == -EAGAIN ? -EBUSY : r == -EBADF ? -EACCES : r;
}

static int remove_pool(const struct sync_object *o, bool force)
{
	struct stat st;
	const char *path = o->path;
	int fd = path ? sync_poolfile_again(path) : -ENOMEM;
	if (fd < 0)
		return fd;
	int r = fstat(fd, &st) ? -errno : 0;
	if (!r && (st.st_dev != o->identity[0] || st.st_ino != o->identity[1]))
		r = -ESTALE;
	if (!r && !force)
		r = lock_out(fd);
	if (!r)
		r = sync_poolfile_check(path, fd);
	if (!r)
		r = sync_poolfile_unlink(path);
	close(fd);
	return r;
}

const struct sync_kind sync_kind_pool = {
	.type = SYNC_TYPE_POOL,
	.list = list_pools,
	.finish = finish_pools,
	.remove = remove_pool,
	.matches = pool_matches,
};
