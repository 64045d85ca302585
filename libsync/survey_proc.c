/* SPDX-License-Identifier: MIT */
/*
 * The pass over /proc. Of each process:
 *
 * 1. fd/N leads to the file, queue or eventfd;
 * 2. fdinfo/N has a "lock:" line for what its open file description holds, in every process that
 *    inherited it. This alone finds the heirs of a holder that is gone;
 * 3. maps has the semaphores and the memory that it has mapped;
 * 4. task/TID/syscall says in which call a thread is blocked, on what. Under Yama that is not ours to
 *    read; then wchan, which is, tells of locks.
 *
 * Every field may be hostile or gone. What is not understood is left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "survey.h"

#ifndef AT_STATX_DONT_SYNC /* musl 1.2.3 */
#define AT_STATX_DONT_SYNC 0x4000
#endif
#define MQUEUE_MAGIC 0x19800202
#define MOST_POLLED 1024

/* A descriptor that can be polled for something that we list, or an epoll instance; or what is mapped. */
struct handle {
	int fd;
	struct sync_node *node; /* NULL: epoll */
	uintptr_t start, end;   /* of a mapping */
};

struct look {
	struct sync_survey *s;
	pid_t pid;
	pid_t thread; /* by which we look at it: the main one, or one that has outlived it */
	int dir, fds; /* /proc/THREAD, /proc/THREAD/fd */
	bool match;   /* it has what we look for alone */
	uint64_t began;
	int same_ipc; /* -1 not known yet */
	struct handle *handles;
	size_t count, room;
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

/* Do not ask a file server: a dead one would hang us. (musl 1.2.3 has no statx.) */
static bool stat_fd(const struct look *l, int fd, struct stat *st)
{
	char name[16];
	snprintf(name, sizeof(name), "%d", fd);
	return !fstatat(l->fds, name, st, AT_STATX_DONT_SYNC);
}

static uint64_t began(struct look *l)
{
	struct sync_proc p;
	if (!l->began)
		l->began = sync_proc_stat(l->pid, &p) ? 1 : p.start;
	return l->began;
}

static void remember(struct look *l, const struct handle *h)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 32;
		struct handle *list = reallocarray(l->handles, room, sizeof(*list));
		if (!list) {
			l->s->no_memory = true;
			return;
		}
		l->handles = list;
		l->room = room;
	}
	l->handles[l->count++] = *h;
}

/* ---- 1 and 2: descriptors and what they hold ---- */

static void note_path(struct look *l, struct sync_node *node, int fd, const struct stat *st)
{
	static const char deleted[] = " (deleted)";
	char name[16];
	char path[4096];
	node->mode = st->st_mode;
	node->uid = st->st_uid;
	node->deleted = !st->st_nlink;
	if (node->path)
		return;
	snprintf(name, sizeof(name), "%d", fd);
	ssize_t n = readlinkat(l->fds, name, path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	size_t tail = sizeof(deleted) - 1;
	/* A file may be called that, too; then it has a link. */
	if (!st->st_nlink && (size_t)n > tail && !strcmp(path + n - tail, deleted))
		path[(size_t)n - tail] = '\0';
	sync_survey_set_path(node, path);
}

static bool same_range(const struct sync_range *a, const struct sync_range *b)
{
	return a->first == b->first && a->last == b->last;
}

static void add_holder(struct look *l, struct sync_node *node, int fd,
		       const struct sync_proc_lock *line)
{
	for (size_t i = node->count; i-- > 0 && node->sights[i].pid == l->pid;) {
		const struct sync_sight *g = &node->sights[i];
		if (!g->waiting && !g->has && g->asker == line->pid && g->mode == line->mode &&
		    !strcmp(g->kind, line->kind) && same_range(&g->range, &line->range))
			return; /* a second descriptor of the same description */
	}
	struct sync_sight *g = sync_survey_see(l->s, node, l->pid);
	if (!g)
		return;
	g->kind = line->kind;
	g->mode = line->mode;
	g->range = line->range;
	g->asker = line->pid;
	g->inherited = line->pid >= 0 && line->pid != l->pid;
	g->fd = fd;
	g->seen = true;
	g->began = began(l);
}

static bool read_fdinfo(const struct look *l, int fd)
{
	char name[32];
	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	return sync_survey_read(l->s, l->dir, name) > 0;
}

/* "\nKEY: value" in s->text; NULL. */
static const char *field(const struct sync_survey *s, const char *key)
{
	const char *at = strstr(s->text, key);
	return at ? at + strlen(key) : NULL;
}

static struct sync_node *look_at_locks(struct look *l, struct sync_node *node, int fd,
				       const struct stat *st)
{
	if (!read_fdinfo(l, fd))
		return node;
	for (char *line = strstr(l->s->text, "lock:"); line; line = strstr(line, "\nlock:")) {
		struct sync_proc_lock lock;
		line += *line == '\n';
		if (sync_proc_lock_parse(line + 5, &lock) && !lock.waiting) {
			if (!node)
				node = sync_survey_file(l->s, st->st_dev, st->st_ino, true);
			if (!node)
				return NULL;
			node->major = lock.major;
			node->minor = lock.minor;
			note_path(l, node, fd, st);
			add_holder(l, node, fd, &lock);
		}
	}
	return node;
}

/* A queue can be opened as a file: it is told by its file system, of which there are few. */
static bool is_queue(struct look *l, int fd, const struct stat *st)
{
	struct sync_survey *s = l->s;
	char path[64];
	struct statfs fs;
	for (size_t i = 0; i < s->device_count; i++)
		if (s->devices[i].dev == st->st_dev)
			return s->devices[i].mqueue;
	/* Not of what a server has to be asked for: a queue is in memory, with device major 0. */
	if (st->st_dev > 0xff || s->device_count == sizeof(s->devices) / sizeof(s->devices[0]))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)l->thread, fd);
	if (statfs(path, &fs))
		return false;
	s->devices[s->device_count].dev = st->st_dev;
	s->devices[s->device_count].mqueue = fs.f_type == MQUEUE_MAGIC;
	return s->devices[s->device_count++].mqueue;
}

static bool shares_ipc(struct look *l)
{
	struct stat st;
	if (l->same_ipc < 0)
		l->same_ipc = !fstatat(l->dir, "ns/ipc", &st, 0) && st.st_ino == l->s->ipc;
	return l->same_ipc;
}

static void look_at_file(struct look *l, int fd, const struct stat *st)
{
	struct sync_survey *s = l->s;
	struct sync_node *node = sync_survey_file(s, st->st_dev, st->st_ino, false);
	if (s->only && node != s->only)
		return;
	l->match = true;
	bool rare = !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISBLK(st->st_mode);
	if (rare && !node)
		return; /* no list of locks knows it */
	bool queue = S_ISREG(st->st_mode) && !s->only && is_queue(l, fd, st);
	if (queue && !node && (node = sync_survey_file(s, st->st_dev, st->st_ino, true)) != NULL)
		node->foreign = !shares_ipc(l);
	node = look_at_locks(l, node, fd, st);
	if (node && queue) {
		node->mqueue = node->listed = node->own_locks = true;
		note_path(l, node, fd, st);
		remember(l, &(struct handle){.fd = fd, .node = node});
	}
	if (node && node->listed)
		sync_survey_see_user(s, node, l->pid, fd, began(l));
}

static void look_at_eventfd(struct look *l, int fd)
{
	if (!read_fdinfo(l, fd))
		return;
	const char *count = field(l->s, "\neventfd-count:");
	const char *id = field(l->s, "\neventfd-id:"); /* Linux 5.2 */
	const char *semaphore = field(l->s, "\neventfd-semaphore:");
	if (!count)
		return;
	/* Without, each descriptor is one of its own. */
	uint64_t number = id ? strtoull(id, NULL, 10)
			     : ((uint64_t)l->pid << 32) + (unsigned)fd + ((uint64_t)1 << 62);
	struct sync_node *node = sync_survey_number(l->s, SYNC_SPACE_EVENT, number, true);
	if (!node)
		return;
	node->value = strtoull(count, NULL, 16);
	node->semaphore = semaphore ? strtoull(semaphore, NULL, 10) == 1 : -1;
	sync_survey_see_user(l->s, node, l->pid, fd, began(l));
	remember(l, &(struct handle){.fd = fd, .node = node});
}

static void look_at_anonymous(struct look *l, int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	static const char epoll[] = "anon_inode:[eventpoll]";
	char name[16];
	char target[32];
	if (l->s->only || !(l->s->opts.types & (SYNC_TYPE_EVENT | SYNC_TYPE_MQ)))
		return;
	snprintf(name, sizeof(name), "%d", fd);
	ssize_t n = readlinkat(l->fds, name, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	if (!strcmp(target, eventfd))
		look_at_eventfd(l, fd);
	else if (!strcmp(target, epoll))
		remember(l, &(struct handle){.fd = fd});
}

/* False if there is none. */
static bool look_at_fds(struct look *l, DIR *dir)
{
	bool any = false;
	l->fds = dirfd(dir);
	for (int fd = next_number(dir); fd >= 0; fd = next_number(dir)) {
		struct stat st;
		any = true;
		if (!stat_fd(l, fd, &st) || S_ISSOCK(st.st_mode))
			continue;
		if (!(st.st_mode & S_IFMT))
			look_at_anonymous(l, fd);
		else
			look_at_file(l, fd, &st);
	}
	return any;
}

/* ---- 3: what is mapped ---- */

/* "START-END PERMS OFFSET MAJOR:MINOR INODE PATH": the node, if it is one that somebody asked for. */
static struct sync_node *mapped(struct look *l, const char *line, struct handle *h)
{
	unsigned long start;
	unsigned long end;
	unsigned major;
	unsigned minor;
	unsigned long long offset;
	unsigned long long ino;
	char shared;
	int at = 0;
	if (sscanf(line, "%lx-%lx %*c%*c%*c%c %llx %x:%x %llu %n", &start, &end, &shared, &offset,
		   &major, &minor, &ino, &at) != 7)
		return NULL;
	h->start = start;
	h->end = end;
	if (!strncmp(line + at, "/SYSV", 5))
		return shares_ipc(l) ? sync_survey_number(l->s, SYNC_SPACE_SHM, ino, false) : NULL;
	struct sync_node *node = sync_survey_locked(l->s, major, minor, ino, false);
	if (offset)
		h->end = h->start; /* a semaphore is where the file begins */
	return node && node->listed ? node : NULL;
}

static void look_at_maps(struct look *l)
{
	if (!l->s->maps || sync_survey_read(l->s, l->dir, "maps") <= 0)
		return;
	for (const char *line = l->s->text; *line;) {
		const char *end = strchr(line, '\n');
		const char *perms = strchr(line, ' ');
		struct handle h = {.fd = -1};
		if (!end)
			break;
		/* Only what is shared, which is not much */
		struct sync_node *node =
			perms && perms + 4 < end && perms[4] == 's' ? mapped(l, line, &h) : NULL;
		if (node) {
			sync_survey_see_user(l->s, node, l->pid, -1, began(l));
			h.node = node;
			remember(l, &h);
		}
		line = end + 1;
	}
}

/* ---- 4: threads that are blocked ---- */

/* Copy SIZE bytes of the process's memory at WHERE. */
static bool read_memory(const struct look *l, unsigned long where, void *to, size_t size)
{
	struct iovec here = {to, size};
	struct iovec there = {.iov_len = size};
	memcpy(&there.iov_base, &where, sizeof(where)); /* an address, but not one of ours */
	return process_vm_readv(l->pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* Which of these a thread waits for, and how. */
static struct sync_sight *add_waiter(struct look *l, struct sync_node *node, const char *call,
				     int fd, const char *kind, enum sync_mode mode)
{
	struct sync_sight *g = node ? sync_survey_see(l->s, node, l->pid) : NULL;
	if (!g)
		return NULL;
	g->waiting = g->seen = true;
	g->call = call;
	g->fd = fd;
	g->kind = kind;
	g->mode = mode;
	g->began = began(l);
	return g;
}

static struct sync_sight *waits_for_lock(struct look *l, int fd, const char *call, const char *kind,
					 enum sync_mode mode)
{
	struct sync_survey *s = l->s;
	struct stat st;
	if (!stat_fd(l, fd, &st))
		return NULL;
	struct sync_node *node = sync_survey_file(s, st.st_dev, st.st_ino, !s->only);
	if (!node || (s->only && node != s->only))
		return NULL;
	note_path(l, node, fd, &st);
	return add_waiter(l, node, call, fd, kind, mode);
}

static const struct handle *handle_of(const struct look *l, int fd)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->handles[i].fd == fd && fd >= 0)
			return &l->handles[i];
	return NULL;
}

static void waits_for_fd(struct look *l, int fd, const char *call);

/* Its fdinfo has a line for each: "tfd: 5 events: 19 ..." */
static void waits_for_epoll(struct look *l, int fd, const char *call)
{
	if (!read_fdinfo(l, fd))
		return;
	for (const char *at = strstr(l->s->text, "\ntfd:"); at; at = strstr(at + 1, "\ntfd:")) {
		uint64_t target = strtoull(at + 5, NULL, 10);
		const struct handle *h = handle_of(l, target < INT32_MAX ? (int)target : -1);
		if (h && h->node)
			add_waiter(l, h->node, call, h->fd, NULL, SYNC_UNLOCKED);
	}
}

static void waits_for_fd(struct look *l, int fd, const char *call)
{
	const struct handle *h = handle_of(l, fd);
	if (h && h->node)
		add_waiter(l, h->node, call, fd, NULL, SYNC_UNLOCKED);
	else if (h)
		waits_for_epoll(l, fd, call);
}

static void waits_for_polled(struct look *l, unsigned long where, unsigned long n, const char *call)
{
	struct pollfd polled[MOST_POLLED];
	if (!l->count || !n || n > MOST_POLLED)
		return;
	if (!read_memory(l, where, polled, n * sizeof(*polled)))
		return;
	for (unsigned long i = 0; i < n; i++)
		if (polled[i].events & (POLLIN | POLLOUT) || handle_of(l, polled[i].fd))
			waits_for_fd(l, polled[i].fd, call);
}

static void waits_for_number(struct look *l, enum sync_space space, unsigned long number,
			     const char *call)
{
	struct sync_node *node = sync_survey_number(l->s, space, (uint32_t)number, false);
	if (node && shares_ipc(l))
		add_waiter(l, node, call, -1, NULL, SYNC_UNLOCKED);
}

static void waits_for_word(struct look *l, uintptr_t word)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->handles[i].fd < 0 && word >= l->handles[i].start && word < l->handles[i].end)
			add_waiter(l, l->handles[i].node, "futex", -1, NULL, SYNC_UNLOCKED);
}

/* The kernel's list tells no process for ofd locks, so its line could be anybody's: the argument is exact. */
static void read_record(const struct look *l, struct sync_sight *g, unsigned long where)
{
	struct flock record = {0};
	if (!read_memory(l, where, &record, sizeof(record)) || record.l_whence != SEEK_SET ||
	    record.l_start < 0 || record.l_len < 0)
		return;
	g->exact = true;
	g->mode = record.l_type == F_RDLCK ? SYNC_SHARED : SYNC_EXCLUSIVE;
	g->range.first = (uint64_t)record.l_start;
	if (record.l_len)
		g->range.last = g->range.first + (uint64_t)record.l_len - 1;
}

static void understand_lock(struct look *l, const unsigned long *a)
{
	int fd = (int)a[1];
	if (a[0] == SYS_flock) { /* LOCK_SH, as in ABI */
		waits_for_lock(l, fd, "flock", "flock", a[2] & 1 ? SYNC_SHARED : SYNC_EXCLUSIVE);
	} else if (a[0] == SYS_fcntl && (a[2] == F_SETLKW || a[2] == F_OFD_SETLKW)) {
		struct sync_sight *g = waits_for_lock(
			l, fd, "fcntl", a[2] == F_SETLKW ? "fcntl" : "ofd", SYNC_UNLOCKED);
		if (g)
			read_record(l, g, a[3]);
	}
}

static void understand(struct look *l, const unsigned long *a)
{
	understand_lock(l, a);
	if (l->s->only)
		return;
	switch (a[0]) {
	case SYS_semtimedop:
		waits_for_number(l, SYNC_SPACE_SEM, a[1], "semtimedop");
		break;
#ifdef SYS_semop
	case SYS_semop:
		waits_for_number(l, SYNC_SPACE_SEM, a[1], "semop");
		break;
#endif
	case SYS_msgrcv:
		waits_for_number(l, SYNC_SPACE_MSG, a[1], "msgrcv");
		break;
	case SYS_msgsnd:
		waits_for_number(l, SYNC_SPACE_MSG, a[1], "msgsnd");
		break;
	case SYS_mq_timedreceive:
		waits_for_fd(l, (int)a[1], "mq_timedreceive");
		break;
	case SYS_mq_timedsend:
		waits_for_fd(l, (int)a[1], "mq_timedsend");
		break;
	case SYS_read:
		waits_for_fd(l, (int)a[1], "read");
		break;
	case SYS_write:
		waits_for_fd(l, (int)a[1], "write");
		break;
	case SYS_futex:
		waits_for_word(l, a[1]);
		break;
	case SYS_ppoll:
		waits_for_polled(l, a[1], a[2], "ppoll");
		break;
#ifdef SYS_poll
	case SYS_poll:
		waits_for_polled(l, a[1], a[2], "poll");
		break;
#endif
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		waits_for_fd(l, (int)a[1], "epoll_wait");
		break;
#endif
	case SYS_epoll_pwait:
		waits_for_fd(l, (int)a[1], "epoll_pwait");
		break;
	default:
		break;
	}
}

/* By the kernel function a thread sleeps in, fs/locks.c; which one it is varies with the kernel */
static const char *sleeps_for_lock(const char *function)
{
	if (!strcmp(function, "locks_lock_inode_wait") ||
	    !strcmp(function, "flock_lock_inode_wait") || !strcmp(function, "__x64_sys_flock"))
		return "flock";
	/* or fcntl: the line of /proc/locks will tell */
	return !strcmp(function, "fcntl_setlk") ? "ofd" : NULL;
}

/* It waits for a lock, on which file is not told: if there is but one that we look for, on that. */
static void look_at_wchan(struct look *l, const char *where)
{
	char path[64];
	char function[64];
	if (!l->s->only)
		return;
	snprintf(path, sizeof(path), "/proc/%d/%swchan", (int)l->pid, where);
	const char *kind = sync_proc_read(path, function, sizeof(function)) > 0
				   ? sleeps_for_lock(function)
				   : NULL;
	if (kind)
		add_waiter(l, (struct sync_node *)l->s->only, NULL, -1, kind, SYNC_UNLOCKED);
}

static void look_at_thread(struct look *l, const char *where)
{
	char name[40];
	char call[256];
	unsigned long a[4];
	snprintf(name, sizeof(name), "%ssyscall", where);
	int fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, call, sizeof(call) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0) {
		look_at_wchan(l, where);
		return;
	}
	call[n] = '\0';
	if (sscanf(call, "%lu %lx %lx %lx", &a[0], &a[1], &a[2], &a[3]) == 4)
		understand(l, a);
}

static void look_at_threads(struct look *l)
{
	struct stat st;
	char where[32];
	if (l->s->only && !l->match)
		return;
	if (!fstatat(l->dir, "task", &st, 0) &&
	    st.st_nlink == 3) { /* itself, its parent, one thread */
		look_at_thread(l, "");
		return;
	}
	int fd = openat(l->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (int tid = next_number(dir); tid >= 0; tid = next_number(dir)) {
		snprintf(where, sizeof(where), "task/%d/", tid);
		look_at_thread(l, where);
	}
	closedir(dir);
}

/* ---- all of them ---- */

static bool is_kernel_thread(pid_t pid)
{
	char path[64];
	char buf[2];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	return sync_proc_read(path, buf, sizeof(buf)) <= 0;
}

static void look_by(struct look *l, pid_t thread)
{
	char path[32];
	pid_t next = thread;
	l->thread = thread;
	snprintf(path, sizeof(path), "/proc/%d", (int)thread);
	l->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0)
		return;
	int fd = openat(l->dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir) {
		if (!look_at_fds(l, dir))
			next = sync_proc_thread(l->pid);
		if (next == thread) {
			look_at_maps(l);
			look_at_threads(l);
		}
		closedir(dir);
	} else if (fd >= 0) {
		close(fd); /* it has ended just now */
	} else if (errno == EACCES) {
		next = sync_proc_thread(l->pid);
		l->s->hidden += next == thread && !is_kernel_thread(l->pid);
	}
	close(l->dir);
	if (next != thread)
		look_by(l, next);
}

int sync_survey_look(struct sync_survey *s)
{
	struct look l = {.s = s};
	DIR *dir = opendir("/proc");
	if (!dir)
		return -errno;
	for (int pid = next_number(dir); pid >= 0; pid = next_number(dir)) {
		l.pid = pid;
		l.match = false;
		l.began = 0;
		l.same_ipc = -1;
		l.count = 0;
		look_by(&l, pid);
	}
	closedir(dir);
	free(l.handles);
	return 0;
}
