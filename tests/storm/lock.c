/* SPDX-License-Identifier: MIT */
/*
 * The kill storm for lockrun: many jobs at once under one lock, and death at random moments.
 *
 * Usage: lock-storm [OPTION...] LOCKRUN JOB, in an empty directory.
 *	-k KILLS	end after so many SIGKILLs (1000)
 *	-s SEED		decides who does what and who is hit when (1)
 *	-j ACTORS	so many at once (8)
 *	-l SCHEME	"ofd:" and the like, before the lock's name
 *	-t SECONDS	how long nobody may have to wait (60)
 *	-1		end at the first violation
 *
 * 1. Keep ACTORS processes going, each of which takes the lock in its own way for a job.
 * 2. Hit some of them: plan.c says whom and how. The jobs report to the log (job.c).
 * 3. Watch that everybody who waits gets on: one who has not for long is stuck.
 * 4. Let all end: orphans come to us, so when no child is left, no process is.
 * 5. See that the lock is free at once, and check the log (check.c).
 *
 * One line on standard output says what happened; the status is 0 if all was well, 1 if not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"

#define MAX_ACTORS 64
#define NS_PER_USEC 1000ull
#define NS_PER_SEC 1000000000ull
#define RETRY_NS (200 * NS_PER_USEC) /* when there is nobody yet to hit */

extern char **environ;

static struct setting setting = {.seed = 1, .scheme = ""};
static unsigned long wanted_kills = 1000;
static unsigned slots = 8;
static uint64_t patience = 60 * NS_PER_SEC;
static bool stop_at_first;

static struct actor actors[MAX_ACTORS];
static uint32_t next_seq;
static int *outcome; /* by seq */
static size_t outcome_room;
static uint64_t last_begin, last_end;
static int log_fd, wake_fd, signal_fd;
static sigset_t original_mask;

static unsigned long violations; /* as the log grows; check.c counts again */
static unsigned long faults, stuck;
static bool interrupted;

static void fail(const char *what)
{
	fprintf(stderr, "lock-storm: %s: %s\n", what, strerror(errno));
	exit(71);
}

/* ---- actors ---- */

static pid_t spawn(char **argv)
{
	static posix_spawnattr_t attr;
	static posix_spawn_file_actions_t files;
	static bool ready;
	if (!ready) {
		posix_spawnattr_init(&attr);
		posix_spawnattr_setsigmask(&attr, &original_mask);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
		posix_spawn_file_actions_init(&files);
		posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&files, 2, ERRORS_FILE,
						 O_WRONLY | O_CREAT | O_APPEND, 0600);
		ready = true;
	}
	pid_t pid;
	errno = posix_spawn(&pid, argv[0], &files, &attr, argv, environ);
	if (errno)
		fail(argv[0]);
	return pid;
}

static void start(struct actor *a)
{
	struct command command;
	*a = (struct actor){.seq = next_seq++};
	if (a->seq >= outcome_room) {
		outcome_room = outcome_room ? outcome_room * 2 : 4096;
		outcome = realloc(outcome, outcome_room * sizeof(*outcome));
		if (!outcome)
			fail("outcomes");
	}
	outcome[a->seq] = -1;
	a->plan = plan_draw(&setting, a->seq);
	plan_command(&setting, &a->plan, a->seq, &command);
	a->pid = spawn(command.argv);
	a->started = now_ns();
	if (a->plan.blow != BLOW_NONE && !a->plan.after_begin)
		a->due = a->started + a->plan.delay_usec * NS_PER_USEC;
}

static bool status_expected(const struct actor *a, int status)
{
	int code = WEXITSTATUS(status);
	if (WIFSIGNALED(status) || code == 128 + SIGKILL || code == 128 + SIGTERM)
		return a->hit;
	if (code == 75)
		return a->plan.form == FORM_TIMED || a->plan.form == FORM_TRY;
	return code == 0 || code == EXIT_VIOLATION;
}

static void ended(struct actor *a, int status)
{
	if (WIFEXITED(status))
		outcome[a->seq] = WEXITSTATUS(status);
	if (!status_expected(a, status)) {
		faults++;
		fprintf(stderr, "lock-storm: actor %u (form %d%s) ended with wait status %#x\n",
			a->seq, a->plan.form, a->hit ? ", hit" : "", (unsigned)status);
	}
	a->pid = 0;
	a->due = 0;
}

/* Orphans come to us too (subreaper). False when no child is left. */
static bool reap(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			return pid == 0;
		last_end = now_ns();
		for (unsigned i = 0; i < slots; i++)
			if (actors[i].pid == pid)
				ended(&actors[i], status);
	}
}

/* ---- what goes on ---- */

static void strike_due(void)
{
	for (unsigned i = 0; i < slots; i++) {
		struct actor *a = &actors[i];
		uint64_t now = now_ns();
		if (a->second_due && a->second_due <= now)
			blow_second(a);
		if (a->due && a->due <= now)
			a->due = blow_strike(a) ? 0 : now_ns() + RETRY_NS;
	}
}

static void saw_begin(const struct record *r)
{
	last_begin = now_ns();
	for (unsigned i = 0; i < slots; i++) {
		struct actor *a = &actors[i];
		if (!a->pid || a->seq != r->seq)
			continue;
		a->began = last_begin;
		if (a->plan.blow != BLOW_NONE && a->plan.after_begin)
			a->due = last_begin + a->plan.delay_usec * NS_PER_USEC;
	}
}

static void read_log(void)
{
	struct record r[64];
	ssize_t n;
	while ((n = read(log_fd, r, sizeof(r))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(r[0]); i++) {
			if (r[i].kind == RECORD_BEGIN)
				saw_begin(&r[i]);
			else if (r[i].kind == RECORD_VIOLATION)
				violations++;
		}
	}
}

static uint64_t next_due(void)
{
	uint64_t due = now_ns() + NS_PER_SEC / 10;
	for (unsigned i = 0; i < slots; i++) {
		if (actors[i].due && actors[i].due < due)
			due = actors[i].due;
		if (actors[i].second_due && actors[i].second_due < due)
			due = actors[i].second_due;
	}
	return due;
}

/* Until a child ends, the log grows or a blow is due. */
static void wait_for_something(void)
{
	struct pollfd fds[2] = {{.fd = signal_fd, .events = POLLIN},
				{.fd = wake_fd, .events = POLLIN}};
	uint64_t now = now_ns();
	uint64_t due = next_due();
	uint64_t rest = due > now ? due - now : 0;
	struct timespec timeout = {(time_t)(rest / NS_PER_SEC), (long)(rest % NS_PER_SEC)};
	ppoll(fds, 2, &timeout, NULL);
	char events[4096];
	while (read(wake_fd, events, sizeof(events)) > 0)
		;
	struct signalfd_siginfo info;
	while (read(signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			interrupted = true;
}

/* ---- the watchdog ---- */

static void complain(const char *what)
{
	char who[4200];
	fprintf(stderr, "lock-storm: %s for %.1f s; lockrun --who says:\n", what,
		(double)patience / NS_PER_SEC);
	snprintf(who, sizeof(who), "'%s' --who '%s" LOCK_FILE "' >&2", setting.lockrun,
		 setting.scheme);
	if (system(who))
		fprintf(stderr, "lock-storm: (nothing)\n");
	stuck++;
}

/*
 * Turns take milliseconds and timeouts no more: who has waited for so long was passed by, or never
 * woken, or cannot stop waiting.
 */
static bool waits_since(uint64_t when)
{
	for (unsigned i = 0; i < slots; i++)
		if (actors[i].pid && !actors[i].began && actors[i].started < when)
			return true;
	return false;
}

static bool all_well(bool draining)
{
	uint64_t then = now_ns() - patience;
	if (waits_since(then)) {
		complain("a waiter that was free to go, or to give up, did not");
		return false;
	}
	if (draining && last_begin < then && last_end < then) {
		complain("a process did not end");
		return false;
	}
	return true;
}

/* ---- the storm ---- */

static bool enough(void)
{
	return interrupted || blow_kills() >= wanted_kills || (stop_at_first && violations);
}

static void fill_slots(void)
{
	for (unsigned i = 0; i < slots; i++)
		if (!actors[i].pid && !actors[i].second_due)
			start(&actors[i]);
}

/* False if it got stuck. */
static bool turn(bool draining, bool *children)
{
	wait_for_something();
	read_log();
	*children = reap();
	strike_due();
	return all_well(draining);
}

static bool storm(void)
{
	bool children = false;
	while (!enough()) {
		fill_slots();
		if (!turn(false, &children))
			return false;
	}
	last_end = now_ns();
	do {
		if (!turn(true, &children))
			return false;
	} while (children && !interrupted);
	return true;
}

/* With their parents, all orphans become ours: none escapes. */
static void kill_the_rest(void)
{
	pid_t pids[256];
	size_t n;
	unsigned long left = 0;
	while ((n = process_children(getpid(), pids, 256)) > 0 || waitpid(-1, NULL, WNOHANG) >= 0) {
		/* Our children, and not reaped: the numbers are still theirs. */
		while (n--)
			kill(pids[n], SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			left++;
	}
	fprintf(stderr, "lock-storm: killed the %lu processes left\n", left);
}

static int run_lockrun(const char *option)
{
	char lock[64];
	char *argv[] = {(char *)setting.lockrun, (char *)option, lock, "true", NULL};
	int status;
	snprintf(lock, sizeof(lock), "%s" LOCK_FILE, setting.scheme);
	pid_t pid = spawn(argv);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	return status;
}

static bool live_witness(void)
{
	char witness[64] = "";
	bool live =
		readlink(WRITER_FILE, witness, sizeof(witness) - 1) > 0 && witness_lives(witness);
	DIR *dir = opendir(READERS_DIR);
	if (!dir)
		fail(READERS_DIR);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		live |= e->d_name[0] != '.' && witness_lives(e->d_name);
	closedir(dir);
	return live;
}

static void expect(bool well, const char *otherwise)
{
	if (well)
		return;
	faults++;
	fprintf(stderr, "lock-storm: afterwards %s\n", otherwise);
}

/* The kernel must have forgotten all the dead. */
static void check_the_lock(void)
{
	struct stat st;
	expect(!live_witness(), "a witness of a live process is there");
	expect(!run_lockrun("-n"), "the lock is not free");
	expect(!run_lockrun("--rm") && stat(LOCK_FILE, &st), "the lock file cannot be removed");
}

/* With -q it has nothing to say but that something is wrong. Shells report the killed. */
static bool is_complaint(const char *line, const char *name)
{
	if (strstr(line, "9' was removed"))
		return false; /* status 69: the shell opens it again */
	return !strncmp(line, name, strlen(name)) || !strncmp(line, "job:", 4) ||
	       strstr(line, "Sanitizer") || strstr(line, "runtime error");
}

static void check_errors(void)
{
	char line[512];
	const char *slash = strrchr(setting.lockrun, '/');
	const char *name = slash ? slash + 1 : setting.lockrun;
	FILE *f = fopen(ERRORS_FILE, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (is_complaint(line, name) && faults++ < 5)
			fprintf(stderr, "lock-storm: it said: %s", line);
	}
	if (f)
		fclose(f);
}

static int report(double seconds)
{
	struct verdict v = check_log(outcome, next_seq);
	printf("seed=%llu started=%u runs=%lu kills=%lu", (unsigned long long)setting.seed,
	       next_seq, v.begun, blow_kills());
	blow_print();
	printf(" takeovers=%lu violations=%lu overlaps=%lu", v.takeovers, v.violations, v.overlaps);
	printf(" twice=%lu not_run=%lu run_anyway=%lu stuck=%lu faults=%lu seconds=%.1f\n", v.twice,
	       v.not_run, v.run_anyway, stuck, faults, seconds);
	return v.violations || v.overlaps || v.twice || v.not_run || v.run_anyway || stuck ||
	       faults;
}

static void set_up(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &original_mask);
	signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	log_fd = open(LOG_FILE, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (log_fd < 0 || mkdir(READERS_DIR, 0700))
		fail("the directory is not empty");
	wake_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (signal_fd < 0 || wake_fd < 0 || inotify_add_watch(wake_fd, LOG_FILE, IN_MODIFY) < 0)
		fail("cannot watch the log");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		fail("cannot become the subreaper");
	unsetenv("SYNCBOX_HELD");
	blow_set_up(setting.job);
	last_begin = now_ns();
}

static void usage(void)
{
	fputs("usage: lock-storm [-k KILLS] [-s SEED] [-j ACTORS] [-l SCHEME] [-t SECONDS] [-1] "
	      "LOCKRUN JOB\n",
	      stderr);
	exit(64);
}

static void parse(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "k:s:j:l:t:1")) != -1) {
		switch (c) {
		case 'k':
			wanted_kills = strtoul(optarg, NULL, 10);
			break;
		case 's':
			setting.seed = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			slots = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			setting.scheme = optarg;
			break;
		case 't':
			patience = strtoull(optarg, NULL, 10) * NS_PER_SEC;
			break;
		case '1':
			stop_at_first = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2 || !slots || slots > MAX_ACTORS || strlen(setting.scheme) > 8)
		usage();
	setting.lockrun = argv[optind];
	setting.job = argv[optind + 1];
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	set_up();
	uint64_t began = now_ns();
	bool well = storm();
	if (!well || interrupted)
		kill_the_rest();
	if (interrupted)
		return 128 + SIGINT;
	if (well)
		check_the_lock();
	check_errors();
	return report((double)(now_ns() - began) / NS_PER_SEC);
}
