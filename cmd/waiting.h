/* SPDX-License-Identifier: MIT */
/* The line that tells a person at a terminal whom we wait for. */
#ifndef CMD_WAITING_H
#define CMD_WAITING_H

#include <stdbool.h>
#include <stddef.h>

/* Write into BUF what we wait for at this moment; returns BUF. Called from another thread. */
typedef const char *waiting_text(char *buf, size_t size, const void *what);

struct waiting;

/*
 * From a second after now until waiting_end(), keep the line up to date on stderr, if that is a
 * terminal. Otherwise do nothing, or if ALWAYS, write a line each second. The wait itself goes on undisturbed in the caller's thread: were
 * it to look up from time to time, it would lose its place in the queue. WHAT must stay valid for
 * good: the thread may still look at it when the wait is over. May return NULL.
 */
struct waiting *waiting_begin(waiting_text *text, const void *what, bool always);
/* Wipe the line. NULL is fine. */
void waiting_end(struct waiting *w);

#endif
