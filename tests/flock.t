#!/bin/sh
# SPDX-License-Identifier: MIT
# flock and flock(1): options in every spelling, their values, descriptors; and what is of ours alone.
# shellcheck source=tests/flock.sh
. "$(dirname "$0")/flock.sh"

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
		status_is 0 "$who: --fd 0 is standard input" sh -c "'$flock' --fd 0 true <L"
		status_is 0 "$who: --fd with a command" sh -c "exec 9>>L; '$flock' --fd=9 sh -c '! \"$flock\" -n L true'"
		status_is 0 "$who: --fd with -c" sh -c "exec 9>>L; '$flock' --fd 9 -c '! \"$flock\" -n L true'"
		status_is 0 "$who: --fd does not run a command that is no file's" sh -c "'$flock' --fd 9 -n test -e L 9<L"
		refused "--fd x" "flock: $fd_text: 'x'" --fd x true
	else
		skip "$who: --fd" "it came after 2.42"
	fi
}

of_each options values descriptors

# --- of ours alone ---

cd ours || exit 1
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
