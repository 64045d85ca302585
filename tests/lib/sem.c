/* SPDX-License-Identifier: MIT */
/* The contract of semaphores: names, making, taking, giving, deadlines, limits, and what is left behind. */
#include <limits.h>

#include "semutil.h"

/* sync_sem_open() of a whole name; a failure that touches *out is 9999. What it makes is removed. */
static int open_name(const char *name, unsigned flags)
{
	struct sync_sem_opts opts = {.flags = flags, .initial = 1, .directory = scratch};
	struct sync_sem *const untouched = (struct sync_sem *)&opts;
	struct sync_sem *s = untouched;
	int r = sync_sem_open(name, &opts, &s);
	if (r)
		return s == untouched ? r : 9999;
	need(!strcmp(sync_sem_name(s), name), "the name as it was given");
	need(sync_sem_unlink(s) == 0, "remove it");
	sync_sem_close(s);
	return 0;
}

static int make_name(const char *tail)
{
	char name[512];
	snprintf(name, sizeof(name), "%s:%s", scheme, tail);
	return open_name(name, SYNC_SEM_CREATE);
}

/* ---- names ---- */

static void no_names(void)
{
	is(make_name(""), -EINVAL, "an empty name is -EINVAL");
	is(make_name("."), -EINVAL, "\".\" is -EINVAL");
	is(make_name(".."), -EINVAL, "\"..\" is -EINVAL");
	int r = make_name("/");
	claim(spelling->paths ? r == -EUCLEAN : r == -EINVAL,
	      "\"/\" is -EINVAL, or -EUCLEAN where it is a path: a directory");
	r = make_name("nowhere/b");
	is(r, spelling->paths ? -ENOENT : -EINVAL, "a slash inside is -EINVAL, or part of a path");
	is(make_name("nowhere/"), spelling->paths ? -ENOENT : -EINVAL, "at the end, too");
	is(open_name("", SYNC_SEM_CREATE), -EINVAL, "nothing at all is -EINVAL");
	is(open_name(":", SYNC_SEM_CREATE), -EINVAL, "nor is a colon a name");
	is(open_name("nosuch:b", SYNC_SEM_CREATE), -EINVAL, "nor is there such a scheme");
}

static const struct {
	const char *tail, *text;
} odd_names[] = {
	{"-sb%d", "a leading dash is -EINVAL"},
	{".sb%d", "a leading dot is -EINVAL"},
	{"sb%d\n", "a newline is -EINVAL"},
	{"sb%d\033[2J", "an escape sequence is -EINVAL"},
	{"sb%d b", "a blank is -EINVAL"},
	{"sb%d*", "an asterisk is -EINVAL"},
	{"sb%d\303\244", "a letter beyond ASCII is -EINVAL"},
	{"sb%d:b", "a colon is -EINVAL"},
};

static void odd(void)
{
	for (size_t i = 0; i < LENGTH(odd_names); i++)
		is(make_name(spell(odd_names[i].tail, "")), spelling->any_name ? 0 : -EINVAL,
		   spelling->any_name ? "a name that other programs may have given"
				      : odd_names[i].text);
	is(make_name(spell("sb%d.-_9zZ", "")), 0, "letters, digits, dots, dashes, underscores");
	is(make_name(spell("_sb%d", "")), 0, "a leading underscore is a name");
}

static int make_long(unsigned length)
{
	char name[400];
	int n = snprintf(name, sizeof(name), "sb%d-", (int)tester);
	memset(name + n, 'x', sizeof(name) - (size_t)n);
	name[length] = '\0';
	return make_name(name);
}

static void long_names(void)
{
	is(make_long(200), 0, "200 characters are a name");
	is(make_long(spelling->longest), 0, "as long as names may be");
	is(make_long(spelling->longest + 1), -ENAMETOOLONG, "one more is -ENAMETOOLONG");
	is(make_long(300), -ENAMETOOLONG, "300 characters are -ENAMETOOLONG");
}

/* It means the first backend, whatever is tested now. */
static void bare_name(void)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 3, .directory = scratch};
	struct sync_sem *bare = NULL;
	char name[64];
	char full[128];
	snprintf(name, sizeof(name), "sb%d-bare", (int)tester);
	snprintf(full, sizeof(full), "%s:%s", sem_backends[0], name);
	need(sync_sem_open(name, &opts, &bare) == 0, "open a bare name");
	opts.flags = 0;
	struct sync_sem *same = NULL;
	is(sync_sem_open(full, &opts, &same), 0, "a bare name means the first backend");
	is(value(same), 3, "and is the same semaphore");
	sync_sem_close(same);
	need(sync_sem_unlink(bare) == 0, "remove it");
	sync_sem_close(bare);
}

static unsigned most_permits(void)
{
	char text[32];
	snprintf(text, sizeof(text), "%s:any", scheme);
	return sync_sem_max_of(text);
}

static void limits(void)
{
	claim(most_permits() > 0, "the most permits of a semaphore are known");
	is((int)sync_sem_max_of("nosuch"), (int)sync_sem_max_of("sysv:nosuch"),
	   "of a bare name, too");
}

/* ---- open, make ---- */

static void making(void)
{
	struct sync_sem *s = NULL;
	is(open_tag("missing", 0, 5, &s), -ENOENT, "a missing semaphore is -ENOENT");
	claim(!s, "and *out is untouched");
	is(open_tag("missing", 0, 5, &s), -ENOENT, "and it is not made by that");
	s = make_sem("made", 5);
	is(value(s), 5, "SYNC_SEM_CREATE makes it with its permits");
	is(capacity(s), spelling->knows_capacity ? 5 : 0, "how many it was made with is told");
	struct sync_sem *second = make_sem("made", 7);
	is(value(second), 5, "SYNC_SEM_CREATE opens one that is there as it is");
	is(capacity(second), capacity(s), "whatever was asked for");
	sync_sem_close(second);
	sync_sem_close(s);
	is(value_of("made"), 5, "it stays when all handles are closed");
	s = make_sem("none", 0);
	is(value(s), 0, "it can be made without permits");
	sync_sem_close(s);
	is(open_tag("over", SYNC_SEM_CREATE, most_permits() + 1, &s), -ERANGE,
	   "more permits than there can be are -ERANGE");
	is(value_of("over"), -ENOENT, "and nothing is made");
	s = make_sem("most", most_permits());
	is(value(s), (int)most_permits(), "as many as there can be are not");
	need(sync_sem_unlink(s) == 0, "remove it");
	is(value_of("most"), -ENOENT, "a semaphore that was removed is -ENOENT");
	claim(sync_sem_unlink(s) < 0, "it cannot be removed twice");
	sync_sem_close(s);
	s = make_sem("most", 2);
	is(value(s), 2, "and then its name can be used again");
	sync_sem_close(s);
}

static int mode_of(struct sync_sem *s, const char *tag, int permits)
{
	struct stat st;
	struct set set;
	const char *path = sync_sem_path(s);
	if (!path && spelling->file)
		path = spell(spelling->file, tag);
	if (!path)
		return find_set(permits, &set) ? (int)set.mode : -1;
	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

static int make_with(const char *tag, unsigned permits, mode_t mode, mode_t mask)
{
	struct sync_sem_opts opts = {
		.flags = SYNC_SEM_CREATE,
		.initial = permits,
		.mode = mode,
		.directory = scratch,
	};
	struct sync_sem *s = NULL;
	mode_t old = umask(mask);
	int r = sync_sem_open(sem_name(tag), &opts, &s);
	mode_t after = umask(old);
	if (r)
		return r;
	r = after == mask ? mode_of(s, tag, (int)permits) : -1;
	sync_sem_close(s);
	return r;
}

static void modes(void)
{
	is(make_with("mode-a", 771, 0, 077), 0600, "it is made with mode 0600, under umask 077");
	is(make_with("mode-b", 772, 0, 0), 0600, "and under umask 0");
	is(make_with("mode-c", 773, 0666, 077), 0666, "opts.mode is exact, under umask 077");
	is(make_with("mode-d", 774, 0640, 0), 0640, "and under umask 0");
	is(make_with("mode-e", 775, 0604, 0777), 0604, "and under umask 0777");
	is(make_with("mode-c", 773, 0600, 0), 0666, "the mode of an existing one is not changed");
}

static void two_handles(void)
{
	struct sync_sem *a = make_sem("two", 3);
	struct sync_sem *b = open_sem("two");
	need(sync_sem_wait(a, 1, SYNC_SEM_OWNED, SYNC_NOW) == 0, "take");
	is(value(b), 2, "what is taken through one handle is missing in the other");
	is(value(a), 2, "and in its own");
	is(sync_sem_wait(b, 1, SYNC_SEM_OWNED, SYNC_NOW), 0, "the other can take, too");
	is(value(a), 1, "and both are missing");
	need(sync_sem_release(a) == 0, "release");
	is(value(b), 2, "what one gives back is there for the other");
	need(sync_sem_release(b) == 0, "release");
	is(value(a), 3, "in the end all are back");
	is(sync_sem_release(a), 0, "to release nothing does no harm");
	is(value(a), 3, "and adds nothing");
	sync_sem_close(a);
	sync_sem_close(b);
}

/* ---- take, give ---- */

static void takes_and_gives(void)
{
	struct sync_sem *s = make_sem("take", 2);
	is(sync_sem_wait(s, 1, SYNC_SEM_OWNED, NULL), 0, "a permit that is free is had at once");
	is(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW), 0, "and so the next");
	is(value(s), 0, "then none is left");
	is(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW), -ETIMEDOUT,
	   "SYNC_NOW gives -ETIMEDOUT then");
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -ETIMEDOUT, "without SYNC_SEM_OWNED, too");
	is(try_one("take"), -ETIMEDOUT, "and to others");
	is(sync_sem_release(s), 0, "release gives back all that is owned");
	is(value(s), 2, "and no more");
	is(sync_sem_wait(s, 0, SYNC_SEM_OWNED, SYNC_NOW), -EINVAL, "to take 0 is -EINVAL");
	sync_sem_close(s);
}

static void several(void)
{
	struct sync_sem *s = make_sem("several", 3);
	unsigned most = most_permits();
	if (!(caps & SYNC_CAP_COUNT)) {
		is(sync_sem_wait(s, 2, SYNC_SEM_OWNED, SYNC_NOW), -EOPNOTSUPP,
		   "to take several at once is -EOPNOTSUPP");
	} else {
		is(sync_sem_wait(s, 3, SYNC_SEM_OWNED, SYNC_NOW), 0, "several can be taken");
		is(value(s), 0, "at once");
		need(sync_sem_release(s) == 0, "release");
		is(value(s), 3, "and be given back");
		need(sync_sem_wait(s, 2, SYNC_SEM_OWNED, SYNC_NOW) == 0, "take");
		is(try_count("several", 2), -ETIMEDOUT, "all or none are taken");
		is(value(s), 1, "and one that is too few stays");
		need(sync_sem_release(s) == 0, "release");
		int r = sync_sem_wait(s, 4, SYNC_SEM_OWNED, SYNC_NOW);
		is(r, caps & SYNC_CAP_RESIZE ? -E2BIG : -ETIMEDOUT,
		   "more than there are is -E2BIG, or -ETIMEDOUT where more can come");
	}
	is(sync_sem_wait(s, most + 1, SYNC_SEM_OWNED, SYNC_NOW), -E2BIG,
	   "more than there could ever be is -E2BIG");
	is(sync_sem_wait(s, UINT_MAX, 0, NULL), -E2BIG, "also for ever");
	is(value(s), 3, "nothing was taken by all that");
	sync_sem_close(s);
}

static void unowned(void)
{
	struct sync_sem *s = make_sem("unowned", 1);
	if (!(caps & SYNC_CAP_SHARE)) {
		is(sync_sem_wait(s, 1, 0, SYNC_NOW), 0, "permits always belong to somebody");
		need(sync_sem_release(s) == 0, "release");
		is(value(s), 1, "who can give them back");
		is(sync_sem_post(s, 1, 0), -EOPNOTSUPP, "nobody can post");
		sync_sem_close(s);
		return;
	}
	need(sync_sem_wait(s, 1, 0, SYNC_NOW) == 0, "take");
	is(sync_sem_release(s), 0, "release has no say in what nobody owns");
	is(value(s), 0, "it stays taken");
	sync_sem_close(s);
	is(value_of("unowned"), 0, "also when the handle is closed");
	struct kid kid = kid_with("unowned");
	need(ASK(&kid, post) == 0, "post");
	is(value_of("unowned"), 1, "another process can post it");
	need(ASK(&kid, take) == 0, "take");
	kid_kill(&kid);
	is(value_of("unowned"), 0, "and one that nobody owns is lost with whoever took it");
	s = open_sem("unowned");
	is(sync_sem_post(s, 3, 0), 0, "several can be posted at once");
	is(value(s), 3, "and are there");
	sync_sem_close(s);
}

static void posts(void)
{
	struct sync_sem *s = make_sem("post", 1);
	unsigned most = most_permits();
	if (!(caps & SYNC_CAP_SHARE)) {
		skip("nobody can post", "limits of a post");
		sync_sem_close(s);
		return;
	}
	is(sync_sem_post(s, 0, 0), -EINVAL, "to post 0 is -EINVAL");
	is(sync_sem_post(s, 2, 2), -EAGAIN, "a post that would pass its own limit is -EAGAIN");
	is(sync_sem_post(s, 3, 2), -EAGAIN, "also when it alone does");
	is(value(s), 1, "and adds nothing");
	is(sync_sem_post(s, 1, 2), 0, "up to its limit it is fine");
	is(value(s), 2, "and adds");
	is(sync_sem_post(s, 1, 1), -EAGAIN, "a limit that is passed already is -EAGAIN");
	is(sync_sem_post(s, 1, most), 0, "the limit can be the largest value");
	is(sync_sem_post(s, 1, UINT_MAX), 0, "or beyond it");
	is(sync_sem_post(s, most, 0), -EOVERFLOW, "more than there can be is -EOVERFLOW");
	is(sync_sem_post(s, most - 3, 0), -EOVERFLOW, "by one, too");
	is(sync_sem_post(s, most + 1, 0), -EOVERFLOW, "and more at once than there could ever be");
	is(sync_sem_post(s, UINT_MAX, 0), -EOVERFLOW, "however many");
	claim(sync_sem_post(s, most, most) < 0, "a limit does not lift that");
	is(value(s), 4, "nothing was added by all that");
	is(sync_sem_post(s, most - 4, 0), 0, "as many as there can be are fine");
	is(value(s), (int)most, "and are there");
	is(sync_sem_post(s, 1, 0), -EOVERFLOW, "one more is -EOVERFLOW");
	sync_sem_close(s);
}

/* ---- what it cannot do ---- */

static void capabilities(void)
{
	struct sync_sem *s = make_sem("caps2", 1);
	struct sync_sem_want want = {s, 1};
	struct sync_sem *failed = NULL;
	is(sync_sem_wait_zero(s, SYNC_NOW), caps & SYNC_CAP_ZERO ? -ETIMEDOUT : -EOPNOTSUPP,
	   "wait_zero is -EOPNOTSUPP without SYNC_CAP_ZERO, and only then");
	is(sync_sem_resize(s, 1), caps & SYNC_CAP_RESIZE ? 0 : -EOPNOTSUPP,
	   "resize without SYNC_CAP_RESIZE");
	is(sync_sem_drain(s, SYNC_NOW), caps & SYNC_CAP_RESIZE ? 0 : -EOPNOTSUPP, "and drain");
	need(!(caps & SYNC_CAP_RESIZE) || sync_sem_resize(s, 1) == 0, "open it again");
	int r = sync_sem_wait_all(&want, 1, SYNC_SEM_OWNED, SYNC_NOW, &failed);
	is(r, caps & SYNC_CAP_SET ? 0 : -EOPNOTSUPP, "wait_all without SYNC_CAP_SET");
	claim(failed == (caps & SYNC_CAP_SET ? NULL : s), "it says which one cannot");
	need(sync_sem_release(s) == 0, "release");
	is(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW), caps & SYNC_CAP_OWN ? 0 : -EOPNOTSUPP,
	   "owning without SYNC_CAP_OWN");
	need(sync_sem_release(s) == 0, "release");
	unsigned returned = 99;
	unsigned doubtful = 99;
	r = sync_sem_repair(s, &returned, &doubtful);
	claim(r == -EOPNOTSUPP || (r == 0 && !returned && !doubtful),
	      "repair finds nothing, or is -EOPNOTSUPP");
	is(sync_sem_repair(s, NULL, NULL), r, "and need not tell");
	sync_sem_close(s);

	struct sync_sem_opts opts = {.flags = SYNC_SEM_BY_FD, .directory = scratch};
	opts.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	r = sync_sem_open(sem_name("caps2"), &opts, &s);
	is(r, caps & SYNC_CAP_INHERIT ? -ESTALE : -EOPNOTSUPP,
	   "SYNC_SEM_BY_FD without SYNC_CAP_INHERIT");
	close(opts.fd);
}

static void looks(void)
{
	struct sync_owner *list = NULL;
	size_t count = 77;
	size_t hidden = 0;
	struct sync_sem *s = make_sem("look", 1);
	const int *held = NULL;
	const unsigned *slots = NULL;
	claim(!strcmp(sync_sem_name(s), sem_name("look")), "the name is as it was given");
	need(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW) == 0, "take");
	bool high = true;
	size_t n = sync_sem_fds(s, &held);
	for (size_t i = 0; i < n; i++)
		high = high && held[i] >= 10 && fcntl(held[i], F_GETFD) & FD_CLOEXEC;
	claim(high, "descriptors are 10 or above, and close-on-exec");
	claim(n || !(caps & SYNC_CAP_INHERIT), "what heirs need is told");
	need(sync_sem_slots(s, &slots) <= 1, "its number");
	int r = sync_sem_owners(s, &list, &count, &hidden);
	claim(r == -EOPNOTSUPP || (r == 0 && count == 1 && list[0].pid == getpid()),
	      "the owner is listed, or it is -EOPNOTSUPP");
	free(list);
	need(sync_sem_release(s) == 0, "release");
	errno = EXDEV;
	sync_sem_close(s);
	sync_sem_close(NULL);
	claim(errno == EXDEV, "close preserves errno, and NULL is fine");
}

/* ---- waiting for zero ---- */

static void zero(void)
{
	static const char text[] = "waiting for zero";
	if (!(caps & SYNC_CAP_ZERO)) {
		skip("it cannot wait for zero", text);
		return;
	}
	struct sync_sem *s = make_sem("zero", 1);
	struct kid kid = kid_with("zero");
	is(ASK(&kid, wait_for_zero, .ms = SHORT_MS), -ETIMEDOUT,
	   "waiting for zero ends at the deadline");
	claim(answered.late >= 0, "and not before it");
	TELL(&kid, wait_for_zero, .ms = FOREVER);
	claim(seen_blocked(&kid), "who waits for zero waits");
	need(sync_sem_wait(s, 1, 0, SYNC_NOW) == 0, "take the last");
	is(heard(&kid), 0, "until the last permit is taken");
	is(value(s), 0, "and takes nothing");
	is(ASK(&kid, wait_for_zero), 0, "with no permit left it is had at once");
	kid_kill(&kid);
	sync_sem_close(s);
}

/* ---- who waits is served ---- */

static void served(int ms, const char *text)
{
	make_tag("serve", 1);
	struct kid holder = kid_owning("serve", 1);
	struct kid waiter = kid_blocked("serve", 1, ms);
	need(ASK(&holder, release) == 0, "release");
	is(heard(&waiter), 0, text);
	is(value_of("serve"), 0, "and then it has the permit");
	need(ASK(&waiter, release) == 0, "release");
	is(value_of("serve"), 1, "which it can give back");
	kid_kill(&waiter);
	kid_kill(&holder);
}

static void all_are_served(void)
{
	served(FOREVER, "who waits for ever is served when the owner releases");
	served(LIMIT_MS, "who waits with a deadline is served when the owner releases");
	if (!(caps & SYNC_CAP_SHARE)) {
		skip("nobody can post", "a post serves who waits");
		return;
	}
	make_tag("serve2", 0);
	struct kid a = kid_blocked("serve2", 1, FOREVER);
	struct kid b = kid_blocked("serve2", 1, LIMIT_MS);
	struct sync_sem *s = open_sem("serve2");
	struct sync_sem_state state = {0};
	need(sync_sem_state(s, &state) == 0, "look");
	claim(state.waiters >= 1 && state.waiters <= 2, "waiters are counted");
	need(sync_sem_post(s, 2, 0) == 0, "post");
	is(heard(&a), 0, "a post of two serves who waits");
	is(heard(&b), 0, "and the next");
	is(value(s), 0, "and nothing is left");
	kid_kill(&a);
	kid_kill(&b);
	sync_sem_close(s);
}

/* ---- the end of a timed wait ---- */

static void times_out(void)
{
	make_tag("time", 1);
	struct kid holder = kid_owning("time", 1);
	struct kid waiter = kid_with("time");
	is(ASK(&waiter, take_own, .ms = SHORT_MS), -ETIMEDOUT,
	   "a wait with a deadline ends with -ETIMEDOUT");
	claim(answered.late >= 0, "and not before its deadline");
	claim(answered.late < REASON, "nor long after it");
	is(ASK(&waiter, take_own, .same_deadline = true), -ETIMEDOUT,
	   "a deadline that has passed tries once");
	is(ASK(&waiter, take, .ms = 1), -ETIMEDOUT, "one millisecond is a deadline, too");
	claim(answered.late >= 0, "and is waited for");
	need(ASK(&holder, release) == 0, "release");
	is(value_of("time"), 1, "who timed out has taken nothing");
	is(ASK(&waiter, take_own, .same_deadline = true), 0,
	   "and a free permit is had even after the deadline");
	kid_kill(&waiter);
	kid_kill(&holder);
}

JOB(take_latest)
{
	struct timespec latest;
	sync_deadline_in(INT64_MAX, &latest);
	return take_own(s, o, &latest);
}

static void latest_deadline(void)
{
	make_tag("latest", 1);
	struct kid holder = kid_owning("latest", 1);
	struct kid waiter = kid_with("latest");
	TELL(&waiter, take_latest);
	claim(seen_blocked(&waiter), "the latest deadline there is can be waited for");
	need(ASK(&holder, release) == 0, "release");
	is(heard(&waiter), 0, "and is no obstacle to being served");
	kid_kill(&waiter);
	kid_kill(&holder);
}

/* ---- signals ---- */

static void interrupted(int ms, const char *text)
{
	make_tag("intr", 1);
	struct kid holder = kid_owning("intr", 1);
	struct kid waiter = kid_with("intr");
	need(ASK(&waiter, handle) == 0, "install a handler");
	TELL(&waiter, take_own, .ms = ms);
	need(seen_blocked(&waiter), "see it wait");
	interrupt(&waiter);
	is(heard(&waiter), -EINTR, text);
	TELL(&waiter, take_own, .ms = ms);
	need(seen_blocked(&waiter), "see it wait again");
	need(ASK(&holder, release) == 0, "release");
	is(heard(&waiter), 0, "after -EINTR one can wait again, and is served");
	is(value_of("intr"), 0, "once");
	kid_kill(&waiter);
	kid_kill(&holder);
}

/* Behind the head of a line the call that waits may be another. */
static void interrupted_in_line(void)
{
	make_tag("intr2", 1);
	struct kid holder = kid_owning("intr2", 1);
	struct kid head = kid_blocked("intr2", 1, FOREVER);
	struct kid second = kid_with("intr2");
	need(ASK(&second, handle) == 0, "install a handler");
	TELL(&second, take_own, .ms = FOREVER);
	need(seen_blocked(&second), "see it wait");
	kill(second.pid, SIGUSR1);
	is(heard(&second), -EINTR, "so is the second in line");
	is(ASK(&second, take_own, .ms = SHORT_MS), -ETIMEDOUT, "its deadline is kept");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	need(ASK(&holder, release) == 0, "release");
	is(heard(&head), 0, "the head is served even so");
	kid_kill(&second);
	kid_kill(&head);
	kid_kill(&holder);
}

static void interruptions(void)
{
	interrupted(FOREVER, "a handler ends a wait for ever with -EINTR");
	interrupted(LIMIT_MS, "a handler ends a timed wait with -EINTR");
	interrupted_in_line();
}

static void retries(void)
{
	make_tag("retry", 1);
	struct kid holder = kid_owning("retry", 1);
	struct kid waiter = kid_with("retry");
	need(ASK(&waiter, handle) == 0, "install a handler");
	TELL(&waiter, take_own, .ms = 150);
	seen_blocked(&waiter);
	kill(waiter.pid, SIGUSR1);
	int r = heard(&waiter);
	/* On a slow day the signal comes too late; then the deadline has been kept, too. */
	claim(r == -EINTR || (r == -ETIMEDOUT && answered.late >= 0), "a wait is interrupted");
	is(ASK(&waiter, take_own, .same_deadline = true), -ETIMEDOUT,
	   "a retry with the same deadline ends with -ETIMEDOUT");
	claim(answered.late >= 0 && answered.late < REASON, "not before it, nor long after");
	need(ASK(&waiter, handle, .count = 2) == 0, "start a storm of signals");
	is(ASK(&waiter, insist, .ms = 2 * SHORT_MS), -ETIMEDOUT,
	   "retries in a storm of signals end at the deadline");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	TELL(&waiter, insist, .ms = LIMIT_MS);
	need(ASK(&holder, release) == 0, "release");
	is(heard(&waiter), 0, "who insists in such a storm is served");
	is(value_of("retry"), 0, "once");
	kid_kill(&waiter);
	kid_kill(&holder);
}

JOB(deafen)
{
	sigset_t all;
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
	sigfillset(&all);
	return sigprocmask(SIG_SETMASK, &all, NULL);
}

static void deaf(void)
{
	make_tag("deaf", 1);
	struct kid holder = kid_owning("deaf", 1);
	struct kid waiter = kid_with("deaf");
	need(ASK(&waiter, deafen) == 0, "block and ignore signals");
	is(ASK(&waiter, take_own, .ms = SHORT_MS), -ETIMEDOUT,
	   "a deadline holds with every signal blocked and ignored");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	struct kid head = kid_blocked("deaf", 1, FOREVER);
	is(ASK(&waiter, take_own, .ms = SHORT_MS), -ETIMEDOUT, "also behind another");
	TELL(&waiter, take_own, .ms = LIMIT_MS);
	need(seen_blocked(&waiter), "see it wait");
	need(ASK(&holder, release) == 0, "release");
	need(heard(&head) == 0 && ASK(&head, release) == 0, "serve the head");
	is(heard(&waiter), 0, "and who waits so is served");
	kid_kill(&waiter);
	kid_kill(&head);
	kid_kill(&holder);
}

/* ---- what calls leave behind: nothing ---- */

static struct traces before;

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* libc installs handlers of its own when first a thread is started, and cancelled. */
JOB(warm_up)
{
	pthread_t id;
	void *result;
	if (pthread_create(&id, NULL, sleeper, NULL))
		return -1;
	return pthread_cancel(id) || pthread_join(id, &result);
}

/* A process with habits of its own: handlers, ignored and blocked ones at both ends of the range. */
JOB(odd_signals)
{
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	sigset_t some;
	sigaction(SIGRTMAX, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&some);
	for (int signo = SIGRTMIN + 1; signo < SIGRTMAX; signo += 2) {
		signal(signo, SIG_IGN);
		sigaddset(&some, signo);
	}
	sigaddset(&some, SIGBUS);
	return sigprocmask(SIG_BLOCK, &some, NULL);
}

JOB(note_traces)
{
	take_traces(&before);
	return 0;
}

/* From now on descriptors that the handle has already count as there. */
JOB(note_fds)
{
	before.fds = count_fds();
	return 0;
}

JOB(compare_traces)
{
	const char *what = what_changed(&before);
	if (what) {
		printf("# %s: left behind: %s\n", scheme, what);
		fflush(stdout);
	}
	return what != NULL;
}

static void waits_leave_nothing(void)
{
	make_tag("trace", 1);
	struct kid holder = kid_owning("trace", 1);
	struct kid waiter = kid_with("trace");
	need(ASK(&waiter, warm_up) == 0, "start a thread");
	need(ASK(&waiter, odd_signals) == 0, "change dispositions");
	need(ASK(&waiter, note_traces) == 0, "look");
	/* What a handle keeps open for later it opens in its first waits. */
	need(ASK(&waiter, take_own) == -ETIMEDOUT, "try");
	need(ASK(&waiter, take_own, .ms = 1) == -ETIMEDOUT, "wait");
	need(ASK(&waiter, note_fds) == 0, "look");
	need(ASK(&waiter, take_own) == -ETIMEDOUT, "try");
	is(ASK(&waiter, compare_traces), 0, "a try in vain leaves nothing behind");
	need(ASK(&waiter, take_own, .ms = SHORT_MS) == -ETIMEDOUT, "wait");
	is(ASK(&waiter, compare_traces), 0, "a wait that timed out leaves nothing behind");

	TELL(&waiter, take_own, .ms = LIMIT_MS);
	need(seen_blocked(&waiter), "see it wait");
	interrupt(&waiter);
	need(heard(&waiter) == -EINTR, "interrupt a wait");
	is(ASK(&waiter, compare_traces), 0, "a wait that was interrupted leaves nothing behind");

	TELL(&waiter, take_own, .ms = LIMIT_MS);
	need(seen_blocked(&waiter), "see it wait");
	need(ASK(&holder, release) == 0, "release");
	need(heard(&waiter) == 0, "be served");
	need(ASK(&waiter, release) == 0, "release");
	is(ASK(&waiter, compare_traces), 0, "a timed wait that was served leaves nothing behind");

	need(ASK(&holder, take_own) == 0, "take again");
	TELL(&waiter, take_own, .ms = FOREVER);
	need(seen_blocked(&waiter), "see it wait");
	need(ASK(&holder, release) == 0, "release");
	need(heard(&waiter) == 0, "be served");
	need(ASK(&waiter, release) == 0, "release");
	is(ASK(&waiter, compare_traces), 0,
	   "a wait for ever that was served leaves nothing behind");
	kid_kill(&waiter);
	kid_kill(&holder);
}

static int trivial_calls(struct sync_sem *s)
{
	struct sync_sem_state state;
	const int *held;
	const unsigned *slots;
	int sum = sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW);
	sum += sync_sem_state(s, &state);
	sum += sync_sem_release(s);
	sum += sync_sem_state(s, &state);
	if (caps & SYNC_CAP_SHARE)
		sum += sync_sem_wait(s, 1, 0, SYNC_NOW) + sync_sem_post(s, 1, 0);
	if (caps & SYNC_CAP_RESIZE)
		sum += sync_sem_resize(s, 2) + sync_sem_drain(s, NULL) + sync_sem_resize(s, 1);
	(void)sync_sem_fds(s, &held);
	(void)sync_sem_slots(s, &slots);
	return sum;
}

static void calls_leave_nothing(void)
{
	struct traces t;
	struct sync_sem *s;
	take_traces(&t);
	need(open_tag("nothing", 0, 0, &s) == -ENOENT, "try to open");
	need(open_tag("over", SYNC_SEM_CREATE, UINT_MAX, &s) == -ERANGE, "try to make");
	unchanged(&t, "an open that failed leaves nothing behind");
	s = make_sem("traces", 1);
	sync_sem_close(s);
	unchanged(&t, "nor do making, opening and closing");
	s = open_sem("traces");
	is(trivial_calls(s), 0, "what should succeed does");
	take_traces(&before);
	is(trivial_calls(s), 0, "also again");
	unchanged(&before, "calls that succeed leave nothing behind");
	sync_sem_close(s);
	unchanged(&t, "and the handle goes with all that it had");
	s = open_sem("traces");
	need(sync_sem_wait(s, 1, SYNC_SEM_OWNED, SYNC_NOW) == 0, "take");
	need(sync_sem_release(s) == 0, "release");
	need(sync_sem_unlink(s) == 0, "remove it");
	sync_sem_close(s);
	unchanged(&t, "also when it was removed");
}

/* ---- threads ---- */

#define THREADS 8
#define PERMITS 2

static int inside;
static int most_inside;
static pthread_mutex_t inside_lock = PTHREAD_MUTEX_INITIALIZER;

static void go(int step)
{
	pthread_mutex_lock(&inside_lock);
	inside += step;
	if (inside > most_inside)
		most_inside = inside;
	pthread_mutex_unlock(&inside_lock);
}

/* Each with its own handle. Owned permits would be the process's where that is so. */
static void *run_thread(void *arg)
{
	struct sync_sem *s = arg;
	struct timespec limit;
	for (int i = 0; i < 25; i++) {
		int r = sync_sem_wait(s, 1, SYNC_SEM_OWNED, in_ms(LIMIT_MS, &limit));
		if (r)
			return arg;
		go(1);
		sched_yield();
		go(-1);
		if (sync_sem_release(s))
			return arg;
	}
	return NULL;
}

static void threads(void)
{
	struct traces t;
	struct sync_sem *s[THREADS];
	pthread_t id[THREADS];
	int bad = 0;
	if (under_memcheck() && !strcmp(scheme, "pool")) {
		skip(MEMCHECK_OFD, "threads with a handle each");
		return;
	}
	inside = most_inside = 0;
	take_traces(&t);
	make_tag("threads", PERMITS);
	for (int i = 0; i < THREADS; i++) {
		s[i] = open_sem("threads");
		need(!pthread_create(&id[i], NULL, run_thread, s[i]), "start a thread");
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(id[i], &result);
		bad += result != NULL;
	}
	is(bad, 0, "threads with a handle each are all served");
	claim(most_inside <= PERMITS, "and never are there more than there are permits");
	is(value(s[0]), PERMITS, "all are back in the end");
	for (int i = 0; i < THREADS; i++)
		sync_sem_close(s[i]);
	/* libc installs handlers of its own when the first thread starts. */
	claim(count_fds() == t.fds && is_alone(), "and nothing is left of them");
}

static void ended_waits(void)
{
	static void (*const tests[])(void) = {
		interruptions, retries, deaf, threads, waits_leave_nothing,
	};
	if (under_memcheck() && !strcmp(scheme, "posix")) {
		skip(MEMCHECK_OFD, "waits that end early, or among threads");
		return;
	}
	for (size_t i = 0; i < LENGTH(tests); i++)
		tests[i]();
}

int main(void)
{
	static void (*const tests[])(void) = {
		calls_leave_nothing, /* first: before anything can have been left */
		no_names,
		odd,
		long_names,
		bare_name,
		limits,
		making,
		modes,
		two_handles,
		takes_and_gives,
		several,
		unowned,
		posts,
		capabilities,
		looks,
		zero,
		all_are_served,
		times_out,
		latest_deadline,
		ended_waits,
	};
	return run_sem_suite(tests, LENGTH(tests), 0);
}
