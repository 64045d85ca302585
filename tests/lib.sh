# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# TAP for the shell tests: source it first, say done_testing last. A test's name is a claim.
#
#	check "a claim" COMMAND...		COMMAND succeeds
#	status_is 75 "a claim" COMMAND...	COMMAND exits with 75; its output is in $out and $err
#	says PATTERN "a claim"			$err of the last status_is matches (case pattern)
#	wait_for COMMAND...			until COMMAND succeeds, 20 seconds at the most
#	release FIFO				wake the job that reads FIFO
#	skip "a claim" "why"			counted, with its reason
#	anybodys_bin				where our commands are for every user
#	theirs COMMAND				where the COMMAND is that is not ours but bears the same name
#
# The scratch directory is the working directory; it goes when the test ends, with all children.

set -u
: "${BUILD:?run the tests with make check}"
PATH=$BUILD/bin:$PATH
# Nor are we jobs of the make that runs us.
unset SYNCBOX_HELD MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
TOP=$(cd "$(dirname "$0")/.." && pwd)
# In sanitizer builds: an applet leaves its memory to exit(2). The C tests do look for leaks.
ASAN_OPTIONS=detect_leaks=0
export PATH TOP ASAN_OPTIONS
tests=0 failed=0 status=0 out='' err=''
scratch=$(mktemp -d) || exit 1
# All tests that run at once make queues of one user, who may be root without the right to pass the limit.
prlimit --pid $$ --msgqueue=unlimited 2>/dev/null
# All that a test starts carries this, so that what it leaves running is found.
SYNCBOX_TEST=$$
# No job of this shell: tests say `wait`.
watchdog=$(env -u SYNCBOX_TEST "$TOP/tests/watchdog" $$ "$scratch" >/dev/null 2>&1 & echo $!)
export SYNCBOX_TEST

nothing_runs() {
	left=$(env -u SYNCBOX_TEST grep -lzx "SYNCBOX_TEST=$$" /proc/[0-9]*/environ 2>/dev/null)
	[ -z "$left" ]
}
# End what still runs; $stuck says what did not end by itself, and was killed.
end_jobs() {
	# shellcheck disable=SC2046 # a list of them
	kill $(jobs -p) 2>/dev/null
	wait_for nothing_runs
	stuck=$(for f in $left; do tr '\0' ' ' <"${f%environ}cmdline" && echo; done 2>/dev/null)
	for f in $left; do
		f=${f%/environ}
		kill -KILL "${f#/proc/}" 2>/dev/null
	done
	wait # a job that ends while its files vanish complains
}

cleanup() {
	trap '' TERM
	end_jobs
	kill "$watchdog"
	cd / && rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' TERM INT
cd "$scratch" || exit 1

report() { # STATUS CLAIM
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $2"
		[ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/# out: /'
		[ -z "$err" ] || printf '%s\n' "$err" | sed 's/^/# err: /'
	fi
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

check() {
	claim=$1
	shift
	out='' err=''
	"$@" >"$scratch/out.txt" 2>"$scratch/err.txt"
	status=$?
	out=$(cat "$scratch/out.txt") err=$(cat "$scratch/err.txt")
	report "$status" "$claim"
}

status_is() {
	want=$1 claim=$2
	shift 2
	"$@" >"$scratch/out.txt" 2>"$scratch/err.txt"
	status=$?
	out=$(cat "$scratch/out.txt") err=$(cat "$scratch/err.txt")
	[ "$status" -eq "$want" ]
	ok=$?
	[ $ok -eq 0 ] || err="$err
status $status, expected $want"
	report $ok "$claim"
}

says() {
	# shellcheck disable=SC2254 # a pattern is wanted
	case $err in
	$1) report 0 "$2" ;;
	*) report 1 "$2" ;;
	esac
}

wait_for() {
	tries=0
	until "$@" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries -gt 2000 ]; then
			echo "# gave up waiting for: $*"
			return 1
		fi
		sleep 0.01 # ok: the one place that polls
	done
}

# Wake the one that reads the fifo NAME. In a shell without children, whose open no SIGCHLD breaks.
release() { timeout 20 sh -c "echo >'$1'"; }

# A directory of our commands that any user can reach: below root's home that is a copy. For tests run by root.
anybodys_bin() {
	chmod 711 "$scratch"
	if [ "$(id -u)" -ne 0 ] || setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$BUILD/bin/syncbox"; then
		echo "$BUILD/bin"
	else
		mkdir -p "$scratch/anybodys"
		cp -a "$BUILD/bin/." "$scratch/anybodys"
		chmod -R a+rX "$scratch/anybodys"
		echo "$scratch/anybodys"
	fi
}

# PATH begins with ours
theirs() { (PATH=${PATH#"$BUILD/bin:"} && command -v "$1"); }

# Is there a process blocked on the lock of FILE (any kind)?
waits() { lockrun --who "$1" 2>/dev/null | grep -q '^waits'; }
# So many of them.
waiters_are() { [ "$(lockrun --who "$1" 2>/dev/null | grep -c '^waits')" -eq "$2" ]; }
holds() { lockrun --who "$1" 2>/dev/null | grep -q '^holds'; }
# Has its holder become the job, a sleep of 600 seconds? While it is being started it bears our name.
sleep_holds() { lockrun --who "$1" 2>/dev/null | grep -q '^holds.*[0-9]s sleep 600$'; }
is_free() { ! holds "$1"; }
# No ledger is left of a jobserver: other tests have some, too, but those of these inodes are ours, pipes that a job of
# ours has written down in the file "pipes", and the FIFO "fifo".
no_ledgers() {
	for inode in $(cat pipes 2>/dev/null) $(stat -c %i fifo 2>/dev/null); do
		for ledger in /dev/shm/jobs.*."$(printf %x "$inode")".*; do
			[ ! -e "$ledger" ] || { echo "$ledger" && return 1; }
		done
	done
}
exists() { [ -e "$1" ]; }
gone() { ! kill -0 "$1" 2>/dev/null; }

done_testing() {
	end_jobs
	err=$stuck out=''
	[ -z "$stuck" ]
	report $? "nothing is left running"
	echo "1..$tests"
	[ $failed -eq 0 ] || exit 1
	exit 0
}
