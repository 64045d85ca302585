#!/bin/sh
# SPDX-License-Identifier: MIT
# The kill storm in short: with lockrun nothing is ever wrong, and what is wrong is always seen.
# tests/storm/run-lock is the long one.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if [ ! -e /proc/thread-self/children ]; then
	skip "the kill storm" "this kernel does not list children in /proc"
	done_testing
fi

lockrun=$(command -v lockrun)
kills=300
# A sanitized lockrun is slow. Memory is left to exit; and the leak checker works in a child, which
# the storm takes for the job and kills: then the checker waits for ever.
if [ -n "${SANITIZE-}" ]; then
	kills=60
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
	export ASAN_OPTIONS
fi
unset STORM_FAULT STORM_BLIND

storm() { # OPTION... LOCKRUN
	rm -rf storm.d
	mkdir storm.d
	(cd storm.d && "$scratch/bin/lock-storm" "$@" "$scratch/bin/job") 2>&1
}

# The figure is there, and it is not zero.
figure_of() { # NAME
	case " $out " in
	*" $1=0 "*) return 1 ;;
	*" $1="*) return 0 ;;
	*) return 1 ;;
	esac
}

sees() { # FIGURE FAULT CLAIM [OPTION...]
	figure=$1 STORM_FAULT=$2 claim=$3
	export STORM_FAULT
	shift 3
	# So many kills are never needed: the first violation ends it, after a few dozen.
	status_is 1 "$claim" storm -1 -k 3000 "$@" "$scratch/bin/wrong"
	unset STORM_FAULT
	figure_of "$figure"
	report $? "... and says so: $figure"
}

no_process_left() {
	for cwd in /proc/[0-9]*/cwd; do
		case $(readlink "$cwd") in
		"$scratch"/storm.d*) return 1 ;;
		esac
	done
}

check "the storm's programs compile" "$TOP/tests/storm/build" bin lock

for seed in 1 2; do
	check "no kill lets two jobs run, stops a waiter or leaves anything (seed $seed)" \
		storm -k $kills -s $seed "$lockrun"
done
check "... nor with few at once" storm -j 3 -k $kills -s 3 "$lockrun"
check "... nor with many" storm -j 24 -k $kills -s 4 "$lockrun"
check "... nor with ofd: locks" storm -l ofd: -k $kills -s 5 "$lockrun"

STORM_FAULT=none
export STORM_FAULT
check "a runner without a fault passes" storm -k 200 -s 6 "$scratch/bin/wrong"

sees violations no-lock "the storm sees that no lock is taken"
sees violations no-shared "... that shared jobs take none"
sees violations early "... that the lock is given up before the job has ended"
sees violations not-inherited "... that the job does not inherit the lock"
sees violations death-signal "... that it dies with the runner, but after the lock"
sees violations unlink-late "... that the file is removed after unlocking"
sees violations unchecked "... that the lock of a removed file counts"
sees stuck keeps "... that the lock is not given up" -t 1
sees not_run not-run "... that a job was not run, but status 0" -k 100
sees run_anyway runs-anyway "... that a job was run, but status 75" -k 100

STORM_BLIND=1
export STORM_BLIND
sees overlaps no-lock "the log alone, without witnesses, tells it as well" -k 50
unset STORM_BLIND

check "no process is left behind" no_process_left

done_testing
