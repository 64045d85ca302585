/* SPDX-License-Identifier: MIT */
/* Lock backend ofd: record locks owned by the open file description. fcntl(2), Linux 3.15. */
#include "lock_record.h"

static int ofd_set(int fd, const struct sync_range *range, enum sync_mode mode, bool wait)
{
	return sync_record_set(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, range, mode);
}

const struct sync_lock_ops sync_lock_ofd = {
	.name = "ofd",
	.caps = SYNC_CAP_INHERIT | SYNC_CAP_RANGE | SYNC_CAP_UPGRADE,
	.wants_write = true,
	.set = ofd_set,
};
