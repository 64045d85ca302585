#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun --replace: who holds the lock is ended, and nobody else; who waits to replace gives way to a newer one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
mkfifo go begun

# --- statuses ---

status_is 0 "0: nobody is there to be replaced" lockrun --replace L true
status_is 3 "COMMAND's own status" lockrun --replace=INT L sh -c 'exit 3'
status_is 64 "64: -n" lockrun --replace -n L true
status_is 64 "64: without a command" lockrun --replace 9
status_is 64 "64: with --who" lockrun --replace --who L
status_is 64 "64: no signal" lockrun --replace=NONE L true
for s in KILL STOP TSTP CHLD SEGV; do
	status_is 64 "64: $s would not be passed on to a job" lockrun --replace=$s L true
done
status_is 64 "64: ofd:" lockrun --replace ofd:L true
mkdir D
status_is 65 "65: a directory cannot be marked" lockrun --replace D true

# --- whoever holds it ---

# A job that ends by TERM says which it is, and whether it is alone: the witness goes with its process.
cat >job <<'PERL'
use Fcntl ':flock';
open my $w, '>>', 'witness' or die;
if (!flock($w, LOCK_EX | LOCK_NB)) { open my $f, '>>', 'violations'; print $f "$ARGV[0]\n"; }
open my $f, '>', "new.$ARGV[0]" or die;
print $f $ARGV[0];
close $f;
rename "new.$ARGV[0]", 'current';
sleep 600; # ok: a job
PERL
runs() { [ "$(cat current 2>/dev/null)" = "$1" ]; }

ends() { # CLAIM STATUS PID: ended so, and is replaced
	wait "$3"
	status=$?
	[ $status -eq "$2" ]
	report $? "$1 ($status)"
}
if command -v flock >/dev/null; then
	flock L perl job flock &
	holder=$!
	wait_for runs flock
	status_is 0 "flock(1), which does not pass signals on, and its job" lockrun -w 60 --replace L true
	ends "were ended" 143 $holder
else
	skip "flock(1) and its job" "no flock(1)"
fi
perl -e 'use Fcntl ":flock"; open my $l, "<", "L"; flock $l, LOCK_EX; open my $f, ">", "held"; close $f; sleep 600' & # ok: a job
holder=$!
wait_for exists held
status_is 0 "a program with a lock of its own" lockrun -w 60 --replace L true
ends "was ended" 143 $holder
sh -c 'exec 9>>L; lockrun 9; echo >begun; sleep 600 & wait' & # ok: a job
holder=$!
read -r _ <begun
status_is 0 "a shell's descriptor, and the child that inherited it" lockrun -w 60 --replace L true
ends "both were ended" 143 $holder
lockrun -o L perl job o &
holder=$!
wait_for runs o
status_is 0 "-o: the job does not hold the lock, but ends first" lockrun -w 60 --replace L perl -e \
	'use Fcntl ":flock"; open my $w, ">>", "witness"; exit !flock $w, LOCK_EX | LOCK_NB'
ends "it was ended through its lockrun" 143 $holder
lockrun -F L perl job F &
holder=$!
wait_for runs F
status_is 0 "-F" lockrun -w 60 -F --replace L true
ends "was ended" 143 $holder
lockrun L sh -c 'echo >begun; kill -STOP $$; sleep 600' & # ok: a job
holder=$!
read -r _ <begun
status_is 0 "one that is stopped" lockrun -w 60 --replace L true
ends "was woken and ended" 143 $holder

# Each hears the signal once, from above.
cat >counts <<'PERL'
use POSIX;
my $n = 0;
my $set = POSIX::SigSet->new(SIGINT);
$SIG{INT} = sub { $n++ };
sigprocmask(SIG_BLOCK, $set);
open my $f, '>', 'ready';
close $f;
sigsuspend(POSIX::SigSet->new);
open $f, '<', 'go'; # whatever else comes has come when that is written
$_ = <$f>;
sigprocmask(SIG_UNBLOCK, $set);
open $f, '>', 'counted';
print $f "$n\n";
PERL
lockrun L perl counts &
holder=$!
wait_for exists ready
lockrun --replace=INT L true &
replacer=$!
wait_for waits L
release go
wait $holder $replacer
check "--replace=INT: the job gets this one, once" test "$(cat counted)" = 1

# Shared holders: all of them, by who wants it alone; none by who shares.
lockrun -s L perl -e 'open my $f, ">", "s1"; sleep 600' & # ok: a job
one=$!
lockrun -s L perl -e 'open my $f, ">", "s2"; sleep 600' & # ok: a job
two=$!
wait_for exists s1
wait_for exists s2
status_is 0 "-s ends nobody who shares" lockrun -s --replace L true
check "they go on" kill -0 $one $two
status_is 0 "who wants it alone" lockrun -w 60 --replace L true
ends "ends one" 143 $one
ends "and the other" 143 $two

# All at once, not one when the other has ended.
for i in one two; do
	# shellcheck disable=SC2016 # perl's
	lockrun -s L perl -e '$SIG{TERM} = sub { open my $f, ">>", "asked"; print $f "$ARGV[0]\n" }; open my $b, ">", "begun";
		close $b; sleep 600 while 1' $i & # ok: a job
	read -r _ <begun
	eval "$i=$!"
done
lockrun --replace L true &
replacer=$!
both_asked() { [ "$(sort asked | tr '\n' ,)" = one,two, ]; }
check "of two that go on each is asked, once" wait_for both_asked
kill -HUP $one $two
wait $one $two $replacer

# Who was in the queue before us is served, and then asked as well.
lockrun L sh -c 'trap "" TERM; echo >begun; read -r _ <go' &
holder=$!
read -r _ <begun
lockrun L perl job queued &
queued=$!
wait_for waits L
lockrun --replace L true &
replacer=$!
wait_for waiters_are L 2
release go
ends "a waiter that came before gets the lock" 143 $queued
wait $holder
ends "and is then replaced" 0 $replacer

# --- who waits to replace gives way ---

stubborn() { # PID in $holder
	lockrun L sh -c 'trap "" TERM INT; echo >begun; read -r _ <go' &
	holder=$!
	read -r _ <begun
}
stubborn
lockrun --replace --events=E --metrics=P L false 2>older &
older=$!
wait_for waits L
lockrun --replace L sh -c ': >newest' &
newer=$!
ends "75: an older one that waits gives way, while the holder still runs" 75 $older
check "says so" grep -qx "lockrun: 'L' is wanted by a newer lockrun --replace: this one gives way" older
check "--events tells" grep -q '"event":"superseded"' E
check "--metrics counts a skip" grep -q 'lockrun_skips_total{lock="L"} 1$' P
check "the holder runs" kill -0 $holder
release go
wait $holder
ends "then the newer one runs" 0 $newer
check "it did" test -e newest

stubborn
sh -c 'trap "" TERM; exec lockrun -E 9 -q --replace L false' 2>older &
older=$!
wait_for waits L
kill -STOP $older
lockrun --replace -w 60 L true &
newer=$!
ends "also one that ignores TERM, and is stopped" 9 $older
check "-q: it says nothing" test ! -s older
release go
wait $holder
ends "the newer one runs" 0 $newer

stubborn
lockrun --replace L true &
older=$!
wait_for waits L
kill -TERM $older
ends "TERM of anybody else has its usual effect on who waits" 143 $older
lockrun --replace L true &
older=$!
wait_for waits L
kill -KILL $older
wait $older 2>/dev/null
lockrun --replace L true &
newer=$!
wait_for waits L
check "SIGKILL of one that waits leaves nothing in the way of the next" waits L
status_is 75 "75: not in time: the holder goes on" lockrun --replace -q -w 0.2 L true
ends "the one before has given way" 75 $newer
check "--who lists no marks" sh -c '! lockrun --who L | grep -q ofd'
release go
wait $holder

# With -l the other locks are waited for.
lockrun M sh -c 'echo >begun; read -r _ <go' &
other=$!
read -r _ <begun
lockrun L perl job l &
holder=$!
wait_for runs l
lockrun --replace -l M L true &
replacer=$!
ends "-l: the holder of LOCK is ended" 143 $holder
check "that of another lock is not" kill -0 $other
release go
wait $other
ends "but waited for" 0 $replacer

# --rm, --coalesce, --max-run.
lockrun --rm X perl job rm &
holder=$!
wait_for runs rm
status_is 0 "a holder that removes the file" lockrun -w 60 --replace --rm X sh -c ': >X.ran'
ends "is ended" 143 $holder
check "the file is gone in the end" test ! -e X -a -e X.ran
stubborn
lockrun --replace --coalesce L sh -c 'echo >>both' &
older=$!
wait_for waits L
status_is 0 "with --coalesce: who waits to replace covers the next" lockrun --replace --coalesce L false
release go
wait $holder
ends "and runs" 0 $older
lockrun --max-run=1h L perl job limited &
holder=$!
wait_for runs limited
status_is 0 "a holder with --max-run" lockrun -w 60 --replace --max-run=1h L true
ends "is ended" 143 $holder

# --- who may not be ended ---

sh -c 'exec 9>>L; lockrun 9; lockrun --replace L true 9>&-; echo $? >inner' 2>inner.err
check "77: not who has started this very command" sh -c 'test "$(cat inner)" -eq 77'
check "that is said" grep -q 'has started this very command' inner.err
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$scratch"
	lockrun -m 666 N sh -c 'echo >begun; read -r _ <go; exit 6' &
	holder=$!
	read -r _ <begun
	as_nobody() { setpriv --reuid=64999 --regid=64999 --clear-groups "$BUILD/bin/lockrun" "$@"; }
	status_is 77 "77: the holder is another user's" as_nobody --replace N true
	says "lockrun: cannot replace the holder of 'N'*: replace it as its user, or as root" "that is said"
	release go
	ends "nobody was signalled" 6 $holder
else
	skip "77: the holder is another user's" "needs root for a second user"
fi
check "never two jobs in all this" test ! -e violations
done_testing
