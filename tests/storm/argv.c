/* SPDX-License-Identifier: MIT */
/*
 * Runs random command lines (argv_make.c), one after the other, in namespaces of their own, and judges each: it is not killed
 * by a signal, its status is one that its manual page has, when it is 64 there is a message and nothing was made, what
 * is on standard error is plain text, and it does not hang. Who waits longer than others are patient is told to
 * terminate, and then has to.
 *
 *	argv-storm [-n VECTORS] [-s SEED] [-i FIRST] [-p MILLISECONDS] [-w MILLISECONDS] [-v] BIN MANUALS
 *
 * in an empty directory. Vector I of seed S is number S * 1000000 + I whichever way it is run; -s S -i I -n 1 has it again.
 * Status 0; 1 something is wrong; 2 it cannot be done; 77 there may be no such namespaces here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "argv.h"

static struct {
	unsigned long vectors, seed, first;
	long patience_ms; /* before it is told to end */
	long hang_ms;     /* what then lasts so long hangs */
	bool verbose;
	const char *bin, *manuals;
} o = {.vectors = 300, .seed = 1, .patience_ms = 300, .hang_ms = 60000};

static struct {
	unsigned long done, usage, late, refused, zero, stopped, wrong, left;
} sum;

static void cannot(const char *what)
{
	fprintf(stderr, "argv-storm: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- a world of its own ---- */

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0; /* what must be possible fails later */
	close(fd);
}

static bool part(void)
{
	char map[64];
	int spaces = CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET;
	uid_t uid = getuid();
	gid_t gid = getgid();
	if (!unshare(spaces))
		return true;
	if (unshare(spaces | CLONE_NEWUSER))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	put_file("/proc/self/setgroups", "deny");
	put_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	put_file("/proc/self/gid_map", map);
	return getuid() == 0 && getgid() == 0;
}

/*
 * Whatever is mounted can only be read from here on: root's devices are files, too, that a rename(2) would replace. What
 * cannot be had without that is not had.
 */
static bool freeze_all(void)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} how = {.set = 1 /* MOUNT_ATTR_RDONLY */, .propagation = MS_PRIVATE};
	return !syscall(442 /* mount_setattr(2), Linux 5.12 */, AT_FDCWD, "/",
			0x8000 /* AT_RECURSIVE */, &how, sizeof(how));
}

static bool settle_in(const char *where)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	if (!freeze_all() || !access("/", W_OK) || !access("/dev", W_OK) ||
	    mount("proc", "/proc", "proc", 0, NULL) ||
	    mount("shm", "/dev/shm", "tmpfs", 0, "size=64m") ||
	    mount("argv", where, "tmpfs", 0, "size=64m"))
		return false;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s >= 0 && ioctl(s, SIOCSIFFLAGS, &lo))
		errno = 0;
	close(s);
	return !chdir(where);
}

/* The only commands: so that no word means one by chance. */
static void furnish(const char *bin)
{
	static const char *const commands[] = {"true", "false", "sh"};
	char from[64];
	char to[64];
	if (mkdir("bin", 0755) || mkdir("room", 0755) || mkdir("sync", 0700) ||
	    mkdir("mqueue", 0755))
		cannot("mkdir");
	/* For us to see: they can do without. */
	if (mount("mqueue", "mqueue", "mqueue", 0, NULL))
		errno = 0; /* this kernel has none */
	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "/bin/%s", commands[i]);
		snprintf(to, sizeof(to), "bin/%s", commands[i]);
		if (symlink(from, to))
			cannot(to);
	}
	if (chdir("room"))
		cannot("room");
	clearenv();
	char here[4096];
	if (!getcwd(here, sizeof(here)))
		cannot("getcwd");
	*strrchr(here, '/') = '\0';
	char path[4200];
	snprintf(path, sizeof(path), "%s/bin", here);
	setenv("PATH", path, 1);
	snprintf(path, sizeof(path), "%s/sync", here);
	setenv("SYNC_DIR", path, 1);
	setenv("LC_ALL", "C", 1);
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	(void)bin;
}

/* ---- what there is ---- */

static uint64_t hash_text(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return (h ^ '/') * 0x100000001b3;
}

/* Names below PATH, in no order. */
static uint64_t names_in(const char *path, int depth)
{
	uint64_t sum_of = 0;
	DIR *d = opendir(path);
	const struct dirent *e;
	while (d && (e = readdir(d))) {
		char below[4096];
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		sum_of += hash_text(1, below);
		if (depth && e->d_type == DT_DIR)
			sum_of += names_in(below, depth - 1);
	}
	if (d)
		closedir(d);
	return sum_of;
}

/* Keys and numbers of System V objects: the first two columns, the others change by use. */
static uint64_t numbers_in(const char *path)
{
	char line[512];
	long key;
	int id;
	uint64_t sum_of = 0;
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%ld %d", &key, &id) == 2)
			sum_of += ((uint64_t)key << 32 ^ (uint64_t)id) * 0x9e3779b97f4a7c15;
	if (f)
		fclose(f);
	return sum_of;
}

static uint64_t world(void)
{
	return names_in(".", 3) + names_in("../sync", 3) + names_in("/dev/shm", 1) +
	       names_in("../mqueue", 0) + numbers_in("/proc/sysvipc/sem") +
	       numbers_in("/proc/sysvipc/msg") + numbers_in("/proc/sysvipc/shm");
}

/* ---- what the manual says ---- */

struct page {
	char name[32];
	bool status[256];
	bool own, stray; /* COMMAND's status is its own; it may leave a process behind */
};
static struct page pages[32];
static size_t page_count;

static void read_page(const char *name)
{
	char path[4096];
	char line[1024];
	bool there = false;
	struct page *p = &pages[page_count];
	snprintf(path, sizeof(path), "%s/%s.1.scd", o.manuals, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	snprintf(p->name, sizeof(p->name), "%s", name);
	while (fgets(line, sizeof(line), f)) {
		int n;
		if (line[0] == '#')
			there = !strcmp(line, "# EXIT STATUS\n");
		if (there && sscanf(line, "*%d*", &n) == 1)
			p->status[n & 255] = true;
		if (there && strstr(line, "is _COMMAND_'s own"))
			p->own = true;
	}
	fclose(f);
	/* 128 plus N */
	for (int i = 129; p->status[128] && i < 193; i++)
		p->status[i] = true;
	p->stray = !strcmp(name, "evfd");
	p->own = p->own || p->stray;
	page_count++;
}

static const struct page *page_of(const char *name)
{
	for (size_t i = 0; i < page_count; i++)
		if (!strcmp(pages[i].name, name))
			return &pages[i];
	return NULL;
}

/* COMMAND's statuses; -E's. */
static bool is_documented(const struct vector *v, int status)
{
	static const char *const own[] = {"0", "1", "7", "75", "255", "99", "3", "16", "2", "4"};
	const struct page *p = page_of(v->words[0]);
	if (!p || p->status[status])
		return true;
	if (v->shell && (status == 126 || status == 127)) /* the shell's, on its line */
		return true;
	if (p->own && (status == 1 || status == 2 || status == 3))
		return true;
	/* Whoever runs another applet has its statuses. */
	for (size_t i = 0; i < page_count && !strcmp(p->name, "syncbox"); i++)
		if (pages[i].status[status])
			return true;
	char text[8];
	snprintf(text, sizeof(text), "%d", status);
	bool possible = false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		possible = possible || !strcmp(own[i], text);
	for (size_t i = 1; possible && i < v->count; i++) {
		const char *word = v->words[i];
		size_t len = strlen(word);
		size_t n = strlen(text);
		if (word[0] == '-' && word[1] == '-' ? !strncmp(word, "--c", 3)
						     : word[0] == '-' && strchr(word, 'E')) {
			if (len > n && !strcmp(word + len - n, text))
				return true;
			if (i + 1 < v->count && !strcmp(v->words[i + 1], text))
				return true;
		}
	}
	return false;
}

/* ---- one ---- */

static int said; /* a file for standard error */

static void show(const struct vector *v, unsigned long i, const char *why)
{
	char text[2048];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	printf("%s: -s %lu -i %lu:", why, o.seed, i);
	for (size_t w = 0; w < v->count; w++) {
		printf(" $'");
		for (const char *s = v->words[w]; *s && s < v->words[w] + 60; s++)
			if (*s < ' ' || *s > '~' || *s == '\'' || *s == '\\')
				printf("\\x%02x", (unsigned char)*s);
			else
				putchar(*s);
		printf("'");
		if (strlen(v->words[w]) > 60)
			printf("(%zu)", strlen(v->words[w]));
	}
	printf("\n  it said: ");
	for (const char *s = text; *s; s++)
		if (*s == '\n' || (*s >= ' ' && *s <= '~'))
			putchar(*s);
		else
			printf("\\x%02x", (unsigned char)*s);
	printf("\n");
	fflush(stdout);
}

static pid_t start(const struct vector *v)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", o.bin, v->words[0]);
	pid_t pid = vfork();
	if (pid)
		return pid;
	sigset_t none;
	sigemptyset(&none);
	setsid();
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(said, STDERR_FILENO);
	execv(path, v->words);
	_exit(199);
}

/* Wait for PID, or with 0 for all that is left, so long; false if that is not enough. */
static bool await(pid_t pid, int *status, long ms)
{
	sigset_t child;
	struct timespec end;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	clock_gettime(CLOCK_MONOTONIC, &end);
	long until = end.tv_sec * 1000 + end.tv_nsec / 1000000 + ms;
	for (;;) {
		int s;
		pid_t got;
		while ((got = waitpid(-1, &s, WNOHANG)) > 0)
			if (got == pid) {
				*status = s;
				return true;
			}
		if (got < 0)
			return !pid;
		clock_gettime(CLOCK_MONOTONIC, &end);
		long left = until - (end.tv_sec * 1000 + end.tv_nsec / 1000000);
		if (left <= 0)
			return false;
		struct timespec t = {left / 1000, left % 1000 * 1000000};
		sigtimedwait(&child, NULL, &t);
	}
}

/* We are number 1 here: this is everybody else. */
static void kill_all(void)
{
	int status;
	kill(-1, SIGKILL);
	while (!await(0, &status, 1000))
		kill(-1, SIGKILL);
}

/* Nothing that a terminal may obey, and UTF-8; but flock prints high bytes, as the one it stands in for. */
static bool is_plain(const struct vector *v)
{
	static unsigned char text[1 << 16];
	bool high = !strcmp(v->words[0], "flock");
	ssize_t n = pread(said, text, sizeof(text) - 4, 0);
	unsigned more = 0; /* bytes of a character */
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = text[i];
		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			return false;
		if (c < 0x80 ? more : more ? c > 0xbf : c < 0xc2 || c > 0xf4)
			return high;
		if (c == 0xc2 && i + 1 < n && text[i + 1] < 0xa0)
			return high;
		more = more ? more - 1 : c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	}
	return !more || high;
}

static bool it_said(const char *what)
{
	static char text[1 << 16];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, what);
}

static off_t length(void)
{
	struct stat st;
	return fstat(said, &st) ? 0 : st.st_size;
}

/* What is wrong with it; NULL: nothing. */
static const char *judge(const struct vector *v, int status, bool stopped, uint64_t before)
{
	if (WIFSIGNALED(status))
		return stopped && WTERMSIG(status) == SIGTERM ? NULL : "KILLED BY A SIGNAL";
	int code = WEXITSTATUS(status);
	sum.zero += code == 0;
	sum.usage += code == 64;
	sum.refused += code != 0 && code != 64;
	if (it_said("Sanitizer:") || it_said("runtime error:"))
		return "A SANITIZER HAS A WORD";
	if (!v->shell && !is_plain(v))
		return "CONTROL CHARACTERS";
	if (stopped)
		return NULL;
	if (!is_documented(v, code))
		return "A STATUS THAT THE MANUAL DOES NOT HAVE";
	if (code != 64)
		return NULL;
	if (!length())
		return "64 WITHOUT A WORD";
	if (world() == before)
		return NULL;
	/* argp ends its messages so. Others have looked at objects first, and may have made some. */
	sum.late++;
	return it_said("\nTry `") ? "64, AND SOMETHING WAS MADE" : NULL;
}

static void run_one(unsigned long i)
{
	struct vector v;
	int status = 0;
	bool stopped = false;
	const char *why = NULL;
	argv_make(&v, o.seed * 1000000 + i);
	uint64_t before = world();
	if (ftruncate(said, 0) || lseek(said, 0, SEEK_SET))
		cannot("ftruncate");
	pid_t pid = start(&v);
	if (pid < 0)
		cannot("vfork");
	if (!await(pid, &status, o.patience_ms)) {
		stopped = true;
		sum.stopped++;
		kill(pid, SIGCONT);
		kill(pid, SIGTERM);
		if (!await(pid, &status, o.hang_ms)) {
			why = "DOES NOT END";
			kill(pid, SIGKILL);
			await(pid, &status, o.hang_ms);
		}
	}
	if (!why)
		why = judge(&v, status, stopped, before);
	if (!why && WIFEXITED(status) && WEXITSTATUS(status) == 199)
		cannot("exec");
	const struct page *p = page_of(v.words[0]);
	bool alone = await(0, &status, 0);
	/* Who is about to end may. */
	if (!alone && !stopped && p && !p->stray && strcmp(p->name, "syncbox") != 0)
		if (!await(0, &status, o.hang_ms) && !why)
			why = "LEAVES A PROCESS";
	sum.left += !alone;
	if (!alone)
		kill_all();
	if (why || o.verbose)
		show(&v, i, why ? why : "ok");
	sum.wrong += why != NULL;
	sum.done++;
	argv_free(&v);
}

/* Now and then all that was made goes. */
static void tidy_up(void)
{
	if (system("exec >/dev/null 2>&1; PATH=/usr/bin:/bin; chmod -R u+rwx . ../sync; "
		   "rm -rf ./* ./.[!.]* ../sync/* /dev/shm/* ../mqueue/*; ipcrm -a"))
		errno = 0; /* there may be no ipcrm */
	if (mkdir("d", 0755) && errno != EEXIST)
		cannot("d");
	put_file("/proc/self/coredump_filter", "0");
	int fd = open("l", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	int status;
	await(0, &status, 1000);
}

/*
 * The bytes of queues are counted for a user, wherever they are, and other tests of his want some: so we make none when there
 * are as many as one queue has.
 */
static void leave_queues_to_others(void)
{
	struct rlimit few = {100000, 100000};
	struct rlimit now;
	if (!getrlimit(RLIMIT_MSGQUEUE, &now) && now.rlim_cur > few.rlim_cur &&
	    setrlimit(RLIMIT_MSGQUEUE, &few))
		cannot("RLIMIT_MSGQUEUE");
}

static int storm(void)
{
	sigset_t child;
	leave_queues_to_others();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	said = memfd_create("said", MFD_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 20);
	if (said < 0 || null < 0 || out < 0)
		cannot("descriptors");
	/* Ours is a copy: they write nowhere. */
	stdout = fdopen(out, "w");
	said = fcntl(said, F_DUPFD_CLOEXEC, 21);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
	for (unsigned long i = 0; i < o.vectors && sum.wrong < 20; i++) {
		if (i % 40 == 0)
			tidy_up();
		run_one(o.first + i);
	}
	fprintf(stdout,
		"seed=%lu vectors=%lu done=%lu refused_64=%lu other=%lu stopped=%lu left=%lu "
		"late_64=%lu wrong=%lu\n",
		o.seed, sum.done, sum.zero, sum.usage, sum.refused, sum.stopped, sum.left, sum.late,
		sum.wrong);
	fflush(stdout);
	return sum.wrong != 0;
}

static void learn(void)
{
	char command[4200];
	char name[32];
	snprintf(command, sizeof(command), "%s/syncbox --dump-options >options.txt", o.bin);
	if (system(command) || !argv_learn("options.txt"))
		cannot("syncbox --dump-options");
	for (size_t i = 0; i < argv_applets(); i++) {
		snprintf(name, sizeof(name), "%s", argv_applet(i));
		if (!strchr(name, ' '))
			read_page(name);
	}
}

int main(int argc, char **argv)
{
	int option;
	int status;
	char here[4000];
	while ((option = getopt(argc, argv, "n:s:i:p:w:v")) != -1) {
		if (option == 'n')
			o.vectors = strtoul(optarg, NULL, 10);
		else if (option == 's')
			o.seed = strtoul(optarg, NULL, 10);
		else if (option == 'i')
			o.first = strtoul(optarg, NULL, 10);
		else if (option == 'p')
			o.patience_ms = strtol(optarg, NULL, 10);
		else if (option == 'w')
			o.hang_ms = strtol(optarg, NULL, 10);
		else if (option == 'v')
			o.verbose = true;
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	o.bin = argv[optind];
	o.manuals = argv[optind + 1];
	learn();
	if (!getcwd(here, sizeof(here)))
		cannot("getcwd");
	if (!part())
		return 77;
	pid_t pid = fork();
	if (pid < 0)
		cannot("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!settle_in(here))
			_exit(77);
		furnish(o.bin);
		exit(storm());
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
