/* SPDX-License-Identifier: MIT */
/* Comma-separated values: a line for each measurement, base units, numbers in full. */
#include <stdio.h>

#include "bench.h"

void put_csv(const struct row *rows, size_t n)
{
	puts("facility,mode,pin,size,blocks,repetitions,seconds,seconds_min,seconds_max,bytes_per_"
	     "second,"
	     "bytes_per_second_min,bytes_per_second_max,trip_us,trip_us_min,trip_us_max,p50_us,p99_"
	     "us,"
	     "p999_us,cpu_us_per_message,switches_per_message,rank_best,rank_worst,checked,"
	     "problem");
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		struct spread s = row_seconds(r);
		struct spread rate = row_rate(r);
		struct spread trip = row_trip(r);
		printf("%s,%s,%s,%zu,%llu,%u,%.9f,%.9f,%.9f", r->plan.facility->name,
		       r->plan.latency ? "latency" : "bandwidth", place_name(r->plan.place),
		       r->plan.size, (unsigned long long)r->blocks, r->done, s.median, s.min,
		       s.max);
		if (r->plan.latency)
			printf(",,,,%.6f,%.6f,%.6f,%.3f,%.3f,%.3f", trip.median, trip.min, trip.max,
			       histogram_at(r->trips, 0.5) / 1e3,
			       histogram_at(r->trips, 0.99) / 1e3,
			       histogram_at(r->trips, 0.999) / 1e3);
		else
			printf(",%.3f,%.3f,%.3f,,,,,,", rate.median, rate.min, rate.max);
		printf(",%.6f,%.6f,%u,%u,%s,\"", row_cpu(r), row_switches(r), r->best, r->worst,
		       r->plan.check ? "yes" : "no");
		for (const char *c = r->why; *c; c++)
			printf(*c == '"' ? "\"\"" : "%c", *c);
		puts("\"");
	}
}
