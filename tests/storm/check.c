/* SPDX-License-Identifier: MIT */
/* Reads the storm's log when all is over, and trusts nothing that was said during the storm. */
#include <stdio.h>
#include <stdlib.h>

#include "storm.h"

#define EXIT_BUSY 75

struct run {
	uint64_t begin, end; /* 0: not logged */
	unsigned begins;
	char mode;
};

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);
	if (!p) {
		perror("lock-storm: check");
		exit(71);
	}
	return p;
}

static void read_log(struct run *runs, uint32_t actors, struct verdict *v)
{
	struct record r;
	FILE *f = fopen(LOG_FILE, "re");
	if (!f) {
		perror("lock-storm: " LOG_FILE);
		exit(71);
	}
	while (fread(&r, sizeof(r), 1, f) == 1) {
		v->takeovers += r.kind == RECORD_TAKEOVER;
		v->violations += r.kind == RECORD_VIOLATION;
		if (r.seq >= actors)
			continue;
		struct run *run = &runs[r.seq];
		run->mode = r.mode;
		if (r.kind == RECORD_BEGIN) {
			run->begin = r.ns;
			run->begins++;
		} else if (r.kind == RECORD_END) {
			run->end = r.ns;
		}
	}
	fclose(f);
}

static int by_begin(const void *va, const void *vb)
{
	const struct run *a = va;
	const struct run *b = vb;
	return (a->begin > b->begin) - (a->begin < b->begin);
}

/* A job that was killed has no end, and its time in the section is not known: left out. */
static unsigned long overlaps(struct run *runs, size_t n)
{
	unsigned long found = 0;
	uint64_t last_end = 0;
	uint64_t last_exclusive_end = 0;
	qsort(runs, n, sizeof(*runs), by_begin);
	for (size_t i = 0; i < n; i++) {
		const struct run *r = &runs[i];
		if (r->begins != 1 || !r->end)
			continue;
		if (r->begin < (r->mode == 'x' ? last_end : last_exclusive_end))
			found++;
		if (r->end > last_end)
			last_end = r->end;
		if (r->mode == 'x' && r->end > last_exclusive_end)
			last_exclusive_end = r->end;
	}
	return found;
}

struct verdict check_log(const int *outcome, uint32_t actors)
{
	struct verdict v = {0};
	struct run *runs = allocate(actors, sizeof(*runs));
	read_log(runs, actors, &v);
	for (uint32_t i = 0; i < actors; i++) {
		v.begun += runs[i].begins != 0;
		v.ended += runs[i].end != 0;
		v.twice += runs[i].begins > 1;
		v.not_run += outcome[i] == 0 && !runs[i].end;
		v.run_anyway += outcome[i] == EXIT_BUSY && runs[i].begins;
	}
	v.overlaps = overlaps(runs, actors);
	free(runs);
	return v;
}
