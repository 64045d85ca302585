#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun where things are short, closed, blocked or refused: clear error, right status, nothing left.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

# --- standard descriptors closed, in every combination ---

cat >list <<'PERL'
# Which of 0 to 2 work, and where the lock file is. Answers in a file: there may be no stdout.
open my $out, '>', 'fds' or die;
for my $fd (0 .. 20) {
	my $to = readlink "/proc/self/fd/$fd" or next;
	print $out "$fd $to\n" if $fd < 3 || $to =~ m{/L$};
}
PERL
for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
	status_is 0 "closed $closed: the command runs" sh -c "lockrun L perl list $closed"
	check "closed $closed: the lock is at 10 or above" sh -c 'grep -q "^1[0-9] .*/L$" fds && test "$(grep -c "/L$" fds)" -eq 1'
	check "closed $closed: nothing else got 0 to 2" sh -c 'test "$(grep -c "^[012] " fds)" -eq 3'
done
status_is 74 "closed stdout: results are not lost in silence" sh -c 'lockrun L lockrun --who L >&-'

# --- signals blocked and ignored on entry ---

cat >all-blocked <<'PERL'
use POSIX;
my $set = POSIX::SigSet->new(grep { $_ != 32 && $_ != 33 } 1 .. 64);
sigprocmask(SIG_BLOCK, $set);
$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT ALRM TERM USR1 USR2 CHLD PIPE RTMAX NUM63);
exec @ARGV;
PERL
lockrun L sleep 600 & # ok: a holder
holder=$!
wait_for holds L
status_is 75 "-w ends in time with every signal blocked or ignored" \
	timeout -s KILL 20 perl all-blocked lockrun -w 0.3 L true
kill $holder
wait_for is_free L
status_is 7 "a command's end is noticed with every signal blocked" \
	timeout -s KILL 20 perl all-blocked lockrun L sh -c 'exit 7'
check "and the command gets them blocked as we did" \
	test "$(perl all-blocked lockrun L grep SigBlk /proc/self/status)" = "$(perl all-blocked grep SigBlk /proc/self/status)"
check "and ignored" \
	test "$(perl all-blocked lockrun L grep SigIgn /proc/self/status)" = "$(perl all-blocked grep SigIgn /proc/self/status)"
check "a reader of -v that goes away does not end the command" \
	sh -c '{ lockrun -v L sh -c ": >ran-on"; echo $? >code; } 2>&1 | head -n 1 >first; test -e ran-on && test "$(cat code)" = 0'
cat >unread <<'PERL'
# A standard error that nobody reads, and whose SIGPIPE ends whoever writes to it.
pipe my $reader, my $writer;
close $reader;
open STDERR, '>&', $writer;
$SIG{PIPE} = 'DEFAULT';
exec @ARGV;
PERL
mkfifo go
lockrun L sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
perl unread lockrun -v L touch waited &
waiter=$!
wait_for waits L
release go
wait $holder
wait $waiter
status_is 0 "-v that nobody reads ends no wait" sh -c "exit $?"
check "the command runs" test -e waited

# --- limits ---

for n in 4 5 6 7 8 9 10; do
	status_is 71 "$n descriptors are too few" prlimit --nofile=$n lockrun L true
	says "lockrun: cannot *: *ulimit -n*" "and the limit is named"
done
status_is 0 "12 descriptors suffice" prlimit --nofile=12 lockrun L true
status_is 71 "12 are too few for three locks" prlimit --nofile=12 lockrun -l A -l B C true
check "and none of them stays locked" lockrun -n -l A -l B C true

if unshare -Urm true 2>/dev/null; then
	mkdir full
	status_is 73 "73: no inode left on the file system" unshare -Urm sh -c \
		'mount -t tmpfs -o nr_inodes=1 none full && exec lockrun full/L true'
	says "*no space or no inode left*" "says so"
	status_is 73 "73: a read-only file system" unshare -Urm sh -c \
		'mount -t tmpfs -o ro none full && exec lockrun full/L true'
	status_is 0 "an existing file on a read-only file system" unshare -Urm sh -c \
		'mount -t tmpfs none full && : >full/L && mount -o remount,bind,ro full && lockrun full/L true'
	status_is 65 "65: the same under ofd, exclusive" unshare -Urm sh -c \
		'mount -t tmpfs none full && : >full/L && mount -o remount,bind,ro full && lockrun ofd:full/L true'
	says "*use flock: or -s" "says what to use instead"
	if [ -z "${SANITIZE-}" ]; then
		status_is 0 "without /proc a lock can be had" unshare -Urmpf sh -c \
			'mount -t tmpfs none /proc && lockrun L true'
	else
		skip "without /proc a lock can be had" "the sanitizer itself wants /proc"
	fi
else
	skip "full and read-only file systems" "no user namespaces here"
fi

as_nobody=
[ "$(id -u)" -ne 0 ] || as_nobody="setpriv --reuid=64999 --regid=64999 --clear-groups"
chmod 777 . && chmod 711 "$scratch"
lockrun -m 666 P true
if [ "$(id -u)" -eq 0 ]; then
	# A user of its own, so that no other process counts.
	# shellcheck disable=SC2086 # words are wanted
	status_is 71 "71: no process could be started" prlimit --nproc=1 $as_nobody "$BUILD/bin/lockrun" P sh -c ': >ran'
	says "lockrun: cannot start 'sh': *: it was not run" "says that the command was not run"
	check "and it was not" test ! -e ran
	check "and nothing stays locked" lockrun -n P true
	# shellcheck disable=SC2086
	lockrun P sleep 600 & # ok: a holder
	holder=$!
	wait_for holds P
	# shellcheck disable=SC2086
	status_is 71 "71: no timer for the timeout" prlimit --sigpending=0 $as_nobody "$BUILD/bin/lockrun" -w 5 P true
	says "*ulimit -i*" "names the limit"
	kill $holder
else
	skip "no process could be started" "needs a user without processes, and so root"
	skip "no timer for the timeout" "the same"
fi

# --- a lease keeps even the open waiting ---

cat >lease <<'PERL'
use Fcntl;
$SIG{IO} = 'IGNORE';
open my $f, '+<', 'leased' or die;
fcntl($f, 1024, F_WRLCK) or exit 2; # F_SETLEASE
open my $ready, '>', 'have-lease';
close $ready;
sleep 600; # ok: a job
PERL
: >leased
perl lease &
lease=$!
wait_for sh -c "test -e have-lease || ! kill -0 $lease"
if [ -e have-lease ]; then
	status_is 75 "-w bounds the open too" timeout -s KILL 20 lockrun -w 0.3 leased true
	says "*lease*" "and says what it waited for"
	status_is 75 "-n does not wait for the open" timeout -s KILL 20 lockrun -n leased true
	kill $lease
	status_is 0 "the lock is had when the lease is given up" timeout -s KILL 20 lockrun -w 20 leased true
else
	skip "-w bounds the open too" "no leases on this file system"
fi

# --- a file system whose files have another number each time ---

cat >unsteady.c <<'C'
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static long n;
static int odd(int r, struct stat *st) { st->st_ino += ++n; return r; }
int fstatat(int d, const char *p, struct stat *st, int f) { return odd(syscall(SYS_newfstatat, d, p, st, f), st); }
int fstat(int fd, struct stat *st) { return odd(syscall(SYS_newfstatat, fd, "", st, 0x1000), st); }
int lstat(const char *p, struct stat *st) { return fstatat(-100, p, st, 0x100); }
int stat(const char *p, struct stat *st) { return fstatat(-100, p, st, 0); }
C
if [ -z "${SANITIZE-}${STATIC-}" ] && ${CC:-cc} -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE -shared -fPIC unsteady.c -o unsteady.so 2>/dev/null; then
	status_is 71 "71: such a file is refused, not tried for ever" \
		timeout -s KILL 20 env LD_PRELOAD=./unsteady.so lockrun -n L true
	says "*numbers the file anew*" "and says why"
	status_is 71 "71: with -w, too" timeout -s KILL 20 env LD_PRELOAD=./unsteady.so lockrun -w 10 L true
	semwait -i 1 pool:./steady true
	status_is 71 "71: the file of a pool, too" \
		timeout -s KILL 20 env LD_PRELOAD=./unsteady.so semwait pool:./steady true
else
	skip "71: such a file is refused, not tried for ever" "nothing can be preloaded in this build"
fi

# --- odd beginnings ---

if command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; then
	# What NFS servers do: an exclusive flock wants the file open for writing.
	status_is 0 "a server that wants a writable descriptor gets one" \
		strace -o trace -e trace=flock -e inject=flock:error=EBADF:when=1 lockrun L true
	check "in a second try" sh -c 'test "$(grep -c LOCK_EX trace)" -eq 2'
	status_is 0 "EIO the same" strace -o trace -e trace=flock -e inject=flock:error=EIO:when=1 lockrun L true
	status_is 71 "71: out of locks" strace -o trace -e trace=flock -e inject=flock:error=ENOLCK lockrun L true
	status_is 71 "71: fork refused" strace -o trace -e trace=vfork,clone,clone3 -e inject=vfork,clone,clone3:error=EAGAIN lockrun L sh -c ': >ran2'
	says "*it was not run" "we say that the command was not run"
	check "and it was not" test ! -e ran2
	: >existing
	strace -o trace -e trace='?open,openat' lockrun existing true
	check "a file that exists is opened without O_CREAT, which could be refused for it" \
		sh -c 'grep "\"existing\"" trace >opened && ! grep O_CREAT opened'
	lockrun L sh -c 'echo >held2; read x <go' &
	holder=$!
	wait_for exists held2
	# The machine may be so slow that a short one is over before it begins.
	for limit in 0.1 1 5 20; do
		strace -f -o trace lockrun -w $limit L true 2>err.txt
		status=$?
		grep -q timer_create trace && break
	done
	check "75: a wait that ends" test $status -eq 75
	check "is by CLOCK_MONOTONIC alone: the date may jump" \
		sh -c 'grep -q "timer_create(CLOCK_MONOTONIC" trace && ! grep -E "CLOCK_REALTIME|setitimer|alarm\(" trace'
	release go
	wait $holder
	strace -o trace lockrun -F L true
	check "a start asks for no memory" \
		sh -c 'sed -n "/^fcntl(2, /,/^execve/p" trace | { ! grep -E "^(brk|mmap|getrandom)"; }'
	# Killed at each of its system calls, it leaves no lock and no half-made file behind.
	strace -qq -o trace lockrun -m 640 K true
	sed -n 's/^\([a-z][a-z0-9_]*\)(.*/\1/p' trace | awk '$1 != "execve" || n["execve"] { print $1, n[$1] + 1 } { n[$1]++ }' >points
	broken='' points=0
	while read -r call n; do
		rm -f K
		strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" lockrun -m 640 K true 2>/dev/null
		grep -q 'killed by SIGKILL' trace && points=$((points + 1))
		[ ! -e K ] || [ "$(stat -c %a:%s K)" = 640:0 ] || broken="$broken $call:$n"
		lockrun -w 20 K true || broken="$broken $call:$n"
	done <points
	out="killed at: $(tr '\n' ',' <points); wrong after: $broken"
	[ -z "$broken" ] && [ "$points" -gt 20 ]
	report $? "killed at each of $points system calls: the lock is free, the file whole"
else
	skip "faults injected into system calls" "no strace, or a build that it would disturb"
fi
done_testing
