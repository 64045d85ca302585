/* SPDX-License-Identifier: MIT */
/*
 * Messages that are too long for the queue. One that is spilled lies in a file of its own, in a directory
 * that only we can enter, and a ticket that names the file goes through the queue:
 *
 *	89 'm' 'q' 'F' NAME
 *
 * The file belongs to the ticket: whoever has received and dealt with it removes the file.
 */
#ifndef CMD_MQPIPE_OVERSIZE_H
#define CMD_MQPIPE_OVERSIZE_H

#include <stdbool.h>

#include "cut.h"
#include "mqpipe.h"

enum oversize { OVERSIZE_REFUSE, OVERSIZE_TRUNCATE, OVERSIZE_SKIP, OVERSIZE_SPILL };
bool oversize_parse(const char *s, enum oversize *out);

#define OVERSIZE_TICKET_MAX 32

/* After -EMSGSIZE of cut_next(): the message goes into a file, its TICKET comes out. -errno. */
int oversize_spill(struct cut *c, char ticket[OVERSIZE_TICKET_MAX]);
/* The same for LEN bytes at DATA. */
int oversize_spill_bytes(const char *data, size_t len, char ticket[OVERSIZE_TICKET_MAX]);
/* The directory of the files. */
const char *oversize_place(void);
/* Remove the file of TICKET. */
void oversize_forget(const char *ticket);

bool oversize_is_ticket(const struct message *m);
/* The message that TICKET stands for; to be given up by oversize_close(). -errno. */
int oversize_open(const struct message *ticket, struct message *m);
void oversize_close(const struct message *m);

#endif
