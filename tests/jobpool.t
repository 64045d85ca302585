#!/bin/sh
# SPDX-License-Identifier: MIT
# jobpool: pools of make's job tokens: what COMMAND gets of them, and pools that are shared by name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/jobpool.sh
. "$TOP/tests/jobpool.sh"

# --- exit statuses ---

status_is 0 "0: a command that succeeds" jobpool true
status_is 7 "the command's own status" jobpool -j2 -- sh -c 'exit 7'
status_is 143 "128 + N when the command dies of signal N" jobpool -j2 sh -c 'kill -TERM $$'
status_is 127 "127: a command that is not found" jobpool ./no-such-command
: >not-executable
status_is 126 "126: a command that is not executable" jobpool ./not-executable
status_is 64 "64: no command" jobpool -j2
for bad in 0 -1 x '' 4097 1.5; do
	status_is 64 "64: -j '$bad'" jobpool -j "$bad" true
done
status_is 64 "64: --style=other" jobpool --style=other true
for bad in '' . -x a/b 'a b' "$(printf 'x%0200d' 0)"; do
	status_is 64 "64: --name='$bad'" jobpool --name="$bad" true
done
status_is 0 "4096 jobs can be had" jobpool -j 4096 -v true
says "*all 4096 tokens are back*" "and come back"
status_is 73 "73: no directory for a name" env SYNC_DIR="$scratch/none" jobpool --name x true
check "and then no file is made" test ! -e none
echo junk >"$SYNC_DIR/dir.jobs.lock" && mkdir "$SYNC_DIR/dir.jobs"
check "something else in the place of the FIFO is an error" sh -c '! jobpool --name dir true'
rm -r "$SYNC_DIR"/dir.*

# --- what COMMAND gets ---

MAKEFLAGS="kw -j9 -l4 --jobserver-auth=7,8 -- A=b" jobpool -j3 sh -c 'echo "$MAKEFLAGS"' >flags
check "MAKEFLAGS keeps its letters, other words and variables" \
	grep -qE '^kw -l4 -j3 --jobserver-auth=[0-9]+,[0-9]+ -- A=b$' flags
jobpool -j3 sh -c 'echo "$MAKEFLAGS"' >flags
check "it begins with a blank where there are no letters" grep -qE '^ -j3 --jobserver-auth=[0-9]+,[0-9]+$' flags
jobpool -j3 --style=fifo sh -c 'echo "$MAKEFLAGS"' >flags
check "--style=fifo names a FIFO" grep -qE "^ -j3 --jobserver-auth=fifo:$SYNC_DIR/jobpool-[0-9]+.jobs\$" flags
mkdir 'a b\c'
SYNC_DIR="$scratch/a b\\c" jobpool -j3 --style=fifo sh -c 'printf "%s\n" "$MAKEFLAGS"; semwait --value jobserver:' >flags
check "blanks and backslashes in its path are escaped" grep -qF 'a\ b\\c/jobpool' flags
check "and it is found again" grep -qx 2 flags
check "it is for its owner alone" jobpool --style=fifo -j3 sh -c 'test "$(stat -c %a "$SYNC_DIR"/*.jobs)" = 600'
# make leaves a pool if it is told -j on its command line.
printf '#!/bin/sh\necho "$*"\n' >./make && chmod +x ./make
while IFS='|' read -r given left; do
	# shellcheck disable=SC2086 # words
	status_is 0 "make $given" jobpool -j2 ./make $given
	check "make $given: -j is left out" test "$out" = "$left"
done <<'END'
-j8 all|all
-j 8 all|all
-j all|all
-sj8k all|-sk all
-sj 8 all|-s all
--jobs=8 all|all
--jobs 8 all|all
--jobs all|all
--job=8|
-f -j8 all -j8|-f -j8 all
-C dir -I j8 -fj9 -j|-C dir -I j8 -fj9
-j8 -j9 -- -j7|-- -j7
-l4 -k|-l4 -k
END
says '' "and where there is none nothing is said"
rm ./make
for style in pipe fifo; do
	check "$style: of N tokens one is COMMAND's" \
		jobpool --style=$style -j3 sh -c 'test "$(semwait --value jobserver:)" = 2'
	check "$style: COMMAND has its slot, and takes the others" \
		jobpool --style=$style -j3 semwait -n -c 3 jobserver: -- sh -c 'test "$(semwait --value jobserver:)" = 0'
	status_is 64 "$style: and no more" jobpool --style=$style -j3 semwait -n -c 4 jobserver: true
done
check "the default is the number of processors" \
	sh -c 'jobpool -v true 2>&1 | grep -qx "jobpool: all $(nproc) tokens are back"'
jobpool -v --name left true 2>/dev/null
check "a pool leaves no files behind" empty "$SYNC_DIR"
mkfifo never
status_is 143 "a signal is passed on to COMMAND" jobpool --style=fifo -j2 sh -c 'kill -TERM $PPID; read -r x <never'
check "nor does it leave any when a signal ends COMMAND" empty "$SYNC_DIR"

# --- by name: joining, waiting, leaving ---

mkfifo go
jobpool --name n -j1 sh -c 'echo >started; read -r x <go' &
wait_for exists started
status_is 75 "75: no slot is free with -n" jobpool -n --name n true
says "*no job slot: 0 of 1 permits free*" "which it says"
status_is 75 "75: nor within -w" jobpool -w 0.1 --name n true
status_is 3 "-E changes 75" jobpool -n -E 3 --name n true
status_is 75 "-q is silent" jobpool -qn --name n true
says '' "not a word"
status_is 75 "another -j does not change the pool" jobpool -n --name n -j5 true
says "*has 1 tokens, whatever -j says*" "which it says"
jobpool --name n sh -c 'echo >second' &
second=$!
wait_for sh -c "semwait -v -n 'jobserver:fifo:$SYNC_DIR/n.jobs' true 2>&1 | grep -q ."
check "who waits for a slot waits" test ! -e second
release go
wait_for exists second
wait $second
check "until it is free, and then it is last to leave" empty "$SYNC_DIR"
wait

# A signal while it waits: nothing stays behind, and it is the signal it dies of.
mkfifo go2
jobpool --name s -j1 sh -c 'echo >started2; read -r x <go2' &
wait_for exists started2
sh -c 'echo $$ >waiter.pid; exec jobpool --name s true' &
waiter=$!
wait_for exists waiter.pid
wait_for sh -c "grep -q . waiter.pid && [ \"\$(cat /proc/$waiter/task/*/wchan 2>/dev/null | grep -c .)\" -ge 0 ] && [ \"\$(ls /proc/$waiter/task | wc -l)\" -ge 2 ]"
kill -TERM $waiter
wait $waiter 2>/dev/null
check "SIGTERM ends one that waits for a slot" test $? -eq 143
release go2
wait
check "and the pool is gone with its last user" empty "$SYNC_DIR"

check "no ledger is left" no_ledgers
done_testing
