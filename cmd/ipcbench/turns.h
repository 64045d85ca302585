/* SPDX-License-Identifier: MIT */
/* A channel made of two locks, for facilities that are locks. */
#ifndef CMD_IPCBENCH_TURNS_H
#define CMD_IPCBENCH_TURNS_H

#include "transport.h"

/* Take, or give back, lock number I, 0 or 1, of the channel: 0 or -errno. */
typedef int turns_lock(struct channel *c, int i);

/* In join(): the sender holds the first lock from the beginning. */
int turns_begin(struct channel *c, enum side side, turns_lock *take);
int turns_send(struct channel *c, turns_lock *take, turns_lock *give);
int turns_recv(struct channel *c, turns_lock *take, turns_lock *give);

#endif
