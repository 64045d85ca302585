/* SPDX-License-Identifier: MIT */
/*
 * "make -j8" inside a pool would leave it: GNU make resets the jobserver when it is told -j. Its short
 * options may stand together (-kj8, -j 8 if only digits follow); -- ends them, and operands may be among them.
 */
#include <ctype.h>
#include <string.h>

#include "makeargs.h"

static bool is_make(const char *word)
{
	const char *slash = strrchr(word, '/');
	const char *name = slash ? slash + 1 : word;
	return !strcmp(name, "make") || !strcmp(name, "gmake");
}

static size_t digits(const char *s)
{
	size_t n = 0;
	while (isdigit((unsigned char)s[n]))
		n++;
	return n;
}

static bool is_number(const char *s)
{
	return s && *s && !s[digits(s)];
}

/* Take COUNT words out at AT. */
static void drop_words(char **at, int count)
{
	for (; (*at = at[count]); at++)
		;
}

/* The word is --jobs, --jobs=8, or an abbreviation that means nothing else. */
static bool is_long_jobs(const char *word)
{
	static const char name[] = "jobs";
	size_t n = strcspn(word, "=");
	return n >= 3 && n <= strlen(name) && !strncmp(word, name, n);
}

/* At the letters behind one dash. Where is the j? NULL: nowhere, or in what belongs to another letter. */
static char *find_j(char *letters)
{
	for (char *s = letters; *s; s++) {
		if (*s == 'j')
			return s;
		if (strchr("CfIoWE", *s))
			return NULL; /* the rest, or the next word, is its argument */
		if (strchr("lO", *s))
			return NULL; /* the rest may be */
	}
	return NULL;
}

/* Does the word take the next one as its argument? */
static bool takes_next(const char *letters)
{
	size_t n = strlen(letters);
	return n && strchr("CfIoWE", letters[n - 1]) && strcspn(letters, "CfIoWElOj") == n - 1;
}

/* At a word with one dash. True if it lost its j; *at may be another word then. */
static bool drop_short(char **at)
{
	char *j = find_j(*at + 1);
	if (!j)
		return false;
	char *rest = j + 1 + digits(j + 1);
	bool next = !*rest && rest == j + 1 && is_number(at[1]);
	memmove(j, rest, strlen(rest) + 1);
	if (next)
		drop_words(at + 1, 1);
	if (!(*at)[1])
		drop_words(at, 1);
	return true;
}

bool makeargs_drop_jobs(char **argv)
{
	bool dropped = false;
	if (!is_make(argv[0]))
		return false;
	for (char **at = argv + 1; *at && strcmp(*at, "--") != 0;) {
		const char *word = *at;
		if (word[0] != '-' || !word[1]) {
			at++;
		} else if (word[1] == '-') {
			if (is_long_jobs(word + 2)) {
				drop_words(at, !strchr(word, '=') && is_number(at[1]) ? 2 : 1);
				dropped = true;
			} else {
				at++;
			}
		} else if (drop_short(at)) {
			dropped = true;
		} else {
			at += takes_next(word + 1) && at[1] ? 2 : 1;
		}
	}
	return dropped;
}
