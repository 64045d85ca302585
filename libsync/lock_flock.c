/* SPDX-License-Identifier: MIT */
/* Lock backend flock: BSD locks, owned by the open file description. flock(2). */
#include <errno.h>
#include <sys/file.h>

#include "internal.h"

static int flock_set(int fd, const struct sync_range *range, enum sync_mode mode, bool wait)
{
	static const int op[] = {
		[SYNC_UNLOCKED] = LOCK_UN,
		[SYNC_SHARED] = LOCK_SH,
		[SYNC_EXCLUSIVE] = LOCK_EX,
	};
	(void)range;
	return flock(fd, op[mode] | (wait ? 0 : LOCK_NB)) ? -errno : 0;
}

/* No SYNC_CAP_UPGRADE: the kernel drops the old lock before it tries for the new one. */
const struct sync_lock_ops sync_lock_flock = {
	.name = "flock",
	.caps = SYNC_CAP_INHERIT,
	.set = flock_set,
};
