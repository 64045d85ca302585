/* SPDX-License-Identifier: MIT */
/* Percentiles of a histogram. */
#include "histogram.h"

/* The bucket's first value, and how many it stands for. */
static double middle(unsigned bucket)
{
	if (bucket < 2 * HISTOGRAM_FINE)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_FINE - 1;
	double first = (double)((uint64_t)(bucket % HISTOGRAM_FINE + HISTOGRAM_FINE) << shift);
	return first + (double)((UINT64_C(1) << shift) - 1) / 2;
}

double histogram_at(const struct histogram *h, double share)
{
	double wanted = share * (double)h->total;
	uint64_t below = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		below += h->count[i];
		if (below && (double)below >= wanted)
			return middle(i);
	}
	return 0;
}
