/* SPDX-License-Identifier: MIT */
/* Shared by the files of libsync and by nobody else: ops tables, base structs, helpers. */
#ifndef LIBSYNC_INTERNAL_H
#define LIBSYNC_INTERNAL_H

#include "libsync.h"

#define SYNC_API __attribute__((visibility("default")))
#define MUST_CHECK __attribute__((warn_unused_result))

/* ---- names: name.c ---- */

struct sync_range {
	uint64_t first, last; /* inclusive; last == SYNC_RANGE_END means to the end */
};
#define SYNC_RANGE_END ((uint64_t)INT64_MAX)

struct sync_name {
	size_t scheme_len; /* 0: none was given */
	const char *path;  /* points into the name; path_len bytes of it */
	size_t path_len;
	struct sync_range range;
	bool has_range;
};

/* Is the word of LEN bytes at S a scheme of this kind of object? */
typedef bool sync_is_scheme(const char *s, size_t len);

/* Take NAME apart. ranges(scheme) tells whether "@START+LEN" belongs to the name. */
MUST_CHECK int sync_name_parse(const char *name, sync_is_scheme *known, sync_is_scheme *ranges,
			       struct sync_name *out);
/* Is this a legal name of a semaphore or a queue? 0, -EINVAL, -ENAMETOOLONG. */
MUST_CHECK int sync_name_check(const char *name);

/* Where a System V object is: NAME, 0xKEY or id=N, taken apart. */
struct sync_sysv_name {
	uint32_t key; /* not 0, which would be IPC_PRIVATE: another object each time */
	int tag;      /* 1 to 32767: a second hash of NAME */
	int id;       /* with by_id */
	bool by_id, by_key;
};
MUST_CHECK int sync_name_sysv(const char *name, struct sync_sysv_name *out);

MUST_CHECK int sync_name_number(const char *s, size_t len, uint64_t max, uint64_t *out);

/* ---- deadlines: deadline.c ---- */

bool sync_deadline_passed(const struct timespec *deadline);

/*
 * Bounds one blocking system call: from start() to stop(), once the deadline is past, a
 * signal interrupts it again and again. Nothing else in the process is disturbed.
 */
struct sync_alarm {
	timer_t timer;
	bool blocked; /* was the signal, before */
};
MUST_CHECK int sync_alarm_start(struct sync_alarm *a, const struct timespec *deadline);
void sync_alarm_stop(struct sync_alarm *a);

/* ---- locks ---- */

struct sync_lock_ops {
	const char *name;
	unsigned caps;
	bool wants_write; /* an exclusive lock needs a descriptor open for writing */
	/*
	 * Set what the descriptor holds on RANGE to MODE, SYNC_UNLOCKED included; with WAIT,
	 * block. -EAGAIN busy, -EINTR; otherwise what the kernel says. One system call.
	 */
	int (*set)(int fd, const struct sync_range *range, enum sync_mode mode, bool wait);
};

struct sync_lock {
	const struct sync_lock_ops *ops;
	int order;       /* place of ops in backends.def */
	int fd;          /* -1: SYNC_LOCK_BY_NAME */
	int write_error; /* why fd is open for reading only; 0: it is not, or need not be */
	unsigned flags;
	mode_t create_mode;
	mode_t type; /* S_IFMT bits of the file */
	bool empty;
	dev_t dev;
	ino_t ino;
	struct sync_range asked; /* by the name */
	struct sync_range taken; /* asked, or widened by folding */
	bool folded;             /* another want of the same set holds it for us */
	enum sync_mode held;
	char *path; /* NULL: SYNC_LOCK_BY_FD; points behind name */
	char name[];
};

/* The ops of a scheme, NULL if there is no such; its place in backends.def in *order. */
const struct sync_lock_ops *sync_lock_ops_find(const char *scheme, size_t len, int *order);

/* ---- semaphores ---- */

struct sync_sem_ops {
	const char *name;
	unsigned caps;
	unsigned max; /* permits */
	size_t size;  /* of the backend's own struct, which begins with struct sync_sem */
	/* Open REST, the name without its scheme. SEM is the front's, zeros but for ops and name. */
	int (*open)(struct sync_sem *sem, const char *rest, const struct sync_sem_opts *opts);
	/* Give up what open() got; not SEM itself. */
	void (*close)(struct sync_sem *sem);
	int (*wait)(struct sync_sem *sem, unsigned count, unsigned flags,
		    const struct timespec *deadline);
	int (*state)(struct sync_sem *sem, struct sync_sem_state *out);
	int (*unlink)(struct sync_sem *sem);
	/* The others may be missing; the front says -EOPNOTSUPP then. */
	int (*post)(struct sync_sem *sem, unsigned count, unsigned max);
	int (*wait_zero)(struct sync_sem *sem, const struct timespec *deadline);
	int (*release)(struct sync_sem *sem);
	int (*lend)(struct sync_sem *sem);
	int (*reclaim)(struct sync_sem *sem, const struct timespec *deadline);
	int (*resize)(struct sync_sem *sem, unsigned size);
	int (*drain)(struct sync_sem *sem, const struct timespec *deadline);
	int (*repair)(struct sync_sem *sem, unsigned *returned, unsigned *doubtful);
	size_t (*fds)(const struct sync_sem *sem, const int **fds);
	const char *(*path)(const struct sync_sem *sem);
	size_t (*slots)(const struct sync_sem *sem, const unsigned **slots);
	int (*owners)(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
		      size_t *hidden);
	/* For wait_all(), with SYNC_CAP_SET: give back what the last wait took, and no more. */
	void (*undo)(struct sync_sem *sem);
	/* The order in which wait_all() takes: <0, 0 the same object, >0. */
	int (*compare)(const struct sync_sem *a, const struct sync_sem *b);
};

struct sync_sem {
	const struct sync_sem_ops *ops;
	const char *name; /* lies behind the backend's struct */
};

/* ---- queues ---- */

struct sync_queue_ops {
	const char *name;
	unsigned caps;
	size_t size;      /* of the backend's own struct, which begins with struct sync_queue */
	long least, most; /* numbers of messages */
	/* Open REST, the name without its scheme. QUEUE is the front's, zeros but for ops and name. */
	int (*open)(struct sync_queue *queue, const char *rest, const struct sync_queue_opts *opts);
	/* Give up what open() got; not QUEUE itself. */
	void (*close)(struct sync_queue *queue);
	/* One system call each; without WAIT -EAGAIN instead of blocking. -EINTR. */
	int (*send)(struct sync_queue *queue, const void *data, size_t len, long number, bool wait);
	ssize_t (*recv)(struct sync_queue *queue, void *buf, size_t size,
			const struct sync_queue_want *want, bool wait, long *number);
	int (*state)(struct sync_queue *queue, struct sync_queue_state *out);
	int (*unlink)(struct sync_queue *queue);
	/* These may be missing; the front says -EOPNOTSUPP then. */
	ssize_t (*peek)(struct sync_queue *queue, size_t place, void *buf, size_t size,
			long *number);
	int (*fd)(const struct sync_queue *queue);
	/* Missing: send() without WAIT does it. */
	int (*put_back)(struct sync_queue *queue, const void *data, size_t len, long number);
	/* As sync_queue_limit(); fills in what it knows of *OUT, which is zeros. Missing: -ENOENT. */
	int (*limit)(const char *rest, const struct sync_queue_opts *opts, int err,
		     struct sync_queue_limit *out);
};

struct sync_queue {
	const struct sync_queue_ops *ops;
	unsigned flags;   /* opts.flags */
	const char *name; /* lies behind the backend's struct */
};

/* Do the two name the same queue? The scheme, and a slash in front of the name, may be missing. */
bool sync_queue_is_same_name(const char *a, const char *b);

/* ---- events: event.c, eventask.c ---- */

struct sync_event {
	int fd;
	bool borrowed;
	int life;      /* the reading end of the holder's life line; -1: there is no holder */
	int semaphore; /* 1, 0; -1 not known */
	pid_t holder;
	uid_t uid;
	mode_t mode;
	char name[];
};

/* Get the event REST (the name without its scheme) from its holder: all of *EV but name. */
MUST_CHECK int sync_event_ask(struct sync_event *ev, const char *rest,
			      const struct timespec *deadline);
/* Ask the holder of REST to go, and wait until it has. */
MUST_CHECK int sync_event_dismiss(const char *rest, const struct timespec *deadline);
/* 0 it lives; -EIDRM, -EOWNERDEAD. */
MUST_CHECK int sync_event_life(int life);

struct pollfd;
/* ppoll(2), until a deadline: how many are ready, 0 if it has passed, or -errno. */
MUST_CHECK int sync_poll(struct pollfd *fds, unsigned n, const struct timespec *deadline);
/* What poll(2) says now of reading from FD. */
short sync_ready(int fd);

/* DEADLINE as the time left, never negative; false if it has passed. */
bool sync_deadline_left(const struct timespec *deadline, struct timespec *left);

/* ---- lock files: lockfile.c ---- */

/* Move a close-on-exec descriptor to 10 or above, clear of those that shells use. -errno is passed on. */
MUST_CHECK int sync_fd_raise(int fd);
/* 0; -ENOTUNIQ: its file system tells of another file each time it is asked; who compares never comes to an end. */
MUST_CHECK int sync_fd_is_steady(int fd);

/* May a file be written up to END? -EFBIG: RLIMIT_FSIZE forbids it, and SIGXFSZ would come of trying. */
MUST_CHECK int sync_file_may_end(uint64_t end);

/* Open (and make) the file of a path, or look at a borrowed descriptor; sets fd, dev, ino, type. */
MUST_CHECK int sync_lockfile_open(struct sync_lock *l, const struct timespec *deadline);
/* The same again, after the name was found to lead elsewhere; fd is replaced. */
MUST_CHECK int sync_lockfile_reopen(struct sync_lock *l, const struct timespec *deadline);
/* 0; -ESTALE the name leads elsewhere. */
MUST_CHECK int sync_lockfile_check(const struct sync_lock *l);
/* dev and ino of what the name leads to now, without opening it; as root or not. */
MUST_CHECK int sync_lockfile_identity(const struct sync_lock *l, dev_t *dev, ino_t *ino);
/* NFS wants a writable descriptor for an exclusive lock: try to get one. */
MUST_CHECK int sync_lockfile_make_writable(struct sync_lock *l);

/* ---- who has a file locked: inspect.c ---- */

/* As sync_lock_owners(), of any file. */
MUST_CHECK int sync_inspect_file(dev_t dev, ino_t ino, struct sync_owner **list, size_t *count,
				 size_t *hidden);

/*
 * The same of a file in which byte 0 is the line of waiters and byte SYNC_SLOTS + i says that permit
 * i has an owner: owners with the permit's number in .start, then waiters.
 */
#define SYNC_SLOTS 4096
MUST_CHECK int sync_inspect_permits(const char *path, struct sync_owner **list, size_t *count,
				    size_t *hidden);

/* ---- /proc: proc.c ---- */

struct sync_proc {
	pid_t parent;
	bool stopped, ended; /* its main thread */
	uint64_t start;      /* clock ticks after boot */
};

/* Read a whole small file below /proc into BUF, NUL-terminated; its length or -errno. */
ssize_t sync_proc_read(const char *path, char *buf, size_t size);
MUST_CHECK int sync_proc_stat(pid_t pid, struct sync_proc *out);
/*
 * The thread of PID by which /proc shows its files, maps and command: PID, or if the main thread has ended, which
 * others may outlive, one of those.
 */
pid_t sync_proc_thread(pid_t pid);
/* Fill in uid, since, stopped, name and command of o->pid. */
void sync_proc_describe(struct sync_owner *o);
/* Of ours; PID is not 0. */
bool sync_proc_is_ancestor(pid_t pid);

/* One "lock:" line of fdinfo, or one line of /proc/locks. */
struct sync_proc_lock {
	const char *kind; /* a scheme */
	enum sync_mode mode;
	pid_t pid; /* who asked; -1 or 0: not told */
	bool waiting;
	unsigned major, minor;
	uint64_t ino;
	struct sync_range range;
};

/* Parse the line at S (behind "lock:"); false for leases and everything else that is no lock. */
bool sync_proc_lock_parse(const char *s, struct sync_proc_lock *out);

/* Call each() for every lock that the descriptor's open file holds; 0 or -errno. */
typedef void sync_proc_lock_fn(const struct sync_proc_lock *line, void *arg);
int sync_proc_fd_locks(pid_t pid, int fd, sync_proc_lock_fn *each, void *arg);

static inline bool sync_range_overlap(const struct sync_range *a, const struct sync_range *b)
{
	return a->first <= b->last && b->first <= a->last;
}

#endif
