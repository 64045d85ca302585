/* SPDX-License-Identifier: MIT */
/* The contract of queues: names, making, sending, receiving, order, waits, and what is left behind. */
#include <sched.h>

#include "queueutil.h"

/* ---- names ---- */

/* sync_queue_open() of a whole name; a failure that touches *out is 9999. What it makes is removed. */
static int open_name(const char *name, unsigned flags)
{
	struct sync_queue_opts opts = {.flags = flags, .capacity = 1, .size = 1};
	struct sync_queue *const untouched = (struct sync_queue *)(void *)&opts;
	struct sync_queue *q = untouched;
	int r = sync_queue_open(name, &opts, &q);
	if (r)
		return q == untouched ? r : 9999;
	need(!strcmp(sync_queue_name(q), name), "the name as it was given");
	unlink_queue(q);
	return 0;
}

static int open_tail(const char *tail, unsigned flags)
{
	char name[512];
	snprintf(name, sizeof(name), "%s:%s", scheme, tail);
	return open_name(name, flags);
}

static int make_name(const char *tail)
{
	return open_tail(tail, SYNC_QUEUE_CREATE | BOTH);
}

static void no_names(void)
{
	static const char *const none[] = {"",    "/",   "//",   ".",    "..", "/.",
					   "/..", "//x", "x//y", "/x/y", "x/", "/x/"};
	char text[64];
	for (size_t i = 0; i < LENGTH(none); i++) {
		snprintf(text, sizeof(text), "\"%s\" is -EINVAL", none[i]);
		is(make_name(none[i]), -EINVAL, text);
		is(open_tail(none[i], SYNC_QUEUE_RECV), -EINVAL, "also to open it");
	}
	is(open_name("", SYNC_QUEUE_CREATE), -EINVAL, "nothing at all is -EINVAL");
}

static void odd_names(void)
{
	static const char *const odd[] = {"-sb%d",   "sb%d\n",       "sb%d\033[2J", "sb%d b",
					  "sb%d*",   "sb%d\303\244", "sb%d:b",      "...sb%d",
					  "id sb%d", ".sb%d"};
	for (size_t i = 0; i < LENGTH(odd); i++)
		is(make_name(spell(odd[i], "")), dialect->any_name ? 0 : -EINVAL,
		   dialect->any_name
			   ? "a name that other programs may have given"
			   : "what is no letter, digit, dot, dash, underscore is -EINVAL");
	is(make_name(spell("sb%d.-_9zZ", "")), 0, "letters, digits, dots, dashes, underscores");
	is(make_name(spell("/sb%d", "")), dialect->any_name ? 0 : -EINVAL,
	   "a leading slash is part of the name, or -EINVAL");
}

static int make_long(unsigned length, const char *lead)
{
	char name[400];
	int n = snprintf(name, sizeof(name), "%ssb%d-", lead, (int)tester);
	memset(name + n, 'x', sizeof(name) - (size_t)n);
	name[strlen(lead) + length] = '\0';
	return make_name(name);
}

static void long_names(void)
{
	is(make_long(200, ""), 0, "200 characters are a name");
	is(make_long(dialect->longest, ""), 0, "as long as names may be");
	is(make_long(dialect->longest + 1, ""), -ENAMETOOLONG, "one more is -ENAMETOOLONG");
	is(make_long(300, ""), -ENAMETOOLONG, "300 characters are -ENAMETOOLONG");
	if (dialect->any_name) {
		is(make_long(dialect->longest, "/"), 0, "the slash does not count");
		is(make_long(dialect->longest + 1, "/"), -ENAMETOOLONG, "and does not help");
	}
}

/* It means the first backend, whatever is tested now. */
static void bare_name(void)
{
	struct sync_queue_opts opts = {SYNC_QUEUE_CREATE | BOTH, 0, FEW, SMALL};
	struct sync_queue *bare = NULL;
	struct sync_queue *same = NULL;
	char full[128];
	const char *name = spell("sb%d-bare", "");
	snprintf(full, sizeof(full), "%s:%s", queue_backends[0], name);
	need(sync_queue_open(name, &opts, &bare) == 0, "open a bare name");
	opts.flags = BOTH;
	is(sync_queue_open(full, &opts, &same), 0, "a bare name means the first backend");
	need(send_mark(bare, 5, 1, SYNC_NOW) == 0, "send");
	is(try_recv(same), 5, "and is the same queue");
	sync_queue_close(same);
	unlink_queue(bare);
}

static void numbered(void)
{
	static const char *const none[] = {"0x",  "0xg",   "0x0",  "0x123456789",   "0x1 ",
					   "id=", "id=-1", "id=x", "id=2147483648", "id=1x"};
	if (!dialect->keys) {
		skip("there are no keys", "keys and numbers");
		return;
	}
	for (size_t i = 0; i < LENGTH(none); i++)
		is(make_name(none[i]), -EINVAL, "what is no key or number is -EINVAL");
	int key = 0x5b000000 | (tester & 0xffffff);
	char name[64];
	snprintf(name, sizeof(name), "0x%x", (unsigned)key);
	is(open_tail(name, SYNC_QUEUE_RECV), -ENOENT, "a key without a queue is -ENOENT");
	is(make_name(name), 0, "it can be made by its key");
	int id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
	need(id >= 0, "make a queue");
	is(open_tail(name, SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW), -EEXIST,
	   "one that another program made is there");
	snprintf(name, sizeof(name), "id=%d", id);
	is(open_tail(name, SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW), -EEXIST, "also by its number");
	is(open_tail(name, SYNC_QUEUE_CREATE), 0, "where it can be opened and removed");
	is(msgget(key, 0), -1, "by which it is gone for all");
	is(open_tail(name, SYNC_QUEUE_RECV), -ENOENT, "a number without a queue is -ENOENT");
	is(make_name(name), -ENXIO, "and cannot be made");
	is(open_tail(name, SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW | BOTH), -ENXIO, "anew neither");
}

/* ---- open, make ---- */

static void making(void)
{
	const unsigned fresh = SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW | BOTH;
	struct sync_queue *q = NULL;
	struct sync_queue *second = NULL;
	is(open_queue_tag("missing", BOTH, &q), -ENOENT, "a missing queue is -ENOENT");
	is(sync_queue_open(queue_name("missing"), NULL, &q), -ENOENT, "also without options");
	claim(!q, "and *out is untouched");
	is(look_for("missing"), -ENOENT, "and it is not made by that");
	q = make_queue("made");
	need(send_mark(q, 7, 1, SYNC_NOW) == 0, "send");
	is(open_queue_tag("made", fresh, &second), -EEXIST, "SYNC_QUEUE_NEW is -EEXIST then");
	is(open_sized("made", SYNC_QUEUE_CREATE | BOTH, 1, 1, &second), 0,
	   "SYNC_QUEUE_CREATE opens one that is there");
	is(messages(second), 1, "with its messages");
	claim(state_of(second).size == state_of(q).size, "as it is, whatever was asked for");
	sync_queue_close(second);
	is(sync_queue_open(queue_name("made"), NULL, &second), 0, "no options open it, too");
	sync_queue_close(second);
	sync_queue_close(q);
	q = open_queue("made");
	is(try_recv(q), 7, "it and its messages stay when all handles are closed");
	is(sync_queue_unlink(q), 0, "it can be removed");
	is(look_for("made"), -ENOENT, "a queue that was removed is -ENOENT");
	claim(sync_queue_unlink(q) < 0, "it cannot be removed twice");
	is(open_queue_tag("made", fresh, &second), 0, "then its name can be used again");
	is(messages(second), 0, "and the queue is another");
	need(try_send(second, 1) == 0, "send");
	claim(try_recv(q) < 0, "which the old handle does not know");
	sync_queue_close(second);
	sync_queue_close(q);
}

static int make_with(const char *tag, mode_t mode, mode_t mask)
{
	struct sync_queue_opts opts = {SYNC_QUEUE_CREATE | BOTH, mode, FEW, SMALL};
	struct sync_queue *q = NULL;
	mode_t old = umask(mask);
	int r = sync_queue_open(queue_name(tag), &opts, &q);
	mode_t after = umask(old);
	if (r)
		return r;
	r = after == mask ? (int)state_of(q).mode : -1;
	need(dialect->plain.mode(tag) == r, "see the same mode by other means");
	sync_queue_close(q);
	return r;
}

static void modes(void)
{
	is(make_with("mode-a", 0, 077), 0600, "it is made with mode 0600, under umask 077");
	is(make_with("mode-b", 0, 0), 0600, "and under umask 0");
	is(make_with("mode-c", 0666, 077), 0666, "opts.mode is exact, under umask 077");
	is(make_with("mode-d", 0640, 0), 0640, "and under umask 0");
	is(make_with("mode-e", 0604, 0777), 0604, "and under umask 0777");
	is(make_with("mode-f", 0777, 0777), 0777, "all of it");
	is(make_with("mode-c", 0600, 0), 0666, "the mode of an existing one is not changed");
}

/* Others may use up what this user can have in queues for a moment. */
static struct sync_queue *make_sized(const char *tag, uint64_t capacity, uint64_t size)
{
	struct sync_queue *q = NULL;
	int r;
	need(until((r = open_sized(tag, SYNC_QUEUE_CREATE | BOTH, capacity, size, &q)) != -EMFILE),
	     "have enough of RLIMIT_MSGQUEUE");
	if (r)
		bail_queue(r, tag);
	return q;
}

static void geometry(void)
{
	uint64_t normal = setting(dialect->exact ? "fs/mqueue/msg_default" : "kernel/msgmnb");
	uint64_t longest = setting(dialect->exact ? "fs/mqueue/msgsize_default" : "kernel/msgmax");
	struct sync_queue *q = make_sized("sizes-a", 0, 0);
	struct sync_queue_state s = state_of(q);
	unlink_queue(q);
	claim(!s.capacity != !s.capacity_bytes, "either messages count, or bytes");
	claim(s.capacity + s.capacity_bytes == normal, "the default capacity is the system's");
	claim(s.size == (dialect->exact || longest < normal ? longest : normal),
	      "and so is the size of a message");
	q = make_sized("sizes-b", 1, 0);
	s = state_of(q);
	unlink_queue(q);
	claim(s.size == longest, "capacity alone leaves the size to the system");
	claim(dialect->exact ? s.capacity == 1 : s.capacity_bytes == longest, "and is kept");
	q = make_sized("sizes-c", 0, 100);
	s = state_of(q);
	unlink_queue(q);
	claim(s.capacity + s.capacity_bytes == normal, "size alone leaves the capacity to it");
	claim(dialect->exact ? s.size == 100 : s.size >= 100, "and is kept");
	q = make_sized("sizes-d", 3, 50);
	s = state_of(q);
	unlink_queue(q);
	claim(dialect->exact ? s.capacity == 3 && s.size == 50
			     : s.capacity_bytes == 150 && s.size == 150,
	      "both are kept, or their product");
	q = make_sized("sizes-e", 1, 1);
	is(sync_queue_send(q, "x", 1, 1, SYNC_NOW), 0, "one byte is a queue, too");
	is(sync_queue_send(q, "x", 1, 1, SYNC_NOW), -ETIMEDOUT, "for one message of one byte");
	is(sync_queue_send(q, "xx", 2, 1, SYNC_NOW), -EMSGSIZE, "and no more");
	unlink_queue(q);
}

static const struct big {
	const char *tag;
	uint64_t capacity, size;
	int posix, sysv;
} too_big[] = {
	{"big-a", 11, 0, -EINVAL, -EPERM},
	{"big-b", 11, 8192, -EINVAL, -EPERM},
	{"big-c", 1, 8193, -EINVAL, -EINVAL},
	{"big-d", INT32_MAX, 1, -EINVAL, -EPERM},
	{"big-e", 1, INT32_MAX, -EINVAL, -EINVAL},
	{"big-f", (uint64_t)INT32_MAX + 1, 1, -EINVAL, -EINVAL},
	{"big-g", (UINT64_C(1) << 32) + 1, 1, -EINVAL, -EINVAL},
	{"big-h", 1, (UINT64_C(1) << 32) + 1, -EINVAL, -EINVAL},
	{"big-i", UINT64_MAX, 0, -EINVAL, -EINVAL},
	{"big-j", UINT64_MAX, UINT64_MAX, -EINVAL, -EINVAL},
	{"big-k", UINT64_C(1) << 61, 8, -EINVAL, -EINVAL},
};

/* .mark: which. */
QUEUE_JOB(make_big)
{
	const struct big *b = &too_big[o->mark];
	return open_sized(b->tag, SYNC_QUEUE_CREATE | BOTH, b->capacity, b->size, q);
}

QUEUE_JOB(limit_bytes)
{
	const struct rlimit none = {0, 0};
	int r = setrlimit(RLIMIT_MSGQUEUE, &none) ? -errno : 0;
	return r ? r : open_queue_tag(o->tag, SYNC_QUEUE_CREATE | BOTH, q);
}

/* Such that nothing can be numbered 10 or above. */
QUEUE_JOB(limit_files)
{
	const struct rlimit ten = {10, 10};
	int r = setrlimit(RLIMIT_NOFILE, &ten) ? -errno : 0;
	return r ? r : open_queue_tag(o->tag, SYNC_QUEUE_CREATE | BOTH, q);
}

QUEUE_JOB(remove_it)
{
	return sync_queue_unlink(*q);
}

static void over_limits(void)
{
	struct kid kid = start_queue_kid();
	need(QUERY(&kid, drop) == 0, "drop privileges");
	for (size_t i = 0; i < LENGTH(too_big); i++) {
		const struct big *b = &too_big[i];
		note_tag(b->tag);
		is(QUERY(&kid, make_big, .mark = (int)i), dialect->exact ? b->posix : b->sysv,
		   "a geometry over the limits is -EINVAL, or -EPERM for bytes in all");
		is(look_for(b->tag), -ENOENT, "and nothing is made");
	}
	is(QUERY(&kid, limit_bytes, .tag = "bytes"), dialect->exact ? -EMFILE : 0,
	   "RLIMIT_MSGQUEUE is -EMFILE where it counts");
	is(look_for("bytes"), dialect->exact ? -ENOENT : 0, "and nothing is made");
	kid_kill(&kid);
	kid = start_queue_kid();
	int r = QUERY(&kid, limit_files, .tag = "files");
	is(r, caps & SYNC_CAP_POLL ? -EMFILE : 0, "no descriptor is -EMFILE where there is one");
	is(look_for("files"), r ? -ENOENT : 0, "and nothing is left of it");
	kid_kill(&kid);
}

/* The kid is nobody, if we are root, so the owner has no more rights than the mode gives. */
QUEUE_JOB(make_mode)
{
	struct sync_queue_opts opts = {SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW | BOTH, (mode_t)o->mark,
				       FEW, SMALL};
	sync_queue_close(*q);
	*q = NULL;
	return sync_queue_open(queue_name(o->tag), &opts, q);
}

QUEUE_JOB(open_and_close)
{
	struct sync_queue *second;
	int r = open_queue_tag(o->tag, o->flags, &second);
	if (r == 0 && o->flags == SYNC_QUEUE_SEND)
		r = try_send(second, 1) + try_send(second, 1);
	if (!r)
		sync_queue_close(second);
	return r;
}

static void rights(void)
{
	struct kid kid = start_queue_kid();
	need(QUERY(&kid, drop) == 0, "drop privileges");
	need(QUERY(&kid, make_mode, .tag = "read", .mark = 0400) == 0, "make a queue");
	is(QUERY(&kid, open_and_close, .tag = "read", .flags = SYNC_QUEUE_SEND), -EACCES,
	   "to send without the right to write is -EACCES");
	is(QUERY(&kid, open_and_close, .tag = "read", .flags = BOTH), -EACCES, "to do both, too");
	is(QUERY(&kid, open_and_close, .tag = "read", .flags = SYNC_QUEUE_RECV), 0,
	   "to receive is not");
	need(QUERY(&kid, remove_it) == 0, "remove it");
	need(QUERY(&kid, make_mode, .tag = "write", .mark = 0200) == 0, "make a queue");
	is(QUERY(&kid, open_and_close, .tag = "write", .flags = SYNC_QUEUE_RECV), -EACCES,
	   "to receive without the right to read is -EACCES");
	is(QUERY(&kid, open_and_close, .tag = "write", .flags = BOTH), -EACCES, "to do both, too");
	is(QUERY(&kid, open_and_close, .tag = "write", .flags = SYNC_QUEUE_SEND), 0,
	   "to send is not, nor is sending");
	need(QUERY(&kid, remove_it) == 0, "remove it");
	kid_kill(&kid);
}

static void directions(void)
{
	struct sync_queue *both = make_queue("way");
	struct sync_queue *sender = get_queue("way", SYNC_QUEUE_SEND);
	struct sync_queue *receiver = get_queue("way", SYNC_QUEUE_RECV);
	struct sync_queue *neither = get_queue("way", 0);
	const struct timespec *const deadlines[] = {SYNC_NOW, NULL};
	need(try_send(both, 1) == 0, "send");
	for (size_t i = 0; i < LENGTH(deadlines); i++) {
		const struct timespec *d = deadlines[i];
		is(send_mark(receiver, 2, 1, d), -EBADF, "to send through a receiver is -EBADF");
		is(recv_mark(sender, NULL, d, NULL), -EBADF, "to receive through a sender, too");
		is(send_mark(neither, 2, 1, d), -EBADF, "who asked for neither cannot send");
		is(recv_mark(neither, NULL, d, NULL), -EBADF, "nor receive");
		is(messages(both), 1, "nothing was sent or taken by that");
		if (messages(both) != 1) {
			empty(both);
			need(try_send(both, 1) == 0, "send");
		}
	}
	is(messages(neither), 1, "but look");
	is(try_send(sender, 2), 0, "a sender sends");
	is(try_recv(receiver), 1, "and a receiver receives");
	sync_queue_close(neither);
	sync_queue_close(receiver);
	sync_queue_close(sender);
	sync_queue_close(both);
}

/* ---- messages as they are ---- */

#define HUGE ((size_t)64 << 20)

static void lengths(void)
{
	char out[4096];
	char in[4097];
	long number = 0;
	struct sync_queue *q = make_sized("trip", FEW, 1000);
	size_t most = state_of(q).size;
	need(most <= 4000, "the size of a message");
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 31 % 251);
	memset(out + 10, 0, 20);
	const size_t tried[] = {0, 1, 2, 10, 11, 30, most - 1, most};
	for (size_t i = 0; i < LENGTH(tried); i++) {
		char text[64];
		snprintf(text, sizeof(text), "%zu bytes arrive as they are", tried[i]);
		memset(in, 'x', sizeof(in));
		int r = sync_queue_send(q, out, tried[i], 3, SYNC_NOW);
		ssize_t n = sync_queue_recv(q, in, most, NULL, SYNC_NOW, &number);
		claim(r == 0 && n == (ssize_t)tried[i] && number == 3 &&
			      !memcmp(in, out, tried[i]) && in[tried[i]] == 'x',
		      text);
	}
	is(sync_queue_send(q, out, most + 1, 1, SYNC_NOW), -EMSGSIZE, "one more is -EMSGSIZE");
	is(sync_queue_send(q, out, most + 1, 1, NULL), -EMSGSIZE, "also for ever");
	is(sync_queue_send(q, out, sizeof(out), 1, SYNC_NOW), -EMSGSIZE, "however many");
	is(messages(q), 0, "and nothing is sent");
	is(sync_queue_send(q, NULL, 0, 1, SYNC_NOW), 0, "no bytes need no data");
	is((int)sync_queue_recv(q, in, sizeof(in), NULL, SYNC_NOW, NULL), 0,
	   "a larger buffer is fine");
	char *huge = malloc(HUGE);
	need(huge && sync_queue_send(q, out, 30, 1, SYNC_NOW) == 0, "send");
	is((int)sync_queue_recv(q, huge, HUGE, NULL, SYNC_NOW, NULL), 30,
	   "also one that is larger than any message");
	claim(huge && !memcmp(huge, out, 30), "with what was sent");
	free(huge);
	unlink_queue(q);
}

static void numbers(void)
{
	const long most = caps & SYNC_CAP_PRIORITY ? 32767 : LONG_MAX;
	const long none[] = {-1,
			     LONG_MIN,
			     lowest() - 1,
			     most < LONG_MAX ? most + 1 : -2,
			     most < LONG_MAX ? LONG_MAX : -3,
			     most < LONG_MAX ? 1L << 32 : -4};
	struct sync_queue *q = make_queue("number");
	for (size_t i = 0; i < LENGTH(none); i++) {
		is(send_mark(q, 1, none[i], SYNC_NOW), -EINVAL,
		   "a number that no message can have is -EINVAL");
		is(send_mark(q, 1, none[i], NULL), -EINVAL, "also for ever");
	}
	is(messages(q), 0, "and nothing is sent");
	const long some[] = {lowest(), lowest() + 1, most - 1, most};
	for (size_t i = 0; i < LENGTH(some); i++) {
		long number = -1;
		is(send_mark(q, 1, some[i], SYNC_NOW), 0, "up to its ends they are sent");
		is(recv_mark(q, NULL, SYNC_NOW, &number), 1, "and received");
		claim(number == some[i], "with their number");
	}
	sync_queue_close(q);
}

QUEUE_JOB(recv_three)
{
	char text[3];
	return (int)sync_queue_recv(*q, text, sizeof(text), NULL, deadline, NULL);
}

static void small_buffers(void)
{
	char text[SMALL * FEW];
	struct timespec room;
	struct sync_queue *q = make_queue("buffer");
	need(sync_queue_send(q, "0123456789", 10, 1, SYNC_NOW) == 0, "send");
	is((int)sync_queue_recv(q, text, 9, NULL, SYNC_NOW, NULL), -EMSGSIZE,
	   "a buffer that is too small is -EMSGSIZE");
	is((int)sync_queue_recv(q, text, 0, NULL, NULL, NULL), -EMSGSIZE, "for ever, of no bytes");
	is((int)sync_queue_recv(q, text, 9, NULL, in_ms(LIMIT_MS, &room), NULL), -EMSGSIZE,
	   "and with a deadline");
	is(messages(q), 1, "nothing is taken");
	if (dialect->exact) {
		is((int)sync_queue_recv(q, text, SMALL - 1, NULL, SYNC_NOW, NULL), -EMSGSIZE,
		   "the longest message that could come counts");
		is((int)sync_queue_recv(q, text, SMALL, NULL, SYNC_NOW, NULL), 10, "no more");
	} else {
		is((int)sync_queue_recv(q, text, 10, NULL, SYNC_NOW, NULL), 10,
		   "the message that is there counts");
	}
	claim(!memcmp(text, "0123456789", 10), "and it is whole");
	struct kid kid = queue_kid("buffer");
	ORDER(&kid, recv_three, .ms = LIMIT_MS);
	need(dialect->exact || seen_blocked(&kid), "see it wait");
	need(sync_queue_send(q, "01", 2, 1, SYNC_NOW) == 0, "send");
	is(heard(&kid), dialect->exact ? -EMSGSIZE : 2, "so it does for who waits");
	empty(q);
	ORDER(&kid, recv_three, .ms = LIMIT_MS);
	need(dialect->exact || seen_blocked(&kid), "see it wait");
	need(sync_queue_send(q, "0123", 4, 1, SYNC_NOW) == 0, "send");
	is(heard(&kid), -EMSGSIZE, "who waits with too small a buffer gets -EMSGSIZE");
	is(messages(q), 1, "and leaves the message");
	kid_kill(&kid);
	sync_queue_close(q);
}

/* ---- put back ---- */

static int back(struct sync_queue *q, int mark, long number)
{
	char text[SMALL] = {0};
	memcpy(text, &mark, sizeof(mark));
	return sync_queue_put_back(q, text, sizeof(text), number);
}

static void put_back_removed(void)
{
	struct sync_queue *q = make_queue("back2");
	struct sync_queue *receiver = get_queue("back2", SYNC_QUEUE_RECV);
	need(sync_queue_unlink(q) == 0, "remove it");
	is(back(receiver, 6, 1), dialect->goes_on ? 0 : -EIDRM,
	   "into a removed queue, too, or it is -EIDRM");
	is(try_recv(q), dialect->goes_on ? 6 : -EIDRM, "where it is then");
	sync_queue_close(receiver);
	sync_queue_close(q);
}

static void puts_back(void)
{
	long number = -1;
	struct sync_queue *q = make_queue("back");
	struct sync_queue *receiver = get_queue("back", SYNC_QUEUE_RECV);
	struct sync_queue *sender = get_queue("back", SYNC_QUEUE_SEND);
	need(send_mark(q, 1, 3, SYNC_NOW) == 0 && send_mark(q, 2, 3, SYNC_NOW) == 0, "send");
	need(recv_mark(receiver, NULL, SYNC_NOW, &number) == 1, "receive");
	is(back(receiver, 1, number), 0, "who may only receive puts a message back");
	is(try_recv(q), 2, "behind the others of its number");
	is(recv_mark(q, NULL, SYNC_NOW, &number), 1, "where it is found");
	claim(number == 3, "with its number");
	is(back(q, 7, lowest()), 0, "who may send as well puts one back");
	is(try_recv(receiver), 7, "and it is there");
	fill(q);
	is(back(receiver, 8, lowest()), -ETIMEDOUT, "into a full queue it is -ETIMEDOUT");
	is(back(q, 8, lowest()), -ETIMEDOUT, "for both");
	is(messages(q), FEW, "and nothing is sent");
	empty(q);
	is(back(sender, 1, lowest()), -EBADF, "who cannot receive gets -EBADF");
	is(back(q, 1, lowest() - 1), -EINVAL, "no such number is -EINVAL");
	is(sync_queue_put_back(receiver, (char[SMALL * FEW + 1]){0}, SMALL * FEW + 1, 1), -EMSGSIZE,
	   "what cannot have been in it is -EMSGSIZE");
	is(messages(q), 0, "and nothing is sent");
	sync_queue_close(sender);
	sync_queue_close(receiver);
	sync_queue_close(q);
	put_back_removed();
}

QUEUE_JOB(put_back_reading)
{
	struct sync_queue *receiver;
	int r = open_queue_tag(o->tag, SYNC_QUEUE_RECV, &receiver);
	if (r)
		return r;
	r = back(receiver, 1, 1);
	sync_queue_close(receiver);
	return r;
}

static void puts_back_nothing(void)
{
	struct kid kid = start_queue_kid();
	need(QUERY(&kid, drop) == 0, "drop privileges");
	need(QUERY(&kid, make_mode, .tag = "back3", .mark = 0400) == 0, "make a queue");
	is(QUERY(&kid, put_back_reading, .tag = "back3"), -EACCES,
	   "to put back needs the right to write: -EACCES");
	need(QUERY(&kid, remove_it) == 0, "remove it");
	kid_kill(&kid);
}

/* ---- who waits for a receiver ---- */

QUEUE_JOB(q_attend)
{
	return sync_queue_attend(*q, NULL);
}

QUEUE_JOB(q_await)
{
	return sync_queue_await_receiver(*q, deadline);
}

static struct kid kid_for(const char *tag, unsigned flags)
{
	struct kid k = start_queue_kid();
	need(QUERY(&k, q_open, .tag = tag, .flags = flags) == 0, "open it in another process");
	return k;
}

static void awaits(int ms, const char *text)
{
	struct sync_queue *q = make_queue("await");
	struct kid waiter = kid_for("await", SYNC_QUEUE_SEND);
	struct kid sender = kid_for("await", SYNC_QUEUE_SEND);
	struct kid receiver = kid_for("await", SYNC_QUEUE_RECV);
	need(QUERY(&waiter, q_handle) == 0, "install a handler");
	ORDER(&waiter, q_await, .ms = ms);
	need(seen_blocked(&waiter), "see it wait");
	need(QUERY(&sender, q_attend) == 0, "attend");
	claim(seen_blocked(&waiter), "a sender is no receiver: the wait goes on");
	kill(waiter.pid, SIGUSR1);
	is(heard(&waiter), -EINTR, "a handler ends the wait");
	ORDER(&waiter, q_await, .ms = ms);
	need(seen_blocked(&waiter), "see it wait");
	need(QUERY(&receiver, q_attend) == 0, "attend");
	is(heard(&waiter), 0, text);
	is(QUERY(&waiter, q_await), 0, "when one is there, there is nothing to wait for");
	kid_kill(&receiver);
	is(QUERY(&waiter, q_await), -ETIMEDOUT, "none any more: -ETIMEDOUT for who tries once");
	kid_kill(&sender);
	kid_kill(&waiter);
	sync_queue_close(q);
}

QUEUE_JOB(q_watch_unread)
{
	struct sync_queue_watch *w;
	int r = sync_queue_watch_open(q, 1, SYNC_UNTIL_UNREAD, &w);
	if (r)
		return r;
	r = (int)sync_queue_watch_wait(w, deadline);
	sync_queue_watch_close(w);
	return r;
}

static void unread(int ms, const char *text)
{
	struct sync_queue *q = make_queue("unread");
	struct kid sender = kid_for("unread", SYNC_QUEUE_SEND);
	struct kid one = kid_for("unread", SYNC_QUEUE_RECV);
	struct kid two = kid_for("unread", SYNC_QUEUE_RECV);
	need(QUERY(&one, q_attend) == 0 && QUERY(&two, q_attend) == 0, "attend");
	empty(q);
	fill(q);
	need(QUERY(&sender, q_handle) == 0, "install a handler");
	ORDER(&sender, q_watch_unread, .ms = ms);
	need(seen_blocked(&sender), "see it wait");
	kid_kill(&one);
	claim(seen_blocked(&sender), "one receiver is left: who waits for room waits on");
	interrupt(&sender);
	is(heard(&sender), -EINTR, "a handler ends the wait");
	ORDER(&sender, q_watch_unread, .ms = ms);
	need(seen_blocked(&sender), "see it wait");
	kid_kill(&two);
	is(heard(&sender), -ENODATA, text);
	kid_kill(&sender);
	sync_queue_close(q);
}

static void awaiting(void)
{
	struct timespec room;
	struct sync_queue *q = make_queue("await");
	if (!(caps & SYNC_CAP_PRESENCE)) {
		is(sync_queue_await_receiver(q, NULL), -EOPNOTSUPP,
		   "to wait for a receiver is -EOPNOTSUPP");
		sync_queue_close(q);
		return;
	}
	const struct timespec *deadline = in_ms(SHORT_MS, &room);
	is(sync_queue_await_receiver(q, deadline), -ETIMEDOUT, "no receiver comes: -ETIMEDOUT");
	claim(since(deadline) >= 0, "not before the deadline");
	sync_queue_close(q);
	awaits(FOREVER, "who waits for a receiver for ever is told when it attends");
	awaits(LIMIT_MS, "who does with a deadline, too");
	unread(FOREVER, "who waits for room for ever is told that the last receiver is gone");
	unread(LIMIT_MS, "who does with a deadline, too");
}

/* ---- order ---- */

static void send_all(struct sync_queue *q, const long *list, int n)
{
	for (int i = 0; i < n; i++)
		need(send_mark(q, i, list[i], SYNC_NOW) == 0, "send");
}

static void priorities(void)
{
	static const long sent[] = {1, 5, 0, 5, 1, 32767, 0, 5};
	static const int expected[] = {5, 1, 3, 7, 0, 4, 2, 6};
	if (!(caps & SYNC_CAP_PRIORITY)) {
		skip("it has no priorities", "the highest first, then first in, first out");
		return;
	}
	struct sync_queue *q = make_sized("order", LENGTH(sent), SMALL);
	send_all(q, sent, LENGTH(sent));
	int bad = 0;
	for (size_t i = 0; i < LENGTH(expected); i++) {
		long number = -1;
		int mark = recv_mark(q, NULL, SYNC_NOW, &number);
		bad += mark != expected[i] || number != sent[mark];
	}
	is(bad, 0, "the highest first, then first in, first out");
	struct sync_queue_want want = {.number = 5};
	need(try_send(q, 1) == 0, "send");
	is(recv_mark(q, &want, SYNC_NOW, NULL), -EOPNOTSUPP, "to ask for numbers is -EOPNOTSUPP");
	is(recv_mark(q, &want, NULL, NULL), -EOPNOTSUPP, "also for ever");
	want = (struct sync_queue_want){.except = true};
	is(recv_mark(q, &want, SYNC_NOW, NULL), -EOPNOTSUPP, "or for others");
	want = (struct sync_queue_want){0};
	is(recv_mark(q, &want, SYNC_NOW, NULL), 1, "to ask for any is not");
	unlink_queue(q);
}

static void selections(void)
{
	static const long sent[] = {4, 2, 9, 2, LONG_MAX, 1, 4, 3};
	static const struct {
		struct sync_queue_want want;
		int mark;
		const char *text;
	} steps[] = {
		{{2, false}, 1, "a number asks for the first that has it"},
		{{2, false}, 3, "and then the next"},
		{{2, false}, -ETIMEDOUT, "and then there is none"},
		{{-3, false}, 5, "up to a number: the lowest first"},
		{{-3, false}, 7, "then the next, the number itself included"},
		{{-3, false}, -ETIMEDOUT, "and none above it"},
		{{4, true}, 2, "any but a number: the first in line"},
		{{-LONG_MAX, false}, 0, "up to the highest, first in, first out among equals"},
		{{4, true}, 4, "any but a number, again"},
		{{4, true}, -ETIMEDOUT, "and not that number"},
		{{-4, true}, -EINVAL, "any but up to a number cannot be asked for"},
		{{0, false}, 6, "0 asks for any"},
		{{0, false}, -ETIMEDOUT, "if there is one"},
	};
	if (!(caps & SYNC_CAP_SELECT)) {
		skip("it cannot be asked for numbers", "selection");
		return;
	}
	struct sync_queue *q = make_sized("select", LENGTH(sent), SMALL);
	send_all(q, sent, LENGTH(sent));
	for (size_t i = 0; i < LENGTH(steps); i++) {
		long number = -1;
		int mark = recv_mark(q, &steps[i].want, SYNC_NOW, &number);
		is(mark, steps[i].mark, steps[i].text);
		claim(mark < 0 || number == sent[mark], "with its number");
	}
	struct sync_queue_want want = {.number = LONG_MIN};
	need(send_mark(q, 3, LONG_MAX, SYNC_NOW) == 0, "send");
	is(recv_mark(q, &want, SYNC_NOW, NULL), 3, "no number is too low to ask for");
	unlink_queue(q);
	q = make_queue("select2");
	struct kid kid = queue_kid("select2");
	ORDER(&kid, q_recv, .number = 7, .ms = LIMIT_MS);
	need(seen_blocked(&kid), "see it wait");
	need(send_mark(q, 50, 6, SYNC_NOW) == 0, "send");
	claim(seen_blocked(&kid), "a message of another number does not wake who waits");
	need(send_mark(q, 60, 7, SYNC_NOW) == 0, "send");
	is(heard(&kid), 60, "one of the number does");
	is(try_recv(q), 50, "and the other stays");
	kid_kill(&kid);
	sync_queue_close(q);
}

/* ---- random messages, against a model ---- */

#define MODEL_MOST 8
#define MODEL_BYTES 200

struct one {
	long number;
	size_t len;
	char text[MODEL_BYTES];
};

static struct one model[MODEL_MOST + 1];
static size_t model_count;
static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(dice >> 33) % sides;
}

static long random_number(void)
{
	const long some[] = {1, 2, 3, 4, 5, lowest(), caps & SYNC_CAP_PRIORITY ? 32767 : LONG_MAX};
	return some[roll(LENGTH(some))];
}

/* Which message WANT gets next; MODEL_MOST for none. */
static size_t model_next(const struct sync_queue_want *want)
{
	size_t best = MODEL_MOST;
	for (size_t i = 0; i < model_count; i++) {
		long n = model[i].number;
		bool fits = want->except       ? n != want->number
			    : want->number < 0 ? n <= -want->number
					       : !want->number || n == want->number;
		bool better = best == MODEL_MOST || (want->number < 0 && n < model[best].number) ||
			      (caps & SYNC_CAP_PRIORITY && n > model[best].number);
		if (fits && better)
			best = i;
	}
	return best;
}

static bool is_one(const struct one *m, ssize_t n, const char *text, long number)
{
	return n == (ssize_t)m->len && number == m->number && !memcmp(text, m->text, m->len);
}

static bool random_send(struct sync_queue *q)
{
	struct one *m = &model[model_count];
	m->number = random_number();
	m->len = roll(4) ? roll(MODEL_BYTES + 1) : roll(2) * MODEL_BYTES;
	for (size_t i = 0; i < m->len; i++)
		m->text[i] = roll(3) ? (char)roll(256) : '\0';
	if (sync_queue_send(q, m->text, m->len, m->number, SYNC_NOW))
		return false;
	model_count++;
	return true;
}

static bool random_recv(struct sync_queue *q)
{
	char text[MODEL_BYTES * MODEL_MOST];
	long number = -1;
	struct sync_queue_want want = {0};
	if (caps & SYNC_CAP_SELECT && roll(2)) {
		want = (struct sync_queue_want){random_number(), roll(3) == 0};
		if (!want.except && roll(2))
			want.number = -want.number;
	}
	size_t i = model_next(&want);
	ssize_t n = sync_queue_recv(q, text, sizeof(text), &want, SYNC_NOW, &number);
	if (i == MODEL_MOST)
		return n == -ETIMEDOUT;
	if (!is_one(&model[i], n, text, number))
		return false;
	memmove(&model[i], &model[i + 1], (model_count - i) * sizeof(model[0]));
	model_count--;
	return true;
}

static bool random_look(struct sync_queue *q)
{
	char text[MODEL_BYTES * MODEL_MOST];
	long number = -1;
	size_t place = roll(MODEL_MOST);
	size_t bytes = 0;
	struct sync_queue_state s = state_of(q);
	for (size_t i = 0; i < model_count; i++)
		bytes += model[i].len;
	if (s.messages != model_count || s.bytes != bytes)
		return false;
	if (!(caps & SYNC_CAP_PEEK))
		return true;
	ssize_t n = sync_queue_peek(q, place, text, sizeof(text), &number);
	return place < model_count ? is_one(&model[place], n, text, number) : n == -ENOMSG;
}

static void random_messages(void)
{
	struct sync_queue *q = make_sized("random", MODEL_MOST, MODEL_BYTES);
	int sent = 0;
	bool good = true;
	model_count = 0;
	dice = (uint64_t)tester;
	while (good && (sent < 2000 || model_count)) {
		bool more = sent < 2000 && model_count < MODEL_MOST && roll(5) > 1;
		sent += more;
		good = more ? random_send(q) : random_recv(q);
		good = good && (roll(8) || random_look(q));
	}
	if (!good)
		printf("# %s: seed %d, after %d messages\n", scheme, (int)tester, sent);
	claim(good, "2000 random messages arrive as they are, in the order that is told");
	unlink_queue(q);
}

/* ---- other programs ---- */

static const struct {
	long number;
	size_t len;
	const char *text;
} plain_cases[] = {
	{1, 0, ""},
	{1, 1, "x"},
	{3, 1, "\n"},
	{2, 5, "a\0b\0c"},
	{7, 8, "\0\0\0\0\0\0\0\0"},
	{32767, SMALL,
	 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789\377\376\0\1\0\1"},
};

/* In another process, and without the library. */
static bool plainly(bool sends, const char *tag, size_t i)
{
	struct plain_message m = {.number = plain_cases[i].number};
	int status = -1;
	pid_t pid = fork_kid();
	if (pid == 0 && sends) {
		memcpy(m.text, plain_cases[i].text, plain_cases[i].len);
		_exit(dialect->plain.send(tag, &m, plain_cases[i].len) != 0);
	}
	if (pid == 0) {
		m.number = -1;
		int n = dialect->plain.recv(tag, &m);
		_exit(n != (int)plain_cases[i].len || m.number != plain_cases[i].number ||
		      memcmp(m.text, plain_cases[i].text, plain_cases[i].len));
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void other_programs(void)
{
	struct sync_queue *q = make_queue("plain");
	for (size_t i = 0; i < LENGTH(plain_cases); i++) {
		char text[SMALL * FEW];
		long number = -1;
		int len = (int)plain_cases[i].len;
		need(sync_queue_send(q, plain_cases[i].text, plain_cases[i].len,
				     plain_cases[i].number, SYNC_NOW) == 0,
		     "send");
		claim(plainly(false, "plain", i), "another program receives just the message");
		is(messages(q), 0, "which is taken then");
		claim(plainly(true, "plain", i), "another program sends a message");
		is((int)sync_queue_recv(q, text, sizeof(text), NULL, SYNC_NOW, &number), len,
		   "which is received");
		claim(number == plain_cases[i].number &&
			      !memcmp(text, plain_cases[i].text, plain_cases[i].len),
		      "just as it was");
	}
	sync_queue_close(q);
}

/* ---- peek, state, poll ---- */

static void peeks(void)
{
	char text[SMALL * FEW];
	long number = -1;
	struct sync_queue *q = make_queue("peek");
	need(sync_queue_send(q, "first", 5, 4, SYNC_NOW) == 0, "send");
	need(sync_queue_send(q, "", 0, 2, SYNC_NOW) == 0, "send");
	need(sync_queue_send(q, "third", 5, 3, SYNC_NOW) == 0, "send");
	if (!(caps & SYNC_CAP_PEEK)) {
		is((int)sync_queue_peek(q, 0, text, sizeof(text), &number), -EOPNOTSUPP,
		   "to peek is -EOPNOTSUPP");
	} else {
		is((int)sync_queue_peek(q, 2, text, sizeof(text), &number), 5, "a peek at a place");
		claim(!memcmp(text, "third", 5) && number == 3, "finds the message there");
		is((int)sync_queue_peek(q, 0, text, 5, NULL), 5, "the first place is 0");
		claim(!memcmp(text, "first", 5), "its message came first");
		is((int)sync_queue_peek(q, 1, text, 0, &number), 0, "an empty message is one");
		claim(number == 2, "with its number");
		is((int)sync_queue_peek(q, 3, text, sizeof(text), NULL), -ENOMSG,
		   "behind the last it is -ENOMSG");
		is((int)sync_queue_peek(q, SIZE_MAX, text, sizeof(text), NULL), -ENOMSG,
		   "far behind, too");
		is((int)sync_queue_peek(q, (size_t)LONG_MAX, text, sizeof(text), NULL), -ENOMSG,
		   "not so far");
		is((int)sync_queue_peek(q, 0, text, 4, NULL), -EMSGSIZE,
		   "a buffer that is too small is -EMSGSIZE");
		struct sync_queue *sender = get_queue("peek", SYNC_QUEUE_SEND);
		is((int)sync_queue_peek(sender, 0, text, sizeof(text), NULL), -EBADF,
		   "to peek is to receive: -EBADF through a sender");
		sync_queue_close(sender);
	}
	is(messages(q), 3, "and nothing is taken");
	sync_queue_close(q);
}

static void states(void)
{
	struct sync_queue *q = make_queue("state");
	struct sync_queue_state s = state_of(q);
	claim(!s.messages && !s.bytes, "a new queue is empty");
	claim(s.uid == geteuid() && s.mode == 0600, "and its maker's");
	need(sync_queue_send(q, "0123", 4, 1, SYNC_NOW) == 0, "send");
	need(sync_queue_send(q, "", 0, 1, SYNC_NOW) == 0, "send");
	need(sync_queue_send(q, "0123456789", 10, 2, SYNC_NOW) == 0, "send");
	s = state_of(q);
	is((int)s.messages, 3, "messages are counted, the empty, too");
	is((int)s.bytes, 14, "and bytes");
	struct sync_queue *sender = get_queue("state", SYNC_QUEUE_SEND);
	s = state_of(sender);
	is((int)s.messages, 3, "a sender sees them, too");
	claim(s.bytes == 14 || s.bytes == 0, "and bytes where they are known to it");
	sync_queue_close(sender);
	empty(q);
	s = state_of(q);
	claim(!s.messages && !s.bytes, "what is taken does not count");
	is(fill(q), FEW, "there is room for as many as it was made for");
	is(messages(q), FEW, "which are counted");
	sync_queue_close(q);
}

static int events(struct sync_queue *q)
{
	struct pollfd p = {.fd = sync_queue_fd(q), .events = POLLIN | POLLOUT};
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

static void polls(void)
{
	struct sync_queue *q = make_queue("poll");
	int fd = sync_queue_fd(q);
	if (!(caps & SYNC_CAP_POLL)) {
		is(fd, -EOPNOTSUPP, "there is no descriptor: -EOPNOTSUPP");
		sync_queue_close(q);
		return;
	}
	claim(fd >= 10 && fcntl(fd, F_GETFD) & FD_CLOEXEC, "it is 10 or above, close-on-exec");
	is(events(q), POLLOUT, "an empty queue is writable");
	need(try_send(q, 1) == 0, "send");
	is(events(q), POLLIN | POLLOUT, "one with a message is readable, too");
	empty(q);
	fill(q);
	is(events(q), POLLIN, "a full one is only readable");
	empty(q);
	is(events(q), POLLOUT, "and no more when it is emptied");
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct kid kid = queue_kid("poll");
	ORDER(&kid, q_send, .mark = 5);
	is(poll(&p, 1, LIMIT_MS), 1, "who polls is woken by a message");
	need(heard(&kid) == 0, "send");
	is(try_recv(q), 5, "which then is there");
	kid_kill(&kid);
	sync_queue_close(q);
}

/* ---- waiting ---- */

/* Both sides of a queue: who receives from an empty one, who sends to a full one. */
static const struct side {
	q_job *job;
	bool full;
	const char *who;
} sides[] = {{q_recv, false, "a receiver"}, {q_send, true, "a sender"}};

static const struct side *side;

static bool says(bool good, const char *text)
{
	return ok(good, "%s: %s %s", scheme, side->who, text);
}

static bool gets(int got, int want, const char *text)
{
	if (got != want)
		printf("# %s: got %d, expected %d\n", scheme, got, want);
	return says(got == want, text);
}

static struct sync_queue *blocking_queue(const char *tag)
{
	struct sync_queue *q = make_queue(tag);
	empty(q);
	if (side->full)
		fill(q);
	return q;
}

/* Neither taken nor sent. */
static bool untouched(struct sync_queue *q)
{
	return messages(q) == (side->full ? FEW : 0);
}

#define MARK 77

static void serve(struct sync_queue *q)
{
	if (side->full)
		need(try_recv(q) >= 0, "receive");
	else
		need(try_send(q, MARK) == 0, "send");
}

/* Heard of K that it was served: the message is the one, and is there once. */
static bool is_served(const struct kid *k, struct sync_queue *q)
{
	int r = heard(k);
	if (!side->full)
		return r == MARK && messages(q) == 0;
	if (r || messages(q) != FEW)
		return false;
	int mark = -1;
	for (int i = 0; i < FEW; i++)
		mark = try_recv(q);
	return mark == MARK && messages(q) == 0;
}

static void served(int ms, const char *text)
{
	struct sync_queue *q = blocking_queue("serve");
	struct kid kid = queue_kid("serve");
	ORDER(&kid, side->job, .mark = MARK, .ms = ms);
	need(seen_blocked(&kid), "see it wait");
	serve(q);
	says(is_served(&kid, q), text);
	kid_kill(&kid);
	sync_queue_close(q);
}

static void deadlines(void)
{
	struct sync_queue *q = blocking_queue("time");
	struct kid kid = queue_kid("time");
	gets(QUERY(&kid, side->job, .mark = MARK), -ETIMEDOUT, "who tries once gets -ETIMEDOUT");
	gets(QUERY(&kid, side->job, .mark = MARK, .ms = SHORT_MS), -ETIMEDOUT,
	     "with a deadline ends with -ETIMEDOUT");
	says(answered.late >= 0, "does so not before it");
	says(answered.late < REASON, "nor long after");
	gets(QUERY(&kid, side->job, .mark = MARK, .same_deadline = true), -ETIMEDOUT,
	     "whose deadline has passed tries once");
	gets(QUERY(&kid, side->job, .mark = MARK, .ms = 1), -ETIMEDOUT, "can wait a millisecond");
	says(answered.late >= 0, "and does");
	says(untouched(q), "who timed out has done nothing");
	serve(q);
	gets(QUERY(&kid, side->job, .mark = MARK, .same_deadline = true), side->full ? 0 : MARK,
	     "gets what can be had at once even after the deadline");
	kid_kill(&kid);
	sync_queue_close(q);
}

QUEUE_JOB(until_latest)
{
	struct timespec latest;
	sync_deadline_in(INT64_MAX, &latest);
	return side->job(q, o, &latest);
}

static void latest_deadline(void)
{
	struct sync_queue *q = blocking_queue("latest");
	struct kid kid = queue_kid("latest");
	ORDER(&kid, until_latest, .mark = MARK);
	says(seen_blocked(&kid), "can wait till the latest deadline there is");
	serve(q);
	says(is_served(&kid, q), "is served then, too");
	kid_kill(&kid);
	sync_queue_close(q);
}

static void interrupted(int ms, const char *text)
{
	struct sync_queue *q = blocking_queue("intr");
	struct kid kid = queue_kid("intr");
	need(QUERY(&kid, q_handle) == 0, "install a handler");
	ORDER(&kid, side->job, .mark = MARK, .ms = ms);
	need(seen_blocked(&kid), "see it wait");
	kill(kid.pid, SIGUSR1);
	gets(heard(&kid), -EINTR, text);
	says(untouched(q), "has done nothing then");
	ORDER(&kid, side->job, .mark = MARK, .ms = ms);
	need(seen_blocked(&kid), "see it wait again");
	/* Stopped and continued: not a handler of ours, so the wait goes on. */
	kill(kid.pid, SIGSTOP);
	int status;
	need(waitpid(kid.pid, &status, WUNTRACED) == kid.pid && WIFSTOPPED(status), "stop it");
	kill(kid.pid, SIGCONT);
	says(seen_blocked(&kid), "who is stopped and continued waits on");
	serve(q);
	says(is_served(&kid, q), "and is served");
	kid_kill(&kid);
	sync_queue_close(q);
}

QUEUE_JOB(q_insist)
{
	int r;
	do
		r = side->job(q, o, deadline);
	while (r == -EINTR);
	return r;
}

static void retries(void)
{
	struct sync_queue *q = blocking_queue("retry");
	struct kid kid = queue_kid("retry");
	need(QUERY(&kid, q_handle) == 0, "install a handler");
	ORDER(&kid, side->job, .mark = MARK, .ms = 150);
	seen_blocked(&kid);
	kill(kid.pid, SIGUSR1);
	int r = heard(&kid);
	/* On a slow day the signal comes too late; then the deadline has been kept, too. */
	says(r == -EINTR || (r == -ETIMEDOUT && answered.late >= 0), "is interrupted");
	gets(QUERY(&kid, side->job, .mark = MARK, .same_deadline = true), -ETIMEDOUT,
	     "who retries with the same deadline gets -ETIMEDOUT");
	says(answered.late >= 0 && answered.late < REASON, "does so not before it, nor long after");
	need(QUERY(&kid, q_handle, .mark = 2) == 0, "start a storm of signals");
	gets(QUERY(&kid, q_insist, .mark = MARK, .ms = 2 * SHORT_MS), -ETIMEDOUT,
	     "who retries in a storm of signals ends at the deadline");
	says(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	says(untouched(q), "has done nothing in all that");
	ORDER(&kid, q_insist, .mark = MARK, .ms = LIMIT_MS);
	nap();
	serve(q);
	says(is_served(&kid, q), "who insists in such a storm is served, once");
	kid_kill(&kid);
	sync_queue_close(q);
}

QUEUE_JOB(deafen)
{
	sigset_t all;
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
	sigfillset(&all);
	return sigprocmask(SIG_SETMASK, &all, NULL);
}

static void deaf(void)
{
	struct sync_queue *q = blocking_queue("deaf");
	struct kid kid = queue_kid("deaf");
	need(QUERY(&kid, deafen) == 0, "block and ignore signals");
	gets(QUERY(&kid, side->job, .mark = MARK, .ms = SHORT_MS), -ETIMEDOUT,
	     "keeps its deadline with every signal blocked and ignored");
	says(answered.late >= 0 && answered.late < REASON, "not before, not long after");
	ORDER(&kid, side->job, .mark = MARK, .ms = LIMIT_MS);
	need(seen_blocked(&kid), "see it wait");
	serve(q);
	says(is_served(&kid, q), "is served then, too");
	kid_kill(&kid);
	sync_queue_close(q);
}

/* A queue that goes away under who waits. */
static void removed(int ms)
{
	struct sync_queue *q = blocking_queue("gone");
	struct kid kid = queue_kid("gone");
	ORDER(&kid, side->job, .mark = MARK, .ms = ms);
	need(seen_blocked(&kid), "see it wait");
	is(sync_queue_unlink(q), 0, "a queue can be removed while somebody waits");
	is(look_for("gone"), -ENOENT, "and is gone at once for who comes");
	if (dialect->goes_on) {
		says(seen_blocked(&kid), "waits on");
		serve(q);
		says(is_served(&kid, q), "is served by who has it as well");
	} else {
		char text[SMALL];
		struct sync_queue_state s;
		gets(heard(&kid), -EIDRM, "gets -EIDRM");
		gets(QUERY(&kid, side->job, .mark = MARK), -EIDRM, "gets it again");
		is(try_recv(q), -EIDRM, "to receive is -EIDRM then");
		is(try_send(q, 1), -EIDRM, "to send, too");
		is((int)sync_queue_peek(q, 0, text, sizeof(text), NULL), -EIDRM, "to peek, too");
		is(sync_queue_state(q, &s), -EIDRM, "and to look");
	}
	kid_kill(&kid);
	sync_queue_close(q);
}

static void waiting(void)
{
	for (size_t i = 0; i < LENGTH(sides); i++) {
		side = &sides[i];
		served(FOREVER, "who waits for ever is served");
		served(LIMIT_MS, "who waits with a deadline is served");
		deadlines();
		latest_deadline();
		interrupted(FOREVER, "who waits for ever gets -EINTR by a handler");
		interrupted(LIMIT_MS, "who waits with a deadline gets -EINTR by a handler");
		retries();
		deaf();
		removed(FOREVER);
		removed(LIMIT_MS);
	}
}

/* ---- lines ---- */

#define LINE 10

static void receivers_in_line(void)
{
	struct kid kids[LINE];
	struct sync_queue *q = make_queue("line");
	int bad = 0;
	for (int i = 0; i < LINE; i++)
		kids[i] = kid_receiving("line", i % 3 ? FOREVER : LIMIT_MS);
	for (int i = 0; i < LINE; i++)
		need(until(messages(q) < FEW) && try_send(q, i) == 0, "send");
	for (int i = 0; i < LINE; i++) {
		bad += heard(&kids[i]) != i;
		kid_kill(&kids[i]);
	}
	is(bad, 0, "receivers are served in the order in which they came");
	sync_queue_close(q);
}

static void senders_in_line(void)
{
	struct kid kids[LINE];
	struct sync_queue *q = make_queue("line2");
	unsigned seen = 0;
	int bad = 0;
	fill(q);
	for (int i = 0; i < LINE; i++)
		kids[i] = kid_sending("line2", i, i % 3 ? FOREVER : LIMIT_MS);
	for (int i = 0; i < FEW; i++)
		bad += try_recv(q) != i;
	is(bad, 0, "what was in a full queue comes first");
	bad = 0;
	for (int i = 0; i < LINE; i++) {
		struct timespec room;
		int mark = recv_mark(q, NULL, in_ms(LIMIT_MS, &room), NULL);
		bad += mark != i;
		seen |= mark >= 0 && mark < LINE ? 1u << mark : 0;
	}
	claim(seen == (1u << LINE) - 1 && messages(q) == 0, "all senders are served, each once");
	if (dialect->line)
		is(bad, 0, "and in the order in which they came");
	else
		skip("the kernel wakes all who wait for room", "senders are served in line");
	for (int i = 0; i < LINE; i++) {
		bad += heard(&kids[i]);
		kid_kill(&kids[i]);
	}
	sync_queue_close(q);
}

/* ---- what calls leave behind: nothing ---- */

static struct traces before;

/* A process with habits of its own: handlers, ignored and blocked ones at both ends of the range. */
QUEUE_JOB(odd_signals)
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

QUEUE_JOB(note_traces)
{
	take_traces(&before);
	return 0;
}

QUEUE_JOB(compare_traces)
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
	for (size_t i = 0; i < LENGTH(sides); i++) {
		side = &sides[i];
		struct sync_queue *q = blocking_queue("trace");
		struct kid kid = queue_kid("trace");
		need(QUERY(&kid, odd_signals) == 0, "change dispositions");
		need(QUERY(&kid, note_traces) == 0, "look");
		need(QUERY(&kid, side->job) == -ETIMEDOUT, "try");
		gets(QUERY(&kid, compare_traces), 0, "who tried in vain has left nothing behind");
		need(QUERY(&kid, side->job, .ms = SHORT_MS) == -ETIMEDOUT, "wait");
		gets(QUERY(&kid, compare_traces), 0, "who timed out has left nothing behind");
		ORDER(&kid, side->job, .ms = LIMIT_MS);
		need(seen_blocked(&kid), "see it wait");
		kill(kid.pid, SIGUSR1);
		need(heard(&kid) == -EINTR, "interrupt a wait");
		gets(QUERY(&kid, compare_traces), 0, "nor has who was interrupted");
		ORDER(&kid, side->job, .mark = MARK, .ms = LIMIT_MS);
		need(seen_blocked(&kid), "see it wait");
		serve(q);
		need(is_served(&kid, q), "be served");
		gets(QUERY(&kid, compare_traces), 0, "nor who was served with a deadline");
		sync_queue_close(q);
		q = blocking_queue("trace");
		ORDER(&kid, side->job, .mark = MARK, .ms = FOREVER);
		need(seen_blocked(&kid), "see it wait");
		serve(q);
		need(is_served(&kid, q), "be served");
		gets(QUERY(&kid, compare_traces), 0, "nor who was served without");
		kid_kill(&kid);
		sync_queue_close(q);
	}
}

static int trivial_calls(struct sync_queue *q)
{
	char text[SMALL * FEW];
	struct sync_queue_state s;
	int sum = sync_queue_state(q, &s);
	sum += try_send(q, 0) + send_mark(q, 0, 1, NULL) + sync_queue_state(q, &s);
	sum += (int)(sync_queue_peek(q, 0, text, sizeof(text), NULL) < -EOPNOTSUPP);
	sum += try_recv(q) + recv_mark(q, NULL, NULL, NULL) + (int)(sync_queue_fd(q) == -1);
	return sum + (sync_queue_caps(q) != caps);
}

static void calls_leave_nothing(void)
{
	struct traces t;
	struct sync_queue *q;
	take_traces(&t);
	need(open_queue_tag("nothing", BOTH, &q) == -ENOENT, "try to open");
	need(open_sized("over", SYNC_QUEUE_CREATE, UINT64_MAX, 0, &q) == -EINVAL, "try to make");
	unchanged(&t, "an open that failed leaves nothing behind");
	q = make_queue("traces");
	need(open_queue_tag("traces", SYNC_QUEUE_CREATE | SYNC_QUEUE_NEW, &q) == -EEXIST, "again");
	sync_queue_close(q);
	unchanged(&t, "nor do making, opening and closing");
	q = open_queue("traces");
	take_traces(&before);
	is(trivial_calls(q), 0, "what should succeed does");
	unchanged(&before, "calls that succeed leave nothing behind");
	is(try_recv(q) + send_mark(q, 1, -1, NULL), -ETIMEDOUT - EINVAL, "what should fail does");
	unchanged(&before, "nor do calls that fail");
	errno = EXDEV;
	sync_queue_close(q);
	sync_queue_close(NULL);
	claim(errno == EXDEV, "close preserves errno, and NULL is fine");
	unchanged(&t, "the handle goes with all that it had");
	q = open_queue("traces");
	need(sync_queue_unlink(q) == 0, "remove it");
	errno = EXDEV;
	sync_queue_close(q);
	claim(errno == EXDEV, "also of a queue that is gone");
	q = make_queue("traces");
	if (caps & SYNC_CAP_POLL)
		close(sync_queue_fd(q));
	errno = EXDEV;
	sync_queue_close(q);
	claim(errno == EXDEV, "and when closing fails");
	unchanged(&t, "and leaves nothing");
}

/* ---- threads ---- */

#define THREADS 4 /* of each side */
#define EACH 100

static int thread_seen[THREADS * EACH];

struct thread {
	pthread_t id;
	int number;
	struct sync_queue *q;
	bool sends, good;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct timespec limit;
	t->good = true;
	for (int i = 0; i < EACH && t->good; i++) {
		const struct timespec *deadline = in_ms(i % 4 ? LIMIT_MS : FOREVER, &limit);
		int mark = t->number * EACH + i;
		if (t->sends) {
			t->good = send_mark(t->q, mark, 1, deadline) == 0;
			continue;
		}
		mark = recv_mark(t->q, NULL, deadline, NULL);
		t->good = mark >= 0 && mark < THREADS * EACH;
		if (t->good)
			__atomic_fetch_add(&thread_seen[mark], 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void threads(void)
{
	struct thread t[2 * THREADS];
	struct sync_queue *q = make_queue("threads");
	int bad = 0;
	int fds_before = count_fds();
	memset(thread_seen, 0, sizeof(thread_seen));
	for (int i = 0; i < 2 * THREADS; i++) {
		t[i] = (struct thread){.q = open_queue("threads"), .number = i / 2, .sends = i % 2};
		need(!pthread_create(&t[i].id, NULL, run_thread, &t[i]), "start a thread");
	}
	for (int i = 0; i < 2 * THREADS; i++) {
		pthread_join(t[i].id, NULL);
		bad += !t[i].good;
		sync_queue_close(t[i].q);
	}
	is(bad, 0, "threads with a handle each send and receive");
	for (int i = 0; i < THREADS * EACH; i++)
		bad += thread_seen[i] != 1;
	is(bad, 0, "every message once");
	is(count_fds(), fds_before, "and nothing is left of them");
	claim(is_alone(), "nor a thread");
	sync_queue_close(q);
}

int main(void)
{
	static void (*const tests[])(void) = {
		calls_leave_nothing, /* first: before anything can have been left */
		no_names,
		odd_names,
		long_names,
		bare_name,
		numbered,
		making,
		modes,
		geometry,
		over_limits,
		rights,
		directions,
		lengths,
		numbers,
		small_buffers,
		puts_back,
		puts_back_nothing,
		awaiting,
		priorities,
		selections,
		random_messages,
		other_programs,
		peeks,
		states,
		polls,
		waiting,
		receivers_in_line,
		senders_in_line,
		waits_leave_nothing,
		threads,
	};
	return run_queue_suite(tests, LENGTH(tests));
}
