/* SPDX-License-Identifier: MIT */
/* MAKEFLAGS: what is put in is found again, and nothing else changes. */
#include "../../cmd/makeflags.c"
#include "../../cmd/parse.c"

#include "fuzz.h"

static void check_answer(const struct makeflags *m)
{
	MUST(m->server >= MAKEFLAGS_NONE && m->server <= MAKEFLAGS_NAMED);
	MUST(memchr(m->auth, 0, sizeof(m->auth)));
	MUST(m->jobs <= INT32_MAX);
	if (m->server == MAKEFLAGS_NONE)
		MUST(!*m->auth);
	if (m->server == MAKEFLAGS_NAMED)
		MUST(*m->auth && *m->auth != '-');
}

/* From the word "--" on there are variables, of which we have no business to change any. */
static const char *variables(const char *s)
{
	for (s = skip_blanks(s); *s; s = skip_blanks(word_end(s)))
		if (word_end(s) == s + 2 && s[0] == '-' && s[1] == '-')
			return s;
	return NULL;
}

static void with(const char *flags, const char *words, struct makeflags *after)
{
	char *made = makeflags_with(flags, words);
	MUST(made && strlen(made) <= strlen(flags) + strlen(words) + 7);
	makeflags_parse(made, after);
	check_answer(after);
	const char *mine = variables(flags);
	const char *theirs = variables(made);
	if (mine)
		MUST(theirs && !strcmp(mine, theirs));
	/* Once more changes nothing. */
	char *again = makeflags_with(made, words);
	MUST(again && !strcmp(made, again));
	free(again);
	free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct makeflags before;
	static struct makeflags after;
	struct input in = {data, data + size};
	char *flags = take_string(&in, left(&in));
	makeflags_parse(flags, &before);
	check_answer(&before);
	with(flags, "-j5 --jobserver-auth=fifo:/a\\ b", &after);
	MUST(after.server == MAKEFLAGS_NAMED && !strcmp(after.auth, "fifo:/a b") &&
	     after.jobs == 5);
	MUST(after.dry_run == before.dry_run);
	with(flags, "--jobserver-auth=-2,-2", &after);
	MUST(after.server == MAKEFLAGS_DISABLED && after.dry_run == before.dry_run && !after.jobs);
	free(flags);
	return 0;
}
