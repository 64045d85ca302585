/* SPDX-License-Identifier: MIT */
/* The exit statuses of flock(1), of <sysexits.h>: not ours to choose. Its manual page is checked against them. */
#ifndef CMD_FLOCKCODE_H
#define CMD_FLOCKCODE_H

enum flockcode {
	FLOCK_EXIT_DONE = 0,       /* done */
	FLOCK_EXIT_BUSY = 1,       /* the lock was not to be had in time; -E changes it */
	FLOCK_EXIT_USAGE = 64,     /* the command line is wrong */
	FLOCK_EXIT_DATA = 65,      /* it cannot be locked */
	FLOCK_EXIT_NO_INPUT = 66,  /* the file cannot be opened */
	FLOCK_EXIT_NO_EXEC = 69,   /* COMMAND cannot be run */
	FLOCK_EXIT_SYSTEM = 71,    /* the system refused */
	FLOCK_EXIT_NO_CREATE = 73, /* the file cannot be made */
	FLOCK_EXIT_SIGNAL = 128,   /* plus N: COMMAND died of signal N */
};

#endif
