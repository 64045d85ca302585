/* SPDX-License-Identifier: MIT */
/* What the sockets have in common. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"

int open_pair(struct channel *c, int type)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, c->fd))
		return refuse_errno(c, "make a pair of sockets", NULL);
	return 0;
}

/* The kernel counts 32 bytes of its own against the send buffer, of which it grants twice what is asked for. */
size_t largest_message(void)
{
	int size = 0;
	socklen_t len = sizeof(size);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len);
	close(fd);
	return size > 32 ? (size_t)size - 32 : 0;
}

int bound_to_loopback(struct channel *c, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse_errno(c, "make a socket", NULL);
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	refuse_errno(c, "use 127.0.0.1", "is the loopback interface up?");
	close(fd);
	return -1;
}

int connect_to(struct channel *c, int fd, int to)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	if (getsockname(to, (struct sockaddr *)&a, &len) || connect(fd, (struct sockaddr *)&a, len))
		return refuse_errno(c, "connect over 127.0.0.1", "is the loopback interface up?");
	return 0;
}
