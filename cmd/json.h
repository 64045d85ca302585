/* SPDX-License-Identifier: MIT */
/* JSON on stdout: the one thing that is not plain printf, a string. */
#ifndef CMD_JSON_H
#define CMD_JSON_H

/* S as a JSON string. Bytes that are not UTF-8 become U+FFFD, so the output is always valid. */
void json_string(const char *s);

#endif
