/* SPDX-License-Identifier: MIT */
/* The processes below us: the job, and all that it has started. */
#ifndef CMD_TREE_H
#define CMD_TREE_H

#include <stdbool.h>

/* What /proc says of a process. */
struct tree_process {
	int parent;
	bool dead;   /* not yet reaped */
	bool ending; /* its main thread is: what that has is out of sight, and not free yet */
	unsigned long long start;
};
bool tree_look(int pid, struct tree_process *out);

/* Is ANCESTOR above PID? */
bool tree_is_below(int pid, int ancestor);

/*
 * Send SIGNO to all who descend from us, and wake those that are stopped, so that they hear it. Returns the pid
 * of one that may not be signalled by us, or 0.
 */
int tree_signal(int signo);

#endif
