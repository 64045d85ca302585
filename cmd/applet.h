/* SPDX-License-Identifier: MIT */
/* What an applet is, and every applet there is. */
#ifndef CMD_APPLET_H
#define CMD_APPLET_H

#include <argp.h>

struct applet {
	const char *name;        /* "lockrun" */
	const char *summary;     /* equals the NAME line of its man page */
	const struct argp *argp; /* its options: the one source */
	int (*run)(int argc, char **argv);
	/* Of one that is several: "send" of "mqpipe send"; NULL ends the list. */
	const struct applet *const *actions;
};

/* Run the action of A that argv[1] names. What comes before it is for A's own argp. */
int run_action(const struct applet *a, int argc, char **argv);
/* For the argp of such an applet: its parser, and the list of actions behind its --help. */
error_t parse_action(int key, char *arg, struct argp_state *state);
char *list_actions(int key, const char *text, void *input);

#define APPLET(name) extern const struct applet applet_##name;
#include "applets.def"
#undef APPLET

#endif
