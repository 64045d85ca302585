/* SPDX-License-Identifier: MIT */
/* syncls: list locks, semaphores, queues, memory, events, pools and jobservers, who holds them and who waits. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libsync.h"

#include "applet.h"
#include "exitcode.h"
#include "objects.h"
#include "parse.h"
#include "say.h"
#include "syncls.h"

#define NAMES_MAX 1024
#define REFRESH_NSEC INT64_C(2000000000)

struct opts {
	unsigned types;
	const char *names[NAMES_MAX + 1];
	size_t count;
	bool who, tree, stale, watch, json, facilities;
	int64_t older, refresh;
};

enum {
	OPT_WHO = 256,
	OPT_TREE,
	OPT_STALE,
	OPT_OLDER,
	OPT_WATCH,
	OPT_JSON,
	OPT_FACILITIES,
};

static const struct argp_option options[] = {
	{"who", OPT_WHO, NULL, 0, "List each holder and each waiter of the objects named", 1},
	{"tree", OPT_TREE, NULL, 0, "Show who waits for whom, and who waits for each other", 1},
	{"facilities", OPT_FACILITIES, NULL, 0,
	 "Show what Linux has for processes to talk and to wait, and the limits here", 1},
	{"stale", OPT_STALE, NULL, 0, "Only what is of use to nobody any more", 2},
	{"older", OPT_OLDER, "DURATION", 0, "With --stale: and has not been used for so long", 2},
	{"watch", OPT_WATCH, "DURATION", OPTION_ARG_OPTIONAL,
	 "Show it again and again, every 2 seconds or so often", 3},
	{"json", OPT_JSON, NULL, 0, "As a JSON array", 3},
	{0},
};

static void parse_time(const char *arg, int64_t *nsec, struct argp_state *state)
{
	if (!parse_duration(arg, nsec))
		argp_error(state,
			   "invalid duration '%s': expected one such as 5, 1.5, 300ms, 2m, 1h, 1d",
			   arg);
}

static void parse_operand(struct opts *o, const char *arg, struct argp_state *state)
{
	if (!o->types && !o->count && (o->types = objects_type(arg)) != 0)
		return;
	if (o->count == NAMES_MAX)
		argp_error(state, "too many names: expected %d at most", NAMES_MAX);
	o->names[o->count++] = arg;
}

static void check_usage(const struct opts *o, struct argp_state *state)
{
	if (o->who + o->tree + o->facilities > 1)
		argp_error(state, "--who, --tree and --facilities: give one of them");
	if (o->who && !o->count)
		argp_error(state, "--who takes the names of objects");
	if (o->older && !o->stale)
		argp_error(state, "--older goes with --stale");
	if (o->facilities && (o->types || o->count || o->stale || o->watch))
		argp_error(state, "--facilities stands alone, but for --json");
	if (o->watch && o->json)
		argp_error(state, "--watch is for people, --json for programs: give one of them");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case OPT_WHO:
		o->who = true;
		return 0;
	case OPT_TREE:
		o->tree = true;
		return 0;
	case OPT_FACILITIES:
		o->facilities = true;
		return 0;
	case OPT_STALE:
		o->stale = true;
		return 0;
	case OPT_OLDER:
		parse_time(arg, &o->older, state);
		return 0;
	case OPT_WATCH:
		o->watch = true;
		o->refresh = REFRESH_NSEC;
		if (arg)
			parse_time(arg, &o->refresh, state);
		/* Less would be a busy loop, and nobody can read it. */
		if (o->refresh < 100000000)
			argp_error(state, "invalid --watch '%s': expected 100ms or more", arg);
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_operand(o, arg, state);
		return 0;
	case ARGP_KEY_END:
		check_usage(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[" OBJECT_TYPES "] [NAME...]\n--who [" OBJECT_TYPES "] NAME...\n--facilities",
	.doc = "List locks, semaphores, message queues, shared memory, events, pools and "
	       "jobservers: who "
	       "holds them, who waits for them, what is left over.\v"
	       "NAME is as the other commands take it, and as the list shows it.",
};

/* ---- what is chosen ---- */

/* In the order of NAMES, those that match; what none matches is said. Returns the status. */
static int choose_named(const struct opts *o, const struct sync_survey *survey,
			const struct sync_object **list, size_t room, size_t *count)
{
	int status = EXIT_DONE;
	for (size_t i = 0; i < o->count; i++) {
		const struct sync_object *found;
		size_t at = 0;
		bool any = false;
		while ((found = objects_find(survey, o->types, o->names[i], &at)) != NULL) {
			any = true;
			if (*count < room && (!o->stale || objects_is_stale(found, o->older)))
				list[(*count)++] = found;
		}
		if (!any) {
			warn("no %s %s can be seen from here",
			     o->types ? objects_word((enum sync_type)o->types) : "object",
			     quote(o->names[i]));
			status = EXIT_NO_OBJECT;
		}
	}
	return status;
}

static void choose(const struct opts *o, const struct sync_survey *survey,
		   const struct sync_object **list, size_t *count)
{
	const struct sync_object *const *all;
	size_t n = sync_survey_objects(survey, &all);
	for (size_t i = 0; i < n; i++)
		if (!o->stale || objects_is_stale(all[i], o->older))
			list[(*count)++] = all[i];
}

/* ---- one listing ---- */

static int list_once(const struct opts *o, FILE *out)
{
	const struct sync_object *const *all;
	struct sync_survey *survey = objects_look(o->types, o->names);
	size_t all_count = sync_survey_objects(survey, &all);
	size_t room = all_count * (o->count ? o->count : 1) + 1;
	const struct sync_object **list = calloc(room, sizeof(struct sync_object *));
	size_t count = 0;
	int status = EXIT_DONE;
	if (!list)
		die(EXIT_SYSTEM, "no memory");
	if (o->count)
		status = choose_named(o, survey, list, room, &count);
	else
		choose(o, survey, list, &count);
	if (o->json)
		print_json(all, all_count, list, count);
	else if (o->who)
		print_people(out, list, count);
	else if (o->tree)
		print_tree(out, all, all_count, list, count);
	else
		print_table(out, list, count);
	if (!o->watch)
		objects_say_blind(survey, o->types);
	free(list);
	sync_survey_close(survey);
	return status;
}

/* ---- again and again ---- */

/*
 * The screen is home, then line by line, each wiped behind its end, then the rest wiped: in one write, so that
 * it does not flicker, and is whole whenever we are interrupted. No mode of the terminal is changed.
 */
static void put_screen(const char *text)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	char *screen = NULL;
	size_t n;
	FILE *f = open_memstream(&screen, &n);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	if (!f)
		return;
	fputs("\033[H", f);
	for (int row = 1; *text && row < size.ws_row; row++) {
		size_t length = strcspn(text, "\n");
		fprintf(f, "%.*s\033[K\n", (int)(length < size.ws_col ? length : size.ws_col),
			text);
		text += length + (text[length] == '\n');
	}
	fputs("\033[J", f);
	if (fclose(f))
		return;
	fwrite(screen, 1, n, stdout);
	free(screen);
}

static int watch(const struct opts *o)
{
	bool terminal = isatty(STDOUT_FILENO);
	if (terminal)
		fputs("\033[2J", stdout);
	for (;;) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);
		if (!f)
			die(EXIT_SYSTEM, "no memory");
		list_once(o, f);
		fclose(f);
		if (terminal)
			put_screen(text);
		else
			printf("%s\n", text);
		free(text);
		if (fflush(stdout))
			return EXIT_IO; /* main() says why */
		/* Nothing tells that some process has locked something: so the clock does. */
		struct pollfd reader = {.fd = STDOUT_FILENO};
		struct timespec pause = {o->refresh / 1000000000, o->refresh % 1000000000};
		if (ppoll(&reader, 1, &pause, NULL) > 0)
			return EXIT_DONE; /* nobody reads it any more */
	}
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.facilities) {
		print_facilities(o.json);
		return EXIT_DONE;
	}
	return o.watch ? watch(&o) : list_once(&o, stdout);
}

const struct applet applet_syncls = {
	.name = "syncls",
	.summary = "list locks, semaphores, queues, who holds them, and what is stale",
	.argp = &argp,
	.run = run,
};
