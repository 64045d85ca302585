#!/bin/sh
# SPDX-License-Identifier: MIT
# syncls, syncrm: jobservers: pools of jobpool, and ledgers of those that others serve.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
SYNC_DIR=$PWD/pools
export SYNC_DIR
mkdir pools
N=p$$
F=$SYNC_DIR/$N.jobs
if [ ! -w /dev/shm ]; then
	skip "jobservers" "no /dev/shm to write to"
	done_testing
fi
ledgers() { find /dev/shm -name "jobs.*.$(printf %x "$1").*"; }
trap 'rm -f $(ledgers "$fifo") $(ledgers "$pool"); cleanup' EXIT
fifo=0 pool=0
has() { [ "$(fields "$1" jobserver "$2")" = "$3" ]; }
among() { pids "$1" jobserver "$3" | tr ' ' '\n' | grep -qx "$2"; }
# Who holds NAME, and its heirs. All are stopped first, so that none outlives its job and gives back a token.
kill_holders() {
	who=$(pids holders jobserver "$1" | tr ' ' '\n' | sort -u)
	for signal in STOP KILL; do
		# shellcheck disable=SC2086 # words
		kill -$signal $who
	done
	wait 2>/dev/null
}
unlisted() { # INODE PATH
	! syncls lock 2>/dev/null | grep -F "$2" && ! syncls lock 2>/dev/null | grep "jobs\..*\.$(printf %x "$1")\." &&
		! syncls shm 2>/dev/null | grep "jobs\..*\.$(printf %x "$1")\."
}

# --- a pool of jobpool ---
jobpool -j 3 --name "$N" sleep 600 & # ok: a holder
a=$!
wait_for has value "$N" 2
pool=$(stat -c %i "$F")
check "a pool: its fields" has "type name owner mode value capacity deleted reachable stale deadlock inode owed" "$N" \
	"jobserver jobserver:fifo:$F $(id -un) 600 2 3 false true false false $pool 0"
held_by_server() { people holders 'pid start' jobserver "$N" | tr ';' '\n' | sed 's/^ //' | grep -c "^$a $1$"; }
check "the pool's server holds it, but no token of it" test "$(held_by_server null)" -eq 1
check "and, as it has it for the job, a token" test "$(held_by_server 0)" -eq 1
check "the job, too" test "$(pids holders jobserver "$N" | tr ' ' '\n' | sort -u | wc -l)" -eq 2
check "its name is what semwait takes" test "$(semwait --value "$(field name jobserver "$N")")" = 2
check "it is found by that, by the path, and by the bare name" \
	test "$(syncls jobserver "jobserver:fifo:$F" "$F" "$N" | grep -cF "$F")" -eq 3
semwait "jobserver:fifo:$F" sleep 600 & # ok: a holder
b=$!
semwait "jobserver:fifo:$F" sleep 600 & # ok: a holder
wait_for has value "$N" 0
semwait "jobserver:fifo:$F" true &
c=$!
wait_for waiting $c jobserver "$N"
check "a client that holds a token" among holders $b "$N"
check "one that waits" test "$(pids waiters jobserver "$N")" = $c
check "and that holds none" sh -c '! echo "$1" | tr " " "\n" | grep -qx "$2"' - "$(pids holders jobserver "$N")" $c
check "neither its lock file nor its ledger are locks, or memory" unlisted "$pool" "$F"
check "without its directory it is found by who uses it" \
	test "$(SYNC_DIR=$PWD/none syncls jobserver "$F" | grep -cF "$F")" -eq 1
check "and then it is no lock either" sh -c '! SYNC_DIR=none syncls lock 2>/dev/null | grep -F "$1"' - "$F"
status_is 75 "75: syncrm leaves it alone" syncrm jobserver "$N"
says "*held by pid *" "it says by whom"
kill -KILL $a $c
wait $a $c 2>/dev/null
status_is 75 "75: also when jobpool was killed, but its job goes on" syncrm jobserver "$N"
kill_holders "$N"
wait_for has stale "$N" true
check "when nobody has it, it is stale, and what was owed is counted" has "value capacity stale owed" "$N" "0 3 true 3"
check "syncls --stale lists it" test "$(syncls --stale jobserver "$N" | grep -cF "$F")" -eq 1
status_is 0 "0: syncrm removes it" syncrm jobserver "$N"
check "with both files and its ledger" test -z "$(ls pools)$(ledgers "$pool")"
status_is 66 "66: then there is none" syncrm jobserver "$N"

# --- a FIFO that others serve ---
mkfifo -m 600 fifo
fifo=$(stat -c %i fifo)
exec 9<>fifo
printf ++ >&9
semwait jobserver:fifo:fifo sleep 600 9<&- & # ok: a holder
a=$!
wait_for has value "$PWD/fifo" 1
check "the jobserver of a ledger: its fields" has "name value capacity stale owed inode" "$PWD/fifo" \
	"jobserver:fifo:$PWD/fifo 1 null false 0 $fifo"
check "who has a token holds it" among holders $a "$PWD/fifo"
check "who has it open is a user" among users $$ "$PWD/fifo"
check "its ledger is no lock, nor memory" unlisted "$fifo" "$PWD/fifo"
status_is 75 "75: syncrm leaves it alone" syncrm jobserver "$PWD/fifo"
kill_holders "$PWD/fifo"
wait_for has owed "$PWD/fifo" 1
status_is 75 "75: a ledger in which something is owed, whose jobserver is there" syncrm jobserver "$PWD/fifo"
exec 9<&-
wait_for has stale "$PWD/fifo" true
name=$(field name jobserver "$PWD/fifo")
check "without, it is stale, and named by its ledger" test "$name" = "jobserver:$(ledgers "$fifo")"
check "syncrm --stale --yes removes it" \
	test "$(syncrm --stale --yes jobserver "$name" 2>/dev/null)" = "jobserver $name"
check "the ledger, and not the FIFO" test -z "$(ledgers "$fifo")" -a -p fifo

# --- what is none ---
: >pools/file.jobs
: >pools/file.jobs.lock
: >pools/alone.jobs.lock
check "a file that is no FIFO is no pool, nor is a lock file alone" sh -c '! syncls jobserver 2>/dev/null | grep "file\.jobs\|alone\.jobs"'
mkfifo -m 600 pools/odd.jobs
: >pools/odd.jobs.lock
pool=$(stat -c %i pools/odd.jobs)
exec 9<>pools/odd.jobs
printf + >&9
ledger=$(semwait jobserver:fifo:pools/odd.jobs find /dev/shm -name "jobs.*.$(printf %x "$pool").*")
exec 9<&-
rm -f "$ledger"
mkfifo "$ledger"
exec 9<>"$ledger"
check "who has open what is no ledger, but stands where it would, is no user" \
	test "$(fields "name stale" jobserver odd; pids users jobserver odd)" = "jobserver:fifo:$SYNC_DIR/odd.jobs true"
exec 9<&-
status_is 0 "0: that keeps no pool from being removed" syncrm jobserver odd
check "and stays" test -p "$ledger"
rm "$ledger"

# --- a pipe ---
mkfifo hold
jobpool -j 2 -- semwait jobserver: sh -c 'ls -l /proc/self/fd | sed -n "s/.*pipe:.\([0-9]*\).*/\1/p" >pipes; read -r x <>hold' &
a=$!
wait_for test -s pipes
pipe_of() { syncls --json jobserver 2>/dev/null | perl -0777 -MJSON::PP -e 'my %is = map { $_, 1 } split " ", shift;
	$is{$_->{inode}} and print "$_->{name}\n" for @{decode_json(<STDIN>)}' "$(cat pipes)"; }
name=$(pipe_of)
check "a pipe is named by the process that has it, as semwait takes it" \
	sh -c 'case $1 in jobserver:fifo:/proc/[0-9]*/fd/[0-9]*) semwait --value "$1" ;; *) false ;; esac' - "$name"
release hold
wait $a
check "it is gone with that" test -z "$(pipe_of)"

done_testing
