#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait jobserver: is a client of make's jobserver as its protocol wants it, box by box.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

: >began
# A server of our own: a FIFO that stays open, of which clients find $1.
serve() {
	rm -f fifo
	mkfifo fifo && exec 8<>fifo
	printf %s "$1" >&8
}
F=jobserver:fifo:$scratch/fifo
tokens() { semwait --value "$F"; }
tokens_are() { [ "$(tokens)" = "$1" ]; }
# Run as a job of a make -j3 with that jobserver, in a process that make has started.
job() { MAKEFLAGS=" -j3 --jobserver-auth=fifo:$scratch/fifo" MAKELEVEL=1 "$@"; }
# The same in the background, with the pid that $! tells.
start_job() { exec env MAKEFLAGS=" -j3 --jobserver-auth=fifo:$scratch/fifo" MAKELEVEL=1 "$@"; }
# A head of the line has a thread that watches.
waits_in_line() { [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 2 ]; }
# Its bytes, sorted
content() { dd bs=1 count="$(tokens)" <&8 2>/dev/null | fold -w1 | sort | tr -d '\n'; }

# --- finding it ---

status_is 0 "no MAKEFLAGS: COMMAND runs in the one slot that it has" semwait jobserver: true
says "semwait: no jobserver for 'true', which runs in the one slot that it has: MAKEFLAGS is not set" "one clear line says so"
status_is 7 "with its own status" semwait -q jobserver: sh -c 'exit 7'
says '' "-q: without a word"
status_is 0 "no -j: the same" env MAKEFLAGS=k semwait -c 4 jobserver: true
says "*make runs one job at a time*" "and why"
status_is 0 "make -n: COMMAND runs, no token is taken" env MAKEFLAGS="n -j3 --jobserver-auth=98,99" semwait -c 3 jobserver: true
says '' "without a word"
status_is 0 "negative descriptors: not for this line" env MAKEFLAGS=" -j3 --jobserver-auth=3,4 --jobserver-auth=-2,-2" semwait jobserver: true
says "*put a + in front*" "says what to do"
status_is 0 "a kind that we do not know" env MAKEFLAGS=" -j3 --jobserver-auth=sem:x" semwait jobserver: true
says "*not known here*" "is none for us"
status_is 0 "GNUMAKEFLAGS does not count" env GNUMAKEFLAGS=" -j3 --jobserver-auth=fifo:/none" semwait jobserver: true
says "*MAKEFLAGS is not set*" "it is not even looked at"
status_is 66 "66: nothing to look at" semwait --value jobserver:
status_is 64 "64: without a command the token would be lost" job semwait jobserver:
for bad in fifo: 3 '3,' ',4' 3,4,5 x,y -1,-1 +1,2; do
	status_is 64 "64: jobserver:$bad" semwait "jobserver:$bad" true
done
status_is 66 "66: a FIFO by name that is not there" semwait "jobserver:fifo:$scratch/none" true

# --- connecting ---

(
	umask 077
	semwait -i 3 -m 660 "jobserver:fifo:$scratch/made" true
)
check "-i makes a FIFO, and -m is its mode whatever the umask" test "$(stat -c '%F %a' made)" = 'fifo 660'
rm made
mkfifo alone
status_is 0 "a FIFO that nobody has open does not block" timeout 20 semwait --value "jobserver:fifo:$scratch/alone"
check "and is empty" test "$out" = 0
status_is 75 "nor does taking from it" timeout 20 semwait -n "jobserver:fifo:$scratch/alone" true
status_is 0 "it need not be a FIFO: a character device" timeout 20 semwait "jobserver:fifo:/dev/zero" true
status_is 74 "74: one that is at its end is an error, and no endless loop" timeout 20 semwait -w 30 "jobserver:fifo:/dev/null" true
status_is 65 "65: a directory" semwait "jobserver:fifo:$scratch" true
status_is 65 "65: a plain file" semwait "jobserver:fifo:$scratch/began" true
status_is 0 "a FIFO that is not here: serial" env MAKEFLAGS=" -j3 --jobserver-auth=fifo:/none/fifo" semwait -c 2 jobserver: true
says "*its FIFO is not there*" "and why"
mkdir 'a b' && mkfifo 'a b/f' && exec 7<>'a b/f' && printf ++ >&7
check "a path with an escaped blank" env MAKEFLAGS=" -j3 --jobserver-auth=fifo:$scratch/a\\ b/f -- X=a\\ --jobserver-auth=fifo:/EVIL" \
	sh -c 'test "$(semwait --value jobserver:)" = 2'
exec 7>&-
status_is 0 "pipe: descriptors that are closed" env MAKEFLAGS=" -j3 --jobserver-auth=98,99" semwait jobserver: true
says "*put a + in front*" "make has kept them from this line: that is said, and COMMAND runs alone"
echo precious >file
status_is 0 "pipe: numbers that are other files by now" \
	env MAKEFLAGS=" -j3 --jobserver-auth=6,7" semwait -c 3 jobserver: true 6<file 7>>file
says "*something else by now*" "are noticed"
check "and nothing was read or written there" test "$(cat file)" = precious
serve ++
mkfifo other && exec 7<>other && printf ++ >&7
status_is 0 "two ends of two pipes are no jobserver" env MAKEFLAGS=" -j3 --jobserver-auth=8,7" semwait -c 3 jobserver: true
check "no token is taken from either" test "$(tokens)$(semwait --value jobserver:fifo:"$scratch"/other)" = 22
exec 7<&- 7<other
status_is 0 "nor are two reading ends" env MAKEFLAGS=" -j3 --jobserver-auth=7,7" semwait -c 3 jobserver: true
exec 7<&-

# Both styles from here on; ends of their own, that block, as an old make's.
exec 5<fifo 6>fifo
flags_of() { sed -n 's/^flags:[[:blank:]]*//p' /proc/self/fdinfo/"$1"; }
before=$(flags_of 5)$(flags_of 6)
pipe_job() { MAKEFLAGS=" -j3 --jobserver-auth=5,6" MAKELEVEL=1 "$@"; }
for style in pipe_job job; do
	check "$style: the first of a job's processes has its slot, and takes no token" \
		$style semwait -n jobserver: semwait --value "$F"
	check "$style: so both are left" test "$out" = 2
	check "$style: three are that slot and two tokens" $style semwait -n -c 3 jobserver: semwait --value "$F"
	check "$style: so none is left" test "$out" = 0
	status_is 64 "$style: 64: more than make has" $style semwait -n -c 4 jobserver: true
	says "*it has 3: ask for fewer, or make -j4*" "$style: is refused"
	check "$style: they are all back" tokens_are 2
	# env: the job's process, of which both are
	check "$style: the second process of a job takes a token" \
		$style sh -c "semwait -n jobserver: semwait -n jobserver: semwait --value '$F'; exit \$?"
	check "$style: one" test "$out" = 1
	status_is 75 "$style: what is not there is not waited for with -n" \
		$style sh -c 'semwait -n -c 2 jobserver: semwait -n -c 2 jobserver: true; exit $?'
	check "$style: of several all or none are taken" tokens_are 2
done
check "O_NONBLOCK and the like of what we share with make are left alone" test "$(flags_of 5)$(flags_of 6)" = "$before"
check "COMMAND has the environment and the descriptors" \
	pipe_job semwait jobserver: sh -c 'test "$MAKEFLAGS" = " -j3 --jobserver-auth=5,6" && true <&5 >&6'
check "--no-jobserver: it is told that there is none" pipe_job semwait --no-jobserver jobserver: \
	sh -c 'test "$MAKEFLAGS" = " --jobserver-auth=-2,-2"'
exec 5<&- 6>&-

# --- taking and giving back ---

serve 'x|'
check "tokens are taken" job semwait -n -c 3 jobserver: true
check "and the very bytes are given back" test "$(content)" = 'x|'
serve ++
mkfifo go
for sig in HUP INT QUIT TERM PIPE; do
	rm -f ready
	start_job perl -e '@SIG{qw(INT QUIT)} = ("DEFAULT") x 2; exec @ARGV' \
		semwait -c 3 jobserver: sh -c 'echo >ready; read -r x <go' 2>/dev/null &
	pid=$!
	wait_for exists ready
	kill -$sig $pid
	wait $pid 2>/dev/null
	check "SIG$sig while COMMAND runs: the tokens are back" tokens_are 2
done
for both in HUP:1 INT:2 QUIT:3 TERM:15; do
	sig=${both%:*}
	serve ''
	start_job perl -e '@SIG{qw(INT QUIT)} = ("DEFAULT") x 2; exec @ARGV' semwait -c 2 jobserver: true 2>/dev/null &
	pid=$!
	wait_for waits_in_line $pid
	wait_for tokens_are 1
	kill -$sig $pid
	wait $pid 2>/dev/null
	check "SIG$sig while it waits: it dies of that" test $? -eq $((128 + ${both#*:}))
	check "SIG$sig: the slot that was lent is its own again before" tokens_are 0
done
serve ''
status_is 75 "75: not in time" job semwait -w 0.1 -c 2 jobserver: true
says "*'jobserver:': * of 3 permits free*" "says what there is"
check "nothing was taken, nothing is left lent" tokens_are 0

# Two that want two each of two, a slot each: neither holds what the other waits for. When a job ends, make has its slot.
serve ''
for i in 1 2; do
	{
		MAKEFLAGS=" -j2 --jobserver-auth=fifo:$scratch/fifo" MAKELEVEL=$i \
			timeout 50 semwait -c 2 jobserver: sh -c "echo >done$i"
		printf + >&8
	} &
done
wait
check "two jobs that want both slots of a make -j2 do not block each other for ever" test -e done1 -a -e done2
check "and in the end make has both slots" tokens_are 2

# One job, with one slot, that starts several; none of them holds a token that make lacks.
serve ''
check "several in the background of a job without tokens run, one by one" job timeout 50 sh -c '
	for i in 1 2 3 4; do semwait jobserver: sh -c "mkdir one && rmdir one && echo >>ran" & done; wait'
check "each of them" test "$(wc -l <ran)" -eq 4
check "and no token comes of that" tokens_are 0

# A pipe that somebody else has filled: the byte must go back all the same.
serve +
semwait "$F" sh -c 'echo >taken; read -r x <go' &
pid=$!
wait_for exists taken
perl -e 'use Fcntl; sysopen F, "fifo", O_RDWR | O_NONBLOCK or die; 1 while syswrite F, "x" x 4096; 1 while syswrite F, "x"'
release go
wait_for sh -c "! grep -qs . /proc/$pid/task/$pid/children"
dd bs=4096 count=1 <&8 >/dev/null 2>&1
wait $pid
check "a full pipe: it waits for room, and gives its token back" test $? -eq 0

# --- kills ---

serve ++
i=0 bad=0
while [ $i -lt 10 ]; do
	rm -f pids
	semwait -c 2 "$F" sh -c 'echo $PPID $$ >pids.new; mv pids.new pids; read -r x <go' 2>/dev/null &
	pid=$!
	wait_for exists pids
	# shellcheck disable=SC2046 # two words
	kill -9 $(cat pids)
	wait $pid 2>/dev/null
	timeout 50 semwait -c 2 "$F" true || bad=$((bad + 1))
	i=$((i + 1))
done
check "kill -9 of semwait and its command, ten times: the next one has what they held" test $bad -eq 0
check "and no more" tokens_are 2
check "nor a ledger is left" no_ledgers

rm -f pids
semwait -c 2 "$F" sh -c 'echo $PPID >pids.new; mv pids.new pids; read -r x <go' 2>/dev/null &
pid=$!
wait_for exists pids
kill -9 $pid
wait $pid 2>/dev/null
semwait -c 2 "$F" sh -c 'echo >served' &
waiter=$!
wait_for waits_in_line $waiter
check "kill -9 of semwait alone: its command still has the tokens" test ! -e served
release go
wait_for exists served
wait $waiter
check "until that ends, and then who waits has them" tokens_are 2

rm -f pids
semwait -c 2 "$F" sh -c 'echo $PPID $$ >pids.new; mv pids.new pids; read -r x <go' 2>/dev/null &
pid=$!
wait_for exists pids
# shellcheck disable=SC2046 # two words
kill -9 $(cat pids)
wait $pid 2>/dev/null
status_is 0 "sempost --repair gives back as well" sh -c "until sempost --repair --json '$F' | grep -q '\"returned\":2'; do test \$((i = i + 1)) -lt 2000; sleep 0.01; done" # ok: the killed may take a while to go
check "all of it" tokens_are 2

# Killed while its slot is lent: make has one too many, until the next of us finds that.
serve ''
start_job semwait -c 2 jobserver: true &
pid=$!
wait_for tokens_are 1
kill -9 $pid
wait $pid 2>/dev/null
check "kill -9 of who had lent its slot leaves a token too many" tokens_are 1
check "that another may take" semwait -n "$F" true
check "but does not give back" tokens_are 0
exec 8>&-
check "no ledger is left" no_ledgers
status_is 64 "64: sempost would make a job too many" job sempost jobserver:

# --- with make itself ---

if command -v make >/dev/null; then
	cat >Makefile <<'MAKE'
all: a b c d
a b c d:
	+@semwait -c $(K) jobserver: ./job $@
loop:
	+@for i in 1 2 3 4 5; do semwait jobserver: ./job $$i & done; wait
MAKE
	printf '#!/bin/sh\n: >"in/$$"\n%s\nfind in -type f | wc -l >>crowd\nrm "in/$$"\n' "ls -l /proc/self/fd | sed -n 's/.*pipe:.\([0-9]*\).*/\1/p' >>pipes" >job
	chmod +x job && mkdir in
	at_most() { [ "$(sort -n crowd | tail -n 1)" -le "$1" ]; }
	for k in 1 2 3; do
		: >crowd
		status_is 0 "make -j3, -c $k in each recipe" timeout 50 make -s -j3 K=$k
		says '' "make -j3, -c $k: the balance is exact"
		check "make -j3, -c $k: no more than fit" at_most $((3 / k))
		check "make -j3, -c $k: each once" test "$(wc -l <crowd)" -eq 4
	done
	: >crowd
	status_is 0 "make -j2: five in the background of a recipe" timeout 50 make -s -j2 loop
	says '' "the balance is exact"
	check "no more than two at once" at_most 2
	check "each once" test "$(wc -l <crowd)" -eq 5
	status_is 0 "make without -j" timeout 50 make -s K=4
	says "*runs one job at a time*" "runs each alone, and says so"
	check "no ledger is left by make" no_ledgers
else
	skip "with make" "no make here"
fi
done_testing
