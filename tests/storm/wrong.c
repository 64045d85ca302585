/* SPDX-License-Identifier: MIT */
/*
 * A lock runner with a fault, to show that the kill storm sees it. $STORM_FAULT says which:
 *	none		no fault at all: the storm must find nothing
 *	no-lock		takes no lock
 *	no-shared	takes none for -s
 *	early		unlocks before the job has ended
 *	not-inherited	the job does not have the descriptor: SIGKILL of the runner unlocks
 *	death-signal	the same, but the job is to die with the runner: it dies a bit later
 *	unlink-late	--rm removes the file after unlocking
 *	unchecked	takes a removed file for the lock
 *	keeps		does not unlock at the end, now and then
 *	not-run		says 0 but has not run the job, now and then
 *	runs-anyway	says 75 but has run the job
 *
 * Usage: a part of lockrun's.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
	bool shared, nonblock, in_place, rm;
	long timeout_ms;
	const char *lock;
	char **command;
} opts = {.timeout_ms = -1};

static bool fault(const char *name)
{
	const char *chosen = getenv("STORM_FAULT");
	return chosen && !strcmp(chosen, name);
}

static bool now_and_then(void)
{
	return getpid() % 4 == 0;
}

static void nap(long usec)
{
	struct timespec t = {usec / 1000000, usec % 1000000 * 1000};
	nanosleep(&t, NULL);
}

static void try_lock(int fd, bool wait)
{
	if (fault("no-lock") || (fault("no-shared") && opts.shared))
		return;
	while (flock(fd, (opts.shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB))) {
		if (errno == EINTR)
			continue;
		if (opts.nonblock || opts.timeout_ms-- <= 0)
			exit(75);
		nap(1000);
	}
}

static bool is_the_file(int fd)
{
	struct stat mine;
	struct stat now;
	return !fstat(fd, &mine) && !stat(opts.lock, &now) && mine.st_dev == now.st_dev &&
	       mine.st_ino == now.st_ino;
}

static int acquire(void)
{
	for (;;) {
		int fd = open(opts.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			perror("wrong: open");
			exit(71);
		}
		try_lock(fd, !opts.nonblock && opts.timeout_ms < 0);
		if (fault("unchecked") || fault("no-lock") || is_the_file(fd))
			return fd;
		close(fd);
	}
}

static void become_command(int fd, pid_t parent)
{
	if (fault("death-signal") && !opts.in_place) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	} else if (!fault("not-inherited") || opts.in_place) {
		fcntl(fd, F_SETFD, 0);
	}
	execvp(opts.command[0], opts.command);
	_exit(127);
}

/* Somebody who has the descriptor and never ends. */
static void keep(void)
{
	if (fork() == 0)
		for (;;)
			pause();
}

static void release(int fd)
{
	if (fault("keeps") && now_and_then()) {
		keep();
		return;
	}
	bool rm = opts.rm && !opts.shared;
	if (rm && !fault("unlink-late"))
		unlink(opts.lock);
	flock(fd, LOCK_UN);
	if (rm && fault("unlink-late")) {
		nap(300);
		unlink(opts.lock);
	}
}

static int run(int fd)
{
	int status;
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return 71;
	if (pid == 0)
		become_command(fd, self);
	if (fault("early")) {
		nap(300);
		flock(fd, LOCK_UN);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	release(fd);
	if (fault("runs-anyway") && opts.timeout_ms >= 0)
		return 75;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int lock_descriptor(void)
{
	struct stat st;
	int fd = atoi(opts.lock);
	try_lock(fd, true);
	return fault("unchecked") || fault("no-lock") || (!fstat(fd, &st) && st.st_nlink) ? 0 : 69;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"rm", no_argument, NULL, 'r'},
		{"hold", required_argument, NULL, 'h'}, /* no: but to hold too short is no fault */
		{"who", no_argument, NULL, 'W'},
		{NULL, 0, NULL, 0},
	};
	int c;
	while ((c = getopt_long(argc, argv, "+qnsxFw:", longs, NULL)) != -1) {
		if (c == 'n')
			opts.nonblock = true;
		else if (c == 's')
			opts.shared = true;
		else if (c == 'F')
			opts.in_place = true;
		else if (c == 'w')
			opts.timeout_ms = atol(optarg);
		else if (c == 'r')
			opts.rm = true;
		else if (c == 'W' || c == '?')
			exit(64);
	}
	if (optind == argc)
		exit(64);
	opts.lock = argv[optind];
	opts.command = argv + optind + 1;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (!opts.command[0])
		return lock_descriptor();
	int fd = acquire();
	if (fault("not-run") && now_and_then())
		return 0;
	if (opts.in_place)
		become_command(fd, getpid());
	return run(fd);
}
