/* SPDX-License-Identifier: MIT */
/* What processes have, for claims that nothing is left: descriptors, and threads. */
#ifndef TESTS_COUNTS_H
#define TESTS_COUNTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/types.h>

#define HIGHEST_FD 1024

/* Ours that are open. */
static inline int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < HIGHEST_FD; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Threads of a process; -errno. */
static inline int count_tasks(pid_t pid)
{
	char path[64];
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir))
		n += d->d_name[0] != '.';
	closedir(dir);
#ifdef __SANITIZE_THREAD__
	n -= n > 1; /* the sanitizer's own */
#endif
	return n;
}

#endif
