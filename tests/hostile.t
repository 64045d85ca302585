#!/bin/sh
# SPDX-License-Identifier: MIT
# Started by somebody who leaves us little: descriptors closed, signals ignored or blocked, limits at nothing, a
# terminal that is stopped, as process 1, in another time. All applets alike; what is one's own is in its test.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
N=hostile.$$
E=$N
posix=
clean_up() {
	mqpipe rm -f "$N" "$N.full" "sysv:$N" "sysv:$N.full"
	rm -f "/dev/shm/sem.$N" "/dev/shm/dbt.$N" "/dev/shm/sem.$N.x" "/dev/shm/dbt.$N.x"
	syncrm -fq --force sem "sysv:$N"
	syncrm -fq --force sem "sysv:$N.x"
	evfd rm -f "$E"
	evfd rm -f "$E.full"
	evfd rm -f "$E.many"
} 2>/dev/null
trap 'clean_up; cleanup' EXIT
SYNC_DIR=$scratch
export SYNC_DIR

semwait -q -n -i 0 "sysv:$N" true
semwait -q -n -i 0 "posix:/$N" true
[ ! -e "/dev/shm/sem.$N" ] || posix=posix:/$N
semwait -i 1 pool:./P true
for q in "$N" "sysv:$N" "$N.full" "sysv:$N.full"; do mqpipe create -c 1 -s 8 "$q"; done
mqpipe send "$N.full" 12345678
mqpipe send "sysv:$N.full" 12345678
evfd create "$E" >made
evfd create -i 18446744073709551614 "$E.full" >made
evfd create -S -i 1000000 "$E.many" >made

# All that runs a COMMAND.
runners() {
	cat <<-END
		lockrun L
		lockrun -F L
		lockrun --max-run=600 L
		lockrun ofd:L
		lockrun fcntl:L
		flock L
		semwait -i 1 sysv:$N.x
		semwait -i 1 pool:./X
		${posix:+semwait -i 1 posix:/$N.x}
		jobpool -j 2
		jobpool -j 2 --style=pipe
		evfd run --
		evfd exec $E.many --
	END
}

# --- standard descriptors closed ---

# COMMAND has none of ours as 0, 1 or 2.
cat >streams <<'PERL'
open my $out, '>>', 'seen' or die;
for (0 .. 2) {
	my $to = readlink "/proc/self/fd/$_";
	print $out "$_ is $to\n" if defined $to && $to =~ m{/(L|X|made|streams|sem\.|dbt\.)|eventfd|socket|fifo};
}
PERL
closed_everywhere() { # COMMAND...
	for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
		sh -c "\"\$@\" $closed" sh "$@" || {
			echo "status $?: $* $closed"
			return 1
		}
	done
}
runners >list
while read -r runner; do
	[ "$runner" ] || continue
	: >seen
	# shellcheck disable=SC2086 # words are wanted
	check "standard descriptors closed, each of 7 ways: $runner" closed_everywhere $runner perl streams
	check "... COMMAND gets none of our descriptors in their place" test ! -s seen
done <list
check "standard descriptors closed: sempost" closed_everywhere sempost "sysv:$N.x"
check "standard descriptors closed: evfd add" closed_everywhere evfd add -n "$E"
check "standard descriptors closed: mqpipe send and flush" \
	closed_everywhere sh -c "mqpipe send -n $N x && mqpipe flush -q $N"
check "standard descriptors closed: syncrm" closed_everywhere sh -c ': >R && syncrm -q lock R'
mqpipe send "$N" kept
for line in "mqpipe recv -n $N" "evfd get $E" "evfd wait $E" "semwait --value sysv:$N" "lockrun L syncls lock" \
	"lockrun --json --who L"; do
	status_is 74 "74: no standard output for its result: $line" sh -c "$line >&-"
done
check "and the message is still there" test "$(mqpipe recv -n -N 1 "$N")" = kept

# --- signals ignored or blocked ---

cat >start <<'PERL'
# As what we are started with: none of the signals, all ignored, or all blocked.
use POSIX;
my $how = shift;
my @all = grep { $_ != SIGKILL && $_ != SIGSTOP && $_ != 32 && $_ != 33 } 1 .. 64;
if ($how eq 'ignored') { sigaction($_, POSIX::SigAction->new('IGNORE')) for @all }
if ($how eq 'blocked') { sigprocmask(SIG_BLOCK, POSIX::SigSet->new(@all)) }
exec @ARGV;
PERL
cat >unread <<'PERL'
# A standard output that nobody reads.
pipe my $reader, my $writer;
close $reader;
open STDOUT, '>&', $writer;
exec @ARGV;
PERL
cat >child <<'PERL'
# No shell, which would change some of them. Where a handler is installed musl unblocks 33 and 34, which are its own;
# sanitizers have handlers for SIGSEGV and the like.
sub masks {
	open my $in, '<', '/proc/self/status';
	my @masks = grep { /^Sig(Blk|Ign):/ } <$in>;
	$ENV{STATIC} and s/^(SigBlk:\t\w{7})\w/$1-/ for @masks;
	$ENV{SANITIZE} and s/^(SigIgn:\t\w{13})\w{3}/$1---/ for @masks;
	return @masks;
}
open my $out, '>', shift;
print $out masks();
exit 7;
PERL
for how in ignored blocked; do
	perl start $how perl child want
	while read -r runner; do
		[ "$runner" ] || continue
		rm -f got
		# shellcheck disable=SC2086
		status_is 7 "every signal $how: COMMAND's status: $runner" timeout -s KILL 60 perl start $how $runner perl child got
		check "... and COMMAND has them as we did" cmp want got
	done <list
	mqpipe send "$N" job
	status_is 0 "every signal $how: mqpipe work is told of its job's end" \
		timeout -s KILL 60 perl start $how mqpipe work -N 1 "$N" -- true
	evfd add "$E" 3
	status_is 0 "every signal $how: evfd loop is told of COMMAND's end" \
		timeout -s KILL 60 perl start $how evfd loop -N 1 "$E" -- true
	mqpipe send "$N" kept
	status_is 74 "every signal $how: 74: a reader that has gone" perl start $how perl unread mqpipe recv -N 1 "$N"
	check "... and its message is back in the queue" test "$(mqpipe recv -n -N 1 "$N")" = kept
done

mkfifo hold
lockrun F semwait pool:./P sh -c 'echo >held; read -r x <hold' &
wait_for exists held
cat >waits <<END
lockrun -w 0.1 F true
flock -E 75 -w 0.1 F true
lockrun --coalesce -w 0.1 F true
semwait -w 0.1 sysv:$N true
semwait -w 0.1 sysv:$N
semwait -w 0.1 pool:./P true
mqpipe recv -w 0.1 $N
mqpipe recv -w 0.1 sysv:$N
mqpipe send -w 0.1 $N.full x
mqpipe send -w 0.1 sysv:$N.full 12345678
evfd wait -w 0.1 $E
evfd gate -w 0.1 $E
evfd latch -w 0.1 $E 2
evfd add -w 0.1 $E.full 1
evfd exec -w 0.1 $E -- true
evfd loop -w 0.1 $E -- true
END
[ ! "$posix" ] || echo "semwait -w 0.1 $posix true
semwait -w 0.1 $posix" >>waits
in_time() { # HOW COMMAND...
	how=$1
	shift
	# Standard input is the list.
	timeout -s KILL 60 perl start "$how" "$@" </dev/null
}
while read -r waiter; do
	for how in ignored blocked; do
		# shellcheck disable=SC2086
		status_is 75 "every signal $how: the time is kept: $waiter" in_time $how $waiter
	done
done <waits

# --- a terminal that is stopped ---

cat >stopped <<'PERL'
# COMMAND's standard error is a terminal whose user has pressed Ctrl-S.
use Fcntl;
sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or exit 99;
my ($zero, $n) = (pack('i', 0)) x 2;
ioctl $master, 0x40045431, $zero and ioctl $master, 0x80045430, $n or exit 99; # TIOCSPTLCK, TIOCGPTN
sysopen my $slave, '/dev/pts/' . unpack('i', $n), O_RDWR | O_NOCTTY or exit 99;
ioctl $slave, 0x540A, 0 or exit 99; # TCXONC, TCOOFF
open STDERR, '>&', $slave;
fcntl $master, F_SETFD, 0;
exec @ARGV;
PERL
if perl stopped true; then
	status_is 75 "a stopped terminal: -q and the time is kept" timeout -s KILL 60 perl stopped lockrun -q -w 1.5 F true
	status_is 75 "a stopped terminal: semwait, too" timeout -s KILL 60 perl stopped semwait -q -w 1.5 pool:./P true
	perl stopped lockrun F sh -c 'echo >ran' &
	waiter=$!
	wait_for waits F
	# The line that says who is waited for comes after a second.
	sleep 1.2 # ok: long enough to be drawn, or not
	release hold
	status_is 0 "a stopped terminal: who waits for the lock is served" sh -c "tail --pid=$waiter -f /dev/null && test -e ran"
else
	skip "a stopped terminal" "no terminal of our own can be had"
	release hold
fi
wait

# --- limits at nothing ---

# Done, or refused in one line. Never a signal, never "0" without having run.
bounded() { # COMMAND...
	rm -f ran
	# Through a pipe, as files may not grow.
	{ "$@" 2>&1 >/dev/null; echo $? >code; } | cat >said
	code=$(cat code)
	if [ "$code" -eq 0 ]; then
		[ -e ran ]
	elif grep -q 'loading shared libraries\|cannot execute\|Cannot allocate' said; then
		true # before it was us
	else
		[ "$code" -lt 128 ] && [ "$(wc -l <said)" -eq 1 ]
	fi || {
		echo "status $code: $*"
		cat said
		return 1
	}
}
all_bounded() { # what comes before the runner...
	while read -r runner; do
		[ "$runner" ] || continue
		# shellcheck disable=SC2086
		bounded "$@" $runner sh -c ': >ran' || return 1
	done <list
}
if [ -z "${SANITIZE-}" ]; then
	for n in 3 4 5 6 7 8 9 10 11 12 13 14 16; do
		check "ulimit -n $n: done, or refused in one line" all_bounded prlimit --nofile=$n
	done
	cat >few <<-'SH'
		mount -t tmpfs none /dev/shm && mkdir sync || exit 99
		SYNC_DIR=$PWD/sync
		export SYNC_DIR
		for n in 5 9 10 11 12 13 14 15 16; do
			for style in fifo pipe; do prlimit --nofile=$n jobpool -j2 --style=$style true; done
			prlimit --nofile=$n jobpool -j2 semwait jobserver: true
		done >said 2>&1
		[ -z "$(ls -A /dev/shm sync | grep jobs)" ] || { ls -A /dev/shm sync; exit 1; }
	SH
	apart='unshare -m'
	[ "$(id -u)" -eq 0 ] || apart='unshare -Urm'
	if $apart sh -c 'mount -t tmpfs none /dev/shm' 2>/dev/null; then
		check "ulimit -n: a pool that cannot be had leaves nothing" $apart sh few
	else
		skip "ulimit -n: a pool that cannot be had leaves nothing" "no mount namespaces here"
	fi
	check "ulimit -f 0: done, or refused in one line" all_bounded prlimit --fsize=0
	check "ulimit -l 0: done, or refused in one line" all_bounded prlimit --memlock=0
	check "ulimit -i 0: done, or refused in one line" all_bounded prlimit --sigpending=0
	# The least with which we can be started at all, and a little more each time.
	as=1048576
	until prlimit --as=$as syncbox --version >out 2>&1 || [ $as -gt 100000000 ]; do as=$((as + 131072)); done
	for more in 0 1 2 3 4 5 6 7; do
		check "ulimit -v, the least we can start with and $((more * 128)) KiB: done, or refused in one line" \
			all_bounded prlimit --as=$((as + more * 131072))
	done
else
	skip "limits at nothing" "a sanitizer wants more"
fi
too_long() { # what writes to a file that must not grow
	: >grown
	prlimit --fsize=0 "$@"
}
status_is 3 "ulimit -f 0: an event that cannot be written is COMMAND's affair in no way" \
	too_long lockrun --events=grown L sh -c 'exit 3'
status_is 3 "ulimit -f 0: nor is it with --max-run" too_long lockrun --max-run=600 --events=grown L sh -c 'exit 3'
status_is 3 "ulimit -f 0: nor are messages" too_long sh -c 'exec lockrun -v L sh -c "exit 3" 2>grown'
check "ulimit -f 0: and COMMAND has SIGXFSZ as we did" \
	test "$(prlimit --fsize=0 lockrun -v --events=grown L grep SigIgn /proc/self/status 2>said)" = \
	"$(grep SigIgn /proc/self/status)"
mqpipe send "$N" kept
status_is 74 "ulimit -f 0: 74: a message that cannot be written" too_long sh -c "exec mqpipe recv -N 1 $N >grown"
check "... is back in the queue" test "$(mqpipe recv -n -N 1 "$N")" = kept
evfd reset "$E" >out
evfd add "$E" 5
status_is 74 "ulimit -f 0: 74: nor a number" too_long sh -c "exec evfd wait $E >grown"
check "... which is back in the event" test "$(evfd get "$E")" = 5
evfd reset "$E" >out

# --- as process 1, which the kernel sends no signal that it has not asked for, and which adopts orphans ---

ns='unshare --fork --pid --mount-proc'
[ "$(id -u)" -eq 0 ] || ns='unshare -c --fork --pid --mount-proc'
if $ns true 2>/dev/null; then
	# shellcheck disable=SC2086
	while read -r runner; do
		[ "$runner" ] || continue
		status_is 7 "as process 1: COMMAND's status: $runner" $ns $runner sh -c '(:) & exit 7'
	done <list
	# shellcheck disable=SC2086
	status_is 124 "as process 1: --max-run ends what was left behind, too" \
		$ns lockrun --max-run=0.3 L sh -c 'sleep 600 & sleep 600' # ok: jobs
	check "... and the lock is free" lockrun -n L true
else
	skip "as process 1" "no namespaces of processes here"
fi

# --- in another time ---

later='unshare --time --monotonic 100000 --boottime 100000 --fork'
[ "$(id -u)" -eq 0 ] || later='unshare -c --time --monotonic 100000 --boottime 100000 --fork'
if $later true 2>/dev/null; then
	rm -f held
	$later lockrun F semwait pool:./P sh -c 'echo >held; read -r x <hold' &
	wait_for exists held
	while read -r waiter; do
		# shellcheck disable=SC2086
		status_is 75 "a day later: the time is kept: $waiter" timeout -s KILL 60 $later $waiter </dev/null
	done <waits
	status_is 75 "held a day later: the time is kept here" semwait -w 0.1 pool:./P true
	$later timeout -s KILL 60 semwait -w 50 pool:./P sh -c 'echo >there' &
	one=$!
	semwait -w 50 pool:./P sh -c 'echo >here' &
	other=$!
	wait_for test "$(lockrun --who ofd:P | grep -c '^holds')" -ge 2
	release hold
	wait $one
	first=$?
	wait $other
	status_is 0 "who waits in two times for one pool is served in both" \
		sh -c "test $first = 0 && test $? = 0 && test -e here && test -e there"
else
	skip "a day later" "no namespaces of time here"
fi

wait
clean_up
done_testing
