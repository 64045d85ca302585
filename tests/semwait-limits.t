#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait where things are short, closed, blocked, damaged or killed; and posix: semaphores from the shell.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

K=$(printf 0x5c%06x $$)
S=sysv:$K
P=pool:./p
X=posix:/t$$
shm=/dev/shm/sem.t$$
trap 'ipcrm -S $K 2>/dev/null; rm -f "/dev/shm/sem.t$$" "/dev/shm/dbt.t$$"; cleanup' EXIT
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
in_line() { semwait -n "$1" true 2>&1 | grep -q ", $2 waiting"; }

# --- closed descriptors, ignored signals ---

cat >list <<'PERL'
# Which of 0 to 2 are open, and which of 3 to 9 are there. Answers in a file: there may be no stdout.
my @open = grep { defined readlink "/proc/self/fd/$_" } 0 .. 9;
open my $out, '>', 'fds' or die;
print $out "@open\n";
PERL
cat >ignoring <<'PERL'
$SIG{CHLD} = $SIG{PIPE} = $SIG{ALRM} = 'IGNORE';
exec @ARGV;
PERL
cat >closing <<'SH'
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
exec semwait -i 1 "$1" perl list
SH
kinds="$S $P"
if semwait -i 1 -n "$X" 2>/dev/null && sempost "$X"; then
	kinds="$kinds $X"
else
	skip "posix: semaphores" "they cannot be had here: $(semwait -i 1 -n "$X" 2>&1)"
fi
for sem in $kinds; do
	for closed in '' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
		rm -f fds
		status_is 0 "${sem%%:*}, closed '$closed': the command runs" sh -c "sh closing $sem $closed"
		check "with 0 to 2 open, and nothing of ours from 3 to 9" test "$(cat fds)" = "0 1 2"
	done
	check "${sem%%:*}: COMMAND sees SIGCHLD and SIGPIPE ignored as we did" \
		test "$(perl ignoring semwait $sem grep SigIgn /proc/self/status)" = "$(perl ignoring grep SigIgn /proc/self/status)"
	check "${sem%%:*}: and its mask" \
		test "$(semwait $sem grep SigBlk /proc/self/status)" = "$(grep SigBlk /proc/self/status)"
	status_is 7 "${sem%%:*}: its status is right then" perl ignoring semwait $sem sh -c 'exit 7'
	status_is 74 "${sem%%:*}: 74: a value that cannot be written" sh -c "semwait --value $sem >/dev/full"
	check "${sem%%:*}: the permit is back" value_is $sem 1
done
status_is 74 "74: --path that cannot be written" sh -c "semwait --path $P >/dev/full"
cat >unread <<'PERL'
# A standard error that nobody reads, and whose SIGPIPE ends whoever writes to it.
pipe my $reader, my $writer;
close $reader;
open STDERR, '>&', $writer;
$SIG{PIPE} = 'DEFAULT';
exec @ARGV;
PERL
semwait -n $S
perl unread semwait -v $S touch waited &
waiter=$!
wait_for in_line $S 1
status_is 0 "sempost -v that nobody reads" perl unread sempost -v $S
wait $waiter
status_is 0 "semwait -v that nobody reads ends no wait" sh -c "exit $?"
check "the command runs" test -e waited

# --- limits ---

for n in 4 5 6 7 8 9 10; do
	status_is 71 "71: $n descriptors are too few for a pool" prlimit --nofile=$n semwait -n $P true
	says "semwait: cannot *: *ulimit -n*" "and the limit is named"
done
status_is 0 "16 descriptors suffice" prlimit --nofile=16 semwait -n $P true
status_is 0 "a semaphore of System V needs none" prlimit --nofile=4 semwait -n $S true
semwait -i 40 pool:./many true
check "20 permits can be had with 16 descriptors" \
	test "$(prlimit --nofile=16: semwait -n -c 20 pool:./many sh -c 'ulimit -n 99; exec semwait --value pool:./many')" = 20
check "and no permit is lost" value_is pool:./many 40
ipcrm -S "$K"
status_is 0 "a million permits cannot be, 32767 can" semwait -i 32767 -c 32767 $S true
check "they come back" value_is $S 32767
status_is 71 "71: one more" sempost $S
check "is not given" value_is $S 32767

# Writing beyond it would be a SIGXFSZ; also for what says so in a file.
no_files() {
	{ prlimit --fsize=0 "$@"; echo $? >code; } 2>&1 | cat >&2
	return "$(cat code)"
}
semwait -i 20 pool:./small true
status_is 0 "no file may be written: a permit of a pool all the same" no_files semwait -n pool:./small true
status_is 0 "nor only small ones: also the last of 20" prlimit --fsize=1024 semwait -n -c 20 pool:./small true
status_is 71 "71: but no pool can be made" no_files semwait -n -i 1 pool:./none true
says "semwait: cannot open 'pool:./none': *ulimit -f*" "the limit is named"
check "and nothing is left of it" test "$(echo none*)" = 'none*'
status_is 71 "71: nor be resized" no_files sempost --resize 5 pool:./small
says "sempost: cannot resize 'pool:./small': *ulimit -f*" "the limit is named"
case $kinds in *posix*)
	X2=posix:/t$$.limit
	status_is 71 "71: nor a posix: semaphore be made" no_files semwait -n -i 1 "$X2"
	says "semwait: cannot open '$X2': *ulimit -f*" "the limit is named"
	status_is 66 "and there is none" semwait --value "$X2"
	;;
esac

ns="unshare -i"
[ "$(id -u)" -eq 0 ] || ns="unshare -Uri"
if $ns sh -c 'echo 250 32000 32 1 >/proc/sys/kernel/sem' 2>/dev/null; then
	status_is 71 "71: no more sets of System V" $ns sh -c 'echo 250 32000 32 1 >/proc/sys/kernel/sem
		trap "syncrm -q --force sem one 2>/dev/null" EXIT; semwait -i 1 one && semwait -i 1 two'
	says "semwait: cannot open 'two': *SEMMNI*" "the limit is named"
	status_is 71 "71: nor any at all" $ns sh -c 'echo 250 32000 32 0 >/proc/sys/kernel/sem; semwait -i 1 one'
else
	skip "71: no more sets of System V" "no IPC namespace whose limit could be set"
fi
ns="unshare -m"
[ "$(id -u)" -eq 0 ] || ns="unshare -Urm"
if $ns sh -c 'mount -t tmpfs none /mnt' 2>/dev/null; then
	mkdir fs
	status_is 71 "71: no space for a pool" $ns sh -c 'mount -t tmpfs -o nr_inodes=1 none fs && semwait -i 1 pool:./fs/p true'
	says "*space*" "it says so"
	status_is 73 "73: a pool on a read-only file system" $ns sh -c 'mount -t tmpfs -o ro none fs && semwait -i 1 pool:./fs/p true'
	if [ -z "${SANITIZE-}" ]; then
		ns_p="$ns --pid --fork"
		status_is 0 "without /proc: a pool can be made and used" $ns_p sh -c 'mount -t tmpfs none /proc && semwait -n -i 1 pool:./noproc true'
		check "and nothing half-made is left" test "$(echo noproc*)" = 'noproc noproc.wake'
		status_is 0 "without /proc: a semaphore of System V" $ns_p sh -c "mount -t tmpfs none /proc && semwait -n $S true"
	else
		skip "without /proc" "the sanitizer itself wants it"
	fi
	case $kinds in *posix*)
		status_is 71 "71: posix: without /dev/shm" $ns sh -c "mount -t tmpfs none /dev && semwait -n -i 1 $X"
		says "*no /dev/shm: mount it, or use pool:/PATH" "it says what to do"
		status_is 71 "71: posix: no inode in /dev/shm" $ns sh -c "mount -t tmpfs -o nr_inodes=1 none /dev/shm && semwait -n -i 1 $X"
		says "*space in /dev/shm" "it says so"
		status_is 71 "71: posix: no space in /dev/shm" $ns sh -c \
			"mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero >/dev/shm/full && semwait -n -i 1 $X"
		status_is 73 "73: posix: /dev/shm is read-only" $ns sh -c "mount -t tmpfs -o ro none /dev/shm && semwait -n -i 1 $X"
		;;
	esac
else
	skip "full and read-only file systems" "no mount namespaces here"
fi

# --- makers that are killed ---

if command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; then
	ipcrm -S "$K"
	semwait -nq -i 0 $S
	semwait -i 0 --path pool:./empty >/dev/null
	case $kinds in *posix*) semwait -n "$X" ;; esac
	for sem in $S pool:./empty ${kinds#"$S $P"}; do
		# The machine may be so slow that a short one is over before it begins.
		for limit in 0.1 1 5 20; do
			strace -f -o trace semwait -w $limit "$sem" true 2>err.txt
			status=$?
			grep -Eq 'semtimedop|ppoll|timer_create' trace && break
		done
		check "${sem%%:*}: 75: a wait that ends" test $status -eq 75
		# semtimedop and ppoll are told how long; and a futex without a deadline may name any clock.
		check "${sem%%:*}: is by CLOCK_MONOTONIC alone: the date may jump" \
			sh -c 'grep -Eq "semtimedop|ppoll|timer_create\(CLOCK_MONOTONIC" trace && ! grep -v NULL trace | grep -E "CLOCK_REALTIME|setitimer|alarm\("'
	done
	case $kinds in *posix*) sempost "$X" ;; esac
	broken='' points=0
	# Killed at each of its system calls: the next one finds it whole, with all permits.
	for sem in $S pool:./killed; do
		ipcrm -S "$K" 2>/dev/null
		calls=semget,semctl,semop,openat,write,pwrite64,link,linkat,fchmod,fcntl,mkdir,mknodat,ftruncate
		strace -qq -o trace -e trace=$calls semwait -i 2 $sem true
		sed -n 's/^\([a-z][a-z0-9_]*\)(.*/\1/p' trace | awk '{ print $1, ++n[$1] }' >points
		while read -r call n; do
			ipcrm -S "$K" 2>/dev/null
			rm -rf killed killed.wake
			strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" semwait -i 2 $sem true 2>/dev/null
			grep -q 'killed by SIGKILL' trace && points=$((points + 1))
			timeout -s KILL 20 semwait -i 2 -c 2 $sem true && value_is $sem 2 || broken="$broken $sem:$call:$n"
		done <points
	done
	out="wrong after: $broken"
	[ -z "$broken" ] && [ "$points" -gt 15 ]
	report $? "a maker killed at each of $points system calls: two permits, neither more nor fewer"
else
	skip "a maker that is killed" "no strace, or a build that it would disturb"
fi

# --- posix: ---

case $kinds in *posix*) ;; *) done_testing ;; esac
mkfifo go
semwait "$X" sh -c 'echo $$ >pid; read x <go; exit 9' &
job=$!
wait_for test -s pid
check "posix: a permit is taken while the command runs" value_is "$X" 0
status_is 75 "posix: 75: none free" semwait -n "$X" true
release go
wait $job
status_is 9 "posix: the command's status" sh -c "exit $?"
check "posix: and the permit is back" value_is "$X" 1
rm pid
semwait "$X" sh -c 'echo $$ >pid; exec sleep 600' & # ok: a victim
job=$!
wait_for test -s pid
kill -KILL "$(cat pid)"
wait $job
status_is 137 "posix: SIGKILL of the command" sh -c "exit $?"
check "posix: gives the permit back" value_is "$X" 1
rm pid
semwait "$X" sh -c 'echo $$ >pid; exec sleep 600' & # ok: a victim
job=$!
wait_for test -s pid
kill -KILL $job
wait $job 2>/dev/null
status_is 75 "posix: SIGKILL of semwait: the command has the permit yet" semwait -n "$X" true
kill "$(cat pid)"
status_is 0 "posix: and when that ends the next one gives it back" timeout 20 semwait "$X" true
check "posix: once" value_is "$X" 1
semwait "$X" sh -c 'trap "exit 8" TERM; echo >ready; while :; do read x <go; done' &
job=$!
wait_for test -e ready
kill -TERM $job
wait $job
status_is 8 "posix: SIGTERM to semwait is the command's" sh -c "exit $?"
check "posix: and the permit comes back" value_is "$X" 1
sempost "$X"
holders=''
for n in 1 2; do
	semwait "$X" sh -c 'echo $$ >holder'$n'; exec sleep 600' & # ok: a holder
	holders="$holders $!"
	wait_for test -s holder$n
done
status_is 75 "posix: two holders" semwait -n "$X" true
says "*; held by pid $(cat holder1) (*, *) for *s, and 1 more" "posix: the first one's command is named, the other is counted"
kill "$(cat holder1)" "$(cat holder2)"
# shellcheck disable=SC2086 # a list
wait $holders
check "posix: and both permits come back" value_is "$X" 2
semwait "$X"
semwait "$X"
semwait -w 50 "$X" &
waiter=$!
wait_for in_line "$X" 1
sempost "$X"
wait $waiter
status_is 0 "posix: without a command a post is waited for" sh -c "exit $?"
status_is 64 "posix: 64: -c" semwait -c 2 "$X" true
status_is 64 "posix: 64: -z" semwait -z "$X"
sempost -c 2147483647 "$X"
status_is 71 "posix: 71: more permits than it can hold" sempost "$X"
rm -f "$shm" "/dev/shm/dbt.t$$"
for bytes in 0 31 33; do
	head -c $bytes /dev/zero >"$shm"
	status_is 65 "posix: 65: a file of $bytes bytes" semwait -n "$X"
done
rm "$shm" && ln -s /dev/zero "$shm"
status_is 65 "posix: 65: a symbolic link" semwait -n "$X"
rm "$shm"
for damage in ':>' 'ln -s /dev/null'; do
	semwait -i 1 -n "$X" && rm -f "/dev/shm/dbt.t$$" && sh -c "$damage /dev/shm/dbt.t$$"
	sempost "$X"
	status_is 65 "posix: 65: a ledger that is none: $damage" semwait -n "$X" true
	says "semwait: cannot take from '$X': its ledger, '/dev/shm/dbt.t$$', is none*" "which is named, not the semaphore"
	rm -f "$shm" "/dev/shm/dbt.t$$"
done
semwait -i 0 "$X" 2>torn.err &
waiter=$!
wait_for in_line "$X" 1
: >"$shm"
status_is 65 "posix: 65: cut off while in use, never SIGBUS" semwait -n "$X"
status_is 65 "posix: nor for who posts" sempost "$X"
kill $waiter
rm -f "$shm" "/dev/shm/dbt.t$$"

# --- what can never be is refused before anything is made ---

N=sysv:never$$
status_is 64 "64: more than a semaphore can ever have" semwait -n -i 5 -c 40000 "$N" true
says "semwait: '$N' can never have 40000 permits: 32767 at most" "and says so"
status_is 66 "and none is made" semwait --value "$N"
status_is 64 "64: more than a pool can ever have" semwait -n -i 5 -c 5000 pool:./never true
check "and none is made" test ! -e never
status_is 64 "64: --resize beyond that" sempost -i 5 --resize=5000 pool:./never
check "and none is made" test ! -e never
done_testing
