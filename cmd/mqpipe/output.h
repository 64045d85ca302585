/* SPDX-License-Identifier: MIT */
/* What a job writes, kept in files without names until it has ended, so that jobs' lines do not mix. */
#ifndef CMD_MQPIPE_OUTPUT_H
#define CMD_MQPIPE_OUTPUT_H

#include <stdbool.h>

/* Our descriptors of the files for its standard output and error; -1: there is none. */
struct output {
	int out, err;
};

/*
 * There are files, and fds[] are two descriptors of them for the job, to be closed when it has them. What is
 * in the files already stays. 0 or -errno.
 */
int output_begin(struct output *o, int fds[2]);
/* It has ended for now: keep no file to which it has written nothing. */
void output_rest(struct output *o);
/*
 * Write what is in them to our own standard output and error, with TAG before each line, if not NULL, and
 * keep them no longer.
 */
int output_write(struct output *o, const char *tag);

#endif
