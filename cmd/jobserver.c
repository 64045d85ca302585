/* SPDX-License-Identifier: MIT */
/*
 * Make's jobserver. Make starts a job with one slot, and the job may be a shell that starts several of us:
 * they share it. So which process has make started? The furthest ancestor, or we, that was started with
 * our MAKEFLAGS and MAKELEVEL: make itself was started with others, or none. Should it be somebody's further up,
 * as under a ninja that was started by make, several jobs pass for one; they use fewer slots then, never more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobserver.h"
#include "makeflags.h"

static const char *flags(void)
{
	return secure_getenv("MAKEFLAGS");
}

bool jobserver_is_named(void)
{
	const char *s = flags();
	return s && strstr(s, "--jobserver-");
}

static bool same(const char *entry, const char *name)
{
	size_t len = strlen(name);
	const char *ours = secure_getenv(name);
	return ours && !strncmp(entry, name, len) && entry[len] == '=' &&
	       !strcmp(entry + len + 1, ours);
}

/* Was it started with our MAKEFLAGS, on our level? */
static bool is_of_our_job(int pid)
{
	char path[32];
	char *entry = NULL;
	size_t size = 0;
	bool flags_too = false;
	bool level = false;
	bool any_level = secure_getenv("MAKELEVEL");
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	while (getdelim(&entry, &size, '\0', f) > 0) {
		flags_too = flags_too || same(entry, "MAKEFLAGS");
		level = level ||
			(any_level ? same(entry, "MAKELEVEL") : !strncmp(entry, "MAKELEVEL=", 10));
	}
	free(entry);
	fclose(f);
	return flags_too && level == any_level;
}

static int parent_of(int pid)
{
	char path[32];
	char line[512];
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name, which may hold anything, is in the last parentheses. */
	char *tail = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (!tail || sscanf(tail, ") %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

static int first_of_job(void)
{
	int pid = getpid();
	for (int up = getppid(); up > 1 && is_of_our_job(up); up = parent_of(up))
		pid = up;
	return pid;
}

const char *jobserver_find(struct sync_sem_opts *opts)
{
	struct makeflags *m = malloc(sizeof(*m)); /* its text is kept */
	if (!m)
		return "no memory";
	makeflags_parse(flags(), m);
	if (m->dry_run)
		return "";
	switch (m->server) {
	case MAKEFLAGS_NONE:
		return flags() ? "make runs one job at a time (no -j)" : "MAKEFLAGS is not set";
	case MAKEFLAGS_DISABLED:
		return "make keeps it from this line: put a + in front of it";
	case MAKEFLAGS_UNKNOWN:
		return "MAKEFLAGS has one of a kind that is not known here";
	case MAKEFLAGS_NAMED:
		break;
	}
	opts->server = m->auth;
	opts->capacity = m->jobs;
	opts->slot = (unsigned)first_of_job();
	return NULL;
}

/* Said, not just left out: so the manual of make has it. */
bool jobserver_hide(void)
{
	char *without = makeflags_with(flags(), "--jobserver-auth=-2,-2");
	return without && !setenv("MAKEFLAGS", without, 1);
}
