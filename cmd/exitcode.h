/* SPDX-License-Identifier: MIT */
/* Every exit status we choose, named and explained once. The manual pages are checked against it. */
#ifndef CMD_EXITCODE_H
#define CMD_EXITCODE_H

enum exitcode {
	EXIT_DONE = 0,         /* done */
	EXIT_BAD_USAGE = 64,   /* the command line is wrong */
	EXIT_BAD_DATA = 65,    /* the object is not of a kind that can serve */
	EXIT_NO_OBJECT = 66,   /* no such object */
	EXIT_GONE = 69,        /* the object was removed, or its holder died, while we waited */
	EXIT_SYSTEM = 71,      /* the system refused: a limit, or a deadlock */
	EXIT_NO_CREATE = 73,   /* cannot create it, or it exists */
	EXIT_IO = 74,          /* input or output failed */
	EXIT_BUSY = 75,        /* not now: busy or timed out; -E changes it */
	EXIT_DENIED = 77,      /* permission denied */
	EXIT_TIMED_OUT = 124,  /* COMMAND ran longer than it was allowed to */
	EXIT_CANNOT_RUN = 126, /* COMMAND was found but cannot be run */
	EXIT_NOT_FOUND = 127,  /* COMMAND was not found */
	EXIT_SIGNAL = 128,     /* plus N: COMMAND died of signal N */
};

/* The status for a negative errno of libsync or the kernel. */
int exit_status_of(int err);

#endif
