#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun says who: --who, --json, and the holder named in messages.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

mkfifo go
# Fields of --who --json, one object a line.
json() {
	perl -MJSON::PP -e 'local $/; my $a = decode_json(<STDIN>);
		print join(" ", map { my $f = $_; join(" ", map { ref $f->{$_} ? 0+$f->{$_} : $f->{$_} // "null" } @ARGV) } @$a), "\n"' "$@"
}
who() { lockrun --who --json "$1" | { shift && json "$@"; }; }

check "nobody: nothing, and status 0" test -z "$(lockrun L true && lockrun --who L)"
check "nobody: an empty array" test "$(lockrun --who --json L)" = '[]'

lockrun L sleep 600 & # ok: a holder
wrapper=$!
wait_for sleep_holds L
job=$(lockrun --who L | awk '/ sleep 600$/ && !/lockrun/ { print $2 }')
check "both who have the lock are listed" test "$(who L state pid kind mode start length inherited stopped)" = \
	"holds $wrapper flock exclusive 0 0 0 0 holds $job flock exclusive 0 0 1 0"
check "with user" test "$(who L user)" = "$(id -un) $(id -un)"
check "and command" test "$(who L command)" = "lockrun L sleep 600 sleep 600"
now=$(date +%s)
check "since when" sh -c 'for t in '"$(who L since)"'; do test $(('"$now"' - t)) -ge -1 && test $(('"$now"' - t)) -le 30 || exit 1; done'
status_is 75 "the message names the job, not the lockrun above it" lockrun -n L true
says "lockrun: 'L' is held by pid $job (sleep, $(id -un)) for *s" "by pid, name, user and age"
kill -STOP "$job"
wait_for sh -c "grep -q 'State:.T' /proc/$job/status"
status_is 75 "a stopped holder" lockrun -n L true
says "*, which is stopped" "is said to be stopped"
kill -CONT "$job"

lockrun -s L true &
waiter=$!
wait_for waits L
check "a waiter is listed, with its mode" test "$(who L state pid kind mode | cut -d' ' -f9-)" = "waits $waiter flock shared"
status_is 75 "while it waits" lockrun -n L true
says "lockrun: 'L' is held by pid $job (sleep, $(id -un)) for *s" "it is no holder, and not counted as one"
kill -KILL $wrapper
wait $wrapper 2>/dev/null
check "an heir is a holder when the one who asked is gone" test "$(who L state pid | cut -d' ' -f1,2)" = "holds $job"
check "and its waiter is still seen" waits L
kill "$job"
wait $waiter

lockrun -s S sleep 600 & # ok: a holder
a=$!
lockrun -s S sleep 600 & # ok: a holder
b=$!
wait_for sh -c 'test "$(lockrun --who S | grep -c "^holds")" -eq 4'
status_is 75 "several holders" lockrun -n S true
says "*, and 1 more" "are counted"
kill $a $b

lockrun ofd:R@10+5 sleep 600 & # ok: a holder
a=$!
wait_for holds R
lockrun ofd:R@12+1 true &
b=$!
lockrun fcntl:R@14+100 true &
c=$!
wait_for waiters_are R 2
check "ofd holders have kind and range" test "$(who R state kind start length | cut -d' ' -f1-4)" = "holds ofd 10 5"
check "waiters too" sh -c "lockrun --who R | grep -qE '^waits +$b .* ofd +exclusive +12\\+1 ' && lockrun --who R | grep -qE '^waits +$c .* fcntl +exclusive +14\\+100 '"
status_is 75 "an ofd holder is named" lockrun -n ofd:R true
says "*is held by pid * (sleep, *)*" "though the kernel's list gives no pid"
kill $a
wait $b $c

if flock=$(theirs flock); then
	"$flock" F sleep 600 & # ok: a holder
	a=$!
	wait_for holds F
	status_is 75 "a lock of flock(1) is seen" lockrun -n F true
	says "*is held by pid * (sleep, *)*" "and its job named"
	kill $a
	wait_for sh -c 'lockrun --who F | awk "/holds/ { print \$2 }" | xargs -r kill; true'
else
	skip "a lock of flock(1) is seen" "no flock here"
fi

cat >many <<'PERL'
use Fcntl;
open my $f, '+>', 'N' or die;
for my $i (0 .. 119) {
	# struct flock of 64-bit Linux: type, whence, start, length, pid (0 for F_OFD_SETLK, 37)
	fcntl($f, 37, pack('s s x4 q q l x4', F_WRLCK, 0, 2 * $i, 1, 0)) or exit 2;
}
open my $up, '>', 'many-held';
sleep 600; # ok: a holder
PERL
perl many &
a=$!
wait_for sh -c "test -e many-held || ! kill -0 $a"
if [ -e many-held ]; then
	check "a process with 120 ranges is listed 120 times, and nobody else" \
		sh -c "test \"\$(lockrun --who N | grep -c '^holds  *$a ')\" -eq 120 && test \"\$(lockrun --who N | grep -c '^holds')\" -eq 120"
	kill $a
else
	skip "a process with 120 ranges" "perl here has another struct flock"
fi
status_is 75 "our own descriptor is named when nobody else holds" sh -c 'exec 9>FF; lockrun 9; exec env -u SYNCBOX_HELD lockrun -n FF true'
says "*held by a descriptor that this command was started with" "as what it is"

sh -c 'exec 8<>V; lockrun -s ofd:8; echo $$ >in-the-way; exec sleep 600' & # ok: a holder
a=$!
wait_for test -s in-the-way
status_is 75 "a conversion that another shared lock keeps us from" \
	sh -c 'exec 9<>V; lockrun -s ofd:9; lockrun -n ofd:9; exit $?'
says "lockrun: 'ofd:9' is held by pid $a (*) for *s" "names that one alone, not our own caller"
kill $a

# Names that would play tricks on a terminal or a parser.
name=$(printf 'a\nb\033[31m\a\tc\\d%b' '\0377')
lockrun "$name" perl -e '$0 = "x\"\\\x01\xfe\xc3\xa4"; open F, ">up"; sleep 600' & # ok: a holder
a=$!
wait_for exists up
status_is 75 "a name with control characters" lockrun -n "$name" true
lockrun -n "$name" true 2>copy
check "a message is one line of printable ASCII" perl -e 'local $/; $_ = <STDIN>; exit !/\A[ -~]*\n\z/' <copy
check "--who too" perl -e 'local $/; open F, "-|", "lockrun", "--who", $ARGV[0]; $_ = <F>; exit !/\A[ -~\n]*\z/ || !/holds/' "$name"
check "--json is valid, whatever the command calls itself" \
	perl -MJSON::PP -e 'local $/; open F, "-|", "lockrun", "--who", "--json", $ARGV[0]; exit(@{decode_json(<F>)} != 2)' "$name"
kill $a
status_is 66 "no such name, with an apostrophe" lockrun --who "it's
"
says "*\$'it\\\\'s\\\\n'*" "the message can be given to a shell again"

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 711 . && lockrun -m 666 U true
	lockrun U sleep 600 & # ok: a holder
	a=$!
	wait_for holds U
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups $BUILD/bin/lockrun"
	# shellcheck disable=SC2086 # words are wanted
	status_is 75 "another user's lock" $drop -n U true
	says "*'U' is held by pid $a (lockrun, root)*" "is named by who took it"
	# shellcheck disable=SC2086
	status_is 0 "another user's --who" $drop --who U
	says '*could not be looked into: root sees them all' "says what it could not see"
	kill $a
else
	skip "another user's lock" "needs root"
fi
done_testing
