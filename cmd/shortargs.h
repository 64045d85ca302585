/* SPDX-License-Identifier: MIT */
/* argp_parse(3), quicker if there are no long options. */
#ifndef CMD_SHORTARGS_H
#define CMD_SHORTARGS_H

#include <argp.h>

/* ARGP has options and children, and these have no children. */
error_t parse_short_args(const struct argp *argp, int argc, char **argv, unsigned flags,
			 void *input);

#endif
