/* SPDX-License-Identifier: MIT */
/* What the fault injector knows of system calls: their names, and how each can fail. */
#ifndef INJECT_H
#define INJECT_H

#include <linux/types.h>

/* A name, or NULL for one that is in no table. */
const char *call_name(__u64 number);

/*
 * How this very call can plausibly fail: names of errors between spaces. One with a ! is for once only: EINTR, and
 * what else means "try again". Empty: it cannot fail.
 */
const char *call_errors(__u64 number, const __u64 args[6]);

/*
 * The call is made, whatever is said about its result: a descriptor is closed even then (close(2)), and who is told
 * that there is no child (ECHILD) could have seen it end.
 */
int call_is_made(__u64 number, int error);

/* It returns no error, but where the break still is. */
int call_is_brk(__u64 number);

/* 0 for a name of no error in the tables. */
int error_number(const char *name);

#endif
