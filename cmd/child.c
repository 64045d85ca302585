/* SPDX-License-Identifier: MIT */
/*
 * In charge of COMMAND: start it, pass signals on to it, wait for its end. This file, childexec.c and children.c are
 * the only code that starts a process or a thread, changes the signal mask or sends a signal.
 *
 * 1. Block every signal that can be caught, but those that stop us (Ctrl-Z stops the whole job).
 * 2. SIGCHLD to its default: ignored, as some parents leave it, it would eat the exit status.
 * 3. vfork; the child puts mask and disposition back as we got them, opens the kept descriptors
 *    to exec, and execs.
 * 4. sigwaitinfo until SIGCHLD says that the child has ended; every other signal is passed on.
 *
 * No signal can get lost between 1 and 4, and no handler is ever installed. Until it is reaped the
 * child's pid cannot name anybody else, so plain kill(2) is safe; afterwards nothing is sent.
 *
 * With a limit on its time (limit.h) we are besides the subreaper of all that COMMAND starts: whoever is
 * orphaned becomes our child, and so "nothing is left" is what the kernel means by ECHILD. That must not
 * be said of anybody else's children; see child_stand_alone().
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_parts.h"
#include "exitcode.h"
#include "limit.h"
#include "say.h"
#include "tree.h"

static sigset_t original_mask;
static struct sigaction original_chld;
static int wait_status;

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
		child_keep_over_exec(plan);
		sigaction(SIGCHLD, &original_chld, NULL);
		child_set_mask(SIG_SETMASK, &original_mask, NULL);
		child_replace_us(plan->argv);
		failed = errno;
		_exit(EXIT_NOT_FOUND);
	}
	/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork) */
	int saved = errno;
	*exec_error = failed;
	if (pid > 0 && !failed && plan->started)
		plan->started(pid);
	errno = saved;
	return pid;
}

/*
 * What a terminal sends goes to the whole foreground job, so the child has had it already. But a
 * hang-up goes to the session's leader alone, and what other parts of the kernel send (an alarm, a
 * limit) to one process.
 */
bool child_had_it(pid_t pid, const siginfo_t *info)
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

/* A message of our own that nobody wanted, or that its file has no room for (ulimit -f). */
static bool of_a_message(const siginfo_t *info)
{
	return (info->si_signo == SIGPIPE || info->si_signo == SIGXFSZ) && info->si_pid == getpid();
}

static void forward(pid_t pid, const siginfo_t *info)
{
	if (of_a_message(info))
		return;
	if (!child_had_it(pid, info))
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

int child_exit_status(int status)
{
	wait_status = status;
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * As spawn(), and the child shares our list of semaphore adjustments: permits taken with SEM_UNDO then come
 * back when both of us have ended. That takes clone(2), and so a stack: of the size that execvp() needs.
 */
struct start {
	const struct child_plan *plan;
	volatile int failed;
};

static int start(void *arg)
{
	struct start *s = arg;
	child_keep_over_exec(s->plan);
	sigaction(SIGCHLD, &original_chld, NULL);
	child_set_mask(SIG_SETMASK, &original_mask, NULL);
	child_replace_us(s->plan->argv);
	s->failed = errno;
	return EXIT_NOT_FOUND;
}

static pid_t spawn_sharing(const struct child_plan *plan, int *exec_error)
{
	struct start s = {.plan = plan};
	size_t words = 0;
	while (plan->argv[words])
		words++;
	size_t size = 128 * 1024UL + (words + 2) * sizeof(char *);
	size = (size + 4095) & ~4095UL;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -1;
	pid_t pid =
		clone(start, stack + size, CLONE_VM | CLONE_VFORK | CLONE_SYSVSEM | SIGCHLD, &s);
	int saved = errno;
	munmap(stack, size);
	*exec_error = s.failed;
	if (pid > 0 && !s.failed && plan->started)
		plan->started(pid);
	errno = saved;
	return pid;
}

int child_is_lost(pid_t pid)
{
	warn("cannot wait for process %d: %s", (int)pid, strerror(errno));
	return EXIT_SYSTEM;
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
		pid_t who = waitpid(pid, &status, WNOHANG | WUNTRACED);
		if (who < 0)
			return child_is_lost(pid);
		if (who == 0)
			continue;
		if (!WIFSTOPPED(status))
			return child_exit_status(status);
		stop_too(WSTOPSIG(status));
	}
}

/*
 * Reap all who have ended, the adopted ones too. COMMAND, if it is among them: *pid becomes -1, and *status
 * its exit status. False if no child is left.
 */
static bool reap(pid_t *pid, int *status)
{
	int raw;
	pid_t who;
	while ((who = waitpid(-1, &raw, WNOHANG | WUNTRACED)) > 0) {
		if (who != *pid)
			continue;
		if (WIFSTOPPED(raw)) {
			stop_too(WSTOPSIG(raw));
			continue;
		}
		*pid = -1;
		*status = child_exit_status(raw);
	}
	return who == 0;
}

static int next_signal(const sigset_t *set, siginfo_t *info, const struct limit *limit)
{
	struct timespec left;
	return limit_next(limit, &left) ? sigtimedwait(set, info, &left) : sigwaitinfo(set, info);
}

/* As supervise(); past the limit until COMMAND (or -1) and all it has started are gone. */
static int supervise_limited(pid_t pid, const sigset_t *set, struct limit *limit)
{
	int status = 0;
	for (;;) {
		bool any_left = reap(&pid, &status);
		if (pid < 0 && !limit->ending)
			return status;
		if (!any_left)
			return pid > 0 ? child_is_lost(pid) : EXIT_TIMED_OUT;
		limit_act(limit);
		siginfo_t info;
		int signo = next_signal(set, &info, limit);
		if (signo <= 0 || signo == SIGCHLD)
			continue; /* EAGAIN: something is due; EINTR: we were stopped and go on */
		if (pid > 0)
			forward(pid, &info);
		else if (!of_a_message(&info))
			tree_signal(signo);
	}
}

int child_end_rest(struct limit *limit)
{
	sigset_t set;
	sigset_t before;
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	fill_mask(&set);
	child_set_mask(SIG_BLOCK, &set, &before);
	sigaction(SIGCHLD, &fallback, NULL);
	return supervise_limited(-1, &set, limit);
}

bool child_passes_on(int signo)
{
	sigset_t set;
	fill_mask(&set);
	return sigismember(&set, signo) && signo != SIGKILL && signo != SIGSTOP && signo != SIGCHLD;
}

void child_hold_signals(void)
{
	static bool held; /* and let go since: the mask as we got it is known */
	sigset_t set;
	fill_mask(&set);
	child_set_mask(SIG_BLOCK, &set, held ? NULL : &original_mask);
	held = true;
}

/* A thread inherits the mask of the one that creates it. */
int child_start_thread(void *(*run)(void *), void *arg)
{
	sigset_t every, before;
	pthread_t thread;
	memset(&every, 0xff, sizeof(every));
	child_set_mask(SIG_BLOCK, &every, &before);
	int err = pthread_create(&thread, NULL, run, arg);
	child_set_mask(SIG_SETMASK, &before, NULL);
	return err ? err : pthread_detach(thread);
}

void child_guard_messages(bool begin)
{
	static struct sigaction before[2];
	static bool guarded;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	if (begin == guarded)
		return;
	guarded = begin;
	sigaction(SIGPIPE, begin ? &ignore : &before[0], begin ? &before[0] : NULL);
	sigaction(SIGXFSZ, begin ? &ignore : &before[1], begin ? &before[1] : NULL);
}

void child_ignore_unread(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

int child_run(const struct child_plan *plan)
{
	sigset_t set;
	fill_mask(&set);
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &fallback, &original_chld);

	int exec_error;
	pid_t pid = plan->share_undo ? spawn_sharing(plan, &exec_error) : spawn(plan, &exec_error);
	if (pid < 0)
		return -errno;
	int status;
	if (plan->limit) {
		limit_begin(plan->limit, plan->limit_opts, plan->argv[0]);
		status = supervise_limited(pid, &set, plan->limit);
	} else {
		status = supervise(pid, &set);
	}
	return exec_error ? child_cannot_run(plan->argv[0], exec_error) : status;
}

/*
 * Whoever becomes us by exec may have children already, whose orphans we could not tell from the job's; and so
 * could process 1 of a container, who adopts everybody's. Then a child of ours goes on in our place, and we
 * stay outside, without locks, as the one whom our caller waits for.
 */
void child_stand_alone(void)
{
	siginfo_t info;
	struct tree_process self;
	if (!tree_look(getpid(), &self))
		die(EXIT_SYSTEM, "--max-run must see all that COMMAND starts: mount /proc");
	bool alone = getpid() != 1 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) &&
		     errno == ECHILD;
	if (!alone) {
		sigset_t set;
		struct sigaction fallback = {.sa_handler = SIG_DFL};
		fill_mask(&set);
		child_hold_signals();
		sigaction(SIGCHLD, &fallback, &original_chld);
		pid_t pid = fork();
		if (pid < 0)
			die(EXIT_SYSTEM, "cannot start a process: %s", strerror(errno));
		if (pid > 0)
			exit(supervise(pid, &set));
		sigaction(SIGCHLD, &original_chld, NULL);
		child_set_mask(SIG_SETMASK, &original_mask, NULL);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int child_wait_status(void)
{
	return wait_status;
}

static void signals_as_they_are(void)
{
	original_chld = (struct sigaction){.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &original_chld, NULL);
	child_set_mask(SIG_BLOCK, NULL, &original_mask);
}

int child_become(const struct child_plan *plan)
{
	signals_as_they_are();
	child_keep_over_exec(plan);
	child_replace_us(plan->argv);
	return errno;
}

/* Killed between vfork and exec we leave a child that execs none the less, as after fork. */
int child_attend(const struct child_plan *plan, int *exec_error)
{
	int status;
	signals_as_they_are();
	pid_t pid = spawn(plan, exec_error);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return child_exit_status(status);
}

void child_let_go(void)
{
	sigset_t mask = original_mask;
	sigaddset(&mask, SIGPIPE);
	sigaddset(&mask, SIGXFSZ);
	child_set_mask(SIG_SETMASK, &mask, NULL);
}

/* Its children are not waited for one by one from here on: the kernel reaps those of who ignores SIGCHLD. */
void child_let_rest_go(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGCHLD, &ignore, NULL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}
