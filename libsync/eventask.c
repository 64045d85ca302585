/* SPDX-License-Identifier: MIT */
/* The client's side of events that a holder keeps; eventhold.h tells how both sides talk. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counter.h"
#include "eventhold.h"

#define LONGEST_NAME 80 /* the address has 107 bytes for the prefix, a uid and this */

/* ---- addresses ---- */

int sync_hold_address(const char *name, struct sync_hold_address *out)
{
	const char *slash = strchr(name, '/');
	uint64_t uid = geteuid();
	if (slash && sync_name_number(name, (size_t)(slash - name), UINT32_MAX - 1, &uid))
		return -EINVAL;
	name = slash ? slash + 1 : name;
	int r = sync_name_check(name);
	if (!r && strlen(name) > LONGEST_NAME)
		r = -ENAMETOOLONG;
	if (r)
		return r;
	*out = (struct sync_hold_address){.sun.sun_family = AF_UNIX, .uid = (uid_t)uid};
	/* An abstract address begins with a NUL, and ends where its length says. */
	int n = snprintf(out->sun.sun_path + 1, sizeof(out->sun.sun_path) - 1,
			 SYNC_HOLD_PREFIX "%u/%s", (unsigned)uid, name);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return 0;
}

/* ---- the connection ---- */

int sync_poll(struct pollfd *fds, unsigned n, const struct timespec *deadline)
{
	struct timespec left;
	if (deadline)
		sync_deadline_left(deadline, &left);
	int ready = ppoll(fds, n, deadline ? &left : NULL, NULL);
	return ready < 0 ? -errno : ready;
}

short sync_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (ppoll(&p, 1, &sync_now, NULL) < 0 && errno == EINTR)
		; /* a signal ends it even though it does not wait */
	return p.revents;
}

/* connect(2) waits while too many others do; nothing but this bounds it. */
static void bound(int fd, const struct timespec *deadline)
{
	struct timespec left;
	if (!deadline)
		return;
	sync_deadline_left(deadline, &left);
	struct timeval tv = {.tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000};
	if (!tv.tv_sec && !tv.tv_usec)
		tv.tv_usec = 1; /* zero would be for ever */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int connect_to(int fd, const struct sync_hold_address *a)
{
	static const int yes = 1;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (connect(fd, (const struct sockaddr *)&a->sun, a->len))
		return errno == ECONNREFUSED ? -ENOENT : errno == EAGAIN ? -ETIMEDOUT : -errno;
	/* Not before: connect(2) would give us an address then. */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	/* Anybody can have bound this address. */
	return peer.uid == a->uid || peer.uid == 0 ? 0 : -EACCES;
}

int sync_hold_connect(const struct sync_hold_address *a, const struct timespec *deadline)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	bound(fd, deadline);
	int r = connect_to(fd, a);
	if (r)
		close(fd);
	return r ? r : fd;
}

/* What a holder has sent: */
struct reply {
	struct sync_hold_answer answer;
	pid_t pid;
	size_t count;
	int fds[4]; /* the kernel has room for two, and may fill up a gap that we left for others */
};

static void unpack(struct msghdr *msg, struct reply *r)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct ucred sender;
		size_t size = c->cmsg_len - CMSG_LEN(0);
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS && size <= sizeof(r->fds)) {
			memcpy(r->fds, CMSG_DATA(c), size);
			r->count = size / sizeof(int);
		} else if (c->cmsg_type == SCM_CREDENTIALS && size == sizeof(sender)) {
			memcpy(&sender, CMSG_DATA(c), sizeof(sender));
			r->pid = sender.pid;
		}
	}
}

/* It goes away while we ask: then it is as if we had come later. */
static bool is_gone(ssize_t n)
{
	return n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE));
}

/* Is it an answer, and a friendly one? N is its length. */
static int judge(const struct reply *reply, ssize_t n, const struct msghdr *msg)
{
	if (n != sizeof(reply->answer) || reply->answer.version != SYNC_HOLD_VERSION ||
	    reply->answer.status > 0)
		return -EPROTO;
	if (reply->answer.status)
		return reply->answer.status;
	if (reply->count == 2)
		return 0;
	return msg->msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO; /* no number is left for them */
}

static void drop(const struct reply *reply)
{
	for (size_t i = 0; i < reply->count; i++)
		if (reply->fds[i] >= 0)
			close(reply->fds[i]);
}

/* Receive the reply, with descriptors numbered 10 or above. */
static int hear(int sock, const struct timespec *deadline, struct reply *reply)
{
	struct sync_hold_control control;
	struct iovec io = {&reply->answer, sizeof(reply->answer)};
	struct msghdr msg = {.msg_iov = &io,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int ready = sync_poll(&p, 1, deadline);
	if (ready <= 0)
		return ready ? ready : -ETIMEDOUT;
	*reply = (struct reply){0};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return is_gone(n) ? -ENOENT : -errno;
	unpack(&msg, reply);
	int r = judge(reply, n, &msg);
	for (size_t i = 0; i < reply->count; i++) {
		reply->fds[i] = sync_fd_raise(reply->fds[i]);
		if (reply->fds[i] < 0 && !r)
			r = reply->fds[i];
	}
	if (r)
		drop(reply);
	return r;
}

/* Is it what it should be? */
static int check(const int *fds)
{
	struct sync_counter c;
	struct stat st;
	int r = sync_counter_look(fds[0], &c);
	if (r == -EOPNOTSUPP) /* no /proc; its holder is to be trusted */
		r = 0;
	if (!r && (fstat(fds[1], &st) || !S_ISFIFO(st.st_mode)))
		r = -EPROTO;
	return r == -EMEDIUMTYPE ? -EPROTO : r;
}

int sync_event_ask(struct sync_event *ev, const char *rest, const struct timespec *deadline)
{
	struct sync_hold_address a;
	struct reply reply;
	int r = sync_hold_address(rest, &a);
	if (r)
		return r;
	int sock = sync_hold_connect(&a, deadline);
	if (sock < 0)
		return sock;
	r = hear(sock, deadline, &reply);
	close(sock);
	if (r)
		return r;
	r = check(reply.fds);
	if (r) {
		drop(&reply);
		return r;
	}
	ev->fd = reply.fds[0];
	ev->life = reply.fds[1];
	ev->semaphore = reply.answer.semaphore;
	ev->mode = reply.answer.mode;
	ev->holder = reply.pid;
	ev->uid = a.uid;
	return 0;
}

int sync_event_life(int life)
{
	int ready = life < 0 ? 0 : sync_ready(life);
	return !ready ? 0 : ready & POLLIN ? -EIDRM : -EOWNERDEAD;
}

/* ---- remove ---- */

/* 0, or -ECONNRESET if there are so many clients that the holder forgot us: it may be asked again. */
static int dismiss(int sock, const struct timespec *deadline)
{
	static const char order = SYNC_HOLD_REMOVE;
	struct reply reply;
	ssize_t sent = send(sock, &order, 1, MSG_NOSIGNAL);
	if (sent < 0 && !is_gone(sent))
		return -errno;
	int r = hear(sock, deadline, &reply);
	if (r)
		return r == -ENOENT ? -ECONNRESET : r;
	struct pollfd p[2] = {{.fd = reply.fds[1], .events = POLLIN},
			      {.fd = sock, .events = POLLIN}};
	r = reply.answer.may_remove ? sync_poll(p, 2, deadline) : -EPERM;
	if (r >= 0)
		r = p[0].revents ? 0 : r ? -ECONNRESET : -ETIMEDOUT;
	drop(&reply);
	return r;
}

int sync_event_dismiss(const char *rest, const struct timespec *deadline)
{
	struct sync_hold_address a;
	int r = sync_hold_address(rest, &a);
	if (r)
		return r;
	for (bool asked = false;; asked = true) {
		int sock = sync_hold_connect(&a, deadline);
		if (sock < 0)
			return asked && sock == -ENOENT ? 0 : sock;
		r = dismiss(sock, deadline);
		close(sock);
		if (r != -ECONNRESET)
			return r;
	}
}

/* ---- list ---- */

struct list {
	struct sync_event_entry *entries;
	size_t count, room;
};

static int add(struct list *l, uid_t uid, const char *name)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct sync_event_entry *entries =
			reallocarray(l->entries, room, sizeof(*l->entries));
		if (!entries)
			return -ENOMEM;
		l->entries = entries;
		l->room = room;
	}
	struct sync_event_entry *e = &l->entries[l->count++];
	e->uid = uid;
	if (uid == geteuid())
		snprintf(e->name, sizeof(e->name), "%s", name);
	else
		snprintf(e->name, sizeof(e->name), "%u/%s", (unsigned)uid, name);
	return 0;
}

/* "Num: RefCount Protocol Flags Type St Inode @path"; a name may hold anything, if it is not ours. */
static bool parse(char *line, uid_t *uid, const char **name)
{
	const unsigned listens = 0x10000; /* __SO_ACCEPTCON */
	unsigned flags;
	unsigned type;
	unsigned owner;
	int at = 0;
	int slash = 0;
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*x %*x %x %x %*x %*u @" SYNC_HOLD_PREFIX "%n%10u/%n", &flags, &type,
		   &at, &owner, &slash) != 3 ||
	    !slash || !(flags & listens) || type != SOCK_SEQPACKET)
		return false;
	struct sync_hold_address a;
	*uid = (uid_t)owner;
	*name = line + slash;
	return !sync_hold_address(line + at, &a) && a.uid == *uid;
}

SYNC_API int sync_event_list(struct sync_event_entry **list, size_t *count)
{
	struct list l = {0};
	char *line = NULL;
	size_t size = 0;
	int r = 0;
	FILE *f = fopen("/proc/net/unix", "re");
	if (!f)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	while (!r && getline(&line, &size, f) > 0) {
		const char *name;
		uid_t uid;
		if (parse(line, &uid, &name) && (!geteuid() || uid == geteuid()))
			r = add(&l, uid, name);
	}
	if (!r && !feof(f))
		r = -errno;
	free(line);
	fclose(f);
	if (!r && !l.entries && !(l.entries = calloc(1, sizeof(*l.entries))))
		r = -ENOMEM;
	if (r) {
		free(l.entries);
		return r;
	}
	*list = l.entries;
	*count = l.count;
	return 0;
}
