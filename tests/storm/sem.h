/* SPDX-License-Identifier: MIT */
/* What the parts of the semaphore storm share: the board that jobs write on, actors, figures. */
#ifndef STORM_SEM_H
#define STORM_SEM_H

#include <stdatomic.h>
#include <sys/resource.h>

#include "storm.h"

/*
 * A file that all map. Every field is one atomic store, so that no SIGKILL leaves it half written;
 * a job that was killed leaves its weight standing, and is known for dead by its process.
 */
#define BOARD_FILE "board"
#define MAX_JOBS 8192

struct place {
	_Atomic uint64_t began, ended; /* CLOCK_MONOTONIC, ns; 0: not yet */
	_Atomic uint64_t start;        /* with pid, it names one process */
	_Atomic int32_t pid;
	_Atomic uint32_t weight; /* permits in use; 0: not in. Set last, cleared first. */
	_Atomic uint32_t begins;
	uint32_t asked; /* the storm's note: its weight, in or not */
};

struct board {
	uint32_t permits;
	_Atomic uint32_t jobs;       /* numbered from 0 to this */
	_Atomic uint32_t most;       /* permits in use at once, as a job saw it */
	_Atomic uint32_t violations; /* a job saw more in use than there are */
	_Atomic uint32_t stamps;     /* entries of order */
	_Atomic uint32_t order[MAX_JOBS];
	struct place place[MAX_JOBS];
};

/* What a job does (sem_job.c): sem-job SEQ WEIGHT USEC END */
#define END_EXIT "exit"   /* work, leave */
#define END_KILL "kill"   /* work, leave by SIGKILL */
#define END_HOLD "hold"   /* be in until killed */
#define END_STAMP "stamp" /* note time and order, and no more */

struct storm {
	uint64_t seed;
	const char *kind; /* sysv, pool, posix */
	unsigned permits, jobs, rounds;
	uint64_t patience; /* ns: how long nobody may have to wait for any progress */
	const char *semwait, *sempost, *job;
	struct board *board;
	/* Violations of any kind. */
	unsigned long violations; /* a job saw more permits in use than there are */
	unsigned long stuck;      /* waited in vain */
	unsigned long failed;     /* ended as it never should */
	unsigned long twice;      /* run more than once */
	unsigned long not_run;    /* 0 or the job's status, but the job did not work */
	unsigned long any_way;    /* 75, but the job was run */
	unsigned long bad_value;  /* not all permits, or too many, when all was over */
	unsigned long overlaps;   /* begin of a job with which more were in use than there are */
	unsigned long refused;    /* -n, and all failed though permits were free */
	unsigned long disorder;   /* served out of order where order is promised */
	/* Figures. */
	unsigned long started, served, busy, kills_starting, kills_waiting, kills_job, kills_super;
	unsigned long terms, returned, doubtful, lost;
	unsigned most; /* permits in use at once */
};

extern struct storm storm;

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
	z = (z ^ z >> 27) * 0x94D049BB133111EB;
	return z ^ z >> 31;
}

static inline unsigned below(uint64_t *state, unsigned limit)
{
	return (unsigned)((draw(state) >> 33) % limit);
}

/* ---- sem_actor.c: processes that want a permit ---- */

enum strike {
	STRIKE_NONE,
	STRIKE_KILL, /* SIGKILL to what we started: semwait, or the job that it has become */
	STRIKE_JOB,  /* SIGKILL to the child of a semwait that supervises it */
	STRIKE_BOTH,
	STRIKE_TERM,
};

struct ask {
	unsigned weight;     /* -c */
	unsigned timeout_ms; /* -w; 0: none */
	bool once;           /* -n */
	unsigned usec;       /* the job's work */
	const char *end;     /* END_... */
	enum strike strike;
	unsigned strike_usec; /* after the start */
};

struct actor_result {
	uint32_t seq;
	int status;
	struct rusage usage;
};

void actors_set_up(void);
/* A fresh semaphore for what follows; the old one is removed. */
void sem_fresh(void);
void sem_remove(void);
const char *sem_name(void);
/* Numbers from 0 again; nobody may be left. */
void board_clear(void);
/* Start one; returns its pid. Its number is the next one. */
pid_t actor_start(const struct ask *ask);
unsigned actors_left(void);
/*
 * Strike who is due, and wait until somebody has ended, or UNTIL (0: look, do not wait). True if so,
 * and then *out, which may be NULL, says who.
 */
bool actors_turn(uint64_t until, struct actor_result *out);
/* Until nobody is left. Who makes no progress for too long is counted as stuck, and killed. */
void actors_drain(void);
void actors_kill_all(void);
/* SIGKILL to the job of that number, which holds until then. */
void actor_end(uint32_t seq);
/* Waits in the kernel for a permit, or for its turn. */
bool awaits_permit(pid_t pid);
/* Is the head of a pool's line, and asleep: from now on nobody may overtake it. */
bool awaits_slot(pid_t pid);
/* False, and counted as stuck, if that takes too long. */
bool actor_seen_waiting(pid_t pid);
bool actor_seen_in(uint32_t seq);
/* Permits free, as semwait --value says; -1 it does not. */
long sem_value(void);
/* Return what is owed (posix); then see that all permits are there, but for those that are in doubt. */
void sem_settle(void);
/* Output of a command, and its exit status. */
int capture(const char *const *argv, char *buf, size_t size);
/* Jobs that were in together though they had more permits than there are, by the clock alone. */
unsigned long count_overlaps(void);

/* ---- scenarios; each prints its own figures ---- */

void scenario_serve(void);
void scenario_chaos(void);
void scenario_first(void);
void scenario_tries(void);
void scenario_handover(void); /* sem_measure.c */
void scenario_crowd(void);
void scenario_pass(void);
void scenario_heavy(void);

#endif
