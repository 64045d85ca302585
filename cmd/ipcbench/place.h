/* SPDX-License-Identifier: MIT */
/* Where the two sides run. */
#ifndef CMD_IPCBENCH_PLACE_H
#define CMD_IPCBENCH_PLACE_H

#include <stdbool.h>

enum place { PLACE_SAME, PLACE_CROSS, PLACE_NONE, PLACES };

const char *place_name(enum place p);
/* Find out which CPUs we may use. */
void place_init(void);
/* False: there is only one CPU for us. */
bool place_possible(enum place p);
/* The CPU of a side, -1: any. */
int place_cpu(enum place p, int side);
/* For the process of that side. 0 or -errno. */
int place_pin(enum place p, int side);

#endif
