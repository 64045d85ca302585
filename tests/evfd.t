#!/bin/sh
# SPDX-License-Identifier: MIT
# evfd: exit statuses, and an event that commands inherit, from every shell and tool.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
unset EVFD EVFD_COUNT

E=ev.$$
MOST=18446744073709551614
trap 'evfd rm -f $E $E.2; cleanup' EXIT
evfd create $E >/dev/null
# Asleep with a named event, or with an inherited one: two descriptors to poll, as opposed to who waits for a holder's answer.
dozes() { grep -Eq '^271 0x[0-9a-f]+ 0x2 ' "/proc/$1/syscall"; }
writes() { grep -Eq '^1 ' "/proc/$1/syscall"; }
# shellcheck disable=SC2046 # a list
dozing_are() { [ "$(grep -lE '^271 0x[0-9a-f]+ 0x2 ' $(printf '/proc/%s/syscall ' $1) | wc -l)" -eq "$2" ]; }
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
under() { evfd run sh -c "$@"; }
# With no descriptors above 9, whoever has started the tests.
few() { perl -MPOSIX -e 'POSIX::close($_) for 10 .. 1023; exec @ARGV or die' -- "$@"; }
one_line() { [ "$(LANG=C evfd "$@" 2>&1 >/dev/null | wc -l)" -eq 1 ]; }

# --- exit statuses: every one, failures included ---

status_is 0 "0: add" evfd add $E
status_is 0 "0: wait" evfd wait $E
check "prints what it took" test "$out" = 1
status_is 64 "64: no action" evfd
status_is 64 "64: an action that is none" evfd frob
for number in 0 18446744073709551615; do
	status_is 64 "64: add $number" evfd add $E $number
	says "*0 would be no event, and 2^64-1 is what the kernel refuses: expected 1 to $MOST*" "and the reason"
	status_is 64 "64: latch $number" evfd latch $E $number
done
for number in -1 x '' 18446744073709551616; do
	status_is 64 "64: add '$number'" evfd add -- $E "$number"
	status_is 64 "64: latch '$number'" evfd latch -- $E "$number"
	status_is 64 "64: create -i '$number'" evfd create -i "$number" $E.2
	status_is 64 "64: run -i '$number'" evfd run -i "$number" true
	status_is 64 "64: loop -N '$number'" evfd loop -N "$number" $E -- true
done
status_is 64 "64: -i 2^64-1" evfd run -i 18446744073709551615 true
for bad in a/b .x '' x: fd: fd:x pid:1 pid:1: pid:0:3 "$(printf %081d 0)"; do
	status_is 64 "64: '$bad' is no name" evfd get "$bad"
done
status_is 0 "80 characters are one" evfd create "$(printf %080d $$)"
evfd rm "$(printf %080d $$)"
for action in add wait get gate reset 'done' 'latch - 1' 'exec -- true' 'loop -- true'; do
	# shellcheck disable=SC2086 # words
	status_is 64 "64: $action, and no EVFD" evfd $action
	says "*expected an event: there is no EVFD*" "so it says"
	# shellcheck disable=SC2086
	status_is 64 "64: $action, and EVFD is empty" env EVFD= evfd $action
	# shellcheck disable=SC2086
	status_is 64 "64: $action, and EVFD is garbage" env EVFD=3x evfd $action
	# shellcheck disable=SC2086
	status_is 66 "66: $action, and EVFD is closed" env EVFD=8 evfd $action 8>&-
	says "*descriptor 8 is not open: a program in between closes descriptors*evfd create" "and advice"
	# shellcheck disable=SC2086
	status_is 65 "65: $action, and EVFD is no eventfd" env EVFD=8 evfd $action 8</dev/null
	says "*'fd:8'*not an eventfd" "so it says"
done
for action in wait get gate reset 'done'; do
	status_is 64 "64: $action of two" evfd $action $E $E
done
status_is 64 "64: add with three" evfd add $E 1 1
status_is 64 "64: latch without a number" evfd latch
status_is 64 "64: exec without a command" evfd exec $E
status_is 64 "64: exec without --" evfd exec $E true
status_is 64 "64: loop without a command" evfd loop $E --
status_is 64 "64: run without a command" evfd run
status_is 64 "64: create without a name" evfd create
status_is 64 "64: rm without a name" evfd rm
status_is 64 "64: ls with one" evfd ls $E
status_is 64 "64: rm of what has no name" evfd rm fd:3
status_is 64 "64: create of what is no name" evfd create fd:3
for mode in 640 644 400 0 8 x ''; do
	status_is 64 "64: -m '$mode'" evfd create -m "$mode" $E.2
done
for bad in x '' -1; do
	status_is 64 "64: --ttl '$bad'" evfd create --ttl="$bad" $E.2
	status_is 64 "64: --while '$bad'" evfd create --while="$bad" $E.2
	status_is 64 "64: --debounce '$bad'" evfd loop --debounce="$bad" $E -- true
	status_is 64 "64: -w '$bad'" evfd wait -w "$bad" $E
done
status_is 64 "64: --while 0" evfd create --while 0 $E.2
for bad in 0 2 x '' 1048577; do
	status_is 64 "64: run -f '$bad'" evfd run -f "$bad" true
done
for bad in 1x '' a=b a-b; do
	status_is 64 "64: run --name '$bad'" evfd run --name "$bad" true
done
for action in add wait get gate latch reset exec loop 'done'; do
	case $action in
	latch) set -- $E.2 1 ;;
	exec | loop) set -- $E.2 -- true ;;
	*) set -- $E.2 ;;
	esac
	status_is 66 "66: $action, no such name" evfd "$action" "$@"
	says "evfd $action: no event '$E.2': evfd create makes it" "and the hint how to make it"
done
status_is 66 "66: rm, no such name" evfd rm $E.2
status_is 0 "-f: that is no error" evfd rm -f $E.2
sh -c 'exit 0' &
wait $!
status_is 66 "66: pid: no such process" evfd get pid:$!:3
status_is 66 "66: --while, no such process" evfd create --while $! $E.2
status_is 71 "71: no descriptor for it" sh -c 'ulimit -n 64 && exec evfd run -f 64 true'
status_is 73 "73: create -x of what is there" evfd create -x $E
status_is 0 "0: create of what is there" evfd create $E
check "prints the name all the same" test "$out" = $E
status_is 73 "73: run -f of what is open" evfd run -f 7 true 7</dev/null
status_is 73 "73: 3 to 9 are all open" evfd run true 3</dev/null 4<&3 5<&3 6<&3 7<&3 8<&3 9<&3
says "evfd run: descriptors 3 to 9 are all open*" "so it says"
status_is 0 "-f helps" few evfd run -f 10 true 3</dev/null 4<&3 5<&3 6<&3 7<&3 8<&3 9<&3
evfd add $E
status_is 74 "74: what it took cannot be written" sh -c "evfd wait $E >/dev/full"
says "evfd wait: cannot write to standard output: No space left on device: 1 was put back into '$E'" "so it says"
check "and it is there again" test "$(evfd wait -n $E)" = 1
evfd add $E 5
mkfifo unread
exec 8<>unread 9>unread 8<&-
status_is 74 "74: or its reader has gone" sh -c "evfd wait $E >&9"
exec 9>&-
check "it is there again" test "$(evfd wait -n $E)" = 5
evfd add $E 6
status_is 74 "74: reset" sh -c "evfd reset $E >/dev/full"
check "has reset nothing" test "$(evfd reset $E)" = 6
for action in get ls; do
	status_is 74 "74: $action" sh -c "evfd $action $(test $action = ls || echo $E) >/dev/full"
done
status_is 74 "74: create" sh -c "evfd create $E.2 >/dev/full"
says "evfd create: cannot write to standard output: No space left on device" "says so once"
status_is 66 "has made nothing" evfd get $E.2
for action in wait gate latch exec loop; do
	case $action in
	latch) set -- $E 2 ;;
	exec | loop) set -- $E -- true ;;
	*) set -- $E ;;
	esac
	status_is 75 "75: $action -n" evfd "$action" -n "$@"
	says "evfd $action: cannot wait for '$E': not now" "so it says"
	status_is 75 "75: $action -w" evfd "$action" -w 0.02 "$@"
	status_is 3 "-E changes that" evfd "$action" -E 3 -n "$@"
	status_is 75 "-q is silent" evfd "$action" -qn "$@"
	says '' "not a word"
done
evfd add $E $MOST
status_is 75 "75: add -n of what has no room" evfd add -n $E
status_is 75 "75: add -w" evfd add -w 0.02 $E
status_is 75 "75: done -n" evfd 'done' -n $E
check "nothing was added" test "$(evfd reset $E)" = $MOST
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 . && chmod 711 "$scratch"
	# shellcheck disable=SC2086 # words are wanted
	status_is 77 "77: root's event, as a plain user" setpriv --reuid=65534 --regid=65534 --clear-groups "$BUILD/bin/evfd" get 0/$E
	says "*another user*" "so it says"
else
	skip "root's event, as a plain user" "needs root to have some"
fi
: >plain
status_is 126 "126: run" evfd run ./plain
status_is 127 "127: run" evfd run ./missing
for action in exec loop; do
	evfd add $E 3
	status_is 126 "126: $action" evfd $action $E -- ./plain
	check "what it took is there again" test "$(evfd get $E)" = 3
	status_is 127 "127: $action" evfd $action $E -- ./missing
	check "what it took is there again" test "$(evfd reset $E)" = 3
done
status_is 5 "run has COMMAND's status" evfd run sh -c 'exit 5'
evfd add $E 3
status_is 5 "exec has COMMAND's status" evfd exec $E -- sh -c 'test $EVFD_COUNT = 3 && exit 5'
status_is 143 "128 + N: run" evfd run sh -c 'kill $$'
check "an error is one line: no such name" one_line add $E.2
check "one line: closed" env EVFD=8 sh -c 'test "$(evfd get 8>&- 2>&1 | wc -l)" -eq 1'
check "one line: not now" one_line wait -n $E

# --- the counter ---

check "a wait takes all" test "$(under 'evfd add; evfd add - 4; evfd done; evfd wait; evfd get' | tr '\n' ,)" = 6,0,
check "of a semaphore 1" test "$(evfd run -S -i 2 sh -c 'evfd wait; evfd wait; evfd wait -qn; echo $?' | tr '\n' ,)" = 1,1,75,
check "-i N" test "$(evfd run -i $MOST evfd get)" = $MOST
check "gate takes nothing" test "$(under 'evfd add; evfd gate; evfd gate; evfd get')" = 1
check "nor does latch" test "$(under 'evfd add - 7; evfd latch 7; evfd latch - 6; evfd get')" = 7
check "latch: one less is not enough" test "$(under 'evfd add - 6; evfd latch -qn 7; echo $?')" = 75
check "reset takes all of a semaphore" test "$(evfd run -S -i 3 sh -c 'evfd reset; evfd get' | tr '\n' ,)" = 3,0,
check "reset of nothing does not wait" test "$(under 'evfd reset')" = 0
check "of a counter, reset takes the most at once" test "$(evfd run -i $MOST sh -c 'evfd reset; evfd get' | tr '\n' ,)" = $MOST,0,
# Of a semaphore the kernel gives but 1 at a time.
for value in $MOST 10000001; do
	status_is 71 "71: reset of a semaphore that would take long ($value)" evfd run -S -i $value evfd reset
	says "evfd reset: cannot reset 'fd:3': a semaphore gives 1 at a time, and it has $value*" "so it says, at once"
done
evfd create -S -i $MOST $E.2 >/dev/null
status_is 71 "71: of one with a name, too" evfd reset $E.2
check "it takes nothing then" test "$(evfd get $E.2)" = $MOST
evfd rm $E.2
for how in counter semaphore; do
	cat >raw.$how <<'SH'
# The kernel's own reads and writes see what ours do.
printf '\5\0\0\0\0\0\0\0' >&3
evfd get
dd bs=8 count=1 <&3 2>/dev/null | od -An -tu8 | tr -d ' '
evfd get
evfd add - 3
evfd get
evfd wait
evfd get
SH
done
check "a counter, as read(2) and write(2) have it" test "$(evfd run sh raw.counter | tr '\n' ,)" = 5,5,0,3,3,0,
check "a semaphore, too" test "$(evfd run -S sh raw.semaphore | tr '\n' ,)" = 5,1,4,7,1,6,
cat >full <<SH
evfd add - $MOST
evfd add -qn; echo \$?
evfd add -qw 0.02; echo \$?
evfd add & echo \$! >adder
read x <go
evfd wait >taken
wait \$!
echo \$?
evfd get
SH
mkfifo go more
evfd run sh full >got &
full=$!
wait_for test -s adder
wait_for writes "$(cat adder)"
check "who adds more than it can hold waits" kill -0 "$(cat adder)"
# Not by pid:, which may be forbidden.
release go
wait $full
check "until somebody takes enough" test "$(tr '\n' , <got)" = 75,75,0,1,
check "who gets all that was there" test "$(cat taken)" = $MOST

# --- one for each permit ---

cat >crowd <<'SH'
# 20 wait, each takes 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	evfd wait >>served &
	echo $! >>waiters
done
: >ready
read x <go
evfd add - 5
read x <more # not the same one: whoever has written into that may not have closed it yet
evfd add - 15
wait
evfd get
SH
: >served
evfd run -S sh crowd >got &
crowd=$!
wait_for exists ready
wait_for dozing_are "$(cat waiters)" 20
release go
wait_for lines_are served 5
check "5 permits for 20 waiters: 15 sleep on" wait_for dozing_are "$(cat waiters)" 15
check "and 5 were served" lines_are served 5
release more
wait $crowd
check "15 more: all are served, and nothing is left" test "$(wc -l <served),$(cat got)" = 20,0

# --- inherited ---

check "EVFD is 3" test "$(under 'echo $EVFD')" = 3
check "or the first that is free" test "$(under 'echo $EVFD' 3</dev/null)" = 4
check "-f chooses it" test "$(few evfd run -f 12 sh -c 'evfd add; echo $EVFD; evfd get' | tr '\n' ,)" = 12,1,
check "-f of the number that ours has" test "$(few evfd run -f 10 sh -c 'evfd add; evfd get')" = 1
check "--name chooses the variable" test "$(evfd run --name A evfd run --name B sh -c 'evfd add fd:$A 2; evfd get fd:$B; evfd get fd:$A' | tr '\n' ,)" = 0,2,
check "nothing else is left open" test "$(few evfd run perl -e 'print join ",", grep { readlink("/proc/self/fd/$_") =~ /eventfd|socket/ } 3 .. 20')" = 3
check "- is EVFD, and so is fd:N" test "$(under 'evfd add -; evfd add fd:$EVFD; evfd get')" = 2
cat >shell <<'SH'
evfd add
printf '\2\0\0\0\0\0\0\0' >&$EVFD
(evfd add) &
wait
evfd add - 3 | cat
x=$(evfd get)
[ "$x" = 7 ] && evfd latch 7 && evfd wait
SH
for shell in sh bash dash zsh; do
	if command -v $shell >/dev/null; then
		check "$shell: children, subshells, pipes and substitutions have it" test "$(evfd run $shell shell)" = 7
	else
		skip "$shell has it" "no $shell here"
	fi
done
cat >Makefile <<'MAKE'
targets := $(shell seq 20)
all: $(targets)
	@evfd latch 20 && evfd get
$(targets):
	@evfd done
MAKE
check "make -j4: recipes have it" test "$(evfd run make --no-print-directory -j4)" = 20
check "xargs -P" test "$(under 'seq 50 | xargs -P 4 -n 1 evfd add -; evfd get')" = 1275
mkdir files && touch files/1 files/2 files/3
check "find -exec" test "$(under 'find files -type f -exec evfd done \;; evfd get')" = 3
check "env -i" test "$(under 'env -i ASAN_OPTIONS=$ASAN_OPTIONS "$(command -v evfd)" add fd:$EVFD; env -i ASAN_OPTIONS=$ASAN_OPTIONS EVFD=$EVFD "$(command -v evfd)" get')" = 1
for wrapper in nohup 'setsid -w' 'timeout 20' nice 'lockrun L'; do
	check "$wrapper" test "$(under "$wrapper evfd done 2>/dev/null; evfd get")" = 1
done
check "awk" test "$(under 'awk "BEGIN { system(\"evfd done\") }"; evfd get')" = 1
check "perl" test "$(under 'perl -e "system qw(evfd done)"; evfd get')" = 1
under 'evfd add - 2; evfd wait 3>&-' 2>err
status_is 66 "66: a shell has closed it" sh -c "exit $?"
check "and says what to do" grep -q '^evfd wait: descriptor 3 is not open: a program in between closes descriptors, .*evfd create$' err
if python3 -c '' 2>/dev/null; then
	status_is 66 "66: Python's subprocess has closed it" evfd run python3 -c 'import subprocess, sys; sys.exit(subprocess.call(["evfd", "add"]))'
	says "evfd add: descriptor 3 is not open*" "so it says"
	check "pass_fds helps" evfd run python3 -c 'import subprocess, sys; sys.exit(subprocess.call(["evfd", "add"], pass_fds=[3]))'
else
	skip "Python's subprocess has closed it" "no python3 here"
fi
evfd run sh -c 'echo $$ >inside; read x <go' &
inside=$!
wait_for test -s inside
if evfd get pid:$inside:3 >/dev/null 2>&1; then
	check "pid:P:N reaches it from outside" test "$(evfd add pid:$inside:3 4 && evfd get pid:$inside:3)" = 4
	evfd latch pid:$inside:3 5 &
	latch=$!
	wait_for dozes $latch
	evfd add pid:$inside:3
	wait $latch
	status_is 0 "and waits for it" sh -c "exit $?"
	status_is 65 "65: pid: of what is no eventfd" evfd get pid:$inside:0
	status_is 66 "66: pid: of what is not open" evfd get pid:$inside:9
else
	skip "pid:P:N reaches it from outside" "ptrace(2) is not allowed here"
fi
release go
wait $inside
status_is 75 "75: -w of a wait, on an inherited one" evfd run evfd wait -w 0.02
status_is 75 "75: -w of a gate" evfd run evfd gate -w 0.02
status_is 75 "75: -w of a latch" evfd run -i 1 evfd latch -w 0.02 2
evfd rm $E
done_testing
