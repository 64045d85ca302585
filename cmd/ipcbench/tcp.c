/* SPDX-License-Identifier: MIT */
/* TCP over the loopback interface, without Nagle's delay. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"

static int open_tcp(struct channel *c)
{
	const int on = 1;
	int listener = bound_to_loopback(c, SOCK_STREAM);
	if (listener < 0)
		return -1;
	c->fd[2] = listener;
	c->fd[SENDER] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd[SENDER] < 0 || listen(listener, 1))
		return refuse_errno(c, "listen on 127.0.0.1", NULL);
	if (connect_to(c, c->fd[SENDER], listener))
		return -1;
	c->fd[RECEIVER] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd[RECEIVER] < 0)
		return refuse_errno(c, "accept a connection", NULL);
	for (int i = SENDER; i <= RECEIVER; i++)
		setsockopt(c->fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

const struct transport transport_tcp = {
	.about = "a stream over 127.0.0.1, TCP_NODELAY",
	.caps = CARRIES | BOTH_WAYS,
	.open = open_tcp,
	.send = mine_write_block,
	.recv = mine_read_block,
};
