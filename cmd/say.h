/* SPDX-License-Identifier: MIT */
/* Messages on stderr: one line each, after the applet's name, in one write, escaped. */
#ifndef CMD_SAY_H
#define CMD_SAY_H

#include <stdbool.h>
#include <stddef.h>

/* The applet that speaks; set once by main(). */
void say_as(const char *applet);

__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/* Standard output did not take all, says errno. Said once: it fails again when the process ends. */
void unwritable(void);

/* What others wrote to their standard error, as it is. */
void say_bytes(const char *data, size_t len);

/* A status line on a terminal that the next one replaces; and wiping it off. */
__attribute__((format(printf, 1, 2))) void say_status(const char *format, ...);
void say_wipe_status(void);
bool say_on_terminal(void);

/*
 * S in quotes, fit for a terminal or a log: 'plain', or $'a\nb' with what is not plain ASCII
 * escaped. Never freed: a message is the last thing done with it.
 */
const char *quote(const char *s);
/* S as it is, but with control characters escaped: for messages that others have worded. */
const char *tame(const char *s);
/* As quote() without the quotes, cut to SIZE. */
const char *escape(char *buf, size_t size, const char *s);

/*
 * argp and getopt print words as they are. With words in which there are bytes that a terminal could obey, their messages
 * are kept until say_tame_kept() has replaced those.
 */
void say_keep_odd(int argc, char **argv);
void say_tame_kept(void);

#endif
