/* SPDX-License-Identifier: MIT */
/* What child.c, childexec.c and children.c share with each other, and with nobody else. */
#ifndef CMD_CHILD_PARTS_H
#define CMD_CHILD_PARTS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "child.h"

/* As sigprocmask(2), of all signals. */
void child_set_mask(int how, const sigset_t *set, sigset_t *old);

/* On the far side of vfork: nothing of ours is changed. */
void child_keep_over_exec(const struct child_plan *plan);
/* Returns only with errno set. */
void child_replace_us(char *const *argv);
/* Say so; the exit status. */
int child_cannot_run(const char *word, int err);

/* Has PID, in our process group, had this signal from the terminal with us? */
bool child_had_it(pid_t pid, const siginfo_t *info);
/* Of what wait(2) said, and what child_wait_status() will say. */
int child_exit_status(int status);
/* There is no such child, says the kernel: no signal will ever come either. Say so; the exit status. */
int child_is_lost(pid_t pid);

#endif
