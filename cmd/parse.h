/* SPDX-License-Identifier: MIT */
/* The values of options: durations, counts, file modes. Digits mean digits, nothing else. */
#ifndef CMD_PARSE_H
#define CMD_PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DURATION_FOREVER INT64_MAX

/* "5" "1.5" "300ms" "2m" "1h" "1d" "inf" to nanoseconds; false for anything else. */
bool parse_duration(const char *s, int64_t *nsec);
/* A decimal number from 0 to MAX; false for signs, blanks, other bases, and beyond. */
bool parse_count(const char *s, uint64_t max, uint64_t *out);
/* Bytes, 1 to MAX: the same with an optional K, M or G behind it, powers of 1024. */
bool parse_size(const char *s, uint64_t max, uint64_t *out);
/* Octal, 0 to 0777. */
bool parse_mode(const char *s, mode_t *out);

#endif
