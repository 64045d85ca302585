#!/bin/sh
# SPDX-License-Identifier: MIT
# make install puts everything where it is looked for; --install makes links and harms nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${STATIC-}" ]; then
	skip "make install" "the static build is not for installation"
	done_testing
fi

# A copy of the tree and of what is built of it, so that the tree needs not be ours to write.
mkdir tree tree/build
for part in Makefile config.mk build-aux cmd libsync man completions; do
	cp -pR "$TOP/$part" tree/
done
for part in argp.mk argp obj pic bin lib man; do
	[ ! -e "$BUILD/$part" ] || cp -pR "$BUILD/$part" tree/build/
done
unset MAKEFLAGS MFLAGS MAKELEVEL
make_it() { make -C tree B=build CC="${CC:-cc}" SANITIZE="${SANITIZE-}" "$@"; }
status_is 0 "make all" make_it all

mkdir tools
ln -s /bin/* /usr/bin/* tools/ 2>/dev/null
rm -f tools/scdoc tree/build/man/lockrun.1
without_scdoc() { env PATH="$scratch/tools" make -C tree B=build CC="${CC:-cc}" SANITIZE="${SANITIZE-}" "$@"; }
status_is 2 "make without scdoc" without_scdoc build/man/lockrun.1
err=$(echo "$err" | grep -v '\*\*\*')
says 'scdoc is missing: apt-get install scdoc (*)' "stops with one line that names the package"
status_is 0 "and with it, goes on" make_it all

# Those that stand in for a command of the system stay away from its name unless asked for.
dropins=$(grep -l '\.drop_in = true' "$TOP"/cmd/*.c | sed 's,.*/,,; s/[.]c$//')
applets=$(syncbox --list | grep -vxF "$dropins")
root=$scratch/root
share=$root/usr/share
files() { find "$1" ! -type d | LC_ALL=C sort; }
sources() { files tree | grep -v '^tree/build/' | xargs cksum; }

: >began
sources >before
umask 077
status_is 0 "make install, after a make for the default PREFIX" \
	make_it install DESTDIR="$root" PREFIX=/usr
umask 022

# Every file: what the sources list, where each program looks for it.
{
	echo usr/include/libsync.h
	printf 'usr/lib/%s\n' libsync.a libsync.so libsync.so.1 pkgconfig/libsync.pc
	for page in "$TOP"/man/*.scd; do
		page=${page##*/}
		page=${page%.scd}
		! echo "$dropins" | grep -qxF "${page%.1}" || page=syncbox-$page
		echo "usr/share/man/man${page##*.}/$page"
	done
	echo usr/share/zsh/site-functions/_syncbox
	for name in syncbox $applets; do
		echo "usr/bin/$name"
		echo "usr/share/bash-completion/completions/$name"
		echo "usr/share/fish/vendor_completions.d/$name.fish"
	done
} | LC_ALL=C sort >expected
while IFS= read -r file; do
	check "$file is installed" test -s "$root/$file"
done <expected
files root | sed 's,^root/,,' >installed
check "and nothing else" diff expected installed

for applet in $applets; do
	check "bin/$applet is a relative link" test "$(readlink "$root/usr/bin/$applet")" = syncbox
done
check "libsync.so is a relative link" test "$(readlink "$root/usr/lib/libsync.so")" = libsync.so.1
check "a umask of 077 does not matter" \
	test -z "$(find root -type d ! -perm 755 -o -type f ! -perm 755 ! -perm 644)"
check "programs and libraries can be executed, text cannot" \
	test "$(find root -type f -perm 755 | LC_ALL=C sort | tr '\n' ' ')" = \
	"root/usr/bin/syncbox root/usr/lib/libsync.so.1 "
check "no text names DESTDIR" \
	test -z "$(find "$root/usr/include" "$root/usr/lib/pkgconfig" "$share" -type f \
		-exec grep -lF "$scratch" {} +)"
check "nothing is written to the places themselves" \
	test -z "$(sed 's,^,/,' expected | xargs -I {} find {} -newer began 2>/dev/null)"
sources >after
check "nor to the sources" diff before after
status_is 0 "make install over an old one" make_it install DESTDIR="$root" PREFIX=/usr

status_is 0 "make install DROPINS=yes" make_it install DESTDIR="$scratch/all" PREFIX=/usr DROPINS=yes
for name in $dropins; do
	check "then $name has its name" test -L "all/usr/bin/$name" -a \
		-s "all/usr/share/bash-completion/completions/$name" -a -s "all/usr/share/man/man1/$name.1" -a \
		-s "all/usr/share/fish/vendor_completions.d/$name.fish" -a ! -e "all/usr/share/man/man1/syncbox-$name.1"
done
check "the installed lockrun runs" "$root/usr/bin/lockrun" L true
if command -v readelf >/dev/null; then
	for file in bin/syncbox lib/libsync.so.1; do
		readelf -lW "$root/usr/$file" >segments
		readelf -dW "$root/usr/$file" >dynamic
		check "$file: the stack is not executable" grep -qE 'GNU_STACK .* RW +0x' segments
		check "$file: no text is relocated" sh -c '! grep -qE "TEXTREL" dynamic'
		check "$file: no segment is writable and executable" sh -c '! grep -qE "LOAD .* (RWE|WE)" segments'
		check "$file: nothing is looked for in directories of a builder" sh -c '! grep -qE "RPATH|RUNPATH" dynamic'
	done
	if [ -n "${HARDENED-}" ]; then
		check "bin/syncbox: the stack is guarded" sh -c "nm -u '$root/usr/bin/syncbox' | grep -q __stack_chk_fail"
		check "bin/syncbox: copies into arrays are bounded" sh -c "nm -u '$root/usr/bin/syncbox' | grep -q '_chk@'"
	else
		skip "bin/syncbox: the stack is guarded" "it was built with other flags"
		skip "bin/syncbox: copies into arrays are bounded" "it was built with other flags"
	fi
else
	skip "the installed program and library are hardened" "no readelf"
fi
pc=$root/usr/lib/pkgconfig/libsync.pc
for line in prefix=/usr includedir=/usr/include libdir=/usr/lib; do
	check "libsync.pc: $line" grep -qx "$line" "$pc"
done
check "libsync.pc has the version" grep -q '^Version: [0-9]' "$pc"
if command -v pkg-config >/dev/null; then
	status_is 0 "pkg-config understands libsync.pc" env PKG_CONFIG_PATH="${pc%/*}" \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
		pkg-config --cflags --libs libsync
	check "and gives the flags" test "${out% }" = "-I/usr/include -L/usr/lib -lsync"
else
	skip "pkg-config understands libsync.pc" "pkg-config is not installed"
fi

cat >program.c <<'END'
#include <libsync.h>

int main(void)
{
	struct sync_lock *lock;
	int r = sync_lock_open("P", NULL, NULL, &lock);
	if (!r)
		r = sync_lock_acquire(lock, SYNC_EXCLUSIVE, SYNC_NOW);
	sync_lock_close(r ? NULL : lock);
	return -r;
}
END
compile() { # PROGRAM ARG...
	program=$1
	shift
	${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror ${SANITIZE:+-fsanitize=$SANITIZE} \
		-I"$root/usr/include" program.c -o "$program" "$@" -lpthread
}
status_is 0 "a C program compiles against the header and links with -lsync" \
	compile dynamic -L"$root/usr/lib" -lsync
status_is 0 "and runs with the shared library" env LD_LIBRARY_PATH="$root/usr/lib" ./dynamic
check "which it needs by its soname" sh -c \
	"LD_LIBRARY_PATH=$root/usr/lib ldd dynamic | grep -F 'libsync.so.1 => $root/usr/lib/libsync.so.1'"
status_is 0 "a C program links with libsync.a" compile static "$root/usr/lib/libsync.a"
status_is 0 "and runs by itself" ./static

# Each shell by its own way of loading.
export HOME="$scratch" XDG_CONFIG_HOME="$scratch" XDG_RUNTIME_DIR="$scratch"
package=/usr/share/bash-completion/bash_completion
if command -v bash >/dev/null && [ -r $package ]; then
	for name in syncbox $applets; do
		check "bash-completion finds the completion of $name" \
			env XDG_DATA_DIRS="$share" bash --norc -c \
			". $package; _completion_loader $name; complete -p $name | grep -- '-F _syncbox '"
	done
else
	skip "bash-completion finds the completions" "bash-completion is not installed"
fi
if command -v zsh >/dev/null; then
	for name in syncbox $applets; do
		check "zsh finds the completion of $name" zsh -fc "
			fpath=($share/zsh/site-functions \$fpath)
			autoload -Uz compinit && compinit -u -D && [[ \$_comps[$name] == _syncbox ]]"
	done
else
	skip "zsh finds the completions" "zsh is not installed"
fi
if command -v fish >/dev/null; then
	for name in syncbox $applets; do
		check "fish finds the completion of $name" env XDG_DATA_DIRS="$share" \
			fish -c "complete -C '$name --vers' | grep -- --version"
	done
else
	skip "fish finds the completions" "fish is not installed"
fi

# --- what a start touches ---

# Each page costs a fault: build-aux/hot.ld.
if [ -z "${SANITIZE-}" ] && command -v readelf >/dev/null; then
	readelf -SW "$BUILD/bin/syncbox" | sed 's/^ *\[ *[0-9]*\] *//' >sections
	readelf -lW "$BUILD/bin/syncbox" >segments
	number() { printf %d "0x${1#0x}"; }
	hot=$(awk '$1 == ".hot" { print $3, $5 }' sections)
	check "the code of a start of lockrun ends within the first 64 KiB of the file" \
		test "$(($(number "${hot% *}") % 0x400000 + $(number "${hot#* }")))" -le 65536
	written=$(awk '$1 == "LOAD" && $7 == "RW" { print $3, $5 }' segments)
	check "what it writes of the file is in one page" test \
		"$(($(number "${written% *}") % 4096 + $(number "${written#* }")))" -le 4096
else
	skip "what a start touches" "another layout under a sanitizer, or no readelf"
fi

# --- syncbox --install ---

mkdir links
status_is 0 "--install makes links" "$root/usr/bin/syncbox" --install=links
check "one for every applet, but for none that would hide a command of the system" test "$(ls links)" = "$applets"
check "that run" links/lockrun L true
ls -li links >before
status_is 0 "--install once more" "$root/usr/bin/syncbox" --install links
ls -li links >after
check "changes nothing" diff before after

rm links/lockrun
echo mine >links/lockrun
status_is 73 "73: --install where a file is in the way" "$root/usr/bin/syncbox" --install=links
says "syncbox: cannot make the link 'links/lockrun': File exists" "and says so, on one line"
check "and leaves it alone" test "$(cat links/lockrun)" = mine
ln -sf /bin/true links/lockrun
status_is 73 "73: --install where another link is in the way" \
	"$root/usr/bin/syncbox" --install=links
says "syncbox: cannot make the link 'links/lockrun': File exists" "and says so, on one line"
check "and leaves it alone" test "$(readlink links/lockrun)" = /bin/true

done_testing
