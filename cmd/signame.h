/* SPDX-License-Identifier: MIT */
/* Signals as people name them. */
#ifndef CMD_SIGNAME_H
#define CMD_SIGNAME_H

#include <stdbool.h>

/* "TERM", "SIGTERM", "term" or "15" to the number; false for what is none. */
bool signal_parse(const char *s, int *signo);
/* "TERM"; a number as it is, where there is no name. Good until the next call. */
const char *signal_name(int signo);

#endif
