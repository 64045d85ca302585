/* SPDX-License-Identifier: MIT */
/* A thread that lends a slot as soon as the process of ours that has it is done with it. */
#ifndef LIBSYNC_LOAN_H
#define LIBSYNC_LOAN_H

#include "escrow.h"

struct sync_loan;

/*
 * From here to stop() wait for the lock of WHICH (sync_escrow_lock_other()), and once it is had, lend TOKEN. E may be used
 * between lock() and unlock() only.
 */
MUST_CHECK int sync_loan_start(struct sync_escrow *e, uint32_t which, unsigned char token,
			       struct sync_loan **out);
void sync_loan_lock(struct sync_loan *l);
void sync_loan_unlock(struct sync_loan *l);
/* Between these two: what is not lent by now shall not be. */
void sync_loan_refuse(struct sync_loan *l);
/* No thread is left when this returns. Have we got the lock, and was the slot lent? */
MUST_CHECK bool sync_loan_stop(struct sync_loan *l);

#endif
