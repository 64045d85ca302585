/* SPDX-License-Identifier: MIT */
/* A ring of blocks in shared memory, for one sender and one receiver. */
#ifndef CMD_IPCBENCH_RING_H
#define CMD_IPCBENCH_RING_H

#include "transport.h"

/* How much memory a ring for blocks of SIZE bytes takes. */
size_t ring_bytes(size_t size);
/* In MEM, which is zeroed. */
void ring_init(struct channel *c, void *mem);
/* In each of the two processes, before it sends or receives. */
int ring_join(struct channel *c, enum side side);
int ring_send(struct channel *c, char *block, size_t n);
int ring_recv(struct channel *c, char *block, size_t n);

#endif
