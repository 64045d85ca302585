/* SPDX-License-Identifier: MIT */
/*
 * libsync: locks, semaphores, message queues and events for programs that must
 * stay correct when processes die. Linux only.
 *
 * Rules that hold for every function here:
 *
 * - 0 or a positive result is success, a negative result is -errno.
 * - A deadline is an absolute CLOCK_MONOTONIC time. NULL waits for ever,
 *   SYNC_NOW tries once. A waiter keeps its place in the kernel's queue for
 *   its whole wait; nothing here polls.
 * - -ETIMEDOUT: not in time, also for SYNC_NOW. -EINTR: a signal handler of
 *   yours ran; call again with the same deadline, the wait is not lengthened
 *   (but your place in the queue is lost: the kernel takes it away).
 *   -EOPNOTSUPP: this backend cannot, and will not pretend to.
 * - opts == NULL and every zero field of it mean the default.
 * - What open() puts into *out belongs to the caller until close(). On failure
 *   *out is untouched. close() accepts NULL and preserves errno.
 * - A handle belongs to one thread at a time, except where a comment says more.
 * - The library prints nothing, never exits, reads no environment, and leaves
 *   signal masks and handlers as it found them. During a timed wait that has
 *   to block it owns one real-time signal that had no handler, and gives it
 *   back before it returns.
 *
 * Manual: libsync(3), sync-backends(7).
 */
#ifndef LIBSYNC_H
#define LIBSYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- deadlines ------------------------------------------------------- */

/* The deadline that has always passed: try once, never wait. */
extern const struct timespec sync_now;
#define SYNC_NOW (&sync_now)

/*
 * Set *out to NSEC nanoseconds from now on CLOCK_MONOTONIC. Zero and negative
 * values give a deadline that has passed; a value too large to hold gives the
 * latest time that can be held. Cannot fail.
 */
void sync_deadline_in(int64_t nsec, struct timespec *out);

/* ---- locks -----------------------------------------------------------
 *
 * A name is [SCHEME:]PATH, and [@START[+LEN]] behind it where ranges exist.
 * A bare path means flock:. A word before a colon that is no scheme is part
 * of the path. LEN missing or 0 means "to the end of every future file".
 *
 *                               flock:         ofd:           fcntl:
 *   who owns the lock           open file      open file      the process
 *                               description    description
 *   inherited by fork           yes            yes            no
 *   survives exec               while the descriptor is open  (all three)
 *   dropped by closing another  no             no             yes, any close
 *   descriptor of the file                                    of any of them
 *   byte ranges                 no             yes            yes
 *   a failed try to upgrade     loses the      keeps it       keeps it
 *   from shared to exclusive    shared lock
 *   exclusive needs the file    no             yes            yes
 *   open for writing
 *   deadlock is noticed         no             no             -EDEADLK
 *   excludes                    flock          ofd, fcntl     ofd, fcntl
 *   NFS                         as fcntl       as fcntl       yes
 */

struct sync_lock;

/* What is held, or asked for. The order is the order of strength. */
enum sync_mode { SYNC_UNLOCKED, SYNC_SHARED, SYNC_EXCLUSIVE };

/* Bits of sync_lock_opts.flags. */
enum {
	SYNC_LOCK_NO_CREATE = 1 << 0, /* a missing file is -ENOENT */
	SYNC_LOCK_FOLLOW = 1 << 1,    /* the last component may be a symbolic link */
	SYNC_LOCK_BY_FD = 1 << 2,     /* PATH is the number of a descriptor, which is borrowed */
	SYNC_LOCK_BY_NAME = 1 << 3, /* open nothing: the handle only serves to look, not to lock */
	SYNC_LOCK_AS_IS =
		1 << 4, /* with BY_FD: be it a FIFO, a device, or a file that was removed */
};

struct sync_lock_opts {
	unsigned flags;
	mode_t mode; /* of a file that has to be made, exactly; 0 means 0600 */
};

/* Bits of sync_lock_caps(). */
enum {
	SYNC_CAP_INHERIT = 1 << 0, /* a child that has the descriptor holds the lock too */
	SYNC_CAP_RANGE = 1 << 1,   /* byte ranges */
	SYNC_CAP_UPGRADE = 1 << 2, /* a failed try to upgrade keeps the shared lock */
	SYNC_CAP_EDEADLK = 1 << 3, /* a cycle of waiters is noticed by the kernel */
	SYNC_CAP_UNLINK = 1 << 4,  /* this handle names an empty regular file: it can be unlinked */
};

/*
 * Open the lock NAME; a missing file is made (O_EXCL, then the exact mode). It
 * is never truncated or written to. The descriptor is close-on-exec and numbered
 * 10 or above, clear of those that shells use. A file lease may make the open
 * itself wait: the deadline bounds that too.
 * On a file of which this process holds an fcntl: lock it drops that lock, as any close does.
 * -EINVAL not a legal name; -EOVERFLOW range too large; -EOPNOTSUPP range where
 * there are none; -ELOOP a symbolic link; -EMEDIUMTYPE neither file, directory
 * nor block device (nothing else is ever opened, nor borrowed without AS_IS); -EBADF no such descriptor; or
 * what open(2) says. sync-backends(7), NAMES.
 */
int sync_lock_open(const char *name, const struct sync_lock_opts *opts,
		   const struct timespec *deadline, struct sync_lock **out);

/*
 * Give up the handle. This closes our descriptor but does not unlock what a child
 * has inherited: call sync_lock_release() first if that is wanted. A descriptor that
 * was borrowed stays open.
 */
void sync_lock_close(struct sync_lock *lock);

/*
 * Take the lock in MODE, or convert a lock that is held. Once it is held, the name
 * is looked up again; if it now leads to another file, that one is opened and waited
 * for instead, so that two holders under one name cannot be. A borrowed descriptor
 * whose file was removed gives -EIDRM, and nothing is held.
 * 0, -ETIMEDOUT, -EINTR, -EIDRM, -EDEADLK; -EINVAL neither SYNC_SHARED nor SYNC_EXCLUSIVE;
 * -EAGAIN no timer for the deadline (RLIMIT_SIGPENDING); -EBUSY no signal for it; -ENOTUNIQ the file system
 * gives the file another inode number whenever it is asked, so nobody can tell which file is locked; -EOPNOTSUPP
 * record locks of two kinds on the same bytes, which would exclude each other; -EISDIR, -EACCES, -EROFS, -ETXTBSY an
 * exclusive lock needs a file open for writing and it could not be (-EBADF: a
 * borrowed descriptor is not); or what the kernel says. sync-backends(7), WAITING.
 */
int sync_lock_acquire(struct sync_lock *lock, enum sync_mode mode, const struct timespec *deadline);

/* One of several locks to take together. */
struct sync_lock_want {
	struct sync_lock *lock;
	enum sync_mode mode;
};

/*
 * Take all N locks or none. WANTS is sorted by device, inode and start, and locks are
 * taken in that order, so that callers who overlap cannot deadlock whatever order they
 * name. Wants that overlap are folded into one lock of the stronger mode, kept by the first
 * of them, of equals by an exclusive one; one that was held before and is folded now is
 * released first. On failure *failed, if not NULL, is the lock that could not be had.
 * Returns as sync_lock_acquire().
 */
int sync_lock_acquire_all(struct sync_lock_want *wants, size_t n, const struct timespec *deadline,
			  struct sync_lock **failed);

/*
 * Unlock the open file description, and so every copy that children have inherited
 * (fcntl: the process). Harmless when nothing is held.
 */
int sync_lock_release(struct sync_lock *lock);

/*
 * Does the name still lead to the file that is locked? 0 yes; -ESTALE it was removed
 * or replaced; or what stat(2) says. Always 0 for a borrowed descriptor.
 */
int sync_lock_check(const struct sync_lock *lock);

/*
 * Remove the name, while holding the lock exclusively and before it is released: others
 * who wait for it then notice, and start again. -EPERM not held exclusively; -ESTALE the
 * name leads elsewhere by now and is left alone; -EOPNOTSUPP without SYNC_CAP_UNLINK (no regular
 * file, not empty, or only a range of it); or what unlink(2) says. Who locks the file in another way, of
 * another kind or range, is not asked.
 */
int sync_lock_unlink(struct sync_lock *lock);

/* The descriptor, borrowed from the handle; it may change in acquire. -EBADF without one. */
int sync_lock_fd(const struct sync_lock *lock);

/* The name as it was given, owned by the handle. May be called from any thread. */
const char *sync_lock_name(const struct sync_lock *lock);

/* The path in it, owned by the handle; NULL for a borrowed descriptor. */
const char *sync_lock_path(const struct sync_lock *lock);

/* What this handle can do: SYNC_CAP_ bits. */
unsigned sync_lock_caps(const struct sync_lock *lock);

/* What is held through this handle now. A want that was folded into another holds nothing. */
enum sync_mode sync_lock_mode(const struct sync_lock *lock);

/*
 * Does descriptor FD of process PID hold something that bears on this lock: same file, same kind,
 * overlapping range? PID is 0 for our own process, or one of our ancestors; of any other the
 * answer is no, as its number may have been given to somebody else by now. Returns the strongest
 * such mode, SYNC_UNLOCKED for none, or -errno when that process cannot be looked at. *whole, if
 * not NULL, is raised to the strongest mode in which the whole range is held. Rests on proc(5).
 */
int sync_lock_held_at(const struct sync_lock *lock, pid_t pid, int fd, enum sync_mode *whole);

/*
 * Does process PID hold, by any descriptor of its own, something that bears on this lock? Returns as
 * sync_lock_held_at(). The number may be given to another process at any moment, unless the caller has
 * a pidfd and finds it alive afterwards. Rests on proc(5).
 */
int sync_lock_held_by(const struct sync_lock *lock, pid_t pid);

/* ---- who holds, who waits -------------------------------------------- */

/* A process that holds a lock on a file, or waits for one. */
struct sync_owner {
	pid_t pid; /* 0: cannot be seen from here; then only kind, mode, range count */
	uid_t uid;
	bool waiting;
	bool inherited;      /* it holds what another asked for; never set for shared ofd locks */
	bool by_process;     /* closing any descriptor of the file would drop it */
	bool attends;        /* a queue, as a sender or receiver: sync_queue_attend() */
	bool stopped;        /* by a signal: SIGSTOP, a terminal's Ctrl-Z */
	bool seen;           /* to have it; else the kernel alone names it as who asked */
	enum sync_mode mode; /* SYNC_UNLOCKED: waits, unknown for which */
	const char *kind;    /* of a lock, a scheme: "flock", "ofd", "fcntl"; else NULL */
	const char *call;    /* the system call that it is blocked in; NULL not known */
	int fd;              /* its descriptor; -1 not known */
	uint64_t start, len; /* bytes; len 0: to the end */
	int64_t since;       /* when the process began, CLOCK_REALTIME seconds */
	char name[16];       /* of the program, as ps -o comm */
	char command[256];   /* the words, blanks between, as ps -o args; may be cut */
};

/*
 * List who holds and who waits for locks of every kind on LOCK's file: holders first,
 * each part by age. *list is malloc'd; the caller frees it with free(3). *hidden is the
 * number of processes that could not be looked into for lack of rights. It reads only what
 * never changes in the handle, so another thread may call it while one waits in acquire.
 * A listing is a picture of the past: never decide by it who may run. Rests on proc(5).
 */
int sync_lock_owners(const struct sync_lock *lock, struct sync_owner **list, size_t *count,
		     size_t *hidden);

/* Could A, held or waited for, keep a lock in MODE on LOCK from being taken? */
bool sync_lock_conflicts(const struct sync_lock *lock, enum sync_mode mode,
			 const struct sync_owner *a);

/* ---- semaphores ------------------------------------------------------
 *
 * A name is [SCHEME:]NAME; a bare name means sysv:. NAME is 1 to 200 letters,
 * digits, dots, dashes, underscores, and does not begin with a dash or a dot.
 *
 *   sysv:NAME  sysv:0xKEY  sysv:id=N   a System V semaphore: ours by name, or anybody's
 *   posix:/NAME                        what sem_open(3) of glibc sees
 *   pool:NAME  pool:/PATH              permits that belong to descriptors
 *   jobserver:fifo:PATH  jobserver:R,W  the tokens of a GNU make jobserver, which others serve; and
 *   jobserver:                         the one that opts.server names in the same way
 *
 *                              sysv:           posix:          pool:
 *   an owned permit belongs    the process     the handle, by  the open file
 *   to                                         a ledger        description
 *   inherited by fork          no              see below       yes
 *   survives exec              yes             see below       while it is open
 *   owner is killed            back at once    back with the   back at once
 *                                              next waiter
 *   permits without an owner   yes             yes             no
 *   order                      first come,     the kernel's,   first come,
 *                              first served    ours in line    first served
 *   several at once            may starve      no              cannot starve
 *   most                       32767           2147483647      4096
 *
 * An owned posix: permit is written down in a ledger, whose descriptor children inherit: while any of
 * them has it the permit counts as in use. Whoever took it must give it back by sync_sem_release(); if
 * all are gone and nobody did, the next waiter does, or sync_sem_repair().
 *
 * jobserver: is as posix:, but several may be taken at once, without having some while waiting for the
 * rest, and permits always have an owner. A job of make has one permit from its start, without a byte in the
 * pipe: opts.slot says for which job we act, and the first handle that waits with it has that as its first permit.
 * A wait that has to last lends it; if it fails, sync_sem_reclaim() must follow.
 */

struct sync_sem;

/* Bits of sync_sem_opts.flags. */
enum {
	SYNC_SEM_CREATE = 1 << 0, /* make it if it is missing */
	SYNC_SEM_BY_FD = 1 << 1,  /* pool: permits are taken for the descriptor opts.fd */
};

struct sync_sem_opts {
	unsigned flags;
	unsigned initial;      /* permits of one that has to be made */
	mode_t mode;           /* of one that has to be made, exactly; 0 means 0600 */
	int fd;                /* with SYNC_SEM_BY_FD: open on the pool for reading and writing */
	const char *directory; /* where pool:NAME lives; NULL: only pool:/PATH can be opened */
	const char *label;     /* who takes permits, for people who look; NULL for nothing */
	/* jobserver: alone */
	const char *
		server; /* what jobserver: means, "R,W" or "fifo:PATH" as in MAKEFLAGS; NULL: nothing */
	unsigned
		capacity; /* how many permits there are with the slot of the first job; 0: not known */
	unsigned slot;    /* the process that make started, we or an ancestor; 0: we have no slot */
};

/* Bits of sync_sem_caps(), besides SYNC_CAP_INHERIT: children with the descriptor own it too. */
enum {
	SYNC_CAP_OWN = 1 << 8,     /* SYNC_SEM_OWNED: permits come back whatever kills the owner */
	SYNC_CAP_EXEC = 1 << 9,    /* and stay with a program that is exec'd, till it ends */
	SYNC_CAP_SHARE = 1 << 10,  /* permits without an owner can be taken, and be posted */
	SYNC_CAP_COUNT = 1 << 11,  /* several permits at once */
	SYNC_CAP_FAIR = 1 << 12,   /* and a wait for several cannot starve */
	SYNC_CAP_ZERO = 1 << 13,   /* sync_sem_wait_zero() */
	SYNC_CAP_RESIZE = 1 << 14, /* sync_sem_resize(), sync_sem_drain() */
	SYNC_CAP_SET = 1 << 15,    /* sync_sem_wait_all() with others of its kind */
	SYNC_CAP_SERVED = 1 << 21, /* others serve it, and count on getting each permit back */
};

/* What a semaphore of that name can do: SYNC_CAP_ bits. Whether there is one is not asked. */
unsigned sync_sem_caps_of(const char *name);

/* The most permits that a semaphore of that name can have. Whether there is one is not asked. */
unsigned sync_sem_max_of(const char *name);

/*
 * Open the semaphore NAME, or make it: nobody ever sees one half made, and whoever makes it may be
 * killed at any moment. OPTS is not kept.
 * A jobserver: that is made is a FIFO, for as long as anybody has it open.
 * -ENOENT missing; -ENXIO and cannot be made (sysv:id=N); -EINVAL not a legal name; -ENAMETOOLONG; -EEXIST the key belongs to another
 * object (a collision); -EUCLEAN the object is damaged, or another libc's; -ERANGE more permits
 * than there can be; -ENOTDIR a pool by name, and no opts.directory; -ENOSPC SEMMNI, or the file
 * system; -EFBIG RLIMIT_FSIZE; -ENODEV no /dev/shm; -EACCES; -EBADF, -ESTALE opts.fd is not
 * open, is open on another file; -EDESTADDRREQ a jobserver: without opts.server; -EBADF, -EBADFD its descriptors are not open, are no
 * pipe's ends; or what the kernel says. sync-backends(7), SEMAPHORES.
 */
int sync_sem_open(const char *name, const struct sync_sem_opts *opts, struct sync_sem **out);

/* Give up the handle: owned permits that belong to its descriptor go back. NULL is fine. */
void sync_sem_close(struct sync_sem *sem);

/* Bits of the FLAGS of a wait. */
enum {
	SYNC_SEM_OWNED = 1 << 0, /* they come back when the owner ends; pool: always */
	SYNC_SEM_EXEC = 1 << 1,  /* the caller will exec or exit now: threads may be left to that */
};

/*
 * Take COUNT permits, all or none. A waiter keeps its place in the queue until the deadline.
 * 0, -ETIMEDOUT, -EINTR, -EIDRM it was removed; -EINVAL COUNT is 0; -E2BIG more than the pool
 * has, or could ever have; -EOPNOTSUPP see the capability bits; -EUCLEAN damaged while we waited; -EBADMSG, -EPERM its ledger (posix) is
 * damaged, or was made by somebody whom we cannot trust;
 * -EUSERS no room for one more owner (posix: 1024); -ERANGE more than 32767 owned by one process (sysv); -EACCES it
 * can only be read; -ENOMEM, -EMFILE no thread or descriptor to wait with; -EAGAIN, -EBUSY, -ENOTUNIQ as a lock.
 * sync-backends(7), SEMAPHORES.
 */
int sync_sem_wait(struct sync_sem *sem, unsigned count, unsigned flags,
		  const struct timespec *deadline);

/* One of several semaphores to take from together. */
struct sync_sem_want {
	struct sync_sem *sem;
	unsigned count;
};

/*
 * Take from all N or from none. WANTS is sorted by device and inode, so that callers who overlap
 * cannot deadlock; the same semaphore twice asks for the sum, and the first handle has it. On failure *failed, if not NULL, is
 * the one that could not be had. Returns as sync_sem_wait(); -EOPNOTSUPP without SYNC_CAP_SET.
 */
int sync_sem_wait_all(struct sync_sem_want *wants, size_t n, unsigned flags,
		      const struct timespec *deadline, struct sync_sem **failed);

/* Wait until no permit is left, and take nothing. -ETIMEDOUT, -EINTR, -EIDRM, -EOPNOTSUPP. */
int sync_sem_wait_zero(struct sync_sem *sem, const struct timespec *deadline);

/*
 * Add COUNT permits that nobody owned. MAX, if not 0: -EAGAIN and nothing added if there would be
 * more than MAX then. -EOVERFLOW more than there can be; -EIDRM; -EINVAL; -EOPNOTSUPP a pool.
 */
int sync_sem_post(struct sync_sem *sem, unsigned count, unsigned max);

/*
 * Give back all that was taken as owned through this handle (with SYNC_SEM_BY_FD: all that the
 * descriptor owns), whoever inherited it. Harmless when nothing was.
 */
int sync_sem_release(struct sync_sem *sem);

/*
 * Let others have the slot that opts.slot says while we wait for something else. Whoever does must have it again
 * before going on, or ending: by sync_sem_reclaim(), or by a wait for permits of this very handle, which has
 * the slot as one of them again. A kill meanwhile leaves a permit too many, until another takes or releases.
 * 0; -EBUSY the slot is another's of the same job; -EOPNOTSUPP.
 */
int sync_sem_lend(struct sync_sem *sem);
/* Wait until the slot is ours again. 0, also if it was not lent; -ETIMEDOUT, -EINTR. */
int sync_sem_reclaim(struct sync_sem *sem, const struct timespec *deadline);

/* A picture of the past: never decide by it who may go. */
struct sync_sem_state {
	unsigned value;    /* permits free */
	unsigned capacity; /* of how many: a pool's size, what sysv: was made with; 0: not known */
	unsigned waiters;
	pid_t last; /* who took or gave last (sysv); 0: not known */
};
int sync_sem_state(struct sync_sem *sem, struct sync_sem_state *out);

/*
 * Give the pool SIZE permits. Those beyond are not given out again. 0 closes it. -EXDEV it would not be heard
 * of by who waits: this is not where the pool's FIFOs are; -EINPROGRESS another resizes, and was stopped.
 */
int sync_sem_resize(struct sync_sem *sem, unsigned size);

/* Close the pool, then wait until all permits are back. It stays closed. Returns as a wait. */
int sync_sem_drain(struct sync_sem *sem, const struct timespec *deadline);

/*
 * Give back what owners who are gone did not. *returned permits were; of *doubtful it cannot be
 * known whether they had been taken, or given back already: their owners died between two
 * instructions. Either may be NULL. -EOPNOTSUPP where the kernel does it.
 */
int sync_sem_repair(struct sync_sem *sem, unsigned *returned, unsigned *doubtful);

/* Remove the name (sysv: the semaphore, and waiters get -EIDRM). */
int sync_sem_unlink(struct sync_sem *sem);

/*
 * The descriptors, owned by the handle, that a program must inherit to own the permits, or hold up the
 * ledger's entry; returns how many. They are close-on-exec, and numbered 10 or above.
 */
size_t sync_sem_fds(const struct sync_sem *sem, const int **fds);

/* The name as it was given, owned by the handle. May be called from any thread. */
const char *sync_sem_name(const struct sync_sem *sem);
/* The pool's file, owned by the handle; NULL without one. */
const char *sync_sem_path(const struct sync_sem *sem);
/* What it can do: SYNC_CAP_ bits. */
unsigned sync_sem_caps(const struct sync_sem *sem);
/* The numbers of the pool's permits taken through this handle, ascending; returns how many. */
size_t sync_sem_slots(const struct sync_sem *sem, const unsigned **slots);

/*
 * List who has permits and who waits, as sync_lock_owners() does; a permit's number is in .start.
 * It never changes the handle, so another thread may call it during a wait. -EOPNOTSUPP where
 * nobody can know.
 */
int sync_sem_owners(const struct sync_sem *sem, struct sync_owner **list, size_t *count,
		    size_t *hidden);

/* ---- message queues --------------------------------------------------
 *
 * A name is [SCHEME:]NAME; a bare name means posix:.
 *
 *   posix:/NAME                        what mq_open(3) sees; the slash may be missing
 *   sysv:NAME  sysv:0xKEY  sysv:id=N   a System V queue: ours by name, or anybody's
 *
 *                              posix:                     sysv:
 *   a message's number is      a priority, 0 to 32767     a type, 1 to LONG_MAX
 *   order                      highest priority first,    first in, first out; or what
 *                              then first in, first out   the receiver asks for
 *   an empty queue             waits in line              waits in line
 *   a full queue               waits in line              waits, in no order: who sends a
 *                                                         large message may starve
 *   look without taking        no                         by place
 *   pollable                   yes                        no
 *   a removed queue            goes on for who has it     is gone at once, -EIDRM
 *   senders, receivers known   yes, by locks on it        no
 *
 * A message is sent and received whole or not at all, by any number of processes at once.
 */

struct sync_queue;

/* Bits of sync_queue_opts.flags. */
enum {
	SYNC_QUEUE_CREATE = 1 << 0, /* make it if it is missing */
	SYNC_QUEUE_NEW = 1 << 1,    /* with that: -EEXIST if it is not missing */
	SYNC_QUEUE_SEND = 1 << 2,   /* the handle is for sending: needs the right to write */
	SYNC_QUEUE_RECV = 1 << 3,   /* for receiving: needs the right to read */
};

struct sync_queue_opts {
	unsigned flags;
	mode_t mode; /* of one that has to be made, exactly; 0 means 0600 */
	/*
	 * Of one that has to be made: messages at most, and bytes in a message at most; 0 means the
	 * system's default. sysv: only their product counts, in bytes.
	 */
	uint64_t capacity, size;
};

/* Bits of sync_queue_caps(). */
enum {
	SYNC_CAP_PRIORITY = 1 << 16, /* the highest number is received first */
	SYNC_CAP_SELECT = 1 << 17,   /* a receiver may ask for numbers */
	SYNC_CAP_PEEK = 1 << 18,     /* sync_queue_peek() */
	SYNC_CAP_POLL = 1 << 19,     /* sync_queue_fd() */
	SYNC_CAP_PRESENCE = 1 << 20, /* sync_queue_attend(), sync_queue_watch_open() */
};

/*
 * Open the queue NAME, or make it. One that is to be made has its geometry from the first moment
 * (posix); a sysv: one has the system's for a moment.
 * -ENOENT missing; -EEXIST not missing; -ENXIO missing and cannot be made (sysv:id=N); -EINVAL not a
 * legal name, or a geometry over the system's limits (posix); -ENAMETOOLONG; -EACCES; -EPERM more
 * bytes than msgmnb (sysv); -EMFILE RLIMIT_MSGQUEUE (posix); -ENOSPC too many queues; or what the
 * kernel says. sync-backends(7), QUEUES.
 */
int sync_queue_open(const char *name, const struct sync_queue_opts *opts, struct sync_queue **out);

/* A limit of the system, and what was asked of it. */
struct sync_queue_limit {
	/*
	 * "fs.mqueue.msg_max", "fs.mqueue.msgsize_max", "fs.mqueue.queues_max", "RLIMIT_MSGQUEUE",
	 * "RLIMIT_NOFILE", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni"; never freed.
	 */
	const char *name;
	uint64_t value; /* of the limit; posix, for who may pass it: what even they may not */
	uint64_t asked; /* of it, in its unit: messages, bytes in a message, bytes; 0: not known */
	/*
	 * What could be asked for instead: opts.size if the limit is on bytes in a message, else
	 * opts.capacity; 0: nothing that is asked for matters, or would do. Of RLIMIT_MSGQUEUE: if
	 * this user had no other queues.
	 */
	uint64_t fits;
};

/*
 * Which limit of the system stands behind ERR, that sync_queue_open() gave for NAME and OPTS, or
 * sync_queue_send() to that queue? It looks at the limits as they are now: for messages to people.
 * 0; -ENOENT none that is known.
 */
int sync_queue_limit(const char *name, const struct sync_queue_opts *opts, int err,
		     struct sync_queue_limit *out);

/* Give up the handle. NULL is fine. */
void sync_queue_close(struct sync_queue *queue);

/*
 * Send LEN bytes, with NUMBER as priority or type. Waits while the queue is full.
 * 0, -ETIMEDOUT, -EINTR; -EMSGSIZE longer than the queue's messages may be; -EINVAL no such number;
 * -EIDRM; -EBADF the handle is not for sending. Nothing is sent then.
 */
int sync_queue_send(struct sync_queue *queue, const void *data, size_t len, long number,
		    const struct timespec *deadline);

/* Which messages a receiver asks for: 0 any; T of this number; -T up to that, lowest first. */
struct sync_queue_want {
	long number;
	bool except; /* any other than number, which is positive */
};

/*
 * Receive one message into BUF; its length is returned, and its number in *number, if not NULL. WANT is
 * NULL for any. Waits while there is none. -EMSGSIZE, and nothing is taken, if SIZE is too small for
 * the message (sysv), or for the longest that could come (posix): see sync_queue_state().
 * The kernel writes to *number and BUF while it takes the message (sysv: if BUF lies right behind
 * *number), so in shared memory it outlives a receiver that is killed at any moment.
 * -ETIMEDOUT, -EINTR, -EIDRM; -EBADF the handle is not for receiving; -EOPNOTSUPP a WANT without
 * SYNC_CAP_SELECT.
 */
ssize_t sync_queue_recv(struct sync_queue *queue, void *buf, size_t size,
			const struct sync_queue_want *want, const struct timespec *deadline,
			long *number);

/*
 * Put a message that was received back, behind the others of its priority (sysv: behind all). Never
 * waits. 0; -ETIMEDOUT the queue is full again; -EACCES no right to write, which receiving does not
 * need; -EMSGSIZE, -EINVAL, -EINTR, -EIDRM as for sync_queue_send(); -EBADF the handle is not for
 * receiving; -EMFILE.
 */
int sync_queue_put_back(struct sync_queue *queue, const void *data, size_t len, long number);

/*
 * Copy the message at PLACE, from 0, and leave it there; a receiver may take it meanwhile. Returns its
 * length; -ENOMSG there are not so many; -EMSGSIZE; -EOPNOTSUPP.
 */
ssize_t sync_queue_peek(struct sync_queue *queue, size_t place, void *buf, size_t size,
			long *number);

/* A picture of the past. Who may only write sees no more than the size of a sysv: queue's messages. */
struct sync_queue_state {
	uint64_t messages, bytes; /* in the queue; bytes 0 where it is not known */
	uint64_t capacity;        /* messages at most; 0: bytes are what counts */
	uint64_t capacity_bytes;  /* bytes at most; 0: messages are what counts */
	uint64_t size;            /* bytes in a message at most */
	uid_t uid;
	mode_t mode;
};
int sync_queue_state(struct sync_queue *queue, struct sync_queue_state *out);

/* Remove the name (sysv: the queue, with its messages). */
int sync_queue_unlink(struct sync_queue *queue);

/* Readable when there is a message, writable when there is room; borrowed. -EOPNOTSUPP. */
int sync_queue_fd(const struct sync_queue *queue);

/*
 * Be counted among the senders of the queue, or if the handle is for receiving only, among its receivers,
 * until it is closed, or whatever ends the process. The kernel counts, by locks on the queue.
 * A receiver that looks for senders at this moment makes this wait for that moment; so does a sender that
 * sees the last receiver go. -EOPNOTSUPP, -ETIMEDOUT, -EINTR.
 */
int sync_queue_attend(struct sync_queue *queue, const struct timespec *deadline);

/* Does a receiver attend? 1, 0, -EOPNOTSUPP. It may be gone, or come, at any moment. */
int sync_queue_has_receiver(const struct sync_queue *queue);

/*
 * Wait until a receiver attends. 0, -ETIMEDOUT, -EINTR, -EOPNOTSUPP; -EACCES it has to wait, and has no
 * right to read the queue; -EMFILE too many inotify instances; -ENOSPC too many inotify watches.
 */
int sync_queue_await_receiver(struct sync_queue *queue, const struct timespec *deadline);

/* Bits of UNTIL: what ends a watch besides messages. */
enum {
	SYNC_UNTIL_EOF = 1 << 0,     /* no message is left, and no sender that attends */
	SYNC_UNTIL_REMOVED = 1 << 1, /* no message is left, and the queue has no name any more */
	SYNC_UNTIL_UNREAD = 1 << 2,  /* for sending: no receiver attends; alone */
};

struct sync_queue_watch;

/*
 * Wait for several queues at once, and for their ends. As with a pipe, before the first sender there is
 * no end; a message that is in the queue now had one. Of a queue that is open for sending alone,
 * it is room that is waited for. With SYNC_UNTIL_UNREAD it is room, too, and it is the end whenever no
 * receiver attends, room or not: see sync_queue_await_receiver().
 * The queues stay the caller's, and must outlive the watch. -EOPNOTSUPP without
 * SYNC_CAP_PRESENCE; -EINVAL SYNC_UNTIL_UNREAD with others; -EBADF with a queue that is not for
 * sending; -EMFILE, -ENOMEM; -ENOSPC fs.inotify.max_user_watches.
 */
int sync_queue_watch_open(struct sync_queue *const *queues, size_t n, unsigned until,
			  struct sync_queue_watch **out);

/*
 * Wait until a queue has a message (or room), and return which one: others may be faster to take it. The
 * first in the list that has one is told. -ENODATA all have come to their end; -ETIMEDOUT, -EINTR.
 */
ssize_t sync_queue_watch_wait(struct sync_queue_watch *watch, const struct timespec *deadline);

/* There was a message of QUEUE, which the watch has not seen: without senders, it is at its end. */
void sync_queue_watch_seen(struct sync_queue_watch *watch, const struct sync_queue *queue);

void sync_queue_watch_close(struct sync_queue_watch *watch);

/* The name as it was given, owned by the handle. May be called from any thread. */
const char *sync_queue_name(const struct sync_queue *queue);
/* What it can do: SYNC_CAP_ bits. */
unsigned sync_queue_caps(const struct sync_queue *queue);
/* The same of a queue of that name. Whether there is one is not asked. */
unsigned sync_queue_caps_of(const char *name);

/* ---- journals --------------------------------------------------------
 *
 * A message that was taken from a queue is nowhere but in its receiver: with a journal it outlives a
 * receiver that is killed at any moment, also in the system call that takes it. A journal is a
 * directory; each of its files is a slot for one message. Who owns a slot has its file locked (flock),
 * so the kernel knows when the owner is dead; its message is an orphan then.
 *
 *	sync_journal_orphan()            what the dead have left; deal with it; sync_slot_done()
 *	sync_journal_slot()              room for a message; then, again and again:
 *	  sync_slot_recv()               the kernel takes a message and writes it into the file
 *	  ...                            deal with it
 *	  sync_slot_done()               who is killed before this leaves an orphan
 *
 * So each message is dealt with once, or, after a kill between dealing with it and sync_slot_done(),
 * again. It costs no system call. It is not written to the disk: the kernel's queues do not outlive
 * the machine either. A directory in /run or /dev/shm is best; on a disk, a kill while memory is so
 * short that the kernel has taken away even pages that were just touched can lose the message that
 * is just being taken, if mlock(2) was not allowed.
 *
 * A forked child shares the locks until it execs, or ends; it must not use the journal or its slots.
 * One thread at a time uses a journal, or closes its slots; another thread may use a slot meanwhile.
 */

struct sync_journal;
struct sync_slot;

/*
 * Open the directory DIR as a journal, or make it, with mode 0700; the directory above must be there. What
 * others were killed at making is removed.
 * -EPERM it is not ours, or others can write to it; -ENOTDIR, also for a symbolic link; -EACCES, -EMFILE.
 */
int sync_journal_open(const char *dir, struct sync_journal **out);

/*
 * Close it with its slots: the files of those that are empty are removed, and a message that is in one
 * is an orphan from now on. NULL is fine.
 */
void sync_journal_close(struct sync_journal *journal);

/*
 * Get an empty slot for messages of SIZE bytes: one that sync_slot_close() gave back, or of somebody
 * dead, or a new one. All its room is taken from the file system here, not when a message comes.
 * -ENOSPC, -EDQUOT; -EFBIG over RLIMIT_FSIZE; -EINVAL no message has SIZE bytes; -EMFILE, -ENOMEM;
 * -ENOLCK a file system without locks.
 */
int sync_journal_slot(struct sync_journal *journal, size_t size, struct sync_slot **out);

/*
 * Get a slot of somebody dead with the message that is in it; no two callers get the same. QUEUE, if not
 * NULL, asks for those from the queue with this name, however it is spelled. In no order. It is for this message only: deal with it, sync_slot_done(), sync_slot_close().
 * -ENOENT there is none; -EUCLEAN nor is there, but there is a file "slot.*" that is no slot, or is
 * damaged, which is left alone.
 */
int sync_journal_orphan(struct sync_journal *journal, const char *queue, struct sync_slot **out);

/*
 * Give the slot back to its journal; if there is a message in it, it is an orphan from now on, for us
 * too. NULL is fine.
 */
void sync_slot_close(struct sync_slot *slot);

/*
 * Receive a message into the slot, as sync_queue_recv() does into a buffer of the slot's size; *data, if
 * not NULL, points into the slot. It stays there until sync_slot_done().
 * Fails as sync_queue_recv(); -EBUSY there is a message in it; -EINVAL an orphan's; -ENAMETOOLONG.
 */
ssize_t sync_slot_recv(struct sync_slot *slot, struct sync_queue *queue,
		       const struct sync_queue_want *want, const struct timespec *deadline,
		       const void **data, long *number);

/* The message has been dealt with: from here on no kill brings it back. One store; the slot is empty. */
void sync_slot_done(struct sync_slot *slot);

/* The message, its length, and in *number, if not NULL, its number. NULL: the slot is empty. */
const void *sync_slot_data(const struct sync_slot *slot, size_t *len, long *number);

/*
 * Is the length certain? Not if the receiver was killed in the system call: then the message ends where
 * the bytes 0xFF begin with which the room was filled before, and if it ended in such bytes itself they
 * are missing. It is for text: no byte of UTF-8 is 0xFF.
 */
bool sync_slot_is_exact(const struct sync_slot *slot);

/* The name of the queue that the message is from, as it was given to sync_queue_open(). */
const char *sync_slot_queue(const struct sync_slot *slot);

/*
 * Count one attempt more to deal with the message, before it begins: which one is it, from 1? Kept over
 * kills, so that who finds an orphan sees how many attempts it has seen the end of.
 */
unsigned sync_slot_begin(struct sync_slot *slot);
/* How many have been counted; 0 for a message that has just been received. */
unsigned sync_slot_attempts(const struct sync_slot *slot);

/*
 * A word of the caller's, kept over kills; 0 for a message that has just been received. If it is, say,
 * where in a file the message is about to be written, who finds the orphan can tell whether it was.
 */
void sync_slot_set_mark(struct sync_slot *slot, uint64_t mark);
uint64_t sync_slot_mark(const struct sync_slot *slot);

/* ---- events ----------------------------------------------------------
 *
 * A counter from 0 to 2^64-2 that processes add to and wait for: an eventfd(2). A wait takes all of it at
 * once, or in semaphore mode 1. It lives as long as anybody has a descriptor of it. Its name says how to
 * reach it:
 *
 *   NAME  UID/NAME         a holder process keeps it for others: ours, or another user's; the same as
 *                          holder:NAME. NAME is 1 to 80 letters, digits, dots, dashes, underscores, and
 *                          does not begin with a dash or a dot.
 *   fd:N                   descriptor N, which we inherited; it is borrowed
 *   pid:P:N                descriptor N of process P
 *
 * Names are those of a network namespace. Anybody can take any name there, so the holder's user is checked:
 * it is UID, or root. Whether the eventfd blocks who reads it plainly (O_NONBLOCK) is shared by all who have it,
 * and never changed: what is made for a name does not block, what is made for children does.
 * Waiters are not in line: who adds 1 wakes all of them, and the fastest takes it.
 */

struct sync_event;

/* Bits of sync_event_opts.flags. */
enum {
	SYNC_EVENT_SEMAPHORE = 1 << 0, /* a wait takes 1 */
};

struct sync_event_opts {
	unsigned flags;
	uint64_t initial;
	mode_t mode; /* of a name: 0600 (0 means that), 0660 our group too, 0666 everybody */
	const struct sync_event *event; /* give this one a name, instead of making one */
};

/*
 * Make an event without a name, for children to inherit: sync_event_name() is "fd:N". Its descriptor is close-on-exec,
 * numbered 10 or above, and blocks who reads it. OPTS: flags, initial.
 * -EINVAL 2^64-1; -EMFILE, -ENFILE, -ENOMEM.
 */
int sync_event_make(const struct sync_event_opts *opts, struct sync_event **out);

/*
 * Open the event NAME. A holder has to answer, for which it needs a moment: give it a second or so, even
 * if nothing else is to be waited for. Other names do not wait.
 * -EINVAL not a legal name; -ENAMETOOLONG; -ENOENT no holder; -EACCES the holder refuses us, or is another
 * user's (a squatter); -ETIMEDOUT it does not answer; -EINTR; -EUSERS it has no descriptors left, or too many ask; -EPROTO what
 * answers is no holder of ours. fd:, pid: -EBADF not open; -EMEDIUMTYPE not an eventfd; -EOPNOTSUPP no /proc. pid: -ESRCH
 * no such process; -EPERM we may not ptrace(2) it: another user's, or no child of ours while
 * kernel.yama.ptrace_scope is 1; -ENOSYS Linux before 5.6. Or -EMFILE, -ENFILE, -ENOMEM.
 */
int sync_event_open(const char *name, const struct timespec *deadline, struct sync_event **out);

/* Give up the handle. The descriptor of "fd:N" stays open. NULL is fine. */
void sync_event_close(struct sync_event *event);

/*
 * Add N. Waits while that would make more than 2^64-2, until somebody takes enough; who adds little may
 * overtake who adds much.
 * 0, -ETIMEDOUT, -EINTR; -EINVAL N is 0 or 2^64-1; -EIDRM the event was removed, -EOWNERDEAD its holder died:
 * nothing is added then, nor can anybody find it; -EMFILE, -ENOMEM, -ENOSPC nothing to wait with; -EAGAIN,
 * -EBUSY as a lock.
 */
int sync_event_signal(struct sync_event *event, uint64_t n, const struct timespec *deadline);

/*
 * Wait until the counter is not 0, and take all of it, or 1 in semaphore mode; *value, if not NULL, is what was
 * taken. Returns as sync_event_signal(). What a removed event still had is lost.
 */
int sync_event_wait(struct sync_event *event, const struct timespec *deadline, uint64_t *value);

/*
 * Wait until the counter is AT_LEAST that, and take nothing, so that all who wait pass: a gate with 1, a latch
 * with N. It looks whenever something is added; what is taken before it looks it never saw, and waits on.
 * Returns as sync_event_signal(); -EOPNOTSUPP no /proc (for more than 1).
 */
int sync_event_await(struct sync_event *event, uint64_t at_least, const struct timespec *deadline);

/* A picture of the past. */
struct sync_event_state {
	uint64_t value;
	int semaphore; /* 1, 0; -1: not known (fd:, pid: before Linux 6.5) */
	int id;        /* "eventfd-id" in /proc/PID/fdinfo of all who have it open; -1: not known */
	pid_t holder;  /* 0: none, and then no uid and mode */
	uid_t uid;
	mode_t mode;
};
/* -EIDRM, -EOWNERDEAD; -EOPNOTSUPP no /proc. */
int sync_event_state(struct sync_event *event, struct sync_event_state *out);

/*
 * Ask the holder of NAME to go, and wait until it has: the name is free, and all who wait get -EIDRM.
 * -ENOENT no holder; -EPERM neither ours nor are we root; -EOPNOTSUPP fd:, pid:; or as sync_event_open().
 */
int sync_event_unlink(const char *name, const struct timespec *deadline);

/* The descriptor, borrowed: readable when the counter is not 0. To give to a child. */
int sync_event_fd(const struct sync_event *event);

/* The name as it was given, owned by the handle. May be called from any thread. */
const char *sync_event_name(const struct sync_event *event);

struct sync_event_entry {
	uid_t uid;
	char name[96]; /* as sync_event_open() takes it; another user's with UID/ */
};
/*
 * List the names that are taken as ours now, or if we are root, as anybody's; a squatter's too. *list is
 * malloc'd; the caller frees it with free(3). Rests on proc(5): -EOPNOTSUPP without.
 */
int sync_event_list(struct sync_event_entry **list, size_t *count);

/* Keeps an event under a name, for as long as it lives. */
struct sync_event_holder;

/*
 * Take NAME, and from here on keep an event under it: a new one, or opts.event (then flags and initial are its
 * own). Who opens it waits until sync_event_holder_serve() answers, which may be called in a child.
 * -EEXIST there is one; -EACCES a squatter has the name; -EPERM another user's UID, and we are not root; -EINVAL
 * not a legal name, or mode; -ENAMETOOLONG; -EMFILE, -ENFILE, -ENOMEM.
 */
int sync_event_holder_open(const char *name, const struct sync_event_opts *opts,
			   struct sync_event_holder **out);

/*
 * Answer those who open the event, until it is removed (0), or the deadline (-ETIMEDOUT), or the descriptor
 * UNTIL is readable, such as a pidfd whose process ended (-ESRCH; -1: none), or -EINTR. But for 0 it may
 * be called again. No client can make it wait, or grow. Others take up its share of descriptors? Then
 * new clients get -EUSERS.
 */
int sync_event_holder_serve(struct sync_event_holder *holder, int until,
			    const struct timespec *deadline);

/*
 * Remove the event, if it was not: all who wait get -EIDRM. Who forks after open lets one of the two processes do
 * this; the other just ends. NULL is fine.
 */
void sync_event_holder_close(struct sync_event_holder *holder);

/* ---- everything there is ---------------------------------------------
 *
 * A survey is a list of all objects of these kinds that can be seen from here, with who holds each and
 * who waits for it, put together in one pass over /proc. It is a picture of the past.
 */

/* Bits, to choose by. */
enum sync_type {
	SYNC_TYPE_LOCK = 1 << 0,  /* files that are locked, by flock(2) or fcntl(2) */
	SYNC_TYPE_SEM = 1 << 1,   /* semaphores, System V and POSIX */
	SYNC_TYPE_MQ = 1 << 2,    /* message queues, POSIX and System V */
	SYNC_TYPE_SHM = 1 << 3,   /* shared memory, POSIX and System V */
	SYNC_TYPE_EVENT = 1 << 4, /* eventfds, and those that have a name */
	SYNC_TYPE_POOL = 1 << 5,  /* pools of permits */
	SYNC_TYPE_JOBSERVER =
		1 << 6, /* jobservers: pools of jobpool(1), and others that clients of ours use */
	SYNC_TYPE_ALL = (1 << 7) - 1,
};

/* What speaks against the removal of an object. */
enum {
	SYNC_USE_HELD = 1 << 0,    /* somebody holds it, or has it open or mapped */
	SYNC_USE_WAITED = 1 << 1,  /* somebody waits for it */
	SYNC_USE_OUT = 1 << 2,     /* permits are out, whoever has them */
	SYNC_USE_LAST = 1 << 3,    /* who made it or used it last is still there */
	SYNC_USE_CONTENT = 1 << 4, /* there are messages in it */
	SYNC_USE_UNSEEN = 1 << 5,  /* perhaps somebody who could not be seen */
};

/* Of the NAME of an object. */
enum {
	SYNC_OBJECT_DELETED = 1 << 0,   /* it has no name any more */
	SYNC_OBJECT_ELSEWHERE = 1 << 1, /* from here the name leads to something else, or nowhere */
};

/* One more number about an object, such as "key", "id", "bytes"; which there are is in syncls(1). */
struct sync_detail {
	const char *name;
	int64_t value;
};

struct sync_object {
	enum sync_type type;
	const char *
		name; /* as every function here takes it; in shm "posix:/NAME", "sysv:0xKEY", "sysv:id=N" */
	const char *path; /* of a lock, a pool, a jobserver: the file; NULL not known */
	unsigned flags, use;
	uid_t uid;   /* -1 not known */
	mode_t mode; /* permissions; -1 not known */
	int64_t value,
		capacity; /* permits free, messages, bytes, a counter; of how many; -1 not known */
	int64_t since;    /* made, or changed last, CLOCK_REALTIME seconds; 0 not known */
	struct sync_owner *owners; /* holders, then waiters */
	size_t owner_count;
	struct sync_owner
		*users; /* who merely has it open or mapped, where that is not to hold it */
	size_t user_count;
	struct sync_detail details[12]; /* the first without a name ends them */
	uint64_t identity[3];           /* for sync_object_remove() */
};

struct sync_survey_opts {
	unsigned types; /* SYNC_TYPE_ bits; 0: all */
	const char
		*directory; /* where pool:NAME lives, and NAME.jobs; NULL: those are not listed */
	/* NULL, or names, and NULL: list these locks and queues also if nobody has them, or may list them. */
	const char *const *names;
};

/* What could not be seen. */
enum {
	SYNC_BLIND_QUEUES = 1 << 0, /* POSIX queues that nobody has open: no right to list them */
	SYNC_BLIND_PROC = 1 << 1,   /* other users' processes, in /proc mounted with hidepid */
	SYNC_BLIND_SHM = 1 << 2,    /* there is no /dev/shm, or no right to list it */
	SYNC_BLIND_SYSV = 1 << 3,   /* this kernel has no System V objects */
	SYNC_BLIND_EVENTS = 1 << 4, /* names of events */
	SYNC_BLIND_POOLS = 1 << 5,  /* pools in the directory: no right to list it */
};

struct sync_survey;

/* Look. OPTS is not kept. -EOPNOTSUPP no /proc; -ENOMEM. */
int sync_survey_open(const struct sync_survey_opts *opts, struct sync_survey **out);
void sync_survey_close(struct sync_survey *survey);
/* The objects, owned by the survey, in order of type and name; returns how many. */
size_t sync_survey_objects(const struct sync_survey *survey,
			   const struct sync_object *const **objects);
/* How many processes could not be looked into for lack of rights; *blind gets SYNC_BLIND_ bits. */
size_t sync_survey_hidden(const struct sync_survey *survey, unsigned *blind);

/* Does NAME, spelled in any way, mean this object? "sysv:x" and its key, a lock by another path. */
bool sync_object_is(const struct sync_object *object, const char *name);

/*
 * Remove the object, if it is the one that was surveyed, and, unless FORCE, nobody has come to hold it or wait for
 * it since: asked again as late as the kernel allows, under its locks where there are any. What can happen in
 * between is told in sync-backends(7), REMOVAL.
 * -ENOENT it is gone; -ESTALE its name belongs to another by now; -EBUSY it is in use; -EOPNOTSUPP it has no name that could be
 * removed; -ENOTEMPTY a lock file with something in it; -EACCES, -EPERM; or what the kernel says.
 */
int sync_object_remove(const struct sync_object *object, bool force);

#ifdef __cplusplus
}
#endif
#endif
