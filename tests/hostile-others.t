#!/bin/sh
# SPDX-License-Identifier: MIT
# Others who mean us harm, or live in other worlds: traps in a sticky directory, a pool that is scribbled on while
# in use, numbers of processes that come again, all of a group killed at once, an overlay, a container.
# shellcheck disable=SC2317,SC2086 # functions are called through check and status_is; words are wanted
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
N=others.$$
root=
[ "$(id -u)" -ne 0 ] || root=yes
other="setpriv --reuid=65534 --regid=65534 --clear-groups"
trap 'rm -f "/dev/shm/sem.$N" "/dev/shm/dbt.$N"; [ ! -d "${group-}" ] || rmdir "$group"; cleanup' EXIT
mkfifo go

# --- a sticky directory in which another has laid out what we are going to use ---

if [ "$root" ]; then
	chmod 711 .
	mkdir -m 1777 tmp
	mkdir -m 700 ours
	echo precious >ours/precious
	chmod 600 ours/precious
	cd tmp || exit 1
	$other sh -c 'ln -s ../ours/precious link
		ln -s ../ours/new dangling
		ln -s /proc/self/mem proc
		ln -s . directory-link
		mkfifo fifo
		mkdir directory
		: >writable; chmod 666 writable
		perl -MSocket -e "socket S, AF_UNIX, SOCK_STREAM, 0; bind S, sockaddr_un(q(socket))"'
	ln ../ours/precious hard # as it was possible where fs.protected_hardlinks is 0
	for trap in link dangling proc fifo socket; do
		status_is 65 "65: a $trap of another's in a sticky directory is no lock" timeout 60 lockrun $trap true
		status_is 65 "65: nor is it a pool" timeout 60 semwait -i 1 pool:./$trap true
	done
	status_is 65 "65: nor is a directory a pool" semwait -i 1 pool:./directory true
	status_is 65 "65: nor a file of another's that is empty" semwait -i 1 pool:./writable true
	lockrun -v writable true 2>../said
	check "a lock file that others can hold is warned of" grep -q 'open to others' ../said
	for trap in link dangling proc fifo socket hard directory directory-link writable; do
		timeout 60 syncrm -q lock "$PWD/$trap" >../out 2>&1
		timeout 60 lockrun --rm "$trap" true >../out 2>&1
		timeout 60 lockrun --metrics="$trap" ../L true >../out 2>&1
	done
	cd ..
	check "what they led to was neither made nor changed" \
		test "$(ls ours; cat ours/precious; stat -c %a ours/precious)" = "precious
precious
600"
	lockrun L true
	status_is 77 "77: who is another user cannot hold a lock of ours" $other $BUILD/bin/lockrun L true
	status_is 77 "77: nor can look who holds it by locking it" $other $BUILD/bin/lockrun -n -s L true
	semwait -i 1 pool:./mine true
	status_is 77 "77: nor can take from a pool of ours" $other $BUILD/bin/semwait -n pool:"$PWD/mine" true
else
	skip "traps in a sticky directory" "needs root, to be two users"
fi

# --- scribbled on while in use ---

# Whatever is in the file: an end with a status, never a signal, never for ever.
ends() { # PID...
	for p in "$@"; do
		timeout 60 tail --pid="$p" -f /dev/null || return 1
		wait "$p"
		code=$?
		echo "$code"
		[ $code -lt 128 ] || return 1
	done
}
waits_in() { [ "$(lockrun --who "ofd:$1" 2>/dev/null | grep -c ' 4+1 ')" -ge 1 ]; }
for damage in noise zeros text nothing; do
	rm -rf P P.wake held
	semwait -i 1 pool:./P sh -c 'echo >held; read -r x <go' &
	holder=$!
	wait_for exists held
	semwait -w 30 pool:./P true 2>said &
	one=$!
	wait_for waits_in P
	semwait -w 30 pool:./P true 2>said2 &
	two=$!
	case $damage in
	noise) dd if=/dev/urandom of=P conv=notrunc bs=4096 count=1 2>/dev/null ;;
	zeros) dd if=/dev/zero of=P conv=notrunc bs=4096 count=1 2>/dev/null ;;
	text) dd if="$TOP/README.md" of=P conv=notrunc bs=4096 count=1 2>/dev/null ;;
	nothing) : >P ;;
	esac
	release go
	check "a pool is scribbled on with $damage: who has a permit, and who waits, come to an end" ends $holder $one $two
	status_is 65 "65: and others are told" semwait -n pool:./P true
done

# --- the number of a dead process is another's ---

cat >again <<'SH'
# In a namespace of processes: kill who owes a permit, and have its number given to one who lives on.
again() { # PID
	while [ "$(cat /proc/sys/kernel/ns_last_pid)" -ge 0 ]; do
		echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid || exit 99
		sleep 600 & # ok: it has the number
		[ $! -ne "$1" ] || return 0
		kill $!
		wait $!
	done
}
lockrun L semwait -i 1 "$1" sh -c 'echo >"$0"; read -r x <go' "$2" 2>/dev/null &
one=$!
while [ ! -e "$2" ]; do sleep 0.01; done # ok: the test waits for us
read -r two rest <"/proc/$one/task/$one/children"
read -r three rest <"/proc/$two/task/$two/children"
kill -9 $one $two ${three:-}
wait $one
again $two
again $one
lockrun -w 60 L semwait -w 60 "$1" true # the grandchild may still be dying
SH
ns='unshare --fork --pid --mount-proc --kill-child'
[ "$root" ] || ns='unshare -r --fork --pid --mount-proc --kill-child'
for sem in sysv:$N posix:/$N pool:./numbers; do
	if $ns sh -c 'echo 1000 >/proc/sys/kernel/ns_last_pid' 2>/dev/null; then
		status_is 0 "its number is another's by now: the lock and the permit of the dead are free: ${sem%%:*}" \
			timeout -s KILL 120 $ns sh again $sem "held.${sem%%:*}"
	else
		skip "the number of a dead process is another's: ${sem%%:*}" "no namespace in which numbers can be given"
	fi
done
$ns syncrm -fq --force sem "sysv:$N" 2>/dev/null || syncrm -fq --force sem "sysv:$N" 2>/dev/null

# --- all of a group killed at once, as the kernel does when memory is short, or systemd when a unit ends ---

group=
for g in /sys/fs/cgroup /sys/fs/cgroup/unified; do
	[ -e $g/cgroup.procs ] && mkdir "$g/$N" 2>/dev/null && group=$g/$N && break
done
if [ "$group" ] && [ -e "$group/cgroup.kill" ]; then
	rm -f held
	: >K
	for name in 1 2 3 4 5 6 7 8; do
		sh -c 'echo $$ >"$0/cgroup.procs"
			exec lockrun K semwait -i 1 pool:./K.pool sh -c "echo >held; exec sleep 600"' "$group" "$name" 2>/dev/null & # ok: jobs
	done
	wait_for exists held
	wait_for waiters_are K 7
	echo 1 >"$group/cgroup.kill"
	wait
	status_is 0 "all of them are killed at once: the next one is served, of both" lockrun -n K semwait -n pool:./K.pool true
else
	skip "all of them are killed at once" "no cgroup of version 2 in which we may make one"
fi

# --- other worlds ---

if [ "$root" ] && unshare -m sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m &&
	mount -t overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w none /mnt/m' 2>/dev/null; then
	cat >overlay <<'SH'
mount -t tmpfs none /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && : >/mnt/l/L && cd /mnt/m || exit 1
mount -t overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w none /mnt/m && cd /mnt/m || exit 1
mkfifo /mnt/go
lockrun L sh -c 'echo >/mnt/held; read -r x </mnt/go' &
while [ ! -e /mnt/held ]; do sleep 0.01; done # ok: the test waits for us
chmod 640 L || exit 1 # copies it up
[ -e /mnt/u/L ] || exit 98
lockrun -q -n L true
code=$?
echo >/mnt/go
wait
[ $code -eq 75 ] && lockrun -n L true
SH
	status_is 0 "an overlay that copies the file up does not let two in" unshare -m sh overlay
else
	skip "an overlay that copies the file up does not let two in" "no overlay can be mounted here"
fi

if $ns true 2>/dev/null; then
	cat >heir <<'SH'
lockrun H sh -c 'echo >heir.held; read -r x <go' &
while [ ! -e heir.held ]; do sleep 0.01; done # ok: the test waits for us
kill -9 $!
wait $!
lockrun --json --who H
echo >go
SH
	check "in a container the heir of a dead holder is told from who asked" \
		sh -c "$ns sh heir | grep -q '\"inherited\":true'"
else
	skip "in a container the heir of a dead holder is told from who asked" "no namespaces of processes here"
fi

if unshare -U true 2>/dev/null; then
	# There everybody's files seem to be one's own, and no user has a name.
	chmod 777 .
	mkdir -p theirs
	status_is 0 "without a name in a user namespace: a lock" unshare -U lockrun -m 600 NS true
	status_is 0 "... and a pool" unshare -U semwait -i 1 -m 600 "pool:./ns" true
	check "... and who holds it is told" sh -c "unshare -U lockrun NS lockrun --who NS | grep -q '^holds'"
else
	skip "without a name in a user namespace" "no user namespaces here"
fi

done_testing
