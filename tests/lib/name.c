/* SPDX-License-Identifier: MIT */
/* What a legal object name is: the parser itself, with schemes of its own, from inside the library. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "tap.h"

/* "plain" has no ranges, "wide" has; a bare name is plain. */
static bool is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

static bool known(const char *s, size_t len)
{
	return is_word(s, len, "plain") || is_word(s, len, "wide");
}

static bool ranges(const char *s, size_t len)
{
	return is_word(s, len, "wide");
}

#define TO_END SYNC_RANGE_END

static const struct {
	const char *name;
	int result;
	size_t scheme_len;
	const char *path;
	uint64_t first, last;
	bool has_range;
} table[] = {
	/* schemes and colons */
	{"lock", 0, 0, "lock", 0, TO_END, false},
	{"plain:lock", 0, 5, "lock", 0, TO_END, false},
	{"wide:/tmp/lock", 0, 4, "/tmp/lock", 0, TO_END, false},
	{"other:lock", 0, 0, "other:lock", 0, TO_END, false},
	{"plai:lock", 0, 0, "plai:lock", 0, TO_END, false},
	{"plainer:lock", 0, 0, "plainer:lock", 0, TO_END, false},
	{"PLAIN:lock", 0, 0, "PLAIN:lock", 0, TO_END, false},
	{":lock", 0, 0, ":lock", 0, TO_END, false},
	{":", 0, 0, ":", 0, TO_END, false},
	{"plain::", 0, 5, ":", 0, TO_END, false},
	{"plain:a:b", 0, 5, "a:b", 0, TO_END, false},
	{"plain:plain:a", 0, 5, "plain:a", 0, TO_END, false},
	{"./plain:a", 0, 0, "./plain:a", 0, TO_END, false},
	{"plain", 0, 0, "plain", 0, TO_END, false},
	{" ", 0, 0, " ", 0, TO_END, false},
	/* nothing is no path */
	{"", -EINVAL, 0, NULL, 0, 0, false},
	{"plain:", -EINVAL, 0, NULL, 0, 0, false},
	{"wide:", -EINVAL, 0, NULL, 0, 0, false},
	{"wide:@5", -EINVAL, 0, NULL, 0, 0, false},
	{"wide:@0+1", -EINVAL, 0, NULL, 0, 0, false},
	/* ranges */
	{"wide:f@0", 0, 4, "f", 0, TO_END, true},
	{"wide:f@7", 0, 4, "f", 7, TO_END, true},
	{"wide:f@007", 0, 4, "f", 7, TO_END, true},
	{"wide:f@0+1", 0, 4, "f", 0, 0, true},
	{"wide:f@5+10", 0, 4, "f", 5, 14, true},
	{"wide:f@5+0", 0, 4, "f", 5, TO_END, true},
	{"wide:a@b@5+10", 0, 4, "a@b", 5, 14, true},
	{"wide:a@1@5", 0, 4, "a@1", 5, TO_END, true},
	{"wide:@@5", 0, 4, "@", 5, TO_END, true},
	{"wide:f@9223372036854775807", 0, 4, "f", INT64_MAX, TO_END, true},
	{"wide:f@9223372036854775807+1", 0, 4, "f", INT64_MAX, TO_END, true},
	{"wide:f@0+9223372036854775807", 0, 4, "f", 0, INT64_MAX - 1, true},
	{"wide:f@1+9223372036854775807", 0, 4, "f", 1, TO_END, true},
	/* beyond what a file can hold */
	{"wide:f@9223372036854775808", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@99999999999999999999999999", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@18446744073709551616", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@18446744073709551617+1", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@0+9223372036854775808", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@0+18446744073709551617", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@9223372036854775807+2", -EOVERFLOW, 0, NULL, 0, 0, false},
	{"wide:f@2+9223372036854775807", -EOVERFLOW, 0, NULL, 0, 0, false},
	/* what does not read as a range is part of the path */
	{"wide:f@", 0, 4, "f@", 0, TO_END, false},
	{"wide:f@x", 0, 4, "f@x", 0, TO_END, false},
	{"wide:f@+5", 0, 4, "f@+5", 0, TO_END, false},
	{"wide:f@5+", 0, 4, "f@5+", 0, TO_END, false},
	{"wide:f@5+x", 0, 4, "f@5+x", 0, TO_END, false},
	{"wide:f@x+5", 0, 4, "f@x+5", 0, TO_END, false},
	{"wide:f@5+5+5", 0, 4, "f@5+5+5", 0, TO_END, false},
	{"wide:f@-1", 0, 4, "f@-1", 0, TO_END, false},
	{"wide:f@ 1", 0, 4, "f@ 1", 0, TO_END, false},
	{"wide:f@1 ", 0, 4, "f@1 ", 0, TO_END, false},
	{"wide:f@0x10", 0, 4, "f@0x10", 0, TO_END, false},
	{"wide:f@1-2", 0, 4, "f@1-2", 0, TO_END, false},
	{"wide:user@host/1", 0, 4, "user@host/1", 0, TO_END, false},
	{"wide:f@99999999999999999999x", 0, 4, "f@99999999999999999999x", 0, TO_END, false},
	{"wide:f@99999999999999999999+x", 0, 4, "f@99999999999999999999+x", 0, TO_END, false},
	/* without ranges an '@' is a letter */
	{"f@5+10", 0, 0, "f@5+10", 0, TO_END, false},
	{"plain:f@5+10", 0, 5, "f@5+10", 0, TO_END, false},
	{"plain:f@9223372036854775808", 0, 5, "f@9223372036854775808", 0, TO_END, false},
	{"plain:@5", 0, 5, "@5", 0, TO_END, false},
};

static bool as_told(size_t i, const struct sync_name *n)
{
	return n->scheme_len == table[i].scheme_len && n->path_len == strlen(table[i].path) &&
	       !memcmp(n->path, table[i].path, n->path_len) && n->range.first == table[i].first &&
	       n->range.last == table[i].last && n->has_range == table[i].has_range;
}

static void names(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct sync_name n = {.scheme_len = 77};
		int r = sync_name_parse(table[i].name, known, ranges, &n);
		if (table[i].result)
			ok(r == table[i].result && n.scheme_len == 77,
			   "'%s' is refused, and nothing is stored", table[i].name);
		else
			ok(r == 0 && as_told(i, &n), "'%s' is %s from %llu", table[i].name,
			   table[i].path, (unsigned long long)table[i].first);
	}
}

static const struct {
	const char *text;
	uint64_t max;
	int result;
	uint64_t value;
} numbers[] = {
	{"0", 10, 0, 0},
	{"10", 10, 0, 10},
	{"11", 10, -EOVERFLOW, 0},
	{"0000000000000000000000000000010", 10, 0, 10},
	{"", 10, -EINVAL, 0},
	{"-1", 10, -EINVAL, 0},
	{"+1", 10, -EINVAL, 0},
	{" 1", 10, -EINVAL, 0},
	{"1 ", 10, -EINVAL, 0},
	{"1.0", 10, -EINVAL, 0},
	{"0x1", 10, -EINVAL, 0},
	{"4", 3, -EOVERFLOW, 0},
	{"1", 0, -EOVERFLOW, 0},
	{"9", 5, -EOVERFLOW, 0},
	{"2147483647", INT32_MAX, 0, INT32_MAX},
	{"2147483648", INT32_MAX, -EOVERFLOW, 0},
	{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	{"18446744073709551616", UINT64_MAX, -EOVERFLOW, 0},
	{"99999999999999999999999999", UINT64_MAX, -EOVERFLOW, 0},
};

static void all_numbers(void)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t got = 77;
		size_t len = strlen(numbers[i].text);
		int r = sync_name_number(numbers[i].text, len, numbers[i].max, &got);
		ok(r == numbers[i].result && got == (r ? 77 : numbers[i].value),
		   "the number '%s' up to %llu gives %d", numbers[i].text,
		   (unsigned long long)numbers[i].max, numbers[i].result);
	}
}

/* The bytes behind a number are not looked at: it need not be terminated. */
static void lengths(void)
{
	uint64_t got = 0;
	char *digits = malloc(3);
	if (!digits)
		return;
	memcpy(digits, "123", 3);
	ok(sync_name_number(digits, 3, 1000, &got) == 0 && got == 123,
	   "a number ends by its length");
	ok(sync_name_number(digits, 1, 1000, &got) == 0 && got == 1, "even before other digits");
	free(digits);
}

int main(void)
{
	names();
	all_numbers();
	lengths();
	return tap_end();
}
