/* SPDX-License-Identifier: MIT */
/* The values of options. strtol and strtod take signs, blanks, hex, nan: so neither is used. */
#include <string.h>

#include "parse.h"

#define NSEC_PER_SEC 1000000000

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool unit_of(const char *s, int64_t *nsec)
{
	static const struct {
		const char *name;
		int64_t nsec;
	} units[] = {
		{"", NSEC_PER_SEC},
		{"ms", 1000000},
		{"s", NSEC_PER_SEC},
		{"m", INT64_C(60) * NSEC_PER_SEC},
		{"h", INT64_C(3600) * NSEC_PER_SEC},
		{"d", INT64_C(86400) * NSEC_PER_SEC},
	};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!strcmp(s, units[i].name)) {
			*nsec = units[i].nsec;
			return true;
		}
	}
	return false;
}

bool parse_duration(const char *s, int64_t *nsec)
{
	if (!strcmp(s, "inf")) {
		*nsec = DURATION_FOREVER;
		return true;
	}
	const char *whole = s;
	while (is_digit(*s))
		s++;
	const char *whole_end = s;
	const char *part = s;
	if (*s == '.')
		for (part = ++s; is_digit(*s);)
			s++;
	int64_t unit;
	int64_t sum = 0;
	if (whole == whole_end && part == s)
		return false; /* no digit at all */
	if (!unit_of(s, &unit))
		return false;
	for (const char *p = whole; p < whole_end; p++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, *p - '0', &sum))
			return false;
	if (__builtin_mul_overflow(sum, unit, &sum))
		return false;
	/* Digits behind the point, each a tenth of the one before; below 1 ns they vanish. */
	for (const char *p = part; part > whole_end && is_digit(*p); p++) {
		int64_t digit = *p - '0';
		/* 8.64e13 ns, a day, times 9 is far from overflow. */
		if (__builtin_add_overflow(sum, digit * unit / 10, &sum))
			return false;
		unit /= 10;
	}
	*nsec = sum;
	return sum != DURATION_FOREVER;
}

static bool parse_digits(const char *s, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned digit = (unsigned)(*s - '0');
		if (!is_digit(*s) || digit >= base || digit > max || n > (max - digit) / base)
			return false;
		n = n * base + digit;
	}
	*out = n;
	return true;
}

bool parse_count(const char *s, uint64_t max, uint64_t *out)
{
	return parse_digits(s, 10, max, out);
}

bool parse_mode(const char *s, mode_t *out)
{
	uint64_t n;
	if (!parse_digits(s, 8, 0777, &n))
		return false;
	*out = (mode_t)n;
	return true;
}

/* Powers of 1024, as memory is counted. */
bool parse_size(const char *s, uint64_t max, uint64_t *out)
{
	static const char letters[] = "KMG";
	char digits[24];
	size_t n = strlen(s);
	unsigned shift = 0;
	if (n && !is_digit(s[n - 1])) {
		const char *letter = strchr(letters, s[--n]);
		if (!letter)
			return false;
		shift = 10 * (unsigned)(letter - letters + 1);
	}
	if (n >= sizeof(digits))
		return false;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (!parse_digits(digits, 10, max >> shift, out))
		return false;
	*out <<= shift;
	return true;
}
