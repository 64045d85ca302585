/* SPDX-License-Identifier: MIT */
/*
 * An mqpipe with a fault, to show that the message storm sees it. $STORM_FAULT says which:
 *	none		no fault at all: the storm must find nothing
 *	duplicates	writes a message twice, now and then
 *	loses		takes one and does not write it
 *	truncates	writes one without its last byte
 *	changes		writes one with another byte
 *	reorders	writes one behind the next
 *	invents		writes one that was not sent
 *	half		ends with half a message written, and status 0
 *	gives-up	ends with status 1
 *	deaf		does not receive any more
 *	ignores		with a journal: has none
 *	silent		with a journal: does not say what may have been written before
 *	wolf		with a journal: says it of all
 *	skips		leaves out one that it should send
 *	resends		sends one twice
 *	header		sends each with a byte more
 *
 * Usage: as the storm uses mqpipe, with posix: queues.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
	bool lengths, empty;
	const char *queue, *journal;
} opts;
static mqd_t mq;
static unsigned long count; /* messages so far */
static unsigned long received;

static bool fault(const char *name)
{
	const char *chosen = getenv("STORM_FAULT");
	return chosen && !strcmp(chosen, name);
}

/* True now and then. */
static bool strikes(const char *name)
{
	return fault(name) && count % 512 == 100;
}

static void options(char **argv)
{
	for (; *argv; argv++) {
		if (!strcmp(*argv, "-L"))
			opts.lengths = true;
		else if (!strcmp(*argv, "-e"))
			opts.empty = true;
		else if (!strncmp(*argv, "--journal=", 10))
			opts.journal = *argv + 10;
		else if (**argv != '-')
			opts.queue = strchr(*argv, '/');
	}
}

/* ---- send ---- */

static int send_all(void)
{
	char line[1024];
	mq = mq_open(opts.queue, O_WRONLY);
	while (fgets(line, sizeof(line), stdin)) {
		char *tab = strchr(line, '\t');
		if (!tab)
			return 65;
		size_t len = strlen(tab + 1) - 1;
		unsigned priority = (unsigned)atoi(line);
		count++;
		if (strikes("skips"))
			continue;
		if (mq_send(mq, tab + 1, len + fault("header"), priority))
			return 1;
		if (strikes("resends"))
			mq_send(mq, tab + 1, len, priority);
	}
	return 0;
}

/* ---- receive ---- */

static void put(const char *data, size_t len)
{
	char out[1024];
	int n = opts.lengths ? sprintf(out, "%zu:", len) : 0;
	memcpy(out + n, data, len);
	n += (int)len;
	out[n++] = opts.lengths ? ',' : '\n';
	if (strikes("half")) {
		if (write(1, out, (size_t)n / 2) < 0)
			exit(1);
		exit(0);
	}
	if (write(1, out, (size_t)n) != n)
		exit(1);
	received++;
}

static void put_wrongly(char *data, size_t len)
{
	static char kept[1024];
	static size_t kept_len;
	if (strikes("loses"))
		return;
	if (strikes("reorders")) {
		memcpy(kept, data, len);
		kept_len = len;
		return;
	}
	if (strikes("truncates"))
		len--;
	if (strikes("changes"))
		data[len - 1]++;
	put(data, len);
	if (strikes("duplicates"))
		put(data, len);
	if (strikes("invents"))
		put("7 9999999 x", 11);
	/* Behind one that is too late, too, as the next may be of another sender. */
	if (kept_len && count % 512 == 140) {
		put(kept, kept_len);
		kept_len = 0;
	}
}

static void say_again(void)
{
	fprintf(stderr, "mqpipe recv: message %lu may have been written before: x\n", received);
}

/* A file for each message, named by the pid of who receives it. */
static void receive_orphans(void)
{
	char path[512];
	char data[1024];
	DIR *d = opts.journal ? opendir(opts.journal) : NULL;
	for (const struct dirent *e; d && (e = readdir(d));) {
		pid_t pid = atoi(e->d_name);
		char mine[512];
		snprintf(path, sizeof(path), "%s/%s", opts.journal, e->d_name);
		snprintf(mine, sizeof(mine), "%s/.%d", opts.journal, (int)getpid());
		if (!pid || !kill(pid, 0) || rename(path, mine))
			continue;
		int fd = open(mine, O_RDONLY);
		ssize_t n = read(fd, data, sizeof(data));
		close(fd);
		unlink(mine);
		if (n <= 0)
			continue;
		put(data, (size_t)n);
		if (!fault("silent"))
			say_again();
	}
	if (d)
		closedir(d);
}

static void keep(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) < 0)
		exit(1);
	close(fd);
}

static int recv_all(void)
{
	char data[1024];
	char path[512] = "";
	unsigned priority;
	const struct timespec passed = {0, 0};
	bool keeps = opts.journal && !fault("ignores");
	if (keeps) {
		mkdir(opts.journal, 0700);
		receive_orphans();
		snprintf(path, sizeof(path), "%s/%d", opts.journal, (int)getpid());
	}
	mq = mq_open(opts.queue, O_RDONLY);
	for (;;) {
		ssize_t n = opts.empty ? mq_timedreceive(mq, data, sizeof(data), &priority, &passed)
				       : mq_receive(mq, data, sizeof(data), &priority);
		if (n < 0)
			return !opts.empty;
		count++;
		while (strikes("deaf"))
			pause();
		if (strikes("gives-up"))
			return 1;
		if (keeps)
			keep(path, data, (size_t)n);
		put_wrongly(data, (size_t)n);
		if (fault("wolf"))
			say_again();
		/* Time to be killed with a message that is written, and in the journal. */
		if (keeps && count % 16 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		if (keeps)
			unlink(path);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 64;
	options(argv + 2);
	return !strcmp(argv[1], "send") ? send_all() : recv_all();
}
