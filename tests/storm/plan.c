/* SPDX-License-Identifier: MIT */
/* What each actor of the storm does and suffers: the seed decides, not the timing. */
#include <stdarg.h>
#include <stdio.h>

#include "storm.h"

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1D;
}

static unsigned below(uint64_t *state, unsigned limit)
{
	return (unsigned)((next(state) >> 33) % limit);
}

static bool one_in(uint64_t *state, unsigned n)
{
	return below(state, n) == 0;
}

/* Every actor has a sequence of its own, so what one draws does not depend on the others. */
static uint64_t sequence(uint64_t seed, uint32_t seq)
{
	uint64_t state = (seed + 1) * 0x9E3779B97F4A7C15 ^ (seq + 1) * 0xD1B54A32D192ED03;
	if (!state)
		state = 1;
	for (int i = 0; i < 4; i++)
		next(&state);
	return state;
}

/* More often what is listed more often. */
static const enum form forms[] = {
	FORM_PLAIN, FORM_PLAIN, FORM_PLAIN, FORM_TIMED,    FORM_TIMED,      FORM_TRY,
	FORM_TREE,  FORM_SHELL, FORM_SHELL, FORM_IN_PLACE, FORM_DESCRIPTOR, FORM_DESCRIPTOR,
};
static const enum blow blows[] = {
	BLOW_NONE,   BLOW_NONE,   BLOW_ANY, BLOW_ANY, BLOW_WRAPPER, BLOW_WRAPPER, BLOW_WRAPPER,
	BLOW_WAITER, BLOW_WAITER, BLOW_JOB, BLOW_JOB, BLOW_BOTH,    BLOW_TERM,    BLOW_STOP,
};
/* Limits, in microseconds: while it starts, while it waits for a few others, for many. */
static const unsigned delays[] = {500, 3000, 20000};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct plan plan_draw(const struct setting *set, uint32_t seq)
{
	uint64_t s = sequence(set->seed, seq);
	struct plan p = {
		.form = forms[below(&s, COUNT(forms))],
		.shared = one_in(&s, 4),
		.busy = one_in(&s, 2),
		.hold_usec = below(&s, one_in(&s, 3) ? 2001 : 400),
		.linger_usec = one_in(&s, 8) ? 1 + below(&s, 3000) : 0,
		.timeout_ms = 1 + below(&s, 50),
		.blow = blows[below(&s, COUNT(blows))],
		.after_begin = !one_in(&s, 3),
		.delay_usec = below(&s, delays[below(&s, COUNT(delays))]),
		.afterwards = below(&s, 1 << 16),
		.afterwards_usec = below(&s, 5000),
	};
	/* Somebody has to stay who removes the file. */
	p.rm = one_in(&s, 3) && p.form != FORM_IN_PLACE && p.form != FORM_DESCRIPTOR;
	if (p.blow == BLOW_WAITER)
		p.after_begin = false;
	/* While the job is at work, or as it ends. */
	if (p.after_begin)
		p.delay_usec %= p.hold_usec + 400;
	return p;
}

/* ---- as a command line ---- */

static void add(struct command *c, const char *word)
{
	c->argv[c->words++] = (char *)word;
	c->argv[c->words] = NULL;
}

__attribute__((format(printf, 2, 3))) static void add_text(struct command *c, const char *format,
							   ...)
{
	char *text = c->text[c->words];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(c->text[0]), format, args);
	va_end(args);
	add(c, text);
}

static void add_options(struct command *c, const struct plan *p)
{
	add(c, "-q");
	if (p->shared)
		add(c, "-s");
	if (p->rm)
		add(c, "--rm");
	if (p->form == FORM_TREE)
		add(c, "--hold=tree");
	if (p->form == FORM_IN_PLACE)
		add(c, "-F");
	if (p->form == FORM_TRY)
		add(c, "-n");
	if (p->form == FORM_TIMED) {
		add(c, "-w");
		add_text(c, "%ums", p->timeout_ms);
	}
}

static void add_job(struct command *c, const struct setting *set, const struct plan *p,
		    uint32_t seq)
{
	add(c, set->job);
	add_text(c, "%u", seq);
	add(c, p->shared ? "s" : "x");
	add(c, p->busy ? "busy" : "sleep");
	add_text(c, "%u", p->hold_usec);
	add_text(c, "%u", p->linger_usec);
}

/* Not just the command, which the shell would become. */
static const char from_shell[] = "\"$@\"; exit $?";

/*
 * The file may have been removed between opening it and getting the lock: status 69, open it
 * again. Open for both, as ofd: wants.
 */
static const char by_descriptor[] =
	"lockrun=$1 mode=$2 fd=$3\n"
	"shift 3\n"
	"while\n"
	"	( \"$lockrun\" -q \"$mode\" \"$fd\" || exit; \"$@\" ) 9<>" LOCK_FILE "\n"
	"	status=$?\n"
	"	[ $status -eq 69 ]\n"
	"do :; done\n"
	"exit $status\n";

void plan_command(const struct setting *set, const struct plan *p, uint32_t seq,
		  struct command *out)
{
	out->words = 0;
	if (p->form == FORM_SHELL || p->form == FORM_DESCRIPTOR) {
		add(out, "/bin/sh");
		add(out, "-c");
		add(out, p->form == FORM_SHELL ? from_shell : by_descriptor);
		add(out, "sh");
	}
	add(out, set->lockrun);
	if (p->form == FORM_DESCRIPTOR) {
		add(out, p->shared ? "-s" : "-x");
		add_text(out, "%s9", set->scheme);
	} else {
		add_options(out, p);
		add_text(out, "%s" LOCK_FILE, set->scheme);
	}
	add_job(out, set, p, seq);
}
