/* SPDX-License-Identifier: MIT */
/* The only code that writes to stderr. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json.h"
#include "say.h"
#include "stop.h"

static const char *speaker = "syncbox";

void say_as(const char *applet)
{
	speaker = applet;
}

/*
 * One write(2): lines of several processes do not mix. Nobody is left to tell if it fails. What
 * lies between BEFORE and AFTER is cut to WIDTH.
 */
static void put(const char *before, const char *after, size_t width, const char *format,
		va_list args)
{
	char line[2048];
	size_t room = sizeof(line) - strlen(after);
	if (width < room - strlen(before))
		room = strlen(before) + width + 1;
	size_t n = (size_t)snprintf(line, room, "%s%s: ", before, speaker);
	n += (size_t)vsnprintf(line + n, room - n, format, args);
	if (n >= room)
		n = room - 1;
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", after);
	ssize_t ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
}

void die(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	put("", "\n", SIZE_MAX, format, args);
	va_end(args);
	exit(status);
}

void warn(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	put("", "\n", SIZE_MAX, format, args);
	va_end(args);
}

void say_bytes(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);
		if (n < 0 && (errno != EINTR || stop_urgent()))
			return;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

void unwritable(void)
{
	static bool said;
	if (!said)
		warn("cannot write to standard output: %s", strerror(errno));
	said = true;
}

#define WIPE_LINE "\r\033[K"

/* A line that wraps could not be wiped off again. */
static size_t terminal_width(void)
{
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return 79;
	return size.ws_col;
}

/*
 * Who waits has the lock, or the time is over: a terminal that is stopped (Ctrl-S) shall not keep it from going on,
 * as it would who writes to it, or waits for the thread that does.
 */
static bool terminal_takes_it(void)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&room, 1, 0) == 1;
}

void say_status(const char *format, ...)
{
	va_list args;
	if (!terminal_takes_it())
		return;
	va_start(args, format);
	put(WIPE_LINE, "", terminal_width(), format, args);
	va_end(args);
}

void say_wipe_status(void)
{
	if (terminal_takes_it() && write(STDERR_FILENO, WIPE_LINE, strlen(WIPE_LINE)) < 0)
		return; /* nobody looks at it any more */
}

bool say_on_terminal(void)
{
	return isatty(STDERR_FILENO);
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c <= '~';
}

/* Append the escaped form of C at *at; false if there is no room for it. */
static bool put_escaped(char *buf, size_t size, size_t *at, unsigned char c)
{
	static const char *const special = "\a\b\t\n\v\f\r\033\\";
	static const char *const letter = "abtnvfre\\";
	char one[8];
	const char *p = c ? strchr(special, c) : NULL;
	if (p)
		snprintf(one, sizeof(one), "\\%c", letter[p - special]);
	else if (is_plain(c))
		snprintf(one, sizeof(one), "%c", c);
	else
		snprintf(one, sizeof(one), "\\x%02x", c);
	size_t n = strlen(one);
	if (*at + n >= size)
		return false;
	memcpy(buf + *at, one, n + 1);
	*at += n;
	return true;
}

const char *escape(char *buf, size_t size, const char *s)
{
	size_t at = 0;
	buf[0] = '\0';
	while (*s && put_escaped(buf, size, &at, (unsigned char)*s))
		s++;
	return buf;
}

const char *tame(const char *s)
{
	bool harmless = true;
	for (const char *p = s; *p; p++)
		harmless = harmless && (unsigned char)*p >= ' ' && *p != 0x7f;
	size_t size = 4 * strlen(s) + 1;
	char *out = harmless ? NULL : malloc(size);
	return out ? escape(out, size, s) : harmless ? s : "?";
}

const char *quote(const char *s)
{
	bool plain = true;
	for (const char *p = s; *p; p++)
		plain = plain && is_plain((unsigned char)*p) && *p != '\'';
	size_t size = 4 * strlen(s) + 4;
	char *out = malloc(size);
	if (!out)
		return "?";
	if (plain) {
		snprintf(out, size, "'%s'", s);
		return out;
	}
	size_t at = 2;
	memcpy(out, "$'", 3);
	for (; *s; s++) {
		if (*s == '\'')
			out[at++] = '\\', out[at++] = '\'', out[at] = '\0';
		else
			put_escaped(out, size - 1, &at, (unsigned char)*s);
	}
	memcpy(out + at, "'", 2);
	return out;
}

/* ---- messages of the libc ---- */

/*
 * Messages on wrong words are argp's and getopt's, who print the words as they are, or one byte of them. So if there
 * are bytes among them that could be more than a letter, these messages are kept until we end, and then have question
 * marks for those that a terminal could obey.
 */
static char *kept;
static size_t kept_size;

/* The length of a character that is visible, or a newline; 0 if there is none. */
static size_t harmless(const unsigned char *s, size_t n)
{
	if (*s < 0x80)
		return *s == '\n' || *s == '\t' || (*s >= ' ' && *s != 0x7f);
	bool control = n > 1 && s[0] == 0xc2 && s[1] < 0xa0;
	return control ? 0 : (size_t)json_utf8_length(s, n);
}

void say_keep_odd(int argc, char **argv)
{
	size_t sum = 0;
	bool plain = true;
	for (int i = 0; i < argc; i++) {
		const char *s = argv[i];
		for (; *s; s++)
			plain = plain && (signed char)*s >= ' ' && *s != 0x7f;
		sum += (size_t)(s - argv[i]) + 1;
	}
	if (plain)
		return;
	kept_size = 2 * sum + 4096;
	kept = calloc(1, kept_size);
	if (kept && setvbuf(stderr, kept, _IOFBF, kept_size)) {
		free(kept);
		kept = NULL;
	}
}

/* In the buffer as a whole: where in it the text lies is the libc's affair; elsewhere there are zeros. */
void say_tame_kept(void)
{
	size_t n;
	for (size_t i = 0; kept && i < kept_size; i += n ? n : 1) {
		unsigned char *s = (unsigned char *)kept + i;
		n = *s ? harmless(s, kept_size - i) : 1;
		if (!n)
			*s = '?';
	}
}
