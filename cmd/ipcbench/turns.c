/* SPDX-License-Identifier: MIT */
/*
 * A channel made of two locks. The sender always holds one of them: the one that the receiver wants next.
 *
 * 1. send: take the other lock, which is free; then give this one back.
 * 2. recv: take the lock, which waits for step 1; give it back; want the other from now on.
 *
 * So each message costs each side a lock and an unlock, and the receiver a wake-up. The other lock is free in
 * step 1 only if the receiver is done with the last message: as it is when both take turns. If it is not, the
 * sender waits, which does no harm.
 */
#include "turns.h"

int turns_begin(struct channel *c, enum side side, turns_lock *take)
{
	return side == SENDER ? take(c, 0) : 0;
}

int turns_send(struct channel *c, turns_lock *take, turns_lock *give)
{
	int r = take(c, (int)((c->sent + 1) & 1));
	if (r)
		return r;
	return give(c, (int)(c->sent++ & 1));
}

int turns_recv(struct channel *c, turns_lock *take, turns_lock *give)
{
	int r = take(c, (int)(c->received & 1));
	if (r)
		return r;
	return give(c, (int)(c->received++ & 1));
}
