/* SPDX-License-Identifier: MIT */
/* The contract of journals: a message that was taken is never lost, whenever its receiver is killed. */
#include <grp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

#include "queueutil.h"

#define STREAM 4 /* messages in a round of the kill test */
#define MANY 24  /* orphans at once */
#ifdef SANITIZED
#define KILLS 1000
#else
#define KILLS 3000
#endif

static struct sync_journal *inherited; /* by a child of ours */

/* What kids and we both see. */
static struct {
	atomic_bool finishing[STREAM];
	atomic_int got[MANY];
} * shared;

/* ---- what journals are tested with ---- */

static struct sync_journal *open_journal(const char *dir)
{
	struct sync_journal *j = NULL;
	int r = sync_journal_open(dir, &j);
	if (r)
		bail_queue(r, dir);
	return j;
}

static struct sync_slot *get_slot(struct sync_journal *j, size_t size)
{
	struct sync_slot *s = NULL;
	int r = sync_journal_slot(j, size, &s);
	if (r)
		bail_queue(r, "a slot");
	return s;
}

/* NULL: none. */
static struct sync_slot *get_orphan(struct sync_journal *j)
{
	struct sync_slot *s = NULL;
	int r = sync_journal_orphan(j, NULL, &s);
	if (r && r != -ENOENT)
		bail_queue(r, "an orphan");
	return s;
}

static int look_for_orphan(struct sync_journal *j, const char *queue)
{
	struct sync_slot *s = NULL;
	int r = sync_journal_orphan(j, queue, &s);
	sync_slot_close(s);
	return r;
}

static void deal_with(struct sync_slot *s)
{
	sync_slot_done(s);
	sync_slot_close(s);
}

/* Only of names that begin with PREFIX. */
static int files_in(const char *dir, const char *prefix)
{
	int n = 0;
	DIR *d = opendir(dir);
	if (!d)
		return -1;
	for (const struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		     !strncmp(e->d_name, prefix, strlen(prefix));
	closedir(d);
	return n;
}

/* The path of the only slot in it. */
static const char *only_file(const char *dir)
{
	static char path[512];
	DIR *d = opendir(dir);
	path[0] = '\0';
	for (const struct dirent *e; d && (e = readdir(d));)
		if (!strncmp(e->d_name, "slot.", 5))
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	if (d)
		closedir(d);
	return path;
}

static int remove_dir(const char *dir)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(dice >> 33) % sides;
}

/* In a kid: the line of what fails is its exit status, more or less. */
#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond))                                                                       \
			_exit(1 + __LINE__ % 250);                                                 \
	} while (0)

/* How it ended: its exit status, or minus the signal. */
static int reap(pid_t pid)
{
	int status;
	need(waitpid(pid, &status, 0) == pid, "wait for a kid");
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

typedef void life(struct sync_queue *q, const char *dir);

static int live(life *of, struct sync_queue *q, const char *dir)
{
	pid_t pid = fork_kid();
	if (!pid) {
		of(q, dir);
		_exit(0);
	}
	return reap(pid);
}

/* ---- directories ---- */

static int open_and_close(const char *dir)
{
	struct sync_journal *j = NULL;
	int r = sync_journal_open(dir, &j);
	if (r)
		return j ? 9999 : r;
	sync_journal_close(j);
	return 0;
}

static int mode_of(const char *path)
{
	struct stat st;
	return lstat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

static void open_foreign(struct sync_queue *q, const char *dir)
{
	(void)q;
	if (!geteuid() && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
			   setresuid(65534, 65534, 65534)))
		_exit(1);
	_exit(-open_and_close(dir));
}

static void directories(void)
{
	static const mode_t masks[] = {0, 077, 0777};
	for (size_t i = 0; i < LENGTH(masks); i++) {
		mode_t old = umask(masks[i]);
		int r = open_and_close("fresh");
		struct sync_journal *j = open_journal("fresh");
		struct sync_slot *s = get_slot(j, SMALL);
		umask(old);
		is(r, 0, "a directory that is missing is made");
		is(mode_of("fresh"), 0700, "with mode 0700, whatever the umask is");
		is(mode_of(only_file("fresh")), 0600, "a slot has mode 0600");
		sync_slot_close(s);
		sync_journal_close(j);
		is(rmdir("fresh"), 0, "and close leaves no slot that is empty");
	}
	is(open_and_close("none/fresh"), -ENOENT, "the directory above must be there");
	make_file("file");
	is(open_and_close("file"), -ENOTDIR, "a file is -ENOTDIR");
	need(!mkdir("real", 0755) && !symlink("real", "link") && !symlink("gone", "dangling"),
	     "make links");
	is(open_and_close("real"), 0, "others may look at it");
	is(open_and_close("link"), -ENOTDIR, "a symbolic link is -ENOTDIR");
	is(open_and_close("dangling"), -ENOTDIR, "also one that leads nowhere");
	claim(!exists("gone"), "and nothing is made there");
	is(live(open_foreign, NULL, "/"), EPERM, "a directory that is not ours is -EPERM");
	need(!chmod("real", 0775), "chmod");
	is(open_and_close("real"), -EPERM, "one that its group can write to is -EPERM");
	need(!chmod("real", 01757), "chmod");
	is(open_and_close("real"), -EPERM, "or everybody, sticky or not");
	need(!unlink("file") && !unlink("link") && !unlink("dangling") && !rmdir("real"), "remove");
	sync_journal_close(NULL);
	sync_slot_close(NULL);
}

/* ---- receiving ---- */

static void round_trips(void)
{
	char out[256];
	struct sync_queue *q = make_queue("trip");
	size_t most = state_of(q).size;
	struct sync_journal *j = open_journal("trip");
	struct sync_slot *s = get_slot(j, most);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 31);
	const size_t tried[] = {most, 0, 1, 2, most - 1, 10, most, 0};
	for (int ones = 0; ones < 2; ones++) {
		for (size_t i = 0; i < LENGTH(tried); i++) {
			size_t n = tried[i];
			const void *in = NULL;
			size_t len = 9999;
			long number = -1;
			long again = -1;
			if (ones && n)
				memset(out + n / 2, 0xFF, n - n / 2);
			need(sync_queue_send(q, out, n, 3, SYNC_NOW) == 0, "send");
			ssize_t r = sync_slot_recv(s, q, NULL, SYNC_NOW, &in, &number);
			bool good = r == (ssize_t)n && number == 3 && !memcmp(in, out, n);
			good = good && sync_slot_data(s, &len, &again) == in && len == n &&
			       again == 3 && sync_slot_is_exact(s);
			good = good && !strcmp(sync_slot_queue(s), sync_queue_name(q));
			sync_slot_done(s);
			good = good && !sync_slot_data(s, &len, NULL);
			ok(good, "%s: %zu bytes%s arrive as they are", scheme, n,
			   ones ? ", half of them 0xFF," : "");
		}
	}
	sync_slot_close(s);
	sync_journal_close(j);
	is(files_in("trip", ""), 0, "nothing is left in the directory");
	unlink_queue(q);
}

static void refusals(void)
{
	struct timespec room;
	struct sync_slot *other = NULL;
	struct sync_queue *q = make_queue("refuse");
	struct sync_queue *sender = get_queue("refuse", SYNC_QUEUE_SEND);
	struct sync_journal *j = open_journal("refuse");
	struct sync_slot *s = get_slot(j, SMALL * FEW);
	is(sync_journal_slot(j, SIZE_MAX, &other), -EINVAL, "no message has SIZE_MAX bytes");
	is(sync_journal_slot(j, INT32_MAX, &other), -EINVAL, "nor 2 GiB");
	is((int)sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL), -ETIMEDOUT,
	   "an empty queue is -ETIMEDOUT");
	is((int)sync_slot_recv(s, q, NULL, in_ms(5, &room), NULL, NULL), -ETIMEDOUT,
	   "also after a while");
	is((int)sync_slot_recv(s, sender, NULL, NULL, NULL, NULL), -EBADF,
	   "a handle for sending is -EBADF");
	need(try_send(q, 1) == 0 && try_send(q, 2) == 0, "send");
	is(sync_journal_slot(j, SMALL - 1, &other), 0, "a second slot");
	is((int)sync_slot_recv(other, q, NULL, SYNC_NOW, NULL, NULL), -EMSGSIZE,
	   "a slot that is too small is -EMSGSIZE");
	is(messages(q), 2, "and nothing is taken");
	is((int)sync_slot_recv(s, q, NULL, in_ms(LIMIT_MS, &room), NULL, NULL), SMALL,
	   "after all this, a message is received");
	is((int)sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL), -EBUSY,
	   "where a message is there is no room for another");
	is(messages(q), 1, "and nothing is taken");
	sync_slot_close(other);
	sync_slot_close(s);
	other = get_orphan(j);
	claim(other != NULL, "a slot that is closed with its message is an orphan");
	sync_slot_done(other);
	is((int)sync_slot_recv(other, q, NULL, SYNC_NOW, NULL, NULL), -EINVAL,
	   "an orphan's slot is not for others");
	sync_slot_close(other);
	sync_journal_close(j);
	is(files_in("refuse", ""), 0, "nothing is left");
	sync_queue_close(sender);
	unlink_queue(q);
}

static void reuse(void)
{
	struct sync_journal *j = open_journal("reuse");
	struct sync_journal *k = open_journal("reuse");
	struct sync_slot *a = get_slot(j, 100);
	struct sync_slot *b = get_slot(j, 100);
	claim(a != b, "two slots are two");
	is(files_in("reuse", ""), 2, "with a file each");
	sync_slot_close(a);
	claim(get_slot(j, 50) == a, "a slot that was given back is used again");
	sync_slot_close(a);
	b = get_slot(j, 100000);
	claim(b != a, "unless it is too small");
	b = get_slot(k, 100);
	is(files_in("reuse", ""), 4, "but not that of another who lives");
	sync_journal_close(j);
	is(files_in("reuse", ""), 1, "closing removes those that are empty");
	sync_slot_close(b);
	is(files_in("reuse", ""), 1, "giving back does not");
	sync_journal_close(k);
	is(files_in("reuse", ""), 0, "closing does");
}

/* ---- killed by itself, at each stage ---- */

static void die(void)
{
	raise(SIGKILL);
	_exit(1);
}

static void die_empty(struct sync_queue *q, const char *dir)
{
	(void)q;
	get_slot(open_journal(dir), SMALL);
	die();
}

static void die_with_message(struct sync_queue *q, const char *dir)
{
	struct sync_slot *s = get_slot(open_journal(dir), SMALL);
	MUST(sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL) >= 0);
	MUST(sync_slot_attempts(s) == 0 && sync_slot_mark(s) == 0);
	MUST(sync_slot_begin(s) == 1);
	sync_slot_set_mark(s, UINT64_C(0x123456789abcdef));
	die();
}

static void die_begun(struct sync_queue *q, const char *dir)
{
	(void)q;
	struct sync_slot *s = get_orphan(open_journal(dir));
	MUST(s && sync_slot_begin(s) == 2);
	die();
}

static void die_done(struct sync_queue *q, const char *dir)
{
	struct sync_slot *s = get_slot(open_journal(dir), SMALL);
	MUST(sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL) >= 0);
	sync_slot_begin(s);
	sync_slot_set_mark(s, 5);
	sync_slot_done(s);
	die();
}

static void die_orphan_done(struct sync_queue *q, const char *dir)
{
	(void)q;
	struct sync_slot *s = get_orphan(open_journal(dir));
	MUST(s);
	sync_slot_done(s);
	die();
}

static void stages(void)
{
	static const char text[] = "ends in 0xFF\xff\xff";
	size_t len = 0;
	long number = -1;
	struct sync_queue *q = make_queue("stage");
	struct sync_journal *j = open_journal("stage");
	is(live(die_empty, q, "stage"), -SIGKILL, "killed before it receives,");
	is(look_for_orphan(j, NULL), -ENOENT, "a receiver leaves no message");
	is(files_in("stage", ""), 1, "but a slot");
	need(sync_queue_send(q, text, sizeof(text) - 1, 7, SYNC_NOW) == 0, "send");
	is(live(die_with_message, q, "stage"), -SIGKILL, "killed after it received,");
	is(messages(q), 0, "it has taken the message");
	is(files_in("stage", ""), 1, "and has used that slot");
	is(look_for_orphan(j, "another"), -ENOENT, "no other queue has an orphan now");
	is(look_for_orphan(j, sync_queue_name(q)), 0, "this queue has");
	is(live(die_begun, q, "stage"), -SIGKILL, "killed while it deals with the orphan,");
	struct sync_slot *s = get_orphan(j);
	const void *data = s ? sync_slot_data(s, &len, &number) : NULL;
	claim(data && len == sizeof(text) - 1 && !memcmp(data, text, len), "it leaves it whole");
	is((int)number, 7, "with its number");
	claim(s && sync_slot_is_exact(s), "its length is certain");
	claim(s && !strcmp(sync_slot_queue(s), sync_queue_name(q)), "it names its queue");
	is(s ? (int)sync_slot_attempts(s) : -1, 2, "all attempts are counted");
	claim(s && sync_slot_mark(s) == UINT64_C(0x123456789abcdef), "the mark is kept");
	is(look_for_orphan(j, NULL), -ENOENT, "nobody else gets it now");
	sync_slot_close(s);
	is(live(die_orphan_done, q, "stage"), -SIGKILL, "killed when it has dealt with it,");
	is(look_for_orphan(j, NULL), -ENOENT, "it leaves no message");
	need(sync_queue_send(q, "x", 1, 1, SYNC_NOW) == 0, "send");
	is(live(die_done, q, "stage"), -SIGKILL, "also with a message that it received");
	is(look_for_orphan(j, NULL), -ENOENT, "it leaves none");
	need(sync_queue_send(q, "x", 1, 1, SYNC_NOW) == 0, "send");
	s = get_slot(j, SMALL);
	is((int)sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL), 1, "in its slot we receive");
	is((int)sync_slot_attempts(s) + (int)sync_slot_mark(s), 0, "with no attempt, no mark");
	sync_slot_begin(s);
	sync_slot_set_mark(s, 7);
	sync_slot_done(s);
	need(sync_queue_send(q, "x", 1, 1, SYNC_NOW) == 0, "send");
	is((int)sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL), 1, "and once more");
	is((int)sync_slot_attempts(s) + (int)sync_slot_mark(s), 0, "with none either");
	sync_slot_done(s);
	sync_journal_close(j);
	is(files_in("stage", ""), 0, "nothing is left");
	unlink_queue(q);
}

/* ---- killed in the system call that takes the message ---- */

static void receive_traced(struct sync_queue *q, const char *dir)
{
	struct sync_slot *s = get_slot(open_journal(dir), SMALL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(77);
	raise(SIGSTOP);
	sync_slot_recv(s, q, NULL, NULL, NULL, NULL);
}

/* When the call that has emptied the queue has not returned yet. False: it cannot be traced. */
static bool kill_in_call(struct sync_queue *q, const char *dir)
{
	int status = 0;
	pid_t pid = fork_kid();
	if (!pid) {
		receive_traced(q, dir);
		_exit(1);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && messages(q))
		need(!ptrace(PTRACE_SYSCALL, pid, NULL, NULL), "trace");
	if (WIFEXITED(status))
		return WEXITSTATUS(status) != 77;
	kill(pid, SIGKILL);
	reap(pid);
	return true;
}

static void in_the_call(void)
{
	static const struct {
		const char *text;
		size_t len, left;
		long number;
	} tried[] = {
		{"a message", 9, 9, 5},
		{"", 0, 0, 6},
		{"\0\0", 2, 2, 1},
		{"ends in it\xff\xff", 12, 10, 32767},
		{"\xff\xff\xff", 3, 0, 9},
		{"\xff in front", 10, 10, 1},
		{"................................................................", SMALL, SMALL,
		 2},
	};
	struct sync_queue *q = make_queue("call");
	struct sync_journal *j = open_journal("call");
	for (size_t i = 0; i < LENGTH(tried); i++) {
		size_t len = 9999;
		long number = -1;
		need(sync_queue_send(q, tried[i].text, tried[i].len, tried[i].number, SYNC_NOW) ==
			     0,
		     "send");
		if (!kill_in_call(q, "call")) {
			skip("it cannot be traced", "killed in the call");
			empty(q);
			break;
		}
		struct sync_slot *s = get_orphan(j);
		const void *data = s ? sync_slot_data(s, &len, &number) : NULL;
		is((int)len, (int)tried[i].left,
		   "killed in the call, it leaves the message, but for 0xFF at its end");
		claim(data && len == tried[i].left && !memcmp(data, tried[i].text, len),
		      "as it was");
		is((int)number, (int)tried[i].number, "with its number");
		claim(s && !sync_slot_is_exact(s), "and says that its end is not certain");
		if (s)
			deal_with(s);
	}
	sync_journal_close(j);
	unlink_queue(q);
}

/* ---- killed at any moment ---- */

struct tally {
	int queue, window, slot, done, lost, twice, wrong;
};

/* A moment by chance: nothing is waited for. On one processor the other goes on only if we sleep. */
static void linger(unsigned ns)
{
	struct timespec now;
	if (ns && !roll(4)) {
		now = (struct timespec){.tv_nsec = ns};
		nanosleep(&now, NULL);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	while (since(&now) < (int64_t)ns)
		;
}

static void receive_until_killed(struct sync_queue *q, const char *dir, int ready)
{
	struct sync_slot *s = get_slot(open_journal(dir), SMALL);
	const void *data;
	MUST(write(ready, "", 1) == 1);
	while (sync_slot_recv(s, q, NULL, NULL, &data, NULL) > 0) {
		int which = *(const unsigned char *)data;
		MUST(which < STREAM);
		linger(roll(3) ? 0 : roll(20000));
		atomic_store(&shared->finishing[which], true);
		sync_slot_done(s);
	}
	_exit(1);
}

/* No byte of it is 0xFF. */
static size_t compose(unsigned char text[SMALL], int which, unsigned seed)
{
	size_t len = 1 + seed % SMALL;
	text[0] = (unsigned char)which;
	for (size_t i = 1; i < len; i++)
		text[i] = (unsigned char)((seed + i * 31) % 251);
	return len;
}

static bool is_composed(const void *data, size_t len, long number, const unsigned *seeds)
{
	unsigned char text[SMALL];
	int which = len ? *(const unsigned char *)data : STREAM;
	return which < STREAM && compose(text, which, seeds[which]) == len &&
	       !memcmp(text, data, len) && number == which + 1;
}

/* Where each of N messages is, of which a kid was killed. */
static void count(struct sync_queue *q, struct sync_journal *j, int n, const unsigned *seeds,
		  struct tally *t)
{
	int places[STREAM] = {0};
	bool orphan[STREAM] = {0};
	unsigned char text[SMALL];
	struct sync_slot *s;
	ssize_t got;
	size_t len = 0;
	long number = -1;
	while ((got = sync_queue_recv(q, text, sizeof(text), NULL, SYNC_NOW, &number)) >= 0) {
		bool good = is_composed(text, (size_t)got, number, seeds);
		t->wrong += !good;
		places[good ? text[0] : 0]++;
		t->queue++;
	}
	while ((s = get_orphan(j))) {
		const unsigned char *data = sync_slot_data(s, &len, &number);
		bool good = is_composed(data, len, number, seeds) &&
			    !strcmp(sync_slot_queue(s), sync_queue_name(q));
		t->wrong += !good;
		places[good ? data[0] : 0]++;
		orphan[good ? data[0] : 0] = true;
		t->window += !sync_slot_is_exact(s);
		t->slot += sync_slot_is_exact(s);
		deal_with(s);
	}
	for (int i = 0; i < n; i++) {
		/* What was about to be done is done if it is not there any more. */
		bool done = shared->finishing[i] && !orphan[i];
		places[i] += done;
		t->done += done;
		t->lost += !places[i];
		t->twice += places[i] > 1;
	}
}

static bool is_asleep(pid_t pid)
{
	char seen[128];
	look_asleep(pid, seen, sizeof(seen));
	return seen[0];
}

static void kill_one(struct sync_queue *q, struct sync_journal *j, const int ready[2],
		     struct tally *t)
{
	unsigned seeds[STREAM];
	unsigned char text[SMALL];
	char byte;
	int n = 1 + (int)roll(STREAM);
	bool late = roll(8) == 0; /* the last message comes behind the kill */
	for (int i = 0; i < STREAM; i++) {
		shared->finishing[i] = false;
		seeds[i] = roll(100000);
	}
	pid_t pid = fork_kid();
	if (!pid)
		receive_until_killed(q, "kills", ready[1]);
	need(read(ready[0], &byte, 1) == 1, "see it ready");
	if (!roll(16))
		need(until(is_asleep(pid)), "see it wait");
	for (int i = 0; i < n; i++) {
		linger(roll(2) ? roll(60000) : 0);
		if (late && i == n - 1)
			kill(pid, SIGKILL);
		size_t len = compose(text, i, seeds[i]);
		need(sync_queue_send(q, text, len, i + 1, SYNC_NOW) == 0, "send");
	}
	linger(roll(4) ? roll(roll(2) ? 10000 : 150000) : 0);
	kill(pid, SIGKILL);
	need(reap(pid) == -SIGKILL, "kill it");
	count(q, j, n, seeds, t);
}

static void kills(void)
{
	int ready[2];
	struct tally t = {0};
	struct sync_queue *q = make_queue("kills");
	struct sync_journal *j = open_journal("kills");
	need(!pipe2(ready, O_CLOEXEC), "make a pipe");
	dice = (uint64_t)tester;
	for (int i = 0; i < rounds(KILLS); i++)
		kill_one(q, j, ready, &t);
	printf("# %s: seed %d, %d kills: %d messages left in the queue, %d taken while it was "
	       "killed, "
	       "%d received, %d done\n",
	       scheme, (int)tester, rounds(KILLS), t.queue, t.window, t.slot, t.done);
	is(t.lost, 0, "killed at any moment, it loses no message");
	is(t.twice, 0, "and no message is twice");
	is(t.wrong, 0, "and all are as they were sent");
	claim(t.queue && t.done, "killed at many moments");
	claim(t.window, "also in the call that takes the message");
	sync_journal_close(j);
	is(files_in("kills", "new."), 0, "nothing unfinished is left");
	close(ready[0]);
	close(ready[1]);
	unlink_queue(q);
}

/* ---- several who look ---- */

static void die_with_many(struct sync_queue *q, const char *dir)
{
	struct sync_journal *j = open_journal(dir);
	for (int i = 0; i < MANY; i++) {
		MUST(try_send(q, i) == 0);
		MUST(sync_slot_recv(get_slot(j, SMALL), q, NULL, SYNC_NOW, NULL, NULL) == SMALL);
	}
	die();
}

static void take_all(const char *dir, int go)
{
	char byte;
	struct sync_journal *j = open_journal(dir);
	struct sync_slot *s;
	size_t len;
	int mark;
	MUST(read(go, &byte, 1) == 0);
	while ((s = get_orphan(j))) {
		const void *data = sync_slot_data(s, &len, NULL);
		MUST(data && len == SMALL);
		memcpy(&mark, data, sizeof(mark));
		MUST(mark >= 0 && mark < MANY);
		atomic_fetch_add(&shared->got[mark], 1);
		deal_with(s);
	}
	sync_journal_close(j);
	_exit(0);
}

static void look_at_once(struct sync_queue *q)
{
	enum { LOOKERS = 4 };
	pid_t pids[LOOKERS];
	int go[2];
	need(live(die_with_many, q, "many") == -SIGKILL, "leave orphans");
	need(!pipe2(go, O_CLOEXEC), "make a pipe");
	for (int i = 0; i < LOOKERS; i++) {
		pids[i] = fork_kid();
		if (!pids[i]) {
			close(go[1]);
			take_all("many", go[0]);
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < LOOKERS; i++)
		need(reap(pids[i]) == 0, "take all orphans");
}

static void lookers(void)
{
	enum { TIMES = 20 };
	int bad = 0;
	struct sync_queue *q = make_queue("many");
	for (int i = 0; i < MANY; i++)
		shared->got[i] = 0;
	for (int i = 0; i < TIMES; i++)
		look_at_once(q);
	for (int i = 0; i < MANY; i++)
		bad += shared->got[i] != TIMES;
	is(bad, 0, "of four who look at once, one gets each orphan");
	is(files_in("many", ""), 0, "and no file is left");
	unlink_queue(q);
}

/* ---- what happens between a look and the lock ---- */

/* Of the kernel's struct ptrace_syscall_info, which not every libc has. */
struct call {
	uint8_t op;
	uint8_t pad[3];
	uint32_t arch;
	uint64_t ip, sp, nr;
	uint64_t rest[8];
};

static bool is_at_lock(pid_t pid)
{
	enum { GET_SYSCALL_INFO = 0x420e, ENTRY = 1 };
	struct call call = {0};
	return syscall(SYS_ptrace, GET_SYSCALL_INFO, pid, sizeof(call), &call) > 0 &&
	       call.op == ENTRY && call.nr == SYS_flock;
}

/* A kid that lives OF until it is about to lock a file. -1: it cannot be traced. */
static pid_t stop_at_lock(life *of, struct sync_queue *q, const char *dir)
{
	int status = 0;
	pid_t pid = fork_kid();
	if (!pid) {
		MUST(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		of(q, dir);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && !is_at_lock(pid))
		if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD) ||
		    ptrace(PTRACE_SYSCALL, pid, NULL, NULL))
			kill(pid, SIGKILL);
	return WIFSTOPPED(status) ? pid : -1;
}

static int go_on(pid_t pid)
{
	need(!ptrace(PTRACE_DETACH, pid, NULL, NULL), "let it go on");
	return reap(pid);
}

static void see_none(struct sync_queue *q, const char *dir)
{
	(void)q;
	struct sync_slot *s;
	MUST(sync_journal_orphan(open_journal(dir), NULL, &s) == -ENOENT);
}

static int own_slot[2]; /* a pipe: from one who has an empty slot */

static void wait_for_message(struct sync_queue *q, const char *dir)
{
	struct sync_slot *s = get_slot(open_journal(dir), SMALL);
	MUST(write(own_slot[1], "", 1) == 1);
	MUST(sync_slot_recv(s, q, NULL, NULL, NULL, NULL) == SMALL);
	die();
}

static pid_t start_waiter(struct sync_queue *q, const char *dir)
{
	char byte;
	pid_t pid = fork_kid();
	if (!pid)
		wait_for_message(q, dir);
	need(read(own_slot[0], &byte, 1) == 1, "see it ready");
	return pid;
}

/* It has an empty slot, and removes it when it is continued. */
static pid_t start_owner(const char *dir)
{
	int status = 0;
	pid_t pid = fork_kid();
	if (!pid) {
		struct sync_journal *j = open_journal(dir);
		get_slot(j, SMALL);
		raise(SIGSTOP);
		sync_journal_close(j);
		_exit(0);
	}
	need(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "see it stop");
	return pid;
}

static void take_one(struct sync_journal *j, const char *text)
{
	struct sync_slot *s = get_orphan(j);
	claim(s != NULL, text);
	if (s)
		deal_with(s);
	need(look_for_orphan(j, NULL) == -ENOENT, "see no other");
}

static void between(void)
{
	struct sync_queue *q = make_queue("between");
	struct sync_journal *j = open_journal("between");
	need(!pipe2(own_slot, O_CLOEXEC), "make a pipe");
	pid_t waiter = start_waiter(q, "between");
	pid_t pid = stop_at_lock(die_with_message, q, "between");
	need(try_send(q, 1) == 0 && reap(waiter) == -SIGKILL, "leave an orphan");
	if (pid < 0) {
		skip("it cannot be traced", "what happens between a look and the lock");
	} else {
		need(try_send(q, 2) == 0, "send");
		is(go_on(pid), -SIGKILL, "a slot that was empty when it was seen");
		struct sync_slot *s = get_orphan(j);
		claim(s && look_for_orphan(j, NULL) == 0, "is not used if it is not any more");
		sync_slot_close(s);
		deal_with(get_orphan(j));

		pid = stop_at_lock(see_none, q, "between");
		need(live(die_orphan_done, q, "between") == -SIGKILL, "take the orphan");
		is(go_on(pid), 0, "nor is a message that was done since then got again");

		pid_t owner = start_owner("between");
		pid = stop_at_lock(die_with_message, q, "between");
		need(!kill(owner, SIGCONT) && reap(owner) == 0, "close the slot");
		need(files_in("between", "") == 0, "see it removed");
		need(try_send(q, 3) == 0, "send");
		is(go_on(pid), -SIGKILL, "who is about to use a slot that is just removed");
	}
	take_one(j, "has another, which is there when it is killed");
	close(own_slot[0]);
	close(own_slot[1]);
	sync_journal_close(j);
	need(!remove_dir("between"), "remove");
	unlink_queue(q);
}

/* ---- files that are no slots ---- */

/* In a kid: should it crash, we see it. 0 or 1 a slot; 2 -EUCLEAN; 3 -ENOENT; 4 another error. */
static void look_at_damage(struct sync_queue *q, const char *dir)
{
	(void)q;
	struct sync_slot *s = NULL;
	size_t len;
	unsigned sum = 0;
	int r = sync_journal_orphan(open_journal(dir), NULL, &s);
	const unsigned char *data = s ? sync_slot_data(s, &len, NULL) : NULL;
	for (size_t i = 0; data && i < len; i++)
		sum += data[i];
	sum += s ? strlen(sync_slot_queue(s)) : 0;
	_exit(r == -EUCLEAN ? 2 : r == -ENOENT ? 3 : r ? 4 : sum ? 0 : 1);
}

static char whole[16384]; /* of a slot with a message */
static int whole_size;

/* As above; 9999 the file was refused, but has changed. */
static int look_at(const char *path, const char *bytes, int size)
{
	static char now[sizeof(whole)];
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	need(fd >= 0 && write(fd, bytes, (size_t)size) == size, "write a file");
	close(fd);
	int r = live(look_at_damage, NULL, "damage");
	if (r != 2)
		return r;
	int n = slurp(path, now, sizeof(now));
	return n == size && !memcmp(now, bytes, (size_t)n) ? r : 9999;
}

static void sizes(const char *path)
{
	const int tried[] = {0, 1, 1023, 1024, 1025, whole_size - 1, whole_size + 1};
	int bad = 0;
	for (size_t i = 0; i < LENGTH(tried); i++)
		bad += look_at(path, whole, tried[i]) != 2;
	is(bad, 0, "a file of another size is -EUCLEAN, and is left alone");
}

/* The layout is fixed by what stands in the first 28 bytes. */
static void headers(const char *path)
{
	static const unsigned char flips[] = {0x01, 0x80, 0xFF};
	static char bytes[sizeof(whole)];
	int bad = 0;
	int worse = 0;
	for (int at = 0; at < 96; at++) {
		for (size_t i = 0; i < LENGTH(flips); i++) {
			memcpy(bytes, whole, sizeof(whole));
			bytes[at] = (char)(bytes[at] ^ flips[i]);
			int r = look_at(path, bytes, whole_size);
			bad += at < 28 && r != 2;
			worse += r < 0 || r > 3;
		}
	}
	is(bad, 0, "one that does not say what it is, too");
	is(worse, 0, "whatever a header says, nothing happens but that");
	memcpy(bytes, whole, sizeof(whole));
	memset(bytes + 64, 'x', 1000 - 64);
	is(look_at(path, bytes, whole_size), 2, "a queue's name without an end is -EUCLEAN");
	memset(bytes + 28, 'x', 1024 - 28);
	is(look_at(path, bytes, whole_size), 2, "not even if all of it is nonsense");
	memset(bytes, 0, sizeof(bytes));
	is(look_at(path, bytes, whole_size), 2, "or zeros");
}

static void damage(void)
{
	struct sync_queue *q = make_queue("damage");
	need(try_send(q, 1) == 0, "send");
	need(live(die_with_message, q, "damage") == -SIGKILL, "leave an orphan");
	char path[512];
	snprintf(path, sizeof(path), "%s", only_file("damage"));
	whole_size = slurp(path, whole, sizeof(whole));
	need(whole_size > 1024, "read a slot");
	is(look_at(path, whole, whole_size), 0, "a slot that is copied is a slot");
	sizes(path);
	headers(path);
	need(look_at(path, whole, 100) == 2, "damage it");
	struct sync_journal *j = open_journal("damage");
	struct sync_slot *s = NULL;
	is(sync_journal_slot(j, SMALL, &s), 0, "beside it there is room");
	is(files_in("damage", ""), 2, "in a new file");
	sync_journal_close(j);
	is(files_in("damage", ""), 1, "and close leaves it alone");
	need(try_send(q, 1) == 0, "send");
	need(live(die_with_message, q, "damage") == -SIGKILL, "leave an orphan");
	j = open_journal("damage");
	s = get_orphan(j);
	claim(s != NULL, "and it hides no orphan");
	deal_with(s);
	sync_journal_close(j);
	need(!unlink(path), "remove");
	is(files_in("damage", ""), 0, "nothing else is left");
	unlink_queue(q);
}

static void odd_files(void)
{
	struct sync_queue *q = make_queue("odd");
	need(try_send(q, 1) == 0, "send");
	need(live(die_with_message, q, "odd") == -SIGKILL, "leave an orphan");
	need(!rename(only_file("odd"), "outside"), "rename");
	struct sync_journal *j = open_journal("odd");
	make_file("odd/readme");
	make_file("odd/slot.of-somebody-who-gave-it-a-much-longer-name");
	is(look_for_orphan(j, NULL), -ENOENT, "files of other names are ignored");
	need(!symlink("../outside", "odd/slot.link"), "make a link");
	is(look_for_orphan(j, NULL), -EUCLEAN, "a symbolic link is no slot, wherever it leads");
	need(!unlink("odd/slot.link") && !mkfifo("odd/slot.fifo", 0600), "make a FIFO");
	is(look_for_orphan(j, NULL), -EUCLEAN, "nor is a FIFO");
	need(!unlink("odd/slot.fifo") && !mkdir("odd/slot.dir", 0700), "make a directory");
	is(look_for_orphan(j, NULL), -EUCLEAN, "nor a directory");
	need(!rmdir("odd/slot.dir") && !rename("outside", "odd/slot.mine"), "rename");
	if (geteuid()) {
		skip("only root gives files away", "somebody else's is none");
	} else {
		need(!chown("odd/slot.mine", 65534, 65534), "give it away");
		is(look_for_orphan(j, NULL), -EUCLEAN, "nor is somebody else's");
		need(!chown("odd/slot.mine", 0, 0), "take it back");
	}
	is(look_for_orphan(j, NULL), 0, "a slot is one by any name");
	struct sync_slot *s = get_orphan(j);
	if (s)
		deal_with(s);
	is(files_in("odd", ""), 2, "the others are left alone");
	need(!unlink("odd/readme") &&
		     !unlink("odd/slot.of-somebody-who-gave-it-a-much-longer-name"),
	     "remove");
	sync_journal_close(j);
	unlink_queue(q);
}

/* ---- killed while it makes a slot ---- */

static void make_until_killed(const char *dir, int ready)
{
	MUST(write(ready, "", 1) == 1);
	for (;;) {
		struct sync_journal *j = open_journal(dir);
		get_slot(j, 20000);
		get_slot(j, 1);
		sync_journal_close(j);
	}
}

static void makers(void)
{
	int ready[2];
	int bad = 0;
	int left = 0;
	char byte;
	need(!pipe2(ready, O_CLOEXEC), "make a pipe");
	need(open_and_close("makers") == 0, "make a directory");
	for (int i = 0; i < rounds(KILLS / 10); i++) {
		pid_t pid = fork_kid();
		if (!pid)
			make_until_killed("makers", ready[1]);
		need(read(ready[0], &byte, 1) == 1, "see it ready");
		linger(roll(300000));
		kill(pid, SIGKILL);
		reap(pid);
		left += files_in("makers", "new.");
		struct sync_journal *j = open_journal("makers");
		bad += files_in("makers", "new.") != 0;
		bad += look_for_orphan(j, NULL) != -ENOENT;
		sync_journal_close(j);
	}
	printf("# %s: %d of %d were killed in the midst of making a slot\n", scheme, left,
	       rounds(KILLS / 10));
	is(bad, 0, "whoever is killed while it makes a slot leaves nothing but an empty one");
	claim(files_in("makers", "slot.") <= 2, "and those are used again");
	close(ready[0]);
	close(ready[1]);
	need(!remove_dir("makers"), "remove");
}

static void other_maker(void)
{
	need(!mkdir("early", 0700), "make a directory");
	make_file("early/new.1.0");
	make_file("early/new.1.1");
	int fd = open("early/new.1.1", O_RDWR | O_CLOEXEC);
	need(fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB), "lock a file");
	need(!symlink("../nowhere", "early/new.link"), "make a link");
	sync_journal_close(open_journal("early"));
	claim(!exists("early/new.1.0"), "what is unfinished, and nobody's, is removed");
	claim(exists("early/new.1.1"), "what somebody is just making is not");
	close(fd);
	need(!remove_dir("early"), "remove");
}

/* ---- children ---- */

static void close_inherited(struct sync_queue *q, const char *dir)
{
	(void)dir;
	(void)q;
	sync_journal_close(inherited);
}

static void children(void)
{
	struct sync_queue *q = make_queue("child");
	inherited = open_journal("child");
	struct sync_slot *s = get_slot(inherited, SMALL);
	need(live(close_inherited, q, "child") == 0, "close it in a child");
	is(files_in("child", ""), 1, "a child that closes a journal removes no slot of ours");
	struct sync_journal *j = open_journal("child");
	struct sync_slot *other = get_slot(j, SMALL);
	is(files_in("child", ""), 2, "nor gives it away");
	need(try_send(q, 1) == 0, "send");
	is((int)sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL), SMALL, "we go on");
	need(live(close_inherited, q, "child") == 0, "close it in a child");
	is(look_for_orphan(j, NULL), -ENOENT, "nor makes our message an orphan");
	sync_slot_done(s);
	sync_slot_close(other);
	sync_journal_close(j);
	sync_journal_close(inherited);
	is(files_in("child", ""), 0, "nothing is left");
	unlink_queue(q);
}

/* ---- limits ---- */

static void limit_size(struct sync_queue *q, const char *dir)
{
	const struct rlimit limit = {8192, 8192};
	struct sync_slot *s = NULL;
	struct sync_journal *j = open_journal(dir);
	MUST(!setrlimit(RLIMIT_FSIZE, &limit));
	MUST(sync_journal_slot(j, 100000, &s) == -EFBIG && !s);
	MUST(files_in(dir, "") == 0);
	MUST(sync_journal_slot(j, SMALL, &s) == 0);
	MUST(try_send(q, 1) == 0);
	MUST(sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL) == SMALL);
	sync_slot_done(s);
	sync_journal_close(j);
}

static void limit_descriptors(struct sync_queue *q, const char *dir)
{
	(void)q;
	struct sync_slot *s = NULL;
	struct sync_journal *j = open_journal(dir);
	int fd = dup(0);
	const struct rlimit limit = {(rlim_t)fd, (rlim_t)fd};
	close(fd);
	MUST(!setrlimit(RLIMIT_NOFILE, &limit));
	while ((fd = dup(0)) >= 0)
		;
	MUST(sync_journal_slot(j, SMALL, &s) == -EMFILE && !s);
	MUST(sync_journal_open(dir, &j) == -EMFILE);
}

static void limit_locked(struct sync_queue *q, const char *dir)
{
	const struct rlimit limit = {0, 0};
	(void)q;
	MUST(!setrlimit(RLIMIT_MEMLOCK, &limit));
	if (!geteuid())
		MUST(!setresuid(65534, 65534, 65534));
	struct sync_queue *own = make_queue("own");
	struct sync_journal *j = open_journal(dir);
	struct sync_slot *s = get_slot(j, SMALL);
	MUST(try_send(own, 1) == 0);
	MUST(sync_slot_recv(s, own, NULL, SYNC_NOW, NULL, NULL) == SMALL);
	sync_slot_done(s);
	sync_journal_close(j);
	unlink_queue(own);
	MUST(!rmdir(dir));
}

/* All of it may be used, to the last byte. */
static void fill_disk(struct sync_queue *q, const char *dir)
{
	struct sync_slot *s = NULL;
	struct sync_slot *none = NULL;
	char path[64];
	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		_exit(77);
	MUST(exists(dir) || !mkdir(dir, 0700));
	if (mount("none", dir, "tmpfs", 0, "size=64k,mode=0700"))
		_exit(77);
	snprintf(path, sizeof(path), "%s/j", dir);
	struct sync_journal *j = open_journal(path);
	MUST(sync_journal_slot(j, 100000, &s) == -ENOSPC && !s);
	MUST(files_in(path, "") == 0);
	MUST(sync_journal_slot(j, 40000, &s) == 0);
	MUST(sync_journal_slot(j, 40000, &none) == -ENOSPC && !none);
	MUST(files_in(path, "") == 1);
	for (int i = 0; i < 3; i++) {
		MUST(try_send(q, i) == 0);
		MUST(sync_slot_recv(s, q, NULL, SYNC_NOW, NULL, NULL) == SMALL);
		sync_slot_done(s);
	}
	sync_journal_close(j);
}

/* An empty slot with a hole, on a disk without room for it. */
static void fill_hole(struct sync_queue *q, const char *dir)
{
	char path[64];
	char bytes[1024];
	struct sync_slot *s = NULL;
	(void)q;
	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		_exit(77);
	MUST(exists(dir) || !mkdir(dir, 0700));
	if (mount("none", dir, "tmpfs", 0, "size=64k,mode=0700"))
		_exit(77);
	struct sync_journal *j = open_journal(dir);
	get_slot(j, 40000);
	int fd = open(only_file(dir), O_RDWR | O_CLOEXEC);
	MUST(fd >= 0 && pread(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
	off_t size = lseek(fd, 0, SEEK_END);
	close(fd);
	sync_journal_close(j);
	snprintf(path, sizeof(path), "%s/slot.hole", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes) && !ftruncate(fd, size));
	close(fd);
	snprintf(path, sizeof(path), "%s/big", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	MUST(fd >= 0 && !posix_fallocate(fd, 0, 32768));
	close(fd);
	j = open_journal(dir);
	MUST(sync_journal_slot(j, 40000, &s) == -ENOSPC && !s);
	sync_journal_close(j);
}

static void limits(void)
{
	struct sync_queue *q = make_queue("limit");
	is(live(limit_size, q, "limit"), 0, "over RLIMIT_FSIZE is -EFBIG, and no signal");
	is(live(limit_descriptors, q, "limit"), 0, "no descriptor is -EMFILE");
	is(files_in("limit", ""), 0, "and nothing is left of it");
	mode_t old = umask(0);
	need(!mkdir("open", 0777), "make a directory");
	umask(old);
	need(!chmod(".", 0755), "let others in");
	is(live(limit_locked, q, "open/limit"), 0, "memory need not be locked");
	int r = live(fill_disk, q, "full");
	int hole = r == 77 ? r : live(fill_hole, q, "full");
	if (r == 77) {
		skip("only root mounts, if at all", "a full disk");
	} else {
		is(r, 0, "a full disk is -ENOSPC when the slot is made, and never a signal");
		is(hole, 0, "also for an old slot with a hole in it");
	}
	need(!remove_dir("open") && !remove_dir("limit") && (!exists("full") || !rmdir("full")),
	     "remove");
	unlink_queue(q);
}

int main(void)
{
	static void (*const tests[])(void) = {
		directories, round_trips, refusals,    reuse,    stages,
		in_the_call, kills,       lookers,     between,  damage,
		odd_files,   makers,      other_maker, children, limits,
	};
	scheme = "journal";
	if (!enter_scratch()) {
		printf("Bail out! scratch directory: %s\n", strerror(errno));
		return 1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		bail_out("shared memory");
	int r = run_queue_suite(tests, LENGTH(tests));
	return remove_scratch() ? r : 1;
}
