#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun at a terminal: Ctrl-C, Ctrl-\, Ctrl-Z and fg, a hang-up, reading from it, and the line that says who is
# waited for. And Ctrl-C of semwait.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

# terminal SHELL-LINE: run it on a terminal of its own; what we write to the fifo `keys` is typed.
mkfifo keys
terminal() {
	# Background jobs ignore INT and QUIT, nohup HUP, and so would all that is run from here.
	timeout -s KILL 60 perl -e '@SIG{qw(INT QUIT HUP)} = ("DEFAULT") x 3; exec @ARGV' \
		script -qefc "$1" screen <keys >/dev/null 2>&1 &
	terminal=$!
	exec 7>keys
}
type_keys() { printf "$@" >&7; }
ended() { wait $terminal; }
pids() { lockrun --who L 2>/dev/null | awk '$1 == "holds" { print $2 }'; }
# Are all holders of L in this state?
states_are() {
	for p in $(pids); do
		read -r line <"/proc/$p/stat"
		[ "$(echo "$line" | sed 's/.*) \(.\).*/\1/')" = "$1" ] || return 1
	done
	[ "$(pids | wc -l)" -ge 2 ]
}

terminal 'exec lockrun L sleep 600' # ok: a job
wait_for states_are S
type_keys '\003'
ended
status_is 130 "Ctrl-C ends command and lockrun, status 130" sh -c "exit $?"
check "and the lock is free" lockrun -n L true

terminal 'ulimit -c 0; exec lockrun L sleep 600' # ok: a job
wait_for states_are S
type_keys '\034'
ended
status_is 131 "Ctrl-\\ does too, status 131" sh -c "exit $?"
check "and frees the lock" lockrun -n L true

cat >witness <<'PERL'
for my $sig (qw(INT HUP)) {
	$SIG{$sig} = sub { open my $f, '>>', 'seen'; print $f "$sig\n" };
}
open my $f, '>', 'ready';
select undef, undef, undef, 0.01 until -e 'enough';
PERL
terminal 'exec lockrun L perl witness'
wait_for exists ready
type_keys '\003'
wait_for test -s seen
: >enough
ended
status_is 0 "a command that survives Ctrl-C keeps lockrun" sh -c "exit $?"
check "and got the signal once" test "$(cat seen)" = INT

# Who has the other side of the terminal goes, and lockrun leads the session.
rm -f ready seen enough
terminal 'exec lockrun L perl witness'
wait_for exists ready
wrapper=$(lockrun --who L | awk '$1 == "holds" && / lockrun L perl witness/ { print $2 }')
kill -KILL "$(awk '$1 == "PPid:" { print $2 }' "/proc/$wrapper/status")"
wait_for test -s seen
check "a hang-up is passed on, and lockrun waits for the command" lockrun -n -E 0 L false
: >enough
check "which got it once, and then the lock is free" sh -c 'lockrun -w 20 L true && test "$(cat seen)" = HUP'
ended

terminal 'exec lockrun L head -n 1'
type_keys 'typed\n'
ended
check "the command reads from the terminal" grep -q typed screen

terminal 'exec bash --norc -i'
type_keys 'lockrun L sleep 600\n' # ok: a job
wait_for states_are S
type_keys '\032'
wait_for states_are T
check "Ctrl-Z stops command and lockrun" states_are T
status_is 75 "and the lock stays held" lockrun -n L true
says '*, which is stopped' "by one that is named as stopped"
type_keys 'fg\n'
wait_for states_are S
check "fg continues both" states_are S
type_keys '\003'
wait_for is_free L
type_keys 'echo status=$?=\n'
wait_for grep -q 'status=130=' screen
check "and Ctrl-C then ends them" grep -q 'status=130=' screen

# A command that stops itself, and only itself, for the terminal's sake.
cat >selfish <<'PERL'
kill 'TSTP', $$;
open my $f, '>', 'awake';
PERL
type_keys 'lockrun L perl selfish\n'
wait_for states_are T
check "a command that stops itself takes lockrun along: the shell has a prompt" states_are T
type_keys 'fg\n'
wait_for exists awake
wait_for is_free L
check "and both go on" exists awake
type_keys 'exit\n'
ended

mkfifo go
lockrun L sh -c 'echo >held; read x <go' &
holder=$!
wait_for exists held
seconds() { cut -d. -f1 /proc/uptime; }
before=$(seconds)
terminal 'exec lockrun L echo got-it'
wait_for grep -q waiting screen
check "a wait of over a second says who holds the lock" \
	grep -q "waiting for 'L': held by pid .* (sh, .*) for [0-9]*s" screen
blocked_in_threads() { # the masks of all but the first thread; 1 to 31 count, without KILL and STOP
	for t in /proc/"$1"/task/*; do
		[ "${t##*/}" = "$1" ] || awk '$1 == "SigBlk:" { print $2 }' "$t/status"
	done
}
waiter=$(lockrun --who L 2>/dev/null | awk '$1 == "waits" { print $2 }')
check "by a thread that takes no signal: it could swallow the news of COMMAND's end" \
	sh -c 'case $1 in *[7f]ffbfeff) ;; *) exit 1; esac' sh "$(blocked_in_threads "$waiter")"
drawn_twice() { [ "$(grep -ao 'for [0-9]*s' screen | sort -u | wc -l)" -ge 2 ]; }
wait_for drawn_twice
check "and is kept up to date" drawn_twice
drawn=$(grep -ao 'waiting for' screen | wc -l)
check "once a second, and not in the first" test "$drawn" -le $(($(seconds) - before))
check "in place" sh -c 'test "$(grep -c waiting screen)" -eq 1'
release go
ended
wait $holder
check "and goes when the lock is had" grep -q "$(printf '\r\033\\[Kgot-it')" screen
lockrun L sh -c 'echo >held2; read x <go' &
wait_for exists held2
terminal 'exec lockrun -q -w 1.5 L true'
ended
check "-q: not a word" sh -c '! grep -q waiting screen'
release go
wait

# --- semwait ---

trap 'rm -f "/dev/shm/sem.t$$" "/dev/shm/dbt.t$$"; cleanup' EXIT
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
head_waits() { lockrun --who "ofd:$1" 2>/dev/null | grep -q '^holds.* 4+1 '; }
semwait -i 1 pool:./p sh -c 'read x <go' &
holder=$!
wait_for value_is pool:./p 0
terminal 'exec semwait pool:./p true'
wait_for head_waits p
type_keys '\003'
ended
status_is 130 "Ctrl-C ends a semwait that waits" sh -c "exit $?"
release go
wait $holder
check "and it took no permit" value_is pool:./p 1
for sem in pool:./p posix:/t$$; do
	if ! semwait -n -i 1 "$sem" true; then
		skip "$sem: Ctrl-C" "it cannot be had here"
		continue
	fi
	rm -f runs
	terminal "exec semwait $sem sh -c 'echo >runs; exec sleep 600'" # ok: a job
	wait_for exists runs
	type_keys '\003'
	ended
	status_is 130 "${sem%%:*}: Ctrl-C ends semwait and its command" sh -c "exit $?"
	wait_for value_is "$sem" 1
	check "${sem%%:*}: and the permit is back" value_is "$sem" 1
done

done_testing
