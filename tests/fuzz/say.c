/* SPDX-License-Identifier: MIT */
/* Names in messages: nothing that a terminal would obey, and nothing lost: the shell reads them back. */
#include "../../cmd/json.c"
#include "../../cmd/say.c"

#include "fuzz.h"

bool stop_urgent(void)
{
	return false;
}

static bool plain(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

/* As bash does it: 'abc' or $'a\n\x07c'. */
static void read_back(const char *quoted, char *out)
{
	static const char letters[] = "abtnvfre\\'";
	static const char bytes[] = "\a\b\t\n\v\f\r\033\\'";
	size_t len = strlen(quoted);
	bool escapes = *quoted == '$';
	MUST(len >= 2U + escapes && quoted[escapes] == '\'' && quoted[len - 1] == '\'');
	for (const char *s = quoted + 1 + escapes; s < quoted + len - 1; s++) {
		if (!escapes || *s != '\\') {
			MUST(*s != '\'');
			*out++ = *s;
			continue;
		}
		const char *at = strchr(letters, *++s);
		if (at) {
			*out++ = bytes[at - letters];
			continue;
		}
		char hex[3] = {s[1], s[2], '\0'};
		char *end;
		MUST(*s == 'x' && s + 2 < quoted + len - 1);
		*out++ = (char)strtoul(hex, &end, 16);
		MUST(end == hex + 2);
		s += 2;
	}
	*out = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	size_t room = take_byte(&in) + 1;
	char *s = take_string(&in, left(&in));
	char *back = fuzz_alloc(strlen(s) + 1);
	char *buf = fuzz_alloc(room);

	char *quoted = (char *)quote(s);
	MUST(plain(quoted));
	read_back(quoted, back);
	MUST(!strcmp(back, s));
	free(quoted);

	MUST(escape(buf, room, s) == buf && strlen(buf) < room && plain(buf));
	const char *tamed = tame(s);
	for (const char *p = tamed; *p; p++)
		MUST((unsigned char)*p >= ' ' && *p != 0x7f);
	if (tamed != s)
		free((char *)tamed);
	free(buf);
	free(back);
	free(s);
	return 0;
}
