/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests of semaphores: names of their own, kids that carry out orders, and what can
 * be seen from outside. The general part is that of the locks' tests.
 *
 * A test program is a table of functions, run once per backend. A test names its semaphores by tags;
 * every tag that was used is removed when the backend is done, and then nothing may be left.
 */
#ifndef TESTS_SEMUTIL_H
#define TESTS_SEMUTIL_H

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sem.h>
#include <sys/time.h>

#include "lockutil.h"

#define SHORT_MS 40                /* of a wait that shall end by itself */
#define REASON INT64_C(5000000000) /* ns: later than that no wait may end on a slow machine */

static const char *const sem_backends[] = {
#define SEM_BACKEND(name) #name,
#include "backends.def"
};

/* How to say it to each: all that is known here by the name of a scheme. */
static const struct spelling {
	const char *scheme;
	const char *name;     /* of a test's semaphore: pid, tag */
	const char *file;     /* the same, if it has a file but no sync_sem_path() */
	bool any_name;        /* other programs name them: no rule of ours but on slashes */
	bool paths;           /* a name with a slash is a path */
	bool knows_capacity;  /* with how many permits it was made */
	bool served_on_close; /* closing the handle gives back what it owns */
	unsigned longest;     /* name, in characters */
} spellings[] = {
	{.scheme = "sysv", .name = "sysv:sb%d-%s", .longest = 200, .knows_capacity = true},
	{.scheme = "posix",
	 .name = "posix:/sb%d-%s",
	 .file = "/dev/shm/sem.sb%d-%s",
	 .longest = 250,
	 .any_name = true,
	 .served_on_close = true},
	{.scheme = "pool",
	 .name = "pool:sb%d-%s",
	 .longest = 200,
	 .paths = true,
	 .knows_capacity = true,
	 .served_on_close = true},
};

static const struct spelling *spelling;
static pid_t tester; /* whose pid the names have, also in kids */
static const char *tags[128];
static size_t tag_count;

/* ---- names ---- */

static inline void note_tag(const char *tag)
{
	for (size_t i = 0; i < tag_count; i++)
		if (!strcmp(tags[i], tag))
			return;
	if (tag_count < LENGTH(tags))
		tags[tag_count++] = tag;
}

/* Good for the next few calls. */
static inline const char *spell(const char *format, const char *tag)
{
	static char names[16][400];
	static unsigned next;
	char *name = names[next++ % LENGTH(names)];
	snprintf(name, sizeof(names[0]), format, (int)tester, tag);
	return name;
}

/* The same; TAG must stay. */
static inline const char *sem_name(const char *tag)
{
	note_tag(tag);
	return spell(spelling->name, tag);
}

/* Where a backend needs a directory it is the scratch directory. */
static inline int open_tag(const char *tag, unsigned flags, unsigned initial, struct sync_sem **out)
{
	struct sync_sem_opts opts = {.flags = flags, .initial = initial, .directory = scratch};
	return sync_sem_open(sem_name(tag), &opts, out);
}

static inline void remove_tags(void);

/* Neither semaphores nor the directory go by themselves. */
static inline void bail(int error, const char *why)
{
	remove_tags();
	errno = -error;
	bail_out(why);
}

static inline struct sync_sem *open_sem(const char *tag)
{
	struct sync_sem *s = NULL;
	int r = open_tag(tag, 0, 0, &s);
	if (r)
		bail(r, sem_name(tag));
	return s;
}

static inline struct sync_sem *make_sem(const char *tag, unsigned initial)
{
	struct sync_sem *s = NULL;
	int r = open_tag(tag, SYNC_SEM_CREATE, initial, &s);
	if (r)
		bail(r, sem_name(tag));
	return s;
}

static inline void make_tag(const char *tag, unsigned initial)
{
	sync_sem_close(make_sem(tag, initial));
}

/* ---- observations ---- */

static inline int value(struct sync_sem *s)
{
	struct sync_sem_state state;
	int r = sync_sem_state(s, &state);
	return r ? r : (int)state.value;
}

static inline int value_of(const char *tag)
{
	struct sync_sem *s;
	int r = open_tag(tag, 0, 0, &s);
	if (r)
		return r;
	r = value(s);
	sync_sem_close(s);
	return r;
}

static inline int capacity(struct sync_sem *s)
{
	struct sync_sem_state state;
	int r = sync_sem_state(s, &state);
	return r ? r : (int)state.capacity;
}

struct set {
	int key, id;
	unsigned mode, members;
};

/* The System V set that this process made or used last, and that has VALUE permits. */
static inline bool find_set(int permits, struct set *out)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/sysvipc/sem", "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%d %d %o %u", &out->key, &out->id, &out->mode,
			       &out->members) == 4 &&
			semctl(out->id, 0, GETVAL) == permits &&
			semctl(out->id, 0, GETPID) == (int)tester;
	fclose(f);
	return found;
}

static inline int give(struct sync_sem *s, unsigned count)
{
	return sync_sem_caps(s) & SYNC_CAP_SHARE ? sync_sem_post(s, count, 0) : sync_sem_release(s);
}

/* What somebody gets who tries once to take COUNT, and gives them back. */
static inline int try_count(const char *tag, unsigned count)
{
	struct sync_sem *s;
	int r = open_tag(tag, 0, 0, &s);
	if (r)
		return r;
	r = sync_sem_wait(s, count, 0, SYNC_NOW);
	if (!r)
		need(give(s, count) == 0, "give back what was tried");
	sync_sem_close(s);
	return r;
}

static inline int try_one(const char *tag)
{
	return try_count(tag, 1);
}

/* Only this thread? One that was joined may be seen for a moment longer. */
static inline bool is_alone(void)
{
	return until(count_tasks(getpid()) == 1);
}

/* The state and both counts of switches of the main thread, if it sleeps; else "". */
static inline void look_asleep(pid_t pid, char *out, size_t size)
{
	char path[64];
	char buf[8192];
	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (slurp(path, buf, sizeof(buf)) < 0 || !strstr(buf, "\nState:\tS"))
		return;
	const char *switches = strstr(buf, "\nvoluntary_ctxt_switches");
	snprintf(out, size, "%s", switches ? switches : "");
}

/* Has it taken its order, not answered, and slept all the time between two looks? */
static inline bool is_blocked(const struct kid *k)
{
	char before[128];
	char now[128];
	int unread = 0;
	if (ioctl(k->sock, TIOCOUTQ, &unread) || unread)
		return false;
	look_asleep(k->pid, before, sizeof(before));
	nap();
	look_asleep(k->pid, now, sizeof(now));
	return before[0] && !strcmp(before, now) && !has_answered(k, 0);
}

static inline bool seen_blocked(const struct kid *k)
{
	return until(is_blocked(k) || has_answered(k, 0)) && !has_answered(k, 0);
}

/* A handler that runs while a wait still starts its threads ends no call yet: so again, until it does. */
static inline void interrupt(const struct kid *k)
{
	for (int i = 0; i < patience() / 100 && !has_answered(k, 0); i++) {
		kill(k->pid, SIGUSR1);
		has_answered(k, 100);
	}
}

/* ---- what a call may leave behind in its process ---- */

struct traces {
	char masks[512]; /* of all 64 signals, those of libc too, as /proc tells them */
	struct sigaction actions[NSIG];
	int fds;
	mode_t mask;
};

static inline void read_masks(char *out, size_t size)
{
	char buf[8192];
	slurp("/proc/thread-self/status", buf, sizeof(buf));
	const char *start = strstr(buf, "\nSigPnd");
	const char *end = strstr(buf, "\nCapInh");
	out[0] = '\0';
	if (start && end)
		snprintf(out, size, "%.*s", (int)(end - start), start);
}

static inline void take_traces(struct traces *t)
{
	memset(t, 0, sizeof(*t));
	read_masks(t->masks, sizeof(t->masks));
	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, NULL, &t->actions[signo]);
	t->fds = count_fds();
	t->mask = umask(0);
	umask(t->mask);
}

static inline bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	const int restorer = 0x04000000; /* libc adds it */
	bool same = a->sa_handler == b->sa_handler &&
		    (a->sa_flags & ~restorer) == (b->sa_flags & ~restorer);
	for (int signo = 1; signo < NSIG; signo++)
		same = same && sigismember(&a->sa_mask, signo) == sigismember(&b->sa_mask, signo);
	return same;
}

/* NULL, or what is not as it was before. */
static inline const char *what_changed(const struct traces *before)
{
	struct traces now;
	take_traces(&now);
	for (int signo = 1; signo < NSIG; signo++)
		if (!same_action(&before->actions[signo], &now.actions[signo]))
			return "a disposition";
	if (strcmp(before->masks, now.masks) != 0 || !now.masks[0])
		return "a mask of signals";
	if (before->fds != now.fds)
		return "a descriptor";
	if (before->mask != now.mask)
		return "the umask";
	return is_alone() ? NULL : "a thread";
}

static inline bool unchanged(const struct traces *before, const char *text)
{
	const char *what = what_changed(before);
	if (what)
		printf("# %s: left behind: %s\n", scheme, what);
	return claim(!what, text);
}

/* ---- kids ---- */

struct sem_order;
typedef int sem_job(struct sync_sem **sem, const struct sem_order *o,
		    const struct timespec *deadline);

/* Strings and functions stay where they are in a kid: only what was made before its start will do. */
struct sem_order {
	sem_job *job;
	const char *tag;
	unsigned count, flags, initial;
	int fd;
	int ms;             /* the deadline: from when the job starts */
	bool same_deadline; /* as the order before */
};

static inline bool next_sem_order(int sock, struct sem_order *o)
{
	ssize_t n;
	do
		n = recv(sock, o, sizeof(*o), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*o);
}

static inline void obey_sem(int sock, struct sync_sem *sem)
{
	struct timespec room = {0};
	struct sem_order o;
	while (next_sem_order(sock, &o)) {
		const struct timespec *deadline = o.same_deadline ? &room : in_ms(o.ms, &room);
		struct answer a = {.result = o.job(&sem, &o, deadline)};
		a.late = deadline ? since(deadline) : 0;
		if (send(sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
	}
	_exit(0);
}

static int kid_sock = -1; /* in a kid: where its orders come from */

static inline struct kid start_kid(void)
{
	int pair[2];
	pid_t parent = getpid();
	pair_up(pair);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		signal(SIGCHLD, SIG_IGN);
		signal(SIGALRM, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		close(pair[0]);
		kid_sock = pair[1];
		obey_sem(pair[1], NULL);
	}
	need(pid > 0, "fork");
	close(pair[1]);
	return (struct kid){pid, pair[0]};
}

/* A kid that can beget an heir (beget), which lives on without its parent. */
static inline struct kid start_kid_with_heir(struct kid *heir)
{
	int pair[2];
	pair_up(pair);
	heir->sock = pair[0];
	heir_sock = pair[1];
	struct kid k = start_kid();
	close(heir_sock);
	heir_sock = -1;
	return k;
}

static inline void tell_sem_order(const struct kid *k, struct sem_order o)
{
	if (o.tag)
		note_tag(o.tag);
	need(send(k->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o), "give an order");
}
#define TELL(kid, ...) tell_sem_order(kid, (struct sem_order){.job = __VA_ARGS__})

static inline int ask_sem_order(const struct kid *k, struct sem_order o)
{
	tell_sem_order(k, o);
	return heard(k);
}
#define ASK(kid, ...) ask_sem_order(kid, (struct sem_order){.job = __VA_ARGS__})

/* ---- jobs ---- */

#define JOB(name)                                                                                  \
	static inline int name(__attribute__((unused)) struct sync_sem **s,                        \
			       __attribute__((unused)) const struct sem_order *o,                  \
			       __attribute__((unused)) const struct timespec *deadline)

JOB(open_it)
{
	return open_tag(o->tag, o->flags, o->initial, s);
}

/* .count 0 means 1. */
JOB(take)
{
	return sync_sem_wait(*s, o->count ? o->count : 1, o->flags, deadline);
}

JOB(take_own)
{
	return sync_sem_wait(*s, o->count ? o->count : 1, o->flags | SYNC_SEM_OWNED, deadline);
}

JOB(wait_for_zero)
{
	return sync_sem_wait_zero(*s, deadline);
}

JOB(post)
{
	return sync_sem_post(*s, o->count ? o->count : 1, 0);
}

JOB(release)
{
	return sync_sem_release(*s);
}

JOB(close_it)
{
	sync_sem_close(*s);
	*s = NULL;
	return 0;
}

JOB(leave)
{
	_exit(0);
}

JOB(tasks)
{
	return is_alone() ? 1 : count_tasks(getpid());
}

JOB(fds)
{
	return count_fds();
}

/* Answers with the pid of the heir, which has a copy of the handle. */
JOB(beget)
{
	pid_t pid = fork();
	if (pid == 0)
		obey_sem(heir_sock, *s);
	close(heir_sock);
	return pid;
}

static volatile sig_atomic_t handled;

static inline void count_signal(int signo)
{
	(void)signo;
	handled++;
}

/* .count is the interval of a storm of SIGALRMs in ms, or 0. */
JOB(handle)
{
	struct sigaction sa = {.sa_handler = count_signal};
	struct itimerval storm = {{0, (suseconds_t)o->count * 1000},
				  {0, (suseconds_t)o->count * 1000}};
	return sigaction(SIGUSR1, &sa, NULL) || sigaction(SIGALRM, &sa, NULL) ||
	       setitimer(ITIMER_REAL, &storm, NULL);
}

JOB(insist)
{
	int r;
	do
		r = take_own(s, o, deadline);
	while (r == -EINTR);
	return r;
}

/* What a program would do that execs another, which shall own the permit. */
JOB(become)
{
	char number[16];
	char self[4096];
	const int *held;
	size_t count = sync_sem_fds(*s, &held);
	for (size_t i = 0; i < count; i++)
		if (fcntl(held[i], F_SETFD, 0))
			return -errno;
	if (fcntl(kid_sock, F_SETFD, 0))
		return -errno;
	snprintf(number, sizeof(number), "%d", kid_sock);
	/* The name of the link would be that of valgrind, if we run in it. */
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	execl(self, "test", "--become", number, (char *)NULL);
	return -errno;
}

static inline bool is_executed(int argc, char **argv)
{
	return argc == 3 && !strcmp(argv[1], "--become");
}

/* The other program: it only tells that it runs, and stays until its socket is closed. */
static inline int be_executed(const char *number)
{
	struct answer a = {0};
	char byte;
	int sock = (int)strtol(number, NULL, 10);
	if (send(sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
		return 1;
	while (recv(sock, &byte, 1, 0) > 0)
		;
	return 0;
}

/* ---- kids that own or wait ---- */

static inline struct kid kid_with(const char *tag)
{
	struct kid k = start_kid();
	need(ASK(&k, open_it, .tag = tag) == 0, "open a semaphore in another process");
	return k;
}

static inline struct kid kid_owning(const char *tag, unsigned count)
{
	struct kid k = kid_with(tag);
	need(ASK(&k, take_own, .count = count) == 0, "own a permit in another process");
	return k;
}

/* Seen to be blocked when this returns. */
static inline struct kid kid_blocked(const char *tag, unsigned count, int ms)
{
	struct kid k = kid_with(tag);
	TELL(&k, take_own, .count = count, .ms = ms);
	need(seen_blocked(&k), "see it wait");
	return k;
}

/* ---- the suite ---- */

static inline void remove_tags(void)
{
	for (size_t i = 0; i < tag_count; i++) {
		struct sync_sem *s;
		if (open_tag(tags[i], 0, 0, &s))
			continue;
		need(sync_sem_unlink(s) == 0, tags[i]);
		sync_sem_close(s);
	}
}

static inline bool tags_are_gone(void)
{
	bool gone = true;
	for (size_t i = 0; i < tag_count; i++)
		gone = gone && value_of(tags[i]) == -ENOENT;
	return gone;
}

/* What is left in /dev/shm that has our pid in its name. */
static inline int count_shm(void)
{
	char mark[32];
	int n = 0;
	snprintf(mark, sizeof(mark), "sb%d-", (int)tester);
	DIR *dir = opendir("/dev/shm");
	if (!dir)
		return 0;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		if (!strstr(d->d_name, mark))
			continue;
		printf("# left in /dev/shm: %s\n", d->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static inline int count_files(const char *path)
{
	int n = 0;
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		printf("# left in %s: %s\n", path, d->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static inline void give_up_sems(int signo)
{
	remove_tags();
	give_up(signo);
}

static inline bool find_spelling(void)
{
	for (size_t i = 0; i < LENGTH(spellings); i++) {
		spelling = &spellings[i];
		if (!strcmp(spelling->scheme, scheme))
			return true;
	}
	return false;
}

static inline void run_backend(void (*const *tests)(void), size_t n, unsigned wanted)
{
	struct sync_sem *s = make_sem("caps", 1);
	caps = sync_sem_caps(s);
	sync_sem_close(s);
	int fds_before = count_fds();
	if ((caps & wanted) != wanted)
		skip("it has no such capability", "all of this");
	for (size_t t = 0; t < n && (caps & wanted) == wanted; t++)
		tests[t]();
	is(count_fds(), fds_before, "no descriptor is left open");
	claim(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left");
	remove_tags();
	claim(tags_are_gone(), "all semaphores can be removed");
	is(count_files(scratch), 0, "and leave nothing in their directory");
	is(count_shm(), 0, "nor in /dev/shm");
	tag_count = 0;
}

/* Once per backend that can do all that is WANTED. */
static inline int run_sem_suite(void (*const *tests)(void), size_t n, unsigned wanted)
{
	umask(022);
	tester = getpid();
	signal(SIGALRM, give_up_sems);
	signal(SIGTERM, give_up_sems);
	signal(SIGINT, give_up_sems);
	limit_time(240);
	for (size_t i = 0; i < LENGTH(sem_backends); i++) {
		char name[64];
		scheme = sem_backends[i];
		snprintf(name, sizeof(name), "%s:", scheme);
		if (sync_sem_caps_of(name) & SYNC_CAP_SERVED) {
			skip("others make, keep and remove it: it has a test of its own", "all");
			continue;
		}
		if (!find_spelling()) {
			printf("Bail out! %s: how are names spelled?\n", scheme);
			return 1;
		}
		if (!enter_scratch()) {
			printf("Bail out! scratch directory: %s\n", strerror(errno));
			return 1;
		}
		run_backend(tests, n, wanted);
		claim(remove_scratch(), "the scratch directory can be removed");
	}
	return tap_end();
}

#endif
