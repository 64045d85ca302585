#!/bin/sh
# SPDX-License-Identifier: MIT
# The house keeps its layers: who may include what, who may call what, and what each file must have.
# LAYERS_TREE is for the test of this test: another tree to look at.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "${LAYERS_TREE:-$TOP}" || exit 1

# --- the source as two lists of lines, to be searched ---

# FILE HEADER for each #include, the header with its quotes or brackets
list_includes() {
	for f; do
		sed -n 's/^[[:blank:]]*#[[:blank:]]*include[[:blank:]]*\(.*\)$/\1/p' "$f" |
			sed "s/^\\([<\"][^>\"]*[>\"]\\).*/\\1/; s|^|$f |"
	done
}

# FILE:LINE:TEXT, without comments and what is between quotes: what is left is code
list_code() {
	awk '
	FNR == 1 { comment = 0 }
	!comment && !/["\047\/]/ {
		if (/[^ \t]/) print FILENAME ":" FNR ":" $0
		next
	}
	{
		text = quote = ""
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1)
			pair = substr($0, i, 2)
			if (comment) {
				if (pair == "*/") { comment = 0; i++ }
			} else if (quote != "") {
				if (c == "\\") i++
				else if (c == quote) { text = text c; quote = "" }
			} else if (pair == "//") break
			else if (pair == "/*") { comment = 1; i++ }
			else {
				if (c == "\"" || c == "\047") quote = c
				text = text c
			}
		}
		if (text ~ /[^ \t]/) print FILENAME ":" FNR ":" text
	}' "$@"
}

sources=$(find cmd libsync -name '*.[ch]' | LC_ALL=C sort)
# shellcheck disable=SC2086 # a list of files
list_includes $sources >"$scratch/includes"
# shellcheck disable=SC2086
list_code $sources >"$scratch/code"

# never CLAIM LIST PATTERN FILES [EXCEPT]: no line of LIST matches, in these files but not in those.
never() {
	out=$(grep -E "^($4)[ :]" "$scratch/$2" | grep -vE "^(${5:-none})([ :]|\$)" | grep -E "$3")
	err=''
	[ -z "$out" ]
	report $? "$1"
}
# Each of WORD|WORD... as a whole word, and as a call
word() { echo "[^A-Za-z0-9_]($1)([^A-Za-z0-9_]|\$)"; }
call() { echo "[^A-Za-z0-9_]($1)[[:blank:]]*[(]"; }

cmd='cmd/.*' lib='libsync/[^ :]*'
ipc=' <(semaphore|mqueue|sys/(sem|msg|shm|file|eventfd|ipc))[.]h>'
kinds=$(sed -n 's/^\([A-Z]*\)_BACKEND(.*/\1/p' libsync/backends.def | tr '[:upper:]' '[:lower:]' | sort -u)
backends=$(sed -n 's/^\([A-Z]*\)_BACKEND(\(.*\))/\1_\2/p' libsync/backends.def | tr '[:upper:]' '[:lower:]')
alternatives() { echo "$1" | tr '\n' '|' | sed 's/|$//'; }
fronts="libsync/($(alternatives "$kinds")|name|deadline)[.]c"

never "no applet includes kernel IPC headers" includes "$ipc" "$cmd" 'cmd/ipcbench/.*'
# What a quoted #include may name: the headers and lists of the same folder
own() { alternatives "$(find "$1" -name '*.h' -o -name '*.def' | sed 's|.*/||')"; }
never "cmd sees libsync.h alone" includes ' [^<]' "$cmd" "[^ ]* \"($(own cmd)|libsync.h)\""
never "only child.c and its parts know of processes" includes ' <(spawn|sys/wait|sys/pidfd)[.]h>' "$cmd" 'cmd/child([a-z]*[.]c|_parts[.]h)'
never "only child.c and its parts start and reap" code "$(call 'v?fork|_Fork|clone|system|popen|posix_spawnp?|exec[lv][a-z]*|wait[34]?|waitp?id')" \
	"$cmd" 'cmd/child([a-z]*[.]c|_parts[.]h)'
never "only child.c, stop.c and those beside them know of signals" includes ' <(signal|sys/signalfd)[.]h>' "$cmd" 'cmd/(child([a-z]*[.]c|_parts[.]h)|(stop|tree|limit|peer|signame|ipcbench/signal)[.]c)' # the last is a transport that is measured
never "only child.c, stop.c, tree.c and peer.c send and catch them" code "$(call 'signal|sigaction|sigprocmask|pthread_sigmask|sigwait[a-z]*|signalfd|kill|killpg|raise|sigqueue|alarm|setitimer|timer_create|pidfd_send_signal')|SYS_pidfd_send_signal" \
	"$cmd" 'cmd/(child[a-z]*|stop|tree|peer|ipcbench/signal)[.]c'
never "and they know nothing of locks" includes ' "(libsync|lock.*|held|holders)[.]h"' 'cmd/(child[a-z]*|stop|tree|limit|peer)[.]c'
never "only say.c writes to stderr" code "$(word 'stderr|STDERR_FILENO|perror|psignal')" "$cmd|$lib" \
	'cmd/say[.]c'
never "fronts know no kernel IPC, stdio or argp" includes "$ipc| <(stdio|argp)[.]h>" "$fronts"
never "libsync knows nothing of cmd" includes ' [^<]| <argp[.]h>' "$lib" "[^ ]* \"($(own libsync))\""
never "no mutex is shared with other processes, whose death could leave it: kernel locks do not stay" code \
	"$(call 'pthread_mutexattr_set(robust|pshared)')" "$cmd|$lib" 'cmd/ipcbench/[a-z_]+[.]c'
never "nothing sleeps" code "$(call '(u|nano|clock_nano|thrd_)?sleep')" "$cmd|$lib"
never "option values go through parse.c, those of drop-ins through laxnum.c" code "$(call 'strto[a-z]*|ato[a-z]+')" \
	"$cmd" 'cmd/(parse|laxnum)[.]c'
schemes=$(alternatives "$(echo "$backends" | sed 's/[a-z]*_//')")
# But an applet and an option of it bear such names themselves.
out=$(grep -nE "[=(] *&?sync_lock_($schemes)|\"($schemes)\"" cmd/*.c cmd/*/*.c |
	grep -vE '^cmd/flock[.]c:[0-9]*:	([{]"fcntl", OPT_FCNTL,|[.]name = "flock",$)')
err=''
[ -z "$out" ]
report $? "no applet asks for a backend's name"

for kind in $kinds; do
	check "$kind has its front" test -f "libsync/$kind.c"
done
for b in $backends; do
	check "$b is a file of its own" test -f "libsync/$b.c"
	never "nobody includes $b" includes "\"([^\"]*/)?${b}[.]" "$cmd|$lib"
	never "nobody else names $b" code "$(word "sync_$b")" "$cmd|$lib" "libsync/${b}[.]c"
done
for kind in $kinds; do
	for f in libsync/"$kind"_*.c; do
		name=$(basename "$f" .c)
		check "$name is in backends.def" sh -c "echo '$backends' | grep -qx '$name'"
	done
done

applets=$(sed -n 's/^APPLET(\(.*\))/\1/p' cmd/applets.def)
for applet in $applets; do
	check "$applet: one file, or a folder" test -f "cmd/$applet.c" -o -f "cmd/$applet/$applet.c"
	check "$applet: a manual page" test -f "man/$applet.1.scd"
	check "$applet: a test" test -x "tests/$applet.t"
done
for list in cmd/*/actions.def; do
	folder=$(dirname "$list")
	for action in $(sed -n 's/^ACTION(\(.*\))/\1/p' "$list"); do
		check "$(basename "$folder") $action is a file of its own" test -f "$folder/$action.c"
	done
done
check "applets.def is sorted" sh -c "echo '$applets' | LC_ALL=C sort -c"

missing=''
for f in $sources tests/*.sh tests/*.t tests/*/*.[ch] tests/storm/run* tests/bench/run* man/*.scd \
	cmd/*.def cmd/*/*.def libsync/*.def Makefile config.mk completions/*.sh build-aux/* .ci/run; do
	[ -f "$f" ] || continue
	head -n 5 "$f" | grep -q 'SPDX-License-Identifier: MIT' || missing="$missing $f"
done
err=$missing
[ -z "$missing" ]
report $? "every source file names its licence"
silent=''
for f in $sources tests/*/*.[ch]; do
	[ -f "$f" ] || continue
	sed -n '2,3p' "$f" | grep -qE '^(/\*| \*) ?(--)?[A-Za-z0-9]|^/\*$' || silent="$silent $f"
done
for f in tests/*.sh tests/*.t tests/storm/run* tests/bench/run* completions/*.sh build-aux/*; do
	[ -f "$f" ] || continue
	sed -n '2,4p' "$f" | grep -v SPDX | grep -qE '^(#| \*) ?[A-Za-z0-9]' || silent="$silent $f"
done
err=$silent
[ -z "$silent" ]
report $? "and says in its first lines what it is for"

long=''
for f in $sources; do
	case $f in *.h) continue ;; esac
	long=$long$(awk '/^[a-zA-Z].*\)$|^\{/ { start = NR } /^\}/ { if (start && NR - start > 80) print " " FILENAME ":" start; start = 0 }' "$f")
done
err=$long
[ -z "$long" ]
report $? "no function is over 80 lines"

# Each of these checks can fail: plant faults in a copy, look again, and find every one where it is.
plant() { # CLAIM FILE LINE [WORD]: the report of the failure names WORD, or else FILE
	printf '%s\n' "$3" >>"$scratch/tree/$2"
	printf '%s\t%s\n' "$1" "${4-$2}" >>"$scratch/plants"
}
if [ -z "${LAYERS_TREE-}" ]; then
	mkdir "$scratch/tree"
	cp -R cmd libsync man tests completions build-aux Makefile config.mk "$scratch/tree"
	plant "no applet includes kernel IPC headers" cmd/lockrun.c '# include <sys/file.h>'
	plant "cmd sees libsync.h alone" cmd/lockset.c '#include "internal.h"'
	plant "cmd sees libsync.h alone" cmd/held.c '#include "../libsync/libsync.h"'
	plant "only child.c and its parts know of processes" cmd/main.c '#include <sys/wait.h>'
	plant "only child.c and its parts know of processes" cmd/stop.c '#include <spawn.h>'
	plant "only child.c and its parts start and reap" cmd/held.c 'int f(void) { return vfork(); }'
	plant "only child.c and its parts start and reap" cmd/stop.c 'int f(void) { return wait(0); }'
	plant "only child.c, stop.c and those beside them know of signals" cmd/main.c '#include <signal.h>'
	plant "only child.c, stop.c, tree.c and peer.c send and catch them" cmd/json.h 'int f(void) { return kill (1, 1); }'
	plant "only child.c, stop.c, tree.c and peer.c send and catch them" cmd/mqpipe/send.c 'int f(void) { return alarm(1); }'
	plant "only child.c, stop.c, tree.c and peer.c send and catch them" cmd/held.c 'int f(void) { return syscall(SYS_pidfd_send_signal); }'
	plant "and they know nothing of locks" cmd/child.c '#include "libsync.h"'
	plant "and they know nothing of locks" cmd/stop.c '#include "libsync.h"'
	plant "only say.c writes to stderr" cmd/parse.h 'void f(void) { fputs("x", stderr); }'
	plant "only say.c writes to stderr" libsync/proc.c 'void f(void) { perror("x"); }'
	plant "fronts know no kernel IPC, stdio or argp" libsync/lock.c '#include <sys/file.h>'
	plant "libsync knows nothing of cmd" libsync/proc.c '#include "../cmd/say.h"'
	plant "libsync knows nothing of cmd" libsync/name.c '#include "say.h"'
	plant "no mutex is shared with other processes, whose death could leave it: kernel locks do not stay" \
		libsync/proc.c 'int f(void *a) { return pthread_mutexattr_setrobust(a, 1); }'
	plant "nothing sleeps" libsync/lock.c 'void f(void) { usleep(10); }'
	plant "nothing sleeps" cmd/held.c 'void f(void) { clock_nanosleep(0, 0, 0, 0); }'
	plant "option values go through parse.c, those of drop-ins through laxnum.c" cmd/held.c 'int f(const char *s) { return atoi(s); }'
	plant "no applet asks for a backend's name" cmd/lockset.c 'int f(const char *s) { return strcmp(s, "flock"); }'
	plant "no applet asks for a backend's name" cmd/mqpipe/send.c 'int f(const char *s) { return strcmp(s, "sysv"); }'
	plant "nobody includes lock_flock" libsync/lock.c '#include "lock_flock.c"'
	plant "nobody else names lock_flock" libsync/lock_ofd.c 'const void *f = &sync_lock_flock;'
	plant "new has its front" libsync/backends.def 'NEW_BACKEND(extra)' ''
	plant "lock_gone is a file of its own" libsync/backends.def 'LOCK_BACKEND(gone)' ''
	plant "lock_more is in backends.def" libsync/lock_more.c 'int f;' ''
	plant "extra: one file, or a folder" cmd/applets.def 'APPLET(extra)' ''
	plant "mqpipe extra is a file of its own" cmd/mqpipe/actions.def 'ACTION(extra)' ''
	plant "extra: a manual page" cmd/applets.def '' ''
	plant "extra: a test" cmd/applets.def '' ''
	plant "applets.def is sorted" cmd/applets.def '' ''
	plant "every source file names its licence" cmd/bare.c 'int f;'
	plant "every source file names its licence" cmd/mqpipe/bare.def 'ACTION(bare)'
	plant "and says in its first lines what it is for" tests/lib/mute.h '/* SPDX-License-Identifier: MIT */'
	plant "no function is over 80 lines" cmd/held.c "$(
		printf 'int f(void)\n{\n'
		awk 'BEGIN { while (n++ < 90) print "\tf();" }'
		echo '}'
	)"
	LAYERS_TREE=$scratch/tree "$0" >"$scratch/planted" 2>&1
	while IFS="$(printf '\t')" read -r claim word; do
		out='' err=''
		sed -n "/^not ok [0-9]* - $claim\$/,/^\(not \)*ok/p" "$scratch/planted" |
			sed '1!{/ok [0-9]/d;}' | grep -qF "$word"
		report $? "a planted fault is seen: $claim${word:+, in $word}"
	done <"$scratch/plants"
fi
done_testing
