/* SPDX-License-Identifier: MIT */
/* A pseudo-terminal in raw mode: from the slave, where a program writes, to the master, where a terminal reads. */
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "transport.h"

static int open_pty(struct channel *c)
{
	char name[64];
	struct termios raw;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return refuse_errno(c, "open a pseudo-terminal", "is /dev/pts mounted?");
	c->fd[RECEIVER] = master;
	if (grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
		return refuse_errno(c, "unlock a pseudo-terminal", NULL);
	c->fd[SENDER] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->fd[SENDER] < 0 || tcgetattr(c->fd[SENDER], &raw))
		return refuse_errno(c, "open the slave of a pseudo-terminal", NULL);
	cfmakeraw(&raw);
	if (tcsetattr(c->fd[SENDER], TCSANOW, &raw))
		return refuse_errno(c, "make a pseudo-terminal raw", NULL);
	return 0;
}

const struct transport transport_pty = {
	.about = "a pseudo-terminal in raw mode",
	.caps = CARRIES | BOTH_WAYS,
	.open = open_pty,
	.send = mine_write_block,
	.recv = mine_read_block,
};
