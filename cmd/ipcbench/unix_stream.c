/* SPDX-License-Identifier: MIT */
/* A pair of UNIX stream sockets. */
#include <sys/socket.h>

#include "socket.h"

static int open_unix(struct channel *c)
{
	return open_pair(c, SOCK_STREAM);
}

const struct transport transport_unix_stream = {
	.about = "a stream between UNIX sockets",
	.caps = CARRIES | BOTH_WAYS,
	.open = open_unix,
	.send = mine_write_block,
	.recv = mine_read_block,
};
