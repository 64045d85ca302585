/* SPDX-License-Identifier: MIT */
/* lockrun as crontabs knew it before ours: Friedl's, and the fork of it by pushcx. */
#ifndef CMD_CLASSIC_H
#define CMD_CLASSIC_H

#include <stdbool.h>

/* Is --lockfile or -L among the options, which in ours means nothing? */
bool classic_is_meant(char *const *argv);
int classic_run(char **argv);

#endif
