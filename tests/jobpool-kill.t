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
# Of two users the one who leaves first has its own token back by then: three, where there can be two.
status_is 0 "tokens too many, and another uses the pool" jobpool --name two -j2 sh -c '
	jobpool --name two sh -c "printf ++ >>\"\$SYNC_DIR/two.jobs\"" && semwait --value "jobserver:fifo:$SYNC_DIR/two.jobs"'
says "*1 token more than*
*1 token more than*" "both take out what is too many by then"
check "the first has left as many as there are" test "$out" = 2
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
	kill -9 $(cat pids)
	wait
	read -r _ heir <pids
	while grep -q "^State:.[^ZX]" "/proc/$heir/status"; do sleep 0.01; done 2>/dev/null # ok: it is no child of ours'
says '' "jobpool itself finds what the dead owed"

# What the ledger says of a kill in the middle of giving back: of COMMAND's own permit, and one or two more.
for doubt in 1:token 2:tokens; do
	status_is 0 "in doubt: $doubt" jobpool --style=fifo -j3 sh -c '
		exec 2>/dev/null
		ledger=$(echo /dev/shm/jobs.*."$(printf %x "$(stat -c %i "${MAKEFLAGS#*fifo:}")")".*)
		dd bs=16 skip=4 count=1 <"$ledger" | tr "\003" "\004" >debt
		for i in $(seq "$1"); do
			dd bs=16 seek=$((9 + i)) conv=notrunc of="$ledger" <debt
		done' - "${doubt%:*}"
	says "*of ${doubt%:*} ${doubt#*:} it is not known whether*" "is said"
done

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
