/* SPDX-License-Identifier: MIT */
/*
 * The job of the kill storm: proves that nobody is in the section with it, also under SIGKILL.
 *
 * Usage: job SEQ x|s busy|sleep USEC LINGER_USEC, in the storm's directory.
 *
 * 1. Put up a witness that names this process. symlink(2) makes name and content appear at once,
 *    so no SIGKILL leaves a witness that says nothing.
 * 2. Look at those of others: first put up, then look, so that of two in the section at least
 *    one sees the other. One who can still run code is a violation; one who was killed is not.
 * 3. Log the begin, hold, log the end, take the witness down, exit.
 *
 * With STORM_BLIND set there is no witness, so that it is left to the log to tell (check.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

#define WITNESS_SIZE 64

static char me[WITNESS_SIZE];
static int log_fd;
static uint32_t seq;
static char mode;

static void fail(const char *what)
{
	fprintf(stderr, "job: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void append(enum record_kind kind, pid_t other)
{
	struct record r = {
		.ns = now_ns(),
		.seq = seq,
		.pid = getpid(),
		.other = other,
		.kind = (char)kind,
		.mode = mode,
	};
	if (write(log_fd, &r, sizeof(r)) != sizeof(r))
		fail("cannot write to the log");
}

/* ---- witnesses ---- */

static void name_myself(void)
{
	struct process self;
	if (!process_look(getpid(), &self))
		fail("cannot read /proc");
	snprintf(me, sizeof(me), "%d %llu", (int)self.pid, self.start);
}

static pid_t pid_of(const char *witness)
{
	return (pid_t)strtol(witness, NULL, 10);
}

static bool read_writer(char witness[WITNESS_SIZE])
{
	ssize_t n = readlink(WRITER_FILE, witness, WITNESS_SIZE - 1);
	if (n < 0 && errno != ENOENT)
		fail("cannot read the witness");
	witness[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static const char *reader_path(const char *witness, char *buf, size_t size)
{
	snprintf(buf, size, READERS_DIR "/%s", witness);
	return buf;
}

static void take_down(void)
{
	char path[WITNESS_SIZE + 16];
	if (unlink(mode == 'x' ? WRITER_FILE : reader_path(me, path, sizeof(path))))
		fail("cannot remove the witness");
}

static void violation(pid_t other)
{
	append(RECORD_VIOLATION, other);
	exit(EXIT_VIOLATION);
}

/* Moved aside first: it may have become another one's between looking and removing. */
static void take_over(const char *dead)
{
	char aside[WITNESS_SIZE];
	char moved[WITNESS_SIZE] = "";
	snprintf(aside, sizeof(aside), "dead.%d", (int)getpid());
	if (rename(WRITER_FILE, aside))
		violation(0);
	if (readlink(aside, moved, sizeof(moved) - 1) < 0 || unlink(aside))
		fail("cannot remove a witness");
	if (strcmp(moved, dead) != 0)
		violation(pid_of(moved));
	append(RECORD_TAKEOVER, pid_of(dead));
}

static void meet_readers(void)
{
	DIR *dir = opendir(READERS_DIR);
	if (!dir)
		fail("cannot read " READERS_DIR);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char path[sizeof(e->d_name) + 16];
		if (e->d_name[0] == '.')
			continue;
		if (witness_lives(e->d_name)) {
			take_down();
			violation(pid_of(e->d_name));
		}
		append(RECORD_TAKEOVER, pid_of(e->d_name));
		if (unlink(reader_path(e->d_name, path, sizeof(path))))
			violation(pid_of(e->d_name)); /* only a writer removes it */
	}
	closedir(dir);
}

static void enter_alone(void)
{
	char other[WITNESS_SIZE];
	while (symlink(me, WRITER_FILE)) {
		if (errno != EEXIST)
			fail("cannot put up the witness");
		/* Should it be gone by now, its owner has just been alive. */
		if (!read_writer(other) || witness_lives(other))
			violation(pid_of(other));
		take_over(other);
	}
	meet_readers();
}

/* What a killed writer left is the next writer's to remove. */
static void enter_shared(void)
{
	char path[WITNESS_SIZE + 16];
	char other[WITNESS_SIZE];
	if (symlink(me, reader_path(me, path, sizeof(path))))
		fail("cannot put up the witness");
	if (read_writer(other) && witness_lives(other)) {
		take_down();
		violation(pid_of(other));
	}
}

static void enter(void)
{
	name_myself();
	if (mode == 'x')
		enter_alone();
	else
		enter_shared();
}

/* ---- the work ---- */

static void nap(unsigned long usec)
{
	struct timespec t = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
	nanosleep(&t, NULL);
}

static void hold(bool busy, unsigned long usec)
{
	if (!busy) {
		nap(usec);
		return;
	}
	uint64_t until = now_ns() + usec * 1000;
	while (now_ns() < until)
		;
}

/* It inherits the lock's descriptor, but has no business in the section. */
static void leave_child_behind(unsigned long usec)
{
	if (!usec)
		return;
	pid_t pid = fork();
	if (pid < 0)
		fail("cannot fork");
	if (pid == 0) {
		nap(usec);
		_exit(0);
	}
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("usage: job SEQ x|s busy|sleep USEC LINGER_USEC\n", stderr);
		return 64;
	}
	seq = (uint32_t)strtoul(argv[1], NULL, 10);
	mode = argv[2][0];
	log_fd = open(LOG_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (log_fd < 0)
		fail("cannot open the log");
	bool blind = getenv("STORM_BLIND");
	if (!blind)
		enter();
	append(RECORD_BEGIN, 0);
	leave_child_behind(strtoul(argv[5], NULL, 10));
	hold(argv[3][0] == 'b', strtoul(argv[4], NULL, 10));
	append(RECORD_END, 0);
	if (!blind)
		take_down();
	return 0;
}
