#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe: whatever the messages are, and however they lie in the stream, they come out as they went in; and a plain C
# program sees just their bytes. Random messages: empty ones, NULs, newlines, as long as the queue takes, any in
# between. FRAMES_SEED=N has others.
# shellcheck disable=SC2317 # functions are called through check
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

queue=/frames.$$ other=/frames-b.$$
key=$(printf '0x5e%06x' $(($$ % 16777216))) sysv=sysv:$key
unset STORM_FAULT
first=${FRAMES_SEED:-20260101}
seed=$first
many=100
[ -z "${SANITIZE-}" ] || many=25 # such an mqpipe is slow
size=8192                         # of the longest message

remove_queues() { mqpipe rm -f "$queue" "$other" "$sysv"; }
# Small ones: other tests run at the same time, and all a user's queues have 819200 bytes.
make_queues() { mqpipe create -c 3 -s 8192 "$queue" "$other"; }
trap 'remove_queues; cleanup' EXIT

frames() { "$scratch/bin/mq-frames" "$@"; }

# What failed, so that it can be had again.
failed() {
	echo "$1: frame '$frame', seed $seed, $count messages of $size bytes, '$flags', options: $options"
	return 1
}

# The options for FRAME are $options; they have no blanks, but what is behind a d: may be anything.
set_frame() { # FRAME [FLAGS]
	frame=$1 flags=${2--} count=$many
	seed=$((seed + 1)) # an odd one: the last has no separator
	case $frame in
	l) options=-l ;;
	0) options=-0 ;;
	L) options=-L ;;
	json) options=--json ;;
	r) options=-r count=1 ;;
	R:*) options=-R${frame#R:} ;;
	d:*) options=-d${frame#d:} ;;
	esac
	case $flags in
	*P*) [ "$frame" = json ] || options="$options -P" ;;
	esac
}

make_input() { frames make "$frame" "$seed" "$count" "$size" "$flags" >in; }
is_right() { frames check "$frame" "$seed" "$count" "$size" "$flags" <out; }

posix_pass() { # [--batch]: send and recv at the same time
	# shellcheck disable=SC2086 # several options
	mqpipe send $options "$@" "$queue" <in &
	# shellcheck disable=SC2086 # several options
	mqpipe recv --eof $options "$@" "$queue" >out || failed 'recv' || return
	wait $! || failed 'send'
}

is_drained() { [ "$(mqpipe info -s "$sysv" | sed -n "s/^MQ_MESSAGES=//p")" = 0 ]; }
# Nobody can tell a batch's number of messages, nor that a sysv: queue has no sender: it is removed.
sysv_pass() { # [--batch]
	if [ $# -eq 0 ]; then
		# shellcheck disable=SC2086 # several options
		mqpipe send $options "$sysv" <in &
		# shellcheck disable=SC2086 # several options
		mqpipe recv -N $count $options "$sysv" >out || failed 'recv' || return
		wait $! || failed 'send'
		return
	fi
	mqpipe create "$sysv" || return
	# shellcheck disable=SC2086 # several options
	mqpipe recv --until-removed $options "$@" "$sysv" >out &
	# shellcheck disable=SC2086 # several options
	mqpipe send $options "$@" "$sysv" <in || failed 'send' || return
	wait_for is_drained || return
	mqpipe rm "$sysv" || return
	wait $! || failed 'recv'
}

# All ways to send and receive in FRAME.
identity() { # posix|sysv FRAME
	kind=$1 f=$2
	one=''
	[ "$kind" = posix ] || one=1
	for batch in '' --batch; do
		for number in "-$one" "P$one"; do
			case $f$number in R:*P*) continue ;; esac # explained by mqpipe: no room for it
			size=8192
			[ -z "$batch" ] || size=8183 # each has its frame in the batch
			set_frame "$f" "$number"
			make_input
			"${kind}_pass" ${batch:+"$batch"} && is_right || failed "$kind $batch" || return
		done
	done
	size=8192
}

# One at a time, many times.
raw() { # posix|sysv FLAGS
	round=0
	while [ "$round" -lt 30 ]; do
		set_frame r "$2"
		make_input
		"${1}_pass" && is_right || failed "$1 raw" || return
		round=$((round + 1))
	done
}

# Three fit into the first queue; they go on while they come out of the second.
moved() { # FRAME FLAGS
	round=0
	while [ "$round" -lt 30 ]; do
		set_frame "$1" "$2"
		[ "$frame" = r ] || count=3
		make_input
		# shellcheck disable=SC2086 # several options
		mqpipe send -n $options "$queue" <in || failed 'send' || return
		mqpipe move "$queue" "$sysv" &
		# shellcheck disable=SC2086 # several options
		mqpipe recv -N $count $options "$sysv" >out || failed 'recv' || return
		wait $! && is_right || failed 'move' || return
		round=$((round + 1))
	done
}

relayed() { # TO FRAME FLAGS
	set_frame "$2" "$3"
	make_input
	# shellcheck disable=SC2086 # several options
	mqpipe send $options "$queue" <in &
	# shellcheck disable=SC2086 # several options
	mqpipe recv --eof $options "$queue" | mqpipe send $options "$1" &
	# shellcheck disable=SC2086 # several options
	mqpipe recv -N $count $options "$1" >out || failed 'recv' || return
	wait
	is_right || failed "recv | send"
}

to_c() { # QUEUE FOR-C FRAME FLAGS
	set_frame "$3" "$4"
	make_input
	mqpipe info "$1" >/dev/null 2>&1 || mqpipe create "$1" || return
	# shellcheck disable=SC2086 # several options
	mqpipe send $options "$1" <in &
	frames recv "$frame" "$seed" "$count" "$size" "$flags" "$2" || failed 'C receives' || return
	wait $! || failed 'send'
}

from_c() { # QUEUE FOR-C FRAME FLAGS
	set_frame "$3" "$4"
	mqpipe info "$1" >/dev/null 2>&1 || mqpipe create "$1" || return
	frames send "$frame" "$seed" "$count" "$size" "$flags" "$2" &
	# shellcheck disable=SC2086 # several options
	mqpipe recv -N $count $options "$1" >out || failed 'recv' || return
	wait $! || failed "C sends" || return
	is_right || failed "recv"
}

all_frames() { # COMMAND...: called with each FRAME and FLAGS
	flag=$1
	shift
	for f in l 0 L json 'd:;' 'd:aab'; do
		for number in "-$flag" "P$flag"; do
			"$@" "$f" "$number" || return
		done
	done
	for f in R:1 R:512 R:8192; do
		"$@" "$f" "-$flag" || return
	done
}

echo "# FRAMES_SEED=$first"
check "the programs compile" "$TOP/tests/storm/build" bin frames
check "the queues are made" make_queues

for kind in posix sysv; do
	check "$kind: lines are received as they were sent" identity $kind l
	check "$kind: ... ended by NUL" identity $kind 0
	check "$kind: ... by another byte" identity $kind 'd:;'
	check "$kind: ... by several bytes that overlap" identity $kind d:aab
	check "$kind: ... by a string that is its own begin and end" identity $kind d:abab
	check "$kind: ... each with its length before it" identity $kind L
	check "$kind: ... as JSON" identity $kind json
	for bytes in 1 7 512 8183; do
		check "$kind: ... in records of $bytes bytes" identity $kind R:$bytes
	done
done
check "posix: a whole stream is one message" raw posix -
check "sysv: a whole stream is one message" raw sysv -1
check "posix: ... with its priority" raw posix P
check "sysv: ... with its type" raw sysv P1

check "posix to sysv: move keeps them" moved L -1
check "posix to sysv: move keeps their numbers" moved json 1
check "posix to sysv: recv | send keeps them in every framing" all_frames 1 relayed "$sysv"
check "posix to posix: recv | send keeps them in every framing" all_frames '' relayed "$other"

check "posix: a C program receives just the bytes that were sent, in every framing" all_frames '' to_c "$queue" "$queue"
check "sysv: a C program receives just the bytes that were sent, in every framing" all_frames 1 to_c "$sysv" "$key"
check "posix: what a C program sends is received, in every framing" all_frames '' from_c "$queue" "$queue"
check "sysv: what a C program sends is received, in every framing" all_frames 1 from_c "$sysv" "$key"

# The checker itself: what is wrong is seen.
set_frame L P
make_input
sed 's/,$/;/' in >out
status_is 1 "a stream that is damaged is seen" is_right
size=8191
cp in out
status_is 1 "other messages are seen" is_right

done_testing
