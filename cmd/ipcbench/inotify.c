/* SPDX-License-Identifier: MIT */
/* A file that one side writes a byte to, and inotify(7), by which the other notices. */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "transport.h"

static int open_inotify(struct channel *c)
{
	char path[64];
	c->fd[SENDER] = nameless_file(c);
	if (c->fd[SENDER] < 0)
		return -1;
	c->fd[RECEIVER] = inotify_init1(IN_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd[SENDER]);
	if (c->fd[RECEIVER] < 0 || inotify_add_watch(c->fd[RECEIVER], path, IN_MODIFY) < 0)
		return refuse_errno(c, "watch a file", "see /proc/sys/fs/inotify");
	return 0;
}

static int post(struct channel *c, char *block, size_t n)
{
	(void)block, (void)n;
	return pwrite(c->fd[SENDER], "", 1, 0) < 0 ? -errno : 0;
}

static int wait_for(struct channel *c, char *block, size_t n)
{
	struct inotify_event one;
	(void)block, (void)n;
	return read(c->fd[RECEIVER], &one, sizeof(one)) < 0 ? -errno : 0;
}

const struct transport transport_inotify = {
	.about = "a write to a file, noticed by inotify(7)",
	.open = open_inotify,
	.send = post,
	.recv = wait_for,
};
