/* SPDX-License-Identifier: MIT */
/*
 * Waiting for all that COMMAND has started. A subreaper would see them die, but not a daemon that
 * closes its descriptors and lives on; a pipe that they inherit together with the locks tells both.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "exitcode.h"
#include "heirs.h"
#include "limit.h"
#include "parse.h"
#include "say.h"
#include "waiting.h"

/* Clear of the descriptors that scripts number themselves. */
static int raised(int low)
{
	int high = fcntl(low, F_DUPFD_CLOEXEC, 10);
	if (high < 0)
		die(EXIT_SYSTEM, "cannot make a pipe: %s: raise ulimit -n", strerror(errno));
	close(low);
	return high;
}

int heirs_begin(struct heirs *heirs)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		die(EXIT_SYSTEM, "cannot make a pipe: %s: raise ulimit -n", strerror(errno));
	heirs->ours = raised(ends[0]);
	heirs->theirs = raised(ends[1]);
	return heirs->theirs;
}

/* ---- who are they ---- */

static bool has_open(const char *pid, const struct stat *pipe)
{
	char path[600];
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	bool found = false;
	if (!dir)
		return false;
	for (struct dirent *d = readdir(dir); d && !found; d = readdir(dir)) {
		struct stat st;
		found = !fstatat(dirfd(dir), d->d_name, &st, 0) && st.st_ino == pipe->st_ino &&
			st.st_dev == pipe->st_dev;
	}
	closedir(dir);
	return found;
}

static void read_name(const char *pid, char *buf, size_t size)
{
	char path[600];
	char name[32] = "?";
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	FILE *file = fopen(path, "re");
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	escape(buf, size, name);
}

static const char *name_them(char *buf, size_t size, int pipe_fd)
{
	struct stat st;
	size_t more = 0;
	snprintf(buf, size, "%s", "processes that cannot be seen");
	DIR *dir = fstat(pipe_fd, &st) ? NULL : opendir("/proc");
	if (!dir)
		return buf;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		uint64_t pid;
		if (!parse_count(d->d_name, INT32_MAX, &pid) || (pid_t)pid == getpid() ||
		    !has_open(d->d_name, &st))
			continue;
		char name[64];
		if (more++)
			continue;
		read_name(d->d_name, name, sizeof(name));
		snprintf(buf, size, "pid %.16s (%s)", d->d_name, name);
	}
	closedir(dir);
	size_t used = strlen(buf);
	if (more > 1)
		snprintf(buf + used, size - used, " and %zu more", more - 1);
	return buf;
}

static const char *describe(char *buf, size_t size, const void *what)
{
	const int *pipe_fd = what;
	char who[128];
	snprintf(buf, size, "COMMAND has ended; the lock is kept for %s",
		 name_them(who, sizeof(who), *pipe_fd));
	return buf;
}

/* ---- waiting ---- */

/* True when all are gone; false when the limit is over. */
static bool wait_in_time(int fd, struct limit *limit)
{
	struct pollfd end = {.fd = fd};
	struct timespec left;
	for (;;) {
		bool limited = limit && limit_next(limit, &left);
		if (ppoll(&end, 1, limited ? &left : NULL, NULL) == 1)
			return true; /* else: the time is over; or EINTR: we were stopped and go on */
		if (limit)
			limit_act(limit);
		if (limit && limit->ending)
			return false;
	}
}

bool heirs_wait(struct heirs *heirs, bool quiet, struct limit *limit)
{
	static int watched; /* by a thread that may outlive this call */
	char buf[256];
	struct pollfd end = {.fd = heirs->ours};
	close(heirs->theirs);
	if (poll(&end, 1, 0) == 1)
		return false;
	child_let_go();
	if (limit)
		child_let_rest_go();
	watched = heirs->ours;
	if (!quiet)
		warn("%s", describe(buf, sizeof(buf), &watched));
	struct waiting *line = quiet ? NULL : waiting_begin(describe, &watched, false);
	bool gone = wait_in_time(heirs->ours, limit);
	waiting_end(line);
	return !gone;
}
