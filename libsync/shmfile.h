/* SPDX-License-Identifier: MIT */
/* Files in /dev/shm, of a fixed size, that nobody ever sees half made. */
#ifndef LIBSYNC_SHMFILE_H
#define LIBSYNC_SHMFILE_H

#include <sys/stat.h>

#include "internal.h"

#define SYNC_SHM_DIR "/dev/shm"

/*
 * Open PATH, a regular file of SIZE bytes, for reading and writing. If it is missing and CONTENT is
 * not NULL, make it so, with owner, group and exact mode as in LIKE; an owner or group of -1 is
 * left alone, and what we have no right to set is left out. *st is the file's.
 * The descriptor is close-on-exec. -ENOENT; -ENODEV there is no /dev/shm to make it in; -ELOOP a
 * symbolic link; -EUCLEAN no regular file, or not of that size; -EBUSY under a lease; or what the
 * kernel says.
 */
MUST_CHECK int sync_shm_open(const char *path, size_t size, const void *content,
			     const struct stat *like, struct stat *st);

/* Does PATH still lead to the file of ST? -ESTALE if not, or why we cannot tell. */
MUST_CHECK int sync_shm_check(const char *path, const struct stat *st);
bool sync_shm_is(const char *path, const struct stat *st);

#endif
