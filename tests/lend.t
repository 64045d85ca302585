#!/bin/sh
# SPDX-License-Identifier: MIT
# Lending: inside make, whoever waits for a lock or a semaphore lets make have its job slot meanwhile.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

S=lend$$
K=$(printf 0x5e%06x $$)
export K
trap '{ ipcrm -S $K; rm -f /dev/shm/sem.$S /dev/shm/dbt.$S; } 2>/dev/null; cleanup' EXIT
mkfifo fifo go && exec 8<>fifo
F=jobserver:fifo:$scratch/fifo
tokens_are() { [ "$(semwait --value "$F")" = "$1" ]; }
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
# A job of a make -j2 without a token to spare, in the process that make has started.
start_job() { exec env MAKEFLAGS=" -j2 --jobserver-auth=fifo:$scratch/fifo" MAKELEVEL=1 "$@"; }
# Hold what is to be waited for, until told.
hold() {
	rm -f held
	"$@" sh -c 'echo >held; read -r x <go' &
	holder=$!
	wait_for exists held
}
let_go() {
	release go
	wait $holder
}

signal=TERM number=15
job() { (start_job "$@"); }

# --- each kind of thing that is waited for ---

for what in "semwait -i 1 sysv:$K" "semwait -i 1 pool:./pool" "semwait -i 1 posix:/$S" "lockrun lock" "lockrun -F ofd:lock2"; do
	case $what in
	*posix*)
		semwait -n -i 1 "posix:/$S" true 2>/dev/null || {
			skip "$what" "no POSIX semaphores of glibc's here"
			continue
		} ;;
	esac
	# shellcheck disable=SC2086 # words
	hold $what
	rm -f ran
	# shellcheck disable=SC2086
	start_job $what sh -c 'echo >ran' &
	pid=$!
	wait_for tokens_are 1
	check "$what: who waits lends its slot" tokens_are 1
	check "$what: and waits still" test ! -e ran
	let_go
	wait $pid
	check "$what: it has run in the end" exists ran
	check "$what: with the slot that it had lent" tokens_are 0

	# shellcheck disable=SC2086
	hold $what
	# shellcheck disable=SC2086
	status_is 75 "$what: 75 when the time is over" job ${what%% *} -w 0.2 ${what#* } true
	check "$what: with the slot that it had lent" tokens_are 0
	# shellcheck disable=SC2086
	start_job perl -e '@SIG{qw(INT QUIT)} = ("DEFAULT") x 2; exec @ARGV' $what true &
	pid=$!
	wait_for tokens_are 1
	# One of them for each kind, INT for what is waited for last.
	kill -"$signal" $pid
	wait $pid 2>/dev/null
	status=$?
	check "$what: SIG$signal ends the wait" test $status -eq $((128 + number))
	check "$what: again with its slot" tokens_are 0
	let_go
	case $signal in
	TERM) signal=HUP number=1 ;;
	HUP) signal=QUIT number=3 ;;
	*) signal=INT number=2 ;;
	esac
done

# --- when the slot is back, and not before ---

L=$scratch/lock
hold lockrun "$L"
rm -f ran
start_job lockrun "$L" sh -c 'echo >ran' &
pid=$!
wait_for tokens_are 1
mkfifo keep
semwait "$F" sh -c 'echo >kept; read -r x <keep' &
thief=$!
wait_for exists kept
let_go
# The lock is its own by now, and all that it lacks is a slot.
wait_for sh -c "lockrun --who '$L' | grep -q \"^holds.* $pid \""
check "the lock is had, but no slot: COMMAND does not start" test ! -e ran
release keep
wait $pid
check "until there is a slot" exists ran
wait $thief
check "and the balance is exact" tokens_are 0

hold lockrun "$L"
start_job lockrun --no-lend "$L" true &
pid=$!
wait_for waits "$L"
check "--no-lend: lockrun keeps its slot" tokens_are 0
let_go
wait $pid
hold semwait "sysv:$K"
start_job semwait --no-lend -v "sysv:$K" true 2>said &
pid=$!
wait_for grep -q 'waiting' said
check "--no-lend: semwait does" tokens_are 0
let_go
wait $pid
check "it says nothing of lending" sh -c '! grep -q slot said'
hold lockrun "$L"
start_job lockrun -v "$L" true 2>said &
pid=$!
wait_for tokens_are 1
let_go
wait $pid
check "-v: it says what it lends" grep -q 'lent a job slot to make' said
check "and takes back" grep -q 'took a job slot back from make' said

# One slot is lent once, however many processes of the job wait.
hold lockrun "$L"
start_job sh -c 'lockrun "$0" true & lockrun "$0" true & wait' "$L" &
pid=$!
wait_for waiters_are "$L" 2
wait_for tokens_are 1
check "two that wait in one job lend one slot" tokens_are 1
let_go
wait $pid
check "and take one back" tokens_are 0

# Killed meanwhile: one too many, until another of us finds that.
hold lockrun "$L"
start_job lockrun "$L" true &
pid=$!
wait_for tokens_are 1
kill -9 $pid
wait $pid 2>/dev/null
check "kill -9 of who has lent: a token too many is there" tokens_are 1
start_job lockrun "$L" true &
pid=$!
wait_for waits "$L"
let_go
wait $pid
job semwait -n jobserver: true
check "the next of us takes it out" tokens_are 0

# --- nothing of it costs who need not wait ---

if strace -o probe true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	for what in "semwait -i 1 sysv:$K" "lockrun $L"; do
		# shellcheck disable=SC2086
		strace -o plain $what true && job strace -o inside $what true
		cut -d'(' -f1 plain >plain.calls && cut -d'(' -f1 inside >inside.calls
		check "$what: without a wait inside make makes the same system calls" diff plain.calls inside.calls
	done
else
	skip "system calls" "no strace here, or not of this build"
fi

# --- make -j2: who waits does not keep others from running ---

exec 8>&-
if ! command -v make >/dev/null; then
	skip "with make" "no make here"
	done_testing
fi
cat >Makefile <<'MAKE'
all: link1 link2 compile
link1 link2:
	+@semwait $(LEND) sysv:$(K) sh -c 'echo >>$@; ls -l /proc/self/fd | sed -n "s/.*pipe:.\([0-9]*\).*/\1/p" >>pipes; read -r x <go'
compile:
	@echo >$@
MAKE
make -s -j2 2>make.err &
make=$!
wait_for exists compile
wait_for sh -c 'test -e link1 || test -e link2'
check "one links, one waits to link, and a third job of make -j2 runs" test "$(find . -name 'link?' | wc -l)" -eq 1
release go
wait_for sh -c 'test "$(find . -name "link?" | wc -l)" -eq 2'
release go
wait $make
check "the whole build succeeds" test $? -eq 0
check "and its balance is exact" test ! -s make.err
check "no ledger is left" no_ledgers

# Interrupt it: one holds the permit, one waits and has lent its slot.
rm -f link1 link2 compile
perl -e 'setpgrp; $SIG{INT} = "DEFAULT"; exec @ARGV' make -s -j2 >make.err 2>&1 &
make=$!
wait_for exists compile
kill -INT -$make
wait $make 2>/dev/null
check "SIGINT to the whole job: the balance is exact" sh -c '! grep INTERNAL make.err'
wait_for value_is "sysv:$K" 1
check "and the permit is back" value_is "sysv:$K" 1
done_testing
