/* SPDX-License-Identifier: MIT */
/* What an applet is, and every applet there is. */
#ifndef CMD_APPLET_H
#define CMD_APPLET_H

#include <argp.h>
#include <stdbool.h>

struct applet {
	const char *name;        /* "lockrun" */
	const char *summary;     /* equals the NAME line of its man page */
	const struct argp *argp; /* its options: the one source */
	int (*run)(int argc, char **argv);
	/*
	 * It stands in for a command of others: it reads its words as that one does, without argp's own
	 * options, and no link takes that one's name unless asked for.
	 */
	bool drop_in;
	/* Of one that is several: "send" of "mqpipe send"; NULL ends the list. */
	const struct applet *const *actions;
};

/* Run the action of A that argv[1] names. What comes before it is for A's own argp. */
int run_action(const struct applet *a, int argc, char **argv);
/* For the argp of such an applet: its parser, and the list of actions behind its --help. */
error_t parse_action(int key, char *arg, struct argp_state *state);
char *list_actions(int key, const char *text, void *input);

/* Was this descriptor, 0 to 2, closed when we were started? Something else fills its place. */
bool was_closed(int fd);

#define APPLET(name) extern const struct applet applet_##name;
#include "applets.def"
#undef APPLET

#endif
