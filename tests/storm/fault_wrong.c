/* SPDX-License-Identifier: MIT */
/*
 * A lockrun and a semwait with a fault, to show that fault injection sees it. $STORM_FAULT says which:
 *	none		no fault at all: nothing must be found
 *	not-run		says 0 but has not run the job, if there is no process for it
 *	unlocked	runs the job all the same if there is no lock
 *	hang		waits for ever if it has lost sight of its child
 *	crash		uses what it did not get
 *	silent		does not say why it fails
 *	status		fails with a status of its own
 *	talks		says it in two lines
 *	litter		leaves a file if it is killed
 *	twice		runs the job again if it does not know how it ended
 *	no-ledger	(semwait) the permit of who is killed is lost
 *
 * Usage: lockrun LOCK COMMAND..., semwait posix:/NAME COMMAND..., by the name in argv[0].
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name;

static bool fault(const char *which)
{
	const char *chosen = getenv("STORM_FAULT");
	return chosen && !strcmp(chosen, which);
}

__attribute__((noreturn)) static void die(void)
{
	if (!fault("silent"))
		fprintf(stderr, "%s: it fails: %s%s\n", name, strerror(errno),
			fault("talks") ? "\nyes" : "");
	exit(fault("status") ? 3 : 71);
}

static int run(char **command)
{
	int status;
	pid_t pid = fork();
	if (pid < 0 && fault("not-run"))
		return 0;
	if (pid < 0)
		die();
	if (pid == 0) {
		execvp(command[0], command);
		die();
	}
	while (waitpid(pid, &status, 0) != pid) {
		if (errno == EINTR)
			continue;
		if (fault("hang"))
			for (;;)
				pause();
		if (!fault("twice"))
			die();
		return run(command);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int lockrun(char **argv)
{
	if (fault("litter"))
		close(open("litter", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	int fd = open(argv[1], O_RDONLY | O_CREAT, 0600); /* the job has it too */
	if (fd < 0 && fault("crash"))
		abort();
	if (fd < 0)
		die();
	while (flock(fd, LOCK_EX) && !fault("unlocked"))
		if (errno != EINTR)
			die();
	int status = run(argv + 2);
	flock(fd, LOCK_UN);
	if (fault("litter"))
		unlink("litter");
	return status;
}

/* No ledger says who has a permit. It is there already: killed in making one, sem_open(3) leaves a file. */
static int semwait(char **argv)
{
	sem_t *s = sem_open(strchr(argv[1], '/'), 0);
	if (s == SEM_FAILED)
		die();
	while (sem_wait(s))
		if (errno != EINTR)
			die();
	int status = run(argv + 2);
	sem_post(s);
	return status;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	name = slash ? slash + 1 : argv[0];
	if (!strcmp(name, "lockrun") && argc > 2)
		return lockrun(argv);
	if (!strcmp(name, "semwait") && argc > 2)
		return semwait(argv);
	return 64;
}
