/* SPDX-License-Identifier: MIT */
/*
 * syncrm: remove objects that nobody uses.
 *
 * 1. Look at all processes, once: is it there, and does somebody hold it or wait for it?
 * 2. If not, ask again as late as the kernel allows, under the object's own locks where it has any; then remove it.
 *
 * With --stale: the same for all that is of use to nobody, but only with --yes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "applet.h"
#include "exitcode.h"
#include "json.h"
#include "objects.h"
#include "parse.h"
#include "say.h"

#define NAMES_MAX 1024

struct opts {
	unsigned types;
	const char *names[NAMES_MAX + 1];
	size_t count;
	bool stale, yes, force, repair, json, quiet, verbose;
	int64_t older;
};

enum {
	OPT_STALE = 256,
	OPT_OLDER,
	OPT_YES,
	OPT_REPAIR,
	OPT_JSON,
};

static const struct argp_option options[] = {
	{"stale", OPT_STALE, NULL, 0, "Everything that is of use to nobody any more: list it", 1},
	{"older", OPT_OLDER, "DURATION", 0, "With --stale: and has not been used for so long", 1},
	{"yes", OPT_YES, NULL, 0, "With --stale: remove it", 1},
	{"repair", OPT_REPAIR, NULL, 0,
	 "Give back permits of semaphores that owners who are gone have taken", 2},
	{"force", 'f', NULL, 0, "Remove it although it is in use; one that is missing is no error",
	 3},
	{"json", OPT_JSON, NULL, 0, "With --stale or --repair: as a JSON array", 4},
	{"quiet", 'q', NULL, 0, "Do not say that an object is in use, nor what could not be seen",
	 4},
	{"verbose", 'v', NULL, 0, "Say on standard error what is removed", 4},
	{0},
};

static void parse_operand(struct opts *o, const char *arg, struct argp_state *state)
{
	if (!o->types) {
		o->types = objects_type(arg);
		if (!o->types)
			argp_error(state,
				   "invalid type '%s': expected lock, sem, mq, shm, event, pool "
				   "or jobserver",
				   arg);
		return;
	}
	if (o->count == NAMES_MAX)
		argp_error(state, "too many names: expected %d at most", NAMES_MAX);
	o->names[o->count++] = arg;
}

static void check_usage(const struct opts *o, struct argp_state *state)
{
	if (o->stale && (o->repair || o->force))
		argp_error(state, "--stale goes with neither --repair nor --force");
	if ((o->yes || o->older) && !o->stale)
		argp_error(state, "--yes and --older go with --stale");
	if (o->json && !o->stale && !o->repair)
		argp_error(state, "--json goes with --stale or --repair");
	if (o->repair && o->types && o->types != SYNC_TYPE_SEM)
		argp_error(state, "--repair is for semaphores (sem)");
	if (!o->stale && !o->repair && !o->count)
		argp_error(state, "expected a type and a name, or --stale");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case OPT_STALE:
		o->stale = true;
		return 0;
	case OPT_OLDER:
		if (!parse_duration(arg, &o->older))
			argp_error(state,
				   "invalid duration '%s': expected one such as 5, 1.5, 300ms, "
				   "2m, 1h, 1d",
				   arg);
		return 0;
	case OPT_YES:
		o->yes = true;
		return 0;
	case OPT_REPAIR:
		o->repair = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose = true;
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
	.args_doc = OBJECT_TYPES " NAME...\n--stale [TYPE] [NAME...]\n"
				 "--repair [sem] [NAME...]",
	.doc = "Remove objects, unless somebody holds them or waits for them.\v"
	       "NAME is as the other commands take it, and as syncls shows it.",
};

/* ---- one object ---- */

/* What cannot be removed, or not now. Returns the status. */
static int fail(const struct opts *o, const struct sync_object *object, int err)
{
	char use[512];
	const char *name = objects_name(object);
	switch (-err) {
	case ENOENT:
		if (o->force)
			return EXIT_DONE;
		warn("%s is gone", name);
		return EXIT_NO_OBJECT;
	case ESTALE:
		warn("cannot remove %s: its name belongs to another by now: look again", name);
		return EXIT_GONE;
	case EBUSY:
		objects_use(use, sizeof(use), object);
		if (!o->quiet)
			warn("cannot remove %s: %s: wait until nobody uses it, or use --force",
			     name, *use ? use : "somebody uses it by now");
		return EXIT_BUSY;
	case ENOTEMPTY:
		warn("cannot remove %s: the file is not empty, so it is more than a lock: "
		     "remove it by rm(1)",
		     name);
		return EXIT_BAD_DATA;
	case EMEDIUMTYPE:
	case EISDIR:
		warn("cannot remove %s: it is no regular file, so it is more than a lock: remove "
		     "it by other means",
		     name);
		return EXIT_BAD_DATA;
	case EOPNOTSUPP:
		warn("cannot remove %s: it has no name that could be removed: it goes with the "
		     "last process that has it",
		     name);
		return EXIT_BAD_DATA;
	case EACCES:
	case EPERM:
		warn("cannot remove %s: it belongs to another user", name);
		return EXIT_DENIED;
	default:
		warn("cannot remove %s: %s", name, strerror(-err));
		return exit_status_of(err);
	}
}

/* In use for its age, or its messages, is not to be held or waited for: who names it may have it removed. */
static bool is_in_use(const struct sync_object *object)
{
	const unsigned softly = SYNC_USE_LAST | SYNC_USE_CONTENT;
	return object->use & ~softly;
}

static int remove_object(const struct opts *o, const struct sync_object *object)
{
	int r = !o->force && is_in_use(object) ? -EBUSY : sync_object_remove(object, o->force);
	if (r)
		return fail(o, object, r);
	if (o->verbose)
		warn("removed %s", objects_name(object));
	return EXIT_DONE;
}

static int remove_named(const struct opts *o)
{
	struct sync_survey *survey = objects_look(o->types, o->names);
	int status = EXIT_DONE;
	for (size_t i = 0; i < o->count; i++) {
		size_t at = 0;
		const struct sync_object *object = objects_find(survey, o->types, o->names[i], &at);
		int r = EXIT_DONE;
		if (object) {
			r = remove_object(o, object);
		} else if (!o->force) {
			warn("no %s %s can be seen from here",
			     objects_word((enum sync_type)o->types), quote(o->names[i]));
			r = EXIT_NO_OBJECT;
		}
		status = r ? r : status;
	}
	if (status && !o->quiet)
		objects_say_blind(survey, o->types);
	sync_survey_close(survey);
	return status;
}

/* ---- all that is stale ---- */

static bool is_named(const struct opts *o, const struct sync_object *object)
{
	for (size_t i = 0; i < o->count; i++)
		if (sync_object_is(object, o->names[i]))
			return true;
	return !o->count;
}

static void print_stale(const struct opts *o, const struct sync_object *object, bool removed)
{
	static bool more;
	char name[4096];
	if (!o->json) {
		printf("%s %s\n", objects_word(object->type),
		       escape(name, sizeof(name), object->name));
		return;
	}
	printf("%s{\"type\":\"%s\",\"name\":", more ? ",\n " : "", objects_word(object->type));
	json_string(object->name);
	printf(",\"removed\":%s}", removed ? "true" : "false");
	more = true;
}

/* Who comes to use one meanwhile has it: that is no error. */
static int remove_stale(const struct opts *o)
{
	const struct sync_object *const *list;
	struct sync_survey *survey = objects_look(o->types, NULL);
	size_t count = sync_survey_objects(survey, &list);
	int status = EXIT_DONE;
	if (o->json)
		putchar('[');
	for (size_t i = 0; i < count; i++) {
		if (!objects_is_stale(list[i], o->older) || !is_named(o, list[i]))
			continue;
		int r = o->yes ? sync_object_remove(list[i], false) : 0;
		if (!r)
			print_stale(o, list[i], o->yes);
		else if (r != -EBUSY && r != -ENOENT && r != -ESTALE)
			status = fail(o, list[i], r);
		else if (o->verbose)
			warn("%s is in use, or gone, by now: left alone", objects_name(list[i]));
	}
	if (o->json)
		puts("]");
	if (!o->quiet)
		objects_say_blind(survey, o->types);
	sync_survey_close(survey);
	return status;
}

/* ---- repair ---- */

static int repair_one(const struct opts *o, const char *name, bool more)
{
	struct sync_sem *sem;
	unsigned returned = 0;
	unsigned doubtful = 0;
	int r = sync_sem_open(name, NULL, &sem);
	if (!r) {
		r = sync_sem_repair(sem, &returned, &doubtful);
		sync_sem_close(sem);
	}
	if (r) {
		warn("cannot repair %s: %s", quote(name), strerror(-r));
		return exit_status_of(r);
	}
	if (o->json) {
		printf("%s{\"name\":", more ? ",\n " : "");
		json_string(name);
		printf(",\"returned\":%u,\"doubtful\":%u}", returned, doubtful);
	} else {
		char text[2048];
		printf("%s returned %u doubtful %u\n", escape(text, sizeof(text), name), returned,
		       doubtful);
	}
	return EXIT_DONE;
}

/* Of those that have a ledger; the kernel gives back what others own. */
static bool has_ledger(const struct sync_object *object)
{
	for (const struct sync_detail *d = object->details; d->name; d++)
		if (!strcmp(d->name, "owed"))
			return true;
	return false;
}

static int repair(const struct opts *o)
{
	const struct sync_object *const *list;
	struct sync_survey *survey = objects_look(SYNC_TYPE_SEM, NULL);
	size_t count = sync_survey_objects(survey, &list);
	int status = EXIT_DONE;
	bool more = false;
	if (o->json)
		putchar('[');
	for (size_t i = 0; i < o->count; i++) {
		size_t at = 0;
		if (objects_find(survey, SYNC_TYPE_SEM, o->names[i], &at))
			continue;
		warn("no sem %s can be seen from here", quote(o->names[i]));
		status = EXIT_NO_OBJECT;
	}
	for (size_t i = 0; i < count; i++) {
		if (!has_ledger(list[i]) || !is_named(o, list[i]))
			continue;
		int r = repair_one(o, list[i]->name, more);
		more = more || !r;
		status = r ? r : status;
	}
	if (o->json)
		puts("]");
	sync_survey_close(survey);
	return status;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.repair)
		return repair(&o);
	return o.stale ? remove_stale(&o) : remove_named(&o);
}

const struct applet applet_syncrm = {
	.name = "syncrm",
	.summary = "remove locks, semaphores, queues that nobody uses",
	.argp = &argp,
	.run = run,
};
