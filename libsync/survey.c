/* SPDX-License-Identifier: MIT */
/* The survey: nodes and sights, people, and the objects that go out. survey.h tells how it is put together. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "survey.h"

static const struct sync_kind *const kinds[] = {
	&sync_kind_lock,  &sync_kind_sem,  &sync_kind_mq,        &sync_kind_shm,
	&sync_kind_event, &sync_kind_pool, &sync_kind_jobserver,
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- nodes ---- */

/* By the number alone: a file is looked for by st_dev, and by what lock lists call its device. */
static size_t bucket(const struct sync_survey *s, uint64_t ino)
{
	return (size_t)((ino * 0x9e3779b97f4a7c15) >> 20) & (s->hash_size - 1);
}

static bool grow(struct sync_survey *s)
{
	size_t size = s->hash_size ? 4 * s->hash_size : 256;
	struct sync_node **hash = calloc(size, sizeof(struct sync_node *));
	if (!hash)
		return false;
	free(s->hash);
	s->hash = hash;
	s->hash_size = size;
	for (struct sync_node *n = s->newest; n; n = n->older) {
		size_t b = bucket(s, n->ino);
		n->next = hash[b];
		hash[b] = n;
	}
	return true;
}

static struct sync_node *first(const struct sync_survey *s, uint64_t ino)
{
	return s->hash_size ? s->hash[bucket(s, ino)] : NULL;
}

static struct sync_node *add_node(struct sync_survey *s, enum sync_space space, dev_t dev,
				  uint64_t ino)
{
	struct sync_node *n = NULL;
	if (s->nodes < s->hash_size || grow(s))
		n = calloc(1, sizeof(*n));
	if (!n) {
		s->no_memory = true;
		return NULL;
	}
	*n = (struct sync_node){
		.space = space,
		.dev = dev,
		.ino = ino,
		.major = major(dev),
		.minor = minor(dev),
		.mode = (mode_t)-1,
		.uid = (uid_t)-1,
		.next = s->hash[bucket(s, ino)],
		.older = s->newest,
	};
	s->hash[bucket(s, ino)] = s->newest = n;
	s->nodes++;
	return n;
}

struct sync_node *sync_survey_file(struct sync_survey *s, dev_t dev, uint64_t ino, bool make)
{
	for (struct sync_node *n = first(s, ino); n; n = n->next)
		if (n->space == SYNC_SPACE_FILE && n->ino == ino && n->dev == dev)
			return n;
	return make ? add_node(s, SYNC_SPACE_FILE, dev, ino) : NULL;
}

struct sync_node *sync_survey_number(struct sync_survey *s, enum sync_space space, uint64_t number,
				     bool make)
{
	for (struct sync_node *n = first(s, number); n; n = n->next)
		if (n->space == space && n->ino == number)
			return n;
	return make ? add_node(s, space, 0, number) : NULL;
}

struct sync_node *sync_survey_locked(struct sync_survey *s, unsigned major, unsigned minor,
				     uint64_t ino, bool make)
{
	for (struct sync_node *n = first(s, ino); n; n = n->next)
		if (n->space == SYNC_SPACE_FILE && n->ino == ino && n->major == major &&
		    n->minor == minor)
			return n;
	return make ? add_node(s, SYNC_SPACE_FILE, makedev(major, minor), ino) : NULL;
}

/* ---- sights ---- */

struct sync_sight *sync_survey_see(struct sync_survey *s, struct sync_node *node, pid_t pid)
{
	if (node->count == node->room) {
		size_t room = node->room ? 2 * node->room : 4;
		struct sync_sight *list = reallocarray(node->sights, room, sizeof(*list));
		if (!list) {
			s->no_memory = true;
			return NULL;
		}
		node->sights = list;
		node->room = room;
	}
	struct sync_sight *sight = &node->sights[node->count++];
	*sight = (struct sync_sight){.pid = pid, .fd = -1, .range.last = SYNC_RANGE_END};
	return sight;
}

void sync_survey_see_user(struct sync_survey *s, struct sync_node *node, pid_t pid, int fd,
			  uint64_t began)
{
	/* Those of one process come one after the other. */
	for (size_t i = node->count; i-- > 0 && node->sights[i].pid == pid;)
		if (node->sights[i].has)
			return;
	struct sync_sight *sight = sync_survey_see(s, node, pid);
	if (!sight)
		return;
	sight->has = true;
	sight->fd = fd;
	sight->began = began;
}

void sync_survey_set_path(struct sync_node *node, const char *path)
{
	if (!node->path)
		node->path = strdup(path);
}

ssize_t sync_survey_read(struct sync_survey *s, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t used = 0;
	ssize_t n = 1;
	while (n > 0) {
		if (s->text_size - used < 4096) {
			size_t size = s->text_size ? 2 * s->text_size : 16384;
			char *text = realloc(s->text, size);
			if (!text) {
				n = -1;
				errno = ENOMEM;
				break;
			}
			s->text = text;
			s->text_size = size;
		}
		n = read(fd, s->text + used, s->text_size - used - 1);
		if (n > 0)
			used += (size_t)n;
	}
	int r = n < 0 ? -errno : 0;
	close(fd);
	if (r)
		return r;
	s->text[used] = '\0';
	return (ssize_t)used;
}

/* ---- people ---- */

/* Who is described once need not be described again. */
struct sync_person {
	struct sync_person *next;
	struct sync_owner owner;
};

static const struct sync_owner *describe(struct sync_survey *s, pid_t pid)
{
	struct sync_person **at = &s->people[(unsigned)pid % 1024];
	for (const struct sync_person *p = *at; p; p = p->next)
		if (p->owner.pid == pid)
			return &p->owner;
	struct sync_person *p = calloc(1, sizeof(*p));
	if (!p) {
		s->no_memory = true;
		return NULL;
	}
	p->owner.pid = pid;
	sync_proc_describe(&p->owner);
	p->next = *at;
	*at = p;
	return &p->owner;
}

static bool belongs_to_process(const char *kind)
{
	int order;
	const struct sync_lock_ops *ops = sync_lock_ops_find(kind, strlen(kind), &order);
	return ops && !(ops->caps & SYNC_CAP_INHERIT);
}

void sync_survey_owner(struct sync_survey *s, const struct sync_sight *sight,
		       struct sync_owner *out)
{
	const struct sync_owner *person = sight->pid > 0 ? describe(s, sight->pid) : NULL;
	*out = person ? *person : (struct sync_owner){.uid = (uid_t)-1};
	out->waiting = sight->waiting;
	out->seen = sight->seen;
	out->inherited = sight->inherited;
	out->mode = sight->mode;
	out->kind = sight->kind;
	out->by_process = sight->kind && belongs_to_process(sight->kind);
	out->call = sight->call;
	out->attends = sight->attends;
	out->fd = sight->fd;
	out->start = sight->range.first;
	out->len = sight->range.last == SYNC_RANGE_END ? 0
						       : sight->range.last - sight->range.first + 1;
}

/* A process that has ended since holds nothing, nor waits. */
static bool has_ended(struct sync_survey *s, const struct sync_sight *sight)
{
	const struct sync_owner *person = sight->pid > 0 ? describe(s, sight->pid) : NULL;
	return person && !person->since;
}

static void push(struct sync_survey *s, struct sync_owner **list, size_t *count,
		 const struct sync_sight *sight)
{
	/* Doubled at each power of two. */
	if (!(*count & (*count - 1))) {
		struct sync_owner *more =
			reallocarray(*list, *count ? 2 * *count : 1, sizeof(*more));
		if (!more) {
			s->no_memory = true;
			return;
		}
		*list = more;
	}
	sync_survey_owner(s, sight, &(*list)[(*count)++]);
}

void sync_survey_add_owner(struct sync_survey *s, struct sync_object *o,
			   const struct sync_sight *sight, bool open)
{
	/* What we have open, or locked, we have to look, or were started with. */
	if (sight->pid == s->self || has_ended(s, sight))
		return;
	if (open)
		push(s, &o->users, &o->user_count, sight);
	else
		push(s, &o->owners, &o->owner_count, sight);
	o->use |= sight->waiting ? SYNC_USE_WAITED : SYNC_USE_HELD;
}

void sync_survey_add_unseen(struct sync_survey *s, struct sync_object *o, unsigned count)
{
	const struct sync_sight nobody = {.waiting = true, .fd = -1, .range.last = SYNC_RANGE_END};
	while (count-- && !s->no_memory)
		sync_survey_add_owner(s, o, &nobody, false);
}

void sync_survey_people(struct sync_survey *s, struct sync_object *o, const struct sync_node *node,
			enum sync_users users)
{
	for (int waiting = 0; node && waiting < 2; waiting++)
		for (size_t i = 0; i < node->count; i++)
			if (node->sights[i].waiting == waiting)
				sync_survey_add_owner(s, o, &node->sights[i],
						      node->sights[i].has &&
							      users == SYNC_USERS_USE);
}

bool sync_survey_lives(pid_t pid)
{
	return pid > 0 && (!kill(pid, 0) || errno != ESRCH);
}

/* ---- objects ---- */

struct sync_object *sync_survey_add(struct sync_survey *s, enum sync_type type, const char *format,
				    ...)
{
	va_list args;
	char *name;
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct sync_object **list =
			reallocarray(s->objects, room, sizeof(struct sync_object *));
		if (!list)
			goto fail;
		s->objects = list;
		s->room = room;
	}
	struct sync_object *o = calloc(1, sizeof(*o));
	if (!o)
		goto fail;
	va_start(args, format);
	int n = vasprintf(&name, format, args);
	va_end(args);
	if (n < 0) {
		free(o);
		goto fail;
	}
	o->type = type;
	o->name = name;
	o->uid = (uid_t)-1;
	o->mode = (mode_t)-1;
	o->value = o->capacity = -1;
	s->objects[s->count++] = o;
	return o;
fail:
	s->no_memory = true;
	return NULL;
}

void sync_survey_set_file(struct sync_object *o, const char *path)
{
	free((char *)o->path);
	o->path = strdup(path);
}

void sync_survey_detail(struct sync_object *o, const char *name, int64_t value)
{
	size_t i = 0;
	while (i < sizeof(o->details) / sizeof(o->details[0]) - 1 && o->details[i].name)
		i++;
	if (i < sizeof(o->details) / sizeof(o->details[0]) - 1)
		o->details[i] = (struct sync_detail){name, value};
}

int64_t sync_survey_find_detail(const struct sync_object *o, const char *name)
{
	for (const struct sync_detail *d = o->details; d->name; d++)
		if (!strcmp(d->name, name))
			return d->value;
	return -1;
}

const char *sync_survey_rest(const char *name, const char *scheme, bool bare)
{
	size_t len = strlen(scheme);
	if (!strncmp(name, scheme, len) && name[len] == ':')
		return name + len + 1;
	return bare ? name : NULL;
}

bool sync_survey_same_sysv(const struct sync_object *o, const char *rest)
{
	struct sync_sysv_name a;
	if (sync_name_sysv(rest, &a))
		return false;
	if (a.by_id)
		return sync_survey_find_detail(o, "id") == a.id;
	return sync_survey_find_detail(o, "key") == (int64_t)a.key;
}

static void free_object(struct sync_object *o)
{
	free((char *)o->name);
	free((char *)o->path);
	free(o->owners);
	free(o->users);
	free(o);
}

void sync_survey_wipe(struct sync_survey *s)
{
	for (struct sync_node *n = s->newest, *older; n; n = older) {
		older = n->older;
		free(n->sights);
		free(n->path);
		free(n);
	}
	for (size_t i = 0; i < sizeof(s->people) / sizeof(s->people[0]); i++)
		for (struct sync_person *p = s->people[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
	for (size_t i = 0; i < s->count; i++)
		free_object(s->objects[i]);
	free(s->hash);
	free(s->objects);
	free(s->text);
}

static int by_type_and_name(const void *va, const void *vb)
{
	const struct sync_object *a = *(const struct sync_object *const *)va;
	const struct sync_object *b = *(const struct sync_object *const *)vb;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* With hidepid=2 there is not even process 1. */
static void look_for_hidepid(struct sync_survey *s)
{
	struct stat st;
	if (stat("/proc/1", &st) && errno == ENOENT)
		s->blind |= SYNC_BLIND_PROC;
}

/* A locked file may be something else, which only its kind can tell. */
static unsigned needed(const struct sync_survey *s)
{
	return s->opts.types | (s->opts.types & SYNC_TYPE_LOCK
					? SYNC_TYPE_SEM | SYNC_TYPE_POOL | SYNC_TYPE_JOBSERVER
					: 0);
}

static void drop_others(struct sync_survey *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->objects[i]->type & s->opts.types)
			s->objects[kept++] = s->objects[i];
		else
			free_object(s->objects[i]);
	s->count = kept;
}

static int fill(struct sync_survey *s)
{
	struct stat st;
	unsigned types = needed(s);
	if (stat("/proc/self/fd", &st))
		return -EOPNOTSUPP;
	if (!stat("/proc/self/ns/ipc", &st))
		s->ipc = st.st_ino;
	look_for_hidepid(s);
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i]->list && kinds[i]->type & types)
			kinds[i]->list(s);
	if (!(s->opts.types & (SYNC_TYPE_SEM | SYNC_TYPE_SHM)))
		s->maps = false;
	int r = sync_survey_look(s);
	if (!r)
		r = sync_survey_merge_locks(s);
	/* From the last kind to the first: who knows what a locked file is comes before the locks. */
	for (size_t i = KINDS; !r && i > 0; i--)
		if (kinds[i - 1]->type & types)
			kinds[i - 1]->finish(s);
	drop_others(s);
	return !r && s->no_memory ? -ENOMEM : r;
}

SYNC_API int sync_survey_open(const struct sync_survey_opts *opts, struct sync_survey **out)
{
	struct sync_survey *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->self = getpid();
	if (opts)
		s->opts = *opts;
	if (!s->opts.types)
		s->opts.types = SYNC_TYPE_ALL;
	int r = fill(s);
	if (r) {
		sync_survey_close(s);
		return r;
	}
	if (s->count)
		qsort(s->objects, s->count, sizeof(struct sync_object *), by_type_and_name);
	*out = s;
	return 0;
}

SYNC_API void sync_survey_close(struct sync_survey *s)
{
	if (!s)
		return;
	int saved = errno;
	sync_survey_wipe(s);
	free(s);
	errno = saved;
}

SYNC_API size_t sync_survey_objects(const struct sync_survey *s,
				    const struct sync_object *const **objects)
{
	*objects = (const struct sync_object *const *)s->objects;
	return s->count;
}

SYNC_API size_t sync_survey_hidden(const struct sync_survey *s, unsigned *blind)
{
	*blind = s->blind;
	return s->hidden;
}

static const struct sync_kind *kind_of(const struct sync_object *o)
{
	size_t i = 0;
	while (i < KINDS - 1 && kinds[i]->type != o->type)
		i++;
	return kinds[i];
}

int sync_survey_is_used(const struct sync_object *o)
{
	const struct sync_survey_opts opts = {.types = o->type};
	struct sync_survey *s;
	int r = sync_survey_open(&opts, &s);
	if (r)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < s->count && r == -ENOENT; i++) {
		const struct sync_object *now = s->objects[i];
		if (memcmp(now->identity, o->identity, 2 * sizeof(o->identity[0])) != 0 ||
		    strcmp(now->name, o->name) != 0)
			continue;
		r = now->use & (SYNC_USE_HELD | SYNC_USE_WAITED) ? -EBUSY : 0;
	}
	sync_survey_close(s);
	return r;
}

SYNC_API bool sync_object_is(const struct sync_object *o, const char *name)
{
	return !strcmp(o->name, name) || kind_of(o)->matches(o, name);
}

SYNC_API int sync_object_remove(const struct sync_object *o, bool force)
{
	return kind_of(o)->remove(o, force);
}
