/* SPDX-License-Identifier: MIT */
/*
 * Files that are locked. Beside what the pass over /proc has seen there is the kernel's own list,
 * /proc/locks: it has the ranges of waiters, and what could not be seen for lack of rights; but it names the
 * process that asked, not the one that has the lock now, and no one for ofd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "survey.h"

/* ---- the kernel's list ---- */

static bool same_range(const struct sync_range *a, const struct sync_range *b)
{
	return a->first == b->first && a->last == b->last;
}

static bool could_be(const struct sync_sight *g, const struct sync_proc_lock *line)
{
	/* ofd waiters have no pid there: take them as they come, if they do not tell themselves */
	if (!g->waiting || !g->kind ||
	    (line->pid > 0 ? g->pid != line->pid : strcmp(g->kind, line->kind) != 0))
		return false;
	return !g->exact || (g->mode == line->mode && same_range(&g->range, &line->range));
}

/* The waiter that LINE tells of: one not yet told of, or *known if all of that process were. */
static struct sync_sight *find_waiter(const struct sync_survey *s, const struct sync_node *node,
				      const struct sync_proc_lock *line, bool *known)
{
	struct sync_sight *best = NULL;
	*known = false;
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight *g = &node->sights[i];
		if (!could_be(g, line))
			continue;
		if (g->told)
			*known = *known || line->pid > 0 || (g->exact && !s->hidden);
		else if (!best || (g->exact && !best->exact))
			best = g;
	}
	return best;
}

static uint64_t began(pid_t pid)
{
	struct sync_proc p;
	return pid > 0 && !sync_proc_stat(pid, &p) ? p.start : 0;
}

static void merge_waiter(struct sync_survey *s, struct sync_node *node,
			 const struct sync_proc_lock *line)
{
	bool known;
	struct sync_sight *g = find_waiter(s, node, line, &known);
	if (known && !g)
		return; /* locks came and went while we read, and a line came twice */
	if (!g) {
		g = sync_survey_see(s, node, line->pid > 0 ? line->pid : 0);
		if (!g)
			return;
		g->began = began(g->pid);
	}
	g->told = true;
	g->waiting = true;
	g->kind = line->kind;
	g->mode = line->mode;
	g->range = line->range;
}

/*
 * False if this line came before. The list is read page by page, and a lock that somebody adds
 * meanwhile pushes one that was read already onto the next page, together with its waiters.
 */
static bool merge_holder(struct sync_survey *s, struct sync_node *node,
			 const struct sync_proc_lock *line)
{
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight *g = &node->sights[i];
		if (!g->asker || g->asker != line->pid || strcmp(g->kind, line->kind) != 0 ||
		    g->mode != line->mode || !same_range(&g->range, &line->range))
			continue;
		bool again = g->told && line->mode == SYNC_EXCLUSIVE;
		g->told = true;
		return !again;
	}
	struct sync_sight *g = sync_survey_see(s, node, line->pid > 0 ? line->pid : 0);
	if (g) {
		g->kind = line->kind;
		g->mode = line->mode;
		g->range = line->range;
		g->asker = line->pid;
		g->told = true;
		g->began = began(g->pid);
	}
	return true;
}

/* Call each() for every line; 0 or -errno. */
static int read_locks(struct sync_survey *s,
		      void (*each)(struct sync_survey *s, const struct sync_proc_lock *line))
{
	FILE *file = fopen("/proc/locks", "re");
	if (!file)
		return -errno;
	char *text = NULL;
	size_t size = 0;
	while (getline(&text, &size, file) > 0) {
		struct sync_proc_lock line;
		if (sync_proc_lock_parse(text, &line))
			each(s, &line);
	}
	if (!feof(file))
		s->no_memory = true; /* for a line, of us or of the kernel */
	free(text);
	fclose(file);
	return 0;
}

static void merge(struct sync_survey *s, const struct sync_proc_lock *line)
{
	struct sync_node *node =
		sync_survey_locked(s, line->major, line->minor, line->ino, !s->only);
	if (!node || (s->only && node != s->only))
		return;
	/* A holder's line, and those of its waiters that follow it */
	if (!line->waiting)
		node->fresh = merge_holder(s, node, line);
	else if (node->fresh)
		merge_waiter(s, node, line);
}

int sync_survey_merge_locks(struct sync_survey *s)
{
	for (struct sync_node *n = s->newest; n; n = n->older)
		n->fresh = true;
	return read_locks(s, merge);
}

/* ---- order ---- */

static int by_age(const void *va, const void *vb)
{
	const struct sync_sight *a = va;
	const struct sync_sight *b = vb;
	if (a->waiting != b->waiting)
		return a->waiting ? 1 : -1;
	if (a->began != b->began)
		return a->began < b->began ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* An ofd lock does not tell who asked. Children are younger, so the oldest did. */
static bool inherited_from(const struct sync_sight *g, const struct sync_sight *older)
{
	return !older->waiting && !older->has && !strcmp(older->kind, g->kind) &&
	       same_range(&older->range, &g->range) && g->mode == SYNC_EXCLUSIVE;
}

void sync_survey_sort(struct sync_node *node)
{
	if (node->count)
		qsort(node->sights, node->count, sizeof(node->sights[0]), by_age);
	for (size_t i = 1; i < node->count; i++) {
		struct sync_sight *g = &node->sights[i];
		if (g->waiting || g->has || g->asker > 0)
			continue;
		for (size_t j = 0; j < i && !g->inherited; j++)
			g->inherited = inherited_from(g, &node->sights[j]);
	}
}

/* ---- the kind ---- */

static const char *const schemes[] = {"flock", "ofd", "fcntl"};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static void note_locked(struct sync_survey *s, const struct sync_proc_lock *line)
{
	(void)sync_survey_locked(s, line->major, line->minor, line->ino, true);
}

/* The lock that was asked for is listed even if nobody has it. */
static int asked_for(const char *name, size_t *scheme, struct stat *st, char **path)
{
	static const struct sync_lock_opts opts = {.flags = SYNC_LOCK_BY_NAME};
	struct sync_lock *lock;
	int r = sync_lock_open(name, &opts, SYNC_NOW, &lock);
	if (r)
		return r;
	*scheme = 0;
	while (*scheme < SCHEMES && strcmp(schemes[*scheme], lock->ops->name) != 0)
		(*scheme)++;
	/* As lockrun, not through a link: who removes it would not expect another file to go. */
	r = lstat(lock->path, st) ? -errno : S_ISLNK(st->st_mode) ? -ELOOP : 0;
	if (!r && path)
		*path = realpath(lock->path, NULL);
	sync_lock_close(lock);
	return r;
}

static void list_asked(struct sync_survey *s, const char *name)
{
	size_t scheme;
	struct stat st;
	char *path = NULL;
	if (asked_for(name, &scheme, &st, &path))
		return;
	struct sync_node *node = sync_survey_file(s, st.st_dev, st.st_ino, true);
	if (!node || scheme == SCHEMES) {
		free(path);
		return;
	}
	node->asked_for |= 1U << scheme;
	node->mode = st.st_mode;
	node->uid = st.st_uid;
	free(node->path);
	node->path = path;
}

static void list_locks(struct sync_survey *s)
{
	/* Also for FIFOs and devices, of which only those are looked at that are known to be locked. */
	if (read_locks(s, note_locked))
		return;
	for (const char *const *name = s->opts.names; name && *name; name++)
		list_asked(s, *name);
}

static bool has_scheme(const struct sync_node *node, const char *scheme)
{
	for (size_t i = 0; i < node->count; i++)
		if (node->sights[i].kind && !strcmp(node->sights[i].kind, scheme))
			return true;
	return false;
}

/* A path that seems to end in a range is told that it has none, but all bytes. */
static const char *tail(const char *scheme, const char *path)
{
	const char *at = strrchr(path, '@');
	return at && strcmp(scheme, schemes[0]) != 0 &&
			       strspn(at + 1, "0123456789+") == strlen(at + 1)
		       ? "@0"
		       : "";
}

static void add_lock(struct sync_survey *s, const struct sync_node *node, const char *scheme)
{
	struct stat st;
	struct sync_object *o = node->path ? sync_survey_add(s, SYNC_TYPE_LOCK, "%s:%s%s", scheme,
							     node->path, tail(scheme, node->path))
					   : sync_survey_add(s, SYNC_TYPE_LOCK, "%s:[%u:%u:%llu]",
							     scheme, node->major, node->minor,
							     (unsigned long long)node->ino);
	if (!o)
		return;
	o->path = node->path ? strdup(node->path) : NULL;
	o->uid = node->uid;
	if (node->mode != (mode_t)-1)
		o->mode = node->mode & 07777;
	o->identity[0] = node->dev;
	o->identity[1] = node->ino;
	sync_survey_detail(o, "inode", (int64_t)node->ino);
	sync_survey_detail(o, "device_major", node->major);
	sync_survey_detail(o, "device_minor", node->minor);
	if (!node->path || lstat(node->path, &st) || st.st_dev != node->dev ||
	    st.st_ino != node->ino)
		o->flags |= SYNC_OBJECT_ELSEWHERE;
	else
		sync_survey_detail(o, "size", st.st_size);
	for (size_t i = 0; i < node->count; i++) {
		const struct sync_sight *g = &node->sights[i];
		if (g->kind && !strcmp(g->kind, scheme))
			sync_survey_add_owner(s, o, g, false);
	}
	if (node->deleted)
		o->flags |= SYNC_OBJECT_DELETED;
	for (size_t i = 0; i < o->owner_count; i++)
		if (o->owners[i].since && (!o->since || o->owners[i].since < o->since))
			o->since = o->owners[i].since;
}

/*
 * Locks that came and went while we read, the kernel's list shows without a process that has them, although we
 * could look into all. Those are looked at once more, alone: not too many, as each costs a pass.
 */
#define MOST_LOOKS 8

static bool is_doubtful(const struct sync_node *node)
{
	bool unseen = !node->path;
	for (size_t i = 0; i < node->count; i++)
		unseen = unseen || !node->sights[i].pid;
	return unseen && node->count;
}

static void look_again(struct sync_survey *s, struct sync_node *node)
{
	struct sync_survey *again = calloc(1, sizeof(*again));
	struct sync_node *now = again ? sync_survey_file(again, node->dev, node->ino, true) : NULL;
	if (!now) {
		free(again);
		s->no_memory = true;
		return;
	}
	again->only = now;
	now->major = node->major;
	now->minor = node->minor;
	if (!sync_survey_look(again) && !sync_survey_merge_locks(again)) {
		struct sync_sight *old = node->sights;
		node->sights = now->sights;
		node->count = now->count;
		node->room = now->room;
		now->sights = old;
		if (!node->path) {
			node->path = now->path;
			node->mode = now->mode;
			node->uid = now->uid;
			now->path = NULL;
		}
	}
	sync_survey_close(again);
}

static void finish_locks(struct sync_survey *s)
{
	bool all_seen = !s->hidden && !(s->blind & SYNC_BLIND_PROC);
	int looks = 0;
	for (struct sync_node *n = s->newest; n; n = n->older) {
		/* Queues and ledgers are locked, too, and pools; they say that themselves. */
		if (n->space != SYNC_SPACE_FILE || n->own_locks)
			continue;
		if (all_seen && looks < MOST_LOOKS && is_doubtful(n)) {
			look_again(s, n);
			looks++;
		}
		sync_survey_sort(n);
		for (size_t i = 0; i < SCHEMES; i++)
			if (has_scheme(n, schemes[i]) || n->asked_for & 1U << i)
				add_lock(s, n, schemes[i]);
	}
}

static bool lock_matches(const struct sync_object *o, const char *name)
{
	size_t scheme;
	struct stat st;
	if (asked_for(name, &scheme, &st, NULL) || scheme == SCHEMES)
		return false;
	return st.st_dev == o->identity[0] && st.st_ino == o->identity[1] &&
	       sync_survey_rest(o->name, schemes[scheme], false);
}

/* ---- remove ---- */

/* Take NAME exclusively, at once; it must be that file. */
static int take(const struct sync_object *o, const char *scheme, const char *path,
		struct sync_lock **out)
{
	static const struct sync_lock_opts opts = {.flags = SYNC_LOCK_NO_CREATE};
	char *name;
	if (asprintf(&name, "%s:%s%s", scheme, path, tail(scheme, path)) < 0)
		return -ENOMEM;
	int r = sync_lock_open(name, &opts, SYNC_NOW, out);
	free(name);
	if (r)
		return r;
	r = sync_lock_acquire(*out, SYNC_EXCLUSIVE, SYNC_NOW);
	if (!r && ((*out)->dev != o->identity[0] || (*out)->ino != o->identity[1]))
		r = -ESTALE;
	if (r) {
		sync_lock_close(*out);
		*out = NULL;
	}
	return r == -ETIMEDOUT ? -EBUSY : r;
}

/*
 * Under both locks of the file: the one that excludes flock, and the one that excludes ofd and fcntl. Who comes
 * meanwhile finds, when it gets the lock, that the name leads elsewhere, and starts again.
 */
static int remove_unheld(const struct sync_object *o, const char *path)
{
	struct sync_lock *flock_lock;
	struct sync_lock *record_lock = NULL;
	int r = take(o, "flock", path, &flock_lock);
	if (r)
		return r;
	r = take(o, "ofd", path, &record_lock);
	if (!r && !(sync_lock_caps(flock_lock) & SYNC_CAP_UNLINK))
		r = S_ISREG(flock_lock->type) ? -ENOTEMPTY : -EMEDIUMTYPE;
	if (!r)
		r = sync_lock_unlink(flock_lock);
	if (record_lock)
		sync_lock_close(record_lock);
	sync_lock_close(flock_lock);
	return r;
}

static int remove_lock(const struct sync_object *o, bool force)
{
	struct stat st;
	if (o->flags & SYNC_OBJECT_DELETED || !o->path)
		return -EOPNOTSUPP;
	if (lstat(o->path, &st))
		return -errno;
	if (st.st_dev != o->identity[0] || st.st_ino != o->identity[1])
		return -ESTALE;
	if (force && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EMEDIUMTYPE;
	if (force)
		return unlink(o->path) ? -errno : 0;
	return remove_unheld(o, o->path);
}

const struct sync_kind sync_kind_lock = {
	.type = SYNC_TYPE_LOCK,
	.list = list_locks,
	.finish = finish_locks,
	.remove = remove_lock,
	.matches = lock_matches,
};
