/* SPDX-License-Identifier: MIT */
/* Jobservers as a C program has them: FIFOs that it makes, permits, and the slot of make's that is lent. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libsync.h"
#include "tap.h"

static char name[PATH_MAX], other[PATH_MAX];

static const char *path_in(const char *full)
{
	return full + strlen("jobserver:fifo:");
}

static void is(int got, int wanted, const char *text)
{
	if (!ok(got == wanted, "%s", text))
		printf("# %d, not %d\n", got, wanted);
}

static struct sync_sem *need_sem(const char *full, const struct sync_sem_opts *opts)
{
	struct sync_sem *sem = NULL;
	int r = sync_sem_open(full, opts, &sem);
	if (r) {
		printf("Bail out! cannot open %s: %s\n", full, strerror(-r));
		exit(1);
	}
	return sem;
}

static struct sync_sem *make(const char *full, unsigned permits)
{
	const struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = permits};
	return need_sem(full, &opts);
}

static int value(struct sync_sem *sem)
{
	struct sync_sem_state state;
	int r = sync_sem_state(sem, &state);
	return r ? r : (int)state.value;
}

static int take(struct sync_sem *sem, unsigned count, const struct timespec *deadline)
{
	return sync_sem_wait(sem, count, SYNC_SEM_OWNED, deadline);
}

static void cannot_be_made(void)
{
	char longest[PATH_MAX + 32];
	struct sync_sem *sem = NULL;
	const struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 1};
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "jobserver:fifo:", strlen("jobserver:fifo:"));
	is(sync_sem_open(longest, NULL, &sem), -ENAMETOOLONG, "a path that is too long");
	is(sync_sem_open("jobserver:fifo:/nowhere/fifo", &opts, &sem), -ENOENT,
	   "none is made where there is no directory");
	is(sync_sem_open("jobserver:3,4", &opts, &sem), -EINVAL, "a pipe cannot be made");
	ok(!sem, "and *out is untouched");
}

static void made(void)
{
	struct sync_owner *list = NULL;
	size_t count = 7;
	size_t hidden = 7;
	struct stat st;
	const struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 2, .mode = 0666};
	struct sync_sem *sem = need_sem(name, &opts);
	struct sync_sem *again = need_sem(name, &opts);
	is(value(sem), 2, "who comes second adds no permits");
	ok(!stat(path_in(name), &st) && (st.st_mode & 0777) == 0666,
	   "it has the mode it was given");
	ok(!strcmp(sync_sem_path(sem), path_in(name)), "its path is told");
	is(sync_sem_owners(sem, &list, &count, &hidden), 0, "owners can be asked for");
	ok(count == 0 && hidden == 0, "where nobody has used it there are none");
	free(list);
	is(sync_sem_release(sem), 0, "who has taken nothing can give it back");
	is(sync_sem_reclaim(sem, SYNC_NOW), 0, "and have back what was not lent");
	is(sync_sem_unlink(again), 0, "it can be removed");
	is(sync_sem_unlink(again), -ENOENT, "once");
	sync_sem_close(again);
	sync_sem_close(sem);
}

/* There is one byte, so the wait for two sleeps; twice through the same handle. */
static void several(void)
{
	struct timespec soon;
	struct sync_sem *first = make(name, 1);
	struct sync_sem *sem = need_sem(name, NULL);
	is(take(first, 2, NULL), -E2BIG, "who has made it knows that there are not two");
	for (int i = 0; i < 2; i++) {
		sync_deadline_in(30000000, &soon);
		is(take(sem, 2, &soon), -ETIMEDOUT, "two of one permit are not had in time");
		is(value(sem), 1, "and nothing is taken for that");
	}
	is(take(sem, 1, SYNC_NOW), 0, "one is");
	is(sync_sem_release(sem), 0, "and goes back");
	is(value(first), 1, "to the others");
	sync_sem_unlink(first);
	sync_sem_close(sem);
	sync_sem_close(first);
}

static void lending(void)
{
	struct timespec soon;
	const struct sync_sem_opts opts = {.slot = (unsigned)getpid()};
	struct sync_sem *all = make(name, 0);
	struct sync_sem *job = need_sem(name, &opts);
	struct sync_sem *sibling = need_sem(name, &opts);
	is(sync_sem_lend(all), -EBUSY, "who has no slot cannot lend it");
	is(sync_sem_lend(job), 0, "a job's slot can be lent");
	is(value(all), 1, "then there is a permit for it");
	is(sync_sem_lend(job), 0, "to lend it again");
	is(value(all), 1, "adds none");
	is(sync_sem_lend(sibling), -EBUSY, "another of the same job cannot lend it too");
	is(take(all, 1, SYNC_NOW), 0, "it is taken");
	sync_deadline_in(30000000, &soon);
	is(sync_sem_reclaim(job, &soon), -ETIMEDOUT, "till it is free it cannot be had back");
	is(sync_sem_release(all), 0, "it is given back");
	is(sync_sem_reclaim(job, &soon), 0, "then it can, whatever the time is");
	is(value(all), 0, "and the permit is gone");
	sync_sem_close(sibling);
	sync_sem_close(job);
	sync_sem_unlink(all);
	sync_sem_close(all);
}

/* Whether it is seen or not: for a second at most. */
static void await_poll(pid_t pid)
{
	char path[64];
	char line[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	for (int tries = 0; tries < 1000 && !strstr(line, "poll"); tries++) {
		FILE *f = fopen(path, "re");
		usleep(1000);
		if (f && !fgets(line, sizeof(line), f))
			line[0] = '\0';
		if (f)
			fclose(f);
	}
}

/* Only others' bytes fill a FIFO. */
static void full(void)
{
	char bytes[4096];
	struct sync_sem *sem = make(other, 1);
	is(take(sem, 1, SYNC_NOW), 0, "a permit is taken");
	int fd = open(path_in(other), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	memset(bytes, '+', sizeof(bytes));
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	pid_t pid = fork();
	if (!pid) {
		await_poll(getppid());
		ssize_t n = read(fd, bytes, sizeof(bytes));
		_exit(n == sizeof(bytes) ? 0 : 1);
	}
	is(sync_sem_release(sem), 0,
	   "where others have filled it the permit goes back when there is room");
	int status = 1;
	ok(waitpid(pid, &status, 0) == pid && status == 0, "which somebody has made");
	close(fd);
	sync_sem_unlink(sem);
	sync_sem_close(sem);
}

int main(void)
{
	snprintf(name, sizeof(name), "jobserver:fifo:%s/js.%d", tmp_dir(), (int)getpid());
	snprintf(other, sizeof(other), "jobserver:fifo:%s/js.%d.full", tmp_dir(), (int)getpid());
	cannot_be_made();
	made();
	several();
	lending();
	full();
	return tap_end();
}
