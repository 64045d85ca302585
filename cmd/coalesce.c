/* SPDX-License-Identifier: MIT */
/*
 * --coalesce: at most one runs and one waits.
 *
 * 1. Who wants to wait for the lock sets a mark on its file, and keeps it while it waits.
 * 2. It takes the mark off when it has the lock, and only then starts its command.
 * 3. Who finds the mark set therefore knows that the command of whoever has set it starts later than now.
 *
 * The kernel takes the mark off if its process ends in any way; then the next request sets it. All look at the mark
 * within the door, another mark, held for a moment: a record lock of somebody else on the whole file, which is no
 * sign of a run to come, keeps us at the door rather than be taken for the mark.
 */
#include "coalesce.h"
#include "mark.h"

static struct sync_lock *waits;

bool coalesce_begin(struct lockset *set, const struct sync_lock *lock)
{
	struct sync_lock *door = mark_open(set, lock, MARK_DOOR, "--coalesce");
	waits = mark_open(set, lock, MARK_COALESCE, "--coalesce");
	for (;;) {
		if (!mark_take(door, set->deadline))
			lockset_busy(set, lock);
		bool ours = mark_take(waits, SYNC_NOW);
		/* The file may have been replaced between the two. */
		if (!ours && sync_lock_check(door))
			continue;
		sync_lock_close(door);
		return ours;
	}
}

void coalesce_end(void)
{
	sync_lock_close(waits);
}
