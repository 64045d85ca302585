/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's queues can do: a plain loop of mq_send and mq_receive, or msgsnd and msgrcv, between
 * two processes; and whole commands beside it.
 *
 * Usage: mqfloor posix|sysv BYTES MESSAGES	prints the messages per second
 *	  mqfloor send /NAME TEXT		one message, as a short program sends it
 *	  mqfloor ROUNDS			rows on stdin, in another order each round. A row is NAME, CORES, MESSAGES
 *						and either posix|sysv[-lines] and BYTES, or two commands, with tabs in between.
 *						Prints NAME, a tab, and the median, 10th and 90th percentile of the rates.
 * CORES 1: both sides on one, 2: each on its own, 0: where the kernel likes. The commands are run at the same time,
 * and the clock stops when both have ended; the second may be empty. One that begins with "!" does not end: it is
 * killed when the first has.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
	long type;
	char text[8192 + 1];
} message = {.type = 1};
static mqd_t mq;
static int id = -1;

static void send_one(size_t n)
{
	if (id >= 0 ? msgsnd(id, &message, n, 0) : mq_send(mq, message.text, n, 0))
		exit(1);
}

static ssize_t recv_one(void)
{
	ssize_t n = id >= 0 ? msgrcv(id, &message, 8192, 0, 0)
			    : mq_receive(mq, message.text, 8192, NULL);
	if (n < 0)
		exit(1);
	return n;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pin(int cores, int side)
{
	cpu_set_t all;
	cpu_set_t one;
	if (!cores || sched_getaffinity(0, sizeof(all), &all))
		return;
	int skip = cores == 2 && side;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all) || skip-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static void reap(pid_t pid, const char *what)
{
	int status;
	if (waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "mqfloor: %s: failed\n", what);
		exit(1);
	}
}

static void open_queue(const char *kind)
{
	char name[32];
	id = -1;
	if (!strncmp(kind, "sysv", 4)) {
		id = msgget(IPC_PRIVATE, 0600);
	} else {
		snprintf(name, sizeof(name), "/floor%d", (int)getpid());
		mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
		mq_unlink(name);
	}
	if (id < 0 && mq < 0)
		exit(1);
}

static void close_queue(void)
{
	if (id >= 0)
		msgctl(id, IPC_RMID, NULL);
	else
		mq_close(mq);
}

/* What is sent is read, what is received is written, a line each, as mqpipe does. */
static void send_lines(size_t size, long count)
{
	char name[32];
	size_t room = 0;
	char *line = NULL;
	snprintf(name, sizeof(name), "lines.%zu", size);
	FILE *f = fopen(name, "re");
	for (long i = 0; f && i < count; i++) {
		ssize_t n = getline(&line, &room, f);
		if (n < 1)
			_exit(1);
		if (id >= 0)
			memcpy(message.text, line, (size_t)n - 1);
		if (id >= 0 ? msgsnd(id, &message, (size_t)n - 1, 0)
			    : mq_send(mq, line, (size_t)n - 1, 0))
			_exit(1);
	}
	_exit(!f);
}

static void recv_lines(long count)
{
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (long i = 0; i < count; i++) {
		ssize_t n = recv_one();
		message.text[n] = '\n';
		if (write(out, message.text, (size_t)n + 1) < 0)
			_exit(1);
	}
	_exit(0);
}

static pid_t start_loop(const char *kind, int cores, int side, size_t size, long count)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	pin(cores, side);
	if (strstr(kind, "-lines")) {
		if (side)
			recv_lines(count);
		send_lines(size, count);
	}
	for (long i = 0; i < count; i++)
		if (side)
			recv_one();
		else
			send_one(size);
	_exit(0);
}

static double measure_loop(const char *kind, int cores, size_t size, long count)
{
	open_queue(kind);
	double begin = now();
	pid_t receiver = start_loop(kind, cores, 1, size, count);
	pid_t sender = start_loop(kind, cores, 0, size, count);
	reap(sender, kind);
	reap(receiver, kind);
	double end = now();
	close_queue();
	return (double)count / (end - begin);
}

static pid_t start_command(int cores, int side, const char *command)
{
	pid_t pid = *command ? fork() : -1;
	if (pid)
		return pid;
	pin(cores, side);
	setpgid(0, 0);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static double measure_commands(int cores, const char *first, const char *second, long count)
{
	int endless = *second == '!';
	double begin = now();
	pid_t receiver = start_command(cores, 1, second + endless);
	reap(start_command(cores, 0, first), first);
	if (receiver > 0 && !endless)
		reap(receiver, second);
	double end = now();
	if (endless) {
		kill(-receiver, SIGKILL);
		waitpid(receiver, NULL, 0);
	}
	return (double)count / (end - begin);
}

/* ---- rows ---- */

struct row {
	char *name, *first, *second;
	int cores;
	long count;
	double *rates;
};

static double measure(const struct row *r)
{
	if (!strncmp(r->first, "posix", 5) || !strncmp(r->first, "sysv", 4))
		return measure_loop(r->first, r->cores, (size_t)atol(r->second), r->count);
	return measure_commands(r->cores, r->first, r->second, r->count);
}

static size_t read_rows(struct row *rows, size_t most)
{
	static char line[4096];
	size_t n = 0;
	while (n < most && fgets(line, sizeof(line), stdin)) {
		char *field[5] = {0};
		char *rest = strdup(line);
		if (!rest)
			exit(1);
		rest[strcspn(rest, "\n")] = '\0';
		for (int i = 0; i < 5; i++)
			field[i] = strsep(&rest, "\t");
		if (!field[4])
			exit(64);
		rows[n++] = (struct row){.name = field[0],
					 .first = field[3],
					 .second = field[4],
					 .cores = atoi(field[1]),
					 .count = atol(field[2])};
	}
	return n;
}

static int compare(const void *va, const void *vb)
{
	double a = *(const double *)va;
	double b = *(const double *)vb;
	return a < b ? -1 : a > b;
}

static int measure_rows(size_t rounds)
{
	static struct row rows[128];
	size_t order[128];
	size_t n = read_rows(rows, 128);
	for (size_t i = 0; i < n; i++) {
		order[i] = i;
		rows[i].rates = calloc(rounds, sizeof(double));
		if (!rows[i].rates)
			return 1;
	}
	srandom((unsigned)getpid());
	for (size_t k = 0; k < rounds; k++) {
		for (size_t i = n; i > 1; i--) {
			size_t j = (size_t)random() % i;
			size_t t = order[j];
			order[j] = order[i - 1];
			order[i - 1] = t;
		}
		for (size_t i = 0; i < n; i++)
			rows[order[i]].rates[k] = measure(&rows[order[i]]);
	}
	for (size_t i = 0; i < n; i++) {
		double *r = rows[i].rates;
		qsort(r, rounds, sizeof(*r), compare);
		printf("%s\t%.0f\t%.0f\t%.0f\n", rows[i].name, r[rounds / 2], r[rounds / 10],
		       r[rounds * 9 / 10]);
	}
	return 0;
}

static int send_text(const char *name, const char *text)
{
	mq = mq_open(name, O_WRONLY | O_CREAT, 0600, NULL);
	return mq < 0 || mq_send(mq, text, strlen(text), 0);
}

int main(int argc, char **argv)
{
	memset(message.text, 'x', sizeof(message.text));
	if (argc == 2 && atol(argv[1]) > 0)
		return measure_rows((size_t)atol(argv[1]));
	if (argc != 4)
		return 64;
	if (!strcmp(argv[1], "send"))
		return send_text(argv[2], argv[3]);
	printf("%.0f\n", measure_loop(argv[1], 0, (size_t)atol(argv[2]), atol(argv[3])));
	return 0;
}
