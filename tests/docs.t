#!/bin/sh
# SPDX-License-Identifier: MIT
# Options = manual = --help = completions, and exit statuses = manual: both ways, without exceptions.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
tab=$(printf '\t')
syncbox --dump-options >dump || exit 1

# The lines of section $2 of page $1.
section() { sed -n "/^# $2\$/,/^# /p" "$TOP/man/$1.scd" 2>/dev/null | sed 's/\\\([*_\\-]\)/\1/g'; }
# scdoc's *-x*, *--exclusive*=_LOCK_ as -x --exclusive=LOCK
plain() { tr -d '*_' | tr ',' ' '; }
names() { awk -F "$tab" '!$3 { print $1 }' dump; }
summary() { sed -n "s/^$1$tab$tab$tab$tab//p" dump; }

# An applet may have actions: their names in the dump hold a blank, "mqpipe send". They have no page
# of their own; these are the rules for the page of the applet, man/mqpipe.1.scd:
#
# 1. SYNOPSIS has the usage lines of the applet and of each action, all of them and no others, each a
#    line that begins with * (typeset and ended with ++ as in any page).
# 2. DESCRIPTION lists the actions in the order of --help; each is two lines, the second indented by a
#    tab, and the summary is alone on it (more may follow below):
#	*mqpipe send*
#		put messages into a queue
# 3. OPTIONS may have subsections. "## HEADING: send, recv" is about these actions, those behind the
#    last colon; what is below a heading without a colon, or above all headings, is about every action
#    and the applet itself. Each option of an action is described exactly once for it, by a line such
#    as *-N*, *--count*=_N_, or *--progress*[=_WHEN_] if the argument may be missing; and no other is.
# 4. All else, such as NAME, EXIT STATUS and WHAT IF IT IS KILLED, is there once, as in any page.

# The options that page $1 describes for action $2, or for the applet itself if that is empty
described() {
	section "$1" OPTIONS | awk -v action="$2" '
	BEGIN { here = 1 }
	/^## / {
		here = !sub(/.*: */, "")
		for (n = split($0, list, /, */); n; n--) if (list[n] == action) here = 1
	}
	here && /^\*-/' | plain | tr -s ' '
}
# The actions that are named in the headings below OPTIONS
headings() { section "$1" OPTIONS | sed -n 's/^## .*: *//p' | tr ',' '\n' | tr -d ' '; }

# What is checked of everything that has options: an applet, or an action of one
check_options() { # NAME
	awk -F "$tab" -v name="$1" '$1 == name && $3 {
		argument = $4 == "-" ? "" : "=" $4
		sub(/^=\[/, "[=", argument)
		print ($2 == "-" ? "" : $2 " ") $3 argument }' dump | sort >have
	action=${1#"$applet"}
	described "$page" "${action# }" | sort >described
	check "$1: OPTIONS describes each option, with its argument, and no other" \
		diff have described

	check "$1: --help works" sh -c "$1 --help >help"
	awk -F "$tab" -v name="$1" '$1 == name && $3 { print $3 }' dump | sort >long
	sed -En 's/^  (-., |    )(--[a-z][a-z-]*).*/\2/p' help | sort >shown
	check "$1: --help shows each option, and no other" diff long shown
	# The [OPTION...] that argp puts into every line does not count.
	sed -n 's/^ *\(Usage:\|or:\) *//p' help | sed 's/ \[OPTION\.\.\.\]//; s/ *$//' >>usage

	for file in syncbox.bash _syncbox syncbox.fish; do
		check "$1: $file has every long option" sh -c "
			for o in \$(cat long); do grep -qe \"\${o#--}\" '$TOP/completions/$file' || { echo \$o; exit 1; }; done"
	done
}

for applet in $(names | grep -v ' '); do
	page=$applet.1
	check "$applet: has a manual page" test -f "$TOP/man/$page.scd"
	check "$applet: NAME is the summary" \
		sh -c "sed -n '/^# NAME/,/^# SYN/p' '$TOP/man/$page.scd' | grep -qx '$applet - $(summary "$applet")'"

	names | sed -n "s/^$applet //p" >actions
	: >usage
	check_options "$applet"
	while IFS= read -r action; do
		check_options "$applet $action"
	done <actions
	if [ -s actions ]; then
		while IFS= read -r action; do
			printf '*%s*\n\t%s\n' "$applet $action" "$(summary "$applet $action")"
		done <actions >list
		section "$page" DESCRIPTION | grep -A1 "^\*$applet [a-z]*\*\$" | sed '/^--$/d' >listed
		check "$applet: DESCRIPTION lists its actions, *$applet ACTION*, and in the line below a tab and the summary" \
			diff list listed
		headings "$page" | grep -vxFf actions >others
		check "$applet: the headings below OPTIONS name no other actions" diff others /dev/null
	fi

	sort usage >usage.sorted
	# Nor does how the page is typeset.
	section "$page" SYNOPSIS | grep '^\*' | plain | sed 's/++$//; s/ \[OPTION\.\.\.\]//; s/ \[--json\]//' | sort >synopsis
	check "$applet: SYNOPSIS is the usage" diff usage.sorted synopsis

	section "$page" 'EXIT STATUS' | sed -n 's/^\*\([0-9]*\)\*$/\1/p' | sort -n >documented
	if [ "$applet" = syncbox ]; then
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' "$TOP/cmd/exitcode.h" | sort -n >codes
		check "$applet: EXIT STATUS knows no status that exitcode.h lacks" \
			sh -c 'test -z "$(comm -13 codes documented)"'
	else
		# What stands in for another command has the statuses of that one.
		header=exitcode.h
		[ ! -e "$TOP/cmd/${applet}code.h" ] || header=${applet}code.h
		# Statuses that only concern COMMAND, where there is one
		commands='/EXIT_CANNOT_RUN\|EXIT_NOT_FOUND\|EXIT_SIGNAL/d'
		grep -q COMMAND usage && commands=
		grep -qe --max-run described || commands="$commands;/EXIT_TIMED_OUT/d"
		sed "$commands" "$TOP/cmd/$header" >exitcode
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' exitcode | sort -n >codes
		check "$applet: EXIT STATUS lists $header" diff codes documented
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\), *\/\* \([^;*]*[^;* ]\).*/\1 \2/p' \
			exitcode >meanings
		while read -r code meaning; do
			text=$(section "$page" 'EXIT STATUS' | grep -A1 "^\*$code\*\$" | tail -n 1 | plain | tr ';:' '  ')
			case $text in
			*"$(echo "$meaning" | tr ',;:' '   ')"*) report 0 "$applet: $code means the same in both" ;;
			*) err="manual: $text; $header: $meaning" report 1 "$applet: $code means the same in both" ;;
			esac
		done <meanings
	fi
	check "$applet: says what happens if it is killed" grep -q '^# WHAT IF IT IS KILLED' "$TOP/man/$page.scd"
	check "$applet: is named in syncbox(1) and the README" \
		grep -q "$applet" "$TOP/man/syncbox.1.scd" "$TOP/README.md"
	case $applet in syncbox) ;; *) [ -e "$TOP/tests/$applet.t" ] || missing="${missing-} $applet" ;; esac
done
check "every applet has a test of its name" test -z "${missing-}"
check "applets.def is sorted" sh -c "grep '^APPLET' '$TOP/cmd/applets.def' | sort -c"
check "the applets are those of --list" \
	sh -c "syncbox --list >list && sed -n 's/^APPLET(\(.*\))/\1/p' '$TOP/cmd/applets.def' | diff - list"

# The library: every function and backend has its place in the manual.
for f in $(sed -n 's/^\tsync_/sync_/p' "$TOP/libsync/libsync.map" | tr -d ';'); do
	[ "$f" = sync_now ] && f=SYNC_NOW
	grep -q "\*$f\*" "$TOP/man/libsync.3.scd" || undocumented="${undocumented-} $f"
done
check "libsync(3) names every exported symbol:${undocumented-}" test -z "${undocumented-}"
for b in $(sed -n 's/^[A-Z]*_BACKEND(\(.*\))/\1/p' "$TOP/libsync/backends.def"); do
	check "sync-backends(7) describes $b" grep -q "^\*$b:\*_" "$TOP/man/sync-backends.7.scd"
done
for page in "$TOP"/man/*.scd; do
	name=$(basename "$page" .scd)
	if [ -n "${STATIC-}" ] || ! command -v man >/dev/null; then
		skip "$name: no warnings from man" "no man, or no pages in this build"
		continue
	fi
	check "$name: no warnings from man" sh -c "test -z \"\$(man --warnings -l '$BUILD/man/$name' 2>&1 >/dev/null)\""
done
done_testing
