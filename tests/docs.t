#!/bin/sh
# SPDX-License-Identifier: MIT
# Options = manual = --help = completions, and exit statuses = manual: both ways, without exceptions.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
tab=$(printf '\t')
syncbox --dump-options >dump || exit 1

# The lines of section $2 of page $1.
section() { sed -n "/^# $2\$/,/^# /p" "$TOP/man/$1.scd" | sed 's/\\\([*_\\-]\)/\1/g'; }
# scdoc's *-x*, *--exclusive*=_LOCK_ as -x --exclusive=LOCK
plain() { tr -d '*_' | tr ',' ' '; }

for applet in $(cut -f1 dump | sort -u); do
	page=$applet.1
	check "$applet: has a manual page" test -f "$TOP/man/$page.scd"
	summary=$(sed -n "s/^$applet$tab$tab$tab$tab//p" dump)
	check "$applet: NAME is the summary" \
		sh -c "sed -n '/^# NAME/,/^# SYN/p' '$TOP/man/$page.scd' | grep -qx '$applet - $summary'"

	awk -F "$tab" -v a="$applet" '$1 == a && $3 { o = $2 == "-" ? "" : $2 " "
		print o $3 ($4 == "-" ? "" : "=" $4) }' dump | sort >have
	section "$page" OPTIONS | grep '^\*-' | plain | tr -s ' ' | sort >described
	check "$applet: OPTIONS describes each option, with its argument, and no other" \
		diff have described

	check "$applet: --help works" sh -c "$applet --help >help"
	awk -F "$tab" -v a="$applet" '$1 == a && $3 { print $3 }' dump | sort >long
	grep -oE '(^|[ ,])--[a-z][a-z-]*' help | grep -oE -- '--.*' | sort -u >shown
	check "$applet: --help shows each option, and no other" diff long shown

	"$applet" --help | sed -n 's/^ *\(Usage:\|or:\) *//p' >usage
	# The [OPTION...] that argp puts into every line, and how the page is typeset, do not count.
	sed 's/ \[OPTION\.\.\.\]//; s/ *$//' usage | sort >usage.sorted
	section "$page" SYNOPSIS | grep '^\*' | plain | sed 's/++$//; s/ \[OPTION\.\.\.\]//; s/ \[--json\]//' | sort >synopsis
	check "$applet: SYNOPSIS is the usage" diff usage.sorted synopsis

	section "$page" 'EXIT STATUS' | sed -n 's/^\*\([0-9]*\)\*$/\1/p' | sort -n >documented
	if [ "$applet" = syncbox ]; then
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' "$TOP/cmd/exitcode.h" | sort -n >codes
		check "$applet: EXIT STATUS knows no status that exitcode.h lacks" \
			sh -c 'test -z "$(comm -13 codes documented)"'
	else
		# Statuses that only concern COMMAND, where there is one
		commands='/EXIT_CANNOT_RUN\|EXIT_NOT_FOUND\|EXIT_SIGNAL/d'
		grep -q COMMAND usage && commands=
		sed "$commands" "$TOP/cmd/exitcode.h" >exitcode
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\),.*/\1/p' exitcode | sort -n >codes
		check "$applet: EXIT STATUS lists exitcode.h" diff codes documented
		sed -n 's/.*EXIT_[A-Z_]* = \([0-9]*\), *\/\* \([^;*]*[^;* ]\).*/\1 \2/p' \
			exitcode >meanings
		while read -r code meaning; do
			text=$(section "$page" 'EXIT STATUS' | grep -A1 "^\*$code\*\$" | tail -n 1 | plain | tr ';:' '  ')
			case $text in
			*"$(echo "$meaning" | tr ',;:' '   ')"*) report 0 "$applet: $code means the same in both" ;;
			*) err="manual: $text; exitcode.h: $meaning" report 1 "$applet: $code means the same in both" ;;
			esac
		done <meanings
	fi
	check "$applet: says what happens if it is killed" grep -q '^# WHAT IF IT IS KILLED' "$TOP/man/$page.scd"
	check "$applet: is named in syncbox(1) and the README" \
		grep -q "$applet" "$TOP/man/syncbox.1.scd" "$TOP/README.md"

	for file in syncbox.bash _syncbox syncbox.fish; do
		check "$applet: $file has every long option" sh -c "
			for o in \$(cat long); do grep -qe \"\${o#--}\" '$TOP/completions/$file' || { echo \$o; exit 1; }; done"
	done
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
