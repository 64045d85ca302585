#!/bin/sh
# SPDX-License-Identifier: MIT
# Random command lines in short, always the same; and that what is wrong is seen. tests/storm/run-argv has many more.
# shellcheck disable=SC2317 # functions are called through check
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

check "the program that makes and judges them compiles" "$TOP/tests/storm/build" bin argv
mkdir w
(cd w && "$scratch/bin/argv-storm" -n 1 -s 1 "$BUILD/bin" "$TOP/man" >/dev/null)
if [ $? -eq 77 ]; then
	skip "random command lines" "no namespaces of their own can be had here"
	done_testing
fi

lines() { # NUMBER BIN OPTION...
	number=$1 bin=$2
	shift 2
	rm -rf w && mkdir w
	(cd w && "$scratch/bin/argv-storm" -n "$number" -s 1 "$@" "$bin" "$TOP/man")
}
vectors=300
[ -z "${SANITIZE-}" ] || vectors=100 # such an applet is slow
check "$vectors random command lines: no signal, no unknown status, nothing made by 64" lines $vectors "$BUILD/bin"
printf '%s\n' "$out" | sed 's/^/# /'

# An applet that is wrong, in the place of sempost; its only option is a real one's.
wrong() { # CLAIM SEEN-AS SCRIPT [MILLISECONDS...]
	rm -rf fake && mkdir fake
	printf '#!/bin/sh\nprintf "sempost\\t-n\\t--nonblock\\t-\\tX\\n"\n' >fake/syncbox
	printf '#!/bin/sh\nexec 3>&1\n%s\n' "$3" >fake/sempost
	chmod +x fake/syncbox fake/sempost
	err=''
	# As a rule it has all the time that it needs; but one that shall be stopped is not waited for, and may just have begun.
	for ms in ${4-60000}; do
		out=$(lines 1 "$scratch/fake" -p "$ms" -w 200 2>&1)
		case $out in
		*"$2"*) break ;;
		esac
	done
	case $out in
	*"$2"*) report 0 "$1 is seen" ;;
	*) report 1 "$1 is seen" ;;
	esac
}
wrong "death by a signal" "KILLED BY A SIGNAL" 'kill -SEGV $$'
wrong "a status that no manual has" "A STATUS THAT" 'exit 42'
wrong "a 64 that says nothing" "64 WITHOUT A WORD" 'exit 64'
wrong "a 64 that makes a file" "64, AND SOMETHING" 'echo "x
Try \`sempost" >&2; : >made.$$; exit 64'
wrong "an escape sequence" "CONTROL CHARACTERS" 'printf "\\033[31m" >&2; exit 65'
wrong "a process that is left" "LEAVES A PROCESS" '/bin/sleep 100 >&- 2>&- & exit 0 # ok: it has to last'
wrong "one that does not end" "DOES NOT END" 'trap "" TERM; while :; do /bin/sleep 1; done # ok: it has to last' '300 1000 4000 16000'
rm -rf w fake
done_testing
