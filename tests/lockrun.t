#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun: what a shell user can rely on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir dir private && mkfifo fifo go go2 && ln -s plain link && ln -s nowhere dangling
: >plain
printf '#!/bin/sh\n' >not-executable

# --- exit statuses: every one, failures included ---

status_is 0 "a command that succeeds" lockrun L true
status_is 7 "the command's own status" lockrun L sh -c 'exit 7'
status_is 143 "128 + N when the command dies of signal N" lockrun L sh -c 'kill -TERM $$'
status_is 126 "126: a command that is not executable" lockrun L ./not-executable
printf '#!/no/such/shell\n' >no-shell && chmod +x no-shell
status_is 127 "127: a script without its interpreter" lockrun L ./no-shell
says '*the interpreter in its first line*' "it says so"
printf 'exit 5\n' >no-line && chmod +x no-line
status_is 5 "a script without a first line is for sh" lockrun L ./no-line
status_is 5 "with -F too" lockrun -F L ./no-line
status_is 127 "127: a command that is not found" lockrun L ./no-such-command
says '*no such command*' "it says so"
status_is 126 "126 with -F too" lockrun -F L ./not-executable
status_is 127 "127 with -F too" lockrun -F L ./no-such-command
lockrun L sleep 600 & # ok: a holder
holder=$!
wait_for sleep_holds L
status_is 75 "75: busy with -n" lockrun -n L true
says "lockrun: 'L' is held by pid * (sleep, *) for *s" "the holder is named on one line"
status_is 75 "75: not free within -w" lockrun -w 0.1 L true
status_is 75 "-w 0 is -n" lockrun -w 0 L true
status_is 3 "-E changes 75" lockrun -n -E 3 L true
status_is 0 "-E 0 makes busy a success" lockrun -n -E 0 L false
status_is 75 "-q is silent" lockrun -q -n L true
says '' "not a word"
kill $holder
wait_for is_free L
status_is 64 "64: no operands" lockrun
says 'lockrun: expected a lock and a command, or a descriptor
Try *' "it says what was expected"
for bad in nan -1 1e3 0x10 '' '1 ' 5x . 99999999999999999999 -inf +1; do
	status_is 64 "64: -w '$bad'" lockrun -w "$bad" L true
done
for bad in -1 256 300 '' x 0x1; do
	status_is 64 "64: -E '$bad'" lockrun -E "$bad" L true
done
for bad in 0 8 888 1777 rw ''; do
	status_is 64 "64: -m '$bad'" lockrun -m "$bad" L true
done
status_is 64 "64: unknown option" lockrun --no-such-option L true
status_is 64 "64: --hold of something else" lockrun --hold=breath L true
status_is 64 "64: -c and a command" lockrun L -c true true
status_is 64 "64: one operand that is no descriptor" lockrun L
says "lockrun: 'L' is not a descriptor number: expected *" "it says what was expected"
status_is 64 "64: -F with --rm" lockrun -F --rm L true
status_is 64 "64: -F with -o" lockrun -F -o L true
status_is 64 "64: -o with --hold=tree" lockrun -o --hold=tree L true
status_is 64 "64: -u with a file" lockrun -u L true
status_is 64 "64: --json without --who" lockrun --json L true
status_is 64 "64: --who with a command" lockrun --who L true
status_is 64 "64: -l with a descriptor" lockrun -l A 9
status_is 64 "64: --rm of a directory" lockrun --rm dir true
status_is 64 "64: --rm of a range, as others may hold the rest" lockrun --rm ofd:L@0+10 true
status_is 64 "64: -F with --hold=tree" lockrun -F --hold=tree L true
status_is 64 "64: an ofd and an fcntl lock on the same bytes" timeout 20 lockrun -l fcntl:L ofd:L true
says "*exclude each other*" "says that they exclude each other"
status_is 64 "64: --rm of a file with something in it" sh -c 'echo data >full; lockrun --rm full true'
check "which is left alone" test "$(cat full)" = data
status_is 64 "64: a descriptor with a leading zero" sh -c 'lockrun 09 9>>plain'
status_is 65 "65: a descriptor of a device" sh -c 'lockrun 9 9</dev/null'
status_is 65 "65: a descriptor of a pipe" sh -c ': | lockrun 0'
status_is 64 "64: --rm with --follow" lockrun --rm --follow link true
status_is 64 "64: an empty name" lockrun '' true
status_is 64 "64: a name of 300 characters" lockrun "$(printf %0300d 0)" true
status_is 64 "64: a range that overflows" lockrun ofd:L@9223372036854775807+2 true
status_is 64 "64: a range start that overflows" lockrun ofd:L@9223372036854775808 true
status_is 0 "the largest range" lockrun ofd:L@9223372036854775806+2 true
status_is 64 "64: fcntl: cannot serve a descriptor" sh -c 'lockrun fcntl:9 9<>plain'
status_is 65 "65: a FIFO, without hanging" lockrun -w 5 fifo true
status_is 65 "65: a character device" lockrun /dev/null true
status_is 65 "65: a symbolic link" lockrun link true
says '*--follow*' "it names --follow"
status_is 0 "--follow accepts it" lockrun --follow link true
status_is 65 "65: a dangling link, also with --follow" lockrun --follow dangling true
check "and its target was not made" test ! -e nowhere
status_is 65 "65: a directory under ofd, exclusive" lockrun ofd:dir true
says "*use flock: or -s" "it says what to use instead"
status_is 0 "a directory under flock" lockrun dir true
status_is 0 "a directory under ofd, shared" lockrun -s ofd:dir true
status_is 66 "66: a descriptor that is not open" lockrun 9
status_is 66 "66: --who of a missing file" lockrun --who missing
status_is 71 "71: too few descriptors allowed" prlimit --nofile=10 lockrun L true
says '*ulimit -n*' "it names the limit"
status_is 73 "73: a missing parent directory" lockrun no/such/L true
says "lockrun: cannot create 'no/such/L': its directory does not exist*" "it says so"
status_is 74 "74: standard output cannot be written" sh -c 'lockrun --help >/dev/full'
status_is 65 "65: a read-only descriptor under ofd, exclusive" sh -c 'lockrun ofd:9 9<plain'
says '*9<>FILE*' "it says how to open it"
status_is 0 "a read-only descriptor under flock" sh -c 'lockrun 9 9<plain'
if [ "$(id -u)" -ne 0 ]; then
	: >unreadable && chmod 000 unreadable
	status_is 77 "77: an unreadable file" lockrun unreadable true
	chmod 555 private
	status_is 77 "77: a directory that may not be written" lockrun private/L true
else
	: >unreadable && chmod 000 unreadable
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups"
	chmod 755 . && chmod 711 "$scratch"
	# shellcheck disable=SC2086 # words are wanted
	status_is 77 "77: an unreadable file" $drop "$BUILD/bin/lockrun" unreadable true
	# shellcheck disable=SC2086
	status_is 77 "77: a directory that may not be written" $drop "$BUILD/bin/lockrun" private/L true
fi

if mknod loop b 7 0 2>/dev/null && head -c 0 loop 2>/dev/null; then
	lockrun loop sh -c 'echo >disk; read x <go' &
	holder=$!
	wait_for exists disk
	status_is 75 "a block device can be locked" lockrun -n loop true
	release go
	wait $holder
else
	skip "a block device can be locked" "needs one, and root to make a name for it"
fi

# --- the command line ---

status_is 0 "options of the command are left alone" lockrun L ls -d .
check "-- before the command" test "$(lockrun L -- echo -n x)" = x
check "-- before the lock" test "$(lockrun -- L echo y)" = y
check "-- before both" test "$(lockrun -- L -- echo y)" = y
check "options after the lock" test "$(lockrun L -w 1 echo z)" = z
check "abbreviated options" test "$(lockrun --nonb L echo z)" = z
check "-c runs a shell line" test "$(SHELL='' lockrun L -c 'echo a; echo b' | tr '\n' ,)" = a,b,
check "-c uses \$SHELL" test "$(SHELL=/bin/echo lockrun L -c hello)" = '-c hello'
status_is 64 "-c takes one argument" lockrun L -c echo x
check "POSIXLY_CORRECT changes nothing" test "$(POSIXLY_CORRECT=1 lockrun L -n echo -n x)" = x
check "standard input is COMMAND's alone" test "$(echo text | lockrun L cat)" = text
check "the file's content is not touched" sh -c 'echo data >D && lockrun D true && test "$(cat D)" = data'
check "a path with a colon stays a path" sh -c 'lockrun a:b true && test -f a:b'
check "a path with an @ stays a path" sh -c 'lockrun x@1 true && test -f x@1'
check "a new file has mode 600" sh -c 'umask 0; lockrun M1 true; test "$(stat -c %a M1)" = 600'
check "-m is exact whatever the umask" sh -c 'umask 077; lockrun -m 664 M2 true; test "$(stat -c %a M2)" = 664'
check "COMMAND has the umask we were given" test "$(umask 027 && lockrun -m 644 M3 sh -c umask)" = 0027
status_is 0 "a read-only file can be locked" sh -c ': >ro && chmod 444 ro && lockrun ro true'

# --- holding ---

status_is 0 "a background process that COMMAND leaves does not keep the lock" \
	sh -c 'lockrun L sh -c "sleep 600 >/dev/null 2>&1 & echo \$! >bg" && lockrun -n L true'
kill "$(cat bg)"
lockrun --hold=tree L sh -c '(read x <go) & exit 9' 2>tree.err &
tree=$!
wait_for grep -q 'lock is kept for pid .* (sh)' tree.err
status_is 75 "--hold=tree keeps it as long as a descendant lives" lockrun -n L true
release go
wait $tree
status_is 9 "and then gives COMMAND's status" sh -c "exit $?"
check "and the lock is free" lockrun -n L true
cat >daemon <<'PERL'
use POSIX;
POSIX::close($_) for 3 .. 99;
open my $f, '>', 'daemon.pid';
print $f $$;
close $f;
open $f, '<', 'go';
PERL
check "a daemon that closes its descriptors is not waited for" \
	lockrun --hold=tree L sh -c 'perl daemon & until [ -s daemon.pid ]; do :; done'
check "though it lives" kill -0 "$(cat daemon.pid)"
release go

check "COMMAND inherits the descriptor, at 10 or above" \
	sh -c 'lockrun L sh -c "ls -l /proc/self/fd" | grep "[1-9][0-9] -> .*/L$"'
cat >scribble <<'PERL'
use POSIX ();
for my $fd (10 .. 20) {
	next if (readlink("/proc/self/fd/$fd") // '') !~ m{/L$};
	exit 1 if defined POSIX::write($fd, 'x', 1);
	exit($! == POSIX::EBADF ? 0 : 2);
}
exit 3;
PERL
status_is 0 "by which it cannot write to the file: EBADF" lockrun L perl scribble
check "-o: it does not" sh -c '! lockrun -o L sh -c "ls -l /proc/self/fd" | grep "/L$"'
check "-o: the lock is held all the same" sh -c 'lockrun -o L lockrun -n -E 75 L true 2>&1 | grep "is held by a command"'
check "-F: no extra process" sh -c 'test "$(lockrun -F L sh -c "echo \$PPID")" = $$'
check "-F: the lock is held" sh -c 'lockrun -F L env -u SYNCBOX_HELD lockrun -nq L true; test $? -eq 75'
lockrun L sh -c 'echo >ready; read x <go' &
wrapper=$!
wait_for exists ready
kill -KILL $wrapper
wait $wrapper 2>/dev/null
status_is 75 "SIGKILL of lockrun: the command still holds the lock" lockrun -n L true
release go
check "and frees it when it ends" lockrun -w 20 L true
rm ready
lockrun L sh -c 'echo $$ >ready; exec sleep 600' & # ok: a victim
wrapper=$!
wait_for test -s ready
kill -KILL "$(cat ready)"
wait $wrapper
status_is 137 "SIGKILL of the command ends lockrun with 137" sh -c "exit $?"
check "and the lock is free" lockrun -n L true

# --- modes and conversion ---

lockrun -s S sleep 600 & # ok: a holder
shared=$!
wait_for holds S
status_is 0 "shared with shared" lockrun -n -s S true
status_is 75 "exclusive waits for shared" lockrun -n S true
kill $shared
wait_for is_free S
status_is 0 "the descriptor form locks for the shell" sh -c '(lockrun 9; env -u SYNCBOX_HELD lockrun -n S true; test $? -eq 75) 9>S'
status_is 0 "-u unlocks it" sh -c '(lockrun 9; lockrun -u 9; lockrun -n S true) 9>S'
status_is 0 "exclusive to shared lets others in" sh -c '(lockrun 9; lockrun -s 9; lockrun -n -s S true) 9>S'
status_is 0 "shared to exclusive" sh -c '(lockrun -s 9; lockrun -x 9; ! lockrun -nq -s S true) 9>S'
# Two shared holders; the second tries to become exclusive, cannot, and then?
status_is 0 "ofd: an upgrade that fails keeps the shared lock" \
	sh -c '(lockrun -s ofd:8; lockrun -s ofd:9; lockrun -nq ofd:9; lockrun -u ofd:8; ! lockrun -nq ofd:S true) 8<>S 9<>S'
status_is 0 "flock: an upgrade that fails loses it (as the manual says)" \
	sh -c '(lockrun -s 8; lockrun -s 9; lockrun -nq 9; lockrun -u 8; lockrun -nq S true) 8<>S 9<>S'
status_is 69 "69: the file of the descriptor was removed" sh -c '(rm R; lockrun 9) 9>R'

# --- ranges and kinds ---

lockrun ofd:R@0+10 sleep 600 & # ok: a holder
range=$!
wait_for holds R
status_is 0 "ofd: ranges that do not overlap" lockrun -n ofd:R@10+10 true
status_is 75 "ofd: ranges that overlap" lockrun -n ofd:R@9+1 true
status_is 75 "fcntl and ofd exclude each other" lockrun -n fcntl:R true
status_is 0 "flock is apart from both" lockrun -n R true
kill $range
wait_for is_free R
check "fcntl: COMMAND is the holder, in place" \
	sh -c 'test "$(lockrun fcntl:R sh -c "echo \$PPID")" = $$'
for option in -o --rm --hold=tree; do
	status_is 64 "fcntl: refuses $option" lockrun $option fcntl:R true
	says "*must be COMMAND's own*" "with the reason"
done
lockrun fcntl:R@5+5 sleep 600 & # ok: a holder
range=$!
wait_for holds R
status_is 75 "fcntl: the lock survives exec" lockrun -n fcntl:R@9+1 true
status_is 75 "fcntl: a lockrun that became another tells others' locks from its own" lockrun fcntl:L lockrun -n fcntl:R true
kill $range

# --- several locks ---

status_is 0 "-l takes them all" sh -c 'lockrun -l A -l B C env -u SYNCBOX_HELD sh -c "! lockrun -nq A true && ! lockrun -nq B true && ! lockrun -nq C true"'
status_is 0 "--lock-shared takes one shared" sh -c 'lockrun --lock-shared A B env -u SYNCBOX_HELD sh -c "lockrun -n -s A true && ! lockrun -nq A true"'
status_is 0 "a lock named twice is one lock" lockrun -n -l L -l ./L L true
status_is 0 "named shared and exclusive, it is exclusive" \
	sh -c 'lockrun --lock-shared A A env -u SYNCBOX_HELD sh -c "! lockrun -nq -s A true"'
# Only the one that is wanted exclusive is in the way, wherever it stands among them.
lockrun -s --lock-shared A --lock-shared B C sleep 600 & # ok: a holder
shared=$!
all_held() { holds A && holds B && holds C; }
wait_for all_held
for lock in A B C; do
	status_is 75 "$lock exclusive, the others shared" lockrun -n --lock-shared A --lock-shared B --lock-shared C $lock true
	says "lockrun: '$lock' is held by pid * (sleep, *" "says who holds that"
done
kill $shared
all_free() { is_free A && is_free B && is_free C; }
wait_for all_free
status_is 0 "ranges that overlap are one lock" lockrun -w 5 -l ofd:R@5+10 ofd:R@0+10 true
# As one lock it is exclusive, so a reader of the part that is wanted shared is in the way of the other part.
lockrun -s ofd:R@0+10 sleep 600 & # ok: a holder
range=$!
wait_for holds ofd:R@0+10
status_is 75 "of which one is exclusive" lockrun -n --lock-shared ofd:R@0+10 ofd:R@5+10 true
says "lockrun: 'ofd:R@5+10' is held by pid *" "says who holds that part"
kill $range
lockrun B sleep 600 & # ok: a holder
blocker=$!
wait_for holds B
status_is 75 "all or nothing" lockrun -n -l B A true
says "lockrun: 'B' is held by *" "the busy one is named"
kill $blocker
wait_for is_free B
rounds() { i=0 && while [ $i -lt 100 ]; do lockrun -w 20 -l "$2" "$1" true || return 1; i=$((i + 1)); done; }
rounds A B &
other=$!
check "opposite orders do not deadlock" rounds B A
wait $other
status_is 0 "on either side" sh -c "exit $?"

# --- removal ---

check "--rm removes the file" sh -c 'lockrun --rm X true && test ! -e X'
says '' "without a word"
check "--rm removes it when the command fails" sh -c 'lockrun --rm X false; test ! -e X'
lockrun X sh -c 'echo >started; read x <go' 2>/dev/null &
holder=$!
wait_for exists started
# A FIFO of its own: whoever wakes the first may still have that one open when this one reads.
lockrun --rm X sh -c 'echo >second; read x <go2' &
second=$!
wait_for waits X
rm X
lockrun -w 20 --rm X true # the new file is free
check "a file removed under a holder is warned of" sh -c 'lockrun Y rm Y 2>&1 | grep "was removed or replaced while it was held"'
release go
wait $holder
wait_for exists second
check "a waiter on a removed file starts again on the new one" holds X
release go2
wait $second
check "and removes it in the end" test ! -e X
check "--rm leaves a file alone that is not the one locked" sh -c 'lockrun --rm Y sh -c "rm Y && echo new >Y"; test "$(cat Y)" = new'
lockrun -s --rm Z sh -c 'echo >in; read x <go' &
holder=$!
wait_for exists in
check "--rm with a shared lock leaves it to the last holder" sh -c 'lockrun -s --rm Z true && test -e Z'
says '' "without a word, too"
release go
wait $holder
check "who removes it" test ! -e Z

# --- waiting ---

lockrun W sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
for n in 1 2 3; do
	# Different timeouts: each must still keep its place in the queue.
	lockrun -w $((60 - n)) W sh -c "echo $n >>order" &
	wait_for waiters_are W $n
done
release go
wait
check "waiters are served in order, timed ones too" test "$(tr '\n' ' ' <order)" = '1 2 3 '
check "a timed wait uses no CPU to speak of" sh -c 'lockrun W sleep 600 & p=$!; until lockrun --who W | grep -q holds; do :; done # ok: a holder
	lockrun -w 1 W true 2>/dev/null; kill $p
	set -- $(cat /proc/$$/stat); shift 15; test $(($1 + $2)) -lt 100'
lockrun -v -w 5 L true 2>verbose.txt
check "-v tells what happens" sh -c 'grep -q "locked .L. after" verbose.txt && grep -q "running .true." verbose.txt && grep -q unlocked verbose.txt'
chmod 600 plain
status_is 0 "-v of a file that is ours alone" lockrun -v plain true
check "says nothing of others" sh -c '! echo "$1" | grep "open to others"' sh "$err"
chmod 604 plain
status_is 0 "-v of a file that others can read" lockrun -v plain true
says "*'plain' is open to others, who could keep it locked: it belongs to uid $(id -u), and has mode 604*" "says that they can lock it"
status_is 0 "but not if that is meant" lockrun -v -m 604 plain true
check "as -m says" sh -c '! echo "$1" | grep "open to others"' sh "$err"
if [ "$(id -u)" -eq 0 ]; then
	: >theirs && chmod 600 theirs && chown 65534 theirs
	status_is 0 "-v of a file that another user made before us" lockrun -v theirs true
	says "*'theirs' is open to others*it belongs to uid 65534*" "says whose it is"
else
	skip "-v of a file that another user made before us" "needs root to be another"
fi

# --- re-entry ---

status_is 71 "re-entry is refused at once" lockrun L lockrun L true
says "*'L' is held by a command that started this one*--reentrant*" "and the remedy is named"
status_is 71 "through -o too" lockrun -o L lockrun L true
status_is 71 "through -F too" lockrun -F L lockrun L true
status_is 71 "for fcntl too" lockrun fcntl:L sh -c 'lockrun fcntl:L true; exit $?'
status_is 71 "for fcntl also in the same process, whose lock a second open would drop" \
	lockrun fcntl:L lockrun fcntl:L true
status_is 71 "by another descriptor" lockrun L sh -c 'lockrun 9 9<L'
status_is 0 "by the same descriptor it is a conversion" sh -c '(lockrun 9; SYNCBOX_HELD=$$:9 lockrun -s 9) 9<L'
status_is 5 "--reentrant passes" lockrun L lockrun --reentrant L sh -c 'exit 5'
status_is 5 "for fcntl too, in the same process" lockrun fcntl:L lockrun --reentrant fcntl:L sh -c 'exit 5'
for mode in -x -s; do
	status_is 0 "under which the lock stays, $mode" \
		lockrun $mode fcntl:L lockrun $mode --reentrant fcntl:L sh -c 'lockrun --who L | grep -q "^holds.* fcntl "'
done
status_is 0 "shared under shared passes" lockrun -s L lockrun -n -s L true
status_is 71 "exclusive under shared cannot, even so" lockrun -s L lockrun --reentrant L true
says "*'L' is held shared by a command that started this one, though not as it is wanted*" "and why"
status_is 0 "another lock passes" lockrun L lockrun -n L2 true
status_is 0 "another range passes" lockrun ofd:L@0+1 lockrun -n ofd:L@1+1 true
status_is 0 "a false claim is not believed" env SYNCBOX_HELD='1:0 1:1 77:10 x:y' lockrun -n L true
lockrun L sh -c '(read x <go; lockrun -n L true; echo $? >late) & true'
release go
wait_for test -s late
check "a job that outlives the lock may take it anew" test "$(cat late)" = 0

status_is 71 "a part held above is not the whole" lockrun ofd:L@0+5 lockrun --reentrant ofd:L@0+10 true
says "*'ofd:L@0+10' is held by a command that started this one, though not as it is wanted*" "nor is it shared"
status_is 71 "an fcntl lock of this very process is not dropped by opening the file again" \
	lockrun fcntl:L lockrun flock:L true
status_is 71 "nor one of another range" lockrun fcntl:L@0+1 lockrun fcntl:L@5+1 true
status_is 71 "our own inherited descriptor is noticed without a claim" \
	timeout 20 sh -c '(lockrun 9; lockrun -w 10 L true) 9>L'
says "*started with*" "and said to be the reason"
status_is 0 "-u is no wait, so never refused" lockrun L sh -c 'exec 9<L; lockrun -u 9'
status_is 0 "nor with --reentrant" lockrun L sh -c 'exec 9<L; lockrun --reentrant -u 9'
deep='lockrun -n L true'
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do deep="lockrun deep$n $deep"; done
# shellcheck disable=SC2086 # words are wanted
status_is 71 "re-entry is noticed 26 levels up" lockrun L $deep
rm -f deep*
# Of a process that cannot be: what a script carries on that keeps the variable for long.
dead=$(printf '99999999:77 %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
dead="$dead$dead$dead"
status_is 0 "claims of locks that are long free do not add up" env SYNCBOX_HELD="$dead" lockrun -n L true
for own in $(lockrun -l A B sh -c 'echo "$SYNCBOX_HELD"' | sed 's/[0-9]*://g'); do
	status_is 0 "not even if they are of descriptor $own, which is our own lock now" \
		env SYNCBOX_HELD="$(echo "$dead" | sed "s/:77/:$own/g")" lockrun -n -l A B true
done
status_is 71 "and push out none of a process above us" \
	lockrun -o L sh -c "SYNCBOX_HELD='$dead'\$SYNCBOX_HELD lockrun L2 lockrun L true"
says "*'L' is held by a command*" "which is noticed"
status_is 71 "nor of a descriptor that we have" \
	sh -c "(lockrun 9; SYNCBOX_HELD='$dead 99999999:9' lockrun L2 lockrun L true) 9>L"
says "*'L' is held by a command*" "which is noticed too"

cp "$BUILD/bin/syncbox" setuid && chmod 4755 setuid && mkdir setuid.d && ln setuid setuid.d/lockrun
# shellcheck disable=SC2086 # words are wanted
if [ "$(id -u)" -eq 0 ] && $drop setuid.d/lockrun by-root true 2>/dev/null && [ "$(stat -c %u by-root)" -eq 0 ]; then
	# shellcheck disable=SC2086
	status_is 75 "a set-user-ID lockrun does not believe SYNCBOX_HELD" lockrun -o L $drop setuid.d/lockrun -n L true
	# shellcheck disable=SC2086
	status_is 3 "nor \$SHELL" env SHELL=/bin/echo $drop setuid.d/lockrun L -c 'exit 3'
else
	skip "a set-user-ID lockrun believes no environment" "needs root to make one"
fi

# --- two names of one file ---

: >one && ln one two
lockrun two sh -c 'echo >two-held; read x <go' 2>/dev/null &
holder=$!
wait_for exists two-held
lockrun -l two one sh -c 'echo >both-held; read x <go2' 2>/dev/null &
both=$!
wait_for waits one
rm two
release go
wait $holder 2>/dev/null
wait_for exists both-held
status_is 75 "a name folded into another is looked up again too" env -u SYNCBOX_HELD lockrun -n two true
release go2
wait $both

# --- signals ---

cat >witness <<'PERL'
my $sig = shift;
$SIG{$sig} = sub { open my $f, '>>', 'seen'; print $f "$sig\n" };
open my $f, '>', 'ready';
select undef, undef, undef, 0.01 until -e 'enough';
PERL
for sig in HUP INT QUIT USR1 USR2 TERM CONT WINCH ALRM; do
	rm -f ready seen enough
	lockrun L perl witness $sig &
	wrapper=$!
	wait_for exists ready
	kill -$sig $wrapper
	wait_for test -s seen
	: >enough
	wait $wrapper
	status_is 0 "SIG$sig to lockrun: lockrun goes on" sh -c "exit $?"
	check "and the command gets it once" test "$(cat seen)" = $sig
done
status_is 142 "a signal of the kernel's to lockrun alone is forwarded" \
	timeout 20 perl -e 'alarm 1; exec @ARGV' lockrun L sleep 600 # ok: a job
lockrun L sleep 600 & # ok: a job
wrapper=$!
wait_for sh -c 'test "$(lockrun --who L | grep -c "^holds")" -eq 2'
kill -ABRT $wrapper
wait $wrapper
status_is 134 "SIGABRT is forwarded like any other" sh -c "exit $?"
check "and nothing keeps the lock" lockrun -n L true
(lockrun --hold=tree L sh -c '(read x <go) & true'; echo $? >code) 2>&1 | : &
wait_for exists go
release go
wait_for test -s code
check "--hold=tree survives a message that nobody reads" test "$(cat code)" = 0
rm -f code
check "ignored SIGCHLD: the status is right" sh -c '(trap "" CHLD; exec lockrun L sh -c "exit 7"); test $? -eq 7'
check "and COMMAND gets it ignored as we did" sh -c 'a=$(trap "" CHLD; grep SigIgn /proc/self/status); b=$(trap "" CHLD; lockrun L grep SigIgn /proc/self/status); test "$a" = "$b"'
check "COMMAND gets the signal mask as we did" sh -c 'test "$(grep SigBlk /proc/self/status)" = "$(lockrun L grep SigBlk /proc/self/status)"'

# argp does without the names of options where no argument can be one.
check "-? knows the long names" sh -c "lockrun '-?' | grep -q -- --timeout"
check "also behind other letters" sh -c "lockrun '-nq?' | grep -q -- --timeout"
done_testing
