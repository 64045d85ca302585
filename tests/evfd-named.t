#!/bin/sh
# SPDX-License-Identifier: MIT
# evfd: an event with a name: crowds, ends, kills, other users, and what its holder is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
unset EVFD EVFD_COUNT

E=evn.$$
MOST=18446744073709551614
trap 'evfd rm -f $E $E.2 $E.3; cleanup' EXIT
dozes() { grep -Eq '^271 0x[0-9a-f]+ 0x2 ' "/proc/$1/syscall"; }
# shellcheck disable=SC2046 # a list
dozing_are() { [ "$(grep -lE '^271 0x[0-9a-f]+ 0x2 ' $(printf '/proc/%s/syscall ' $1) | wc -l)" -eq "$2" ]; }
value_is() { [ "$(evfd get "$1")" = "$2" ]; }
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
# NAME, or UID/NAME as root sees it: the pid of its holder
holder_of() { evfd ls | awk -v name="$1" '$1 == name { print $7 }'; }
stopped() { grep -q '^State:	T' "/proc/$1/status"; }
mk() { evfd create "$@" >/dev/null; }
no_such() { evfd get "$1" 2>/dev/null; [ $? -eq 66 ]; }
field() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f $(($2 - 2)); }
kill_now() { kill -KILL "$1" && wait_for gone "$1"; }

# --- create, rm, ls ---

status_is 0 "create" evfd create $E
check "prints the name" test "$out" = $E
holder=$(holder_of $E)
check "ls tells of it" test "$(evfd ls | grep "^$E ")" = "$E 0 counter mode 600 holder $holder uid $(id -u)"
check "ls --json, too" sh -c "evfd ls --json | grep -Fq '{\"name\":\"$E\",\"uid\":$(id -u),\"value\":0,\"semaphore\":false,\"mode\":\"600\",\"holder\":$holder}'"
check "UID/NAME is the same, and so is holder:NAME" sh -c "evfd add $(id -u)/$E && evfd add holder:$E && test \$(evfd wait $E) = 2"
status_is 73 "-x: it is taken" evfd create -x $E
says "evfd create: cannot create '$E': it exists" "so it says"
status_is 0 "without -x it is used" evfd create -i 9 $E
check "as it is" value_is $E 0
status_is 0 "rm" evfd rm $E
check "the name is free at once" no_such $E
check "the holder has gone" wait_for gone "$holder"
status_is 66 "66: rm again" evfd rm $E
says "evfd rm: no event '$E'" "so it says"
status_is 0 "rm -f" evfd rm -f $E
mk $E && mk $E.3
status_is 66 "rm of several removes those it can" evfd rm $E $E.2 $E.3
check "all of them" sh -c "! evfd ls | grep -E '^$E'"
mk -i 4 -S $E
check "-i, -S" test "$(evfd ls | grep "^$E " | cut -d ' ' -f 2-5)" = "4 semaphore mode 600"
check "a wait takes 1" test "$(evfd wait $E; evfd get $E)" = "1
3"
evfd rm $E
mk -i $MOST $E
check "-i of the most" value_is $E $MOST
evfd rm $E
i=0
while [ $i -lt 20 ]; do
	mk -x $E && evfd rm $E || echo "$i" >>missed
	i=$((i + 1))
done
check "create -x and rm, 20 times: never taken, never missing" test ! -e missed
for i in 1 2 3 4 5 6 7 8; do
	evfd create -x $E >>made 2>/dev/null &
	echo $! >>makers
done
for maker in $(cat makers); do wait "$maker"; done
check "8 make it with -x at once: one does" lines_are made 1
evfd rm $E

# --- ends by itself ---

mk --ttl 30 $E
check "--ttl: it is there" value_is $E 0
evfd rm $E
# Long enough for who waits to come before its end.
for ttl in 0.3 3 30; do
	mk --ttl $ttl $E
	evfd wait $E 2>err &
	wait $!
	ended=$?
	[ $ended -eq 66 ] || break
done
status_is 69 "--ttl: it ends, and who waits is told" sh -c "exit $ended"
check "that it was removed" grep -qx "evfd wait: '$E' was removed" err
check "the name is free" no_such $E
mkfifo go
sh -c 'read x <go' &
other=$!
mk --while $other $E
evfd gate $E 2>err &
gate=$!
wait_for dozes $gate
release go
wait $gate
status_is 69 "--while: it ends with that process" sh -c "exit $?"
check "the name is free" no_such $E
wait $other
for signal in TERM INT HUP; do
	# What its maker ignores, as nohup(1) has it, the holder does.
	perl -e '$SIG{$_} = "DEFAULT" for qw(TERM INT HUP); exec @ARGV' evfd create $E >/dev/null
	evfd gate $E 2>err &
	gate=$!
	wait_for dozes $gate
	perl -e 'kill shift, shift' $signal "$(holder_of $E)"
	wait $gate
	status_is 69 "$signal to the holder is as rm" sh -c "exit $?"
	check "it says so" grep -qx "evfd gate: '$E' was removed" err
	check "the name is free" no_such $E
done

# --- crowds ---

mk $E
check "1,000 adds from 1,000 processes" sh -c "seq 1000 | xargs -P 16 -n 1 setsid -w evfd add $E"
check "are exactly their sum" value_is $E 500500
check "a wait takes all of it" test "$(evfd wait $E)" = 500500
crowd() { # N ARGUMENT...: so many evfd in the background, $crowd
	n=$1 crowd=''
	shift
	while [ "$n" -gt 0 ]; do
		evfd "$@" >>passed &
		crowd="$crowd $!"
		n=$((n - 1))
	done
}
all_pass() { for pid in $crowd; do wait "$pid" || return; done; }
crowd 100 gate $E
check "100 wait at a gate" wait_for dozing_are "$crowd" 100
evfd add $E
check "one add: all of them pass" all_pass
check "and take nothing" value_is $E 1
evfd reset $E >/dev/null
crowd 20 latch $E 100
wait_for dozing_are "$crowd" 20
seq 99 | xargs -P 8 -I N evfd 'done' $E
check "a latch of 100, at 99: nobody has passed" wait_for dozing_are "$crowd" 20
status_is 75 "nor does one who looks now" evfd latch -n $E 100
evfd 'done' $E
check "at 100 all do" all_pass
status_is 0 "and who looks now" evfd latch -n $E 100
status_is 75 "but not a latch of 101" evfd latch -n $E 101
evfd rm $E && mk -S $E
: >passed
crowd 20 wait $E
wait_for dozing_are "$crowd" 20
evfd add $E 7
wait_for lines_are passed 7
check "7 permits for 20 waiters: 13 sleep on" wait_for dozing_are "$crowd" 13
check "and 7 were served" lines_are passed 7
evfd add $E 13
check "13 more: all are" all_pass
check "and nothing is left" value_is $E 0
evfd rm $E

# --- no room ---

mk $E
evfd add $E $MOST
status_is 75 "75: add -n, where there is no room" evfd add -n $E
says "evfd add: cannot add to '$E': not now" "so it says"
evfd add $E &
adder=$!
evfd add $E 5 &
second=$!
wait_for dozes $adder
wait_for dozes $second
check "an add waits" kill -0 $adder
check "until there is room" test "$(evfd wait $E)" = $MOST
wait $adder
wait $second
check "then it adds" value_is $E 6
evfd rm $E

# --- kills ---

for how in kill rm; do
	mk $E
	i=0 pids=''
	for action in "wait $E" "gate $E" "latch $E 2" "exec $E -- true" "loop $E -- true"; do
		# shellcheck disable=SC2086 # words
		evfd $action 2>err.$i &
		pids="$pids $!"
		i=$((i + 1))
	done
	wait_for dozing_are "$pids" 5
	holder=$(holder_of $E)
	if [ $how = kill ]; then
		kill_now "$holder"
	else
		evfd rm $E
	fi
	check "$how: the name is free at once" no_such $E
	i=0
	for pid in $pids; do
		wait "$pid"
		status_is 69 "$how: every waiter ends with 69 ($i)" sh -c "exit $?"
		if [ $how = kill ]; then
			check "and says why" grep -qx "evfd [a-z]*: the holder of '$E' has died" err.$i
		else
			check "and says why" grep -qx "evfd [a-z]*: '$E' was removed" err.$i
		fi
		i=$((i + 1))
	done
	mk -i $MOST $E
	evfd add $E 2>err &
	adder=$!
	wait_for dozes $adder
	if [ $how = kill ]; then
		kill_now "$(holder_of $E)"
	else
		evfd rm $E
	fi
	wait $adder
	status_is 69 "$how: so does an add that waits for room" sh -c "exit $?"
	status_is 0 "$how: a new one can be made" evfd create -x -i 3 $E
	check "and is one" value_is $E 3
	evfd rm $E
done
mk $E
i=0
while [ $i -lt 10 ]; do
	evfd wait $E &
	pids=$!
	evfd gate $E &
	pids="$pids $!"
	evfd latch $E 1000 &
	pids="$pids $!"
	wait_for dozing_are "$pids" 3
	# shellcheck disable=SC2086 # a list
	kill -KILL $pids
	# shellcheck disable=SC2086
	wait $pids
	i=$((i + 1))
done 2>/dev/null # the shell's "Killed"
evfd gate $E &
gate=$!
wait_for dozes $gate
check "kill -9 of 30 waiters: the others wait" kill -0 $gate
evfd add $E 2
wait $gate
status_is 0 "and pass" sh -c "exit $?"
check "nothing is lost" value_is $E 2
evfd reset $E >/dev/null
evfd add $E $MOST
evfd add $E 7 &
pids=$!
wait_for dozes $pids
kill -KILL $pids
wait $pids 2>/dev/null
check "kill -9 of an adder that waits: it has added nothing" test "$(evfd wait $E)" = $MOST
status_is 0 "and others can" evfd add -n $E
check "exactly theirs" test "$(evfd wait $E)" = 1

# --- a holder that does not answer ---

holder=$(holder_of $E)
evfd gate $E &
gate=$!
wait_for dozes $gate
kill -STOP "$holder"
wait_for stopped "$holder"
evfd rm $E 2>err.rm &
rm=$!
status_is 69 "69: a holder that does not answer, after 5 seconds" evfd get $E
says "evfd get: cannot open '$E': its holder does not answer" "so it says"
wait $rm
status_is 69 "69: rm of it" sh -c "exit $?"
check "so it says" grep -qx "evfd rm: cannot remove '$E': its holder does not answer" err.rm
check "ls names it all the same" sh -c "evfd ls | grep -q '^$E ? '"
kill -CONT "$holder"
evfd add $E
wait $gate
status_is 0 "awake again, it does" sh -c "exit $?"
evfd rm -f $E

# --- who holds the name without being a holder ---

cat >squat <<'PERL'
use Socket;
socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die;
bind $s, pack_sockaddr_un("\0libsync-event/$ARGV[0]") or die "bind: $!";
listen $s, 9 or die;
open my $f, '>', 'squats' or die;
close $f;
while (accept my $c, $s) {
	send $c, 'x' x 20, 0;
}
PERL
chmod 777 . && chmod 711 "$scratch"
perl squat "$(id -u)/$E" &
squatter=$!
wait_for exists squats
status_is 65 "65: what answers is no holder" evfd get $E
says "evfd get: cannot open '$E': what answers there is no holder of ours" "so it says"
kill $squatter
wait $squatter 2>/dev/null
if [ "$(id -u)" -eq 0 ]; then
	chmod 777 "$scratch"
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups"
	ours="setpriv --reuid=65534 --regid=0 --clear-groups"
	rm squats
	$drop perl squat 0/$E &
	squatter=$!
	wait_for exists squats
	for action in 'add' 'wait' 'get' 'gate' 'done' 'reset' 'rm' 'create'; do
		status_is 77 "77: another user has taken our name: $action" evfd "$action" $E
		says "evfd $action: *another user*" "so it says"
	done
	check "ls tells" sh -c "evfd ls | grep -qx '$E ? Permission denied'"
	kill $squatter
	wait $squatter 2>/dev/null
	check "when it has gone, the name is ours" evfd create -x $E
	# shellcheck disable=SC2086 # words, from here on
	{
		for action in add wait get gate reset rm; do
			status_is 77 "77: another user's event: $action" $drop "$BUILD/bin/evfd" $action 0/$E
		done
		check "whose own events have the same name" $drop "$BUILD/bin/evfd" create -x $E
		status_is 77 "77: nor can one take a name for us" $drop "$BUILD/bin/evfd" create 0/$E.2
		check "root uses it as UID/NAME" evfd add 65534/$E 3
		check "it is another one" value_is $E 0
		check "and ls shows it" test "$(evfd ls | grep "^65534/$E " | cut -d ' ' -f 2,9)" = "3 65534"
		check "each sees its own" test "$($drop "$BUILD/bin/evfd" ls | grep "$E ")" = "$(evfd ls | grep "^65534/$E " | sed 's,^65534/,,')"
		status_is 0 "root may remove it" evfd rm 65534/$E
		evfd rm $E && evfd create -m 666 $E >/dev/null
		status_is 0 "-m 666: everybody may add" $drop "$BUILD/bin/evfd" add 0/$E
		status_is 0 "and wait" $drop "$BUILD/bin/evfd" wait 0/$E
		status_is 77 "77: but not remove" $drop "$BUILD/bin/evfd" rm 0/$E
		says "evfd rm: cannot remove '0/$E': it belongs to another user" "so it says"
		evfd rm $E && evfd create -m 660 $E >/dev/null
		status_is 0 "-m 660: our group may add" $ours "$BUILD/bin/evfd" add 0/$E
		status_is 77 "77: others may not" $drop "$BUILD/bin/evfd" add 0/$E
		$drop "$BUILD/bin/evfd" create -m 600 $E.3 >/dev/null
		status_is 0 "-m 600: root may" evfd add 65534/$E.3
		evfd rm $E 65534/$E.3
	}
else
	skip "another user's name" "needs root to be two"
fi

# --- what the holder is ---

mkdir here
(cd here && exec lockrun ../L evfd create $E) >/dev/null 8</dev/null 9<squat
holder=$(holder_of $E)
check "it keeps no lock of its maker" lockrun -n L true
check "no directory" test "$(readlink "/proc/$holder/cwd")" = /
check "no session, no process group" test "$(field "$holder" 5),$(field "$holder" 6)" = "$holder,$holder"
check "no terminal" test "$(field "$holder" 7)" = 0
check "no standard streams" test "$(readlink "/proc/$holder/fd/0" "/proc/$holder/fd/1" "/proc/$holder/fd/2" | sort -u)" = /dev/null
check "no descriptors but its own" test "$(for fd in "/proc/$holder/fd"/*; do readlink "$fd"; done | grep -Ev '^(/dev/null|socket:.*|pipe:.*|anon_inode:\[eventfd\])$')" = ''
check "the socket is the only one" test "$(for fd in "/proc/$holder/fd"/*; do readlink "$fd"; done | grep -c ^socket)" = 1
anon=$(awk '/^RssAnon/ { print $2 }' "/proc/$holder/status")
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$holder/status")
if [ -n "${SANITIZE:-}" ]; then
	skip "it is small" "a sanitizer is not"
else
	echo "# resident: $resident kB, of which anonymous: $anon kB"
	check "it has less than 300 kB of its own" test "$anon" -lt 300
	if [ -n "${STATIC:-}" ]; then
		check "and less than 1 MB in all" test "$resident" -lt 1024
	fi
fi
evfd rm $E
x=$(evfd create $E)
check "a substitution does not wait for it" test "$x" = $E
evfd rm $E
check "nor does a pipe" test "$(evfd create $E 2>&1 | cat)" = $E
evfd rm $E
status_is 0 "without standard streams it can be made, too" sh -c "evfd create $E >/dev/null 0<&- 2>&-"
check "and serves" value_is $E 0
evfd rm $E
if command -v script >/dev/null; then
	script -qec "evfd create $E; evfd create --while \$\$ $E.2" /dev/null >/dev/null </dev/null
	check "it outlives the terminal" value_is $E 0
	check "but with --while not its shell" wait_for no_such $E.2
	evfd rm $E
else
	skip "it outlives the terminal" "no script(1) here"
fi
i=0
while [ $i -lt 20 ]; do
	setsid -w sh -c "evfd create $E; kill -HUP 0" >/dev/null 2>&1
	evfd rm $E || echo $i >>lost
	i=$((i + 1))
done 2>/dev/null
check "and, from its first moment, the hang-up of its maker's group" test ! -e lost
mk $E
evfd rm $E
evfd create $E >/dev/null
kill_now "$(holder_of $E)"
check "nothing of it is left" sh -c "! evfd ls | grep '^$E'"
done_testing
