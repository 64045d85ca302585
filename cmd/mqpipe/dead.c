/* SPDX-License-Identifier: MIT */
/* mqpipe dead: the dead letters of mqpipe work: list them, put them to work again, or drop them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libsync.h"

#include "common.h"
#include "deadletter.h"
#include "emit.h"
#include "exitcode.h"
#include "json.h"
#include "jsonline.h"
#include "mqpipe.h"
#include "oversize.h"
#include "parse.h"
#include "queueopen.h"
#include "say.h"
#include "stop.h"

enum action { LIST, REQUEUE, DROP };

struct opts {
	enum action action;
	bool json, quiet;
	uint64_t count;
	const char *dead;
	char *name;
};

enum { OPT_REQUEUE = 256, OPT_DROP, OPT_JSON, OPT_DEAD };

static const struct argp_option options[] = {
	{"requeue", OPT_REQUEUE, NULL, 0, "Put them into QUEUE again, as new jobs", 1},
	{"drop", OPT_DROP, NULL, 0, "Throw them away", 1},
	{"count", 'N', "N", 0, "Only the first N", 1},
	{"json", OPT_JSON, NULL, 0, "List them as lines of JSON, with all their bytes", 2},
	{"dead", OPT_DEAD, "QUEUE", 0, "They are in this queue, instead of QUEUE.dead", 2},
	{"quiet", 'q', NULL, 0, "Do not print how many they were", 2},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		o->count = UINT64_MAX;
		return 0;
	case OPT_REQUEUE:
	case OPT_DROP:
		if (o->action)
			argp_error(state, "--requeue and --drop: give one of them");
		o->action = key == OPT_DROP ? DROP : REQUEUE;
		return 0;
	case 'N':
		if (!parse_count(arg, INT64_MAX, &o->count) || !o->count)
			argp_error(state, "invalid count '%s': expected 1 or more messages", arg);
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_DEAD:
		o->dead = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->name)
			argp_error(state, "expected one queue");
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->name)
			argp_error(state, "expected a queue");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE",
	.doc = "List the jobs from QUEUE that have failed for good: status, attempts, when, "
	       "priority, "
	       "and the message.",
};

static void print_text(const struct letter *l)
{
	char when[32] = "-";
	time_t t = (time_t)l->time;
	struct tm tm;
	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	printf("status %u attempts %u %s priority %ld: ", l->status, l->attempts, when,
	       l->job.number);
	for (size_t i = 0; i < l->job.len; i++) {
		unsigned char c = (unsigned char)l->job.data[i];
		if (c == '\\')
			fputs("\\\\", stdout);
		else if (c >= ' ' && c <= '~')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	putchar('\n');
}

static void print_json(const struct letter *l)
{
	char *line = malloc(JSONLINE_MAX(l->job.len, 0));
	if (!line)
		die(EXIT_SYSTEM, "no memory for a message of %zu bytes", l->job.len);
	size_t n = jsonline_format(line, &l->job, NULL);
	printf("{\"status\":%u,\"attempts\":%u,\"time\":%lld,", l->status, l->attempts, l->time);
	fwrite(line + 1, 1, n - 1, stdout);
	free(line);
}

static int list_one(const struct opts *o, const struct letter *l)
{
	(o->json ? print_json : print_text)(l);
	if (!fflush(stdout))
		return EXIT_DONE;
	unwritable();
	return EXIT_IO;
}

static int requeue_one(const struct letter *l, struct sync_queue *to)
{
	/* A queue of types has none that is 0. */
	long number = l->job.number ? l->job.number : letter_number(to);
	int r;
	do
		r = sync_queue_send(to, l->job.data, l->job.len, number, SYNC_NOW);
	while (r == -EINTR);
	switch (-r) {
	case 0:
		return EXIT_DONE;
	case ETIMEDOUT:
		warn("%s is full", quote(sync_queue_name(to)));
		return EXIT_BUSY;
	case EINVAL:
		warn("%s has no priority %ld", quote(sync_queue_name(to)), number);
		return EXIT_BAD_DATA;
	default:
		return queue_fail("put a job into", to, r);
	}
}

/* A letter that is taken out, or a message that is none. */
struct round {
	const struct opts *o;
	struct sync_queue *from, *to;
	uint64_t handled;
	bool turned; /* some were put behind the others: all the others have to follow */
	int status, foreign;
};

static void put_back(struct round *d, const struct message *m)
{
	/* What is no letter may have a higher priority: then it would come next again, and so on for ever. */
	long number = sync_queue_caps(d->from) & SYNC_CAP_PRIORITY ? 0 : m->number;
	int r = sync_queue_put_back(d->from, m->data, m->len, number);
	char ticket[OVERSIZE_TICKET_MAX];
	d->turned = true;
	if (!r)
		return;
	/* Somebody has filled the place from which we took it. */
	const char *why = r == -ETIMEDOUT ? "the queue is full" : strerror(-r);
	d->status = r == -ETIMEDOUT ? EXIT_BUSY : EXIT_SYSTEM;
	if (oversize_spill_bytes(m->data, m->len, ticket))
		warn("LOST is a dead letter of %zu bytes, as it cannot be put back: %s", m->len,
		     why);
	else
		warn("a dead letter is in the file %s/%s, as it cannot be put back: %s: "
		     "mqpipe send -r -p %ld %s <FILE does it later",
		     oversize_place(), ticket + 4, why, number, quote(sync_queue_name(d->from)));
}

static void handle_foreign(struct round *d, const struct message *m, int err)
{
	const bool drops = d->o->action == DROP;
	warn("a message of %zu bytes in %s is no dead letter, or its file cannot be had: %s%s",
	     m->len, quote(sync_queue_name(d->from)), strerror(-err), drops ? ": dropped" : "");
	if (drops) {
		d->handled++;
		return;
	}
	put_back(d, m);
	d->foreign = EXIT_BAD_DATA;
}

static void handle(struct round *d, const struct message *m)
{
	struct letter l;
	int r = letter_parse(m, &l);
	if (r) {
		handle_foreign(d, m, r);
		return;
	}
	/* Back before it is printed: nobody knows how long that takes. */
	if (d->o->action == LIST)
		put_back(d, m);
	int status = d->o->action == LIST      ? list_one(d->o, &l)
		     : d->o->action == REQUEUE ? requeue_one(&l, d->to)
					       : EXIT_DONE;
	letter_close(&l, d->o->action != LIST && !status);
	if (d->o->action != LIST && status)
		put_back(d, m);
	if (status)
		d->status = status;
	else
		d->handled++;
}

/*
 * No kernel lets us look into a posix: queue: each letter is taken and, for a list, put back behind the
 * others. After a whole round they are in the order in which they were.
 */
static int go_round(struct round *d)
{
	struct sync_queue_state s = queue_state(d->from);
	char *buf = malloc(s.size);
	if (!buf)
		die(EXIT_SYSTEM, "no memory for messages of %llu bytes",
		    (unsigned long long)s.size);
	for (uint64_t left = s.messages; left; left--) {
		bool wanted = !d->status && d->handled < d->o->count && !stop_wanted();
		if (!wanted && !d->turned)
			break;
		struct message m = {.data = buf};
		ssize_t got = sync_queue_recv(d->from, buf, s.size, NULL, SYNC_NOW, &m.number);
		if (got == -ETIMEDOUT)
			break;
		if (got < 0)
			return queue_fail("receive from", d->from, (int)got);
		m.len = (size_t)got;
		if (wanted)
			handle(d, &m);
		else
			put_back(d, &m);
	}
	free(buf);
	if (d->o->action != LIST && !d->o->quiet)
		printf("%llu\n", (unsigned long long)d->handled);
	return d->status ? d->status : d->foreign;
}

static int run(int argc, char **argv)
{
	static struct opts o;
	char name[300];
	const struct sync_queue_opts look = {.flags = SYNC_QUEUE_RECV};
	const struct sync_queue_opts send = {.flags = SYNC_QUEUE_SEND};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (!o.dead && !letter_queue(o.name, name, sizeof(name)))
		die(EXIT_BAD_USAGE, "%s has no queue for dead letters: give --dead=QUEUE",
		    quote(o.name));
	stop_catch();
	struct round d = {.o = &o, .from = queue_open(o.dead ? o.dead : name, &look, 0)};
	if (o.action == REQUEUE)
		d.to = queue_open(o.name, &send, 0);
	int status = go_round(&d);
	stop_end();
	return status;
}

const struct applet mqpipe_dead = {
	.name = "dead",
	.summary = "list, re-queue or drop the jobs that have failed for good",
	.argp = &argp,
	.run = run,
};
