#!/bin/sh
# SPDX-License-Identifier: MIT
# --max-run, --kill-after, --signal, --warn-after, of lockrun and of semwait ... COMMAND.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
SYNC_DIR=$scratch
K=$(printf 0x5e%06x $$)
export SYNC_DIR
trap 'ipcrm -S "$K" 2>/dev/null; rm -f "/dev/shm/sem.run$$"* "/dev/shm/dbt.run$$"*; cleanup' EXIT

# --- statuses ---

status_is 0 "0: COMMAND has ended in time" lockrun --max-run=1h L true
status_is 7 "COMMAND's own status" lockrun --max-run=1h --warn-after=1h L sh -c 'exit 7'
status_is 137 "128+N" lockrun --max-run=1h L sh -c 'kill -KILL $$'
status_is 124 "124: it ran longer" lockrun --max-run=0.05 L sleep 600 # ok: a job
says "lockrun: 'sleep' runs longer than --max-run: SIGTERM was sent *" "and that is said"
status_is 124 "whatever COMMAND makes of it" \
	lockrun --max-run=0.05 L perl -e '$SIG{TERM} = sub { exit 3 }; sleep 600' # ok: a job
status_is 127 "127: no such command" lockrun --max-run=1h L ./missing
status_is 126 "126: not executable" lockrun --max-run=1h L .
status_is 0 "inf: no limit" lockrun --max-run=inf --warn-after=inf L true
for o in --max-run=0 --max-run=-1 --max-run= --max-run=1x --warn-after=0 --kill-after=x --signal=NONE --signal=0; do
	status_is 64 "64: $o" lockrun --max-run=1 $o L true
done
status_is 64 "64: --kill-after without --max-run" lockrun --kill-after=1 L true
status_is 64 "64: --max-run with -F" lockrun -F --max-run=1 L true
status_is 64 "64: --max-run without a command" lockrun --max-run=1 9
status_is 64 "64: --max-run with fcntl:" lockrun --max-run=1 fcntl:L true
says "*--max-run*lockrun that stays*" "and why"
status_is 64 "64: semwait --max-run without a command" semwait --max-run=1 "sysv:$K"

# --- a job that will not go ---

# It, and what it starts, ignores TERM, stops itself, leaves session and group, closes all descriptors, has no
# parent, and answers TERM by starting another. Each that is ready adds a line to the file `ready`.
cat >stubborn <<'PERL'
use POSIX;
sub ready { open my $f, '>>', 'ready' or die; print $f "$$\n"; }
sub one {
	my $work = shift;
	return if fork;
	$work->();
	sleep 600; # ok: a job
	exit;
}
$SIG{HUP} = $SIG{INT} = $SIG{TERM} = 'IGNORE';
one(sub { setsid; ready; });
one(sub { setpgid(0, 0); ready; kill STOP => $$; });
one(sub { setsid; exit if fork; setsid; ready; POSIX::close($_) for 3 .. 100; });
one(sub { exit if fork; exit if fork; $SIG{TERM} = sub { ready; fork; sleep 600 }; ready; }); # ok: a job
one(sub { ready; kill STOP => $$; });
ready;
kill STOP => $$ if $ENV{STOPPED};
sleep 600; # ok: a job
PERL
all_ready() { [ "$(wc -l <ready)" -ge 6 ]; }
runs() { grep -lzx "STUBBORN=$1" /proc/[0-9]*/environ 2>/dev/null | grep -q .; }

# The machine may be slow: then the limit is longer, until all were there when it came.
stubborn() { # CLAIM COMMAND...: which is given the limit
	claim=$1
	shift
	for limit in 0.5 2 8 30; do
		rm -f ready
		STUBBORN=$$ "$@" --max-run=$limit --kill-after=0.1 -- perl stubborn >out.txt 2>err.txt
		status=$?
		runs $$ && status="$status, and some of it still runs"
		all_ready && break
	done
	all_ready || status="$status, it was never ready"
	out='' err="status $status: $(cat err.txt)"
	[ "$status" = 124 ]
	report $? "$claim"
}
job() { # APPLET OBJECT OPTIONS...: the object last, as options end there
	applet=$1 object=$2
	shift 2
	options=''
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # words are wanted
	"$applet" $options "$object" "$@"
}
stubborn "after --max-run and the grace nothing of it runs: status 124" job lockrun L
STOPPED=1 stubborn "also of one that is stopped" job lockrun L
stubborn "-o" job lockrun L -o
stubborn "-s" job lockrun L -s
stubborn "-l, --hold=tree" job lockrun L -l M --hold=tree
check "the locks are free" lockrun -n -l M L true
stubborn "semwait sysv:" job semwait "sysv:$K" -i1
stubborn "semwait pool:" job semwait "pool:run$$" -i1
stubborn "semwait posix:" job semwait "posix:/run$$" -i1
for s in "sysv:$K" "pool:run$$" "posix:/run$$"; do
	check "the permit is back: $s" test "$(semwait --value "$s")" = 1
done

# Who waits for the lock gets it when nothing of the job is left.
mkfifo begun go
cat >last <<'SH'
perl -e 'use POSIX; exit if fork; setsid; POSIX::close($_) for 3 .. 100; $SIG{TERM} = "IGNORE"; sleep 600' # ok: a job
trap '' TERM
while :; do sleep 1; done # ok: a job
SH
# The mark is the job's only: lockrun itself is still there for a moment when the lock is free.
lockrun --max-run=1 --kill-after=0.3 L env STUBBORN=$$ sh last 2>err.txt &
job=$!
has_it() { holds L || gone $job; }
wait_for has_it
lockrun L sh -c '! grep -lzx "STUBBORN='$$'" /proc/[0-9]*/environ 2>/dev/null | grep -q .' &
waiter=$!
wait $job
status=$?
check "status 124 for the job" test $status -eq 124
check "the lock was free only when nothing of the job was left" wait $waiter

# --- in time, but something goes on ---

check "what COMMAND leaves behind in time is left alone" \
	sh -c 'lockrun --max-run=1h L sh -c "sleep 600 & echo \$! >left" && kill "$(cat left)"' # ok: a job
status_is 124 "--hold=tree: the limit is on the tree" \
	lockrun --hold=tree --max-run=0.2 L sh -c 'sleep 600 & exit 3' # ok: a job
status_is 3 "which may end in time" lockrun --hold=tree --max-run=1h L sh -c 'true & exit 3'

# Children that the process had before it became lockrun are not the job's.
sh -c 'sleep 600 & echo $! >other; exec lockrun --max-run=0.05 L sleep 600' 2>err.txt # ok: jobs
status=$?
check "124 also where the process had a child before" test $status -eq 124
check "which is left alone" kill -0 "$(cat other)"
kill "$(cat other)"
sh -c 'sleep 600 & echo $! >other; exec lockrun --max-run=1h L sh -c "echo >begun; read x <go; exit 5"' & # ok: a job
outer=$!
read -r _ <begun
check "there the lock is held too" holds L
kill -TERM $outer
wait $outer
status=$?
check "and signals are passed on" test $status -eq 143
kill "$(cat other)"
lockrun L sh -c 'echo >begun; read x <go' &
holder=$!
read -r _ <begun
sh -c 'sleep 600 & echo $! >other; exec lockrun --max-run=1h L touch never' & # ok: a job
outer=$!
wait_for waits L
kill -TERM $outer
wait_for sh -c "! lockrun --who L | grep -q '^waits'"
wait $outer
status_is 143 "nor do they wait for the lock" sh -c "exit $?"
release go
wait $holder
kill "$(cat other)"

# --- signals ---

cat >told <<'PERL'
for my $s (qw(INT USR1 TERM)) {
	$SIG{$s} = sub { open my $f, '>>', 'got'; print $f "$s\n"; close $f; exit 0 if $s eq 'USR1' };
}
sleep 600 while 1; # ok: a job
PERL
for limit in 0.3 2 10; do
	: >got
	lockrun --max-run=$limit --signal=SIGUSR1 L perl told 2>err.txt
	status=$?
	[ -s got ] && break
done
check "--signal: it is sent instead of TERM, status 124" test "$status $(cat got)" = "124 USR1"
: >got
lockrun --max-run=1h L perl told &
wait_for holds L
told() { lockrun --who L | awk '$1 == "holds" && /perl told$/ && !/lockrun/ { print $2; exit }'; }
is_told() { [ -n "$(told)" ]; }
wait_for is_told
command=$(told)
catches_usr1() { [ $((0x$(awk '$1 == "SigCgt:" { print $2 }' "/proc/$1/status") & 0x200)) -ne 0 ]; }
wait_for catches_usr1 "$command"
kill -USR1 $!
wait $!
status=$?
check "a signal in time is passed on as without a limit" test "$status $(cat got)" = "0 USR1"

lockrun --max-run=1h L sh -c 'echo >begun; read x <go' &
read -r _ <begun
kill -KILL $!
wait $! 2>/dev/null
check "SIGKILL of lockrun: the job keeps the lock" holds L
release go
wait_for is_free L
check "till it ends" is_free L

# The permits of a job with a limit belong to it and to semwait, whichever ends last.
for s in "sysv:$K" "pool:run$$"; do
	semwait --max-run=1h "$s" sh -c 'echo $$ >pid; echo >begun; exec sleep 600' & # ok: a job
	read -r _ <begun
	command=$(cat pid)
	kill -KILL $!
	wait $! 2>/dev/null
	check "SIGKILL of semwait: its job keeps the permit: $s" test "$(semwait --value "$s")" = 0
	kill -KILL "$command"
	status_is 0 "till it ends" semwait -w 20 "$s" true
done

# --- --warn-after ---

lockrun --warn-after=0.05 L sh -c 'read x <go; exit 4' 2>warned &
wait_for grep -q . warned
check "--warn-after: it is said while the job runs" \
	test "$(cat warned)" = "lockrun: 'sh' runs longer than --warn-after, and goes on"
release go
wait $!
status=$?
check "which goes on" test $status -eq 4
check "once" test "$(wc -l <warned)" -eq 1
semwait --warn-after=0.05 "sysv:$K" sh -c 'read x <go; exit 4' 2>also_warned &
wait_for grep -q . also_warned
check "semwait --warn-after" test "$(cat also_warned)" = "semwait: 'sh' runs longer than --warn-after, and goes on"
release go
wait $!

# --- at a terminal ---

mkfifo keys
timeout -s KILL 60 perl -e '@SIG{qw(INT QUIT)} = ("DEFAULT") x 2; exec @ARGV' \
	script -qefc 'exec bash --norc -i' screen <keys >/dev/null 2>&1 &
terminal=$!
exec 7>keys
pids() { lockrun --who L 2>/dev/null | awk '$1 == "holds" { print $2 }'; }
states_are() {
	for p in $(pids); do
		read -r line <"/proc/$p/stat"
		[ "$(echo "$line" | sed 's/.*) \(.\).*/\1/')" = "$1" ] || return 1
	done
	[ "$(pids | wc -l)" -ge 2 ]
}
printf 'lockrun --max-run=1h L sleep 600\n' >&7 # ok: a job
wait_for states_are S
printf '\032' >&7
wait_for states_are T
check "Ctrl-Z stops both" states_are T
printf 'fg\n' >&7
wait_for states_are S
check "fg continues both" states_are S
printf '\003' >&7
wait_for is_free L
printf 'echo status=$?=\nexit\n' >&7
wait_for grep -q 'status=130=' screen
check "Ctrl-C ends both" grep -q 'status=130=' screen
exec 7>&-
wait $terminal

done_testing
