/* SPDX-License-Identifier: MIT */
/* How often something took how long, in a fixed room, to within one part in 128. */
#ifndef CMD_IPCBENCH_HISTOGRAM_H
#define CMD_IPCBENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_FINE = 64, HISTOGRAM_BUCKETS = 59 * HISTOGRAM_FINE };

struct histogram {
	uint64_t total;
	uint64_t count[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t n)
{
	if (n < HISTOGRAM_FINE)
		return (unsigned)n;
	unsigned shift =
		57 - (unsigned)__builtin_clzll(n); /* leaves 7 bits, the first of which is 1 */
	return shift * HISTOGRAM_FINE + (unsigned)(n >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t n)
{
	h->total++;
	h->count[histogram_bucket(n)]++;
}

/* What SHARE, 0 to 1, of all do not exceed: the middle of a bucket. */
double histogram_at(const struct histogram *h, double share);

#endif
