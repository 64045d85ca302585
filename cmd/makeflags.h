/* SPDX-License-Identifier: MIT */
/* MAKEFLAGS taken apart, as GNU make does it: is there a jobserver, where, of how many jobs? */
#ifndef CMD_MAKEFLAGS_H
#define CMD_MAKEFLAGS_H

#include <stdbool.h>

enum makeflags_server {
	MAKEFLAGS_NONE,     /* no jobserver is named */
	MAKEFLAGS_DISABLED, /* it is not for this line: negative descriptors */
	MAKEFLAGS_UNKNOWN,  /* of a kind that we do not know */
	MAKEFLAGS_NAMED,
};

struct makeflags {
	enum makeflags_server server;
	bool dry_run;    /* make -n: what is run shall do nothing */
	unsigned jobs;   /* -jN; 0: not told */
	char auth[4096]; /* "R,W" or "fifo:PATH", without backslashes */
};

/* FLAGS may be NULL. Nothing but the text is looked at. */
void makeflags_parse(const char *flags, struct makeflags *out);

/*
 * FLAGS without its jobserver and -j, but with the word or words in WORDS, before the variables; for setenv(). NULL: no
 * memory.
 */
char *makeflags_with(const char *flags, const char *words);

#endif
