#!/bin/sh
# SPDX-License-Identifier: MIT
# syncbox: the multicall binary itself.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

status_is 0 "--list" syncbox --list
status_is 0 "--help" syncbox --help
status_is 0 "--usage" syncbox --usage
status_is 0 "--version" syncbox --version
status_is 0 "--dump-options" syncbox --dump-options
status_is 64 "64: no operands" syncbox
status_is 64 "64: an unknown option" syncbox --no-such-option
status_is 127 "127: no such applet" syncbox no-such-applet
says "syncbox: no applet 'no-such-applet': see syncbox --list" "and where to look"
status_is 66 "66: --install into a missing directory" syncbox --install=missing
status_is 74 "74: standard output is full" sh -c 'syncbox --list >/dev/full'
status_is 74 "74: standard output is closed" sh -c 'syncbox --list >&-'

check "an applet by its name as first argument" test "$(syncbox lockrun L echo x)" = x
ln -s "$BUILD/bin/syncbox" lockrun
check "an applet by a link" test "$(./lockrun L echo x)" = x
status_is 64 "messages bear the applet's name, not the path" ./lockrun --bad
says "lockrun: unrecognized option*" "of the link"
status_is 64 "and not syncbox's" syncbox lockrun --bad
says "lockrun: unrecognized option*" "of the argument"
ln -s "$BUILD/bin/syncbox" other
status_is 0 "a link of another name is syncbox" ./other --list
status_is 64 "no argv[0] at all is syncbox" perl -e 'exec { "$ENV{BUILD}/bin/syncbox" } ""'
# 233 303 is U+009B, with which terminals begin a command, too; 303 244 is a letter.
bad=$(printf 'x\033[31m\302\233\303\244')
status_is 64 "a wrong word with control characters" lockrun "-E$bad" L true
says "*'x?[[]31m??$(printf '\303\244')'*" "is told without them, but with letters"
status_is 64 "so is a wrong option" lockrun "--$bad" L true
says "*'--x?[[]31m*" "which the libc tells"

# --- no memory, from the first allocation on: that is for the options ---

actions() { sed -n 's/^ACTION(\(.*\))/'"$1"' \1/p' "$TOP/cmd/$1/actions.def"; }
if [ -n "${SANITIZE-}" ]; then
	skip "no memory" "the sanitizers' allocations do not fail"
else
	for applet in $(sed -n 's/^APPLET(\(.*\))/\1/p' "$TOP/cmd/applets.def"); do
		[ "$applet" = flock ] || if [ -e "$TOP/cmd/$applet/actions.def" ]; then actions "$applet"; else echo "$applet"; fi
	done >commands
	while read -r applet action; do
		status_is 71 "71: no memory for the options of $applet $action" \
			env FAULT_ALLOC=1+ "$BUILD/starved/syncbox" "$applet" ${action:+"$action"} x
		says "$applet${action:+ $action}: cannot read the options: *" "it says so"
	done <commands
fi
done_testing
