/* SPDX-License-Identifier: MIT */
/* Processes as /proc shows them, and signals that reach no other process than the one meant. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storm.h"

#define PF_EXITING 0x4 /* linux/sched.h, not exported; field 9 of /proc/PID/stat, see proc(5) */

#ifndef SYS_pidfd_send_signal /* the same numbers on all architectures */
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* One read, so that the kernel writes it all in one go. */
static bool read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

bool process_look(pid_t pid, struct process *out)
{
	char path[32];
	char buf[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_file(path, buf, sizeof(buf)))
		return false;
	/* The name may contain anything, parentheses too: it ends at the last one. */
	char *name = strchr(buf, '(');
	char *rest = strrchr(buf, ')');
	if (!name || !rest)
		return false;
	*rest = '\0';
	*out = (struct process){.pid = pid};
	snprintf(out->comm, sizeof(out->comm), "%s", name + 1);
	return sscanf(rest + 1,
		      " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		      "%llu",
		      &out->state, &out->parent, &out->flags, &out->start) == 4;
}

/*
 * A killed process gets PF_EXITING before its descriptors, and so its locks, are closed (do_exit,
 * Linux): who has been granted a lock because the holder was killed, sees this flag.
 */
bool process_finished(const struct process *p)
{
	return p->state == 'Z' || p->state == 'X' || p->flags & PF_EXITING;
}

bool witness_lives(const char *witness)
{
	struct process p;
	int pid;
	unsigned long long start;
	if (sscanf(witness, "%d %llu", &pid, &start) != 2)
		return true; /* nobody of ours writes such a thing */
	return process_look(pid, &p) && p.start == start && !process_finished(&p);
}

size_t process_children(pid_t pid, pid_t *out, size_t max)
{
	char path[64];
	char buf[4096];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (!read_file(path, buf, sizeof(buf)))
		return 0;
	size_t n = 0;
	char *end = buf;
	while (n < max) {
		char *word = end;
		long child = strtol(word, &end, 10);
		if (end == word)
			break;
		out[n++] = (pid_t)child;
	}
	return n;
}

bool process_awaits_lock(pid_t pid)
{
	char path[32];
	char buf[256];
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	if (!read_file(path, buf, sizeof(buf)))
		return false;
	char *end;
	long number = strtol(buf, &end, 10);
	return end != buf && (number == SYS_flock || number == SYS_fcntl);
}

bool process_signal(const struct process *p, int signo)
{
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (fd < 0)
		return false;
	/* Whoever has this number now is what the descriptor means: is it still the same? */
	struct process now;
	bool same = process_look(p->pid, &now) && now.start == p->start && !process_finished(&now);
	bool sent = same && !syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	close(fd);
	return sent;
}
