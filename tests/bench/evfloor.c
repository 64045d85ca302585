/* SPDX-License-Identifier: MIT */
/* The least that evfd can do on an inherited event: evfloor add, or evfloor wait. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *number = getenv("EVFD");
	int fd = number ? atoi(number) : -1;
	uint64_t n = 1;
	if (argc > 1 && argv[1][0] == 'a')
		return write(fd, &n, sizeof(n)) == sizeof(n) ? 0 : 71;
	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return 71;
	printf("%llu\n", (unsigned long long)n);
	return 0;
}
