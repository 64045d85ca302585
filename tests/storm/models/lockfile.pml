/* SPDX-License-Identifier: MIT */
/*
 * A lock file that is removed while it is held (lockrun --rm): its name, its inodes, who has which open.
 *
 * Modelled, in their order of steps: find_or_make(), sync_lockfile_check() and sync_lockfile_reopen()
 * (libsync/lockfile.c); take(), verify() and take_all() of one lock, sync_lock_unlink() (libsync/lock.c);
 * lockset_release() (cmd/lockset.c); the child that inherits the descriptor (cmd/lockrun.c). Inodes are used
 * again as soon as nobody has them open and no name leads to them. A job may leave a child behind
 * that keeps the descriptor.
 *
 * Claims: one job at a time; nobody but the holder removes the name; and when nothing can go on, everybody
 * has come to his end: no waiter is stuck (an invalid end state), none goes round for ever (pan -l).
 *
 * -DBROKEN=1 no look at the name after the lock was granted (as flock(1))
 * -DBROKEN=2 the name is removed after the unlock
 * -DBROKEN=3 the job does not inherit the descriptor (as flock -o)
 */
#ifndef CLIENTS
#define CLIENTS 3
#endif
#include "step.pml"

#define INODES (2 * CLIENTS + 1)

byte name;		/* the inode that the path leads to; 0: none */
byte lock[INODES + 1];	/* the description that holds the lock: its client's number */
byte opens[INODES + 1];	/* descriptions */
byte shares[CLIENTS + 1]; /* processes that have the description: the wrapper, its job */
byte file[CLIENTS + 1];	/* the inode of that */
bool begun[CLIENTS + 1], ended[CLIENTS + 1];
byte inside;

/* One process less has the client's description; with the last one goes the lock. */
inline close_share(c)
{
	shares[c]--;
	if
	:: shares[c] == 0 && lock[file[c]] == c -> lock[file[c]] = 0
	:: else
	fi;
	if
	:: shares[c] == 0 -> opens[file[c]]--
	:: else
	fi
}

/* O_CREAT | O_EXCL; the file system takes the first inode that is free. */
inline create(ino)
{
	if
	:: name != 0 -> ino = 0
	:: else ->
		ino = 1;
		do
		:: opens[ino] == 0 -> break
		:: else -> ino++
		od;
		assert(ino <= INODES);
		name = ino
	fi
}

proctype Wrapper(byte me)
{
	byte ino, old, seen;
	bool rm;

	if
	:: rm = true
	:: rm = false
	fi;
find:
	STEP(seen = name);
	if
	:: seen != 0 -> STEP(ino = name; opens[ino] = opens[ino] + (ino != 0 -> 1 : 0))
	:: else -> ino = 0
	fi;
	if
	:: ino == 0 ->
		STEP(create(ino); opens[ino] = opens[ino] + (ino != 0 -> 1 : 0));
		if
		:: ino == 0 -> goto find	/* EEXIST: somebody was faster */
		:: else
		fi
	:: else
	fi;
	atomic { file[me] = ino; shares[me] = 1 };
	if
	:: old != 0 -> STEP(opens[old]--; old = 0)
	:: else
	fi;
	STEP(lock[ino] == 0 -> lock[ino] = me);
#if BROKEN != 1
	STEP(seen = name);
	if
	:: seen != ino ->
		STEP(lock[ino] = 0);
		/* The old one stays open till there is a new one: so its inode is not used again. */
		atomic { shares[me] = 0; file[me] = 0; old = ino; ino = 0 };
		goto find
	:: else
	fi;
#endif
	/* The lock is ours: fork. */
#if BROKEN == 3
	STEP(begun[me] = true);
#else
	STEP(begun[me] = true; shares[me]++);
#endif
	STEP(ended[me]);
#if BROKEN == 2
	STEP(lock[ino] = 0);
#endif
	STEP(seen = name);
	if
	:: seen == ino && rm ->
		STEP(seen = name);
		if
		:: seen == ino -> STEP(assert(name == ino || BROKEN); name = 0)
		:: else
		fi
	:: else -> assert(seen == ino || BROKEN)	/* only the holder removes */
	fi;
	/* Taken from all who have inherited it. */
	STEP(if :: lock[ino] == me -> lock[ino] = 0 :: else fi);
killed:
	atomic {
		if
		:: old != 0 -> opens[old]--; old = 0
		:: else
		fi;
		if
		:: shares[me] != 0 -> close_share(me)
		:: else
		fi
	}
}

/* Being killed is just another way to end. What it leaves behind closes the descriptor at some time. */
proctype Job(byte me)
{
end:	atomic { begun[me] -> inside++; assert(inside == 1) };
	atomic { inside--; ended[me] = true };
#if BROKEN != 3
	atomic { close_share(me) }
#endif
}

init {
	byte i = 1;
	atomic {
		do
		:: i <= CLIENTS -> run Wrapper(i); run Job(i); i++
		:: else -> break
		od
	}
}
