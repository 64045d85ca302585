/* SPDX-License-Identifier: MIT */
/* Is it JSON? RFC 8259 and nothing else; written without a look at the product's own. */
#ifndef TESTS_FUZZ_JSONSCAN_H
#define TESTS_FUZZ_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct jsonscan {
	const unsigned char *p, *end;
};

/* Decode one character of UTF-8; its length, or 0. */
static inline size_t scan_utf8(const unsigned char *p, const unsigned char *end, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	if (!n || (size_t)(end - p) < n)
		return 0;
	uint32_t c = n == 1 ? *p : *p & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return n;
}

static inline bool scan_is_utf8(const void *data, size_t len)
{
	const unsigned char *p = data;
	const unsigned char *end = p + len;
	uint32_t c;
	while (p < end) {
		size_t n = scan_utf8(p, end, &c);
		if (!n)
			return false;
		p += n;
	}
	return true;
}

static inline void scan_blanks(struct jsonscan *s)
{
	while (s->p < s->end && memchr(" \t\r\n", *s->p, 4))
		s->p++;
}

static inline bool scan_char(struct jsonscan *s, char c)
{
	if (s->p == s->end || *s->p != (unsigned char)c)
		return false;
	s->p++;
	return true;
}

static inline bool scan_digits(struct jsonscan *s)
{
	const unsigned char *first = s->p;
	while (s->p < s->end && *s->p - '0' <= 9 && *s->p >= '0')
		s->p++;
	return s->p > first;
}

static inline bool scan_number(struct jsonscan *s)
{
	(void)scan_char(s, '-');
	if (!scan_char(s, '0') && !scan_digits(s))
		return false;
	if (scan_char(s, '.') && !scan_digits(s))
		return false;
	if (scan_char(s, 'e') || scan_char(s, 'E')) {
		if (!scan_char(s, '+'))
			(void)scan_char(s, '-');
		return scan_digits(s);
	}
	return true;
}

/* With OUT, unpacked into it; it has room for what is left of the text. */
static inline bool scan_string(struct jsonscan *s, unsigned char *out, size_t *len)
{
	size_t n = 0;
	if (!scan_char(s, '"'))
		return false;
	while (s->p < s->end && *s->p != '"') {
		uint32_t c;
		size_t used = scan_utf8(s->p, s->end, &c);
		if (!used || c < 0x20)
			return false;
		if (c == '\\') {
			static const char letters[] = "\"\\/bfnrt";
			static const char bytes[] = "\"\\/\b\f\n\r\t";
			if (s->end - s->p < 2)
				return false;
			const char *at = memchr(letters, s->p[1], 8);
			used = at ? 2 : 6;
			c = at ? (unsigned char)bytes[at - letters] : 0;
			if (!at && (s->p[1] != 'u' || s->end - s->p < 6))
				return false;
			for (int i = 2; !at && i < 6; i++) {
				const char *hex = "0123456789abcdef0123456789ABCDEF";
				const char *digit = memchr(hex, s->p[i], 32);
				if (!digit)
					return false;
				c = c << 4 | (uint32_t)((digit - hex) & 15);
			}
			if (out && c < 0x80)
				out[n++] = (unsigned char)c;
		} else if (out) {
			memcpy(out + n, s->p, used);
			n += used;
		}
		s->p += used;
	}
	if (len)
		*len = n;
	return scan_char(s, '"');
}

static inline bool scan_value(struct jsonscan *s, unsigned depth);

static inline bool scan_list(struct jsonscan *s, char close, unsigned depth)
{
	scan_blanks(s);
	if (scan_char(s, close))
		return true;
	do {
		scan_blanks(s);
		if (close == '}') {
			if (!scan_string(s, NULL, NULL))
				return false;
			scan_blanks(s);
			if (!scan_char(s, ':'))
				return false;
		}
		if (!scan_value(s, depth - 1))
			return false;
		scan_blanks(s);
	} while (scan_char(s, ','));
	return scan_char(s, close);
}

static inline bool scan_value(struct jsonscan *s, unsigned depth)
{
	static const char *const words[] = {"true", "false", "null"};
	scan_blanks(s);
	if (!depth || s->p == s->end)
		return false;
	if (*s->p == '"')
		return scan_string(s, NULL, NULL);
	if (scan_char(s, '['))
		return scan_list(s, ']', depth);
	if (scan_char(s, '{'))
		return scan_list(s, '}', depth);
	for (int i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(s->end - s->p) >= n && !memcmp(s->p, words[i], n)) {
			s->p += n;
			return true;
		}
	}
	return scan_number(s);
}

/* One value, and blanks round it. */
static inline bool scan_is_json(const void *data, size_t len)
{
	struct jsonscan s = {data, (const unsigned char *)data + len};
	if (!scan_value(&s, 1000))
		return false;
	scan_blanks(&s);
	return s.p == s.end;
}

#endif
