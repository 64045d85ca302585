/* SPDX-License-Identifier: MIT */
/*
 * The only code that starts a process or a thread, changes the signal mask or sends a signal.
 *
 * 1. Block every signal that can be caught, but those that stop us (Ctrl-Z stops the whole job).
 * 2. SIGCHLD to its default: ignored, as some parents leave it, it would eat the exit status.
 * 3. vfork; the child puts mask and disposition back as we got them, opens the kept descriptors
 *    to exec, and execs.
 * 4. sigwaitinfo until SIGCHLD says that the child has ended; every other signal is passed on.
 *
 * No signal can get lost between 1 and 4, and no handler is ever installed. Until it is reaped the
 * child's pid cannot name anybody else, so plain kill(2) is safe; afterwards nothing is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "exitcode.h"
#include "say.h"
#include "stop.h"

static sigset_t original_mask;
static struct sigaction original_chld;

/*
 * The system call, because the libcs keep signals for themselves and hide them here: with musl's
 * sigprocmask() a mask that has signal 34 in it would not come out as it went in.
 */
static void set_mask(int how, const sigset_t *set, sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8);
}

static void keep_over_exec(const struct child_plan *plan)
{
	for (size_t i = 0; i < plan->keep_count; i++)
		fcntl(plan->keep[i], F_SETFD, 0);
}

static int cannot_run(const char *word, int err)
{
	const char *name = quote(word);
	if (err == ENOENT && strchr(word, '/') && !access(word, F_OK)) {
		warn("cannot run %s: the interpreter in its first line does not exist", name);
		return EXIT_NOT_FOUND;
	}
	if (err == ENOENT) {
		warn("cannot run %s: no such command: check the name and PATH", name);
		return EXIT_NOT_FOUND;
	}
	if (err == EACCES)
		warn("cannot run %s: not executable, or not by this user: see chmod +x", name);
	else
		warn("cannot run %s: %s", name, strerror(err));
	return EXIT_CANNOT_RUN;
}

int child_exec(const struct child_plan *plan)
{
	keep_over_exec(plan);
	execvp(plan->argv[0], plan->argv);
	return cannot_run(plan->argv[0], errno);
}

/* Signals that mean a fault of our own, or stop us, keep their usual effect. */
static void fill_mask(sigset_t *set)
{
	static const int usual[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP,
				    SIGSYS,  SIGTSTP, SIGTTIN, SIGTTOU};
	memset(set, 0xff, sizeof(*set)); /* sigfillset() leaves out what the libc keeps */
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		sigdelset(set, usual[i]);
}

/*
 * vfork, not fork: no page tables are copied, and as the memory is shared the child can report
 * why exec failed without a pipe. It writes nothing but that one variable. The checkers below
 * allow only exec and _exit in the child, as POSIX did; on Linux a vfork child has its own
 * descriptors, mask and dispositions, and posix_spawn(3) itself does no other. It cannot be used
 * here because it can set a disposition to its default, but not back to "ignored".
 */
static pid_t spawn(const struct child_plan *plan, int *exec_error)
{
	volatile int failed = 0;
	/* NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	pid_t pid = vfork();
	if (pid == 0) {
		keep_over_exec(plan);
		sigaction(SIGCHLD, &original_chld, NULL);
		set_mask(SIG_SETMASK, &original_mask, NULL);
		execvp(plan->argv[0], plan->argv);
		failed = errno;
		_exit(EXIT_NOT_FOUND);
	}
	/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	int saved = errno;
	*exec_error = failed;
	errno = saved;
	return pid;
}

/*
 * What a terminal sends goes to the whole foreground job, so the child has had it already. But a
 * hang-up goes to the session's leader alone, and what other parts of the kernel send (an alarm, a
 * limit) to one process.
 */
static bool had_it(pid_t pid, const siginfo_t *info)
{
	if (info->si_code != SI_KERNEL || getpgid(pid) != getpgrp())
		return false;
	switch (info->si_signo) {
	case SIGINT:
	case SIGQUIT:
	case SIGWINCH:
	case SIGCONT:
		return true;
	case SIGHUP:
		return getsid(0) != getpid();
	default:
		return false;
	}
}

static void forward(pid_t pid, const siginfo_t *info)
{
	if (info->si_signo == SIGPIPE && info->si_pid == getpid())
		return; /* a message of our own that nobody wanted */
	if (!had_it(pid, info))
		kill(pid, info->si_signo);
}

/*
 * COMMAND stopped for the terminal's sake: so do we, that the shell notices; both go on with `fg`.
 * Raised as SIGTSTP it does nothing where no shell could ever wake us (an orphaned process group).
 * A plain SIGSTOP of COMMAND is not copied: whoever sent it may wake COMMAND alone.
 */
static void stop_too(int signo)
{
	if (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)
		raise(SIGTSTP);
}

static int status_to_exit(int status)
{
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int supervise(pid_t pid, const sigset_t *set)
{
	for (;;) {
		siginfo_t info;
		int status;
		if (sigwaitinfo(set, &info) < 0)
			continue; /* EINTR: we were stopped and go on */
		if (info.si_signo != SIGCHLD) {
			forward(pid, &info);
			continue;
		}
		/* SIGCHLDs merge, and others' children may be ours by inheritance: ask about this one. */
		if (waitpid(pid, &status, WNOHANG | WUNTRACED) != pid)
			continue;
		if (!WIFSTOPPED(status))
			return status_to_exit(status);
		stop_too(WSTOPSIG(status));
	}
}

void child_hold_signals(void)
{
	sigset_t set;
	fill_mask(&set);
	set_mask(SIG_BLOCK, &set, &original_mask);
}

/* A thread inherits the mask of the one that creates it. */
int child_start_thread(void *(*run)(void *), void *arg)
{
	sigset_t every, before;
	pthread_t thread;
	memset(&every, 0xff, sizeof(every));
	set_mask(SIG_BLOCK, &every, &before);
	int err = pthread_create(&thread, NULL, run, arg);
	set_mask(SIG_SETMASK, &before, NULL);
	return err ? err : pthread_detach(thread);
}

void child_guard_messages(bool begin)
{
	static struct sigaction before;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, begin ? &ignore : &before, begin ? &before : NULL);
}

int child_run(const struct child_plan *plan)
{
	sigset_t set;
	fill_mask(&set);
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &fallback, &original_chld);

	int exec_error;
	pid_t pid = spawn(plan, &exec_error);
	if (pid < 0)
		return -errno;
	int status = supervise(pid, &set);
	return exec_error ? cannot_run(plan->argv[0], exec_error) : status;
}

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
	set_mask(SIG_BLOCK, &every, &before);
	/* NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	pid_t pid = vfork();
	if (pid == 0) {
		if (!io->with_us)
			setpgid(0, 0);
		/* We may have been killed before that was in force. */
		if (io->mortal && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != us))
			_exit(EXIT_NOT_FOUND);
		keep_over_exec(plan);
		if (lead_streams(io)) {
			stop_release();
			execvpe(plan->argv[0], plan->argv, io->env);
		}
		failed = errno;
		_exit(EXIT_NOT_FOUND);
	}
	/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	int err = errno;
	set_mask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -err;
	if (!failed)
		return pid;
	waitpid(pid, NULL, 0);
	*status = cannot_run(plan->argv[0], failed);
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
	if (waitpid(pid, &raw, WNOHANG) != pid)
		return false;
	*status = status_to_exit(raw);
	return true;
}

void child_pass_on(int pid, int signo)
{
	/* What the terminal sends, it sends to all of the job. */
	if (signo != SIGINT || !isatty(0) || tcgetpgrp(0) != getpgrp())
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

void child_let_go(void)
{
	sigset_t mask = original_mask;
	sigaddset(&mask, SIGPIPE);
	set_mask(SIG_SETMASK, &mask, NULL);
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
	return status_to_exit(status);
}

void child_kill_one(int pid)
{
	kill(pid, SIGKILL);
}
