/* SPDX-License-Identifier: MIT */
/* What most actions are given: [EVENT] [N] [-- COMMAND], and -n -w -E -q -v. */
#ifndef CMD_EVFD_EVENTARGS_H
#define CMD_EVFD_EVENTARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common.h"

enum event_takes { TAKES_NOTHING, TAKES_NUMBER, TAKES_A_NUMBER_AT_LEAST, TAKES_COMMAND };

struct event_args {
	enum event_takes takes; /* set before parsing */
	struct common_opts common;
	const char *event; /* NULL or "-": the one in $EVFD */
	uint64_t n;        /* 1 unless given */
	char **command;
	/* ours */
	char *words[2];
	unsigned count;
};

/* The argp child; its input is a struct event_args. Parse with ARGP_IN_ORDER if there is a COMMAND. */
extern const struct argp event_args_argp;

/* Open the event NAME. 0, or -errno; also if its holder does not answer in some seconds. */
int event_reach(const char *name, struct sync_event **out);
/* Die of that. */
void event_die(const char *name, int err) __attribute__((noreturn));
/* The event they name, open; or die. */
struct sync_event *event_open(const struct event_args *a);
/* Print VALUE, which was taken from E; where that fails, it goes back. The exit status. */
int event_print(struct sync_event *e, uint64_t value);
/* Say why we cannot WHAT, as in "wait for", and return the exit status for it. */
int event_fail(const char *what, const struct sync_event *e, const struct event_args *a, int err);

#endif
