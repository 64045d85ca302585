/* SPDX-License-Identifier: MIT */
/*
 * What the models have in common: one system call, or one store that others see, is a STEP; before each the
 * process may be killed instead, KILLS times in all. A step that cannot be done yet is one that blocks; a kill
 * ends that as well. `killed` is a label of the process, behind which its descriptors are closed.
 */
#ifndef KILLS
#define KILLS 2
#endif

byte kills = KILLS;

#define DIE	atomic { kills > 0 -> kills--; goto killed }
#define STEP(x)	if :: atomic { x } :: DIE fi

/* A fault is planted by -DBROKEN=N; every model says which there are. */
#ifndef BROKEN
#define BROKEN 0
#endif
