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
};

#define APPLET(name) extern const struct applet applet_##name;
#include "applets.def"
#undef APPLET

#endif
