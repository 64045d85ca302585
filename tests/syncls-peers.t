#!/bin/sh
# SPDX-License-Identifier: MIT
# syncls beside lslocks, ipcs, lsipc and lsof, on the same objects: what they show, it shows.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
K=$(printf '0x%08x' $((0x53000000 + $$)))
N=peer$$
trap 'ipcrm -S $K 2>/dev/null; ipcrm -Q $K 2>/dev/null; ipcrm -M $K 2>/dev/null; rm -f "/dev/shm/$N"; mqpipe rm -f "/$N"; cleanup' EXIT

made flock L
a=$!
made ofd R w 10 5
b=$!
made fcntl R r 100 20
c=$!
lockrun -s L true &
d=$!
wait_for waiting $d lock L

# --- lslocks: a row for each lock, of which none may be missing ---
cat >compare-locks.pl <<'PERL'
use JSON::PP;
my ($theirs, $ours, $dir) = map { local $/; my $f = $_; if (-f $f) { open F, '<', $f; decode_json(<F>) } else { $f } } @ARGV;
my %scheme = (FLOCK => 'flock', POSIX => 'fcntl', OFDLCK => 'ofd');
my $rows = 0;
for my $t (@{$theirs->{locks}}) {
	next unless ($t->{path} // '') =~ m{^\Q$dir/\E};
	$rows++;
	my ($o) = grep { $_->{name} eq "$scheme{$t->{type}}:$t->{path}" } @$ours or die "missing: $t->{type} $t->{path}\n";
	my $waits = $t->{mode} =~ /\*$/;
	my $mode = $t->{mode} =~ /^WRITE/ ? 'exclusive' : 'shared';
	my $length = $t->{end} eq 0 || $t->{end} eq 'EOF' ? 0 : $t->{end} - $t->{start} + 1;
	grep { ($t->{pid} == -1 || $_->{pid} == $t->{pid}) && $_->{mode} eq $mode && $_->{start} == $t->{start} && ($_->{length} == $length || !$t->{end}) }
		@{$o->{$waits ? 'waiters' : 'holders'}} or die "no such row: $t->{pid} $t->{mode} $t->{path}\n";
	die "size\n" if defined $t->{size} && $t->{size} ne $o->{size};
}
print "$rows rows\n";
die "nothing to compare\n" if $rows < 3;
PERL
if lslocks --json -b -u >theirs 2>/dev/null && grep -q "$PWD/" theirs; then
	syncls --json lock >ours
	check "lslocks: each lock, with process, kind, mode, range, size" perl compare-locks.pl theirs ours "$PWD"
	check "what it does not know: who has the ofd lock" sh -c "! grep -B3 -A6 OFDLCK theirs | grep -q '\"pid\": *$b,' && test \"$(pids holders lock ofd:R)\" = $b"
else
	skip "lslocks: each lock" "no lslocks here, or it cannot see them"
fi

# --- ipcs, lsipc: System V ---
if ipcs >/dev/null 2>&1; then
	./own semget "$K" 2
	made msgsnd "$K" 8000
	e=$!
	made shmat "$K" 5000
	f=$!
	wait_for test "$(field value mq "sysv:$K")" = 2
	row() { ipcs "$1" | grep -i "^$K"; }
	check "ipcs -s: key, id, owner, mode, members" test "$(row -s | tr -s ' ' | sed 's/ *$//')" = \
		"$K $(field id sem "sysv:$K") $(field owner sem "sysv:$K" | cut -c1-10) $(field mode sem "sysv:$K") $(field members sem "sysv:$K")"
	check "ipcs -q: key, id, owner, mode, bytes, messages" test "$(row -q | tr -s ' ' | sed 's/ *$//')" = \
		"$K $(field id mq "sysv:$K") $(field owner mq "sysv:$K" | cut -c1-10) $(field mode mq "sysv:$K") $(field bytes mq "sysv:$K") $(field value mq "sysv:$K")"
	check "ipcs -m: key, id, owner, mode, bytes, attached" test "$(row -m | tr -s ' ' | sed 's/ *$//')" = \
		"$K $(field id shm "sysv:$K") $(field owner shm "sysv:$K" | cut -c1-10) $(field mode shm "sysv:$K") $(field value shm "sysv:$K") $(field attached shm "sysv:$K")"
	check "ipcs -p: who made it and used it last" sh -c "ipcs -m -p | grep -Eq '^$(field id shm "sysv:$K") .* $(field create_pid shm "sysv:$K") +$(field last_pid shm "sysv:$K") *\$'"
	check "what they do not know: who has it attached" test "$(pids holders shm "sysv:$K")" = $f
else
	skip "ipcs" "no ipcs, or no System V here"
fi
if lsipc -s -r --noheadings -o KEY,ID,NSEMS >rows 2>/dev/null && grep -qi "^$K" rows; then
	check "lsipc -s" sh -c "grep -qi '^$K  *$(field id sem "sysv:$K")  *1\$' rows"
	lsipc -m -r --noheadings -b -o KEY,ID,SIZE,NATTCH,CPID,LPID >rows
	check "lsipc -m" sh -c "tr -s ' ' <rows | grep -qi '^$K $(field id shm "sysv:$K") 5000 1 $(field create_pid shm "sysv:$K") $(field last_pid shm "sysv:$K")'"
	lsipc -q -r --noheadings -b -o KEY,ID,USEDBYTES,MSGS,LSPID,LRPID >rows
	check "lsipc -q" sh -c "tr -s ' ' <rows | grep -qi '^$K $(field id mq "sysv:$K") 16000 2 $(field send_pid mq "sysv:$K") $(field receive_pid mq "sysv:$K")'"
else
	skip "lsipc" "no lsipc here, or one with other columns"
fi

# --- lsof: who has what open ---
if command -v lsof >/dev/null && lsof -t L >theirs 2>/dev/null && [ -s theirs ]; then
	check "lsof: who has the lock file open" test "$(sort -n theirs | tr '\n' ' ')" = "$( { pids holders lock L && pids waiters lock L; } | tr ' ' '\n' | sort -n | tr '\n' ' ')"
	check "by which descriptor" test "$(lsof -a -p $a -Ff L 2>/dev/null | sed -n 's/^f\([0-9]*\).*/\1/p')" = "$(people holders fd lock L)"
	if [ -w /dev/shm ]; then
		made shmopen "/$N" 6000
		g=$!
		check "who has memory mapped" test "$(lsof -t "/dev/shm/$N" 2>/dev/null)" = "$(pids holders shm "/$N")"
		kill $g
	else
		skip "who has memory mapped" "no /dev/shm to write to"
	fi
else
	skip "lsof" "no lsof here, or it cannot see them"
fi
# shellcheck disable=SC2086 # those that were started
kill $a $b $c $d ${e-} ${f-} 2>/dev/null
wait 2>/dev/null
check "what they miss is in the manual" grep -q '^# WHAT THE OTHERS MISS' "$TOP/man/syncls.1.scd"
done_testing
