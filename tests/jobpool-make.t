#!/bin/sh
# SPDX-License-Identifier: MIT
# jobpool: make, ninja and scripts share its slots, and never run more jobs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/jobpool.sh
. "$TOP/tests/jobpool.sh"

for style in pipe fifo; do
	: >crowd
	status_is 0 "$style: a script with ten jobs in the background" timeout 50 jobpool -v --style=$style -j3 sh -c \
		'for i in 1 2 3 4 5 6 7 8 9 10; do semwait jobserver: ./job & done; wait'
	says "*all 3 tokens are back*" "$style: in the end all tokens are back"
	check "$style: each was run" test "$(wc -l <crowd)" -eq 10
	check "$style: never more than three at once" at_most 3
done

cat >Makefile <<'MAKE'
T = a b c d e f g h i
all: $(T)
$(T): ; @./job
MAKE
if command -v make >/dev/null; then
	: >crowd
	status_is 0 "make in a pool" timeout 50 jobpool -v -j3 make -s
	says "*all 3 tokens are back*" "all tokens come back from make"
	check "never more than three recipes run" at_most 3
	# Two makes, each with -j8, share three slots: all three are in use before any of them goes on.
	mkfifo hold && : >crowd
	for i in 1 2; do
		MAKEFLAGS=-j8 timeout 100 jobpool -v --name shared -j3 make -s >"make$i" 2>&1 &
	done
	wait_for jobs_are 3
	check "two makes -j8 on a pool of three: no token is left" test "$(in_pool shared)" = 0
	# Open for writing too, so that a reader gets one line, and never an end of file.
	exec 7<>hold
	printf '\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n' >&7
	wait
	exec 7>&-
	check "two makes -j8 on a pool of three: all recipes are run" test "$(wc -l <crowd)" -eq 18
	check "and never more than three at once" at_most 3
	check "one made the pool" test "$(cat make1 make2 | grep -c ' made ')" -eq 1
	check "the other joined" test "$(cat make1 make2 | grep -c ' joined ')" -eq 1
	check "the last one counts: all are back" test "$(cat make1 make2 | grep -c 'all 3 tokens are back')" -eq 1
	check "nobody misses anything" sh -c '! grep -qE "INTERNAL|did not come back|more than" make1 make2'
	check "the pool is gone with its last user" empty "$SYNC_DIR"
	rm -f hold jobs
else
	skip "make in pools" "no make here"
fi
if command -v ninja >/dev/null; then
	{ echo 'rule r' && echo '  command = ./job'
	for n in 1 2 3 4 5 6; do echo "build o$n: r"; done; } >build.ninja
	status_is 0 "ninja in a pool" timeout 50 jobpool -v --style=fifo -j2 ninja
	says "*all 2 tokens are back*" "all tokens come back from ninja"
else
	skip "ninja in a pool" "no ninja here"
fi

check "no ledger is left" no_ledgers
done_testing
