/* SPDX-License-Identifier: MIT */
/* mqpipe flush: throw away the messages that are in a queue. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "oversize.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	bool quiet;
	char **names;
	int count;
};

static const struct argp_option options[] = {
	{"quiet", 'q', NULL, 0, "Do not print how many they were", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case 'q':
		o->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		o->names = common_command(state);
		o->count = state->argc - (int)(o->names - state->argv);
		return 0;
	case ARGP_KEY_END:
		if (!o->count)
			argp_error(state, "expected a queue");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE...",
	.doc = "Throw away as many messages as are in each QUEUE now, and print how many that was.",
};

/* A message that is too long lies in a file, which goes with it. */
static void forget_file(const char *data, size_t len)
{
	char ticket[OVERSIZE_TICKET_MAX] = "";
	const struct message m = {.data = data, .len = len};
	if (!oversize_is_ticket(&m))
		return;
	memcpy(ticket, data, len);
	oversize_forget(ticket);
}

/* No more than there are now, so that it ends also while others send. */
static int flush(struct sync_queue *q, uint64_t *dropped)
{
	struct sync_queue_state s = queue_state(q);
	char *buf = malloc(s.size);
	if (!buf)
		die(EXIT_SYSTEM, "no memory for messages of %llu bytes",
		    (unsigned long long)s.size);
	ssize_t n = 0;
	while (s.messages--) {
		do
			n = sync_queue_recv(q, buf, s.size, NULL, SYNC_NOW, NULL);
		while (n == -EINTR);
		if (n < 0)
			break;
		++*dropped;
		forget_file(buf, (size_t)n);
	}
	free(buf);
	return n < 0 && n != -ETIMEDOUT ? (int)n : 0;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	const struct sync_queue_opts open = {.flags = SYNC_QUEUE_RECV};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	uint64_t dropped = 0;
	for (int i = 0; i < o.count; i++) {
		struct sync_queue *q = queue_open(o.names[i], &open, 0);
		int r = flush(q, &dropped);
		if (r)
			return queue_fail("flush", q, r);
		sync_queue_close(q);
	}
	if (!o.quiet)
		printf("%llu\n", (unsigned long long)dropped);
	return EXIT_DONE;
}

const struct applet mqpipe_flush = {
	.name = "flush",
	.summary = "throw away what queues hold",
	.argp = &argp,
	.run = run,
};
