/* SPDX-License-Identifier: MIT */
/*
 * How a process reaches an event that a holder keeps.
 *
 * 1. The holder listens at an abstract UNIX address that is made of its uid and the event's name. The
 *    kernel frees that with the last descriptor of the socket, whatever ends the holder.
 * 2. A client connects, and sees by SO_PEERCRED whose socket it is: one of another user is a squatter's.
 * 3. The holder accepts, sees by SO_PEERCRED who asks, and answers at once: with a refusal, or with two
 *    descriptors, the eventfd and the reading end of its life line. It never waits for a client.
 * 4. The life line is a pipe that only the holder can write to. It hangs up when the holder is no more;
 *    a byte is put into it, for nobody to read, before the holder goes on purpose.
 * 5. A client closes the connection then. One that is the holder's own user, or root, may instead (or
 *    before) send SYNC_HOLD_REMOVE, and the holder goes.
 *
 * 6. Of others, who may use it by its mode, so many at a time are served, and so many wait for that; the rest
 *    is refused. So they cannot shut out the holder's own user, even if they never read their answers.
 *
 * So a holder's descriptors and memory do not grow with its clients.
 */
#ifndef LIBSYNC_EVENTHOLD_H
#define LIBSYNC_EVENTHOLD_H

#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"

#define SYNC_HOLD_PREFIX "libsync-event/"
#define SYNC_HOLD_VERSION 1
#define SYNC_HOLD_REMOVE 'r'

/* What the holder answers; with status 0 the two descriptors come along. */
struct sync_hold_answer {
	int32_t version;
	int32_t status; /* 0 or -errno */
	int32_t semaphore;
	int32_t may_remove;
	uint32_t mode;
};

/*
 * Room for what comes along: the descriptors, and the credentials of who answers, which need not be those
 * of who listened first.
 */
struct sync_hold_control {
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(2 * sizeof(int)) +
					   CMSG_SPACE(sizeof(struct ucred))];
};

struct sync_hold_address {
	struct sockaddr_un sun;
	socklen_t len;
	uid_t uid; /* whose event it is */
};

/* NAME or UID/NAME, without a scheme. -EINVAL; -ENAMETOOLONG over 80 characters. */
MUST_CHECK int sync_hold_address(const char *name, struct sync_hold_address *out);

/* Connect. The socket, or -ENOENT; -EACCES it is a squatter's; -ETIMEDOUT; -EINTR. */
MUST_CHECK int sync_hold_connect(const struct sync_hold_address *a,
				 const struct timespec *deadline);

#endif
