/* SPDX-License-Identifier: MIT */
/*
 * Lending our slot: a job that only waits takes the place of one that could run.
 *
 * 1. From here on signals end the wait, and not us: what was lent must be taken back.
 * 2. Write a token to make's jobserver; the ledger says that it is lent (escrow.h).
 * 3. Wait for what we wait for.
 * 4. Take a token back, however the wait has ended; then signals have their effect again.
 *
 * A SIGKILL between 2 and 4 leaves a token too many, until another of ours finds that in the ledger.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobserver.h"
#include "lend.h"
#include "say.h"
#include "stop.h"

bool lend_possible(void)
{
	return jobserver_is_named();
}

/* Whatever keeps us from lending is no reason not to wait. */
static struct sync_sem *open_server(void)
{
	struct sync_sem_opts opts = {0};
	struct sync_sem *sem = NULL;
	if (jobserver_find(&opts) || sync_sem_open("jobserver:", &opts, &sem))
		return NULL;
	return sem;
}

struct sync_sem *lend_begin(bool verbose)
{
	struct sync_sem *sem = open_server();
	if (!sem)
		return NULL;
	stop_catch();
	stop_catch_second(); /* make passes on what the terminal has sent already */
	if (!sync_sem_lend(sem)) {
		if (verbose)
			warn("lent a job slot to make");
		return sem;
	}
	stop_release();
	sync_sem_close(sem);
	stop_end(); /* one may have come just now */
	return NULL;
}

void lend_take_back(struct sync_sem *sem, bool verbose)
{
	int r;
	stop_hush();
	do
		r = sync_sem_reclaim(sem, NULL);
	while (r == -EINTR);
	if (r)
		warn("cannot take back the job slot that was lent to make: %s: make has one too "
		     "many now",
		     strerror(-r));
	else if (verbose)
		warn("took a job slot back from make");
}

void lend_end(struct sync_sem *lent, bool verbose)
{
	if (!lent)
		return;
	lend_take_back(lent, verbose);
	sync_sem_close(lent);
	stop_release();
	stop_end();
}
