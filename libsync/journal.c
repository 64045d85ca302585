/* SPDX-License-Identifier: MIT */
/*
 * Messages that outlive who received them. A slot is a mapped file; the kernel itself writes a message
 * there while it takes it from the queue, number first, then data, and a SIGKILL does not stop it.
 *
 *   1. number = -1, which no message has; data = 0xFF; state = RECEIVING
 *   2. the kernel takes a message: number, data
 *   3. length = what the call returned; state = FULL
 *   4. the message is dealt with; state = EMPTY
 *
 * Who finds RECEIVING in the file of somebody dead sees by the number whether 2. has happened.
 * The owner has the file locked, and the kernel drops the lock when the owner dies. What is shared is
 * memory that stays, so a kill leaves all that was stored before it: only the compiler must keep the order.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define SLOT "slot."
#define UNFINISHED "new."

enum { HEADER = 1024, PAGE = 4096, QUEUE_ROOM = 512, NAME_ROOM = 32 };

/* CUT: as FULL, but the length was found by looking for the end. */
enum state { EMPTY, RECEIVING, FULL, CUT };

/* Another machine, another libc's long: another layout. */
struct layout {
	char magic[16];
	uint32_t version, order, long_size;
};

static const struct layout layout = {"syncbox journal\n", 1, 0x01020304, sizeof(long)};

struct head {
	struct layout layout;
	_Atomic uint32_t state;
	uint64_t room;
	uint64_t length;
	_Atomic uint64_t mark;
	_Atomic uint32_t attempts;
	uint32_t priorities; /* the queue has priorities */
	char queue[QUEUE_ROOM];
};

struct file {
	union {
		struct head head;
		char bytes[HEADER - sizeof(long)];
	};
	long number; /* and data right behind it: what msgrcv(2) fills in */
	unsigned char data[];
};
_Static_assert(offsetof(struct file, data) == HEADER, "the number lies right before the data");

/* ---- the state of a file ---- */

static enum state state_of(const struct file *f)
{
	return (enum state)atomic_load_explicit(&f->head.state, memory_order_acquire);
}

static void set_state(struct file *f, enum state state)
{
	atomic_store_explicit(&f->head.state, state, memory_order_release);
	/* Nothing that comes later may be stored before it. For a kill that is the compiler's doing. */
	atomic_signal_fence(memory_order_seq_cst);
}

static bool has_message(const struct file *f)
{
	enum state s = state_of(f);
	return s == RECEIVING ? f->number != -1 : s != EMPTY;
}

/* The kernel writes a priority as an unsigned, and queue_posix.c makes a long of it when it returns. */
static long number_taken(const struct file *f)
{
	union {
		long number;
		unsigned priority;
	} now = {f->number}, kernel = {-1};
	kernel.priority = now.priority;
	return f->head.priorities && now.number == kernel.number ? (long)now.priority : now.number;
}

/* Killed in here, it can be done again. */
static void recover(struct file *f)
{
	size_t len = f->head.room;
	if (state_of(f) != RECEIVING)
		return;
	while (len && f->data[len - 1] == 0xFF)
		len--;
	f->head.length = len;
	f->number = number_taken(f);
	set_state(f, CUT);
}

/* Also while its owner works with it. */
static bool is_sound(const struct file *f, size_t size)
{
	const struct head *h = &f->head;
	return !memcmp(&h->layout, &layout, sizeof(layout)) && h->room == size - HEADER &&
	       state_of(f) <= CUT && h->length <= h->room && !h->queue[QUEUE_ROOM - 1];
}

/* ---- slots ---- */

struct sync_journal {
	int dir;
	pid_t pid;     /* a forked child has our slots, but must not remove them */
	unsigned made; /* for names */
	struct sync_slot *slots;
};

struct sync_slot {
	struct sync_journal *journal;
	struct sync_slot *next;
	struct file *file;
	size_t mapped;
	size_t size;  /* of the longest message that is asked for */
	size_t dirty; /* bytes of data that may not be 0xFF */
	int fd;
	bool lent;
	bool orphan;
	char name[NAME_ROOM];
};

/* Gives up the lock on its file as well, so what is in it is an orphan now. */
static void drop(struct sync_slot *s)
{
	struct sync_slot **p = &s->journal->slots;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	munmap(s->file, s->mapped);
	close(s->fd);
	free(s);
}

/* While it is locked: so nobody else gets it, nor takes the message of a file that is gone. */
static void drop_empty(struct sync_slot *s)
{
	if (s->journal->pid == getpid())
		unlinkat(s->journal->dir, s->name, 0);
	drop(s);
}

/* -EUCLEAN it is no slot. */
static int map(struct sync_slot *s)
{
	struct stat st;
	if (fstat(s->fd, &st))
		return -errno;
	/* What is mapped must be there: a short file would be a SIGBUS. */
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size <= HEADER ||
	    st.st_size > INT32_MAX)
		return -EUCLEAN;
	size_t size = (size_t)st.st_size;
	void *f = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (f == MAP_FAILED)
		return -errno;
	if (!is_sound(f, size)) {
		munmap(f, size);
		return -EUCLEAN;
	}
	s->file = f;
	s->mapped = size;
	return 0;
}

/* FD is taken over, also by a failure; it may be an error. */
static int attach(struct sync_journal *j, int fd, const char *name, struct sync_slot **out)
{
	fd = sync_fd_raise(fd);
	if (fd < 0)
		return fd;
	struct sync_slot *s = malloc(sizeof(*s));
	int r = -ENOMEM;
	if (s) {
		*s = (struct sync_slot){.journal = j, .next = j->slots, .fd = fd, .lent = true};
		memcpy(s->name, name, strlen(name) + 1);
		r = map(s);
	}
	if (!s || !s->file) {
		free(s);
		close(fd);
		return r;
	}
	*out = j->slots = s;
	return 0;
}

/* ---- what lies in the directory ---- */

/* -EAGAIN it is just gone. */
static int open_file(int dir, const char *name)
{
	/* O_NONBLOCK: should it be a FIFO. */
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return -EAGAIN;
	case ELOOP:
	case EISDIR:
	case ENXIO:
	case EACCES:
		return -EUCLEAN;
	default:
		return -errno;
	}
}

/* -EAGAIN its owner lives, or has removed it. */
static int lock_file(int fd)
{
	struct stat st;
	if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &st))
		return -errno;
	return st.st_nlink ? 0 : -EAGAIN;
}

/* 0: go on to the next. */
typedef int visitor(struct sync_journal *j, const char *name, void *arg);

static int visit_all(struct sync_journal *j, const char *prefix, visitor *visit, void *arg)
{
	int fd = openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	int r = 0;
	const struct dirent *e;
	while (!r && (errno = 0, e = readdir(d))) {
		if (!strncmp(e->d_name, prefix, strlen(prefix)) && strlen(e->d_name) < NAME_ROOM)
			r = visit(j, e->d_name, arg);
	}
	if (!r && errno)
		r = -errno;
	closedir(d);
	return r;
}

/* What somebody who was killed has left, who had not got so far as to give it its name. */
static int clean(struct sync_journal *j, const char *name, void *arg)
{
	(void)arg;
	struct stat here;
	struct stat there;
	int fd = open_file(j->dir, name);
	if (fd < 0)
		return 0;
	if (!lock_file(fd) && !fstat(fd, &here) &&
	    !fstatat(j->dir, name, &there, AT_SYMLINK_NOFOLLOW) && here.st_ino == there.st_ino)
		unlinkat(j->dir, name, 0);
	close(fd);
	return 0;
}

struct search {
	bool message;      /* with one, or empty */
	const char *queue; /* with one: of that queue; NULL: of any */
	bool unclean;      /* there was a file that is no slot */
	struct sync_slot *found;
};

static bool fits(const struct search *want, const struct file *f)
{
	return has_message(f) == want->message &&
	       (!want->queue || sync_queue_is_same_name(want->queue, f->head.queue));
}

/*
 * Looked at before it is locked, too: who locks what it does not want hides it from others for that
 * moment. What was seen then may have changed until it is locked.
 */
static int find(struct sync_journal *j, const char *name, void *arg)
{
	struct search *want = arg;
	struct sync_slot *s = NULL;
	int r = attach(j, open_file(j->dir, name), name, &s);
	want->unclean |= r == -EUCLEAN;
	if (!s)
		return r == -EUCLEAN || r == -EAGAIN ? 0 : r;
	r = fits(want, s->file) ? lock_file(s->fd) : -EAGAIN;
	if (!r && fits(want, s->file)) {
		want->found = s;
		return 1;
	}
	drop(s);
	return r == -EAGAIN ? 0 : r;
}

/* ---- making ---- */

static int write_all(int fd, const void *data, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		data = (const char *)data + n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/*
 * An empty slot in all its length, by write(2): a hole for which there is no room later would be a
 * SIGBUS. One that was empty is that all the time.
 */
static int lay_out(int fd, size_t room)
{
	struct file f = {.head = {.layout = layout, .room = room}, .number = -1};
	char ones[PAGE];
	int r = sync_file_may_end(HEADER + room);
	if (r)
		return r;
	memset(ones, 0xFF, sizeof(ones));
	for (size_t at = 0; at < room;) {
		size_t n = room - at < PAGE ? room - at : PAGE;
		r = write_all(fd, ones, n, (off_t)(HEADER + at));
		if (r)
			return r;
		at += n;
	}
	return write_all(fd, &f, HEADER, 0);
}

/* Whole pages. */
static size_t room_for(size_t size)
{
	return (HEADER + size + PAGE) / PAGE * PAGE - HEADER;
}

/* Complete and locked when it gets its name. -EEXIST, -EAGAIN: try another. */
static int make_named(int dir, const char *early, const char *name, size_t size)
{
	int fd = openat(dir, early, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	fd = sync_fd_raise(fd);
	/* -EAGAIN: somebody has taken it for left behind. */
	int r = fd < 0 ? fd : lock_file(fd);
	if (!r && fchmod(fd, 0600)) /* the umask may have taken bits away */
		r = -errno;
	if (!r)
		r = lay_out(fd, room_for(size));
	if (!r && linkat(dir, early, dir, name, 0))
		r = errno == ENOENT ? -EAGAIN : -errno;
	unlinkat(dir, early, 0);
	if (!r)
		return fd;
	if (fd >= 0)
		close(fd);
	return r;
}

static int make(struct sync_journal *j, size_t size, struct sync_slot **out)
{
	char early[NAME_ROOM];
	char name[NAME_ROOM];
	int fd;
	do {
		/* The pid is for people, and makes most names the first of their kind. */
		unsigned n = j->made++;
		snprintf(early, sizeof(early), UNFINISHED "%d.%u", (int)j->pid, n);
		snprintf(name, sizeof(name), SLOT "%d.%u", (int)j->pid, n);
		fd = make_named(j->dir, early, name, size);
	} while (fd == -EEXIST || fd == -EAGAIN);
	/* Should it fail, an empty slot is left for others: one of them may have it already. */
	return attach(j, fd, name, out);
}

/* ---- the journal ---- */

/* Who else can write to it could put in files, and take ours away. */
static int open_dir(const char *dir)
{
	struct stat st;
	/* Whatever the umask is. */
	if (!mkdir(dir, 0700))
		(void)!fchmodat(AT_FDCWD, dir, 0700, AT_SYMLINK_NOFOLLOW);
	else if (errno != EEXIST)
		return -errno;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) ? -errno : 0;
	if (!r && (st.st_uid != geteuid() || st.st_mode & 022))
		r = -EPERM;
	if (!r)
		return sync_fd_raise(fd);
	close(fd);
	return r;
}

SYNC_API int sync_journal_open(const char *dir, struct sync_journal **out)
{
	struct sync_journal *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->pid = getpid();
	j->dir = open_dir(dir);
	int r = j->dir < 0 ? j->dir : visit_all(j, UNFINISHED, clean, NULL);
	if (!r) {
		*out = j;
		return 0;
	}
	if (j->dir >= 0)
		close(j->dir);
	free(j);
	return r;
}

SYNC_API void sync_journal_close(struct sync_journal *j)
{
	if (!j)
		return;
	int saved = errno;
	while (j->slots) {
		if (has_message(j->slots->file))
			drop(j->slots);
		else
			drop_empty(j->slots);
	}
	close(j->dir);
	free(j);
	errno = saved;
}

/* One of ours that nobody uses, or of somebody dead, or a new one. */
static int find_room(struct sync_journal *j, size_t size, struct sync_slot **out)
{
	for (struct sync_slot *s = j->slots; s; s = s->next) {
		if (!s->lent && s->file->head.room >= size) {
			*out = s;
			return 0;
		}
	}
	int r;
	struct search want = {0};
	while ((r = visit_all(j, SLOT, find, &want)) > 0 && want.found) {
		struct sync_slot *s = want.found;
		want.found = NULL;
		if (s->file->head.room < size) {
			drop_empty(s);
			continue;
		}
		r = lay_out(s->fd, s->file->head.room);
		if (r)
			drop(s);
		else
			*out = s;
		return r;
	}
	return r ? r : make(j, size, out);
}

SYNC_API int sync_journal_slot(struct sync_journal *j, size_t size, struct sync_slot **out)
{
	struct sync_slot *s = NULL;
	if (size > INT32_MAX / 2)
		return -EINVAL;
	int r = find_room(j, size, &s);
	if (!s)
		return r;
	s->size = size;
	s->lent = true;
	/* Should it fail, the pages are there in most cases, as each receive touches them. */
	(void)mlock(s->file, s->mapped);
	*out = s;
	return 0;
}

SYNC_API int sync_journal_orphan(struct sync_journal *j, const char *queue, struct sync_slot **out)
{
	struct search want = {.message = true, .queue = queue};
	int r = visit_all(j, SLOT, find, &want);
	if (!want.found)
		return r ? r : want.unclean ? -EUCLEAN : -ENOENT;
	recover(want.found->file);
	want.found->orphan = true;
	*out = want.found;
	return 0;
}

SYNC_API void sync_slot_close(struct sync_slot *s)
{
	if (!s)
		return;
	int saved = errno;
	if (has_message(s->file))
		drop(s);
	else if (s->orphan)
		drop_empty(s);
	else
		s->lent = false;
	errno = saved;
}

/* ---- receiving ---- */

/*
 * A page that the kernel has to fetch when a SIGKILL is on its way may be refused it, and the message is
 * lost then: so all are made present and writable now. What lies in them is 0xFF already.
 */
static void touch(struct file *f, size_t size)
{
	volatile unsigned char *data = f->data;
	for (size_t at = 0; at < size; at += PAGE)
		data[at] = 0xFF;
	if (size)
		data[size - 1] = 0xFF;
}

static int set_queue(struct file *f, const struct sync_queue *queue)
{
	const char *name = sync_queue_name(queue);
	f->head.priorities = sync_queue_caps(queue) & SYNC_CAP_PRIORITY;
	if (!strcmp(f->head.queue, name))
		return 0;
	size_t size = strlen(name) + 1;
	if (size > QUEUE_ROOM)
		return -ENAMETOOLONG;
	memcpy(f->head.queue, name, size);
	return 0;
}

static void prepare(struct sync_slot *s)
{
	struct file *f = s->file;
	f->number = -1;
	memset(f->data, 0xFF, s->dirty);
	s->dirty = 0;
	touch(f, s->size);
	atomic_store_explicit(&f->head.attempts, 0, memory_order_relaxed);
	atomic_store_explicit(&f->head.mark, 0, memory_order_relaxed);
	set_state(f, RECEIVING);
}

SYNC_API ssize_t sync_slot_recv(struct sync_slot *s, struct sync_queue *queue,
				const struct sync_queue_want *want, const struct timespec *deadline,
				const void **data, long *number)
{
	struct file *f = s->file;
	if (s->orphan)
		return -EINVAL;
	if (state_of(f) != EMPTY)
		return -EBUSY;
	int r = set_queue(f, queue);
	if (r)
		return r;
	prepare(s);
	ssize_t n = sync_queue_recv(queue, f->data, s->size, want, deadline, &f->number);
	if (n < 0) {
		/* Otherwise it was taken, but could not be stored: what there is of it stays. */
		if (f->number == -1)
			set_state(f, EMPTY);
		else
			s->dirty = s->size;
		return n;
	}
	s->dirty = (size_t)n;
	f->head.length = (size_t)n;
	set_state(f, FULL);
	if (data)
		*data = f->data;
	if (number)
		*number = f->number;
	return n;
}

SYNC_API void sync_slot_done(struct sync_slot *s)
{
	set_state(s->file, EMPTY);
}

/* ---- what a slot has ---- */

SYNC_API const void *sync_slot_data(const struct sync_slot *s, size_t *len, long *number)
{
	if (state_of(s->file) < FULL)
		return NULL;
	*len = s->file->head.length;
	if (number)
		*number = s->file->number;
	return s->file->data;
}

SYNC_API bool sync_slot_is_exact(const struct sync_slot *s)
{
	return state_of(s->file) == FULL;
}

SYNC_API const char *sync_slot_queue(const struct sync_slot *s)
{
	return s->file->head.queue;
}

SYNC_API unsigned sync_slot_begin(struct sync_slot *s)
{
	uint32_t n = atomic_load_explicit(&s->file->head.attempts, memory_order_relaxed);
	n += n < UINT32_MAX;
	atomic_store_explicit(&s->file->head.attempts, n, memory_order_release);
	return n;
}

SYNC_API unsigned sync_slot_attempts(const struct sync_slot *s)
{
	return atomic_load_explicit(&s->file->head.attempts, memory_order_acquire);
}

SYNC_API void sync_slot_set_mark(struct sync_slot *s, uint64_t mark)
{
	atomic_store_explicit(&s->file->head.mark, mark, memory_order_release);
}

SYNC_API uint64_t sync_slot_mark(const struct sync_slot *s)
{
	return atomic_load_explicit(&s->file->head.mark, memory_order_acquire);
}
