/* SPDX-License-Identifier: MIT */
/*
 * Runs COMMAND and leaves in FILE how much memory it has had at the most, in KiB: VmHWM as it stands when the
 * process ends, before its memory goes; and behind it its status. (getrusage(2) would count what the process was before the
 * exec, too.)
 *
 * Usage: mq-peak FILE COMMAND...
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void note_peak(const char *name, pid_t pid)
{
	char path[64];
	char line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *in = fopen(path, "re");
	FILE *out = fopen(name, "we");
	if (!out) {
		perror(name);
		exit(1);
	}
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, "VmHWM:", 6))
			fprintf(out, "%ld\n", strtol(line + 6, NULL, 10));
	if (in)
		fclose(in);
	fclose(out);
}

int main(int argc, char **argv)
{
	int status;
	if (argc < 3)
		return 64;
	pid_t pid = fork();
	if (pid < 0)
		return 71;
	if (!pid) {
		raise(SIGSTOP); /* until we look */
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	waitpid(pid, &status, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)) {
		perror("mq-peak: ptrace");
		kill(pid, SIGKILL);
		return 71;
	}
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		int event = status >> 16;
		int signo = WSTOPSIG(status);
		if (event == PTRACE_EVENT_EXIT)
			note_peak(argv[1], pid);
		if (event)
			signo = 0;
		if (event == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP)
			ptrace(PTRACE_LISTEN, pid, NULL, 0);
		else
			ptrace(PTRACE_CONT, pid, NULL, signo);
	}
	int r = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	FILE *out = fopen(argv[1], "ae");
	if (!out || fprintf(out, "%d\n", r) < 0 || fclose(out))
		return 71;
	return r;
}
