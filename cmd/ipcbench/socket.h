/* SPDX-License-Identifier: MIT */
/* What the sockets have in common. */
#ifndef CMD_IPCBENCH_SOCKET_H
#define CMD_IPCBENCH_SOCKET_H

#include "transport.h"

/* A pair of UNIX sockets of TYPE. */
int open_pair(struct channel *c, int type);
/* What fits into one message of a UNIX socket. */
size_t largest_message(void);
/* A socket of TYPE bound to a free port of 127.0.0.1; -1 and c->why. */
int bound_to_loopback(struct channel *c, int type);
/* Connect FD to where TO is bound. */
int connect_to(struct channel *c, int fd, int to);

#endif
