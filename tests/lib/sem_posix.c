/* SPDX-License-Identifier: MIT */
/* The contract of posix: semaphores: glibc's bytes, damaged files, permits whose owner is killed. */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "lockutil.h"

#define SLOT 64   /* where the ledger's first slot is */
#define BYTE 4096 /* and its lock */
enum { TAKING = 2, HOLDING = 3, GIVING = 4 };

static int *witness; /* shared with all children: [0] inside, [1] violations, [2] a start gate */

/* ---- names and files ---- */

static const char *name_of(const char *tag)
{
	static char name[64];
	snprintf(name, sizeof(name), "posix:/syncbox-%d-%s", (int)getpid(), tag);
	return name;
}

static char current[64]; /* the semaphore under test, as the children know it too */

static const char *libc_name(void)
{
	return current + strlen("posix:");
}

static const char *file_of(const char *kind)
{
	static char path[2][128];
	static int next;
	next = !next;
	snprintf(path[next], sizeof(path[0]), "/dev/shm/%s.%s", kind, libc_name() + 1);
	return path[next];
}

static struct sync_sem *open_sem(void)
{
	struct sync_sem *sem = NULL;
	int r = sync_sem_open(current, NULL, &sem);
	errno = -r;
	if (r)
		bail_out(current);
	return sem;
}

static struct sync_sem *make_sem(const char *tag, unsigned initial)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = initial};
	struct sync_sem *sem = NULL;
	snprintf(current, sizeof(current), "%s", name_of(tag));
	int r = sync_sem_open(current, &opts, &sem);
	errno = -r;
	if (r)
		bail_out(current);
	return sem;
}

static void drop(struct sync_sem *sem)
{
	need(sync_sem_unlink(sem) == 0, "remove a semaphore");
	sync_sem_close(sem);
}

static struct sync_sem_state state(struct sync_sem *sem)
{
	struct sync_sem_state s = {0};
	need(sync_sem_state(sem, &s) == 0, "look at a semaphore");
	return s;
}

static int try_owned(struct sync_sem *sem)
{
	return sync_sem_wait(sem, 1, SYNC_SEM_OWNED, SYNC_NOW);
}

static int try_plain(struct sync_sem *sem)
{
	return sync_sem_wait(sem, 1, 0, SYNC_NOW);
}

/* ---- children: each runs one function, and talks with us in numbers ---- */

typedef int job_fn(int sock);

static void say(int sock, int n)
{
	if (send(sock, &n, sizeof(n), MSG_NOSIGNAL) != sizeof(n))
		_exit(99);
}

static int hear(int sock)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int n = NO_ANSWER;
	if (poll(&p, 1, LIMIT_MS) != 1 || recv(sock, &n, sizeof(n), 0) != sizeof(n))
		return NO_ANSWER;
	return n;
}

/* Its result is what it says last. */
static struct kid run(job_fn *what)
{
	int pair[2];
	pid_t parent = getpid();
	pair_up(pair);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(pair[0]);
		signal(SIGALRM, SIG_DFL);
		say(pair[1], what(pair[1]));
		_exit(0);
	}
	need(pid > 0, "fork");
	close(pair[1]);
	return (struct kid){pid, pair[0]};
}

/* Waits till told to go on; never if it is killed first. */
static void stay(int sock)
{
	if (hear(sock) == NO_ANSWER)
		_exit(0);
}

static bool waiters_are(struct sync_sem *sem, unsigned n)
{
	return until(state(sem).waiters == n);
}

static int job_wait_owned(int sock)
{
	(void)sock;
	return sync_sem_wait(open_sem(), 1, SYNC_SEM_OWNED, NULL);
}

static int job_wait_plain(int sock)
{
	(void)sock;
	return sync_sem_wait(open_sem(), 1, 0, NULL);
}

/* Say when they have it open. */
static int job_open_wait_owned(int sock)
{
	struct sync_sem *sem = open_sem();
	say(sock, 0);
	return sync_sem_wait(sem, 1, SYNC_SEM_OWNED, NULL);
}

static int job_open_wait_plain(int sock)
{
	struct sync_sem *sem = open_sem();
	say(sock, 0);
	return sync_sem_wait(sem, 1, 0, NULL);
}

static int job_wait_briefly(int sock)
{
	struct timespec room;
	(void)sock;
	return sync_sem_wait(open_sem(), 1, SYNC_SEM_OWNED, in_ms(100, &room));
}

/* Owns a permit till told to give it back. */
static int job_own(int sock)
{
	struct sync_sem *sem = open_sem();
	say(sock, try_owned(sem));
	stay(sock);
	return sync_sem_release(sem);
}

/* Owns a permit, and has an heir that holds on to the descriptor. Says the heir's pid. */
static int job_own_with_heir(int sock)
{
	struct sync_sem *sem = open_sem();
	int r = try_owned(sem);
	int heir = r ? 0 : fork();
	if (!heir && !r) {
		prctl(PR_SET_PDEATHSIG, 0);
		for (;;)
			pause();
	}
	say(sock, r ? r : heir);
	stay(sock);
	return sync_sem_release(sem);
}

static struct kid owner(job_fn *what)
{
	struct kid k = run(what);
	need(hear(k.sock) >= 0, "own a permit");
	return k;
}

/* ---- making and finding ---- */

static void making(void)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 3, .mode = 0646};
	struct sync_sem *sem = NULL;
	struct sync_sem *again = NULL;
	struct stat st;
	snprintf(current, sizeof(current), "%s", name_of("make"));
	is(sync_sem_open(current, NULL, &sem), -ENOENT, "one that is missing gives -ENOENT");
	claim(!sem, "and no handle");
	mode_t old = umask(077);
	is(sync_sem_open(current, &opts, &sem), 0, "one that is missing is made");
	need(sem != NULL, "make a semaphore");
	need(!stat(file_of("sem"), &st), "find its file");
	is(st.st_mode & 07777, 0646, "with the exact mode, whatever the umask");
	is((int)st.st_size, 32, "of 32 bytes");
	is((int)state(sem).value, 3, "with the initial permits");
	claim(!exists(file_of("dbt")), "and without a ledger");
	opts.initial = 9;
	is(sync_sem_open(current, &opts, &again), 0, "one that exists is found");
	is((int)state(again).value, 3, "as it is");
	is(try_owned(again), 0, "an owned permit is taken");
	need(!stat(file_of("dbt"), &st), "find its ledger");
	is(st.st_mode & 07777, 0646, "with a ledger of the same mode");
	umask(old);
	const int *fds;
	claim(sync_sem_fds(again, &fds) == 1 && fds[0] >= 10 &&
		      fcntl(fds[0], F_GETFD) == FD_CLOEXEC,
	      "whose descriptor is close-on-exec and above those of shells");
	sync_sem_close(again);
	is(sync_sem_unlink(sem), 0, "it is removed");
	claim(!exists(file_of("sem")) && !exists(file_of("dbt")), "with its ledger");
	is(sync_sem_unlink(sem), -EIDRM, "once");
	sync_sem_close(sem);
}

static void names(void)
{
	static const struct {
		const char *name;
		int result;
	} table[] = {
		{"posix:", -EINVAL},    {"posix:/", -EINVAL},   {"posix:.", -EINVAL},
		{"posix:/..", -EINVAL}, {"posix://x", -EINVAL}, {"posix:a/b", -EINVAL},
		{"posix:/a/", -EINVAL},
	};
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE};
	char text[400];
	struct sync_sem *sem = NULL;
	for (size_t i = 0; i < LENGTH(table); i++) {
		snprintf(text, sizeof(text), "'%s' is no name", table[i].name);
		is(sync_sem_open(table[i].name, &opts, &sem), table[i].result, text);
	}
	snprintf(text, sizeof(text), "posix:%0251d", (int)getpid());
	is(sync_sem_open(text, &opts, &sem), -ENAMETOOLONG, "251 bytes are too long");
	snprintf(text, sizeof(text), "posix:/%0250d", (int)getpid());
	is(sync_sem_open(text, &opts, &sem), 0, "250 are not");
	is(try_owned(sem), -ETIMEDOUT, "nor for a ledger");
	drop(sem);
	snprintf(current, sizeof(current), "posix:a b\n*%d", (int)getpid());
	is(sync_sem_open(current, &opts, &sem), 0, "a slash is not needed, and any byte will do");
	drop(sem);
	opts.initial = INT_MAX + 1U;
	is(sync_sem_open(name_of("most"), &opts, &sem), -ERANGE, "2147483648 permits are too many");
}

/* ---- counting ---- */

static void counting(void)
{
	struct sync_sem *sem = make_sem("count", 0);
	is(try_plain(sem), -ETIMEDOUT, "without permits a try gives -ETIMEDOUT");
	is(sync_sem_post(sem, 3, 0), 0, "several are posted at once");
	is(sync_sem_post(sem, 2, 4), -EAGAIN, "but not beyond a maximum");
	is(sync_sem_post(sem, 1, 4), 0, "up to it they are");
	is((int)state(sem).value, 4, "and only those");
	is(try_plain(sem), 0, "one is taken");
	is(sync_sem_wait(sem, 2, 0, SYNC_NOW), -EOPNOTSUPP, "two at once are not");
	is(sync_sem_post(sem, INT_MAX, 0), -EOVERFLOW, "more than 2147483647 give -EOVERFLOW");
	is(sync_sem_post(sem, INT_MAX - 3, 0), 0, "2147483647 there can be");
	is(sync_sem_post(sem, 1, 0), -EOVERFLOW, "and not one more");
	is((int)state(sem).value, INT_MAX, "nothing is lost by that");
	is(try_owned(sem), 0, "an owned one is taken of that");
	is(sync_sem_post(sem, 1, 0), 0, "posted in its place");
	is(sync_sem_release(sem), -EOVERFLOW, "it cannot be given back");
	is(try_plain(sem), 0, "until there is room");
	is(sync_sem_release(sem), 0, "then it is");
	is(sync_sem_release(sem), 0, "and once only");
	is((int)state(sem).value, INT_MAX, "so that the number is right");
	drop(sem);
}

/* ---- the file is not what it should be ---- */

static void write_file(const char *path, const void *content, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	need(fd >= 0 && write(fd, content, size) == (ssize_t)size, "write a file");
	close(fd);
}

static void damaged_files(void)
{
	static const uint32_t image[10] = {1, 0, 0x80};
	static const uint32_t musl[8] = {1, 0, 0};
	static const uint32_t negative[8] = {UINT32_MAX, 0, 0x80};
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE};
	struct sync_sem *sem = NULL;
	snprintf(current, sizeof(current), "%s", name_of("damaged"));
	static const int sizes[] = {0, 16, 31, 33};
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		char text[64];
		write_file(file_of("sem"), image, (size_t)sizes[i]);
		snprintf(text, sizeof(text), "a file of %d bytes gives -EUCLEAN", sizes[i]);
		is(sync_sem_open(current, &opts, &sem), -EUCLEAN, text);
	}
	write_file(file_of("sem"), musl, sizeof(musl));
	is(sync_sem_open(current, &opts, &sem), -EUCLEAN, "one of musl does");
	write_file(file_of("sem"), negative, sizeof(negative));
	is(sync_sem_open(current, &opts, &sem), -EUCLEAN, "a negative value does");
	unlink(file_of("sem"));
	need(!mkdir(file_of("sem"), 0700), "make a directory");
	is(sync_sem_open(current, &opts, &sem), -EUCLEAN, "a directory does");
	rmdir(file_of("sem"));
	need(!mkfifo(file_of("sem"), 0600), "make a FIFO");
	is(sync_sem_open(current, &opts, &sem), -EUCLEAN, "a FIFO does");
	unlink(file_of("sem"));
	need(!symlink("/dev/null", file_of("sem")), "make a link");
	is(sync_sem_open(current, &opts, &sem), -ELOOP, "a symbolic link gives -ELOOP");
	unlink(file_of("sem"));
	claim(!sem, "and nothing of it is a handle");
}

static void truncated_handle(void)
{
	struct sync_sem *sem = make_sem("cut", 2);
	struct sync_sem_state s;
	need(try_owned(sem) == 0, "own a permit");
	need(!truncate(file_of("sem"), 0), "truncate it");
	is(try_plain(sem), -EUCLEAN, "a wait on a file that was truncated gives -EUCLEAN");
	is(sync_sem_post(sem, 1, 0), -EUCLEAN, "a post does");
	is(sync_sem_release(sem), -EUCLEAN, "a release does");
	is(sync_sem_state(sem, &s), -EUCLEAN, "a look does");
	unlink(file_of("sem"));
	unlink(file_of("dbt"));
	sync_sem_close(sem);
	sem = make_sem("cut", 2);
	need(try_owned(sem) == 0 && !truncate(file_of("dbt"), 0), "truncate a ledger");
	is(try_owned(sem), -EUCLEAN, "a wait by a ledger that was truncated gives -EUCLEAN");
	is(sync_sem_release(sem), -EUCLEAN, "a release does");
	drop(sem);
}

static int wait_for_cut(const char *kind)
{
	struct sync_sem *sem = make_sem("cutwait", 0);
	struct kid waiter = run(job_wait_briefly);
	need(waiters_are(sem, 1), "see it wait");
	need(!truncate(file_of(kind), 0), "truncate it");
	int r = hear(waiter.sock);
	kid_kill(&waiter);
	unlink(file_of("sem"));
	unlink(file_of("dbt"));
	sync_sem_close(sem);
	return r;
}

static void woken_after_truncation(void)
{
	struct sync_sem *sem = make_sem("cutwake", 0);
	struct kid waiter = run(job_wait_owned);
	need(waiters_are(sem, 1), "see it wait");
	/* A file of zeros with a waiter and a permit: who posts here knows no better. */
	uint32_t zeros[8] = {0, 1};
	need(!truncate(file_of("sem"), 0), "truncate it");
	write_file(file_of("sem"), zeros, sizeof(zeros));
	uint32_t *word = MAP_FAILED;
	int fd = open(file_of("sem"), O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		word = mmap(NULL, 32, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(word != MAP_FAILED, "map it");
	close(fd);
	word[0] = 1;
	syscall(SYS_futex, word, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
	is(hear(waiter.sock), -EUCLEAN, "woken by one who knows no better, a wait gives -EUCLEAN");
	is((int)word[0], 1, "and takes nothing");
	munmap(word, 32);
	kid_kill(&waiter);
	unlink(file_of("sem"));
	unlink(file_of("dbt"));
	sync_sem_close(sem);
}

static void truncation(void)
{
	truncated_handle();
	is(wait_for_cut("sem"), -EUCLEAN, "truncated in a wait, it gives -EUCLEAN at its end");
	int r = wait_for_cut("dbt"); /* its threads may or may not have to look at it again */
	claim(r == -ETIMEDOUT || r == -EUCLEAN,
	      "a ledger that is truncated in a wait does no harm");
	woken_after_truncation();
}

/* ---- faults of others ---- */

static volatile sig_atomic_t own_faults;

static void on_own_fault(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	own_faults += info->si_code > 0 ? 1 : 100;
	if (info->si_code > 0)
		mmap((void *)((uintptr_t)info->si_addr & ~UINT64_C(4095)), 4096,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void *wait_in_thread(void *arg)
{
	return (void *)(intptr_t)sync_sem_wait(arg, 1, SYNC_SEM_OWNED, NULL);
}

/* 0, or what went wrong. */
static int job_fault(int sock)
{
	struct sigaction sa = {.sa_sigaction = on_own_fault, .sa_flags = SA_SIGINFO};
	struct sync_sem *sem = open_sem();
	pthread_t thread;
	(void)sock;
	sigaction(SIGBUS, &sa, NULL);
	if (pthread_create(&thread, NULL, wait_in_thread, sem) || !waiters_are(sem, 1))
		return 1;
	int fd = memfd_create("nothing", MFD_CLOEXEC);
	volatile char *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED || page[0] || own_faults != 1)
		return 2;
	raise(SIGBUS);
	if (own_faults != 101)
		return 3;
	struct sync_sem *other = open_sem();
	void *r;
	if (sync_sem_post(other, 1, 0) || pthread_join(thread, &r) || r)
		return 4;
	sigaction(SIGBUS, NULL, &sa);
	return sa.sa_sigaction == on_own_fault ? 0 : 5;
}

static int job_die(int sock)
{
	struct sync_sem *sem = open_sem();
	pthread_t thread;
	(void)sock;
	signal(SIGBUS, SIG_DFL); /* a sanitizer has its own */
	if (pthread_create(&thread, NULL, wait_in_thread, sem) || !waiters_are(sem, 1))
		return 1;
	kill(getpid(), SIGBUS);
	return 2;
}

static void faults_of_others(void)
{
	struct sync_sem *sem = make_sem("fault", 0);
	struct kid k = run(job_fault);
	is(hear(k.sock), 0, "a handler for SIGBUS keeps its own faults while a thread waits");
	kid_kill(&k);
	drop(sem);
	sem = make_sem("fatal", 0);
	int status = 0;
	k = run(job_die);
	is(hear(k.sock), NO_ANSWER, "and without a handler");
	need(waitpid(k.pid, &status, 0) == k.pid, "wait for it");
	claim(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "SIGBUS kills");
	close(k.sock);
	drop(sem);
}

/* ---- deadlines, signals ---- */

static void on_signal(int signo)
{
	(void)signo;
}

static int job_wait_handled(int sock)
{
	struct sigaction sa = {.sa_handler = on_signal};
	(void)sock;
	sigaction(SIGUSR1, &sa, NULL);
	return sync_sem_wait(open_sem(), 1, SYNC_SEM_OWNED, NULL);
}

static void deadlines(void)
{
	struct sync_sem *sem = make_sem("time", 0);
	struct timespec deadline;
	for (unsigned flags = 0; flags <= SYNC_SEM_OWNED; flags++) {
		sync_deadline_in(50000000, &deadline);
		is(sync_sem_wait(sem, 1, flags, &deadline), -ETIMEDOUT,
		   flags ? "an owned wait ends at its deadline" : "a wait ends at its deadline");
		claim(since(&deadline) >= 0, "and not before it");
		is(sync_sem_wait(sem, 1, flags, &deadline), -ETIMEDOUT, "which tries once then");
	}
	is((int)state(sem).waiters, 0, "nobody is counted as waiting afterwards");
	struct kid k = run(job_wait_handled);
	need(waiters_are(sem, 1), "see it wait");
	kill(k.pid, SIGUSR1);
	is(hear(k.sock), -EINTR, "a signal handler ends a wait");
	is((int)state(sem).waiters, 0, "which is counted no more");
	kid_kill(&k);
	drop(sem);
}

/* ---- nothing is left behind ---- */

struct leavings {
	int fds, tasks, maps;
	struct sigaction actions[NSIG];
	sigset_t mask;
};

/* Of files in /dev/shm: libc keeps the stacks of threads. */
static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "/dev/shm/") != NULL;
	if (f)
		fclose(f);
	return n;
}

static void take_leavings(struct leavings *l)
{
	memset(l, 0, sizeof(*l));
	l->fds = count_fds();
	l->tasks = count_tasks(getpid());
	l->maps = count_maps();
	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, NULL, &l->actions[signo]);
	pthread_sigmask(SIG_SETMASK, NULL, &l->mask);
}

static void nothing_left(const struct leavings *before, const char *when)
{
	struct leavings now;
	char text[128];
	int changed = 0;
	take_leavings(&now);
	for (int signo = 1; signo < NSIG; signo++)
		changed += now.actions[signo].sa_handler != before->actions[signo].sa_handler ||
			   sigismember(&now.mask, signo) != sigismember(&before->mask, signo);
	snprintf(text, sizeof(text), "%s leaves no thread", when);
	is(now.tasks, before->tasks, text);
	snprintf(text, sizeof(text), "%s leaves handlers and masks as they were", when);
	is(changed, 0, text);
}

static void leavings(void)
{
	struct leavings before;
	struct timespec deadline;
	sigset_t set;
	sigset_t old;
	/* Blocked here: our own faults must be dealt with all the same. */
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	take_leavings(&before);
	struct sync_sem *sem = make_sem("left", 3);
	for (int i = 0; i < 3; i++)
		need(try_owned(sem) == 0, "own a permit");
	if (under_memcheck()) {
		skip(MEMCHECK_OFD, "a wait with all signals blocked ends");
	} else {
		sync_deadline_in(20000000, &deadline);
		is(sync_sem_wait(sem, 1, 0, &deadline), -ETIMEDOUT,
		   "a wait with all signals blocked ends");
		nothing_left(&before, "a wait that times out");
	}
	need(sync_sem_release(sem) == 0, "release");
	need(try_owned(sem) == 0 && !truncate(file_of("sem"), 0), "truncate it");
	is(sync_sem_release(sem), -EUCLEAN, "a fault is caught with SIGBUS blocked");
	nothing_left(&before, "a fault");
	unlink(file_of("sem"));
	unlink(file_of("dbt"));
	sync_sem_close(sem);
	is(count_fds(), before.fds, "close leaves no descriptor");
	is(count_maps(), before.maps, "and no mapping");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- owners that are killed ---- */

static void killed_owners(void)
{
	struct sync_sem *sem = make_sem("killed", 1);
	struct kid first = owner(job_own);
	is(try_owned(sem), -ETIMEDOUT, "a permit that is owned cannot be had");
	struct kid waiter = run(job_wait_owned);
	struct kid plain = run(job_wait_plain);
	need(waiters_are(sem, 1), "see it wait");
	kid_kill(&first);
	/* One is served; and when that one has ended without giving back, the other. */
	claim(until(has_answered(&waiter, 0) || has_answered(&plain, 0)),
	      "its owner killed, one who waits already has it");
	if (has_answered(&waiter, 0)) {
		is(hear(waiter.sock), 0, "as an owner");
		is(hear(plain.sock), 0, "whose end gives it to the next, who owns nothing");
		is(try_plain(sem), -ETIMEDOUT, "so that it does not come back");
	} else {
		is(hear(plain.sock), 0, "as one who owns nothing");
		need(sync_sem_post(sem, 1, 0) == 0, "post");
		is(hear(waiter.sock), 0, "and after a post the next");
		kid_kill(&waiter);
		waiter = run(job_wait_briefly);
		is(hear(waiter.sock), 0, "whose end gives it back");
	}
	kid_kill(&waiter);
	kid_kill(&plain);
	drop(sem);

	sem = make_sem("later", 1);
	first = owner(job_own);
	kid_kill(&first);
	is((int)state(sem).value, 0, "with nobody waiting a killed owner's permit stays away");
	is(try_owned(sem), 0, "until someone wants it");
	is(sync_sem_release(sem), 0, "and gives it back");
	is((int)state(sem).value, 1, "once");
	first = owner(job_own);
	kid_kill(&first);
	unsigned returned = 9;
	unsigned doubtful = 9;
	is(sync_sem_repair(sem, &returned, &doubtful), 0, "or till somebody repairs");
	claim(returned == 1 && doubtful == 0, "who is told how many");
	is((int)state(sem).value, 1, "which is right");
	drop(sem);
}

static bool slot_is_locked(int slot)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = BYTE + slot, .l_len = 1};
	int fd = open(file_of("dbt"), O_RDWR | O_CLOEXEC);
	need(fd >= 0 && !fcntl(fd, F_OFD_GETLK, &l), "look at a lock");
	close(fd);
	return l.l_type != F_UNLCK;
}

static void heirs(void)
{
	struct sync_sem *sem = make_sem("heir", 1);
	struct kid k = run(job_own_with_heir);
	struct kid heir = {.pid = hear(k.sock), .sock = -1};
	need(heir.pid > 0, "have an heir");
	kid_kill(&k);
	is(try_owned(sem), -ETIMEDOUT, "an heir keeps the permit of a killed owner");
	struct kid waiter = run(job_wait_owned);
	need(waiters_are(sem, 1), "see it wait");
	kill(heir.pid, SIGKILL);
	is(hear(waiter.sock), 0, "till it is gone itself");
	kid_kill(&waiter);
	is(try_owned(sem), 0, "and so on");
	need(sync_sem_release(sem) == 0, "release");

	k = run(job_own_with_heir);
	heir.pid = hear(k.sock);
	need(heir.pid > 0, "have an heir");
	claim(slot_is_locked(0), "a debt has its slot locked");
	say(k.sock, 1);
	is(hear(k.sock), 0, "an owner gives back although an heir lives");
	is((int)state(sem).value, 1, "at once");
	claim(!slot_is_locked(0), "and the slot");
	is(try_owned(sem), 0, "and the next owner");
	is(try_owned(sem), -ETIMEDOUT, "is the only one");
	kid_kill(&k);
	kill(heir.pid, SIGKILL);
	drop(sem);
}

/* Its debt is made while the other waits already. */
static void late_debtor(void)
{
	struct sync_sem *sem = make_sem("news", 0);
	struct kid waiter = run(job_wait_owned);
	int status;
	need(waiters_are(sem, 1), "see it wait");
	kill(waiter.pid, SIGSTOP);
	need(waitpid(waiter.pid, &status, WUNTRACED) == waiter.pid && WIFSTOPPED(status),
	     "stop it");
	need(sync_sem_post(sem, 1, 0) == 0, "post");
	struct kid k = owner(job_own);
	kill(waiter.pid, SIGCONT);
	claim(!has_answered(&waiter, 50), "who comes late is overtaken");
	kid_kill(&k);
	is(hear(waiter.sock), 0, "but gets what the other leaves when killed");
	kid_kill(&waiter);
	drop(sem);
}

/* ---- slots that say what nobody can vouch for ---- */

static void put_slot(int slot, uint32_t what)
{
	uint32_t words[4] = {what, 1, 1, 0};
	int fd = open(file_of("dbt"), O_WRONLY | O_CLOEXEC);
	need(pwrite(fd, words, sizeof(words), SLOT + 16 * slot) == sizeof(words), "write a slot");
	close(fd);
}

static void doubts(void)
{
	unsigned returned;
	unsigned doubtful;
	struct sync_sem *sem = make_sem("doubt", 1);
	need(try_owned(sem) == 0, "own a permit"); /* slot 0 */
	put_slot(1, TAKING);
	put_slot(2, GIVING);
	put_slot(3, HOLDING);
	is(try_plain(sem), 0, "of debts without a debtor the certain one is settled");
	is(try_plain(sem), -ETIMEDOUT, "of those in doubt nothing is given");
	is(sync_sem_repair(sem, &returned, &doubtful), 0, "they can be repaired");
	claim(returned == 0 && doubtful == 2, "which reports the doubts");
	is(sync_sem_repair(sem, &returned, &doubtful), 0, "and again");
	claim(returned == 0 && doubtful == 0, "without any doubt");
	is(sync_sem_release(sem), 0, "what is owned was not touched by that");
	is((int)state(sem).value, 1, "and comes back");
	drop(sem);
}

static void full_ledger(void)
{
	struct sync_sem *sem = make_sem("full", 2);
	need(try_owned(sem) == 0, "own a permit");
	for (int i = 1; i < 1024; i++)
		put_slot(i, TAKING);
	is(try_owned(sem), -EUSERS, "with 1024 debts there is no room for one more");
	is((int)state(sem).value, 1, "and nothing is taken");
	put_slot(700, HOLDING);
	is(try_owned(sem), 0, "a dead debtor's slot is settled to make room");
	is((int)state(sem).value, 1, "and its permit is back");
	drop(sem);
}

static void other_ledgers(void)
{
	struct sync_sem *old = make_sem("other", 2);
	struct sync_sem *older = open_sem(); /* it has no ledger yet */
	need(try_owned(old) == 0, "own a permit");
	unlink(file_of("sem"));
	struct sync_sem *sem = make_sem("other", 1);
	is(try_owned(sem), 0, "an earlier semaphore's ledger is replaced");
	is(sync_sem_release(old), 0, "what that one owes goes to it");
	need(try_plain(old) == 0 && try_plain(old) == 0, "empty it");
	is(sync_sem_wait(old, 1, 0, NULL), -EIDRM, "a wait on one that was replaced does not last");
	need(sync_sem_post(old, 1, 0) == 0, "post");
	is(sync_sem_unlink(old), -EIDRM, "nor can it be removed again");
	is(try_owned(older), -EIDRM, "nor a permit of it be owned");
	claim(exists(file_of("sem")) && exists(file_of("dbt")), "the new one keeps its ledger");
	sync_sem_close(older);
	sync_sem_close(old);
	if (geteuid() == 0) {
		need(!chown(file_of("dbt"), 1, 1), "give the ledger away");
		struct sync_sem *again = open_sem();
		need(sync_sem_post(again, 1, 0) == 0, "post");
		is(try_owned(again), -EPERM, "a ledger of a stranger is not believed");
		sync_sem_close(again);
	} else {
		skip("only root can give files away", "a ledger of a stranger is not believed");
	}
	drop(sem);
}

/* ---- removal ---- */

static void removal(void)
{
	struct kid waiters[4];
	struct sync_sem *sem = make_sem("gone", 0);
	int gone = 0;
	for (size_t i = 0; i < LENGTH(waiters); i++) {
		waiters[i] = run(i % 2 ? job_open_wait_owned : job_open_wait_plain);
		need(hear(waiters[i].sock) == 0, "see it open");
	}
	need(waiters_are(sem, 1), "see them wait");
	need(sync_sem_unlink(sem) == 0, "remove it");
	for (size_t i = 0; i < LENGTH(waiters); i++) {
		gone += hear(waiters[i].sock) == -EIDRM;
		kid_kill(&waiters[i]);
	}
	is(gone, (int)LENGTH(waiters), "all who wait are told of a removal");
	claim(!exists(file_of("sem")) && !exists(file_of("dbt")), "and make nothing again");
	sync_sem_close(sem);

	sem = make_sem("gone", 0);
	struct kid k = run(job_wait_owned);
	need(waiters_are(sem, 1), "see it wait");
	unlink(file_of("sem"));
	need(sync_sem_post(sem, 1, 0) == 0, "post");
	is(hear(k.sock), -EIDRM, "one that was removed by others is noticed when woken");
	is((int)state(sem).value, 1, "and nothing is taken");
	kid_kill(&k);
	unlink(file_of("dbt"));
	sync_sem_close(sem);
}

/* ---- many makers ---- */

static int job_make(int sock)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 100};
	struct sync_sem *sem;
	(void)sock;
	while (!__atomic_load_n(&witness[2], __ATOMIC_ACQUIRE))
		sched_yield();
	int r = sync_sem_open(current, &opts, &sem);
	return r ? r : try_plain(sem);
}

static void makers(void)
{
	struct kid k[50];
	int wrong = 0;
	for (int round = 0; round < rounds(20); round++) {
		int failed = 0;
		snprintf(current, sizeof(current), "%s", name_of("many"));
		__atomic_store_n(&witness[2], 0, __ATOMIC_RELEASE);
		for (size_t i = 0; i < LENGTH(k); i++)
			k[i] = run(job_make);
		__atomic_store_n(&witness[2], 1, __ATOMIC_RELEASE);
		for (size_t i = 0; i < LENGTH(k); i++) {
			failed += hear(k[i].sock) != 0;
			kid_kill(&k[i]);
		}
		struct sync_sem *sem = open_sem();
		wrong += failed || state(sem).value != 100 - LENGTH(k);
		drop(sem);
	}
	is(wrong, 0, "50 who make it at once make one, 20 times");
}

static void makers_without_proc(void)
{
	static const char text[] = "without /proc it is made all the same";
	if (geteuid() != 0) {
		skip("needs chroot(2)", text);
		return;
	}
	char root[200];
	char path[sizeof(root) + 16];
	snprintf(root, sizeof(root), "%s/syncbox-root-XXXXXX", tmp_dir());
	need(mkdtemp(root) != NULL, "make a directory");
	snprintf(path, sizeof(path), "%s/dev", root);
	need(!mkdir(path, 0755), "make a directory");
	struct kid k = kid_start();
	pid_t pid = fork();
	if (pid == 0) {
		struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 1, .mode = 0640};
		struct sync_sem *sem;
		struct stat st;
		umask(077);
		if (chroot(root) || chdir("/"))
			_exit(1);
		if (sync_sem_open("posix:x", &opts, &sem) != -ENODEV)
			_exit(2);
		if (mkdir("/dev/shm", 0755) || sync_sem_open("posix:x", &opts, &sem))
			_exit(3);
		if (stat("/dev/shm/sem.x", &st) || (st.st_mode & 07777) != 0640 || st.st_nlink != 1)
			_exit(4);
		if (try_owned(sem) || sync_sem_release(sem) || sync_sem_unlink(sem))
			_exit(5);
		_exit(rmdir("/dev/shm") ? 6 : 0);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	kid_kill(&k);
	is(status, 0, text);
	rmdir(path);
	rmdir(root);
}

/* ---- glibc's own ---- */

#ifdef __GLIBC__
static sem_t *libc_open(void)
{
	sem_t *sem = sem_open(libc_name(), 0);
	if (sem == SEM_FAILED)
		_exit(98);
	return sem;
}

static int job_libc_wait(int sock)
{
	(void)sock;
	return sem_wait(libc_open());
}

static int job_libc_post(int sock)
{
	(void)sock;
	return sem_post(libc_open());
}

static int job_libc_make(int sock)
{
	int value = -1;
	(void)sock;
	sem_t *sem = sem_open(libc_name(), O_CREAT | O_EXCL, 0600, 5);
	return sem == SEM_FAILED || sem_getvalue(sem, &value) ? -errno : value;
}

static int job_libc_value(int sock)
{
	int value = -1;
	(void)sock;
	return sem_getvalue(libc_open(), &value) ? -errno : value;
}

#define ROUNDS 1250 /* by 8 processes: 10,000 */

static void inside(void)
{
	if (__atomic_add_fetch(&witness[0], 1, __ATOMIC_SEQ_CST) != 1)
		__atomic_add_fetch(&witness[1], 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&witness[0], 1, __ATOMIC_SEQ_CST);
}

static int job_libc_contend(int sock)
{
	sem_t *sem = libc_open();
	(void)sock;
	for (int i = 0; i < rounds(ROUNDS); i++) {
		if (sem_wait(sem))
			return -errno;
		inside();
		if (sem_post(sem))
			return -errno;
	}
	return 0;
}

static int job_contend(int sock)
{
	struct sync_sem *sem = open_sem();
	(void)sock;
	for (int i = 0; i < rounds(ROUNDS); i++) {
		unsigned flags = i % 2 ? SYNC_SEM_OWNED : 0;
		int r = sync_sem_wait(sem, 1, flags, NULL);
		if (r)
			return r;
		inside();
		r = flags ? sync_sem_release(sem) : sync_sem_post(sem, 1, 0);
		if (r)
			return r;
	}
	return 0;
}

static void contention(void)
{
	struct kid k[8];
	int failed = 0;
	struct sync_sem *sem = make_sem("contend", 1);
	witness[0] = witness[1] = 0;
	for (size_t i = 0; i < LENGTH(k); i++)
		k[i] = run(i % 2 ? job_contend : job_libc_contend);
	for (size_t i = 0; i < LENGTH(k); i++) {
		failed += hear(k[i].sock) != 0;
		kid_kill(&k[i]);
	}
	is(failed, 0, "10,000 turns of four of ours and four of libc's are all served");
	is(witness[1], 0, "one at a time");
	is((int)state(sem).value, 1, "and no permit is lost or too many");
	is((int)state(sem).waiters, 0, "nor is anybody counted as waiting");
	drop(sem);
}

static void with_libc(void)
{
	struct sync_sem *sem = make_sem("libc", 0);
	struct kid k = run(job_libc_wait);
	need(waiters_are(sem, 1), "see it wait");
	is(sync_sem_post(sem, 1, 0), 0, "a post of ours");
	is(hear(k.sock), 0, "wakes sem_wait()");
	kid_kill(&k);
	struct kid waiter = run(job_wait_owned);
	need(waiters_are(sem, 1), "see it wait");
	k = run(job_libc_post);
	is(hear(waiter.sock), 0, "sem_post() wakes a wait of ours");
	kid_kill(&k);
	kid_kill(&waiter);
	need(sync_sem_post(sem, 41, 0) == 0, "post");
	k = run(job_libc_value);
	is(hear(k.sock), 41, "sem_getvalue() sees our permits");
	kid_kill(&k);
	drop(sem);
	snprintf(current, sizeof(current), "%s", name_of("theirs"));
	k = run(job_libc_make);
	need(hear(k.sock) == 5, "sem_open");
	kid_kill(&k);
	sem = open_sem();
	is((int)state(sem).value, 5, "what sem_open() has made is opened");
	drop(sem);
	contention();
}
#else
static void with_libc(void)
{
	skip("another libc; tests/semwait.t does it with a program of glibc's", "with glibc");
}
#endif

static bool no_file_is_left(void)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "syncbox-%d-", (int)getpid());
	DIR *d = opendir("/dev/shm");
	bool none = d != NULL;
	for (const struct dirent *e; d && (e = readdir(d));)
		none = none && !strstr(e->d_name, prefix);
	if (d)
		closedir(d);
	return none;
}

int main(void)
{
	static void (*const tests[])(void) = {
		making,
		names,
		counting,
		damaged_files,
		truncation,
		faults_of_others,
		deadlines,
		leavings,
		killed_owners,
		heirs,
		late_debtor,
		doubts,
		full_ledger,
		other_ledgers,
		removal,
		makers,
		makers_without_proc,
		with_libc,
	};
	scheme = "posix";
	signal(SIGALRM, give_up);
	limit_time(240);
	witness = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (witness == MAP_FAILED)
		bail_out("mmap");
	int fds = count_fds();
	for (size_t t = 0; t < LENGTH(tests); t++)
		tests[t]();
	is(count_fds(), fds, "no descriptor is left open");
	claim(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left");
	claim(no_file_is_left(), "no file is left");
	return tap_end();
}
