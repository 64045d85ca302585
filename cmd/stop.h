/* SPDX-License-Identifier: MIT */
/* Stopping in good order: what we have in hand is dealt with first. */
#ifndef CMD_STOP_H
#define CMD_STOP_H

#include <stdbool.h>

/*
 * From here HUP, INT, TERM and QUIT, unless they were ignored, only make stop_wanted() true, and system calls
 * end with EINTR until we stop: also one that begins just now. A second one ends us at once. A
 * reader who has gone is no signal any more but EPIPE.
 */
void stop_catch(void);
bool stop_wanted(void);
/* By which signal; 0: by none. */
int stop_signal(void);
/* And its si_code: who sent it. */
int stop_signal_code(void);
/* The same from another thread of ours, without a signal. */
void stop_request(void);
/* At the very end: if it was a signal, die of it, as who sent it expects. */
void stop_end(void);

/* A second signal does not end us either, but makes stop_urgent() true. */
void stop_catch_second(void);
bool stop_urgent(void);

/*
 * The same for the end of a child: system calls end with EINTR until stop_child_ended(), which tells whether
 * any has ended since it was asked last.
 */
void stop_watch_children(void);
bool stop_child_ended(void);

/* What was to end has ended: system calls are left alone from here on. */
void stop_hush(void);
/* With all signals blocked: they have the effect again that they had, as soon as they are not. */
void stop_forget(void);

/* In a child, with all signals blocked: signals are again as they were when we were started. */
void stop_release(void);

#endif
