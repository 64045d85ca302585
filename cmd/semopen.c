/* SPDX-License-Identifier: MIT */
/* Opening a semaphore; and errno with the circumstances, turned into advice. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exitcode.h"
#include "jobserver.h"
#include "say.h"
#include "semopen.h"
#include "syncdir.h"

/* What errno alone does not say; NULL where strerror() is enough. */
static const char *reason(int err)
{
	switch (-err) {
	case EINVAL:
		return "not a semaphore's name: expected letters, digits, '.', '-', '_', or "
		       "sysv:0xKEY, sysv:id=N, posix:/NAME, pool:/PATH";
	case ENAMETOOLONG:
		return "the name is too long";
	case EEXIST:
		return "its key belongs to another semaphore, by chance or because another program "
		       "uses it: take another name";
	case EUCLEAN:
		return "the file is damaged, or no such semaphore (another libc's, perhaps): "
		       "see syncbox(1)";
	case EFBIG:
		return "the limit on the size of files is too low for it: raise ulimit -f";
	case ENODEV:
		return "there is no /dev/shm: mount it, or use pool:/PATH";
	case ENOSPC:
		return "a limit is reached: the fourth number of kernel.sem (SEMMNI, see ipcs -s), "
		       "or space in /dev/shm";
	case EMFILE:
		return "too many open files: raise ulimit -n";
	case ENFILE:
		return "the system has too many open files: raise fs.file-max";
	case ENOMEM:
		return "no memory, or too many threads: see ulimit -u";
	case ENOTUNIQ:
		return "its file system numbers the file anew each time: use one on another, local "
		       "file system";
	case EAGAIN:
		return "no timer could be had for the timeout: raise ulimit -i (pending signals)";
	case EBUSY:
		return "every real-time signal has a handler, so none is left for the timeout";
	case EUSERS:
		return "1024 commands own permits of it, which is all that its ledger can hold: "
		       "wait "
		       "for one to end";
	case EINPROGRESS:
		return "another process changes it at this moment, or was stopped in doing so: try "
		       "again";
	case EXDEV:
		return "the FIFOs of those who wait, FILE.wake beside it, are not here: do that "
		       "where they are, or share the directory";
	case ENXIO:
		return "no such semaphore, and a number cannot be chosen: name it, or give a key";
	case ENOSYS:
		return "this kernel has no System V semaphores: use posix: or pool:";
	default:
		return NULL;
	}
}

static int status(int err)
{
	switch (-err) {
	case EINVAL:
	case ENAMETOOLONG:
	case ERANGE:
		return EXIT_BAD_USAGE;
	case EEXIST:
	case EUCLEAN:
	case EXDEV:
		return EXIT_BAD_DATA;
	case ENODEV:
	case ENOSPC:
	case ENOSYS:
	case EAGAIN:
	case EUSERS:
	case EINPROGRESS:
		return EXIT_SYSTEM;
	default:
		return exit_status_of(err);
	}
}

__attribute__((noreturn)) static void fail_open(const char *name, const struct sync_sem_opts *opts,
						int err)
{
	const char *why = reason(err);
	switch (-err) {
	case ENOENT:
		if (opts->flags & SYNC_SEM_CREATE)
			die(EXIT_NO_CREATE,
			    "cannot create %s: its directory does not exist: make "
			    "that first",
			    quote(name));
		die(EXIT_NO_OBJECT, "no semaphore %s: -i N makes it, with N permits", quote(name));
	case ERANGE:
		die(EXIT_BAD_USAGE, "cannot create %s: %u permits are more than it can have",
		    quote(name), opts->initial);
	case EOPNOTSUPP:
		die(EXIT_BAD_USAGE,
		    "%s: a descriptor cannot own permits of this kind of semaphore: use pool:",
		    quote(name));
	case EBADF:
		die(EXIT_NO_OBJECT,
		    "descriptor %d is not open: open it first, as in exec %d<>\"$(semwait --path "
		    "pool:NAME)\"",
		    opts->fd, opts->fd);
	case EBADFD:
		die(EXIT_BAD_DATA,
		    "descriptor %d is not open for reading and writing, as by exec %d<>FILE",
		    opts->fd, opts->fd);
	case ESTALE:
		die(EXIT_BAD_DATA,
		    "descriptor %d is not open on %s, or that was removed: open it again, as in "
		    "exec %d<>\"$(semwait --path pool:NAME)\"",
		    opts->fd, quote(name), opts->fd);
	default:
		die(status(err), "cannot open %s: %s", quote(name), why ? why : strerror(-err));
	}
}

/* Make says that there is one, but it cannot be reached. */
static const char *unreachable(int err)
{
	switch (-err) {
	case EBADF:
		return "make keeps it from this line: put a + in front of it";
	case EBADFD:
		return "its descriptors were closed, and are something else by now";
	case ENOENT:
	case ENOTDIR:
		return "its FIFO is not there: it belongs to another container, perhaps";
	case EACCES:
		return "it belongs to another user";
	default:
		return NULL;
	}
}

/* The jobserver that MAKEFLAGS names. Where there is none for us, we are one job and no more. */
static struct sync_sem *open_server(const char *name, struct sync_sem_opts *opts, const char **why)
{
	struct sync_sem *sem;
	*why = jobserver_find(opts);
	if (*why)
		return NULL;
	int r = sync_sem_open(name, opts, &sem);
	if (!r)
		return sem;
	*why = unreachable(r);
	if (!*why)
		fail_open(name, opts, r);
	return NULL;
}

struct sync_sem *semopen(const char *name, struct sync_sem_opts *opts, const char **why)
{
	struct sync_sem *sem;
	int r = sync_sem_open(name, opts, &sem);
	if (r == -EDESTADDRREQ)
		return open_server(name, opts, why);
	if (r == -ENOTDIR && !opts->directory) {
		opts->directory = syncdir(opts->flags & SYNC_SEM_CREATE);
		r = sync_sem_open(name, opts, &sem);
	}
	if (r)
		fail_open(name, opts, r);
	return sem;
}

/* Where a posix: semaphore or a jobserver has its ledger: sync-backends(7). */
static const char *ledger_of(const struct sync_sem *sem)
{
	char path[300];
	if (sync_sem_caps(sem) & SYNC_CAP_SERVED)
		return "one of /dev/shm/jobs.*";
	const char *name = strchr(sync_sem_name(sem), ':');
	name = name ? name + 1 : sync_sem_name(sem);
	snprintf(path, sizeof(path), "/dev/shm/dbt.%s", name + (*name == '/'));
	return quote(path);
}

int semfail(const char *what, struct sync_sem *sem, unsigned count, int err)
{
	const char *name = quote(sync_sem_name(sem));
	const char *why = reason(err);
	struct sync_sem_state now;
	switch (-err) {
	case E2BIG:
		if (sync_sem_caps(sem) & SYNC_CAP_SERVED && !sync_sem_state(sem, &now))
			warn("cannot take %u permits of %s: it has %u: ask for fewer, or make -j%u",
			     count, name, now.capacity, count);
		else if (sync_sem_caps(sem) & SYNC_CAP_RESIZE && !sync_sem_state(sem, &now))
			warn("cannot take %u permits of %s: it has %u: ask for fewer, or sempost "
			     "--resize",
			     count, name, now.capacity);
		else
			warn("cannot take %u permits of %s: that is more than it can ever have",
			     count, name);
		return EXIT_BAD_USAGE;
	case ENODEV:
		warn("cannot %s %s: there is no /dev/shm for the ledger of what was taken: mount "
		     "it",
		     what, name);
		return EXIT_SYSTEM;
	case EOPNOTSUPP:
		warn("cannot %s %s: this kind of semaphore does not do that: see "
		     "sync-backends(7)",
		     what, name);
		return EXIT_BAD_USAGE;
	case EPERM:
		if (!(sync_sem_caps(sem) & SYNC_CAP_RESIZE) && sync_sem_caps(sem) & SYNC_CAP_SHARE)
			warn("cannot %s %s: its ledger, %s, was made by somebody whom we cannot "
			     "trust: have it removed",
			     what, name, ledger_of(sem));
		else
			warn("cannot %s %s: %s", what, name, strerror(-err));
		return EXIT_DENIED;
	case EBADMSG:
		warn("cannot %s %s: its ledger, %s, is none, or was damaged or removed: remove it, "
		     "and try again",
		     what, name, ledger_of(sem));
		return EXIT_BAD_DATA;
	case EIDRM:
		warn("%s was removed", name);
		return EXIT_GONE;
	case ERANGE:
		warn("cannot %s %s: the kernel cannot note more than 32767 permits to be given "
		     "back",
		     what, name);
		return EXIT_SYSTEM;
	case EOVERFLOW:
		warn("cannot %s %s: it would hold more permits than it can", what, name);
		return EXIT_SYSTEM;
	default:
		warn("cannot %s %s: %s", what, name, why ? why : strerror(-err));
		return status(err);
	}
}
