/* SPDX-License-Identifier: MIT */
/* --events: one line of JSON for each thing that happens. */
#ifndef CMD_EVENTS_H
#define CMD_EVENTS_H

/* WHERE is the number of an open descriptor, or a file, to which lines are appended. Or die. */
void events_open(const char *where);
/*
 * {"event":NAME,"time":...,FORMAT...}: in one write, which never waits; a line that cannot be written is lost,
 * and that is said, once. Nothing, if nobody wants to know. SIGPIPE is the caller's affair.
 */
__attribute__((format(printf, 2, 3))) void event(const char *name, const char *format, ...);

#endif
