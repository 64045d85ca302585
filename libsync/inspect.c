/* SPDX-License-Identifier: MIT */
/*
 * Who holds a lock, and who waits for it, put together from four places in /proc:
 *
 * 1. /proc/PID/fd/N leads to the file: then that process may hold or wait.
 * 2. /proc/PID/fdinfo/N has a "lock:" line for what its open file description holds, in every
 *    process that inherited it. This alone finds the heirs of a holder that is gone.
 * 3. /proc/PID/task/TID/syscall says that a thread is blocked in flock(2) or fcntl(2) on N. Under
 *    Yama that is not ours to read; then wchan, which is.
 * 4. /proc/locks has the ranges of waiters, and all that 1 to 3 could not see for lack of rights;
 *    but it names the process that asked, not the one that has the lock now, and no one for ofd.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

#define PATH_SIZE 64

#ifndef AT_STATX_DONT_SYNC
#define AT_STATX_DONT_SYNC 0x4000
#endif

struct found {
	struct sync_owner owner;
	pid_t asker;    /* of a holder: the pid in its "lock:" line */
	uint64_t start; /* of the process, clock ticks after boot: for sorting */
	bool told;      /* of by a line of /proc/locks */
};

struct scan {
	dev_t dev;
	ino_t ino;
	unsigned major, minor; /* as the kernel's lock lists name it: on btrfs not st_dev */
	struct found *list;
	size_t count, room;
	size_t hidden;
	bool no_memory;
};

/* The next entry of a directory below /proc whose name is a number; -1 at the end. */
static int next_number(DIR *dir)
{
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		uint64_t n;
		if (!sync_name_number(d->d_name, strlen(d->d_name), INT32_MAX, &n))
			return (int)n;
	}
	return -1;
}

static bool belongs_to_process(const char *kind)
{
	int order;
	const struct sync_lock_ops *ops = sync_lock_ops_find(kind, strlen(kind), &order);
	return ops && !(ops->caps & SYNC_CAP_INHERIT);
}

static struct found *add(struct scan *s, pid_t pid, const char *kind, enum sync_mode mode,
			 const struct sync_range *range)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct found *list = reallocarray(s->list, room, sizeof(*list));
		if (!list) {
			s->no_memory = true;
			return NULL;
		}
		s->list = list;
		s->room = room;
	}
	struct found *f = &s->list[s->count++];
	*f = (struct found){.owner = {.pid = pid, .uid = (uid_t)-1, .kind = kind, .mode = mode}};
	f->owner.by_process = belongs_to_process(kind);
	f->owner.start = range->first;
	f->owner.len = range->last == SYNC_RANGE_END ? 0 : range->last - range->first + 1;
	struct sync_proc p;
	if (pid > 0 && !sync_proc_stat(pid, &p))
		f->start = p.start;
	return f;
}

static bool same_word(const char *a, const char *b)
{
	return !strcmp(a, b);
}

static bool same_range(const struct found *f, const struct sync_range *range)
{
	uint64_t len = range->last == SYNC_RANGE_END ? 0 : range->last - range->first + 1;
	return f->owner.start == range->first && f->owner.len == len;
}

/* ---- 1 and 2: descriptors and what they hold ---- */

static bool leads_to(const struct scan *s, const char *path)
{
	/* Do not ask a file server: a dead one would hang us. (musl 1.2.3 has no statx.) */
	struct stat st;
	return !fstatat(AT_FDCWD, path, &st, AT_STATX_DONT_SYNC) && st.st_ino == s->ino &&
	       st.st_dev == s->dev;
}

static void add_holder(struct scan *s, pid_t pid, const struct sync_proc_lock *line)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct found *f = &s->list[i];
		if (f->owner.pid == pid && !f->owner.waiting && f->asker == line->pid &&
		    same_word(f->owner.kind, line->kind) && f->owner.mode == line->mode &&
		    same_range(f, &line->range))
			return; /* a second descriptor of the same description */
	}
	struct found *f = add(s, pid, line->kind, line->mode, &line->range);
	if (!f)
		return;
	f->asker = line->pid;
	f->owner.seen = true;
	f->owner.inherited = line->pid > 0 && line->pid != pid;
}

struct seen {
	struct scan *scan;
	pid_t pid;
};

static void see(const struct sync_proc_lock *line, void *arg)
{
	const struct seen *seen = arg;
	seen->scan->major = line->major;
	seen->scan->minor = line->minor;
	add_holder(seen->scan, seen->pid, line);
}

/* ---- 3: threads that are blocked on one of them ---- */

static bool waits_for(const struct scan *s, pid_t pid, const char *call, const char **kind,
		      enum sync_mode *mode)
{
	char path[PATH_SIZE];
	long nr;
	unsigned long fd;
	unsigned long op;
	*mode = SYNC_UNLOCKED;
	if (sscanf(call, "%ld %lx %lx", &nr, &fd, &op) != 3)
		return false;
	if (nr == SYS_flock) {
		*kind = "flock";
		*mode = op & 1 ? SYNC_SHARED : SYNC_EXCLUSIVE; /* LOCK_SH, as in ABI */
	} else if (nr == SYS_fcntl && (op == F_SETLKW || op == F_OFD_SETLKW)) {
		*kind = op == F_SETLKW ? "fcntl" : "ofd";
	} else {
		return false;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%lu", (int)pid, fd);
	return leads_to(s, path);
}

/* By the kernel function a thread sleeps in, fs/locks.c; which one it is varies with the kernel */
static bool sleeps_for_lock(const char *function, const char **kind)
{
	if (same_word(function, "locks_lock_inode_wait") ||
	    same_word(function, "flock_lock_inode_wait") || same_word(function, "__x64_sys_flock"))
		*kind = "flock";
	else if (same_word(function, "fcntl_setlk"))
		*kind = "ofd"; /* or fcntl: the line of /proc/locks will tell */
	else
		return false;
	return true;
}

static void look_at_thread(struct scan *s, pid_t pid, int tid)
{
	static const struct sync_range whole = {0, SYNC_RANGE_END};
	char path[PATH_SIZE];
	char buf[256];
	const char *kind = "flock";
	enum sync_mode mode = SYNC_UNLOCKED;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, tid);
	if (sync_proc_read(path, buf, sizeof(buf)) > 0) {
		if (!waits_for(s, pid, buf, &kind, &mode))
			return;
	} else {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", (int)pid, tid);
		if (sync_proc_read(path, buf, sizeof(buf)) <= 0 || !sleeps_for_lock(buf, &kind))
			return;
	}
	struct found *f = add(s, pid, kind, mode, &whole);
	if (f)
		f->owner.waiting = f->owner.seen = true;
}

static void look_at_threads(struct scan *s, pid_t pid)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (int tid = next_number(dir); tid >= 0; tid = next_number(dir))
		look_at_thread(s, pid, tid);
	closedir(dir);
}

static bool is_kernel_thread(pid_t pid)
{
	char path[PATH_SIZE];
	char buf[2];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	return sync_proc_read(path, buf, sizeof(buf)) <= 0;
}

static void look_at_process(struct scan *s, pid_t pid)
{
	char path[PATH_SIZE];
	bool match = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir) {
		if (errno == EACCES && !is_kernel_thread(pid))
			s->hidden++;
		return;
	}
	for (int fd = next_number(dir); fd >= 0; fd = next_number(dir)) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		if (!leads_to(s, path))
			continue;
		match = true;
		struct seen seen = {s, pid};
		(void)sync_proc_fd_locks(pid, fd, see, &seen); /* gone by now? then it is free */
	}
	closedir(dir);
	if (match)
		look_at_threads(s, pid);
}

static int look_at_processes(struct scan *s)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return -errno;
	for (int pid = next_number(dir); pid >= 0; pid = next_number(dir))
		look_at_process(s, pid);
	closedir(dir);
	return 0;
}

/* ---- 4: the kernel's own list ---- */

/* The waiter that LINE tells of: one not yet told of, or *known if all of that process were. */
static struct found *find_waiter(struct scan *s, const struct sync_proc_lock *line, bool *known)
{
	*known = false;
	for (size_t i = 0; i < s->count; i++) {
		struct found *f = &s->list[i];
		if (!f->owner.waiting)
			continue;
		/* ofd waiters have no pid there: take them as they come */
		if (line->pid > 0 ? f->owner.pid != line->pid
				  : !same_word(f->owner.kind, line->kind))
			continue;
		if (!f->told)
			return f;
		*known = line->pid > 0;
	}
	return NULL;
}

static void merge_waiter(struct scan *s, const struct sync_proc_lock *line)
{
	bool known;
	struct found *f = find_waiter(s, line, &known);
	if (known && !f)
		return; /* locks came and went while we read, and a line came twice */
	if (!f)
		f = add(s, line->pid > 0 ? line->pid : 0, line->kind, line->mode, &line->range);
	if (!f)
		return;
	f->told = true;
	f->owner.waiting = true;
	f->owner.kind = line->kind;
	f->owner.mode = line->mode;
	f->owner.start = line->range.first;
	f->owner.len =
		line->range.last == SYNC_RANGE_END ? 0 : line->range.last - line->range.first + 1;
}

/*
 * False if this line came before. The list is read page by page, and a lock that somebody adds
 * meanwhile pushes one that was read already onto the next page, together with its waiters.
 */
static bool merge_holder(struct scan *s, const struct sync_proc_lock *line)
{
	for (size_t i = 0; i < s->count; i++) {
		struct found *f = &s->list[i];
		if (f->owner.waiting || f->asker != line->pid ||
		    !same_word(f->owner.kind, line->kind) || f->owner.mode != line->mode ||
		    !same_range(f, &line->range))
			continue;
		bool again = f->told && line->mode == SYNC_EXCLUSIVE;
		f->told = true;
		return !again;
	}
	struct found *f =
		add(s, line->pid > 0 ? line->pid : 0, line->kind, line->mode, &line->range);
	if (f) {
		f->asker = line->pid;
		f->told = true;
	}
	return true;
}

static int merge_locks(struct scan *s)
{
	FILE *file = fopen("/proc/locks", "re");
	if (!file)
		return -errno;
	char *text = NULL;
	size_t size = 0;
	bool fresh = true; /* a holder's line, and those of its waiters that follow it */
	while (getline(&text, &size, file) > 0) {
		struct sync_proc_lock line;
		if (!sync_proc_lock_parse(text, &line) || line.ino != s->ino ||
		    line.major != s->major || line.minor != s->minor)
			continue;
		if (!line.waiting)
			fresh = merge_holder(s, &line);
		else if (fresh)
			merge_waiter(s, &line);
	}
	free(text);
	fclose(file);
	return 0;
}

/* ---- the list that goes out ---- */

static int by_age(const void *va, const void *vb)
{
	const struct found *a = va;
	const struct found *b = vb;
	if (a->owner.waiting != b->owner.waiting)
		return a->owner.waiting ? 1 : -1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->owner.pid < b->owner.pid ? -1 : a->owner.pid > b->owner.pid;
}

/* An ofd lock does not tell who asked. Children are younger, so the oldest did. */
static void guess_askers(struct scan *s)
{
	for (size_t i = 1; i < s->count; i++) {
		struct found *f = &s->list[i];
		if (f->owner.waiting || f->asker > 0)
			continue;
		for (size_t j = 0; j < i && !f->owner.inherited; j++) {
			const struct found *g = &s->list[j];
			f->owner.inherited =
				!g->owner.waiting && same_word(g->owner.kind, f->owner.kind) &&
				g->owner.start == f->owner.start && g->owner.len == f->owner.len &&
				f->owner.mode == SYNC_EXCLUSIVE;
		}
	}
}

static int export(struct scan *s, struct sync_owner **list)
{
	struct sync_owner *out = calloc(s->count + 1, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) {
		out[i] = s->list[i].owner;
		if (out[i].pid > 0)
			sync_proc_describe(&out[i]);
	}
	*list = out;
	return 0;
}

static int scan_all(struct scan *s)
{
	s->count = s->hidden = 0;
	s->major = major(s->dev);
	s->minor = minor(s->dev);
	int r = look_at_processes(s);
	if (!r)
		r = merge_locks(s);
	return !r && s->no_memory ? -ENOMEM : r;
}

/*
 * The kernel's list is read page by page, and locks that come and go meanwhile make it show others
 * twice, or not at all. So doubt a lock without a process although we could look into all of them,
 * and that nobody holds it when we could not.
 */
static bool is_doubtful(const struct scan *s)
{
	bool unseen = false;
	bool held = false;
	for (size_t i = 0; i < s->count; i++) {
		unseen = unseen || !s->list[i].owner.pid;
		held = held || !s->list[i].owner.waiting;
	}
	return s->hidden ? !held : unseen;
}

int sync_inspect_file(dev_t dev, ino_t ino, struct sync_owner **list, size_t *count, size_t *hidden)
{
	struct scan s = {.dev = dev, .ino = ino};
	int r = 0;
	for (int tries = 0; !r && tries < 3; tries++) {
		r = scan_all(&s);
		if (!is_doubtful(&s))
			break;
	}
	if (!r) {
		if (s.count)
			qsort(s.list, s.count, sizeof(*s.list), by_age);
		guess_askers(&s);
		r = export(&s, list);
	}
	free(s.list);
	if (r)
		return r;
	*count = s.count;
	*hidden = s.hidden;
	return 0;
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

SYNC_API int sync_lock_held_by(const struct sync_lock *l, pid_t pid)
{
	char path[PATH_SIZE];
	struct scan s = {0};
	struct held h = {.lock = l};
	int r = sync_lockfile_identity(l, &s.dev, &s.ino);
	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? SYNC_UNLOCKED : -errno;
	for (int fd = next_number(dir); fd >= 0; fd = next_number(dir)) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		if (leads_to(&s, path))
			(void)sync_proc_fd_locks(pid, fd, weigh, &h); /* closed by now? */
	}
	closedir(dir);
	return (int)h.any;
}
