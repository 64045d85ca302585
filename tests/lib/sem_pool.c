/* SPDX-License-Identifier: MIT */
/* The contract of what only pools can do: weights, sets, descriptors, numbers, sizes; and their file. */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "forbid.h"
#include "semutil.h"

/* The pool's file, whether it is there or not. */
static const char *file_of(const char *tag)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % LENGTH(paths)];
	note_tag(tag);
	snprintf(path, sizeof(paths[0]), "%s/sb%d-%s.pool", scratch, (int)tester, tag);
	return path;
}

static const char *wake_of(const char *tag)
{
	static char path[300];
	snprintf(path, sizeof(path), "%s.wake", file_of(tag));
	return path;
}

static void remove_wake(const char *tag)
{
	chmod(wake_of(tag), 0700);
	nftw(wake_of(tag), remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Owns one; answers with its number. */
JOB(take_number)
{
	const unsigned *slots;
	int r = take_own(s, o, deadline);
	if (r)
		return r;
	size_t n = sync_sem_slots(*s, &slots);
	return n ? (int)slots[n - 1] : -1;
}

JOB(drain)
{
	return sync_sem_drain(*s, deadline);
}

static void resize_to(const char *tag, unsigned size)
{
	struct sync_sem *s = open_sem(tag);
	need(sync_sem_resize(s, size) == 0, "resize");
	sync_sem_close(s);
}

/* ---- names ---- */

static void places(void)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_CREATE, .initial = 2};
	struct sync_sem *s = NULL;
	char name[300];
	is(sync_sem_open(sem_name("place"), &opts, &s), -ENOTDIR,
	   "a name without a directory is -ENOTDIR");
	snprintf(name, sizeof(name), "%s:%s", scheme, file_of("place"));
	is(sync_sem_open(name, &opts, &s), 0, "a path needs none");
	claim(!strcmp(sync_sem_path(s), file_of("place")), "and is told");
	is(value_of("place"), 2, "it is the same as the name in that directory");
	sync_sem_close(s);
	opts.directory = "/nonexistent";
	is(sync_sem_open(sem_name("place"), &opts, &s), -ENOENT, "a missing directory is -ENOENT");
}

/* ---- weights ---- */

struct board {
	volatile bool stop;
	volatile unsigned taken;
};
static struct board *board;

/* Takes and releases one permit all the time. */
JOB(traffic)
{
	int r = 0;
	while (!r && !board->stop) {
		struct timespec limit;
		r = sync_sem_wait(*s, 1, SYNC_SEM_OWNED, in_ms(LIMIT_MS, &limit));
		__atomic_fetch_add(&board->taken, 1, __ATOMIC_RELAXED);
		if (!r)
			r = sync_sem_release(*s);
	}
	return r;
}

static void weights(void)
{
	struct kid kid[6];
	bool good = true;
	make_tag("weight", 4);
	board->stop = false;
	board->taken = 0;
	for (size_t i = 0; i < LENGTH(kid); i++) {
		kid[i] = kid_with("weight");
		TELL(&kid[i], traffic);
	}
	struct kid heavy = kid_with("weight");
	need(until(board->taken >= 20), "see traffic");
	for (int i = 0; i < 5; i++) {
		good = good && ASK(&heavy, take_own, .count = 3, .ms = LIMIT_MS) == 0;
		unsigned before = board->taken;
		need(ASK(&heavy, release) == 0, "release");
		good = good && until(board->taken > before + 5);
	}
	claim(good, "a wait for 3 of 4 is served amid the traffic of single ones");
	board->stop = true;
	for (size_t i = 0; i < LENGTH(kid); i++) {
		good = good && heard(&kid[i]) == 0;
		kid_kill(&kid[i]);
	}
	claim(good, "and so are those");
	kid_kill(&heavy);
	is(value_of("weight"), 4, "all are back in the end");
}

static bool is_stopped(pid_t pid)
{
	char path[64];
	char buf[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return slurp(path, buf, sizeof(buf)) > 0 && strstr(buf, "\nState:\tT");
}

/* While the head is stopped it cannot take what comes back: there is time to look. */
static void overtaking(void)
{
	make_tag("head", 2);
	struct kid a = kid_owning("head", 1);
	struct kid b = kid_owning("head", 1);
	struct kid head = kid_blocked("head", 2, FOREVER);
	struct kid next = kid_blocked("head", 1, FOREVER);
	kill(head.pid, SIGSTOP);
	need(until(is_stopped(head.pid)), "stop the head");
	need(ASK(&a, release) == 0, "release");
	is(value_of("head"), 1, "the head waits for two, and one is free");
	is(try_one("head"), -ETIMEDOUT, "who tries once must not overtake it");
	claim(seen_blocked(&next), "nor who waits behind it");
	is(try_one("head"), -ETIMEDOUT, "however often one tries");
	kill(head.pid, SIGCONT);
	claim(seen_blocked(&head), "one is not enough for the head");
	is(try_one("head"), -ETIMEDOUT, "but it keeps that for itself");
	need(ASK(&b, release) == 0, "release");
	is(heard(&head), 0, "it is served with the second");
	claim(seen_blocked(&next), "while the next waits on");
	need(ASK(&head, release) == 0, "release");
	is(heard(&next), 0, "which comes then");
	kid_kill(&next);
	kid_kill(&head);
	kid_kill(&a);
	kid_kill(&b);
	is(value_of("head"), 2, "all are back in the end");
}

/* What a head has collected goes back when it gives up or dies. */
static void collected(void)
{
	make_tag("collect", 3);
	struct kid holder = kid_owning("collect", 1);
	struct kid head = kid_with("collect");
	is(ASK(&head, take_own, .count = 3, .ms = SHORT_MS), -ETIMEDOUT,
	   "a wait for more than is free ends at the deadline");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	is(try_count("collect", 2), 0, "what it had collected is free then");
	kid_kill(&head);
	head = kid_blocked("collect", 3, FOREVER);
	kid_kill(&head);
	is(try_count("collect", 2), 0, "and when it is killed");
	kid_kill(&holder);
	is(try_count("collect", 3), 0, "in the end all are back");
}

/* ---- several pools ---- */

static void sets(void)
{
	struct sync_sem *a = make_sem("set-a", 2);
	struct sync_sem *b = make_sem("set-b", 1);
	struct sync_sem_want ab[] = {{a, 1}, {b, 1}};
	struct sync_sem_want ba[] = {{b, 1}, {a, 2}};
	struct sync_sem *failed = NULL;
	is(sync_sem_wait_all(ab, 2, 0, SYNC_NOW, &failed), 0, "two pools are taken from together");
	claim(value(a) == 1 && value(b) == 0 && !failed, "as many as asked for of each");
	need(sync_sem_release(a) == 0 && sync_sem_release(b) == 0, "release");
	is(sync_sem_wait_all(ba, 2, 0, SYNC_NOW, &failed), 0, "and in the other order");
	claim(value(a) == 0 && value(b) == 0, "as many as asked for");
	need(sync_sem_release(a) == 0 && sync_sem_release(b) == 0, "release");
	is(sync_sem_wait_all(NULL, 0, 0, SYNC_NOW, NULL), 0, "nothing at all can be taken, too");
	sync_sem_close(a);
	sync_sem_close(b);
}

static void all_or_nothing(const char *held, const char *text)
{
	struct sync_sem *a = make_sem("set-a", 2);
	struct sync_sem *b = make_sem("set-b", 1);
	struct kid holder = kid_owning(held, !strcmp(held, "set-a") ? 2 : 1);
	struct sync_sem *busy = !strcmp(held, "set-a") ? a : b;
	struct sync_sem *idle = busy == a ? b : a;
	struct sync_sem_want both[] = {{a, 1}, {b, 1}};
	struct sync_sem *failed = NULL;
	struct timespec soon;
	is(sync_sem_wait_all(both, 2, 0, SYNC_NOW, &failed), -ETIMEDOUT, text);
	claim(failed == busy, "and that is told");
	is(value(idle), idle == a ? 2 : 1, "nothing is kept of the other");
	in_ms(SHORT_MS, &soon);
	is(sync_sem_wait_all(both, 2, 0, &soon, NULL), -ETIMEDOUT, "a deadline holds for all");
	claim(since(&soon) >= 0 && since(&soon) < REASON, "not before, not long after");
	is(value(idle), idle == a ? 2 : 1, "and nothing is kept then");
	kid_kill(&holder);
	is(sync_sem_wait_all(both, 2, 0, &soon, NULL), 0, "when it is free, both are had");
	sync_sem_close(a);
	sync_sem_close(b);
}

static void failed_sets(void)
{
	all_or_nothing("set-a", "one of two is held: -ETIMEDOUT");
	all_or_nothing("set-b", "the other is held: -ETIMEDOUT");
}

static void folded(void)
{
	struct sync_sem *a = make_sem("fold", 2);
	struct sync_sem *same = open_sem("fold");
	struct sync_sem_want two[] = {{a, 1}, {same, 1}};
	struct sync_sem_want three[] = {{a, 1}, {same, 1}, {a, 1}};
	struct sync_sem *failed = NULL;
	is(sync_sem_wait_all(two, 2, 0, SYNC_NOW, NULL), 0, "one pool twice asks for the sum");
	is(value(a), 0, "which is taken");
	need(sync_sem_release(a) == 0 && sync_sem_release(same) == 0, "release");
	is(value(a), 2, "and given back");
	is(sync_sem_wait_all(three, 3, 0, SYNC_NOW, &failed), -E2BIG,
	   "a sum larger than the pool is -E2BIG");
	claim(failed == a || failed == same, "and it is told of which");
	three[0] = (struct sync_sem_want){a, 4000};
	three[1] = (struct sync_sem_want){same, 4000};
	is(sync_sem_wait_all(three, 2, 0, SYNC_NOW, NULL), -E2BIG, "also beyond all pools");
	is(value(a), 2, "nothing is taken then");
	sync_sem_close(a);
	sync_sem_close(same);
}

/* -EINTR and -ETIMEDOUT: one calls again, with what one has. */
static void asked_again(void)
{
	struct sync_sem *a = make_sem("again", 2);
	struct sync_sem *same = open_sem("again");
	struct sync_sem_want two[] = {{a, 1}, {same, 1}};
	struct kid holder = kid_owning("again", 1);
	need(sync_sem_wait_all(two, 2, 0, SYNC_NOW, NULL) == -ETIMEDOUT, "try");
	is(sync_sem_wait_all(two, 2, 0, SYNC_NOW, NULL), -ETIMEDOUT,
	   "the same wants can be asked for again after a failure");
	kid_kill(&holder);
	is(sync_sem_wait_all(two, 2, 0, SYNC_NOW, NULL), 0, "and be had later");
	is(value(a), 0, "as often as they were named");
	sync_sem_close(a);
	sync_sem_close(same);
}

/* Of MINE one is owned before; BUSY cannot be had. */
static void had_before(const char *mine, const char *busy)
{
	struct sync_sem *m = make_sem(mine, 3);
	struct sync_sem *b = make_sem(busy, 1);
	struct sync_sem_want both[] = {{m, 1}, {b, 1}};
	struct sync_sem_want none[] = {{m, 1}, {b, 0}};
	struct sync_sem_want many[] = {{m, 1}, {b, 9999}};
	const unsigned *slots;
	need(sync_sem_wait(m, 1, 0, SYNC_NOW) == 0, "take");
	is(sync_sem_wait_all(none, 2, 0, SYNC_NOW, NULL), -EINVAL, "a want of 0 is -EINVAL");
	is(value(m), 2, "and what was owned before stays owned");
	need(value(m) == 2 || sync_sem_wait(m, 1, 0, SYNC_NOW) == 0, "take again");
	is(sync_sem_wait_all(many, 2, 0, SYNC_NOW, NULL), -E2BIG, "one too large is -E2BIG");
	is(value(m), 2, "and what was owned before stays owned");
	need(value(m) == 2 || sync_sem_wait(m, 1, 0, SYNC_NOW) == 0, "take again");
	struct kid holder = kid_owning(busy, 1);
	need(sync_sem_wait_all(both, 2, 0, SYNC_NOW, NULL) == -ETIMEDOUT, "try");
	is(value(m), 2, "a set that fails gives nothing back that was owned before");
	is((int)sync_sem_slots(m, &slots), 1, "its number is still told");
	kid_kill(&holder);
	sync_sem_close(m);
	sync_sem_close(b);
}

/* Pools are taken from in an order of their own: one of the two fails only when the other was had. */
static void had_before_sets(void)
{
	had_before("had-a", "had-b");
	struct sync_sem *a = open_sem("had-a");
	struct sync_sem *b = open_sem("had-b");
	need(sync_sem_resize(a, 1) == 0 && sync_sem_resize(b, 3) == 0, "exchange their sizes");
	sync_sem_close(a);
	sync_sem_close(b);
	had_before("had-b", "had-a");
}

/* .count 0: A and B, else B and A. */
JOB(take_both)
{
	struct sync_sem *a = open_sem("cross-a");
	struct sync_sem *b = open_sem("cross-b");
	int r = 0;
	for (int i = 0; i < 200 && !r; i++) {
		struct sync_sem_want wants[] = {{o->count ? b : a, 1}, {o->count ? a : b, 1}};
		struct timespec limit;
		r = sync_sem_wait_all(wants, 2, 0, in_ms(LIMIT_MS, &limit), NULL);
		if (!r)
			r = sync_sem_release(a);
		if (!r)
			r = sync_sem_release(b);
	}
	sync_sem_close(a);
	sync_sem_close(b);
	return r;
}

static void crossing(void)
{
	make_tag("cross-a", 1);
	make_tag("cross-b", 1);
	struct kid one = start_kid();
	struct kid two = start_kid();
	TELL(&one, take_both);
	TELL(&two, take_both, .count = 1);
	is(heard(&one), 0, "A and B are taken 200 times");
	is(heard(&two), 0, "while another takes B and A");
	kid_kill(&one);
	kid_kill(&two);
}

/* ---- permits of the caller's descriptor ---- */

static int open_by_fd(const char *tag, int fd, struct sync_sem **out)
{
	struct sync_sem_opts opts = {.flags = SYNC_SEM_BY_FD, .fd = fd, .directory = scratch};
	return sync_sem_open(sem_name(tag), &opts, out);
}

static struct sync_sem *borrow(const char *tag, int fd)
{
	struct sync_sem *s = NULL;
	int r = open_by_fd(tag, fd, &s);
	if (r)
		bail(r, "a pool by descriptor");
	return s;
}

static void by_fd(void)
{
	const unsigned *slots = NULL;
	make_tag("fd", 3);
	int fd = open(file_of("fd"), O_RDWR | O_CLOEXEC);
	struct sync_sem *s = borrow("fd", fd);
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), 0, "a permit is taken for a descriptor");
	claim(sync_sem_slots(s, &slots) == 1 && slots[0] == 0, "with the lowest number");
	is(value(s), 2, "it is missing");
	sync_sem_close(s);
	claim(fcntl(fd, F_GETFD) >= 0, "the descriptor stays open when the handle is closed");
	is(value_of("fd"), 2, "and owns its permit");
	s = borrow("fd", fd);
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), 0, "a second permit for the same descriptor");
	is(value(s), 1, "is another one");
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), 0, "so is a third");
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -ETIMEDOUT, "and a fourth is not to be had");
	is(value_of("fd"), 0, "all three are taken");
	sync_sem_close(s);
	s = borrow("fd", fd);
	is(sync_sem_release(s), 0, "who comes later can release");
	is(value_of("fd"), 3, "all that the descriptor owns");
	need(sync_sem_wait(s, 2, 0, SYNC_NOW) == 0, "take two");
	sync_sem_close(s);
	is(value_of("fd"), 1, "two at once can be taken, too");
	close(fd);
	is(value_of("fd"), 3, "closing the descriptor gives back all");
}

static void wrong_fds(void)
{
	struct sync_sem *s = NULL;
	make_tag("fd-a", 1);
	make_tag("fd-b", 1);
	int fd = open(file_of("fd-a"), O_RDONLY | O_CLOEXEC);
	is(open_by_fd("fd-a", fd, &s), -EBADFD, "a descriptor open for reading is -EBADFD");
	close(fd);
	is(open_by_fd("fd-a", fd, &s), -EBADF, "one that is closed is -EBADF");
	is(open_by_fd("fd-a", -1, &s), -EBADF, "so is -1");
	fd = open(file_of("fd-a"), O_WRONLY | O_CLOEXEC);
	is(open_by_fd("fd-a", fd, &s), -EBADFD, "one open for writing is -EBADFD");
	close(fd);
	fd = open(file_of("fd-b"), O_RDWR | O_CLOEXEC);
	is(open_by_fd("fd-a", fd, &s), -ESTALE, "one of another pool is -ESTALE");
	claim(!s, "*out is untouched");
	s = borrow("fd-b", fd);
	struct sync_sem *maker = open_sem("fd-b");
	need(sync_sem_unlink(maker) == 0, "remove it");
	sync_sem_close(maker);
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -EIDRM, "a pool that was removed meanwhile is -EIDRM");
	make_tag("fd-b", 1);
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -EIDRM, "also when there is a new one");
	sync_sem_close(s);
	close(fd);
}

JOB(take_by_fd)
{
	struct sync_sem *by = NULL;
	int r = open_by_fd(o->tag, o->fd, &by);
	if (!r)
		r = sync_sem_wait(by, 1, 0, deadline);
	sync_sem_close(by);
	return r;
}

JOB(close_fd)
{
	return close(o->fd);
}

/* A shell: its descriptor is inherited, and its owner has no FIFO. */
static void fds_and_heirs(void)
{
	make_tag("shell", 1);
	int fd = open(file_of("shell"), O_RDWR | O_CLOEXEC);
	struct kid shell = start_kid();
	struct kid heir = start_kid();
	close(fd);
	struct kid waiter = kid_with("shell");
	is(ASK(&shell, take_by_fd, .tag = "shell", .fd = fd), 0, "a shell's descriptor owns it");
	is(ASK(&heir, take_by_fd, .tag = "shell", .fd = fd), -ETIMEDOUT,
	   "its heir has no second one, but the same");
	TELL(&waiter, take_own, .ms = FOREVER);
	need(seen_blocked(&waiter), "see it wait");
	kid_kill(&shell);
	claim(seen_blocked(&waiter), "while an heir has it open the permit is taken");
	need(ASK(&heir, close_fd, .fd = fd) == 0, "close");
	is(heard(&waiter), 0, "when the last has closed it, who waits is served");
	is(ASK(&waiter, tasks), 1, "and has no thread left");
	kid_kill(&waiter);
	kid_kill(&heir);
}

/* ---- numbers ---- */

static void numbers(void)
{
	struct kid kid[4];
	bool good = true;
	make_tag("number", 4);
	for (int i = 0; i < 4; i++) {
		kid[i] = kid_with("number");
		good = good && ASK(&kid[i], take_number) == i;
	}
	claim(good, "numbers are given from the lowest, and only once");
	kid_kill(&kid[2]);
	kid_kill(&kid[1]);
	struct kid again = kid_with("number");
	is(ASK(&again, take_number), 1, "the lowest that came back is given next");
	struct sync_sem *s = open_sem("number");
	const unsigned *slots;
	kid_kill(&kid[0]);
	need(sync_sem_wait(s, 2, 0, SYNC_NOW) == 0, "take two");
	claim(sync_sem_slots(s, &slots) == 2 && slots[0] == 0 && slots[1] == 2,
	      "the numbers of several are told, ascending");
	kid_kill(&kid[3]);
	need(sync_sem_wait(s, 1, 0, SYNC_NOW) == 0, "take one more");
	claim(sync_sem_slots(s, &slots) == 3 && slots[2] == 3, "also of those taken one by one");
	need(sync_sem_release(s) == 0, "release");
	is((int)sync_sem_slots(s, &slots), 0, "and none after the release");
	sync_sem_close(s);
	kid_kill(&again);
	is(value_of("number"), 4, "all are back");
}

static void owners(void)
{
	struct sync_owner *list = NULL;
	size_t count = 0;
	size_t hidden = 0;
	make_tag("owner", 1);
	struct kid holder = kid_owning("owner", 1);
	struct kid head = kid_blocked("owner", 1, FOREVER);
	struct kid next = kid_blocked("owner", 1, FOREVER);
	struct sync_sem *s = open_sem("owner");
	need(sync_sem_owners(s, &list, &count, &hidden) == 0, "list owners");
	bool owns = false;
	int waiting = 0;
	for (size_t i = 0; i < count; i++) {
		owns = owns || (!list[i].waiting && list[i].pid == holder.pid && !list[i].start);
		waiting += list[i].waiting && (list[i].pid == head.pid || list[i].pid == next.pid);
	}
	claim(owns, "the owner is listed, with the permit's number");
	is(waiting, 2, "and the head, and who waits behind it");
	is((int)count, 3, "and nobody else");
	free(list);
	sync_sem_close(s);
	kid_kill(&next);
	kid_kill(&head);
	kid_kill(&holder);
}

/* Records are for people, who look at them on a terminal. */
static void labels(void)
{
	struct sync_sem_opts opts = {.label = "make \033[2J all\n", .directory = scratch};
	struct sync_sem *s = NULL;
	char buf[512];
	make_tag("label", 1);
	need(sync_sem_open(sem_name("label"), &opts, &s) == 0, "open");
	need(sync_sem_wait(s, 1, 0, SYNC_NOW) == 0, "take");
	need(slurp(file_of("label"), buf, sizeof(buf)) > 0, "read the file");
	claim(strstr(buf, "make") && !strchr(buf, '\033'), "a label is written down as plain text");
	snprintf(buf, sizeof(buf), "%s", strstr(buf, "make"));
	claim(strchr(buf, '\n') && !strchr(buf, '\n')[1], "in one line");
	sync_sem_close(s);
}

/* ---- sizes ---- */

static void grows(void)
{
	make_tag("up", 1);
	struct kid holder = kid_owning("up", 1);
	struct kid head = kid_with("up");
	TELL(&head, take_number, .ms = FOREVER);
	need(seen_blocked(&head), "see it wait");
	struct kid next = kid_blocked("up", 1, FOREVER);
	resize_to("up", 2);
	is(heard(&head), 1, "a larger size wakes the head, which has the new number");
	claim(seen_blocked(&next), "one more is one more");
	resize_to("up", 3);
	is(heard(&next), 0, "the next comes with the next size");
	struct sync_sem *s = open_sem("up");
	is(capacity(s), 3, "the size is told");
	is(sync_sem_resize(s, 4097), -ERANGE, "more than there can be is -ERANGE");
	is(capacity(s), 3, "and changes nothing");
	is(sync_sem_resize(s, 4096), 0, "as many as there can be are fine");
	is(value(s), 4093, "and all the new ones are free");
	sync_sem_close(s);
	kid_kill(&next);
	kid_kill(&head);
	kid_kill(&holder);
}

static void shrinks(void)
{
	struct kid kid[3];
	make_tag("down", 3);
	for (int i = 0; i < 3; i++)
		kid[i] = kid_owning("down", 1);
	resize_to("down", 1);
	is(value_of("down"), 0, "a smaller size takes nothing away from owners");
	kid_kill(&kid[2]);
	is(try_one("down"), -ETIMEDOUT, "what comes back beyond it is not given out again");
	struct kid waiter = kid_blocked("down", 1, FOREVER);
	kid_kill(&kid[1]);
	claim(seen_blocked(&waiter), "not to who waits, either");
	kid_kill(&kid[0]);
	is(heard(&waiter), 0, "what comes back within it is");
	is(try_one("down"), -ETIMEDOUT, "and is all there is");
	kid_kill(&waiter);
	is(value_of("down"), 1, "in the end the new size is free");
	is(try_count("down", 2), -E2BIG, "more is -E2BIG");
}

static void too_small(void)
{
	make_tag("small", 2);
	struct kid holder = kid_owning("small", 1);
	struct kid head = kid_blocked("small", 2, FOREVER);
	resize_to("small", 1);
	is(heard(&head), -E2BIG, "who waits for more than the new size gets -E2BIG");
	kid_kill(&head);
	kid_kill(&holder);
	is(value_of("small"), 1, "and nothing is lost");
}

static void closes(void)
{
	make_tag("shut", 1);
	struct sync_sem *s = open_sem("shut");
	is(sync_sem_resize(s, 0), 0, "size 0 closes a pool");
	is(value(s), 0, "nothing is free");
	is(try_one("shut"), -ETIMEDOUT, "who tries gets -ETIMEDOUT");
	is(try_count("shut", 7), -ETIMEDOUT, "for any count: it may be opened larger");
	struct kid head = kid_blocked("shut", 1, FOREVER);
	struct kid next = kid_blocked("shut", 1, LIMIT_MS);
	is(sync_sem_resize(s, 2), 0, "and another size opens it");
	is(heard(&head), 0, "who waited is served");
	is(heard(&next), 0, "and the next");
	kid_kill(&head);
	kid_kill(&next);
	sync_sem_close(s);
	s = make_sem("shut0", 0);
	is(value(s), 0, "a pool can be made closed");
	sync_sem_close(s);
}

static void drains(void)
{
	make_tag("drain", 2);
	struct kid one = kid_owning("drain", 1);
	struct kid two = kid_owning("drain", 1);
	struct kid drainer = kid_with("drain");
	is(ASK(&drainer, drain), -ETIMEDOUT,
	   "to drain with SYNC_NOW is -ETIMEDOUT while owners are");
	is(ASK(&drainer, drain, .ms = SHORT_MS), -ETIMEDOUT, "it ends at its deadline");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	TELL(&drainer, drain, .ms = FOREVER);
	claim(seen_blocked(&drainer), "it waits");
	kid_kill(&one);
	claim(seen_blocked(&drainer), "not only for the first");
	is(try_one("drain"), -ETIMEDOUT, "meanwhile nothing is given out");
	kid_kill(&two);
	is(heard(&drainer), 0, "until the last owner is gone");
	is(try_one("drain"), -ETIMEDOUT, "it stays closed");
	is(ASK(&drainer, drain), 0, "one that is empty is drained at once");
	resize_to("drain", 1);
	is(try_one("drain"), 0, "until it is opened again");
	need(ASK(&drainer, handle) == 0, "install a handler");
	one = kid_owning("drain", 1);
	TELL(&drainer, drain, .ms = FOREVER);
	need(seen_blocked(&drainer), "see it wait");
	kill(drainer.pid, SIGUSR1);
	is(heard(&drainer), -EINTR, "a handler ends it with -EINTR");
	kid_kill(&one);
	kid_kill(&drainer);
}

/* ---- who comes between two calls of a wait ---- */

/* Of the test itself, once: before a slot is locked, by this descriptor (-1: by any), after so many that were. */
static struct {
	int fd;
	unsigned after;
	void (*meet)(void);
} between;

static void come_between(int fd, unsigned after, void (*meet)(void))
{
	between.fd = fd;
	between.after = after;
	between.meet = meet;
}

/* All of the library's locks come here. */
int fcntl(int fd, int cmd, ...)
{
	va_list args;
	va_start(args, cmd);
	void *arg = va_arg(args, void *);
	va_end(args);
	const struct flock *record = arg;
	if (between.meet && cmd == F_OFD_SETLK && record->l_start >= 4096 &&
	    record->l_type == F_WRLCK && (between.fd == -1 || between.fd == fd) &&
	    between.after-- == 0) {
		void (*meet)(void) = between.meet;
		between.meet = NULL;
		meet();
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

static struct kid drainer;
static int drained;

static void meet_drain(void)
{
	drained = ASK(&drainer, drain, .ms = LIMIT_MS);
}

/* A drain that succeeds has seen all permits back, and there is none any more. */
static void drained_between(void)
{
	make_tag("between", 1);
	drainer = kid_with("between");
	struct sync_sem *s = open_sem("between");
	come_between(-1, 0, meet_drain);
	drained = NO_ANSWER;
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -ETIMEDOUT,
	   "a pool is drained just when a permit is taken: it is not");
	is(drained, 0, "as the drain has ended by then");
	sync_sem_close(s);
	resize_to("between", 1);
	int fd = open(file_of("between"), O_RDWR | O_CLOEXEC);
	s = borrow("between", fd);
	come_between(fd, 0, meet_drain);
	drained = NO_ANSWER;
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -ETIMEDOUT,
	   "nor just when it is handed to the caller's descriptor");
	is(drained, 0, "as the drain has ended by then");
	resize_to("between", 1);
	is(value_of("between"), 1, "nothing is owned then");
	sync_sem_close(s);
	close(fd);
	kid_kill(&drainer);
}

static int looking = -1;

static void look_away(void)
{
	close(looking);
}

/* As a drain has all slots for a moment, till it is done. */
static void look_at_all(void)
{
	struct flock all = {.l_type = F_WRLCK, .l_start = 4096 + 1, .l_len = 4095};
	looking = open(file_of("moment"), O_RDWR | O_CLOEXEC);
	need(!fcntl(looking, F_OFD_SETLK, &all), "lock what is free");
	come_between(-1, 0, look_away);
}

static void looked_between(void)
{
	struct timespec limit;
	make_tag("moment", 2);
	int fd = open(file_of("moment"), O_RDWR | O_CLOEXEC);
	struct sync_sem *s = borrow("moment", fd);
	come_between(fd, 1, look_at_all);
	is(sync_sem_wait(s, 2, 0, in_ms(LIMIT_MS, &limit)), 0,
	   "who hands over two, and finds one of them locked for a moment, begins anew");
	claim(looking >= 0 && !between.meet, "when that is over");
	is(value_of("moment"), 0, "and both are owned");
	sync_sem_close(s);
	close(fd);
	is(value_of("moment"), 2, "by the descriptor");
}

JOB(many_fds)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

JOB(few_fds)
{
	struct rlimit limit = {o->count, o->count};
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

/* A full pool: its owner dies, and who waits is served. */
static void full(const char *tag, unsigned size, sem_job *limit, const char *text)
{
	make_tag(tag, size);
	struct kid holder = kid_with(tag);
	struct kid waiter = kid_with(tag);
	need(ASK(&holder, limit, .count = 256) == 0, "set limits");
	need(ASK(&waiter, limit, .count = 256) == 0, "set limits");
	is(ASK(&holder, take_own, .count = size), 0, text);
	is(value_of(tag), 0, "then it is empty");
	is(ASK(&waiter, take_own), -ETIMEDOUT, "and who tries is told so");
	is(ASK(&waiter, take_own, .ms = 5), -ETIMEDOUT, "or, who waits, -ETIMEDOUT");
	claim(answered.late >= 0 && answered.late < REASON, "in time, however many are watched");
	TELL(&waiter, take_number, .ms = FOREVER);
	claim(seen_blocked(&waiter), "one can wait for it");
	is(count_tasks(waiter.pid), 1, "in one poll: an owner of many is watched as one");
	kid_kill(&holder);
	int number = heard(&waiter);
	claim(number >= 0 && number < (int)size, "and is served when the owner is killed");
	is(ASK(&waiter, tasks), 1, "and has no thread left");
	kid_kill(&waiter);
	is(value_of(tag), (int)size, "in the end all are back");
}

static void full_pools(void)
{
	full("full1", 1, many_fds, "the permit of a pool of 1 is taken");
	full("full2", 2, many_fds, "both of a pool of 2 are taken at once");
	full("full64", 64, many_fds, "all of a pool of 64");
	full("full4096", 4096, many_fds, "all of a pool of 4096");
	full("full300", 300, few_fds, "all of a pool of 300, with 256 descriptors at the most");
}

/* ---- the file, when others meddle with it ---- */

/* What is done to the header of a good one of size 1: cut off, or words put in place of others. */
static const struct damage {
	size_t length;
	const char *from, *to;
	bool all;
	const char *text;
} damages[] = {
	{0, "", "", false, "an empty file is -EUCLEAN"},
	{16, "", "", false, "a short one, too"},
	{28, "", "", false, "by one line"},
	{64, "syncbox pool", "#!/bin/sh -e", false, "a foreign file"},
	{64, "v1", "v2", false, "a version of the future"},
	{64, "0001", "0002", false, "a size that was only half written"},
	{64, "0001", "9999", true, "a size that cannot be"},
	{64, "0001", "00-1", true, "a size that is no number"},
};

static void damage_file(char header[65], const struct damage *d)
{
	char *at = header;
	while (*d->from && (at = strstr(at, d->from)) != NULL) {
		memcpy(at, d->to, strlen(d->to));
		if (!d->all)
			break;
	}
	header[d->length] = '\0';
	int fd = open(file_of("damaged"), O_WRONLY | O_TRUNC | O_CLOEXEC);
	need(write(fd, header, d->length) == (ssize_t)d->length, "write a file");
	close(fd);
}

static void damaged_files(void)
{
	char good[65];
	make_tag("damaged", 1);
	need(slurp(file_of("damaged"), good, sizeof(good)) == 64, "read a good one");
	for (size_t i = 0; i < LENGTH(damages); i++) {
		struct sync_sem *s = NULL;
		char header[65];
		char now[256] = "?";
		memcpy(header, good, sizeof(header));
		damage_file(header, &damages[i]);
		is(open_tag("damaged", 0, 0, &s), -EUCLEAN, damages[i].text);
		is(open_tag("damaged", SYNC_SEM_CREATE, 1, &s), -EUCLEAN,
		   "also for who would make it");
		slurp(file_of("damaged"), now, sizeof(now));
		claim(!strcmp(now, header) && !s, "and it is not changed");
	}
	damage_file(good, &(struct damage){.length = 64, .from = ""});
	is(value_of("damaged"), 1, "the good one is opened");
}

static void is_unclean(const char *text)
{
	struct sync_sem *s = NULL;
	is(open_tag("odd", 0, 0, &s), -EUCLEAN, text);
	is(open_tag("odd", SYNC_SEM_CREATE, 1, &s), -EUCLEAN, "also for who would make it");
	sync_sem_close(s);
}

static void other_kinds(void)
{
	const char *path = file_of("odd");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	make_tag("target", 1);
	need(!symlink(file_of("target"), path), "make a link");
	is_unclean("a symbolic link is -EUCLEAN, even to a pool");
	unlink(path);
	need(!symlink("nowhere", path), "make a link");
	is_unclean("a dangling one, too");
	claim(!exists("nowhere"), "and its target is not made");
	unlink(path);
	need(!mkfifo(path, 0600), "make a FIFO");
	is_unclean("a FIFO is -EUCLEAN");
	unlink(path);
	need(!mkdir(path, 0700), "make a directory");
	is_unclean("a directory is -EUCLEAN");
	rmdir(path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)), "make a socket");
	close(fd);
	is_unclean("a socket is -EUCLEAN");
	unlink(path);
}

static void rights(void)
{
	struct sync_sem *s = NULL;
	if (!geteuid()) {
		skip("root may do everything", "nobody takes from a pool that may only be read");
		return;
	}
	make_tag("rights", 1);
	need(!chmod(file_of("rights"), 0400), "chmod");
	is(open_tag("rights", SYNC_SEM_CREATE, 1, &s), 0, "a pool that may only be read is opened");
	is(value(s), 1, "to be looked at");
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -EACCES,
	   "nobody takes from a pool that may only be read");
	is(sync_sem_resize(s, 2), -EACCES, "nor resizes it");
	sync_sem_close(s);
	need(!chmod(file_of("rights"), 0000), "chmod");
	is(open_tag("rights", SYNC_SEM_CREATE, 1, &s), -EACCES,
	   "one that may not even be read is -EACCES");
	need(!chmod(file_of("rights"), 0600), "chmod");
}

static void damaged_later(void)
{
	make_tag("cut", 1);
	struct kid holder = kid_owning("cut", 1);
	struct kid head = kid_blocked("cut", 1, FOREVER);
	struct kid next = kid_blocked("cut", 1, FOREVER);
	struct sync_sem *s = open_sem("cut");
	need(!truncate(file_of("cut"), 0), "cut the file off");
	is(value(s), -EUCLEAN, "a file that was cut off later is -EUCLEAN for who looks");
	kid_kill(&holder);
	int r = heard(&head);
	claim(r == 0 || r == -EUCLEAN, "the head may get what it waited for");
	kid_kill(&head);
	is(heard(&next), -EUCLEAN, "who waits behind it is told");
	is(sync_sem_wait(s, 1, 0, SYNC_NOW), -EUCLEAN, "and who comes later");
	kid_kill(&next);
	sync_sem_close(s);
	unlink(file_of("cut"));
	make_tag("cut", 1); /* so that its directory goes, too */
}

/* ---- file systems that cannot all that others can ---- */

/* As many are; on each libc open() is another call. */
JOB(without_tmpfiles)
{
	int r = forbid_with(SYS_openat, 2, O_TMPFILE, EOPNOTSUPP);
#ifdef SYS_open
	r = r ? r : forbid_with(SYS_open, 1, O_TMPFILE, EOPNOTSUPP);
#endif
	return r;
}

/* As FAT is. */
JOB(without_links)
{
	int r = forbid_call(SYS_linkat, EPERM);
#ifdef SYS_link
	r = r ? r : forbid_call(SYS_link, EPERM);
#endif
	return r;
}

static void poor_disks(void)
{
	struct kid k = start_kid();
	if (ASK(&k, without_tmpfiles)) {
		skip("no seccomp here", "file systems without O_TMPFILE or links");
		kid_kill(&k);
		return;
	}
	need(ASK(&k, close_fd, .fd = STDIN_FILENO) == 0, "close its input");
	is(ASK(&k, open_it, .tag = "poor", .flags = SYNC_SEM_CREATE, .initial = 2), 0,
	   "without O_TMPFILE a pool is made, also with nothing open as standard input");
	is(value_of("poor"), 2, "and others have it, too");
	need(ASK(&k, without_links) == 0, "forbid links");
	is(ASK(&k, open_it, .tag = "poorer", .flags = SYNC_SEM_CREATE, .initial = 2), -EPERM,
	   "who cannot make one, as there are no links either, is told so");
	is(value_of("poorer"), -ENOENT, "and there is none");
	kid_kill(&k);
	remove_wake("poorer");
}

/* Who waits must end up with a permit of the pool that the name leads to. At no moment is there none. */
static void replaced(void)
{
	make_tag("renew", 1);
	make_tag("renewed", 2);
	struct kid holder = kid_owning("renew", 1);
	struct kid head = kid_blocked("renew", 1, FOREVER);
	struct kid next = kid_blocked("renew", 1, FOREVER);
	need(!rename(file_of("renewed"), file_of("renew")), "replace the file");
	remove_wake("renewed");
	kid_kill(&holder);
	is(heard(&head), 0, "a pool is replaced: its head is served");
	is(heard(&next), 0, "and who waited behind it");
	is(value_of("renew"), 0, "with permits of the new pool");
	kid_kill(&head);
	kid_kill(&next);
	is(value_of("renew"), 2, "which come back");
}

/* ---- the directory of FIFOs ---- */

static void no_wake(const char *tag)
{
	remove_wake(tag);
}

static void plain_wake(const char *tag)
{
	remove_wake(tag);
	make_file(wake_of(tag));
}

static void linked_wake(const char *tag)
{
	remove_wake(tag);
	need(!mkdir("elsewhere", 0700), "make a directory");
	need(!symlink("elsewhere", wake_of(tag)), "make a link");
}

static void locked_wake(const char *tag)
{
	remove_wake(tag);
	need(!mkdir(wake_of(tag), 0), "make a directory");
}

static void read_only_wake(const char *tag)
{
	remove_wake(tag);
	need(!mkdir(wake_of(tag), 0500), "make a directory");
}

static void odd_wake(const char *tag)
{
	char path[320];
	remove_wake(tag);
	need(!mkdir(wake_of(tag), 0700), "make a directory");
	snprintf(path, sizeof(path), "%s/0", wake_of(tag));
	make_file(path);
	snprintf(path, sizeof(path), "%s/turn", wake_of(tag));
	need(!mkdir(path, 0700), "make a directory");
}

static const struct wake {
	void (*prepare)(const char *tag);
	const char *tag, *text;
} wakes[] = {
	{no_wake, "wake-none", "with no FILE.wake any more"},
	{plain_wake, "wake-file", "with a plain file in its place"},
	{linked_wake, "wake-link", "with a link in its place"},
	{locked_wake, "wake-none0", "with one that may not be entered"},
	{read_only_wake, "wake-read", "with one that may not be written to"},
	{odd_wake, "wake-odd", "with others' files in place of the FIFOs"},
};

static void with_wake(const struct wake *w)
{
	char text[128];
	snprintf(text, sizeof(text), "who waits is served %s", w->text);
	make_tag(w->tag, 2);
	w->prepare(w->tag);
	struct kid holder = kid_owning(w->tag, 1);
	struct kid other = kid_owning(w->tag, 1);
	struct kid waiter = kid_with(w->tag);
	int before = ASK(&waiter, fds);
	is(ASK(&waiter, take_own, .ms = SHORT_MS), -ETIMEDOUT, "a wait ends at its deadline");
	claim(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	is(ASK(&waiter, tasks), 1, "and leaves no thread");
	is(ASK(&waiter, fds), before, "nor a descriptor");
	TELL(&waiter, take_number, .ms = FOREVER);
	need(seen_blocked(&waiter), "see it wait");
	kid_kill(&other);
	is(heard(&waiter), 1, text);
	is(ASK(&waiter, tasks), 1, "it has no thread left");
	struct kid last = kid_with(w->tag);
	need(ASK(&last, handle) == 0, "install a handler");
	TELL(&last, take_own, .count = 2, .ms = LIMIT_MS);
	need(seen_blocked(&last), "see it wait");
	interrupt(&last);
	is(heard(&last), -EINTR, "a handler ends a wait with -EINTR");
	is(ASK(&last, tasks), 1, "which leaves no thread");
	TELL(&last, take_own, .count = 2, .ms = LIMIT_MS);
	need(seen_blocked(&last), "see it wait");
	need(ASK(&waiter, release) == 0, "release");
	claim(seen_blocked(&last), "one is not enough for who wants two");
	kid_kill(&holder);
	is(heard(&last), 0, "both are");
	kid_kill(&last);
	kid_kill(&waiter);
	is(value_of(w->tag), 2, "in the end all are back");
	remove_wake(w->tag);
}

static void wake_directories(void)
{
	if (under_memcheck()) {
		skip(MEMCHECK_OFD, "threads that wait where there are no FIFOs");
		return;
	}
	for (size_t i = 0; i < LENGTH(wakes); i++)
		with_wake(&wakes[i]);
	claim(rmdir("elsewhere") == 0, "nothing was made where the link leads");
}

/* The directory is removed by somebody, while one waits. */
static void wake_removed(void)
{
	make_tag("wake-gone", 1);
	struct kid holder = kid_owning("wake-gone", 1);
	struct kid head = kid_blocked("wake-gone", 1, FOREVER);
	struct kid next = kid_blocked("wake-gone", 1, FOREVER);
	remove_wake("wake-gone");
	kid_kill(&holder);
	is(heard(&head), 0, "the directory vanishes: the head is served");
	kid_kill(&head);
	is(heard(&next), 0, "and the next");
	kid_kill(&next);
	is(value_of("wake-gone"), 1, "it is back");
}

/* What threads have won too much must go with an exec. */
static void execs_with_threads(void)
{
	make_tag("wake-exec", 3);
	plain_wake("wake-exec");
	struct kid holder = kid_owning("wake-exec", 3);
	struct kid waiter = kid_with("wake-exec");
	TELL(&waiter, take_own, .flags = SYNC_SEM_EXEC, .ms = FOREVER);
	need(seen_blocked(&waiter), "see it wait");
	kid_kill(&holder);
	need(heard(&waiter) == 0, "be served");
	need(ASK(&waiter, become) == 0, "exec");
	is(count_tasks(waiter.pid), 1, "threads end with exec");
	is(value_of("wake-exec"), 2, "and one permit is owned, no more");
	kid_kill(&waiter);
	is(value_of("wake-exec"), 3, "which comes back");
	remove_wake("wake-exec");
}

/* ---- threads of one process ---- */

static int inside;

static void *run_thread(void *arg)
{
	struct sync_sem *s = arg;
	struct timespec limit;
	for (int i = 0; i < 25; i++) {
		unsigned count = 1 + (unsigned)i % 2;
		if (sync_sem_wait(s, count, 0, in_ms(LIMIT_MS, &limit)))
			return arg;
		bool crowd = __atomic_add_fetch(&inside, (int)count, __ATOMIC_SEQ_CST) > 2;
		sched_yield();
		__atomic_sub_fetch(&inside, (int)count, __ATOMIC_SEQ_CST);
		if (sync_sem_release(s) || crowd)
			return arg;
	}
	return NULL;
}

static void run_threads(const char *tag, const char *text)
{
	struct sync_sem *s[4];
	pthread_t id[4];
	int bad = 0;
	int before = count_fds();
	for (int i = 0; i < 4; i++) {
		s[i] = open_sem(tag);
		need(!pthread_create(&id[i], NULL, run_thread, s[i]), "start a thread");
	}
	for (int i = 0; i < 4; i++) {
		void *result;
		pthread_join(id[i], &result);
		bad += result != NULL;
	}
	is(bad, 0, text);
	is(value(s[0]), 2, "all permits are back");
	for (int i = 0; i < 4; i++)
		sync_sem_close(s[i]);
	claim(is_alone() && count_fds() == before, "no thread or descriptor is left");
}

static void threads(void)
{
	if (under_memcheck()) {
		skip(MEMCHECK_OFD, "threads share a pool");
		return;
	}
	make_tag("threads", 2);
	run_threads("threads", "4 threads with a handle each share a pool of 2");
	make_tag("threads2", 2);
	plain_wake("threads2");
	run_threads("threads2", "also without FIFOs");
	remove_wake("threads2");
}

int main(int argc, char **argv)
{
	static void (*const tests[])(void) = {
		places,      weights,       overtaking,      collected,        sets,
		failed_sets, folded,        asked_again,     had_before_sets,  crossing,
		by_fd,       wrong_fds,     fds_and_heirs,   numbers,          owners,
		labels,      grows,         shrinks,         too_small,        closes,
		drains,      damaged_files, other_kinds,     rights,           damaged_later,
		replaced,    wake_removed,  threads,         wake_directories, execs_with_threads,
		full_pools,  poor_disks,    drained_between, looked_between,
	};
	if (is_executed(argc, argv))
		return be_executed(argv[2]);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED)
		bail_out("mmap");
	return run_sem_suite(tests, LENGTH(tests), SYNC_CAP_RESIZE | SYNC_CAP_SET | SYNC_CAP_FAIR);
}
