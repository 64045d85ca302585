/* SPDX-License-Identifier: MIT */
/*
 * A semwait and sempost with a fault, to show that the semaphore storm sees it. $STORM_FAULT says which:
 *	none		no fault at all: the storm must find nothing
 *	no-sem		takes no permit
 *	early		gives it back before the job has ended
 *	no-undo		a killed job does not give it back
 *	surplus		gives back one too many, now and then
 *	one-of-many	takes 1 for -c K
 *	init-race	makes the semaphore in two steps
 *	barges		leaves the queue every millisecond to try its luck
 *	deaf		does not hear of permits that come back, now and then
 *	not-run		says 0 but has not run the job, now and then
 *	runs-anyway	says 75 but has run the job
 *
 * Usage: as the storm uses them, by the name in argv[0].
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PERMITS, IS_SET_UP };

static struct {
	bool nonblock, create, value;
	long timeout_ms;
	int init, count;
	char **command;
} opts = {.timeout_ms = -1, .count = 1};
static int set;

static bool fault(const char *name)
{
	const char *chosen = getenv("STORM_FAULT");
	return chosen && !strcmp(chosen, name);
}

static bool now_and_then(void)
{
	return getpid() % 4 == 0;
}

static void nap(long usec)
{
	struct timespec t = {usec / 1000000, usec % 1000000 * 1000};
	nanosleep(&t, NULL);
}

/* ---- the set ---- */

static key_t key_of(const char *name)
{
	unsigned h = 5381;
	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return (key_t)(h | 1);
}

static void set_up(bool made)
{
	struct sembuf ops[] = {
		{IS_SET_UP, 0, IPC_NOWAIT},
		{IS_SET_UP, 1, IPC_NOWAIT},
		{PERMITS, (short)opts.init, IPC_NOWAIT},
	};
	if (!fault("init-race")) {
		semop(set, ops, 3);
	} else if (made) {
		nap(300);
		semctl(set, PERMITS, SETVAL, opts.init);
	}
}

static void open_set(const char *name)
{
	bool made = false;
	set = semget(key_of(name), 2, 0);
	if (set < 0 && opts.create) {
		set = semget(key_of(name), 2, IPC_CREAT | IPC_EXCL | 0600);
		made = set >= 0;
		if (!made)
			set = semget(key_of(name), 2, 0);
	}
	if (set < 0)
		exit(66);
	if (opts.create)
		set_up(made);
}

static bool operate(int change, long timeout_ms)
{
	struct sembuf op = {PERMITS, (short)change, fault("no-undo") ? 0 : SEM_UNDO};
	struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
	return !semtimedop(set, &op, 1, timeout_ms < 0 ? NULL : &t);
}

static void give(int count)
{
	struct sembuf op = {PERMITS, (short)count, 0};
	if (semop(set, &op, 1))
		exit(71);
}

/* ---- */

static bool take(void)
{
	int count = fault("one-of-many") ? 1 : opts.count;
	if (fault("no-sem"))
		return true;
	if (fault("deaf") && now_and_then() && !opts.nonblock && !operate(-count, 0))
		for (;;)
			pause();
	if (opts.nonblock)
		return operate(-count, 0);
	while (fault("barges") && opts.timeout_ms < 0)
		if (operate(-count, 1))
			return true;
	return operate(-count, opts.timeout_ms);
}

static int run_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		execv(opts.command[0], opts.command);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return 75;
}

static int semwait(void)
{
	if (opts.value) {
		printf("%d\n", semctl(set, PERMITS, GETVAL));
		return 0;
	}
	if (!take())
		return fault("runs-anyway") ? run_child() : 75;
	if (fault("not-run") && now_and_then())
		return 0;
	if (fault("surplus") && now_and_then())
		give(1);
	if (fault("early"))
		operate(opts.count, -1);
	execv(opts.command[0], opts.command);
	return 127;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"value", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "+qni:c:w:", longs, NULL)) != -1) {
		if (c == 'n')
			opts.nonblock = true;
		else if (c == 'i')
			opts.create = true, opts.init = atoi(optarg);
		else if (c == 'c')
			opts.count = atoi(optarg);
		else if (c == 'w')
			opts.timeout_ms = atol(optarg);
		else if (c == 'V')
			opts.value = true;
		else if (c == '?')
			exit(64);
	}
	if (optind == argc)
		exit(64);
	opts.command = argv + optind + 1;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	parse(argc, argv);
	open_set(argv[optind]);
	if (!strcmp(slash ? slash + 1 : argv[0], "semwait"))
		return semwait();
	give(opts.count);
	return 0;
}
