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
 *
 * With a limit on its time (limit.h) we are besides the subreaper of all that COMMAND starts: whoever is
 * orphaned becomes our child, and so "nothing is left" is what the kernel means by ECHILD. That must not
 * be said of anybody else's children; see child_stand_alone().
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "exitcode.h"
#include "limit.h"
#include "say.h"
#include "stop.h"
#include "tree.h"

static sigset_t original_mask;
static struct sigaction original_chld;
static int wait_status;

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

/* Apart, for the sake of the stack that it takes. It may be on the far side of vfork, so nothing is allocated. */
__attribute__((noinline)) static void become_script(char *const *argv)
{
	static char sh[] = "/bin/sh";
	char *words[1024];
	size_t n = 0;
	const char *path = argv[0];
	while (*path && *path != '/')
		path++;
	if (!*path)
		return;
	/* NOLINTBEGIN(clang-analyzer-unix.Vfork) */
	words[0] = sh;
	while (n < 1022 && argv[n]) {
		words[n + 1] = argv[n];
		n++;
	}
	words[n + 1] = NULL;
	if (!argv[n])
		execv(sh, words);
	errno = ENOEXEC;
	/* NOLINTEND(clang-analyzer-unix.Vfork) */
}

/*
 * execvp(3), of which POSIX wants that sh reads a script without a #! line: musl's does not. Only if its path
 * is given: which of PATH it was nobody tells.
 */
static void become(char *const *argv)
{
	execvp(argv[0], argv);
	if (errno == ENOEXEC)
		become_script(argv);
}

int child_exec(const struct child_plan *plan)
{
	keep_over_exec(plan);
	become(plan->argv);
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
		become(plan->argv);
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

/* A message of our own that nobody wanted, or that its file has no room for (ulimit -f). */
static bool of_a_message(const siginfo_t *info)
{
	return (info->si_signo == SIGPIPE || info->si_signo == SIGXFSZ) && info->si_pid == getpid();
}

static void forward(pid_t pid, const siginfo_t *info)
{
	if (of_a_message(info))
		return;
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
	keep_over_exec(s->plan);
	sigaction(SIGCHLD, &original_chld, NULL);
	set_mask(SIG_SETMASK, &original_mask, NULL);
	become(s->plan->argv);
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

/* No such child, says the kernel: no signal will ever come either. */
static int lost(pid_t pid)
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
			return lost(pid);
		if (who == 0)
			continue;
		if (!WIFSTOPPED(status))
			return status_to_exit(status);
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
		*status = status_to_exit(raw);
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
			return pid > 0 ? lost(pid) : EXIT_TIMED_OUT;
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
	set_mask(SIG_BLOCK, &set, &before);
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
	set_mask(SIG_BLOCK, &set, held ? NULL : &original_mask);
	held = true;
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
	return exec_error ? cannot_run(plan->argv[0], exec_error) : status;
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
		set_mask(SIG_SETMASK, &original_mask, NULL);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
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
		if (io->mortal && prctl(PR_SET_PDEATHSIG, SIGKILL)) {
			failed = errno;
			_exit(EXIT_NOT_FOUND);
		}
		/* We may have been killed before that was in force. */
		if (io->mortal && getppid() != us)
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

int child_wait_status(void)
{
	return wait_status;
}

static void signals_as_they_are(void)
{
	original_chld = (struct sigaction){.sa_handler = SIG_DFL};
	sigaction(SIGCHLD, &original_chld, NULL);
	set_mask(SIG_BLOCK, NULL, &original_mask);
}

int child_become(const struct child_plan *plan)
{
	signals_as_they_are();
	keep_over_exec(plan);
	become(plan->argv);
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
	return status_to_exit(status);
}

bool child_has_ended(int pid, int *status)
{
	int raw;
	pid_t who = waitpid(pid, &raw, WNOHANG);
	if (who == 0)
		return false;
	*status = who < 0 ? lost(pid) : status_to_exit(raw);
	return true;
}

void child_pass_on(int pid, int signo, int code)
{
	const siginfo_t info = {.si_signo = signo, .si_code = code};
	if (!had_it(pid, &info))
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
	sigaddset(&mask, SIGXFSZ);
	set_mask(SIG_SETMASK, &mask, NULL);
}

/* Its children are not waited for one by one from here on: the kernel reaps those of who ignores SIGCHLD. */
void child_let_rest_go(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGCHLD, &ignore, NULL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
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
