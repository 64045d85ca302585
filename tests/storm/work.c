/* SPDX-License-Identifier: MIT */
/*
 * The work storm: jobs go through two queues to workers, and workers and jobs are killed at random.
 *
 * Usage: work-storm [-s SEED] [-n JOBS] [-w WORKERS] [-i USEC] [-j] BINDIR JOB
 * In an empty directory. A worker that was killed is replaced at once. USEC is between two kills, 0: none; of three, one is
 * of a worker and two are of jobs. When all has been sent and taken, the workers are told to end, and a last one sees
 * to what is left. On a slow machine one job may be killed a hundred times, so --tries is high. -j: with a journal.
 * What has happened is left for work-check:
 *	log		lines of jobs: "begin|end NUMBER ATTEMPT WORKER PID"
 *	events/WORKER	--events of each worker, which are numbered from 0
 *	manifest	"jobs N", "journal 0|1", and a line for each worker: "killed|ended WORKER"
 *	errors		what workers said
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MOST = 64, TEXT = 64 };

static struct {
	unsigned long jobs, usec;
	int workers;
	bool journal;
	char mqpipe[4096];
	const char *job;
} opts = {.jobs = 10000, .usec = 10000, .workers = 3};

static struct worker {
	pid_t pid;
	unsigned number;
} workers[WORKERS_MOST];
static unsigned started, killed_workers, killed_jobs;
static char queues[2][TEXT];
static mqd_t mq[2];
static FILE *manifest;
static uint64_t seed = 1;

static uint64_t dice(uint64_t n)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 33) % n;
}

static void nap(unsigned long usec)
{
	struct timespec t = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
	nanosleep(&t, NULL);
}

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	for (int i = 0; i < opts.workers; i++)
		if (workers[i].pid > 0)
			kill(workers[i].pid, SIGKILL);
	for (int i = 0; i < 2; i++)
		mq_unlink(queues[i]);
	exit(2);
}

/* ---- queues ---- */

static void open_queues(void)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 32};
	for (int i = 0; i < 2; i++) {
		snprintf(queues[i], TEXT, "/storm-work-%c.%d", "ab"[i], (int)getpid());
		mq[i] = mq_open(queues[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
		if (mq[i] < 0)
			fail("mq_open");
	}
}

static long waiting(void)
{
	long sum = 0;
	for (int i = 0; i < 2; i++) {
		struct mq_attr attr = {0};
		mq_getattr(mq[i], &attr);
		sum += attr.mq_curmsgs;
	}
	return sum;
}

static pid_t feed(void)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	for (unsigned long i = 0; i < opts.jobs; i++) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%lu", i);
		if (mq_send(mq[dice(2)], text, (size_t)n, (unsigned)dice(3)))
			_exit(1);
	}
	_exit(0);
}

/* ---- workers ---- */

static void start(struct worker *w, const char *option)
{
	char events[64];
	char number[32];
	w->number = started++;
	snprintf(events, sizeof(events), "--events=events/%u", w->number);
	snprintf(number, sizeof(number), "%u", w->number);
	w->pid = fork();
	if (w->pid < 0)
		fail("fork");
	if (w->pid)
		return;
	char *argv[20] = {opts.mqpipe,     "work",          "-q",   "-j2",         "--no-create",
			  "--tries=99999", "--backoff=1ms", events, (char *)option};
	int n = 9;
	if (opts.journal)
		argv[n++] = "--journal=journal";
	argv[n++] = queues[0];
	argv[n++] = queues[1];
	argv[n++] = "--";
	argv[n++] = (char *)opts.job;
	setenv("STORM_WORKER", number, 1);
	dup2(open("errors", O_WRONLY | O_APPEND), 2);
	execv(argv[0], argv);
	_exit(127);
}

/* Its end, wanted or not. */
static void note(struct worker *w, const char *how)
{
	fprintf(manifest, "%s %u\n", how, w->number);
	w->pid = 0;
}

static void kill_worker(struct worker *w)
{
	int status;
	kill(w->pid, SIGKILL);
	waitpid(w->pid, &status, 0);
	if (!WIFSIGNALED(status)) {
		errno = 0;
		fail("a worker has ended by itself");
	}
	killed_workers++;
	note(w, "killed");
	start(w, "-v");
}

static void kill_job(const struct worker *w)
{
	char path[64];
	pid_t jobs[8];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)w->pid, (int)w->pid);
	FILE *f = fopen(path, "re");
	int n = 0;
	while (f && n < 8 && fscanf(f, "%d", &jobs[n]) == 1)
		n++;
	if (f)
		fclose(f);
	if (n && !kill(jobs[dice((uint64_t)n)], SIGKILL))
		killed_jobs++;
}

static void end_all(void)
{
	for (int i = 0; i < opts.workers; i++)
		kill(workers[i].pid, SIGTERM);
	for (int i = 0; i < opts.workers; i++) {
		int status;
		waitpid(workers[i].pid, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM)
			fail("a worker did not end by TERM");
		note(&workers[i], "ended");
	}
}

/* ---- the storm ---- */

static bool has_ended(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	if (status)
		fail("sending");
	return true;
}

/* How many jobs have ended by themselves. */
static unsigned done(void)
{
	static FILE *log;
	static unsigned count;
	char line[256];
	if (!log)
		log = fopen("log", "re");
	if (!log)
		fail("log");
	clearerr(log);
	while (fgets(line, sizeof(line), log)) /* each is written at once */
		count += !strncmp(line, "end ", 4);
	return count;
}

/*
 * On a slow machine no job would get anywhere between two strikes: whenever twenty have come without a job that
 * ended by itself, they come half as often; after one that did, twice as often again.
 */
static unsigned long pace(void)
{
	static unsigned long usec;
	static unsigned strikes;
	static unsigned before;
	if (!usec)
		usec = opts.usec;
	unsigned now = done();
	if (now != before) {
		before = now;
		strikes = 0;
		if (usec > opts.usec)
			usec /= 2;
	} else if (++strikes % 20 == 0) {
		usec *= 2;
	}
	return usec;
}

static void storm(void)
{
	pid_t feeder = feed();
	bool fed = false;
	for (int i = 0; i < opts.workers; i++)
		start(&workers[i], "-v");
	while (!fed || waiting()) {
		fed = fed || has_ended(feeder);
		nap(opts.usec ? dice(2 * pace() + 1) : 5000);
		if (!opts.usec)
			continue;
		struct worker *w = &workers[dice((uint64_t)opts.workers)];
		if (dice(3))
			kill_job(w);
		else
			kill_worker(w);
	}
	/* Those that were started last shall have got as far as to be told. */
	for (int i = 0; i < opts.workers; i++) {
		char path[64];
		struct stat st;
		snprintf(path, sizeof(path), "events/%u", workers[i].number);
		for (int n = 0; stat(path, &st) && n < 2000; n++)
			nap(10000);
		nap(20000);
	}
	end_all();
	/* More than one round, should jobs be put back. */
	for (int i = 0; i < 3; i++) {
		int status;
		start(&workers[0], "-e");
		waitpid(workers[0].pid, &status, 0);
		if (status)
			fail("the last worker");
		note(&workers[0], "ended");
	}
	if (waiting())
		fail("messages are left");
}

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		fail(name);
	close(fd);
}

int main(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "s:n:w:i:j")) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 10) : 0;
		switch (c) {
		case 's':
			seed = n;
			break;
		case 'n':
			opts.jobs = n;
			break;
		case 'w':
			opts.workers = n < WORKERS_MOST ? (int)n : WORKERS_MOST;
			break;
		case 'i':
			opts.usec = n;
			break;
		case 'j':
			opts.journal = true;
			break;
		default:
			return 64;
		}
	}
	if (argc - optind != 2)
		return 64;
	snprintf(opts.mqpipe, sizeof(opts.mqpipe), "%s/mqpipe", argv[optind]);
	opts.job = argv[optind + 1];
	unsigned long chosen = (unsigned long)seed;
	make("log");
	make("errors");
	mkdir("events", 0700);
	manifest = fopen("manifest", "we");
	if (!manifest)
		fail("manifest");
	fprintf(manifest, "jobs %lu\njournal %d\n", opts.jobs, opts.journal);
	struct timespec a;
	struct timespec b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	open_queues();
	storm();
	for (int i = 0; i < 2; i++)
		mq_unlink(queues[i]);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("seed=%lu journal=%d jobs=%lu workers=%u killed_workers=%u killed_jobs=%u "
	       "seconds=%.1f\n",
	       chosen, opts.journal, opts.jobs, started, killed_workers, killed_jobs,
	       (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return fclose(manifest) != 0;
}
