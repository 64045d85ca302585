/* SPDX-License-Identifier: MIT */
/*
 * A message as a line of JSON. Only what a line of ours can hold is understood; values of other keys are
 * passed over. Lines come from anywhere, so whatever is not JSON is refused where it stops to be.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "jsonline.h"

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- reading ---- */

struct scan {
	const char *start, *p, *end;
	const char *why;
};

static bool wrong(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool take(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool hex4(struct scan *s, uint32_t *out)
{
	uint32_t n = 0;
	for (int i = 0; i < 4; i++) {
		if (s->p == s->end)
			return wrong(s, "the line ends inside \\u");
		char c = *s->p;
		uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
				 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
							: 16;
		if (digit == 16)
			return wrong(s, "expected four hexadecimal digits behind \\u");
		n = n * 16 + digit;
		s->p++;
	}
	*out = n;
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return n;
}

static bool code_point(struct scan *s, uint32_t *c)
{
	uint32_t low;
	if (!hex4(s, c))
		return false;
	if (*c < 0xd800 || *c > 0xdfff)
		return true;
	if (*c > 0xdbff || s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
		return wrong(s, "half of a surrogate pair");
	s->p += 2;
	if (!hex4(s, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return wrong(s, "half of a surrogate pair");
	*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static bool escaped(struct scan *s, char *out, size_t *len)
{
	static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	uint32_t c;
	s->p++;
	const char *at = s->p < s->end && *s->p ? strchr(letters, *s->p) : NULL;
	if (at) {
		s->p++;
		out[(*len)++] = bytes[at - letters];
		return true;
	}
	if (s->p == s->end || *s->p != 'u')
		return wrong(s, "no such escape");
	s->p++;
	if (!code_point(s, &c))
		return false;
	*len += put_utf8(out + *len, c);
	return true;
}

/* A string, unpacked into OUT, which it fits into: no escape is shorter than what it stands for. */
static bool string(struct scan *s, char *out, size_t *len)
{
	*len = 0;
	if (!take(s, '"'))
		return wrong(s, "expected a string");
	while (s->p < s->end && *s->p != '"') {
		const unsigned char *p = (const unsigned char *)s->p;
		int n = json_utf8_length(p, (size_t)(s->end - s->p));
		if (*p < 0x20)
			return wrong(s, "a control character must be written \\u00NN");
		if (!n)
			return wrong(s, "not UTF-8: use data_b64 for other bytes");
		if (*p == '\\') {
			if (!escaped(s, out, len))
				return false;
			continue;
		}
		memcpy(out + *len, p, (size_t)n);
		*len += (size_t)n;
		s->p += n;
	}
	return take(s, '"') || wrong(s, "the line ends inside a string");
}

static bool number(struct scan *s, long *out)
{
	long n = 0;
	skip_blanks(s);
	const char *first = s->p;
	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *s->p - '0', &n))
			return wrong(s, "the number is too large");
	*out = n;
	bool good = s->p > first && (*first != '0' || s->p == first + 1);
	return good || wrong(s, "expected a number without sign, fraction or zeros in front");
}

/* In place: the digits are longer than the bytes. Padding may be missing, but nothing may follow it. */
static bool unpack_base64(struct scan *s, char *out, size_t *len)
{
	size_t n = *len;
	uint32_t bits = 0;
	size_t kept = 0;
	size_t made = 0;
	for (int i = 0; i < 2 && n && out[n - 1] == '='; i++)
		n--;
	for (size_t i = 0; i < n; i++) {
		const char *at = out[i] ? strchr(digits64, out[i]) : NULL;
		if (!at)
			return wrong(s, "not base64");
		bits = bits << 6 | (uint32_t)(at - digits64);
		kept += 6;
		if (kept >= 8) {
			kept -= 8;
			out[made++] = (char)(bits >> kept);
		}
	}
	*len = made;
	return (n % 4 != 1 && !(bits & ((1U << kept) - 1))) || wrong(s, "not base64");
}

#define DEPTH_MOST 64

/* What is passed over must be JSON nevertheless; none of these keeps what it reads. */
static bool pass_over(struct scan *s, unsigned depth);

static bool pass_string(struct scan *s)
{
	char scrap[8];
	size_t len;
	if (!take(s, '"'))
		return wrong(s, "expected a key in quotes");
	while (s->p < s->end && *s->p != '"') {
		const unsigned char *p = (const unsigned char *)s->p;
		int n = json_utf8_length(p, (size_t)(s->end - s->p));
		len = 0;
		if (*p == '\\') {
			if (!escaped(s, scrap, &len))
				return false;
			continue;
		}
		if (!n || *p < 0x20)
			return wrong(s, "no character of a string");
		s->p += n;
	}
	return take(s, '"') || wrong(s, "the line ends inside a string");
}

static bool pass_word(struct scan *s)
{
	static const char *const words[] = {"true", "false", "null"};
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(s->end - s->p) >= n && !memcmp(s->p, words[i], n)) {
			s->p += n;
			return true;
		}
	}
	return wrong(s, "expected a value");
}

static bool pass_digits(struct scan *s)
{
	const char *first = s->p;
	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > first || wrong(s, "expected a digit");
}

static bool pass_number(struct scan *s)
{
	s->p += *s->p == '-';
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!pass_digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!pass_digits(s))
			return false;
	}
	if (s->p == s->end || (*s->p != 'e' && *s->p != 'E'))
		return true;
	s->p++;
	if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
		s->p++;
	return pass_digits(s);
}

static bool pass_list(struct scan *s, char close, unsigned depth)
{
	s->p++;
	if (depth == DEPTH_MOST)
		return wrong(s, "nested too deeply");
	if (take(s, close))
		return true;
	do {
		if (close == '}' && (!pass_string(s) ||
				     (!take(s, ':') && !wrong(s, "expected a colon behind a key"))))
			return false;
		if (!pass_over(s, depth + 1))
			return false;
	} while (take(s, ','));
	return take(s, close) || wrong(s, "expected a comma or a closing bracket");
}

static bool pass_over(struct scan *s, unsigned depth)
{
	skip_blanks(s);
	if (s->p == s->end)
		return wrong(s, "the line ends where a value is expected");
	switch (*s->p) {
	case '{':
		return pass_list(s, '}', depth);
	case '[':
		return pass_list(s, ']', depth);
	case '"':
		return pass_string(s);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return pass_number(s);
	default:
		return pass_word(s);
	}
}

struct fields {
	bool data, len;
	long claimed;
};

static bool is(const char *key, size_t len, const char *name)
{
	return len == strlen(name) && !memcmp(key, name, len);
}

static bool field(struct scan *s, struct jsonline *j, struct fields *f, char *out)
{
	/* A name of ours has no escapes: so what the string is can be told where it lies. */
	skip_blanks(s);
	const char *key = s->p + 1;
	if (!pass_string(s))
		return false;
	size_t len = (size_t)(s->p - 1 - key);
	if (!take(s, ':'))
		return wrong(s, "expected a colon behind a key");
	if (is(key, len, "prio"))
		return number(s, &j->number);
	if (is(key, len, "len")) {
		f->len = true;
		return number(s, &f->claimed);
	}
	bool packed = is(key, len, "data_b64");
	if (!packed && !is(key, len, "data"))
		return pass_over(s, 0);
	if (f->data)
		return wrong(s, "there is data twice");
	f->data = true;
	return string(s, out, &j->len) && (!packed || unpack_base64(s, out, &j->len));
}

static bool object(struct scan *s, struct jsonline *j, char *out)
{
	struct fields f = {0};
	if (!take(s, '{'))
		return wrong(s, "expected an object, as in {\"data\":\"hello\"}");
	if (!take(s, '}')) {
		do
			if (!field(s, j, &f, out))
				return false;
		while (take(s, ','));
		if (!take(s, '}'))
			return wrong(s, "expected a comma or a closing brace");
	}
	skip_blanks(s);
	if (s->p < s->end)
		return wrong(s, "expected nothing behind the object");
	s->p = s->start; /* what follows concerns all of it */
	if (!f.data)
		return wrong(s, "neither data nor data_b64 is there");
	if (f.len && (size_t)f.claimed != j->len)
		return wrong(s, "len is not the length of the data");
	return true;
}

bool jsonline_parse(struct jsonline *j, const char *line, size_t n, char *out)
{
	struct scan s = {.start = line, .p = line, .end = line + n};
	j->len = 0;
	if (object(&s, j, out))
		return true;
	j->why = s.why;
	j->wrong_at = (size_t)(s.p - line);
	return false;
}

/* ---- writing ---- */

static char *put_text(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static bool is_utf8(const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;
	const unsigned char *end = p + len;
	while (p < end) {
		int n = json_utf8_length(p, (size_t)(end - p));
		if (!n)
			return false;
		p += n;
	}
	return true;
}

static char *put_string(char *to, const char *data, size_t len)
{
	*to++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		if (c == '"' || c == '\\')
			*to++ = '\\';
		if (c < 0x20 || c == 0x7f)
			to += sprintf(to, "\\u%04x", c);
		else
			*to++ = (char)c;
	}
	*to++ = '"';
	return to;
}

static char *put_base64(char *to, const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;
	*to++ = '"';
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16;
		bits |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= n > 2 ? p[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			*to++ = (char)(k > n ? '=' : digits64[bits >> (18 - 6 * k) & 63]);
	}
	*to++ = '"';
	return to;
}

size_t jsonline_format(char *buf, const struct message *m, const char *queue)
{
	char *to = buf;
	if (is_utf8(m->data, m->len))
		to = put_string(put_text(to, "{\"data\":"), m->data, m->len);
	else
		to = put_base64(put_text(to, "{\"data_b64\":"), m->data, m->len);
	to += sprintf(to, ",\"prio\":%ld,\"len\":%zu", m->number, m->len);
	if (queue) {
		to = put_text(to, ",\"queue\":");
		if (is_utf8(queue, strlen(queue)))
			to = put_string(to, queue, strlen(queue));
		else
			to = put_text(to, "null");
	}
	to = put_text(to, "}\n");
	return (size_t)(to - buf);
}
