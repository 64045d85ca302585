/* SPDX-License-Identifier: MIT */
/*
 * Runs a command and does harm to one of its system calls: inject [OPTION...] COMMAND [ARG...]
 *
 *	-l		lists the calls, each "NUMBER NAME ARGUMENT ERROR...", as -n and -e take them
 *	-n N		the N-th call, counted from 1 ...
 *	-e ERROR	... fails with this error, if it can; it is not made, but for close
 *	-a		... and so do all later calls of that kind
 *	-k entry|exit	... or the process gets SIGKILL when it is about to make it, or has just made it
 *	-p TASK		calls of this process or thread: 0 the command, 1 the first that is made, ...
 *	-t SECONDS	ends all of it with SIGKILL then: a hang
 *	-d		all that is left when the command has ended is let go; else it is waited for
 *	-o FILE		a report: calls=N hit=NAME status=N signal=N hang=0|1
 *
 * Calls count from where the dynamic loader has finished (what it does is not ours), until the task becomes
 * another program: what COMMAND of lockrun does is not ours either. It follows whatever is started, so nothing
 * outlives it (but with -d). Its own status is 0 unless it could not do its work.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <linux/ptrace.h>
#include <unistd.h>

#include "inject.h"

/* Linux 6.16; the same on all architectures. */
#define SET_SYSCALL_INFO 0x4212

#define TRACE_ALL                                                                                  \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |   \
	 PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

/* The loader's text is mapped from here on, and all others below (Linux maps downwards). */
#define LOADER_SIZE 0x100000

enum { MAX_TASKS = 256 };

static struct {
	bool list, always, detach, kill, kill_at_exit;
	unsigned long n;
	int error, seconds;
	const char *error_name;
	size_t task;
	const char *report;
	FILE *out;
} opts = {.seconds = 20};

static struct {
	pid_t tasks[MAX_TASKS]; /* in the order in which they came to be */
	size_t n_tasks;
	pid_t first;
	bool started;  /* the first one has become the command */
	bool counting; /* it has not become another */
	__u64 loader;
	unsigned long calls;
	__u64 number; /* of the call that failed */
	const char *hit;
	__u64 entered; /* the call that is being made */
	__s64 brk;     /* where the break is */
	bool failing;  /* at its exit the result is to be replaced ... */
	__s64 result;  /* ... by this */
	int status, signal;
} run;

static volatile sig_atomic_t hang;

static void die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("inject: ", stderr);
	vfprintf(stderr, format, ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	va_end(ap);
	exit(125);
}

static bool is_target(pid_t pid)
{
	return opts.task < run.n_tasks && run.tasks[opts.task] == pid;
}

static void add_task(pid_t pid)
{
	if (run.n_tasks == MAX_TASKS)
		die("more than %d processes", MAX_TASKS);
	run.tasks[run.n_tasks++] = pid;
}

/* Where the loader is mapped, 0 for a program without. */
static __u64 find_loader(pid_t pid)
{
	char path[32];
	Elf64_auxv_t entry;
	__u64 found = 0;
	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && !found && read(fd, &entry, sizeof(entry)) == sizeof(entry))
		if (entry.a_type == AT_BASE)
			found = entry.a_un.a_val;
	if (fd >= 0)
		close(fd);
	return found;
}

/* One of its registers; Linux 6.16 has a way for all architectures. */
#ifdef __x86_64__
#define SET(pid, info, field, reg, value)                                                          \
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, reg), value)
#else
#define SET(pid, info, field, reg, value)                                                          \
	((info)->field = (__u64)(value), ptrace(SET_SYSCALL_INFO, pid, sizeof(*(info)), info))
#endif

/* The call will fail. Of one that has been killed meanwhile nothing is changed. */
static void spoil_call(pid_t pid, struct ptrace_syscall_info *info)
{
	run.failing = true;
	run.result = call_is_brk(info->entry.nr) ? run.brk : -opts.error;
	if (!call_is_made(info->entry.nr, opts.error))
		SET(pid, info, entry.nr, orig_rax, -1);
}

static void set_result(pid_t pid, struct ptrace_syscall_info *info)
{
	info->exit.is_error = run.result < 0;
	SET(pid, info, exit.rval, rax, run.result);
}

static void list(const struct ptrace_syscall_info *info)
{
	const char *name = call_name(info->entry.nr);
	unsigned first = (unsigned)info->entry.args[0];
	if (name)
		fprintf(opts.out, "%lu %s %#x %s\n", run.calls, name, first,
			call_errors(info->entry.nr, info->entry.args));
	else
		fprintf(opts.out, "%lu %llu %#x unknown\n", run.calls,
			(unsigned long long)info->entry.nr, first);
}

static void hit(__u64 number)
{
	const char *name = call_name(number);
	run.number = number;
	run.hit = name ? name : "unknown";
}

static void at_entry(pid_t pid, struct ptrace_syscall_info *info)
{
	const char *errors = call_errors(info->entry.nr, info->entry.args);
	bool can_fail = errors && opts.error && strstr(errors, opts.error_name);
	bool again = run.hit && opts.always && info->entry.nr == run.number;
	run.calls++;
	if (opts.list)
		list(info);
	if (run.calls == opts.n && (opts.kill || can_fail)) {
		hit(info->entry.nr);
		if (opts.kill && !opts.kill_at_exit)
			kill(pid, SIGKILL);
	}
	if (can_fail && (run.calls == opts.n || again))
		spoil_call(pid, info);
}

static void at_exit(pid_t pid, struct ptrace_syscall_info *info)
{
	if (opts.kill && opts.kill_at_exit && run.calls == opts.n)
		kill(pid, SIGKILL);
	if (!run.failing)
		return;
	run.failing = false;
	/* Of a child that has not ended, nobody says that it is not there. */
	if (opts.error != ECHILD || info->exit.rval > 0)
		set_result(pid, info);
}

static void on_call(pid_t pid)
{
	struct ptrace_syscall_info info = {0};
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return; /* killed */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		run.entered = info.entry.nr;
		if (run.loader && info.instruction_pointer - run.loader < LOADER_SIZE)
			return;
		run.loader = 0;
		at_entry(pid, &info);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (call_is_brk(run.entered) && !run.failing)
			run.brk = info.exit.rval;
		if (run.calls)
			at_exit(pid, &info);
	}
}

static void on_exec(pid_t pid)
{
	if (!run.started) {
		run.started = run.counting = true;
		run.loader = opts.task ? 0 : find_loader(pid);
	} else if (is_target(pid)) {
		run.counting = false;
		/* The exec itself has been made. */
		if (opts.kill && opts.kill_at_exit && run.calls == opts.n)
			kill(pid, SIGKILL);
	}
}

/* Returns the signal that it shall get. */
static int on_stop(pid_t pid, int status)
{
	int sig = WSTOPSIG(status);
	int event = status >> 16;
	unsigned long child;
	switch (event) {
	case 0:
		if (sig != (SIGTRAP | 0x80))
			return sig;
		on_call(pid);
		return 0;
	case PTRACE_EVENT_EXEC:
		on_exec(pid);
		return 0;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		if (!ptrace(PTRACE_GETEVENTMSG, pid, 0, &child))
			add_task((pid_t)child);
		return 0;
	default:
		return 0;
	}
}

static void go_on(pid_t pid, int status, int sig)
{
	bool stopped = status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
	bool count = run.counting && is_target(pid);
	/* Only a target that comes to be later has no number yet: it is stopped at its start, and known by then. */
	ptrace(stopped ? PTRACE_LISTEN
	       : count ? PTRACE_SYSCALL
		       : PTRACE_CONT,
	       pid, 0, stopped ? 0 : sig);
}

static void let_go(void)
{
	for (size_t i = 0; i < run.n_tasks; i++)
		if (!ptrace(PTRACE_INTERRUPT, run.tasks[i], 0, 0)) {
			int status;
			if (waitpid(run.tasks[i], &status, __WALL) < 0 || !WIFSTOPPED(status))
				continue;
			int sig = status >> 16 ? 0 : WSTOPSIG(status);
			ptrace(PTRACE_DETACH, run.tasks[i], 0, sig == (SIGTRAP | 0x80) ? 0 : sig);
		}
}

static void end_all(void)
{
	for (size_t i = 0; i < run.n_tasks; i++)
		kill(run.tasks[i], SIGKILL);
}

static void on_alarm(int sig)
{
	(void)sig;
	hang = 1;
}

static void trace(void)
{
	bool ended = false;
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);
		if (hang && !ended) {
			end_all();
			ended = true;
		}
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return;
		if (WIFSTOPPED(status)) {
			if (ended)
				kill(pid, SIGKILL);
			/* A thread may be seen before the event that tells of it. */
			go_on(pid, status, on_stop(pid, status));
			continue;
		}
		if (pid != run.first)
			continue;
		run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		run.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		if (opts.detach) {
			let_go();
			return;
		}
	}
}

static void start(char **argv)
{
	int gate[2];
	char go;
	if (pipe2(gate, O_CLOEXEC))
		die("pipe");
	run.first = fork();
	if (run.first < 0)
		die("fork");
	if (!run.first) {
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(125);
		execvp(argv[0], argv);
		_exit(127);
	}
	add_task(run.first);
	if (ptrace(PTRACE_SEIZE, run.first, 0, TRACE_ALL))
		die("cannot trace");
	struct sigaction act = {.sa_handler = on_alarm}; /* without SA_RESTART */
	sigaction(SIGALRM, &act, NULL);
	alarm((unsigned)opts.seconds);
	close(gate[0]);
	if (write(gate[1], "", 1) != 1)
		die("write");
	close(gate[1]);
}

static void parse(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "+ln:e:ak:p:t:do:")) != -1) {
		switch (c) {
		case 'l':
			opts.list = true;
			break;
		case 'n':
			opts.n = strtoul(optarg, NULL, 10);
			break;
		case 'e':
			opts.error = error_number(optarg);
			opts.error_name = optarg;
			errno = EINVAL;
			if (!opts.error)
				die("%s", optarg);
			break;
		case 'a':
			opts.always = true;
			break;
		case 'k':
			opts.kill = true;
			opts.kill_at_exit = !strcmp(optarg, "exit");
			break;
		case 'p':
			opts.task = strtoul(optarg, NULL, 10);
			break;
		case 't':
			opts.seconds = atoi(optarg);
			break;
		case 'd':
			opts.detach = true;
			break;
		case 'o':
			opts.report = optarg;
			break;
		default:
			exit(125);
		}
	}
	if (optind == argc || !opts.report) {
		fputs("usage: inject -o FILE [OPTION...] COMMAND [ARG...]\n", stderr);
		exit(125);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	opts.out = fopen(opts.report, "we");
	if (!opts.out)
		die("%s", opts.report);
	start(argv + optind);
	trace();
	if (!opts.list)
		fprintf(opts.out, "calls=%lu hit=%s status=%d signal=%d hang=%d\n", run.calls,
			run.hit ? run.hit : "", run.status, run.signal, (int)hang);
	return fclose(opts.out) ? 125 : 0;
}
