/* SPDX-License-Identifier: MIT */
/*
 * For the contract tests of queues: names of their own, kids that carry out orders, and other
 * programs that use the same queue by mq_open(3) or msgget(2). The rest is that of the other tests.
 *
 * Tests name their queues by tags, as those of semaphores do. Queues are small here: a user has
 * 800 KiB of POSIX queues in all, also when many tests run at once.
 */
#ifndef TESTS_QUEUEUTIL_H
#define TESTS_QUEUEUTIL_H

#include <grp.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>

#include "semutil.h"

#define SMALL 64 /* bytes in a message of a test's queue */
#define FEW 4    /* messages in it */

static const char *const queue_backends[] = {
#define QUEUE_BACKEND(name) #name,
#include "backends.def"
};

/* ---- what other programs see ---- */

struct plain_message {
	long number;
	char text[8192];
};

/* Another program's way to a queue: what it takes, sends, or sees of the queue; -errno. */
struct plain {
	int (*recv)(const char *tag, struct plain_message *m);
	int (*send)(const char *tag, const struct plain_message *m, size_t len);
	int (*mode)(const char *tag);
};

static inline int posix_open(const char *tag, int flags)
{
	mqd_t q = mq_open(spell("/sb%d-%s", tag), flags | O_CLOEXEC);
	return q < 0 ? -errno : q;
}

static inline int posix_recv(const char *tag, struct plain_message *m)
{
	unsigned priority;
	int q = posix_open(tag, O_RDONLY | O_NONBLOCK);
	if (q < 0)
		return q;
	int n = (int)mq_receive(q, m->text, sizeof(m->text), &priority);
	n = n < 0 ? -errno : n;
	m->number = (long)priority;
	mq_close(q);
	return n;
}

static inline int posix_send(const char *tag, const struct plain_message *m, size_t len)
{
	int q = posix_open(tag, O_WRONLY | O_NONBLOCK);
	if (q < 0)
		return q;
	int r = mq_send(q, m->text, len, (unsigned)m->number) ? -errno : 0;
	mq_close(q);
	return r;
}

static inline int posix_mode(const char *tag)
{
	struct stat st;
	int q = posix_open(tag, O_RDONLY);
	if (q < 0)
		return q;
	int r = fstat(q, &st) ? -errno : (int)(st.st_mode & 07777);
	mq_close(q);
	return r;
}

static inline int sysv_id(const char *tag);

static inline int sysv_recv(const char *tag, struct plain_message *m)
{
	int n = (int)msgrcv(sysv_id(tag), m, sizeof(m->text), 0, IPC_NOWAIT);
	return n < 0 ? -errno : n;
}

static inline int sysv_send(const char *tag, const struct plain_message *m, size_t len)
{
	return msgsnd(sysv_id(tag), m, len, IPC_NOWAIT) ? -errno : 0;
}

static inline int sysv_mode(const char *tag)
{
	struct msqid_ds ds;
	return msgctl(sysv_id(tag), IPC_STAT, &ds) ? -errno : (int)(ds.msg_perm.mode & 0777);
}

/* ---- names ---- */

/* How to say it to each: all that is known here by the name of a scheme. */
static const struct dialect {
	const char *scheme;
	const char *name; /* of a test's queue: pid, tag */
	bool any_name;    /* other programs name them: no rule of ours but on slashes */
	bool keys;        /* there are 0xKEY and id=N */
	bool line;        /* senders on a full queue are served in the order in which they came */
	bool goes_on;     /* a removed queue is there for who has it */
	bool exact;       /* exactly so many messages, of exactly that size */
	unsigned longest; /* name, in characters */
	struct plain plain;
} dialects[] = {
	{.scheme = "posix",
	 .name = "posix:/sb%d-%s",
	 .any_name = true,
	 .line = true,
	 .goes_on = true,
	 .exact = true,
	 .longest = 255,
	 .plain = {posix_recv, posix_send, posix_mode}},
	{.scheme = "sysv",
	 .name = "sysv:sb%d-%s",
	 .keys = true,
	 .longest = 200,
	 .plain = {sysv_recv, sysv_send, sysv_mode}},
};

static const struct dialect *dialect;

static inline const char *queue_name(const char *tag)
{
	note_tag(tag);
	return spell(dialect->name, tag);
}

static inline int open_sized(const char *tag, unsigned flags, uint64_t capacity, uint64_t size,
			     struct sync_queue **out)
{
	struct sync_queue_opts opts = {.flags = flags, .capacity = capacity, .size = size};
	return sync_queue_open(queue_name(tag), &opts, out);
}

static inline int open_queue_tag(const char *tag, unsigned flags, struct sync_queue **out)
{
	return open_sized(tag, flags, FEW, SMALL, out);
}

#define BOTH (SYNC_QUEUE_SEND | SYNC_QUEUE_RECV)

static inline void remove_queues(void)
{
	for (size_t i = 0; i < tag_count; i++) {
		struct sync_queue *q;
		if (open_queue_tag(tags[i], SYNC_QUEUE_SEND, &q))
			continue;
		need(sync_queue_unlink(q) == 0, tags[i]);
		sync_queue_close(q);
	}
}

static inline void bail_queue(int error, const char *why)
{
	remove_queues();
	errno = -error;
	bail_out(why);
}

static inline struct sync_queue *get_queue(const char *tag, unsigned flags)
{
	struct sync_queue *q = NULL;
	int r = open_queue_tag(tag, flags, &q);
	if (r)
		bail_queue(r, queue_name(tag));
	return q;
}

static inline struct sync_queue *open_queue(const char *tag)
{
	return get_queue(tag, BOTH);
}

static inline struct sync_queue *make_queue(const char *tag)
{
	return get_queue(tag, BOTH | SYNC_QUEUE_CREATE);
}

static inline void unlink_queue(struct sync_queue *q)
{
	need(sync_queue_unlink(q) == 0, "remove it");
	sync_queue_close(q);
}

/* What somebody gets who opens it. */
static inline int look_for(const char *tag)
{
	struct sync_queue *q;
	int r = open_queue_tag(tag, SYNC_QUEUE_SEND, &q);
	if (!r)
		sync_queue_close(q);
	return r;
}

static inline struct sync_queue_state state_of(struct sync_queue *q)
{
	struct sync_queue_state state = {0};
	need(sync_queue_state(q, &state) == 0, "look at a queue");
	return state;
}

static inline int messages(struct sync_queue *q)
{
	return (int)state_of(q).messages;
}

/* Below /proc/sys. */
static inline uint64_t setting(const char *file)
{
	char path[128];
	char text[32];
	snprintf(path, sizeof(path), "/proc/sys/%s", file);
	return slurp(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

/* ---- small messages ---- */

/* The lowest number that a message can have; it is 1 where 0 means any. */
static inline long lowest(void)
{
	return caps & SYNC_CAP_PRIORITY ? 0 : 1;
}

/* MARK, as a message of SMALL bytes. */
static inline int send_mark(struct sync_queue *q, int mark, long number,
			    const struct timespec *deadline)
{
	char text[SMALL] = {0};
	memcpy(text, &mark, sizeof(mark));
	return sync_queue_send(q, text, sizeof(text), number, deadline);
}

/* A mark, or -errno. */
static inline int recv_mark(struct sync_queue *q, const struct sync_queue_want *want,
			    const struct timespec *deadline, long *number)
{
	char text[SMALL];
	int mark;
	ssize_t n = sync_queue_recv(q, text, sizeof(text), want, deadline, number);
	if (n != SMALL)
		return n < 0 ? (int)n : NO_ANSWER;
	memcpy(&mark, text, sizeof(mark));
	return mark;
}

static inline int try_recv(struct sync_queue *q)
{
	return recv_mark(q, NULL, SYNC_NOW, NULL);
}

static inline int try_send(struct sync_queue *q, int mark)
{
	return send_mark(q, mark, lowest(), SYNC_NOW);
}

/* With marks from 0 on; how many went in. */
static inline int fill(struct sync_queue *q)
{
	int n = 0;
	while (n < 1000 && try_send(q, n) == 0)
		n++;
	need(n == FEW, "fill a queue");
	return n;
}

/* Whatever is in it. */
static inline void empty(struct sync_queue *q)
{
	char text[8192];
	while (sync_queue_recv(q, text, sizeof(text), NULL, SYNC_NOW, NULL) >= 0)
		;
}

/*
 * Its number, for programs that do not know how we make a key of a name: of all queues, that in which
 * a message of ours turns up. There must be room, and no other message of that type.
 */
static inline int find_id(const char *tag)
{
	char line[512];
	int id = -1;
	struct sync_queue *q = open_queue(tag);
	need(sync_queue_send(q, "identify", 8, LONG_MAX, SYNC_NOW) == 0, "mark a queue");
	FILE *f = fopen("/proc/sysvipc/msg", "re");
	while (f && id < 0 && fgets(line, sizeof(line), f)) {
		struct plain_message m;
		int one;
		int pid;
		if (sscanf(line, "%*d %d %*o %*u %*u %d", &one, &pid) == 2 && pid == getpid() &&
		    msgrcv(one, &m, sizeof(m.text), LONG_MAX, IPC_NOWAIT) == 8)
			id = one;
	}
	if (f)
		fclose(f);
	sync_queue_close(q);
	return id;
}

static inline int sysv_id(const char *tag)
{
	static int known = -1;
	static const char *of;
	if (of != tag)
		known = find_id(tag);
	of = tag;
	return known;
}

/* ---- kids ---- */

struct q_order;
typedef int q_job(struct sync_queue **q, const struct q_order *o, const struct timespec *deadline);

struct q_order {
	q_job *job;
	const char *tag;
	unsigned flags;
	long number;        /* of what is sent or wanted; 0: the lowest, or any */
	int mark;           /* what is sent */
	int ms;             /* the deadline: from when the job starts */
	bool same_deadline; /* as the order before */
};

static inline void obey_queue(int sock)
{
	struct sync_queue *q = NULL;
	struct timespec room = {0};
	struct q_order o;
	ssize_t n;
	while ((n = recv(sock, &o, sizeof(o), 0)) == sizeof(o) || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		const struct timespec *deadline = o.same_deadline ? &room : in_ms(o.ms, &room);
		struct answer a = {.result = o.job(&q, &o, deadline)};
		a.late = deadline ? since(deadline) : 0;
		if (send(sock, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
	}
	_exit(0);
}

/* It dies with us, and does nothing else of ours. */
static inline pid_t fork_kid(void)
{
	pid_t parent = getpid();
	fflush(stdout);
	pid_t pid = fork();
	need(pid >= 0, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	return 0;
}

static inline struct kid start_queue_kid(void)
{
	int pair[2];
	pair_up(pair);
	pid_t pid = fork_kid();
	if (pid == 0) {
		close(pair[0]);
		obey_queue(pair[1]);
	}
	close(pair[1]);
	return (struct kid){pid, pair[0]};
}

static inline void order_queue(const struct kid *k, struct q_order o)
{
	if (o.tag)
		note_tag(o.tag);
	need(send(k->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o), "give an order");
}
#define ORDER(kid, ...) order_queue(kid, (struct q_order){.job = __VA_ARGS__})

static inline int query_queue(const struct kid *k, struct q_order o)
{
	order_queue(k, o);
	return heard(k);
}
#define QUERY(kid, ...) query_queue(kid, (struct q_order){.job = __VA_ARGS__})

#define QUEUE_JOB(name)                                                                            \
	static inline int name(__attribute__((unused)) struct sync_queue **q,                      \
			       __attribute__((unused)) const struct q_order *o,                    \
			       __attribute__((unused)) const struct timespec *deadline)

QUEUE_JOB(q_open)
{
	return open_queue_tag(o->tag, o->flags ? o->flags : BOTH, q);
}

QUEUE_JOB(q_recv)
{
	struct sync_queue_want want = {.number = o->number};
	return recv_mark(*q, &want, deadline, NULL);
}

QUEUE_JOB(q_send)
{
	return send_mark(*q, o->mark, o->number ? o->number : lowest(), deadline);
}

/* .mark is the interval of a storm of SIGALRMs in ms, or 0. */
QUEUE_JOB(q_handle)
{
	struct sigaction sa = {.sa_handler = count_signal};
	struct timeval step = {0, (suseconds_t)o->mark * 1000};
	struct itimerval storm = {step, step};
	return sigaction(SIGUSR1, &sa, NULL) || sigaction(SIGALRM, &sa, NULL) ||
	       setitimer(ITIMER_REAL, &storm, NULL);
}

/* From now on it has no privileges; nor is it our owner any more, if we are root. */
QUEUE_JOB(drop)
{
	if (geteuid())
		return 0;
	return setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	       setresuid(65534, 65534, 65534);
}

static inline struct kid queue_kid(const char *tag)
{
	struct kid k = start_queue_kid();
	need(QUERY(&k, q_open, .tag = tag) == 0, "open a queue in another process");
	return k;
}

/* Seen to be blocked when this returns. */
static inline struct kid kid_receiving(const char *tag, int ms)
{
	struct kid k = queue_kid(tag);
	ORDER(&k, q_recv, .ms = ms);
	need(seen_blocked(&k), "see it wait");
	return k;
}

static inline struct kid kid_sending(const char *tag, int mark, int ms)
{
	struct kid k = queue_kid(tag);
	ORDER(&k, q_send, .mark = mark, .ms = ms);
	need(seen_blocked(&k), "see it wait");
	return k;
}

/* ---- the suite ---- */

static inline bool queues_are_gone(void)
{
	bool gone = true;
	for (size_t i = 0; i < tag_count; i++)
		gone = gone && look_for(tags[i]) == -ENOENT;
	return gone;
}

static inline void give_up_queues(int signo)
{
	if (getpid() == tester)
		remove_queues();
	give_up(signo);
}

static inline bool find_dialect(void)
{
	for (size_t i = 0; i < LENGTH(dialects); i++) {
		dialect = &dialects[i];
		if (!strcmp(dialect->scheme, scheme))
			return true;
	}
	return false;
}

static inline int run_queue_suite(void (*const *tests)(void), size_t n)
{
	/* Of a library that crashes, too; sanitizers have handlers of their own for the rest. */
	static const int fatal[] = {SIGALRM, SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGABRT};
	umask(022);
	tester = getpid();
	for (size_t i = 0; i < LENGTH(fatal); i++)
		signal(fatal[i], give_up_queues);
	limit_time(240);
	for (size_t i = 0; i < LENGTH(queue_backends); i++) {
		scheme = queue_backends[i];
		if (!find_dialect()) {
			printf("Bail out! %s: how are names spelled?\n", scheme);
			return 1;
		}
		struct sync_queue *q = make_queue("caps");
		caps = sync_queue_caps(q);
		unlink_queue(q);
		int before_all = count_fds();
		for (size_t t = 0; t < n; t++)
			tests[t]();
		is(count_fds(), before_all, "no descriptor is left open");
		claim(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left");
		remove_queues();
		claim(queues_are_gone(), "all queues can be removed");
		tag_count = 0;
	}
	return tap_end();
}

#endif
