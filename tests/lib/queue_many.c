/* SPDX-License-Identifier: MIT */
/* Queues among many processes, some of them killed: nothing twice, and lost only what a kill took. */
#include "queueutil.h"

#define SIDE 4       /* senders, and receivers at a time */
#define KILLS 6      /* receivers that are killed, and replaced */
#define TOTAL 40000  /* messages with kills */
#define STORMY 10000 /* messages among signals */
#define CAPACITY 8   /* of the queue with kills; else 1 */
#define LAST (-1)    /* the message that ends a receiver */
#define STORM_US 200 /* between signals */
#define STEP_MS 1    /* of those who wait with short deadlines */

/* What receivers tell; a kill between receiving and telling loses one message. */
struct tally {
	int received;  /* messages in all */
	int disorders; /* a receiver got two of one sender's the wrong way round */
	int strange;   /* not as sent, or a call failed */
	unsigned char times[TOTAL];
};

static struct tally *tally;

static void add(int *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

struct parcel {
	int number, sender, check;
};

/* Every kid has a habit of its own, so that all ways to wait meet. */
static const struct timespec *habit(int which, struct timespec *room)
{
	return in_ms(which % 3 == 0 ? FOREVER : which % 3 == 1 ? STEP_MS : LIMIT_MS, room);
}

static void start_storm(void)
{
	struct sigaction sa = {.sa_handler = count_signal};
	struct itimerval storm = {{0, STORM_US}, {0, STORM_US}};
	if (sigaction(SIGALRM, &sa, NULL) || setitimer(ITIMER_REAL, &storm, NULL))
		add(&tally->strange);
}

static bool again(int r)
{
	return r == -EINTR || r == -ETIMEDOUT;
}

static struct sync_queue *open_or_die(unsigned flags)
{
	struct sync_queue *q;
	if (open_queue_tag("many", flags, &q)) {
		add(&tally->strange);
		_exit(1);
	}
	return q;
}

static void run_sender(int which, int total)
{
	struct sync_queue *q = open_or_die(SYNC_QUEUE_SEND);
	struct timespec room;
	for (int i = which; i < total; i += SIDE) {
		struct parcel p = {i, which, ~i};
		int r;
		do
			r = sync_queue_send(q, &p, sizeof(p), 1, habit(which, &room));
		while (again(r));
		if (r)
			add(&tally->strange);
	}
	sync_queue_close(q);
	_exit(0);
}

static void note(const struct parcel *p, int total, int *latest)
{
	if (p->number < 0 || p->number >= total || p->check != ~p->number ||
	    p->sender != p->number % SIDE) {
		add(&tally->strange);
		return;
	}
	__atomic_fetch_add(&tally->times[p->number], 1, __ATOMIC_SEQ_CST);
	add(&tally->received);
	if (p->number <= latest[p->sender])
		add(&tally->disorders);
	latest[p->sender] = p->number;
}

static void run_receiver(int which, int total)
{
	struct sync_queue *q = open_or_die(SYNC_QUEUE_RECV);
	int latest[SIDE] = {-1, -1, -1, -1};
	struct timespec room;
	for (;;) {
		struct parcel p;
		char buf[SMALL];
		ssize_t n;
		do
			n = sync_queue_recv(q, buf, sizeof(buf), NULL, habit(which, &room), NULL);
		while (again((int)n));
		if (n != sizeof(p)) {
			add(&tally->strange);
			_exit(1);
		}
		memcpy(&p, buf, sizeof(p));
		if (p.number == LAST)
			_exit(0);
		note(&p, total, latest);
	}
}

static pid_t start(void (*run)(int, int), int which, int total, bool storm)
{
	pid_t pid = fork_kid();
	if (pid)
		return pid;
	if (storm)
		start_storm();
	run(which, total);
	_exit(1);
}

static bool ends_well(pid_t pid)
{
	int status = -1;
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* At random times, but spread over the work. */
static int kill_some(pid_t *receivers, int total)
{
	int done = 0;
	for (int i = 0; i < KILLS; i++) {
		int when = (i * total + rand() % total) / (KILLS + 1);
		int status = -1;
		pid_t *victim = &receivers[rand() % SIDE];
		need(until(__atomic_load_n(&tally->received, __ATOMIC_SEQ_CST) >= when),
		     "receive on");
		kill(*victim, SIGKILL);
		done += waitpid(*victim, &status, 0) == *victim && WIFSIGNALED(status);
		*victim = start(run_receiver, i, total, false);
	}
	return done;
}

static void send_last(struct sync_queue *q)
{
	struct parcel p = {.number = LAST};
	struct timespec room;
	for (int i = 0; i < SIDE; i++)
		need(sync_queue_send(q, &p, sizeof(p), 1, in_ms(LIMIT_MS, &room)) == 0,
		     "send the last");
}

/* How many receivers were killed. */
static int run_all(struct sync_queue *q, int total, bool storm, bool kills)
{
	pid_t senders[SIDE];
	pid_t receivers[SIDE];
	int killed = 0;
	int bad = 0;
	memset(tally, 0, sizeof(*tally));
	for (int i = 0; i < SIDE; i++) {
		receivers[i] = start(run_receiver, i, total, storm);
		senders[i] = start(run_sender, i, total, storm);
	}
	if (kills)
		killed = kill_some(receivers, total);
	for (int i = 0; i < SIDE; i++)
		bad += !ends_well(senders[i]);
	send_last(q);
	for (int i = 0; i < SIDE; i++)
		bad += !ends_well(receivers[i]);
	is(bad, 0, "all senders and receivers come to their end");
	is(messages(q), 0, "nothing is left in the queue");
	is(tally->strange, 0, "every message is as it was sent");
	is(tally->disorders, 0, "no receiver sees two of a sender the wrong way round");
	return killed;
}

static void count_up(int total, int *lost, int *twice)
{
	*lost = *twice = 0;
	for (int i = 0; i < total; i++) {
		*lost += !tally->times[i];
		*twice += tally->times[i] > 1;
	}
}

static struct sync_queue *make_many(unsigned capacity)
{
	struct sync_queue *q = NULL;
	int r = open_sized("many", SYNC_QUEUE_CREATE | BOTH, capacity, SMALL, &q);
	if (r)
		bail_queue(r, "many");
	return q;
}

static void among_signals(void)
{
	int lost;
	int twice;
	struct sync_queue *q = make_many(1);
	run_all(q, rounds(STORMY), true, false);
	count_up(rounds(STORMY), &lost, &twice);
	is(lost, 0, "no message is lost in a storm of signals and short deadlines");
	is(twice, 0, "nor is there one twice");
	unlink_queue(q);
}

static void with_kills(void)
{
	int lost;
	int twice;
	struct sync_queue *q = make_many(CAPACITY);
	int killed = run_all(q, rounds(TOTAL), false, true);
	count_up(rounds(TOTAL), &lost, &twice);
	is(killed, KILLS, "receivers were killed at work");
	printf("# %s: %d killed, %d lost\n", scheme, killed, lost);
	claim(lost <= killed, "at most one message is lost per kill");
	is(twice, 0, "and none is there twice");
	unlink_queue(q);
}

int main(void)
{
	static void (*const tests[])(void) = {among_signals, with_kills};
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (tally == MAP_FAILED) {
		printf("Bail out! mmap: %s\n", strerror(errno));
		return 1;
	}
	srand((unsigned)getpid());
	return run_queue_suite(tests, LENGTH(tests));
}
