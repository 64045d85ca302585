/* SPDX-License-Identifier: MIT */
/* JSON: everything that the table shows, and each repetition. */
#include <stdio.h>

#include "bench.h"
#include "json.h"

static void put_text(const char *key, const char *value)
{
	printf("\"%s\":", key);
	json_string(value);
}

static void put_three(const char *key, struct spread s)
{
	printf(",\"%s\":{\"median\":%.9g,\"min\":%.9g,\"max\":%.9g}", key, s.median, s.min, s.max);
}

static void put_repetitions(const struct row *r)
{
	const double bytes = (double)r->blocks * (double)r->plan.size;
	fputs(",\"repetitions\":[", stdout);
	for (unsigned i = 0; i < r->done; i++) {
		const struct repetition *one = &r->repetition[i];
		double seconds = repetition_seconds(one);
		printf("%s{\"seconds\":%.9f", i ? "," : "", seconds);
		if (r->plan.latency)
			printf(",\"trip_us\":%.9g", seconds / (double)r->blocks * 1e6);
		else
			printf(",\"bytes_per_second\":%.9g", bytes / seconds);
		printf(",\"cpu_seconds\":[%.6f,%.6f],\"context_switches\":[%lld,%lld]}",
		       (double)one->cpu[SENDER] / 1e9, (double)one->cpu[RECEIVER] / 1e9,
		       (long long)one->switches[SENDER], (long long)one->switches[RECEIVER]);
	}
	putchar(']');
}

static void put_figures(const struct row *r)
{
	struct spread seconds = row_seconds(r);
	printf(",\"blocks\":%llu", (unsigned long long)r->blocks);
	put_three("seconds", seconds);
	if (r->plan.latency) {
		put_three("trip_us", row_trip(r));
		printf(",\"p50_us\":%.9g,\"p99_us\":%.9g,\"p999_us\":%.9g",
		       histogram_at(r->trips, 0.5) / 1e3, histogram_at(r->trips, 0.99) / 1e3,
		       histogram_at(r->trips, 0.999) / 1e3);
	} else {
		put_three("bytes_per_second", row_rate(r));
		printf(",\"messages_per_second\":%.9g", (double)r->blocks / seconds.median);
	}
	printf(",\"cpu_us_per_message\":%.9g,\"switches_per_message\":%.9g", row_cpu(r),
	       row_switches(r));
	if (r->best)
		printf(",\"rank\":[%u,%u]", r->best, r->worst);
	put_repetitions(r);
}

static void put_row(const struct row *r)
{
	const struct plan *p = &r->plan;
	putchar('{');
	put_text("facility", p->facility->name);
	printf(",\"mode\":\"%s\",\"pin\":\"%s\",\"cpus\":[%d,%d],\"size\":%zu,\"planned_"
	       "repetitions\":%u,"
	       "\"checked\":%s",
	       p->latency ? "latency" : "bandwidth", place_name(p->place),
	       place_cpu(p->place, SENDER), place_cpu(p->place, RECEIVER), p->size, p->repetitions,
	       p->check ? "true" : "false");
	if (r->depth)
		printf(",\"depth\":%llu", (unsigned long long)r->depth);
	if (r->done)
		put_figures(r);
	if (r->outcome != MEASURED) {
		putchar(',');
		put_text("problem", r->why);
	}
	putchar('}');
}

void put_json(const struct machine *m, const struct row *rows, size_t n)
{
	fputs("{\"machine\":{", stdout);
	put_text("kernel", m->kernel);
	putchar(',');
	put_text("cpu", m->cpu);
	printf(",\"cpus\":%d,", m->cpus);
	put_text("date", m->date);
	fputs(",\"limits\":{", stdout);
	const char *comma = "";
	for (const struct limit *l = machine_limits; l->name; l++) {
		uint64_t value = kernel_limit(l->file);
		if (!value)
			continue;
		printf("%s\"%s\":%llu", comma, l->name, (unsigned long long)value);
		comma = ",";
	}
	fputs("}},\n\"measurements\":[\n", stdout);
	for (size_t i = 0; i < n; i++) {
		put_row(&rows[i]);
		puts(i + 1 < n ? "," : "");
	}
	puts("]}");
}
