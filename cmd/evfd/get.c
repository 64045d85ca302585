/* SPDX-License-Identifier: MIT */
/* evfd get: print the counter. */
#include <stdio.h>
#include <string.h>

#include "libsync.h"

#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.args_doc = "[EVENT]",
	.doc = "Print the counter, and leave it.",
	.children = children,
};

static int run(int argc, char **argv)
{
	struct event_args a = {.takes = TAKES_NOTHING};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&a.common);
	struct sync_event *e = event_open(&a);
	int r;
	struct sync_event_state s;
	(void)until;
	r = sync_event_state(e, &s);
	if (r)
		return event_fail("look at", e, &a, r);
	printf("%llu\n", (unsigned long long)s.value);
	return EXIT_DONE;
}

const struct applet evfd_get = {
	.name = "get",
	.summary = "print the counter",
	.argp = &argp,
	.run = run,
};
