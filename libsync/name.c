/* SPDX-License-Identifier: MIT */
/* What a legal object name is: [SCHEME:]PATH[@START[+LEN]], taken apart in this one place. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Digits only: no sign, no blank, no base prefix. */
int sync_name_number(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	bool over = false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL; /* no number at all, however large it began */
		unsigned digit = (unsigned)(s[i] - '0');
		over = over || digit > max || n > (max - digit) / 10;
		n = n * 10 + digit;
	}
	if (!len)
		return -EINVAL;
	if (over)
		return -EOVERFLOW;
	*out = n;
	return 0;
}

/* "START" or "START+LEN"; -EINVAL means that it is no range at all. */
static int parse_range(const char *s, size_t len, struct sync_range *out)
{
	const char *plus = memchr(s, '+', len);
	size_t start_len = plus ? (size_t)(plus - s) : len;
	uint64_t start = 0;
	uint64_t count = 0;
	int r = sync_name_number(s, start_len, SYNC_RANGE_END, &start);
	if (plus) {
		int r2 = sync_name_number(plus + 1, len - start_len - 1, SYNC_RANGE_END, &count);
		if (r2 == -EINVAL || !r)
			r = r2;
	}
	if (r)
		return r;
	if (count && count - 1 > SYNC_RANGE_END - start)
		return -EOVERFLOW;
	out->first = start;
	out->last = count ? start + count - 1 : SYNC_RANGE_END;
	return 0;
}

/*
 * The one rule for names that are not paths. What it leaves out would mean something to a shell, to
 * a terminal, to an option parser, or as "." and "..".
 */
int sync_name_check(const char *name)
{
	size_t len = 0;
	for (; name[len]; len++) {
		char c = name[len];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '_';
		if (!plain && (!len || (c != '.' && c != '-')))
			return -EINVAL;
	}
	if (!len)
		return -EINVAL;
	return len > 200 ? -ENAMETOOLONG : 0;
}

/* FNV-1a, its bits stirred once more: it leaves those of short names close together. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
	return h ^ h >> 33;
}

static int parse_key(const char *hex, uint32_t *out)
{
	size_t len = strspn(hex, "0123456789abcdefABCDEF");
	if (!len || len > 8 || hex[len])
		return -EINVAL;
	*out = (uint32_t)strtoul(hex, NULL, 16);
	return *out ? 0 : -EINVAL;
}

int sync_name_sysv(const char *name, struct sync_sysv_name *out)
{
	uint64_t h = hash(name);
	uint64_t id = 0;
	int r = 0;
	*out = (struct sync_sysv_name){
		.key = (uint32_t)h ? (uint32_t)h : 1,
		.tag = 1 + (int)((h >> 32) % 32767),
		.by_id = !strncmp(name, "id=", 3),
		.by_key = !strncmp(name, "0x", 2),
	};
	if (out->by_id)
		r = sync_name_number(name + 3, strlen(name + 3), INT_MAX, &id);
	else if (out->by_key)
		r = parse_key(name + 2, &out->key);
	else
		r = sync_name_check(name);
	out->id = (int)id;
	return r == -EOVERFLOW ? -EINVAL : r;
}

int sync_name_parse(const char *name, sync_is_scheme *known, sync_is_scheme *ranges,
		    struct sync_name *out)
{
	struct sync_name n = {.path = name, .range = {.last = SYNC_RANGE_END}};
	size_t word = 0;
	while (name[word] && name[word] != ':')
		word++;
	if (name[word] && known(name, word)) {
		n.scheme_len = word;
		n.path = name + word + 1;
	}
	n.path_len = strlen(n.path);
	const char *at = ranges(name, n.scheme_len) ? strrchr(n.path, '@') : NULL;
	/* A path may hold an '@' of its own: only what reads as a range is one. */
	if (at) {
		int r = parse_range(at + 1, strlen(at + 1), &n.range);
		if (r == -EOVERFLOW)
			return r;
		n.has_range = !r;
		if (n.has_range)
			n.path_len = (size_t)(at - n.path);
	}
	if (!n.path_len)
		return -EINVAL;
	*out = n;
	return 0;
}
