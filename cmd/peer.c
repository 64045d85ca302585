/* SPDX-License-Identifier: MIT */
/*
 * Signals between lockruns. A lockrun that waits and is to give way gets SIGTERM with a word of ours in it, which
 * tells it from anybody's SIGTERM. It is blocked meanwhile and read from a descriptor: so none comes too early or too
 * late for a system call, and an ignored one is heard as well.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exitcode.h"
#include "peer.h"
#include "say.h"

#define GIVE_WAY 0x57a1de

static sigset_t before;
static bool pending; /* one that stays blocked, as it was when we were started */

static int send_signal(int pidfd, int signo, siginfo_t *info)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, info, 0) ? -errno : 0;
}

int peer_try(int pidfd)
{
	return send_signal(pidfd, 0, NULL);
}

int peer_ask(int pidfd, int signo)
{
	int r = send_signal(pidfd, signo, NULL);
	if (!r)
		(void)send_signal(pidfd, SIGCONT, NULL);
	return r;
}

int peer_tell(int pidfd)
{
	siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = GIVE_WAY;
	int r = send_signal(pidfd, SIGTERM, &info);
	if (!r)
		(void)send_signal(pidfd, SIGCONT, NULL);
	return r;
}

static void only_term(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
}

int peer_listen(void)
{
	sigset_t set;
	only_term(&set);
	sigprocmask(SIG_BLOCK, &set, &before);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die(EXIT_SYSTEM, "cannot listen for signals: %s", strerror(errno));
	return fd;
}

/* The usual effect of a SIGTERM on us. */
static void suffer(void)
{
	struct sigaction sa;
	sigset_t set;
	sigaction(SIGTERM, NULL, &sa);
	if (sigismember(&before, SIGTERM)) {
		pending = true;
	} else if (sa.sa_handler != SIG_IGN) {
		only_term(&set);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		raise(SIGTERM);
	}
}

bool peer_hear(int listening)
{
	struct signalfd_siginfo info;
	if (read(listening, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_code == SI_QUEUE && info.ssi_int == GIVE_WAY)
		return true;
	suffer();
	return false;
}

void peer_stop_listening(int listening)
{
	sigset_t set;
	close(listening);
	if (pending)
		raise(SIGTERM);
	only_term(&set);
	if (!sigismember(&before, SIGTERM))
		sigprocmask(SIG_UNBLOCK, &set, NULL);
}
