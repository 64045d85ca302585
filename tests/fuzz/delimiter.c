/* SPDX-License-Identifier: MIT */
/* The options that say how messages lie in a stream: delimiters with escapes, lengths of records. */
#include <argp.h>

#include "fuzz.h"

static bool refused;

static void refuse(const struct argp_state *state, const char *format, ...)
{
	(void)state;
	(void)format;
	refused = true;
}

#define argp_error refuse
#include "../../cmd/mqpipe/frame.c"
#undef argp_error
#include "../../cmd/parse.c"

static bool give(struct frame_opts *o, int key, const char *arg)
{
	struct argp_state state = {.input = o};
	refused = false;
	MUST(!parse(key, (char *)arg, &state));
	return !refused;
}

/* What was understood, spelt otherwise, is the same. */
static void delimiter(const char *s)
{
	struct frame_opts o = {0};
	struct frame_opts again = {0};
	char text[sizeof(o.separator) * 4 + 1];
	give(&o, ARGP_KEY_INIT, NULL);
	if (!give(&o, 'd', s))
		return;
	MUST(o.kind == FRAME_SEPARATOR && o.separator_len >= 1);
	MUST(o.separator_len <= sizeof(o.separator) && o.separator_len <= strlen(s));
	for (size_t i = 0; i < o.separator_len; i++)
		snprintf(text + 4 * i, 5, "\\x%02X", (unsigned char)o.separator[i]);
	MUST(give(&again, 'd', text) && again.separator_len == o.separator_len);
	MUST(!memcmp(again.separator, o.separator, o.separator_len));
	if (!strchr(s, '\\'))
		MUST(strlen(s) == o.separator_len && !memcmp(s, o.separator, o.separator_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct frame_opts o = {0};
	char *s = take_string(&in, left(&in));
	delimiter(s);
	if (give(&o, 'R', s))
		MUST(o.kind == FRAME_FIXED && o.record >= 1 && o.record <= INT32_MAX);
	free(s);
	return 0;
}
