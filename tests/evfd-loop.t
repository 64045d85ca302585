#!/bin/sh
# SPDX-License-Identifier: MIT
# evfd loop: a run for each burst, one after the last event in any case, and how it stops.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
unset EVFD EVFD_COUNT

E=evl.$$
MOST=18446744073709551614
trap 'evfd rm -f $E; cleanup' EXIT
mk() { evfd create "$@" >/dev/null; }
dozes() { grep -Eq '^271 0x[0-9a-f]+ 0x2 ' "/proc/$1/syscall"; }
# Its command runs.
runs() { grep -q '^271 0x0 0x0 ' "/proc/$1/syscall"; }
value_is() { [ "$(evfd get "$1")" = "$2" ]; }
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
sum() { awk '{ n += $1 } END { print n + 0 }' "$1"; }
sum_is() { [ "$(sum "$1")" = "$2" ]; }
same() { cmp -s "$1" "$2"; }
# The loop of PID ends because of the removal.
ends() { # PID CLAIM
	evfd rm $E
	wait "$1"
	status_is 69 "$2" sh -c "exit $?"
}
cat >observe <<'PERL'
# Run it with signals as an interactive shell has them. Its pid goes to the file "pid", and to "end" the signal that
# ended it, or its status: wait(1) tells no more than 128 + N, which anybody can exit with.
my $pid = fork // die;
if (!$pid) {
	$SIG{$_} = 'DEFAULT' for qw(HUP INT TERM);
	exec @ARGV or die;
}
open my $f, '>', 'pid.new' or die;
print $f "$pid\n";
close $f;
rename 'pid.new', 'pid';
waitpid $pid, 0;
open $f, '>', 'end' or die;
print $f $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8), "\n";
PERL
pid() { wait_for test -s pid && cat pid; }
mkfifo go

# --- runs ---

mk $E
evfd add $E 3
status_is 0 "-N 1: one run" evfd loop -N 1 $E -- sh -c 'echo $EVFD_COUNT'
check "with what was taken" test "$out" = 3
status_is 75 "75: -n, and nothing is there" evfd loop -n $E -- echo
check "COMMAND was not run" test "$out" = ''
evfd add $E
status_is 75 "75: -w, when no more comes" evfd loop -w 0.02 $E -- echo run
check "after what came" test "$out" = run
evfd add $E
status_is 3 "-e: COMMAND's status" evfd loop -e $E -- sh -c 'exit 3'
evfd add $E
status_is 75 "without it the loop goes on" evfd loop -n $E -- sh -c 'exit 3'
for number in 126 127; do
	evfd add $E 2
	status_is $number "$number ends it" evfd loop $E -- sh -c "exit $number"
	check "and leaves the event to be dealt with" test "$(evfd reset $E)" = 2
done
check "COMMAND has our standard input" test "$(evfd add $E; echo in | evfd loop -N 1 $E -- cat)" = in
check "an inherited event" test "$(evfd run -i 2 evfd loop -N 1 -- sh -c 'evfd get; echo $EVFD_COUNT' | tr '\n' ,)" = 0,2,
check "COMMAND can add for the next run" test "$(evfd run -i 2 evfd loop -N 3 -- sh -c 'echo $EVFD_COUNT; evfd add - 5' | tr '\n' ,)" = 2,5,5,
check "all that a semaphore has is one run" test "$(evfd run -S -i 500 evfd loop -qn -- sh -c 'echo $EVFD_COUNT')" = 500
check "the most there can be" test "$(evfd run -i $MOST evfd loop -qn -- sh -c 'echo $EVFD_COUNT')" = $MOST
evfd loop $E -- sh -c 'echo $EVFD_COUNT >>got; read x <go' 2>>said &
loop=$!
wait_for dozes $loop
evfd add $E
wait_for exists got
evfd add $E
evfd add $E 2
evfd add $E
release go
wait_for sum_is got 5
check "what is added while COMMAND runs is one more run" test "$(tr '\n' , <got)" = 1,4,
release go
check "and no third" wait_for dozes $loop
check "at all" lines_are got 2
ends $loop "69: rm ends it"
mk $E
rm got
evfd loop $E -- sh -c 'echo >>got; read x <go' 2>>said &
loop=$!
wait_for dozes $loop
evfd add $E
wait_for runs $loop
evfd rm $E
release go
wait $loop
status_is 69 "69: removed while COMMAND runs: that ends first" sh -c "exit $?"

# --- bursts ---

mk $E
rm -f got
evfd loop --debounce 2 $E -- sh -c 'echo $EVFD_COUNT >>got' 2>>said &
loop=$!
wait_for dozes $loop
seq 1000 | xargs -P 4 -I N evfd add $E
wait_for sum_is got 1000
check "--debounce: 1,000 adds, a handful of runs" test "$(wc -l <got)" -le 20
echo "# runs: $(wc -l <got)"
check "which have all of them" sum_is got 1000
check "nothing is left" value_is $E 0
ends $loop "69: rm ends it"
mk $E
rm got
# So long that we are faster in any case; the removal ends the burst.
evfd loop --debounce 99 $E -- sh -c 'echo $EVFD_COUNT >>got' 2>>said &
loop=$!
wait_for dozes $loop
evfd add $E
wait_for value_is $E 0
check "a run waits for the pause" test ! -e got
evfd add $E
wait_for value_is $E 0
check "also after what came meanwhile" test ! -e got
ends $loop "69: rm ends it"
check "and the run has what came before it" sum_is got 2
check "in one run" lines_are got 1
mk $E
rm got
# The shell's own job becomes the loop's child, of whose end it is told.
sh -c "{ read x <go; } & exec evfd loop --debounce 99 $E -- sh -c 'echo \$EVFD_COUNT >>got'" 2>>said &
loop=$!
wait_for dozes $loop
evfd add $E
wait_for value_is $E 0
release go
wait_for grep -q '^State:	Z' "/proc/$(cut -d ' ' -f 1 "/proc/$loop/task/$loop/children")/status"
evfd add $E
wait_for value_is $E 0
check "the end of another child does not cut a burst short" test ! -e got
ends $loop "69: rm ends it"
check "it is one run" lines_are got 1
cat >flood <<'PERL'
open my $f, '>&=', 3 or die;
syswrite $f, pack 'Q', 1 while 1;
PERL
for mode in '' -S; do
	for options in '' '--debounce 50ms'; do
		# shellcheck disable=SC2086 # words
		evfd run $mode sh -c 'perl flood & flood=$!; evfd loop -N 2 $1 -- sh -c "echo run"; kill $flood' - "$options" >got 2>/dev/null
		check "who adds all the time cannot keep it from running ($mode $options)" lines_are got 2
	done
done

# --- no event is missed ---

mk $E
echo 0 >source
evfd loop $E -- sh -c 'cat source >target' 2>>said &
loop=$!
wait_for dozes $loop
i=0
while [ $i -lt 300 ]; do
	i=$((i + 1))
	echo $i >source.new && mv source.new source
	evfd add $E
done
check "300 changes, one by one: the last run began after the last" wait_for same source target
ends $loop "69: rm ends it"
mkdir src
cat >Makefile <<'MAKE'
.PHONY: built # the times of files are too coarse for 60 changes
built:
	@cat src/* >$@
MAKE
mk $E
evfd loop --debounce 20ms $E -- make -s 2>/dev/null &
loop=$!
wait_for dozes $loop
for writer in 1 2 3; do
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		echo $writer.$i >src/$writer.$((i % 5))
		evfd add $E
	done &
	writers="${writers:-} $!"
done
# shellcheck disable=SC2086 # a list
wait $writers
built() { cat src/* | cmp -s - built; }
check "rebuild on change: three writers, 60 changes, the result is up to date" wait_for built
touch src/new
evfd add $E
echo changed >src/1.0
evfd add $E
check "and stays so" wait_for built
ends $loop "69: rm ends it"

# --- signals ---

mk $E
for signal in 15 2 1; do
	rm -f pid end
	perl observe evfd loop $E -- touch ran &
	wait_for dozes "$(pid)"
	kill -$signal "$(pid)"
	wait $!
	check "signal $signal while it waits: dies of it" grep -qx "signal $signal" end
	rm -f pid end got
	perl observe evfd loop $E -- sh -c "trap 'echo told >>got; exit 0' $signal; echo >ready; while :; do read x <go; done 2>/dev/null" &
	wait_for dozes "$(pid)"
	evfd add $E
	wait_for exists ready
	wait_for runs "$(pid)"
	evfd add $E 4
	kill -$signal "$(pid)"
	wait $!
	check "signal $signal while COMMAND runs: that is told, once" test "$(cat got)" = told
	check "then the loop dies of it" grep -qx "signal $signal" end
	check "what came meanwhile is there" test "$(evfd reset $E)" = 4
	rm -f ready
done
rm -f pid end
perl observe evfd loop --debounce 99 $E -- touch ran 2>>said &
wait_for dozes "$(pid)"
evfd add $E 3
wait_for value_is $E 0
kill "$(pid)"
wait $!
check "TERM in a burst: dies of it" grep -qx 'signal 15' end
check "COMMAND was not run" test ! -e ran
check "and what was taken is there again" test "$(evfd reset $E)" = 3
rm -f pid end
perl observe evfd loop $E -- sh -c "trap '' TERM; echo >ready; read x <go; echo done >late" 2>>said &
wait_for dozes "$(pid)"
evfd add $E
wait_for exists ready
kill "$(pid)"
saw_term() { ! grep -q '^ShdPnd:.*[4-7c-f]...$' "/proc/$1/status"; }
wait_for saw_term "$(pid)"
check "a COMMAND that ignores it is waited for" wait_for runs "$(pid)"
kill "$(pid)"
wait $!
check "a second TERM ends the loop at once" grep -qx 'signal 15' end
check "and COMMAND goes on" test ! -e late
release go
wait_for exists late
rm -f pid end ready
evfd reset $E >/dev/null
(trap '' TERM && exec evfd loop -N 1 $E -- true) &
wait_for dozes $!
kill $!
evfd add $E
wait $!
status_is 0 "a signal that was ignored is ignored still" sh -c "exit $?"
evfd loop $E -- sh -c 'echo >ready; read x <go; echo done >killed' 2>>said &
loop=$!
wait_for dozes $loop
evfd add $E
wait_for exists ready
kill -KILL $loop
wait $loop 2>/dev/null
release go
check "kill -9 of the loop: COMMAND goes on" wait_for exists killed
evfd rm $E

# --- at a terminal ---

cat >witness <<'PERL'
# Writes down each INT, until there is a file "enough".
$SIG{INT} = sub { open my $f, '>>', 'seen'; print $f "INT\n" };
open my $f, '>', 'witness.new';
print $f getppid, "\n";
close $f;
rename 'witness.new', 'loop.pid';
select undef, undef, undef, 0.01 until -e 'enough';
PERL
if command -v script >/dev/null; then
	mkfifo keys
	for who in terminal another; do
		rm -f seen loop.pid enough
		mk $E
		evfd add $E
		# Background jobs ignore INT, and so would all that is run from here.
		timeout -s KILL 60 perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' \
			script -qefc "exec evfd loop $E -- perl witness" screen <keys >/dev/null 2>&1 &
		terminal=$!
		exec 7>keys
		wait_for exists loop.pid
		wait_for runs "$(cat loop.pid)"
		if [ $who = terminal ]; then
			printf '\003' >&7
		else
			kill -INT "$(cat loop.pid)"
		fi
		wait_for test -s seen
		# When the loop has had it, too.
		saw_int() { ! grep -Eq '^(Sig|Shd)Pnd:.*[2367abef]$' "/proc/$1/status"; }
		wait_for saw_int "$(cat loop.pid)"
		: >enough
		wait $terminal
		status_is 130 "INT from $who: COMMAND has it, then the loop dies of it" sh -c "exit $?"
		check "and it has it once" test "$(cat seen)" = INT
		exec 7>&-
		evfd rm $E
	done
else
	skip "INT from a terminal" "no script(1) here"
fi

# --- what a careful reading has found ---

if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	evfd create late.$$ >/dev/null
	evfd add late.$$ 5
	status_is 126 "126: no process can be started" strace -o /dev/null -f \
		-e inject=vfork,clone:error=EAGAIN evfd loop -N 1 late.$$ -- true
	check "what was taken is back" test "$(evfd get late.$$)" = 5
	evfd rm late.$$
	status_is 71 "71: a holder that ends at once is none" strace -o /dev/null -f -P /dev/null \
		-e inject=open,openat:error=ENOENT evfd create late.$$
fi
evfd create late.$$ >/dev/null
evfd loop -q --debounce 99 late.$$ -- sh -c 'echo $EVFD_COUNT >late' 2>/dev/null &
loop=$!
evfd add late.$$ 3
emptied() { [ "$(evfd get late.$$)" = 0 ]; }
wait_for emptied
evfd rm late.$$
wait $loop
check "removed in the middle of a burst, it still runs" test "$(cat late)" = 3
done_testing
