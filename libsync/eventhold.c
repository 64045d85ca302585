/* SPDX-License-Identifier: MIT */
/* The holder's side of an event with a name; eventhold.h tells how both sides talk. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "counter.h"
#include "eventhold.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#define BACKLOG 4096 /* or net.core.somaxconn */
#define HEARD 64     /* connections that may yet ask for the removal */
#define SERVED 128   /* connections of others that have an answer, which they may not have read */
#define WAITING 128  /* connections of others that have none yet */
#define RETRY_MS 100

enum { LISTENER, UNTIL, FIRST, POLLS = FIRST + HEARD + SERVED + WAITING };

/*
 * Who has connected. Descriptors that were sent and not received count for our user, who may have no more of
 * them than RLIMIT_NOFILE: then none can be sent to anybody. So of those who are not our user or root only
 * so many are served at a time, and as each hangs up when it has read its answer, the next one is.
 */
enum client { OURS, OTHER_SERVED, OTHER_WAITING, CLIENTS };

struct sync_event_holder {
	int fd;
	int life[2];
	int spare; /* given up for a moment, to accept and refuse when there are no descriptors */
	mode_t mode;
	int semaphore;
	unsigned clients; /* connections that are kept, in polls from FIRST on, the oldest first */
	unsigned count[CLIENTS], most[CLIENTS];
	struct pollfd polls[POLLS];
	unsigned char client[POLLS];
};

/* ---- make ---- */

static int bind_to(int sock, const struct sync_hold_address *a)
{
	if (!bind(sock, (const struct sockaddr *)&a->sun, a->len))
		return listen(sock, BACKLOG) ? -errno : 0;
	if (errno != EADDRINUSE)
		return -errno;
	/* Only to tell a squatter from a holder: if there is neither by now, there was one. */
	int other = sync_hold_connect(a, SYNC_NOW);
	if (other >= 0)
		close(other);
	return other == -EACCES ? -EACCES : -EEXIST;
}

static int listen_at(struct sync_event_holder *h, const struct sync_hold_address *a)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	sock = sync_fd_raise(sock);
	if (sock < 0)
		return sock;
	h->polls[LISTENER].fd = sock;
	return bind_to(sock, a);
}

static int copy(int fd)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	return new >= 0 ? new : errno == EINVAL ? -EMFILE : -errno;
}

/* The counter: that of opts.event, or a new one. */
static int get_counter(struct sync_event_holder *h, const struct sync_event_opts *opts)
{
	unsigned semaphore = opts->flags & SYNC_EVENT_SEMAPHORE ? SYNC_COUNTER_SEMAPHORE : 0;
	h->semaphore = opts->event ? opts->event->semaphore : !!semaphore;
	if (opts->event)
		h->fd = copy(opts->event->fd);
	else
		h->fd = sync_counter_new(opts->initial, SYNC_COUNTER_NONBLOCK | semaphore);
	return h->fd < 0 ? h->fd : 0;
}

static int get_line(struct sync_event_holder *h)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	fcntl(ends[1], F_SETPIPE_SZ, 4096); /* of what pipes one user may have in all */
	for (int i = 0; i < 2; i++)
		h->life[i] = sync_fd_raise(ends[i]);
	h->spare = copy(h->fd);
	return h->life[0] < 0 || h->life[1] < 0 || h->spare < 0 ? -EMFILE : 0;
}

/* A quarter of our descriptors is for others, and of those that may be on their way: two go with an answer. */
static void set_bounds(struct sync_event_holder *h)
{
	struct rlimit files;
	unsigned share = SERVED;
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur / 8 < share)
		share = (unsigned)files.rlim_cur / 8;
	h->most[OURS] = HEARD;
	h->most[OTHER_SERVED] = h->most[OTHER_WAITING] = share ? share : 1;
}

static bool is_mode(mode_t mode)
{
	return mode == 0600 || mode == 0660 || mode == 0666;
}

static void hang_up(struct pollfd *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void forget(struct sync_event_holder *h, unsigned i)
{
	hang_up(&h->polls[i]);
	h->count[h->client[i]]--;
	h->clients--;
	unsigned behind = FIRST + h->clients - i;
	memmove(&h->polls[i], &h->polls[i + 1], behind * sizeof(h->polls[0]));
	memmove(&h->client[i], &h->client[i + 1], behind * sizeof(h->client[0]));
}

/* The oldest of that kind; FIRST + h->clients: there is none. */
static unsigned first_of(const struct sync_event_holder *h, enum client kind)
{
	unsigned i = FIRST;
	while (i < FIRST + h->clients && h->client[i] != kind)
		i++;
	return i;
}

static void forget_all(struct sync_event_holder *h, enum client kind)
{
	while (h->count[kind])
		forget(h, first_of(h, kind));
}

static void free_holder(struct sync_event_holder *h)
{
	const int fds[] = {h->fd, h->life[0], h->life[1], h->spare};
	for (int kind = 0; kind < CLIENTS; kind++)
		forget_all(h, kind);
	hang_up(&h->polls[LISTENER]);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(h);
}

/* The scheme may be given. */
static const char *without_scheme(const char *name)
{
	return strncmp(name, "holder:", 7) ? name : name + 7;
}

SYNC_API int sync_event_holder_open(const char *name, const struct sync_event_opts *opts,
				    struct sync_event_holder **out)
{
	static const struct sync_event_opts defaults;
	struct sync_hold_address a;
	opts = opts ? opts : &defaults;
	int r = sync_hold_address(without_scheme(name), &a);
	if (r)
		return r;
	if (opts->mode && !is_mode(opts->mode))
		return -EINVAL;
	if (a.uid != geteuid() && geteuid() != 0)
		return -EPERM;
	struct sync_event_holder *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->fd = h->life[0] = h->life[1] = h->spare = -1;
	set_bounds(h);
	h->mode = opts->mode ? opts->mode : 0600;
	h->polls[LISTENER] = h->polls[UNTIL] = (struct pollfd){.fd = -1, .events = POLLIN};
	/* The name comes last: who can see it is answered in full. */
	r = get_counter(h, opts);
	if (!r)
		r = get_line(h);
	if (!r)
		r = listen_at(h, &a);
	if (r)
		free_holder(h);
	else
		*out = h;
	return r;
}

/* ---- who asks ---- */

/* SO_PEERCRED knows one group of the client; it may be in others. */
static bool is_in_group(int sock, gid_t gid)
{
	gid_t few[64];
	gid_t *list = few;
	socklen_t len = sizeof(few);
	bool found = false;
	int r = getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, list, &len);
	if (r && errno == ERANGE) {
		list = malloc(len);
		r = list ? getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, list, &len) : -1;
	}
	for (size_t i = 0; !r && i < len / sizeof(*list); i++)
		found = found || list[i] == gid;
	if (list != few)
		free(list);
	return found;
}

static bool is_owner(const struct ucred *peer)
{
	return peer->uid == geteuid() || peer->uid == 0;
}

static bool may_open(const struct sync_event_holder *h, int sock, const struct ucred *peer)
{
	if (is_owner(peer) || h->mode & 06)
		return true;
	return h->mode & 060 && (peer->gid == getegid() || is_in_group(sock, getegid()));
}

/* ---- answer ---- */

static void fill(struct cmsghdr *c, int type, const void *data, size_t size)
{
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
}

/* A client that does not receive is no trouble: the socket is new, there is room for one message. */
static bool send_answer(int sock, const struct sync_hold_answer *answer, const int *fds)
{
	struct sync_hold_control control = {0};
	struct ucred self = {.pid = getpid(), .uid = geteuid(), .gid = getegid()};
	struct iovec io = {(void *)answer, sizeof(*answer)};
	struct msghdr msg = {.msg_iov = &io, .msg_iovlen = 1};
	if (fds) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		fill(c, SCM_RIGHTS, fds, 2 * sizeof(int));
		fill(CMSG_NXTHDR(&msg, c), SCM_CREDENTIALS, &self, sizeof(self));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*answer);
}

static void refuse(int sock, int status)
{
	struct sync_hold_answer answer = {.version = SYNC_HOLD_VERSION, .status = status};
	(void)send_answer(sock, &answer, NULL); /* nobody there to hear it? then not */
}

static void keep(struct sync_event_holder *h, int sock, enum client kind)
{
	/* Others can say nothing that is of interest but that they hang up, which is told in any case. */
	h->polls[FIRST + h->clients] =
		(struct pollfd){.fd = sock, .events = kind == OURS ? POLLIN : 0};
	h->client[FIRST + h->clients++] = kind;
	h->count[kind]++;
}

/* True: SOCK has its answer, with the descriptors; else it was refused. */
static bool serve(const struct sync_event_holder *h, int sock, bool may_remove)
{
	const struct sync_hold_answer answer = {.version = SYNC_HOLD_VERSION,
						.semaphore = h->semaphore,
						.may_remove = may_remove,
						.mode = h->mode};
	const int fds[2] = {h->fd, h->life[0]};
	bool done = send_answer(sock, &answer, fds);
	if (!done)
		refuse(sock, -errno); /* ETOOMANYREFS */
	return done;
}

/* At the cost of the oldest, which had its answer long ago. False: SOCK is not kept. */
static bool answer_ours(struct sync_event_holder *h, int sock)
{
	if (!serve(h, sock, true))
		return false;
	if (h->count[OURS] == h->most[OURS])
		forget(h, first_of(h, OURS));
	keep(h, sock, OURS);
	return true;
}

static bool answer_other(struct sync_event_holder *h, int sock)
{
	if (h->count[OTHER_SERVED] < h->most[OTHER_SERVED]) {
		if (!serve(h, sock, false))
			return false;
		keep(h, sock, OTHER_SERVED);
		return true;
	}
	if (h->count[OTHER_WAITING] == h->most[OTHER_WAITING]) {
		refuse(sock, -EUSERS);
		return false;
	}
	keep(h, sock, OTHER_WAITING);
	return true;
}

/* Those who waited for others to hang up. */
static void answer_waiting(struct sync_event_holder *h)
{
	while (h->count[OTHER_WAITING] && h->count[OTHER_SERVED] < h->most[OTHER_SERVED]) {
		unsigned i = first_of(h, OTHER_WAITING);
		if (!serve(h, h->polls[i].fd, false)) {
			forget(h, i);
			continue;
		}
		h->client[i] = OTHER_SERVED;
		h->count[OTHER_WAITING]--;
		h->count[OTHER_SERVED]++;
	}
}

/* SOCK is kept, or closed. */
static void answer_to(struct sync_event_holder *h, int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	bool is_kept = false;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) || !may_open(h, sock, &peer))
		refuse(sock, -EACCES);
	else
		is_kept = is_owner(&peer) ? answer_ours(h, sock) : answer_other(h, sock);
	if (!is_kept)
		close(sock);
}

/* No descriptors are left in this process, or in the system. False: nothing can be done now. */
static bool accept_without_room(struct sync_event_holder *h)
{
	int listener = h->polls[LISTENER].fd;
	forget_all(h, OURS);
	int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0) {
		answer_to(h, sock);
		return true;
	}
	if (h->spare >= 0)
		close(h->spare);
	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0) {
		refuse(sock, -EUSERS);
		close(sock);
	}
	h->spare = copy(h->fd);
	return sock >= 0;
}

/* False: leave the listener alone for a moment. */
static bool admit(struct sync_event_holder *h)
{
	int sock = accept4(h->polls[LISTENER].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0)
		answer_to(h, sock);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		return accept_without_room(h);
	return true;
}

/* ---- serve ---- */

/* Does it ask for the removal? */
static bool asks(int sock)
{
	char order[2];
	return recv(sock, order, 2, MSG_DONTWAIT) == 1 && order[0] == SYNC_HOLD_REMOVE;
}

/* Does somebody of ours ask for the removal? Whatever else they send, and that they hang up, is their end. */
static bool is_to_go(struct sync_event_holder *h)
{
	for (unsigned i = FIRST + h->clients; i-- > FIRST;) {
		if (!h->polls[i].revents)
			continue;
		if (h->client[i] == OURS && asks(h->polls[i].fd))
			return true;
		forget(h, i);
	}
	return false;
}

/* First the name is free, then all are told; who asked for it is not hung up on before. */
static void say_goodbye(struct sync_event_holder *h)
{
	if (h->polls[LISTENER].fd < 0)
		return;
	hang_up(&h->polls[LISTENER]);
	ssize_t n = write(h->life[1], "", 1);
	(void)n;
}

/* Until when to wait: DEADLINE, or if the listener is left alone, for a moment at most. */
static const struct timespec *earlier(const struct timespec *deadline, struct timespec *moment)
{
	struct timespec left;
	sync_deadline_in(RETRY_MS * INT64_C(1000000), moment);
	if (!deadline)
		return moment;
	if (!sync_deadline_left(deadline, &left))
		return deadline;
	return left.tv_sec || left.tv_nsec > RETRY_MS * 1000000L ? moment : deadline;
}

/* SYNC_NOT_NOW: go on. */
static int turn(struct sync_event_holder *h, bool *admits, const struct timespec *deadline)
{
	struct timespec moment;
	struct pollfd *p = h->polls;
	p[LISTENER].events = *admits ? POLLIN : 0;
	/* Not all the places: poll(2) refuses more than RLIMIT_NOFILE, even if they are empty. */
	int n = sync_poll(p, FIRST + h->clients, *admits ? deadline : earlier(deadline, &moment));
	if (n < 0)
		return n;
	if (is_to_go(h)) {
		say_goodbye(h);
		return 0;
	}
	answer_waiting(h);
	if (p[UNTIL].fd >= 0 && p[UNTIL].revents)
		return -ESRCH;
	*admits = !p[LISTENER].revents || admit(h);
	return sync_deadline_passed(deadline) ? -ETIMEDOUT : SYNC_NOT_NOW;
}

SYNC_API int sync_event_holder_serve(struct sync_event_holder *h, int until,
				     const struct timespec *deadline)
{
	bool admits = true;
	int r = SYNC_NOT_NOW;
	if (h->polls[LISTENER].fd < 0)
		return 0;
	h->polls[UNTIL].fd = until;
	while (r == SYNC_NOT_NOW)
		r = turn(h, &admits, deadline);
	h->polls[UNTIL].fd = -1;
	return r;
}

SYNC_API void sync_event_holder_close(struct sync_event_holder *h)
{
	if (!h)
		return;
	int saved = errno;
	say_goodbye(h);
	free_holder(h);
	errno = saved;
}
