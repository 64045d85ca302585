/* SPDX-License-Identifier: MIT */
/* --metrics: a file in Prometheus' text format. */
#ifndef CMD_METRICS_H
#define CMD_METRICS_H

#include <stddef.h>

struct metric {
	const char *name, *type, *help; /* type: "counter", "gauge" */
	double value;
};

/* Replace FILE in one step. Each value bears LABEL="VALUE". 0 or -errno. */
int metrics_write(const char *file, const char *label, const char *value, const struct metric *list,
		  size_t n);

#endif
