/* SPDX-License-Identifier: MIT */
/*
 * argp_parse(3) for applets whose start counts. argp looks for each long name among those before it, an eighth of the
 * instructions of a start of lockrun; so the names are left out where no argument can be one.
 */
#include <stdbool.h>
#include <string.h>

#include "shortargs.h"

#define OPTIONS 40
#define CHILDREN 4

struct copy {
	struct argp argp;
	struct argp_child children[CHILDREN + 1];
	struct argp child[CHILDREN];
	struct argp_option options[OPTIONS];
	size_t used;
};

/* Also -? wants names. */
static bool may_be_long(char *const *argv)
{
	for (; *argv; argv++)
		if (**argv == '-' && (((*argv)[1] == '-' && (*argv)[2]) || strchr(*argv, '?')))
			return true;
	return false;
}

/* Of TABLE what has a letter; NULL: no room. */
static const struct argp_option *letters(struct copy *c, const struct argp_option *table)
{
	const struct argp_option *first = &c->options[c->used];
	for (; table->name || table->key || table->doc || table->group; table++) {
		if (table->key <= ' ' || table->key > '~')
			continue;
		if (c->used >= OPTIONS - 1)
			return NULL;
		c->options[c->used] = *table;
		c->options[c->used++].name = NULL;
	}
	if (c->used >= OPTIONS - 1)
		return NULL;
	c->options[c->used++] = (struct argp_option){0};
	return first;
}

static bool shorten(struct copy *c, const struct argp *argp)
{
	c->used = 0;
	c->argp = *argp;
	c->argp.options = letters(c, argp->options);
	if (!c->argp.options)
		return false;
	c->argp.children = c->children;
	size_t n = 0;
	for (const struct argp_child *child = argp->children; child->argp; child++, n++) {
		if (n == CHILDREN)
			return false;
		c->child[n] = *child->argp;
		c->child[n].options = letters(c, child->argp->options);
		if (!c->child[n].options)
			return false;
		c->children[n] = *child;
		c->children[n].argp = &c->child[n];
	}
	c->children[n] = (struct argp_child){0};
	return true;
}

error_t parse_short_args(const struct argp *argp, int argc, char **argv, unsigned flags,
			 void *input)
{
	struct copy c;
	if (may_be_long(argv) || !shorten(&c, argp))
		return argp_parse(argp, argc, argv, flags, NULL, input);
	return argp_parse(&c.argp, argc, argv, flags, NULL, input);
}
