/* SPDX-License-Identifier: MIT */
/* What a survey says that it cannot see. */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forbid.h"
#include "libsync.h"
#include "tap.h"

enum { SEES = 0, BLIND = 1, OTHER = 2, CANNOT = 3 };

/* Does a survey of TYPE say that there are no System V objects, if CALL does not work? */
static int look_without(long call, unsigned type)
{
	const struct sync_survey_opts opts = {.types = type};
	struct sync_survey *s;
	unsigned blind = 0;
	pid_t pid = fork();
	if (pid == 0) {
		if (call && forbid_call((unsigned)call, ENOSYS))
			_exit(CANNOT);
		if (sync_survey_open(&opts, &s))
			_exit(OTHER);
		(void)sync_survey_hidden(s, &blind);
		sync_survey_close(s);
		_exit(blind & SYNC_BLIND_SYSV ? BLIND : SEES);
	}
	int status;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : OTHER;
}

static void without_sysv(const char *what, long call, unsigned type)
{
	int seen = look_without(call, type);
	if (seen == CANNOT)
		tap_skip("no seccomp here", "a kernel without System V %s", what);
	else
		ok(seen == BLIND, "a kernel without System V %s: that is told", what);
	ok(look_without(0, type) == SEES, "and not where it has %s", what);
}

/* Other libcs do not tell how much memory is in use. */
#ifndef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 0
#endif
#if __GLIBC_PREREQ(2, 33)
/* Bytes that malloc has given away, after COUNT surveys; some that were freed are kept for their size, and count. */
static size_t used_after(int count)
{
	const struct sync_survey_opts opts = {.types = SYNC_TYPE_MQ};
	struct sync_survey *s;
	while (count-- > 0 && !sync_survey_open(&opts, &s))
		sync_survey_close(s);
	return mallinfo2().uordblks;
}

static void leaves_nothing(void)
{
	struct sync_queue_opts opts = {.flags = SYNC_QUEUE_SEND | SYNC_QUEUE_CREATE};
	struct sync_queue *q;
	char name[64];
	snprintf(name, sizeof(name), "posix:/syncbox-survey.%d", (int)getpid());
	if (sync_queue_open(name, &opts, &q)) {
		tap_skip("no queue can be made here", "a survey leaves no memory");
		return;
	}
	/* Others' queues come and go, and with each new size more is kept; but only what is lost grows each time. */
	bool grows = true;
	for (int i = 0; i < 10 && grows; i++) {
		size_t before = used_after(20);
		grows = used_after(100) >= before + 100 * sizeof(struct sync_object);
	}
	ok(!grows, "a survey leaves no memory");
	sync_queue_unlink(q);
	sync_queue_close(q);
}
#else
static void leaves_nothing(void)
{
	tap_skip("this libc does not tell", "a survey leaves no memory");
}
#endif

int main(void)
{
	leaves_nothing();
	without_sysv("semaphores", SYS_semctl, SYNC_TYPE_SEM);
	without_sysv("queues", SYS_msgctl, SYNC_TYPE_MQ);
	without_sysv("memory", SYS_shmctl, SYNC_TYPE_SHM);
	return tap_end();
}
