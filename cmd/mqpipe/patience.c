/* SPDX-License-Identifier: MIT */
/* How long to wait. */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "parse.h"
#include "patience.h"

enum { OPT_TOTAL = 1280 };

static const struct argp_option options[] = {
	{"total", OPT_TOTAL, "DURATION", 0, "Wait and work no longer than this in all", 10},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct patience *p = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &p->common;
		p->total = DURATION_FOREVER;
		return 0;
	case OPT_TOTAL:
		if (!parse_duration(arg, &p->total))
			argp_error(state,
				   "invalid time '%s': expected a duration such as 5, 1.5, 300ms, "
				   "2m, 1h or inf",
				   arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
const struct argp patience_argp = {.options = options, .parser = parse, .children = children};

void patience_begin(struct patience *p)
{
	if (p->total != DURATION_FOREVER)
		sync_deadline_in(p->total, &p->end);
}

bool patience_is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

int patience_for_input(const struct patience *p, int fd)
{
	struct pollfd input = {.fd = fd, .events = POLLIN};
	struct timespec now;
	if (p->total == DURATION_FOREVER)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!patience_is_before(&now, &p->end))
		return -ETIMEDOUT;
	struct timespec left = {p->end.tv_sec - now.tv_sec, p->end.tv_nsec - now.tv_nsec};
	if (left.tv_nsec < 0) {
		left.tv_sec--;
		left.tv_nsec += 1000000000;
	}
	int n = ppoll(&input, 1, &left, NULL);
	return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

const struct timespec *patience_limit(struct patience *p, int64_t nsec)
{
	const struct timespec *end = p->total == DURATION_FOREVER ? NULL : &p->end;
	if (nsec == DURATION_FOREVER)
		return end;
	sync_deadline_in(nsec, &p->next);
	return end && patience_is_before(end, &p->next) ? end : &p->next;
}

bool patience_is_over(const struct patience *p)
{
	struct timespec now;
	if (p->total == DURATION_FOREVER)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return !patience_is_before(&now, &p->end);
}
