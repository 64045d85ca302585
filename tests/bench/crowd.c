/* SPDX-License-Identifier: MIT */
/*
 * A crowd at one lock: crowd N COMMAND... Hold the file crowd.lock, start N waiters one after the other
 * (each seen in the kernel's queue before the next), let go, and see in which order they are
 * served, at how many context switches each, and how long one hand-off takes. COMMAND gets one more
 * word, the number of the waiter, and appends it to the file "order" while it holds the lock.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Waiters in the kernel's list, which has one "->" line each. */
static int waiters(ino_t ino)
{
	static char buf[1 << 20];
	char mark[32];
	int n = 0;
	size_t used = 0;
	ssize_t got;
	int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	while ((got = read(fd, buf + used, sizeof(buf) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	buf[used] = '\0';
	snprintf(mark, sizeof(mark), ":%llu 0 EOF", (unsigned long long)ino);
	for (char *p = strstr(buf, mark); p; p = strstr(p + 1, mark)) {
		char *line = p;
		while (line > buf && line[-1] != '\n')
			line--;
		n += strstr(line, "->") && strstr(line, "->") < p;
	}
	return n;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void start(char **words, int i)
{
	char index[16];
	char *argv[16];
	int n = 0;
	pid_t pid;
	snprintf(index, sizeof(index), "%d", i);
	while (n < 14 && words[n]) {
		argv[n] = words[n];
		n++;
	}
	argv[n] = index;
	argv[n + 1] = NULL;
	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ)) {
		fprintf(stderr, "crowd: cannot start %s\n", argv[0]);
		exit(1);
	}
}

static int inversions(int n)
{
	FILE *f = fopen("order", "r");
	int last = -1;
	int bad = 0;
	int lines = 0;
	int i;
	while (f && fscanf(f, "%d", &i) == 1) {
		bad += i < last;
		last = i;
		lines++;
	}
	if (f)
		fclose(f);
	return lines == n ? bad : -1;
}

static void crowd(int n, char **words)
{
	struct stat st;
	long switches = 0;
	unlink("order");
	int fd = open("crowd.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) || fstat(fd, &st))
		exit(1);
	for (int i = 0; i < n; i++) {
		start(words, i);
		while (waiters(st.st_ino) <= i)
			sched_yield();
	}
	double begin = now();
	flock(fd, LOCK_UN);
	for (int i = 0; i < n; i++) {
		struct rusage usage;
		int status;
		if (wait4(-1, &status, 0, &usage) < 0 || status)
			exit(1);
		switches += usage.ru_nvcsw;
	}
	double end = now();
	close(fd);
	printf("%d\t%d\t%.2f\t%.1f\n", n, inversions(n), (double)switches / n, (end - begin) / n);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc > 2)
		crowd(atoi(argv[1]), argv + 2);
	return 0;
}
