/* SPDX-License-Identifier: MIT */
/* The SIGBUS handler that stands guard while shared mappings are touched. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"

/*
 * Handlers belong to the process: the first thread that needs it puts it in place, the last one
 * puts back what was there.
 */
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned guard_users;
static struct sigaction guard_old;

/*
 * What this thread may touch now. The fault is raised in the thread that touched, so the handler
 * needs no lock to look here. initial-exec: it must not allocate, either.
 */
static __thread struct sync_map *guarded __attribute__((tls_model("initial-exec")));
static __thread bool was_blocked __attribute__((tls_model("initial-exec")));

/* Put a page of zeros where the file has none. */
static bool mend(uintptr_t at)
{
	for (struct sync_map *m = guarded; m; m = m->next) {
		uintptr_t start = (uintptr_t)m->addr;
		if (!m->addr || at < start || at - start >= m->size)
			continue;
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		char *where = (char *)m->addr + (at - start) / page * page;
		atomic_store(&m->torn, true);
		return mmap(where, page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	}
	return false;
}

/* A fault of somebody else, or no fault but a signal that was sent: as if we were not here. */
static void pass_on(int signo, siginfo_t *info, void *context)
{
	bool sent = info->si_code <= 0;
	if (guard_old.sa_flags & SA_SIGINFO) {
		guard_old.sa_sigaction(signo, info, context);
	} else if (guard_old.sa_handler == SIG_DFL || (guard_old.sa_handler == SIG_IGN && !sent)) {
		/* It dies of it: of the fault, which comes again, or of this. */
		signal(signo, SIG_DFL);
		if (sent)
			raise(signo);
	} else if (guard_old.sa_handler != SIG_IGN) {
		guard_old.sa_handler(signo);
	}
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	if (info->si_code <= 0 || !mend((uintptr_t)info->si_addr))
		pass_on(signo, info, context);
	errno = saved;
}

static void only_sigbus(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGBUS);
}

void sync_guard_start(struct sync_map *maps)
{
	pthread_mutex_lock(&guard_lock);
	if (!guard_users++) {
		sigaction(SIGBUS, NULL, &guard_old);
		struct sigaction sa = {
			.sa_sigaction = on_fault,
			.sa_mask = guard_old.sa_mask,
			.sa_flags = SA_SIGINFO | (guard_old.sa_flags & (SA_ONSTACK | SA_RESTART)),
		};
		sigaction(SIGBUS, &sa, NULL);
	}
	pthread_mutex_unlock(&guard_lock);
	/* A fault whose signal is blocked kills without asking any handler. */
	sigset_t set;
	sigset_t old;
	only_sigbus(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	was_blocked = sigismember(&old, SIGBUS);
	guarded = maps;
}

void sync_guard_stop(void)
{
	guarded = NULL;
	if (was_blocked) {
		sigset_t set;
		only_sigbus(&set);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	}
	pthread_mutex_lock(&guard_lock);
	if (!--guard_users)
		sigaction(SIGBUS, &guard_old, NULL);
	pthread_mutex_unlock(&guard_lock);
}

bool sync_guard_torn(const struct sync_map *maps)
{
	for (const struct sync_map *m = maps; m; m = m->next)
		if (atomic_load(&m->torn))
			return true;
	return false;
}

int sync_map_open(struct sync_map *m, int fd, size_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	m->addr = addr;
	m->size = size;
	atomic_store(&m->torn, false);
	return 0;
}

void sync_map_close(struct sync_map *m)
{
	if (m->addr)
		munmap(m->addr, m->size);
	m->addr = NULL;
}
