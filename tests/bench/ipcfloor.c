/* SPDX-License-Identifier: MIT */
/*
 * What a straight C loop gets out of a facility, without a number in a block or a check of what arrives: beside
 * ipcbench.
 *
 * Usage: ipcfloor pipe|posix-mq|unix-stream|shm BYTES BLOCKS CPU CPU	prints the seconds, and those of CPU of both
 *        ipcfloor line 0 TIMES CPU CPU	prints the nanoseconds that a cache line takes from one CPU to the other
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static size_t size;
static int from = -1, to = -1;
static mqd_t mq = -1;
static char *block;

/* Counts of blocks; the wish of a side to be woken is the count at which it sleeps, plus one. */
static struct ring {
	_Alignas(64) _Atomic uint64_t in;
	_Alignas(64) _Atomic uint64_t out;
	_Alignas(64) _Atomic uint64_t writer_at;
	_Alignas(64) _Atomic uint64_t reader_at;
	_Alignas(64) char data[];
} * ring;
static uint64_t slots, mine, seen;

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void doze(_Atomic uint64_t *count, uint64_t at, _Atomic uint64_t *wish)
{
	for (;;) {
		atomic_store(wish, at + 1);
		if (atomic_load(count) != at)
			break;
		syscall(SYS_futex, count, FUTEX_WAIT, (uint32_t)at, NULL, NULL, 0);
	}
	atomic_store_explicit(wish, 0, memory_order_relaxed);
}

static void rouse(_Atomic uint64_t *count, uint64_t at, _Atomic uint64_t *wish)
{
	uint64_t w = atomic_load(wish);
	if (w && w != at + 1 && atomic_compare_exchange_strong(wish, &w, 0))
		syscall(SYS_futex, count, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void ring_put(void)
{
	while (mine - seen == slots) {
		seen = atomic_load_explicit(&ring->out, memory_order_acquire);
		if (mine - seen == slots)
			doze(&ring->out, seen, &ring->writer_at);
	}
	memcpy(ring->data + (mine & (slots - 1)) * size, block, size);
	atomic_store(&ring->in, ++mine);
	rouse(&ring->in, mine, &ring->reader_at);
}

static void ring_get(void)
{
	while (mine == seen) {
		seen = atomic_load_explicit(&ring->in, memory_order_acquire);
		if (mine == seen)
			doze(&ring->in, seen, &ring->reader_at);
	}
	memcpy(block, ring->data + (mine & (slots - 1)) * size, size);
	atomic_store(&ring->out, ++mine);
	if (seen - mine <= slots / 2)
		rouse(&ring->out, mine, &ring->writer_at);
}

static void send_blocks(const char *kind, uint64_t n)
{
	if (!strcmp(kind, "shm"))
		while (n--)
			ring_put();
	else if (!strcmp(kind, "posix-mq"))
		while (n--)
			check(!mq_send(mq, block, size, 0), "mq_send");
	else
		while (n--)
			for (size_t done = 0; done < size;) {
				ssize_t k = write(to, block + done, size - done);
				check(k > 0, "write");
				done += (size_t)k;
			}
}

static void recv_blocks(const char *kind, uint64_t n)
{
	if (!strcmp(kind, "shm"))
		while (n--)
			ring_get();
	else if (!strcmp(kind, "posix-mq"))
		while (n--)
			check(mq_receive(mq, block, size, NULL) == (ssize_t)size, "mq_receive");
	else
		while (n--)
			for (size_t done = 0; done < size;) {
				ssize_t k = read(from, block + done, size - done);
				check(k > 0, "read");
				done += (size_t)k;
			}
}

static void make(const char *kind)
{
	int fd[2];
	if (!strcmp(kind, "pipe")) {
		check(!pipe(fd), "pipe");
		from = fd[0];
		to = fd[1];
	} else if (!strcmp(kind, "unix-stream")) {
		check(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd), "socketpair");
		from = fd[0];
		to = fd[1];
	} else if (!strcmp(kind, "posix-mq")) {
		char name[32];
		snprintf(name, sizeof(name), "/ipcfloor%d", (int)getpid());
		/* As deep as the limits allow, as ipcbench does. */
		for (long depth = 10; depth && mq < 0; depth /= 2) {
			struct mq_attr a = {.mq_maxmsg = depth, .mq_msgsize = (long)size};
			mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
		}
		check(mq >= 0, "mq_open");
		mq_unlink(name);
	} else {
		for (slots = 2; slots * 2 * size <= 1 << 20;)
			slots *= 2;
		ring = mmap(NULL, sizeof(*ring) + slots * size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		check(ring != MAP_FAILED, "mmap");
	}
}

static void pin(const char *cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(atoi(cpu), &one);
	check(!sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
}

/* N times there and back, after a tenth of that to warm up. */
static int pass_line(uint64_t n, const char *here, const char *there)
{
	_Atomic uint64_t *line =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double begin = 0;
	check(line != MAP_FAILED, "mmap");
	uint64_t warm = n / 10, all = n + warm;
	pid_t pid = fork();
	check(pid >= 0, "fork");
	pin(pid ? here : there);
	for (uint64_t i = pid ? 0 : 1; i < 2 * all; i += 2) {
		while (atomic_load(line) != i)
			continue;
		if (i == 2 * warm)
			begin = now();
		atomic_store(line, i + 1);
	}
	if (pid == 0)
		_exit(0);
	while (atomic_load(line) != 2 * all)
		continue;
	printf("%.0f\n", (now() - begin) * 1e9 / (double)(2 * n));
	waitpid(pid, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	int meet[2];
	char c = 0;
	if (argc != 6)
		return 2;
	size = strtoul(argv[2], NULL, 10);
	uint64_t n = strtoull(argv[3], NULL, 10);
	if (!strcmp(argv[1], "line"))
		return pass_line(n, argv[4], argv[5]);
	double *begin = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make(argv[1]);
	/* From the start of a page, as ipcbench has it: where a block begins decides on the speed of its copies. */
	block = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
	memset(block, 1, size);
	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, meet), "socketpair");
	pid_t pid = fork();
	check(pid >= 0, "fork");
	if (pid == 0) {
		pin(argv[4]);
		send_blocks(argv[1], n); /* to warm up */
		check(write(meet[0], &c, 1) == 1 && read(meet[0], &c, 1) == 1, "meet");
		double before = cpu();
		begin[0] = now();
		send_blocks(argv[1], n);
		begin[1] = cpu() - before;
		_exit(0);
	}
	pin(argv[5]);
	recv_blocks(argv[1], n);
	check(write(meet[1], &c, 1) == 1 && read(meet[1], &c, 1) == 1, "meet");
	double before = cpu();
	recv_blocks(argv[1], n);
	double end = now();
	before = cpu() - before;
	waitpid(pid, NULL, 0);
	printf("%.9f %.6f\n", end - begin[0], before + begin[1]);
	return 0;
}
