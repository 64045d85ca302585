/* SPDX-License-Identifier: MIT */
/* The table, with bars if somebody looks at it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { BAR = 24 };

void put_heading(const struct machine *m)
{
	const char *comma = "";
	printf("%s, %s, %d CPU%s, %s\nlimits:", m->kernel, m->cpu, m->cpus, m->cpus == 1 ? "" : "s",
	       m->date);
	for (const struct limit *l = machine_limits; l->name; l++) {
		uint64_t n = kernel_limit(l->file);
		if (n) {
			printf("%s %s %llu", comma, l->name, (unsigned long long)n);
			comma = ",";
		}
	}
	putchar('\n');
}

static void put_place(enum place p)
{
	if (p == PLACE_SAME)
		printf("same: both sides on CPU %d", place_cpu(p, SENDER));
	else if (p == PLACE_CROSS)
		printf("cross: sender on CPU %d, receiver on CPU %d", place_cpu(p, SENDER),
		       place_cpu(p, RECEIVER));
	else
		printf("none: where the kernel likes");
}

/* What a figure is multiplied with to be shown, and how many digits behind the point it then has. */
static int digits(double x)
{
	return x < 10 ? 3 : x < 100 ? 2 : x < 1000 ? 1 : 0;
}

static void put_rank(const struct row *r)
{
	char rank[32] = "-";
	if (r->best && r->best == r->worst)
		snprintf(rank, sizeof(rank), "%u", r->best);
	else if (r->best)
		snprintf(rank, sizeof(rank), "%u-%u", r->best, r->worst);
	printf(" %6s", rank);
}

static void put_bar(double value, double most)
{
	int n = most > 0 ? (int)(value / most * BAR + 0.5) : 0;
	putchar(' ');
	putchar(' ');
	for (int i = 0; i < n; i++)
		putchar('#');
}

static void put_number(double x, int width)
{
	printf(" %*.*f", width, digits(x), x);
}

static void put_spread(struct spread s, double scale)
{
	char text[40];
	put_number(s.median * scale, 9);
	snprintf(text, sizeof(text), "%.*f..%.*f", digits(s.min * scale), s.min * scale,
		 digits(s.max * scale), s.max * scale);
	printf(" %17s", text);
}

static void put_figures(const struct row *r)
{
	struct spread seconds = row_seconds(r);
	printf("%-14s %10llu %9.6f", r->plan.facility->name, (unsigned long long)r->blocks,
	       seconds.median);
	if (r->plan.latency) {
		put_spread(row_trip(r), 1);
		put_number(histogram_at(r->trips, 0.5) / 1e3, 8);
		put_number(histogram_at(r->trips, 0.99) / 1e3, 8);
		put_number(histogram_at(r->trips, 0.999) / 1e3, 8);
	} else {
		put_spread(row_rate(r), 1e-6);
		put_number((double)r->blocks / seconds.median / 1e3, 9);
	}
	printf(" %8.3f %8.4f", row_cpu(r), row_switches(r));
	put_rank(r);
}

static void put_row(const struct row *r, double most, bool bars)
{
	if (!r->done) {
		printf("%-14s %s\n", r->plan.facility->name, r->why);
		return;
	}
	put_figures(r);
	if (bars)
		put_bar(r->plan.latency ? row_trip(r).median : row_rate(r).median, most);
	putchar('\n');
	if (r->outcome != MEASURED)
		printf("%-14s after %u of %u repetitions: %s\n", "", r->done, r->plan.repetitions,
		       r->why);
}

void put_group(const struct row *rows, size_t n)
{
	const struct plan *p = &rows[0].plan;
	const bool bars = isatty(STDOUT_FILENO);
	double most = 0;
	for (size_t i = 0; i < n; i++) {
		double x = p->latency ? row_trip(&rows[i]).median : row_rate(&rows[i]).median;
		most = x > most ? x : most;
	}
	printf("\n%zu byte%s, ", p->size, p->size == 1 ? "" : "s");
	put_place(p->place);
	printf("; %u repetition%s%s\n", p->repetitions, p->repetitions == 1 ? "" : "s",
	       p->check ? "" : ", nothing checked");
	if (p->latency)
		printf("%-14s %10s %9s %9s %17s %8s %8s %8s %8s %8s %6s\n", "", "trips", "seconds",
		       "us/trip", "min..max", "p50", "p99", "p99.9", "CPU us", "switches", "rank");
	else
		printf("%-14s %10s %9s %9s %17s %9s %8s %8s %6s\n", "", "blocks", "seconds", "MB/s",
		       "min..max", "kmsg/s", "CPU us", "switches", "rank");
	for (size_t i = 0; i < n; i++)
		put_row(&rows[i], most, bars);
	fflush(stdout);
}
