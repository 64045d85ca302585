/* SPDX-License-Identifier: MIT */
/* Signals as people name them. A table of our own: musl has none. */
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#include "parse.h"
#include "signame.h"

static const struct {
	const char *name;
	int signo;
} signals[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"TERM", SIGTERM},
	{"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},     {"ALRM", SIGALRM},
	{"ABRT", SIGABRT}, {"PIPE", SIGPIPE}, {"CONT", SIGCONT},     {"STOP", SIGSTOP},
	{"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"WINCH", SIGWINCH},
	{"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF},
	{"IO", SIGIO},     {"PWR", SIGPWR},   {"URG", SIGURG},       {"CHLD", SIGCHLD},
	{"SEGV", SIGSEGV}, {"BUS", SIGBUS},   {"ILL", SIGILL},       {"FPE", SIGFPE},
	{"TRAP", SIGTRAP}, {"SYS", SIGSYS},
};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

bool signal_parse(const char *s, int *signo)
{
	uint64_t n;
	if (parse_count(s, NSIG - 1, &n)) {
		*signo = (int)n;
		return n > 0;
	}
	if (!strncasecmp(s, "SIG", 3))
		s += 3;
	for (size_t i = 0; i < SIGNALS; i++) {
		if (!strcasecmp(s, signals[i].name)) {
			*signo = signals[i].signo;
			return true;
		}
	}
	return false;
}

const char *signal_name(int signo)
{
	static char number[16];
	for (size_t i = 0; i < SIGNALS; i++)
		if (signals[i].signo == signo)
			return signals[i].name;
	snprintf(number, sizeof(number), "%d", signo);
	return number;
}
