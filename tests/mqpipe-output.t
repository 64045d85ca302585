#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe work: whose output is whose, what becomes of a job whose output nobody can have, and what it costs to keep it.
# shellcheck disable=SC2317 # functions are called through check and wait_for
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqo.$$
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $Q $Q.dead; cleanup' EXIT
mqpipe create -c 8 -s 64 $Q
mqpipe create -c 8 -s 128 $Q.dead
all() { mqpipe recv -e "$@" | tr '\n' ,; }
events_are() { [ "$(grep -c "\"event\":\"$1\"" events)" -eq "$2" ]; }

# --- whose it is ---

mkfifo late wrote
cat >leaves <<'SH'
# "leave": a background process that writes when that of "next" has begun, and "next" waits until it has.
case $(cat) in
leave) { read -r x <late; echo LATE; echo late >&2; echo >wrote; } & ;;
reopen) { read -r x <late; echo LATE; echo LATE >&2; echo >wrote; } >>/dev/stdout 2>>/dev/stderr & ;;
full) echo first; { read -r x <late; echo LATE; echo late >&2; echo >wrote; } & ;;
next) echo >late; read -r x <wrote; echo next ;;
esac
SH
for options in '' -k '--tag'; do
	for what in leave reopen full; do
		mqpipe send $Q $what next
		# shellcheck disable=SC2086 # words, or none
		mqpipe work $options -e $Q -- sh leaves >got 2>said
		check "what a job has left behind writes nothing into another's output ($what $options)" \
			test "$(cut -f 2 got | tr '\n' ,)" = "$(test $what != full || echo first,)next,"
		check "nor into its standard error" test ! -s said
	done
done
mqpipe send $Q long
mqpipe send $Q short
status_is 0 "a file that had much in it has nothing of it for the next job" \
	mqpipe work -e $Q -- sh -c 'test "$(cat)" = short && echo short || yes long | head -n 1000'
check "each is shown whole" test "$(printf '%s\n' "$out" | uniq -c | tr -s ' \n' ' ')" = ' 1000 long 1 short '

# --- what it costs ---

# Files that have no name: an output is one.
files_of() { readlink "/proc/$1/fd"/* | grep '(deleted)$' | grep -vc '^/dev/'; }
for options in '' -k; do
	rm -f events
	mqpipe send $Q 1 2 3 4 5 6 7 8
	# shellcheck disable=SC2086 # words, or none
	mqpipe work $options --backoff 99 --events=events $Q -- false &
	worker=$!
	wait_for events_are retry 8
	check "8 jobs that wait to be run again have no files ($options)" test "$(files_of $worker)" -le 2
	kill $worker
	wait $worker 2>/dev/null
	mqpipe flush -q $Q
done

# --- output that cannot be written ---

for options in '' -k; do
	rm -f events
	mqpipe send $Q 1 2 3
	# shellcheck disable=SC2086 # words, or none
	status_is 74 "74: output that cannot be written ($options)" \
		sh -c "mqpipe work $options --events=events $Q -- echo x >/dev/full"
	says "*cannot write what a job has written to standard output*" "says so"
	check "the job is not done: it is in the queue again, and no more is taken" test "$(all $Q)" = 2,3,1,
	check "its events say the same" sh -c "! grep -q '\"done\"' events && grep -q '\"put_back\"' events"
done
mqpipe send $Q 1
status_is 74 "74: with a journal" sh -c "mqpipe work --journal=journal $Q -- echo x >/dev/full"
check "it is in the queue, and only there" test "$(all $Q)$(mqpipe recv --journal=journal -e $Q)" = 1,
mqpipe send $Q 1 2 3
cat >rest <<'SH'
# All are begun before the first may end.
: >begun.$MQPIPE_SLOT
read -r x <&7
echo x
SH
mkfifo gate && exec 7<>gate
mqpipe work -k -j 3 $Q -- sh rest >/dev/full 2>said &
worker=$!
begun() { [ -e begun.1 ] && [ -e begun.2 ] && [ -e begun.3 ]; }
wait_for begun
printf '\n\n\n' >&7
wait $worker
status_is 74 "74: with others that run" sh -c "exit $?"
check "none of them is lost" test "$(all $Q | tr , '\n' | sort | tr -d '\n')" = 123
mqpipe send $Q 1 2
check "what writes nothing is done all the same" sh -c "mqpipe work -e $Q -- true >/dev/full"
mqpipe send $Q 1
{
	mqpipe work $Q -- seq 100000 2>said
	echo $? >status
} | head -n 1 >/dev/null
check "74: the reader has gone" test "$(cat status)" = 74
check "the job is in the queue again" test "$(all $Q)" = 1,

mqpipe rm $Q $Q.dead
done_testing
