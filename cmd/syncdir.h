/* SPDX-License-Identifier: MIT */
/* The directory of what has no place of its own: pools by name, spilled messages. */
#ifndef CMD_SYNCDIR_H
#define CMD_SYNCDIR_H

#include <stdbool.h>

/*
 * Its path; with MAKE it is there, and only we can write to it, or we die. $SYNC_DIR, if that is set and
 * not empty, is taken as it is.
 */
const char *syncdir(bool make);

#endif
