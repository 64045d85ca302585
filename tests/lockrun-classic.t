#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun --lockfile: what crontabs of Friedl's lockrun 1.1.1 and of the fork by pushcx rely on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

mkfifo go
# wrote CLAIM: exactly this, on standard error
wrote() {
	[ "$err" = "$1" ]
	report $? "$2"
}
# fails CLAIM MESSAGE ARG...: status 1 and this message
fails() {
	claim=$1 message=$2
	shift 2
	status_is 1 "1: $claim" timeout -s KILL 50 lockrun "$@"
	wrote "$message" "and the message"
}
hold() { # OPTION...
	lockrun "$@" -- sh -c ': >held; read -r x' <>go >held.out 2>&1 &
	holder=$!
	wait_for test -e held
}
let_go() {
	release go
	wait $holder
	rm -f held
}

# --- lines of crontabs, as they stand in the manuals and in the wild ---

while IFS= read -r line; do
	rm -f ran
	status_is 3 "$line" sh -c "$line sh -c ': >ran; exit 3'"
	check "runs it" test -e ran
	[ -z "$out$err" ]
	report $? "and says nothing"
done <<'END'
lockrun --lockfile=cacti.lockrun --
lockrun --lockfile cacti.lockrun --
lockrun -L=cacti.lockrun --
lockrun -L cacti.lockrun --
lockrun --wait --lockfile=F --
lockrun -W -L=F --
lockrun --lockfile=F --quiet --
lockrun -q --lockfile=F --maxtime=250 --
lockrun --wait --sleep=5 --lockfile=F --
lockrun --wait --sleep 5 --retries 3 --lockfile F --
lockrun -W -S=5 -R=3 -T=60 -L=F --
lockrun -W -S 5 -R 3 -T 60 -L F --
lockrun --idempotent --lockfile=F --
lockrun -I -L F --
lockrun --sleep=5s --retries=x --maxtime= --lockfile=F --
lockrun --wait=no --lockfile=F --
lockrun --lockfile=other -L=F --
END

# --- the status is the job's own ---

status_is 0 "a job that succeeds" lockrun --lockfile=F -- true
status_is 255 "its own status" lockrun --lockfile=F -- sh -c 'exit 255'
status_is 143 "128 + N: it died of signal N" lockrun --lockfile=F -- sh -c 'kill -TERM $$'
status_is 127 "127: no such command" lockrun --lockfile=F -- ./no-such-command
says "lockrun: cannot run './no-such-command': *" "and says so"
: >plain
status_is 126 "126: not executable" lockrun --lockfile=F -- ./plain
check "words of the job are not ours" test "$(lockrun --lockfile=F -- echo --wait -- -L x)" = "--wait -- -L x"

# --- what is wrong, in their words ---

fails "no command" 'ERROR: missing command to lockrun (must follow "--" marker) ' --lockfile=F
fails "no command behind --" 'ERROR: missing command to lockrun (must follow "--" marker) ' --lockfile=F --
fails "a command without --" 'ERROR: "true" is an invalid cmdline param' --lockfile=F true
fails "an unknown option" 'ERROR: "--zork" is an invalid cmdline param' --lockfile=F --zork -- true
fails "up to its =" 'ERROR: "--zork" is an invalid cmdline param' --zork=3 --lockfile=F -- true
fails "an abbreviation" 'ERROR: "--wai" is an invalid cmdline param' --lockfile=F --wai -- true
fails "letters together" 'ERROR: "-Wq" is an invalid cmdline param' --lockfile=F -Wq -- true
fails "an option of ours" 'ERROR: "-n" is an invalid cmdline param' -n --lockfile=F -- true
fails "an empty word" 'ERROR: "" is an invalid cmdline param' --lockfile=F '' true
fails "-L without a file" 'ERROR: option -L requires a parameter' -L
fails "--lockfile without one" 'ERROR: option --lockfile requires a parameter' --lockfile
fails "--sleep without a number" 'ERROR: option --sleep requires a parameter' -L F --sleep
fails "-- is a value too, and then no command is left" 'ERROR: "true" is an invalid cmdline param' -L F --sleep -- true
fails "no such directory" 'ERROR: cannot open(no/F) [err=No such file or directory]' --lockfile=no/F -- true
says "ERROR: *" "without the name of the program"
status_is 0 "--help" lockrun --lockfile=F --help
check "is on standard output, and names every option" sh -c 'for o do case $0 in *"$o"*) ;; *) exit 1 ;; esac; done' \
	"$out" -L, -W, -S, -R, -T, -V, -q, -I, --lockfile=FILE --wait --sleep=N --retries=N --maxtime=N --verbose --quiet --idempotent
status_is 0 "--version" lockrun --lockfile=F --version
status_is 74 "74: standard output is full" sh -c 'lockrun --lockfile=F --help >/dev/full'

# --- a lock that is not free ---

hold --lockfile=F
fails "busy" 'ERROR: cannot launch true - run is locked' --lockfile=F -- true
for option in -q --quiet -I --idempotent; do
	status_is 0 "$option: busy is no failure" lockrun --lockfile=F $option -- false
	[ -z "$out$err" ]
	report $? "and silent"
done
fails "--retries without --wait tries once" 'ERROR: cannot launch true - run is locked' -L F --retries=3 -- true
fails "-R=1: one attempt" 'ERROR: cannot launch true - run is locked (after 1 attempts)' -L F -W -R=1 -- true
fails "-S=0: several at once" 'ERROR: cannot launch true - run is locked (after 5 attempts)' -L F -W -R=5 -S=0 -- true
fails "--retries times --sleep bounds the wait" 'ERROR: cannot launch true - run is locked (after 2 attempts)' \
	-L F --wait --retries=2 --sleep=1 -- true
fails "-q does not silence that" 'ERROR: cannot launch true - run is locked (after 2 attempts)' -L F -q -W -R=2 -S=0 -- true
status_is 75 "ours finds it locked" lockrun -n F true
says "lockrun: 'F' is held by pid * (sh, *" "and names the job"
if flock=$(theirs flock); then
	status_is 1 "flock(1) too" "$flock" -n F true
else
	skip "flock(1) too" "no flock here"
fi
lockrun --lockfile=F --wait --retries=2 --sleep=600 -V -- sh -c ': >first' >first.out &
a=$!
wait_for waits F
check "-V says that it waits, when it begins to" grep -qx '(locked: sleeping 600 secs, after attempt #1)' first.out
lockrun --lockfile=F --wait --idempotent -V -- sh -c 'test -e first && : >second' >second.out &
b=$!
wait_for waiters_are F 2
check "the fork words it so" grep -qx '(locked: sleeping 10 secs)' second.out
let_go
wait $a && wait $b
check "both run when it is free, in the order they came" test -e second
check "each has said once that it waits" test "$(cat first.out second.out | grep -c locked)" -eq 2

# --- what -V and --maxtime say ---

# shellcheck disable=SC2016 # for the job
status_is 3 "-V" lockrun -V -L F -- sh -c 'echo $$ >pid; exit 3'
pid=$(cat pid)
check "tells of the process, and how it ended, as wait(2) does" test \
	"$(echo "$out" | sed 's/time=[0-9]* /time=N /')" = "Waiting for process $pid
pid $pid exited with status 768 (time=N sec)"
status_is 143 "-V -I" lockrun -V -L F --idempotent -- sh -c 'kill $$'
case $out in 'Waiting for process '*'
pid '*' exited with status 15, exit code: 143 (time='*' sec)') true ;; *) false ;; esac
report $? "tells the status too, as the fork does"
status_is 0 "nothing is said of a job within --maxtime" lockrun --maxtime=600 -L F -- true
[ -z "$out$err" ]
report $? "not a word"
status_is 4 "beyond --maxtime it runs on" lockrun --maxtime=1 -L F -- sh -c 'sleep 2.1; exit 4' # ok: it has to last
took=$(echo "$out" | sed -n 's/^pid [0-9]* exited with status 1024 (time=\([0-9]*\) sec)$/\1/p')
[ "${took:-0}" -ge 2 ]
report $? "and that is said at its end, on standard output"

# --- the file ---

rm -f new
sh -c 'umask 022; lockrun --lockfile=new -- true'
check "it is made with mode 666 less the umask" test "$(stat -c %a:%s new)" = 644:0
check "which COMMAND has as well" test "$(umask 027; lockrun --lockfile=new -- sh -c 'echo >theirs; stat -c %a theirs')" = 640
echo text >text && ln -s text link
status_is 0 "a symbolic link is followed" lockrun --lockfile=link -- true
check "a file keeps what is in it" test "$(cat text)" = text
status_is 0 "whatever is in it is a path" lockrun --lockfile=ofd:F@0+1 -- true
check "not a name of ours" test -f ofd:F@0+1

# --- it is held as ours is ---

lockrun --lockfile=F -- sh -c 'sh -c "read -r x; : >ended" <&7 &' 7<>go
status_is 0 "what the job leaves behind does not keep the lock" lockrun --lockfile=F -- true
release go
wait_for test -e ended
hold --lockfile=F
kill -KILL $holder
wait $holder 2>/dev/null
fails "SIGKILL of lockrun does not free the lock of its job" 'ERROR: cannot launch true - run is locked' -L F -- true
release go
wait_for is_free F
rm -f held
hold --lockfile=F
kill -TERM $holder
wait $holder 2>/dev/null
check "signals are passed on: the job died of TERM" test $? -eq 143
status_is 0 "and the lock is free" lockrun --lockfile=F -- true
status_is 1 "a job that waits for itself is noticed" timeout -s KILL 50 lockrun --lockfile=F -- lockrun --lockfile=F --wait -- true
says 'ERROR: cannot lock(F) \[err=Resource deadlock *\]' "and told why"
if command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; then
	status_is 1 "1: fork refused" strace -qq -o trace -e trace=vfork,clone,clone3 \
		-e inject=vfork,clone,clone3:error=EAGAIN lockrun -L F -- true
	wrote 'ERROR: cannot fork [Resource temporarily unavailable]' "and says so"
	status_is 1 "1: an error that is not busy" strace -qq -o trace -e trace=flock \
		-e inject=flock:error=ENOLCK lockrun -L F --wait -- true
	wrote 'ERROR: cannot lock(F) [err=No locks available]' "and says so"
else
	skip "faults injected into system calls" "no strace, or a build that it would disturb"
fi

# --- what is not meant so ---

check "-L among the words of COMMAND is COMMAND's" test "$(lockrun F echo -L x --lockfile=y)" = "-L x --lockfile=y"
check "options before do not matter" test "$(lockrun -w 5 --lock G F echo -L)" = "-L"
check "nor --" test "$(lockrun -- F echo -L)" = "-L"
status_is 64 "64: without --lockfile their options are none" lockrun --sleep=5 -- true
done_testing
