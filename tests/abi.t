#!/bin/sh
# SPDX-License-Identifier: MIT
# libsync as C programs see it: symbols, header, linking, and what it must never call.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${STATIC-}" ]; then
	skip "libsync.so" "the static build has none"
	done_testing
fi
so=$BUILD/lib/libsync.so.1
nm -D --defined-only "$so" | sed 's/@.*//' | awk '$2 != "A" { print $3 }' | sort >exported
sed -n 's/^\t\(sync_[a-z0-9_]*\);/\1/p' "$TOP/libsync/libsync.map" | sort >mapped
# sync_lock_mode is a function and sync_mode a type: take functions by their parenthesis.
echo '#include <libsync.h>' >all.c
${CC:-cc} -E -P -I"$TOP/libsync" all.c | tr '\n' ' ' >all.i
{ grep -oE '\bsync_[a-z0-9_]+ *\(' all.i | tr -d ' (' && echo sync_now; } | sort -u >declared
check "the symbols of libsync.so are those of libsync.map" diff exported mapped
check "which are those that libsync.h declares" diff declared mapped
check "and there are some" test "$(wc -l <mapped)" -gt 10
check "the soname" sh -c "readelf -d '$so' | grep -q 'SONAME.*\\[libsync.so.1\\]'"
check "libsync.so is a link to it" test "$(readlink "$BUILD/lib/libsync.so")" = libsync.so.1

cat >user.c <<'C'
#include <libsync.h>
#include <stdlib.h>
int main(void)
{
	struct sync_lock *lock;
	struct timespec deadline;
	sync_deadline_in(1000000000, &deadline);
	if (sync_lock_open("L", 0, SYNC_NOW, &lock))
		return 1;
	if (sync_lock_acquire(lock, SYNC_EXCLUSIVE, &deadline))
		return 2;
	if (system("lockrun -n L true") != 75 << 8)
		return 3;
	sync_lock_close(lock);
	return system("lockrun -n L true") ? 4 : 0;
}
C
flags="-I$TOP/libsync ${SANITIZE:+-fsanitize=$SANITIZE}"
# shellcheck disable=SC2086 # flags are words
{
	check "the header stands alone, as C11" \
		${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wundef -Werror -pedantic $flags -c user.c
	if ! command -v c++ >/dev/null; then
		skip "and as C++" "no c++ here"
	else
		check "and as C++" c++ -x c++ -Wall -Wextra -Werror -pedantic -I"$TOP/libsync" -c user.c -o user++.o
		if [ -n "${SANITIZE-}" ]; then
			skip "a C++ program links" "the sanitizers of two compilers may differ"
		else
			check "a C++ program links" c++ user++.o "$BUILD/lib/libsync.a" -lpthread -o user++
			check "and takes a lock" ./user++
		fi
	fi
	check "a program links with the shared library" ${CC:-cc} $flags user.c -L"$BUILD/lib" -lsync -o shared
	check "and takes a lock" env LD_LIBRARY_PATH="$BUILD/lib" ./shared
	check "a program links with the static library" ${CC:-cc} $flags user.c "$BUILD/lib/libsync.a" -lpthread -o static
	check "and takes a lock" ./static
}
check "the library prints nothing, never exits, reads no environment, sets no locale" sh -c \
	"! nm -u '$BUILD/lib/libsync.a' | grep -wE 'v?printf|v?fprintf|v?dprintf|f?puts|f?putc|putchar|fwrite|perror|psignal|v?syslog|stdout|stderr|exit|_exit|_Exit|quick_exit|abort|getenv|secure_getenv|setenv|setlocale|__v?[fd]?printf_chk' | grep -v '^ *U __asan'"
check "nor does it sleep or poll" sh -c "! nm -u '$BUILD/lib/libsync.a' | grep -wE 'sleep|usleep|nanosleep|clock_nanosleep|poll|select'"
done_testing
