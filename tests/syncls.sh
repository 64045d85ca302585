# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# What the tests of syncls and syncrm share: fixtures, and questions to their JSON. Sourced behind tests/lib.sh.
#
#	made HOW NAME...		start tests/fixture/own, and wait until it has what it is to have: $!
#	field FIELD TYPE NAME		of the one object that is meant
#	fields 'FIELDS' TYPE NAME	of the same
#	pids LIST TYPE NAME		of its holders, waiters or users, in the order of pids
#	people LIST 'FIELDS' TYPE NAME	those fields of each, in the order of pids
#	same "A; B" "C; D"		the same ones: who was started last may have the lower pid
#	waiting PID TYPE NAME		it waits there

${CC:-cc} -O1 -D_GNU_SOURCE ${SANITIZE:+-fsanitize=$SANITIZE} "$TOP/tests/fixture/own.c" -o own -lpthread -lrt ||
	exit 1
cat >ask.pl <<'PERL'
use JSON::PP;
my ($what, $list, @fields) = @ARGV;
local $/;
my $all = decode_json(<STDIN>);
die "not one object but " . @$all . "\n" if @$all != 1;
my $o = $all->[0];
sub text { my $v = shift; !defined $v ? 'null' : JSON::PP::is_bool($v) ? ($v ? 'true' : 'false') : $v }
if ($what eq 'field') { print join(' ', map { text($o->{$_}) } $list, @fields), "\n"; exit }
print join('; ', map { my $p = $_; join ' ', map { text($p->{$_}) } @fields }
	sort { ($a->{pid} // 0) <=> ($b->{pid} // 0) || ($a->{start} // 0) <=> ($b->{start} // 0) } @{$o->{$list}}), "\n";
PERL
made() {
	./own "$@" &
	wait_for exists "up.$!"
}
field() {
	f=$1
	shift
	syncls --json "$@" | perl ask.pl field "$f"
}
fields() {
	list=$1
	shift
	# shellcheck disable=SC2086 # words
	syncls --json "$@" | perl ask.pl field $list
}
# A waiter whom a timer has just interrupted is in no call for a moment. Nor does it wait: who asks for all of several
# waiters, asks again.
people() {
	list=$1 fields=$2 looks=0
	shift 2
	while :; do
		# shellcheck disable=SC2086 # words
		answer=$(syncls --json "$@" | perl ask.pl people "$list" $fields)
		case "$list $fields $answer" in
		waiters*call*null*) [ $((looks += 1)) -lt 100 ] || break ;;
		*) break ;;
		esac
	done
	echo "$answer"
}
pids() {
	list=$1
	shift
	people "$list" pid "$@" | tr -d ';'
}
same() {
	test "$(printf '%s\n' "$1" | sed 's/; /\n/g' | sort)" = "$(printf '%s\n' "$2" | sed 's/; /\n/g' | sort)"
}
waiting() {
	who=$1
	shift
	pids waiters "$@" | tr ' ' '\n' | grep -qx "$who"
}
