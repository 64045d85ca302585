/* SPDX-License-Identifier: MIT */
/* Random command lines: argv_make.c makes them, argv.c runs them in a world of their own and judges what comes of it. */
#ifndef ARGV_H
#define ARGV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGV_WORDS 64

struct vector {
	char *words[ARGV_WORDS + 1]; /* words[0] is the applet; NULL at the end */
	size_t count;
	bool shell; /* a shell may have been given a line that is its own affair */
};

/* Read what `syncbox --dump-options` prints. False if there is nothing in it. */
bool argv_learn(const char *path);
/* How many applets, and their names. */
size_t argv_applets(void);
const char *argv_applet(size_t i);

/* The vector of SEED, always the same; its words are freed by argv_free(). */
void argv_make(struct vector *v, uint64_t seed);
void argv_free(struct vector *v);

#endif
