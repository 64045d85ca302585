#!/bin/sh
# SPDX-License-Identifier: MIT
# ipcbench leaves nothing behind, whoever is killed, of every facility.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
mkdir tmp
TMPDIR=$scratch/tmp
export TMPDIR
# Those that can be here, as the first words of the lines "measured NAME"
ipcbench -q -l -n 1 -r 1 -p none --csv | sed -n 's/^\([a-z-]*\),latency,none,[0-9]*,1,1,.*/measured \1/p' >figures
every=$(sed 's/measured //' figures)
check "there are some" test "$(wc -l <figures)" -gt 12

cat >children.sh <<'END'
tab=$(printf '\t')
# The process NAME of ipcbench $1
child() {
	for s in $(grep -ls "^PPid:$tab$1\$" /proc/[0-9]*/status); do
		grep -qxs "Name:$tab$2" "$s" && s=${s%/status} && echo "${s#/proc/}"
	done
}
# Is there one, but for $3? It is $found.
has_child() {
	found=$(child "$1" "$2")
	[ -n "$found" ] && [ "$found" != "$3" ]
}
END
. ./children.sh
# Kill every side of that NAME, of all facilities one after the other.
kill_each() { # NAME
	# shellcheck disable=SC2086 # a list
	ipcbench -q -l -n 1000000000 -r 1 -p none $every >killed.txt 2>killed.err &
	pid=$! found=''
	for f in $every; do
		wait_for has_child $pid "$1" "$found" || return 1
		kill -KILL "$found"
	done
	wait $pid
}
if unshare --ipc true 2>/dev/null; then
	apart='unshare --ipc'
elif unshare -r --ipc true 2>/dev/null; then
	apart='unshare -r --ipc'
else
	apart=''
fi
for side in send recv; do
	status_is 69 "69: kill -9 of ipcbench-$side" kill_each ipcbench-$side
	for f in $every; do
		check "and so it says of $f" grep -q "^ipcbench: $f, 8 bytes, none: the [a-z]* was killed by signal 9" killed.err
	done
done

# One facility at a time, in a namespace where all System V objects are ours: ipcbench as a whole is killed, or
# stopped, with both sides at work.
cat >end-each.sh <<'END'
. ./children.sh
# An orphan that is dead may wait for init for a while.
gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }
wait_for() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -le 2000 ] || return 1
		sleep 0.01 # ok: as in tests/lib.sh
	done
}
objects_are_gone() { [ "$(cat /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm | wc -l)" -eq 3 ]; }
for f in $(sed -n 's/^measured //p' figures); do
	perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' ipcbench -q -l -n 1000000000 -r 1 -p none "$f" >ended.txt 2>&1 &
	pid=$! found=''
	wait_for has_child $pid ipcbench-recv '' || exit 1
	kill -"$1" $pid
	wait $pid
	[ $? -eq "$2" ] || { echo "$f: status"; cat ended.txt; exit 1; }
	wait_for objects_are_gone || { echo "$f: left"; cat /proc/sysvipc/*; exit 1; }
	# Died with it, or before it.
	wait_for gone "$found" || { echo "$f: $found still runs"; exit 1; }
	[ ! -e "/dev/shm/ipcbench.$pid" ] || exit 1
	mqpipe info "ipcbench.$pid" 2>/dev/null && exit 1
done
exit 0
END
end_each() { # SIGNAL STATUS
	# shellcheck disable=SC2086 # a command and its options
	$apart sh ./end-each.sh "$1" "$2"
}
for how in 'KILL 137' 'INT 130'; do
	if [ -z "$apart" ]; then
		skip "SIG${how% *}: every facility leaves nothing" "no IPC namespace of its own for this user"
		continue
	fi
	# shellcheck disable=SC2086 # two words
	check "SIG${how% *}: every facility leaves nothing" end_each $how
done
check "nothing is left in TMPDIR" test -z "$(ls tmp)"
done_testing
