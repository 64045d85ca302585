#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait with pools: who owns a permit, slots, descriptors of shells, several pools, containers.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

P=pool:./p
mkfifo go
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
head_waits() { lockrun --who "ofd:$1" 2>/dev/null | grep -q '^holds.* 4+1 '; }
# Has the process PID closed the pool? (It may stay as a zombie where nobody reaps.)
let_go() { ! readlink /proc/"$1"/fd/* | grep -q '/p$'; }
in_line() { [ "$(lockrun --who ofd:p 2>/dev/null | grep -c ' 0+1 ')" -eq "$1" ]; }

# --- statuses that only pools have ---

status_is 64 "64: without a command or a descriptor" semwait -i 3 $P
says "*belongs to a descriptor*give a command, or --fd=N" "it says why, and what to do"
status_is 0 "0: with a command" semwait -i 3 $P true
status_is 64 "64: more permits than the pool has" timeout 20 semwait -c 4 $P true
says "semwait: cannot take 4 permits of '$P': it has 3*" "it says how many it has"
status_is 64 "64: more than a pool can have" semwait -i 4097 pool:./new true
check "and none was made" test ! -e new
status_is 64 "64: -z of a pool" semwait -z $P
status_is 66 "66: a descriptor that is not open" sh -c "semwait --fd 9 $P 9>&-"
says "*descriptor 9 is not open*" "it says so"
status_is 65 "65: a descriptor of another file" sh -c "semwait --fd 9 $P 9<>other"
status_is 65 "65: a descriptor for reading only" sh -c "semwait --fd 9 $P 9<p"
status_is 65 "65: a descriptor of a pool that was removed" sh -c 'cp p old && exec 9<>old && rm old && cp p old && semwait --fd 9 pool:./old'
semwait -i 1 pool:./gone sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
semwait pool:./gone sh -c 'echo >ran' 2>gone.err &
waiter=$!
wait_for head_waits gone
rm gone
release go
wait $holder
wait $waiter
status_is 69 "69: removed while waited for" sh -c "exit $?"
check "says so" grep -qx "semwait: 'pool:./gone' was removed" gone.err
check "and runs nothing: others may have made a new one" test ! -e ran

# --- who owns a permit ---

check "the command is semwait's process: no other is needed" sh -c "test \"\$(semwait $P sh -c 'echo \$PPID')\" = \$\$"
semwait -c 2 $P sh -c 'echo $$ >pid; exec sleep 600' & # ok: a victim
job=$!
wait_for test -s pid
check "its pid is semwait's" test "$(cat pid)" = $job
check "-c 2 takes two" value_is $P 1
kill -KILL $job
wait $job
status_is 137 "SIGKILL of the command" sh -c "exit $?"
check "gives both back" value_is $P 3
semwait $P sh -c 'sleep 600 & echo $! >heir1; sleep 600 & echo $! >heir2; exit 5' # ok: left behind
status_is 5 "a command that leaves two jobs in the background" sh -c "exit $?"
check "keeps its permit" value_is $P 2
kill "$(cat heir1)"
wait_for let_go "$(cat heir1)"
check "also when one of them has ended" value_is $P 2
kill "$(cat heir2)"
wait_for value_is $P 3
check "until the last of them is gone" value_is $P 3
check "a pool's file tells people who has what" \
	sh -c "semwait $P true; grep -aq '^0000 pid [0-9]* uid $(id -u) since [0-9]* true *\$' p"

# --- slots ---

check "the lowest slot comes first" test "$(semwait $P sh -c 'echo $SYNCBOX_SLOT; semwait '$P' printenv SYNCBOX_SLOT' | tr '\n' ,)" = 0,1,
check "several of them are listed" test "$(semwait $P semwait -c 2 $P printenv SYNCBOX_SLOT)" = '1 2'
check "a slot that comes back is given out again" test "$(semwait $P true; semwait $P printenv SYNCBOX_SLOT)" = 0
cat >unique <<'SH'
mkdir "slot$SYNCBOX_SLOT" || echo "$SYNCBOX_SLOT" >>clash
echo "$SYNCBOX_SLOT" >>slots
rmdir "slot$SYNCBOX_SLOT"
SH
users=''
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	timeout -s KILL 60 semwait -i 3 pool:./race sh unique &
	users="$users $!"
done
# shellcheck disable=SC2086 # a list
wait $users
check "20 first users at once: all are served, none has another's slot" sh -c 'test "$(wc -l <slots)" -eq 20 && test ! -e clash'
check "from a pool of 3" sh -c 'test "$(sort -u slots | tail -n 1)" -le 2 && test "$(semwait --value pool:./race)" = 3'
check "and no half-made file is left" test "$(echo race*)" = 'race race.wake'
check "a pool has mode 600" sh -c 'umask 0; semwait -i 1 pool:./m1 true; test "$(stat -c %a m1)" = 600'
check "-m is exact whatever the umask" sh -c 'umask 077; semwait -m 664 -i 1 pool:./m2 true; test "$(stat -c %a m2)" = 664'

# --- waiting ---

semwait -c 3 $P sh -c 'echo >held3; read x <go' &
holder=$!
wait_for exists held3
status_is 75 "75: none is free" semwait -n $P true
says "semwait: '$P': 0 of 3 permits free; held by pid $holder (sh, *) for *s*" "the holder is named on one line"
semwait -i 3 pool:./each sleep 600 & # ok: a holder
a=$!
wait_for value_is pool:./each 2
semwait pool:./each sleep 600 & # ok: a holder
b=$!
wait_for value_is pool:./each 1
semwait pool:./each sleep 600 & # ok: a holder
c=$!
wait_for value_is pool:./each 0
status_is 75 "three holders" semwait -n pool:./each true
says "semwait: 'pool:./each': 0 of 3 permits free; held by pid * for *s, and 2 more" "one is named, the others are counted"
kill $a $b $c
wait $a $b $c
cat >measure <<'PERL'
# Run it: does it end in time with 75, with every signal blocked, and without CPU time?
use POSIX;
use Time::HiRes 'time';
sigprocmask(SIG_BLOCK, POSIX::SigSet->new(grep { $_ != SIGCHLD && $_ != 32 && $_ != 33 } 1 .. 64));
my $t = time;
system @ARGV;
my ($status, $wall, $cpu) = ($? >> 8, time - $t, (times)[2] + (times)[3]);
exit ($status != 75 ? $status || 1 : $wall < 0.6 || $wall > 10 ? 1 : $cpu > 0.3 ? 2 : 0);
PERL
check "-w 0.6 ends in time, not before, with signals blocked and no CPU" timeout -s KILL 20 perl measure semwait -w 0.6 $P true
waiters=''
for n in 1 2 3; do
	timeout -s KILL 60 semwait -w 50 -c 2 $P sh -c "echo $n >>order" &
	waiters="$waiters $!"
	wait_for in_line $n
done
wait_for head_waits p
semwait -qn $P true
status_is 75 "who tries once does not overtake them" sh -c "exit $?"
release go
wait $holder
# shellcheck disable=SC2086
wait $waiters
check "three timed waiters are served in their order" test "$(tr -d '\n' <order)" = 123
semwait -c 3 $P sh -c 'echo >held4; read x <go' &
holder=$!
wait_for exists held4
semwait $P true &
first=$!
wait_for head_waits p
semwait $P sh -c 'echo >second' &
second=$!
wait_for in_line 2
kill -KILL $first
wait $first 2>/dev/null
wait_for head_waits p
check "a waiter that is killed leaves the line to the next" test "$(lockrun --who ofd:p | awk '/ 4.1 /{ print $2 }')" = $second
release go
wait $holder $second
check "which is served" test -e second
# One wants all of it while others come and go with less.
semwait $P sh -c 'echo >one; read x <go' &
holder=$!
wait_for exists one
semwait -w 50 -c 3 $P sh -c 'echo all >>weights' &
heavy=$!
wait_for head_waits p
semwait -w 50 $P sh -c 'echo light >>weights' &
light=$!
wait_for in_line 2
check "who comes behind one that wants many waits, though enough is free for it" test ! -e weights
release go
wait $holder $heavy $light
check "so weights do not starve" test "$(head -n 1 weights)" = all
mkfifo keys
rm -f held3
semwait -c 3 $P sh -c 'echo >held3; read x <go' &
holder=$!
wait_for exists held3
timeout -s KILL 60 script -qefc "exec semwait $P echo got-it" screen <keys >/dev/null 2>&1 &
terminal=$!
exec 7>keys
wait_for grep -q 'waiting for' screen
check "at a terminal, a wait of over a second says who has the permits" \
	grep -q "waiting for '$P': 0 of 3 permits free.*; held by pid $holder (sh" screen
release go
wait $holder $terminal
exec 7>&-
check "and the line goes when one is had" grep -q "$(printf '\r\033\\[Kgot-it')" screen
evil=$(printf 'e\033[2J\nv')
cp "$(command -v sleep)" "./$evil"
semwait -i 1 pool:./e "./$evil" 600 & # ok: a holder
holder=$!
wait_for value_is pool:./e 0
wait_for grep -q 'e.\[2J' /proc/$holder/comm
status_is 75 "a holder with an odd name" semwait -n pool:./e true
says '*; held by pid * (e\\e\[2J*, *' "is named without control characters"
kill $holder

semwait -i 1 pool:./inside sh -c 'echo >held-one; read x <go' &
holder=$!
wait_for exists held-one
ln inside outside # as a container sees it that has the file, but not the directory
semwait -w 50 pool:./outside true &
waiter=$!
wait_for head_waits outside
release go
wait $holder $waiter
status_is 0 "a permit that comes back wakes who has the file by another name" sh -c "exit $?"
semwait pool:./inside sh -c 'echo >held-two; read x <go' &
holder=$!
wait_for exists held-two
semwait -w 3 pool:./outside true 2>/dev/null &
waiter=$!
wait_for head_waits outside
sempost --resize=2 pool:./inside
wait $waiter
status_is 0 "and so does --resize" sh -c "exit $?"
release go
wait $holder
# Two permits are wanted, and the last of four is free. It has that one when there are three.
semwait -i 4 -c 3 pool:./less sleep 600 & # ok: a holder
holder=$!
wait_for value_is pool:./less 1
semwait -c 2 pool:./less sh -c 'echo >held-less; exec sleep 600' & # ok: a holder
waiter=$!
wait_for head_waits less
sempost --resize=3 pool:./less
kill $holder
wait_for exists held-less
check "who waits for more does not keep a permit that the pool has no more" value_is pool:./less 1
kill $waiter
wait $holder $waiter 2>/dev/null

# --- descriptors of shells ---

cat >shell <<'SH'
exec 9<>"$(semwait -i 2 --path "$1")"
semwait --fd 9 "$1" || exit
echo "one $(semwait --value "$1")"
semwait -n --fd 9 "$1"
echo "two $? $(semwait --value "$1")"
semwait -qn --fd 9 "$1"
echo "three $? $(semwait --value "$1")"
exec 9>&-
echo "closed $(semwait --value "$1")"
exec 9<>"$(semwait --path "$1")"
semwait --fd 9 "$1"
echo "again $(semwait --value "$1")"
echo >ready
read -r x <go
SH
for shell in sh dash bash zsh; do
	if ! command -v $shell >/dev/null; then
		skip "$shell: a permit belongs to the shell's descriptor" "no $shell here"
		continue
	fi
	rm -f ready
	$shell shell pool:./sh >said 2>&1 &
	job=$!
	wait_for exists ready
	check "$shell: one descriptor can have two permits, and gives them back when it is closed" \
		test "$(tr '\n' , <said)" = "one 1,two 0 0,three 75 0,closed 2,again 1,"
	kill -KILL $job
	wait $job 2>/dev/null
	wait_for value_is pool:./sh 2
	check "$shell: SIGKILL of the shell gives it back" value_is pool:./sh 2
done

# --- several pools ---

check "-a takes them all" test "$(semwait -i 3 -a pool:./b*2 -a pool:./a pool:./c sh -c 'for p in a b c; do semwait --value pool:./$p; done' | tr '\n' ,)" = 2,1,2,
check "SYNCBOX_SLOT is that of SEM" test "$(semwait pool:./c semwait -a pool:./a pool:./c printenv SYNCBOX_SLOT)" = 1
semwait -c 3 pool:./b sh -c 'echo >b-held; read x <go' &
holder=$!
wait_for exists b-held
status_is 75 "all or nothing" semwait -n -a pool:./b -a pool:./a pool:./c true
says "semwait: 'pool:./b': 0 of 3 *held by *" "the one that is short is named"
check "and nothing is kept" test "$(semwait --value pool:./a),$(semwait --value pool:./c)" = 3,3
release go
wait $holder
for pair in a:c c:a; do
	status_is 64 "64: more of one than it has" timeout 20 semwait -a "pool:./${pair%:*}*9" "pool:./${pair#*:}" true
	says "semwait: cannot take 9 permits of 'pool:./${pair%:*}': it has 3*" "it names that one, and what was asked of it"
done
status_is 64 "64: a pool named twice counts twice" timeout 20 semwait -c 2 -a pool:./a*2 pool:./a true
status_is 66 "66: one of them is missing" semwait -a pool:./missing pool:./a true
rounds() { i=0 && while [ $i -lt 60 ]; do timeout -s KILL 40 semwait -c 3 -a "$1*3" "$2" true || return 1; i=$((i + 1)); done; }
rounds pool:./a pool:./b &
other=$!
check "opposite orders do not deadlock" rounds pool:./b pool:./a
wait $other
status_is 0 "on either side" sh -c "exit $?"

# --- where pools are ---

mkdir dir
check "\$SYNC_DIR is where named pools are" test "$(SYNC_DIR=$scratch/dir semwait -i 2 --path pool:named)" = "$scratch/dir/named.pool"
check "which are made there" test -f dir/named.pool
status_is 73 "73: a \$SYNC_DIR that is missing" env SYNC_DIR=./none semwait -i 2 --path pool:named
cat >world <<'SH'
# A world of our own, in which nothing is where pools go by default.
mount -t tmpfs none /run && mount -t tmpfs -o mode=1777 none /var/tmp && exec "$@"
SH
ns='unshare' plain="setpriv --reuid=65534 --regid=65534 --clear-groups" uid=65534
plain_world="unshare -m sh world $plain"
if [ "$(id -u)" -ne 0 ]; then
	ns='unshare -Ur' plain='' uid=$(id -u)
	plain_world="unshare -Um --keep-caps --map-user=$uid --map-group=$(id -g) sh world"
fi
W=$(anybodys_bin)/semwait
theirs=/var/tmp/sync-$uid
# shellcheck disable=SC2086 # words are wanted, in all of this
if $ns -m sh world true 2>/dev/null && $plain_world true 2>/dev/null; then
	check "root's pools are in /run/sync, which is made" \
		test "$($ns -m sh world sh -c 'semwait -i 1 --path pool:x; stat -c %a /run/sync' | tr '\n' ,)" = /run/sync/x.pool,755,
	check "a plain user's in /var/tmp/sync-UID, for that user alone" \
		test "$($plain_world sh -c "umask 0; $W -i 1 --path pool:x; stat -c %a $theirs" | tr '\n' ,)" = $theirs/x.pool,700,
	status_is 77 "77: one that others can write to" $plain_world sh -c "mkdir -m 777 $theirs; chmod 770 $theirs; exec $W -i 1 --path pool:x"
	says "semwait: '$theirs' is not a directory that only you can write to*SYNC_DIR*" "it says what to do"
	status_is 77 "77: a symbolic link to a good one" $plain_world sh -c "mkdir -m 700 /var/tmp/good; ln -s good $theirs; exec $W -i 1 --path pool:x"
	status_is 77 "77: a file" $plain_world sh -c ": >$theirs; exec $W -i 1 --path pool:x"
	status_is 77 "77: root's, if others can write to it" $ns -m sh world sh -c 'mkdir /run/sync && chmod 775 /run/sync && semwait -i 1 --path pool:x'
	if [ -n "$plain" ]; then
		status_is 77 "77: one that somebody else has made" $ns -m sh world sh -c "mkdir -m 700 $theirs; exec $plain $W -i 1 --path pool:x"
	else
		skip "77: one that somebody else has made" "needs root, to be somebody else"
	fi
	cp "$BUILD/bin/syncbox" setuid && chmod 4755 setuid && mkdir -p bin && ln -f setuid bin/semwait
	if [ -n "$plain" ] && [ "$($plain sh -c 'exec ./bin/semwait --path pool:/proc/nothing' 2>&1 | wc -l)" -eq 1 ]; then
		check "a setuid semwait does not believe \$SYNC_DIR" \
			test "$(SYNC_DIR=$scratch/dir $ns -m sh world $plain bin/semwait -i 1 --path pool:x)" = /run/sync/x.pool
	else
		skip "a setuid semwait does not believe \$SYNC_DIR" "needs root to make one"
	fi
	check "an empty \$SYNC_DIR is none" test "$(SYNC_DIR='' $ns -m sh world semwait -i 1 --path pool:x)" = /run/sync/x.pool
else
	skip "the default directories" "no mount namespaces here"
fi
# shellcheck disable=SC2086
if $ns --pid --fork --mount-proc true 2>/dev/null; then
	semwait -i 2 pool:./shared true
	$ns --pid --fork --mount-proc semwait pool:./shared sh -c 'echo "$$ $SYNCBOX_SLOT" >container; read x <go' &
	first=$!
	wait_for test -s container
	check "a container that has the file shares the pool: pids are alike, slots differ" \
		test "$($ns --pid --fork --mount-proc semwait -n pool:./shared sh -c 'echo "$$ $SYNCBOX_SLOT"'),$(cat container)" = '1 1,1 0'
	status_is 75 "and none gets more than there are" \
		semwait pool:./shared $ns --pid --fork --mount-proc semwait -n pool:./shared true
	release go
	wait $first
	wait_for value_is pool:./shared 2
	check "its end gives the permit back" value_is pool:./shared 2
else
	skip "containers that share a pool" "no PID namespaces here"
fi
# A slot that cannot be watched: who slept all the same might sleep for ever.
semwait -i 1 pool:./untimed true
exec 9<>untimed
semwait --fd 9 pool:./untimed
status_is 71 "71: no timer for the thread that watches a shell's permit" \
	timeout -s KILL 20 prlimit --sigpending=0 semwait pool:./untimed true 9>&-
says "*ulimit -i*" "and says which limit"
exec 9>&-
done_testing
