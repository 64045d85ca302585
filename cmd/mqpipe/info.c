/* SPDX-License-Identifier: MIT */
/* mqpipe info: what queues hold, and what they could. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "exitcode.h"
#include "json.h"
#include "mqpipe.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	bool shell, json;
	char **names;
	int count;
};

enum { OPT_JSON = 256 };

static const struct argp_option options[] = {
	{"shell", 's', NULL, 0, "As assignments for eval: MQ_MESSAGES=3 ...", 1},
	{"json", OPT_JSON, NULL, 0, "As a JSON array", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case 's':
		o->shell = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		o->names = common_command(state);
		o->count = state->argc - (int)(o->names - state->argv);
		return 0;
	case ARGP_KEY_END:
		if (!o->count)
			argp_error(state, "expected a queue");
		if (o->shell && (o->json || o->count > 1))
			argp_error(state, "-s is for one queue, and without --json");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE...",
	.doc = "Print how many messages are in each QUEUE, and how many there can be.",
};

/* A name is looked at by others too: 'it'\''s' is the same to every shell. */
static void print_quoted(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*s);
	putchar('\'');
}

static void print_shell(const char *name, const struct sync_queue_state *s, int receivers)
{
	fputs("MQ_NAME=", stdout);
	print_quoted(name);
	printf("\nMQ_MESSAGES=%llu\nMQ_BYTES=%llu\nMQ_CAPACITY=%llu\nMQ_CAPACITY_BYTES=%llu\n"
	       "MQ_SIZE=%llu\nMQ_UID=%u\nMQ_MODE=%o\nMQ_RECEIVERS=%s\n",
	       (unsigned long long)s->messages, (unsigned long long)s->bytes,
	       (unsigned long long)s->capacity, (unsigned long long)s->capacity_bytes,
	       (unsigned long long)s->size, (unsigned)s->uid, (unsigned)s->mode,
	       receivers < 0 ? ""
	       : receivers   ? "yes"
			     : "no");
}

static void print_json(const char *name, const struct sync_queue_state *s, int receivers)
{
	fputs("{\"name\":", stdout);
	json_string(name);
	printf(",\"messages\":%llu,\"bytes\":%llu", (unsigned long long)s->messages,
	       (unsigned long long)s->bytes);
	if (s->capacity)
		printf(",\"capacity\":%llu", (unsigned long long)s->capacity);
	else
		printf(",\"capacity_bytes\":%llu", (unsigned long long)s->capacity_bytes);
	printf(",\"size\":%llu,\"uid\":%u,\"mode\":\"%o\"", (unsigned long long)s->size,
	       (unsigned)s->uid, (unsigned)s->mode);
	if (receivers >= 0)
		printf(",\"receivers\":%s", receivers ? "true" : "false");
	putchar('}');
}

static void print_line(const char *name, const struct sync_queue_state *s, int receivers)
{
	char safe[512];
	escape(safe, sizeof(safe), name);
	printf("%s: %llu messages", safe, (unsigned long long)s->messages);
	if (s->capacity)
		printf(" of %llu, %llu bytes", (unsigned long long)s->capacity,
		       (unsigned long long)s->bytes);
	else
		printf(", %llu bytes of %llu", (unsigned long long)s->bytes,
		       (unsigned long long)s->capacity_bytes);
	printf(", each up to %llu; uid %u, mode %o%s\n", (unsigned long long)s->size,
	       (unsigned)s->uid, (unsigned)s->mode,
	       receivers < 0 ? ""
	       : receivers   ? "; somebody receives"
			     : "; nobody receives");
}

static int run(int argc, char **argv)
{
	static struct opts o;
	static const struct sync_queue_opts look;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	if (o.json)
		putchar('[');
	for (int i = 0; i < o.count; i++) {
		struct sync_queue *q = queue_open(o.names[i], &look, 0);
		struct sync_queue_state s = queue_state(q);
		int receivers = sync_queue_has_receiver(q);
		if (o.json && i)
			putchar(',');
		(o.json    ? print_json
		 : o.shell ? print_shell
			   : print_line)(o.names[i], &s, receivers);
		sync_queue_close(q);
	}
	if (o.json)
		puts("]");
	return EXIT_DONE;
}

const struct applet mqpipe_info = {
	.name = "info",
	.summary = "show what queues hold, and what they could",
	.argp = &argp,
	.run = run,
};
