/* SPDX-License-Identifier: MIT */
/* Netlink between two processes, as NETLINK_USERSOCK allows everybody. Who sends to a full socket waits. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport.h"

/* As <linux/netlink.h> has it, which Debian's musl-gcc does not find. */
struct address {
	sa_family_t family;
	uint16_t padding;
	uint32_t port, groups;
};
enum { USERSOCK = 2 };

/* Bound to an address that the kernel chooses: *PORT. */
static int bound(uint32_t *port)
{
	struct address a = {.family = AF_NETLINK};
	socklen_t len = sizeof(a);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, USERSOCK);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(fd, (struct sockaddr *)&a, &len)) {
		close(fd);
		return -1;
	}
	*port = a.port;
	return fd;
}

static int open_netlink(struct channel *c)
{
	struct address to[2] = {{.family = AF_NETLINK}, {.family = AF_NETLINK}};
	for (int i = SENDER; i <= RECEIVER; i++) {
		c->fd[i] = bound(&to[i].port);
		if (c->fd[i] < 0)
			return refuse_errno(c, "make a netlink socket", NULL);
	}
	for (int i = SENDER; i <= RECEIVER; i++)
		if (connect(c->fd[i], (struct sockaddr *)&to[!i], sizeof(to[0])))
			return refuse_errno(c, "connect a netlink socket", NULL);
	return 0;
}

/* Half of what the receiver has room for, or the message would be refused. */
static size_t largest_netlink(void)
{
	int room = 0;
	socklen_t len = sizeof(room);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, USERSOCK);
	if (fd < 0)
		return CHANNEL_LARGEST; /* open() will say why */
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &len);
	close(fd);
	return room > 64 ? (size_t)room - 64 : 0;
}

const struct transport transport_netlink = {
	.about = "messages between netlink sockets, NETLINK_USERSOCK",
	.caps = CARRIES | BOUNDARIES | BOTH_WAYS,
	.open = open_netlink,
	.send = mine_write_whole,
	.recv = mine_read_whole,
	.largest = largest_netlink,
};
