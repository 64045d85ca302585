/* SPDX-License-Identifier: MIT */
/* Running COMMAND: in place, or as a child whose end we see and whose signals we pass on. */
#ifndef CMD_CHILD_H
#define CMD_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct child_plan {
	char *const *argv;
	const int *keep; /* descriptors that COMMAND inherits although they are close-on-exec */
	size_t keep_count;
};

/* Become COMMAND. Returns only the exit status for not being able to, after saying so. */
int child_exec(const struct child_plan *plan);

/*
 * From here to child_let_go() signals wait, to be forwarded to COMMAND. So neither they nor a
 * message that nobody reads (SIGPIPE) can cut short what must precede and follow it.
 */
void child_hold_signals(void);

/*
 * After child_hold_signals(): start COMMAND, forward signals to it, wait for its end. Returns the
 * exit status that stands for it (126 or 127, said aloud, if it cannot be run), or -errno if it
 * could not be started at all.
 */
int child_run(const struct child_plan *plan);

/*
 * Start a thread that nobody joins, with every signal blocked: otherwise it could be the one to
 * get, and discard, the SIGCHLD that tells of COMMAND's end. 0, or an error number.
 */
int child_start_thread(void *(*run)(void *), void *arg);

/*
 * BEGIN: from here a message that nobody reads does no harm, for what we have taken must not be lost by
 * SIGPIPE; else as before, for COMMAND.
 */
void child_guard_messages(bool begin);

/* Where COMMAND's standard streams lead, -1: as ours; and its environment. */
struct child_io {
	int in, out, err;
	char *const *env;
	bool mortal;  /* it is killed if we are */
	bool with_us; /* in our process group, that of the terminal's job */
};

/*
 * After stop_catch(): start COMMAND, by default as the leader of a process group of its own, and do not wait.
 * Its pid; 0 if it cannot be run, which was said aloud, with *status 126 or 127; -errno.
 */
int child_start(const struct child_plan *plan, const struct child_io *io, int *status);
/* Signal SIGNO for it alone, unless, as one of the terminal's job, it has had it with us. */
void child_pass_on(int pid, int signo);
/* Has it ended? Then *status is the exit status that stands for it, and the pid is nobody's any more. */
bool child_has_ended(int pid, int *status);
/* The same without reaping it: the pid, and that of its group, are still its own. */
bool child_is_dead(int pid);
/* Signals for it and all of its group. */
void child_terminate(int pid);
void child_kill(int pid);

/*
 * Go on in a child that has nothing of ours but memory and descriptors above 2: no session, no directory,
 * no standard streams. 0 in the child; its pid; -errno.
 */
int child_detach(void);
/*
 * After stop_catch(): go on in a child that has all of ours, is killed if we die, and in which signals are as
 * they were when we were started. 0 in the child; its pid; -errno.
 */
int child_fork(void);
/* Wait for the end of the child PID: the exit status that stands for it, or -errno. */
int child_join(int pid);
/* SIGKILL for it alone. */
void child_kill_one(int pid);
/* Close all descriptors above 2: for who stays when those who gave them to us have gone. */
void child_close_inherited(void);
/* A descriptor that is readable when the process PID has ended. -errno. */
int child_open(int pid);

/* Signals count again as when we were started, but for SIGPIPE: messages may go unread. */
void child_let_go(void);

#endif
