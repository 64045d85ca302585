/* SPDX-License-Identifier: MIT */
/* What syncls and syncrm share: the types of objects, looking at all of them, and whether one is stale. */
#ifndef CMD_OBJECTS_H
#define CMD_OBJECTS_H

#include "libsync.h"

/* The words for types, as in a usage line. */
#define OBJECT_TYPES "lock|sem|mq|shm|event|pool|jobserver"

/* The type of that word; 0: it is none. */
unsigned objects_type(const char *word);
const char *objects_word(enum sync_type type);

/* Look for these types, and for locks and queues of NAMES also if nothing else leads to them; or die. */
struct sync_survey *objects_look(unsigned types, const char *const *names);
/* Say what could not be seen. */
void objects_say_blind(const struct sync_survey *survey, unsigned types);

/* The object that NAME means, from *at on, which is moved behind it; NULL there is no other. */
const struct sync_object *objects_find(const struct sync_survey *survey, unsigned types,
				       const char *name, size_t *at);

/*
 * Is it of no use to anybody? OLDER is the least age in nanoseconds, 0 for any; only with an age messages are
 * nobody's by then.
 */
bool objects_is_stale(const struct sync_object *o, int64_t older);
/* Why it is not: "held by pid 12 (x, bob) for 3m". Returns BUF; empty if nothing speaks against its removal. */
const char *objects_use(char *buf, size_t size, const struct sync_object *o);

/* "lock 'flock:/x'", as for a message; never freed. */
const char *objects_name(const struct sync_object *o);

#endif
