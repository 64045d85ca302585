#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun --coalesce: at most one runs and one waits, and every request is covered by a run that starts after it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
mkfifo go begun

# --- statuses ---

status_is 0 "0: nobody waits: it runs" lockrun --coalesce L sh -c ': >ran'
check "it did run" test -e ran
status_is 3 "COMMAND's own status" lockrun --coalesce L sh -c 'exit 3'
status_is 64 "64: -n" lockrun --coalesce -n L true
status_is 64 "64: -w 0" lockrun --coalesce -w 0 L true
status_is 64 "64: without a command" lockrun --coalesce 9
status_is 64 "64: with --who" lockrun --coalesce --who L
status_is 64 "64: ofd:" lockrun --coalesce ofd:L true
says "*use flock:" "says what to use instead"
mkdir D
status_is 65 "65: a directory cannot be marked" lockrun --coalesce D true
says "*cannot mark 'D'*" "says so"
if [ "$(id -u)" -eq 0 ]; then
	lockrun -m 644 R true
	chmod 755 "$scratch"
	status_is 77 "77: nor a file that can only be read" \
		setpriv --reuid=64999 --regid=64999 --clear-groups "$BUILD/bin/lockrun" --coalesce R true
else
	lockrun -m 444 R true
	status_is 77 "77: nor a file that can only be read" lockrun --coalesce R true
fi

# --- one runs, one waits ---

# The job says that it has begun, and ends when it is told to.
cat >job <<'SH'
echo "$1" >>runs
echo >begun
read -r _ <go
SH
request() { lockrun --coalesce "$@"; }
lockrun --coalesce L sh job first &
first=$!
read -r _ <begun
request L sh job second &
second=$!
wait_for waits L
i=0
while [ $i -lt 200 ]; do
	i=$((i + 1))
	request L sh job more && echo >>covered
	[ $((i % 40)) -ne 0 ] || check "after $i requests one waits" waiters_are L 1
done
check "all the others have ended with status 0 while the job ran" test "$(wc -l <covered)" -eq 200
check "and nothing was run yet" test "$(cat runs)" = first
release go
wait $first
read -r _ <begun
check "one more run, which began after the last request" test "$(tr '\n' ' ' <runs)" = "first second "
request L sh job third & # while it runs, a request is not covered by it
third=$!
wait_for waits L
check "a request during that run waits" waits L
status_is 0 "and covers the next" lockrun --coalesce -v L sh job fourth
says "*another waits for 'L' already*" "-v says so"
release go
wait $second
read -r _ <begun
release go
wait $third
check "no run more than that" test "$(tr '\n' ' ' <runs)" = "first second third "

# All at once.
: >runs
lockrun L sh job first &
first=$!
read -r _ <begun
# By a shell of their own, as their ends would break our opening of the FIFO.
sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
	{ lockrun --coalesce L sh job again && echo >>"done"; } &
done
wait' &
requests=$!
ended() { [ "$(wc -l <"done")" -ge 29 ]; }
wait_for ended
check "30 requests at once: one waits" waiters_are L 1
release go
wait $first
read -r _ <begun
release go
wait $requests
check "and runs" test "$(tr '\n' ' ' <runs)" = "first again "

# --- who waits is killed, or gives up ---

lockrun L sh job first &
first=$!
read -r _ <begun
lockrun --coalesce L sh job killed &
killed=$!
wait_for waits L
kill -KILL $killed
wait $killed 2>/dev/null
: >runs
request L sh job later &
later=$!
wait_for waits L
check "kill -9 of the one that waits: a later request waits in its place" waits L
status_is 0 "and covers others" lockrun --coalesce L sh job no
release go
wait $first
read -r _ <begun
release go
wait $later
check "it runs" test "$(cat runs)" = later

lockrun L sh job first &
first=$!
read -r _ <begun
status_is 75 "75: the one that waits gives up" lockrun --coalesce -q -w 0.1 L true
: >runs
request -w 1h L sh job later &
later=$!
wait_for waits L
check "then the next one waits" waits L
release go
wait $first
read -r _ <begun
release go
wait $later
check "and runs" test "$(cat runs)" = later

# --- who waits without --coalesce covers nobody; -l, -s, -o, -F, --rm, --events ---

lockrun L sh job first &
first=$!
read -r _ <begun
lockrun L true &
plain=$!
wait_for waits L
request -o -l M --events=E L sh job ours &
ours=$!
wait_for waiters_are L 2
check "who waits without --coalesce covers nobody" waiters_are L 2
for o in -s -o -F --rm '-l N' '--hold=tree' '--max-run=1h'; do
	# shellcheck disable=SC2086 # words are wanted
	status_is 0 "$o: covered" lockrun --coalesce $o --events=E2 L false
done
lockrun --coalesce --metrics=P L false
check "--events tells" grep -q '"event":"coalesced"' E2
check "--metrics counts a skip" grep -q '^lockrun_skips_total{lock="L"} 1$' P
check "--who lists no marks" sh -c '! lockrun --who L | grep -q ofd'
release go
wait $first $plain # before the open, which SIGCHLD would break
read -r _ <begun
release go
wait $ours

lockrun --rm X sh job first &
first=$!
read -r _ <begun
request X sh job second &
second=$!
wait_for waits X
release go
wait $first
read -r _ <begun
check "the file is removed and made anew: who waited runs" holds X
request X sh job third &
third=$!
wait_for waits X
status_is 0 "and the next one waits and covers" lockrun --coalesce X false
release go
wait $second
read -r _ <begun
release go
wait $third

# A record lock of another program is not taken for the mark of one who waits.
lockrun ofd:L sh job other &
other=$!
read -r _ <begun
: >runs
request L sh job ours &
ours=$!
blocked_at_door() { grep -q -- "-> OFDLCK.*:$(stat -c %i L) " /proc/locks; }
wait_for blocked_at_door
check "somebody's record lock on the whole file is no reason to end" sh -c 'kill -0 $1 && ! test -s runs' sh $ours
release go
wait $other
read -r _ <begun
release go
wait $ours
check "it runs after that" test "$(cat runs)" = ours

# The mark is off before the command is started: what is started earlier would not cover who sees the mark.
if command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; then
	strace -f -o trace -e trace=flock,fcntl,close,execve,vfork,clone,clone3,fork lockrun --coalesce T true
	mark=$(sed -n 's/.*fcntl(\([0-9]*\), F_OFD_SETLK, .*l_start=9223372036854775802, l_len=1.*) = 0/\1/p' trace)
	check "the lock is taken, then the mark is off, then the command starts" awk -v fd="$mark" '
		/ flock\(.*LOCK_EX.*= 0/ { locked = NR }
		$0 ~ " close\\(" fd "\\)" && locked { off = NR }
		/ (vfork|clone|clone3|fork)\(/ && !started { started = NR }
		END { exit !(fd && locked && locked < off && off < started) }' trace
else
	skip "the mark is off before the command starts" "no strace, or a build that it would disturb"
fi
done_testing
