/* SPDX-License-Identifier: MIT */
/*
 * getopt_long(3) with "+" in front: options end at the first operand, names can be cut short. By hand,
 * as every libc words the messages in its own way, and scripts know glibc's; and because argp, besides
 * its own options, costs more.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "getopts.h"
#include "say.h"

static bool ends(const struct argp_option *o)
{
	return !o->name && !o->key && !o->doc;
}

static bool counts(const struct argp_option *o)
{
	return !(o->flags & OPTION_NO_USAGE);
}

static const struct argp_option *find_letter(const struct getopts *g, char letter)
{
	for (const struct argp_option *o = g->table; !ends(o); o++)
		if (counts(o) && o->key == letter)
			return o;
	return NULL;
}

/* Among rows that mean the same, it does not matter which. */
static bool same(const struct argp_option *a, const struct argp_option *b)
{
	return a->key == b->key && !a->arg == !b->arg;
}

static bool fits(const struct argp_option *o, const char *name, size_t len)
{
	return counts(o) && o->name && !strncmp(o->name, name, len);
}

static int say_ambiguous(const struct argp_option *first, const char *word, size_t len)
{
	char list[512];
	size_t n = (size_t)snprintf(list, sizeof(list), " '--%s'", first->name);
	for (const struct argp_option *o = first + 1; !ends(o) && n < sizeof(list); o++)
		if (fits(o, word + 2, len) && !same(o, first))
			n += (size_t)snprintf(list + n, sizeof(list) - n, " '--%s'", o->name);
	warn("option '%s' is ambiguous; possibilities:%s", tame(word), list);
	return GETOPTS_BAD;
}

static int long_option(struct getopts *g, char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	const struct argp_option *found = NULL;
	bool ambiguous = false;
	for (const struct argp_option *o = g->table; !ends(o); o++) {
		if (!fits(o, name, len))
			continue;
		if (!o->name[len]) {
			found = o;
			ambiguous = false;
			break;
		}
		ambiguous = ambiguous || (found && !same(o, found));
		found = found ? found : o;
	}
	if (ambiguous)
		return say_ambiguous(found, word, len);
	g->value = name[len] ? word + 2 + len + 1 : NULL;
	if (!found)
		warn("unrecognized option '%s'", tame(word));
	else if (g->value && !found->arg)
		warn("option '--%s' doesn't allow an argument", found->name);
	else if (found->arg && !g->value && g->at == g->argc)
		warn("option '--%s' requires an argument", found->name);
	else {
		if (found->arg && !g->value)
			g->value = g->argv[g->at++];
		return found->key;
	}
	return GETOPTS_BAD;
}

static int short_option(struct getopts *g)
{
	const char letter[] = {*g->letters, '\0'};
	char *rest = g->letters + 1;
	const struct argp_option *o = find_letter(g, *letter);
	g->letters = *rest && !(o && o->arg) ? rest : NULL;
	g->value = NULL;
	if (o && o->arg)
		g->value = *rest ? rest : g->at < g->argc ? g->argv[g->at++] : NULL;
	if (!o)
		warn("invalid option -- '%s'", tame(letter));
	else if (o->arg && !g->value)
		warn("option requires an argument -- '%s'", letter);
	else
		return o->key;
	return GETOPTS_BAD;
}

int getopts_next(struct getopts *g)
{
	if (g->letters)
		return short_option(g);
	char *word = g->at < g->argc ? g->argv[g->at] : NULL;
	if (!word || word[0] != '-' || !word[1])
		return GETOPTS_END;
	g->at++;
	if (!strcmp(word, "--"))
		return GETOPTS_END;
	if (word[1] == '-')
		return long_option(g, word);
	g->letters = word + 1;
	return short_option(g);
}
