/* SPDX-License-Identifier: MIT */
/* What a job writes, kept in files without names until it has ended, so that jobs' lines do not mix. */
#ifndef CMD_MQPIPE_OUTPUT_H
#define CMD_MQPIPE_OUTPUT_H

#include <stdbool.h>

struct output {
	int out, err; /* for its standard output and error; -1: there is no file yet */
};

/* There are files; what is in them already stays. 0 or -errno. */
int output_begin(struct output *o);
/* Write what is in them to our own standard output and error, with TAG before each line, if not NULL. */
int output_write(struct output *o, const char *tag);

#endif
