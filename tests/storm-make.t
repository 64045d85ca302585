#!/bin/sh
# SPDX-License-Identifier: MIT
# The storm for make's jobserver in short: builds that are cut short leave nothing out of balance; and what is wrong is
# seen. tests/storm/run-make is the long one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

export CC="${CC:-cc}"
echo 'int main(void) { return 0; }' >probe.c
if ! command -v make >/dev/null || ! $CC -o probe probe.c 2>/dev/null; then
	skip "builds that are cut short" "no make, or no compiler here"
	done_testing
fi
tools=$(dirname "$(command -v semwait)")
mkdir storm wrong fake

cd storm || exit 1
status_is 0 "builds that run, are interrupted, terminated, lose their reader, have a recipe that fails" \
	"$TOP/tests/storm/makestorm" "$tools" 24 5 11
check "links were throttled to 1 and to 2" sh -c 'echo "$1" | grep -q links_at_once=1 && echo "$1" | grep -q links_at_once=2' - "$out"
cd ..

# A token that nobody has taken: make, or the pool, says so in the end.
cat >fake/semwait <<'SH'
#!/bin/sh
case "$1" in
-i)
	shift 3
	fds=${MAKEFLAGS#*--jobserver-auth=}
	fds=${fds%% *}
	printf + >"/proc/self/fd/${fds#*,}"
	exec "$@"
	;;
*) exec REAL/semwait "$@" ;;
esac
SH
sed "s|REAL|$tools|" fake/semwait >fake/s && mv fake/s fake/semwait
chmod +x fake/semwait
ln -s "$tools/jobpool" fake/jobpool
cd wrong || exit 1
status_is 1 "one that gives what it has not taken is seen" "$TOP/tests/storm/makestorm" "$scratch/fake" 8 1 11
check "for what it is" sh -c 'echo "$1" | grep -qE "fault: none: .*(has too many|more than)"' - "$out"
cd ..
done_testing
