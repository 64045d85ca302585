/* SPDX-License-Identifier: MIT */
/*
 * UDP over the loopback interface. What the receiver has no room for is dropped without a word, so whoever wants
 * all of it needs a flow control of his own:
 *
 * 1. The sender has credit for as many datagrams as surely fit into the receiver's buffer.
 * 2. For every half of them the receiver sends an empty datagram back, on the same socket.
 * 3. Without credit the sender waits for one.
 *
 * That is paid for in each figure of udp. A datagram that is lost all the same is missed after ten seconds.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "socket.h"

/* A datagram is charged with the memory it lies in: up to twice its size, and its descriptors. */
static uint64_t fitting(int fd, size_t size)
{
	int room = 0;
	socklen_t len = sizeof(room);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &len);
	uint64_t n = (uint64_t)room / 2 / (2 * size + 1024);
	return n > 2 ? n : 1;
}

static int open_udp(struct channel *c)
{
	const struct timeval patience = {.tv_sec = 10};
	for (int i = SENDER; i <= RECEIVER; i++) {
		c->fd[i] = bound_to_loopback(c, SOCK_DGRAM);
		if (c->fd[i] < 0)
			return -1;
		setsockopt(c->fd[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	}
	if (connect_to(c, c->fd[SENDER], c->fd[RECEIVER]) ||
	    connect_to(c, c->fd[RECEIVER], c->fd[SENDER]))
		return -1;
	c->depth = fitting(c->fd[RECEIVER], c->size);
	return 0;
}

/* ETIME: to be told from what else EAGAIN means. */
static int missed(void)
{
	return errno == EAGAIN ? -ETIME : -errno;
}

static uint64_t half(const struct channel *c)
{
	return c->depth > 1 ? c->depth / 2 : 1;
}

/* Both directions can be in use, but not at the same time: then there is credit without being given. */
static int send_udp(struct channel *c, char *block, size_t n)
{
	if (c->sent - c->received >= c->depth) {
		if (recv(c->mine, block, 0, MSG_TRUNC) < 0)
			return missed();
		c->received += half(c);
	}
	c->sent++;
	return write_whole(c->mine, block, n);
}

static int recv_udp(struct channel *c, char *block, size_t n)
{
	ssize_t k = recv(c->mine, block, n, 0);
	if (k < 0)
		return missed();
	if ((size_t)k != n)
		return -EBADMSG;
	if (++c->received % half(c) == 0 && send(c->mine, block, 0, 0) < 0)
		return -errno;
	return 0;
}

static size_t largest_udp(void)
{
	return 65535 - 20 - 8;
}

const struct transport transport_udp = {
	.about = "datagrams over 127.0.0.1, with a flow control of ours",
	.caps = CARRIES | BOUNDARIES,
	.open = open_udp,
	.send = send_udp,
	.recv = recv_udp,
	.largest = largest_udp,
};
