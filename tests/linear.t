#!/bin/sh
# SPDX-License-Identifier: MIT
# Semaphores and queues are linearizable, in short; and the judge sees what is not. tests/storm/run-linear is the long one.
# shellcheck disable=SC2317 # functions are called through check
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

check "the recorder and its judge compile" "$TOP/tests/storm/build" bin linear

# In each line two words, that must be the same.
bin/linear-check <"$TOP/tests/storm/linear.txt" >verdicts
agrees() { grep -c "^$1 $1: " verdicts; }
differs() { grep '^good wrong\|^wrong good' verdicts; }
check "the judge accepts what is right, also with killed clients" test "$(agrees good)" -ge 11
check "it rejects what is wrong: a permit, a message, an order" test "$(agrees wrong)" -ge 18
status_is 1 "and errs in none" differs

record() { # KIND NAME
	if ! bin/linear -s 1 -r 12 "$1" "$2" >histories 2>notes; then
		cat notes
		return 1
	fi
	bin/linear-check -q <histories
}

[ -z "${STATIC-}" ] || {
	skip "semaphores and queues" "the library of this build is for another libc"
	done_testing
}
while read -r kind name; do
	status=0
	bin/linear -s 1 -r 1 "$kind" "$name" >histories 2>notes || status=$?
	if [ $status -eq 77 ]; then
		skip "$name: histories are linearizable" "$(tail -n 1 notes)"
	else
		check "$name: histories are linearizable, a fifth of the clients killed" record "$kind" "$name"
		echo "# $out"
	fi
done <<END
sem sysv:linear-$$
sem posix:/linear-$$
sem pool:./pool
prio posix:/linear-$$
line sysv:linear-$$
END

# Each of twenty rounds shows it, unless that client was killed early.
if bin/linear -f -s 1 -r 20 sem "sysv:linear-$$" >histories 2>notes; then
	status_is 1 "a client that posts twice is seen" sh -c 'bin/linear-check -q <histories'
else
	skip "a client that posts twice is seen" "$(tail -n 1 notes)"
fi
if bin/linear -f -s 1 -r 20 line "sysv:linear-$$" >histories 2>notes; then
	status_is 1 "and one that sends twice" sh -c 'bin/linear-check -q <histories'
else
	skip "and one that sends twice" "$(tail -n 1 notes)"
fi

done_testing
