/* SPDX-License-Identifier: MIT */
/* Where the two sides run: on one CPU, on two that are no halves of one core, or where the kernel likes. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "place.h"
#include "transport.h"

static int cpu[2] = {-1, -1};

const char *place_name(enum place p)
{
	static const char *const names[] = {"same", "cross", "none"};
	return names[p];
}

/* The number of the core that a CPU is a thread of; 0 where nothing is told. */
static uint64_t core_of(int n, const char *what)
{
	char path[96];
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", n, what);
	return kernel_limit(path);
}

static bool same_core(int a, int b)
{
	return core_of(a, "core_id") == core_of(b, "core_id") &&
	       core_of(a, "physical_package_id") == core_of(b, "physical_package_id") &&
	       core_of(a, "die_id") == core_of(b, "die_id");
}

void place_init(void)
{
	cpu_set_t allowed;
	int second = -1; /* better than none */
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (int i = 0; i < CPU_SETSIZE && cpu[1] < 0; i++) {
		if (!CPU_ISSET(i, &allowed))
			continue;
		if (cpu[0] < 0)
			cpu[0] = i;
		else if (!same_core(cpu[0], i))
			cpu[1] = i;
		else if (second < 0)
			second = i;
	}
	if (cpu[1] < 0)
		cpu[1] = second;
}

bool place_possible(enum place p)
{
	return p == PLACE_NONE || cpu[p == PLACE_CROSS] >= 0;
}

int place_cpu(enum place p, int side)
{
	return p == PLACE_NONE ? -1 : cpu[p == PLACE_CROSS && side];
}

int place_pin(enum place p, int side)
{
	cpu_set_t one;
	int n = place_cpu(p, side);
	if (n < 0)
		return 0;
	CPU_ZERO(&one);
	CPU_SET(n, &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}
