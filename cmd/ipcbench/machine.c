/* SPDX-License-Identifier: MIT */
/* Which machine, kernel and limits the figures are of. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench.h"

const struct limit machine_limits[] = {
	{"pipe-max-size", "/proc/sys/fs/pipe-max-size"},
	{"mqueue/msg_max", "/proc/sys/fs/mqueue/msg_max"},
	{"mqueue/msgsize_max", "/proc/sys/fs/mqueue/msgsize_max"},
	{"msgmax", "/proc/sys/kernel/msgmax"},
	{"msgmnb", "/proc/sys/kernel/msgmnb"},
	{"wmem_default", "/proc/sys/net/core/wmem_default"},
	{"rmem_default", "/proc/sys/net/core/rmem_default"},
	{"max_dgram_qlen", "/proc/sys/net/unix/max_dgram_qlen"},
	{NULL, NULL},
};

static void look_at_cpu(char *name, size_t size)
{
	char line[256];
	snprintf(name, size, "unknown CPU");
	FILE *f = fopen("/proc/cpuinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *value = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
		break;
	}
	if (f)
		fclose(f);
}

void machine_look(struct machine *m)
{
	struct utsname u;
	cpu_set_t allowed;
	time_t t = time(NULL);
	struct tm tm;
	if (!uname(&u))
		snprintf(m->kernel, sizeof(m->kernel), "%.60s %.70s %.60s", u.sysname, u.release,
			 u.machine);
	look_at_cpu(m->cpu, sizeof(m->cpu));
	m->cpus = sched_getaffinity(0, sizeof(allowed), &allowed) ? 0 : CPU_COUNT(&allowed);
	if (gmtime_r(&t, &tm))
		strftime(m->date, sizeof(m->date), "%Y-%m-%d", &tm);
}
