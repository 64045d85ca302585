/* SPDX-License-Identifier: MIT */
/*
 * A pool of SIZE permits: locks on the bytes QUEUE, GATE and WAITS and one for each slot, FIFOs that hang up,
 * and threads that wait for the lock of a slot whose FIFO nobody has open.
 *
 * Modelled, in their order of steps: hunt(), stand_in_line(), collect(), look_at_size(), wait_for_slot(),
 * watch_slots(), take_over(), settle(), leave_line(), give_back(), pool_release() (libsync/sem_pool.c);
 * sync_poolwatch_begin(), _slot(), _sleep(), _turned(), _won(), _end() (poolwatch.c); the threads (probe.c);
 * sync_poolfile_fifo(), _drop_fifo(), _resize() and the turn (poolfile.c). So is what the kernel does: it drops
 * all locks of a description at once, with the last process that has it, and makes one lock of neighbours; who
 * is killed closes his descriptors in any order; whom the kernel wakes may be passed by others.
 *
 * Who takes permits waits, or tries once; wants one or WANT; gives them back by their numbers, or by ending; and may
 * leave an heir behind that keeps the descriptors, for ever even. The first may also make the pool larger.
 *
 * Not modelled: the removal of the file, descriptors that are borrowed (hand_over()), and that GATE is not waited for longer
 * than a second by who tries.
 *
 * Claims: permits in use are never more than SIZE; who tries does not pass one who waits; and when nothing can
 * go on, GATE is free, the line has a head if anybody is in it, and there are fewer permits free than it wants.
 *
 * -DBROKEN=1 what has no FIFO is not waited for by a thread
 * -DBROKEN=2 GATE is let go before WAITS is marked
 * -DBROKEN=3 the turn is made after the slots are given back, so that a kill in between makes it fail to come
 * -DBROKEN=4 what a thread has won counts, and is taken over, without GATE
 * -DBROKEN=5 the FIFO of a slot that is given back is not dropped, nor is there a turn
 */
#ifndef CLIENTS
#define CLIENTS 3
#endif
#ifndef SIZE
#define SIZE 2
#endif
#ifndef WANT
#define WANT 2
#endif
#ifndef HEIRS
#define HEIRS CLIENTS	/* that many of them may leave an heir */
#endif
#ifndef TRIES
#define TRIES 0		/* that many of them try once, the others wait */
#endif
#ifndef GIVES_UP
#define GIVES_UP 0	/* a head may end its wait */
#endif
#ifndef GROWS
#define GROWS 0		/* the pool begins with a permit less, and is resized */
#endif
#include "step.pml"

/* Descriptions: that of client C is C + 1, that of its threads is C + 1 + CLIENTS. */
#define OURS	(me + 1)
#define THEIRS	(me + 1 + CLIENTS)
#define FIFOS	(CLIENTS + 1)	/* so many does a slot have, one after the other */

byte size = SIZE - GROWS;
byte queue, gate, waits;	/* who has the lock; 0: nobody */
byte slot[SIZE];
byte named[SIZE];		/* which of its FIFOs the name leads to */
byte writers[SIZE * FIFOS];
byte turners;			/* have the turn open for writing */
bool turned[CLIENTS];		/* it was, since this one opened it for reading */
bool has_turn[CLIENTS];
bool thread[CLIENTS * SIZE], won[CLIENTS * SIZE];
byte fifo[CLIENTS * SIZE];	/* open for writing, plus 1 */
bool open[CLIENTS];		/* the description */
bool gone[CLIENTS], heir[CLIENTS];

/* For the claims. */
byte in_use, uses[CLIENTS];
byte wants[CLIENTS];		/* of who is in line; 0: it is not, or only tries */
bool asleep[CLIENTS];

#define at(s)		(me * SIZE + (s))
#define hung_up(s)	(watch[s] && writers[(s) * FIFOS + watch[s] - 1] == 0)
#define turn_made	(turned[me] && turners == 0)

#if SIZE == 1
#define any(p)	(p(0))
#define EACH(x)	i = 0; x
#define got_of(c)	(slot[0] == (c) + 1)
#define free_slots	(size > 0 && slot[0] == 0)
#elif SIZE == 2
#define any(p)	(p(0) || p(1))
#define got_of(c)	((slot[0] == (c) + 1) + (slot[1] == (c) + 1))
#define free_slots	((size > 0 && slot[0] == 0) + (size > 1 && slot[1] == 0))
#else
#define any(p)	(p(0) || p(1) || p(2))
#define got_of(c)	((slot[0] == (c) + 1) + (slot[1] == (c) + 1) + (slot[2] == (c) + 1))
#define free_slots	((size > 0 && slot[0] == 0) + (size > 1 && slot[1] == 0) + (size > 2 && slot[2] == 0))
#endif
#define is_won(s)	(won[at(s)])
#define awake		(any(hung_up) || any(is_won) || turn_made)

/* All threads end; what they have won goes back. */
inline end_threads()
{
	i = 0;
	do
	:: i < SIZE ->
		if
		:: won[at(i)] -> slot[i] = 0; won[at(i)] = false
		:: else
		fi;
		thread[at(i)] = false;
		i++
	:: else -> break
	od;
	i = 0
}

/* sync_poolwatch_end() */
inline end_watch()
{
	end_threads();
	do
	:: i < SIZE -> watch[i] = 0; i++
	:: else -> break
	od;
	i = 0;
	has_turn[me] = false;
	turned[me] = false
}

/* The last process has closed the description. */
inline drop_locks()
{
	if :: queue == OURS -> queue = 0 :: else fi;
	if :: gate == OURS -> gate = 0 :: else fi;
	if :: waits == OURS -> waits = 0 :: else fi;
	i = 0;
	do
	:: i < SIZE ->
		if
		:: slot[i] == OURS -> slot[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline close_fifo(s)
{
	writers[(s) * FIFOS + fifo[at(s)] - 1]--;
	fifo[at(s)] = 0
}

/* The last who has the client's descriptors is gone: the kernel closes them, in any order. */
inline close_all()
{
	do
	:: atomic { open[me] -> open[me] = false; drop_locks() }
	:: atomic { fifo[at(0)] -> close_fifo(0) }
#if SIZE > 1
	:: atomic { fifo[at(1)] -> close_fifo(1) }
#endif
#if SIZE > 2
	:: atomic { fifo[at(2)] -> close_fifo(2) }
#endif
	:: else -> break
	od
}

/* The turn is opened for writing: whoever has it open for reading hears when it is closed. */
inline open_turn()
{
	turners++;
	i = 0;
	do
	:: i < CLIENTS -> turned[i] = has_turn[i]; i++
	:: else -> break
	od;
	i = 0
}

/* collect(): under GATE, lowest first. */
inline collect()
{
	s = 0;
	do
	:: s < limit && got < want ->
		if
		:: mine[s]
		:: else ->
			STEP(if
			:: slot[s] == 0 -> slot[s] = OURS; mine[s] = true; got++
			:: else
			fi)
		fi;
		s++
	:: else -> break
	od;
	s = 0
}

proctype Client(byte me)
{
	byte want, got, limit, s, i, seen;
	bool try, behind, leave, turning, last, begun, mine[SIZE], wrote[SIZE];
	byte watch[SIZE];	/* the FIFO, plus 1; 0: not watched */

	if
	:: want = 1
	:: want = WANT
	fi;
	if
	:: me >= CLIENTS - TRIES -> try = true
	:: me < CLIENTS - TRIES -> wants[me] = want
	:: GROWS && me == 0 -> goto resize
	fi;

	/* stand_in_line() */
	if
	:: !try -> STEP(queue == 0 -> queue = OURS)
	:: try -> STEP(if :: queue == 0 -> queue = OURS :: else -> behind = true fi)
	fi;
	STEP(gate == 0 -> gate = OURS);
	if
	:: behind -> STEP(seen = waits)
	:: else
	fi;
	if
	:: behind && seen != 0 -> goto leave_line
	:: else
	fi;
	STEP(limit = size);
	if
	:: limit && want > limit -> wants[me] = 0; goto leave_line
	:: else
	fi;
again:
	collect();
	if
	:: got == want -> goto settle
	:: else
	fi;
	if
	:: try -> goto give_back
	:: else
	fi;

	/* wait_for_slot() */
	if
	:: !begun ->
		begun = true;
		STEP(has_turn[me] = true; turned[me] = turners > 0);
		STEP(limit = size)
	:: else
	fi;
	s = 0;
	do
	:: s < limit ->
		if
		:: mine[s] || watch[s] -> goto next
		:: else
		fi;
		/* Held by one lock with the slot before it: then that tells of both. */
		if
		:: s > 0 ->
			STEP(seen = (slot[s] != 0 && slot[s] == slot[s - 1] && slot[s] != OURS));
			if
			:: seen -> goto next
			:: else
			fi
		:: else
		fi;
		STEP(seen = named[s]);
		STEP(if
		:: writers[s * FIFOS + seen] != 0 -> watch[s] = seen + 1
		:: else	/* end of file */
		fi);
		if
		:: !watch[s] ->
#if BROKEN != 1
			STEP(thread[at(s)] = true)
#else
			skip
#endif
		:: else
		fi;
next:		seen = 0;
		s++
	:: else -> break
	od;
	s = 0;
	collect();
	if
	:: got == want -> goto settle
	:: else
	fi;
#if BROKEN == 2
	STEP(gate = 0);
	STEP(waits = OURS; asleep[me] = true);
#else
	STEP(waits = OURS);
	STEP(gate = 0; asleep[me] = true);
#endif
	/* The poll; a FIFO that has hung up is closed. */
	if
	:: GIVES_UP -> asleep[me] = false; wants[me] = 0; goto give_back	/* without GATE */
	:: true
	fi;
	STEP(awake ->
		asleep[me] = false;
		turning = turn_made;
		i = 0;
		do
		:: i < SIZE ->
			if
			:: hung_up(i) -> watch[i] = 0
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0);
#if BROKEN != 4
	STEP(gate == 0 -> gate = OURS);
#endif
	do
	:: s < SIZE ->
		if
		:: won[at(s)] ->
			STEP(thread[at(s)] = false; slot[s] = 0; won[at(s)] = false);
#if BROKEN == 4
			if
			:: got < want && s < limit && !mine[s] -> mine[s] = true; got++	/* it was won, so it is ours */
			:: else
			fi
#else
			if
			:: got < want && s < limit && !mine[s] ->
				STEP(if :: slot[s] == 0 -> slot[s] = OURS; mine[s] = true; got++ :: else fi)
			:: else
			fi
#endif
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0;
#if BROKEN == 4
	STEP(gate == 0 -> gate = OURS);
#endif
	if
	:: turning ->
		turning = false;
		STEP(turned[me] = turners > 0;
			do
			:: i < SIZE -> watch[i] = 0; i++
			:: else -> break
			od;
			i = 0);
		STEP(limit = size)
	:: else
	fi;
	goto again;

settle:
	/* An exec that follows may end the threads instead. */
	if
	:: begun ->
		if
		:: leave = true
		:: STEP(end_watch())
		fi
	:: else
	fi;
	atomic {
		uses[me] = want;
		in_use = in_use + want;
		assert(in_use <= SIZE);
		assert(!try || waits == 0);	/* nobody is passed */
		wants[me] = 0
	};
	s = 0;
	do
	:: s < SIZE ->
		if
		:: mine[s] ->
			if
			:: STEP(writers[s * FIFOS + named[s]]++; fifo[at(s)] = named[s] + 1; wrote[s] = true)
			:: true	/* there cannot be one */
			fi
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0;
	STEP(queue = (queue == OURS -> 0 : queue); gate = (gate == OURS -> 0 : gate);
		waits = (waits == OURS -> 0 : waits));
	if
	:: leave -> STEP(end_watch())
	:: else
	fi;

	/* The job. */
	if
	:: me < HEIRS -> STEP(heir[me] = true)
	:: true
	fi;
	if
	:: goto killed		/* it ends */
	:: true			/* its permits are given back by their numbers */
	fi;
	/* pool_release() */
#if BROKEN != 3 && BROKEN != 5
	STEP(open_turn(); turning = true);
#endif
	s = SIZE;
	do
	:: s > 0 ->
		s--;
		if
		:: mine[s] ->
#if BROKEN != 5
			STEP(named[s]++);
#endif
			STEP(slot[s] = 0; mine[s] = false; in_use--; uses[me]--)
		:: else
		fi
	:: else -> break
	od;
	do
	:: s < SIZE ->
		if
		:: wrote[s] -> STEP(if :: !heir[me] -> close_fifo(s) :: else fi)
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0;
#if BROKEN == 3
	STEP(open_turn(); turning = true);
#endif
#if BROKEN != 5
	STEP(turners--; turning = false);
#endif
	goto killed;

resize:
	STEP(open_turn(); turning = true);
	STEP(size = SIZE);
	STEP(turners--; turning = false);
	goto killed;

give_back:
	s = SIZE;
	do
	:: s > 0 ->
		s--;
		if
		:: mine[s] -> STEP(slot[s] = 0; mine[s] = false; got--)
		:: else
		fi
	:: else -> break
	od;
leave_line:
	STEP(queue = (queue == OURS -> 0 : queue); gate = (gate == OURS -> 0 : gate);
		waits = (waits == OURS -> 0 : waits));
killed:
	atomic {
		gone[me] = true;
		wants[me] = 0;
		asleep[me] = false;
		want = 0; got = 0; limit = 0; seen = 0; s = 0; i = 0;
		do
		:: i < SIZE -> mine[i] = false; wrote[i] = false; i++
		:: else -> break
		od;
		i = 0;
		try = false; behind = false; leave = false; begun = false;
		last = !heir[me];
		if
		:: last -> in_use = in_use - uses[me]; uses[me] = 0
		:: else
		fi
	};
	do
	:: atomic { has_turn[me] -> end_watch() }
	:: atomic { turning -> turners--; turning = false }
	:: last -> close_all(); last = false
	:: else -> break
	od
}

/* It has inherited the descriptors, and keeps them: till it ends, or for ever. */
proctype Heir(byte me)
{
	byte i;
	bool last;

	atomic {
		heir[me] ->
		if
		:: goto for_ever
		:: true
		fi
	};
	atomic {
		heir[me] = false;
		last = gone[me];
		if
		:: last -> in_use = in_use - uses[me]; uses[me] = 0
		:: else -> goto done
		fi
	};
	close_all();
	goto done;
for_ever:
	false;
done:
	skip
}

/* The threads of a client, and the kernel that wakes them. */
proctype Threads(byte me)
{
	do
	:: atomic { thread[at(0)] && !won[at(0)] && slot[0] == 0 -> slot[0] = THEIRS; won[at(0)] = true }
#if SIZE > 1
	:: atomic { thread[at(1)] && !won[at(1)] && slot[1] == 0 -> slot[1] = THEIRS; won[at(1)] = true }
#endif
#if SIZE > 2
	:: atomic { thread[at(2)] && !won[at(2)] && slot[2] == 0 -> slot[2] = THEIRS; won[at(2)] = true }
#endif
	od
}

/* When nothing can go on. Some sleep by right: for what an heir keeps for ever. */
proctype Judge()
{
	byte c;

	timeout;
	assert(gate == 0);
	assert(queue == 0 || asleep[queue - 1]);
	do
	:: c < CLIENTS ->
		assert(gone[c] || (wants[c] && queue != 0));	/* a head that is asleep, and who is behind it */
		assert(!asleep[c] || free_slots + got_of(c) < wants[c]);
		c++
	:: else -> break
	od
}

init {
	byte c;
	atomic {
		run Judge();
		do
		:: c < CLIENTS ->
			open[c] = true;
			run Client(c);
			run Threads(c);
			if
			:: c < HEIRS -> run Heir(c)
			:: else
			fi;
			c++
		:: else -> break
		od
	}
}
