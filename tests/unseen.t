#!/bin/sh
# SPDX-License-Identifier: MIT
# Who has something, where /proc does not show it at first sight: by a thread that has outlived the main one, whose files,
# maps and command are gone there; by a descriptor that is under way in a socket; as one that is just about to end.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
exists() { [ -e "$1" ]; }
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
N=unseen$$

# --- threads that have outlived the main one ---

made outlived flock L
a=$!
check "a lock: its holder" test "$(people holders 'pid fd inherited' lock L)" = "$a 3 false"
check "with its command" test "$(people holders command lock L)" = "./own outlived flock L"
check "the name of the lock" test "$(field name lock L)" = "flock:$PWD/L"
check "--who has it" sh -c "lockrun --who L | grep -q '^holds  *$a '"
status_is 75 "who gives up" lockrun -n L true
says "*pid $a (own*" "says who is in the way"
status_is 0 "--replace ends it" lockrun -w 60 --replace L true
kill -KILL $a 2>/dev/null
wait $a
report $(($? != 143)) "by the signal"

made outlived ofd R w 10 5
a=$!
check "a range" test "$(people holders 'pid start length' lock ofd:R)" = "$a 10 5"
lockrun ofd:R ./own outlived flock S &
b=$!
sees_waiter() { [ "$(pids waiters lock ofd:R)" = $b ]; }
check "and who waits for it" wait_for sees_waiter
kill $a
wait_for exists S
job_holds() { [ "$(pids holders lock S | wc -w)" -eq 1 ]; }
wait_for job_holds
job=$(pids holders lock S)
check "a descriptor that it has inherited" same "$(pids holders lock ofd:R)" "$(printf '%s\n' $b "$job" | sort -n | tr '\n' ' ' | sed 's/ $//')"
kill $b
wait $b 2>/dev/null

if [ -d /dev/shm ] && [ -z "${STATIC-}" ] && [ "$(getconf LONG_BIT)" = 64 ]; then
	made outlived semopen /$N 3
	a=$!
	check "a semaphore that it has mapped" test "$(pids users sem posix:/$N)" = $a
	kill $a
	made outlived semwait /$N.w 0
	a=$!
	check "and one that it waits for" wait_for waiting $a sem posix:/$N.w
	kill $a
	rm -f /dev/shm/sem.$N /dev/shm/sem.$N.w
else
	skip "posix: semaphores" "no /dev/shm, or a libc or machine whose semaphores are others"
fi
made outlived mqopen /$N
a=$!
check "a queue that it has open" test "$(pids holders mq posix:/$N)" = $a
check "and what is in it" test "$(field value mq posix:/$N)" = 0
kill $a
mqpipe rm /$N

# The job goes on when the shell has heard the signal: only who sees that it lives ends it.
timeout -s KILL 60 lockrun --max-run=200ms --kill-after=200ms M sh -c './own outlived flock X & wait' 2>err.txt
status=$?
check "--max-run: it is killed with all the others (status $status)" test $status -eq 124
report $(($(pids holders lock X 2>/dev/null | wc -w) != 0)) "none is left"

# --- a descriptor that is under way ---

made flight F
a=$!
status_is 77 "77: --replace of a lock whose holder cannot be seen" lockrun --replace F true
says "lockrun: cannot replace the holder of 'F': it cannot be seen from here*" "that is said"
check "nobody was signalled" kill -0 $a
kill $a
made flight G until-asked
a=$!
status_is 0 "one that lets go in a moment was about to end" lockrun -w 60 --replace G true
[ $status -eq 0 ] || kill $a
wait $a
report $? "and was not signalled"

# --- one that gives up much memory, and then its files ---

# For a user other than root it is closed meanwhile. It has been killed, and is not to be asked.
mkdir -m 777 theirs
lockrun=$(anybodys_bin)/lockrun
cat >theirs/replaced <<'SH'
perl -e 'use Fcntl ":flock"; open my $l, ">>", "L" or die; flock $l, LOCK_EX or die; my $x = "x" x 3e8; print "up\n"; close STDOUT; sleep 600' >up & # ok: a job
read -r _ <up
kill -KILL $!
exec "$1" -w 60 --replace L true
SH
mkfifo -m 666 theirs/up
as_user() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
five_times() { for _ in 1 2 3 4 5; do as_user sh -c 'cd theirs && . ./replaced' sh "$lockrun" || return; done; }
status_is 0 "who is killed is waited for, and not closed to its own user" five_times
done_testing
