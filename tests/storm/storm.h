/* SPDX-License-Identifier: MIT */
/* What the parts of the kill storm share: the log, processes as /proc shows them, decisions. */
#ifndef STORM_H
#define STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * Everything lies in the working directory:
 *	lock		the lock file
 *	log		struct record after struct record, appended by the jobs
 *	writer		the exclusive job's witness: a symbolic link to "PID START"
 *	readers/	one witness "PID START" for each shared job
 *	errors		standard error of all actors
 */
#define LOCK_FILE "lock"
#define LOG_FILE "log"
#define WRITER_FILE "writer"
#define READERS_DIR "readers"
#define ERRORS_FILE "errors"

/* The job's status when it met another that it should not have met. */
#define EXIT_VIOLATION 99

enum record_kind {
	RECORD_BEGIN = 'B',
	RECORD_END = 'E',
	RECORD_TAKEOVER = 'T', /* the witness of a killed job was taken over */
	RECORD_VIOLATION = 'V',
};

/*
 * Its size divides a page's: a write that does not cross a page boundary is not cut short by
 * SIGKILL, so one O_APPEND write leaves a whole record or none.
 */
struct record {
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint32_t seq;
	int32_t pid;
	int32_t other; /* the pid taken over from, or met */
	char kind;
	char mode; /* 'x' or 's' */
	char unused[10];
};
_Static_assert(sizeof(struct record) == 32, "the size of a record divides a page");

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- process.c ---- */

struct process {
	pid_t pid, parent;
	char comm[32];
	char state;
	unsigned long flags;
	unsigned long long start; /* clock ticks since boot: with pid, it names one process */
};

/* False if there is none of that number. */
bool process_look(pid_t pid, struct process *out);
/* It can run no more code of its own, even if it is still there. */
bool process_finished(const struct process *p);
/* Can the process that the witness "PID START" names still run code of its own? */
bool witness_lives(const char *witness);
/* Returns how many; more than max are not listed. */
size_t process_children(pid_t pid, pid_t *out, size_t max);
/* Waits in the kernel for a lock. */
bool process_awaits_lock(pid_t pid);
/* Signals that very process; false if it has finished. */
bool process_signal(const struct process *p, int signo);

/* ---- plan.c: what an actor is to do and to suffer, drawn from the seed and its number ---- */

enum form {
	FORM_PLAIN,
	FORM_TIMED,      /* -w */
	FORM_TRY,        /* -n */
	FORM_TREE,       /* --hold=tree */
	FORM_SHELL,      /* from a shell that waits for it */
	FORM_IN_PLACE,   /* -F */
	FORM_DESCRIPTOR, /* a shell's own descriptor */
};

enum blow {
	BLOW_NONE,
	BLOW_ANY,     /* SIGKILL to one of its processes, whatever it does */
	BLOW_WRAPPER, /* SIGKILL to lockrun */
	BLOW_WAITER,  /* SIGKILL to lockrun while it waits for the lock */
	BLOW_JOB,     /* SIGKILL to the job */
	BLOW_BOTH,    /* SIGKILL to lockrun and job at once */
	BLOW_TERM,    /* SIGTERM to lockrun */
	BLOW_STOP,    /* SIGSTOP to lockrun or the job; SIGCONT or SIGKILL later */
};

struct plan {
	enum form form;
	bool shared, rm;
	bool busy;            /* the job computes; otherwise it sleeps */
	unsigned hold_usec;   /* how long */
	unsigned linger_usec; /* it leaves a child behind for so long; 0: none */
	unsigned timeout_ms;  /* of FORM_TIMED */
	enum blow blow;
	bool after_begin;         /* the delay counts from the job's begin, not from the start */
	unsigned delay_usec;      /* of the blow */
	unsigned afterwards;      /* random bits for a second blow */
	unsigned afterwards_usec; /* its delay */
};

struct setting {
	uint64_t seed;
	const char *scheme;  /* "" or "ofd:" and the like, before the lock's name */
	const char *lockrun; /* absolute paths */
	const char *job;
};

/* An argument vector that needs no other memory. */
struct command {
	char *argv[24];
	char text[24][24];
	size_t words;
};

struct plan plan_draw(const struct setting *set, uint32_t seq);
void plan_command(const struct setting *set, const struct plan *plan, uint32_t seq,
		  struct command *out);

/* ---- blow.c: signals to the processes of actors ---- */

/* What a process was doing when SIGKILL reached it. */
enum role {
	ROLE_STARTING, /* lockrun, before it waits or has a job */
	ROLE_WAITER,
	ROLE_WRAPPER, /* lockrun, with a job */
	ROLE_ENDING,  /* lockrun, after the job */
	ROLE_JOB,
	ROLE_SHELL,
	ROLES,
};

struct actor {
	pid_t pid; /* 0: nobody */
	uint32_t seq;
	struct plan plan;
	uint64_t started, began; /* 0: its job has not begun */
	bool hit;
	uint64_t due; /* of the blow; 0: none */
	/* The second blow, to a process that need not be the actor's any more. */
	struct process victim;
	enum role victim_role;
	int second_signal;
	uint64_t second_due; /* 0: none */
};

void blow_set_up(const char *job);
/* False if the one to hit was not there. */
bool blow_strike(struct actor *a);
void blow_second(struct actor *a);
/* SIGKILLs sent so far. */
unsigned long blow_kills(void);
void blow_print(void);

/* ---- check.c: what the log says afterwards ---- */

struct verdict {
	unsigned long begun, ended, takeovers;
	unsigned long violations; /* a job met another one's witness */
	unsigned long overlaps;   /* pairs of jobs, at least, whose times overlap */
	unsigned long twice;      /* jobs that were run more than once */
	unsigned long not_run;    /* status 0 though the job did not end */
	unsigned long run_anyway; /* status 75 though the job was run */
};

/* outcome[seq] is the actor's exit status, or -1. */
struct verdict check_log(const int *outcome, uint32_t actors);

#endif
