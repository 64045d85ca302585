/* SPDX-License-Identifier: MIT */
/*
 * A job of the work storm: reads its number from standard input, and writes a line to the file "log" when it
 * begins, and when it has done its work. Usage: work-job
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A SIGKILL can cut a write in two where a page ends: no line goes over that. */
enum { LINE = 64 };

static char number[16];

static const char *get(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "?";
}

static void put(int log, const char *what)
{
	char line[LINE + 1];
	int n = snprintf(line, sizeof(line), "%s %s %s %s %d", what, number, get("MQPIPE_ATTEMPT"),
			 get("STORM_WORKER"), (int)getpid());
	if (n < 0 || n >= LINE)
		_exit(3);
	memset(line + n, ' ', (size_t)(LINE - n));
	line[LINE - 1] = '\n';
	if (write(log, line, LINE) != LINE)
		_exit(3);
}

int main(void)
{
	int log = open("log", O_WRONLY | O_APPEND);
	ssize_t n = read(0, number, sizeof(number) - 1);
	if (log < 0 || n <= 0)
		return 2;
	put(log, "begin");
	/* Up to 4 ms, most of them short: some work. */
	struct timespec t = {0, (long)(getpid() % 16) * (getpid() % 16) * 16000};
	nanosleep(&t, NULL);
	put(log, "end");
	return 0;
}
