/* SPDX-License-Identifier: MIT */
/* Numbers as the commands we stand in for read them: with what strtoimax and strtold let pass. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "laxnum.h"

int laxnum_integer(const char *s, int64_t *out)
{
	char *end;
	errno = 0;
	int64_t n = strtoimax(s, &end, 10);
	if (errno == ERANGE)
		return ERANGE;
	if (end == s || *end)
		return EINVAL;
	*out = n;
	return 0;
}

int laxnum_seconds(const char *s, int64_t *nsec)
{
	const long double limit = 0x1p62L;
	char *end;
	errno = 0;
	long double x = strtold(s, &end);
	if (errno == ERANGE)
		return ERANGE;
	if (end == s || *end)
		return EINVAL;
	*nsec = -1;
	if (isnan(x) || x > limit || x < -limit)
		return 0;
	int64_t sec = (int64_t)x;
	int64_t usec = (int64_t)((x - (long double)sec) * 1000000);
	if (sec < 0 || usec < 0)
		return 0;
	if (__builtin_mul_overflow(sec, INT64_C(1000000000), nsec) ||
	    __builtin_add_overflow(*nsec, usec * 1000, nsec))
		*nsec = INT64_MAX;
	return 0;
}

/* UNIT to the power that the letter stands for; 0 if it stands for none, UINT64_MAX if beyond reach. */
static uint64_t power_of(char letter, uint64_t unit)
{
	static const char letters[] = "KMGTPEZY";
	static const char small[] = "kmgtpe";
	const char *at = letter ? strchr(letters, letter) : NULL;
	long n = at ? at - letters : -1;
	at = letter ? strchr(small, letter) : NULL;
	n = at ? at - small : n;
	uint64_t power = n < 0 ? 0 : 1;
	for (; n >= 0; n--)
		if (__builtin_mul_overflow(power, unit, &power))
			return UINT64_MAX;
	return power;
}

/* What follows the number: nothing, or a letter and nothing, B or iB. 0 if it is something else. */
static uint64_t unit_of(const char *s)
{
	if (!*s)
		return 1;
	if (!s[1] || (s[1] == 'i' && (s[2] == 'B' || s[2] == 'b') && !s[3]))
		return power_of(*s, 1024);
	if ((s[1] == 'B' || s[1] == 'b') && !s[2])
		return power_of(*s, 1000);
	return 0;
}

int laxnum_size(const char *s, uint64_t *out)
{
	while (isspace((unsigned char)*s))
		s++;
	if (*s == '-')
		return EINVAL;
	char *end;
	errno = 0;
	uint64_t n = strtoumax(s, &end, 0);
	if (errno == ERANGE)
		return ERANGE;
	if (end == s)
		return EINVAL;
	const char *part = *end == '.' ? end + 1 : end;
	const char *suffix = part;
	if (part != end)
		while (isdigit((unsigned char)*suffix))
			suffix++;
	uint64_t unit = unit_of(suffix);
	if (!unit || (!*suffix && *end))
		return EINVAL; /* half a byte is none */
	if (unit == UINT64_MAX || __builtin_mul_overflow(n, unit, &n))
		return ERANGE;
	for (; part < suffix; part++) {
		if (__builtin_add_overflow(n, (uint64_t)(*part - '0') * (unit / 10), &n))
			return ERANGE;
		unit /= 10;
	}
	*out = n;
	return 0;
}

int laxnum_atoi(const char *s)
{
	long n = strtol(s, NULL, 10);
	return n > INT_MAX ? INT_MAX : n < INT_MIN ? INT_MIN : (int)n;
}
