#!/bin/sh
# SPDX-License-Identifier: MIT
# syncls: of each kind of object, made here with known holders and waiters in known calls, it names exactly those.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
K=$(printf '0x%08x' $((0x51000000 + $$)))
N=ls$$
trap 'ipcrm -S $K 2>/dev/null; ipcrm -Q $K 2>/dev/null; ipcrm -M $K 2>/dev/null
	rm -f "/dev/shm/sem.$N" "/dev/shm/dbt.$N" "/dev/shm/$N"; mqpipe rm -f "/$N" "/$N.b"; semwait --value $N >/dev/null 2>&1 && syncrm -f sem $N; cleanup' EXIT
SYNC_DIR=$PWD/pools
export SYNC_DIR
mkdir pools

# --- exit statuses ---
status_is 0 "0: a list" syncls
status_is 0 "0: of one type" syncls pool
status_is 64 "64: --who without a name" syncls --who
status_is 64 "64: two ways to show" syncls --tree --facilities
status_is 64 "64: --older alone" syncls --older 1
status_is 64 "64: no duration" syncls --stale --older -1
status_is 64 "64: no such option" syncls --nonsense
status_is 64 "64: --watch with --json" syncls --watch --json
status_is 64 "64: --watch that is busy" syncls --watch=1ms
status_is 66 "66: no such lock" syncls lock ./missing
says "syncls: no lock './missing' can be seen from here*" "it says which"
status_is 66 "66: nothing of that name at all" syncls "nothing$$"
if [ -w /dev/full ]; then
	status_is 74 "74: standard output is full" sh -c 'syncls --facilities >/dev/full'
else
	skip "74: standard output is full" "no /dev/full"
fi
check "a closed standard output does no harm" sh -c 'syncls --json lock L >&-; test $? -eq 74 -o $? -eq 66'

# --- locks ---
made flock L
a=$!
check "a lock: its holder" test "$(people holders 'pid user mode start length inherited fd call' lock L)" = \
	"$a $(id -un) exclusive 0 0 false 3 null"
check "with its command" test "$(people holders command lock L)" = "./own flock L"
check "and since when" sh -c "test $(($(date +%s) - $(people holders since lock L))) -le 60"
check "its name, type, owner and mode" test "$(fields "name type owner mode" lock L)" = \
	"flock:$PWD/L lock $(id -un) 600"
lockrun -s L true &
b=$!
wait_for waiting $b lock L
check "a lock: its waiter, and the call" test "$(people waiters 'pid mode call inherited' lock L)" = "$b shared flock false"
check "the name in the list is a name" test "$(field name lock "$(field name lock L)")" = "flock:$PWD/L"
check "another path leads to the same" test "$(pids holders lock "$PWD/./L")" = "$a"
check "the table has them" sh -c "syncls lock L | grep -Eq '^lock +flock:$PWD/L +.* 600 .* $a own +$b lockrun\$'"
check "--who has a line for each" sh -c "syncls --who lock L | grep -Eq '^holds +$a .* exclusive +all ' && syncls --who lock L | grep -Eq '^waits +$b .* shared .* flock '"
kill $a
wait $a $b 2>/dev/null

made ofd R w 10 5
a=$!
made ofd R r 20 5
b=$!
made ofd R r 20 5
c=$!
made fcntl R w 100 0
d=$!
lockrun ofd:R@12+1 true &
e=$!
wait_for waiting $e lock ofd:R
lockrun ofd:R@24+3 true &
f=$!
wait_for waiting $f lock ofd:R
lockrun fcntl:R@11+2 true &
g=$!
wait_for waiting $g lock fcntl:R
check "byte ranges: ofd holders, each with its own" same "$(people holders 'pid mode start length' lock ofd:R)" \
	"$a exclusive 10 5; $b shared 20 5; $c shared 20 5"
check "fcntl holders apart" test "$(people holders 'pid start length' lock fcntl:R)" = "$d 100 0"
ranges_wanted() {
	same "$(people waiters 'pid mode start length call' lock ofd:R); $(people waiters 'pid start length' lock fcntl:R)" \
		"$e exclusive 12 1 fcntl; $f exclusive 24 3 fcntl; $g 11 2"
}
check "and waiters with exactly the range that each wants" wait_for ranges_wanted
kill $a $b $c $d
wait 2>/dev/null

# The kernel lists such waiters in the order in which they came, and does not say who: here it is not that of the pids.
made ofd Q w 0 0
a=$!
mkfifo go
sh -c 'read -r x <go; exec lockrun -s ofd:Q@1+1 true' &
b=$!
lockrun ofd:Q@1+1 true &
c=$!
wait_for waiting $c lock ofd:Q
lockrun ofd:Q@7+2 true &
d=$!
wait_for waiting $d lock ofd:Q
release go
wait_for waiting $b lock ofd:Q
modes_wanted() {
	same "$(people waiters 'pid mode start length' lock ofd:Q)" "$b shared 1 1; $c exclusive 1 1; $d exclusive 7 2"
}
check "each waiter's own range and mode, whoever came first" wait_for modes_wanted
kill $a
wait 2>/dev/null

lockrun H sleep 600 & # ok: a holder
a=$!
wait_for sh -c "lockrun --who H | grep -q ' sleep 600\$'"
wait_for test "$(pids holders lock H | wc -w)" -eq 2
check "a descriptor that a child inherited: both hold, one has inherited" \
	same "$(people holders 'inherited' lock H)" "false; true"
job=$(pids holders lock H | tr ' ' '\n' | grep -vx $a)
kill -KILL $a
wait $a 2>/dev/null
wait_for test "$(pids holders lock H)" = "$job"
check "the heir alone, when the other is dead" test "$(people holders 'pid inherited' lock H)" = "$job true"
rm H
deleted() { syncls --json lock | perl -MJSON::PP -e 'local $/; print join " ", map { "$_->{name} $_->{deleted} $_->{holders}[0]{pid}" } grep { $_->{name} eq $ARGV[0] } @{decode_json(<STDIN>)}' "flock:$PWD/H"; }
check "a deleted file keeps its path, and is told to be deleted" test "$(deleted)" = "flock:$PWD/H 1 $job"
check "in the table, too" sh -c "syncls lock | grep -q 'flock:$PWD/H (deleted) '"
kill "$job"

name=$(printf 'a b\nc\033[31m\td"\\@7')
made flock "$name"
a=$!
check "a name with blanks and control characters" test "$(pids holders lock "$name")" = $a
check "is escaped in the table" sh -c 'syncls lock | LC_ALL=C grep -q "[^ -~]" && exit 1; syncls lock | grep -qF "a b\\nc\\e[31m\\td"'
check "and comes back whole in JSON" test "$(field name lock "$name")" = "flock:$PWD/$name"
kill $a
made ofd "$name" w 0 0
a=$!
check "one that seems to end in a range" test "$(pids holders lock "$(field name lock "ofd:$name@0")")" = $a
kill $a
lockrun F true
check "a file that nobody has locked is listed if it is named" test "$(field name lock F) $(pids holders lock F)" = "flock:$PWD/F "
check "and not otherwise" sh -c "! syncls lock | grep -q 'flock:$PWD/F '"

# --- semaphores ---
if ipcs -s >/dev/null 2>&1; then
	./own semget "$K" 2
	made semop "$K" -1 undo
	a=$!
	check "sysv: value, key, members" test "$(fields "value key members type" sem "sysv:$K")" = \
		"1 $((K)) 1 sem"
	made semop "$K" -1 undo
	b=$!
	./own semop "$K" -1 &
	c=$!
	./own semop "$K" -1 &
	d=$!
	wait_for waiting $c sem "sysv:$K"
	wait_for waiting $d sem "sysv:$K"
	check "waiters in semop" same "$(people waiters 'pid call' sem "sysv:$K" | sed 's/semtimedop/semop/g')" "$c semop; $d semop"
	check "how many wait" test "$(field waiting sem "sysv:$K")" = 2
	if [ "$(pids holders sem "sysv:$K")" = $b ]; then
		check "who used it last and owes it is a holder" true
	else
		skip "who used it last and owes it is a holder" "this kernel does not tell (kcmp)"
	fi
	check "by its number it is the same" test "$(field name sem "sysv:id=$(field id sem "sysv:$K")")" = "sysv:$K"
	kill $a $b $c $d
	wait 2>/dev/null

	semwait -i 3 "$N" sleep 600 & # ok: a holder
	a=$!
	wait_for sh -c "test \"\$(semwait --value $N)\" = 2"
	check "one of ours has its name, and of how many" test "$(fields "name value capacity" sem "$N")" = \
		"sysv:$N 2 3"
	kill $a
	wait $a 2>/dev/null
else
	skip "sysv: semaphores" "no ipcs, or no System V here"
fi

if [ -d /dev/shm ] && [ -z "${STATIC-}" ] && [ "$(getconf LONG_BIT)" = 64 ]; then
	made semopen "/$N" 1
	a=$!
	check "posix: who has it open is a user" test "$(pids users sem "posix:/$N") $(field value sem "posix:$N")" = "$a 1"
	semwait "posix:/$N" sleep 600 & # ok: a holder
	b=$!
	wait_for sh -c "test \"\$(semwait --value posix:/$N)\" = 0"
	job() { pids holders sem "posix:/$N" | tr ' ' '\n' | grep -vx $b; }
	wait_for sh -c "test \"\$(syncls --json sem 'posix:/$N' | grep -c 'sleep 600')\" -gt 0"
	check "who owns a permit of it is a holder, with its heir" same "$(people holders 'inherited' sem "posix:/$N")" "false; true"
	made semwait "/$N" 0
	c=$!
	wait_for waiting $c sem "posix:/$N"
	check "who waits in libc's sem_wait" test "$(people waiters 'pid call' sem "posix:/$N")" = "$c futex"
	semwait "posix:/$N" true &
	d=$!
	wait_for waiting $d sem "posix:/$N"
	check "who waits in our line" same "$(people waiters pid sem "posix:/$N")" "$c; $d"
	check "and nobody else has it" test "$(pids users sem "posix:/$N")" = $a
	kill "$(job)" $c
	wait $b $d 2>/dev/null
	kill $a
else
	skip "posix: semaphores" "no /dev/shm, or a libc or machine whose semaphores are others"
fi

# --- pools ---
semwait -i 2 pool:$N sleep 600 & # ok: a holder
a=$!
wait_for sh -c "test \"\$(semwait --value pool:$N)\" = 1"
semwait pool:$N sleep 600 & # ok: a holder
b=$!
wait_for sh -c "test \"\$(semwait --value pool:$N)\" = 0"
check "a pool: holders and permits" same "$(people holders 'pid start length' pool $N)" "$a 0 1; $b 1 1"
check "its value, of how many, and its name" test "$(fields "value capacity name" pool $N)" = "0 2 pool:$N"
semwait pool:$N true &
c=$!
semwait pool:$N true &
d=$!
wait_for waiting $c pool $N
wait_for waiting $d pool $N
check "its waiters, the head of the line among them" test "$(pids waiters pool $N | wc -w)" -eq 2
semwait -i 1 "pool:$PWD/x.pool" sleep 600 & # ok: a holder
e=$!
wait_for sh -c "test \"\$(semwait --value pool:$PWD/x.pool)\" = 0"
check "a pool elsewhere is found by its holder, and is no lock" \
	test "$(pids holders pool "pool:$PWD/x.pool") $(syncls lock | grep -c "$PWD/x.pool")" = "$e 0"
kill $a $b $e
wait 2>/dev/null

done_testing
