/* SPDX-License-Identifier: MIT */
/* syncls: the table of objects, the table of people, and both as JSON. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "holders.h"
#include "json.h"
#include "objects.h"
#include "say.h"
#include "syncls.h"

enum { TYPE, NAME, OWNER, MODE, VALUE, AGE, HOLDERS, WAITERS, COLUMNS };

/* How many people a cell names; the others are counted. */
#define MOST_NAMED 3

static const char *value_text(char *buf, size_t size, const struct sync_object *o)
{
	if (o->value < 0)
		snprintf(buf, size, "-");
	else if (o->capacity < 0)
		snprintf(buf, size, "%" PRId64, o->value);
	else
		snprintf(buf, size, "%" PRId64 "/%" PRId64, o->value, o->capacity);
	return buf;
}

static void put_people(FILE *f, const struct sync_owner *list, size_t count, bool waiting)
{
	size_t n = 0;
	pid_t before = -1;
	for (size_t i = 0; i < count; i++) {
		char name[64];
		const struct sync_owner *p = &list[i];
		/* Ranges of one process are listed one after the other. */
		if (p->waiting != waiting || (p->pid && p->pid == before))
			continue;
		before = p->pid;
		if (n++ >= MOST_NAMED)
			continue;
		fputs(n > 1 ? ", " : "", f);
		if (p->pid)
			fprintf(f, "%d %s%s", (int)p->pid, escape(name, sizeof(name), p->name),
				p->stopped ? " (stopped)" : "");
		else
			fputs("?", f);
	}
	if (n > MOST_NAMED)
		fprintf(f, " +%zu", n - MOST_NAMED);
}

/* The cells of a row, each followed by a NUL, in one block. */
static char *make_row(const struct sync_object *o)
{
	char *row = NULL;
	size_t size;
	size_t room = 4 * strlen(o->name) + 1;
	char *name = malloc(room);
	char text[64];
	FILE *f = name ? open_memstream(&row, &size) : NULL;
	if (!f) {
		free(name);
		return NULL;
	}
	bool gone = o->flags & SYNC_OBJECT_DELETED && o->type != SYNC_TYPE_EVENT;
	fprintf(f, "%s%c%s%s%c", objects_word(o->type), 0, escape(name, room, o->name),
		gone                               ? " (deleted)"
		: o->flags & SYNC_OBJECT_ELSEWHERE ? " (not from here)"
						   : "",
		0);
	fprintf(f, "%s%c", o->uid == (uid_t)-1 ? "?" : holders_user(text, sizeof(text), o->uid), 0);
	if (o->mode == (mode_t)-1)
		fprintf(f, "-%c", 0);
	else
		fprintf(f, "%03o%c", (unsigned)o->mode, 0);
	fprintf(f, "%s%c", value_text(text, sizeof(text), o), 0);
	fprintf(f, "%s%c", o->since ? holders_age(text, sizeof(text), o->since) : "-", 0);
	put_people(f, o->owners, o->owner_count, false);
	if (o->user_count) {
		fputs(o->owner_count && !o->owners[0].waiting ? ", open: " : "open: ", f);
		put_people(f, o->users, o->user_count, false);
	}
	fputc(0, f);
	put_people(f, o->owners, o->owner_count, true);
	fputc(0, f);
	free(name);
	return fclose(f) ? NULL : row;
}

static void widen(size_t width[COLUMNS], const char *row)
{
	for (int i = 0; i < COLUMNS; i++, row += strlen(row) + 1)
		if (strlen(row) > width[i])
			width[i] = strlen(row);
}

/* No blanks at the end of a line; an empty cell is a dash, so that columns can be counted. */
static void put_row(FILE *out, const size_t width[COLUMNS], const char *row)
{
	for (int i = 0; i < COLUMNS; i++, row += strlen(row) + 1) {
		const char *cell = *row ? row : "-";
		if (i == COLUMNS - 1)
			fprintf(out, "%s\n", cell);
		else
			fprintf(out, i == VALUE || i == AGE ? "%*s  " : "%-*s  ", (int)width[i],
				cell);
	}
}

void print_table(FILE *out, const struct sync_object *const *list, size_t count)
{
	static const char heading[] = "TYPE\0NAME\0OWNER\0MODE\0VALUE\0AGE\0HOLDERS\0WAITERS";
	size_t width[COLUMNS] = {0};
	char **rows = calloc(count + 1, sizeof(*rows));
	widen(width, heading);
	for (size_t i = 0; rows && i < count; i++) {
		rows[i] = make_row(list[i]);
		if (rows[i])
			widen(width, rows[i]);
	}
	if (count)
		put_row(out, width, heading);
	for (size_t i = 0; rows && i < count; i++) {
		if (rows[i])
			put_row(out, width, rows[i]);
		free(rows[i]);
	}
	free(rows);
}

/* ---- who ---- */

static void put_person(FILE *out, const struct sync_owner *p, const char *state)
{
	char range[48] = "-";
	char age[24] = "-";
	char pid[16] = "?";
	char user[64] = "?";
	char command[sizeof(p->command) * 4] = "(cannot be seen from here)";
	if (p->len)
		snprintf(range, sizeof(range), "%" PRIu64 "+%" PRIu64, p->start, p->len);
	else if (p->start)
		snprintf(range, sizeof(range), "%" PRIu64, p->start);
	else if (p->kind)
		snprintf(range, sizeof(range), "all");
	if (p->pid) {
		snprintf(pid, sizeof(pid), "%d", (int)p->pid);
		holders_age(age, sizeof(age), p->since);
		holders_user(user, sizeof(user), p->uid);
		escape(command, sizeof(command), p->command);
	}
	fprintf(out, "%-6s %7s %-10s %-10s %-12s %6s %-15s %s%s\n", state, pid, user,
		p->kind ? holders_mode(p->mode) : "-", range, age, p->call ? p->call : "-", command,
		p->stopped ? " (stopped)" : "");
}

void print_people(FILE *out, const struct sync_object *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sync_object *o = list[i];
		char *name = malloc(4 * strlen(o->name) + 1);
		if (!name)
			return;
		fprintf(out, "%s%s %s\n", i ? "\n" : "", objects_word(o->type),
			escape(name, 4 * strlen(o->name) + 1, o->name));
		free(name);
		if (o->owner_count || o->user_count)
			fprintf(out, "%-6s %7s %-10s %-10s %-12s %6s %-15s %s\n", "STATE", "PID",
				"USER", "MODE", "RANGE", "SINCE", "BLOCKED IN", "COMMAND");
		for (size_t k = 0; k < o->owner_count; k++)
			put_person(out, &o->owners[k], o->owners[k].waiting ? "waits" : "holds");
		for (size_t k = 0; k < o->user_count; k++)
			put_person(out, &o->users[k], "open");
	}
}

/* ---- JSON ---- */

static void json_flag(const char *key, bool value)
{
	printf(",\"%s\":%s", key, value ? "true" : "false");
}

static void json_text(const char *key, const char *value)
{
	printf(",\"%s\":", key);
	if (value)
		json_string(value);
	else
		fputs("null", stdout);
}

static void json_number(const char *key, int64_t value, bool known)
{
	if (known)
		printf(",\"%s\":%" PRId64, key, value);
	else
		printf(",\"%s\":null", key);
}

static void json_person(const struct sync_owner *p)
{
	char user[64];
	bool known = p->pid > 0;
	if (known)
		printf("{\"pid\":%d", (int)p->pid);
	else
		fputs("{\"pid\":null", stdout);
	json_text("user", known ? holders_user(user, sizeof(user), p->uid) : NULL);
	json_text("command", known ? p->command : NULL);
	json_number("since", p->since, known);
	json_number("fd", p->fd, p->fd >= 0);
	json_text("call", p->call);
	if (p->kind) {
		json_text("mode", holders_mode(p->mode));
		json_number("start", (int64_t)p->start, true);
		json_number("length", (int64_t)p->len, true);
		json_flag("inherited", p->inherited);
	}
	if (p->attends)
		json_flag("attends", true);
	json_flag("stopped", p->stopped);
	putchar('}');
}

static void json_people(const char *key, const struct sync_owner *list, size_t count, bool waiting)
{
	bool more = false;
	printf(",\"%s\":[", key);
	for (size_t i = 0; i < count; i++) {
		if (list[i].waiting != waiting)
			continue;
		fputs(more ? "," : "", stdout);
		json_person(&list[i]);
		more = true;
	}
	putchar(']');
}

static void json_object(const struct sync_object *o, bool deadlock)
{
	char user[64];
	char mode[8];
	int64_t age = (int64_t)time(NULL) - o->since;
	printf("{\"type\":\"%s\",\"name\":", objects_word(o->type));
	json_string(o->name);
	json_text("owner", o->uid == (uid_t)-1 ? NULL : holders_user(user, sizeof(user), o->uid));
	snprintf(mode, sizeof(mode), "%03o", (unsigned)o->mode & 07777);
	json_text("mode", o->mode == (mode_t)-1 ? NULL : mode);
	json_number("value", o->value, o->value >= 0);
	json_number("capacity", o->capacity, o->capacity >= 0);
	json_number("age", age > 0 ? age : 0, o->since != 0);
	json_people("holders", o->owners, o->owner_count, false);
	json_people("waiters", o->owners, o->owner_count, true);
	json_people("users", o->users, o->user_count, false);
	json_flag("deleted", o->flags & SYNC_OBJECT_DELETED);
	json_flag("reachable", !(o->flags & SYNC_OBJECT_ELSEWHERE));
	json_flag("stale", objects_is_stale(o, 0));
	json_flag("deadlock", deadlock);
	for (const struct sync_detail *d = o->details; d->name; d++)
		json_number(d->name, d->value, true);
	putchar('}');
}

static bool is_in(const struct cycle *cycles, size_t count, const struct sync_object *o)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < cycles[i].count; k++)
			if (cycles[i].objects[k] == o)
				return true;
	return false;
}

void print_json(const struct sync_object *const *all, size_t all_count,
		const struct sync_object *const *list, size_t count)
{
	struct cycle *cycles;
	size_t n = find_cycles(all, all_count, &cycles);
	putchar('[');
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n " : "", stdout);
		json_object(list[i], is_in(cycles, n, list[i]));
	}
	puts("]");
	free_cycles(cycles, n);
}
