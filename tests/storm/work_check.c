/* SPDX-License-Identifier: MIT */
/*
 * What a work storm has left (work.c) is looked through. Prints figures, those of faults last:
 *	again		jobs that were run again because their worker was killed
 *	twice		jobs done more often than once, for that reason
 *	retried		runs that were killed, and tried again
 *	flying		jobs that killed workers had in hand
 *	overlap		with a journal: runs that still wrote a line when the next had begun. The kernel frees the dead
 *			worker's files first, and only then kills its job: a moment, and no fault.
 *	lost		jobs that were never done: none with a journal; without one, no more than were flying
 *	needless	runs of a job that was done, whose worker was not killed
 *	forgotten	with a journal: jobs whose worker was killed, and which nobody has run again
 *	attempt		with a journal: runs whose MQPIPE_ATTEMPT is not higher than that of the run before, though
 *			the job was not put back, which begins anew
 *	strange		lines that make no sense; runs that no worker knows
 * Usage, where it lies: work-check. Status 1: there is a fault.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum end { UNKNOWN, STARTED, RETRY, PUT_BACK, DEAD, DONE };

/* One process of a job. */
struct run {
	unsigned long number; /* of the job */
	unsigned attempt, worker;
	int pid;
	unsigned long begun, ended; /* lines of the log; 0: not */
	enum end end;
};

static unsigned long jobs, again_all, twice, retried, flying, lost, needless, forgotten, overlap,
	attempt, strange;
static unsigned long
	unseen; /* jobs that were put back though no line of the log tells that they had begun */
static int journal;
static bool *killed, *late; /* by worker */
static unsigned workers;
static struct run *runs;
static size_t count;

static void *room(void *p, size_t n, size_t size)
{
	p = n & (n - 1) ? p : realloc(p, (n ? 2 * n : 1) * size);
	if (!p)
		exit(2);
	return p;
}

static FILE *must_open(const char *name)
{
	FILE *f = fopen(name, "re");
	if (!f) {
		perror(name);
		exit(2);
	}
	return f;
}

static void read_manifest(void)
{
	FILE *f = must_open("manifest");
	char how[16];
	unsigned n;
	if (fscanf(f, "jobs %lu journal %d", &jobs, &journal) != 2)
		exit(2);
	while (fscanf(f, "%15s %u", how, &n) == 2) {
		for (; workers <= n; workers++) {
			killed = room(killed, workers, sizeof(*killed));
			killed[workers] = false;
		}
		killed[n] = !strcmp(how, "killed");
	}
	fclose(f);
	late = calloc(workers + 1, sizeof(*late));
	if (!late)
		exit(2);
}

/* ---- runs, in the order in which they began ---- */

static struct run *find(unsigned worker, int pid)
{
	/* Pids may come again, but not to one worker; and it is one of the last. */
	for (size_t i = count; i-- > 0;)
		if (runs[i].worker == worker && runs[i].pid == pid)
			return &runs[i];
	return NULL;
}

static void read_log(void)
{
	FILE *f = must_open("log");
	char line[160];
	for (unsigned long at = 1; fgets(line, sizeof(line), f); at++) {
		struct run r = {.begun = at};
		char what[8];
		if (sscanf(line, "%7s %lu %u %u %d", what, &r.number, &r.attempt, &r.worker,
			   &r.pid) != 5 ||
		    r.number >= jobs || r.worker >= workers) {
			strange++;
		} else if (!strcmp(what, "begin")) {
			runs = room(runs, count, sizeof(*runs));
			runs[count++] = r;
		} else {
			struct run *begun = find(r.worker, r.pid);
			if (begun && begun->number == r.number)
				begun->ended = at;
			else
				strange++;
		}
	}
	fclose(f);
}

/* ---- what workers know of them ---- */

struct known {
	enum end end;
	int pid;
};

static enum end end_of(const char *event)
{
	static const char *const names[] = {"started", "retry", "put_back", "dead", "done"};
	for (int i = 0; i < 5; i++)
		if (!strcmp(event, names[i]))
			return (enum end)(STARTED + i);
	return UNKNOWN;
}

static void set_end(unsigned worker, int pid, enum end end)
{
	struct run *r = find(worker, pid);
	if (r)
		r->end = end;
	else if (end == PUT_BACK)
		unseen++;
}

static void read_events(unsigned worker)
{
	char path[64];
	char line[512];
	struct known *list = NULL;
	size_t n = 0;
	snprintf(path, sizeof(path), "events/%u", worker);
	FILE *f = fopen(path, "re");
	if (!f) {
		strange += !killed[worker];
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		char event[16];
		unsigned long job;
		int pid;
		/* A SIGKILL can cut a write in two where a page ends. */
		if (killed[worker] && !strchr(line, '\n'))
			break;
		if (sscanf(line,
			   "{\"event\":\"%15[a-z_]\",\"time\":%*[0-9.],\"job\":%lu,\"attempt\":%*u,"
			   "\"slot\":%*u,\"pid\":%d",
			   event, &job, &pid) != 3 ||
		    !job || job > 10 * jobs || !end_of(event)) {
			strange++;
			continue;
		}
		for (; n < job; n++) {
			list = room(list, n, sizeof(*list));
			list[n] = (struct known){0};
		}
		list[job - 1].end = end_of(event);
		set_end(worker, pid, end_of(event));
	}
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		bool open =
			list[i].end == STARTED || list[i].end == RETRY || list[i].end == UNKNOWN;
		flying += open && killed[worker];
		strange += open && !killed[worker];
	}
	/* It may have taken one and not come to say so. */
	flying += killed[worker];
	free(list);
}

/* ---- what has become of each ---- */

static int by_job(const void *va, const void *vb)
{
	const struct run *a = va;
	const struct run *b = vb;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->begun < b->begun ? -1 : a->begun > b->begun;
}

static void check_pair(const struct run *r, const struct run *next)
{
	const bool torn = killed[r->worker] && r->end != RETRY;
	if (r->end == RETRY && r->worker == next->worker)
		retried++;
	/* Killed between saying so and giving up the message: one at a time can be there. */
	if (r->end == DONE && (!killed[r->worker] || late[r->worker]))
		needless++;
	if (r->end == DONE)
		late[r->worker] = true;
	if (torn)
		again_all++;
	if (r->end < RETRY && !killed[r->worker])
		strange++;
	if (journal && r->ended > next->begun)
		overlap++;
	if (journal && next->attempt <= r->attempt && r->end != PUT_BACK)
		attempt++;
}

/* A run of a dead worker that came to say that it begins when the next one had, or several more. */
static void put_in_order(struct run *r, size_t n)
{
	for (size_t i = 1; journal && i < n; i++) {
		for (size_t k = i; k > 0 && killed[r[k].worker] &&
				   r[k].attempt < r[k - 1].attempt && r[k - 1].end != PUT_BACK;
		     k--) {
			struct run late_one = r[k];
			r[k] = r[k - 1];
			r[k - 1] = late_one;
			overlap += k == i && !late_one.ended;
		}
	}
}

static void check_job(struct run *r, size_t n)
{
	unsigned done = 0;
	bool again = false;
	put_in_order(r, n);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n)
			check_pair(&r[i], &r[i + 1]);
		/* A run that was killed when it had written its last line is no reason to have none of it. */
		if (r[i].ended && r[i].end != RETRY) {
			done++;
			again = again || (i + 1 < n && killed[r[i].worker]);
		}
	}
	if (done > 1 && again)
		twice++;
	else if (done > 1)
		needless++;
	const struct run *last = &r[n - 1];
	if (!last->ended)
		lost++;
	if (journal && killed[last->worker] && last->end < PUT_BACK)
		forgotten++;
}

static void check_all(void)
{
	size_t at = 0;
	if (count)
		qsort(runs, count, sizeof(*runs), by_job);
	for (unsigned long job = 0; job < jobs; job++) {
		size_t n = 0;
		while (at + n < count && runs[at + n].number == job)
			n++;
		if (n)
			check_job(runs + at, n);
		else
			lost++;
		at += n;
	}
}

int main(void)
{
	read_manifest();
	read_log();
	for (unsigned i = 0; i < workers; i++)
		read_events(i);
	check_all();
	/* Of which job such a one was nobody knows. */
	attempt -= attempt < unseen ? attempt : unseen;
	bool bad = lost > (journal ? 0 : flying) || needless || forgotten || attempt || strange;
	printf("runs=%zu again=%lu twice=%lu retried=%lu flying=%lu overlap=%lu ", count, again_all,
	       twice, retried, flying, overlap);
	printf("lost=%lu needless=%lu forgotten=%lu attempt=%lu strange=%lu: %s\n", lost, needless,
	       forgotten, attempt, strange, bad ? "FAILED" : "good");
	return bad;
}
