/* SPDX-License-Identifier: MIT */
/*
 * Marks on a lock file: ofd locks on single bytes far behind any end of it. A flock: lock of the same file knows
 * nothing of them. On a network file system it may be a record lock itself, of the whole file, and in the way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "exitcode.h"
#include "mark.h"
#include "say.h"

#define FIRST UINT64_C(9223372036854775800)
#define MARKS 3

static bool is_remote(const struct sync_lock *lock)
{
	/* nfs, smb, cifs, smb2: linux/magic.h */
	static const unsigned remote[] = {0x6969, 0x517b, 0xff534d42, 0xfe534d42};
	struct statfs fs;
	if (fstatfs(sync_lock_fd(lock), &fs))
		return false;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if ((unsigned)fs.f_type == remote[i])
			return true;
	return false;
}

struct sync_lock *mark_open(const struct lockset *set, const struct sync_lock *lock, enum mark mark,
			    const char *option)
{
	const char *path = sync_lock_path(lock);
	struct sync_lock_opts opts = {.flags = set->flags, .mode = set->create_mode};
	struct sync_lock *handle;
	if (!path || sync_lock_caps(lock) & SYNC_CAP_RANGE)
		die(EXIT_BAD_USAGE,
		    "%s marks the lock file by record locks, and an ofd: or fcntl: lock is one "
		    "itself: use flock:",
		    option);
	if (is_remote(lock))
		die(EXIT_BAD_USAGE, "%s cannot work on a network file system: %s", option,
		    quote(path));
	size_t size = strlen(path) + 40;
	char *name = malloc(size);
	if (!name)
		die(EXIT_SYSTEM, "no memory");
	snprintf(name, size, "ofd:%s@%" PRIu64 "+1", path, FIRST + mark);
	int r = sync_lock_open(name, &opts, set->deadline, &handle);
	if (r)
		die(exit_status_of(r), "cannot open %s for %s: %s", quote(path), option,
		    strerror(-r));
	free(name);
	return handle;
}

bool mark_take(struct sync_lock *mark, const struct timespec *deadline)
{
	int r;
	do
		r = sync_lock_acquire(mark, SYNC_EXCLUSIVE, deadline);
	while (r == -EINTR);
	if (!r || r == -ETIMEDOUT)
		return !r;
	die(exit_status_of(r),
	    "cannot mark %s, as --replace and --coalesce do: %s: they want a file that can be "
	    "written to",
	    quote(sync_lock_path(mark)), strerror(-r));
}

bool mark_is(const struct sync_owner *owner)
{
	return owner->start >= FIRST && owner->start < FIRST + MARKS && owner->len == 1;
}
