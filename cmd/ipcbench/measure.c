/* SPDX-License-Identifier: MIT */
/*
 * One measurement: two processes, a channel, and several repetitions.
 *
 * 1. Make the channel, before anything else: it is inherited, and needs no name any more.
 * 2. Fork both sides. Each goes where it shall run, and says so to the other (meet).
 * 3. If nobody has said how many blocks, they find out how many take about as long as wanted.
 * 4. Before each timed repetition as many blocks are sent with every byte of them checked. In the timed ones it is
 *    the number of each block that is checked, which costs next to nothing. After either comes one more
 *    block, so that the loss of the last one is noticed.
 * 5. The clock starts in the sender, when both are ready, and stops in the receiver, when it has the last block.
 *
 * Results are in shared memory as soon as they are there, so that a stop, or the death of a side, leaves those
 * that came before.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "block.h"
#include "child.h"
#include "exitcode.h"
#include "stop.h"

/* What both sides and we see. */
struct shared {
	atomic_flag failed; /* by whoever was first */
	_Atomic uint64_t turn;
	_Atomic uint64_t blocks;
	_Atomic unsigned done;
	char why[300];
	struct repetition trial;
	struct histogram trips;
	struct repetition repetition[];
};

/* One of the two processes. */
struct process {
	const struct plan *plan;
	struct shared *shared;
	struct channel *there, *back; /* the same if it serves both ways */
	enum side side;
	int meet;
	char *block;
	char *spare;   /* the sender's second, see send_ahead() */
	uint64_t next; /* number of a block */
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static bool two_channels(const struct plan *p)
{
	return p->latency && !(p->facility->is->caps & BOTH_WAYS);
}

/* --- in the two processes --- */

__attribute__((noreturn, format(printf, 3, 4))) static void fail(struct process *p, int status,
								 const char *format, ...)
{
	va_list args;
	if (!atomic_flag_test_and_set(&p->shared->failed)) {
		va_start(args, format);
		vsnprintf(p->shared->why, sizeof(p->shared->why), format, args);
		va_end(args);
	}
	_exit(status);
}

/*
 * A process that dies lets go of its locks and descriptors before anybody is told: so it is given time to be
 * quite dead.
 */
static bool other_has_died(const struct process *p)
{
	struct pollfd fd = {.fd = p->meet};
	return poll(&fd, 1, 10000) > 0;
}

static bool may_be_death(int r)
{
	return r == -ENOTCONN || r == -ECONNABORTED || r == -ECONNRESET || r == -ENODEV ||
	       r == -EPIPE;
}

static void must(struct process *p, int r, const char *what)
{
	if (r == -ETIME)
		fail(p, EXIT_BAD_DATA, "a block was lost: nothing came for ten seconds");
	if (r == -EBADMSG || r == -EMSGSIZE)
		fail(p, EXIT_BAD_DATA, "a block was cut short");
	if (may_be_death(r) && other_has_died(p))
		_exit(EXIT_GONE);
	if (r)
		fail(p, EXIT_SYSTEM, "cannot %s: %s", what, strerror(-r));
}

/* If the other has died we wait for our own end, which is near. */
static void meet(struct process *p)
{
	char c = 0;
	if (send(p->meet, &c, 1, MSG_NOSIGNAL) != 1 || read(p->meet, &c, 1) != 1)
		_exit(EXIT_GONE);
}

static void take_usage(struct process *p, struct repetition *r, int sign)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	int64_t usec = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) +
		       u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	r->cpu[p->side] += sign * usec * 1000;
	r->switches[p->side] += sign * (u.ru_nvcsw + u.ru_nivcsw);
}

static void wrong_number(struct process *p, uint64_t number)
{
	size_t size = p->plan->size;
	fail(p, EXIT_BAD_DATA,
	     "block %llu came instead of block %llu: lost, twice, or out of order",
	     (unsigned long long)block_number(p->block, size),
	     (unsigned long long)block_number_in(size, number));
}

static void check_whole(struct process *p, uint64_t number)
{
	size_t size = p->plan->size;
	size_t at = block_first_wrong(p->block, size, number);
	if (at < block_number_bytes(size))
		wrong_number(p, number);
	if (at < size)
		fail(p, EXIT_BAD_DATA, "byte %zu of block %llu is not what was sent", at,
		     (unsigned long long)number);
}

static inline void put(struct process *p, struct channel *c, uint64_t number, bool whole)
{
	if (whole)
		block_fill(p->block, p->plan->size, number);
	else
		block_set_number(p->block, p->plan->size, number);
	int r = c->is->send(c, p->block, p->plan->size);
	if (r)
		must(p, r, "send");
}

static inline void get(struct process *p, struct channel *c, uint64_t number, bool whole)
{
	size_t size = p->plan->size;
	int r = c->is->recv(c, p->block, size);
	if (r)
		must(p, r, "receive");
	if (whole)
		check_whole(p, number);
	else if (p->plan->check && block_number(p->block, size) != block_number_in(size, number))
		wrong_number(p, number);
}

static void recv_whole(struct process *p, uint64_t n)
{
	for (; n; n--, p->next++)
		get(p, p->there, p->next, true);
}

static void send_each(struct process *p, uint64_t n, bool whole)
{
	for (; n; n--, p->next++)
		put(p, p->there, p->next, whole);
}

/*
 * The number of a block is written before the block ahead of it is sent, so there are two, in turn: to copy what was
 * written just now, in smaller pieces, the CPU must wait until it is in the cache, and in a ring of small blocks
 * that was half of the time.
 */
static void send_ahead(struct process *p, uint64_t n)
{
	struct channel *c = p->there;
	const size_t size = p->plan->size;
	char *block = p->block, *ahead = p->spare;
	block_set_number(block, size, p->next);
	for (; n; n--) {
		block_set_number(ahead, size, ++p->next);
		int r = c->is->send(c, block, size);
		if (r)
			must(p, r, "send");
		char *sent = block;
		block = ahead;
		ahead = sent;
	}
}

static void recv_numbered(struct process *p, uint64_t n)
{
	struct channel *c = p->there;
	const size_t size = p->plan->size;
	const bool check = p->plan->check;
	for (; n; n--, p->next++) {
		int r = c->is->recv(c, p->block, size);
		if (r)
			must(p, r, "receive");
		if (check && block_number(p->block, size) != block_number_in(size, p->next))
			wrong_number(p, p->next);
	}
}

/* One way, as fast as it goes. */
static void stream(struct process *p, uint64_t n, bool whole, struct repetition *r)
{
	take_usage(p, r, -1);
	if (p->side == SENDER) {
		r->begin = now();
		if (whole || !p->spare)
			send_each(p, n, whole);
		else
			send_ahead(p, n);
	} else {
		if (whole)
			recv_whole(p, n);
		else
			recv_numbered(p, n);
		r->end = now();
	}
	take_usage(p, r, 1);
	if (p->side == SENDER)
		put(p, p->there, p->next, false);
	else
		get(p, p->there, p->next, false);
	p->next++;
}

/* Without data, a count in shared memory tells whether it was the other who let us go on. */
static void check_turn(struct process *p, uint64_t expected)
{
	uint64_t turn = atomic_load(&p->shared->turn);
	if (turn == expected)
		return;
	if (other_has_died(p))
		_exit(EXIT_GONE);
	fail(p, EXIT_BAD_DATA, "turn %llu came instead of turn %llu", (unsigned long long)turn,
	     (unsigned long long)expected);
}

static inline void ping(struct process *p, uint64_t number, bool whole, bool data)
{
	if (data) {
		put(p, p->there, number, whole);
		get(p, p->back, number, whole);
		return;
	}
	if (whole)
		atomic_store(&p->shared->turn, 2 * number + 1);
	must(p, p->there->is->send(p->there, p->block, 0), "send");
	must(p, p->back->is->recv(p->back, p->block, 0), "receive");
	if (whole)
		check_turn(p, 2 * number + 2);
}

static inline void pong(struct process *p, uint64_t number, bool whole, bool data)
{
	if (data) {
		get(p, p->there, number, whole);
		put(p, p->back, number, whole);
		return;
	}
	must(p, p->there->is->recv(p->there, p->block, 0), "receive");
	if (whole) {
		check_turn(p, 2 * number + 1);
		atomic_store(&p->shared->turn, 2 * number + 2);
	}
	must(p, p->back->is->send(p->back, p->block, 0), "send");
}

/* There and back, one at a time; each trip is timed, if R is not just a trial. */
static void exchange(struct process *p, uint64_t n, bool whole, struct repetition *r)
{
	const uint64_t end = p->next + n;
	const bool data = p->there->is->caps & CARRIES;
	struct histogram *trips = r == &p->shared->trial ? NULL : &p->shared->trips;
	take_usage(p, r, -1);
	if (p->side == SENDER) {
		int64_t before = r->begin = now();
		for (; p->next < end; p->next++) {
			ping(p, p->next, whole, data);
			int64_t after = now();
			if (trips)
				histogram_add(trips, (uint64_t)(after - before));
			before = after;
		}
		r->end = before;
	} else {
		for (; p->next < end; p->next++)
			pong(p, p->next, whole, data);
	}
	take_usage(p, r, 1);
}

static void pass(struct process *p, uint64_t n, bool whole, struct repetition *r)
{
	meet(p);
	if (p->plan->latency)
		exchange(p, n, whole, r);
	else
		stream(p, n, whole, r);
	meet(p);
}

/* How many blocks take as long as a repetition shall: both come to the same result. */
static uint64_t choose_blocks(struct process *p)
{
	const int64_t wanted = p->plan->nsec;
	struct repetition *r = &p->shared->trial;
	if (p->plan->blocks)
		return p->plan->blocks;
	for (uint64_t n = 1;; n *= 4) {
		int64_t took = INT64_MAX; /* the shortest of three: others may have had the CPU */
		for (int i = 0; i < 3; i++) {
			pass(p, n, false, r);
			took = r->end - r->begin < took ? r->end - r->begin : took;
			meet(p);
		}
		if (took >= wanted / 4 || n >= UINT64_C(1) << 40) {
			double fit = (double)n * (double)wanted / (double)(took > 0 ? took : 1);
			return fit < 1 ? 1 : (uint64_t)fit;
		}
	}
}

enum { PAGE = 4096 };

/* From the start of a page, as the speed of a copy depends on where it begins; with room for the transport before. */
static char *block_room(struct process *p)
{
	size_t size = (p->plan->size + PAGE - 1) / PAGE * PAGE;
	char *room = aligned_alloc(PAGE, PAGE + size);
	if (!room)
		fail(p, EXIT_SYSTEM, "cannot hold a block: %s", strerror(errno));
	memset(room + PAGE, 0, size);
	return room + PAGE;
}

__attribute__((noreturn)) static void run_side(struct process *p, struct channel *other)
{
	prctl(PR_SET_NAME, p->side == SENDER ? "ipcbench-send" : "ipcbench-recv");
	int r = place_pin(p->plan->place, (int)p->side);
	must(p, r, "go to the CPU wanted");
	p->block = block_room(p);
	/* A second large block would only take the cache from others. */
	p->spare = p->side == SENDER && p->plan->size <= PAGE ? block_room(p) : NULL;
	must(p, channel_join(p->there, p->side), "use the channel");
	if (p->back == other)
		must(p, channel_join(other, !p->side), "use the channel");
	meet(p);
	uint64_t n = choose_blocks(p);
	atomic_store(&p->shared->blocks, n);
	if (!p->plan->check)
		pass(p, n, false, &p->shared->trial);
	for (unsigned i = 0; i < p->plan->repetitions; i++) {
		if (p->plan->check)
			pass(p, n, true, &p->shared->trial);
		pass(p, n, false, &p->shared->repetition[i]);
		if (p->side == SENDER)
			atomic_store(&p->shared->done, i + 1);
	}
	_exit(EXIT_DONE);
}

/* --- in ours --- */

static const char *side_name(int side)
{
	return side == SENDER ? "sender" : "receiver";
}

static bool is_stop(int status)
{
	return status == EXIT_SIGNAL + 1 || status == EXIT_SIGNAL + 2 || status == EXIT_SIGNAL + 15;
}

static void set_outcome(struct row *row, enum outcome outcome, int status, const char *why)
{
	row->outcome = outcome;
	row->status = status;
	snprintf(row->why, sizeof(row->why), "%s", why);
}

static void side_failed(struct row *row, struct shared *s, int side, int status)
{
	char text[100];
	if (atomic_flag_test_and_set(&s->failed)) {
		set_outcome(row, FAILED, status, s->why);
	} else if (stop_wanted() || is_stop(status)) {
		set_outcome(row, STOPPED, status, "stopped");
	} else {
		snprintf(text, sizeof(text), "the %s was killed by signal %d", side_name(side),
			 status - EXIT_SIGNAL);
		set_outcome(row, FAILED, EXIT_GONE, text);
	}
}

/* EXIT_GONE is not: that side only saw the other's end, of which we shall hear. */
static bool is_cause(int status)
{
	return status && status != EXIT_GONE;
}

/*
 * Until both have ended. Of a side that has failed the other learns nothing, as all ends of the channel are
 * ours too: it is killed.
 */
static void watch(const struct plan *p, struct row *row, struct shared *s, const int *pid,
		  measure_progress *progress)
{
	struct pollfd fds[2] = {{.fd = child_open(pid[0]), .events = POLLIN},
				{.fd = child_open(pid[1]), .events = POLLIN}};
	bool gone[2] = {false, false};
	bool killed = fds[0].fd < 0 || fds[1].fd < 0;
	int status[2] = {0, 0};
	if (killed)
		set_outcome(row, FAILED, EXIT_SYSTEM, "cannot watch a process: Linux 5.3 can");
	while (!gone[0] || !gone[1]) {
		if (stop_wanted() || is_cause(status[0]) || is_cause(status[1]))
			killed = true;
		for (int i = 0; i < 2; i++)
			if (killed && !gone[i])
				child_kill_one(pid[i]);
		if (!killed && poll(fds, 2, progress ? 500 : -1) == 0 && progress)
			progress(p, atomic_load(&s->done));
		for (int i = 0; i < 2; i++) {
			if (gone[i] || (!killed && !(fds[i].revents & POLLIN)))
				continue;
			bool by_us = killed;
			int end = child_join(pid[i]);
			gone[i] = true;
			close(fds[i].fd);
			fds[i].fd = -1;
			if (!by_us || end != EXIT_SIGNAL + 9)
				status[i] = end;
		}
	}
	if (row->outcome == FAILED)
		return;
	if (is_cause(status[0]) || is_cause(status[1]))
		side_failed(row, s, is_cause(status[0]) ? 0 : 1, status[!is_cause(status[0])]);
	else if (killed)
		set_outcome(row, STOPPED, 0, "stopped");
	else if (status[0] || status[1])
		set_outcome(row, FAILED, EXIT_GONE, "the two processes have lost each other");
}

static void run_both(const struct plan *p, struct row *row, struct shared *s, struct channel *c,
		     measure_progress *progress)
{
	int ends[2];
	int pid[2] = {-1, -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
		set_outcome(row, FAILED, EXIT_SYSTEM, "cannot make a pair of sockets");
		return;
	}
	fflush(stdout);
	for (int i = 0; i < 2 && (i == 0 || pid[0] > 0); i++) {
		pid[i] = child_fork();
		if (pid[i] == 0) {
			struct process me = {.plan = p, .shared = s, .side = (enum side)i};
			me.there = &c[0];
			me.back = &c[two_channels(p)];
			me.meet = ends[i];
			close(ends[!i]);
			run_side(&me, &c[1]);
		}
	}
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < (two_channels(p) ? 2 : 1); i++)
		if (c[i].is->leave)
			c[i].is->leave(&c[i]);
	if (pid[1] > 0) {
		watch(p, row, s, pid, progress);
		return;
	}
	if (pid[0] > 0) {
		child_kill_one(pid[0]);
		child_join(pid[0]);
	}
	set_outcome(row, FAILED, EXIT_SYSTEM, "cannot start a process: see ulimit -u");
}

static void keep_results(struct row *row, const struct shared *s)
{
	size_t size = sizeof(struct repetition) * row->plan.repetitions;
	row->done = atomic_load(&s->done);
	row->blocks = atomic_load(&s->blocks);
	row->repetition = malloc(size);
	row->trips = malloc(sizeof(*row->trips));
	if (!row->repetition || !row->trips) {
		row->done = 0;
		set_outcome(row, FAILED, EXIT_SYSTEM, "cannot keep the results: out of memory");
		return;
	}
	memcpy(row->repetition, s->repetition, size);
	*row->trips = s->trips;
}

void measure(const struct plan *p, struct row *row, measure_progress *progress)
{
	struct channel c[2];
	size_t size = sizeof(struct shared) + p->repetitions * sizeof(struct repetition);
	const bool two = two_channels(p);
	*row = (struct row){.plan = *p};
	struct shared *s =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED) {
		set_outcome(row, FAILED, EXIT_SYSTEM, "cannot share memory");
		return;
	}
	if (channel_open(&c[0], p->facility->is, p->size)) {
		set_outcome(row, REFUSED, EXIT_SYSTEM, c[0].why);
	} else {
		if (two && channel_open(&c[1], p->facility->is, p->size)) {
			set_outcome(row, REFUSED, EXIT_SYSTEM, c[1].why);
		} else {
			c[0].apart = c[1].apart =
				p->place != PLACE_SAME && place_possible(PLACE_CROSS);
			run_both(p, row, s, c, progress);
			if (two)
				channel_close(&c[1]);
		}
		row->depth = c[0].depth;
		channel_close(&c[0]);
	}
	keep_results(row, s);
	munmap(s, size);
}
