#!/bin/sh
# SPDX-License-Identifier: MIT
# semwait in a makefile: at most two links at once under any -j, and nothing is lost when make is interrupted.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

K=$(printf 0x5d%06x $$)
export K
trap 'ipcrm -S $K 2>/dev/null; cleanup' EXIT
value_is() { [ "$(semwait --value "$1")" = "$2" ]; }
programs='p1 p2 p3 p4 p5 p6 p7 p8'
for p in $programs; do
	printf '#include <stdio.h>\nint main(void) { return puts("%s") < 0; }\n' "$p" >"./$p.c"
done
# Links, and tells whether it was ever one of more than two.
cat >linker <<'SH'
#!/bin/sh
mkdir here/1 2>/dev/null && mine=1 || { mkdir here/2 2>/dev/null && mine=2; } || { echo "$$" >>crowd; exit 1; }
"$@"
status=$?
echo "$mine" >>places
[ ! -e hold ] || { echo >>linking; read -r x <fifo; }
rmdir here/$mine
exit $status
SH
chmod +x linker
mkdir here && mkfifo fifo
cat >Makefile <<'MAKE'
CC ?= cc
all: p1 p2 p3 p4 p5 p6 p7 p8
p%: p%.o
	@semwait -i 2 $(SEM) -- ./linker $(CC) -o $@ $<
%.o: %.c
	@$(CC) -c -o $@ $<
MAKE
CC=${CC:-cc}
if ! command -v make >/dev/null || ! $CC -o probe p1.c 2>/dev/null; then
	skip "links under make" "no make, or no compiler here"
		done_testing
fi

for sem in sysv:$K pool:./links; do
	rm -f ./p?.o $programs crowd places hold
	status_is 0 "$sem: eight links under make -j8" timeout 60 make -s -j8 CC="$CC" SEM=$sem
	check "$sem: never more than two at once" test ! -e crowd
	check "$sem: each was done once" test "$(wc -l <places)" -eq 8
	check "$sem: the programs run right" test "$(for p in $programs; do ./$p; done | tr '\n' ' ')" = "$programs "
	check "$sem: all permits are back" value_is $sem 2
	status_is 0 "$sem: nothing is left to do" make -q CC="$CC" SEM=$sem

	# Interrupt it while two link and others wait: to the process group, as a terminal does.
	rm -f $programs linking && : >hold
	perl -e 'setpgrp; $SIG{INT} = "DEFAULT"; exec @ARGV' make -s -j8 CC="$CC" SEM=$sem >make.out 2>&1 &
	make=$!
	wait_for sh -c 'test "$(wc -l <linking)" -eq 2'
	check "$sem: two link, no permit is free" value_is $sem 0
	kill -INT -$make
	wait $make 2>/dev/null
	status_is 0 "$sem: SIGINT ends make" sh -c "test $? -ne 0"
	wait_for value_is $sem 2
	check "$sem: and no permit is lost" value_is $sem 2
	check "$sem: nor was a third link begun" test ! -e crowd
	rmdir here/? 2>/dev/null
	rm -f hold
	status_is 0 "$sem: the next make goes on" timeout 60 make -s -j8 CC="$CC" SEM=$sem
	check "$sem: and makes them all" test "$(for p in $programs; do ./$p; done | tr '\n' ' ')" = "$programs "
done
done_testing
