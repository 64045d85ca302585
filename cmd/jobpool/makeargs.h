/* SPDX-License-Identifier: MIT */
/* The -j of a make that shall use our jobserver. */
#ifndef CMD_JOBPOOL_MAKEARGS_H
#define CMD_JOBPOOL_MAKEARGS_H

#include <stdbool.h>

/*
 * If ARGV is a make with -j on its command line, which makes it leave the jobserver that it is given for
 * one of its own: take that out, from the words themselves. True if there was one.
 */
bool makeargs_drop_jobs(char **argv);

#endif
