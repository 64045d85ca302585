#!/bin/sh
# SPDX-License-Identifier: MIT
# flock and flock(1): the file, a lock that is not free, COMMAND, what --verbose says.
# shellcheck source=tests/flock.sh
. "$(dirname "$0")/flock.sh"

files() {
	rm -f new
	status_is 0 "$who: a file is made" sh -c "umask 027; exec '$flock' new true"
	check "$who: with mode 666 less the umask" test "$(stat -c %a:%s new)" = 640:0
	echo text >text
	is 0 "a file with something in it" text true
	check "$who: keeps it" test "$(cat text)" = text
	check "$who: and its name" test -e text
	ln -s text link && ln -s made dangling && ln -s loop loop && mkdir dir
	is 0 "a symbolic link is followed" link true
	is 0 "one that leads nowhere makes what it leads to" dangling true
	check "$who: it is there" test -f made
	is 0 "a directory" dir true
	is 66 "66: no such directory" no/such true
	wrote 'flock: cannot open lock file no/such: No such file or directory' "and says so"
	is 66 "66: a file in place of a directory" text/x true
	wrote 'flock: cannot open lock file text/x: Not a directory' "and says so"
	is 66 "66: a link to itself" loop true
	wrote 'flock: cannot open lock file loop: Too many levels of symbolic links' "and says so"
	is 66 "66: an empty name" '' true
	wrote 'flock: cannot open lock file : No such file or directory' "and says so"
	if [ "$(id -u)" -ne 0 ]; then
		touch readonly forbidden && chmod 444 readonly && chmod 0 forbidden
		is 0 "a file that can only be read" readonly true
		is 66 "66: a file that can not" forbidden true
		wrote 'flock: cannot open lock file forbidden: Permission denied' "and says so"
	else
		skip "$who: a file that can only be read" "root can write it"
	fi
	# Who opens it to write without waiting can only do so while another waits to read.
	mkfifo pipe
	"$flock" -w 0.001 pipe sh -c ': >opened' &
	opener=$!
	wait_for perl -MFcntl -e 'sysopen(F, "pipe", O_WRONLY | O_NONBLOCK) or exit 1'
	wait $opener
	check "$who: the open of a FIFO waits for a writer, whatever -w says" test $? -eq 0 -a -e opened
}

conflicts() {
	hold
	is 1 "1: busy" -n L true
	wrote '' "silently"
	is 1 "1: busy, shared" -sn L true
	is 1 "-w 0 is -n" -w 0 L true
	is 1 "so is what is less than a microsecond" -w 1e-7 L true
	is 1 "1: not in time" -w 0.05 L true
	wrote '' "silently"
	is 7 "-E changes it" -n -E 7 L true
	is 7 "for -w too" -w 0.05 -E 7 L true
	is 0 "-E 0 makes it a success" -n -E 0 L false
	is 1 "--verbose says it" --verbose -n L true
	wrote 'flock: failed to get lock' "in these words"
	[ -z "$out" ]
	report $? "$who: not on standard output"
	is 1 "--verbose with -w" --verbose -w 0.05 L true
	wrote 'flock: timeout while waiting to get lock' "in other words"
	is 1 "-n counts, whatever -w" --verbose -w 600 -n L true
	wrote 'flock: failed to get lock' "it did not wait"
	is 0 "-u FILE runs without a lock" -u L true
	is 0 "the last of -x and -u counts" -xu L true
	is 1 "the last of -u and -x counts" -nux L true
	rm -f later
	"$flock" L sh -c ': >later' &
	waiter=$!
	wait_for waits L
	kill -STOP $waiter
	kill -CONT $waiter
	wait_for waits L
	check "$who: one waits, also when it was stopped meanwhile" test ! -e later
	let_go
	wait $waiter
	check "$who: and then runs" test -e later
	hold -s
	is 0 "shared with shared" -sn L true
	is 1 "not with exclusive" -n L true
	is 0 "the last of -x and -s counts" -nxs L true
	let_go
}

command_is_run() {
	is 0 "a command that succeeds" L true
	is 7 "its own status" L sh -c 'exit 7'
	is 255 "up to 255" L sh -c 'exit 255'
	is 143 "143: it died of SIGTERM" L sh -c 'kill -TERM $$'
	is 137 "137: it died of SIGKILL" L sh -c 'kill -KILL $$'
	is 0 "-c: a shell runs a line" L -c 'test "$0" = sh || test "$0" = /bin/sh'
	is 3 "--command: the same" L --command 'exit 3'
	status_is 0 "$who: by \$SHELL" env SHELL=/bin/echo "$flock" L -c 'a line'
	[ "$out" = '-c a line' ]
	report $? "$who: as its words -c and the line"
	status_is 0 "$who: or /bin/sh if that is empty" env SHELL= "$flock" L -c true
	printf 'exit 0\n' >script && chmod +x script && : >plain
	is 0 "a script without its first line" L ./script
	is 69 "69: no such command" L ./no-such
	wrote 'flock: failed to execute ./no-such: No such file or directory' "and says so"
	status_is 69 "$who: 69: not in PATH" env PATH=/nowhere "$(command -v flock)" L no-such-command
	wrote 'flock: failed to execute no-such-command: No such file or directory' "and says so"
	is 69 "69: not executable" L ./plain
	wrote 'flock: failed to execute ./plain: Permission denied' "and says so"
	is 69 "69: -F too" -F L ./no-such
	wrote 'flock: failed to execute ./no-such: No such file or directory' "and says so"
	is 69 "69: -- behind FILE is a command" L -- true
	is 0 "COMMAND inherits the lock as descriptor 3" L sh -c 'test "$(readlink /proc/self/fd/3)" = "$PWD/L"'
	is 0 "-o: it does not" -o L sh -c 'test ! -e /proc/$$/fd/3'
	is 0 "-o: the lock is held all the same" -o L sh -c "! '$flock' -n L true"
	is 0 "-F: it does" -F L sh -c 'test "$(readlink /proc/self/fd/3)" = "$PWD/L"'
	status_is 0 "$who: -F is no other process" sh -c "'$flock' L true; exec '$flock' -F L sh -c 'test \$\$ = \$0' \$\$"
	is 0 "a child is one" L sh -c "test \$(cut -d' ' -f4 /proc/\$\$/stat) -ne $$"
	status_is 0 "$who: SIGCHLD has its default in COMMAND" sh -c "trap '' CHLD; '$flock' L grep -q '^SigIgn:.*[02468ace]....\$' /proc/self/status"
	status_is 5 "$who: ignored, it does not lose the status" perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$flock" L sh -c 'exit 5'
	"$flock" L sh -c 'sh -c "read -r x" <&7 &' 7<>go
	status_is 1 "$who: what COMMAND leaves behind keeps the lock" "$flock" -n L true
	release go
	wait_for is_free L
	"$flock" -o L sh -c 'sh -c "read -r x; : >ended" <&7 &' 7<>go
	status_is 0 "$who: -o: it does not" "$flock" -n L true
	release go
	wait_for test -e ended
	rm -f held
	hold
	kill -TERM $holder
	wait $holder 2>/dev/null
	check "$who: TERM ends flock" test $? -eq 143
	status_is 1 "$who: and COMMAND goes on, with the lock" "$flock" -n L true
	release go
	wait_for is_free L
	check "$who: until it ends" test -e held
	rm -f held
}

verbose() {
	status_is 0 "$who: --verbose" sh -c "'$flock' --verbose L echo hi | cat"
	check "$who: speaks on standard output, to a pipe after COMMAND" test \
		"$(echo "$out" | sed 's/took [0-9]*\.[0-9]\{6\} seconds/took TIME/')" = "hi
flock: getting lock took TIME
flock: executing echo"
	check "$who: and says no more" test -z "$err"
	status_is 0 "$who: --verbose -c names the shell" sh -c "'$flock' --verbose L -c true | grep -qx 'flock: executing /bin/sh'"
	status_is 0 "$who: --verbose with a descriptor" sh -c "'$flock' --verbose 9 9<L | grep -qx 'flock: getting lock took [0-9.]* seconds'"
	status_is 1 "$who: 1: standard output is full" sh -c "'$flock' --verbose L true >/dev/full"
	wrote 'flock: write error: No space left on device' "and says so"
}

of_each files conflicts command_is_run verbose
done_testing
