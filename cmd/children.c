/* SPDX-License-Identifier: MIT */
/* Children of which there may be many, or that outlive us: start them, ask after them, end them. COMMAND's are in child.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_parts.h"
#include "exitcode.h"
#include "stop.h"

static bool lead_streams(const struct child_io *io)
{
	return (io->in < 0 || dup2(io->in, 0) >= 0) && (io->out < 0 || dup2(io->out, 1) >= 0) &&
	       (io->err < 0 || dup2(io->err, 2) >= 0);
}

/*
 * Until the child has put signals back none may reach it: its memory is ours, and so would be what our
 * handlers do.
 */
int child_start(const struct child_plan *plan, const struct child_io *io, int *status)
{
	volatile int failed = 0;
	const pid_t us = getpid();
	sigset_t every, before;
	memset(&every, 0xff, sizeof(every));
	child_set_mask(SIG_BLOCK, &every, &before);
	/* NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	pid_t pid = vfork();
	if (pid == 0) {
		if (!io->with_us)
			setpgid(0, 0);
		if (io->mortal && prctl(PR_SET_PDEATHSIG, SIGKILL)) {
			failed = errno;
			_exit(EXIT_NOT_FOUND);
		}
		/* We may have been killed before that was in force. */
		if (io->mortal && getppid() != us)
			_exit(EXIT_NOT_FOUND);
		child_keep_over_exec(plan);
		if (lead_streams(io)) {
			stop_release();
			execvpe(plan->argv[0], plan->argv, io->env);
		}
		failed = errno;
		_exit(EXIT_NOT_FOUND);
	}
	/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	int err = errno;
	child_set_mask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -err;
	if (!failed)
		return pid;
	waitpid(pid, NULL, 0);
	*status = child_cannot_run(plan->argv[0], failed);
	return 0;
}

bool child_is_dead(int pid)
{
	siginfo_t info = {0};
	return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

bool child_has_ended(int pid, int *status)
{
	int raw;
	pid_t who = waitpid(pid, &raw, WNOHANG);
	if (who == 0)
		return false;
	*status = who < 0 ? child_is_lost(pid) : child_exit_status(raw);
	return true;
}

void child_pass_on(int pid, int signo, int code)
{
	const siginfo_t info = {.si_signo = signo, .si_code = code};
	if (!child_had_it(pid, &info))
		kill(pid, signo);
}

/* The standard streams are open, so that what is opened gets no number of theirs. */
static void leave_behind(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	if (chdir("/") || null < 0)
		_exit(EXIT_SYSTEM);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	close(null);
}

int child_detach(void)
{
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		leave_behind();
	return pid;
}

void child_close_inherited(void)
{
	if (!syscall(SYS_close_range, 3, ~0U, 0))
		return;
	/* Linux before 5.9 */
	for (long fd = sysconf(_SC_OPEN_MAX) - 1; fd > 2; fd--)
		close((int)fd);
}

int child_open(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

void child_terminate(int pid)
{
	kill(-pid, SIGTERM);
	kill(-pid, SIGCONT); /* one that is stopped shall hear it */
}

void child_kill(int pid)
{
	kill(-pid, SIGKILL);
}

/* Our memory is the child's as it was, so is every descriptor; signals are again as they were for us. */
int child_fork(void)
{
	const pid_t us = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid)
		return pid;
	/* We may have been killed before that was in force. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != us)
		_exit(EXIT_SYSTEM);
	stop_release();
	return 0;
}

int child_join(int pid)
{
	int status;
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return -errno;
	return child_exit_status(status);
}

void child_kill_one(int pid)
{
	kill(pid, SIGKILL);
}
