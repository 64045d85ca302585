/* SPDX-License-Identifier: MIT */
/* An applet that is several: `mqpipe send`, `mqpipe recv`. Which one is meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applet.h"
#include "exitcode.h"
#include "say.h"

struct choice {
	const struct applet *of;
	char **words; /* the action and what follows */
};

error_t parse_action(int key, char *arg, struct argp_state *state)
{
	struct choice *c = state->input;
	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG:
		c->words = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!c->words)
			argp_error(state, "expected what to do: see --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

char *list_actions(int key, const char *text, void *input)
{
	const struct choice *c = input;
	char *list = NULL;
	size_t size;
	FILE *f = key == ARGP_KEY_HELP_POST_DOC && c ? open_memstream(&list, &size) : NULL;
	if (!f)
		return (char *)text;
	fputs(text, f);
	for (const struct applet *const *a = c->of->actions; *a; a++)
		fprintf(f, "\n  %-8s%s", (*a)->name, (*a)->summary);
	return fclose(f) ? (char *)text : list;
}

static const struct applet *find(const struct applet *of, const char *name)
{
	for (const struct applet *const *a = of->actions; *a; a++)
		if (!strcmp((*a)->name, name))
			return *a;
	return NULL;
}

int run_action(const struct applet *a, int argc, char **argv)
{
	static char name[64];
	struct choice c = {.of = a, .words = argv + 1};
	if (argc < 2 || argv[1][0] == '-') {
		c.words = NULL;
		error_t err = argp_parse(a->argp, argc, argv, ARGP_IN_ORDER, NULL, &c);
		if (err)
			die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	}
	const struct applet *action = find(a, c.words[0]);
	if (!action)
		die(EXIT_BAD_USAGE, "cannot %s: no such action: see %s --help", quote(c.words[0]),
		    a->name);
	argc -= (int)(c.words - argv);
	/* As by snprintf(3), which would cost a start page faults; these names are our own, and short. */
	stpcpy(stpcpy(stpcpy(name, a->name), " "), action->name);
	c.words[0] = name; /* what getopt puts before its messages */
	say_as(name);
	return action->run(argc, c.words);
}
