/* SPDX-License-Identifier: MIT */
/* What syncls and syncrm share. A survey is a picture of the past. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exitcode.h"
#include "holders.h"
#include "objects.h"
#include "say.h"
#include "syncdir.h"

/* The words are in the order of the bits. */
static const char words[] = OBJECT_TYPES;

unsigned objects_type(const char *word)
{
	unsigned bit = 1;
	size_t len = strlen(word);
	for (const char *at = words; *at; at += strcspn(at, "|"), at += *at == '|', bit <<= 1)
		if (len && strcspn(at, "|") == len && !memcmp(at, word, len))
			return bit;
	return 0;
}

const char *objects_word(enum sync_type type)
{
	static char word[sizeof(words)];
	const char *at = words;
	for (unsigned bit = 1; bit < (unsigned)type; bit <<= 1) {
		at += strcspn(at, "|");
		at += *at == '|';
	}
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, "|"), at);
	return word;
}

struct sync_survey *objects_look(unsigned types, const char *const *names)
{
	struct sync_survey *survey;
	struct sync_survey_opts opts = {.types = types, .names = names};
	if (!types || types & (SYNC_TYPE_POOL | SYNC_TYPE_JOBSERVER))
		opts.directory = syncdir(false);
	int r = sync_survey_open(&opts, &survey);
	if (r == -EOPNOTSUPP)
		die(EXIT_SYSTEM, "cannot look at processes: /proc is not mounted: mount it");
	if (r)
		die(exit_status_of(r), "cannot look at processes: %s", strerror(-r));
	return survey;
}

void objects_say_blind(const struct sync_survey *survey, unsigned types)
{
	static const struct {
		unsigned bit, types;
		const char *text;
	} rows[] = {
		{SYNC_BLIND_QUEUES, SYNC_TYPE_MQ,
		 "posix: queues that nobody has open could not be listed: root sees them all, or "
		 "who "
		 "has mounted /dev/mqueue"},
		{SYNC_BLIND_PROC, SYNC_TYPE_ALL,
		 "processes of other users are hidden (/proc is mounted with hidepid): root sees "
		 "them all"},
		{SYNC_BLIND_SHM, SYNC_TYPE_SEM | SYNC_TYPE_SHM | SYNC_TYPE_JOBSERVER,
		 "/dev/shm could not be listed, and so no posix: semaphores and memory, nor "
		 "ledgers "
		 "of jobservers"},
		{SYNC_BLIND_SYSV, SYNC_TYPE_SEM | SYNC_TYPE_MQ | SYNC_TYPE_SHM,
		 "this kernel tells of no System V objects"},
		{SYNC_BLIND_EVENTS, SYNC_TYPE_EVENT, "names of events could not be listed"},
		{SYNC_BLIND_POOLS, SYNC_TYPE_POOL | SYNC_TYPE_JOBSERVER,
		 "the directory of pools could not be listed: those in use are shown"},
	};
	unsigned blind;
	size_t hidden = sync_survey_hidden(survey, &blind);
	if (!types)
		types = SYNC_TYPE_ALL;
	if (hidden)
		warn("%zu processes of other users could not be looked into: root sees them all",
		     hidden);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (blind & rows[i].bit && types & rows[i].types)
			warn("%s", rows[i].text);
}

const struct sync_object *objects_find(const struct sync_survey *survey, unsigned types,
				       const char *name, size_t *at)
{
	const struct sync_object *const *list;
	size_t count = sync_survey_objects(survey, &list);
	while (*at < count) {
		const struct sync_object *o = list[(*at)++];
		if ((!types || o->type & types) && sync_object_is(o, name))
			return o;
	}
	return NULL;
}

bool objects_is_stale(const struct sync_object *o, int64_t older)
{
	unsigned use = older ? o->use & ~(unsigned)SYNC_USE_CONTENT : o->use;
	if (use || o->flags || o->type == SYNC_TYPE_LOCK)
		return false;
	if (!older)
		return true;
	return o->since && (int64_t)time(NULL) - o->since >= older / 1000000000;
}

static const struct sync_owner *first(const struct sync_owner *list, size_t count, bool waiting)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].waiting == waiting)
			return &list[i];
	return NULL;
}

static void describe(char *buf, size_t size, const char *what, const struct sync_owner *o)
{
	char name[64];
	char user[64];
	char age[24];
	if (!o || !o->pid)
		snprintf(buf, size, "%s by a process that cannot be seen from here", what);
	else
		snprintf(buf, size, "%s by pid %d (%s, %s) for %s", what, (int)o->pid,
			 escape(name, sizeof(name), o->name),
			 holders_user(user, sizeof(user), o->uid),
			 holders_age(age, sizeof(age), o->since));
}

const char *objects_use(char *buf, size_t size, const struct sync_object *o)
{
	static const struct {
		unsigned bit;
		const char *text;
	} rows[] = {
		{SYNC_USE_OUT, "permits of it are out"},
		{SYNC_USE_LAST, "the process that used it last is still there"},
		{SYNC_USE_CONTENT, "there are messages in it"},
		{SYNC_USE_UNSEEN, "it may be in use by processes that cannot be seen from here"},
	};
	const struct sync_owner *holder = first(o->owners, o->owner_count, false);
	const struct sync_owner *waiter = first(o->owners, o->owner_count, true);
	buf[0] = '\0';
	if (holder)
		describe(buf, size, "held", holder);
	else if (waiter)
		describe(buf, size, "waited for", waiter);
	else if (o->user_count)
		describe(buf, size, "open", o->users);
	else if (o->use & SYNC_USE_HELD)
		describe(buf, size, "held", NULL);
	for (size_t i = 0; !*buf && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (o->use & rows[i].bit)
			snprintf(buf, size, "%s", rows[i].text);
	return buf;
}

const char *objects_name(const struct sync_object *o)
{
	const char *name = quote(o->name);
	char *text;
	return asprintf(&text, "%s %s", objects_word(o->type), name) < 0 ? name : text;
}
