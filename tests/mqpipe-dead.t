#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe dead: jobs that have failed for good are listed, put to work again, or dropped.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqd.$$
V=sysv:mqd.$$
made="$Q $V $Q.dead $V.dead $Q.long $Q.long.dead $Q.other"
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $made; cleanup' EXIT
SYNC_DIR=$scratch/sync # for what is spilled
export SYNC_DIR
mkdir "$SYNC_DIR"
# What all queues of a user may have in all is not much.
mqpipe create -c 8 -s 64 $Q $V
mqpipe create -c 8 -s 128 $Q.dead $V.dead $Q.other
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
all() { mqpipe recv -e "$@" | tr '\n' ,; }
# Each message becomes a dead letter; the status is in front of it.
fail() { # QUEUE [OPTION...]
	mqpipe work -q --backoff 0 -e "$@" -- sh -c 'exit "$(cut -d " " -f 1)"'
}
list() { mqpipe dead "$@" | sed 's/ 20[^ ]*//' | tr '\n' ,; }
zeros=$(printf %064d 0)
spilled() { find "$SYNC_DIR" -type f | wc -l; }

# --- list ---

status_is 0 "none" mqpipe dead $Q
check "says nothing" test "$out$err" = ''
status_is 66 "66: there is no queue for them" mqpipe dead $Q.none
for q in $Q $V; do
	lowest=0
	[ $q = $Q ] || lowest=1
	mqpipe send -p $((lowest + 3)) $q '65 x'
	mqpipe send -p $lowest $q '9 low' "1 back\\slash"
	mqpipe send -p $((lowest + 5)) $q '2 high'
	before=$(date +%s)
	# One by one: so we know their order.
	fail $q
	mqpipe dead --json $q >json
	check "$q: each with its status, attempts and priority" test "$(list $q | tr , '\n' | sort | tr '\n' ,)" = "status 1 attempts 3 priority $lowest: 1 back\\\\slash,status 2 attempts 3 priority $((lowest + 5)): 2 high,status 65 attempts 1 priority $((lowest + 3)): 65 x,status 9 attempts 3 priority $lowest: 9 low,"
	[ $q = $V ] || check "in the order in which they failed, whatever their priorities" \
		test "$(mqpipe dead $q | sed 's/.*: //' | tr '\n' ,)" = '2 high,65 x,9 low,1 back\\slash,'
	mqpipe dead --json $q | cmp -s - json
	report $? "a list changes neither them nor their order"
	mqpipe dead -N 1 $q >first
	check "-N 1: the first one" sh -c "test \$(wc -l <first) -eq 1 && mqpipe dead $q | head -n 1 | cmp -s - first"
	mqpipe dead --json $q | cmp -s - json
	report $? "does not change it either"
	status_is 74 "74: it cannot be written" sh -c "mqpipe dead $q >/dev/full"
	says "mqpipe dead: cannot write to standard output: No space left on device" "says so once"
	status_is 74 "74: as JSON" sh -c "mqpipe dead --json $q >/dev/full"
	mqpipe dead --json $q | head -n 1 >first
	mqpipe dead --json $q | cmp -s - json
	report $? "nor does an output that fails, nor a reader that goes"
	check "--json: with status, attempts, time" perl -MJSON::PP -e '
		my ($before, $n) = shift;
		while (<STDIN>) {
			my $o = decode_json $_;
			die $_ if $o->{status} != ($o->{data} =~ /^(\d+)/)[0] || $o->{attempts} != ($o->{status} == 65 ? 1 : 3);
			die $_ if $o->{len} != length $o->{data} || $o->{time} < $before || $o->{time} > time;
			$n++;
		}
		exit($n != 4)' "$before" <json

	# --- put to work again, dropped ---

	# Two fit, of any kind of queue.
	case $q in
	sysv:*) mqpipe send $q $zeros $zeros $zeros $zeros $zeros $zeros $zeros 0 "${zeros%000000000000}" ;;
	*) mqpipe send $q 0 0 0 0 0 0 ;;
	esac
	status_is 75 "75: --requeue, and the queue is full" mqpipe dead --requeue $q
	says "mqpipe dead: '$q' is full" "says so"
	check "prints how many there were" test "$out" = 2
	check "the others stay" messages_are $q.dead 2
	check "in their order" sh -c "test \"\$(mqpipe dead --json $q)\" = \"\$(tail -n 2 json)\""
	check "and those are in the queue again, with their priorities" \
		test "$(mqpipe recv -eP $q | grep -v '	0*$' | sort)" = "$(head -n 2 json | perl -MJSON::PP -ne '$o = decode_json $_; print "$o->{prio}\t$o->{data}\n"' | sort)"
	check "--drop -N 1: the first" test "$(mqpipe dead --drop -N 1 $q)" = 1
	check "no other" sh -c "test \"\$(mqpipe dead --json $q)\" = \"\$(tail -n 1 json)\""
	check "-q: no number" test "$(mqpipe dead -q --drop $q)" = ''
	check "all of them" messages_are $q.dead 0
	mqpipe send -p $((lowest + 4)) $q '65 a' '65 b' '65 c'
	fail $q
	check "--requeue -N 2" test "$(mqpipe dead --requeue -N 2 $q)" = 2
	check "the first two" test "$(mqpipe recv -eP $q | tr '\n' ,)" = "$((lowest + 4))	65 a,$((lowest + 4))	65 b,"
	mqpipe dead -q --requeue $q
	check "a job that is put to work again begins anew" \
		test "$(mqpipe work -e $q -- sh -c 'echo $MQPIPE_ATTEMPT $MQPIPE_PRIO')" = "1 $((lowest + 4))"

	# --- what is no letter ---

	mqpipe send -p $lowest $q '65 a' '65 b' '65 c'
	fail $q -N 1
	mqpipe send -p 7 $q.dead foreign
	fail $q
	status_is 65 "65: a message that is no letter" mqpipe dead $q
	says "mqpipe dead: a message of 7 bytes in '$q.dead' is no dead letter*" "is told of, once"
	check "the others are listed nevertheless" test "$(printf '%s\n' "$out" | sed 's/.*: //' | tr '\n' ,)" = '65 a,65 b,65 c,'
	check "nothing is lost by it" messages_are $q.dead 4
	status_is 65 "65: --requeue leaves it alone" mqpipe dead --requeue $q
	check "and only it" test "$out,$(all $q)" = '3,65 a,65 b,65 c,'
	check "it is there" test "$(mqpipe recv -e $q.dead)" = foreign
	printf '\211mqD' >a
	printf '\211mqD1 1 1 0' >b
	printf '\211mqD256 1 1 0\nx' >c
	printf '\211mqD1 1 1 0 0\nx' >d
	printf '\211mqD1 1 99999999999999999999 0\nx' >e
	printf '\211mqS1 1 1 0\n\211mqF../../' >f
	printf '\211mqS1 1 1 0\n\211mqFabcdef' >g
	for f in a b c d e f g; do
		mqpipe send -r -p 1 $q.dead <$f
		status_is 65 "65: a damaged letter: $f" mqpipe dead $q
		check "stays as it is" sh -c "mqpipe recv -er $q.dead | cmp -s - $f"
	done
	mqpipe send -p 7 $q.dead foreign
	check "--drop drops also what is no letter" test "$(mqpipe dead --drop $q 2>said)" = 1
	check "and says so" grep -q 'is no dead letter.*: dropped$' said
	check "so the queue is empty" messages_are $q.dead 0
done
mqpipe send -p 9 $Q '65 x'
fail $Q --dead=$V.dead
check "a job of a posix queue, in a sysv one" test "$(list --dead=$V.dead $Q)" = 'status 65 attempts 1 priority 9: 65 x,'
check "can be put back there" test "$(mqpipe dead --requeue --dead=$V.dead $Q)" = 1
check "with the priority it had" test "$(mqpipe recv -eP $Q)" = '9	65 x'
mqpipe send $Q '65 y'
fail $Q --dead=$Q.other
check "--dead: another queue" test "$(list --dead=$Q.other $Q),$(mqpipe dead -q --drop --dead=$Q.other $Q)" = 'status 65 attempts 1 priority 0: 65 y,,'

# --- those that are too long for their queue ---

mqpipe create -c 3 -s 8192 $Q.long
mqpipe create -c 3 -s 8192 $Q.long.dead
perl -e 'print "65 ", "\xff" x 8189' >long
perl -e 'print "65 ", "z" x 8189' >long.2
check "a message of just the size of the queue becomes a letter" sh -c "
	mqpipe send -r $Q.long <long && mqpipe send -r $Q.long <long.2 && mqpipe work -q -e $Q.long -- sh -c 'exit 65' && mqpipe info -s $Q.long.dead | grep -qx MQ_MESSAGES=2"
check "spilled, in files that are ours alone" test "$(find "$SYNC_DIR" -type f -perm 600 | wc -l)" -eq 2
check "it is listed with all its bytes" sh -c "mqpipe dead --json $Q.long | perl -MJSON::PP -MMIME::Base64 -ne '\$o = decode_json \$_; print \$o->{data} // decode_base64 \$o->{data_b64}' >got; cat long long.2 | cmp -s - got"
check "a list leaves the files" test "$(spilled)" -eq 2
check "--requeue puts back all its bytes" sh -c "mqpipe dead --requeue -N 1 $Q.long && mqpipe recv -er $Q.long | cmp -s - long"
check "and removes its file" test "$(spilled)" -eq 1
mqpipe send $Q.long 1 2 3
status_is 75 "75: not if the queue is full" mqpipe dead --requeue $Q.long
check "then the file stays" test "$(spilled)" -eq 1
check "--drop removes it" test "$(mqpipe dead --drop $Q.long),$(spilled)" = 1,0
mqpipe recv -e $Q.long >got
mqpipe send -r $Q.long <long
status_is 71 "71: no file can be made for it" env SYNC_DIR=/proc mqpipe work $Q.long -- sh -c 'exit 65'
check "it is where it was" sh -c "mqpipe recv -er $Q.long | cmp -s - long"
mqpipe send -r $Q.long <long
mqpipe work -q -e $Q.long -- sh -c 'exit 65'
rm -r "$SYNC_DIR/spill"
status_is 65 "65: its file is gone" mqpipe dead --requeue $Q.long
says "*or its file cannot be had: No such file or directory" "says so"
check "the letter stays" messages_are $Q.long.dead 1

# --- a worker fills the queue while a letter is out of it ---

mqpipe send $Q '65 1' '65 2' '65 3' '65 4' '65 5' '65 6' '65 7' '65 8'
fail $Q
mqpipe dead --json $Q | head -n 1 >first
# The kernel lets in who waits for room as soon as somebody takes a message.
mqpipe send $Q.dead extra &
sender=$!
wait_for grep -q '^242 ' /proc/$sender/syscall
status_is 75 "75: a letter that cannot be put back" mqpipe dead $Q
kept=$(find "$SYNC_DIR/spill" -type f)
says "mqpipe dead: a dead letter is in the file $kept, as it cannot be put back: the queue is full: mqpipe send -r -p 0 '$Q.dead' <FILE*" "is kept, and it is said where"
wait $sender
check "the others are in the queue" messages_are $Q.dead 8
mqpipe flush -q $Q.dead
mqpipe send -r -p 0 $Q.dead <"$kept" && rm "$kept"
check "put back as it says, it is the letter that it was" sh -c "mqpipe dead --json $Q | cmp -s - first"
mqpipe dead -q --drop $Q

# --- somebody takes the letters while they are listed ---

mqpipe send $Q '65 1' '65 2'
fail $Q
mkfifo full && exec 9<>full
perl -MFcntl -e 'fcntl STDOUT, F_SETFL, O_RDWR | O_NONBLOCK or die; 1 while syswrite STDOUT, "x" x 4096' >&9
mqpipe dead $Q >full 2>said 9<&- &
lister=$!
wait_for grep -Eq '^(1|20) ' /proc/$lister/syscall
mqpipe flush -q $Q.dead
cat <&9 >/dev/null 2>&1
wait $lister
status_is 0 "a list ends with the last letter that is left" sh -c "exit $?"
check "without a word" test ! -s said
exec 9<&-

# --- the command line ---

for args in "" "$Q $Q" "--requeue --drop $Q" "-N 0 $Q" "-N x $Q" "sysv:0x1" "sysv:id=1"; do
	# shellcheck disable=SC2086 # words
	status_is 64 "64: dead $args" mqpipe dead $args
done
key=0x5c$(printf %06x $(($$ % 16777216)))
mqpipe send "sysv:$key" x
status_is 71 "71: a queue without a name has no such queue" mqpipe work --tries=1 "sysv:$key" -- false
says "*give --dead=QUEUE" "says what to do"
check "its message stays" test "$(mqpipe recv -e "sysv:$key")" = x
mqpipe rm "sysv:$key"
status_is 74 "74: the number cannot be written" sh -c "mqpipe dead --drop $Q >/dev/full"

# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
