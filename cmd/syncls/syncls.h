/* SPDX-License-Identifier: MIT */
/* The ways in which syncls shows what it has found. */
#ifndef CMD_SYNCLS_H
#define CMD_SYNCLS_H

#include <stdio.h>

#include "libsync.h"

/* Each writes to OUT, which is standard output, or what becomes a screen. */
void print_table(FILE *out, const struct sync_object *const *list, size_t count);
void print_people(FILE *out, const struct sync_object *const *list, size_t count);
/* Of ALL, what hangs on the objects of LIST; the circles are those among all. */
void print_tree(FILE *out, const struct sync_object *const *all, size_t all_count,
		const struct sync_object *const *list, size_t count);
/* A JSON array of LIST, on standard output; who is in a circle is found among ALL. */
void print_json(const struct sync_object *const *all, size_t all_count,
		const struct sync_object *const *list, size_t count);
void print_facilities(bool json);

/* Processes that wait for each other in a circle */
struct cycle {
	pid_t *pids;
	const struct sync_object *
		*objects; /* pids[i] waits for objects[i], which pids[i + 1] holds */
	size_t count;
};
size_t find_cycles(const struct sync_object *const *list, size_t count, struct cycle **out);
void free_cycles(struct cycle *cycles, size_t count);

#endif
