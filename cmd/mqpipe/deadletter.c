/* SPDX-License-Identifier: MIT */
/* Jobs that have failed for good, as messages. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deadletter.h"
#include "oversize.h"
#include "parse.h"

static const char magic[] = {'\x89', 'm', 'q'};
#define MAGIC sizeof(magic)

bool letter_queue(const char *queue, char *name, size_t size)
{
	/* sysv:0xKEY and sysv:id=N belong to other programs. */
	if (strstr(queue, ":0x") || strstr(queue, ":id="))
		return false;
	return (size_t)snprintf(name, size, "%s.dead", queue) < size;
}

long letter_number(const struct sync_queue *q)
{
	return sync_queue_caps(q) & SYNC_CAP_PRIORITY ? 0 : 1;
}

static int send_as(struct sync_queue *q, const struct letter *l, char kind, const char *body,
		   size_t len)
{
	char head[96];
	int n = snprintf(head, sizeof(head), "%c%c%c%c%u %u %lld %ld\n", magic[0], magic[1],
			 magic[2], kind, l->status, l->attempts, l->time, l->job.number);
	char *all = malloc((size_t)n + len);
	if (!all)
		return -ENOMEM;
	memcpy(all, head, (size_t)n);
	memcpy(all + n, body, len);
	int r;
	do
		r = sync_queue_send(q, all, (size_t)n + len, letter_number(q), SYNC_NOW);
	while (r == -EINTR);
	free(all);
	return r;
}

int letter_send(struct sync_queue *q, const struct letter *l)
{
	char ticket[OVERSIZE_TICKET_MAX];
	int r = send_as(q, l, 'D', l->job.data, l->job.len);
	if (r != -EMSGSIZE)
		return r;
	r = oversize_spill_bytes(l->job.data, l->job.len, ticket);
	if (r)
		return r;
	r = send_as(q, l, 'S', ticket, strlen(ticket));
	if (r)
		oversize_forget(ticket);
	return r;
}

static bool parse_field(const char **p, const char *end, char behind, uint64_t max, uint64_t *out)
{
	char digits[24];
	const char *at = memchr(*p, behind, (size_t)(end - *p));
	size_t n = at ? (size_t)(at - *p) : sizeof(digits);
	if (n >= sizeof(digits))
		return false;
	memcpy(digits, *p, n);
	digits[n] = '\0';
	*p = at + 1;
	return parse_count(digits, max, out);
}

int letter_parse(const struct message *m, struct letter *out)
{
	const char *p = m->data + MAGIC + 1;
	const char *end = m->data + m->len;
	uint64_t status, attempts, time, number;
	if (m->len <= MAGIC || memcmp(m->data, magic, MAGIC) != 0)
		return -EBADMSG;
	char kind = m->data[MAGIC];
	if ((kind != 'D' && kind != 'S') || !parse_field(&p, end, ' ', 255, &status) ||
	    !parse_field(&p, end, ' ', UINT32_MAX, &attempts) ||
	    !parse_field(&p, end, ' ', INT64_MAX, &time) ||
	    !parse_field(&p, end, '\n', LONG_MAX, &number))
		return -EBADMSG;
	*out = (struct letter){
		.job = {p, (size_t)(end - p), (long)number, false},
		.status = (unsigned)status,
		.attempts = (unsigned)attempts,
		.time = (long long)time,
		.spilled = kind == 'S',
	};
	if (!out->spilled)
		return 0;
	out->ticket = out->job;
	return oversize_is_ticket(&out->ticket) ? oversize_open(&out->ticket, &out->job) : -EBADMSG;
}

void letter_close(const struct letter *l, bool forget)
{
	char ticket[OVERSIZE_TICKET_MAX] = "";
	if (!l->spilled)
		return;
	oversize_close(&l->job);
	memcpy(ticket, l->ticket.data, l->ticket.len);
	if (forget)
		oversize_forget(ticket);
}
