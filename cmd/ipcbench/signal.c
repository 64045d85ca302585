/* SPDX-License-Identifier: MIT */
/* A real-time signal, waited for by sigwaitinfo(2). */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport.h"

/* By process: who is the other, once both have joined. */
static int open_signal(struct channel *c)
{
	return share_memory(c, 2 * sizeof(pid_t));
}

static void fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGRTMIN);
}

static int join(struct channel *c, enum side side)
{
	sigset_t set;
	fill(&set);
	c->id = side;
	((pid_t *)c->mem)[side] = getpid();
	return sigprocmask(SIG_BLOCK, &set, NULL) ? -errno : 0;
}

/* A descriptor of the process, so that no stranger of its number is ever signalled. */
static int post(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	if (c->fd[3] < 0) {
		pid_t other = ((pid_t *)c->mem)[!c->id];
		c->fd[3] = (int)syscall(SYS_pidfd_open, other, 0);
		if (c->fd[3] < 0)
			return -errno;
	}
	return syscall(SYS_pidfd_send_signal, c->fd[3], SIGRTMIN, NULL, 0) ? -errno : 0;
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	sigset_t set;
	(void)c, (void)block, (void)n;
	fill(&set);
	while (sigwaitinfo(&set, NULL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

const struct transport transport_signal = {
	.about = "a real-time signal and sigwaitinfo(2)",
	.caps = BOTH_WAYS,
	.open = open_signal,
	.join = join,
	.send = post,
	.recv = wait_for,
};
