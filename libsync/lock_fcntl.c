/* SPDX-License-Identifier: MIT */
/*
 * Lock backend fcntl: POSIX record locks, owned by the process. Not inherited by fork, and
 * gone as soon as the process closes any descriptor of the file. fcntl(2).
 */
#include "lock_record.h"

static int fcntl_set(int fd, const struct sync_range *range, enum sync_mode mode, bool wait)
{
	return sync_record_set(fd, wait ? F_SETLKW : F_SETLK, range, mode);
}

const struct sync_lock_ops sync_lock_fcntl = {
	.name = "fcntl",
	.caps = SYNC_CAP_RANGE | SYNC_CAP_UPGRADE | SYNC_CAP_EDEADLK,
	.wants_write = true,
	.set = fcntl_set,
};
