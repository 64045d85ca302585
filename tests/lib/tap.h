/* SPDX-License-Identifier: MIT */
/* TAP for the C tests: ok(condition, "a claim") for each, return tap_end() last. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Built with a sanitizer of memory or threads, by gcc or clang: it is slower, and larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* MEMCHECK in the environment: all is slower by far, and some calls are not done as by the kernel. */
static inline bool under_memcheck(void)
{
	return getenv("MEMCHECK") != NULL;
}

/* Up to valgrind 3.19 at least it knows F_SETLKW, but not F_OFD_SETLKW, for a call that may block. */
#define MEMCHECK_OFD "under memcheck no signal ends F_OFD_SETLKW, nor do other threads run"

/* Of N that are alike, as many as there is time for. */
static inline int rounds(int n)
{
	return under_memcheck() ? (n + 19) / 20 : n;
}

/* For a whole test, which does not take so long. */
static inline void limit_time(unsigned seconds)
{
	alarm(under_memcheck() ? seconds * 3 : seconds);
}

/* Where a test keeps its files. */
static inline const char *tmp_dir(void)
{
	const char *dir = getenv("TMPDIR");
	return dir ? dir : "/tmp";
}

static int tap_count;
static int tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool good, const char *format, ...)
{
	va_list args;
	tap_failed += !good;
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return good;
}

__attribute__((format(printf, 2, 3))) static inline void tap_skip(const char *why,
								  const char *format, ...)
{
	va_list args;
	printf("ok %d - ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" # SKIP %s\n", why);
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
