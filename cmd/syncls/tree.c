/* SPDX-License-Identifier: MIT */
/*
 * syncls --tree: who waits for whom, and who waits for each other.
 *
 * A process that waits is stuck as long as what it waits for cannot come: a lock, as long as any holder in its
 * way is stuck; a permit, as long as every holder is. Strike out all who are not stuck, again and again; who is left
 * then waits for a circle, or is in one. What is not known counts for hope: somebody who cannot be seen,
 * permits that anybody may post.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holders.h"
#include "objects.h"
#include "say.h"
#include "syncls.h"

struct wait {
	pid_t pid;
	const struct sync_owner *who;
	const struct sync_object *object;
	bool stuck;
};

struct waits {
	struct wait *list;
	size_t count;
};

static bool is_wait(const struct sync_object *o, const struct sync_owner *p)
{
	return p->waiting && p->pid && o->type & (SYNC_TYPE_LOCK | SYNC_TYPE_POOL | SYNC_TYPE_SEM);
}

static struct waits collect(const struct sync_object *const *list, size_t count)
{
	struct waits w = {0};
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += list[i]->owner_count;
	w.list = calloc(n + 1, sizeof(*w.list));
	for (size_t i = 0; w.list && i < count; i++)
		for (size_t k = 0; k < list[i]->owner_count; k++)
			if (is_wait(list[i], &list[i]->owners[k]))
				w.list[w.count++] = (struct wait){
					list[i]->owners[k].pid, &list[i]->owners[k], list[i], true};
	return w;
}

static bool overlap(const struct sync_owner *a, const struct sync_owner *b)
{
	bool before = a->len && a->start + a->len - 1 < b->start;
	bool behind = b->len && b->start + b->len - 1 < a->start;
	return !before && !behind;
}

/* Does this holder stand in the way of that waiter? */
static bool is_in_way(const struct sync_object *o, const struct sync_owner *holder,
		      const struct sync_owner *waiter)
{
	if (holder->waiting)
		return false;
	if (o->type != SYNC_TYPE_LOCK)
		return true;
	return overlap(holder, waiter) &&
	       (holder->mode == SYNC_EXCLUSIVE || waiter->mode != SYNC_SHARED);
}

static bool is_stuck(const struct waits *w, pid_t pid)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->list[i].pid == pid && w->list[i].stuck)
			return true;
	return false;
}

/* May it still come? */
static bool has_hope(const struct waits *w, const struct wait *wait)
{
	const struct sync_object *o = wait->object;
	size_t stuck = 0;
	size_t free = 0;
	for (size_t i = 0; i < o->owner_count; i++) {
		const struct sync_owner *h = &o->owners[i];
		if (!is_in_way(o, h, wait->who))
			continue;
		if (h->pid && is_stuck(w, h->pid))
			stuck++;
		else
			free++;
	}
	if (o->type == SYNC_TYPE_LOCK)
		return !stuck;
	/* Who has it open may post; who holds permits of a System V semaphore is not known for certain. */
	return free || !stuck || o->user_count || o->use & (SYNC_USE_LAST | SYNC_USE_UNSEEN);
}

static void strike_out(struct waits *w)
{
	bool again = true;
	while (again) {
		again = false;
		for (size_t i = 0; i < w->count; i++)
			if (w->list[i].stuck && has_hope(w, &w->list[i])) {
				w->list[i].stuck = false;
				again = true;
			}
	}
}

/* The wait of somebody stuck whom this one waits for; NULL there is none. */
static const struct wait *next(const struct waits *w, const struct wait *wait)
{
	const struct sync_object *o = wait->object;
	for (size_t i = 0; i < o->owner_count; i++) {
		if (!is_in_way(o, &o->owners[i], wait->who))
			continue;
		for (size_t k = 0; k < w->count; k++)
			if (w->list[k].pid == o->owners[i].pid && w->list[k].stuck)
				return &w->list[k];
	}
	return NULL;
}

static bool is_known(const struct cycle *cycles, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < cycles[i].count; k++)
			if (cycles[i].pids[k] == pid)
				return true;
	return false;
}

/* From somebody in the circle once around. */
static bool walk(const struct waits *w, const struct wait *start, struct cycle *c)
{
	*c = (struct cycle){
		.pids = calloc(w->count + 1, sizeof(*c->pids)),
		.objects = calloc(w->count + 1, sizeof(struct sync_object *)),
	};
	const struct wait *at = start;
	while (c->pids && c->objects && at && c->count < w->count) {
		c->pids[c->count] = at->pid;
		c->objects[c->count++] = at->object;
		at = next(w, at);
		if (at == start)
			return true;
	}
	free(c->pids);
	free((void *)c->objects);
	return false;
}

size_t find_cycles(const struct sync_object *const *list, size_t count, struct cycle **out)
{
	struct waits w = collect(list, count);
	size_t found = 0;
	struct cycle *cycles = calloc(w.count + 1, sizeof(*cycles));
	if (w.list && cycles)
		strike_out(&w);
	for (size_t i = 0; w.list && cycles && i < w.count; i++) {
		const struct wait *at = w.list[i].stuck ? &w.list[i] : NULL;
		/* After so many steps it goes round. */
		for (size_t k = 0; at && k < w.count; k++)
			at = next(&w, at);
		if (at && !is_known(cycles, found, at->pid) && walk(&w, at, &cycles[found]))
			found++;
	}
	free(w.list);
	*out = cycles;
	return found;
}

void free_cycles(struct cycle *cycles, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(cycles[i].pids);
		free((void *)cycles[i].objects);
	}
	free(cycles);
}

/* ---- the picture ---- */

struct picture {
	FILE *out;
	const struct sync_object *const *list;
	size_t count;
	bool *drawn;
	const struct cycle *cycles;
	size_t cycle_count;
};

static const struct sync_owner *person(const struct sync_object *o, pid_t pid)
{
	for (size_t i = 0; i < o->owner_count; i++)
		if (o->owners[i].pid == pid)
			return &o->owners[i];
	return NULL;
}

static void put_name(FILE *out, const struct sync_object *o)
{
	size_t size = 4 * strlen(o->name) + 1;
	char *name = malloc(size);
	fprintf(out, "%s %s", objects_word(o->type), name ? escape(name, size, o->name) : "?");
	free(name);
}

static void put_person(FILE *out, const struct sync_owner *p)
{
	char name[64];
	char user[64];
	if (!p || !p->pid)
		fputs("somebody who cannot be seen from here", out);
	else
		fprintf(out, "pid %d (%s, %s)", (int)p->pid, escape(name, sizeof(name), p->name),
			holders_user(user, sizeof(user), p->uid));
}

static void put_cycle(FILE *out, const struct cycle *c)
{
	fputs("deadlock: ", out);
	for (size_t i = 0; i < c->count; i++) {
		if (!i)
			put_person(out, person(c->objects[0], c->pids[0]));
		fputs(i ? ", which waits for " : " waits for ", out);
		put_name(out, c->objects[i]);
		fputs(", held by ", out);
		put_person(out, person(c->objects[i], c->pids[(i + 1) % c->count]));
	}
	fputc('\n', out);
}

static bool waits_at(const struct sync_object *o)
{
	for (size_t i = 0; i < o->owner_count; i++)
		if (o->owners[i].waiting)
			return true;
	return false;
}

static bool holds(const struct sync_object *o, pid_t pid)
{
	for (size_t i = 0; i < o->owner_count; i++)
		if (!o->owners[i].waiting && o->owners[i].pid == pid && pid)
			return true;
	return false;
}

static bool is_stuck_in(const struct picture *p, const struct sync_object *o, pid_t pid)
{
	for (size_t i = 0; i < p->cycle_count; i++)
		for (size_t k = 0; k < p->cycles[i].count; k++)
			if (p->cycles[i].pids[k] == pid && p->cycles[i].objects[k] == o)
				return true;
	return false;
}

static void draw(struct picture *p, size_t which, int depth);

/* What others wait for that this one holds */
static void draw_below(struct picture *p, pid_t pid, int depth)
{
	for (size_t i = 0; i < p->count; i++)
		if (waits_at(p->list[i]) && holds(p->list[i], pid) && !p->drawn[i])
			draw(p, i, depth);
}

static void draw(struct picture *p, size_t which, int depth)
{
	const struct sync_object *o = p->list[which];
	size_t holders = 0;
	p->drawn[which] = true;
	fprintf(p->out, "%*s", 4 * depth, "");
	put_name(p->out, o);
	for (size_t i = 0; i < o->owner_count; i++) {
		bool again = i && o->owners[i].pid == o->owners[i - 1].pid;
		if (o->owners[i].waiting || (again && o->owners[i].pid))
			continue;
		fputs(holders++ ? ", " : ", held by ", p->out);
		put_person(p->out, &o->owners[i]);
	}
	fputc('\n', p->out);
	for (size_t i = 0; i < o->owner_count; i++) {
		const struct sync_owner *w = &o->owners[i];
		if (!w->waiting)
			continue;
		fprintf(p->out, "%*s", 4 * depth + 2, "");
		put_person(p->out, w);
		fprintf(p->out, " waits%s\n", is_stuck_in(p, o, w->pid) ? ", in a deadlock" : "");
		if (depth < 100)
			draw_below(p, w->pid, depth + 1);
	}
}

/* Does a holder of it wait for something itself? */
static bool is_below(const struct picture *p, const struct sync_object *o)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = 0; k < p->list[i]->owner_count; k++)
			if (p->list[i] != o && p->list[i]->owners[k].waiting &&
			    holds(o, p->list[i]->owners[k].pid))
				return true;
	return false;
}

static bool is_chosen(const struct sync_object *o, const struct sync_object *const *list,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == o)
			return true;
	return false;
}

void print_tree(FILE *out, const struct sync_object *const *all, size_t all_count,
		const struct sync_object *const *list, size_t count)
{
	struct cycle *cycles;
	struct picture p = {.out = out, .list = all, .count = all_count};
	p.cycle_count = find_cycles(all, all_count, &cycles);
	p.cycles = cycles;
	p.drawn = calloc(all_count + 1, sizeof(*p.drawn));
	for (size_t i = 0; i < p.cycle_count; i++)
		put_cycle(out, &cycles[i]);
	/* First what hangs on nothing else; what is left then is in circles, or was named. */
	for (int round = 0; p.drawn && round < 2; round++)
		for (size_t i = 0; i < all_count; i++)
			if (!p.drawn[i] && waits_at(all[i]) && is_chosen(all[i], list, count) &&
			    (round || !is_below(&p, all[i])))
				draw(&p, i, 0);
	free(p.drawn);
	free_cycles(cycles, p.cycle_count);
}
