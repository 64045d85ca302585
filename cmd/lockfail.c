/* SPDX-License-Identifier: MIT */
/* Why a lock could not be opened or taken: errno and the circumstances, turned into advice. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "exitcode.h"
#include "lockfail.h"
#include "say.h"

/* What errno alone does not say; NULL where strerror() is enough. */
static const char *reason(int err)
{
	switch (-err) {
	case EINVAL:
		return "not a lock name: expected a path, or flock:PATH, ofd:PATH[@START[+LEN]], "
		       "fcntl:PATH[@START[+LEN]]";
	case EOVERFLOW:
		return "the range ends beyond the largest file offset, 9223372036854775807";
	case EMEDIUMTYPE:
		return "it is a FIFO, a socket or a character device: use a regular file or a "
		       "directory";
	case EMFILE:
		return "too many open files for a descriptor numbered 10 or above: raise ulimit -n";
	case ENFILE:
		return "the system has too many open files: raise fs.file-max";
	case ENOSPC:
		return "no space or no inode left on that file system to make it";
	case EROFS:
		return "the file system is read-only";
	case ENOTUNIQ:
		return "its file system numbers the file anew each time: use one on another, local "
		       "file system";
	case EAGAIN:
		return "no timer could be had for the timeout: raise ulimit -i (pending signals)";
	case EBUSY:
		return "every real-time signal has a handler, so none is left for the timeout";
	default:
		return NULL;
	}
}

static int fail(const char *what, const char *name, int err)
{
	const char *why = reason(err);
	warn("cannot %s %s: %s", what, quote(name), why ? why : strerror(-err));
	return err == -EAGAIN ? EXIT_SYSTEM : exit_status_of(err);
}

int lockfail_open(const struct lockfail *f, int err)
{
	const char *name = quote(f->name);
	if (f->by_fd && err == -EINVAL) {
		warn("%s is not a descriptor number: expected LOCK and COMMAND, or one "
		     "descriptor; see --help",
		     name);
		return EXIT_BAD_USAGE;
	}
	if (f->by_fd && err == -EBADF) {
		warn("descriptor %s is not open: open it first, as in ( lockrun 9; ... ) 9>FILE",
		     name);
		return EXIT_NO_OBJECT;
	}
	if (err == -ELOOP) {
		warn("cannot open %s: it is a symbolic link%s", name,
		     f->follow ? " that leads nowhere" : ": --follow locks what it leads to");
		return EXIT_BAD_DATA;
	}
	if (err == -ENOENT && !f->no_create) {
		warn("cannot create %s: its directory does not exist: make that first", name);
		return EXIT_NO_CREATE;
	}
	return fail("open", f->name, err);
}

/* An exclusive record lock was refused because the file could not be opened for writing. */
static int cannot_write(const char *name, int err)
{
	const char *why = err == -EISDIR ? "it is a directory" : strerror(-err);
	warn("cannot lock %s: an exclusive ofd or fcntl lock needs the file open for writing: %s: "
	     "use "
	     "flock: or -s",
	     name, why);
	return err == -EACCES || err == -EPERM ? EXIT_DENIED : EXIT_BAD_DATA;
}

int lockfail_acquire(const struct lockfail *f, int err)
{
	const char *name = quote(f->name);
	bool unwritable = err == -EISDIR || err == -EACCES || err == -EPERM || err == -EROFS ||
			  err == -ETXTBSY;
	if (f->is_record && unwritable)
		return cannot_write(name, err);
	if (f->by_fd && err == -EBADF) {
		warn("cannot lock descriptor %s: it is not open for this kind of lock: open it for "
		     "reading and writing, as in 9<>FILE",
		     name);
		return EXIT_BAD_DATA;
	}
	switch (-err) {
	case EDEADLK:
		warn("cannot lock %s: its holder waits for a lock that we hold: name all locks of "
		     "a job in one lockrun",
		     name);
		return EXIT_SYSTEM;
	case EOPNOTSUPP:
		warn("cannot lock %s: an ofd and an fcntl lock on the same bytes exclude each "
		     "other: "
		     "name one of them",
		     name);
		return EXIT_BAD_USAGE;
	case EIDRM:
		warn("the file of descriptor %s was removed: open it again", name);
		return EXIT_GONE;
	default:
		return fail("lock", f->name, err);
	}
}
