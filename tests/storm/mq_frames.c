/* SPDX-License-Identifier: MIT */
/*
 * Random messages, for the test of mqpipe's framings: written as a stream, read from one, and sent and received by
 * a plain program that knows nothing of mqpipe.
 *
 * Usage: mq-frames make FRAME SEED COUNT SIZE [P1]		the stream to stdout
 *	  mq-frames check FRAME SEED COUNT SIZE [P1]		the stream from stdin: are these the messages?
 *	  mq-frames send FRAME SEED COUNT SIZE P1 QUEUE		the messages, by mq_send or msgsnd
 *	  mq-frames recv FRAME SEED COUNT SIZE P1 QUEUE		... and by mq_receive or msgrcv
 * FRAME is l, 0, r, L, json, R:BYTES or d:SEPARATOR, as what comes out of mqpipe has it; messages are such that it
 * can hold them. SIZE is that of the longest. P: they have numbers, random ones, which stand in the stream; 1: these
 * are types, from 1 on; "-" is neither. QUEUE is /NAME or 0xKEY. Messages of one number keep their order; that is
 * all that is checked of order.
 */
#include <ctype.h>
#include <errno.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#include "mq.h"

struct message {
	char *data;
	size_t len;
	long number;
	bool text;  /* UTF-8 */
	bool found; /* it has come */
};

static char kind; /* the first of FRAME, or 'j' */
static const char *separator = "\n";
static size_t separator_len = 1;
static size_t record;
static bool numbered, types;
static struct message *messages;
static unsigned long count, matched;
static size_t size;
static uint64_t seed, state;

static uint64_t draw(uint64_t below)
{
	return mq_random(seed ^ ++state << 24) % below;
}

static void fail(const char *what)
{
	printf("mq-frames: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- random messages ---- */

static size_t random_length(void)
{
	switch (draw(8)) {
	case 0:
		return 0;
	case 1:
		return size;
	case 2:
		return size - draw(size < 4 ? size + 1 : 4);
	case 3:
	case 4:
		return draw(size + 1);
	default:
		return draw(size < 20 ? size + 1 : 20);
	}
}

static size_t put_code_point(char *out, unsigned c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return n;
}

static void fill_text(struct message *m)
{
	static const unsigned most[] = {0x20, 0x80, 0x800, 0xd800, 0x10ffff};
	size_t n = 0;
	while (n + 4 <= m->len) {
		unsigned c = (unsigned)draw(most[draw(5)]);
		if (c < 0xd800 || c > 0xdfff)
			n += put_code_point(m->data + n, c);
	}
	while (n < m->len)
		m->data[n++] = (char)(' ' + draw(95));
	m->text = true;
}

static void fill(struct message *m)
{
	static const char special[] = "\n\n\0\0;\r\n\taab,:0\"\\{\377\211mqF";
	uint64_t how = draw(4);
	if (how == 3) {
		fill_text(m);
		return;
	}
	for (size_t i = 0; i < m->len; i++)
		m->data[i] = how == 2 || (how == 1 && draw(2)) ? special[draw(sizeof(special) - 1)]
							       : (char)draw(256);
}

/* With the separator behind it, it shall end where it ends. */
static void spoil_separators(struct message *m)
{
	const char *at;
	memcpy(m->data + m->len, separator, separator_len);
	while ((at = memmem(m->data, m->len + separator_len, separator, separator_len)) &&
	       (size_t)(at - m->data) < m->len) {
		m->data[at - m->data] = 'z';
		m->text = false;
	}
}

static void make_messages(void)
{
	static const long numbers[] = {0, 1, 2, 31, 32766, 32767};
	messages = calloc(count, sizeof(*messages));
	for (unsigned long i = 0; messages && i < count; i++) {
		struct message *m = &messages[i];
		m->len = random_length();
		if (kind == 'R')
			m->len = i + 1 < count ? record : 1 + draw(record);
		/* A last one without a separator is one only if it is not empty. */
		if (i + 1 == count && !m->len && seed % 2)
			m->len = 1;
		m->data = malloc(m->len + separator_len + 1);
		if (!m->data)
			fail("memory");
		m->number = numbered ? numbers[types + draw(6 - types)] : types;
		fill(m);
		if (kind == 'd' || kind == 'l' || kind == '0')
			spoil_separators(m);
	}
}

/* ---- a stream of them ---- */

static void write_base64(const struct message *m)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < m->len; i += 3) {
		size_t n = m->len - i < 3 ? m->len - i : 3;
		unsigned v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)m->data[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			putchar(k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
	}
}

static unsigned next_code_point(const unsigned char **p)
{
	unsigned c = *(*p)++;
	int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
	if (more)
		c &= 0x3f >> more;
	while (more--)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

static void write_string(const struct message *m)
{
	const unsigned char *p = (const unsigned char *)m->data;
	const unsigned char *end = p + m->len;
	while (p < end) {
		const unsigned char *at = p;
		unsigned c = next_code_point(&p);
		if (c >= 0x20 && c != '"' && c != '\\' && draw(3))
			fwrite(at, 1, (size_t)(p - at), stdout);
		else if (c == '\n' && draw(2))
			fputs("\\n", stdout);
		else if (c >= 0x10000)
			printf("\\u%04x\\u%04X", 0xd800 + ((c - 0x10000) >> 10),
			       0xdc00 + ((c - 0x10000) & 0x3ff));
		else
			printf(draw(2) ? "\\u%04x" : "\\u%04X", c);
	}
}

static void write_json(const struct message *m)
{
	bool late = draw(2);
	putchar('{');
	if (!late)
		printf("\"prio\":%ld,", m->number);
	if (draw(3) == 0)
		fputs(" \"queue\" : \"/x\" ,", stdout);
	if (m->text && draw(4)) {
		fputs("\"data\":\"", stdout);
		write_string(m);
	} else {
		fputs("\"data_b64\": \"", stdout);
		write_base64(m);
	}
	putchar('"');
	if (draw(2))
		printf(",\"len\":%zu", m->len);
	if (late)
		printf(", \"prio\": %ld", m->number);
	putchar('}');
}

static void write_stream(void)
{
	for (unsigned long i = 0; i < count; i++) {
		const struct message *m = &messages[i];
		char number[32] = "";
		if (numbered && kind != 'j')
			sprintf(number, "%ld\t", m->number);
		if (kind == 'L')
			printf("%zu:", m->len + strlen(number));
		fputs(number, stdout);
		if (kind == 'j')
			write_json(m);
		else
			fwrite(m->data, 1, m->len, stdout);
		if (kind == 'L')
			putchar(',');
		else if (kind == 'j')
			putchar('\n');
		else if (kind != 'r' && kind != 'R' && !(i + 1 == count && seed % 2))
			fwrite(separator, 1, separator_len, stdout);
	}
	if (fflush(stdout))
		fail("stdout");
}

/* ---- what comes ---- */

static void wrong(const char *what, unsigned long n)
{
	printf("message %lu of %lu: %s\n", n + 1, count, what);
	exit(1);
}

/* The next of its number. */
static void match(const char *data, size_t len, long number)
{
	unsigned long i = 0;
	while (i < count && (messages[i].found || messages[i].number != number))
		i++;
	if (i == count)
		wrong("it has a number that none should have any more", matched);
	if (messages[i].len != len) {
		printf("%zu bytes, expected %zu\n", len, messages[i].len);
		wrong("another length", i);
	}
	if (memcmp(messages[i].data, data, len) != 0)
		wrong("other bytes", i);
	messages[i].found = true;
	matched++;
}

static char *read_all(size_t *len)
{
	size_t room = 1 << 20;
	char *all = malloc(room);
	*len = 0;
	while (all) {
		size_t n = fread(all + *len, 1, room - *len, stdin);
		*len += n;
		if (!n)
			return all;
		if (*len == room)
			all = realloc(all, room *= 2);
	}
	fail("memory");
	return NULL;
}

static long take_number(const char **p, size_t *len)
{
	char *end;
	if (!numbered)
		return types;
	if (!*len || !isdigit((unsigned char)**p))
		wrong("it has no number", matched);
	long n = strtol(*p, &end, 10);
	size_t used = (size_t)(end - *p) + 1;
	if (used > *len || *end != '\t')
		wrong("no tab behind its number", matched);
	*p += used;
	*len -= used;
	return n;
}

static size_t read_string(const char *p, const char *end, char *out)
{
	static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	size_t n = 0;
	while (p < end) {
		if (*p != '\\') {
			out[n++] = *p++;
			continue;
		}
		unsigned c;
		unsigned low;
		const char *at = p[1] == 'u' ? NULL : strchr(letters, p[1]);
		if (at) {
			out[n++] = bytes[at - letters];
			p += 2;
			continue;
		}
		if (sscanf(p, "\\u%4x", &c) != 1)
			wrong("a wrong escape", matched);
		p += 6;
		if (c >= 0xd800 && c < 0xdc00 && sscanf(p, "\\u%4x", &low) == 1) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
		n += put_code_point(out + n, c);
	}
	return n;
}

static size_t read_base64(const char *p, const char *end, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0;
	unsigned v = 0;
	size_t n = 0;
	for (; p < end && *p != '='; p++) {
		const char *at = strchr(digits, *p);
		if (!at)
			wrong("not base64", matched);
		v = v << 6 | (unsigned)(at - digits);
		bits += 6;
		if (bits >= 8)
			out[n++] = (char)(v >> (bits -= 8));
	}
	return n;
}

/* Just what mqpipe writes. */
static void match_json(const char *line, size_t len, char *out)
{
	bool base64 = !strncmp(line, "{\"data_b64\":\"", 13);
	const char *p = line + (base64 ? 13 : 9);
	const char *end = p;
	size_t said;
	long number;
	char closing;
	if (!base64 && strncmp(line, "{\"data\":\"", 9) != 0)
		wrong("no data", matched);
	while (end < line + len && *end != '"')
		end += *end == '\\' ? 2 : 1;
	size_t n = base64 ? read_base64(p, end, out) : read_string(p, end, out);
	if (sscanf(end, "\",\"prio\":%ld,\"len\":%zu%c", &number, &said, &closing) != 3 ||
	    closing != '}' || said != n)
		wrong("its number or length are not right", matched);
	match(out, n, number);
}

static void check_separated(const char *p, size_t left, char *out)
{
	while (left) {
		const char *at = memmem(p, left, separator, separator_len);
		if (!at)
			wrong("no separator behind it", matched);
		size_t len = (size_t)(at - p);
		size_t used = len + separator_len;
		const char *data = p;
		if (kind == 'j') {
			match_json(p, len, out);
		} else {
			long number = take_number(&data, &len);
			match(data, len, number);
		}
		p += used;
		left -= used;
	}
}

static void check_lengths(const char *p, size_t left)
{
	while (left) {
		char *colon;
		size_t len = strtoul(p, &colon, 10);
		size_t used = (size_t)(colon - p) + 1 + len + 1;
		if (*colon != ':' || used > left || p[used - 1] != ',')
			wrong("not LENGTH:DATA,", matched);
		const char *data = colon + 1;
		long number = take_number(&data, &len);
		match(data, len, number);
		p += used;
		left -= used;
	}
}

static void check_records(const char *p, size_t left)
{
	while (left) {
		size_t len = left < record ? left : record;
		match(p, len, types);
		p += len;
		left -= len;
	}
}

static void check_stream(void)
{
	size_t len;
	char *all = read_all(&len);
	char *out = malloc(len + 1);
	if (!out)
		fail("memory");
	all = realloc(all, len + 1);
	all[len] = '\0';
	if (kind == 'L') {
		check_lengths(all, len);
	} else if (kind == 'R') {
		check_records(all, len);
	} else if (kind == 'r') {
		const char *p = all;
		long number = take_number(&p, &len);
		match(p, len, number);
	} else {
		check_separated(all, len, out);
	}
	free(all);
	free(out);
}

/* ---- by the kernel's own calls ---- */

struct packet {
	long number;
	char data[65536];
};

static void live(bool sends, const char *queue)
{
	static struct packet packet;
	bool sysv = *queue != '/';
	int id = sysv ? msgget((key_t)strtoul(queue, NULL, 16), 0) : -1;
	mqd_t mq = sysv ? -1 : mq_open(queue, sends ? O_WRONLY : O_RDONLY);
	if (id < 0 && mq < 0)
		fail(queue);
	for (unsigned long i = 0; i < count; i++) {
		const struct message *m = &messages[i];
		unsigned priority = (unsigned)m->number;
		ssize_t n = 0;
		packet.number = m->number;
		if (sends)
			memcpy(packet.data, m->data, m->len);
		if (sends)
			n = sysv ? msgsnd(id, &packet, m->len, 0)
				 : mq_send(mq, packet.data, m->len, priority);
		else
			n = sysv ? msgrcv(id, &packet, sizeof(packet.data), 0, 0)
				 : mq_receive(mq, packet.data, sizeof(packet.data), &priority);
		if (n < 0)
			fail(queue);
		if (!sends)
			match(packet.data, (size_t)n, sysv ? packet.number : (long)priority);
	}
}

static void set_frame(const char *frame)
{
	static const char nul[1];
	kind = *frame;
	switch (kind) {
	case '0':
		separator = nul;
		break;
	case 'd':
		separator = frame + 2;
		separator_len = strlen(separator);
		break;
	case 'R':
		record = strtoul(frame + 2, NULL, 10);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fputs("usage: mq-frames make|check|send|recv FRAME SEED COUNT SIZE [P1 [QUEUE]]\n",
		      stderr);
		return 64;
	}
	set_frame(argv[2]);
	seed = strtoull(argv[3], NULL, 10);
	count = strtoul(argv[4], NULL, 10);
	size = strtoul(argv[5], NULL, 10);
	numbered = argc > 6 && strchr(argv[6], 'P');
	types = argc > 6 && strchr(argv[6], '1');
	if (kind == 'j')
		numbered = true;
	make_messages();
	if (!strcmp(argv[1], "make")) {
		write_stream();
		return 0;
	}
	if (!strcmp(argv[1], "send")) {
		live(true, argv[7]);
		return 0;
	}
	if (!strcmp(argv[1], "recv"))
		live(false, argv[7]);
	else
		check_stream();
	if (matched != count)
		wrong("it has not come", matched);
	return 0;
}
