#!/bin/sh
# SPDX-License-Identifier: MIT
# sempost: what a shell user can rely on: giving permits, and the size of a pool.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

K=$(printf 0x5e%06x $$) # a key of our own: what is made under a key can be removed by it
S=sysv:$K
P=pool:./p
K2=$(printf 0x5b%06x $$)
trap 'ipcrm -S $K 2>/dev/null; ipcrm -S $K2 2>/dev/null; cleanup' EXIT
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
in_line() { semwait -n -c 32767 $S true 2>&1 | grep -q ", $1 waiting"; }
# Does a process wait for permits of the pool FILE, as the head of the line?
head_waits() { lockrun --who "ofd:$1" 2>/dev/null | grep -q '^holds.* 4+1 '; }

# --- exit statuses: every one, failures included ---

status_is 66 "66: no such semaphore" sempost $S
says "sempost: no semaphore '$S': -i N makes it*" "and the hint how to make it"
status_is 66 "66: no such pool" sempost --resize=1 pool:./missing
status_is 0 "0: one is made, and a permit given" sempost -i 2 $S
check "which are three" value_is $S 3
status_is 75 "75: --max would be passed" sempost --max=3 $S
says "sempost: '$S' has 3 permits, or nearly*" "it says so"
check "nothing was given" value_is $S 3
status_is 75 "75: --max would be passed by some of them" sempost --max=4 -c 2 $S
status_is 75 "75: more at once than --max" sempost --max=4 -c 5 $S
status_is 3 "-E changes 75" sempost -E 3 --max=3 $S
status_is 75 "-q is silent" sempost -q --max=3 $S
says '' "not a word"
check "none of those gave one" value_is $S 3
status_is 0 "--max that is just reached" sempost --max=5 -c 2 $S
check "gives them all" value_is $S 5
status_is 75 "semwait then says what there is" semwait -n -c 6 $S
says "semwait: '$S': 5 permits free*" "not that 5 of 2 are free"
status_is 71 "71: more permits than it can hold" sempost -c 32763 $S
says "sempost: cannot post to '$S': it would hold more permits than it can" "it says so"
status_is 71 "71: more than it could ever hold" sempost -c 32768 $S
check "nothing was given" value_is $S 5
status_is 0 "as many as it can hold" sempost -c 32762 $S
check "are there" value_is $S 32767
status_is 64 "64: no operand" sempost
status_is 64 "64: two operands" sempost $S $S
for bad in 0 -1 x '' 2147483648; do
	status_is 64 "64: -c '$bad'" sempost -c "$bad" $S
	status_is 64 "64: --max '$bad'" sempost --max "$bad" $S
done
for bad in -1 x '' 2147483648; do
	status_is 64 "64: --resize '$bad'" sempost --resize "$bad" $P
done
status_is 64 "64: -i that it could never hold" sempost -i 32768 sysv:${K}0
status_is 64 "64: a name that is none" sempost a/b
status_is 64 "64: --resize with -c" sempost --resize=2 -c 2 $P
status_is 64 "64: --resize with --drain" sempost --resize=2 --drain $P
status_is 64 "64: --resize of what is no pool" sempost --resize=2 $S
status_is 64 "64: --drain of what is no pool" sempost --drain $S
for refused in "--resize=9 sysv:$K2" "--drain sysv:$K2" "pool:./refused"; do
	# shellcheck disable=SC2086 # words are wanted
	status_is 64 "64: -i 3 $refused" sempost -i 3 $refused
	status_is 66 "and what is refused is not made" semwait --value "${refused##* }"
done
status_is 64 "64: --fd of what is no pool" sempost --fd 9 $S
semwait -i 2 $P true
status_is 64 "64: a post to a pool" sempost $P
says "*come back by themselves*" "which says that its permits come back by themselves"
status_is 64 "64: more than a pool can have" sempost --resize=4097 $P
echo junk >junk
status_is 65 "65: a damaged pool file" sempost --resize=1 pool:./junk
check "which is left as it is" test "$(cat junk)" = junk
status_is 65 "65: --fd of a descriptor that is open on another file" sh -c "sempost --fd 9 $P 9<>junk"
status_is 66 "66: --fd of a descriptor that is not open" sh -c "sempost --fd 9 $P 9>&-"
status_is 73 "73: -i, but a missing directory" sempost -i 1 --resize=2 pool:./no/such
status_is 74 "74: --help cannot be written" sh -c 'sempost --help >/dev/full'
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 . && chmod 711 "$scratch"
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups $BUILD/bin"
	# shellcheck disable=SC2086 # words are wanted
	status_is 77 "77: root's semaphore, as a plain user" $drop/sempost $S
	# shellcheck disable=SC2086
	status_is 77 "77: root's pool" $drop/sempost --resize=3 $P
else
	skip "root's semaphore and pool, as a plain user" "needs root to have some"
fi
one_line() { [ "$(LANG=C sempost "$@" 2>&1 >/dev/null | wc -l)" -eq 1 ]; }
check "an error is one line: too many permits" one_line $S
check "one line: --max" one_line --max=1 $S
check "one line: no such semaphore" one_line pool:./missing
check "one line: a post to a pool" one_line $P
check "one line: a damaged pool" one_line pool:./junk

# --- giving ---

ipcrm -S $K
status_is 0 "-i 0 and a post: one permit" sempost -i 0 $S
check "is there" value_is $S 1
check "-v says so, on stderr" sh -c "sempost -v $S 2>&1 >/dev/null | grep -qx \"sempost: gave 1 to '$S'\""
semwait -c 2 $S
waiters=''
for n in 1 2 3; do
	{ semwait -w 50 $S && echo $n >>served; } &
	waiters="$waiters $!"
	wait_for in_line $n
done
sempost -c 2 $S
wait_for sh -c 'test "$(wc -l <served)" -eq 2'
check "-c 2 wakes two of three waiters, those who came first" test "$(sort served | tr -d '\n')" = 12
sempost $S
# shellcheck disable=SC2086 # a list
wait $waiters
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	{ sempost -q --max=5 $S || echo $n >>refused; } &
	waiters="$waiters $!"
done
# shellcheck disable=SC2086
wait $waiters
check "16 at once with --max=5: five are given" test "$(semwait --value $S),$(wc -l <refused)" = 5,11
status_is 0 "--repair of what the kernel repairs has nothing to do" sempost --repair $S
check "and says so" test "$out" = "returned 0 doubtful 0"

# --- the size of a pool ---

mkfifo go
semwait -c 2 $P sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
semwait -w 50 $P sh -c 'echo $SYNCBOX_SLOT >slot' &
waiter=$!
wait_for head_waits p
sempost --resize=3 $P
wait $waiter
status_is 0 "--resize up wakes a waiter" sh -c "exit $?"
check "which gets the new permit" test "$(cat slot)" = 2
sempost --resize=1 $P
check "--resize down leaves the holders alone" kill -0 $holder
check "no permit is free" value_is $P 0
status_is 75 "so nobody gets one" semwait -n $P true
status_is 64 "64: -c 2 of a pool of 1 is refused at once" timeout 20 semwait -c 2 $P true
says "semwait: cannot take 2 permits of '$P': it has 1*" "it says how many it has"
release go
wait $holder
check "and it drains to the new size" value_is $P 1
semwait $P sh -c 'echo >held2; read x <go' &
holder=$!
wait_for exists held2
semwait -w 50 $P sh -c 'echo >late' &
waiter=$!
wait_for head_waits p
status_is 75 "75: --drain with -n: a permit is out" sempost -n --drain $P
says "sempost: '$P' is closed, but not all permits are back: *; held by pid * (sh, *" "it says who has it"
status_is 75 "75: the same with -w" sempost -w 0.2 --drain $P
status_is 4 "-E counts here too" sempost -n -E 4 --drain $P
status_is 75 "nobody gets a permit of a closed pool" semwait -n $P true
says "*closed*" "which says that it is closed"
sempost --drain $P &
drain=$!
waits_at() { lockrun --who ofd:p 2>/dev/null | grep -q "^waits  *$1 "; }
wait_for waits_at $drain
check "--drain waits" kill -0 $drain
release go
wait $holder
wait $drain
status_is 0 "until the last permit is back" sh -c "exit $?"
status_is 0 "a pool that is drained is drained at once" sempost -n --drain $P
check "one who waited waits still" test ! -e late
sempost --resize=1 $P
wait $waiter
status_is 0 "and goes on when the pool is opened again" sh -c "exit $?"
status_is 0 "--resize=0 closes it" sempost --resize=0 $P
status_is 75 "for all who come" semwait -n $P true
sempost --resize=4096 $P
check "4096 permits are the most" value_is $P 4096
check "a pool may be made with --resize" sh -c "sempost -i 1 --resize=2 pool:./new && test \"\$(semwait --value pool:./new)\" = 2"

# --- a shell's own descriptor ---

cat >shell <<'SH'
exec 9<>"$(semwait --path "$1")"
semwait --fd 9 "$1" && semwait --fd 9 "$1" || exit
sleep 600 & # ok: a child that has the descriptor
echo "taken $(semwait --value "$1")"
sempost --fd 9 "$1"
echo "given $? $(semwait --value "$1")"
sempost --fd 9 "$1"
echo "again $?"
kill $!
SH
sempost --resize=2 $P
for shell in sh dash bash zsh; do
	if command -v $shell >/dev/null; then
		check "$shell: --fd gives back all its descriptor has, though a child has it too" \
			test "$($shell shell $P | tr '\n' ,)" = "taken 0,given 0 2,again 0,"
	else
		skip "$shell: --fd gives back" "no $shell here"
	fi
done
done_testing
