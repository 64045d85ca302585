/* SPDX-License-Identifier: MIT */
/*
 * The processes below us. As their subreaper we are the ancestor of all that the job has started, whatever
 * session, process group or parent each has given itself; /proc tells who they are.
 *
 * A look through /proc is no snapshot: who is forked or adopted meanwhile can be missed. But nobody is lost,
 * because whoever has been missed is, after the death of those above, our own child: so the caller, who looks
 * again after each death until there is no child, finds all.
 *
 * Nobody else is ever hit: the process is pinned by a pidfd before its ancestors are looked at, and no
 * process is younger than its child, so an ancestor's number that was given away meanwhile does not count.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parse.h"
#include "tree.h"

#define PF_EXITING 0x4 /* linux/sched.h, which is not for us; proc_pid_stat(5) */

bool tree_look(int pid, struct tree_process *out)
{
	char buf[1024];
	char state;
	snprintf(buf, sizeof(buf), "/proc/%d/stat", pid);
	int fd = open(buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	/* The command in parentheses may hold anything, so count from the last one. */
	const char *s = strrchr(buf, ')');
	unsigned flags;
	long threads;
	if (!s || sscanf(s,
			 ") %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%ld %*d %llu",
			 &state, &out->parent, &flags, &threads, &out->start) != 5)
		return false;
	/* The state is that of the main thread, which the others may outlive. */
	out->dead = (state == 'Z' || state == 'X') && threads <= 1;
	out->ending = flags & PF_EXITING && !out->dead;
	return true;
}

bool tree_is_below(int pid, int ancestor)
{
	struct tree_process p;
	struct tree_process above;
	if (!tree_look(pid, &p))
		return false;
	while (p.parent > 0 && p.parent != ancestor) {
		if (!tree_look(p.parent, &above) || above.start > p.start)
			return false;
		p = above;
	}
	return p.parent == ancestor && ancestor > 0;
}

/* 0, or why not. Who has ended meanwhile has got it. */
static int signal_one(int pid, int signo)
{
	struct tree_process p;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : errno;
	int err = 0;
	if (tree_look(pid, &p) && !p.dead && tree_is_below(pid, getpid())) {
		if (syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0))
			err = errno == ESRCH ? 0 : errno;
		else if (signo != SIGKILL)
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
	}
	close(fd);
	return err;
}

int tree_signal(int signo)
{
	int refused = 0;
	DIR *dir = opendir("/proc");
	if (!dir)
		return 0;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		uint64_t pid;
		if (!parse_count(d->d_name, INT32_MAX, &pid) || !pid ||
		    !tree_is_below((int)pid, getpid()))
			continue;
		if (signal_one((int)pid, signo))
			refused = (int)pid;
	}
	closedir(dir);
	return refused;
}
