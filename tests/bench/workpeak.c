/* SPDX-License-Identifier: MIT */
/*
 * A job for mqpipe work that does nothing, but for those with the numbers LOOK (its arguments), which append
 * "NUMBER KIB" to the file "peaks": the most memory that the worker, who has started it, ever had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char number[32] = "";
	char line[256];
	unsigned long peak;
	if (read(0, number, sizeof(number) - 1) <= 0)
		return 1;
	while (--argc && strcmp(argv[argc], number) != 0)
		;
	if (!argc)
		return 0;
	snprintf(line, sizeof(line), "/proc/%d/status", (int)getppid());
	FILE *status = fopen(line, "r");
	FILE *peaks = fopen("peaks", "a");
	while (status && peaks && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %lu", &peak) == 1)
			fprintf(peaks, "%s %lu\n", number, peak);
	return !peaks || fclose(peaks);
}
