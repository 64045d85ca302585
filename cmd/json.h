/* SPDX-License-Identifier: MIT */
/* JSON: the one thing that is not plain printf, a string. */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stddef.h>
#include <stdio.h>

/* S as a JSON string. Bytes that are not UTF-8 become U+FFFD, so the output is always valid. */
void json_write(FILE *file, const char *s);
/* The same on stdout. */
void json_string(const char *s);

/* Length of the well-formed UTF-8 sequence at S, of which N bytes are there; 0 if there is none. */
int json_utf8_length(const unsigned char *s, size_t n);

#endif
