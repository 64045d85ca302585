#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe where things are full, limited, or elsewhere: each refusal names what is in the way, how much it is, and what would do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mql.$$
V=sysv:mql.$$
strange=$(printf 'a\033[2J\n\001%s' $$)
many="$Q.1 $Q.2 $Q.3 $Q.4 $Q.5 $Q.6 $Q.7 $Q.8 $Q.9"
made="$Q $V $many"
# shellcheck disable=SC2086 # lists
uid=none
trap '$as mqpipe rm -f $made; mqpipe rm -f $made "$strange"; rm -f "/dev/shm/sysv.$uid"; cleanup' EXIT
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
all() { mqpipe recv -e "$@" | tr '\n' ,; }
sysctl() { cat "/proc/sys/$1"; }
# An ordinary user, who has no queue yet: what the user has in all is limited.
as=''
if [ "$(id -u)" -eq 0 ]; then
	uid=$((60000 + $$ % 5000))
	as="setpriv --reuid=$uid --regid=$uid --clear-groups env"
	PATH=$(anybodys_bin):$PATH
fi
# To create with so many bytes allowed, OPTIONS...
with_bytes() {
	bytes=$1
	shift
	# shellcheck disable=SC2086 # words are wanted
	$as prlimit --msgqueue="$bytes" mqpipe create "$@"
}

# --- limits of posix queues ---

capacity=$(sysctl fs/mqueue/msg_default)
size=$(sysctl fs/mqueue/msgsize_default)
most=$(sysctl fs/mqueue/msg_max)
size_most=$(sysctl fs/mqueue/msgsize_max)
[ "$capacity" -le "$most" ] || capacity=$most
[ "$size" -le "$size_most" ] || size=$size_most
charge=$((capacity * (size + 96)))
status_is 0 "an ordinary user can have a queue of the default size" $as mqpipe create $Q
$as mqpipe info -s $Q >info.txt
check "which is the system's" test "$(sed -n 's/^MQ_\(CAPACITY\|SIZE\)=//p' info.txt | tr '\n' ,)" = "$capacity,$size,"
$as mqpipe rm $Q
if [ -n "$as" ]; then
	# shellcheck disable=SC2086 # a list
	status_is 0 "nine of them" with_bytes $((charge * 9 + 5000)) $many
	status_is 71 "71: and no tenth" with_bytes $((charge * 9 + 5000)) $Q
	says "mqpipe create: cannot create '$Q': RLIMIT_MSGQUEUE, for the bytes of all queues of a user, is $((charge * 9 + 5000)), and it would need $charge: *" \
		"names the limit, its value, and what the queue would need"
	says "*remove others with mqpipe rm, or raise it with ulimit -q" "and what to do"
	case $err in
	*give\ at\ most*) report 1 "and does not advise a larger one than was asked for" ;;
	*) report 0 "and does not advise a larger one than was asked for" ;;
	esac
	status_is 0 "but a small one" with_bytes $((charge * 9 + 5000)) -c 4 -s 64 $Q
	# shellcheck disable=SC2086
	$as mqpipe rm $many $Q
else
	skip "a tenth queue" "needs root to be a user who has none"
fi
status_is 71 "71: ulimit -q 0" with_bytes 0 $Q
says "*RLIMIT_MSGQUEUE, for the bytes of all queues of a user, is 0, and it would need $charge: remove others*" "says so"
status_is 71 "71: fewer bytes than it takes" with_bytes 639 -c 4 -s 64 $Q
says "*is 639, and it would need 640: give at most -c 3, *" "and what would fit"
[ -z "$as" ] || check "and so much does fit" with_bytes 640 -c 4 -s 64 $Q
$as mqpipe rm -f $Q
status_is 71 "71: recv that would make it" $as prlimit --msgqueue=0 mqpipe recv -n $Q
says "mqpipe recv: cannot create '$Q': RLIMIT_MSGQUEUE*" "says so"
status_is 71 "71: send that would make it" $as prlimit --msgqueue=0 mqpipe send -n $Q x
says "mqpipe send: cannot create '$Q': RLIMIT_MSGQUEUE*" "says so"
status_is 71 "71: more messages than the system allows" $as mqpipe create -c $((most + 1)) -s 8 $Q
says "*fs.mqueue.msg_max is $most, and it would need $((most + 1)): give at most -c $most, or raise it with sysctl fs.mqueue.msg_max" \
	"the limit, its value, what was asked, and what fits"
status_is 71 "71: longer messages than the system allows" $as mqpipe create -c 1 -s $((size_most + 1)) $Q
says "*fs.mqueue.msgsize_max is $size_most, and it would need $((size_most + 1)): give at most -s $size_most, or raise it with sysctl fs.mqueue.msgsize_max" \
	"the limit, its value, what was asked, and what fits"
for n in 4 8; do
	status_is 71 "71: $n descriptors" prlimit --nofile=$n mqpipe create -c 1 -s 8 $Q
	says "mqpipe create: cannot create '$Q': RLIMIT_NOFILE is $n: *ulimit -n" "is not taken for too many queues"
	case $err in
	*mqpipe\ rm*) report 1 "nor are queues to be removed for that" ;;
	*) report 0 "nor are queues to be removed for that" ;;
	esac
done
mqpipe create -c 4 -s 64 $Q
status_is 0 "32 descriptors suffice" prlimit --nofile=32 mqpipe recv -e --eof $Q
status_is 71 "71: -w without a timer" prlimit --sigpending=0 mqpipe recv -w 50 $Q
says "*no timer could be had for the timeout: raise ulimit -i*" "says so"

# --- limits of sysv queues ---

msgmax=$(sysctl kernel/msgmax)
msgmnb=$(sysctl kernel/msgmnb)
status_is 71 "71: sysv: longer messages than the system allows" $as mqpipe create -s $((msgmax + 1)) $V
says "*kernel.msgmax is $msgmax, and it would need $((msgmax + 1)): give at most -s $msgmax, or raise it with sysctl kernel.msgmax" \
	"the limit, its value, what was asked, and what fits"
if [ -n "$as" ] || [ "$(id -u)" -ne 0 ]; then
	n=$((msgmnb / msgmax))
	status_is 71 "71: more of them" $as mqpipe create -c $((n + 1)) -s "$msgmax" $V
	says "*kernel.msgmnb is $msgmnb, and it would need $(((n + 1) * msgmax)): give at most -c $n, or raise it with sysctl kernel.msgmnb" "likewise"
	status_is 66 "and no half of it is made" mqpipe info $V
fi
perl -e 'print "x" x shift, "\n"' $((msgmax + 1)) >long
status_is 65 "65: a message over kernel.msgmax" mqpipe send $V <long
says "*a message of $((msgmax + 1)) bytes, at byte 0 of the input: '$V' takes $msgmax at most: *(up to kernel.msgmax, which is $msgmax)*" "names that"
check "nothing of it was sent" messages_are $V 0
mqpipe rm $V
mqpipe create -c 4 -s 8 $V
status_is 65 "65: a message over the queue's own size" mqpipe send $V "$(printf %033d 0)"
says "*'$V' takes 32 at most: make it with a larger -s, or see --oversize" "names no sysctl, as none is in the way"
mqpipe send $V "$(printf %032d 0)"
status_is 75 "75: bytes are what fills it" mqpipe send -n $V x
mqpipe flush -q $V

# --- namespaces ---

cat >sysctls <<'SH'
# In a namespace of its own: at most N of each kind, and small ones.
exec 2>&1
echo 2 >/proc/sys/fs/mqueue/queues_max && echo 1 >/proc/sys/kernel/msgmni && echo 3 >/proc/sys/fs/mqueue/msg_max || exit 99
$as mqpipe create -c 1 -s 8 a b c
echo "status $?"
$as mqpipe create sysv:a sysv:b
echo "status $?"
$as mqpipe rm a b && $as mqpipe create a && $as mqpipe info a
SH
if [ -n "$as" ] && as=$as unshare -i sh sysctls >got; then
	check "fs.mqueue.queues_max is named" grep -q "^mqpipe create: cannot create 'c': fs.mqueue.queues_max is 2: .*mqpipe rm.*" got
	check "kernel.msgmni is named" grep -q "^mqpipe create: cannot create 'sysv:b': kernel.msgmni is 1: .*mqpipe rm.*" got
	check "status 71 for both" test "$(grep -cx 'status 71' got)" -eq 2
	check "the default capacity is no more than fs.mqueue.msg_max" grep -q '^a: 0 messages of 3,' got
else
	skip "limits of how many queues" "needs a namespace of its own, and sysctls in it"
fi
apart=''
for try in -i -ri; do
	[ -n "$apart" ] || ! unshare $try true 2>/dev/null || apart="unshare $try"
done
if [ -n "$apart" ]; then
	for q in $Q $V; do
		# shellcheck disable=SC2086 # words
		status_is 66 "66: $q, in another IPC namespace" $apart mqpipe recv -n --no-create $q
		says "mqpipe recv: no queue '$q' in this IPC namespace*" "says that it is a namespace's"
		# shellcheck disable=SC2086
		status_is 66 "66: rm there" $apart mqpipe rm $q
		check "does not remove it here" messages_are $q 0
	done
else
	skip "another IPC namespace" "cannot be had here"
fi
cat >unmounted <<'SH'
while umount /dev/mqueue; do :; done 2>/dev/null
! grep -q ' /dev/mqueue ' /proc/mounts && exec "$@"
SH
if unshare -m sh unmounted true 2>/dev/null; then
	check "/dev/mqueue needs not be mounted: send" unshare -m sh unmounted mqpipe send $Q x
	check "nor for recv --eof" test "$(unshare -m sh unmounted mqpipe recv --eof $Q)" = x
	check "nor to make a queue" unshare -m sh unmounted mqpipe create -c 1 -s 8 $Q.1
	check "nor to remove one" unshare -m sh unmounted mqpipe rm $Q.1
else
	skip "no /dev/mqueue" "it cannot be unmounted here"
fi

# --- names ---

status_is 66 "66: a name with control characters" mqpipe recv -n --no-create "$strange"
spelled="mqpipe recv: no queue \$'a\\e[2J\\n\\x01$$' in this IPC namespace"
says "*$(printf %s "$spelled" | sed 's/[][\\]/\\&/g')*" "are spelled"
check "and go to no terminal raw" test "$(printf %s "$err" | LC_ALL=C tr -d ' -~' | wc -c)" -eq 0
status_is 0 "though a queue may have that name" mqpipe create -c 1 -s 8 "$strange"
check "info spells it too" test "$(mqpipe info "$strange" | LC_ALL=C tr -d ' -~\n' | wc -c)" -eq 0
check "on one line" test "$(mqpipe info "$strange" | wc -l)" -eq 1
check "and as JSON" sh -c 'mqpipe info --json "$1" | grep -q "^\[{\"name\":\"a\\\\u001b\[2J\\\\u000a\\\\u0001"' - "$strange"
mqpipe rm "$strange"

# --- full queues ---

status_is 0 "--drop-old" sh -c "seq 10 | mqpipe send --drop-old $Q"
says "mqpipe send: *'$Q'*dropped 6*" "says how many it dropped"
check "the last ones are there" test "$(all $Q)" = 7,8,9,10,
status_is 0 "--drop-new" sh -c "seq 10 | mqpipe send --drop-new $Q"
says "mqpipe send: *'$Q'*dropped 6*" "says how many it dropped"
check "the first ones are there" test "$(all $Q)" = 1,2,3,4,
status_is 0 "-q" sh -c "seq 10 | mqpipe send -q --drop-new $Q"
says '' "does not"
mqpipe flush -q $Q

# --- progress ---

status_is 0 "--progress=always" sh -c "seq 3 | mqpipe send --progress=always $Q"
says "mqpipe send: sent 3 messages, 3 bytes" "says in the end what was sent"
mqpipe recv --progress=always -N 4 $Q 2>got >taken &
receiver=$!
wait_for grep -q 'mqpipe recv: received 3 messages, 3 bytes, .*/s, .* bytes/s, queue 0 of 4' got
mqpipe send $Q x
wait $receiver
check "and on the way messages, bytes, rates and the queue" grep -qx 'mqpipe recv: received 4 messages, 4 bytes' got
status_is 0 "--progress where there is no terminal" sh -c "echo x | mqpipe send --progress $Q"
says '' "is silent"
# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made "$strange"; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
