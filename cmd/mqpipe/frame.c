/* SPDX-License-Identifier: MIT */
/* The options that say how messages lie in a stream. */
#include <stdint.h>
#include <string.h>

#include "frame.h"
#include "parse.h"

enum { OPT_JSON = 1024 };

static const struct argp_option options[] = {
	{"lines", 'l', NULL, 0, "Each line is a message (default)", 5},
	{"null", '0', NULL, 0, "Each message ends with a NUL byte", 5},
	{"delimiter", 'd', "STRING", 0, "Each message ends with STRING; it may have \\n, \\xNN", 5},
	{"raw", 'r', NULL, 0, "The whole input is one message; output is the bytes alone", 5},
	{"records", 'R', "BYTES", 0, "Each message is so long; the last may be shorter", 5},
	{"length", 'L', NULL, 0, "Each message has its length before it: 5:hello,", 5},
	{"json", OPT_JSON, NULL, 0, "Each line is an object with data or data_b64, prio, len", 5},
	{"priorities", 'P', NULL, 0, "Before each message stand its priority (type) and a tab", 5},
	{0},
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that the escape at *s means, which is moved behind it; -1 for no such escape. */
static int unescape(const char **s)
{
	static const char letters[] = "abfnrtv0\\", bytes[] = "\a\b\f\n\r\t\v\0\\";
	const char *p = *s + 1;
	if (*p == 'x' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
		*s = p + 3;
		return hex(p[1]) * 16 + hex(p[2]);
	}
	const char *at = *p ? strchr(letters, *p) : NULL;
	*s = p + 1;
	return at ? (unsigned char)bytes[at - letters] : -1;
}

static bool set_separator(struct frame_opts *o, const char *s)
{
	size_t n = 0;
	while (*s) {
		int byte = *s == '\\' ? unescape(&s) : (unsigned char)*s++;
		if (byte < 0 || n == sizeof(o->separator))
			return false;
		o->separator[n++] = (char)byte;
	}
	o->separator_len = n;
	return n > 0;
}

static void choose(struct frame_opts *o, enum frame_kind kind)
{
	o->kind = kind;
	o->kinds_given++;
}

static error_t finish(const struct frame_opts *o, struct argp_state *state)
{
	if (o->kinds_given > 1)
		argp_error(state, "-l, -0, -d, -r, -R, -L and --json: give one of them");
	if (o->numbered && o->kind == FRAME_FIXED)
		argp_error(state, "-P and -R: a record has no room for a priority: use -L");
	if (o->numbered && o->kind == FRAME_JSON)
		argp_error(state, "-P and --json: the objects have the priority anyway");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct frame_opts *o = state->input;
	uint64_t n;
	switch (key) {
	case ARGP_KEY_INIT:
		o->separator[0] = '\n';
		o->separator_len = 1;
		return 0;
	case 'l':
	case '0':
		choose(o, FRAME_SEPARATOR);
		o->separator[0] = key == 'l' ? '\n' : '\0';
		return 0;
	case 'd':
		choose(o, FRAME_SEPARATOR);
		if (!set_separator(o, arg))
			argp_error(state,
				   "invalid delimiter '%s': expected 1 to 256 bytes, which may be "
				   "written \\n, \\t, \\0, \\\\, \\xNN",
				   arg);
		return 0;
	case 'r':
		choose(o, FRAME_RAW);
		return 0;
	case 'R':
		choose(o, FRAME_FIXED);
		if (!parse_count(arg, INT32_MAX, &n) || !n)
			argp_error(state, "invalid length '%s': expected 1 to 2147483647 bytes",
				   arg);
		o->record = (size_t)n;
		return 0;
	case 'L':
		choose(o, FRAME_NETSTRING);
		return 0;
	case OPT_JSON:
		choose(o, FRAME_JSON);
		return 0;
	case 'P':
		o->numbered = true;
		return 0;
	case ARGP_KEY_END:
		return finish(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp frame_argp = {.options = options, .parser = parse};
