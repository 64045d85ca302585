/* SPDX-License-Identifier: MIT */
/* The values of options: durations, counts, sizes, modes, signals; and the numbers of commands we stand in for. */
#include <errno.h>
#include <limits.h>
#include <signal.h>

/* Both have one. */
#define unit_of laxnum_unit_of
#include "../../cmd/laxnum.c"
#undef unit_of
#include "../../cmd/parse.c"
#include "../../cmd/signame.c"

#include "fuzz.h"

typedef unsigned __int128 wide;

/* Every digit counts, up to where no number can be meant. */
static wide digits_of(const char *s, size_t len)
{
	wide n = 0;
	for (size_t i = 0; i < len; i++)
		n = n > (wide)1 << 100 ? n : n * 10 + (unsigned)(s[i] - '0');
	return n;
}

static const uint64_t no_unit = 0;

static uint64_t unit_in_nsec(const char *s)
{
	static const char units[] = "smhd";
	static const uint64_t seconds[] = {1, 60, 3600, 86400};
	if (!*s)
		return 1000000000;
	if (!strcmp(s, "ms"))
		return 1000000;
	const char *at = s[1] ? NULL : strchr(units, *s);
	return at ? seconds[at - units] * 1000000000 : no_unit;
}

static void duration(const char *s)
{
	static const char decimal[] = "0123456789";
	int64_t nsec = -7;
	bool good = parse_duration(s, &nsec);
	if (!strcmp(s, "inf")) {
		MUST(good && nsec == DURATION_FOREVER);
		return;
	}
	size_t whole = strspn(s, decimal);
	size_t point = s[whole] == '.';
	size_t part = point ? strspn(s + whole + 1, decimal) : 0;
	uint64_t unit = unit_in_nsec(s + whole + point + part);
	if (!(whole + part) || unit == no_unit) {
		MUST(!good);
		return;
	}
	/* More digits than these are no nanosecond. */
	size_t kept = part > 18 ? 18 : part;
	wide scale = 1;
	for (size_t i = 0; i < kept; i++)
		scale *= 10;
	wide n = digits_of(s, whole);
	wide exact = (n > INT64_MAX ? INT64_MAX : n) * unit;
	exact += digits_of(s + whole + 1, kept) * unit / scale;
	/* What is below a nanosecond is cut off digit by digit. */
	if (good)
		MUST(nsec >= 0 && (wide)nsec <= exact && exact - (wide)nsec < 20);
	else
		MUST(exact >= DURATION_FOREVER);
	MUST(!good || nsec < DURATION_FOREVER);
}

static void count(const char *s, uint64_t max)
{
	uint64_t out = 0;
	size_t n = strspn(s, "0123456789");
	bool good = parse_count(s, max, &out);
	MUST(good == (n && !s[n] && digits_of(s, n) <= max));
	MUST(!good || out == digits_of(s, n));
}

static void size_of(const char *s, uint64_t max)
{
	uint64_t out = 0;
	size_t n = strspn(s, "0123456789");
	unsigned shift = s[n] == 'K' ? 10 : s[n] == 'M' ? 20 : s[n] == 'G' ? 30 : 0;
	bool form = n && (!s[n] || (shift && !s[n + 1]));
	wide digits = digits_of(s, n);
	wide value = (digits > UINT64_MAX ? UINT64_MAX : digits) << shift;
	bool good = parse_size(s, max, &out);
	MUST(!good || (form && value <= max && out == value));
	/* With so many zeros in front it may be refused. */
	MUST(good || !form || value > max || digits > max || n >= 23);
}

static void mode(const char *s)
{
	mode_t out = 07777;
	size_t n = strspn(s, "01234567");
	unsigned value = 0;
	for (size_t i = 0; i < n; i++)
		value = value > 0777 ? value : value * 8 + (unsigned)(s[i] - '0');
	bool good = parse_mode(s, &out);
	MUST(good == (n && !s[n] && value <= 0777));
	MUST(!good || out == value);
}

static void signal_names(const char *s)
{
	int signo = 0;
	int again = 0;
	if (!signal_parse(s, &signo))
		return;
	MUST(signo > 0 && signo < NSIG);
	MUST(signal_parse(signal_name(signo), &again) && again == signo);
}

/* Laxer, but what the strict one takes means the same to it. */
static void lax(const char *s)
{
	int64_t n = 0;
	int64_t nsec = -7;
	int64_t strict = 0;
	uint64_t bytes = 0;
	uint64_t plain = 0;
	int r = laxnum_integer(s, &n);
	MUST(r == 0 || r == EINVAL || r == ERANGE);
	if (parse_count(s, INT64_MAX, &plain))
		MUST(!r && n == (int64_t)plain);
	r = laxnum_seconds(s, &nsec);
	MUST(r == 0 || r == EINVAL || r == ERANGE);
	MUST(r || nsec >= -1);
	/* Both cut, one to microseconds; and a long double has 64 bits. */
	if (!r && nsec >= 0 && parse_duration(s, &strict) && strict != DURATION_FOREVER &&
	    !strpbrk(s, "smhd") && strict < INT64_C(1000000000) * 1000000000)
		MUST(nsec <= strict + 1000 && strict <= nsec + 2000);
	r = laxnum_size(s, &bytes);
	MUST(r == 0 || r == EINVAL || r == ERANGE);
	if (*s != '0' && parse_size(s, UINT64_MAX, &plain))
		MUST(!r && bytes == plain);
	int i = laxnum_atoi(s);
	MUST(!parse_count(s, INT_MAX, &plain) || i == (int)plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	uint64_t max = (uint64_t)take_u32(&in) << 32 | take_u32(&in);
	char *s = take_string(&in, left(&in));
	duration(s);
	count(s, max);
	count(s, INT32_MAX);
	size_of(s, max);
	size_of(s, INT64_MAX);
	mode(s);
	signal_names(s);
	lax(s);
	free(s);
	return 0;
}
