/* SPDX-License-Identifier: MIT */
/*
 * A file in Prometheus' text format, which its readers never see half written.
 *
 * Those who add to one file take turns by a lock on the file itself. As it is replaced each time, the lock
 * counts only while the name still leads to the file that is locked: libsync looks again after locking, and whoever
 * has replaced the file is done with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libsync.h"

#include "json.h"
#include "metrics.h"

#define PATIENCE INT64_C(30000000000)

/* The format is UTF-8; a name of a file may be anything. */
static void put_value(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	const unsigned char *end = s + strlen(text);
	while (s < end) {
		int n = json_utf8_length(s, (size_t)(end - s));
		if (!n)
			fputs("\xef\xbf\xbd", f);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else
			fwrite(s, 1, (size_t)n, f);
		s += n ? n : 1;
	}
}

static void put_head(FILE *f, const struct metric *m)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

/* What stands before the number, without the name. */
static char *label_text(const char *label, const char *value)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	fprintf(f, "{%s=\"", label);
	put_value(f, value);
	fputs("\"} ", f);
	fclose(f);
	return text;
}

static void put_all(FILE *f, const char *key, const struct metric *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put_head(f, &list[i]);
		fprintf(f, "%s%s%.17g\n", list[i].name, key, list[i].value);
	}
}

/* A file by rename would take the place of a device, too, such as /dev/null. */
static bool may_take_its_place(const char *file)
{
	struct stat st;
	return lstat(file, &st) || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode);
}

/* FD is open on TEMPORARY, which F was written to: it takes the place of FILE, or goes. */
static int replace(FILE *f, const char *temporary, const char *file)
{
	fchmod(fileno(f), 0644); /* the collector is another user */
	int r = ferror(f) ? -EIO : 0;
	if (!r && !may_take_its_place(file))
		r = -EMEDIUMTYPE;
	if (fclose(f) && !r)
		r = -errno;
	if (!r && rename(temporary, file))
		r = -errno;
	if (r)
		unlink(temporary);
	return r;
}

/* Freed by the caller. NULL: no memory. */
static char *joined(const char *head, const char *tail)
{
	char *name;
	return asprintf(&name, "%s%s", head, tail) < 0 ? NULL : name;
}

int metrics_write(const char *file, const char *label, const char *value, const struct metric *list,
		  size_t n)
{
	char *key = label_text(label, value);
	char *temporary = joined(file, ".XXXXXX");
	int fd = key && temporary ? mkstemp(temporary) : -1;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int r = f ? 0 : -errno;
	if (f) {
		put_all(f, key, list, n);
		r = replace(f, temporary, file);
	} else if (fd >= 0) {
		close(fd);
		unlink(temporary);
	}
	free(temporary);
	free(key);
	return r;
}

/* ---- adding ---- */

/* The text of FILE, which may be empty. */
static char *read_all(const char *file)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = fopen(file, "re");
	if (!f)
		return NULL;
	ssize_t n = getdelim(&text, &size, '\0', f);
	bool failed = ferror(f);
	fclose(f);
	if (n < 0 && !failed) {
		free(text);
		return strdup("");
	}
	return text;
}

static const char *next_line(const char *s)
{
	const char *end = strchr(s, '\n');
	return end ? end + 1 : s + strlen(s);
}

static bool begins(const char *line, const char *a, const char *b)
{
	size_t n = strlen(a);
	return !strncmp(line, a, n) && !strncmp(line + n, b, strlen(b));
}

/* One family: what others have in it stays, ours is added to. */
static void put_sum(FILE *f, const char *old, const char *key, const struct metric *m)
{
	double sum = m->value;
	put_head(f, m);
	for (const char *line = old; *line; line = next_line(line)) {
		double had;
		if (!begins(line, m->name, "{"))
			continue;
		/* The last line need not end, if somebody has edited the file. */
		if (!begins(line, m->name, key))
			fprintf(f, "%.*s\n", (int)strcspn(line, "\n"), line);
		else if (sscanf(line + strlen(m->name) + strlen(key), "%lf", &had) == 1 && had > 0)
			sum = m->type[0] == 'c' ? sum + had : had > sum ? had : sum;
	}
	fprintf(f, "%s%s%.17g\n", m->name, key, sum);
}

/* Under the lock there is one writer: what another who was killed has left under that name is rubbish. */
static FILE *make_new(const char *path)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (fd >= 0 && !f) {
		int saved = errno;
		close(fd);
		unlink(path);
		errno = saved;
	}
	return f;
}

static int add_locked(const char *file, const char *temporary, const char *key,
		      const struct metric *list, size_t n)
{
	char *old = read_all(file);
	if (!old)
		return -errno;
	char head[128];
	snprintf(head, sizeof(head), "# HELP %s ", list[0].name);
	FILE *f = NULL;
	int r = *old && !begins(old, head, "") ? -EUCLEAN : 0;
	if (!r) {
		f = make_new(temporary);
		r = f ? 0 : -errno;
	}
	if (f) {
		for (size_t i = 0; i < n; i++)
			put_sum(f, old, key, &list[i]);
		r = replace(f, temporary, file);
	}
	free(old);
	return r;
}

int metrics_add(const char *file, const char *label, const char *value, const struct metric *list,
		size_t n)
{
	char *name = joined("flock:", file);
	char *temporary = joined(file, ".new");
	char *key = label_text(label, value);
	struct sync_lock *lock = NULL;
	struct timespec deadline;
	const struct sync_lock_opts opts = {.mode = 0644};
	sync_deadline_in(PATIENCE, &deadline);
	int r = name && temporary && key ? sync_lock_open(name, &opts, &deadline, &lock) : -ENOMEM;
	if (!r)
		do
			r = sync_lock_acquire(lock, SYNC_EXCLUSIVE, &deadline);
		while (r == -EINTR);
	if (!r)
		r = add_locked(file, temporary, key, list, n);
	sync_lock_close(lock);
	free(key);
	free(temporary);
	free(name);
	return r;
}
