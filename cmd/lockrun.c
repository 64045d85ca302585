/* SPDX-License-Identifier: MIT */
/*
 * lockrun: run a command under a lock.
 *
 * 1. Open every lock file; take the locks in one fixed order, all or none.
 * 2. libsync looks each name up again after locking: a removed file is never mistaken for the lock.
 * 3. Start COMMAND with the descriptors inherited: if we are killed, it still holds the locks.
 * 4. When COMMAND ends: unlink (--rm) while still holding, then unlock the open file description,
 *    which frees what background processes have inherited as well.
 *
 * With -F, and where a lock belongs to the process, COMMAND takes our place after step 2.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "applet.h"
#include "child.h"
#include "classic.h"
#include "coalesce.h"
#include "common.h"
#include "exitcode.h"
#include "held.h"
#include "heirs.h"
#include "holders.h"
#include "limit.h"
#include "lockfail.h"
#include "lockset.h"
#include "parse.h"
#include "replace.h"
#include "report.h"
#include "say.h"
#include "shortargs.h"
#include "signame.h"

struct opts {
	struct common_opts common;
	struct limit_opts limit;
	struct report report;
	struct lockset_ask asks[LOCKSET_MAX]; /* asks[0] is LOCK, the others -l */
	size_t count;
	enum sync_mode mode;
	mode_t create_mode;
	bool follow, close, in_place, tree, rm, who, json, reentrant, no_lend, coalesce;
	int replace; /* the signal; 0: not at all */
	char *shell_line;
	char **command;
};

enum {
	OPT_LOCK_SHARED = 256,
	OPT_HOLD,
	OPT_RM,
	OPT_FOLLOW,
	OPT_REENTRANT,
	OPT_NO_LEND,
	OPT_WHO,
	OPT_JSON,
	OPT_REPLACE,
	OPT_COALESCE,
};

static const struct argp_option options[] = {
	{"exclusive", 'x', NULL, 0, "Nobody else may hold the lock (default)", 1},
	{"shared", 's', NULL, 0, "Others may hold it shared too", 1},
	{"unlock", 'u', NULL, 0, "Unlock the descriptor", 1},
	{"lock", 'l', "LOCK", 0, "Take this lock too, exclusive; may be repeated", 2},
	{"lock-shared", OPT_LOCK_SHARED, "LOCK", 0, "Take this lock too, shared", 2},
	{"command", 'c', "LINE", 0, "Have $SHELL, or else /bin/sh, run this line", 3},
	{"hold", OPT_HOLD, "WHAT", 0,
	 "Until when: command, COMMAND has ended (default); tree, and all it started", 3},
	{"close", 'o', NULL, 0, "COMMAND does not inherit the lock", 3},
	{"no-fork", 'F', NULL, 0, "Become COMMAND, instead of starting it", 3},
	{"rm", OPT_RM, NULL, 0, "Remove the lock file when done", 4},
	{"mode", 'm', "MODE", 0, "Mode of a file that has to be made, in octal, instead of 600", 4},
	{"follow", OPT_FOLLOW, NULL, 0, "Accept a symbolic link, and lock what it leads to", 4},
	{"replace", OPT_REPLACE, "SIGNAL", OPTION_ARG_OPTIONAL,
	 "Have whoever holds LOCK end, by SIGNAL instead of TERM, and take over", 4},
	{"coalesce", OPT_COALESCE, NULL, 0,
	 "If another waits for LOCK with this option, its run will do for ours: end", 4},
	{"reentrant", OPT_REENTRANT, NULL, 0,
	 "What a command above us holds already need not be taken", 4},
	{"no-lend", OPT_NO_LEND, NULL, 0, "Inside make, keep our job slot while we wait", 4},
	{"who", OPT_WHO, NULL, 0, "List who holds LOCK and who waits for it, and take nothing", 5},
	{"json", OPT_JSON, NULL, 0, "With --who: as a JSON array", 5},
	{0},
};

static void add_ask(struct opts *o, const char *name, enum sync_mode mode, struct argp_state *state)
{
	if (o->count == LOCKSET_MAX)
		argp_error(state, "too many locks: expected %d at most", LOCKSET_MAX);
	o->asks[o->count++] = (struct lockset_ask){name, mode};
}

static error_t parse_operand(struct opts *o, char *arg, struct argp_state *state)
{
	if (!o->asks[0].name)
		o->asks[0].name = arg;
	else if (!strcmp(arg, "--"))
		return 0; /* a second one: lockrun -- LOCK -- COMMAND */
	else if (o->shell_line)
		argp_error(state,
			   "unexpected operand '%s': -c takes the whole command in one "
			   "argument",
			   arg);
	else
		o->command = common_command(state);
	return 0;
}

static bool by_fd(const struct opts *o)
{
	return !o->command && !o->who;
}

/* What cannot be together. */
static void check_usage(const struct opts *o, struct argp_state *state)
{
	if (!o->asks[0].name)
		argp_error(state, "expected a lock and a command, or a descriptor");
	if (o->json && !o->who)
		argp_error(state, "--json goes with --who");
	if (o->who && (o->command || o->count > 1))
		argp_error(state, "--who takes one lock and no command");
	if (o->mode == SYNC_UNLOCKED && !by_fd(o))
		argp_error(state, "-u unlocks a descriptor: a lock file that is opened anew has "
				  "nothing to unlock");
	if (by_fd(o) && (o->count > 1 || o->close || o->in_place || o->tree || o->rm))
		argp_error(state,
			   "expected a command: without one, '%s' is a descriptor, and "
			   "-l, -o, -F, --hold and --rm have no meaning",
			   o->asks[0].name);
	if (o->in_place && (o->close || o->rm))
		argp_error(state, "-F leaves nobody to %s: do not use both",
			   o->rm ? "remove the file (--rm)" : "hold the lock (-o)");
	if (o->in_place && o->tree)
		argp_error(state,
			   "-F holds the lock for the whole tree anyway, and leaves nobody to "
			   "wait for it: do without --hold=tree");
	if (limit_wanted(&o->limit) && (o->in_place || by_fd(o)))
		argp_error(state, "%s leaves nobody to watch the time: no --max-run, --warn-after",
			   o->in_place ? "-F" : "a lock without a command");
	if (o->report.metrics && (o->in_place || by_fd(o)))
		argp_error(state, "%s leaves nobody to see how it ended: no --metrics",
			   o->in_place ? "-F" : "a lock without a command");
	if ((o->replace || o->coalesce) && (by_fd(o) || o->who))
		argp_error(state, "--replace and --coalesce are about a command");
	if ((o->replace || o->coalesce) && !o->common.timeout)
		argp_error(state, "--replace and --coalesce have to wait: no -n, -w 0");
	if (o->who && report_wanted(&o->report))
		argp_error(state, "--who reports no run: no --events, --metrics");
	if (o->close && o->tree)
		argp_error(state, "--hold=tree lets descendants hold the lock, -o forbids it");
	if (o->rm && o->follow)
		argp_error(state, "--rm would remove the symbolic link that --follow follows: "
				  "name the file itself");
}

static error_t finish(struct opts *o, struct argp_state *state)
{
	static char *shell_command[4];
	if (o->shell_line) {
		char *shell = secure_getenv("SHELL");
		static char fallback[] = "/bin/sh";
		static char dash_c[] = "-c";
		shell_command[0] = shell && *shell ? shell : fallback;
		shell_command[1] = dash_c;
		shell_command[2] = o->shell_line;
		o->command = shell_command;
	}
	check_usage(o, state);
	o->asks[0].mode = o->mode;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		state->child_inputs[1] = &o->limit;
		state->child_inputs[2] = &o->report;
		o->count = 1;
		o->mode = SYNC_EXCLUSIVE;
		return 0;
	case 'x':
		o->mode = SYNC_EXCLUSIVE;
		return 0;
	case 's':
		o->mode = SYNC_SHARED;
		return 0;
	case 'u':
		o->mode = SYNC_UNLOCKED;
		return 0;
	case 'l':
	case OPT_LOCK_SHARED:
		add_ask(o, arg, key == 'l' ? SYNC_EXCLUSIVE : SYNC_SHARED, state);
		return 0;
	case 'c':
		o->shell_line = arg; /* behind a command it would be the command's */
		return 0;
	case OPT_HOLD:
		if (strcmp(arg, "tree") != 0 && strcmp(arg, "command") != 0)
			argp_error(state, "invalid --hold '%s': expected command or tree", arg);
		o->tree = arg[0] == 't';
		return 0;
	case 'o':
		o->close = true;
		return 0;
	case 'F':
		o->in_place = true;
		return 0;
	case OPT_RM:
		o->rm = true;
		return 0;
	case 'm':
		if (!parse_mode(arg, &o->create_mode) || !o->create_mode)
			argp_error(state, "invalid mode '%s': expected octal, 1 to 777", arg);
		return 0;
	case OPT_FOLLOW:
		o->follow = true;
		return 0;
	case OPT_REPLACE:
		if (!signal_parse(arg ? arg : "TERM", &o->replace) || !child_passes_on(o->replace))
			argp_error(state,
				   "invalid signal '%s': expected one that a lockrun passes on to "
				   "its job, such as TERM, INT or HUP",
				   arg);
		return 0;
	case OPT_COALESCE:
		o->coalesce = true;
		return 0;
	case OPT_REENTRANT:
		o->reentrant = true;
		return 0;
	case OPT_NO_LEND:
		o->no_lend = true;
		return 0;
	case OPT_WHO:
		o->who = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_operand(o, arg, state);
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{&common_argp, 0, NULL, 0},
	{&limit_argp, 0, NULL, 0},
	{&report_argp, 0, NULL, 0},
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "LOCK [--] COMMAND [ARG...]\nLOCK -c LINE\nFD\n--who LOCK",
	.doc = "Run COMMAND while holding LOCK: a file, or flock:PATH, ofd:PATH[@START[+LEN]], "
	       "fcntl:PATH[@START[+LEN]]. Without a command, lock the open descriptor FD."
	       "\vExit status: that of COMMAND; 75 the lock was not free in time; see "
	       "lockrun(1). With --lockfile or -L before the command this is lockrun as older "
	       "crontabs know it: "
	       "see lockrun --lockfile=FILE --help.",
	.children = children,
};

static int print_owners(const struct opts *o, struct lockset *set)
{
	set->flags |= SYNC_LOCK_BY_NAME;
	lockset_open(set, o->asks, 1);
	struct sync_lock *lock = set->wants[0].lock;
	int r = holders_print(lock, o->json);
	struct lockfail f = {
		.name = o->asks[0].name,
		.no_create = true,
		.follow = o->follow,
	};
	return r ? lockfail_open(&f, r) : EXIT_DONE;
}

static int lock_descriptor(const struct opts *o, struct lockset *set)
{
	set->flags |= SYNC_LOCK_BY_FD;
	lockset_open(set, o->asks, 1);
	if (!lockset_can(set, SYNC_CAP_INHERIT))
		die(EXIT_BAD_USAGE,
		    "%s: such a lock belongs to the process, and would be gone as "
		    "soon as lockrun ends: use flock: or ofd:",
		    quote(o->asks[0].name));
	if (o->mode == SYNC_UNLOCKED) {
		struct sync_lock *lock = set->wants[0].lock;
		int r = sync_lock_release(lock);
		return r ? lockset_fail(set, lock, r) : EXIT_DONE;
	}
	lockset_acquire(set);
	lockset_say_acquired(set);
	return EXIT_DONE;
}

static void refuse_supervisor_options(const struct opts *o)
{
	const char *option = o->close                  ? "-o"
			     : o->rm                   ? "--rm"
			     : o->tree                 ? "--hold=tree"
			     : limit_wanted(&o->limit) ? "--max-run or --warn-after"
			     : o->report.metrics       ? "--metrics"
						       : NULL;
	if (option)
		die(EXIT_BAD_USAGE,
		    "%s needs a lockrun that stays, but an fcntl: lock belongs to "
		    "one process and so must be COMMAND's own: use flock: or ofd:",
		    option);
}

static int run_supervised(const struct opts *o, struct lockset *set)
{
	int fds[LOCKSET_MAX + 1];
	struct heirs heirs = {-1, -1};
	struct limit limit;
	struct child_plan plan = {.argv = o->command, .keep = fds};
	plan.keep_count = lockset_fds(set, fds);
	if (limit_wanted(&o->limit)) {
		plan.limit = &limit;
		plan.limit_opts = &o->limit;
	}
	if (o->tree)
		fds[plan.keep_count++] = heirs_begin(&heirs);
	if (o->close)
		plan.keep_count = 0;
	int status = child_run(&plan);
	if (status < 0)
		warn("cannot start %s: %s: it was not run", quote(o->command[0]),
		     strerror(-status));
	if (o->tree && heirs_wait(&heirs, o->common.quiet, status < 0 ? NULL : plan.limit))
		status = child_end_rest(&limit);
	if (status < 0)
		status = EXIT_SYSTEM;
	if (set->report)
		report_exited(set->report, status);
	lockset_release(set, o->rm);
	if (set->report)
		report_end(set->report);
	return status;
}

static int run_in_place(const struct opts *o, const struct lockset *set)
{
	int fds[LOCKSET_MAX];
	struct child_plan plan = {.argv = o->command, .keep = fds};
	plan.keep_count = lockset_fds(set, fds);
	return child_exec(&plan);
}

/* LOCK among the locks that have to be taken, if it is. They are not sorted yet. */
static struct sync_lock *main_lock(const struct opts *o, const struct lockset *set)
{
	struct sync_lock *first = set->count ? set->wants[0].lock : NULL;
	return first && !strcmp(sync_lock_name(first), o->asks[0].name) ? first : NULL;
}

/* With regard to others who wait for LOCK. Not for what is held above us already. */
static void acquire(const struct opts *o, struct lockset *set)
{
	const struct sync_lock *lock = o->replace || o->coalesce ? main_lock(o, set) : NULL;
	if (lock && o->coalesce && !coalesce_begin(set, lock)) {
		if (set->report)
			report_skip(set->report, "coalesced");
		if (o->common.verbose)
			warn("another waits for %s already, and will do for this one",
			     quote(o->asks[0].name));
		exit(EXIT_DONE);
	}
	if (lock && o->replace)
		replace_begin(set, lock, o->mode, o->replace);
	lockset_acquire(set);
	if (lock && o->replace)
		replace_end();
	if (lock && o->coalesce)
		coalesce_end();
}

static int run(int argc, char **argv)
{
	/* Static: the data page is touched anyway, another page of stack need not be. */
	static struct opts o;
	static struct lockset set;
	if (classic_is_meant(argv))
		return classic_run(argv);
	error_t err = parse_short_args(&argp, argc, argv, ARGP_IN_ORDER, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	set.common = &o.common;
	set.flags = o.follow ? SYNC_LOCK_FOLLOW : 0;
	set.create_mode = o.create_mode;
	set.reentrant = o.reentrant;
	set.no_lend = o.no_lend;
	if (o.who)
		return print_owners(&o, &set);
	if (o.common.verbose)
		child_guard_messages(true);
	if (o.limit.max_run)
		child_stand_alone();
	if (report_wanted(&o.report)) {
		child_guard_messages(true);
		set.report = &o.report;
		report_begin(set.report, o.asks[0].name);
	}
	if (by_fd(&o))
		return lock_descriptor(&o, &set);

	lockset_open(&set, o.asks, o.count);
	if (o.rm && !lockset_can(&set, SYNC_CAP_UNLINK))
		die(EXIT_BAD_USAGE, "--rm removes only regular, empty files, locked as a whole");
	bool supervised = lockset_can(&set, SYNC_CAP_INHERIT) && !o.in_place;
	if (!supervised)
		refuse_supervisor_options(&o);
	acquire(&o, &set);
	if (supervised)
		child_hold_signals();
	lockset_say_acquired(&set);
	if (held_export(set.wants, set.count))
		die(EXIT_SYSTEM,
		    "cannot tell the command what is locked: too many lockruns one in the "
		    "other");
	if (o.common.verbose)
		warn("running %s", quote(o.command[0]));
	if (o.common.verbose || set.report)
		child_guard_messages(false);
	return supervised ? run_supervised(&o, &set) : run_in_place(&o, &set);
}

const struct applet applet_lockrun = {
	.name = "lockrun",
	.summary = "run a command under a lock",
	.argp = &argp,
	.run = run,
};
