/* SPDX-License-Identifier: MIT */
/* The contract of semaphores when processes die: owners, heirs, waiters, makers; order; removal. */
#include "semutil.h"

#define LINE 20    /* waiters in a line */
#define ROUNDS 30  /* of makers who are killed */
#define MAKERS 50  /* per round */
#define INITIAL 5u /* what they make it with */

/* Do children that inherited the descriptors own the permits, or at least keep them in use? */
static bool has_heirs(void)
{
	struct sync_sem *s = open_sem("caps");
	const int *held;
	need(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW) == 0, "take");
	size_t n = sync_sem_fds(s, &held);
	need(sync_sem_release(s) == 0, "release");
	sync_sem_close(s);
	return n > 0;
}

/* ---- owners ---- */

static void owner_is_killed(int ms, const char *text)
{
	make_tag("kill", 1);
	struct kid holder = kid_owning("kill", 1);
	struct kid waiter = kid_blocked("kill", 1, ms);
	kid_kill(&holder);
	is(heard(&waiter), 0, text);
	is(try_one("kill"), -ETIMEDOUT, "and then has the permit");
	kid_kill(&waiter);
	is(try_one("kill"), 0, "who is killed without a waiter leaves it to the next who tries");
	is(value_of("kill"), 1, "once");
}

static void owners_killed(void)
{
	owner_is_killed(FOREVER, "who waits for ever is served when the owner dies of SIGKILL");
	owner_is_killed(LIMIT_MS, "who waits with a deadline is served then, too");
}

static void owner_exits(void)
{
	make_tag("exit", 1);
	struct kid holder = kid_owning("exit", 1);
	struct kid waiter = kid_blocked("exit", 1, FOREVER);
	TELL(&holder, leave);
	is(heard(&waiter), 0, "who waits is served when the owner exits");
	is(value_of("exit"), 0, "and has the permit");
	kid_kill(&holder);
	kid_kill(&waiter);
	is(try_one("exit"), 0, "it comes back from the second owner, too");
}

static void owner_closes(void)
{
	make_tag("close", 1);
	struct kid holder = kid_owning("close", 1);
	need(ASK(&holder, close_it) == 0, "close");
	is(try_one("close"), spelling->served_on_close ? 0 : -ETIMEDOUT,
	   "closing a handle gives back what belongs to it, and not what is the process's");
	kid_kill(&holder);
	is(try_one("close"), 0, "which comes back when that ends");
	is(value_of("close"), 1, "once");
}

static void many_owned(void)
{
	make_tag("many", 6);
	struct kid holder = kid_owning("many", 1);
	need(ASK(&holder, take_own) == 0 && ASK(&holder, take_own) == 0, "take three times");
	is(value_of("many"), 3, "a handle can own several, one by one");
	if (caps & SYNC_CAP_COUNT)
		need(ASK(&holder, take_own, .count = 2) == 0, "take two");
	struct kid other = kid_owning("many", 1);
	kid_kill(&holder);
	for (int i = 0; i < 5; i++)
		need(ASK(&other, take_own) == 0, "take what came back");
	is(value_of("many"), 0, "and all come back when it is killed");
	need(ASK(&other, release) == 0, "release");
	is(value_of("many"), 6, "no more than that");
	kid_kill(&other);
}

/* Killed when nothing is owned any more: nothing must be given back twice. */
static void released_before(void)
{
	make_tag("before", 2);
	struct kid holder = kid_owning("before", 1);
	need(ASK(&holder, release) == 0, "release");
	kid_kill(&holder);
	struct kid next = kid_owning("before", 1);
	need(ASK(&next, take_own) == 0, "take");
	is(try_one("before"), -ETIMEDOUT, "what was released is not given back a second time");
	kid_kill(&next);
}

/* ---- exec ---- */

static void execs(void)
{
	static const char text[] = "a program that is exec'd";
	if (!(caps & SYNC_CAP_EXEC) && !has_heirs()) {
		skip("permits do not survive exec", text);
		return;
	}
	make_tag("exec", 1);
	struct kid holder = kid_with("exec");
	need(ASK(&holder, take_own, .flags = SYNC_SEM_EXEC) == 0, "take");
	need(ASK(&holder, become) == 0, "exec");
	is(try_one("exec"), -ETIMEDOUT, "a program that is exec'd keeps the permit");
	is(count_tasks(holder.pid), 1, "and has no thread of ours");
	struct kid waiter = kid_blocked("exec", 1, FOREVER);
	kid_kill(&holder);
	is(heard(&waiter), 0, "until it is killed; then who waits is served");
	kid_kill(&waiter);
}

/* The same after a wait that had to block, for which there may have been threads. */
static void execs_after_wait(void)
{
	static const char text[] = "exec after a wait that blocked";
	if (!(caps & SYNC_CAP_EXEC) && !has_heirs()) {
		skip("permits do not survive exec", text);
		return;
	}
	make_tag("exec2", 1);
	struct kid holder = kid_owning("exec2", 1);
	struct kid second = kid_with("exec2");
	TELL(&second, take_own, .flags = SYNC_SEM_EXEC, .ms = FOREVER);
	need(seen_blocked(&second), "see it wait");
	kid_kill(&holder);
	need(heard(&second) == 0, "be served");
	need(ASK(&second, become) == 0, "exec");
	is(try_one("exec2"), -ETIMEDOUT, "after a wait that blocked exec keeps the permit, too");
	is(count_tasks(second.pid), 1, "and there is no thread of ours");
	kid_kill(&second);
	is(try_one("exec2"), 0, "it comes back in the end");
}

/* ---- fork ---- */

static void not_inherited(void)
{
	struct kid heir;
	make_tag("heir", 1);
	struct kid holder = start_kid_with_heir(&heir);
	need(ASK(&holder, open_it, .tag = "heir") == 0, "open");
	need(ASK(&holder, take_own) == 0, "take");
	heir.pid = ASK(&holder, beget);
	need(heir.pid > 0, "beget an heir");
	need(ASK(&heir, release) == 0, "release");
	is(value_of("heir"), 0, "a child that releases gives nothing back: it owns nothing");
	need(ASK(&holder, release) == 0 && ASK(&holder, take_own) == 0, "release, take again");
	is(value_of("heir"), 0, "nor is there one too many when its parent releases");
	struct kid waiter = kid_blocked("heir", 1, FOREVER);
	kid_kill(&holder);
	is(heard(&waiter), 0, "a child does not keep the permit of a parent that was killed");
	heir_kill(&heir);
	is(value_of("heir"), 0, "nor does its end give anything back");
	kid_kill(&waiter);
}

static void inherited(void)
{
	struct kid heir;
	make_tag("heir", 1);
	struct kid holder = start_kid_with_heir(&heir);
	need(ASK(&holder, open_it, .tag = "heir") == 0, "open");
	need(ASK(&holder, take_own) == 0, "take");
	heir.pid = ASK(&holder, beget);
	need(heir.pid > 0, "beget an heir");
	kid_kill(&holder);
	is(try_one("heir"), -ETIMEDOUT, "a child keeps the permit of a parent that was killed");
	struct kid waiter = kid_blocked("heir", 1, FOREVER);
	heir_kill(&heir);
	is(heard(&waiter), 0, "until it is gone, too; then who waits is served");
	kid_kill(&waiter);
	is(try_one("heir"), 0, "and then it comes back");
}

static void forks(void)
{
	if (!has_heirs())
		not_inherited();
	else
		inherited();
}

/* Whoever releases does it for all heirs, who still have the descriptors. */
static void released_from_heirs(void)
{
	static const char text[] = "release in spite of heirs";
	struct kid heir;
	if (!has_heirs()) {
		skip("nothing is inherited", text);
		return;
	}
	make_tag("legacy", 1);
	struct kid holder = start_kid_with_heir(&heir);
	need(ASK(&holder, open_it, .tag = "legacy") == 0, "open");
	need(ASK(&holder, take_own) == 0, "take");
	heir.pid = ASK(&holder, beget);
	need(heir.pid > 0, "beget an heir");
	struct kid waiter = kid_blocked("legacy", 1, FOREVER);
	need(ASK(&holder, release) == 0, "release");
	is(heard(&waiter), 0, "a release serves who waits, though an heir is still there");
	is(try_one("legacy"), -ETIMEDOUT, "who then has the permit");
	kid_kill(&holder);
	is(try_one("legacy"), -ETIMEDOUT, "and keeps it when the first owner is gone");
	struct kid third = kid_blocked("legacy", 1, FOREVER);
	kid_kill(&waiter);
	is(heard(&third), 0, "the next is served, though that heir is there even now");
	kid_kill(&third);
	heir_kill(&heir);
	is(try_one("legacy"), 0, "it comes back");
	is(value_of("legacy"), 1, "once");
}

/* An heir's copy of the handle is as good as the first. */
static void heir_releases(void)
{
	static const char text[] = "a release by an heir";
	struct kid heir;
	if (!has_heirs()) {
		skip("nothing is inherited", text);
		return;
	}
	make_tag("heir2", 1);
	struct kid holder = start_kid_with_heir(&heir);
	need(ASK(&holder, open_it, .tag = "heir2") == 0, "open");
	need(ASK(&holder, take_own) == 0, "take");
	heir.pid = ASK(&holder, beget);
	need(heir.pid > 0, "beget an heir");
	struct kid waiter = kid_blocked("heir2", 1, FOREVER);
	is(ASK(&heir, release), 0, "an heir can release");
	is(heard(&waiter), 0, "and so serves who waits");
	need(ASK(&holder, release) == 0, "release");
	is(value_of("heir2"), 0, "a second release, by the parent, gives nothing back");
	kid_kill(&holder);
	heir_kill(&heir);
	is(value_of("heir2"), 0, "nor does their end");
	kid_kill(&waiter);
	is(try_one("heir2"), 0, "it comes back from who was served");
	is(value_of("heir2"), 1, "once");
}

/* ---- waiters, order ---- */

static void start_line(struct kid *line, int n, const char *tag)
{
	static const int deadlines[] = {FOREVER, LIMIT_MS, LIMIT_MS / 2};
	for (int i = 0; i < n; i++)
		line[i] = kid_blocked(tag, 1, deadlines[(size_t)i % LENGTH(deadlines)]);
}

/* Is the first that lives served, and none behind it? Then it is killed, for the next. */
static bool is_next(struct kid *line, int n)
{
	bool good = heard(&line[0]) == 0;
	for (int i = 1; i < n; i++)
		good = good && (!line[i].pid || !has_answered(&line[i], 0));
	kid_kill(&line[0]);
	return good;
}

static void in_order(void)
{
	struct kid line[LINE];
	bool good = true;
	make_tag("order", 1);
	struct kid holder = kid_owning("order", 1);
	start_line(line, LINE, "order");
	kid_kill(&holder);
	for (int i = 0; i < LINE; i++)
		good = is_next(line + i, LINE - i) && good;
	claim(good, "20 who wait are served in the order they came, while owners die");
	is(try_one("order"), 0, "and in the end it is free");
}

static void killed_in_line(void)
{
	struct kid line[6];
	bool good = true;
	make_tag("line", 1);
	struct kid holder = kid_owning("line", 1);
	start_line(line, 6, "line");
	kid_kill(&line[2]);
	line[2].pid = 0;
	for (int i = 3; i < 6; i++)
		need(seen_blocked(&line[i]), "see it wait on");
	kid_kill(&holder);
	for (int i = 0; i < 6; i++)
		good = (i == 2 || is_next(line + i, 6 - i)) && good;
	claim(good, "one is killed amid the line: the others are served in their order");
	is(try_one("line"), 0, "and in the end it is free");
}

static void head_is_killed(void)
{
	make_tag("head", 1);
	struct kid holder = kid_owning("head", 1);
	struct kid head = kid_blocked("head", 1, FOREVER);
	struct kid second = kid_blocked("head", 1, FOREVER);
	kid_kill(&head);
	claim(seen_blocked(&second), "the head of the line is killed: the next waits on");
	kid_kill(&holder);
	is(heard(&second), 0, "and is served");
	kid_kill(&second);
	is(try_one("head"), 0, "and in the end it is free");
	is(value_of("head"), 1, "once");
}

static void gives_up_in_line(void)
{
	make_tag("giveup", 1);
	struct kid holder = kid_owning("giveup", 1);
	struct kid first = kid_with("giveup");
	TELL(&first, take_own, .ms = 100);
	seen_blocked(&first);
	struct kid second = kid_blocked("giveup", 1, LIMIT_MS);
	is(heard(&first), -ETIMEDOUT, "a waiter gives up in front of another");
	claim(seen_blocked(&second), "the other stays");
	kid_kill(&holder);
	is(heard(&second), 0, "and is served");
	kid_kill(&second);
	kid_kill(&first);
}

/* ---- makers ---- */

static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

/* As `semwait -i 5 NAME`, and back. */
static int make_take_release(const char *tag)
{
	struct sync_sem *s;
	struct timespec limit;
	if (open_tag(tag, SYNC_SEM_CREATE, INITIAL, &s))
		return 2;
	if (sync_sem_wait(s, 1, SYNC_SEM_OWNED, in_ms(LIMIT_MS, &limit)))
		return 3;
	if (sync_sem_release(s))
		return 4;
	sync_sem_close(s);
	return 0;
}

static pid_t start_maker(const char *tag)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	_exit(getppid() == parent ? make_take_release(tag) : 1);
}

/* How many ended otherwise than well, or by our signal. Half of them are killed at some moment. */
static int run_makers(const char *tag)
{
	pid_t pid[MAKERS];
	int bad = 0;
	for (int i = 0; i < MAKERS; i++) {
		pid[i] = start_maker(tag);
		if (random_below(2)) {
			for (volatile uint32_t spin = random_below(200000); spin; spin--)
				;
			kill(pid[random_below((uint32_t)i + 1)], SIGKILL);
		}
	}
	for (int i = 0; i < MAKERS; i++) {
		int status;
		waitpid(pid[i], &status, 0);
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		if (status && !killed)
			printf("# %s: a maker ended with status %#x\n", scheme, (unsigned)status);
		bad += status && !killed;
	}
	return bad;
}

/* What was taken is back; of what is in doubt by the manual, that much may be missing. */
static bool value_is_right(const char *tag)
{
	struct sync_sem *s = make_sem(tag, INITIAL);
	unsigned returned = 0;
	unsigned doubtful = 0;
	(void)sync_sem_repair(s, &returned, &doubtful);
	int v = value(s);
	bool right = v <= (int)INITIAL && v + (int)doubtful >= (int)INITIAL;
	if (!right)
		printf("# %s: value %d, returned %u, in doubt %u\n", scheme, v, returned, doubtful);
	need(sync_sem_unlink(s) == 0, "remove it");
	sync_sem_close(s);
	return right;
}

static void makers(void)
{
	int bad = 0;
	int wrong = 0;
	random_state = (uint32_t)time(NULL) ^ (uint32_t)getpid() << 12;
	printf("# seed %u\n", (unsigned)random_state);
	fflush(stdout);
	for (int i = 0; i < rounds(ROUNDS); i++) {
		bad += run_makers("makers");
		wrong += !value_is_right("makers");
	}
	is(bad, 0, "makers are killed at random: nobody else fails or hangs");
	is(wrong, 0, "and the value is right");
}

/* ---- sets that are half made, or foreign ---- */

/* The key that a name has, as the kernel shows it. -1: this backend has no such. */
static int find_key(const char *tag, int permits)
{
	struct set set;
	struct sync_sem *s = make_sem(tag, (unsigned)permits);
	int key = !sync_sem_path(s) && !spelling->file && find_set(permits, &set) ? set.key : -1;
	if (key != -1)
		need(sync_sem_unlink(s) == 0, "remove it");
	sync_sem_close(s);
	return key;
}

static void half_made(void)
{
	struct sync_sem *s = NULL;
	int key = find_key("half", 781);
	if (key == -1) {
		skip("no such thing as a half-made one", "it is completed by the next maker");
		return;
	}
	int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
	need(id >= 0, "make a set");
	is(open_tag("half", 0, 0, &s), -ENOENT, "one half made is -ENOENT for who only opens");
	is(open_tag("half", SYNC_SEM_CREATE, 4, &s), 0, "the next maker completes it");
	is(value(s), 4, "with its own number of permits");
	is(capacity(s), 4, "and tells that");
	sync_sem_close(s);
	is(value_of("half"), 4, "then others can open it");
	s = make_sem("half", 9);
	is(value(s), 4, "and a later maker changes nothing");
	sync_sem_close(s);
}

union semun {
	int val;
	unsigned short *array;
};

/* Somebody else's set under that key: what it has, and whether it was ever used. */
static const struct foreign {
	int members;
	unsigned short values[5];
	bool used;
	const char *text;
} foreigners[] = {
	{1, {1}, false, "a foreign set of one under its key is -EEXIST"},
	{2, {1, 0}, true, "so is one of two"},
	{3, {5, 1, 5}, true, "so is one of three"},
	{3, {5, 0, 0}, true, "so is one of three, where the tag would be 0"},
	{3, {0, 0, 0}, true, "so is one of three that was used and is 0 now"},
	{5, {0, 0, 0, 0, 0}, false, "so is one of five"},
	{5, {7, 0, 0, 3, 0}, true, "so is one of five that was used"},
};

static void make_foreign(int key, const struct foreign *f)
{
	unsigned short values[5];
	struct sembuf up = {0, 1, 0};
	struct sembuf down = {0, -1, 0};
	memcpy(values, f->values, sizeof(values));
	int id = semget(key, f->members, IPC_CREAT | IPC_EXCL | 0600);
	need(id >= 0, "make a set");
	need(semctl(id, 0, SETALL, (union semun){.array = values}) == 0, "set it up");
	need(!f->used || (semop(id, &up, 1) == 0 && semop(id, &down, 1) == 0), "use it");
}

static void foreign(void)
{
	int key = find_key("foreign", 782);
	for (size_t i = 0; i < LENGTH(foreigners); i++) {
		struct sync_sem *s = NULL;
		const struct foreign *f = &foreigners[i];
		if (key == -1) {
			skip("no such thing as a foreign one", f->text);
			continue;
		}
		make_foreign(key, f);
		is(open_tag("foreign", SYNC_SEM_CREATE, 2, &s), -EEXIST, f->text);
		sync_sem_close(s);
		s = NULL;
		int r = open_tag("foreign", 0, 0, &s);
		claim(r == -EEXIST || r == -ENOENT, "and is not opened");
		sync_sem_close(s);
		int id = semget(key, 0, 0);
		claim(semctl(id, 0, GETVAL) == f->values[0], "nor changed");
		need(semctl(id, 0, IPC_RMID) == 0, "remove it");
	}
}

/* 0xKEY and id=N are how one gets at what others have made. */
static void keys(void)
{
	char name[64];
	struct sync_sem *s = NULL;
	int key = find_key("key", 783);
	if (key == -1) {
		skip("no keys", "a foreign set can be used by its key");
		return;
	}
	make_foreign(key, &(struct foreign){1, {6}, false, ""});
	snprintf(name, sizeof(name), "%s:0x%x", scheme, (unsigned)key);
	is(sync_sem_open(name, NULL, &s), 0, "a foreign set can be used by its key");
	is(value(s), 6, "and has its value");
	is(capacity(s), 0, "but no capacity that is known");
	is(sync_sem_wait(s, 2, SYNC_SEM_OWNED, SYNC_NOW), 0, "permits can be taken from it");
	is(sync_sem_release(s), 0, "and be given back");
	sync_sem_close(s);
	s = NULL;
	snprintf(name, sizeof(name), "%s:id=%d", scheme, semget(key, 0, 0));
	is(sync_sem_open(name, NULL, &s), 0, "and by its number");
	is(value(s), 6, "with the same value");
	is(sync_sem_unlink(s), 0, "it can be removed so");
	sync_sem_close(s);
	s = NULL;
	is(sync_sem_open(name, NULL, &s), -ENOENT, "then its number is -ENOENT");
	snprintf(name, sizeof(name), "%s:0x%x", scheme, (unsigned)key);
	is(sync_sem_open(name, NULL, &s), -ENOENT, "and its key");
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 3};
	is(sync_sem_open(name, &opts, &s), 0, "a key can be made, too");
	is(value(s), 3, "with its permits");
	is(capacity(s), 3, "and their number");
	need(sync_sem_unlink(s) == 0, "remove it");
	sync_sem_close(s);
	static const char *const bad[] = {"0x",  "0x0",  "0x100000000", "0xg",
					  "id=", "id=x", "id=-1",       "id=99999999999"};
	bool all = true;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		snprintf(name, sizeof(name), "%s:%s", scheme, bad[i]);
		all = all && sync_sem_open(name, &opts, &s) == -EINVAL;
	}
	claim(all, "what is neither key nor number is -EINVAL");
}

/* ---- removal ---- */

static void removed_while_waiting(void)
{
	make_tag("remove", 1);
	struct kid holder = kid_owning("remove", 1);
	struct kid head = kid_blocked("remove", 1, FOREVER);
	struct kid second = kid_blocked("remove", 1, LIMIT_MS);
	struct sync_sem *s = open_sem("remove");
	is(sync_sem_unlink(s), 0, "a semaphore can be removed while others wait");
	is(heard(&head), -EIDRM, "who waits gets -EIDRM");
	is(heard(&second), -EIDRM, "also behind another");
	is(value_of("remove"), -ENOENT, "it is gone");
	kid_kill(&head);
	kid_kill(&second);
	kid_kill(&holder);
	sync_sem_close(s);
	make_tag("remove", 3);
	is(value_of("remove"), 3, "and one of that name is a new one");
}

static void removed_while_waiting_for_zero(void)
{
	static const char text[] = "who waits for zero gets -EIDRM, too";
	if (!(caps & SYNC_CAP_ZERO)) {
		skip("it cannot wait for zero", text);
		return;
	}
	struct sync_sem *s = make_sem("remove0", 1);
	struct kid kid = kid_with("remove0");
	TELL(&kid, wait_for_zero, .ms = FOREVER);
	need(seen_blocked(&kid), "see it wait");
	need(sync_sem_unlink(s) == 0, "remove it");
	is(heard(&kid), -EIDRM, text);
	struct sync_sem_state state;
	is(sync_sem_state(s, &state), -EIDRM, "who looks");
	is(sync_sem_post(s, 1, 0), -EIDRM, "and who posts");
	is(sync_sem_post(s, 1, 5), -EIDRM, "also with a limit");
	kid_kill(&kid);
	sync_sem_close(s);
}

static void removed_before(void)
{
	struct sync_sem *s = make_sem("stale", 1);
	struct sync_sem *other = open_sem("stale");
	need(sync_sem_unlink(other) == 0, "remove it");
	sync_sem_close(other);
	if (!spelling->file)
		is(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW), -EIDRM,
		   "a wait for one that was removed before is -EIDRM");
	claim(sync_sem_unlink(s) < 0, "it cannot be removed a second time");
	sync_sem_close(s);
}

int main(int argc, char **argv)
{
	static void (*const tests[])(void) = {
		owners_killed,
		owner_exits,
		owner_closes,
		many_owned,
		released_before,
		execs,
		execs_after_wait,
		forks,
		released_from_heirs,
		heir_releases,
		in_order,
		killed_in_line,
		head_is_killed,
		gives_up_in_line,
		half_made,
		foreign,
		keys,
		removed_before,
		removed_while_waiting,
		removed_while_waiting_for_zero,
		makers,
	};
	if (is_executed(argc, argv))
		return be_executed(argv[2]);
	return run_sem_suite(tests, LENGTH(tests), SYNC_CAP_OWN);
}
