/* SPDX-License-Identifier: MIT */
/* evfd rm: remove events by name. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

#define PATIENCE_NSEC INT64_C(5000000000)

struct opts {
	bool force;
	char **names;
	int count;
};

static const struct argp_option options[] = {
	{"force", 'f', NULL, 0, "One that is missing is no error", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case 'f':
		o->force = true;
		return 0;
	case ARGP_KEY_ARG:
		o->names = common_command(state);
		o->count = state->argc - (int)(o->names - state->argv);
		return 0;
	case ARGP_KEY_END:
		if (!o->count)
			argp_error(state, "expected a name");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "NAME...",
	.doc = "Remove the events with these names. Whoever waits for one ends with status 69.",
};

static int remove_one(const char *name, bool force)
{
	struct timespec until;
	bool again = false;
	int r;
	sync_deadline_in(PATIENCE_NSEC, &until);
	while ((r = sync_event_unlink(name, &until)) == -EINTR)
		again = true;
	if (r == -ENOENT && again) /* we had asked for it */
		r = 0;
	switch (-r) {
	case 0:
		return EXIT_DONE;
	case ENOENT:
		if (force)
			return EXIT_DONE;
		warn("no event %s", quote(name));
		return EXIT_NO_OBJECT;
	case EINVAL:
	case ENAMETOOLONG:
	case EOPNOTSUPP:
		warn("cannot remove %s: not the name of an event that evfd create has made",
		     quote(name));
		return EXIT_BAD_USAGE;
	case EACCES:
	case EPERM:
		warn("cannot remove %s: it belongs to another user", quote(name));
		return EXIT_DENIED;
	case ETIMEDOUT:
		warn("cannot remove %s: its holder does not answer", quote(name));
		return EXIT_GONE;
	default:
		warn("cannot remove %s: %s", quote(name), strerror(-r));
		return exit_status_of(r);
	}
}

static int run(int argc, char **argv)
{
	static struct opts o;
	int status = EXIT_DONE;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	for (int i = 0; i < o.count; i++) {
		int r = remove_one(o.names[i], o.force);
		status = r ? r : status;
	}
	return status;
}

const struct applet evfd_rm = {
	.name = "rm",
	.summary = "remove events by name",
	.argp = &argp,
	.run = run,
};
