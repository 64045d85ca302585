/* SPDX-License-Identifier: MIT */
/* evfd reset: set the counter to 0. */
#include <errno.h>
#include <string.h>

#include "libsync.h"

#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.args_doc = "[EVENT]",
	.doc = "Take all that the counter has, without waiting, and print how much that was.",
	.children = children,
};

/* The kernel gives 1 at a time of a semaphore, some millions a second, and has no other way to lower it. */
#define MOST_AT_ONCE 10000000

static void check_size(struct sync_event *e)
{
	struct sync_event_state s;
	if (sync_event_state(e, &s) || s.semaphore <= 0 || s.value <= MOST_AT_ONCE)
		return;
	die(EXIT_SYSTEM,
	    "cannot reset %s: a semaphore gives 1 at a time, and it has %llu, which would take %s: "
	    "make a new one",
	    quote(sync_event_name(e)), (unsigned long long)s.value,
	    s.value / MOST_AT_ONCE > 86400 ? "for ever" : "long");
}

static int run(int argc, char **argv)
{
	struct event_args a = {.takes = TAKES_NOTHING};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&a.common);
	struct sync_event *e = event_open(&a);
	int r;
	uint64_t sum = 0;
	uint64_t value;
	(void)until;
	check_size(e);
	while ((r = sync_event_wait(e, SYNC_NOW, &value)) == 0 || r == -EINTR)
		sum += r ? 0 : value;
	if (r != -ETIMEDOUT)
		return event_fail("reset", e, &a, r);
	return event_print(e, sum);
}

const struct applet evfd_reset = {
	.name = "reset",
	.summary = "set the counter to 0",
	.argp = &argp,
	.run = run,
};
