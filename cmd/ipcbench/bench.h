/* SPDX-License-Identifier: MIT */
/* What is to be measured, and what has been. */
#ifndef CMD_IPCBENCH_BENCH_H
#define CMD_IPCBENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"
#include "place.h"
#include "transport.h"

enum { REPETITIONS_MOST = 1000 };

/* One measurement. */
struct plan {
	const struct facility *facility;
	enum place place;
	size_t size;
	uint64_t blocks; /* of a repetition; 0: as many as fill nsec */
	int64_t nsec;    /* about how long a repetition takes then */
	unsigned repetitions;
	bool latency; /* there and back, instead of one way as fast as can be */
	bool check;
};

/* One repetition, in nanoseconds. [SENDER] and [RECEIVER] where both have one. */
struct repetition {
	int64_t begin, end;
	int64_t cpu[2];
	int64_t switches[2];
};

enum outcome {
	MEASURED,
	REFUSED, /* it cannot be, here, or in this size */
	FAILED,  /* it went wrong under way */
	STOPPED, /* we were told to stop */
};

/* What has come of it. What a stop has left is there, done may be less than was planned. */
struct row {
	struct plan plan;
	enum outcome outcome;
	int status; /* an exit status, unless MEASURED */
	char why[400];
	uint64_t blocks;
	uint64_t depth;
	unsigned done;
	struct repetition *repetition;
	struct histogram *trips; /* of latency: nanoseconds there and back */
	unsigned best, worst;    /* its rank lies between these; 0: none */
};

struct spread {
	double median, min, max;
};

/* Called while we wait: so many repetitions are done. */
typedef void measure_progress(const struct plan *p, unsigned done);

/* After stop_catch(). The row's memory is never freed. */
void measure(const struct plan *p, struct row *row, measure_progress *progress);

/* --- results --- */

double repetition_seconds(const struct repetition *r);
/* Of the seconds of a repetition. */
struct spread row_seconds(const struct row *r);
/* Bytes per second, one way. */
struct spread row_rate(const struct row *r);
/* Microseconds there and back. */
struct spread row_trip(const struct row *r);
/* Of both sides, for each message: microseconds of CPU, and switches to another process. */
double row_cpu(const struct row *r);
double row_switches(const struct row *r);
/* What counts for the rank, more is better. */
struct spread row_merit(const struct row *r);
/* The rank of each among those of the same size and place. */
void rank_rows(struct row *rows, size_t n);
bool same_group(const struct row *a, const struct row *b);

/* What stands above the figures. */
struct machine {
	char kernel[200], cpu[128], date[32];
	int cpus;
};
void machine_look(struct machine *m);

/* A limit that the figures depend on. */
struct limit {
	const char *name, *file;
};
extern const struct limit machine_limits[];

/* The ways to show them. */
void put_heading(const struct machine *m);
/* ROWS of one size and place. */
void put_group(const struct row *rows, size_t n);
void put_csv(const struct row *rows, size_t n);
void put_json(const struct machine *m, const struct row *rows, size_t n);
/* 0 or -errno. */
int write_svg(FILE *f, const struct machine *m, const struct row *rows, size_t n);

#endif
