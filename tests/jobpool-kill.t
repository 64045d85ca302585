#!/bin/sh
# SPDX-License-Identifier: MIT
# jobpool: tokens that are missing or too many, and kills of whoever has some.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/jobpool.sh
. "$TOP/tests/jobpool.sh"

status_is 0 "a token that somebody took and kept" jobpool --style=fifo -j3 sh -c 'dd bs=1 count=1 <${MAKEFLAGS#*fifo:} >stolen 2>/dev/null'
says "*1 of 3 tokens did not come back: 2 of 3 permits free*" "is missed at the end"
check "that changes no status" test "$status" = 0
status_is 0 "tokens that nobody had taken" jobpool --style=fifo -j3 sh -c 'printf ++ >>${MAKEFLAGS#*fifo:}'
says "*2 tokens more than the 3 of the pool*removed*" "are noticed, and taken out"
status_is 64 "64: nobody can post to it" jobpool -j3 sempost jobserver:

# --- kills ---

# Kill semwait and its command, which hold two tokens, and look: whoever comes next finds the pool whole.
round() {
	jobpool --style=fifo -j3 sh -c '
		semwait -c 3 jobserver: sh -c "echo \$PPID \$\$ >pids; echo >holds; read -r x <never" 2>/dev/null &
		while [ ! -e holds ]; do sleep 0.01; done # ok: no wait_for in here
		kill -9 $(cat pids)
		wait
		semwait -w 50 -c 3 jobserver: true' 2>round.err
}
mkfifo never
i=0 bad=0
while [ $i -lt 5 ]; do
	rm -f pids holds
	round || bad=$((bad + 1))
		i=$((i + 1))
done
check "five kills of who held tokens: the pool was whole each time, without restart" test $bad -eq 0
rm -f pids holds
status_is 0 "when nobody else comes" jobpool --style=fifo -j3 sh -c '
	semwait -c 3 jobserver: sh -c "echo \$PPID \$\$ >pids; echo >holds; read -r x <never" &
	while [ ! -e holds ]; do sleep 0.01; done # ok: no wait_for in here
	kill -9 $(cat pids); wait' 
check "jobpool itself finds what the dead owed" sh -c '! grep -q "did not come back" "$1"' - err.txt

# Kill jobpool: COMMAND keeps its slot, and its pool, which others join; it is freed when that ends.
rm -f pids holds
mkfifo go3
jobpool --name k -j2 sh -c 'echo $PPID >pids; echo >holds; read -r x <go3' &
wait_for exists holds
kill -9 "$(cat pids)"
wait
check "jobpool is killed: COMMAND still has its slot" jobpool --name k sh -c 'test "$(semwait --value jobserver:)" = 0'
release go3
wait_for sh -c "jobpool --name k -n -v sh -c 'test \"\$(semwait --value jobserver:)\" = 1' 2>&1"
check "until it ends, and then the pool has all its tokens" jobpool -j2 --name k sh -c 'test "$(semwait --value jobserver:)" = 1'
check "and no file is left" empty "$SYNC_DIR"
# Kill all: what they leave is no pool.
rm -f pids holds
jobpool --name k -j2 sh -c 'echo $PPID $$ >pids; echo >holds; read -r x <never' &
wait_for exists holds
# shellcheck disable=SC2046 # two words
kill -9 $(cat pids)
wait
check "all are killed: their files remain" exists "$SYNC_DIR/k.jobs"
stat -c %i "$SYNC_DIR/k.jobs" >>pipes
status_is 0 "whoever comes next makes the pool anew, as large as it likes" \
	jobpool -v -j4 --name k sh -c 'test "$(semwait --value jobserver:)" = 3'
says "*made*all 4 tokens are back*" "and says so"
check "no file is left" empty "$SYNC_DIR"
check "no ledger is left" no_ledgers
done_testing
