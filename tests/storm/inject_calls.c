/* SPDX-License-Identifier: MIT */
/* How system calls can fail, as their manual pages say, for those that syncbox makes. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "inject.h"

#define NEVER ""
#define LOOKUP "EACCES ENOMEM EIO"
#define OPEN "EACCES EMFILE ENFILE ENOMEM ENOSPC EIO EINTR!"
#define DESCRIPTOR "EMFILE ENFILE ENOMEM"
#define CHANGE "EACCES ENOSPC EROFS EIO"
#define READ "EIO EINTR!"
#define WRITE "ENOSPC EIO EPIPE EINTR!"

static const struct call {
	long number;
	const char *name, *errors;
} calls[] = {
/* files */
#ifdef SYS_open
	{SYS_open, "open", OPEN},
	{SYS_stat, "stat", LOOKUP},
	{SYS_lstat, "lstat", LOOKUP},
	{SYS_access, "access", LOOKUP},
	{SYS_readlink, "readlink", LOOKUP},
	{SYS_unlink, "unlink", CHANGE},
	{SYS_link, "link", CHANGE},
	{SYS_symlink, "symlink", CHANGE},
	{SYS_rename, "rename", CHANGE},
	{SYS_mkdir, "mkdir", CHANGE},
	{SYS_rmdir, "rmdir", CHANGE},
	{SYS_mknod, "mknod", CHANGE},
	{SYS_chmod, "chmod", "EPERM EROFS EIO"},
	{SYS_dup2, "dup2", "EMFILE EBUSY! EINTR!"},
	{SYS_pipe, "pipe", DESCRIPTOR},
	{SYS_poll, "poll", "EINTR!"},
#endif
	{SYS_openat, "openat", OPEN},
	{SYS_newfstatat, "newfstatat", LOOKUP},
	{SYS_fstat, "fstat", "ENOMEM EIO"},
	{SYS_statx, "statx", LOOKUP " ENOSYS"},
	{SYS_faccessat, "faccessat", LOOKUP},
	{SYS_readlinkat, "readlinkat", LOOKUP},
	{SYS_unlinkat, "unlinkat", CHANGE},
	{SYS_linkat, "linkat", CHANGE " ENOENT! EEXIST!"},
	{SYS_symlinkat, "symlinkat", CHANGE},
	{SYS_renameat, "renameat", CHANGE},
	{SYS_renameat2, "renameat2", CHANGE},
	{SYS_mkdirat, "mkdirat", CHANGE},
	{SYS_mknodat, "mknodat", CHANGE},
	{SYS_fchmod, "fchmod", "EPERM EROFS EIO"},
	{SYS_fchmodat, "fchmodat", "EPERM EROFS EIO"},
	{SYS_fchown, "fchown", "EPERM EROFS EIO"},
	{SYS_ftruncate, "ftruncate", "EIO EPERM EINTR!"},
	{SYS_fallocate, "fallocate", "ENOSPC EOPNOTSUPP EINTR!"},
	{SYS_getdents64, "getdents64", "EIO ENOMEM"},
	{SYS_chdir, "chdir", LOOKUP},
	{SYS_umask, "umask", NEVER},
	{SYS_statfs, "statfs", LOOKUP},
	{SYS_fstatfs, "fstatfs", "EIO ENOMEM"},
	{SYS_utimensat, "utimensat", "EACCES EROFS"},
	/* descriptors */
	{SYS_close, "close", READ},
	{SYS_read, "read", READ},
	{SYS_readv, "readv", READ},
	{SYS_pread64, "pread64", READ},
	{SYS_write, "write", WRITE},
	{SYS_writev, "writev", WRITE},
	{SYS_pwrite64, "pwrite64", WRITE},
	{SYS_sendfile, "sendfile", "EIO EINVAL EINTR!"},
	{SYS_splice, "splice", "EINVAL ENOMEM EINTR!"},
	{SYS_lseek, "lseek", "ESPIPE"},
	{SYS_ioctl, "ioctl", "ENOTTY EIO"},
	{SYS_fcntl, "fcntl", "EBADF"},
	{SYS_flock, "flock", "ENOLCK EIO EBADF ENOMEM EINTR!"},
	{SYS_preadv2, "preadv2", READ " EOPNOTSUPP"},
	{SYS_pwritev2, "pwritev2", WRITE " EOPNOTSUPP"},
#ifdef SYS_close_range
	{SYS_close_range, "close_range", "ENOSYS"},
#endif
	{SYS_dup, "dup", DESCRIPTOR},
	{SYS_dup3, "dup3", "EMFILE EBUSY! EINTR!"},
	{SYS_pipe2, "pipe2", DESCRIPTOR},
	{SYS_ppoll, "ppoll", "EINTR!"},
	{SYS_eventfd2, "eventfd2", DESCRIPTOR},
	{SYS_signalfd4, "signalfd4", DESCRIPTOR},
	{SYS_timerfd_create, "timerfd_create", DESCRIPTOR},
	{SYS_timerfd_settime, "timerfd_settime", "EINVAL"},
	{SYS_memfd_create, "memfd_create", DESCRIPTOR},
	{SYS_inotify_init1, "inotify_init1", DESCRIPTOR},
	{SYS_inotify_add_watch, "inotify_add_watch", "ENOSPC ENOMEM EACCES"},
	{SYS_inotify_rm_watch, "inotify_rm_watch", "EINVAL"},
	/* sockets */
	{SYS_socket, "socket", DESCRIPTOR " EACCES"},
	{SYS_socketpair, "socketpair", DESCRIPTOR},
	{SYS_bind, "bind", "EADDRINUSE EACCES ENOMEM"},
	{SYS_listen, "listen", "EADDRINUSE"},
	{SYS_connect, "connect", "ECONNREFUSED EACCES EINTR!"},
	{SYS_accept4, "accept4", "EMFILE ENOMEM ECONNABORTED! EINTR!"},
	{SYS_sendto, "sendto", "EPIPE ENOBUFS EINTR!"},
	{SYS_sendmsg, "sendmsg", "EPIPE ENOBUFS EINTR!"},
	{SYS_recvfrom, "recvfrom", "ECONNRESET ENOMEM EINTR!"},
	{SYS_recvmsg, "recvmsg", "ECONNRESET ENOMEM EINTR!"},
	{SYS_shutdown, "shutdown", "ENOTCONN"},
	{SYS_getsockopt, "getsockopt", "ENOMEM"},
	{SYS_setsockopt, "setsockopt", "ENOMEM"},
	{SYS_getsockname, "getsockname", "ENOBUFS"},
	{SYS_getpeername, "getpeername", "ENOBUFS"},
	/* memory; brk is below */
	{SYS_mmap, "mmap", "ENOMEM"},
	{SYS_mprotect, "mprotect", "ENOMEM"},
	{SYS_mremap, "mremap", "ENOMEM"},
	{SYS_munmap, "munmap", "ENOMEM"},
	{SYS_madvise, "madvise", "EAGAIN"},
	{SYS_mlock, "mlock", "EPERM ENOMEM EAGAIN"},
	{SYS_brk, "brk", "ENOMEM"},
	{SYS_membarrier, "membarrier", "ENOSYS"},
	{SYS_futex, "futex", "EINTR! EAGAIN!"},
/* processes and signals */
#ifdef SYS_fork
	{SYS_fork, "fork", "EAGAIN ENOMEM"},
	{SYS_vfork, "vfork", "EAGAIN ENOMEM"},
	{SYS_getpgrp, "getpgrp", NEVER},
	{SYS_arch_prctl, "arch_prctl", NEVER},
	{SYS_alarm, "alarm", NEVER},
	{SYS_time, "time", NEVER},
#endif
	{SYS_clone, "clone", "EAGAIN ENOMEM"},
	{SYS_clone3, "clone3", "EAGAIN ENOMEM"},
	{SYS_execve, "execve", "EACCES ENOENT ENOMEM E2BIG EIO ETXTBSY"},
	{SYS_exit, "exit", NEVER},
	{SYS_exit_group, "exit_group", NEVER},
	{SYS_wait4, "wait4", "ECHILD EINTR!"},
	{SYS_waitid, "waitid", "ECHILD EINTR!"},
	{SYS_kill, "kill", "EPERM ESRCH"},
	{SYS_tkill, "tkill", "ESRCH"},
	{SYS_tgkill, "tgkill", "ESRCH"},
	{SYS_pidfd_open, "pidfd_open", "EMFILE ENOMEM ESRCH ENOSYS"},
	{SYS_pidfd_send_signal, "pidfd_send_signal", "EPERM ESRCH ENOSYS"},
#ifdef SYS_pidfd_getfd
	{SYS_pidfd_getfd, "pidfd_getfd", "EPERM EMFILE ENOSYS"},
#endif
	{SYS_process_vm_readv, "process_vm_readv", "EPERM ESRCH"},
	{SYS_getpid, "getpid", NEVER},
	{SYS_getppid, "getppid", NEVER},
	{SYS_gettid, "gettid", NEVER},
	{SYS_getuid, "getuid", NEVER},
	{SYS_geteuid, "geteuid", NEVER},
	{SYS_getgid, "getgid", NEVER},
	{SYS_getegid, "getegid", NEVER},
	{SYS_getpgid, "getpgid", "ESRCH"},
	{SYS_getsid, "getsid", "ESRCH"},
	{SYS_setsid, "setsid", "EPERM"},
	{SYS_setpgid, "setpgid", "EPERM EACCES"},
	{SYS_set_tid_address, "set_tid_address", NEVER},
	{SYS_set_robust_list, "set_robust_list", NEVER},
	{SYS_rseq, "rseq", NEVER},
	{SYS_prctl, "prctl", "EINVAL EPERM"},
	{SYS_prlimit64, "prlimit64", "EPERM"},
	{SYS_sched_yield, "sched_yield", NEVER},
	{SYS_sched_setaffinity, "sched_setaffinity", "EINVAL EPERM"},
	{SYS_sched_getaffinity, "sched_getaffinity", "EINVAL"},
	{SYS_getcpu, "getcpu", NEVER},
	{SYS_getrusage, "getrusage", NEVER},
	{SYS_sysinfo, "sysinfo", NEVER},
	{SYS_uname, "uname", NEVER},
	{SYS_getrandom, "getrandom", "ENOSYS EINTR!"},
	{SYS_rt_sigaction, "rt_sigaction", NEVER},
	{SYS_rt_sigprocmask, "rt_sigprocmask", NEVER},
	{SYS_rt_sigreturn, "rt_sigreturn", NEVER},
	{SYS_rt_sigpending, "rt_sigpending", NEVER},
	{SYS_rt_sigtimedwait, "rt_sigtimedwait", "EINTR!"},
	{SYS_rt_sigsuspend, "rt_sigsuspend", NEVER},
	/* time */
	{SYS_restart_syscall, "restart_syscall", NEVER},
	{SYS_nanosleep, "nanosleep", "EINTR!"},
	{SYS_clock_nanosleep, "clock_nanosleep", "EINTR!"},
	{SYS_clock_gettime, "clock_gettime", NEVER},
	{SYS_clock_getres, "clock_getres", NEVER},
	{SYS_gettimeofday, "gettimeofday", NEVER},
	{SYS_setitimer, "setitimer", NEVER},
	{SYS_timer_create, "timer_create", "EAGAIN ENOMEM"},
	{SYS_timer_settime, "timer_settime", "EINVAL"},
	{SYS_timer_delete, "timer_delete", NEVER},
	/* System V and POSIX IPC */
	{SYS_semget, "semget", "EACCES ENOMEM ENOSPC"},
	{SYS_semctl, "semctl", "EACCES EIDRM! ENOMEM"},
	{SYS_semop, "semop", "EACCES EIDRM! ENOMEM ENOSPC EINTR!"},
	{SYS_semtimedop, "semtimedop", "EACCES EIDRM! ENOMEM ENOSPC EINTR!"},
	{SYS_shmget, "shmget", "EACCES ENOMEM ENOSPC"},
	{SYS_shmat, "shmat", "EACCES ENOMEM"},
	{SYS_shmdt, "shmdt", "EINVAL"},
	{SYS_shmctl, "shmctl", "EACCES EIDRM"},
	{SYS_msgget, "msgget", "EACCES ENOMEM ENOSPC"},
	{SYS_msgsnd, "msgsnd", "EACCES EIDRM ENOMEM EINTR!"},
	{SYS_msgrcv, "msgrcv", "EACCES EIDRM EINTR!"},
	{SYS_msgctl, "msgctl", "EACCES EIDRM"},
	{SYS_mq_open, "mq_open", DESCRIPTOR " EACCES ENOSPC"},
	{SYS_mq_unlink, "mq_unlink", "EACCES ENOENT"},
	{SYS_mq_timedsend, "mq_timedsend", "ENOMEM EBADF EINTR!"},
	{SYS_mq_timedreceive, "mq_timedreceive", "EBADF EINTR!"},
	{SYS_mq_notify, "mq_notify", "EBUSY ENOMEM"},
	{SYS_mq_getsetattr, "mq_getsetattr", "EBADF"},
};

static const struct error {
	const char *name;
	int number;
} errors[] = {
#define E(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}
	E(E2BIG),    E(EACCES),  E(EADDRINUSE),   E(EAGAIN),     E(EBADF),        E(EBUSY),
	E(ECHILD),   E(EDEADLK), E(ECONNREFUSED), E(ECONNRESET), E(ECONNABORTED), E(EEXIST),
	E(EIDRM),    E(EINTR),   E(EINVAL),       E(EIO),        E(EMFILE),       E(ENFILE),
	E(ENOBUFS),  E(ENOENT),  E(ENOLCK),       E(ENOMEM),     E(ENOSPC),       E(ENOSYS),
	E(ENOTCONN), E(ENOTTY),  E(EOPNOTSUPP),   E(EPERM),      E(EPIPE),        E(EROFS),
	E(ESPIPE),   E(ESRCH),   E(ETXTBSY),
#undef E
};

static const struct call *find(__u64 number)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if ((__u64)calls[i].number == number)
			return &calls[i];
	return NULL;
}

const char *call_name(__u64 number)
{
	const struct call *c = find(number);
	return c ? c->name : NULL;
}

static const char *fcntl_errors(int command)
{
	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return "EMFILE EINVAL";
	case F_SETLK:
	case F_OFD_SETLK:
		return "ENOLCK ENOMEM EIO EAGAIN";
	case F_SETLKW:
	case F_OFD_SETLKW:
		return "ENOLCK ENOMEM EIO EDEADLK EINTR!";
	case F_GETLK:
	case F_OFD_GETLK:
		return "EIO ENOMEM";
	default:
		return NEVER; /* of a descriptor that is open */
	}
}

const char *call_errors(__u64 number, const __u64 args[6])
{
	const struct call *c = find(number);
	switch (number) {
	case SYS_fcntl:
		return fcntl_errors((int)args[1]);
	case SYS_flock:
		if (args[1] & LOCK_UN)
			return "EIO EINTR!";
		return args[1] & LOCK_NB ? "ENOLCK EIO EBADF ENOMEM EAGAIN!"
					 : "ENOLCK EIO EBADF EINTR!";
	case SYS_brk:
		return args[0] ? "ENOMEM" : NEVER; /* brk(0) asks where it is */
#ifdef SYS_poll
	case SYS_poll:
		return args[2] ? c->errors : NEVER; /* it does not sleep */
#endif
	case SYS_wait4: /* with WNOHANG it does not sleep */
		return args[2] & WNOHANG ? "ECHILD" : c->errors;
	case SYS_waitid:
		return args[3] & WNOHANG ? NEVER : c->errors;
	case SYS_futex:
		/* FUTEX_WAIT, FUTEX_WAIT_BITSET */
		return (args[1] & 0x7f) == 0 || (args[1] & 0x7f) == 9 ? c->errors : NEVER;
	default:
		return c ? c->errors : NULL;
	}
}

int call_is_made(__u64 number, int error)
{
	return number == SYS_close || error == ECHILD;
}

int call_is_brk(__u64 number)
{
	return number == SYS_brk;
}

int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].number;
	return 0;
}
