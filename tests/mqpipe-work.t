#!/bin/sh
# SPDX-License-Identifier: MIT
# mqpipe work: a command for each message, and what becomes of the message then.
# shellcheck disable=SC2317 # functions are called through check and wait_for
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

Q=mqw.$$
V=sysv:mqw.$$
made="$Q $V $Q.B $Q.long $Q.full $Q.dead $V.dead $Q.B.dead $Q.long.dead $Q.other"
# shellcheck disable=SC2086 # a list
trap 'mqpipe rm -f $made; cleanup' EXIT
SYNC_DIR=$scratch/sync # for what is spilled
export SYNC_DIR
mkdir "$SYNC_DIR"
# What all queues of a user may have in all is not much.
mqpipe create -c 8 -s 64 $Q $V $Q.B
mqpipe create -c 8 -s 128 $Q.dead $V.dead $Q.B.dead $Q.other $Q.long.dead
mqpipe create -c 2 -s 8000 $Q.long
messages_are() { mqpipe info -s "$1" | grep -qx "MQ_MESSAGES=$2"; }
all() { mqpipe recv -e "$@" | tr '\n' ,; }
lines_are() { [ "$(wc -l <"$1")" -eq "$2" ]; }
# Status and attempts of each dead letter, and the message; they are gone then.
dead() {
	mqpipe dead "$@" | sed -E 's/^status ([0-9]+) attempts ([0-9]+) .* priority -?[0-9]+: /\1 \2 /' | tr '\n' ,
	mqpipe dead -q --drop "$@"
}
ended() { [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null | tr -d Z)" = '' ]; } # nobody may wait for it
blocks_in() { grep -Eq "^($2) " "/proc/$1/syscall"; }
cat >observe <<'PERL'
# Run it with signals as an interactive shell has them. Its pid goes to the file "pid", and to "end" the signal that
# ended it, or its status.
my $pid = fork // die;
if (!$pid) {
	$SIG{$_} = 'DEFAULT' for qw(HUP INT TERM);
	exec @ARGV or die;
}
open my $f, '>', 'pid.new' or die;
print $f "$pid\n";
close $f;
rename 'pid.new', 'pid';
waitpid $pid, 0;
open $f, '>', 'end' or die;
print $f $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8), "\n";
PERL
observe() {
	rm -f pid end
	perl observe "$@" &
	observer=$!
	wait_for test -s pid
	worker=$(cat pid)
}
# Jobs wait for a line from it: printf '\n' >&7 lets one of them go on.
mkfifo gate && exec 7<>gate
go_on() { echo >&7; }

# --- what COMMAND gets ---

mqpipe send $Q a 'b c' ''
check "each message is on COMMAND's standard input" test "$(mqpipe work -e $Q -- sh -c 'printf "<"; cat; printf ">"')" = '<a><b c><>'
printf 'a\0b\377\n\n' >bytes
mqpipe send -r $Q <bytes
mqpipe work -e $Q -- cat >got
check "with all its bytes" cmp bytes got
mqpipe send $Q a 'b c' '' '$(x)*' '{}'
check "or in place of {}, within a word, and more than once" \
	test "$(mqpipe work -e $Q -- printf '%s|%s|%s|\n' 'x{}y{}' '{}' '{} {}')" = 'xaya|a|a a|
xb cyb c|b c|b c b c|
xy|| |
x$(x)*y$(x)*|$(x)*|$(x)* $(x)*|
x{}y{}|{}|{} {}|'
mqpipe send $Q a
check "standard input is empty then" test "$(mqpipe work -e $Q -- sh -c 'cat; echo "$1"' - {})" = a
mqpipe send $Q echo
check "{} may be COMMAND itself" test "$(mqpipe work -e $Q -- {} x)" = x
for q in $Q $V; do
	mqpipe send -p 7 $q a
	check "$q: MQPIPE_PRIO, _ATTEMPT, _QUEUE, _SLOT" \
		test "$(MQPIPE_PRIO=x mqpipe work -e $q -- sh -c 'echo $MQPIPE_PRIO $MQPIPE_ATTEMPT $MQPIPE_QUEUE $MQPIPE_SLOT')" = "7 1 $q 1"
done
mqpipe send -r $Q <bytes
mqpipe send $Q good
status_is 0 "a NUL byte cannot be in an argument" mqpipe work -e $Q -- echo '<{}>'
says "*job 1 holds a NUL byte*leave {} out*" "says so"
check "others can" test "$out" = '<good>'
check "it is a dead letter at once, with status 65" test "$(dead $Q)" = '65 1 a\x00b\xff\x0a\x0a,'
perl -e 'print "x" x 8000' | mqpipe send -r $Q.long
status_is 0 "what is too long for an argument" mqpipe work -e $Q.long -- echo '{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}'
check "is one, too" sh -c "mqpipe dead $Q.long | grep -q '^status 65 attempts 1 '"
perl -e 'print "x" x 8000' | mqpipe send -r $Q.long
status_is 0 "who does not read does no harm" mqpipe work -e $Q.long -- true

cat >see.sh <<'SH'
grep -E '^(Sig(Blk|Ign|Cgt)|ShdPnd)' /proc/self/status
ls /proc/self/fd
pwd
umask
perl -MTime::HiRes=getitimer,ITIMER_REAL -e 'print "timer ", scalar(getitimer(ITIMER_REAL)) || 0, "\n"'
env | grep -Ev '^(MQPIPE_|_=|SHLVL=|OLDPWD=)' | sort
SH
cat >all-blocked <<'PERL'
use POSIX;
sigprocmask(SIG_BLOCK, POSIX::SigSet->new(grep { $_ != 32 && $_ != 33 } 1 .. 64));
$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT ALRM TERM USR1 USR2 CHLD PIPE RTMAX NUM63);
exec @ARGV;
PERL
for how in 'env -' 'perl all-blocked'; do
	how=${how% -}
	$how sh see.sh >outside 2>&1 </dev/null
	mqpipe send $Q x y
	# The second one is started when an alarm has been set, for the end of the first.
	$how mqpipe work --timeout 50 -e $Q -- sh see.sh >got 2>&1
	cat outside outside | cmp -s - got
	report $? "signals, mask, descriptors, directory, umask, timers and environment are as outside ($how)"
done
check "with closed standard streams, too" sh -c "mqpipe send $Q x && mqpipe work -e $Q -- sh -c 'cat >input; ls /proc/self/fd >fds' <&- >&- 2>&-
	ls /proc/self/fd </dev/null | cmp -s - fds && test \"\$(cat input)\" = x"
mqpipe send $Q x
check "COMMAND leads a process group of its own" mqpipe work -e $Q -- perl -e 'exit(getpgrp(0) != $$)'

# --- so many at a time ---

cat >held <<'SH'
# Runs until it may go on; "many" says how many did at the same time.
: >run.$$
set -- run.*
echo $# >>many
echo "$MQPIPE_SLOT" >>slots
read -r x <&7
rm run.$$
SH
: >many && : >slots
mqpipe send $Q 1 2 3 4 5
mqpipe work -j 3 --eof $Q -- sh held &
wait_for lines_are many 3
check "-j 3: three run at the same time" test "$(sort slots | tr -d '\n')" = 123
check "and no further message is taken before it can be run" messages_are $Q 2
go_on
wait_for lines_are many 4
go_on
wait_for lines_are many 5
go_on && go_on && go_on
wait $!
check "never more than three" test "$(sort -n many | tail -n 1)" -eq 3
mqpipe send $Q 1 2 3
rm -f many
mqpipe work -e $Q -- sh held &
go_on && go_on && go_on
wait $!
check "without -j one after the other" test "$(tr '\n' , <many)" = 1,1,1,

# --- output ---

mkfifo ab ba
cat >turns <<'SH'
# A and B write in turns.
x=$(cat)
case $x in
A)
	echo A1 && echo a1 >&2 && echo >ab && read -r x <ba
	echo A2 && printf a2 >&2 && echo >ab
	;;
B)
	read -r x <ab
	echo B1 && echo b1 >&2 && echo >ba && read -r x <ab
	echo B2 && printf b2 >&2
	;;
esac
SH
mqpipe send $Q A B
mqpipe work -u -j 2 -e $Q -- sh turns >got 2>said
check "-u: output comes as it is written" test "$(tr '\n' , <got)" = A1,B1,A2,B2,
mqpipe send $Q A B
mqpipe work -j 2 -e $Q -- sh turns >got 2>said
check "otherwise that of a job is kept together, although both wrote in turns" \
	sh -c 'case $(tr "\n" , <got) in A1,A2,B1,B2, | B1,B2,A1,A2,) ;; *) exit 1 ;; esac'
check "standard error as well" sh -c 'case $(tr "\n" , <said) in a1,a2b1,b2 | b1,b2a1,a2) ;; *) exit 1 ;; esac'
mqpipe send $Q A B
mqpipe work -k -j 2 --tag -e $Q -- sh turns >got 2>said
check "--tag: each line says whose it is" test "$(tr '\n\t' ,: <got)" = A:A1,A:A2,B:B1,B:B2,
check "standard error as well, and each line ends" test "$(tr '\n\t' ,: <said)" = A:a1,A:a2,B:b1,B:b2,
printf 'e\033\tf\ng' | mqpipe send -r $Q
check "a tag is one line, and plain" test "$(mqpipe work --tag -e $Q -- echo x)" = 'e\e\tf	x'
cat >first-last <<'SH'
x=$(cat)
[ "$x" != 1 ] || read -r y <&7
echo "$x"
SH
mqpipe send $Q 1 2 3
mqpipe work -j 2 --eof $Q -- sh first-last >got &
wait_for lines_are got 2
check "output comes when its job has ended" test "$(tr '\n' , <got)" = 2,3,
go_on
wait $!
mqpipe send $Q 1 2 3
mqpipe work -k -j 2 -e --events=events $Q -- sh first-last >got &
wait_for grep -q '"started".*"job":3' events # so 2 has ended
check "-k: that of later jobs waits" test ! -s got
go_on
wait $!
check "and comes in the order in which they were taken" test "$(tr '\n' , <got)" = 1,2,3,
for options in '' -k -u; do
	mqpipe send $Q x
	# shellcheck disable=SC2086 # words, or none
	check "output of attempts that have failed is shown ($options)" \
		test "$(mqpipe work $options -q --backoff 0 -e $Q -- sh -c 'echo $MQPIPE_ATTEMPT; exit 1' | tr '\n' ,)" = 1,2,3,
	mqpipe dead -q --drop $Q
done
mqpipe send $Q 1 2
status_is 74 "74: output that cannot be written" sh -c "mqpipe work $Q -- echo x >/dev/full"
says "*cannot write what a job has written to standard output*" "says so"
check "and no more is taken" test "$(all $Q)" = 2,1,
mqpipe send $Q flood look
mqpipe work -e $Q -- sh -c 'if [ "$(cat)" = flood ]; then head -c 50000000 /dev/zero; else grep VmHWM /proc/$PPID/status >peak; fi' | cksum >got
check "a job that floods us is shown whole" test "$(cat got)" = "$(head -c 50000000 /dev/zero | cksum)"
[ -n "${SANITIZE-}" ] || check "with no more memory than for others" test "$(awk '{ print $2 }' peak)" -lt 12000

# --- what its status means ---

mqpipe send $Q 1 2 3
check "0: done" sh -c "mqpipe work -e $Q -- true 2>&1 | cmp -s - /dev/null"
check "nothing of it is left" messages_are $Q 0
mqpipe send $Q x
: >log
status_is 0 "others: again, three times in all" mqpipe work --backoff 0 -e $Q -- sh -c 'echo $MQPIPE_ATTEMPT >>log; exit 9'
says "mqpipe work: job 1 has failed for good, with status 9 after 3 attempts: it is in '$Q.dead'" "then it is a dead letter, which is said"
check "MQPIPE_ATTEMPT counts" test "$(tr '\n' , <log)" = 1,2,3,
check "its status and attempts are with it" test "$(dead $Q)" = '9 3 x,'
mqpipe send $Q x
status_is 0 "--tries=1, --dead, -q" mqpipe work -q --tries=1 --dead=$Q.other -e $Q -- sh -c 'kill -9 $$'
check "say nothing" test "$err" = ''
check "a signal is 128 and its number" test "$(dead --dead=$Q.other $Q)" = '137 1 x,'
mqpipe send $Q x
check "65: a dead letter at once" test "$(mqpipe work -q -e $Q -- sh -c 'exit 65' && dead $Q)" = '65 1 x,'
mqpipe send $Q x
mqpipe work -q --tries=2 --backoff 0 -e $Q -- sh -c 'exit $(echo 75 75 1 75 75 1 | cut -d " " -f $MQPIPE_ATTEMPT)'
check "75: again, and it does not count as a failure" test "$(dead $Q)" = '1 6 x,'
mqpipe send $Q x
mqpipe send $Q.B y
mqpipe work -q --tries=1 -e $Q $Q.B -- false
check "each of several queues has its own queue for them" test "$(dead $Q) $(dead $Q.B)" = '1 1 x, 1 1 y,'
mqpipe send -p 5 $V x
check "sysv:" test "$(mqpipe work -q --tries=1 -e $V -- false && mqpipe dead $V | sed 's/.*priority//')" = ' 5: x'
mqpipe dead -q --drop $V
mqpipe create -c 2 -s 64 $Q.full
mqpipe send $Q.full 1 2
mqpipe send $Q x
status_is 75 "75: the queue for dead letters is full" mqpipe work --tries=1 --dead=$Q.full $Q -- false
says "*it is full: see mqpipe dead*" "says so"
check "the message is where it was" test "$(all $Q)" = x,
mqpipe send $Q 1 2
status_is 127 "127: no such command" mqpipe work $Q -- ./none
says "mqpipe work: cannot run './none': no such command: *" "says so, once"
check "the message is put back" messages_are $Q 2
echo >plain
status_is 126 "126: it cannot be run" mqpipe work $Q -- ./plain
status_is 126 "126: it says so itself" mqpipe work -j 2 $Q -- sh -c 'exit 126'
check "nothing is lost" test "$(all $Q | tr , '\n' | sort | tr -d '\n')" = 12

# The limit is on the file that would be its input. What is said goes through a pipe, which has none.
mqpipe send $Q a longer
{
	prlimit --fsize=4 mqpipe work -j 2 -e $Q -- sh -c 'read -r x <&7'
	echo $? >end
} 2>&1 | cat >said &
wait_for grep -qx 'mqpipe work: cannot start a job: File too large' said
report $? "a job cannot be started, and not for want of what one that runs has: it says so before that one ends"
go_on
wait
check "it ends then, and the message is put back" test "$(cat end) $(all $Q)" = '71 longer,'

cat >delays <<'PERL'
# The delay between each attempt of a job and the next, from its events.
my %retry;
while (<>) {
	my ($event, $time, $job) = /"event":"(\w+)","time":([\d.]+),"job":(\d+)/ or die;
	$retry{$job} = $time if $event eq 'retry';
	printf "%.3f\n", $time - delete $retry{$job} if $event eq 'started' && $retry{$job};
}
PERL
rm -f events
mqpipe send $Q x
mqpipe work -q --tries 4 --backoff=50ms --events=events -e $Q -- false
check "--backoff: each delay is twice as long, at least" \
	sh -c 'perl delays events | awk "BEGIN { least = 0.049 } { bad += \$1 < least; least = 2 * least } END { exit bad || NR != 3 }"'
mqpipe dead -q --drop $Q
cpu_of() { # DELAY: seconds of processor time for three tries
	mqpipe send $Q x
	perl -e 'system @ARGV; my @t = times; print $t[2] + $t[3], "\n"' mqpipe work -q --tries 3 "--backoff=$1" -e $Q -- false
	mqpipe dead -q --drop $Q
}
hurried=$(cpu_of 0)
calm=$(cpu_of 900ms)
check "to wait for that takes no processor time (it took $hurried s without, $calm s with 2.7 s)" \
	awk "BEGIN { exit !($calm < $hurried + 0.3) }"
: >log
mqpipe send $Q bad 2 3
mqpipe work -q --backoff=50 $Q -- sh -c 'x=$(cat); echo $x >>log; test $x != bad' &
worker=$!
wait_for lines_are log 3
check "others are run meanwhile" test "$(tr '\n' , <log)" = bad,2,3,
kill $worker
wait $worker 2>/dev/null
check "and what waits is there again when it is told to stop" test "$(all $Q)" = bad,

# --- too long ---

mqpipe send $Q x
cat >in-order <<'PERL'
# TERM is blocked at our start, however long that takes.
use POSIX;
my $term = POSIX::SigSet->new(SIGTERM);
if (@ARGV) { # run that with it blocked
	sigprocmask(SIG_BLOCK, $term);
	exec @ARGV or die;
}
$SIG{TERM} = sub { print "TERM\n"; exit 3 };
sigprocmask(SIG_UNBLOCK, $term);
sleep 600; # ok: a job
PERL
status_is 0 "--timeout: TERM ends it" perl in-order mqpipe work -q --tries=1 --timeout=50ms --kill-after=60 -e $Q -- perl in-order
check "in good order" test "$out" = TERM
check "its status is 124" test "$(dead $Q)" = '124 1 x,'
cat >stubborn <<'SH'
# It, its child and its grandchild do not care for TERM.
trap '' TERM
echo $$ >>pids
sh -c 'echo $$ >>pids; sh -c "echo \$\$ >>pids; read -r x <&7"; :' &
read -r x <&7
:
SH
: >pids
mqpipe send $Q x
status_is 0 "--kill-after: KILL ends what ignores it" mqpipe work -q --tries=1 --timeout=100ms --kill-after=50ms -e $Q -- sh stubborn
check "its status is 124, too" test "$(dead $Q)" = '124 1 x,'
# shellcheck disable=SC2046 # three pids
all_ended() { for p in $(cat pids); do ended "$p" || return 1; done; }
check "and all of its process group is gone" wait_for all_ended
mqpipe send $Q x
status_is 0 "a job that stops itself" mqpipe work -q --tries=1 --timeout=50ms -e $Q -- sh -c 'kill -STOP $$'
check "is ended as well" test "$(dead $Q)" = '124 1 x,'
mqpipe send $Q x
status_is 0 "--kill-after=0: KILL at once" mqpipe work -q --tries=1 --timeout=50ms --kill-after=0 -e $Q -- sh -c 'trap "echo TERM" TERM; read -r x <&7'
check "without a TERM" test "$out" = ''
mqpipe dead -q --drop $Q

# --- told to stop ---

cat >bad-or-held <<'SH'
# A job that fails, or one that may go on some time.
x=$(cat)
echo "$x" >>log
[ "$x" != bad ] || exit 1
read -r y <&7
echo "$x" >>finished
SH
for q in $Q $V; do
	: >log && : >finished
	mqpipe send $q bad 2 3
	observe mqpipe work --backoff 50 $q -- sh bad-or-held
	wait_for lines_are log 2
	kill "$worker"
	check "$q: TERM: a job that waits to be run again is put back" wait_for messages_are $q 2
	check "one that runs goes on" kill -0 "$worker"
	go_on
	wait $observer
	check "to its end" test "$(cat finished)" = 2
	check "no other is begun" lines_are log 2
	check "then it dies of that signal" grep -qx 'signal 15' end
	check "with the rest in the queue" test "$(all $q)" = 3,bad,
	: >log && : >finished
	mqpipe send $q bad 2 3
	observe mqpipe work --backoff 50 $q -- sh bad-or-held
	wait_for lines_are log 2
	kill -INT "$worker"
	wait_for messages_are $q 2
	kill "$worker"
	wait $observer
	check "a second signal kills the job" test ! -s finished
	check "it dies of that" grep -qx 'signal 15' end
	check "all of them are in the queue" test "$(all $q)" = 3,bad,2,
done
mkfifo pipe && exec 8<>pipe
mqpipe send $Q 1
observe sh -c "exec mqpipe work $Q -- head -c 1000000 /dev/zero >pipe 8<&-"
wait_for blocks_in "$worker" '1|20'
kill "$worker"
wait_for sh -c "! grep -q '^ShdPnd:.*[4-7c-f]...\$' /proc/$worker/status"
check "TERM while nobody reads our output: it waits for that" wait_for blocks_in "$worker" '1|20'
kill "$worker"
wait $observer
check "a second one ends it" grep -qx 'signal 15' end
check "the job whose output nobody has is in the queue" test "$(all $Q)" = 1,
exec 8<&-
mkfifo slow begun
mqpipe send $Q flood x
exec 8<>slow
mqpipe work -j 2 -e $Q -- sh -c 'if [ "$(cat)" = flood ]; then read -r x <begun; head -c 300000 /dev/zero >&2; else echo >begun; read -r x <&7; fi' 2>slow &
worker=$!
wait_for blocks_in $worker '1|20'
go_on # its end interrupts the worker, who is writing
wait_for sh -c "! grep -q '^ShdPnd:.*[1-9a-f]' /proc/$worker/status"
exec 9<slow 8<&-
check "a job that ends while standard error is not read, does not cut off that of another" test "$(wc -c <&9)" -eq 300000
exec 9<&-
wait $worker
mqpipe send $Q 1 2 3 4
status_is 65 "65: --halt=2: two have failed for good" mqpipe work -q --tries=1 --halt=2 $Q -- false
check "the others are in the queue" test "$(all $Q)" = 3,4,
mqpipe dead -q --drop $Q

# --- a queue that is locked ---

# A sender, to have it open; lockrun, to lock through that what receivers share; and a child of the worker's, of which it gets a signal.
mkfifo nothing unlock child
mqpipe send $Q x
mqpipe send $Q <nothing &
sender=$!
exec 6>nothing
its_queue() { readlink "/proc/$sender/fd/"* | grep -qx "/$Q"; }
wait_for its_queue
for fd in "/proc/$sender/fd/"*; do
	[ "$(readlink "$fd")" != "/$Q" ] || lockrun --follow "ofd:$fd@1+1" sh -c 'echo >locked; read -r x <unlock' &
done
wait_for test -s locked
sh -c 'sh -c "read -r x <child" & exec mqpipe work -N 1 "$1" -- cat >got' - $Q &
worker=$!
wait_for blocks_in $worker '72|25'
switches() { sed -n 's/^voluntary_ctxt_switches:.//p' "/proc/$worker/status"; }
before=$(switches)
release child
tries_again() { ended $worker || [ "$(switches)" -gt $((before + 3)) ]; }
wait_for tries_again
check "somebody has the queue locked: a worker waits, even when a child ends that it has from before" test "$(ended $worker || echo waits)" = waits
release unlock
wait $worker
check "until it is unlocked" test "$? $(cat got)" = '0 x'
exec 6>&-
wait

# --- journals ---

mqpipe send $Q.long x
status_is 71 "71: no room in the journal for a message" prlimit --fsize=4096 mqpipe work --journal=journal -e $Q.long -- true
says "mqpipe work: cannot make room for a message: File too large" "says so"
check "and it is in the queue" test "$(all $Q.long)" = x,
cat >slow-first <<'SH'
echo "$MQPIPE_ATTEMPT $(cat)" >>log
echo $$ >pids
[ "$MQPIPE_ATTEMPT" -gt 1 ] || read -r x <&7
SH
for q in $Q $V; do
	: >log
	mqpipe send -p 3 $q x y
	observe mqpipe work --journal=journal $q -- sh slow-first
	wait_for lines_are log 1
	job=$(cat pids)
	check "$q: --journal: a job that runs has a worker: nobody else gets it" \
		test "$(mqpipe work --journal=journal -e $q -- cat)" = y
	kill -KILL "$worker"
	wait $observer
	check "SIGKILL of the worker kills its job" wait_for ended "$job"
	check "the next worker tells the prior attempts" sh -c "mqpipe work --journal=journal -e $q -- sh slow-first 2>&1 | grep -q 'begun 1 times before'"
	check "and runs it again, as attempt 2" test "$(tr '\n' , <log)" = '1 x,2 x,'
	check "then there is nothing left of it" test "$(mqpipe work --journal=journal -e $q -- cat)$(find journal -type f)" = ''
	mqpipe send $q poison
	: >log
	for i in 1 2 3; do
		check "a job that kills its worker: $i" \
			sh -c "mqpipe work -q --tries=2 --journal=journal -e $q -- sh -c 'echo x >>log; kill -9 \$PPID; exec sleep 600'; test \$? -eq $([ $i -eq 3 ] && echo 0 || echo 137)" # ok: killed
	done
	check "is run --tries times" lines_are log 2
	check "and then is a dead letter" test "$(dead $q)" = '137 2 poison,'
done
mqpipe send $Q x
kill_later() { mqpipe work -q --tries=2 --backoff 0 --journal=journal -e $Q -- sh -c 'echo $MQPIPE_ATTEMPT >>log; case $MQPIPE_ATTEMPT in [13]) exit 75 ;; 2) kill -9 $PPID ;; esac'; }
: >log
kill_later 2>/dev/null
kill_later 2>/dev/null
check "75 does not count in a journal, either" test "$(tr '\n' , <log)$(dead $Q)" = 1,2,3,4,
mqpipe send $Q 1 2 3 4 5 6 7 8
observe mqpipe work --journal=journal $Q -- sh slow-first
wait_for messages_are $Q 7
mqpipe send $Q 9
kill -INT "$worker" && kill "$worker"
wait_for test -e end
wait $observer
check "killed, and the queue is full: it stays in the journal" test "$(find journal -name 'slot.*' | wc -l)" -eq 1
check "so it is not lost" test "$(mqpipe work --journal=journal -e $Q -- cat 2>/dev/null | tr -d '\n')" = 123456789
mqpipe send $Q 1 2
rm -f pids
observe mqpipe work $Q -- sh slow-first
wait_for test -s pids
job=$(cat pids)
kill -KILL "$worker"
wait $observer
check "without one, what runs is lost, and no more" test "$(all $Q)" = 2,
go_on
wait_for ended "$job" # or a later one would go on in its place

# --- when it ends ---

mqpipe send $Q 1 2 3
check "-N 2 takes two, and runs both" test "$(mqpipe work -j 4 -N 2 $Q -- cat | wc -c)" -eq 2
check "and no third" messages_are $Q 1
mqpipe send $Q 2
: >log
mqpipe work -j 2 -q -e --backoff 50ms $Q -- sh -c 'echo x >>log; exit 1'
check "-e: what has to be run again is, although the queue is empty" lines_are log 6
mqpipe dead -q --drop $Q
mqpipe send $Q 1
: >many
mqpipe work -j 2 -i 50ms $Q -- sh held &
worker=$!
wait_for lines_are many 1
wait_for blocks_in $worker 271 # no wait for a message, but for the job
check "-i: a job that runs is waited for" kill -0 $worker
go_on
wait $worker
status_is 0 "then it is the end" sh -c "exit $?"
mkfifo in
: >many
mqpipe work -j 2 --eof $Q -- sh held &
worker=$!
mqpipe send $Q <in &
exec 8>in
echo 1 >&8
wait_for lines_are many 1
echo 2 >&8
wait_for lines_are many 2
exec 8>&-
wait $!
check "--eof: with jobs that run when the last sender ends" kill -0 $worker
go_on && go_on
wait $worker
status_is 0 "it ends when they have" sh -c "exit $?"
for q in $Q $V; do
	: >many
	mqpipe send $q 1
	mqpipe work -j 2 --until-removed $q -- sh held &
	worker=$!
	wait_for lines_are many 1
	wait_for blocks_in $worker '271|70'
	mqpipe rm $q
	go_on
	wait $worker
	status_is 0 "$q: --until-removed: a job that runs then is waited for" sh -c "exit $?"
	mqpipe create -c 8 -s 64 $q
done
status_is 75 "75: --total is over" mqpipe work --total=50ms $Q -- true
says "mqpipe work: the time of --total is up: took 0 jobs" "says so"
seq 1000 | mqpipe send --total=20 $Q &
sender=$!
status_is 75 "also while there always is a message" mqpipe work -q --total=100ms $Q -- sh -c 'kill -0 $PPID'
kill $sender
wait $sender 2>/dev/null
mqpipe flush -q $Q
mqpipe send $Q 1 2
mqpipe send $Q.B 3
check "several queues" test "$(mqpipe work -e $Q $Q.B -- sh -c 'echo "$MQPIPE_QUEUE $(cat)"' | tr '\n' ,)" = "$Q 1,$Q 2,$Q.B 3,"
mqpipe send -p 1 $V a
mqpipe send -p 2 $V b
check "sysv: -t takes one type" test "$(mqpipe work -e -t 2 $V -- cat)$(all $V)" = ba,

# --- reports ---

cat >json <<'PERL'
# Each line is an object with these keys; prints its events.
use JSON::PP;
while (<>) {
	my $o = decode_json $_;
	exists $o->{$_} or die "no $_" for qw(event time job attempt slot pid status);
	print "$o->{event} $o->{job} $o->{attempt} $o->{status},";
}
PERL
mqpipe send $Q 1 2
rm -f events
mqpipe work -q --tries 2 --backoff 0 --events=events -e $Q -- sh -c 'test $(cat) = 1'
check "--events=FILE: lines of JSON" test "$(perl json events)" = 'started 1 1 0,done 1 1 0,started 2 1 0,retry 2 1 1,started 2 2 0,dead 2 2 1,'
mqpipe dead -q --drop $Q
mqpipe send $Q 1
mqpipe work --events=9 -e $Q -- true 9>events
check "--events=FD: the same" test "$(perl json events)" = 'started 1 1 0,done 1 1 0,'
status_is 66 "66: a descriptor that is not open" mqpipe work --events=9 -e $Q -- true 9>&-
status_is 66 "66: a file in a directory that is missing" mqpipe work --events=no/file -e $Q -- true
cat >prometheus <<'PERL'
# Is it the text format? Prints the values.
my (%type, %help);
while (<>) {
	if (/^# HELP (\w+) \S.*\n/) { $help{$1}++ or next; die "twice: $1" }
	if (/^# TYPE (\w+) (counter|gauge)\n/) { $type{$1} = $2; next }
	my ($name, $label, $value) = /^([a-z_]+)\{queue="((?:[^"\\\n]|\\["\\n])*)"\} (\d+(?:\.\d+)?(?:e[-+]\d+)?)\n\z/ or die "no sample: $_";
	die "no type or help: $name" if !$type{$name} || !$help{$name};
	die "name: $name" if ($type{$name} eq 'counter') != ($name =~ /_total$/);
	print "$1=$value " if $name =~ /^mqpipe_work_(done|failed|retried|running)/;
}
PERL
mqpipe send $Q 1 2 3 4 5 bad
mqpipe work -q --tries=2 --backoff 0 --metrics=metrics $Q -- sh -c 'test $(cat) != bad' &
worker=$!
up_to_date() { [ "$(perl prometheus metrics)" = 'done=5 failed=1 retried=1 running=0 ' ]; }
check "--metrics: a while after the last job the counters are right" wait_for up_to_date
inode=$(stat -c %i metrics)
exec 8<metrics
mqpipe send $Q 6
wait_for sh -c 'perl prometheus metrics | grep -q done=6'
check "the file is replaced, and never written to" test "$(stat -c %i metrics)" != "$inode"
check "so who reads the old one, sees it whole" test "$(perl prometheus <&8)" = 'done=5 failed=1 retried=1 running=0 '
exec 8<&-
kill $worker
wait $worker 2>/dev/null
check "no temporary file is left" test "$(echo metrics*)" = metrics
check "others may read it" test "$(stat -c %a metrics)" = 644
mkfifo fifo
echo 7 | mqpipe send $Q
status_is 0 "--metrics to what is no file" mqpipe work -q -e --metrics=fifo $Q -- true
says "mqpipe work: cannot write metrics to 'fifo': it is no regular file" "is refused"
check "and does not take its place" test -p fifo
mqpipe dead -q --drop $Q
mqpipe send $Q 1 2
mqpipe work --progress=always -e $Q -- sh held 2>said &
wait_for grep -Eqx 'mqpipe work: [01] done, 0 failed, 0 retried, [0-9.]+/s, 1 running, queue [01](, [0-9]+ s left)?' said
go_on && go_on
wait $!
status_is 0 "--progress=always: a line each second" sh -c "exit $?"
mqpipe send $Q 1 2
check "-v: how many there were" \
	test "$(mqpipe work -v -e $Q -- true 2>&1)" = 'mqpipe work: 2 jobs done, 0 failed for good, 0 attempts put off'

# --- the command line ---

for args in "" "$Q" "$Q --" "-- true" "-j 0 $Q -- true" "-j 1025 $Q -- true" "--tries=0 $Q -- true" "--halt=0 $Q -- true" "-uk $Q -- true" \
	"-u --tag $Q -- true" "$Q -e $Q.B -- true" "--backoff=x $Q -- true" "--timeout=-1 $Q -- true" "-t 1 $Q -- true" "--eof $V -- true" \
	"$V $Q -- true" "-N 0 $Q -- true"; do
	# shellcheck disable=SC2086 # words
	status_is 64 "64: work $args" timeout 20 mqpipe work $args
done
status_is 66 "66: --no-create" mqpipe work --no-create $Q.none -- true

# shellcheck disable=SC2086 # a list
mqpipe rm -f $made
err=$(for q in $made; do mqpipe info "$q" 2>/dev/null; done)
[ -z "$err" ]
report $? "no queue of this test is left"
done_testing
