/* SPDX-License-Identifier: MIT */
/* --metrics: a file in Prometheus' text format. */
#ifndef CMD_METRICS_H
#define CMD_METRICS_H

#include <stddef.h>

struct metric {
	const char *name, *type, *help; /* type: "counter", "gauge" */
	double value;
};

/* Replace FILE in one step. Each value bears LABEL="VALUE". 0 or -errno; -EMEDIUMTYPE: FILE is no regular file. */
int metrics_write(const char *file, const char *label, const char *value, const struct metric *list,
		  size_t n);

/*
 * Add to FILE, which any number of processes may do at once: counters add up, a gauge becomes the larger one,
 * and what is there for other VALUEs stays. Waits its turn, half a minute at most. 0 or -errno; -EUCLEAN: FILE is
 * something else, and was left alone.
 */
int metrics_add(const char *file, const char *label, const char *value, const struct metric *list,
		size_t n);

#endif
