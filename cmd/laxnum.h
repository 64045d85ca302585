/* SPDX-License-Identifier: MIT */
/* Numbers as the commands we stand in for read them; parse.h is stricter. */
#ifndef CMD_LAXNUM_H
#define CMD_LAXNUM_H

#include <stdint.h>

/* Each returns 0, EINVAL for what is no number, or ERANGE; *out is set for 0 alone. */

/* Decimal; blanks before it and a sign are fine. */
int laxnum_integer(const char *s, int64_t *out);
/*
 * Seconds as strtold(3) knows them, to nanoseconds, but cut to microseconds. -1 for what no timer takes:
 * negative, not a number, infinite.
 */
int laxnum_seconds(const char *s, int64_t *nsec);
/* Bytes: "10", "0x10", "1K" and "1KiB" (1024), "1KB" (1000), "0.5M", up to E. */
int laxnum_size(const char *s, uint64_t *out);

/* As atoi(3): what is no number is 0, and what follows one does not count. */
int laxnum_atoi(const char *s);

#endif
