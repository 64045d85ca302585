#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun --replace, again and again and all at once: never two jobs, and the last one asked for runs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
mkfifo begun

# A job that ends by TERM says which it is, and whether it is alone: the witness goes with its process.
cat >job <<'PERL'
use Fcntl ':flock';
open my $w, '>>', 'witness' or die;
if (!flock($w, LOCK_EX | LOCK_NB)) { open my $f, '>>', 'violations'; print $f "$ARGV[0]\n"; }
open my $f, '>', $ARGV[1] or die;
print $f "$ARGV[0]\n";
close $f;
sleep 600; # ok: a job
PERL

lockrun L perl job 0 begun &
before=$!
read -r _ <begun
began=$(date +%s)
round=0
wrong=''
# On a slow machine fewer will do.
while [ $round -lt 50 ] && [ $(($(date +%s) - began)) -lt 20 ]; do
	round=$((round + 1))
	lockrun --replace L perl job $round begun &
	now=$!
	wait $before # before the open, which SIGCHLD would break
	[ $? -eq 143 ] || wrong="$wrong $round:status"
	read -r current <begun
	[ "$current" = $round ] || wrong="$wrong $round:$current"
	before=$now
done
out=$wrong
[ -z "$wrong" ] && [ $round -ge 3 ]
report $? "$round rounds: each one asked for runs, in place of the one before"
check "never two jobs" test ! -e violations

# Ten at once: whichever came last runs, the others ended or gave way.
: >ended
pids=''
for i in 1 2 3 4 5 6 7 8 9 10; do
	{
		lockrun -q --replace L perl job "many$i" current
		echo "$? many$i" >>ended
	} &
	pids="$pids $!"
done
nine_ended() { [ "$(wc -l <ended)" -ge 9 ]; }
wait_for nine_ended
jobs_are() { [ "$(lockrun --who L | grep -c 'holds.*[0-9smh] perl job')" -eq "$1" ]; }
wait_for jobs_are 1
check "ten at once: one runs" jobs_are 1
check "the other nine were ended (143), or gave way (75)" sh -c \
	'! grep -qv "^143 \|^75 " ended && test "$(wc -l <ended)" -eq 9'
check "never two jobs" test ! -e violations
status_is 0 "the last is replaced, too" lockrun --replace L true
# shellcheck disable=SC2086 # a list
wait $pids $before
done_testing
