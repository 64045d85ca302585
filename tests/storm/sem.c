/* SPDX-License-Identifier: MIT */
/*
 * The kill storm for semwait and sempost: many jobs at once for few permits, and death at random moments.
 *
 * Usage: sem-storm [OPTION...] SCENARIO BINDIR JOB, in an empty directory; BINDIR has semwait, sempost.
 *	-s SEED		decides who does what and who is struck when (1)
 *	-k KIND		sysv, pool, posix (sysv)
 *	-n PERMITS	(4)
 *	-j JOBS		(500)
 *	-r ROUNDS	(200)
 *	-t SECONDS	how long it may take until somebody gets on (60)
 *
 *	serve		JOBS at once that end by SIGKILL after 20 ms each
 *	chaos		JOBS in crowds, with timeouts, weights; many are struck at random
 *	first		ROUNDS times 50 first users of a semaphore that nobody has made yet
 *	tries		ROUNDS times two try at once (-n) for all but one: one of them must succeed
 *	pass		ROUNDS times a -n comes as the only permit goes from a killed holder to a waiter
 *	handover	ROUNDS times kill the only holder, beside raw semop and fcntl
 *	crowd		JOBS that wait in line: order and cost of each hand-off
 *	heavy		one that wants all but one permit, under a stream of those that want one
 *
 * Everybody who is in says so on a board (sem_job.c) and looks whether there are too many. When all is
 * over, all permits must be back.
 *
 * One line on standard output says what happened; the status is 0 if all was well, 1 if not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sem.h"

#define WORK_USEC 20000
#define CROWD 24 /* at once, in chaos */
#define BATCH 96 /* then all must get through */
#define FIRST_USERS 50
#define MAKERS 3
#define MAKING_USEC 250 /* from the start of one until it has made the semaphore, at the most */
#define TRIES 2

struct storm storm = {
	.seed = 1,
	.kind = "sysv",
	.permits = 4,
	.jobs = 500,
	.rounds = 200,
	.patience = 60 * 1000000000ull,
};

static bool supervised(void)
{
	return !strcmp(storm.kind, "posix");
}

/* ---- serve ---- */

void scenario_serve(void)
{
	struct ask ask = {.weight = 1, .usec = WORK_USEC, .end = END_KILL};
	sem_fresh();
	board_clear();
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < storm.jobs; i++)
		actor_start(&ask);
	actors_drain();
	double ms = (double)(now_ns() - begin) / 1e6;
	double ideal = (storm.jobs + storm.permits - 1) / storm.permits * (WORK_USEC / 1000);
	sem_settle();
	storm.overlaps += count_overlaps();
	storm.not_run += storm.jobs - storm.served;
	printf(" ms=%.0f ideal_ms=%.0f ratio=%.2f aim=%s", ms, ideal, ms / ideal,
	       ms <= 1.25 * ideal ? "met" : "over");
}

/* ---- chaos ---- */

static enum strike draw_strike(uint64_t *s)
{
	static const enum strike of_one[] = {
		STRIKE_NONE, STRIKE_NONE, STRIKE_KILL, STRIKE_KILL, STRIKE_KILL, STRIKE_TERM,
	};
	static const enum strike of_two[] = {
		STRIKE_NONE, STRIKE_NONE, STRIKE_KILL, STRIKE_KILL,
		STRIKE_KILL, STRIKE_JOB,  STRIKE_BOTH, STRIKE_TERM,
	};
	return supervised() ? of_two[below(s, 8)] : of_one[below(s, 6)];
}

static struct ask draw_ask(uint64_t *s)
{
	static const unsigned weights[] = {1, 1, 1, 1, 1, 2, 2, 3};
	static const unsigned delays[] = {500, 3000, 15000}; /* while it starts, works, waits */
	unsigned weight = weights[below(s, 8)];
	unsigned form = below(s, 4);
	struct ask a = {
		.weight = supervised() || weight > storm.permits ? 1 : weight,
		.timeout_ms = form == 0 ? 1 + below(s, 30) : 0,
		.once = form == 1,
		.usec = below(s, 3000),
		.end = below(s, 3) ? END_EXIT : END_KILL,
		.strike = draw_strike(s),
		.strike_usec = below(s, delays[below(s, 3)]),
	};
	return a;
}

void scenario_chaos(void)
{
	uint64_t s = storm.seed;
	sem_fresh();
	board_clear();
	for (unsigned i = 0; i < storm.jobs; i++) {
		struct ask a = draw_ask(&s);
		while (actors_left() >= CROWD)
			if (!actors_turn(now_ns() + storm.patience, NULL))
				actors_drain();
		actor_start(&a);
		while (actors_turn(0, NULL))
			;
		if (i % BATCH != BATCH - 1 && i + 1 < storm.jobs)
			continue;
		actors_drain();
		sem_settle();
	}
	storm.overlaps += count_overlaps();
}

/* ---- first ---- */

/*
 * The first few are struck while they make it, if they can be: that takes so little time that it has to
 * be aimed at, by the clock and not by a sleep.
 */
static void strike_makers(uint64_t *s)
{
	for (unsigned i = 0; i < MAKERS; i++) {
		struct ask a = {.weight = 1, .end = END_EXIT, .strike = STRIKE_KILL};
		a.strike_usec = below(s, MAKING_USEC);
		actor_start(&a);
		uint64_t due = now_ns() + a.strike_usec * 1000ull;
		while (now_ns() < due)
			;
		while (actors_turn(0, NULL))
			;
	}
}

static void first_users(uint64_t *s)
{
	static const unsigned delays[] = {150, 500, 1500};
	strike_makers(s);
	for (unsigned i = MAKERS; i < FIRST_USERS; i++) {
		struct ask a = {
			.weight = 1,
			.usec = below(s, 1000),
			.end = END_EXIT,
			.strike = below(s, 3) ? STRIKE_NONE : STRIKE_KILL,
			.strike_usec = below(s, delays[below(s, 3)]),
		};
		actor_start(&a);
		while (actors_turn(0, NULL))
			;
	}
	actors_drain();
}

void scenario_first(void)
{
	uint64_t s = storm.seed;
	for (unsigned r = 0; r < storm.rounds; r++) {
		sem_fresh();
		board_clear();
		first_users(&s);
		sem_settle();
		storm.overlaps += count_overlaps();
	}
}

/* ---- tries ---- */

/* Several permits are taken all or none, at one moment: two who try cannot both be in the other's way. */
void scenario_tries(void)
{
	struct ask ask = {.weight = storm.permits - 1, .once = true, .end = END_EXIT};
	sem_fresh();
	for (unsigned r = 0; r < storm.rounds; r++) {
		unsigned long before = storm.served;
		board_clear();
		for (unsigned i = 0; i < TRIES; i++)
			actor_start(&ask);
		actors_drain();
		storm.refused += storm.served == before;
	}
	sem_settle();
}

/* ---- */

static const struct {
	const char *name;
	void (*run)(void);
	unsigned permits; /* 0: as the options say */
} scenarios[] = {
	{"serve", scenario_serve, 0}, {"chaos", scenario_chaos, 0},
	{"first", scenario_first, 0}, {"tries", scenario_tries, 0},
	{"heavy", scenario_heavy, 0}, {"pass", scenario_pass, 1},
	{"crowd", scenario_crowd, 1}, {"handover", scenario_handover, 1},
};

static void usage(void)
{
	fputs("usage: sem-storm [-s SEED] [-k KIND] [-n PERMITS] [-j JOBS] [-r ROUNDS] [-t "
	      "SECONDS] "
	      "serve|chaos|first|tries|pass|handover|crowd|heavy BINDIR JOB\n",
	      stderr);
	exit(64);
}

static void parse(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "s:k:n:j:r:t:")) != -1) {
		if (c == 's')
			storm.seed = strtoull(optarg, NULL, 10);
		else if (c == 'k')
			storm.kind = optarg;
		else if (c == 'n')
			storm.permits = (unsigned)atoi(optarg);
		else if (c == 'j')
			storm.jobs = (unsigned)atoi(optarg);
		else if (c == 'r')
			storm.rounds = (unsigned)atoi(optarg);
		else if (c == 't')
			storm.patience = (uint64_t)(strtod(optarg, NULL) * 1e9);
		else
			usage();
	}
	if (argc - optind != 3 || storm.jobs > MAX_JOBS || !storm.permits)
		usage();
}

static const char *tool(const char *dir, const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		exit(71);
	return path;
}

static unsigned long verdict(void)
{
	unsigned long kills =
		storm.kills_starting + storm.kills_waiting + storm.kills_job + storm.kills_super;
	printf(" most=%u started=%lu served=%lu busy=%lu kills=%lu starting=%lu waiting=%lu "
	       "job=%lu "
	       "supervisor=%lu terms=%lu returned=%lu doubtful=%lu lost=%lu",
	       storm.most, storm.started, storm.served, storm.busy, kills, storm.kills_starting,
	       storm.kills_waiting, storm.kills_job, storm.kills_super, storm.terms, storm.returned,
	       storm.doubtful, storm.lost);
	printf(" violations=%lu overlaps=%lu stuck=%lu bad_value=%lu disorder=%lu failed=%lu "
	       "not_run=%lu run_anyway=%lu twice=%lu refused=%lu\n",
	       storm.violations, storm.overlaps, storm.stuck, storm.bad_value, storm.disorder,
	       storm.failed, storm.not_run, storm.any_way, storm.twice, storm.refused);
	return storm.violations + storm.overlaps + storm.stuck + storm.bad_value + storm.disorder +
	       storm.failed + storm.not_run + storm.any_way + storm.twice + storm.refused;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	const char *scenario = argv[optind];
	storm.semwait = tool(argv[optind + 1], "semwait");
	storm.sempost = tool(argv[optind + 1], "sempost");
	storm.job = argv[optind + 2];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	actors_set_up();
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(scenario, scenarios[i].name) != 0)
			continue;
		if (scenarios[i].permits)
			storm.permits = scenarios[i].permits;
		printf("seed=%llu scenario=%s kind=%s permits=%u", (unsigned long long)storm.seed,
		       scenario, storm.kind, storm.permits);
		scenarios[i].run();
		board_clear();
		sem_remove();
		return verdict() != 0;
	}
	usage();
}
