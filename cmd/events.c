/* SPDX-License-Identifier: MIT */
/* One line of JSON for each thing that happens, for whoever watches. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "exitcode.h"
#include "parse.h"
#include "say.h"

static int to = -1;
static bool told; /* that a line got lost */

void events_open(const char *where)
{
	uint64_t n;
	if (parse_count(where, INT32_MAX, &n)) {
		to = (int)n;
		if (fcntl(to, F_GETFD) < 0)
			die(EXIT_NO_OBJECT, "descriptor %d for events is not open", to);
		if (to > 2)
			fcntl(to, F_SETFD, FD_CLOEXEC); /* not COMMAND's */
		return;
	}
	/* A FIFO that nobody reads shall not keep us waiting. */
	to = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	if (to < 0 && errno == ENXIO)
		die(EXIT_NO_OBJECT, "nobody reads the FIFO %s for events", quote(where));
	if (to < 0)
		die(exit_status_of(-errno), "cannot write events to %s: %s", quote(where),
		    strerror(errno));
}

/*
 * The work goes on, whatever becomes of the line: a reader who has gone does no harm (SIGPIPE is not for us
 * while we have something in hand), and one who is stuck does not hold us up.
 */
static void put(const char *line, size_t n)
{
	struct pollfd room = {.fd = to, .events = POLLOUT};
	const char *why = "its reader is too slow";
	int ready = poll(&room, 1, 0);
	if (ready < 0)
		why = strerror(errno);
	if (ready == 1) {
		ssize_t r = write(to, line, n);
		if (r == (ssize_t)n)
			return;
		if (r >= 0 || errno != EAGAIN)
			why = r < 0 ? strerror(errno) : "no room for all of it";
	}
	if (!told)
		warn("an event got lost: %s", why);
	told = true;
}

void event(const char *name, const char *format, ...)
{
	char line[4096];
	struct timespec now;
	va_list args;
	if (to < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	size_t n = (size_t)snprintf(line, sizeof(line), "{\"event\":\"%s\",\"time\":%lld.%03ld,",
				    name, (long long)now.tv_sec, now.tv_nsec / 1000000);
	va_start(args, format);
	n += (size_t)vsnprintf(line + n, sizeof(line) - n - 2, format, args);
	va_end(args);
	if (n > sizeof(line) - 3)
		return; /* half a line would be worse */
	line[n++] = '}';
	line[n++] = '\n';
	put(line, n);
}
