/* SPDX-License-Identifier: MIT */
/* Options as getopt_long(3) reads them, from a table of argp's: for a command that stands in for one that uses it. */
#ifndef CMD_GETOPTS_H
#define CMD_GETOPTS_H

#include <argp.h>

struct getopts {
	/* set by the caller */
	const struct argp_option *table; /* rows with OPTION_NO_USAGE are for --help alone */
	int argc;
	char **argv;
	int at; /* the next word; 1 to begin with */
	/* ours */
	char *letters; /* what is left of -abc */
	char *value;   /* of the option that was found */
};

enum { GETOPTS_END = -1, GETOPTS_BAD = -2 };

/*
 * The key of the next option. GETOPTS_END before the first operand, of which ->at is the number;
 * GETOPTS_BAD for a word that is wrong, after saying why, as glibc does.
 */
int getopts_next(struct getopts *g);

#endif
