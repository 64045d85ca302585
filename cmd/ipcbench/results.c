/* SPDX-License-Identifier: MIT */
/* From repetitions to figures: medians, spreads, ranks. */
#include <stdlib.h>

#include "bench.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

double repetition_seconds(const struct repetition *r)
{
	int64_t nsec = r->end - r->begin;
	return (double)(nsec > 0 ? nsec : 1) / 1e9;
}

struct spread row_seconds(const struct row *r)
{
	double all[REPETITIONS_MOST];
	if (!r->done)
		return (struct spread){0};
	for (unsigned i = 0; i < r->done; i++)
		all[i] = repetition_seconds(&r->repetition[i]);
	qsort(all, r->done, sizeof(all[0]), compare);
	double median = (all[(r->done - 1) / 2] + all[r->done / 2]) / 2;
	return (struct spread){median, all[0], all[r->done - 1]};
}

/* The fastest repetition has the highest rate. */
struct spread row_rate(const struct row *r)
{
	struct spread s = row_seconds(r);
	double bytes = (double)r->blocks * (double)r->plan.size;
	if (!r->done)
		return s;
	return (struct spread){bytes / s.median, bytes / s.max, bytes / s.min};
}

struct spread row_trip(const struct row *r)
{
	struct spread s = row_seconds(r);
	double each = r->blocks ? 1e6 / (double)r->blocks : 0;
	return (struct spread){s.median * each, s.min * each, s.max * each};
}

static double messages(const struct row *r)
{
	double n = (double)r->done * (double)r->blocks;
	return r->plan.latency ? 2 * n : n;
}

double row_cpu(const struct row *r)
{
	double sum = 0;
	for (unsigned i = 0; i < r->done; i++)
		sum += (double)(r->repetition[i].cpu[0] + r->repetition[i].cpu[1]) / 1e3;
	return r->done ? sum / messages(r) : 0;
}

double row_switches(const struct row *r)
{
	double sum = 0;
	for (unsigned i = 0; i < r->done; i++)
		sum += (double)(r->repetition[i].switches[0] + r->repetition[i].switches[1]);
	return r->done ? sum / messages(r) : 0;
}

struct spread row_merit(const struct row *r)
{
	struct spread s = r->plan.latency ? row_trip(r) : row_rate(r);
	return r->plan.latency ? (struct spread){-s.median, -s.max, -s.min} : s;
}

bool same_group(const struct row *a, const struct row *b)
{
	return a->plan.size == b->plan.size && a->plan.place == b->plan.place;
}

/* One repetition has no spread that could tell how much its figure is worth. */
static bool has_spread(const struct row *r)
{
	return r->done > 1;
}

void rank_rows(struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct spread mine = row_merit(&rows[i]);
		unsigned better = 0;
		unsigned not_worse = 0;
		if (n < 2 || !has_spread(&rows[i]))
			continue;
		for (size_t k = 0; k < n; k++) {
			if (!same_group(&rows[i], &rows[k]) || !has_spread(&rows[k]))
				continue;
			struct spread other = row_merit(&rows[k]);
			better += other.min > mine.max;
			not_worse += other.max >= mine.min;
		}
		rows[i].best = better + 1;
		rows[i].worst = not_worse;
	}
}
