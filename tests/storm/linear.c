/* SPDX-License-Identifier: MIT */
/*
 * Records histories of a semaphore or a queue of libsync, for linear-check:
 * linear [-s SEED] [-r ROUNDS] [-f] sem|line|prio NAME
 *
 * In each round a new object, and CLIENTS processes that begin at once, each with OPS operations, which they
 * write into memory that all share: before the call, and after. One of five is killed in the midst, by a timer of
 * its own, at a random moment of a random operation. At last we look ourselves at what is left.
 *
 * A timed wait for a permit that ends without one says nothing about the permits, only about the time: it is not
 * written down. Permits of a pool have owners: those of the killed are posted by the kernel between the kill and
 * its wait4(2). In a pool a try may fail for one who waits, and so counts only if nobody waited meanwhile;
 * its value is looked at only in the end.
 *
 * -f plants a fault: one client posts, or sends, all twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libsync.h"

enum { CLIENTS = 6, OPS = 8, PERMITS = 2, CAPACITY = 4, SIZE = 64 };
enum what { TAKE, TRY, POST, VALUE, SEND, RECV };

struct op {
	_Atomic uint64_t begin, end;
	_Atomic int result; /* 0, or a message; -errno */
	enum what what;
	unsigned value; /* the message's */
	long number;
	bool now;
};

struct client {
	struct op op[OPS];
	bool killed;
	uint64_t reaped;
};

static struct client *clients; /* shared */
static bool is_sem, is_pool, is_prio, faulty;
static const char *kind, *name;
static struct sync_sem *sem;
static struct sync_queue *queue;
static unsigned long operations, kills;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void give_up(const char *what, int r)
{
	fprintf(stderr, "linear: cannot %s %s: %s\n", what, name, strerror(-r));
	bool limit = r == -EMFILE || r == -ENOSPC;
	/* This system, or this build, has none. */
	exit(limit || r == -EOPNOTSUPP || r == -ENOSYS || r == -ENODEV ? 77 : 1);
}

/* ---- the object ---- */

static void open_object(bool create)
{
	int r;
	if (is_sem) {
		struct sync_sem_opts opts = {
			.flags = create ? SYNC_SEM_CREATE : 0,
			.initial = PERMITS,
		};
		r = sync_sem_open(name, &opts, &sem);
	} else {
		struct sync_queue_opts opts = {
			.flags = SYNC_QUEUE_SEND | SYNC_QUEUE_RECV |
				 (create ? SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW : 0),
			.capacity = CAPACITY,
			.size = SIZE,
		};
		r = sync_queue_open(name, &opts, &queue);
	}
	if (r)
		give_up("open", r);
}

static void close_object(bool remove)
{
	if (is_sem) {
		if (remove)
			(void)sync_sem_unlink(sem);
		sync_sem_close(sem);
	} else {
		if (remove)
			(void)sync_queue_unlink(queue);
		sync_queue_close(queue);
	}
}

static int value(void)
{
	struct sync_sem_state state = {0};
	int r = sync_sem_state(sem, &state);
	return r ? r : (int)state.value;
}

static int send_message(const struct op *op, const struct timespec *deadline)
{
	unsigned char text[SIZE] = {(unsigned char)op->value};
	return sync_queue_send(queue, text, sizeof(text), op->number, deadline);
}

static int receive(const struct timespec *deadline)
{
	unsigned char text[SIZE] = {0};
	ssize_t n = sync_queue_recv(queue, text, sizeof(text), NULL, deadline, NULL);
	return n < 0 ? (int)n : text[0];
}

static int perform(const struct op *op)
{
	struct timespec soon;
	const struct timespec *deadline = SYNC_NOW;
	if (!op->now) {
		sync_deadline_in(2000000, &soon);
		deadline = &soon;
	}
	switch (op->what) {
	case TAKE:
	case TRY:
		return sync_sem_wait(sem, 1, is_pool ? SYNC_SEM_OWNED : 0, deadline);
	case POST:
		return is_pool ? sync_sem_release(sem) : sync_sem_post(sem, 1, 0);
	case VALUE:
		return value();
	case SEND:
		return send_message(op, deadline);
	default:
		return receive(deadline);
	}
}

/* ---- a client ---- */

static void plan(struct client *c, unsigned me)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < OPS; i++) {
		struct op *op = &c->op[i];
		unsigned r = (unsigned)rand();
		op->now = r % 2;
		if (is_sem) {
			op->what = r / 2 % 16 < 6 ? TAKE : r / 2 % 16 < 13 ? POST : VALUE;
			if (op->what == TAKE && op->now)
				op->what = TRY;
		} else {
			op->what = r / 2 % 2 ? SEND : RECV;
			op->value = 1 + me * OPS + i;
			op->number = 1 + r / 4 % 3;
		}
	}
}

static void make_patient(struct op *op)
{
	op->now = false;
	if (op->what == TRY)
		op->what = TAKE;
}

/* SIGKILL for ourselves, some microseconds from now. */
static void arm(unsigned usec)
{
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec when = {.it_value.tv_nsec = 1 + usec * 1000};
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &when, NULL))
		raise(SIGKILL);
}

static _Noreturn void run_client(struct client *c, int gate, unsigned victim, unsigned usec)
{
	char byte;
	bool has = false;
	open_object(false);
	(void)!read(gate, &byte, 1); /* all begin when it is closed */
	for (unsigned i = 0; i < OPS; i++) {
		struct op *op = &c->op[i];
		/* An owner gives back what it has. */
		if (is_pool)
			op->what = has ? POST : op->now ? TRY : TAKE;
		if (c->killed && i == victim)
			arm(usec);
		atomic_store(&op->begin, now());
		int r = perform(op);
		if (faulty && c == clients && (op->what == POST || op->what == SEND))
			r = perform(op);
		atomic_store(&op->result, r);
		atomic_store(&op->end, now());
		if (r < 0 && r != -ETIMEDOUT)
			give_up("use", r);
		has = !r && (op->what == TAKE || op->what == TRY);
	}
	while (c->killed)
		pause();
	/* Not by exit: what the last one has goes back by our own hand, or is posted in the end. */
	_exit(0);
}

/* ---- a history ---- */

static bool waited_meanwhile(const struct client *self, const struct op *op)
{
	/* A try waits a second for who takes a permit at this moment, and then says no. */
	if (op->end - op->begin > 900000000)
		return true;
	for (unsigned i = 0; i < CLIENTS; i++)
		for (unsigned k = 0; k < OPS; k++) {
			const struct op *other = &clients[i].op[k];
			uint64_t end = other->end ? other->end : clients[i].reaped;
			if (&clients[i] != self && other->what == TAKE && other->begin &&
			    other->begin <= op->end && end >= op->begin)
				return true;
		}
	return false;
}

static void print_op(const struct client *c, const struct op *op)
{
	char end[24] = "-";
	int r = op->result;
	if (op->end)
		snprintf(end, sizeof(end), "%" PRIu64, op->end);
	bool killed = !op->end;
	switch (op->what) {
	case TAKE:
	case TRY:
		if (!killed && r && (op->what == TAKE || (is_pool && waited_meanwhile(c, op))))
			return;
		printf("%" PRIu64 " %s take %s\n", op->begin, end, r ? "none" : "ok");
		break;
	case POST:
		/* The kernel does what the owner could not. */
		if (killed && is_pool)
			snprintf(end, sizeof(end), "%" PRIu64, c->reaped);
		printf("%" PRIu64 " %s post ok\n", op->begin, end);
		break;
	case VALUE:
		if (killed)
			return;
		printf("%" PRIu64 " %s value %d\n", op->begin, end, r);
		break;
	case SEND:
		printf("%" PRIu64 " %s send %u %ld %s\n", op->begin, end, op->value,
		       is_prio ? op->number : 1, r ? "full" : "ok");
		break;
	default:
		if (r < 0)
			printf("%" PRIu64 " %s recv none\n", op->begin, end);
		else
			printf("%" PRIu64 " %s recv %d\n", op->begin, end, r);
	}
	operations++;
}

/* What a pool's owner has at its end, killed or not, the kernel posts. */
static void print_return(const struct client *c)
{
	const struct op *last = NULL;
	for (unsigned i = 0; i < OPS; i++)
		if (c->op[i].begin)
			last = &c->op[i];
	if (!is_pool || !last || (last->what != TAKE && last->what != TRY))
		return;
	if (!last->end)
		printf("%" PRIu64 " - post ok\n", last->begin); /* if it had taken one */
	else if (!last->result)
		printf("%" PRIu64 " %" PRIu64 " post ok\n", last->end, c->reaped);
}

static void print_history(unsigned long round, unsigned seed)
{
	printf("history %s %u %s round %lu seed %u\n", kind, is_sem ? PERMITS : CAPACITY, name,
	       round, seed);
	for (unsigned i = 0; i < CLIENTS; i++) {
		for (unsigned k = 0; k < OPS && clients[i].op[k].begin; k++)
			print_op(&clients[i], &clients[i].op[k]);
		print_return(&clients[i]);
	}
	/* All have ended. */
	uint64_t t = now();
	if (is_sem) {
		printf("%" PRIu64 " %" PRIu64 " value %d\n", t, t + 1, value());
		return;
	}
	int r;
	do {
		r = receive(SYNC_NOW);
		if (r < 0)
			printf("%" PRIu64 " %" PRIu64 " recv none\n", t, t + 1);
		else
			printf("%" PRIu64 " %" PRIu64 " recv %d\n", t, t + 1, r);
		t += 2;
	} while (r > 0);
}

static void run_round(unsigned long round, unsigned seed)
{
	pid_t pid[CLIENTS];
	int gate[2];
	srand(seed);
	open_object(true);
	if (pipe(gate))
		give_up("make a pipe for", -errno);
	for (unsigned i = 0; i < CLIENTS; i++) {
		plan(&clients[i], i);
		clients[i].killed = rand() % 5 == 0;
		unsigned victim = (unsigned)rand() % (OPS - 2);
		unsigned usec = (unsigned)rand() % (rand() % 2 ? 4 : 100);
		/* It is to be hit while it waits, too. */
		for (unsigned k = victim; clients[i].killed && k < OPS; k++)
			make_patient(&clients[i].op[k]);
		pid[i] = fork();
		if (pid[i] < 0)
			give_up("fork for", -errno);
		if (!pid[i]) {
			close(gate[1]);
			close_object(false);
			run_client(&clients[i], gate[0], victim, usec);
		}
	}
	close(gate[0]);
	close(gate[1]);
	int failed = 0;
	for (unsigned i = 0; i < CLIENTS; i++) {
		int status;
		waitpid(pid[i], &status, 0);
		clients[i].reaped = now();
		kills += clients[i].killed;
		if (WIFEXITED(status) && WEXITSTATUS(status))
			failed = WEXITSTATUS(status);
	}
	if (!failed)
		print_history(round, seed);
	close_object(true);
	if (failed)
		exit(failed);
}

int main(int argc, char **argv)
{
	unsigned seed = 1;
	unsigned long rounds = 10;
	int c;
	while ((c = getopt(argc, argv, "s:r:f")) != -1) {
		if (c == 's')
			seed = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else if (c == 'f')
			faulty = true;
		else
			return 64;
	}
	if (argc - optind != 2)
		return 64;
	kind = argv[optind];
	name = argv[optind + 1];
	is_sem = !strcmp(kind, "sem");
	is_prio = !strcmp(kind, "prio");
	is_pool = !strncmp(name, "pool:", 5);
	clients = mmap(NULL, sizeof(*clients) * CLIENTS, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (clients == MAP_FAILED)
		give_up("get memory for", -errno);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (unsigned long i = 0; i < rounds; i++) {
		/* Nothing of it may be in the children's buffers. */
		fflush(stdout);
		run_round(i, seed + (unsigned)i);
	}
	fprintf(stderr, "recorded: name=%s rounds=%lu operations=%lu kills=%lu\n", name, rounds,
		operations, kills);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
