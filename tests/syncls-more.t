#!/bin/sh
# SPDX-License-Identifier: MIT
# syncls, the other half: queues, memory, events; and who waits for whom.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
K=$(printf '0x%08x' $((0x55000000 + $$)))
N=lt$$
trap 'ipcrm -S $K 2>/dev/null; ipcrm -Q $K 2>/dev/null; ipcrm -M $K 2>/dev/null
	rm -f "/dev/shm/sem.$N" "/dev/shm/dbt.$N" "/dev/shm/$N"; mqpipe rm -f "/$N" "/$N.b"; semwait --value $N >/dev/null 2>&1 && syncrm -f sem $N; cleanup' EXIT
SYNC_DIR=$PWD/pools
export SYNC_DIR
mkdir pools

# --- queues ---
if mqpipe create "/$N" 2>/dev/null; then
	mqpipe rm "/$N"
	made mqrecv "/$N"
	a=$!
	wait_for waiting $a mq "/$N"
	check "posix: a receiver that waits, in which call" test "$(people waiters 'pid call fd' mq "/$N")" = "$a mq_timedreceive 3"
	check "who has it open holds it" test "$(pids holders mq "posix:$N")" = $a
	check "messages, of how many" test "$(fields "value capacity message_size name" mq "/$N")" = "0 2 16 posix:/$N"
	mqpipe create "sysv:$N"
	check "one of System V is no match for the name of it" test "$(syncls mq "/$N" | grep -c "^mq")" -eq 1
	mqpipe rm "sysv:$N"
	check "the number of its inode" test "$(field inode mq "/$N")" -gt 0
	made mqpoll "/$N.b"
	b=$!
	wait_for waiting $b mq "/$N.b"
	check "one that polls is a waiter" test "$(people waiters 'pid call' mq "/$N.b")" = "$b poll" -o "$(people waiters 'pid call' mq "/$N.b")" = "$b ppoll"
	kill $a
	wait $a 2>/dev/null
	made mqsend "/$N"
	a=$!
	wait_for waiting $a mq "/$N"
	check "a sender that waits at a full one" test "$(people waiters 'pid call' mq "/$N") $(field value mq "/$N")" = "$a mq_timedsend 2"
	kill $a $b
	wait $a $b 2>/dev/null
	mqpipe rm "/$N" "/$N.b"
	mkfifo lines
	mqpipe send "/$N" <lines &
	a=$!
	exec 5>lines
	wait_for sh -c "syncls --json mq /$N | grep -q attends"
	check "a sender of mqpipe attends" test "$(people holders 'pid attends' mq "/$N")" = "$a true"
	exec 5>&-
	wait $a
	mqpipe rm "/$N"
else
	skip "posix: queues" "none can be made here"
fi
if ipcs -q >/dev/null 2>&1; then
	made msgrcv "$K" 1
	a=$!
	wait_for waiting $a mq "sysv:$K"
	check "sysv: a receiver that waits" test "$(people waiters 'pid call' mq "sysv:$K")" = "$a msgrcv"
	kill $a
	made msgsnd "$K" 8000
	b=$!
	wait_for waiting $b mq "sysv:$K"
	check "a sender that waits" test "$(people waiters 'pid call' mq "sysv:$K") $(field value mq "sysv:$K") $(field bytes mq "sysv:$K") $(field send_pid mq "sysv:$K")" = \
		"$b msgsnd 2 16000 $b"
	kill $b
	wait 2>/dev/null
else
	skip "sysv: queues" "no ipcs, or no System V here"
fi

# --- memory ---
if ipcs -m >/dev/null 2>&1; then
	made shmat "$K" 5000
	a=$!
	check "sysv: memory, who has it attached" test "$(pids holders shm "sysv:$K") $(field value shm "sysv:$K") $(field attached shm "sysv:$K") $(field create_pid shm "sysv:$K")" = "$a 5000 1 $a"
	kill $a
	wait $a 2>/dev/null
else
	skip "sysv: memory" "no ipcs, or no System V here"
fi
if [ -w /dev/shm ]; then
	made shmopen "/$N" 6000
	a=$!
	check "posix: memory, who has it mapped" test "$(pids holders shm "posix:/$N") $(field value shm "/$N") $(field mode shm "$N")" = "$a 6000 600"
	kill $a
else
	skip "posix: memory" "no /dev/shm to write to"
fi

# --- events ---
evfd run -f 5 sh -c './own evread 5 & ./own evpoll 5 & ./own evepoll 5 & wait' &
a=$!
wait_for sh -c 'test "$(ls up.* | wc -l)" -ge 3'
mine() { syncls --json event | perl -MJSON::PP -e 'local $/; for (@{decode_json(<STDIN>)}) { print join(" ", sort { $a <=> $b } map { $_->{pid} } @{$_->{holders}}), "/", join(" ", sort map { $_->{call} } @{$_->{waiters}}), " $_->{value}\n" if grep { $_->{pid} == $ARGV[0] } @{$_->{holders}} }' $a; }
three() { mine | grep -q '/epoll_p*wait p*poll read 0$'; }
wait_for three
check "an eventfd that four have, three wait for: read, poll, epoll" three
check "all four" sh -c "test \"$(mine | sed 's,/.*,,' | wc -w)\" -eq 4"
check "and it can be named as evfd takes it" test "$(field value event "$(syncls --json event | perl -MJSON::PP -e 'local $/; for (@{decode_json(<STDIN>)}) { print $_->{name} if grep { $_->{pid} == $ARGV[0] } @{$_->{holders}} }' $a)")" = 0
for f in $(mine | sed 's,/.*,,'); do kill "$f"; done
wait $a 2>/dev/null
evfd create -i 7 $N >/dev/null
check "one with a name: its value and holder" test "$(field value event $N) $(pids holders event $N)" = "7 $(field holder_pid event $N)"
check "each event is in the list once" sh -c "syncls --json event |
	perl -MJSON::PP -e 'local \$/; \$n{\$_->{id}}++ for @{decode_json(<STDIN>)}; exit grep { \$_ > 1 } values %n'"
evfd latch $N 8 &
a=$!
wait_for waiting $a event $N
check "by either of its names" test "$(field name event holder:$N)" = $N
check "who waits for it" test "$(people waiters 'pid call' event $N | cut -d' ' -f1)" = $a
evfd add $N
wait $a
evfd rm $N

# --- who waits for whom ---
mkfifo go1 go2
( exec 9>A && lockrun 9 && echo >go1 && lockrun B true ) &
( exec 9>B && lockrun 9 && read -r _ <go1 && lockrun A true ) &
wait_for waits A
wait_for waits B
check "--tree shows the circle" sh -c "syncls --tree lock | grep -Eq '^deadlock: pid [0-9]+ .lockrun, .* waits for lock flock:$PWD/[AB], held by pid [0-9]+ .*, which waits for lock flock:$PWD/[AB], held by pid'"
check "as JSON too" test "$(field deadlock lock A) $(field deadlock lock B)" = "true true"
for f in $(pids waiters lock A) $(pids waiters lock B); do kill "$f"; done
wait 2>/dev/null
made flock A
a=$!
made flock C
c=$!
made flock D
d=$!
lockrun A lockrun B true &
b=$!
lockrun C true &
wait_for waiting $b lock A
wait_for waiting $! lock C
# The kernel shows its list of locks page by page, and with others at work a line can be missed once.
plain_tree() {
	syncls --tree lock A D >tree
	grep -q "^lock flock:$PWD/A, held by pid $a " tree && grep -q "^  pid $b .* waits\$" tree &&
		[ "$(wc -l <tree)" -eq 2 ]
}
check "a waiter without a circle is no deadlock; what nobody waits for, or was not named, is not shown" wait_for plain_tree
kill $a $c $d
wait 2>/dev/null

check "--facilities has the tables" sh -c "syncls --facilities | grep -q '^FACILITY .*IDENTIFIED BY .*PERSISTENCE' && syncls --facilities | grep -q '^System V semaphore .* sets'"
check "as JSON" sh -c 'syncls --facilities --json | perl -MJSON::PP -e "local \$/; exit(@{decode_json(<STDIN>)} < 20)"'
# What of /proc/sys; a file that a namespace does not have counts as 0.
of() { cat "/proc/sys/$1" 2>/dev/null || echo 0; }
# The own one, in words.
own() { prlimit --pid $$ "--$1" --output SOFT --noheadings | tr -d ' '; }
limits() { printf '%-22s %s\n' "$@"; }
{
	for pipe in pipe FIFO; do
		limits $pipe "pipe-max-size $(of fs/pipe-max-size), pipe-user-pages-soft $(of fs/pipe-user-pages-soft)"
	done
	limits "UNIX socket" "max_dgram_qlen $(of net/unix/max_dgram_qlen)"
	limits "Internet socket" "wmem_max $(of net/core/wmem_max), somaxconn $(of net/core/somaxconn)"
	limits "System V queue" "$(of kernel/msgmni) queues, $(of kernel/msgmnb) B a queue, $(of kernel/msgmax) B a message"
	limits "POSIX queue" "$(of fs/mqueue/queues_max) queues, $(of fs/mqueue/msg_max) messages, $(of fs/mqueue/msgsize_max) B a message, RLIMIT_MSGQUEUE $(own msgqueue)"
	limits "System V memory" "$(of kernel/shmmni) segments, $(of kernel/shmmax) B each, $(of kernel/shmall) pages in all"
	for mapping in "anonymous mapping" "file mapping"; do
		limits "$mapping" "max_map_count $(of vm/max_map_count)"
	done
	for file in memfd "flock lock" "ofd lock" eventfd pidfd; do
		limits "$file" "$(of fs/file-max) open files, RLIMIT_NOFILE $(own nofile)"
	done
	# shellcheck disable=SC2046 # four numbers
	set -- $(of kernel/sem)
	limits "System V semaphore" "$4 sets, $1 in a set, $2 in all, $3 operations"
	limits "fcntl lock" "RLIMIT_LOCKS $(own locks)"
	limits inotify "max_user_instances $(of fs/inotify/max_user_instances), max_user_watches $(of fs/inotify/max_user_watches)"
	limits signal "RLIMIT_SIGPENDING $(own sigpending)"
} >expected
# How many there are changes meanwhile.
syncls --facilities | sed -E 's/^(.{22}) [0-9]+ of /\1 /' >limits
check "--facilities: the limits are the kernel's, and ours" test "$(grep -vxFf limits expected)" = ''
check "a list as JSON is valid" sh -c 'syncls --json | perl -MJSON::PP -e "local \$/; exit !decode_json(<STDIN>)"'
done_testing
