/* SPDX-License-Identifier: MIT */
/*
 * The ledger of debts beside a POSIX semaphore: who takes a permit, writes it down, runs a job with it, gives it
 * back, and is killed anywhere; and who waits, settles what the dead have left, and sleeps while threads watch.
 *
 * Modelled, in their order of steps: claim(), open_debt(), sync_escrow_take(), sync_escrow_give(),
 * settle_locked(), sync_escrow_settle() (libsync/escrow.c); the watcher and its probes, sync_escrow_wait(),
 * wait_as_head() (escrow_watch.c); attempt(), wait_guarded(), wait_in_line(), sleep_until_taken()
 * (sem_posix.c); take, add, wake and sleep (glibcsem.c). With OTHERS somebody who knows no ledger has a permit, and
 * posts it; he is not killed between his post and its wake-up, which no ledger could mend.
 *
 * Claims: never more jobs than PERMITS; no permit is given back that is not out (none is invented); a permit of the dead
 * is lost only where the manual says so, in state TAKING or GIVING; and when nothing can go on, nobody sleeps
 * while a permit is free or owed by somebody who is gone.
 *
 * -DBROKEN=1 HOLDING is written before the permit is taken
 * -DBROKEN=2 who settles does not write GIVING first
 * -DBROKEN=3 the watcher is told of a debt only after the permit was taken
 * -DBROKEN=4 who settles wakes nobody but for a permit that it has given back itself
 * -DBROKEN=5 the watcher wakes nobody for a permit that is free when it has looked
 */
#ifndef CLIENTS
#define CLIENTS 3
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef OTHERS
#define OTHERS 0
#endif
#include "step.pml"

#define DEBTS CLIENTS

#define FREE	0
#define CLAIMED	1
#define TAKING	2
#define HOLDING	3
#define GIVING	4

/* Descriptions: the ledger's that the job inherits, and the other one, of who stands in line. */
#define OURS	(me + 1)
#define PEER	(me + 1 + CLIENTS)

byte value = PERMITS - OTHERS, waiters;
bool sleeping;			/* the head, on the semaphore */
byte queue;
byte state[DEBTS], lock[DEBTS];
byte head;			/* its number plus 1 while it has threads */
bool stopping;			/* they are to end */
bool news;			/* since the watcher has looked last */
byte probe[DEBTS];		/* 0 there is none, 1 it has something to do, 2 it is done */
bool watcher;			/* it runs */
byte shares[CLIENTS];		/* processes that have the description */
bool begun[CLIENTS], ended[CLIENTS];

/* For the claims. */
byte inside;
bool has[CLIENTS];		/* a permit is out for it */
byte debtor[DEBTS];
bool gone[CLIENTS], in_line[CLIENTS];

/* What threads do they do only while their process lives. */
#define LIVE(x)	if :: atomic { head == who -> x } :: atomic { head != who -> goto dead } fi

#if CLIENTS == 2
#define no_threads	(!watcher && probe[0] != 1 && probe[1] != 1)
#define has_slot(c)	((state[0] >= TAKING && debtor[0] == c) || (state[1] >= TAKING && debtor[1] == c))
#else
#define no_threads	(!watcher && probe[0] != 1 && probe[1] != 1 && probe[2] != 1)
#define has_slot(c)	((state[0] >= TAKING && debtor[0] == c) || (state[1] >= TAKING && debtor[1] == c) || \
			 (state[2] >= TAKING && debtor[2] == c))
#endif

inline wake()
{
	if
	:: waiters > 0 -> sleeping = false
	:: else
	fi
}

#if BROKEN == 2
#define MARK	old = state[j]
#else
#define MARK	old = state[j]; if :: old == HOLDING -> state[j] = GIVING :: else fi
#endif
#if BROKEN == 4
#define WAKE	if :: old == HOLDING -> wake() :: else fi
#else
#define WAKE	wake()
#endif

/* settle_locked(), of slot j; DO is STEP or LIVE. */
#define SETTLE(DO) \
	DO(MARK); \
	if \
	:: old == HOLDING -> \
		DO(assert(has[debtor[j]]); has[debtor[j]] = false; value++); \
		DO(state[j] = FREE) \
	:: old == CLAIMED -> DO(state[j] = FREE) \
	:: else \
	fi; \
	DO(WAKE)

/* One process less has the description. */
inline close_share()
{
	shares[me]--;
	j = 0;
	do
	:: j < DEBTS ->
		if
		:: shares[me] == 0 && lock[j] == OURS -> lock[j] = 0
		:: else
		fi;
		j++
	:: else -> break
	od;
	j = 0
}

proctype Client(byte me)
{
	byte i, j, old, seen;
	bool waits, slept;

attempt:
	STEP(seen = value);
	if
	:: seen == 0 -> goto none
	:: else
	fi;
	/* claim() */
	i = 0;
	do
	:: i < DEBTS ->
		STEP(seen = state[i]);
		if
		:: seen == FREE ->
			STEP(seen = (lock[i] == 0); lock[i] = (seen -> OURS : lock[i]));
			if
			:: seen ->
				STEP(seen = (state[i] == FREE);
					if
					:: seen -> state[i] = CLAIMED; debtor[i] = me
					:: else
					fi);
				if
				:: seen -> break
				:: else -> STEP(lock[i] = 0)
				fi
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> goto killed	/* EUSERS: no slot is free */
	od;
#if BROKEN != 3
	STEP(news = true);
#endif
#if BROKEN == 1
	STEP(state[i] = HOLDING);
#else
	STEP(state[i] = TAKING);
#endif
	STEP(seen = (value > 0);
		if
		:: seen -> value--; has[me] = true
		:: else
		fi);
	if
	:: seen ->
		STEP(state[i] = HOLDING);
#if BROKEN == 3
		STEP(news = true);
#endif
		goto taken
	:: else ->
		STEP(state[i] = FREE);
		STEP(lock[i] = 0)
	fi;

none:
	if
	:: slept -> goto sleep
	:: waits -> goto watch
	:: else
	fi;
	/* wait_in_line() */
	waits = true;
	in_line[me] = true;
	STEP(queue == 0 -> queue = PEER);
	j = 0;
	do
	:: j < DEBTS ->
		STEP(seen = state[j]);
		if
		:: seen != FREE ->
			STEP(seen = (lock[j] == 0); lock[j] = (seen -> PEER : lock[j]));
			if
			:: seen ->
				SETTLE(STEP);
				STEP(lock[j] = 0)
			:: else
			fi
		:: else
		fi;
		j++
	:: else -> break
	od;
	j = 0;
	goto attempt;
watch:
	STEP(head = OURS; watcher = true);
	STEP(waiters++);
	slept = true;
sleep:
	STEP(sleeping = (value == 0));
	STEP(!sleeping);
	goto attempt;

taken:
	if
	:: slept ->
		STEP(waiters--);
		STEP(stopping = true);
		STEP(no_threads -> stopping = false; head = 0)
	:: else
	fi;
	if
	:: waits -> STEP(queue = 0; in_line[me] = false)
	:: else
	fi;
	STEP(begun[me] = true; shares[me]++);
	STEP(ended[me]);
	/* sync_escrow_give(): the slot is locked by our own description. */
	j = i;
	SETTLE(STEP);
	STEP(lock[i] = 0);
killed:
	/* All threads are gone before the first descriptor is closed. */
	atomic {
		if
		:: head == OURS ->
			head = 0;
			stopping = false;
			sleeping = false;
			watcher = false;
			j = 0;
			do
			:: j < DEBTS -> probe[j] = 0; j++
			:: else -> break
			od
		:: else
		fi;
		seen = 0; old = 0; i = 0; j = 0;
		waits = false; slept = false
	};
	atomic { close_share() };
	atomic {
		if :: queue == PEER -> queue = 0 :: else fi;
		do
		:: j < DEBTS ->
			if
			:: lock[j] == PEER -> lock[j] = 0
			:: else
			fi;
			j++
		:: else -> break
		od;
		j = 0;
		in_line[me] = false;
		gone[me] = true
	}
}

/* What a client runs; a kill is another way to end. */
proctype Job(byte me)
{
	byte j;

	atomic { begun[me] -> inside++; assert(inside <= PERMITS) };
	atomic { inside--; close_share(); ended[me] = true }
}

/* The head's thread that looks for new debts. */
proctype Watcher()
{
	byte j, old, seen, who;

	do
	:: atomic { head != 0 && watcher -> who = head };
again:
		LIVE(news = false);
		j = 0;
		do
		:: j < DEBTS ->
			LIVE(seen = state[j]);
			if
			:: seen != FREE ->
				/* Not while its probe has something to do: locks of one description do not conflict. */
				LIVE(seen = (probe[j] == 1));
				if
				:: !seen ->
					LIVE(probe[j] = 0; seen = (lock[j] == 0);
						lock[j] = (seen -> head + CLIENTS : lock[j]));
					if
					:: seen ->
						SETTLE(LIVE);
						LIVE(lock[j] = 0)
					:: else -> LIVE(probe[j] = 1)
					fi
				:: else
				fi
			:: else
			fi;
			j++
		:: else -> break
		od;
		j = 0;
#if BROKEN != 5
		/* What was free again when we looked may have been given by one who was killed before he woke anybody. */
		LIVE(if :: value > 0 -> wake() :: else fi);
#endif
		if
		:: atomic { head == who && news && !stopping -> goto again }
		:: atomic { head == who && stopping -> watcher = false }
		:: atomic { head != who -> goto dead }
		fi;
dead:
		atomic { j = 0; old = 0; seen = 0; who = 0 }
	od
}

/* Its thread that waits for the end of one debtor. */
proctype Probe(byte j)
{
	byte old, who;

	do
	:: atomic { head != 0 && probe[j] == 1 -> who = head };
		if
		:: atomic { head == who && lock[j] == 0 -> lock[j] = head + CLIENTS }
		:: atomic { head == who && stopping -> probe[j] = 0; goto dead }
		:: atomic { head != who -> goto dead }
		fi;
		SETTLE(LIVE);
		/* Before the unlock: whoever finds the slot in use again must find that we have left it. */
		LIVE(probe[j] = 2);
		LIVE(lock[j] = 0);
dead:
		atomic { old = 0; who = 0 }
	od
}

/* Somebody with sem_wait(3), who has one, and sem_post(3). */
proctype Other()
{
	atomic { value++; wake() }
}

/* When nothing can go on. */
proctype Judge()
{
	byte c;

	timeout;
	assert(inside == 0);
	assert(!sleeping || value == 0);
	assert(queue == 0 || sleeping);
	do
	:: c < CLIENTS ->
		assert(gone[c] || (in_line[c] && queue != 0));
		/* What is owed. */
		assert(!(state[c] == HOLDING && lock[c] == 0 && sleeping));
		assert(!(state[c] == FREE || state[c] == CLAIMED) || !lock[c]);
		/* What is lost: there is a slot that says so. */
		assert(!has[c] || has_slot(c));
		c++
	:: else -> break
	od
}

init {
	byte c;
	atomic {
		run Judge();
		run Watcher();
		do
		:: c < CLIENTS ->
			shares[c] = 1;
			run Client(c);
			run Job(c);
			run Probe(c);
			c++
		:: else -> break
		od;
		if
		:: OTHERS -> run Other()
		:: else
		fi
	}
}
