/* SPDX-License-Identifier: MIT */
/* Who removes System V objects, which stay until somebody does. */
#ifndef CMD_IPCBENCH_WARDEN_H
#define CMD_IPCBENCH_WARDEN_H

#include "transport.h"

/*
 * make() is called in a process of its own, which removes what was made, by remove(), as soon as all others
 * have closed the channel or were killed. 0 and c->id, or -1 and c->why.
 */
int warden_start(struct channel *c, const char *what, int (*make)(void), void (*remove)(int id));
/* It is removed when this returns. */
void warden_end(struct channel *c, void (*remove)(int id));

#endif
