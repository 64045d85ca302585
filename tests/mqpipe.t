#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe: what a shell user can rely on. Framings, stopping and limits have files of their own.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqp.$$
V=sysv:mqp.$$
made="$Q $Q.A $Q.B $Q.C $Q.it's $V"
mk() { mqpipe create -c 4 -s 64 "$@"; }
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $made; cleanup' EXIT
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
mode_is() { mqpipe info -s "$1" | grep -qx "MQ_MODE=$2"; }
blocks_in() { grep -q "^$2 " "/proc/$1/syscall"; } # PID, a system call: 243 receives, 242 sends, 271 polls
all() { mqpipe recv -e "$@" | tr '\n' ,; } # what is in a queue
long=$(printf %0255d 0)

# --- exit statuses: every one ---

for q in $Q $V; do
	status_is 66 "66: no such queue: info $q" mqpipe info $q
	says "mqpipe info: no queue '$q' in this IPC namespace: mqpipe create makes it*" "which says so"
	for action in peek wait flush rm 'recv --no-create -n' 'send --no-create -n'; do
		# shellcheck disable=SC2086 # words are wanted
		status_is 66 "66: $action" mqpipe $action $q </dev/null
	done
	status_is 66 "66: move from it" mqpipe move $q $Q.A
	status_is 0 "0: rm -f" mqpipe rm -f $q
	status_is 0 "0: create" mk $q
	status_is 0 "0: create again, the same" mk $q
	status_is 0 "0: create again, whatever it is" mqpipe create $q
	status_is 73 "73: create -x of one that exists" mqpipe create -x $q
	status_is 73 "73: create with another capacity" mqpipe create -c 5 -s 64 $q
	says "mqpipe create: '$q' exists, and holds *mqpipe rm it first" "says what it holds"
	status_is 0 "0: a message sent" mqpipe send $q hello
	status_is 0 "0: and received" mqpipe recv -n -N 1 $q
	check "which it was" test "$(mqpipe send $q hello && mqpipe recv -e $q)" = hello
	status_is 75 "75: none there, -n" mqpipe recv -n $q
	says "mqpipe recv: no message in time from '$q': received 0" "says so"
	status_is 75 "75: none within -w" mqpipe recv -w 0.05 $q
	status_is 75 "75: none within --total" mqpipe recv --total=0.05 $q
	status_is 75 "75: -w 0 is -n" timeout 20 mqpipe recv -w 0 $q
	status_is 3 "-E changes 75" mqpipe recv -n -E 3 $q
	status_is 75 "-q is silent" mqpipe recv -nq $q
	says '' "not a word"
	mqpipe send $q hello
	status_is 74 "74: a message that cannot be written" sh -c "mqpipe recv -N 1 $q >/dev/full"
	says "*No space left on device: it was put back into the queue" "is put back, it says"
	status_is 74 "74: nor to a closed stdout" sh -c "mqpipe recv -N 1 $q >&-"
	check "it is there still" messages_are $q 1
	status_is 74 "74: info that cannot be written" sh -c "mqpipe info $q >/dev/full"
	status_is 74 "74: nor to a closed stdout" sh -c "mqpipe info --json $q >&-"
	status_is 74 "74: an input that cannot be read" sh -c "mqpipe send $q <."
	check "flush prints how many it threw away" test "$(mqpipe flush $q)" = 1
done
status_is 73 "73: create with another size" mqpipe create -c 4 -s 65 $Q
status_is 75 "75: sending, and it is full" mqpipe send -n $Q 1 2 3 4 5
says "mqpipe send: *'$Q'*sent 4 messages*" "says how many went"
status_is 75 "75: full within -w" mqpipe send -w 0.05 $Q 5
status_is 75 "75: full within --total" mqpipe send --total 0.05 $Q 5
status_is 3 "-E changes 75 of send" mqpipe send -n -E 3 $Q 5
status_is 75 "75: -q is silent" mqpipe send -nq $Q 5
says '' "not a word"
status_is 75 "75: wait --room" mqpipe wait -n --room $Q
check "four are there, none of the others" test "$(all $Q)" = 1,2,3,4,
status_is 75 "75: wait" mqpipe wait -w 0.05 $Q
status_is 75 "75: wait --reader" mqpipe wait -w 0.05 --reader $Q
status_is 69 "69: send --need-reader, and there is none" mqpipe send --need-reader $Q x
says "mqpipe send: nobody receives from '$Q': sent 0 messages*" "says so"
status_is 69 "69: nor does one come in time" mqpipe send --need-reader=0.05 $Q x
status_is 65 "65: a message that is too long" mqpipe send $Q "$(printf %065d 0)"
says "*a message of 65 bytes, at byte 0 of the input: '$Q' takes 64 at most: make it with a larger -s*" "says how much fits"
status_is 65 "65: a sysv type that is 0" mqpipe send -p 0 $V x
status_is 65 "65: a priority of 32768" mqpipe send -p 32768 $Q x
status_is 0 "32767 is the highest" mqpipe send -p 32767 $Q x
check "as it comes out" test "$(all -P $Q)" = "32767	x,"
status_is 66 "66: a number that no queue has" mqpipe recv -n sysv:id=2147483647
as=''
if [ "$(id -u)" -eq 0 ]; then
	as="setpriv --reuid=65534 --regid=65534 --clear-groups $BUILD/bin/"
	chmod 711 "$scratch"
fi
# Root may all; others may deny themselves.
deny() { [ -n "$as" ] || { mqpipe rm $Q $V && mk -m "$1" $Q $V; }; }
deny 200
# shellcheck disable=SC2086 # words are wanted
for q in $Q $V; do
	status_is 77 "77: a queue that one may not read: $q" ${as}mqpipe recv -n $q
	says "mqpipe recv: cannot open '$q': *read it*" "says what one may not"
done
deny 400
# shellcheck disable=SC2086
for q in $Q $V; do
	status_is 77 "77: one that one may not write to: $q" ${as}mqpipe send -n $q x
	says "mqpipe send: cannot open '$q': *write to it*" "says so"
done
mqpipe rm $Q $V && mk $Q $V

# --- 64 ---

status_is 64 "64: no action" mqpipe
status_is 64 "64: no such action" mqpipe frobnicate $Q
for action in send recv create info peek wait move flush rm; do
	status_is 64 "64: $action without a queue" mqpipe $action
	status_is 64 "64: $action with an unknown option" mqpipe $action --no-such-option $Q
	check "$action --help" mqpipe $action --help
done
for name in '' / /a/b a/b . .. "${long}x" posix: posix:/ posix:a/b sysv: sysv:a/b sysv:0x sysv:id= sysv:id=x; do
	for action in 'send -n' 'recv -n' create info rm; do
		# shellcheck disable=SC2086 # words
		status_is 64 "64: $action of '$(printf %.12s "$name")'" mqpipe $action -- "$name"
	done
done
status_is 64 "64: -t of a posix queue" mqpipe recv -n -t 1 $Q
says "*its messages have priorities, not types to choose from: -t is for sysv: queues" "with the reason"
for bad in nan -1 1e3 0x10 '' '1 ' . -inf; do
	for option in -w --total -i; do
		status_is 64 "64: recv $option '$bad'" mqpipe recv $option "$bad" $Q
	done
	status_is 64 "64: send --need-reader='$bad'" mqpipe send --need-reader="$bad" $Q x
done
for bad in 0 -1 x '' 2147483648 1.5; do
	status_is 64 "64: -c '$bad'" mqpipe create -c "$bad" $Q
	status_is 64 "64: -s '$bad'" mqpipe create -s "$bad" $Q
	status_is 64 "64: -R '$bad'" mqpipe recv -n -R "$bad" $Q
done
for bad in 0 8 1777 rw ''; do
	status_is 64 "64: -m '$bad'" mqpipe create -m "$bad" $Q
done
for bad in 0 -0 ^ ^0 x ''; do
	status_is 64 "64: -t '$bad'" mqpipe recv -n -t "$bad" $V
	status_is 64 "64: recv -N '$bad'" mqpipe recv -n -N "$bad" $Q
done
for bad in '' "\\" "\\q" "\\x" "\\x4" "\\xgg" "$long$long"; do
	status_is 64 "64: -d '$(printf %.8s "$bad")'" mqpipe recv -n -d "$bad" $Q
done
for bad in '-l -0' '-L --json' '-r -R 4' '-P -R 4' '-P --json' '-N 1 --batch' '--batch --spill'; do
	# shellcheck disable=SC2086 # words
	status_is 64 "64: recv $bad" mqpipe recv -n $bad -- $Q
done
for bad in '-l -0' '-p x' '-p -1' '-p 1 -P' '--drop-old --drop-new' '--oversize=cut' '--batch --drop-old' '--batch --oversize=spill' \
	'--need-reader --drop-new' '--progress=never' '-E 256'; do
	# shellcheck disable=SC2086 # words
	status_is 64 "64: send $bad" mqpipe send -n $bad $Q
done
status_is 64 "64: send -l with arguments" mqpipe send -l $Q x
status_is 64 "64: info -s of two" mqpipe info -s $Q $V
status_is 64 "64: info -s --json" mqpipe info -s --json $Q
status_is 64 "64: wait --room --reader" mqpipe wait -n --room --reader $Q
status_is 64 "64: peek of a posix queue" mqpipe peek $Q
says "*the kernel has no way to look into a posix: queue*" "with the reason"
status_is 64 "64: wait for a sysv queue" mqpipe wait -n $V
status_is 64 "64: recv --eof of a sysv queue" mqpipe recv --eof -n $V
says "*does not tell who sends to it*" "with the reason"
status_is 64 "64: recv of a sysv queue with others" mqpipe recv -n $Q $V
status_is 64 "64: send --need-reader to a sysv queue" mqpipe send --need-reader $V x
status_is 64 "64: move of one queue" mqpipe move $Q
check "none of that put a message anywhere" sh -c "mqpipe info $Q $V | grep -c ': 0 messages' | grep -qx 2"
one_line() { [ "$(LANG=C mqpipe "$@" 2>&1 >/dev/null | wc -l)" -eq 1 ]; }
check "an error is one line: no such queue" one_line info $Q.none
check "one line: empty" one_line recv -n $Q
check "one line: a name that is none" one_line recv -n "$(printf 'a/\nb')"
check "one line: no such action" one_line "$(printf 'a\nb')"
check "one line: peek" one_line peek $Q
check "one line: too long" one_line send $Q "$(printf %065d 0)"
status_is 74 "74: --help cannot be written" sh -c 'mqpipe --help >/dev/full'
status_is 74 "74: nor an action's" sh -c 'mqpipe recv --help >/dev/full'

# --- messages ---

status_is 0 "every argument is a message" mqpipe send $Q one 'two words' '' last
check "one line each, and an empty one" test "$(all $Q)" = 'one,two words,,last,'
status_is 0 "-- before the queue" mqpipe send -- $Q a
status_is 0 "options behind the queue" mqpipe send $Q -n b
check "as they come out" test "$(all $Q)" = a,b,
status_is 0 "behind the first message all are messages" mqpipe send $Q x -n --help
check "as they come out" test "$(all $Q)" = x,-n,--help,
status_is 0 "and so they are behind --" mqpipe send $Q -- -n x
check "as they come out" test "$(all $Q)" = -n,x,
printf '\na\n\nlast' | mqpipe send $Q
check "lines of standard input: empty ones, and one without its end" test "$(all $Q)" = ',a,,last,'
mqpipe send $Q </dev/null
check "no input is no message" messages_are $Q 0
status_is 74 "74: standard input is a directory" mqpipe send $Q <.
says "mqpipe send: cannot read standard input: Is a directory" "so it says"
check "arguments leave standard input alone" test "$(echo in | { mqpipe send $Q x; cat; })" = in
check "-v says how many, on stderr" sh -c "mqpipe send -v $Q yy 2>&1 >/dev/null | grep -q '^mqpipe send: .*1.* 2\>'"
check "-v of recv" sh -c "mqpipe recv -ev $Q 2>&1 >/dev/null | grep -q '^mqpipe recv: .*received 2 messages'"
seq 10 >file
check "send -n of a file leaves unread what it has not sent" test "$({ mqpipe send -nq $Q; cat; } <file | tr '\n' ,)" = 5,6,7,8,9,10,
check "and has sent the others" test "$(all $Q)" = 1,2,3,4,
seq 12 | mqpipe send $Q &
sender=$!
wait_for messages_are $Q 4
check "a full queue makes the sender wait" kill -0 $sender
check "until somebody receives" test "$(mqpipe recv -N 12 $Q | tr '\n' ,)" = 1,2,3,4,5,6,7,8,9,10,11,12,
mqpipe recv -c 2 -s 16 -N 1 $Q.C >got &
receiver=$!
wait_for blocks_in $receiver 243
check "recv makes the queue, as large as it is told" mqpipe create -c 2 -s 16 $Q.C
mqpipe send $Q.C x
wait $receiver
check "and waits for what comes" test "$(cat got)" = x
mk $Q.A $Q.B
seq 500 | mqpipe send $Q.A &
mqpipe recv --eof $Q.A | sed 's/^/n/' | mqpipe send $Q.B &
mqpipe recv --eof $Q.B >got
seq 500 | sed 's/^/n/' | cmp -s - got
report $? "two queues and a filter between them: a pipeline"

# --- priorities and types ---

for n in 1 5 3; do
	mqpipe send -p $n $Q "p$n"
done
check "the highest priority first; -P shows it" test "$(all -P $Q)" = '5	p5,3	p3,1	p1,'
printf '7\tseven\n30000\tmost\n0\t\n' | mqpipe send -P $Q.A
mqpipe recv -eP $Q.A | mqpipe send -P $Q.B
check "send -P takes them, and through a pipe they are kept" test "$(all -P $Q.B)" = '30000	most,7	seven,0	,'
for bad in 'x' '1 x' '-1	x' '	x' '99999999999999999999	x'; do
	status_is 65 "65: send -P of '$bad'" sh -c "printf '3\tok\n%s\n' '$bad' | mqpipe send -P $Q"
	says "*at byte 5 of the input: expected a priority*" "says where"
	check "and has sent what was right" test "$(all $Q)" = ok,
done
types() { for n in 4 2 9 2; do mqpipe send -p $n $V t$n; done; }
check "sysv: in the order they came" test "$(types && all -P $V)" = '4	t4,2	t2,9	t9,2	t2,'
check "-t N takes only those" test "$(types && all -t 2 $V)" = t2,t2,
mqpipe flush -q $V
check "-t -N those up to N, the lowest first" test "$(types && all -t -4 $V)" = t2,t2,t4,
check "which leaves the others" test "$(all $V)" = t9,
check "-t ^N all but those" test "$(types && all -t ^2 $V)" = t4,t9,
mqpipe flush -q $V

# --- looking ---

mqpipe send -p 3 $Q.A abc de
cat >evaluate <<'SH'
eval "$(mqpipe info -s "$1")" || exit
echo "$MQ_NAME,$MQ_MESSAGES,$MQ_BYTES,$MQ_CAPACITY,$MQ_CAPACITY_BYTES,$MQ_SIZE,$MQ_UID,$MQ_MODE,$MQ_RECEIVERS"
SH
uid=$(id -u)
mqpipe create -c 1 -s 8 "$Q.it's"
for shell in sh dash bash zsh; do
	command -v $shell >/dev/null || continue
	check "$shell: info -s is for eval" test "$($shell evaluate $Q.A)" = "$Q.A,2,5,4,0,64,$uid,600,no"
	check "$shell: also of a name with a quote in it" test "$($shell evaluate "$Q.it's")" = "$Q.it's,0,0,1,0,8,$uid,600,no"
done
check "info says it in words" test "$(mqpipe info $Q.A)" = "$Q.A: 2 messages of 4, 5 bytes, each up to 64; uid $uid, mode 600; nobody receives"
check "info --json" test "$(mqpipe info --json $Q.A $V)" = "[{\"name\":\"$Q.A\",\"messages\":2,\"bytes\":5,\"capacity\":4,\"size\":64,\"uid\":$uid,\
\"mode\":\"600\",\"receivers\":false},{\"name\":\"$V\",\"messages\":0,\"bytes\":0,\"capacity_bytes\":256,\"size\":256,\"uid\":$uid,\"mode\":\"600\"}]"
mqpipe recv -N 3 $Q.A >got &
receiver=$!
wait_for blocks_in $receiver 243
check "info knows that somebody receives" sh -c "mqpipe info $Q.A | grep -q 'somebody receives'"
mqpipe send $Q.A x
wait $receiver
mqpipe send -p 7 $V '' two 3
for n in 1 2; do
	check "peek shows all, $n" test "$(mqpipe peek -P $V | tr '\n' ,)" = '7	,7	two,7	3,'
done
check "peek -N 2 shows two" test "$(mqpipe peek -N 2 --json $V | wc -l)" -eq 2
check "nothing was taken" test "$(all $V)" = ,two,3,
mqpipe wait $Q.A $Q.B >got &
waiter=$!
wait_for blocks_in $waiter 271
mqpipe send $Q.B x
wait $waiter
check "wait says which queue has a message" test "$(cat got)" = $Q.B
check "and takes nothing" messages_are $Q.B 1
mqpipe send $Q.B 2 3 4
mqpipe wait --room $Q.B >got &
waiter=$!
wait_for blocks_in $waiter 271
check "wait --room waits while it is full" test ! -s got
mqpipe recv -N 1 $Q.B >taken
wait $waiter
status_is 0 "until there is room" sh -c "exit $?"
mqpipe wait --reader $Q.A >got &
waiter=$!
wait_for blocks_in $waiter 271
mqpipe recv -N 1 $Q.A >taken &
receiver=$!
wait $waiter
status_is 0 "wait --reader waits until somebody receives" sh -c "exit $?"
mqpipe send $Q.A x
wait $receiver
mqpipe send $Q.A a1 a2
check "recv of two queues takes from the first that has some" test "$(all $Q.B $Q.A)" = 2,3,4,a1,a2,
mqpipe send $Q.A a && mqpipe send -p 2 $Q.B b
check "and with --json says from which" test "$(all --json $Q.A $Q.B)" = \
	"{\"data\":\"a\",\"prio\":0,\"len\":1,\"queue\":\"$Q.A\"},{\"data\":\"b\",\"prio\":2,\"len\":1,\"queue\":\"$Q.B\"},"

# --- moving, removing ---

mqpipe send -p 1 $Q.A one && mqpipe send -p 9 $Q.A nine && mqpipe rm $Q.B
status_is 0 "move to a queue that is missing" mqpipe move $Q.A $Q.B
check "makes it as large as the first" mk $Q.B
check "the messages keep their priorities" test "$(all -P $Q.B)" = '9	nine,1	one,'
mqpipe send -p 0 $Q.A zero && mqpipe send -p 5 $Q.A five && mqpipe move $Q.A $V
check "from posix to sysv: priority 0 is type 1" test "$(all -P $V)" = '5	five,1	zero,'
mqpipe send -p 40000 $V big && mqpipe send -p 4 $V four
status_is 65 "65: a type that is no priority" mqpipe move $V $Q.A
says "*cannot move a message with number 40000 to '$Q.A'*" "says so"
check "is left where it was" test "$(mqpipe recv -N 1 -P -t 40000 $V)" = '40000	big'
check "and the others go, with their types as priorities" test "$(mqpipe move $V $Q.A && all -P $Q.A)" = '4	four,'
mqpipe send $Q.A 1 2 3 && mqpipe send $Q.B 1 2 3 && mqpipe move -N 1 $Q.A $Q.B
check "-N moves no more than that" messages_are $Q.A 2
status_is 75 "75: move into a full queue" mqpipe move -n $Q.A $Q.B
says "mqpipe move: *moved 0 *'$Q.B'*" "says so"
check "what could not go is back" messages_are $Q.A 2
mqpipe move $Q.A $Q.B &
mover=$!
wait_for blocks_in $mover 242
check "move waits for room, a message in hand" messages_are $Q.A 1
kill $mover
wait $mover 2>/dev/null
status_is 143 "TERM ends it as it should" sh -c "exit $?"
check "and the message is back" messages_are $Q.A 2
(umask 077 && mqpipe rm $Q $V && mk -m 666 $Q $V)
check "-m is the mode whatever the umask" mode_is $Q 666
check "sysv too" mode_is $V 666
(umask 0 && mqpipe rm $Q $V && mqpipe send -c 4 -s 64 $Q x && mqpipe recv -e -c 4 -s 64 $V)
check "without it nobody else may" mode_is $Q 600
check "sysv: nor here" mode_is $V 600
check "/NAME and posix:/NAME are NAME" test "$(mqpipe recv -N 1 posix:/$Q && mqpipe rm /$Q)" = x
status_is 66 "rm of several goes on after one that is missing" mqpipe rm $Q $V
status_is 66 "and they are gone" mqpipe info $V
# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
