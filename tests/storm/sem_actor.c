/* SPDX-License-Identifier: MIT */
/* The actors of the semaphore storm: starting, striking, awaiting them; and the semaphore itself. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sem.h"

#define MAX_ACTORS 4096
#define EXIT_BUSY 75

extern char **environ;

struct member {
	pid_t pid;
	uint32_t seq;
	struct ask ask;
	uint64_t due; /* of the strike; 0: none, or done */
	bool hit;
};

static struct member members[MAX_ACTORS];
static unsigned left, generation;
static uint64_t last_end;
static char name[64];
static posix_spawn_file_actions_t to_errors;
static posix_spawnattr_t plain_mask;
static sigset_t awaited;

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "sem-storm: %s: %s\n", what, strerror(errno));
	actors_kill_all();
	exit(71);
}

void actors_set_up(void)
{
	sigset_t none;
	int fd = open(BOARD_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(struct board)))
		die(BOARD_FILE);
	storm.board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (storm.board == MAP_FAILED)
		die("mmap");
	close(fd);
	sigemptyset(&none);
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	posix_spawnattr_init(&plain_mask);
	posix_spawnattr_setsigmask(&plain_mask, &none);
	posix_spawnattr_setflags(&plain_mask, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&to_errors);
	posix_spawn_file_actions_addopen(&to_errors, 2, "errors", O_WRONLY | O_CREAT | O_APPEND,
					 0600);
}

static pid_t spawn(const char *const *argv, const posix_spawn_file_actions_t *actions)
{
	pid_t pid;
	int err = posix_spawn(&pid, argv[0], actions, &plain_mask, (char *const *)argv, environ);
	if (err) {
		errno = err;
		die(argv[0]);
	}
	return pid;
}

int capture(const char *const *argv, char *buf, size_t size)
{
	int ends[2];
	int status;
	size_t used = 0;
	ssize_t n;
	posix_spawn_file_actions_t actions;
	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	pid_t pid = spawn(argv, &actions);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	while (used + 1 < size && (n = read(ends[0], buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	close(ends[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- the semaphore ---- */

const char *sem_name(void)
{
	return name;
}

void sem_fresh(void)
{
	if (generation)
		sem_remove();
	generation++;
	if (!strcmp(storm.kind, "pool"))
		snprintf(name, sizeof(name), "pool:./pool.%u", generation);
	else if (!strcmp(storm.kind, "posix"))
		snprintf(name, sizeof(name), "posix:/storm.%d.%u", (int)getpid(), generation);
	else
		snprintf(name, sizeof(name), "sysv:storm.%d.%u", (int)getpid(), generation);
}

/* Its number is not ours to compute: it is the set that the last sempost was the last to change. */
static void remove_sysv(void)
{
	int status;
	const char *argv[] = {storm.sempost, name, NULL};
	pid_t pid = spawn(argv, &to_errors);
	if (waitpid(pid, &status, 0) != pid || status)
		return; /* there is none */
	struct semid_ds ds;
	struct seminfo info;
	union {
		struct semid_ds *buf;
		struct seminfo *info;
	} arg = {.info = &info};
	int highest = semctl(0, 0, SEM_INFO, arg);
	for (int i = 0; i <= highest; i++) {
		arg.buf = &ds;
		int id = semctl(i, 0, SEM_STAT, arg);
		if (id >= 0 && ds.sem_perm.cuid == geteuid() && semctl(id, 0, GETPID) == pid)
			semctl(id, 0, IPC_RMID);
	}
}

void sem_remove(void)
{
	char path[96];
	if (!strcmp(storm.kind, "sysv"))
		remove_sysv();
	if (!strcmp(storm.kind, "posix")) { /* "posix:/NAME" */
		snprintf(path, sizeof(path), "/dev/shm/sem.%s", name + 7);
		unlink(path);
		snprintf(path, sizeof(path), "/dev/shm/dbt.%s", name + 7);
		unlink(path);
	}
	/* A pool is a file of the working directory, which is not ours to clear. */
}

long sem_value(void)
{
	char buf[64];
	const char *argv[] = {storm.semwait, "--value", name, NULL};
	return capture(argv, buf, sizeof(buf)) ? -1 : atol(buf);
}

/* Returns how many permits are in doubt. */
static unsigned repair(void)
{
	char buf[128];
	unsigned returned = 0;
	unsigned doubtful = 0;
	const char *argv[] = {storm.sempost, "--repair", name, NULL};
	if (capture(argv, buf, sizeof(buf)) ||
	    sscanf(buf, "returned %u doubtful %u", &returned, &doubtful) != 2)
		storm.failed++;
	storm.returned += returned;
	storm.doubtful += doubtful;
	return doubtful;
}

/* Nobody is left: what is not there is lost. */
static void replace(long lost)
{
	char buf[16];
	char count[16];
	const char *argv[] = {storm.sempost, "-c", count, name, NULL};
	snprintf(count, sizeof(count), "%ld", lost);
	storm.failed += capture(argv, buf, sizeof(buf)) != 0;
}

void sem_settle(void)
{
	unsigned doubtful = strcmp(storm.kind, "posix") ? 0 : repair();
	long value = sem_value();
	long missing = (long)storm.permits - value;
	if (!missing)
		return;
	if (value >= 0 && missing > 0 && missing <= (long)doubtful) {
		storm.lost += (unsigned long)missing;
		replace(missing);
		return;
	}
	storm.bad_value++;
	fprintf(stderr, "sem-storm: %s: %ld permits free of %u, though nobody is left\n", name,
		value, storm.permits);
}

/* ---- starting ---- */

void board_clear(void)
{
	storm.violations += storm.board->violations;
	if (storm.board->most > storm.most)
		storm.most = storm.board->most;
	memset(storm.board, 0, sizeof(*storm.board));
	storm.board->permits = storm.permits;
}

static pid_t start_command(const struct ask *ask, uint32_t seq)
{
	char words[6][16];
	const char *argv[20] = {storm.semwait, "-q", "-i"};
	size_t n = 3;
	snprintf(words[0], sizeof(words[0]), "%u", storm.permits);
	argv[n++] = words[0];
	if (ask->weight > 1) {
		snprintf(words[1], sizeof(words[1]), "-c%u", ask->weight);
		argv[n++] = words[1];
	}
	if (ask->timeout_ms) {
		snprintf(words[2], sizeof(words[2]), "-w%ums", ask->timeout_ms);
		argv[n++] = words[2];
	}
	if (ask->once)
		argv[n++] = "-n";
	argv[n++] = name;
	argv[n++] = storm.job;
	snprintf(words[3], sizeof(words[3]), "%u", seq);
	argv[n++] = words[3];
	snprintf(words[4], sizeof(words[4]), "%u", ask->weight);
	argv[n++] = words[4];
	snprintf(words[5], sizeof(words[5]), "%u", ask->usec);
	argv[n++] = words[5];
	argv[n++] = ask->end;
	argv[n] = NULL;
	return spawn(argv, &to_errors);
}

pid_t actor_start(const struct ask *ask)
{
	unsigned i = 0;
	uint32_t seq = storm.board->jobs;
	while (i < MAX_ACTORS && members[i].pid)
		i++;
	if (i == MAX_ACTORS || seq == MAX_JOBS) {
		errno = E2BIG;
		die("too many actors");
	}
	struct member *m = &members[i];
	storm.board->place[seq].asked = ask->weight;
	storm.board->jobs++;
	*m = (struct member){.seq = seq, .ask = *ask};
	m->pid = start_command(ask, seq);
	last_end = now_ns();
	if (ask->strike != STRIKE_NONE)
		m->due = last_end + ask->strike_usec * 1000ull;
	storm.started++;
	left++;
	return m->pid;
}

unsigned actors_left(void)
{
	return left;
}

/* ---- striking ---- */

/*
 * The number of the system call that it sleeps in; -1: none. In state D it is not yet in any queue: while
 * somebody reads /proc/locks, all lock calls on the machine are held up, for milliseconds.
 */
static long sleeps_in(pid_t pid)
{
	struct process p;
	char path[32];
	char buf[256];
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	char *end;
	long number = strtol(buf, &end, 10);
	return end == buf || !process_look(pid, &p) || p.state != 'S' ? -1 : number;
}

bool awaits_permit(pid_t pid)
{
	static const long calls[] = {
		SYS_semop, SYS_semtimedop, SYS_fcntl, SYS_ppoll, SYS_poll, SYS_futex,
	};
	long number = sleeps_in(pid);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (number == calls[i])
			return true;
	return false;
}

bool awaits_slot(pid_t pid)
{
	return sleeps_in(pid) == SYS_ppoll;
}

static bool strike_leader(struct member *m)
{
	struct place *p = &storm.board->place[m->seq];
	if (p->begins && !strcmp(storm.kind, "posix"))
		storm.kills_super++;
	else if (p->begins)
		storm.kills_job++;
	else if (awaits_permit(m->pid))
		storm.kills_waiting++;
	else
		storm.kills_starting++;
	return !kill(m->pid, SIGKILL); /* ours, and not reaped: the number is its own */
}

static bool strike_child(const struct member *m)
{
	pid_t child;
	struct process p;
	if (!process_children(m->pid, &child, 1) || !process_look(child, &p) ||
	    p.parent != m->pid || !process_signal(&p, SIGKILL))
		return false;
	storm.kills_job++;
	return true;
}

static void strike(struct member *m)
{
	m->due = 0;
	switch (m->ask.strike) {
	case STRIKE_KILL:
		m->hit |= strike_leader(m);
		break;
	case STRIKE_JOB:
		m->hit |= strike_child(m);
		break;
	case STRIKE_BOTH:
		m->hit |= strike_child(m);
		m->hit |= strike_leader(m);
		break;
	case STRIKE_TERM:
		m->hit |= !kill(m->pid, SIGTERM);
		storm.terms++;
		break;
	default:
		break;
	}
}

/* Returns when the next is due. */
static uint64_t strike_all_due(uint64_t until)
{
	uint64_t now = now_ns();
	for (unsigned i = 0; i < MAX_ACTORS; i++) {
		struct member *m = &members[i];
		if (!m->pid || !m->due)
			continue;
		if (m->due <= now)
			strike(m);
		else if (m->due < until)
			until = m->due;
	}
	return until;
}

/* ---- awaiting ---- */

static void judge(const struct member *m, int status)
{
	struct place *p = &storm.board->place[m->seq];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	bool own_kill = !strcmp(m->ask.end, END_KILL) && code == 128 + SIGKILL && p->ended;
	storm.twice += p->begins > 1;
	storm.served += p->ended != 0;
	if (code == 0) {
		storm.not_run += !p->ended;
	} else if (code == EXIT_BUSY) {
		storm.busy++;
		storm.any_way += p->began != 0;
		storm.failed += !m->ask.once && !m->ask.timeout_ms;
	} else if (!own_kill && !m->hit) {
		storm.failed++;
		fprintf(stderr, "sem-storm: job %u ended with %d, see errors\n", m->seq, code);
	}
}

/* Also children that are not ours: orphans of supervisors that were killed. */
static bool reap(struct actor_result *out)
{
	struct actor_result r;
	pid_t pid = wait4(-1, &r.status, WNOHANG, &r.usage);
	if (pid <= 0)
		return false;
	r.seq = UINT32_MAX;
	for (unsigned i = 0; i < MAX_ACTORS; i++)
		if (members[i].pid == pid) {
			r.seq = members[i].seq;
			judge(&members[i], r.status);
			members[i].pid = 0;
			left--;
			break;
		}
	last_end = now_ns();
	if (out)
		*out = r;
	return true;
}

/* A semaphore outlives its users. */
__attribute__((noreturn)) static void give_up(void)
{
	actors_kill_all();
	sem_remove();
	exit(130);
}

bool actors_turn(uint64_t until, struct actor_result *out)
{
	for (;;) {
		uint64_t next = strike_all_due(until);
		if (reap(out))
			return true;
		uint64_t now = now_ns();
		if (now >= until)
			return false;
		uint64_t ns = next > now ? next - now : 0;
		struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
		int signo = sigtimedwait(&awaited, NULL, &t);
		if (signo == SIGINT || signo == SIGTERM)
			give_up();
	}
}

static bool any_child(void)
{
	siginfo_t info;
	return !waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
}

void actors_drain(void)
{
	last_end = now_ns();
	while (left || any_child()) {
		if (actors_turn(last_end + storm.patience, NULL))
			continue;
		storm.stuck += left ? left : 1;
		fprintf(stderr, "sem-storm: %s: %u wait in vain, %ld permits free\n", name, left,
			sem_value());
		actors_kill_all();
	}
}

void actors_kill_all(void)
{
	pid_t children[MAX_ACTORS];
	size_t n;
	while ((n = process_children(getpid(), children, MAX_ACTORS)) > 0) {
		for (size_t i = 0; i < n; i++)
			kill(children[i], SIGKILL);
		for (size_t i = 0; i < n; i++)
			waitpid(children[i], NULL, 0);
	}
	memset(members, 0, sizeof(members));
	left = 0;
}

void actor_end(uint32_t seq)
{
	for (unsigned i = 0; i < MAX_ACTORS; i++)
		if (members[i].pid && members[i].seq == seq)
			members[i].hit = true;
	/* With posix: it is not our child but semwait's. */
	struct process p;
	if (process_look(storm.board->place[seq].pid, &p) &&
	    p.start == storm.board->place[seq].start)
		process_signal(&p, SIGKILL);
}

static bool within_patience(uint64_t began)
{
	if (now_ns() - began < storm.patience)
		return true;
	storm.stuck++;
	fprintf(stderr, "sem-storm: %s: somebody does not get as far as expected\n", name);
	return false;
}

bool actor_seen_waiting(pid_t pid)
{
	uint64_t began = now_ns();
	while (!awaits_permit(pid)) {
		if (!within_patience(began))
			return false;
		sched_yield();
	}
	return true;
}

bool actor_seen_in(uint32_t seq)
{
	uint64_t began = now_ns();
	while (!storm.board->place[seq].weight) {
		if (!within_patience(began))
			return false;
		sched_yield();
	}
	return true;
}

/* ---- afterwards ---- */

/* Only jobs whose times are both known count; and those are told by the clock, not by each other. */
unsigned long count_overlaps(void)
{
	unsigned long found = 0;
	const struct board *b = storm.board;
	for (uint32_t i = 0; i < b->jobs; i++) {
		uint64_t at = b->place[i].began;
		unsigned sum = 0;
		if (!b->place[i].ended)
			continue;
		for (uint32_t j = 0; j < b->jobs; j++)
			if (b->place[j].began <= at && at < b->place[j].ended)
				sum += b->place[j].asked;
		found += sum > b->permits;
	}
	return found;
}
