/* SPDX-License-Identifier: MIT */
/* evfd gate: wait until the counter is not 0, and take nothing. */
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
	.doc = "Wait until the counter is not 0, and leave it: everybody who waits passes.",
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
	do
		r = sync_event_await(e, 1, until);
	while (r == -EINTR);
	return r ? event_fail("wait for", e, &a, r) : EXIT_DONE;
}

const struct applet evfd_gate = {
	.name = "gate",
	.summary = "wait until the counter is not 0, and take nothing",
	.argp = &argp,
	.run = run,
};
