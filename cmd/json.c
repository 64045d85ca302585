/* SPDX-License-Identifier: MIT */
/* JSON strings. */
#include <stdio.h>
#include <string.h>

#include "json.h"

/* Unicode, table 3-7. */
int json_utf8_length(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char first, last, low, high;
		int length;
	} rows[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (s[0] < rows[i].first || s[0] > rows[i].last)
			continue;
		if (n < (size_t)rows[i].length)
			return 0;
		if (s[1] < rows[i].low || s[1] > rows[i].high)
			return 0;
		for (int k = 2; k < rows[i].length; k++)
			if (s[k] < 0x80 || s[k] > 0xbf)
				return 0;
		return rows[i].length;
	}
	return n && s[0] < 0x80;
}

void json_write(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	const unsigned char *end = s + strlen(text);
	putc('"', file);
	while (s < end) {
		int n = json_utf8_length(s, (size_t)(end - s));
		if (n == 0)
			fputs("\\ufffd", file);
		else if (*s == '"' || *s == '\\')
			fprintf(file, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(file, "\\u%04x", *s);
		else
			fwrite(s, 1, (size_t)n, file);
		s += n ? n : 1;
	}
	putc('"', file);
}

void json_string(const char *s)
{
	json_write(stdout, s);
}
