/* SPDX-License-Identifier: MIT */
/* The memory that is given out before the libc's. */
#ifndef CMD_ARENA_H
#define CMD_ARENA_H

#define ARENA 2560
#define ARENA_ALIGN 16

/* ARENA bytes so aligned, which stay ours till the process ends. Before any thread. */
void arena_begin(void *memory);

#endif
