/* SPDX-License-Identifier: MIT */
/* A message as a job: its input, arguments, environment, and the start of its process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "exitcode.h"
#include "job.h"
#include "say.h"

static const char placeholder[] = "{}";

/* ---- arguments ---- */

static size_t count_words(char *const *words)
{
	size_t n = 0;
	while (words[n])
		n++;
	return n;
}

static bool takes_argument(char *const *words)
{
	for (; *words; words++)
		if (strstr(*words, placeholder))
			return true;
	return false;
}

/* WORD with the message in place of each {}. */
static char *fill_in(const char *word, const struct message *m)
{
	size_t size = strlen(word) + 1;
	for (const char *p = word; (p = strstr(p, placeholder)); p += 2)
		size += m->len;
	char *out = malloc(size);
	char *to = out;
	while (out && *word) {
		if (strncmp(word, placeholder, 2) != 0) {
			*to++ = *word++;
			continue;
		}
		memcpy(to, m->data, m->len);
		to += m->len;
		word += 2;
	}
	if (out)
		*to = '\0';
	return out;
}

static void free_words(char **words, char *const *from)
{
	for (size_t i = 0; words && words[i]; i++)
		if (words[i] != from[i])
			free(words[i]);
	free(words);
}

/* The kernel's bound for one word; with one that is longer no command can be run. */
static bool are_too_long(char *const *words)
{
	size_t most = 32 * (size_t)sysconf(_SC_PAGESIZE);
	for (; words && *words; words++)
		if (strlen(*words) >= most)
			return true;
	return false;
}

static char **fill_in_all(char *const *words, const struct message *m)
{
	size_t n = count_words(words);
	char **out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; i < n && out; i++) {
		out[i] = strstr(words[i], placeholder) ? fill_in(words[i], m) : words[i];
		if (!out[i]) {
			free_words(out, words);
			return NULL;
		}
	}
	return out;
}

/* ---- environment ---- */

extern char **environ;

enum { OWN = 4 };

/* Ours, with what concerns this job; valid until the next call. */
static char *const *environment(const struct job *j)
{
	static char **all;
	static char(*text)[320];
	static size_t others;
	if (!all) {
		size_t n = count_words(environ);
		text = calloc(OWN, sizeof(*text));
		if (text)
			all = calloc(n + OWN + 1, sizeof(*all));
		if (!all)
			return environ;
		for (size_t i = 0; i < n; i++)
			if (strncmp(environ[i], "MQPIPE_", 7) != 0)
				all[others++] = environ[i];
		for (size_t i = 0; i < OWN; i++)
			all[others + i] = text[i];
	}
	snprintf(text[0], sizeof(text[0]), "MQPIPE_PRIO=%ld", j->m.number);
	snprintf(text[1], sizeof(text[1]), "MQPIPE_ATTEMPT=%u", j->attempt);
	snprintf(text[2], sizeof(text[2]), "MQPIPE_QUEUE=%s", sync_queue_name(j->from));
	snprintf(text[3], sizeof(text[3]), "MQPIPE_SLOT=%u", j->place + 1);
	return all;
}

/* ---- start ---- */

/* A file, not a pipe: it holds a message of any length before anybody reads. */
static int open_input(const struct message *m)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < m->len;) {
		ssize_t n = write(fd, m->data + done, m->len - done);
		if (n < 0 && errno != EINTR) {
			int r = -errno;
			close(fd);
			return r;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int start(struct job *j, char *const *words, int in, bool grouped, bool mortal)
{
	int status = 0;
	int streams[2] = {-1, -1};
	int r = grouped ? output_begin(&j->output, streams) : 0;
	if (r)
		return r;
	const struct child_plan plan = {.argv = words};
	const struct child_io io = {
		.in = in,
		.out = streams[0],
		.err = streams[1],
		.env = environment(j),
		.mortal = mortal,
	};
	r = child_start(&plan, &io, &status);
	for (size_t i = 0; grouped && i < 2; i++)
		close(streams[i]);
	if (r <= 0)
		return r ? r : status;
	j->pid = r;
	j->state = JOB_RUNNING;
	j->ending = JOB_LIVE;
	clock_gettime(CLOCK_MONOTONIC, &j->begun);
	return 0;
}

int job_start(struct job *j, char *const *words, bool grouped, bool mortal)
{
	const struct message nothing = {0};
	bool by_argument = takes_argument(words);
	if (by_argument && memchr(j->m.data, '\0', j->m.len))
		return -EBADMSG;
	char **filled = by_argument ? fill_in_all(words, &j->m) : NULL;
	int in = open_input(by_argument ? &nothing : &j->m);
	int r = in < 0 ? in : by_argument && !filled ? -ENOMEM : 0;
	if (!r && are_too_long(filled))
		r = -E2BIG;
	if (!r)
		r = start(j, by_argument ? filled : words, in, grouped, mortal);
	if (in >= 0)
		close(in);
	free_words(filled, words);
	return r;
}

void job_tag(struct job *j)
{
	char line[64] = "";
	const char *newline = memchr(j->m.data, '\n', j->m.len);
	size_t n = newline ? (size_t)(newline - j->m.data) : j->m.len;
	n = n < sizeof(line) ? n : sizeof(line) - 1;
	memcpy(line, j->m.data, n);
	escape(j->tag, sizeof(j->tag) - 1, line);
	size_t len = strlen(j->tag);
	j->tag[len] = '\t';
	j->tag[len + 1] = '\0';
}
