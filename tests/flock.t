#!/bin/sh
# SPDX-License-Identifier: MIT
# flock: a drop-in for flock(1) of util-linux. Every claim is made of ours and of theirs, if that is here.
#
# What differs between releases of theirs, so that an older one is asked for the older answer, or not asked:
#
#	release		what came with it			Debian 12 has 2.38
#	2.41		--fcntl; EACCES is busy too
#	2.42		--start, --length; so --s is ambiguous
#	after 2.42	--fd; "invalid timeout: ...", not "invalid timeout value: ..."; "invalid file descriptor:
#			...", not "bad file descriptor: ..."; a negative descriptor is a usage error
#
# And of ours, as flock(1) says: the words of --help and --version, -w with SIGALRM blocked, descriptors 0 to 2.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
LC_ALL=C
export LC_ALL
unset SHELL

peer=$(theirs flock) || peer=
case $peer in ?*) case $("$peer" -V 2>/dev/null) in *util-linux*) ;; *) peer= ;; esac ;; esac
mkfifo go
traced() { command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; }
traced && tracing=yes || tracing=

# --- how claims are made of either ---

# is STATUS CLAIM ARG...: of $flock
is() {
	want=$1 claim=$2
	shift 2
	status_is "$want" "$who: $claim" timeout -s KILL 50 "$flock" "$@"
}
# What the last one wrote; the libcs word some errors in their own way.
wrote() { # STDERR CLAIM
	err=$(printf '%s\n' "$err" | sed '/^strace: /d; s/I\/O error/Input\/output error/; s/No file descriptors available/Too many open files/
		s/Out of memory/Cannot allocate memory/; s/Symbolic link loop/Too many levels of symbolic links/
		s/Result not representable/Numerical result out of range/')
	[ "$err" = "$1" ]
	report $? "$who: $2"
}
hint="Try 'flock --help' for more information."
# refused CLAIM MESSAGE ARG...: 64, and this on stderr
refused() {
	claim=$1 message=$2
	shift 2
	is 64 "64: $claim" "$@"
	wrote "$message" "and the message"
}
# Does it have this option (with a value, or none)?
has() { "$flock" "$@" --version >/dev/null 2>&1; }
# As is, with errors injected into its system calls: inject CALLS:error=... on file L
inject() {
	want=$1 claim=$2 what=$3
	shift 3
	status_is "$want" "$who: $claim" timeout -s KILL 50 strace -qq -o trace -P L -e "trace=${what%%:*}" \
		-e "inject=$what" "$flock" "$@"
}
# Hold L with OPTIONS until told to go.
hold() {
	# The fifo is opened before the lock is taken, so that release finds its reader.
	"$flock" "$@" L sh -c ': >held; read -r x' <>go >held.out &
	holder=$!
	wait_for test -e held
}
let_go() {
	release go
	wait $holder
	rm -f held
}

spelled() { # OPTION...
	rm -f ran
	"$flock" "$@" L sh -c ': >ran' >out.log 2>&1 && [ -e ran ]
}

# --- the claims ---

options() {
	for option in -s --shared --shar -x -e --exclusive --e -u --unlock --u -n --nonblock --nonblocking --nb --non \
		-w5 '-w 5' --timeout=5 '--timeout 5' '--timeo 5' '--wait 5' --wa=5 -E3 '-E 3' --conflict-exit-code=3 \
		'--conf 3' -o --close --cl -F --no-fork --no-f --verbose --verb -snox -nw3 -nE9 '-- '; do
		# shellcheck disable=SC2086 # two words
		check "$who: $option" spelled $option
	done
	is 0 "options stop at the first operand" -n L sh -c 'test "$1" = -x' sh -x
	check "$who: a word - is an operand" sh -c "'$flock' - true && test -e -"
	refused "no words" "flock: not enough arguments
$hint"
	refused "an unknown letter" "flock: invalid option -- 'z'
$hint" -z
	refused "an unknown letter among others" "flock: invalid option -- 'c'
$hint" -nc true
	refused "-? says no more than where help is" "$hint" '-?'
	refused "an unknown word" "flock: unrecognized option '--zork'
$hint" --zork
	refused "an unknown word with a value" "flock: unrecognized option '--zork=1'
$hint" --zork=1
	refused "an abbreviation of two" "flock: option '--no' is ambiguous; possibilities: '--nonblocking' '--no-fork'
$hint" --no
	refused "one of --nb too" "flock: option '--n' is ambiguous; possibilities: '--nonblocking' '--no-fork'
$hint" --n
	refused "and with a value" "flock: option '--n=3' is ambiguous; possibilities: '--nonblocking' '--no-fork'
$hint" --n=3
	refused "--c" "flock: option '--c' is ambiguous; possibilities: '--conflict-exit-code' '--close'
$hint" --c
	refused "--v" "flock: option '--v' is ambiguous; possibilities: '--verbose' '--version'
$hint" --v
	if has --start 1; then
		refused "--s" "flock: option '--s' is ambiguous; possibilities: '--shared' '--start'
$hint" --s
	else
		skip "$who: 64: --s" "before 2.42 it was --shared"
	fi
	refused "a value that none is taken of" "flock: option '--close' doesn't allow an argument
$hint" --clo=1
	refused "a letter without its value" "flock: option requires an argument -- 'w'
$hint" -w
	refused "a word without its value" "flock: option '--timeout' requires an argument
$hint" --t
	refused "-c before FILE" "flock: invalid option -- 'c'
$hint" -c true
	refused "--command=LINE" "flock: unrecognized option '--command=true'
$hint" --command=true L
	refused "-c alone" 'flock: -c requires exactly one command argument' L -c
	refused "-c with two words" 'flock: -c requires exactly one command argument' L -c true x
	refused "--command alone" 'flock: --command requires exactly one command argument' L --command
	refused "no operand" 'flock: requires file descriptor, file or directory' -s
	refused "-F with -o" 'flock: the --no-fork and --close options are incompatible' -Fo L true
	refused "-F with -o is noticed first" 'flock: the --no-fork and --close options are incompatible' -Fo
	for option in -h --help --he; do
		is 0 "$option" $option
		[ -n "$out" ] && [ -z "$err" ]
		report $? "$who: is on standard output"
	done
	for option in -V --version --vers; do
		is 0 "$option" $option
		case $out in 'flock from util-linux '[0-9]*.[0-9]*) true ;; *) false ;; esac
		report $? "$who: begins with these words"
	done
	is 0 "--help counts where it stands" --help --zork
	refused "and what is wrong before it counts more" "flock: unrecognized option '--zork'
$hint" --zork --help
	status_is 1 "$who: --version to a full disk" sh -c "'$flock' --version >/dev/full"
	wrote 'flock: write error: No space left on device' "and says why"
}

values() {
	timeout_text='invalid timeout' fd_text='invalid file descriptor'
	if [ $who = theirs ] && ! has --fd 9; then
		timeout_text='invalid timeout value' fd_text='bad file descriptor'
	fi
	for value in 1e-3 0x1 .5 5. ' 1' 1e9 1e18 0x1p-3 -0; do
		is 0 "-w '$value'" -w "$value" L true
	done
	for value in 1s '' x 1,5 '1 ' 5m; do
		refused "-w '$value'" "flock: $timeout_text: '$value'" -w "$value" L true
	done
	refused "-w 1e5000" "flock: $timeout_text: '1e5000': Numerical result out of range" -w 1e5000 L true
	for value in -1 -0.5 inf -inf nan 1e30; do
		rm -f L
		is 71 "71: -w $value" -w $value L true
		wrote 'flock: cannot set up timer: Invalid argument' "and says so"
		check "$who: after the file was made" test -e L
	done
	is 71 "71: -n does not save it" -n -w -1 L true
	for value in 0 255 ' 7' +7 007; do
		is 0 "-E '$value'" -E "$value" L true
	done
	for value in 256 -1 2147483647; do
		refused "-E $value" 'flock: exit code out of range (expected 0 to 255)' -E "$value" L true
	done
	for value in x '' 0x1 '7 ' 1.5; do
		refused "-E '$value'" "flock: invalid exit code: '$value'" -E "$value" L true
	done
	for value in 2147483648 99999999999999999999; do
		refused "-E $value" "flock: invalid exit code: '$value': Numerical result out of range" -E $value L true
	done
	for value in abc 9x 1.0 ''; do
		refused "a descriptor '$value'" "flock: $fd_text: '$value'" "$value"
	done
	refused "a descriptor beyond all" "flock: $fd_text: '99999999999': Numerical result out of range" 99999999999
	if [ $who = theirs ] && ! has --fd 9; then
		skip "$who: 64: a negative descriptor" "up to 2.42 it was one that is not open: 65"
	else
		refused "a negative descriptor" "flock: $fd_text: '-1': Numerical result out of range" -- -1
	fi
}

descriptors() {
	is 65 "65: a descriptor that is not open" 77
	wrote 'flock: 77: Bad file descriptor' "and says so"
	is 0 "two operands are a file and a command, even if it is a number" 77 true
	check "$who: that was made" test -f 77
	status_is 0 "$who: a descriptor is locked, and stays so" sh -c "exec 9>>L; '$flock' 9 && ! '$flock' -n L true"
	status_is 0 "$who: and is free when it is closed" "$flock" -n L true
	status_is 0 "$who: of whatever mode" sh -c "'$flock' 9 9<L && '$flock' 9 9>>L && '$flock' 9 9<>L"
	status_is 0 "$who: blanks before the number" sh -c "'$flock' ' 9' 9<L"
	status_is 0 "$who: -u unlocks it" sh -c "exec 9>>L; '$flock' 9; '$flock' -u 9; '$flock' -n L true"
	status_is 0 "$who: for all who share it" sh -c "exec 9>>L; '$flock' 9; ( '$flock' -u 9 ); '$flock' -n L true"
	status_is 0 "$who: exclusive becomes shared" sh -c "exec 9>>L; '$flock' 9; '$flock' -s 9; '$flock' -ns L true && ! '$flock' -n L true"
	status_is 0 "$who: a pipe can be locked" sh -c "true | '$flock' 0"
	status_is 0 "$who: a device can" sh -c "'$flock' 0 </dev/null"
	status_is 0 "$who: a file that was removed can" sh -c "exec 9>gone; rm gone; '$flock' 9"
	is 0 "FD with -c behind it is a file" 9 -c true
	hold
	status_is 1 "$who: 1: a descriptor of a file that is locked" sh -c "'$flock' -n 9 9<L"
	let_go
	if has --fd 9; then
		status_is 0 "$who: --fd locks a descriptor" sh -c "exec 9>>L; '$flock' --fd 9 && ! '$flock' -n L true"
		status_is 0 "$who: --fd with a command" sh -c "exec 9>>L; '$flock' --fd=9 sh -c '! \"$flock\" -n L true'"
		status_is 0 "$who: --fd with -c" sh -c "exec 9>>L; '$flock' --fd 9 -c '! \"$flock\" -n L true'"
		status_is 0 "$who: --fd does not run a command that is no file's" sh -c "'$flock' --fd 9 -n test -e L 9<L"
		refused "--fd x" "flock: $fd_text: 'x'" --fd x true
	else
		skip "$who: --fd" "it came after 2.42"
	fi
}

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

# What few systems do. A trace also tells what is asked of the kernel.
faults() {
	if [ -z "$tracing" ]; then
		skip "$who: faults injected into system calls" "no strace, or a build that it would disturb"
		return
	fi
	inject 0 "the open" open,openat:delay_exit=1 L true
	check "$who: O_RDONLY, O_NOCTTY, O_CREAT, 0666, and nothing else" \
		grep -qE '"L", O_RDONLY\|O_CREAT\|O_NOCTTY(\|O_LARGEFILE)?, 0666\)' trace
	for fault in EROFS:73:'Read-only file system' ENOSPC:73:'No space left on device' EMFILE:71:'Too many open files' \
		ENFILE:71:'Too many open files in system' ENOMEM:71:'Cannot allocate memory' EACCES:66:'Permission denied'; do
		code=${fault#*:}
		inject "${code%%:*}" "${code%%:*}: ${fault%%:*} when it is opened" "open,openat:error=${fault%%:*}" L true
		case $fault in ENFILE*) continue ;; esac
		wrote "flock: cannot open lock file L: ${fault##*:}" "and says so"
	done
	for error in EIO EBADF; do
		inject 0 "$error: an NFS server wants a file that can be written" "flock:error=$error:when=1" L true
		strace -qq -o trace -P L -e trace=open,openat,flock -e "inject=flock:error=$error:when=1" "$flock" L true 2>/dev/null
		check "$who: it gets it" test "$(sed -n 's/.*\(O_RD[A-Z]*\|LOCK_EX\).*/\1/p' trace | tr '\n' ' ')" = \
			"O_RDONLY LOCK_EX O_RDWR LOCK_EX "
		inject 0 "$error: for -u too" "flock:error=$error:when=1" -u L true
		inject 65 "65: $error once more" "flock:error=$error" L true
		inject 65 "65: $error, shared" "flock:error=$error" -s L true
		status_is 65 "65: $error of a descriptor" strace -qq -o trace -e trace=flock \
			-e "inject=flock:error=$error" sh -c "exec '$flock' 9 9<L"
	done
	wrote 'flock: 9: Bad file descriptor' "and says so"
	inject 65 "65: EIO, shared" flock:error=EIO -s L true
	wrote 'flock: L: Input/output error' "and says so"
	inject 71 "71: out of locks" flock:error=ENOLCK L true
	wrote 'flock: L: No locks available' "and says so"
	inject 71 "71: out of memory" flock:error=ENOMEM L true
	inject 65 "65: another error" flock:error=EINVAL L true
	wrote 'flock: L: Invalid argument' "and says so"
	if has --fcntl; then
		inject 1 "1: EACCES is busy too" flock:error=EACCES --verbose L true
		wrote 'flock: failed to get lock' "and is said to be"
	else
		skip "$who: 1: EACCES is busy too" "since 2.41"
	fi
	inject 1 "1: EAGAIN is, though it was to wait" flock:error=EAGAIN --verbose L true
	inject 0 "EINTR: once more" flock:error=EINTR:when=1 L true
	rm -f ran
	status_is 71 "$who: 71: fork refused" strace -qq -o trace -e trace=fork,vfork,clone,clone3 \
		-e inject=fork,vfork,clone,clone3:error=EAGAIN "$flock" L sh -c ': >ran'
	wrote 'flock: fork failed: Resource temporarily unavailable' "and says so"
	check "$who: and nothing was run" test ! -e ran
	status_is 71 "$who: 71: out of memory for COMMAND" strace -f -qq -o trace -e trace=execve \
		-e inject=execve:error=ENOMEM:when=2+ "$flock" L true
	wrote 'flock: failed to execute true: Cannot allocate memory' "and says so"
}

record_locks() {
	if ! has --fcntl; then
		skip "$who: --fcntl" "it came with 2.41"
		return
	fi
	is 0 "--fcntl" --fcntl L true
	is 0 "--fcntl -s" --fcntl -s L true
	is 0 "--fc is enough" --fc L true
	is 65 "65: --fcntl of a directory, exclusive" --fcntl dir true
	wrote 'flock: dir: Is a directory' "and says so"
	is 0 "shared it can be" --fcntl -s dir true
	status_is 65 "$who: 65: exclusive, and only open for reading" sh -c "'$flock' --fcntl 9 9<L"
	wrote 'flock: 9: Bad file descriptor' "and says so"
	status_is 65 "$who: 65: shared, and only open for writing" sh -c "'$flock' --fcntl -s 9 9>L"
	status_is 0 "$who: open for it" sh -c "'$flock' --fcntl 9 9>L && '$flock' --fcntl -s 9 9<L"
	hold
	is 0 "a lock of flock(2) does not mind" --fcntl -n L true
	let_go
	hold --fcntl
	is 0 "nor does it mind this" -n L true
	is 1 "--fcntl minds" --fcntl -n L true
	is 1 "-w bounds it" --fcntl -w 0.05 --verbose L true
	wrote 'flock: timeout while waiting to get lock' "and says so"
	status_is 75 "$who: so do fcntl(2) locks of a process" lockrun -n fcntl:L true
	let_go
	status_is 0 "$who: -u" sh -c "exec 9>>L; '$flock' --fcntl 9; '$flock' --fcntl -u 9; '$flock' --fcntl -n L true"
	if ! has --start 1; then
		skip "$who: --start" "it came with 2.42"
		return
	fi
	hold --start 10 --length 0x5
	is 1 "--start and --length: these bytes" --start 14 --length 1 -n L true
	is 0 "not those before" --length 10 -n L true
	is 0 "nor those behind" --start 15 -n L true
	let_go
	hold --start 1K --length 1KiB
	is 0 "1K is 1024" --length 1024 -n L true
	is 1 "1KiB too" --start 2047 --length 1 -n L true
	is 0 "and no more" --start 2048 -n L true
	is 1 "1KB is 1000" --start 1KB --length 25 -n L true
	is 1 "0.5M is 524288, which is far enough" --length 0.5M -n L true
	let_go
	hold --start 4096
	is 1 "to the end without --length" --start 1T --length 1 -n L true
	let_go
	for value in -1 x '' 1X 1.5 0.5.5K 1Ki; do
		is 64 "64: --start '$value'" --start "$value" L true
		is 64 "64: --length '$value'" --length "$value" L true
	done
	is 64 "64: --length beyond 64 bits" --length 16E L true
	is 65 "65: a range that ends too late" --start 8191P --length 8191P L true
}

# By its bare name, with which theirs begins messages about options.
flock=flock path=$PATH
mkdir bin
for who in ours theirs; do
	if [ $who = theirs ] && [ -z "$peer" ]; then
		skip "the same of theirs" "no flock of util-linux here"
		continue
	fi
	[ $who = ours ] || { ln -s "$peer" bin/flock && PATH=$scratch/bin:$path; }
	mkdir $who
	cd $who || exit 1
	ln ../go go
	options
	values
	descriptors
	files
	conflicts
	command_is_run
	verbose
	faults
	record_locks
	cd ..
done

# --- of ours alone ---

cd ours || exit 1
who=ours PATH=$path
hold
status_is 1 "-w is kept with every signal blocked" timeout -s KILL 50 perl -e '
	use POSIX;
	sigprocmask(SIG_BLOCK, POSIX::SigSet->new(1 .. 31)) or die;
	exec @ARGV' flock -w 0.05 L true
let_go
status_is 65 "a descriptor that was closed is not open" sh -c 'flock 0 <&-'
says 'flock: 0: Bad file descriptor' "whatever fills its place"
status_is 0 "the lock file does not become standard output" sh -c 'flock --verbose L echo hi >&-; test ! -s L'
status_is 0 "as an applet" syncbox flock L true
status_is 64 "control characters do no harm to a terminal" flock -w "$(printf '\033[2J')" L true
says "flock: invalid timeout: '*e\[2J'" "they are escaped"
printf 'x' >latin && name=$(printf 'Stra\303\237e') && mkdir "$name"
status_is 66 "other letters stay what they are" flock "$name/no/such" true
says "flock: cannot open lock file $name/no/such: No such file or directory" "in a message"
cd ..
done_testing
