#!/bin/sh
# SPDX-License-Identifier: MIT
# The house keeps its layers: who may include what, who may call what, and what each file must have.
# LAYERS_TREE is for the test of this test: another tree to look at.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "${LAYERS_TREE:-$TOP}" || exit 1

# none PATTERN CLAIM FILE...: no line of the files matches; those that do are shown.
none() {
	pattern=$1 claim=$2
	shift 2
	out=$(grep -nHE "$pattern" "$@" /dev/null)
	err=''
	[ -z "$out" ]
	report $? "$claim"
}
others() { # GLOB-LIST minus FILE
	minus=$1
	shift
	for f; do [ "$f" = "$minus" ] || echo "$f"; done
}

ipc='<(semaphore|mqueue|sys/(sem|msg|shm|file|eventfd|ipc))\.h>'
backends=$(sed -n 's/^\([A-Z]*\)_BACKEND(\(.*\))/\1_\2/p' libsync/backends.def | tr '[:upper:]' '[:lower:]')
fronts='libsync/name.c libsync/deadline.c'
for object in lock sem event queue; do
	[ ! -e libsync/$object.c ] || fronts="$fronts libsync/$object.c"
done

# shellcheck disable=SC2046,SC2086 # lists of files
{
	none "#include $ipc" "no applet includes kernel IPC headers" $(ls cmd/*.[ch])
	none '#include "(internal|lock_record)\.h"' "cmd sees libsync.h alone" $(ls cmd/*.[ch])
	none '#include <(signal|spawn|sys/wait|sys/signalfd)\.h>' "only child.c knows of signals and processes" \
		$(others cmd/child.c $(ls cmd/*.[ch]))
	none '\b(v?fork|posix_spawnp?|sigprocmask|sigaction|pthread_sigmask|kill|waitpid|execv[a-z]*)\(' \
		"only child.c starts, signals and reaps" $(others cmd/child.c $(ls cmd/*.c))
	none '\b(stderr|STDERR_FILENO|perror\()' "only say.c writes to stderr" $(others cmd/say.c $(ls cmd/*.c))
	none "#include ($ipc|<(stdio|argp)\.h>)" "fronts know no kernel IPC, stdio or argp" $fronts
	none '#include "(applet|common|say|parse|child)\.h"|#include <argp\.h>' "libsync knows nothing of cmd" $(ls libsync/*.[ch])
	none '\b(u|nano|clock_nano)?sleep\(' "nothing sleeps" $(ls cmd/*.c libsync/*.c)
	none '\b(strtol|strtoul|atoi|strtod|atof)\(' "option values go through parse.c" $(ls cmd/*.c)
	none '== *&?sync_lock_(flock|ofd|fcntl)|"(flock|ofd|fcntl)"' "no applet asks for a backend's name" \
		$(ls cmd/*.c)
}
for b in $backends; do
	check "$b is a file of its own" test -f "libsync/$b.c"
	for other in $backends; do
		[ "$other" = "$b" ] || none "#include \"$other" "$b does not include $other" "libsync/$b.c"
	done
done
for f in libsync/lock_*.c; do
	name=$(basename "$f" .c)
	check "$name is in backends.def" sh -c "echo '$backends' | grep -qx '$name'"
done

for applet in $(sed -n 's/^APPLET(\(.*\))/\1/p' cmd/applets.def); do
	check "$applet: one file" test -f "cmd/$applet.c" -o -d "cmd/$applet"
	check "$applet: a manual page" test -f "man/$applet.1.scd"
	check "$applet: a test" test -x "tests/$applet.t"
done

missing=''
for f in cmd/*.[ch] libsync/*.[ch] tests/*.sh tests/*.t tests/*/*.[ch] man/*.scd Makefile config.mk completions/*.sh build-aux/* .ci/run; do
	[ -f "$f" ] || continue
	head -n 5 "$f" | grep -q 'SPDX-License-Identifier: MIT' || missing="$missing $f"
done
err=$missing
[ -z "$missing" ]
report $? "every source file names its licence"
silent=''
for f in cmd/*.[ch] libsync/*.[ch] tests/*/*.[ch]; do
	[ -f "$f" ] || continue
	sed -n '2,3p' "$f" | grep -qE '^(/\*| \*) ?[A-Za-z0-9]|^/\*$' || silent="$silent $f"
done
err=$silent
[ -z "$silent" ]
report $? "and says in its first lines what it is for"

long=''
for f in cmd/*.c libsync/*.c; do
	long=$long$(awk '/^[a-zA-Z].*\)$|^\{/ { start = NR } /^\}/ { if (NR - start > 80) print " " FILENAME ":" start }' "$f")
done
err=$long
[ -z "$long" ]
report $? "no function is over 80 lines"

# Each of these checks can fail: plant a fault in a copy, and look again.
planted() { # CLAIM FILE LINE
	rm -rf "$scratch/tree"
	mkdir "$scratch/tree"
	cp -R cmd libsync man tests completions build-aux Makefile config.mk "$scratch/tree"
	echo "$3" >>"$scratch/tree/$2"
	LAYERS_TREE=$scratch/tree "$0" >"$scratch/planted" 2>&1
	grep -q "^not ok .* - $1\$" "$scratch/planted"
	report $? "a planted fault is seen: $1"
}
if [ -z "${LAYERS_TREE-}" ]; then
	planted "no applet includes kernel IPC headers" cmd/lockrun.c '#include <sys/file.h>'
	planted "cmd sees libsync.h alone" cmd/lockset.c '#include "internal.h"'
	planted "only child.c knows of signals and processes" cmd/main.c '#include <signal.h>'
	planted "only child.c starts, signals and reaps" cmd/held.c 'int f(void) { return vfork(); }'
	planted "only say.c writes to stderr" cmd/parse.c 'void f(void) { fputs("x", stderr); }'
	planted "fronts know no kernel IPC, stdio or argp" libsync/lock.c '#include <sys/file.h>'
	planted "libsync knows nothing of cmd" libsync/proc.c '#include "say.h"'
	planted "nothing sleeps" libsync/lock.c 'void f(void) { usleep(10); }'
	planted "no applet asks for a backend's name" cmd/lockset.c 'int f(const char *s) { return strcmp(s, "flock"); }'
	planted "lock_ofd does not include lock_flock" libsync/lock_ofd.c '#include "lock_flock.c"'
	planted "extra: a manual page" cmd/applets.def 'APPLET(extra)'
fi
done_testing
