/* SPDX-License-Identifier: MIT */
/*
 * Judges histories of operations: can each be put in an order that the object's rules allow, in which
 * nothing comes before what had ended when it began? It reads text, and knows nothing of libsync:
 *
 *	history sem PERMITS WORDS...		a semaphore
 *	history line CAPACITY WORDS...		a queue, first in, first out
 *	history prio CAPACITY WORDS...		a queue, highest number first, then first in, first out
 *	BEGIN END take ok			a permit was taken; END "-": killed, so perhaps
 *	BEGIN END take none			there was none
 *	BEGIN END post ok			one was given
 *	BEGIN END value N			so many were there
 *	BEGIN END send ID NUMBER ok|full
 *	BEGIN END recv ID|none			"-": killed, whichever came was taken, or none
 *
 * Prints "good WORDS" or "wrong WORDS" for each, and with -q only those that are wrong; then the sums.
 * The search is that of Wing and Gong, with Lowe's memory of what was tried: the set of operations that were
 * done and the state they lead to.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS_MOST 64
#define QUEUE_MOST 8 /* the state is a number: a byte for each message */
#define SEEN_MOST (1u << 20)

enum kind { SEM, LINE, PRIO };
enum what { TAKE, NONE, POST, VALUE, SEND, FULL, RECV, EMPTY };

struct op {
	uint64_t begin, end;
	enum what what;
	unsigned value; /* or a message */
	long number;
	bool perhaps; /* it was killed */
	bool any;     /* nobody knows what it received */
};

struct history {
	enum kind kind;
	unsigned size;
	struct op op[OPS_MOST];
	unsigned count;
	long number[256]; /* of a message */
	char words[128];
};

/* ---- what was tried ---- */

struct tried {
	uint64_t done, state;
	unsigned round; /* of another history: the entry is free */
};

static struct tried *seen;
static unsigned this_round, seen_count;

/* Was it there already? Else it is now. */
static bool remember(uint64_t done, uint64_t state)
{
	uint64_t h = (done ^ (state * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xff51afd7ed558ccd);
	unsigned i = (unsigned)(h >> 40) % SEEN_MOST;
	for (;; i = (i + 1) % SEEN_MOST) {
		if (seen[i].round != this_round)
			break;
		if (seen[i].done == done && seen[i].state == state)
			return true;
	}
	if (++seen_count > SEEN_MOST / 2) {
		fprintf(stderr, "linear-check: a history is too wide to be judged\n");
		exit(2);
	}
	seen[i] = (struct tried){done, state, this_round};
	return false;
}

/* ---- the rules ---- */

static unsigned length(uint64_t queue)
{
	unsigned n = 0;
	for (; queue; queue >>= 8)
		n++;
	return n;
}

/* The first in line is in the lowest byte. */
static uint64_t insert(const struct history *h, uint64_t queue, unsigned id)
{
	unsigned at = 0;
	unsigned n = length(queue);
	while (at < n && (h->kind == LINE || h->number[queue >> 8 * at & 0xff] >= h->number[id]))
		at++;
	uint64_t low = queue & ((UINT64_C(1) << 8 * at) - 1);
	uint64_t high = at < 8 ? queue >> 8 * at : 0;
	return low | (uint64_t)id << 8 * at | (at < 7 ? high << 8 * (at + 1) : 0);
}

/* Could the operation have happened in this state? Then *state is what it leads to. */
static bool step(const struct history *h, const struct op *op, uint64_t *state)
{
	uint64_t s = *state;
	switch (op->what) {
	case TAKE:
		*state = s - 1;
		return s > 0;
	case NONE:
		return s == 0;
	case POST:
		*state = s + 1;
		return true;
	case VALUE:
		return s == op->value;
	case SEND:
		if (length(s) >= h->size)
			return false;
		*state = insert(h, s, op->value);
		return true;
	case FULL:
		return length(s) == h->size;
	case RECV:
		*state = s >> 8;
		return s && (op->any || (s & 0xff) == op->value);
	default:
		return s == 0;
	}
}

/* ---- the search ---- */

static bool search(const struct history *h, uint64_t done, uint64_t state)
{
	uint64_t first_end = UINT64_MAX;
	bool left = false;
	for (unsigned i = 0; i < h->count; i++) {
		const struct op *op = &h->op[i];
		if (done >> i & 1 || op->perhaps)
			continue;
		left = true;
		if (op->end < first_end)
			first_end = op->end;
	}
	if (!left)
		return true;
	if (remember(done, state))
		return false;
	for (unsigned i = 0; i < h->count; i++) {
		/* What began after another had ended cannot come before it. */
		if (done >> i & 1 || h->op[i].begin > first_end)
			continue;
		uint64_t next = state;
		if (step(h, &h->op[i], &next) && search(h, done | UINT64_C(1) << i, next))
			return true;
	}
	return false;
}

static bool judge(const struct history *h)
{
	this_round++;
	seen_count = 0;
	return search(h, 0, h->kind == SEM ? h->size : 0);
}

/* ---- reading ---- */

static _Noreturn void bad_line(const char *line)
{
	fprintf(stderr, "linear-check: cannot read '%s'\n", line);
	exit(2);
}

static void read_op(struct history *h, const char *line)
{
	char end[24];
	char what[8];
	char result[3][16] = {"", "", ""};
	struct op op = {.end = UINT64_MAX};
	if (h->count == OPS_MOST || sscanf(line, "%" SCNu64 " %23s %7s %15s %15s %15s", &op.begin,
					   end, what, result[0], result[1], result[2]) < 3)
		bad_line(line);
	op.perhaps = !strcmp(end, "-");
	if (!op.perhaps)
		op.end = strtoull(end, NULL, 10);
	bool none = !strcmp(result[0], "none");
	op.value = (unsigned)strtoul(result[0], NULL, 10);
	if (!strcmp(what, "take")) {
		op.what = none ? NONE : TAKE;
	} else if (!strcmp(what, "post")) {
		op.what = POST;
	} else if (!strcmp(what, "value")) {
		op.what = VALUE;
	} else if (!strcmp(what, "send")) {
		op.number = strtol(result[1], NULL, 10);
		op.what = !strcmp(result[2], "full") ? FULL : SEND;
		if (!op.value || op.value > 255)
			bad_line(line);
		h->number[op.value] = op.number;
	} else if (!strcmp(what, "recv")) {
		op.what = none ? EMPTY : RECV;
		op.any = op.perhaps;
	} else {
		bad_line(line);
	}
	h->op[h->count++] = op;
}

static void read_history(struct history *h, const char *line)
{
	char kind[8];
	int at = 0;
	memset(h, 0, sizeof(*h));
	if (sscanf(line, "history %7s %u %n", kind, &h->size, &at) != 2)
		bad_line(line);
	h->kind = !strcmp(kind, "sem") ? SEM : !strcmp(kind, "line") ? LINE : PRIO;
	if (h->kind != SEM && h->size > QUEUE_MOST)
		bad_line(line);
	snprintf(h->words, sizeof(h->words), "%s", line + at);
}

int main(int argc, char **argv)
{
	static struct history h;
	static char line[256];
	bool quiet = argc > 1 && !strcmp(argv[1], "-q");
	unsigned long histories = 0, wrong = 0, ops = 0, killed = 0;
	bool more = true;
	seen = calloc(SEEN_MOST, sizeof(*seen));
	if (!seen)
		return 2;
	while (more) {
		more = fgets(line, sizeof(line), stdin);
		line[strcspn(line, "\n")] = '\0';
		if (more && (!line[0] || line[0] == '#'))
			continue;
		if (more && strncmp(line, "history ", 8) != 0) {
			read_op(&h, line);
			ops++;
			killed += h.op[h.count - 1].perhaps;
			continue;
		}
		if (h.words[0]) {
			bool good = judge(&h);
			histories++;
			wrong += !good;
			if (!good || !quiet)
				printf("%s %s\n", good ? "good" : "wrong", h.words);
		}
		if (more)
			read_history(&h, line);
	}
	printf("judged: histories=%lu operations=%lu pending=%lu wrong=%lu\n", histories, ops,
	       killed, wrong);
	free(seen);
	return wrong > 0;
}
