#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait: what a shell user can rely on. Pools, limits and make have files of their own.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

S=t$$
cat >key <<'PERL'
# The key of a name: FNV-1a, stirred. It must never change, or two releases would not meet.
use integer;
my $h = 0xcbf29ce484222325;
$h = ($h ^ ord) * 0x100000001b3 for split //, shift;
sub stir { my $x = shift; $x ^ (($x >> 33) & 0x7fffffff) }
printf "0x%08x\n", stir(stir($h) * 0xff51afd7ed558ccd) & 0xffffffff;
PERL
key() { perl "$scratch/key" "$1"; }
remove() { ipcrm -S "$(key "$1")"; }
long=$(printf "$S%0200d" 0 | cut -c 1-200)
made="$S $S.path $S.2-a_B $S.init $S.race $S.order $S.gone $S.foreign $S.foreign2 $S.foreign3 $S.full $S.mode $S.bg $long"
trap 'for s in $made; do remove "$s"; done 2>/dev/null; cleanup' EXIT
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
# A try that cannot succeed says how many wait.
in_line() { semwait -n -c 32767 "$1" true 2>&1 | grep -q ", $2 waiting"; }

# --- exit statuses: every one, failures included ---

status_is 66 "66: no such semaphore" semwait -n $S
says "semwait: no semaphore '$S': -i N makes it*" "and the hint how to make it"
status_is 66 "66: with --value" semwait --value $S
status_is 66 "66: no such pool" semwait -n pool:./missing true
status_is 66 "66: no such key" semwait -n sysv:0x7fff0001 true
status_is 66 "66: no such number" semwait -n sysv:id=2147483647 true
says "*no semaphore 'sysv:id=2147483647'*" "which it names"
status_is 66 "66: nor can -i make a number" semwait -i 1 sysv:id=2147483647 true
status_is 0 "0: a permit taken" semwait -n -i 3 $S
check "and gone" value_is $S 2
status_is 0 "0: a command that succeeds" semwait $S true
status_is 7 "the command's own status" semwait $S sh -c 'exit 7'
status_is 143 "128 + N when the command dies of signal N" sh -c "semwait $S sh -c 'kill -TERM \$\$'"
printf '#!/bin/sh\n' >not-executable
status_is 126 "126: a command that is not executable" semwait $S ./not-executable
status_is 127 "127: a command that is not found" semwait $S ./no-such-command
check "and the permits are back" value_is $S 2
status_is 75 "75: none free with -n" semwait -n -c 3 $S true
says "semwait: '$S': 2 *permits free*, last used by pid *" "says what there is, and who used it last"
status_is 75 "75: none free within -w" semwait -w 0.1 -c 3 $S true
status_is 75 "75: -w 0 is -n" timeout 20 semwait -w 0 -c 3 $S true
status_is 75 "75: -z with permits left" semwait -n -z $S
status_is 3 "-E changes 75" semwait -n -E 3 -c 3 $S true
status_is 0 "-E 0 makes it a success" semwait -n -E 0 -c 3 $S false
status_is 75 "-q is silent" semwait -qn -c 3 $S true
says '' "not a word"
status_is 64 "64: no operand" semwait
for bad in nan -1 1e3 0x10 '' '1 ' . -inf; do
	status_is 64 "64: -w '$bad'" semwait -w "$bad" $S true
done
for bad in 0 -1 x '' 2147483648 1.5; do
	status_is 64 "64: -c '$bad'" semwait -c "$bad" $S true
done
for bad in -1 x '' 2147483648; do
	status_is 64 "64: -i '$bad'" semwait -i "$bad" $S true
done
for bad in 0 8 1777 rw ''; do
	status_is 64 "64: -m '$bad'" semwait -m "$bad" $S true
done
for bad in -1 256 ''; do
	status_is 64 "64: -E '$bad'" semwait -E "$bad" $S true
done
status_is 64 "64: -i that it could never hold" semwait -i 32768 $S.init
status_is 64 "64: -c that it could never hold" timeout 20 semwait -c 32768 $S true
says "*can never have 32768 permits: 32767 at most" "says so, and names no option that is for pools"
status_is 64 "64: --value with a command" semwait --value $S true
status_is 64 "64: --path with a command" semwait --path pool:./p true
status_is 64 "64: -z with -c" semwait -z -c 2 $S
status_is 64 "64: -z with --value" semwait -z --value $S
status_is 64 "64: --path of what has no file" semwait --path $S
status_is 64 "64: also with -i" semwait --path -i 3 $S.path
status_is 66 "which makes none then" semwait --value $S.path
status_is 64 "64: -a of what is no pool" semwait -a $S $S true
status_is 64 "64: --fd of what is no pool" semwait --fd 9 $S
status_is 64 "64: --fd with a command" semwait --fd 9 pool:./p true
status_is 64 "64: unknown option" semwait --no-such-option $S
echo junk >junk
status_is 65 "65: a damaged pool file" semwait -n pool:./junk true
status_is 65 "65: though -i be given" semwait -n -i 1 pool:./junk true
check "which is left as it is" test "$(cat junk)" = junk
mkdir dir && mkfifo fifo && ln -s junk link
for f in dir fifo link; do
	status_is 65 "65: a pool that is a $f" timeout 20 semwait -n pool:./$f true
done
status_is 73 "73: a pool's missing directory" semwait -i 1 pool:./no/such/dir true
says "semwait: cannot create 'pool:./no/such/dir': its directory does not exist*" "says so"
status_is 74 "74: --help cannot be written" sh -c 'semwait --help >/dev/full'
status_is 74 "74: --value cannot be written" sh -c "semwait --value $S >/dev/full"
status_is 74 "74: nor to a closed stdout" sh -c "semwait --value $S >&-"
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 . && chmod 711 "$scratch"
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups $BUILD/bin"
	# shellcheck disable=SC2086 # words are wanted
	status_is 77 "77: root's semaphore, as a plain user" $drop/semwait -n $S
	# shellcheck disable=SC2086
	status_is 77 "77: -i does not change that" $drop/semwait -i 1 -n $S
	semwait -i 1 pool:./roots true
	# shellcheck disable=SC2086
	status_is 77 "77: root's pool" $drop/semwait -n pool:./roots true
else
	skip "root's semaphore and pool, as a plain user" "needs root to have some"
fi
check "none of that took a permit" value_is $S 2

one_line() { [ "$(LANG=C semwait "$@" 2>&1 >/dev/null | wc -l)" -eq 1 ]; }
check "an error is one line: no such semaphore" one_line $S.none
check "one line: busy" one_line -n -c 3 $S
check "one line: a name that is none" one_line "$(printf 'a\nb')"
check "one line: a damaged pool" one_line pool:./junk true
check "one line: a missing directory" one_line -i 1 pool:./no/dir true
check "one line: too many permits" one_line -c 40000 $S
check "one line: no such command" one_line $S ./none
check "one line: a pool without a command" one_line -i 1 pool:./x

# --- the command line ---

status_is 0 "options of the command are left alone" semwait $S ls -d .
check "-- before the command" test "$(semwait $S -- echo -n x)" = x
check "-- before the semaphore" test "$(semwait -- $S echo y)" = y
check "options after the semaphore" test "$(semwait $S -w 1 echo z)" = z
check "standard input is COMMAND's alone" test "$(echo text | semwait $S cat)" = text
check "-v says what happens, on stderr" sh -c "semwait -v $S echo out 2>said | grep -qx out && grep -q 'took 1 of' said"
check "-v is written before the command runs" sh -c "test \"\$(semwait -v $S sh -c 'echo last >&2' 2>&1 | tail -n 1)\" = last"

# --- names ---

for name in '' . .. .x -x / a/b 'a b' 'a*b' 'sysv:' sysv:a/b sysv:0x sysv:0x0 sysv:0x123456789 sysv:0xg sysv:id= sysv:id=-1 \
	sysv:id=x posix: posix:/ posix:a/b pool: pool:.x; do
	status_is 64 "64: the name '$name'" timeout 20 semwait -n -i 1 -- "$name" true
done
status_is 64 "64: a name of 201 characters" semwait -n -i 1 "${long}x"
status_is 64 "64: a name of 300 characters" semwait -n -i 1 "$(printf %0300d 0)"
says "*too long" "which it says is too long"
status_is 0 "a name of 200 characters" semwait -n -i 1 "$long"
status_is 0 "dots, dashes and underscores within" semwait -n -i 1 $S.2-a_B
check "sysv:NAME is the bare NAME" test "$(semwait --value sysv:$S)" = 2
check "its key is that of every release" test "$(semwait --value "sysv:$(key $S)")" = 2
id=$(awk -v key=$(($(key $S))) '($1 + 4294967296) % 4294967296 == key { print $2 }' /proc/sysvipc/sem)
check "sysv:id=N is the same one" test "$(semwait --value "sysv:id=$id")" = 2
status_is 64 "64: a name with escape sequences" semwait -n "$(printf 'a\033[2J\n\001b')"
check "which go to no terminal raw" test "$(printf %s "$err" | LC_ALL=C tr -d ' -~' | wc -c)" -eq 0

# Sets of other programs under the key of a name of ours.
foreign() { # NAME MEMBERS, and a semop on the first
	perl -e 'my $id = semget(unpack("l", pack "L", hex shift), shift, 0600 | 01000 | 02000) or die; semop($id, pack("s!3", 0, shift, 0)) or die' "$(key "$1")" "$2" "$3"
}
value_of_key() { semwait --value "sysv:$(key "$1")"; }
foreign $S.foreign 1 5
status_is 65 "65: a key that belongs to another program" semwait -n -i 3 $S.foreign
says "*belongs to another semaphore*" "is not taken for ours"
foreign $S.foreign2 3 5
status_is 65 "65: the same with as many members as ours" semwait -n -i 3 $S.foreign2
foreign $S.foreign3 5 5
status_is 65 "65: and with more" semwait -n -i 3 $S.foreign3
check "and nothing of theirs was touched" \
	test "$(value_of_key $S.foreign),$(value_of_key $S.foreign2),$(value_of_key $S.foreign3)" = 5,5,5
status_is 0 "by its key it can be used" semwait -n -c 2 "sysv:$(key $S.foreign)"
check "as it is" test "$(value_of_key $S.foreign)" = 3

# --- making one ---

# Two scripts that know nothing but a name.
printf 'semwait -i 0 "$1" && echo "got it"\n' >waits
printf 'sempost -i 0 "$1"\n' >signals
sh waits $S.init >got &
waiter=$!
wait_for in_line $S.init 1
status_is 0 "a script makes it with -i 0 and waits; another one posts" sh signals $S.init
wait $waiter
check "and the first goes on" test "$(cat got)" = "got it"
remove $S.init
sh signals $S.init
check "the other way round: the post is not lost" test "$(timeout 20 sh waits $S.init)" = "got it"
check "and no permit is left" value_is $S.init 0
check "-i is for a missing one only" sh -c "semwait -n -i 5 $S.init; test \$? -eq 75"
semwait -m 640 -i 1 -n $S.mode
mode=$(awk -v key=$(($(key $S.mode))) '($1 + 4294967296) % 4294967296 == key { print $3 }' /proc/sysvipc/sem)
check "-m is exact whatever the umask" test "$mode" = 640
users=''
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	{ semwait -nq -i 3 $S.race && echo $i >>won; } &
	users="$users $!"
done
# shellcheck disable=SC2086 # a list
wait $users
check "20 first users at once: there are 3 permits, for 3 of them" test "$(wc -l <won),$(semwait --value $S.race)" = 3,0

# --- with a command ---

semwait $S sh -c 'echo $$ >pid; read x <fifo' &
job=$!
wait_for test -s pid
check "the command is semwait's process: no other is needed" test "$(cat pid)" = $job
check "a permit is taken while it runs" value_is $S 1
check "-c takes several at once" test "$(semwait -c 1 $S semwait --value $S)" = 0
release fifo
wait $job
check "and is back when it has ended" value_is $S 2
rm pid
semwait -c 2 $S sh -c 'echo $$ >pid; exec sleep 600' & # ok: a victim
job=$!
wait_for test -s pid
check "-c 2 leaves none" value_is $S 0
kill -KILL "$(cat pid)"
wait $job
status_is 137 "SIGKILL of the command" sh -c "exit $?"
check "gives all of them back" value_is $S 2
semwait -i 1 -n $S.bg && sempost $S.bg
semwait $S.bg sh -c 'sleep 600 >/dev/null 2>&1 & echo $! >bg' # ok: left behind
check "what the command leaves in the background does not keep the permit" value_is $S.bg 1
check "though it runs" kill "$(cat bg)"

# --- waiting ---

cat >measure <<'PERL'
# Run it; the wall time, the CPU time and the status.
use Time::HiRes 'time';
my $t = time;
system @ARGV;
my ($status, $wall, $cpu) = ($? >> 8, time - $t, (times)[2] + (times)[3]);
open my $out, '>', 'measured';
printf $out "wall %.3f cpu %.3f\n", $wall, $cpu;
exit ($status != 75 ? $status || 1 : $wall < 0.6 || $wall > 10 ? 1 : $cpu > 0.3 ? 2 : 0);
PERL
check "a wait of 0.6 s ends in time, not before, and uses no CPU" perl measure semwait -w 0.6 -c 3 $S
cat >all-blocked <<'PERL'
use POSIX;
sigprocmask(SIG_BLOCK, POSIX::SigSet->new(grep { $_ != 32 && $_ != 33 } 1 .. 64));
$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT ALRM TERM USR1 USR2 CHLD PIPE RTMAX NUM63);
exec @ARGV;
PERL
status_is 75 "-w ends in time with every signal blocked or ignored" \
	timeout -s KILL 20 perl all-blocked semwait -w 0.2 -c 3 $S true
for what in SigBlk SigIgn; do
	check "the command gets $what as we did" \
		test "$(perl all-blocked semwait $S grep $what /proc/self/status)" = "$(perl all-blocked grep $what /proc/self/status)"
done
semwait -n -i 1 $S.order
waiters=''
for n in 1 2 3; do
	{ timeout -s KILL 60 semwait -qw 50 $S.order && echo $n >>order; } &
	waiters="$waiters $!"
	wait_for in_line $S.order $n
done
for n in 1 2 3; do
	sempost $S.order
	wait_for sh -c "test \"\$(wc -l <order)\" -eq $n"
done
check "three timed waiters are served in their order" test "$(tr -d '\n' <order)" = 123
semwait -w 50 $S.order &
waiter=$!
wait_for in_line $S.order 1
kill -STOP $waiter
kill -CONT $waiter
wait_for in_line $S.order 1
sempost $S.order
wait $waiter
status_is 0 "a waiter that was stopped and continued waits on" sh -c "exit $?"
semwait -z $S.order
status_is 0 "-z: no permit is left" sh -c "exit $?"
sempost $S.order
semwait -z -w 50 $S.order sh -c 'echo >zero' &
waiter=$!
wait_for grep -q '^22[0-9]' /proc/$waiter/syscall
semwait $S.order
wait $waiter
status_is 0 "-z waits until none is left" sh -c "exit $?"
check "runs its command then" test -e zero
check "and takes none" value_is $S.order 0
semwait -i 0 $S.gone 2>gone.err &
waiter=$!
wait_for in_line $S.gone 1
remove $S.gone
wait $waiter
status_is 69 "69: removed while waited for" sh -c "exit $?"
check "says so" grep -qx "semwait: '$S.gone' was removed" gone.err

for s in $made; do remove "$s"; done 2>/dev/null
err=$(for s in $made; do ipcs -s | grep "^$(key "$s") "; done)
[ -z "$err" ]
report $? "no semaphore of this test is left"
done_testing
