/* SPDX-License-Identifier: MIT */
/*
 * The kill storm for mqpipe: senders and receivers of one queue, which SIGKILL strikes at random moments,
 * and which are started again at once. What the receivers wrote is judged by another program.
 *
 * Usage: mq-storm [OPTION...] BINDIR CHECKER, in an empty directory. Prints one line "name=number ..." with
 * what CHECKER says; its status is ours.
 *	-k posix|sysv	kind of the queue
 *	-j		receivers keep a journal
 *	-l		receivers write lines; otherwise each message has its length before it
 *	-n MESSAGES	until so many were sent by senders that came to their end
 *	-i USEC		mean time between two kills; 0: nobody is killed
 *	-r		senders are spared
 *	-s SEED
 *	-t SECONDS	who has not come to an end by then is stuck; nobody is killed in the second half
 *
 * A sender sends a stream of numbered messages, "PRIORITY<TAB>STREAM SEQ ...". Nobody but a killed one itself
 * knows how many it has sent, so the next has a stream of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mq.h"

#define SENDERS 4
#define RECEIVERS 4

struct sender {
	pid_t pid, source;
	uint32_t stream, quota;
};

struct receiver {
	pid_t pid;
	unsigned number;
};

static struct {
	bool sysv, journal, lines, spares_senders;
	unsigned long messages, interval, seconds;
	uint64_t seed;
	const char *mqpipe, *checker;
} opts = {.messages = 20000, .interval = 500, .seconds = 50, .seed = 1};

static char queue[64];
static mqd_t mq = -1;
static int id = -1;
static FILE *manifest;
static struct sender senders[SENDERS];
static struct receiver receivers[RECEIVERS];
static uint32_t streams;
static unsigned files;
static unsigned long sent, sender_kills, receiver_kills, failed, stuck;
static uint64_t state;

static void fail(const char *what)
{
	fprintf(stderr, "mq-storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_usec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t draw(void)
{
	return mq_random(opts.seed ^ ++state << 20);
}

/* ---- the queue ---- */

static void remove_queue(void)
{
	if (id >= 0)
		msgctl(id, IPC_RMID, NULL);
	if (mq >= 0)
		mq_unlink(strchr(queue, '/'));
}

static void make_queue(void)
{
	if (opts.sysv) {
		key_t key = 0x5d000000 | (getpid() & 0xffffff);
		snprintf(queue, sizeof(queue), "sysv:0x%x", (unsigned)key);
		id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
	} else {
		struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 512};
		snprintf(queue, sizeof(queue), "posix:/mq-storm.%d", (int)getpid());
		mq = mq_open(strchr(queue, '/'), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600,
			     &attr);
	}
	if (id < 0 && mq < 0)
		fail(queue);
}

static unsigned long queued(void)
{
	struct msqid_ds ds;
	struct mq_attr attr;
	if (opts.sysv)
		return msgctl(id, IPC_STAT, &ds) ? 0 : ds.msg_qnum;
	return mq_getattr(mq, &attr) ? 0 : (unsigned long)attr.mq_curmsgs;
}

/* ---- processes ---- */

static pid_t start(int in, int out, int err, const char *const *argv)
{
	pid_t pid = vfork();
	if (pid < 0)
		fail("vfork");
	if (!pid) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(in, 0);
		dup2(out, 1);
		dup2(err, 2);
		execv(opts.mqpipe, (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static int open_file(const char *dir, unsigned number)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%u", dir, number);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(path);
	return fd;
}

/* The source is killed by SIGPIPE when its sender is. */
static pid_t start_source(const struct sender *s, int out)
{
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;
	FILE *f = fdopen(out, "w");
	char text[TEXT_MOST];
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (uint32_t i = 0; i < s->quota; i++) {
		mq_text(opts.seed, s->stream, i, text);
		fprintf(f, "%d\t%s\n", mq_priority(opts.seed, s->stream, i), text);
	}
	_exit(fclose(f) != 0);
}

static void start_sender(struct sender *s)
{
	const char *argv[] = {"mqpipe", "send", "-P", "--no-create", queue, NULL};
	int ends[2];
	int err = open(ERRORS_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (err < 0 || pipe2(ends, O_CLOEXEC))
		fail("pipe");
	s->stream = streams++;
	s->quota = 1000 + (uint32_t)(draw() % 4000);
	if (s->quota > opts.messages)
		s->quota = (uint32_t)opts.messages;
	s->pid = start(ends[0], STDOUT_FILENO, err, argv);
	close(ends[0]);
	s->source = start_source(s, ends[1]);
	close(ends[1]);
	close(err);
}

static void start_receiver(struct receiver *r, bool last)
{
	const char *argv[12] = {"mqpipe", "recv", "--no-create"};
	int n = 3;
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r->number = files++;
	int out = open_file(OUT_DIR, r->number);
	int err = open_file(ERR_DIR, r->number);
	if (!opts.lines)
		argv[n++] = "-L";
	if (opts.journal)
		argv[n++] = "--journal=" JOURNAL_DIR;
	if (last)
		argv[n++] = "-e";
	argv[n++] = queue;
	r->pid = start(in, out, err, argv);
	close(in);
	close(out);
	close(err);
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void complain(const char *who, unsigned number, int status)
{
	fprintf(stderr, "mq-storm: %s %u ended with %s %d\n", who, number,
		WIFEXITED(status) ? "status" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	failed++;
}

static void sender_ended(struct sender *s, int status, bool asked)
{
	bool killed = was_killed(status);
	s->pid = 0;
	sender_kills += killed;
	if (!killed && status && !asked)
		complain("sender", s->stream, status);
	if (!killed && !status)
		sent += s->quota;
	fprintf(manifest, "sender %u %u %s\n", s->stream, s->quota,
		killed || asked ? "killed" : "ended");
}

static void receiver_ended(struct receiver *r, int status, bool asked)
{
	bool killed = was_killed(status);
	char path[64];
	r->pid = 0;
	receiver_kills += killed;
	if (!killed &&
	    !(asked && (!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))))
		complain("receiver", r->number, status);
	fprintf(manifest, "receiver %u %s\n", r->number, killed ? "killed" : "ended");
	struct stat st;
	snprintf(path, sizeof(path), ERR_DIR "/%u", r->number);
	if (!stat(path, &st) && !st.st_size)
		unlink(path);
}

static void reap(bool asked)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < SENDERS; i++)
			if (senders[i].pid == pid)
				sender_ended(&senders[i], status, asked);
		for (int i = 0; i < RECEIVERS; i++)
			if (receivers[i].pid == pid)
				receiver_ended(&receivers[i], status, asked);
	}
}

/* ---- the storm ---- */

static void strike(void)
{
	uint64_t n = draw() % (RECEIVERS * 3 + (opts.spares_senders ? 0 : SENDERS));
	pid_t pid = n < RECEIVERS * 3 ? receivers[n / 3].pid : senders[n - RECEIVERS * 3].pid;
	if (pid)
		kill(pid, SIGKILL);
}

/*
 * On a slow machine nobody would get anywhere between two strikes: whenever a hundred have come without a
 * sender that ended by itself, they come half as often; after one that did, twice as often again.
 */
static uint64_t pace(void)
{
	static uint64_t interval;
	static unsigned strikes;
	static unsigned long before;
	if (!interval)
		interval = opts.interval;
	if (sent != before) {
		before = sent;
		strikes = 0;
		if (interval > opts.interval)
			interval /= 2;
	} else if (++strikes % 100 == 0) {
		interval *= 2;
	}
	return interval;
}

static uint64_t next_strike(void)
{
	uint64_t interval = pace();
	/* Two draws: some come one right behind the other. */
	return now_usec() + draw() % (interval + 1) + draw() % (interval + 1);
}

static void sleep_until(uint64_t then)
{
	sigset_t child;
	uint64_t now = now_usec();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	uint64_t usec = then > now ? then - now : 0;
	struct timespec t = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
	sigtimedwait(&child, NULL, &t);
}

static bool refill(void)
{
	bool busy = false;
	for (int i = 0; i < SENDERS; i++) {
		if (!senders[i].pid && sent < opts.messages && !failed)
			start_sender(&senders[i]);
		busy |= senders[i].pid != 0;
	}
	for (int i = 0; i < RECEIVERS; i++)
		if (!receivers[i].pid && failed < 10)
			start_receiver(&receivers[i], false);
	return busy;
}

static void rage(uint64_t end)
{
	uint64_t strike_at = next_strike();
	/* Where each is killed before it comes to its end, nobody is stuck. */
	uint64_t calm = end - opts.seconds * 500000;
	while (refill() || queued()) {
		uint64_t now = now_usec();
		if (now > end || failed >= 10) {
			stuck += now > end;
			return;
		}
		bool strikes = opts.interval && now < calm;
		if (strikes && now >= strike_at) {
			strike();
			strike_at = next_strike();
		}
		uint64_t wake = now + 10000; /* the queue's end is no child's */
		sleep_until(strikes && strike_at < wake ? strike_at : wake);
		reap(false);
	}
}

static bool anybody(void)
{
	bool found = false;
	for (int i = 0; i < SENDERS; i++)
		found |= senders[i].pid != 0;
	for (int i = 0; i < RECEIVERS; i++)
		found |= receivers[i].pid != 0;
	return found;
}

static void end_all(int signo)
{
	uint64_t end = now_usec() + 5000000;
	for (int i = 0; i < RECEIVERS; i++)
		if (receivers[i].pid)
			kill(receivers[i].pid, signo);
	for (int i = 0; i < SENDERS; i++)
		if (senders[i].pid)
			kill(senders[i].pid, signo);
	while (anybody() && now_usec() < end) {
		sleep_until(now_usec() + 10000);
		reap(true);
	}
}

/* What killed receivers have left in the journal, and who was stopped in the queue. */
static void sweep(void)
{
	start_receiver(&receivers[0], true);
	uint64_t end = now_usec() + 5000000;
	while (anybody() && now_usec() < end) {
		sleep_until(now_usec() + 10000);
		reap(true);
	}
	stuck += anybody();
}

static void options(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "k:jln:i:rs:t:")) != -1) {
		switch (c) {
		case 'k':
			opts.sysv = !strcmp(optarg, "sysv");
			break;
		case 'j':
			opts.journal = true;
			break;
		case 'l':
			opts.lines = true;
			break;
		case 'n':
			opts.messages = strtoul(optarg, NULL, 10);
			break;
		case 'i':
			opts.interval = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			opts.spares_senders = true;
			break;
		case 's':
			opts.seed = strtoull(optarg, NULL, 10);
			break;
		case 't':
			opts.seconds = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(64);
		}
	}
	if (argc - optind != 2) {
		fputs("usage: mq-storm [OPTION...] BINDIR CHECKER\n", stderr);
		exit(64);
	}
	static char path[4096];
	snprintf(path, sizeof(path), "%s/mqpipe", argv[optind]);
	opts.mqpipe = path;
	opts.checker = argv[optind + 1];
}

int main(int argc, char **argv)
{
	sigset_t child;
	options(argc, argv);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	manifest = fopen(MANIFEST_FILE, "we");
	if (!manifest || mkdir(OUT_DIR, 0700) || mkdir(ERR_DIR, 0700))
		fail("an empty directory is needed");
	make_queue();
	uint64_t began = now_usec();
	rage(began + opts.seconds * 1000000);
	end_all(SIGTERM);
	end_all(SIGKILL);
	if (!stuck && !failed)
		sweep();
	end_all(SIGKILL);
	while (wait(NULL) > 0) /* the sources */
		;
	unsigned long left = queued();
	remove_queue();
	if (fclose(manifest))
		fail(MANIFEST_FILE);
	printf("seed=%llu usec=%llu kills=%lu senders=%lu receivers=%lu failed=%lu stuck=%lu "
	       "left=%lu ",
	       (unsigned long long)opts.seed, (unsigned long long)(now_usec() - began),
	       sender_kills + receiver_kills, sender_kills, receiver_kills, failed, stuck, left);
	fflush(stdout);
	char seed[32];
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)opts.seed);
	execl(opts.checker, "mq-check", opts.lines ? "lines" : "lengths",
	      opts.journal ? "journal" : "plain", seed, failed || stuck || left ? "bad" : "good",
	      NULL);
	fail(opts.checker);
}
