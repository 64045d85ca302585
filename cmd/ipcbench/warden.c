/* SPDX-License-Identifier: MIT */
/*
 * A System V queue or set of semaphores has no owner whose death it would notice, and to mark it for removal
 * is to end its use. So:
 *
 * 1. A process that no Ctrl-C and no kill of our process group reaches makes the object and tells its number.
 * 2. All that use it, we and both sides, hold the writing end of a pipe that this process reads.
 * 3. The pipe ends when the last of us closes it or dies: then the warden removes the object.
 * 4. If somebody kills the warden, we remove it ourselves, in the end.
 *
 * What can still leave an object behind: a kill of the warden between its making and its telling, or a kill of
 * the warden and of us.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "warden.h"

struct news {
	int id, error;
};

/* Only the two pipes of ours stay open, so that we keep nobody's end of anything else. */
__attribute__((noreturn)) static void watch(int tell, int tie, int (*make)(void),
					    void (*remove)(int id))
{
	char nothing;
	struct news n;
	dup2(tie, 0);
	dup2(tell, 1);
	child_close_inherited();
	n.id = make();
	n.error = n.id < 0 ? errno : 0;
	if (write(1, &n, sizeof(n)) < 0 || n.id < 0)
		nothing =
			0; /* we end below: nobody has the other end any more, or closes it at once */
	while (read(0, &nothing, 1) < 0 && errno == EINTR)
		;
	if (n.id >= 0)
		remove(n.id);
	_exit(0);
}

int warden_start(struct channel *c, const char *what, int (*make)(void), void (*remove)(int id))
{
	int tell[2];
	int tie[2];
	struct news n = {.id = -1, .error = EPIPE};
	if (pipe2(tell, O_CLOEXEC))
		return refuse_errno(c, "make a pipe", NULL);
	if (pipe2(tie, O_CLOEXEC)) {
		close(tell[0]);
		close(tell[1]);
		return refuse_errno(c, "make a pipe", NULL);
	}
	c->warden = child_detach();
	if (c->warden == 0)
		watch(tell[1], tie[0], make, remove);
	int err = c->warden < 0 ? -c->warden : 0;
	close(tell[1]);
	close(tie[0]);
	c->tie = tie[1];
	if (!err && read_block(tell[0], (char *)&n, sizeof(n)) == 0)
		err = n.error;
	else if (!err)
		err = EPIPE;
	close(tell[0]);
	c->id = err ? -1 : n.id;
	errno = err;
	return err ? refuse_errno(c, what, err == ENOSPC ? "ipcs -l shows the limits" : NULL) : 0;
}

void warden_end(struct channel *c, void (*remove)(int id))
{
	if (c->tie < 0)
		return;
	close(c->tie);
	c->tie = -1;
	if (c->warden > 0 && child_join(c->warden) != 0 && c->id >= 0)
		remove(c->id);
	c->warden = 0;
}
