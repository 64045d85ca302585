/* SPDX-License-Identifier: MIT */
/* A pair of UNIX dgram sockets. */
#include <sys/socket.h>

#include "socket.h"

static int open_unix(struct channel *c)
{
	return open_pair(c, SOCK_DGRAM);
}

const struct transport transport_unix_dgram = {
	.about = "messages between UNIX sockets",
	.caps = CARRIES | BOUNDARIES | BOTH_WAYS,
	.open = open_unix,
	.send = mine_write_whole,
	.recv = mine_read_whole,
	.largest = largest_message,
};
