/* SPDX-License-Identifier: MIT */
/* A pair of UNIX seqpacket sockets. */
#include <sys/socket.h>

#include "socket.h"

static int open_unix(struct channel *c)
{
	return open_pair(c, SOCK_SEQPACKET);
}

const struct transport transport_unix_seqpacket = {
	.about = "messages over a connection between UNIX sockets",
	.caps = CARRIES | BOUNDARIES | BOTH_WAYS,
	.open = open_unix,
	.send = mine_write_whole,
	.recv = mine_read_whole,
	.largest = largest_message,
};
