/* SPDX-License-Identifier: MIT */
/* futex(2) between processes. */
#ifndef CMD_IPCBENCH_FUTEXES_H
#define CMD_IPCBENCH_FUTEXES_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleep while *WORD is SEEN; may return for no reason. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
	syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#endif
