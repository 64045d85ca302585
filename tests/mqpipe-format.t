#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe: how messages lie in a stream, by hand-made examples: every framing, what is malformed, JSON, batches, and messages that are too long.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqf.$$
V=sysv:mqf.$$
made="$Q $V $Q.B"
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $made; cleanup' EXIT
SYNC_DIR=$scratch/private
export SYNC_DIR
mkdir -m 700 "$SYNC_DIR"
mqpipe create -c 4 -s 64 $Q $V
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
all() { mqpipe recv -e "$@" | tr '\n' ,; }
bytes() { od -An -tx1 | tr -d ' \n'; }

# --- the identity ---

# FILE goes through the queue and comes back as it is: OPTIONS FILE QUEUE
through() {
	# shellcheck disable=SC2086 # words are wanted
	mqpipe recv --eof $1 "$3" >got &
	# shellcheck disable=SC2086
	mqpipe send $1 "$3" <"$2" && wait $! && cmp got "$2"
}
# The same without --eof, which sysv has not: OPTIONS FILE MESSAGES
through_sysv() {
	# shellcheck disable=SC2086
	timeout 20 mqpipe send $1 $V <"$2" &
	# shellcheck disable=SC2086
	timeout 20 mqpipe recv -N "$3" $1 $V >got && wait $! && cmp got "$2"
}
# And over both.
through_both() {
	# shellcheck disable=SC2086
	timeout 20 mqpipe send $1 $Q <"$2" &
	for _ in $(seq "$3"); do
		timeout 20 mqpipe recv -N 1 -L $Q | timeout 20 mqpipe send -L $V
		# shellcheck disable=SC2086
		timeout 20 mqpipe recv -N 1 $1 $V
	done >got && wait $! && cmp got "$2"
}
try() { # CLAIM OPTIONS FILE MESSAGES
	check "$1: posix" through "$2" "$3" $Q
	check "$1: sysv" through_sysv "$2" "$3" "$4"
	check "$1: through both" through_both "$2" "$3" "$4"
	check "$1: nothing is left" sh -c "mqpipe info $Q $V | grep -c ': 0 messages' | grep -qx 2"
}
full=$(printf %064d 0)
printf '\nplain\n\n tabs\tand \\ "quotes"\n%s\n\001\377\376\r\n\n' "$full" >lines
try "-l" -l lines 7
printf 'a\0\0line\nfeed\0%s\0\377\200\0' "$full" >nuls
try "-0" -0 nuls 5
printf 'a--b-c----%s--' "$full" >dashes
try "-d of two bytes" '-d --' dashes 4
printf 'a\0\n\0bb\0\0c\n\0\n' >binary
try "-d with escapes, of a NUL and a newline" '-d \0\x0a' binary 2
printf 'a\tb\t\t' >tabbed
try "-d with a tab" '-d \t' tabbed 3
printf 'one\0two\nthree\377' >raw
try "-r" -r raw 1
: >empty
try "-r, nothing" -r empty 1
printf %s "$full" >exact
try "-r, as much as fits" -r exact 1
perl -e 'print pack "C*", 0 .. 255' >bytes256
try "-R 64, every byte there is" '-R 64' bytes256 4
try "-R 1" '-R 1' raw 14
printf '12345678' >records
try "-R 3, the last record is shorter" '-R 3' records 3
printf '0:,5:hello,4:\0\n,:,64:%s,1:\377,' "$full" >netstrings
try "-L" -L netstrings 5
numbered() { # OPTIONS FILE: priorities that are sorted, so that they come in this order whoever is first
	check "$1 -P: posix" through "$1 -P" "$2" $Q
	check "$1 -P: sysv" through_sysv "$1 -P" "$2" 3
}
printf '9\ta\n5\t7\tb\n1\t\n' >numbers
numbered -l numbers
tr '\n' '\0' <numbers >numbers0
numbered -0 numbers0
printf '3:9\ta,7:5\tb\0\n,\t,2:1\t,' >numbersL
numbered -L numbersL
printf '7\traw\n\0' >numberr
check "-r -P: posix" through '-r -P' numberr $Q
check "-r -P: sysv" through_sysv '-r -P' numberr 1

# --- what is malformed ---

bad() { # OPTIONS INPUT OFFSET WHY: and the messages before are there, nothing of this one
	mqpipe flush -q $Q
	# shellcheck disable=SC2059 # the input has escapes
	printf "$2" >input
	status_is 65 "65: send $1 of '$(printf %s "$2" | tr '\\' /)'" sh -c "mqpipe send $1 $Q <input"
	says "mqpipe send: cannot read the messages: at byte $3 of the input: *$4*" "says where: ${4:-somewhere in it}"
	check "what was right was sent, and nothing of what was not" test "$(mqpipe recv -e -L $Q)" = 1:a,
}
bad -L '1:a,x' 4 'expected a length'
bad -L '1:a,:x,' 4 'expected a length'
bad -L '1:a,-1:x,' 4 'expected a length'
bad -L '1:a,03:abc,' 4 'expected a length'
bad -L '1:a,+3:abc,' 4 'expected a length'
bad -L '1:a,9999999999999999999:abc,' 4 'expected a length'
bad -L '1:a,3abc,' 5 'expected a length and a colon'
bad -L '1:a,3:abcd' 9 'expected a comma'
bad -L '1:a,3:ab' 8 'ends inside a message'
bad -L '1:a,3' 5 'ends inside a message'
bad -L '1:a,3:' 6 'ends inside a message'
bad -L '1:a,3:abc' 9 'ends inside a message'
good='{"data":"a"}\n'
bad --json "${good}hello\\n" 13 'expected an object'
bad --json "$good"'[1]\n' 13 'expected an object'
bad --json "$good"'{"data":3}\n' 21 'expected a string'
bad --json "$good"'{"data":"x"' 24 'expected a comma or a closing brace'
bad --json "$good"'{"data":"x\n"}\n' 23 'ends inside a string'
bad --json "$good"'{"data":"x\001"}\n' 23 'control character'
bad --json "$good"'{"data":"\\q"}\n' 23 'no such escape'
bad --json "$good"'{"data":"\\u12"}\n' 26 'four hexadecimal digits'
bad --json "$good"'{"data":"\\ud83d"}\n' 28 'surrogate'
bad --json "$good"'{"data":"\\ude00"}\n' 28 'surrogate'
bad --json "$good"'{"data":"\\ud83d\\u0041"}\n' 34 'surrogate'
bad --json "$good"'{"data":"\377"}\n' 22 'not UTF-8'
bad --json "$good"'{"data":"\300\200"}\n' 22 'not UTF-8'
bad --json "$good"'{"data":"x","data_b64":"eA=="}\n' 36 'twice'
bad --json "$good"'{"data_b64":"e?=="}\n' '*' 'not base64'
bad --json "$good"'{"data_b64":"eA=A"}\n' '*' 'not base64'
bad --json "$good"'{"data_b64":"eB=="}\n' '*' 'not base64'
bad --json "$good"'{"data_b64":"e"}\n' '*' 'not base64'
bad --json "$good"'{"data":"x","len":2}\n' 13 'len is not the length'
bad --json "$good"'{"prio":1}\n' 13 'neither data nor data_b64'
bad --json "$good"'{}\n' 13 'neither data nor data_b64'
bad --json "$good"'{"data":"x"} x\n' 26 'nothing behind the object'
bad --json "$good"'{"data":"x","prio":-1}\n' 32 'expected a number'
bad --json "$good"'{"data":"x","prio":99999999999999999999}\n' '*' 'too large'
bad --json "$good"'{"data":"x","y":[1}\n' '*' ''
bad --json "$good"'{"data":"x","y":[1}}\n' '*' ''
bad --json "$good"'{"data":"x","y":}\n' '*' ''
bad --json "$good"'{"data":"x","y":bogus}\n' '*' ''
bad --json "$good"'{"data":"x",}\n' '*' ''
bad --json "$good"'{data:"x"}\n' 14 'expected a key in quotes'

# --- JSON ---

json_is() { # CLAIM LINE BYTES
	printf '%s\n' "$2" >line
	check "--json: $1" sh -c "mqpipe send --json $Q <line"
	check "is that message" test "$(mqpipe recv -e -r $Q | bytes)" = "$3"
}
json_is "characters by name" '{"data":"\"\\\/\b\f\n\r\t"}' 225c2f080c0a0d09
json_is "characters by number" '{"data":"\u0000\u0041\u00e9\u20AC\uffff"}' 0041c3a9e282acefbfbf
json_is "a surrogate pair" '{"data":"\ud83d\uDE00"}' f09f9880
json_is "UTF-8 as it is" '{"data":"é😀"}' c3a9f09f9880
json_is "base64" '{"data_b64":"AAH/"}' 0001ff
json_is "base64 of one byte" '{"data_b64":"/w=="}' ff
json_is "base64 without its padding" '{"data_b64":"/wA"}' ff00
json_is "nothing" '{"data":""}' ''
json_is "len that is right, in bytes" '{"len":2,"data":"é"}' c3a9
json_is "unknown keys, whatever they hold" '{"x":{"data":"no","y":[1,{"z":"}]\""}]},"data":"yes","n":null,"t":-1.5e3}' 796573
json_is "blanks" ' { "data" : "x" , "prio" : 3 } ' 78
printf '\n{"data":"1"}\n  \n{"data":"2"}' | mqpipe send --json $Q
check "--json: blank lines are none, the last line needs no end" test "$(all $Q)" = 1,2,
printf '{"data":"x","prio":7}\n{"data":"y"}\n' | mqpipe send --json -p 9 $Q
check "--json: prio, or that of -p" test "$(all -P $Q)" = '9	y,7	x,'
mqpipe send $V 'a"\' "$(printf '\t\177\001')" "$(printf '\377')" é ''
mqpipe peek --json $V >lines
printf '%s\n' '{"data":"a\"\\","prio":1,"len":3}' '{"data":"\u0009\u007f\u0001","prio":1,"len":3}' '{"data_b64":"/w==","prio":1,"len":1}' \
	'{"data":"é","prio":1,"len":2}' '{"data":"","prio":1,"len":0}' >want
check "--json: what comes out has prio and len, and data_b64 where it is no text" cmp want lines
mqpipe flush -q $V
check "--json: the identity: sysv" through_sysv --json lines 5
sed 's/"prio":1/"prio":0/' lines >lines0
check "--json: the identity: posix" through --json lines0 $Q
mqpipe recv --eof --json $Q >got &
perl -e 'for (0 .. 255) { $b = chr; print "64:", $b x 64, "," }' >messages
mqpipe send -L $Q <messages
wait $!
mqpipe recv --eof -L $Q >again &
mqpipe send --json $Q <got
wait $!
check "--json: every byte, full size" cmp messages again
mqpipe create -c 4 -s 64 $Q.B
mqpipe send -p 3 $Q x && mqpipe send -p 2 $Q '' && mqpipe send -p 1 $Q "$(printf '\001\377')"
mqpipe recv -e --json $Q | mqpipe send --json $Q.B
check "--json | --json keeps priorities" test "$(mqpipe recv -e -P -L $Q.B | bytes)" = "$(printf '3:3\tx,2:2\t,4:1\t\001\377,' | bytes)"

# --- records that do not fit ---

mqpipe send $Q abc d efg
status_is 65 "65: -R of a message behind a shorter one" mqpipe recv -e -R 3 $Q
says "*a message of 3 bytes does not fit the records of -R*it was put back into the queue" "it says why"
check "and that is back" test "$(all $Q)" = efg,
mqpipe send $Q abcd
status_is 65 "65: -R of a longer message" mqpipe recv -e -R 3 $Q
check "which is back" test "$(all $Q)" = abcd,

# --- batches ---

seq 300 >numbers
for framing in -l -0 '-d --' -L '-R 5' --json; do
	case $framing in
	-l | -R*) cat numbers ;;
	-0) tr '\n' '\0' <numbers ;;
	-d*) sed 's/$/--/' numbers | tr -d '\n' ;;
	-L) perl -ne 'chomp; print length, ":$_,"' numbers ;;
	--json) perl -ne 'chomp; print "{\"data\":\"$_\",\"prio\":0,\"len\":", length, "}\n"' numbers ;;
	esac >input
	check "--batch $framing" through "--batch $framing" input $Q
done
check "--batch -r" through '--batch -r' raw $Q
check "--batch of empty messages" sh -c "printf '\n\n\n' | mqpipe send --batch $Q && mqpipe recv -e --batch $Q | wc -l | grep -qx 3"
check "--batch of arguments" sh -c "mqpipe send --batch $Q a '' b && test \"\$(mqpipe recv -e --batch -L $Q)\" = 1:a,0:,1:b,"
printf '5\ta\n5\tb\n9\tc\n' | mqpipe send --batch -P $Q
check "--batch: one kernel message for each priority" messages_are $Q 2
check "which are kept" test "$(all --batch -P $Q)" = '9	c,5	a,5	b,'
seq 10 | mqpipe send --batch $Q
check "--batch: many messages are one" messages_are $Q 1
check "and come out with another framing" test "$(mqpipe recv -e --batch -L $Q)" = 1:1,1:2,1:3,1:4,1:5,1:6,1:7,1:8,1:9,2:10,
mqpipe send $Q plain
status_is 65 "65: recv --batch of a plain message" mqpipe recv -e --batch $Q
says "mqpipe recv: a message of 5 bytes was not sent with --batch: it was put back into the queue" "says so"
check "which is there" test "$(all $Q)" = plain,
status_is 65 "65: what is malformed, with --batch" sh -c "printf '1:a,x' | mqpipe send --batch -L $Q"
says "*at byte 4 of the input*" "says where"
check "what came before is sent" test "$(all --batch $Q)" = a,
status_is 65 "65: a message too long for a batch" sh -c "printf 'a\n%060d\nb\n' 0 | mqpipe send --batch $Q"
says "*at byte 2 of the input*" "says where"
check "what came before is sent" test "$(all --batch $Q)" = a,
for n in 55 56 57 58 59; do
	printf '%0*d\n' $n 0 | mqpipe send -q --batch $Q 2>got
	first=$?
	mqpipe flush -q $Q
	printf 'a\n%0*d\n' $n 0 | mqpipe send -q --batch $Q 2>got
	check "--batch: $n bytes are too long, or not, wherever they stand" test $first -eq $?
	mqpipe flush -q $Q
done

# --- messages that are too long ---

for framing in -l -0 '-d --' -L '-R 65' -r --json; do
	for n in 65 100000; do
		case $framing in
		-l) printf 'a\n%0*d\nb\n' $n 0 ;;
		-0) printf 'a\0%0*d\0b\0' $n 0 ;;
		-d*) printf 'a--%0*d--b--' $n 0 ;;
		-L) printf '1:a,%d:%0*d,1:b,' $n $n 0 ;;
		-R*) n=65 && printf '%065d' 0 ;;
		-r) printf '%0*d' $n 0 ;;
		--json) printf '{"data":"a"}\n{"data":"%0*d"}\n{"data":"b"}\n' $n 0 ;;
		esac >input
		case $framing in -R* | -r) a='' b='' ;; *) a=1:a, b=1:b, ;; esac
		f="$framing, $n bytes"
		# shellcheck disable=SC2086 # words
		{
			status_is 65 "65: $f" mqpipe send $framing $Q <input
			check "refused: what came before is sent, nothing of it" test "$(mqpipe recv -e -L $Q)" = "$a"
			status_is 0 "$f: --oversize=truncate" mqpipe send --oversize=truncate $framing $Q <input
			says "mqpipe send: *truncated*64 bytes*" "says what it did"
			check "and did it" test "$(mqpipe recv -e -L $Q)" = "${a}64:$full,$b"
			status_is 0 "$f: --oversize=skip" mqpipe send --oversize=skip $framing $Q <input
			says "mqpipe send: *skipped*64 bytes*" "says what it did"
			check "and did it" test "$(mqpipe recv -e -L $Q)" = "$a$b"
			status_is 0 "$f: --oversize=spill" mqpipe send --oversize=spill $framing $Q <input
			check "and it arrives" test "$(mqpipe recv -e -L --spill $Q)" = "$a$n:$(printf '%0*d' $n 0),$b"
		}
	done
done
check "a spilled message's file is removed when it is delivered" test "$(ls "$SYNC_DIR/spill")" = ''
printf %065d 0 | mqpipe send --oversize=spill $Q
file=$(ls "$SYNC_DIR/spill")
check "a spilled message is a file for us alone" test "$(stat -c %a "$SYNC_DIR/spill/$file")" = 600
status_is 74 "74: one that cannot be written" sh -c "mqpipe recv -N 1 --spill $Q >/dev/full"
check "its file is kept" exists "$SYNC_DIR/spill/$file"
check "and its ticket is back" messages_are $Q 1
check "without --spill it is a ticket" test "$(mqpipe recv -e -r $Q | tail -c 6)" = "$file"
foreign() { # CLAIM NAME
	printf '\211mqF%s' "$2" | mqpipe send -r $Q
	status_is 65 "65: $1" timeout 20 mqpipe recv -N 1 --spill $Q
	says "mqpipe recv: the file of a spilled message is not there, or not ours: dropped are * bytes from '$Q'" "says so"
	check "nothing was written" test "$out" = ''
	[ -z "${3-}" ] || check "which is left alone" exists "$3"
	mqpipe flush -q $Q
}
foreign "a ticket without a file" nofile
ln -s "$TOP/COPYING" "$SYNC_DIR/spill/linked"
foreign "a ticket that leads to a link" linked
mkfifo "$SYNC_DIR/spill/apipe1"
foreign "a ticket that leads to a fifo" apipe1
echo secret >"$SYNC_DIR/abc"
foreign "a ticket that leads elsewhere" ../abc "$SYNC_DIR/abc"
if [ "$(id -u)" -eq 0 ]; then
	echo secret >"$SYNC_DIR/spill/theirs" && chown 65534 "$SYNC_DIR/spill/theirs"
	foreign "a ticket of another user's file" theirs "$SYNC_DIR/spill/theirs"
else
	skip "a ticket of another user's file" "needs root to make one"
fi
# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
