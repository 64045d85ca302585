/* SPDX-License-Identifier: MIT */
/* Who attends a queue, and its end: a pipe's rule, with senders that end, are killed, or come late. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counts.h"
#include "forbid.h"
#include "libsync.h"
#include "tap.h"

static char name_a[64];
static char name_b[64];

static struct sync_queue *open_queue(const char *name, unsigned flags)
{
	struct sync_queue_opts opts = {
		.flags = flags | SYNC_QUEUE_CREATE,
		.capacity = 8,
		.size = 16,
	};
	struct sync_queue *q;
	int r = sync_queue_open(name, &opts, &q);
	if (r) {
		printf("Bail out! %s: %s\n", name, strerror(-r));
		exit(1);
	}
	return q;
}

/* A sender that attends, sends COUNT messages, says so through its pipe, and waits to be told to end. */
struct sender {
	pid_t pid;
	int orders, news;
};

#define RECEIVER (-1) /* not a COUNT: it receives */

static void be_sender(const char *name, int count, int orders, int news)
{
	char byte = 0;
	struct sync_queue *q =
		open_queue(name, count == RECEIVER ? SYNC_QUEUE_RECV : SYNC_QUEUE_SEND);
	if (sync_queue_attend(q, NULL))
		_exit(2);
	for (int i = 0; i < count; i++)
		if (sync_queue_send(q, &byte, 1, 0, NULL))
			_exit(3);
	if (write(news, &byte, 1) != 1 || read(orders, &byte, 1) < 0)
		_exit(4);
	_exit(0);
}

static struct sender start_sender(const char *name, int count)
{
	int orders[2];
	int news[2];
	char byte;
	struct sender s = {.pid = -1};
	if (pipe(orders) || pipe(news))
		return s;
	s.pid = fork();
	if (s.pid == 0) {
		close(orders[1]);
		close(news[0]);
		limit_time(60);
		be_sender(name, count, orders[0], news[1]);
	}
	close(orders[0]);
	close(news[1]);
	s.orders = orders[1];
	s.news = news[0];
	if (read(s.news, &byte, 1) != 1)
		printf("# a sender died\n");
	return s;
}

static void end_sender(struct sender *s, int signo)
{
	/* A word, not a close: later senders have the pipe, too. */
	if (signo)
		kill(s->pid, signo);
	else if (write(s->orders, "", 1) != 1)
		printf("# a sender does not listen\n");
	close(s->orders);
	close(s->news);
	waitpid(s->pid, NULL, 0);
}

static ssize_t next(struct sync_queue_watch *w, int ms)
{
	struct timespec deadline;
	sync_deadline_in((int64_t)ms * 1000000, &deadline);
	return sync_queue_watch_wait(w, ms ? &deadline : SYNC_NOW);
}

static bool take(struct sync_queue *q)
{
	char buf[16];
	return sync_queue_recv(q, buf, sizeof(buf), NULL, SYNC_NOW, NULL) >= 0;
}

static struct sync_queue_watch *watch(struct sync_queue **queues, size_t n, unsigned until)
{
	struct sync_queue_watch *w = NULL;
	ok(sync_queue_watch_open(queues, n, until, &w) == 0, "a watch is opened");
	return w;
}

/* A receiver may be busy for long before it asks again. */
static void unwatched_end(struct sync_queue *q)
{
	struct timespec deadline;
	struct sync_queue_watch *w = watch(&q, 1, SYNC_UNTIL_EOF);
	struct sender s = start_sender(name_a, 0);
	ok(next(w, 0) == -ETIMEDOUT, "a sender is there");
	end_sender(&s, 0);
	while (count_tasks(getpid()) > 1)
		sched_yield(); /* ok: until the thread that has seen the last sender go is gone */
	struct sync_queue *late = open_queue(name_a, SYNC_QUEUE_SEND);
	sync_deadline_in(INT64_C(5000000000), &deadline);
	ok(sync_queue_attend(late, &deadline) == 0,
	   "a sender need not wait until its end is asked for");
	sync_queue_close(late);
	sync_queue_watch_close(w);
}

static void end_of_senders(void)
{
	struct sync_queue *q = open_queue(name_a, SYNC_QUEUE_RECV);
	struct sync_queue_watch *w = watch(&q, 1, SYNC_UNTIL_EOF);
	ok(next(w, 0) == -ETIMEDOUT, "before the first sender there is no end");
	struct sender one = start_sender(name_a, 2);
	struct sender two = start_sender(name_a, 1);
	ok(next(w, 9000) == 0 && take(q), "a message is told of");
	ok(next(w, 9000) == 0 && take(q), "and the second");
	end_sender(&one, SIGKILL);
	ok(next(w, 9000) == 0 && take(q), "a killed sender's messages are there still");
	ok(next(w, 50) == -ETIMEDOUT, "one sender is left: no end");
	struct sender late = start_sender(name_a, 1);
	end_sender(&two, 0);
	ok(next(w, 9000) == 0 && take(q), "a late sender counts");
	ok(next(w, 50) == -ETIMEDOUT, "while it is there, no end");
	end_sender(&late, 0);
	ok(next(w, 9000) == -ENODATA, "the last sender has gone: the end");
	ok(next(w, 0) == -ENODATA, "which can be asked for again");
	late = start_sender(name_a, 1);
	ok(next(w, 9000) == 0 && take(q), "a new sender begins anew");
	ok(next(w, 0) == -ETIMEDOUT, "and is no end");
	end_sender(&late, SIGKILL);
	ok(next(w, 9000) == -ENODATA, "until it is killed");
	sync_queue_watch_close(w);

	w = watch(&q, 1, SYNC_UNTIL_EOF);
	struct sender silent = start_sender(name_a, 0);
	end_sender(&silent, 0);
	ok(next(w, 9000) == -ENODATA, "a sender that said nothing, and went, was a sender");
	sync_queue_watch_close(w);

	struct sender early = start_sender(name_a, 1);
	end_sender(&early, SIGKILL);
	w = watch(&q, 1, SYNC_UNTIL_EOF);
	ok(next(w, 9000) == 0 && take(q), "what was sent before the watch is received");
	ok(next(w, 9000) == -ENODATA, "then it is the end");
	sync_queue_watch_close(w);

	early = start_sender(name_a, 1);
	end_sender(&early, SIGKILL);
	w = watch(&q, 1, SYNC_UNTIL_EOF);
	ok(take(q) && next(w, 9000) == -ENODATA, "also for who takes it without asking first");
	sync_queue_watch_close(w);
	unwatched_end(q);
	sync_queue_unlink(q);
	sync_queue_close(q);
}

static void removal(void)
{
	struct sync_queue *q = open_queue(name_a, SYNC_QUEUE_RECV);
	struct sync_queue_watch *w = watch(&q, 1, SYNC_UNTIL_REMOVED);
	struct sender one = start_sender(name_a, 1);
	pid_t remover = fork();
	if (remover == 0)
		_exit(sync_queue_unlink(q) != 0);
	waitpid(remover, NULL, 0);
	ok(next(w, 9000) == 0 && take(q), "a removed queue gives what is in it");
	ok(next(w, 9000) == -ENODATA, "then it is the end, though a sender is there");
	end_sender(&one, 0);
	sync_queue_watch_close(w);
	sync_queue_close(q);

	q = open_queue(name_a, SYNC_QUEUE_RECV);
	w = watch(&q, 1, SYNC_UNTIL_REMOVED);
	remover = fork();
	if (remover == 0) {
		/* The parent sleeps by now, or will see it at once. */
		_exit(sync_queue_unlink(q) != 0);
	}
	ok(next(w, 9000) == -ENODATA, "removal wakes who waits");
	waitpid(remover, NULL, 0);
	sync_queue_watch_close(w);
	sync_queue_close(q);
}

static void several(void)
{
	struct sync_queue *q[] = {open_queue(name_a, SYNC_QUEUE_RECV),
				  open_queue(name_b, SYNC_QUEUE_RECV)};
	struct sync_queue_watch *w = watch(q, 2, SYNC_UNTIL_EOF);
	struct sender a = start_sender(name_a, 0);
	struct sender b = start_sender(name_b, 1);
	ok(next(w, 9000) == 1 && take(q[1]), "it is told which queue has a message");
	end_sender(&b, 0);
	ok(next(w, 50) == -ETIMEDOUT, "one queue is at its end, the other not");
	end_sender(&a, 0);
	ok(next(w, 9000) == -ENODATA, "now both are");
	sync_queue_watch_close(w);
	w = watch(q, 2, 0);
	ok(next(w, 20) == -ETIMEDOUT, "without an UNTIL there is no end");
	sync_queue_watch_close(w);
	for (int i = 0; i < 2; i++) {
		sync_queue_unlink(q[i]);
		sync_queue_close(q[i]);
	}
}

static void ignore(int signo)
{
	(void)signo;
}

/* CALL is interrupted again and again until it has returned. */
static int under_signals(int (*call)(void *arg), void *arg)
{
	static const struct itimerval none;
	static const struct itimerval storm = {{0, 5000}, {0, 5000}};
	struct sigaction sa = {.sa_handler = ignore};
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	int r = call(arg);
	setitimer(ITIMER_REAL, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	limit_time(60);
	return r;
}

static int wait_for_ever(void *w)
{
	return (int)sync_queue_watch_wait(w, NULL);
}

static int attend(void *q)
{
	return sync_queue_attend(q, NULL);
}

/*
 * A kernel that has no memory left for a lock on which somebody is to wait. In a process of its own, as the
 * filter stays; it answers with the errno.
 */
static void without_locks(struct sync_queue *full)
{
	static const char claim[] = "who cannot wait for the last receiver to go is told why";
	pid_t pid = fork();
	if (pid == 0) {
		struct sync_queue_watch *w = NULL;
		if (forbid_with(SYS_fcntl, 1, F_OFD_SETLKW, ENOLCK))
			_exit(ENOSYS);
		if (sync_queue_watch_open(&full, 1, SYNC_UNTIL_UNREAD, &w))
			_exit(1);
		_exit((int)-next(w, 9000));
	}
	int status = 0;
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS)
		tap_skip("no seccomp here", claim);
	else
		ok(WIFEXITED(status) && WEXITSTATUS(status) == ENOLCK, claim);
}

static void unread(void)
{
	if (under_memcheck()) {
		tap_skip(MEMCHECK_OFD, "an end when no receiver is left");
		return;
	}
	struct sync_queue *q = open_queue(name_a, SYNC_QUEUE_SEND);
	struct sync_queue *other = open_queue(name_a, SYNC_QUEUE_RECV);
	struct sync_queue_watch *w = NULL;
	ok(sync_queue_watch_open(&q, 1, SYNC_UNTIL_UNREAD | SYNC_UNTIL_EOF, &w) == -EINVAL &&
		   sync_queue_watch_open(&q, 1, SYNC_UNTIL_UNREAD | SYNC_UNTIL_REMOVED, &w) ==
			   -EINVAL,
	   "senders and receivers do not watch for the same ends");
	ok(sync_queue_watch_open(&other, 1, SYNC_UNTIL_UNREAD, &w) == -EBADF,
	   "who only receives cannot watch for receivers");
	w = watch(&q, 1, SYNC_UNTIL_UNREAD);
	ok(next(w, 0) == -ENODATA, "no receiver attends: the end, whatever room there is");
	struct sender one = start_sender(name_a, RECEIVER);
	ok(next(w, 0) == 0, "one does: there is room");
	while (sync_queue_send(q, "", 0, 0, SYNC_NOW) == 0)
		;
	ok(next(w, 50) == -ETIMEDOUT, "a full queue has none");
	ok(under_signals(wait_for_ever, w) == -EINTR, "a handler ends a wait without a deadline");
	without_locks(q);
	ok(sync_queue_has_receiver(q) == 1, "the receiver is seen all the while");
	struct sender two = start_sender(name_a, RECEIVER);
	end_sender(&one, SIGKILL);
	ok(next(w, 50) == -ETIMEDOUT, "a second comes, the first is killed: no end");
	ok(take(other) && next(w, 9000) == 0, "a message is taken: there is room");
	ok(sync_queue_send(q, "", 0, 0, SYNC_NOW) == 0, "for one");
	end_sender(&two, SIGKILL);
	ok(sync_queue_watch_wait(w, NULL) == -ENODATA, "the last one is killed: the end");
	ok(take(other) && next(w, 0) == -ENODATA, "room does not change that");
	two = start_sender(name_a, RECEIVER);
	ok(next(w, 0) == 0, "but a new receiver does");
	end_sender(&two, 0);
	ok(next(w, 9000) == -ENODATA, "until it goes");
	errno = 77;
	sync_queue_watch_close(w);
	sync_queue_watch_close(NULL);
	ok(errno == 77, "to stop watching leaves errno alone");
	sync_queue_unlink(q);
	sync_queue_close(other);
	sync_queue_close(q);
}

/* A sender that has waited for the last receiver to go has their byte locked for a moment. */
static void looks(void)
{
	struct flock moment = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
	struct sync_queue *q = open_queue(name_a, SYNC_QUEUE_SEND);
	struct sync_queue *sender = open_queue(name_a, SYNC_QUEUE_SEND);
	struct sync_queue *receiver = open_queue(name_a, SYNC_QUEUE_RECV);
	ok(fcntl(sync_queue_fd(sender), F_OFD_SETLK, &moment) == 0,
	   "a sender finds no receiver any more");
	ok(sync_queue_has_receiver(q) == 0, "that is no receiver");
	ok(sync_queue_await_receiver(q, SYNC_NOW) == -ETIMEDOUT, "nor for who waits for one");
	ok(sync_queue_attend(receiver, SYNC_NOW) == -ETIMEDOUT, "a receiver that has no time");
	if (under_memcheck()) {
		tap_skip(MEMCHECK_OFD, "or waits for that moment");
	} else {
		struct timespec soon;
		sync_deadline_in(30000000, &soon);
		ok(sync_queue_attend(receiver, &soon) == -ETIMEDOUT, "or little, or waits");
		ok(under_signals(attend, receiver) == -EINTR, "for that moment");
	}
	sync_queue_close(sender);
	ok(sync_queue_attend(receiver, NULL) == 0 && sync_queue_has_receiver(q) == 1,
	   "then it attends");
	sync_queue_unlink(q);
	sync_queue_close(receiver);
	sync_queue_close(q);
}

static void receivers(void)
{
	struct sync_queue *sender = open_queue(name_a, SYNC_QUEUE_SEND);
	struct sync_queue *receiver = open_queue(name_a, SYNC_QUEUE_RECV);
	ok(sync_queue_has_receiver(sender) == 0, "nobody receives");
	ok(sync_queue_attend(receiver, NULL) == 0, "a receiver attends");
	ok(sync_queue_has_receiver(sender) == 1, "and is seen");
	sync_queue_close(receiver);
	ok(sync_queue_has_receiver(sender) == 0, "no longer when it has closed the queue");
	sync_queue_unlink(sender);
	sync_queue_close(sender);

	struct sync_queue *other;
	struct sync_queue_opts opts = {.flags = SYNC_QUEUE_CREATE | SYNC_QUEUE_RECV};
	struct sync_queue_watch *w;
	snprintf(name_b, sizeof(name_b), "sysv:syncbox-att-%d", (int)getpid());
	if (sync_queue_open(name_b, &opts, &other)) {
		tap_skip("no System V queues here", "what cannot know says so");
		return;
	}
	ok(sync_queue_attend(other, NULL) == -EOPNOTSUPP &&
		   sync_queue_has_receiver(other) == -EOPNOTSUPP &&
		   sync_queue_watch_open(&other, 1, 0, &w) == -EOPNOTSUPP,
	   "what cannot know says so");
	sync_queue_unlink(other);
	sync_queue_close(other);
}

int main(void)
{
	limit_time(60);
	snprintf(name_a, sizeof(name_a), "posix:/syncbox-att-a%d", (int)getpid());
	snprintf(name_b, sizeof(name_b), "posix:/syncbox-att-b%d", (int)getpid());
	const int before = count_fds();
	end_of_senders();
	removal();
	several();
	unread();
	looks();
	receivers();
	ok(count_fds() == before, "no descriptor is left open");
	return tap_end();
}
