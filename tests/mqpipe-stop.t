#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe: when it stops: the end of senders and readers, removal, signals and kills; and that no message is lost by it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqs.$$
V=sysv:mqs.$$
made="$Q $V $Q.B $V.B $Q.long"
mk() { mqpipe create -c 4 -s 64 "$@"; }
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $made; cleanup' EXIT
mk $Q $V
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
is_received() { mqpipe info -s "$1" | grep -qx "MQ_RECEIVERS=$2"; }
all() { mqpipe recv -e "$@" | tr '\n' ,; }
blocks_in() { grep -Eq "^($2) " "/proc/$1/syscall"; } # PID, system calls: 243 and 70 receive, 271 polls, 1 and 20 write
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
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
# The fifo "pipe", which we keep open on descriptor 9, full but for $1 bytes.
fill_pipe() {
	exec 9<&-
	rm -f pipe && mkfifo pipe && exec 9<>pipe
	perl -MFcntl -e 'open my $p, "+<", "pipe" or die; fcntl $p, F_SETFL, O_RDWR | O_NONBLOCK or die;
		1 while syswrite $p, "x" x 4096; 1 while syswrite $p, "x"; sysread $p, my $x, shift' "$1"
}
# What is in it now, without what filled it.
drain_pipe() {
	perl -MFcntl -e 'open my $p, "+<", "pipe" or die; fcntl $p, F_SETFL, O_RDWR | O_NONBLOCK or die;
		while (sysread $p, my $x, 65536) { $x =~ tr/x//d; print $x }'
}

# --- the end of senders ---

mkfifo a b
mqpipe recv --eof $Q >got &
receiver=$!
wait_for blocks_in $receiver 271
mqpipe send $Q <a &
killed=$!
exec 7>a
printf '1\n2\n3\n' >&7
wait_for lines_are got 3
seq 100 199 | mqpipe send $Q
wait_for lines_are got 103
check "--eof: one of two senders has ended: recv waits on" wait_for blocks_in $receiver 271
mqpipe send $Q <b 7>&- &
late=$!
exec 8>b
printf 'late\n' >&8
wait_for lines_are got 104
printf '4\nhalf' >&7
wait_for lines_are got 105
kill -KILL $killed
wait $killed 2>/dev/null
exec 7>&-
check "one is killed in the middle: recv waits on" wait_for blocks_in $receiver 271
printf '\nEOF\n' >&8
exec 8>&-
wait $late
wait $receiver
status_is 0 "the last one ends: so does recv" sh -c "exit $?"
{
	seq 4
	seq 100 199
	printf 'late\n\nEOF\n'
} | sort >sent
sort got | cmp -s - sent
report $? "with every message that was sent, the killed one's too; and no message is an end"
mqpipe send $Q 1 2
check "--eof: senders that have gone before leave what they have sent" test "$(mqpipe recv --eof $Q | tr '\n' ,)" = 1,2,
mqpipe recv --eof $Q >got &
receiver=$!
wait_for blocks_in $receiver 271
mqpipe send $Q </dev/null
wait $receiver
status_is 0 "--eof: a sender that comes and goes without a word is the end too" sh -c "exit $?"
status_is 75 "75: --eof, and no sender comes" mqpipe recv --eof -w 0.05 $Q
mk $Q.B
mqpipe recv --eof $Q $Q.B >got &
receiver=$!
wait_for blocks_in $receiver 271
mqpipe send $Q x
wait_for lines_are got 1
wait_for blocks_in $receiver 271
check "--eof of two queues is the end of both" kill -0 $receiver
mqpipe send $Q.B y
wait $receiver
check "with the messages of both" test "$(tr '\n' , <got)" = x,y,

# --- so many, empty, idle, removed ---

for q in $Q $V; do
	mqpipe send $q 1 2 3 4
	check "$q: -N 1 takes one" test "$(mqpipe recv -N 1 $q)" = 1
	check "and no second" messages_are $q 3
	check "-N 2 takes two" test "$(mqpipe recv -N 2 $q | tr '\n' ,)" = 2,3,
	status_is 75 "75: fewer than -N in time" mqpipe recv -N 2 -n $q
	check "but those there were" test "$out" = 4
	status_is 0 "-e ends when it is empty" mqpipe recv -e $q
	mqpipe send $q 1 2
	status_is 0 "-i ends when no more comes" mqpipe recv -i 0.05 $q
	check "after what was there" test "$out" = "1
2"
	status_is 75 "75: -w is shorter than -i" mqpipe recv -i 9 -w 0.05 $q
	for options in '' -w50; do
		# shellcheck disable=SC2086 # words
		mqpipe recv --until-removed $options $q >got &
		receiver=$!
		mqpipe send $q 1 2
		wait_for lines_are got 2
		wait_for blocks_in $receiver "$(case $q in sysv*) echo 70 ;; *) echo 271 ;; esac)"
		mqpipe rm $q
		wait $receiver
		status_is 0 "--until-removed $options: rm wakes it" sh -c "exit $?"
		mk $q
	done
done
mqpipe recv $V 2>got &
receiver=$!
wait_for blocks_in $receiver 70
mqpipe rm $V
wait $receiver
status_is 69 "69: a sysv queue that is removed otherwise" sh -c "exit $?"
check "says so" grep -qx "mqpipe recv: '$V' was removed" got
mk $V
mqpipe send $V 1 2 3 4 '' "$(printf %064d 0)" "$(printf %064d 1)" "$(printf %064d 2)"
mqpipe send $V "$(printf %064d 3)" 2>got &
sender=$!
wait_for blocks_in $sender 69
mqpipe rm $V
wait $sender
status_is 69 "69: a full sysv queue that is removed while it is sent to" sh -c "exit $?"
mk $V

# --- nobody reads our output ---

mkfifo out
for q in $Q $V; do
	mqpipe send $q 1
	{
		mqpipe recv $q 2>got
		echo $? >status
	} | head -n 1 >taken
	check "$q: recv | head -n 1 ends by itself, with 74" test "$(cat status taken | tr '\n' ,)" = 74,1,
	check "and says why" grep -qx 'mqpipe recv: nobody reads standard output any more: received 1 messages' got
	mqpipe recv $q 2>got >out &
	receiver=$!
	exec 7<out
	wait_for blocks_in $receiver "$(case $q in sysv*) echo 70 ;; *) echo 243 ;; esac)"
	exec 7<&-
	wait $receiver
	status_is 74 "74: a reader that goes while recv waits" sh -c "exit $?"
	mqpipe send $q 1 2 3
	check "what comes then stays in the queue" test "$(all $q)" = 1,2,3,
	mqpipe send $q 1 2 3
	fill_pipe 0
	mqpipe recv $q 2>got >pipe 9<&- &
	receiver=$!
	wait_for blocks_in $receiver "1|20"
	check "a full pipe: one message is in hand" messages_are $q 2
	exec 9<&-
	wait $receiver
	status_is 74 "74: a reader that goes while recv writes" sh -c "exit $?"
	check "the message is put back" grep -q ': it was put back into the queue$' got
	check "all of them are there" test "$(all $q | tr , '\n' | sort | tr -d '\n')" = 123
done

# --- signals ---

saw_term() { ! grep -q '^ShdPnd:.*[4-7c-f]...$' "/proc/$1/status"; }
for q in $Q $V; do
	call=243
	[ "$q" = $Q ] || call=70
	for signal in 15 2 1; do
		rm -f pid
		perl observe mqpipe recv -v $q 2>got >taken &
		wait_for blocks_in "$(pid)" $call
		kill -$signal "$(pid)"
		wait $!
		check "$q: signal $signal while it waits: dies of it" grep -qx "signal $signal" end
		check "having ended in order" grep -qx 'mqpipe recv: received 0 messages' got
		mqpipe send -p 3 $q 1 2
		fill_pipe 0
		rm -f pid
		perl observe mqpipe recv $q >pipe &
		wait_for blocks_in "$(pid)" "1|20"
		check "a full pipe: one message is in hand" messages_are $q 1
		kill -$signal "$(pid)"
		wait $!
		check "signal $signal then: dies of it" grep -qx "signal $signal" end
		check "nothing was written" test "$(drain_pipe)" = ''
		check "and nothing is lost: both are in the queue" test "$(mqpipe recv -eP $q | sort | tr '\n' ,)" = '3	1,3	2,'
	done
done
mqpipe send $Q x
fill_pipe 0
mqpipe recv $Q 2>got >pipe &
receiver=$!
wait_for blocks_in $receiver "1|20"
mqpipe send $Q 1 2 3 4
kill $receiver
wait $receiver 2>/dev/null
check "what cannot go back, as the queue has filled up, is not lost in silence" grep -q 'LOST is a message of 1 bytes, number 0' got
mqpipe flush -q $Q
(trap '' TERM && exec mqpipe recv -N 1 $Q >taken) &
wait_for blocks_in $! 243
kill $!
mqpipe send $Q x
wait $!
status_is 0 "a signal that was ignored is ignored still" sh -c "exit $?"
mqpipe create -c 2 -s 8192 $Q.long
perl -e 'print "y" x 8000, "\n"' >long
for how in once twice; do
	mqpipe send $Q.long <long
	fill_pipe 4096
	rm -f pid
	perl observe mqpipe recv $Q.long >pipe 9<&- &
	wait_for blocks_in "$(pid)" "1|20"
	kill "$(pid)"
	wait_for saw_term "$(pid)"
	check "TERM when half of a message is written: it is not cut off" wait_for blocks_in "$(pid)" "1|20"
	if [ $how = once ]; then
		exec 8<pipe 9<&-
		tr -d x <&8 >taken
		exec 8<&-
		wait $!
		check "but written to its end" cmp taken long
	else
		kill "$(pid)"
		wait $!
		check "a second TERM ends it nevertheless" test "$(drain_pipe | wc -c)" -eq 4096
	fi
	check "and then it dies of that signal" grep -qx 'signal 15' end
done

# --- readers ---

mqpipe send --need-reader=50 $Q x &
sender=$!
wait_for blocks_in $sender 271
check "--need-reader=50 is woken by a reader that comes" test "$(mqpipe recv -N 1 $Q)" = x
wait $sender
status_is 0 "and sends" sh -c "exit $?"
fill_pipe 0
mqpipe recv $Q >pipe 9<&- &
receiver=$!
wait_for is_received $Q yes
seq 10 | mqpipe send --need-reader $Q 2>got &
sender=$!
wait_for messages_are $Q 4
wait_for blocks_in $sender 271
check "--need-reader: a full queue that is received from is waited for" kill -0 $sender
kill -KILL $receiver
wait $receiver 2>/dev/null
wait $sender
status_is 69 "69: its receiver is killed" sh -c "exit $?"
check "says what is not sent" grep -q "^mqpipe send: nobody receives from '$Q': sent 5 messages, .*at byte 10 of the input" got
check "a killed receiver leaves no lock behind" is_received $Q no
check "what was not received is there" test "$(all $Q)" = 2,3,4,5,
check "nor does a killed sender" timeout 20 sh -c "mqpipe send $Q <a & exec 7>a; echo 1 >&7; mqpipe wait -q $Q; kill -9 \$!; mqpipe recv --eof $Q"

# --- journals ---

for q in $Q $V; do
	call=243
	[ "$q" = $Q ] || call=70
	mqpipe send -p 2 $q first second
	fill_pipe 0
	mqpipe recv --journal=journal $q >pipe &
	receiver=$!
	wait_for blocks_in $receiver "1|20"
	check "--journal is for us alone" test "$(stat -c %a journal)" = 700
	check "a message that is being delivered has a receiver: nobody else gets it" \
		test "$(mqpipe recv --journal=journal -N 1 -e $q)" = second
	kill -KILL $receiver
	wait $receiver 2>/dev/null
	mqpipe send -p 9 $q third
	check "$q: another queue's receiver leaves it alone" test "$(mqpipe recv --journal=journal -e "$q.B" -c 1 -s 8)" = ''
	mqpipe recv -P --journal=journal -e $q >taken 2>got
	check "killed in writing: the next receiver writes that message first" test "$(tr '\n' , <taken)" = '2	first,9	third,'
	check "and says that it may have been written" grep -qx 'mqpipe recv: message 1 may have been written before: its receiver was killed' got
	check "no orphan is left" test "$(find journal -type f)" = ''
	mqpipe recv --journal=journal $q >taken &
	receiver=$!
	wait_for blocks_in $receiver "$call"
	kill -KILL $receiver
	wait $receiver 2>/dev/null
	check "killed in waiting: nothing is made up" test "$(mqpipe recv --journal=journal -e $q 2>&1)" = ''
	mqpipe send $q x
	fill_pipe 0
	mqpipe recv --journal=journal $q >pipe &
	receiver=$!
	wait_for blocks_in $receiver "1|20"
	kill $receiver
	wait $receiver 2>/dev/null
	check "TERM: the message is in the queue, not in the journal too" test "$(mqpipe recv --journal=journal -e $q 2>&1)" = x
	status_is 74 "74: with a journal" sh -c "mqpipe send $q y && mqpipe recv --journal=journal $q >/dev/full"
	check "the message is there, once" test "$(mqpipe recv --journal=journal -e $q 2>&1)" = y
done
mqpipe send $Q x
fill_pipe 0
mqpipe recv --journal=journal $Q 2>got >pipe &
receiver=$!
wait_for blocks_in $receiver "1|20"
mqpipe send $Q 1 2 3 4
kill $receiver
wait $receiver 2>/dev/null
check "TERM, and the queue has filled up: it is kept in the journal" test "$(mqpipe recv --journal=journal -e $Q 2>/dev/null | tr '\n' ,)" = x,1,2,3,4,
mkdir -m 777 open && ln -s journal link && echo >file
status_is 77 "77: a journal that others can write to" mqpipe recv -n --journal=open $Q
says "mqpipe recv: 'open' is not a directory that only you can write to*" "says so"
for f in link file no/such; do
	check "a journal that is '$f' is refused" sh -c "mqpipe recv -n --journal=$f $Q; test \$? -ge 65 -a \$? -ne 75"
done

# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
