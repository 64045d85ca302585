/* SPDX-License-Identifier: MIT */
/* A file in Prometheus' text format, which its readers never see half written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"

static void put_value(FILE *f, const char *s)
{
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else
			putc(*s, f);
}

static void put_all(FILE *f, const char *label, const char *value, const struct metric *list,
		    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct metric *m = &list[i];
		fprintf(f, "# HELP %s %s\n# TYPE %s %s\n%s{%s=\"", m->name, m->help, m->name,
			m->type, m->name, label);
		put_value(f, value);
		fprintf(f, "\"} %.17g\n", m->value);
	}
}

int metrics_write(const char *file, const char *label, const char *value, const struct metric *list,
		  size_t n)
{
	char temporary[4096];
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", file) >= sizeof(temporary))
		return -ENAMETOOLONG;
	int fd = mkstemp(temporary);
	if (fd < 0)
		return -errno;
	FILE *f = fdopen(fd, "w");
	int r = f ? 0 : -errno;
	if (f) {
		put_all(f, label, value, list, n);
		fchmod(fd, 0644); /* the collector is another user */
		r = ferror(f) ? -EIO : 0;
		if (fclose(f) && !r)
			r = -errno;
	} else {
		close(fd);
	}
	if (!r && rename(temporary, file))
		r = -errno;
	if (r)
		unlink(temporary);
	return r;
}
