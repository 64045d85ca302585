/* SPDX-License-Identifier: MIT */
/*
 * jobpool: a job-token pool for make, ninja, cargo and scripts.
 *
 * 1. Make the pool, or join that of its name (pool.c).
 * 2. Take one token of it: whoever speaks the jobserver protocol counts on having one slot already.
 * 3. Run COMMAND with MAKEFLAGS that name the pool.
 * 4. Give the token back; who is last to leave the pool counts what is in it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "applet.h"
#include "child.h"
#include "common.h"
#include "exitcode.h"
#include "holders.h"
#include "makeargs.h"
#include "makeflags.h"
#include "parse.h"
#include "pool.h"
#include "say.h"
#include "semopen.h"
#include "served.h"
#include "stop.h"

struct opts {
	struct common_opts common;
	unsigned jobs;
	bool fifo;
	const char *name;
	char **command;
};

enum { OPT_STYLE = 256, OPT_NAME };

/* As many as fit in a pipe's first page. */
enum { JOBS_MAX = 4096 };

static const struct argp_option options[] = {
	{"jobs", 'j', "N", 0, "So many jobs at a time; default: as many as there are processors",
	 1},
	{"style", OPT_STYLE, "STYLE", 0,
	 "How the pool is told of: pipe (default), for every make; fifo, from make 4.4 on", 1},
	{"name", OPT_NAME, "NAME", 0, "Share the pool with all who give it the same name", 1},
	{0},
};

static bool is_name(const char *s)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(s);
	return n && n <= 200 && *s != '.' && *s != '-' && strspn(s, legal) == n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'j':
		if (!parse_count(arg, JOBS_MAX, &n) || !n)
			argp_error(state, "invalid number of jobs '%s': expected 1 to %d", arg,
				   JOBS_MAX);
		o->jobs = (unsigned)n;
		return 0;
	case OPT_STYLE:
		if (strcmp(arg, "fifo") != 0 && strcmp(arg, "pipe") != 0)
			argp_error(state, "invalid --style '%s': expected pipe or fifo", arg);
		o->fifo = arg[0] == 'f';
		return 0;
	case OPT_NAME:
		if (!is_name(arg))
			argp_error(state,
				   "invalid name '%s': expected up to 200 letters, digits, '.', "
				   "'-', '_'",
				   arg);
		o->name = arg;
		return 0;
	case ARGP_KEY_ARG:
		o->command = common_command(state);
		return 0;
	case ARGP_KEY_END:
		if (!o->command)
			argp_error(state, "expected a command");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[--] COMMAND [ARG...]",
	.doc = "Run COMMAND with a pool of job slots that make, ninja, cargo and semwait "
	       "jobserver: "
	       "take from: never more than N jobs at a time, whoever starts them."
	       "\vExit status: that of COMMAND; 75 no slot was free in time; see "
	       "jobpool(1).",
	.children = children,
};

/* Those that we may run on. */
static unsigned processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

static void export_pool(const struct pool *p)
{
	char words[8400];
	snprintf(words, sizeof(words), "-j%u %s", p->size, pool_auth(p));
	char *flags = makeflags_with(secure_getenv("MAKEFLAGS"), words);
	if (!flags || setenv("MAKEFLAGS", flags, 1))
		die(EXIT_SYSTEM, "no memory");
	free(flags);
}

/* Or leave the pool, and exit. */
static void take_slot(const struct opts *o, struct pool *p, const struct timespec *deadline)
{
	int r;
	int status;
	served_begin();
	do
		r = sync_sem_wait(p->sem, 1, SYNC_SEM_OWNED, deadline);
	while (r == -EINTR && !stop_wanted());
	if (served_end(p->sem, r)) {
		pool_leave(p, false);
		served_die();
	}
	if (!r)
		return;
	if (r != -ETIMEDOUT) {
		status = semfail("take from", p->sem, 1, r);
	} else {
		status = o->common.busy_status;
		if (!o->common.quiet) {
			char who[400];
			holders_describe_sem(who, sizeof(who), p->sem, 1);
			warn("no job slot: %s", who);
		}
	}
	pool_leave(p, false);
	exit(status);
}

static int run_command(const struct opts *o, struct pool *p)
{
	int fds[POOL_FDS + 1];
	const int *ledger;
	struct child_plan plan = {.argv = o->command, .keep = fds};
	plan.keep_count = p->fd_count;
	memcpy(fds, p->fds, sizeof(p->fds));
	/* As long as COMMAND lives, should we be killed, it has its slot. */
	if (sync_sem_fds(p->sem, &ledger))
		fds[plan.keep_count++] = ledger[0];
	int status = child_run(&plan);
	if (status < 0)
		warn("cannot start %s: %s: it was not run", quote(o->command[0]),
		     strerror(-status));
	int r = sync_sem_release(p->sem);
	if (r)
		semfail("give back to", p->sem, 0, r);
	return status < 0 ? EXIT_SYSTEM : status;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	static struct pool pool;
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *deadline = common_deadline(&o.common);
	pool.asked = o.jobs;
	pool.fallback = processors();
	pool.fifo = o.fifo;
	/* No signal that can be caught leaves files of a pool behind. */
	child_hold_signals();
	pool_join(&pool, o.name, deadline, o.common.verbose);
	if (makeargs_drop_jobs(o.command) && !o.common.quiet)
		warn("left out -j of %s, which would have it leave the pool", quote(o.command[0]));
	take_slot(&o, &pool, deadline);
	export_pool(&pool);
	int status = run_command(&o, &pool);
	pool_leave(&pool, o.common.verbose);
	return status;
}

const struct applet applet_jobpool = {
	.name = "jobpool",
	.summary = "a job-token pool for make, ninja, cargo and scripts",
	.argp = &argp,
	.run = run,
};
