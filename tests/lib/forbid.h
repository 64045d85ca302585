/* SPDX-License-Identifier: MIT */
/* A system call that this process cannot make any more, as on a kernel or a file system that has it not. */
#ifndef TESTS_FORBID_H
#define TESTS_FORBID_H

#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#if __has_include(<linux/seccomp.h>) /* musl-gcc has no kernel headers */
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif

/* From now on CALL fails with ERROR where its argument number ARGUMENT has all of BITS. 0, or -1 if that cannot be. */
static inline int forbid_with(unsigned call, unsigned argument, unsigned bits, unsigned error)
{
#ifdef SECCOMP_MODE_FILTER
	size_t at = offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		at += sizeof(uint32_t);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
		       ? -1
		       : 0;
#else
	(void)call;
	(void)argument;
	(void)bits;
	(void)error;
	return -1;
#endif
}

/* Whatever its arguments are. */
static inline int forbid_call(unsigned call, unsigned error)
{
	return forbid_with(call, 0, 0, error);
}

#endif
