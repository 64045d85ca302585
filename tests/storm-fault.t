#!/bin/sh
# SPDX-License-Identifier: MIT
# Fault injection in short: with no system call that fails, and with no kill, lockrun, flock and semwait say 0 and
# have done nothing, hang, crash, or leave anything; and what does is always seen. tests/storm/run-fault is the long one.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${SANITIZE-}" ]; then
	skip "fault injection" "a sanitizer makes system calls of its own"
	done_testing
fi

STORM=$scratch/bin
# Nothing here comes near to it, unless it hangs.
FAULT_LIMIT=120
export STORM FAULT_LIMIT
unset STORM_FAULT

under() { # DIRECTORY OPTION... SCENARIO
	FAULT_BIN=$1
	export FAULT_BIN
	shift
	"$TOP/tests/storm/run-fault" "$@" 2>&1
}

# How many points there were, at least: so it has not stopped early.
points_are() { # NUMBER
	n=${out##* points=}
	n=${n%% *}
	[ "$n" -ge "$1" ]
}

sees() { # FAULT WORDS CLAIM [SCENARIO]
	STORM_FAULT=$1 words=$2
	export STORM_FAULT
	status_is 1 "$3" under "$STORM/fault-wrong.bin" -c1 "${4-lock}"
	unset STORM_FAULT
	case $out in
	*FAILED*"$words"*) report 0 "... and says so: $words" ;;
	*) report 1 "... and says so: $words" ;;
	esac
}

check "the programs compile" "$TOP/tests/storm/build" bin fault
if ! "$STORM/inject" -o report true 2>err.txt; then
	skip "fault injection" "no process may be traced here: $(cat err.txt)"
	done_testing
fi

bin=$BUILD/bin
for scenario in lock:30 lock_rm:30 flock:15 sysv:20 pool:80; do
	check "no fault and no kill does harm: ${scenario%:*}" under "$bin" -c "${scenario%:*}"
	points_are "${scenario#*:}"
	report $? "... at ${scenario#*:} points at least"
done

posix=yes
semwait -i 1 "posix:/fault.$$" true 2>err.txt
if [ $? -eq 64 ]; then
	posix=''
	skip "the same with posix: semaphores" "this build has none: $(cat err.txt)"
else
	rm -f "/dev/shm/sem.fault.$$" "/dev/shm/dbt.fault.$$"
	check "no fault and no kill does harm: posix_wait" under "$bin" -c posix_wait
fi

STORM_FAULT=none
export STORM_FAULT
check "a lockrun without a fault passes" under "$STORM/fault-wrong.bin" -c lock
unset STORM_FAULT

sees not-run "it said 0, and this does not hold: has_run" "a job that was not run, but status 0, is seen"
sees unlocked "COMMAND ran, but nothing was locked" "... one that was run without the lock"
sees twice "COMMAND has run 2 times" "... one that was run twice"
sees crash "it crashed" "... a crash"
sees silent "it does not say in a line why" "... that there is no message"
sees talks "it does not say in a line why" "... that it has two lines"
sees status "not one of its statuses" "... a status of its own"
sees litter "litter is left" "... a file that a kill leaves"
FAULT_LIMIT=2 # it does hang
sees hang "it hangs" "... that it hangs"
FAULT_LIMIT=120
[ -z "$posix" ] || sees no-ledger "this does not hold then: whole" "... a permit that a kill loses" posix_old

done_testing
