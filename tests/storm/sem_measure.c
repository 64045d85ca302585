/* SPDX-License-Identifier: MIT */
/* The semaphore storm's measurements: hand-over beside raw system calls, a crowd in line, weights. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sem.h"

/* ---- handover ---- */

/* The raw ones with an exec become the same job as semwait does: the others show what is possible. */
enum pair { SEMWAIT, SEMOP_EXEC, OFD_EXEC, SEMOP, OFD, PAIRS };
enum { MAX_ROUNDS = 2000 };

static double micros[PAIRS][MAX_ROUNDS];
static unsigned measured[PAIRS];
static int raw_set;

static bool take_semop(void)
{
	struct sembuf op = {0, -1, SEM_UNDO};
	return !semop(raw_set, &op, 1);
}

/* The descriptor stays open over exec. */
static bool take_ofd(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};
	int fd = open("raw", O_RDWR | O_CREAT, 0600);
	return fd >= 0 && !fcntl(fd, F_OFD_SETLKW, &lock);
}

__attribute__((noreturn)) static void be_raw(enum pair pair, uint32_t seq, const char *end)
{
	char number[16];
	bool ok = pair == SEMOP || pair == SEMOP_EXEC ? take_semop() : take_ofd();
	if (!ok)
		_exit(71);
	snprintf(number, sizeof(number), "%u", seq);
	if (pair == SEMOP_EXEC || pair == OFD_EXEC)
		execl(storm.job, storm.job, number, "1", "0", end, NULL);
	storm.board->place[seq].began = now_ns();
	storm.board->place[seq].pid = getpid();
	storm.board->place[seq].weight = 1;
	while (end[0] == END_HOLD[0])
		pause();
	_exit(0);
}

static pid_t start_pair(enum pair pair, uint32_t seq, const char *end)
{
	struct ask ask = {.weight = 1, .end = end};
	if (pair == SEMWAIT)
		return actor_start(&ask);
	pid_t pid = fork();
	if (pid == 0)
		be_raw(pair, seq, end);
	if (pid < 0) {
		perror("sem-storm: fork");
		exit(71);
	}
	return pid;
}

static void hand_over(enum pair pair)
{
	board_clear();
	pid_t holder = start_pair(pair, 0, END_HOLD);
	if (!actor_seen_in(0))
		return;
	pid_t waiter = start_pair(pair, 1, END_STAMP);
	if (!actor_seen_waiting(waiter))
		return;
	uint64_t begin = now_ns();
	if (pair == SEMWAIT) {
		actor_end(0);
		actors_drain();
	} else {
		kill(holder, SIGKILL);
		waitpid(holder, NULL, 0);
		waitpid(waiter, NULL, 0);
	}
	uint64_t end = storm.board->place[1].began;
	if (end)
		micros[pair][measured[pair]++] = (double)(end - begin) / 1e3;
}

static int compare(const void *va, const void *vb)
{
	double a = *(const double *)va;
	double b = *(const double *)vb;
	return a < b ? -1 : a > b;
}

static double median(enum pair pair)
{
	unsigned n = measured[pair];
	qsort(micros[pair], n, sizeof(double), compare);
	return n ? micros[pair][n / 2] : 0;
}

void scenario_handover(void)
{
	uint64_t s = storm.seed;
	sem_fresh();
	raw_set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	struct sembuf one = {0, 1, 0};
	if (raw_set < 0 || semop(raw_set, &one, 1)) {
		perror("sem-storm: raw semaphore");
		storm.failed++;
		return;
	}
	for (unsigned r = 0; r < storm.rounds && r < MAX_ROUNDS && !storm.stuck; r++) {
		unsigned first = below(&s, PAIRS);
		for (unsigned i = 0; i < PAIRS && !storm.stuck; i++)
			hand_over((first + i) % PAIRS);
	}
	semctl(raw_set, 0, IPC_RMID);
	actors_kill_all();
	board_clear();
	sem_settle();
	double semwait = median(SEMWAIT);
	printf(" handover_us=%.0f semop_exec_us=%.0f ofd_exec_us=%.0f semop_us=%.0f ofd_us=%.0f"
	       " per_semop_exec=%.2f per_ofd_exec=%.2f",
	       semwait, median(SEMOP_EXEC), median(OFD_EXEC), median(SEMOP), median(OFD),
	       semwait / median(SEMOP_EXEC), semwait / median(OFD_EXEC));
}

/* ---- crowd ---- */

static unsigned inversions(unsigned n)
{
	const struct board *b = storm.board;
	unsigned bad = 0;
	for (unsigned i = 1; i < n; i++)
		bad += b->order[i] < b->order[i - 1];
	return bad;
}

/* Voluntary context switches of the job by itself: what it costs to start, run and end it. */
static double switches_of_job(void)
{
	enum { TIMES = 50 };
	long sum = 0;
	for (int i = 0; i < TIMES; i++) {
		struct rusage usage;
		pid_t pid = fork();
		if (pid == 0) {
			execl(storm.job, storm.job, "0", "1", "0", END_STAMP, NULL);
			_exit(127);
		}
		wait4(pid, NULL, 0, &usage);
		sum += usage.ru_nvcsw;
	}
	return (double)sum / TIMES;
}

static bool line_up(unsigned n)
{
	struct ask holder = {.weight = 1, .end = END_HOLD};
	struct ask waiter = {.weight = 1, .end = END_STAMP};
	actor_start(&holder);
	if (!actor_seen_in(0))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!actor_seen_waiting(actor_start(&waiter)))
			return false;
	return true;
}

/* They are reaped only afterwards: that would take part of the time. */
static void await_stamps(unsigned n)
{
	static const struct timespec t = {0, 1000000};
	uint64_t since = now_ns();
	unsigned seen = 0;
	while (seen < n && now_ns() - since < storm.patience) {
		nanosleep(&t, NULL);
		if (storm.board->stamps == seen)
			continue;
		seen = storm.board->stamps;
		since = now_ns();
	}
}

void scenario_crowd(void)
{
	struct actor_result r;
	const struct board *b = storm.board;
	unsigned n = storm.jobs;
	long switches = 0;
	sem_fresh();
	board_clear();
	double own = switches_of_job();
	board_clear();
	if (line_up(n)) {
		actor_end(0);
		await_stamps(n);
		while (actors_left()) {
			if (!actors_turn(now_ns() + storm.patience, &r)) {
				actors_drain();
				break;
			}
			switches += r.seq && r.seq <= n ? r.usage.ru_nvcsw : 0;
		}
	}
	actors_kill_all();
	unsigned bad = inversions(b->stamps);
	double ns = b->stamps < 2 ? 0
				  : (double)(b->place[b->order[b->stamps - 1]].began -
					     b->place[b->order[0]].began);
	storm.not_run += n - b->stamps;
	if (!strcmp(storm.kind, "sysv"))
		storm.disorder += bad;
	sem_settle();
	printf(" waiters=%u out_of_order=%u switches=%.2f handoff_us=%.1f", n, bad,
	       (double)switches / n - own, ns / 1e3 / (b->stamps - 1.0));
}

/* ---- pass ---- */

static bool pass_once(unsigned delay)
{
	struct ask holder = {.weight = 1, .end = END_HOLD};
	struct ask waiter = {.weight = 1, .usec = 2000, .end = END_EXIT};
	struct ask passer = {.weight = 1, .end = END_EXIT, .once = true};
	const struct place *p = storm.board->place;
	board_clear();
	actor_start(&holder);
	if (!actor_seen_in(0) || !actor_seen_waiting(actor_start(&waiter)))
		return false;
	actor_start(&passer);
	uint64_t until = now_ns() + delay * 1000ull;
	while (now_ns() < until)
		;
	actor_end(0);
	actors_drain();
	return p[2].began && p[2].began < p[1].began;
}

/* Who does not wait comes just when a permit goes to one who does. */
void scenario_pass(void)
{
	uint64_t s = storm.seed;
	unsigned passed = 0;
	sem_fresh();
	for (unsigned r = 0; r < storm.rounds && !storm.stuck; r++)
		passed += pass_once(below(&s, 200));
	actors_kill_all();
	sem_settle();
	/* With posix it is the kernel's luck. */
	if (strcmp(storm.kind, "posix") != 0)
		storm.disorder += passed;
	printf(" rounds=%u passed=%u", storm.rounds, passed);
}

/* ---- heavy ---- */

enum { LIGHTS = 12, LIGHT_USEC = 2000, STARVED = 100 };

static void keep_lights_going(void)
{
	struct ask light = {.weight = 1, .usec = LIGHT_USEC, .end = END_EXIT};
	while (actors_left() < LIGHTS) {
		light.once = storm.board->jobs % 3 ==
			     0; /* who does not stand in line must not pass it */
		actor_start(&light);
	}
	if (!actors_turn(now_ns() + storm.patience, NULL))
		storm.stuck++;
}

/*
 * Jobs that began while the heavy one waited; those of them that came later than it; and those that came
 * when it was the head. Some may be later: the kernel wakes the first in line when a lock is free, and who
 * comes just then can be faster. One may be past the head, when that has left the line: it takes the one
 * permit that is left, and begins before the heavy one has got round to it.
 */
struct ahead {
	unsigned served, overtook, passed_head;
};

struct heavy {
	uint32_t seq;
	pid_t pid;
	uint64_t seen;           /* when it was seen to wait */
	uint32_t later, to_head; /* from this number on they came later; when it was the head */
};

static struct ahead count_lights(const struct heavy *h)
{
	const struct board *b = storm.board;
	struct ahead a = {0, 0, 0};
	for (uint32_t i = 0; i < b->jobs; i++) {
		uint64_t began = b->place[i].began;
		if (i == h->seq || began < h->seen || began > b->place[h->seq].began)
			continue;
		a.served++;
		a.overtook += i >= h->later;
		a.passed_head += i >= h->to_head;
	}
	return a;
}

static void await_heavy(struct heavy *h)
{
	const struct place *p = &storm.board->place[h->seq];
	uint64_t began = now_ns();
	while (!p->began && !awaits_permit(h->pid) && now_ns() - began < storm.patience)
		sched_yield();
	h->seen = now_ns();
	h->later = storm.board->jobs;
	h->to_head = UINT32_MAX;
	/* A starved one does not stop the stream: it is stuck when so many have been served. */
	while (!p->began && !storm.stuck && storm.board->jobs < MAX_JOBS - LIGHTS) {
		if (h->to_head == UINT32_MAX && awaits_slot(h->pid))
			h->to_head = storm.board->jobs;
		keep_lights_going();
	}
}

static struct ahead serve_heavy(void)
{
	struct heavy h;
	struct ask ask = {.weight = storm.permits - 1, .end = END_EXIT};
	board_clear();
	for (unsigned i = 0; i < 3 * LIGHTS; i++)
		keep_lights_going();
	h.seq = storm.board->jobs;
	h.pid = actor_start(&ask);
	await_heavy(&h);
	storm.stuck += !storm.board->place[h.seq].began && strcmp(storm.kind, "sysv") != 0;
	actors_drain();
	sem_settle();
	storm.overlaps += count_overlaps();
	return count_lights(&h);
}

static unsigned greater(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

void scenario_heavy(void)
{
	struct ahead most = {0, 0, 0};
	unsigned long sum = 0;
	unsigned rounds = 0;
	sem_fresh();
	while (rounds < storm.rounds && !storm.stuck) {
		struct ahead a = serve_heavy();
		rounds++;
		sum += a.served;
		most.served = greater(most.served, a.served);
		most.overtook = greater(most.overtook, a.overtook);
		most.passed_head = greater(most.passed_head, a.passed_head);
		/* System V promises nothing to those that want many. */
		if (strcmp(storm.kind, "sysv") != 0)
			storm.disorder += a.overtook > STARVED || a.passed_head > 1;
	}
	printf(" heavy=%u lights_before=%.1f most_lights=%u most_overtook=%u most_passed_head=%u",
	       rounds, (double)sum / rounds, most.served, most.overtook, most.passed_head);
}
