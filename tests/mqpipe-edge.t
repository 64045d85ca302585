#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe at its edges: what a careful reading has found, each of which was wrong once.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqe.$$
trap 'mqpipe rm -f $Q $Q.dead; cleanup' EXIT
SYNC_DIR=$scratch/sync
export SYNC_DIR
mkdir sync
blocks_in() { grep -q "^$2 " "/proc/$1/syscall"; } # PID, a system call: 271 polls

# --- where the input is left ---

mqpipe create -c 4 -s 128 $Q
mqpipe send $Q 1 2 3
printf '3:abc,3:def,5:hello;3:xyz,' >frames
status_is 65 "a bad frame in a batch" sh -c "mqpipe send --batch -L $Q <frames"
says "*at byte 19 of the input*" "has its place"
mqpipe flush -q $Q
mqpipe send $Q 1 2 3 4
status_is 75 "a batch that cannot be sent" sh -c "{ mqpipe send --batch -L -n $Q; s=\$?; cat >rest; exit \$s; } <frames"
check "is there for whoever reads on" cmp frames rest
seq 500 >lines
status_is 75 "lines in batches, of which the first can be sent" sh -c "mqpipe flush -q $Q; { mqpipe send --batch -n $Q; s=\$?; cat >rest; exit \$s; } <lines"
says "mqpipe send: not in time for '$Q': sent 149 messages, but not the one at byte 488 of the input" "are counted"
check "then the others are there" sh -c "mqpipe recv -e --batch $Q | cat - rest | cmp - lines"
mqpipe send $Q 1 2 3 4
{
	printf '%0200000d\n' 0
	echo tail
} >long
status_is 75 "a spilled message that cannot be sent" sh -c "{ mqpipe send --oversize=spill -n $Q; s=\$?; cat >rest; exit \$s; } <long"
check "is there, and what comes behind it" cmp long rest
check "it leaves no file" sh -c 'test -z "$(ls "$SYNC_DIR/spill")"'
mqpipe flush -q $Q

# --- frames ---

head -c 500 /dev/zero >zeros
status_is 0 "the last record can be shorter, and still too long: skipped" mqpipe send -R 400 --oversize=skip $Q <zeros
mqpipe flush -q $Q
status_is 0 "or truncated" sh -c "mqpipe send -R 200 --oversize=truncate $Q <zeros"
check "each of them" test "$(mqpipe recv -e -r $Q | wc -c)" = 356
status_is 0 "a record that is longer than what can be read at once" sh -c "head -c 300000 /dev/zero |
	mqpipe send -n -R 300000 --oversize=truncate $Q"
check "is one message" test "$(mqpipe recv -e -r $Q | wc -c)" = 128
status_is 65 "a priority that goes on behind a NUL" sh -c "printf '5\\0x\\tm\\n' | mqpipe send -P $Q"
status_is 64 "a queue that cannot tell its end" mqpipe recv --eof sysv:$Q.new
status_is 66 "is not made for that" mqpipe info sysv:$Q.new
status_is 64 "nor is one without types" mqpipe recv -t 5 $Q.new
status_is 66 "which is seen" mqpipe info $Q.new
printf '\211mqL\0\0\0\4good\0\0\0\377bad' | mqpipe send -r $Q
status_is 65 "a damaged batch" mqpipe recv --batch -l --journal jr -e $Q
check "what is good in it comes" test "$out" = good
status_is 0 "the rest is dropped, also from a journal" mqpipe recv --batch --journal jr -e $Q
check "and nothing comes twice" test -z "$out"
printf '\211mqS\nabc' | mqpipe send -r $Q
status_is 65 "a batch of lines of which the last has no end" mqpipe recv --batch -e $Q
says "*a message of 8 bytes was not sent with --batch: *" "is none"
mqpipe flush -q $Q
printf '{"data":"x","prio":05}\n' >json
status_is 65 "JSON has no zeros in front" sh -c "mqpipe send --json $Q <json"
{
	printf '{"data":"x"}%30000s\n' ''
	printf '%35500s' ''
} >blanks
status_is 0 "blanks at the end of JSON" sh -c "mqpipe send --json $Q <blanks"
check "are no message" test "$(mqpipe recv -e $Q)" = x

# --- time ---

status_is 75 "--total bounds the wait for a reader" mqpipe send --need-reader=20 --total 0.05 $Q x
status_is 75 "so does -w" mqpipe send --need-reader=20 -w 0.05 $Q x
status_is 69 "where no reader comes before that it is 69" mqpipe send --need-reader=0.05 -w 20 $Q x

# --- who is a sender ---

mqpipe recv --eof -w 20 $Q >got &
recv=$!
wait_for blocks_in $recv 271
status_is 0 "who waits for room" mqpipe wait --room $Q
mqpipe send $Q first
wait $recv
check "is no sender, whose end recv --eof would see" test "$(cat got)" = first
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	strace -f -o looks -e trace=flock -e inject=flock:delay_enter=1500000:when=2 mqpipe recv --eof -w 3 $Q &
	strace=$!
	# It has the lock now, and keeps it for a moment.
	wait_for grep -q LOCK_EX looks
	status_is 75 "nor is another receiver that looks" mqpipe recv --eof -w 1 $Q
	status_is 75 "who keeps the others from being counted only as long as they may wait" mqpipe send -w 0.05 $Q x
	wait $strace
else
	skip "a receiver that looks is no sender" "there is no strace"
fi

# --- a worker at its limits ---

mqpipe rm -f $Q $Q.dead
mqpipe create -c 2 -s 64 $Q $Q.dead
mqpipe send $Q.dead full full
for i in 1 2 3 4 5 6; do echo $i; done | mqpipe send $Q &
sender=$!
mqpipe work -q -j 4 --backoff 60 --events ev $Q -- false 2>said &
work=$!
retried() { [ "$(grep -c '"event":"retry"' ev)" -ge 4 ]; }
wait_for retried
wait $sender
mqpipe send -n -q $Q 7 8
kill $work
wait $work
check "nothing is lost where all queues are full" sh -c '! grep LOST said'
check "but lies in a file each, which is said" test "$(grep -c 'is in the file' said)" = "$(find sync/spill -type f | wc -l)"
check "all that had to" sh -c 'grep -q "is in the file" said'
mqpipe rm -f $Q $Q.dead
mqpipe send -s 64 -c 4 $Q 1 2 3 4
for _ in 1 2 3 4; do
	(
		# shellcheck disable=SC3045
		ulimit -n 15
		exec mqpipe work -j 8 -e --journal jw $Q -- true
	)
done 2>said
status_is 66 "nor do they make dead letters of healthy jobs" mqpipe dead $Q
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	mqpipe send $Q one
	status_is 0 "a child that ends while the alarm is put out" strace -o /dev/null \
		-e inject=setitimer:signal=SIGCHLD:when=2 mqpipe work -i 0.2 $Q -- true
fi
mqpipe flush -q $Q

# --- odd descriptors and signals ---

if command -v perl >/dev/null; then
	status_is 142 "an alarm that was set before ends recv" perl -e 'alarm 1; exec @ARGV' mqpipe recv $Q
	status_is 74 "a socket without a peer is no output" perl -MSocket -e '
		socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); close B;
		open STDOUT, ">&A"; close A; exec @ARGV' mqpipe recv $Q
	status_is 0 "an input that shall not block is waited for" perl -e '
		use Fcntl; pipe R, W; fcntl(R, F_SETFL, O_NONBLOCK);
		if (!fork) { open STDIN, "<&R"; close R; close W; exec @ARGV }
		close R; select undef, undef, undef, 0.05; print W "later\n"; close W; wait; exit $? >> 8' mqpipe send $Q
	check "and comes" test "$(mqpipe recv -e $Q)" = later
else
	skip "an alarm, a socket and an input that shall not block" "there is no perl"
fi

# --- sysv: who may write need not read ---

if [ "$(id -u)" -eq 0 ]; then
	status_is 0 "a sysv queue that its maker may not read" mqpipe create -m 622 sysv:$Q
	chmod 711 "$scratch"
	status_is 0 "can be sent to by who may only write" setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$(command -v mqpipe)" send sysv:$Q hi
	check "which arrives" test "$(mqpipe recv -e sysv:$Q)" = hi
	mqpipe rm sysv:$Q
fi
mqpipe create -c 1 -s 100 sysv:$Q
status_is 73 "a sysv queue that is smaller than asked for" mqpipe create -c 2 sysv:$Q
mqpipe rm -f sysv:$Q $Q
done_testing
