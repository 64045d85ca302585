/* SPDX-License-Identifier: MIT */
/*
 * Surveys and events without memory: of each place that allocates, in the library or in libc for it, the first
 * allocation fails, or all of them do. Then they say so, or a survey knows less; and nothing is left allocated. What
 * the applets do without memory is tests/storm/run-fault's matter; but to name a user it aborts in libc, so it leaves
 * surveys out.
 */
#include "tap.h"

#if defined(__GLIBC__) && !defined(SANITIZED)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libsync.h"

/* Also for what libc allocates. */
#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

/* ---- memory ---- */

static const void *places[256];
static size_t place_count;
static const void *starved; /* the place whose allocation fails; NULL: they are collected */
static bool counts, always, has_failed;
static long blocks;

static bool fails(const void *place)
{
	if (!counts)
		return false;
	if (starved) {
		bool now = place == starved && (always || !has_failed);
		has_failed = has_failed || now;
		if (now)
			errno = ENOMEM;
		return now;
	}
	for (size_t i = 0; i < place_count; i++)
		if (places[i] == place)
			return false;
	if (place_count < sizeof(places) / sizeof(places[0]))
		places[place_count++] = place;
	return false;
}

static void *counted(void *block)
{
	blocks += counts && block;
	return block;
}

EXPORTED void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(n, size));
}

EXPORTED void *realloc(void *block, size_t size)
{
	if (fails(__builtin_return_address(0)))
		return NULL;
	return block ? __libc_realloc(block, size) : counted(__libc_realloc(block, size));
}

/* glibc's own calls the realloc of the library. */
EXPORTED void *reallocarray(void *block, size_t n, size_t size)
{
	if (fails(__builtin_return_address(0)))
		return NULL;
	return block ? __libc_realloc(block, n * size) : counted(__libc_realloc(block, n * size));
}

EXPORTED void free(void *block)
{
	blocks -= counts && block;
	__libc_free(block);
}

/* ---- something of each kind to see ---- */

static char dir[200];
static char posix[40], sysv[40], queue[40], sysv_queue[40], pool[40], shm[40], event[40];
static int segment;

#define FILES 40

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static void name_all(void)
{
	int pid = (int)getpid();
	snprintf(posix, sizeof(posix), "posix:/starved.%d", pid);
	snprintf(sysv, sizeof(sysv), "sysv:starved.%d", pid);
	snprintf(queue, sizeof(queue), "posix:/starved.%d", pid);
	snprintf(sysv_queue, sizeof(sysv_queue), "sysv:starved-q.%d", pid);
	snprintf(pool, sizeof(pool), "pool:starved.%d", pid);
	snprintf(shm, sizeof(shm), "/starved.%d", pid);
	snprintf(event, sizeof(event), "starved.%d", pid);
}

static void hold(const char *name)
{
	const struct sync_sem_opts opts = {
		.flags = SYNC_SEM_CREATE, .initial = 3, .directory = dir};
	struct sync_sem *sem;
	if (!sync_sem_open(name, &opts, &sem))
		(void)!sync_sem_wait(sem, 1, SYNC_SEM_OWNED, SYNC_NOW);
}

static void listen_to(const char *name)
{
	const struct sync_queue_opts opts = {.flags = SYNC_QUEUE_CREATE | SYNC_QUEUE_RECV};
	struct sync_queue *q;
	if (!sync_queue_open(name, &opts, &q))
		(void)!sync_queue_attend(q, SYNC_NOW);
}

/* What is not possible here is not there to see. */
static void have_all(void)
{
	struct flock users = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
	int files[FILES];
	for (size_t i = 0; i < FILES; i++) {
		char name[8];
		snprintf(name, sizeof(name), "f%zu", i);
		files[i] = open(name, O_RDWR | O_CREAT, 0600);
		(void)!flock(files[i], LOCK_SH);
	}
	mkfifo("a.jobs", 0600);
	int lock = open("a.jobs.lock", O_RDWR | O_CREAT, 0600);
	fcntl(lock, F_OFD_SETLK, &users);
	hold("jobserver:fifo:a.jobs");
	hold(posix);
	hold(sysv);
	hold(pool);
	listen_to(queue);
	listen_to(sysv_queue);
	int memory = shm_open(shm, O_RDWR | O_CREAT, 0600);
	(void)!ftruncate(memory, 4096);
	(void)!mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, 0);
	(void)!shmat(segment, NULL, 0);
	eventfd(1, 0);
}

static pid_t start(void)
{
	char c;
	int ends[2];
	need(!pipe(ends), "make a pipe");
	pid_t pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		have_all();
		(void)!write(ends[1], "", 1);
		for (;;)
			pause();
	}
	need(read(ends[0], &c, 1) == 1, "see it begin");
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void remove_sem(const char *name)
{
	const struct sync_sem_opts opts = {.directory = dir};
	struct sync_sem *sem;
	if (sync_sem_open(name, &opts, &sem))
		return;
	sync_sem_unlink(sem);
	sync_sem_close(sem);
}

static void remove_queue(const char *name)
{
	struct sync_queue *q;
	if (sync_queue_open(name, NULL, &q))
		return;
	sync_queue_unlink(q);
	sync_queue_close(q);
}

static void remove_all(pid_t pid)
{
	char command[sizeof(dir) + 16];
	struct sync_sem *jobs;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Who joins last settles, and removes the ledger. */
	if (!sync_sem_open("jobserver:fifo:a.jobs", NULL, &jobs)) {
		(void)!sync_sem_repair(jobs, NULL, NULL);
		sync_sem_close(jobs);
	}
	remove_sem(posix);
	remove_sem(sysv);
	remove_sem(pool);
	remove_queue(queue);
	remove_queue(sysv_queue);
	shm_unlink(shm);
	shmctl(segment, IPC_RMID, NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	need(!chdir("/") && !system(command), "remove what was made");
}

/* ---- looking ---- */

static ino_t inodes[FILES];

static void read_inodes(void)
{
	for (size_t i = 0; i < FILES; i++) {
		struct stat st;
		char name[8];
		snprintf(name, sizeof(name), "f%zu", i);
		need(!stat(name, &st), name);
		inodes[i] = st.st_ino;
	}
}

/* One of the locked files; without memory it may be told by its number alone. */
static bool is_file(const struct sync_object *o)
{
	int64_t inode = -1;
	for (const struct sync_detail *d = o->details; d->name; d++)
		if (!strcmp(d->name, "inode"))
			inode = d->value;
	for (size_t i = 0; i < FILES; i++)
		if (o->type == SYNC_TYPE_LOCK && inode == (int64_t)inodes[i])
			return true;
	return false;
}

/*
 * A survey that was not refused, has said that it sees all, and has none of the files. A few may be missing in the
 * kernel's list when other locks go while it is read; those who have them tell of them otherwise, which takes memory.
 */
static bool shows_none;

static int survey(void)
{
	const struct sync_survey_opts opts = {.directory = dir};
	const struct sync_object *const *list;
	struct sync_survey *s;
	unsigned blind;
	int r = sync_survey_open(&opts, &s);
	if (r)
		return r;
	size_t seen = 0;
	size_t n = sync_survey_objects(s, &list);
	for (size_t i = 0; i < n; i++)
		seen += is_file(list[i]);
	(void)sync_survey_hidden(s, &blind);
	shows_none = shows_none || (!seen && !blind);
	sync_survey_close(s);
	return r;
}

static int owners(void)
{
	struct sync_lock *lock;
	struct sync_owner *list = NULL;
	size_t count;
	size_t hidden;
	int r = sync_lock_open("f0", NULL, SYNC_NOW, &lock);
	if (r)
		return r;
	r = sync_lock_owners(lock, &list, &count, &hidden);
	sync_lock_close(lock);
	if (!r)
		free(list);
	return r;
}

static int naming(void)
{
	struct sync_event *ev;
	struct sync_event_holder *h;
	int r = sync_event_make(NULL, &ev);
	if (r)
		return r;
	const struct sync_event_opts opts = {.event = ev};
	r = sync_event_holder_open(event, &opts, &h);
	if (!r)
		sync_event_holder_close(h);
	sync_event_close(ev);
	return r;
}

static int events(void)
{
	struct sync_event_entry *list;
	size_t count;
	int r = sync_event_list(&list, &count);
	if (!r)
		free(list);
	return r;
}

static int starve(int (*look)(void), const void *place, bool all)
{
	starved = place;
	always = all;
	has_failed = false;
	blocks = 0;
	counts = true;
	int r = look();
	counts = false;
	return r;
}

static void starve_all(int (*look)(void), const char *what)
{
	int odd = 0;
	int refused = 0;
	int leaks = 0;
	place_count = 0;
	ok(starve(look, NULL, false) == 0 && blocks == 0, "%s: done, and nothing is left of it",
	   what);
	for (size_t i = 0; i < 2 * place_count; i++) {
		int r = starve(look, places[i / 2], i % 2);
		odd += r && r != -ENOMEM;
		refused += r == -ENOMEM;
		leaks += blocks != 0;
	}
	ok(place_count >= 2 && refused, "%s: without memory it is refused", what);
	ok(!odd, "%s: for that reason, or it is done", what);
	ok(!leaks, "%s: and nothing is left of it", what);
}

int main(void)
{
	struct sync_event_holder *holder = NULL;
	alarm(240);
	snprintf(dir, sizeof(dir), "%s/starved.XXXXXX", tap_place());
	need(mkdtemp(dir) && !chdir(dir), "make a directory");
	name_all();
	segment = shmget(IPC_PRIVATE, 4096, 0600);
	pid_t pid = start();
	read_inodes();
	starve_all(survey, "a survey");
	ok(!shows_none, "a survey: it never leaves all out without a word");
	starve_all(owners, "whose a lock is");
	starve_all(naming, "an event that gets a name");
	need(sync_event_holder_open(event, NULL, &holder) == 0, "hold an event");
	starve_all(events, "a list of events");
	sync_event_holder_close(holder);
	remove_all(pid);
	return tap_end();
}

#else

int main(void)
{
	tap_skip("not with this libc, or a sanitizer", "surveys without memory");
	return tap_end();
}

#endif
