/* SPDX-License-Identifier: MIT */
/* What the parts of the message storm share: the messages, and the files that are left to the checker. */
#ifndef MQ_H
#define MQ_H

#include <stdint.h>
#include <stdio.h>

/*
 * Everything lies in the working directory:
 *	manifest	a line for each that has ended: "sender STREAM QUOTA killed|ended", or
 *			"receiver NUMBER killed|ended"
 *	out/NUMBER	what a receiver wrote
 *	err/NUMBER	what it said
 *	errors		what senders said
 *	journal/	with --journal
 */
#define MANIFEST_FILE "manifest"
#define OUT_DIR "out"
#define ERR_DIR "err"
#define ERRORS_FILE "errors"
#define JOURNAL_DIR "journal"

#define TEXT_MOST 256
#define PRIORITIES 3

static inline uint64_t mq_random(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static inline uint64_t mq_hash(uint64_t seed, uint32_t stream, uint32_t seq)
{
	return mq_random(seed ^ mq_random((uint64_t)stream << 32 | seq));
}

static inline int mq_priority(uint64_t seed, uint32_t stream, uint32_t seq)
{
	return 1 + (int)(mq_hash(seed, stream, seq) % PRIORITIES);
}

/* "STREAM SEQ " and letters, each message its own: returns the length. */
static inline int mq_text(uint64_t seed, uint32_t stream, uint32_t seq, char text[TEXT_MOST])
{
	uint64_t h = mq_hash(seed, stream, seq);
	int n = sprintf(text, "%u %u ", stream, seq);
	for (int i = (int)(h >> 8) % 100; i > 0; i--) {
		h = h * 6364136223846793005 + 1442695040888963407;
		text[n++] = (char)('a' + (h >> 33) % 26);
	}
	text[n] = '\0';
	return n;
}

#endif
