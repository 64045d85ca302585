/* SPDX-License-Identifier: MIT */
/*
 * MAKEFLAGS: words between blanks, in which a backslash makes the next character a plain one. The first
 * is a group of letters, unless it begins with a dash, or is missing: then a blank is in front. Behind the word "--"
 * come variables, whose text may look like anything. Of several jobservers the last one counts.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "makeflags.h"
#include "parse.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The end of the word that begins at S. */
static const char *word_end(const char *s)
{
	while (*s && !is_blank(*s))
		s += s[0] == '\\' && s[1] ? 2 : 1;
	return s;
}

static const char *skip_blanks(const char *s)
{
	while (is_blank(*s))
		s++;
	return s;
}

/* The word without its backslashes; false if it is longer than any that means something to us. */
static bool copy_word(const char *s, const char *end, char *out, size_t size)
{
	size_t n = 0;
	for (; s < end; s++) {
		if (s[0] == '\\' && s + 1 < end)
			s++;
		if (n + 1 == size)
			return false;
		out[n++] = *s;
	}
	out[n] = '\0';
	return true;
}

static const char *behind(const char *word, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(word, prefix, len) ? NULL : word + len;
}

static const char *auth_of(const char *word)
{
	const char *auth = behind(word, "--jobserver-auth=");
	return auth ? auth : behind(word, "--jobserver-fds="); /* make before 4.2 */
}

/* "R,W", each of them digits, or negative. */
static enum makeflags_server judge_pair(const char *auth)
{
	char number[24];
	bool negative = false;
	const char *comma = strchr(auth, ',');
	if (!comma || (size_t)(comma - auth) >= sizeof(number))
		return MAKEFLAGS_UNKNOWN;
	memcpy(number, auth, (size_t)(comma - auth));
	number[comma - auth] = '\0';
	const char *both[] = {number, comma + 1};
	for (int i = 0; i < 2; i++) {
		uint64_t n;
		bool minus = both[i][0] == '-';
		if (!parse_count(both[i] + minus, INT32_MAX, &n))
			return MAKEFLAGS_UNKNOWN;
		negative = negative || minus;
	}
	return negative ? MAKEFLAGS_DISABLED : MAKEFLAGS_NAMED;
}

static void take_auth(const char *auth, struct makeflags *out)
{
	const char *path = behind(auth, "fifo:");
	if (path)
		out->server = *path ? MAKEFLAGS_NAMED : MAKEFLAGS_UNKNOWN;
	else
		out->server = judge_pair(auth);
	memcpy(out->auth, auth, strlen(auth) + 1); /* part of a word that is no longer than that */
}

static void take_word(const char *word, bool first, struct makeflags *out)
{
	const char *auth = auth_of(word);
	const char *jobs = behind(word, "-j");
	uint64_t n;
	if (auth)
		take_auth(auth, out);
	else if (jobs)
		out->jobs = parse_count(jobs, INT32_MAX, &n) ? (unsigned)n : 0;
	else if (first && word[0] != '-' && !strchr(word, '='))
		out->dry_run = strchr(word, 'n') != NULL;
}

void makeflags_parse(const char *flags, struct makeflags *out)
{
	char word[sizeof(out->auth)];
	memset(out, 0, offsetof(struct makeflags, auth));
	out->auth[0] = '\0';
	if (!flags)
		return;
	for (const char *s = skip_blanks(flags); *s;) {
		const char *end = word_end(s);
		bool short_enough = copy_word(s, end, word, sizeof(word));
		if (short_enough && !strcmp(word, "--"))
			return;
		if (short_enough)
			take_word(word, s == flags, out);
		else if (auth_of(s))
			out->server = MAKEFLAGS_UNKNOWN;
		s = skip_blanks(end);
	}
}

/* ---- another one ---- */

static bool is_of_a_jobserver(const char *s, const char *end)
{
	char word[32] = ""; /* long enough to tell */
	if (!copy_word(s, end, word, sizeof(word)))
		return auth_of(s);
	uint64_t n;
	const char *jobs = behind(word, "-j");
	return auth_of(word) || (jobs && (!*jobs || parse_count(jobs, UINT64_MAX, &n)));
}

static bool is_dashes(const char *s, const char *end)
{
	char word[4];
	return copy_word(s, end, word, sizeof(word)) && !strcmp(word, "--");
}

static bool begins_with_dash(const char *s)
{
	return s[s[0] == '\\'] == '-';
}

static char *append(char *at, const char *s, size_t len)
{
	memcpy(at, s, len);
	return at + len;
}

/* A backslash that ends all means itself; with a blank behind it, it would not. */
static char *append_word(char *at, const char *s, const char *end)
{
	size_t backslashes = 0;
	while (end - backslashes > s && end[-1 - (ptrdiff_t)backslashes] == '\\')
		backslashes++;
	at = append(at, s, (size_t)(end - s));
	return !*end && backslashes % 2 ? append(at, "\\", 1) : at;
}

char *makeflags_with(const char *flags, const char *words)
{
	flags = flags ? flags : "";
	char *made = malloc(strlen(flags) + strlen(words) + 8);
	if (!made)
		return NULL;
	char *at = made;
	const char *s = flags;
	if (*s && !is_blank(*s) && !begins_with_dash(s)) {
		const char *end = word_end(s);
		at = append_word(at, s, end);
		s = end;
	}
	for (s = skip_blanks(s); *s && !is_dashes(s, word_end(s)); s = skip_blanks(word_end(s))) {
		const char *end = word_end(s);
		if (is_of_a_jobserver(s, end))
			continue;
		*at++ = ' ';
		at = append_word(at, s, end);
	}
	*at++ = ' ';
	at = append(at, words, strlen(words));
	if (*s)
		*at++ = ' ';
	memcpy(at, s, strlen(s) + 1);
	return made;
}
