/* SPDX-License-Identifier: MIT */
/* futex(2) between processes. Debian's musl-gcc finds no headers of the kernel. */
#ifndef CMD_IPCBENCH_FUTEXES_H
#define CMD_IPCBENCH_FUTEXES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ON_FUTEX_WAIT = 0, ON_FUTEX_WAKE = 1 };

/* Sleep while *WORD is SEEN; may return for no reason. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
	syscall(SYS_futex, word, ON_FUTEX_WAIT, seen, NULL, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, ON_FUTEX_WAKE, 1, NULL, NULL, 0);
}

#endif
