/* SPDX-License-Identifier: MIT */
/* A message as a line of JSON: {"data":"hello","prio":0,"len":5}, or data_b64 if it is not UTF-8. */
#ifndef CMD_MQPIPE_JSONLINE_H
#define CMD_MQPIPE_JSONLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "mqpipe.h"

struct jsonline {
	long number; /* stays if the line has none */
	size_t len;
	const char *why; /* what is wrong with the line, and where */
	size_t wrong_at;
};

/* Take the line of N bytes apart; the message goes into OUT, which has room for N. */
bool jsonline_parse(struct jsonline *j, const char *line, size_t n, char *out);

/* The longest line for a message of LEN bytes and a queue's name of NAME bytes. */
#define JSONLINE_MAX(len, name) (6 * ((len) + (name)) + 128)
/* Write the line for M, with its newline, into BUF; its length. QUEUE may be NULL. */
size_t jsonline_format(char *buf, const struct message *m, const char *queue);

#endif
