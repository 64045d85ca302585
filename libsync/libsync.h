/* SPDX-License-Identifier: MIT */
/*
 * libsync: locks (later: semaphores, events, queues) for programs that must
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
 * nor block device (nothing else is ever opened); -EBADF no such descriptor; or
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
 * -EAGAIN no timer for the deadline (RLIMIT_SIGPENDING); -EBUSY no signal for it; -EOPNOTSUPP
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
 * of them; one that was held before and is folded now is released first. On failure *failed, if
 * not NULL, is the lock that could not be had.
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

/* ---- who holds, who waits -------------------------------------------- */

/* A process that holds a lock on a file, or waits for one. */
struct sync_owner {
	pid_t pid; /* 0: cannot be seen from here; then only kind, mode, range count */
	uid_t uid;
	bool waiting;
	bool inherited;      /* it holds what another asked for; never set for shared ofd locks */
	bool by_process;     /* closing any descriptor of the file would drop it */
	bool stopped;        /* by a signal: SIGSTOP, a terminal's Ctrl-Z */
	enum sync_mode mode; /* SYNC_UNLOCKED: waits, unknown for which */
	const char *kind;    /* a scheme: "flock", "ofd", "fcntl" */
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

#ifdef __cplusplus
}
#endif
#endif
