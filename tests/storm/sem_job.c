/* SPDX-License-Identifier: MIT */
/*
 * The job of the semaphore storm: sees whether more permits are in use than there are.
 *
 * Usage: sem-job SEQ WEIGHT USEC exit|kill|hold|stamp, in the storm's directory.
 *
 * 1. Put up our weight on the board.
 * 2. List who is in. Then look again: who is still in, and lives, was in at the moment between, with
 *    all the others. First put up, then look: so of too many the last sees all the others.
 * 3. Work, take our weight down, leave.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sem.h"

static struct board *board;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void map_board(void)
{
	int fd = open(BOARD_FILE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("sem-job: " BOARD_FILE);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		fail("sem-job: mmap");
	close(fd);
}

static bool lives(struct place *p)
{
	struct process now;
	return process_look(p->pid, &now) && now.start == p->start && !process_finished(&now);
}

static unsigned in_use(const struct place *me)
{
	static uint32_t seen[MAX_JOBS];
	unsigned n = 0;
	unsigned sum = 0;
	uint32_t jobs = board->jobs;
	for (uint32_t i = 0; i < jobs; i++)
		if (board->place[i].weight)
			seen[n++] = i;
	for (unsigned k = 0; k < n; k++) {
		struct place *p = &board->place[seen[k]];
		uint32_t weight = p->weight;
		/* Its weight is read before, it is looked for after: in between it was in. */
		if (weight && (p == me || lives(p)) && p->weight)
			sum += weight;
	}
	return sum;
}

static void put_up(struct place *me, unsigned weight)
{
	struct process self;
	if (!process_look(getpid(), &self))
		fail("sem-job: /proc");
	me->pid = self.pid;
	me->start = self.start;
	me->begins++;
	me->weight = weight;
}

static void look_around(const struct place *me)
{
	unsigned sum = in_use(me);
	uint32_t most = board->most;
	while (sum > most && !atomic_compare_exchange_weak(&board->most, &most, sum))
		;
	if (sum > board->permits)
		board->violations++;
}

static void work(unsigned long usec)
{
	struct timespec t = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	uint64_t now = now_ns();
	if (argc != 5) {
		fputs("usage: sem-job SEQ WEIGHT USEC exit|kill|hold|stamp\n", stderr);
		return 64;
	}
	uint32_t seq = (uint32_t)strtoul(argv[1], NULL, 10);
	map_board();
	struct place *me = &board->place[seq];
	me->began = now;
	if (!strcmp(argv[4], END_STAMP)) {
		board->order[board->stamps++] = seq;
		me->begins++;
		me->ended = now;
		return 0;
	}
	put_up(me, (unsigned)strtoul(argv[2], NULL, 10));
	look_around(me);
	if (!strcmp(argv[4], END_HOLD))
		for (;;)
			pause();
	work(strtoul(argv[3], NULL, 10));
	me->weight = 0;
	me->ended = now_ns();
	if (!strcmp(argv[4], END_KILL))
		kill(getpid(), SIGKILL);
	return 0;
}
