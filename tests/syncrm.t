#!/bin/sh
# SPDX-License-Identifier: MIT
# syncrm removes exactly what nobody uses: one by one, all that is stale, and under a storm of new users.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
K=$(printf '0x%08x' $((0x52000000 + $$)))
N=rm$$
SYNC_DIR=$PWD/pools
export SYNC_DIR
mkdir pools
names() { for n in a b c held waited storm; do echo "$N.$n"; done; }
remove_all() {
	ipcrm -S "$K" 2>/dev/null
	ipcrm -Q "$K" 2>/dev/null
	ipcrm -M "$K" 2>/dev/null
	for n in $(names); do
		rm -f "/dev/shm/sem.$n" "/dev/shm/dbt.$n" "/dev/shm/$n"
		syncrm -fq sem "$n"
		syncrm -fq mq "sysv:$n"
		mqpipe rm -f "/$n"
	done 2>/dev/null
}
trap 'remove_all; cleanup' EXIT
sysv='' posix='' mq=''
ipcs -s >/dev/null 2>&1 && semwait -i 1 $N.a true && sysv=yes
semwait -i 1 posix:$N.a true 2>/dev/null && posix=yes
mqpipe create /$N.a 2>/dev/null && mq=yes

# --- exit statuses ---
status_is 64 "64: nothing to remove" syncrm
status_is 64 "64: no type" syncrm L
says "*expected lock, sem, mq, shm, event, pool or jobserver*" "it says which there are"
status_is 64 "64: a type without a name" syncrm lock
status_is 64 "64: --yes alone" syncrm --yes lock L
status_is 64 "64: --stale with --force" syncrm --stale --force
status_is 64 "64: --repair of a lock" syncrm --repair lock L
status_is 66 "66: no such lock" syncrm lock ./missing
status_is 66 "66: no such pool" syncrm pool missing
status_is 0 "0: with -f that is no error" syncrm -f lock ./missing
echo content >full
status_is 65 "65: a file with something in it is more than a lock" syncrm lock full
check "and stays" test -s full
mkdir folder
status_is 65 "65: a directory" syncrm lock folder
ln -s full link
status_is 66 "66: a symbolic link is not followed" syncrm lock link

# --- one by one ---
lockrun L true
status_is 0 "0: a lock file" syncrm -v lock ./L
says "syncrm: removed lock 'flock:$PWD/L'*" "it says so"
check "it is gone" test ! -e L
made flock L
a=$!
status_is 75 "75: one that is held" syncrm lock L
says "syncrm: cannot remove lock 'flock:$PWD/L': held by pid $a (own, $(id -un)) for *: wait until nobody uses it, or use --force*" "it says by whom"
check "it is there" test -e L
status_is 75 "75: by a lock of another kind, too" syncrm lock ofd:L
check "-q says nothing" sh -c 'test -z "$(syncrm -q lock L 2>&1)"'
status_is 0 "0: with --force" syncrm -f lock L
if mknod device c 1 3 2>/dev/null && : >>device; then
	status_is 65 "65: a device is more than a lock, also with --force" syncrm -f lock ./device
	check "it is there" test -c device
else
	skip "a device is more than a lock" "none can be made here"
fi
check "it is gone" test ! -e L
kill $a
status_is 65 "65: an eventfd has no name" evfd run -f 5 sh -c 'syncrm event "$(syncls --json event | perl -MJSON::PP -e '\''local $/; for (@{decode_json(<STDIN>)}) { print $_->{name} if grep { $_->{pid} == $ARGV[0] } @{$_->{holders}} }'\'' $$)" || { s=$?; test $s -eq 75 && exit 65; exit $s; }'
if [ "$sysv" ]; then
	semwait $N.a sleep 600 & # ok: a holder
	a=$!
	wait_for sh -c "test \"\$(semwait --value $N.a)\" = 0"
	status_is 75 "75: a semaphore whose permits are out" syncrm sem $N.a
	kill $a
	wait $a 2>/dev/null
	semwait $N.a true
	semwait -i 0 $N.b true & # ok: waits
	a=$!
	wait_for waiting $a sem $N.b
	status_is 75 "75: one that is waited for" syncrm sem $N.b
	says "*waited for by pid $a (semwait, *" "by whom"
	sempost $N.b
	wait $a
	status_is 0 "0: when nobody waits" syncrm sem $N.b
	status_is 66 "66: it is gone" semwait --value $N.b
	check "and its label" test -z "$(grep -lsF "$N.b" "/dev/shm/sysv.$(id -u)")"
	status_is 0 "0: one whose permits are back" syncrm sem $N.a
	if [ "$(id -u)" -eq 0 ]; then
		semwait -m 666 -i 1 $N.a true
		status_is 77 "77: another user's" setpriv --reuid=65534 --regid=65534 --clear-groups "$(anybodys_bin)/syncrm" --force sem $N.a
		check "it is there" test "$(semwait --value $N.a)" = 1
		syncrm --force sem $N.a
	else
		skip "77: another user's" "needs root"
	fi
else
	skip "sysv: semaphores" "no ipcs, or no System V here"
fi
if [ "$posix" ]; then
	semwait posix:$N.a sleep 600 & # ok: a holder
	a=$!
	wait_for sh -c "test \"\$(semwait --value posix:$N.a)\" = 0"
	status_is 75 "75: a posix: semaphore that is held" syncrm sem posix:/$N.a
	wait_for sh -c "test \"\$(syncls --json sem posix:/$N.a | grep -c 'sleep 600')\" -gt 0"
	job=$(pids holders sem posix:/$N.a)
	# shellcheck disable=SC2086 # two of them
	kill -KILL $job
	wait $a 2>/dev/null
	wait_for test -z "$(pids holders sem posix:/$N.a)"
	check "a permit whose owner was killed is owed" test "$(field owed sem posix:/$N.a)" = 1
	check "--repair gives it back" test "$(syncrm --repair sem posix:/$N.a)" = "posix:/$N.a returned 1 doubtful 0"
	check "then there is nothing to do" test "$(syncrm --repair --json sem posix:/$N.a)" = "[{\"name\":\"posix:/$N.a\",\"returned\":0,\"doubtful\":0}]"
	status_is 0 "0: then it can be removed" syncrm sem posix:/$N.a
	check "with its ledger" test ! -e /dev/shm/sem.$N.a -a ! -e /dev/shm/dbt.$N.a
else
	skip "posix: semaphores" "no /dev/shm, or they do not work here"
fi
if [ "$mq" ]; then
	mqpipe recv -N 1 /$N.a >got &
	a=$!
	wait_for sh -c "syncls --json mq /$N.a | grep -q attends"
	status_is 75 "75: a queue that somebody has open" syncrm mq /$N.a
	echo x | mqpipe send /$N.a
	wait $a
	status_is 0 "0: that nobody has open" syncrm mq /$N.a
	status_is 66 "66: it is gone" syncrm mq /$N.a
else
	skip "posix: queues" "none can be made here"
fi
semwait -i 1 pool:$N.a sleep 600 & # ok: a holder
a=$!
wait_for sh -c "test \"\$(semwait --value pool:$N.a)\" = 0"
status_is 75 "75: a pool with a holder" syncrm pool $N.a
kill $a
wait $a 2>/dev/null
status_is 0 "0: without" syncrm pool $N.a
check "it is gone, and what was beside it" test -z "$(ls pools)"
evfd create $N.a >/dev/null
status_is 75 "75: an event has a holder" syncrm event $N.a
status_is 0 "0: with --force" syncrm -f event $N.a
check "it is gone" sh -c "! evfd get $N.a 2>/dev/null"

# --- all that is stale, under a storm ---
# Dead: nobody has them. Live: held or waited for all the time. Storm: users come and go; a job of one permit
# makes a directory, so two at a time would be seen.
dead='' live='' storm=''
for n in a b c; do
	semwait -i 1 pool:$N.$n true && dead="$dead pool:$N.$n"
	[ "$sysv" ] && semwait -i 1 $N.$n true && dead="$dead sysv:$N.$n"
	[ "$posix" ] && semwait -i 1 posix:/$N.$n true && dead="$dead posix:/$N.$n"
done
kinds='pool:'
[ "$sysv" ] && kinds="$kinds sysv:"
[ "$posix" ] && kinds="$kinds posix:/"
holders=''
for k in $kinds; do
	type=sem
	[ $k = pool: ] && type=pool
	semwait -i 1 $k$N.held sleep 600 & # ok: a holder
	holders="$holders $!"
	wait_for sh -c "test \"\$(semwait --value $k$N.held)\" = 0"
	semwait -i 0 $k$N.waited true &
	holders="$holders $!"
	wait_for waiting $! $type $k$N.waited
	live="$live $k$N.held $k$N.waited"
	storm="$storm $k$N.storm"
done
cat >job <<'SH'
mkdir "$1" || echo "two at a time in $1" >>wrong
rmdir "$1"
echo >>ran
SH
worker() { # SEMAPHORE DIRECTORY
	i=0
	while [ $i -lt 8 ]; do
		semwait -q -i 1 -w 30 "$1" sh job "$2"
		s=$?
		case $s in
		0) i=$((i + 1)) ;;
		69) ;; # it came when that was removed, and had nothing yet
		*) echo "status $s of $1" >>wrong && break ;;
		esac
	done
}
workers=''
for k in $kinds; do
	for w in 1 2 3; do
		worker "$k$N.storm" "at.${k%%:*}" 2>>told &
		workers="$workers $!"
	done
done
alive() {
	for w in $workers; do
		kill -0 "$w" 2>/dev/null && return
	done
	return 1
}
# shellcheck disable=SC2086 # names
sweep() { # TYPE; its own, and nobody else's
	mine=''
	for n in $dead $live $storm; do
		case $1:$n in pool:pool:* | sem:[!p]* | sem:po[!o]*) mine="$mine $n" ;; esac
	done
	[ -z "$mine" ] || syncrm --stale --yes "$1" $mine
}
echo "$dead" | tr ' ' '\n' | sed '/^$/d' | sort >want
{ sweep pool && sweep sem; } >first
sed 's/^[a-z]* //' first | grep -v "$N.storm" | sort >got
check "--stale --yes removes all that are dead, and none that are not" diff want got
: >swept
while alive; do { sweep pool && sweep sem; } >>swept; done
# shellcheck disable=SC2086 # pids
wait $workers
check "what it says it removes later is of the storm alone" sh -c "! grep -v '$N.storm' swept"
check "no job has another beside it, and none fails" test ! -e wrong
check "all jobs run" test "$(wc -l <ran)" -eq $((8 * 3 * $(echo "$kinds" | wc -w)))
check "the dead are gone" sh -c "for n in $dead; do semwait --value \$n 2>/dev/null && exit 1; done; true"
check "the live are there" sh -c "for n in $live; do semwait --value \$n || exit 1; done"
# shellcheck disable=SC2086
check "and their holders and waiters have not noticed" kill -0 $holders
for n in $live; do case $n in *.waited) case $n in pool:*) sempost --resize 1 "$n" ;; *) sempost "$n" ;; esac ;; esac; done
# shellcheck disable=SC2086
kill $holders 2>/dev/null
wait 2>/dev/null

# --- lock files: removed under a storm, nobody notices ---
locker() {
	i=0
	while [ $i -lt 10 ]; do
		lockrun -w 30 S sh job at.lock || echo "status $? of the lock" >>wrong
		i=$((i + 1))
	done
}
rm -f ran wrong
workers=''
for w in 1 2 3; do
	locker &
	workers="$workers $!"
done
while alive; do syncrm -fq lock ./missing; syncrm -q lock ./S 2>/dev/null; done
# shellcheck disable=SC2086
wait $workers
check "a lock file that is removed again and again: no two at a time" test ! -e wrong
check "and all jobs run" test "$(wc -l <ran)" -eq 30

# --- --stale lists ---
semwait -i 1 pool:$N.a true
check "--stale alone only lists" test "$(syncrm --stale pool $N.a)" = "pool pool:$N.a"
check "as JSON" test "$(syncrm --stale --json pool $N.a)" = "[{\"type\":\"pool\",\"name\":\"pool:$N.a\",\"removed\":false}]"
check "what is younger than asked for is not stale" test -z "$(syncrm --stale --older 1h pool $N.a)"
check "what is older is" sh -c "touch -d '2 hours ago' pools/$N.a.pool; test -z \"\$(syncls --stale --older 1h pool | grep '$N.a ')\" -o -n \"\$(syncls --stale --older 0 pool)\""
check "it is still there" test "$(semwait --value pool:$N.a)" = 1
if [ "$mq" ]; then
	echo x | mqpipe send /$N.b
	check "that it was listed does not make it younger" sh -c "sleep 1.1; test \"\$(syncls --json mq /$N.b 2>/dev/null | perl ask.pl field age)\" -ge 1" # ok: age
	check "a queue with messages is not stale" test -z "$(syncls --stale mq /$N.b 2>/dev/null)"
	check "but by its age it can be" sh -c "wait_age() { test -n \"\$(syncls --stale --older 1ms mq /$N.b)\"; }; wait_age"
	mqpipe rm /$N.b
fi
done_testing
