/* SPDX-License-Identifier: MIT */
/* What the record-lock backends (ofd, fcntl) share: the argument of fcntl(2) and its errors. */
#ifndef LIBSYNC_LOCK_RECORD_H
#define LIBSYNC_LOCK_RECORD_H

#include <errno.h>
#include <fcntl.h>

#include "internal.h"

static inline int sync_record_set(int fd, int cmd, const struct sync_range *range,
				  enum sync_mode mode)
{
	static const short type[] = {
		[SYNC_UNLOCKED] = F_UNLCK,
		[SYNC_SHARED] = F_RDLCK,
		[SYNC_EXCLUSIVE] = F_WRLCK,
	};
	struct flock record = {
		.l_type = type[mode],
		.l_whence = SEEK_SET,
		.l_start = (off_t)range->first,
		.l_len =
			range->last == SYNC_RANGE_END ? 0 : (off_t)(range->last - range->first + 1),
	};
	if (!fcntl(fd, cmd, &record))
		return 0;
	/* POSIX allows both for "busy"; Linux says EAGAIN, some servers EACCES. */
	return errno == EACCES ? -EAGAIN : -errno;
}

#endif
