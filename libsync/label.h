/* SPDX-License-Identifier: MIT */
/* Labels of System V objects: their names, for those who list them. */
#ifndef LIBSYNC_LABEL_H
#define LIBSYNC_LABEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* We have made an object of this name and key. */
void sync_label_set(const char *name, uint32_t key);
/* It is gone, which UID had made. */
void sync_label_drop(uint32_t key, uid_t uid);
/* Is this the name of a file of labels in SYNC_SHM_DIR? */
bool sync_label_is_file(const char *name);

#endif
