#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait and sempost on posix: semaphores beside a C program that links plain libc, whatever libc they have.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

cat >peer.c <<'C'
/* peer wait|post|value NAME: one call; peer loop NAME COUNT MAP; peer job MAP: once, without the semaphore. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct witness {
	atomic_int inside, together, times;
};

static struct witness *map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct witness *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return w == MAP_FAILED ? exit(9), w : w;
}

static void work(struct witness *w)
{
	if (atomic_fetch_add(&w->inside, 1))
		atomic_fetch_add(&w->together, 1);
	for (volatile int i = 0; i < 200; i++)
		;
	atomic_fetch_add(&w->times, 1);
	atomic_fetch_sub(&w->inside, 1);
}

int main(int argc, char **argv)
{
	int value;
	(void)argc;
	if (!strcmp(argv[1], "job"))
		return work(map(argv[2])), 0;
	if (!strcmp(argv[1], "told")) {
		struct witness *w = map(argv[2]);
		return printf("%d %d\n", w->times, w->together) < 0;
	}
	sem_t *sem = sem_open(argv[2], 0);
	if (sem == SEM_FAILED)
		return 2;
	if (!strcmp(argv[1], "wait"))
		return sem_wait(sem) != 0;
	if (!strcmp(argv[1], "post"))
		return sem_post(sem) != 0;
	if (!strcmp(argv[1], "value"))
		return sem_getvalue(sem, &value) || printf("%d\n", value) < 0;
	struct witness *w = map(argv[4]);
	for (int i = atoi(argv[3]); i > 0; i--) {
		if (sem_wait(sem))
			return 3;
		work(w);
		if (sem_post(sem))
			return 4;
	}
	return 0;
}
C
# The libc of the system, also when what is tested is static and has another.
if ! cc -O1 -o peer peer.c -pthread 2>err.txt || ! ldd ./peer | grep -q 'libc\.so\.6'; then
	skip "beside a program that uses glibc" "no cc, or its libc is another"
	done_testing
fi
N=/syncbox-$$
truncate -s 4096 witness

semwait -i 2 "posix:$N"
check "what semwait has made and taken from, libc sees" test "$(./peer value $N)" = 1
check "and takes from" ./peer wait $N
status_is 75 "so that nothing is left" semwait -n "posix:$N"
./peer wait $N &
peer=$!
sleeps() { [ "$(awk '{ print $3 }' "/proc/$1/stat")" = S ]; }
wait_for sleeps $peer
sempost "posix:$N"
wait $peer
status_is 0 "sempost wakes one who waits in sem_wait" sh -c "exit $?"
semwait -w 30 "posix:$N" &
waiter=$!
in_futex() { grep -q '^202 ' "/proc/$1/syscall" || grep -q futex "/proc/$1/wchan"; }
wait_for in_futex $waiter
./peer post $N
wait $waiter
status_is 0 "and sem_post one who waits in semwait" sh -c "exit $?"

sempost "posix:$N"
for _ in 1 2 3 4; do
	./peer loop $N 25000 witness &
done
seq 1000 | xargs -P 4 -n 1 sh -c 'exec semwait posix:'"$N"' ./peer job witness' sh
status_is 0 "1,000 semwait beside 100,000 sem_wait in four processes: all are served" sh -c "exit $?"
wait
check "and all of them ran, never two at once" test "$(./peer told witness)" = '101000 0'
check "no permit is lost, none too many" test "$(./peer value $N)" = 1

semwait "posix:$N" sh -c 'kill -9 $PPID; echo $$ >killed; exec sleep 600' & # ok: a holder whose semwait is gone
wait_for test -s killed
status_is 75 "semwait was killed: its command has the permit still" semwait -n "posix:$N"
./peer wait $N &
peer=$!
wait_for sleeps $peer
kill -KILL "$(cat killed)"
repaired() { sempost --repair "posix:$N" >out && grep -q 'returned 1 doubtful 0' out; }
wait_for repaired
check "--repair gives it back when that is gone, too" grep -q 'returned 1' out
wait $peer
status_is 0 "to one who waits in sem_wait" sh -c "exit $?"

rm -f "/dev/shm/sem.${N#/}" "/dev/shm/dbt.${N#/}"
done_testing
