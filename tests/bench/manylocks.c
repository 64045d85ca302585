/* SPDX-License-Identifier: MIT */
/*
 * For tests/bench/run-ls: PROCESSES processes that hold OBJECTS objects between them, in turn a flock lock, an ofd
 * lock, an eventfd, and a System V semaphore without a key. Says so when they all do; they end with their parent.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

static int *sets;
static int count;

static void remove_sets(int signo)
{
	for (int i = 0; i < count; i++)
		semctl(sets[i], 0, IPC_RMID);
	_exit(signo ? 1 : 0);
}

static void hold(int i, const char *dir)
{
	char path[4096];
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	snprintf(path, sizeof(path), "%s/%d", dir, i);
	int fd = i % 4 < 2 ? open(path, O_RDWR | O_CREAT, 0600) : eventfd(0, 0);
	if (fd < 0 || (i % 4 == 0 && flock(fd, LOCK_EX)) ||
	    (i % 4 == 1 && fcntl(fd, F_OFD_SETLK, &l)))
		_exit(1);
}

int main(int argc, char **argv)
{
	int objects = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	int processes = argc > 3 ? (int)strtol(argv[2], NULL, 10) : 0;
	int ready[2];
	char byte;
	sets = calloc((size_t)objects + 1, sizeof(*sets));
	if (!sets || !objects || !processes || pipe(ready))
		return 2;
	signal(SIGTERM, remove_sets);
	for (int i = 3; i < objects; i += 4) {
		sets[count] = semget(IPC_PRIVATE, 1, 0600);
		count += sets[count] >= 0;
	}
	for (int p = 0; p < processes; p++) {
		pid_t pid = fork();
		if (pid < 0)
			return 3;
		if (pid)
			continue;
		signal(SIGTERM, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = p; i < objects; i += processes)
			if (i % 4 != 3)
				hold(i, argv[3]);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		close(STDOUT_FILENO);
		for (;;)
			pause();
	}
	for (int p = 0; p < processes; p++)
		if (read(ready[0], &byte, 1) != 1)
			return 4;
	printf("%d objects, %d processes\n", objects, processes);
	fflush(stdout);
	for (;;)
		pause();
}
