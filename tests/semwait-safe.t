#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait among kills, descriptors that others share, and users whom nobody can trust.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
waiting_in() { grep -q "OFDLCK .*:$(stat -c %i "$1") 4 4\$" /proc/locks; } # its head sleeps

# --- descriptors ---

semwait -i 2 --path pool:./p >/dev/null
for fd in 11 12 13; do
	status_is 66 "--fd $fd, which is closed, is not taken for one of our own" \
		semwait -n --fd $fd pool:./p
done
check "and nothing is taken" value_is pool:./p 2

mkfifo go go2
sh -c 'exec 8<>p; semwait --fd 8 pool:./p; echo >held; read x <go' &
holder=$!
wait_for exists held
sh -c 'exec 9<>p; timeout 1 semwait --fd 9 -c 2 pool:./p; echo $? >gave-up; read x <go2' &
other=$!
wait_for test -s gave-up
status_is 124 "one who waits for two, has one of them, and is killed" sh -c "exit $(cat gave-up)"
release go
wait $holder
check "leaves none with the descriptor" value_is pool:./p 2
release go2
wait $other

rm -f held
sh -c 'exec 8<>p; semwait --fd 8 pool:./p; echo >held; read x <go' &
holder=$!
wait_for exists held
cat >both <<'SH'
exec 9<>p
semwait --fd 9 -c 2 pool:./p &
until grep -q "OFDLCK .*:$(stat -c %i p) 4 4\$" /proc/locks; do sleep 0.01; done # ok: bounded by the watchdog
sempost --fd 9 pool:./p
echo >told
wait $!
semwait --value pool:./p >left
read x <go2
SH
sh both &
other=$!
wait_for exists told
release go
wait $holder
wait_for test -s left
check "sempost --fd takes nothing from a semwait --fd that is still waiting" test "$(cat left)" = 0
release go2
wait $other
check "in the end all permits are back" value_is pool:./p 2

# --- several pools ---

semwait -i 2 pool:./a true
semwait -i 1 pool:./b true
rm -f held
sh -c 'exec 7<>a 8<>a 9<>b; semwait --fd 7 pool:./a; semwait --fd 8 pool:./a; semwait --fd 9 pool:./b
	echo >held; read x <go; exec 7>&- 8>&-; read x <go2' &
holder=$!
wait_for exists held
semwait -a pool:./b pool:./a true &
waiter=$!
wait_for waiting_in a
release go
wait_for waiting_in b
status_is 0 "one who waits for the second pool has of the first only what was asked for" \
	timeout 20 semwait -w 10 pool:./a true
release go2
wait $holder
wait $waiter
status_is 0 "and is served" sh -c "exit $?"

# --- messages that nobody reads ---

K=$(printf 0x5e%06x $$)
for sem in "sysv:$K" pool:./p; do
	semwait -i 1 "$sem" true
	rm -f ran
	# A pipe whose reader has gone: the kernel sends SIGPIPE to who writes.
	perl -e 'pipe R, W; close R; open STDERR, ">&", W; $SIG{PIPE} = "DEFAULT"; exec @ARGV' \
		semwait -v "$sem" sh -c 'echo >ran'
	check "${sem%%:*}: -v into a pipe that nobody reads: COMMAND runs" exists ran
done
ipcrm -S "$K"

# --- the pool was moved ---

semwait -i 1 pool:./old true
mv old new
status_is 0 "a pool that was moved can be resized while nobody waits" sempost --resize 2 pool:./new
check "and has that size" value_is pool:./new 2
rm -f held
semwait -c 2 pool:./new sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
semwait -w 30 pool:./new true &
waiter=$!
wait_for waiting_in new
status_is 0 "also while somebody waits, by FIFOs that are here" sempost --resize 3 pool:./new
wait $waiter
status_is 0 "who hears of it" sh -c "exit $?"
release go
wait $holder

# --- killed while it gives back ---

# Two slots of one descriptor are one lock to who waits, so half of it must be told of.
semwait -i 2 pool:./part true
cat >give <<'SH'
exec 9<>part
semwait --fd 9 -c 2 pool:./part
strace -qq -o trace -e trace=fcntl sempost --fd 9 pool:./part
n=$(grep -n 'F_UNLCK.*l_start=4096,' trace | cut -d: -f1)
semwait --fd 9 -c 2 pool:./part
echo >held
read x <go
strace -qq -o trace -e "inject=fcntl:signal=KILL:when=$n" sempost --fd 9 pool:./part
read x <go2
SH
if strace -o probe true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	rm -f held
	sh give 2>/dev/null &
	holder=$!
	wait_for exists held
	semwait pool:./part touch served &
	waiter=$!
	wait_for waiting_in part
	release go
	check "sempost is killed with one of two slots given back: who waits is told of it" wait_for exists served
	check "... while the other is still taken" wait_for value_is pool:./part 1
	release go2
	wait $holder $waiter
else
	skip "a sempost that is killed" "no strace, or a build that it would disturb"
fi

# --- others ---

if [ "$(id -u)" -ne 0 ] || ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$(command -v semwait)"; then
	skip "what other users could do" "needs root, and a build that others can reach"
	done_testing
fi
as() {
	uid=$1 gid=$2
	shift 2
	setpriv --reuid="$uid" --regid="$gid" --clear-groups "$@"
}
X=syncbox-safe-$$
chmod 1777 .
semwait -i 1 -m 666 "posix:/$X" true
rm -f "/dev/shm/dbt.$X"
chown 65534 "/dev/shm/sem.$X"
chmod 6777 "/dev/shm/sem.$X"
status_is 0 "a semaphore with set-user-ID bits can be used" as 1001 100 semwait "posix:/$X" true
check "but its ledger does not get them" test "$(stat -c %a "/dev/shm/dbt.$X")" = 666
status_is 0 "and others of the same group can use that, too" as 1002 100 semwait "posix:/$X" true
rm -f "/dev/shm/sem.$X" "/dev/shm/dbt.$X"
semwait -i 1 "posix:/$X" true
chown 65534 "/dev/shm/dbt.$X"
status_is 77 "77: a ledger of another user" semwait "posix:/$X" true
says "semwait: cannot take from 'posix:/$X': its ledger, '/dev/shm/dbt.$X', was made by somebody*" "is named"
rm -f "/dev/shm/sem.$X" "/dev/shm/dbt.$X"

mkdir trap.wake
mkfifo trap.wake/0
chown -R 65534 trap.wake
sh -c 'exec 5<>trap.wake/0; echo >trapped; read x <go2' &
trapper=$!
wait_for exists trapped
rm -f held
semwait -i 1 pool:./trap sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
semwait -w 30 pool:./trap true &
waiter=$!
wait_for waiting_in trap
release go
wait $holder
wait $waiter
status_is 0 "FIFOs that another user had laid out keep nobody waiting" sh -c "exit $?"
release go2
wait $trapper

semwait -i 0 --path pool:./closed >/dev/null
chmod 666 closed
semwait -w 30 pool:./closed true &
waiter=$!
wait_for waiting_in closed
status_is 77 "who cannot open the FIFOs cannot resize unheard" as 65534 65534 sempost --resize 1 pool:"$PWD/closed"
check "the size is as it was" value_is pool:./closed 0
sempost --resize 1 pool:./closed
wait $waiter
status_is 0 "the owner's resize is heard" sh -c "exit $?"

semwait -i 0 -m 666 --path pool:./half >/dev/null
mkfifo -m 600 half.wake/turn # as a kill in the midst of making it leaves it
semwait -w 30 pool:./half true &
waiter=$!
wait_for waiting_in half
status_is 0 "a FIFO that a kill left with a wrong mode is mended by its owner" \
	as 65534 65534 sempost --resize 1 pool:"$PWD/half"
wait $waiter
status_is 0 "so that others are heard" sh -c "exit $?"

if strace -o /dev/null true 2>/dev/null; then
	semwait -i 1 -m 666 --path pool:./race >/dev/null
	: >precious
	chmod 600 precious
	strace -f -o /dev/null -e trace=mknodat -e inject=mknodat:delay_exit=500000 \
		semwait pool:./race true &
	slow=$!
	wait_for exists race.wake/0
	ln -s "$PWD/precious" trick
	mv -f trick race.wake/0
	wait $slow
	check "a link put in the place of a new FIFO changes no file's mode" test "$(stat -c %a precious)" = 600
else
	skip "a link put in the place of a new FIFO changes no file's mode" "no strace, or it may not trace"
fi

if [ -z "${SANITIZE-}" ] && unshare -m true 2>/dev/null && lib=$(ldconfig -p | sed -n 's/.*libgcc_s.so.1 .*=> //p' | head -n 1) && [ -n "$lib" ]; then
	rm -f held
	sh -c 'exec 8<>p; semwait -c 2 --fd 8 pool:./p; echo >held; read x <go' &
	holder=$!
	wait_for exists held
	status_is 75 "a thread can be stopped without libgcc_s" \
		unshare -m sh -c "mount --bind /dev/null '$lib' && exec semwait -q -w 0.3 pool:./p true"
	release go
	wait $holder
else
	skip "a thread can be stopped without libgcc_s" "no namespaces, no such library, or a build that needs it itself"
fi
done_testing
