/* SPDX-License-Identifier: MIT */
/*
 * Judges what the message storm has left: each message that was sent was written once, whole, and in order.
 *
 * Usage: mq-check lines|lengths plain|journal SEED good|bad, in the storm's directory. Prints
 *	taken		different messages that were written
 *	lost		sent, but nowhere. Of a killed sender nobody knows how far it came: what is behind its last
 *			message that was written counts as not sent.
 *	cut		a part of a message is the last that a killed receiver wrote
 *	duplicates	written once more, and nobody said so
 *	repeated	written once more, as the receiver said
 *	recovered	written by another than its receiver only, which was killed when it was to write it
 *	saved		and of those killed when they were about to receive
 *	damaged		not the bytes that were sent
 *	disorder	behind a later one of its sender and priority
 *	alien		no such message was sent
 *	wolf		more said to be perhaps written before than receivers were killed
 * Without a journal each killed receiver may lose one; with it nothing is lost.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mq.h"

/* A receiver begins with what others that were killed have left in the journal: no more than so many. */
#define ORPHANS_MOST 8

struct stream {
	uint32_t quota;
	bool known, killed;
	uint8_t *plain, *said;         /* copies of each message: just written; announced */
	uint32_t last[PRIORITIES + 1]; /* in the file that is read: highest SEQ + 1 */
	unsigned file;                 /* the last is of this one */
};

static struct stream *streams;
static uint32_t stream_room;
static uint64_t seed;
static bool lines, journal;
static unsigned long taken, lost, cut, duplicates, repeated, recovered, saved, damaged, disorder,
	alien;
static unsigned long announced, saved, receiver_kills;

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- what senders sent ---- */

static struct stream *stream_at(uint32_t n)
{
	if (n >= 1 << 24)
		return NULL;
	if (n >= stream_room) {
		uint32_t room = (n + 1) * 2;
		streams = realloc(streams, room * sizeof(*streams));
		if (!streams)
			fail("memory");
		memset(streams + stream_room, 0, (room - stream_room) * sizeof(*streams));
		stream_room = room;
	}
	return &streams[n];
}

static void add_sender(const char *line)
{
	unsigned n;
	unsigned quota;
	char how[16];
	if (sscanf(line, "sender %u %u %15s", &n, &quota, how) != 3)
		return;
	struct stream *s = stream_at(n);
	if (!s)
		return;
	s->known = true;
	s->quota = quota;
	s->killed = !strcmp(how, "killed");
	s->plain = calloc(quota, 1);
	s->said = calloc(quota, 1);
	if (!s->plain || !s->said)
		fail("memory");
}

/* ---- what a receiver wrote ---- */

static unsigned long announcements[4096];
static size_t announcement_count;
static unsigned complaints;

/* "...: message N may have been written before: ...", "... was saved from a receiver killed ..." */
static void read_announcements(unsigned file)
{
	char path[64];
	char line[1024];
	snprintf(path, sizeof(path), ERR_DIR "/%u", file);
	announcement_count = 0;
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *p = strstr(line, "message ");
		char *end = NULL;
		unsigned long n = p ? strtoul(p + 8, &end, 10) : 0;
		if (strstr(line, " was saved from a receiver killed ")) {
			saved++;
			continue;
		}
		if (!n || strncmp(end, " may have been written before", 29) != 0) {
			if (complaints++ < 10)
				fprintf(stderr, "receiver %u: %s", file, line);
			continue;
		}
		announced++;
		if (announcement_count < sizeof(announcements) / sizeof(announcements[0]))
			announcements[announcement_count++] = n;
	}
	if (f)
		fclose(f);
}

static bool was_announced(unsigned long n)
{
	for (size_t i = 0; i < announcement_count; i++)
		if (announcements[i] == n)
			return true;
	return false;
}

static void take(const char *data, size_t len, unsigned file, unsigned long place)
{
	char text[TEXT_MOST];
	char right[TEXT_MOST];
	unsigned n;
	unsigned seq;
	if (len >= sizeof(text)) {
		damaged++;
		return;
	}
	memcpy(text, data, len);
	text[len] = '\0';
	if (sscanf(text, "%u %u ", &n, &seq) != 2) {
		damaged++;
		return;
	}
	struct stream *s = n < stream_room ? &streams[n] : NULL;
	if (!s || !s->known || seq >= s->quota) {
		alien++;
		return;
	}
	if ((size_t)mq_text(seed, n, seq, right) != len || memcmp(text, right, len) != 0) {
		damaged++;
		return;
	}
	bool said = was_announced(place);
	uint8_t *copies = said ? &s->said[seq] : &s->plain[seq];
	*copies += *copies < UINT8_MAX;
	/* Orphans have had their places in the orders of others. */
	if (said || (journal && place <= ORPHANS_MOST))
		return;
	if (s->file != file + 1) {
		memset(s->last, 0, sizeof(s->last));
		s->file = file + 1;
	}
	uint32_t *last = &s->last[mq_priority(seed, n, seq)];
	if (seq < *last)
		disorder += seq + 1 != *last; /* the same once more is a duplicate */
	else
		*last = seq + 1;
}

/* How long the message at P is, and where it begins: 0 it is cut off; -1 damaged. */
static int next(const char *p, size_t left, size_t *at, size_t *len, size_t *used)
{
	if (lines) {
		const char *newline = memchr(p, '\n', left);
		*at = 0;
		*len = newline ? (size_t)(newline - p) : 0;
		*used = *len + 1;
		return newline != NULL;
	}
	size_t digits = 0;
	*len = 0;
	while (digits < left && p[digits] >= '0' && p[digits] <= '9' && digits < 6)
		*len = *len * 10 + (size_t)(p[digits++] - '0');
	if (digits == left)
		return 0;
	*at = digits + 1;
	*used = *at + *len + 1;
	if (!digits || p[digits] != ':')
		return -1;
	return *used > left ? 0 : p[*used - 1] == ',' ? 1 : -1;
}

static void read_output(unsigned file, bool killed)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), OUT_DIR "/%u", file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		fail(path);
	read_announcements(file);
	size_t left = (size_t)st.st_size;
	const char *p = left ? mmap(NULL, left, PROT_READ, MAP_PRIVATE, fd, 0) : "";
	if (p == MAP_FAILED)
		fail(path);
	const char *map = p;
	unsigned long place = 0;
	while (left) {
		size_t at;
		size_t len;
		size_t used;
		int r = next(p, left, &at, &len, &used);
		if (r != 1) {
			cut += !r && killed;
			damaged += r < 0 || !killed;
			break;
		}
		take(p + at, len, file, ++place);
		p += used;
		left -= used;
	}
	if (st.st_size)
		munmap((void *)map, (size_t)st.st_size);
	close(fd);
}

/* ---- */

static void judge(const struct stream *s)
{
	uint32_t end = s->known ? s->quota : 0;
	if (s->killed)
		while (end && !s->plain[end - 1] && !s->said[end - 1])
			end--;
	for (uint32_t i = 0; i < end; i++) {
		unsigned plain = s->plain[i];
		unsigned said = s->said[i];
		lost += !plain && !said;
		taken += plain || said;
		duplicates += plain > 1 ? plain - 1 : 0;
		recovered += !plain && said;
		repeated += plain ? said : said > 1 ? said - 1 : 0;
	}
}

int main(int argc, char **argv)
{
	char line[256];
	unsigned n;
	char how[16];
	if (argc != 5)
		return 64;
	lines = !strcmp(argv[1], "lines");
	journal = !strcmp(argv[2], "journal");
	seed = strtoull(argv[3], NULL, 10);
	FILE *f = fopen(MANIFEST_FILE, "re");
	if (!f)
		fail(MANIFEST_FILE);
	while (fgets(line, sizeof(line), f))
		add_sender(line);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "receiver %u %15s", &n, how) != 2)
			continue;
		receiver_kills += !strcmp(how, "killed");
		read_output(n, !strcmp(how, "killed"));
	}
	fclose(f);
	for (uint32_t i = 0; i < stream_room; i++)
		judge(&streams[i]);
	unsigned long wolf = announced > receiver_kills ? announced - receiver_kills : 0;
	printf("taken=%lu lost=%lu cut=%lu duplicates=%lu repeated=%lu recovered=%lu saved=%lu "
	       "damaged=%lu "
	       "disorder=%lu alien=%lu wolf=%lu\n",
	       taken, lost, cut, duplicates, repeated, recovered, saved, damaged, disorder, alien,
	       wolf);
	bool good = !duplicates && !damaged && !disorder && !alien && !wolf && taken &&
		    lost <= (journal ? 0 : receiver_kills) && (journal || !(announced + saved));
	return !good || strcmp(argv[4], "good") != 0;
}
