/* SPDX-License-Identifier: MIT */
/* Events: all eventfds that processes have, and the names that holders keep for some of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "survey.h"

/* For a holder that does not answer */
#define PATIENCE_NSEC INT64_C(500000000)

static void add_named(struct sync_survey *s, const struct sync_event_entry *entry)
{
	struct timespec soon;
	struct sync_event *event;
	struct sync_event_state state;
	sync_deadline_in(PATIENCE_NSEC, &soon);
	int r = sync_event_open(entry->name, &soon, &event);
	if (r == -ENOENT)
		return; /* gone meanwhile */
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_EVENT, "%s", entry->name);
	if (o)
		o->uid = entry->uid;
	if (r)
		return;
	if (o && !sync_event_state(event, &state)) {
		o->value = state.value <= INT64_MAX ? (int64_t)state.value : INT64_MAX;
		o->mode = state.mode;
		o->identity[0] = (uint64_t)state.id;
		sync_survey_detail(o, "id", state.id);
		sync_survey_detail(o, "semaphore", state.semaphore);
		sync_survey_detail(o, "holder_pid", state.holder);
		struct sync_node *node =
			state.id >= 0
				? sync_survey_number(s, SYNC_SPACE_EVENT, (uint64_t)state.id, true)
				: NULL;
		if (node)
			node->shown = true;
	}
	sync_event_close(event);
}

static void list_events(struct sync_survey *s)
{
	struct sync_event_entry *list;
	size_t count;
	if (sync_event_list(&list, &count)) {
		s->blind |= SYNC_BLIND_EVENTS;
		return;
	}
	for (size_t i = 0; i < count; i++)
		add_named(s, &list[i]);
	free(list);
}

/* Called by the descriptor of the oldest that has it */
static void add_anonymous(struct sync_survey *s, const struct sync_node *node)
{
	const struct sync_sight *g = node->sights;
	size_t left = node->count;
	while (left && (g->pid == s->self || !g->has))
		left--, g++;
	if (!left)
		return;
	struct sync_object *o =
		sync_survey_add(s, SYNC_TYPE_EVENT, "pid:%d:%d", (int)g->pid, g->fd);
	if (!o)
		return;
	o->value = node->value <= INT64_MAX ? (int64_t)node->value : INT64_MAX;
	o->identity[0] = node->ino;
	o->flags |= SYNC_OBJECT_DELETED;
	sync_survey_detail(o, "id", node->ino < UINT64_C(1) << 62 ? (int64_t)node->ino : -1);
	sync_survey_detail(o, "semaphore", node->semaphore);
	sync_survey_people(s, o, node, SYNC_USERS_HOLD);
	if (o->owner_count) {
		o->uid = o->owners[0].uid;
		o->since = o->owners[0].since;
	}
}

static void finish_events(struct sync_survey *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct sync_object *o = s->objects[i];
		struct sync_node *node =
			o->type == SYNC_TYPE_EVENT
				? sync_survey_number(s, SYNC_SPACE_EVENT, o->identity[0], false)
				: NULL;
		pid_t holder = (pid_t)sync_survey_find_detail(o, "holder_pid");
		if (!node)
			continue;
		sync_survey_sort(node);
		sync_survey_people(s, o, node, SYNC_USERS_HOLD);
		for (size_t k = 0; k < o->owner_count; k++)
			if (o->owners[k].pid == holder)
				o->since = o->owners[k].since;
	}
	for (struct sync_node *n = s->newest; n; n = n->older)
		if (n->space == SYNC_SPACE_EVENT && !n->shown) {
			sync_survey_sort(n);
			add_anonymous(s, n);
		}
}

static bool event_matches(const struct sync_object *o, const char *name)
{
	const char *rest = sync_survey_rest(name, "holder", true);
	return !strcmp(rest, o->name);
}

/* Its holder goes, and whoever waits is told. Others who have it keep it, but nobody can find it. */
static int remove_event(const struct sync_object *o, bool force)
{
	struct timespec soon;
	(void)force;
	if (o->flags & SYNC_OBJECT_DELETED)
		return -EOPNOTSUPP;
	sync_deadline_in(10 * PATIENCE_NSEC, &soon);
	int r;
	do
		r = sync_event_unlink(o->name, &soon);
	while (r == -EINTR);
	return r;
}

const struct sync_kind sync_kind_event = {
	.type = SYNC_TYPE_EVENT,
	.list = list_events,
	.finish = finish_events,
	.remove = remove_event,
	.matches = event_matches,
};
