/* SPDX-License-Identifier: MIT */
/* Running COMMAND: in place, or as a child whose end we see and whose signals we pass on. */
#ifndef CMD_CHILD_H
#define CMD_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct limit;
struct limit_opts;

struct child_plan {
	char *const *argv;
	void (*started)(int pid); /* if not NULL: told its pid when it runs */
	const int *keep; /* descriptors that COMMAND inherits although they are close-on-exec */
	size_t keep_count;
	bool share_undo; /* what the kernel gives back for us when we end, only after COMMAND has too */
	struct limit *limit; /* NULL: none. Else it is begun here; after child_stand_alone() */
	const struct limit_opts *limit_opts;
};

/* Become COMMAND. Returns only the exit status for not being able to, after saying so. */
int child_exec(const struct child_plan *plan);

/*
 * As flock(1) does: SIGCHLD at its default, for us and for COMMAND; nothing held back, nothing passed on.
 * child_become() becomes COMMAND; it returns only an errno. child_attend() starts it and waits for its
 * end: its exit status, or with *exec_error set to an errno that it could not be run; -errno.
 */
int child_become(const struct child_plan *plan);
int child_attend(const struct child_plan *plan, int *exec_error);

/*
 * From here to child_let_go() signals wait, to be forwarded to COMMAND. So neither they nor a
 * message that nobody reads (SIGPIPE, SIGXFSZ) can cut short what must precede and follow it. May be called
 * again after child_let_go().
 */
void child_hold_signals(void);

/*
 * After child_hold_signals(): start COMMAND, forward signals to it, wait for its end. Returns the
 * exit status that stands for it (126 or 127, said aloud, if it cannot be run), or -errno if it
 * could not be started at all. If it ran longer than the limit: 124, when nothing it has started is left.
 */
int child_run(const struct child_plan *plan);

/* What wait(2) said of COMMAND's end. */
int child_wait_status(void);
/* Does that signal, sent to us, reach COMMAND? */
bool child_passes_on(int signo);

/* Before anything is taken, if a limit is wanted: all processes below us shall be COMMAND's. Or die. */
void child_stand_alone(void);
/* COMMAND has ended in time, but not all it has started, and now the limit is over: end them. 124. */
int child_end_rest(struct limit *limit);

/*
 * Start a thread that nobody joins, with every signal blocked: otherwise it could be the one to
 * get, and discard, the SIGCHLD that tells of COMMAND's end. 0, or an error number.
 */
int child_start_thread(void *(*run)(void *), void *arg);

/*
 * BEGIN: from here a message that nobody reads does no harm, for neither our place in the line nor what we
 * have taken must be lost by SIGPIPE or SIGXFSZ; else as before, for COMMAND.
 */
void child_guard_messages(bool begin);

/* From here on a reader who has gone is an error of write(2), and not our end. */
void child_ignore_unread(void);

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
/* Signal SIGNO, which came with that si_code, for it alone, unless, as one of the terminal's job, it has had it with us. */
void child_pass_on(int pid, int signo, int code);
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

/* Signals count again as when we were started, but for SIGPIPE and SIGXFSZ: messages may go unread. */
void child_let_go(void);
/* What COMMAND has left behind need not be reaped by us. */
void child_let_rest_go(void);

#endif
