/* SPDX-License-Identifier: MIT */
/*
 * Taking from a jobserver. Signals are blocked, but for the time of the wait; there they are caught. So
 * from before the first token is read to after the last is written none can kill us.
 */
#include "child.h"
#include "semopen.h"
#include "served.h"
#include "stop.h"

void served_begin(void)
{
	child_hold_signals();
	stop_catch();
	stop_catch_second(); /* make passes on what the terminal has sent already */
	child_let_go();
}

bool served_end(struct sync_sem *sem, int r)
{
	child_hold_signals();
	stop_forget();
	if (!stop_wanted())
		return false;
	r = r ? 0 : sync_sem_release(sem);
	if (r)
		semfail("give back to", sem, 0, r);
	return true;
}

void served_die(void)
{
	child_let_go();
	stop_end();
}
