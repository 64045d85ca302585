/* SPDX-License-Identifier: MIT */
/*
 * semwait: take permits of a semaphore; and run a command with them.
 *
 * 1. Open every semaphore; make SEM if asked to.
 * 2. Take all permits or none, keeping our place in the queue. With COMMAND they are owned: whatever
 *    kills their owner, they come back.
 * 3. Become COMMAND, where permits stay over exec and the kernel takes them back; otherwise start it,
 *    and give them back when it ends.
 *
 * Tokens of make's are in nobody's hands but ours: signals that would kill us in step 2 wait, and end it.
 * Whatever we wait for inside make, our own slot is lent meanwhile (lend.c).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "applet.h"
#include "child.h"
#include "common.h"
#include "exitcode.h"
#include "holders.h"
#include "jobserver.h"
#include "lend.h"
#include "limit.h"
#include "parse.h"
#include "say.h"
#include "shortargs.h"
#include "semopen.h"
#include "served.h"
#include "stop.h"
#include "waiting.h"

/* More than any job needs, as with locks. */
enum { SEMS_MAX = 16 };

struct ask {
	char *name;
	unsigned count;
};

struct opts {
	struct common_opts common;
	struct limit_opts limit;
	struct ask asks[SEMS_MAX]; /* asks[0] is SEM, the others --and */
	size_t count;
	struct sync_sem_opts open;
	bool zero, value, path, by_fd;
	bool no_lend, no_jobserver;
	char **command;
};

enum { OPT_FD = 256, OPT_VALUE, OPT_PATH, OPT_NO_LEND, OPT_NO_JOBSERVER };

static const struct argp_option options[] = {
	{"count", 'c', "K", 0, "Take K permits, all or none, instead of 1", 1},
	{"and", 'a', "SEM", 0, "Take from this pool too, K of them as SEM*K; may be repeated", 1},
	{"zero", 'z', NULL, 0, "Wait until no permit is left, and take none", 1},
	{"init", 'i', "N", 0, "If SEM is missing, make it with N permits", 2},
	{"mode", 'm', "MODE", 0, "Mode of one that has to be made, in octal, instead of 600", 2},
	{"fd", OPT_FD, "N", 0, "Take a pool's permits for our caller's descriptor N", 3},
	{"no-lend", OPT_NO_LEND, NULL, 0, "Inside make, keep our job slot while we wait", 4},
	{"no-jobserver", OPT_NO_JOBSERVER, NULL, 0, "COMMAND shall not use make's jobserver", 4},
	{"value", OPT_VALUE, NULL, 0, "Print how many permits are free, and take none", 4},
	{"path", OPT_PATH, NULL, 0, "Print the pool's file, and take none", 4},
	{0},
};

static unsigned parse_permits(const char *arg, struct argp_state *state)
{
	uint64_t n;
	if (!parse_count(arg, INT32_MAX, &n))
		argp_error(state, "invalid number of permits '%s': expected 0 to 2147483647", arg);
	return (unsigned)n;
}

/* "SEM*K", or "SEM" for one. A '*' that no number follows belongs to the name. */
static void add_ask(struct opts *o, char *arg, struct argp_state *state)
{
	uint64_t n = 1;
	char *star = strrchr(arg, '*');
	if (o->count == SEMS_MAX)
		argp_error(state, "too many semaphores: expected %d at most", SEMS_MAX);
	if (star && parse_count(star + 1, INT32_MAX, &n)) {
		if (!n)
			argp_error(state, "invalid --and '%s': expected 1 permit or more", arg);
		*star = '\0';
	}
	o->asks[o->count++] = (struct ask){arg, (unsigned)n};
}

static error_t parse_operand(struct opts *o, char *arg, struct argp_state *state)
{
	if (!o->asks[0].name)
		o->asks[0].name = arg;
	else if (strcmp(arg, "--") != 0)
		o->command = common_command(state);
	return 0;
}

static error_t finish(struct opts *o, struct argp_state *state)
{
	int looks = o->zero + o->value + o->path;
	if (!o->asks[0].name)
		argp_error(state, "expected a semaphore, and perhaps a command");
	if (looks > 1)
		argp_error(state, "-z, --value and --path: give one of them");
	if (looks && (o->count > 1 || o->asks[0].count > 1 || o->by_fd))
		argp_error(state, "-z, --value and --path take no permit: -c, -a and --fd have no "
				  "meaning");
	if ((o->value || o->path) && o->command)
		argp_error(state, "--value and --path take no command");
	if (o->no_jobserver && !o->command)
		argp_error(state, "--no-jobserver goes with a command");
	if (o->by_fd && o->command)
		argp_error(state, "--fd leaves the permits to the caller's descriptor: there is no "
				  "command to run");
	if (limit_wanted(&o->limit) && !o->command)
		argp_error(state, "--max-run and --warn-after are about a command: give one");
	if (o->by_fd && o->count > 1)
		argp_error(state, "--fd goes with one semaphore, on whose file the descriptor is "
				  "open");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		state->child_inputs[1] = &o->limit;
		o->count = 1;
		o->asks[0].count = 1;
		return 0;
	case 'c':
		o->asks[0].count = parse_permits(arg, state);
		if (!o->asks[0].count)
			argp_error(state, "invalid count '0': expected 1 permit or more");
		return 0;
	case 'a':
		add_ask(o, arg, state);
		return 0;
	case 'z':
		o->zero = true;
		return 0;
	case 'i':
		o->open.initial = parse_permits(arg, state);
		o->open.flags |= SYNC_SEM_CREATE;
		return 0;
	case 'm':
		if (!parse_mode(arg, &o->open.mode) || !o->open.mode)
			argp_error(state, "invalid mode '%s': expected octal, 1 to 777", arg);
		return 0;
	case OPT_FD:
		if (!parse_count(arg, INT32_MAX, &n))
			argp_error(state, "invalid descriptor '%s': expected a number", arg);
		o->open.fd = (int)n;
		o->open.flags |= SYNC_SEM_BY_FD;
		o->by_fd = true;
		return 0;
	case OPT_NO_LEND:
		o->no_lend = true;
		return 0;
	case OPT_NO_JOBSERVER:
		o->no_jobserver = true;
		return 0;
	case OPT_VALUE:
		o->value = true;
		return 0;
	case OPT_PATH:
		o->path = true;
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
	{0},
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SEM\nSEM [--] COMMAND [ARG...]\n--fd=N SEM\n--value SEM\n--path SEM",
	.doc = "Take a permit of the semaphore SEM: a name, or sysv:NAME, posix:/NAME, pool:NAME, "
	       "pool:/PATH, or, inside make, jobserver:. With COMMAND, run it with the permit, "
	       "which comes back whatever kills "
	       "it."
	       "\vExit status: that of COMMAND; 75 no permit was free in time; see "
	       "semwait(1).",
	.children = children,
};

/* ---- taking ---- */

struct job {
	struct opts *opts;
	struct sync_sem_want wants[SEMS_MAX];
	unsigned flags;
	bool served; /* by make: what we take must go back, by us */
	const struct timespec *deadline;
};

static int take(struct job *j, const struct timespec *deadline, struct sync_sem **failed)
{
	struct sync_sem *sem = *failed = j->wants[0].sem;
	int r;
	do {
		if (j->opts->zero)
			r = sync_sem_wait_zero(sem, deadline);
		else if (j->opts->count == 1)
			r = sync_sem_wait(sem, j->wants[0].count, j->flags, deadline);
		else
			r = sync_sem_wait_all(j->wants, j->opts->count, j->flags, deadline, failed);
	} while (r == -EINTR && !stop_wanted());
	return r;
}

/* Of several the first that is in short supply will be the one; a picture of the moment. */
static const char *blocker(char *buf, size_t size, const void *what)
{
	const struct opts *o = what;
	char name[256];
	char who[400] = "";
	for (size_t i = 0; i < o->count; i++) {
		struct sync_sem *sem = NULL;
		struct sync_sem_opts look = {.directory = o->open.directory};
		if (sync_sem_open(o->asks[i].name, &look, &sem))
			continue;
		bool short_of = holders_describe_sem(who, sizeof(who), sem, o->asks[i].count);
		sync_sem_close(sem);
		if (short_of || i + 1 == o->count) {
			/* Not quote(), which is never freed: this is said again each second. */
			escape(name, sizeof(name), o->asks[i].name);
			snprintf(buf, size, "waiting for '%s': %s", name, who);
			return buf;
		}
	}
	snprintf(buf, size, "waiting");
	return buf;
}

/* The blocking wait. */
static int wait_long(struct job *j, bool lends, struct sync_sem **failed)
{
	bool verbose = j->opts->common.verbose;
	/* Make's own tokens: the slot is one of them, and lent by the wait itself. */
	struct sync_sem *lent = lends && !j->served ? lend_begin(verbose) : NULL;
	int r = take(j, j->deadline, failed);
	if (r && j->served)
		lend_take_back(j->wants[0].sem, false);
	lend_end(lent, verbose);
	return r;
}

static int wait_for(struct job *j, struct sync_sem **failed)
{
	struct opts *o = j->opts;
	bool lends = lend_possible() && !o->no_lend;
	bool shown = o->common.verbose || (say_on_terminal() && !o->common.quiet);
	/* Whom nobody looks at stands in line at once: trying first would cost twice. */
	int r = shown || lends || !o->common.timeout ? take(j, SYNC_NOW, failed) : -ETIMEDOUT;
	if (r != -ETIMEDOUT || !o->common.timeout)
		return r;
	if (o->common.verbose) {
		char buf[1024];
		warn("%s", blocker(buf, sizeof(buf), o));
	}
	struct waiting *line = shown ? waiting_begin(blocker, o, false) : NULL;
	r = wait_long(j, lends, failed);
	waiting_end(line);
	return r;
}

/* How many permits of this one were asked for. */
static unsigned asked_of(const struct opts *o, const struct sync_sem *sem)
{
	unsigned count = 0;
	for (size_t i = 0; i < o->count; i++)
		if (!strcmp(o->asks[i].name, sync_sem_name(sem)))
			count += o->asks[i].count;
	return count;
}

static int busy(const struct opts *o, struct sync_sem *failed)
{
	if (!o->common.quiet) {
		const char *name = quote(sync_sem_name(failed));
		char who[400];
		holders_describe_sem(who, sizeof(who), failed, asked_of(o, failed));
		warn("%s: %s", name, o->zero ? "its permits are not all taken" : who);
	}
	return o->common.busy_status;
}

/* ---- COMMAND ---- */

/* SYNCBOX_SLOT: the numbers of SEM's permits, which do not change while they are held. */
static void export_slots(const struct sync_sem *sem)
{
	const unsigned *slots;
	size_t n = sync_sem_slots(sem, &slots);
	if (!n)
		return;
	size_t size = n * 11 + 1;
	char *list = malloc(size);
	size_t used = 0;
	for (size_t i = 0; list && i < n; i++)
		used += (size_t)snprintf(list + used, size - used, i ? " %u" : "%u", slots[i]);
	if (!list || setenv("SYNCBOX_SLOT", list, 1))
		die(EXIT_SYSTEM, "no memory");
	free(list);
}

static size_t descriptors(const struct job *j, int **out)
{
	size_t n = 0;
	int *all = NULL;
	for (size_t i = 0; i < j->opts->count; i++) {
		const int *fds;
		size_t few = sync_sem_fds(j->wants[i].sem, &fds);
		if (!few)
			continue;
		all = realloc(all, (n + few) * sizeof(*all));
		if (!all)
			die(EXIT_SYSTEM, "no memory");
		memcpy(all + n, fds, few * sizeof(*all));
		n += few;
	}
	*out = all;
	return n;
}

static void hide_jobserver(const struct opts *o)
{
	if (o->no_jobserver && !jobserver_hide())
		die(EXIT_SYSTEM, "no memory");
}

/* To the end of COMMAND; its status. */
static int supervise(const struct opts *o, struct child_plan plan)
{
	struct limit limit;
	if (limit_wanted(&o->limit)) {
		plan.limit = &limit;
		plan.limit_opts = &o->limit;
	}
	int status = child_run(&plan);
	if (status >= 0)
		return status;
	warn("cannot start %s: %s: it was not run", quote(o->command[0]), strerror(-status));
	return EXIT_SYSTEM;
}

/* There is no jobserver: we are one job, and have its slot. */
static int run_alone(const struct opts *o, const char *why)
{
	const struct child_plan plan = {.argv = o->command};
	if (!o->command)
		die(EXIT_NO_OBJECT, "no jobserver: %s", *why ? why : "make -n does nothing");
	if (*why && !o->common.quiet)
		warn("no jobserver for %s, which runs in the one slot that it has: %s",
		     quote(o->command[0]), why);
	hide_jobserver(o);
	if (!limit_wanted(&o->limit))
		return child_exec(&plan);
	child_hold_signals();
	return supervise(o, plan);
}

/*
 * Who is to watch the time stays. What the kernel would have given back when COMMAND, exec'd in place, had ended,
 * it gives back when we both have: a descriptor that both have, or the semaphore adjustments that both share.
 */
static int run_command(struct job *j, bool in_place, bool by_kernel)
{
	const struct opts *o = j->opts;
	int *fds;
	struct child_plan plan = {.argv = o->command, .share_undo = by_kernel};
	plan.keep_count = descriptors(j, &fds);
	plan.keep = fds;
	/* wait_all() may have sorted them */
	for (size_t i = 0; i < o->count; i++)
		if (!strcmp(sync_sem_name(j->wants[i].sem), o->asks[0].name))
			export_slots(j->wants[i].sem);
	hide_jobserver(o);
	if (o->common.verbose) {
		warn("running %s", quote(o->command[0]));
		child_guard_messages(false);
	}
	if (in_place)
		return child_exec(&plan);
	int status = supervise(o, plan);
	int r = by_kernel ? 0 : sync_sem_release(j->wants[0].sem);
	if (r)
		semfail("give back to", j->wants[0].sem, 0, r);
	if (j->served)
		sync_sem_close(j->wants[0].sem); /* a ledger that nobody uses goes with us */
	return status;
}

/* ---- */

static int print_value(struct sync_sem *sem)
{
	struct sync_sem_state state;
	int r = sync_sem_state(sem, &state);
	if (r)
		return semfail("look at", sem, 0, r);
	printf("%u\n", state.value);
	return EXIT_DONE;
}

/* What this kind of semaphore cannot do is refused before one is made; what all can do is returned. */
static unsigned check_kinds(const struct opts *o)
{
	unsigned caps = ~0U;
	for (size_t i = 0; i < o->count; i++) {
		const char *name = o->asks[i].name;
		unsigned can = sync_sem_caps_of(name);
		if (o->count > 1 && !(can & SYNC_CAP_SET))
			die(EXIT_BAD_USAGE, "%s: -a goes with pools alone", quote(name));
		if (o->zero && !(can & SYNC_CAP_ZERO))
			die(EXIT_BAD_USAGE, "%s: only a sysv: semaphore can be waited for to be 0",
			    quote(name));
		if (o->path && !(can & SYNC_CAP_INHERIT))
			die(EXIT_BAD_USAGE, "%s: only a pool has a file to name", quote(name));
		if (o->asks[i].count > 1 && !(can & SYNC_CAP_COUNT))
			die(EXIT_BAD_USAGE,
			    "%s: of this kind only one permit at a time can be taken", quote(name));
		if (o->asks[i].count > sync_sem_max_of(name))
			die(EXIT_BAD_USAGE, "%s can never have %u permits: %u at most", quote(name),
			    o->asks[i].count, sync_sem_max_of(name));
		caps &= can;
	}
	bool needs_owner = !o->command && !o->by_fd && !o->zero && !o->value && !o->path &&
			   !(caps & SYNC_CAP_SHARE);
	if (needs_owner && caps & SYNC_CAP_SERVED)
		die(EXIT_BAD_USAGE,
		    "%s: make counts on getting each token back, and nobody would give this one: "
		    "give a command",
		    quote(o->asks[0].name));
	if (needs_owner)
		die(EXIT_BAD_USAGE,
		    "%s: a permit of a pool belongs to a descriptor, and would be gone as soon as "
		    "semwait ends: give a command, or --fd=N",
		    quote(o->asks[0].name));
	return caps;
}

static int not_taken(struct job *j, struct sync_sem *failed, int r)
{
	const struct opts *o = j->opts;
	int status = r == -ETIMEDOUT ? busy(o, failed)
				     : semfail(o->zero ? "wait for zero of" : "take from", failed,
					       asked_of(o, failed), r);
	if (j->served)
		sync_sem_close(failed); /* a ledger that nobody uses goes with us */
	return status;
}

static int run(int argc, char **argv)
{
	const char *why;
	/* Static: the data page is touched anyway, another page of stack need not be. */
	static struct opts o;
	static struct job j;
	j.opts = &o;
	error_t err = parse_short_args(&argp, argc, argv, ARGP_IN_ORDER, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.common.verbose)
		child_guard_messages(true);
	if (o.limit.max_run)
		child_stand_alone();
	j.deadline = common_deadline(&o.common);
	o.open.label = o.command ? o.command[0] : NULL;
	unsigned caps = check_kinds(&o);
	for (size_t i = 0; i < o.count; i++) {
		struct sync_sem *sem = semopen(o.asks[i].name, &o.open, &why);
		if (!sem)
			return run_alone(&o, why);
		j.wants[i] = (struct sync_sem_want){.sem = sem, .count = o.asks[i].count};
	}
	if (o.value)
		return print_value(j.wants[0].sem);
	if (o.path) {
		puts(sync_sem_path(j.wants[0].sem));
		return EXIT_DONE;
	}
	bool by_kernel = caps & SYNC_CAP_EXEC;
	bool in_place = by_kernel && !limit_wanted(&o.limit);
	j.flags = (o.command ? SYNC_SEM_OWNED : 0) | (in_place || !o.command ? SYNC_SEM_EXEC : 0);
	/* From the moment we own something that only we can give back. */
	bool supervised = o.command && !in_place && (!o.zero || limit_wanted(&o.limit));
	struct sync_sem *failed;
	j.served = supervised && caps & SYNC_CAP_SERVED;
	if (j.served)
		served_begin();
	int r = wait_for(&j, &failed);
	if (j.served && served_end(j.wants[0].sem, r)) {
		sync_sem_close(j.wants[0].sem); /* a ledger that nobody uses goes with us */
		served_die();
	}
	if (r)
		return not_taken(&j, failed, r);
	if (supervised)
		child_hold_signals();
	if (o.common.verbose)
		warn("took %u of %s", o.zero ? 0 : o.asks[0].count, quote(o.asks[0].name));
	return o.command ? run_command(&j, !supervised, by_kernel) : EXIT_DONE;
}

const struct applet applet_semwait = {
	.name = "semwait",
	.summary = "take permits of a semaphore, and run a command with them",
	.argp = &argp,
	.run = run,
};
