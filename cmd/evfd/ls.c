/* SPDX-License-Identifier: MIT */
/* evfd ls: the events that have names. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "evfd.h"
#include "exitcode.h"
#include "json.h"
#include "say.h"

/* For one that does not answer. */
#define PATIENCE_NSEC INT64_C(1000000000)

struct opts {
	bool json;
};

enum { OPT_JSON = 256 };

static const struct argp_option options[] = {
	{"json", OPT_JSON, NULL, 0, "As a JSON array", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	if (key != OPT_JSON)
		return ARGP_ERR_UNKNOWN;
	o->json = true;
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "List our events that have names, or if we are root, everybody's.",
};

static int look(const char *name, struct sync_event_state *s)
{
	struct sync_event *e;
	struct timespec until;
	sync_deadline_in(PATIENCE_NSEC, &until);
	int r = sync_event_open(name, &until, &e);
	if (r)
		return r;
	r = sync_event_state(e, s);
	sync_event_close(e);
	return r;
}

static void print(const struct opts *o, const struct sync_event_entry *entry)
{
	static bool more;
	struct sync_event_state s = {0};
	int r = look(entry->name, &s);
	if (r == -ENOENT)
		return; /* gone in the meantime */
	if (o->json) {
		printf("%s{\"name\":", more ? "," : "");
		json_string(entry->name);
		printf(",\"uid\":%u", (unsigned)entry->uid);
		if (!r)
			printf(",\"value\":%llu,\"semaphore\":%s,\"mode\":\"%o\",\"holder\":%d",
			       (unsigned long long)s.value, s.semaphore > 0 ? "true" : "false",
			       (unsigned)s.mode, (int)s.holder);
		putchar('}');
		more = true;
	} else if (r) {
		printf("%s ? %s\n", entry->name, strerror(-r));
	} else {
		printf("%s %llu %s mode %o holder %d uid %u\n", entry->name,
		       (unsigned long long)s.value, s.semaphore > 0 ? "semaphore" : "counter",
		       (unsigned)s.mode, (int)s.holder, (unsigned)entry->uid);
	}
}

static int run(int argc, char **argv)
{
	static struct opts o;
	struct sync_event_entry *list = NULL;
	size_t count = 0;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	int r = sync_event_list(&list, &count);
	if (r)
		die(exit_status_of(r), "cannot list events: %s", strerror(-r));
	if (o.json)
		putchar('[');
	for (size_t i = 0; i < count; i++)
		print(&o, &list[i]);
	if (o.json)
		puts("]");
	free(list);
	return EXIT_DONE;
}

const struct applet evfd_ls = {
	.name = "ls",
	.summary = "list the events that have names",
	.argp = &argp,
	.run = run,
};
