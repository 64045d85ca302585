/* SPDX-License-Identifier: MIT */
/* Where the ledger of a jobserver is: its name has device, number and birth of the pipe or FIFO. */
#ifndef LIBSYNC_JOBSERVER_H
#define LIBSYNC_JOBSERVER_H

#include <sys/stat.h>

#include "internal.h"
#include "shmfile.h"

#define SYNC_JOBSERVER_LEDGER (sizeof(SYNC_SHM_DIR "/jobs.") + 64)

/* Write the ledger's path to BUF. The jobserver is PATH from DIR, or if that is "", DIR itself; ST is its. */
void sync_jobserver_ledger(char *buf, size_t size, int dir, const char *path,
			   const struct stat *st);
/* Is FILE, in /dev/shm, named as a ledger? Then of what. */
bool sync_jobserver_is_ledger(const char *file, dev_t *dev, uint64_t *ino);

#endif
