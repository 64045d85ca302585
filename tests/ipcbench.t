#!/bin/sh
# SPDX-License-Identifier: MIT
# ipcbench: exit statuses, every facility, figures that agree with each other, faults that are caught. How fast
# anything is no test asks.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
mkdir tmp
TMPDIR=$scratch/tmp
export TMPDIR
tab=$(printf '\t')
faulty() { "$BUILD/fault/syncbox" ipcbench "$@"; }
data=$(sed -n '/"signal"/q; s/^TRANSPORT(.*, "\(.*\)")/\1/p' "$TOP/cmd/ipcbench/transports.def")
every=$(sed -n 's/^TRANSPORT(.*, "\(.*\)")/\1/p' "$TOP/cmd/ipcbench/transports.def")

# --- exit statuses: every one, failures included ---

status_is 0 "0: a pipe" ipcbench -n 10 -s 64 -r 2 -p none pipe
check "prints blocks, seconds, bytes per second" sh -c "
	echo '$out' | grep -Eq '^pipe  +10 +[0-9.]+ +[0-9.]+ +[0-9.]+\.\.[0-9.]+ '"
check "and all but the table goes nowhere" test -z "$err"
for n in 0 x -1 '' 99999999999999; do
	status_is 64 "64: -n '$n'" ipcbench "-n$n" pipe
	status_is 64 "64: -r '$n'" ipcbench "-r$n" pipe
done
for size in 0 x '' 65M 9G 1T K 1KK -1 '64,,' '1,0'; do
	status_is 64 "64: -s '$size'" ipcbench -n 1 "-s$size" pipe
done
for time in 0 x '' 2h inf; do
	status_is 64 "64: -t '$time'" ipcbench "-t$time" pipe
done
status_is 64 "64: -p elsewhere" ipcbench -p elsewhere pipe
status_is 64 "64: no such facility" ipcbench -n 1 pigeon
says "*no facility 'pigeon'*--list*" "and where they are listed"
status_is 64 "64: what carries no data" ipcbench -n 1 eventfd
says "*eventfd carries no data: measure it with --latency" "and how it can be measured"
status_is 64 "64: CSV and JSON" ipcbench -n 1 --csv --json pipe
status_is 65 "65: a block is lost" faulty -n 10 -r 1 -s 64 -p none drop
status_is 66 "66: the chart's directory is missing" ipcbench -n 1 --svg=none/a.svg pipe
largest=$(ipcbench --list | sed -n 's/^sysv-mq *messages *\([0-9]*\) .*/\1/p')
status_is 71 "71: a block larger than the system allows" ipcbench -n 1 -s $((largest + 1)) -p none sysv-mq
says "*sysv-mq, $((largest + 1)) bytes, none: a block may have $largest bytes here" "and what is allowed"
check "the table says so too" sh -c "echo '$out' | grep -q '^sysv-mq  *a block may have $largest bytes here'"
status_is 0 "0: of several sizes one is possible" ipcbench -qn 1 -s $((largest + 1)),64 -p none sysv-mq
check "says nothing of the other, with -q" test -z "$err"
status_is 71 "71: one CPU, and --pin=cross" taskset -c "$(sed -n 's/^Cpus_allowed_list:\t\([0-9]*\).*/\1/p' /proc/self/status)" \
	ipcbench -n 1 -p cross pipe
says "*cannot measure --pin=cross: there is one CPU for us" "and why"
if [ -w /dev/full ]; then
	status_is 74 "74: standard output is full" sh -c 'ipcbench -n 1 -p none pipe >/dev/full'
fi
if [ "$(id -u)" -ne 0 ]; then
	: >mine.svg && chmod 400 mine.svg
	status_is 77 "77: the chart may not be written" ipcbench -n 1 --svg=mine.svg pipe
fi

# --- every facility, and figures that agree ---

check "--list has all of them" sh -c "ipcbench --list | sed 's/ .*//' | tr '\n' ' ' | grep -qxF '$(echo "$every" | tr '\n' ' ')'"
cat >agree.pl <<'END'
# Every figure of every measurement follows from its repetitions. Prints the facilities that were measured, and
# what was not, with the reason.
use strict; use JSON::PP;
local $/;
my $all = decode_json(<STDIN>);
sub near { my ($a, $b, $what) = @_; die "$what: $a, not $b\n" if abs($a - $b) > 1e-6 + 1e-5 * abs($b) }
sub middle { my @s = sort { $a <=> $b } @_; ($s[$#s / 2] + $s[@s / 2]) / 2 }
for (qw(kernel cpu cpus date limits)) { die "no $_\n" unless exists $all->{machine}{$_} }
my (%seen, %why);
for my $m (@{$all->{measurements}}) {
	my $name = "$m->{facility} $m->{pin} $m->{size}";
	if (defined $m->{problem}) { $why{$m->{facility}} = $m->{problem}; next }
	my @r = @{$m->{repetitions}};
	die "$name: repetitions\n" unless @r == $m->{planned_repetitions} && @r == $ENV{REPETITIONS};
	die "$name: not checked\n" unless $m->{checked};
	my @seconds = map { $_->{seconds} } @r;
	my $latency = $m->{mode} eq "latency";
	my $key = $latency ? "trip_us" : "bytes_per_second";
	my $figure = sub { $latency ? $_[0] / $m->{blocks} * 1e6 : $m->{blocks} * $m->{size} / $_[0] };
	near($_->{$key}, $figure->($_->{seconds}), "$name $key") for @r;
	my @sorted = sort { $a <=> $b } map { $figure->($_) } @seconds;
	near($m->{$key}{median}, $figure->(middle(@seconds)), "$name median");
	near($m->{$key}{min}, $sorted[0], "$name min");
	near($m->{$key}{max}, $sorted[-1], "$name max");
	near($m->{seconds}{median}, middle(@seconds), "$name seconds");
	near($m->{messages_per_second}, $m->{blocks} / middle(@seconds), "$name messages") unless $latency;
	my $messages = @r * $m->{blocks} * ($latency ? 2 : 1);
	my ($cpu, $switches) = (0, 0);
	for (@r) {
		$cpu += $_->{cpu_seconds}[0] + $_->{cpu_seconds}[1];
		$switches += $_->{context_switches}[0] + $_->{context_switches}[1];
	}
	near($m->{cpu_us_per_message}, $cpu / $messages * 1e6, "$name cpu");
	near($m->{switches_per_message}, $switches / $messages, "$name switches");
	die "$name: percentiles\n" if $latency && !($m->{p50_us} > 0 && $m->{p50_us} <= $m->{p99_us} && $m->{p99_us} <= $m->{p999_us});
	$seen{$m->{facility}}++;
	push @{$all->{group}{"$m->{pin} $m->{size}"}}, [$m, $key, $name];
}
# Ranks: who is better or worse by more than its spread.
for my $g (values %{$all->{group}}) {
	for (@$g) {
		my ($m, $key, $name) = @$_;
		my ($better, $worse) = (0, 0);
		for (@$g) {
			my $o = $_->[0];
			my ($above, $below) = ($o->{$key}{min} > $m->{$key}{max}, $o->{$key}{max} < $m->{$key}{min});
			($above, $below) = ($below, $above) if $key eq "trip_us";
			$better += $above; $worse += $below;
		}
		die "$name: rank\n" unless !defined $m->{rank} && @$g == 1 || $m->{rank}[0] == 1 + $better && $m->{rank}[1] == @$g - $worse;
	}
}
print "measured $_\n" for keys %seen;
print "$_\t$why{$_}\n" for keys %why;
END
REPETITIONS=3
export REPETITIONS
covered() { # MODE FACILITIES
	for f in $2; do
		if grep -qx "measured $f" figures; then
			report 0 "$1: $f"
		else
			skip "$1: $f" "$(sed -n "s/^$f$tab//p" figures)"
		fi
	done
}
status_is 0 "all that carry data" sh -c 'ipcbench -q -n 30 -r 3 -s 1,7,64,1001 -p none,same --json --svg=a.svg >all.json'
check "each figure follows from the repetitions" sh -c 'perl agree.pl <all.json >figures'
covered bandwidth "$data"
check "the pipe is among them" grep -q 'measured pipe' figures
status_is 0 "all there and back" sh -c 'ipcbench -q -l -n 30 -r 3 -p none --json --svg=b.svg >all.json'
check "each figure follows from the repetitions" sh -c 'perl agree.pl <all.json >figures'
covered latency "$every"
check "nothing is left in TMPDIR" test -z "$(ls tmp)"
status_is 0 "blocks of 64 KiB, many in a row" ipcbench -q -n 40 -r 1 -s 64K -p none pipe unix-stream posix-shm
status_is 0 "a ring that is filled several times" ipcbench -q -n 40000 -r 1 -s 64 -p none,same posix-shm
status_is 0 "a ring of two" ipcbench -q -n 10 -r 1 -s 1M -p none posix-shm
if strace -o /dev/null -e inject=membarrier:error=ENOSYS true 2>/dev/null && [ -z "${SANITIZE-}" ]; then
	status_is 0 "a ring without membarrier(2)" strace -qqf --seccomp-bpf -o trace -e inject=membarrier:error=ENOSYS \
		ipcbench -q -l -n 1000 -r 1 -s 8 -p none,same posix-shm
	check "which was asked for, and refused" grep -q 'membarrier.*INJECTED' trace
else
	skip "a ring without membarrier(2)" "no strace here, or not of this build"
fi
check "sizes are powers of 1024" test "$(ipcbench -qn 1 -r 1 -s 3,1K,2M -p none --csv pipe | cut -d, -f4 | tr '\n' ' ')" = \
	"size 3 1024 2097152 "
status_is 0 "without a number of blocks it finds one" ipcbench -t 1ms -r 2 -s 64 --json -p none pipe
check "more than one" sh -c "echo '$out' | grep -Eq '\"blocks\":([2-9]|1[0-9])'"
status_is 0 "and checks nothing if told so" ipcbench -n 10 -r 2 -s 64 -p none --no-check pipe
check "which the table says" sh -c "echo '$out' | grep -q '2 repetitions, nothing checked'"
check "every placement that can be is measured by default" sh -c "
	test \$(ipcbench -qn 10 -r 1 -s 8 pipe | grep -c '^pipe ') -eq \$(( \$(nproc) > 1 ? 3 : 2 ))"
ipcbench -qn 10 -r 2 -s 8,16 --csv pipe sysv-mq >all.csv
check "CSV: each line has the fields of the first" sh -c "
	test \$(wc -l <all.csv) -gt 4 && test \$(awk -F, '{ print NF }' all.csv | sort -u | wc -l) -eq 1"
check "CSV: the rate is that of the seconds" awk -F, '
	NR > 1 { r = $4 * $5 / $7; if ($10 < r * 0.999 || $10 > r * 1.001) exit 1 }' all.csv

# --- the chart ---

cat >form.pl <<'END'
# Well-formed: every element is closed, in order; attributes are quoted; nothing is bare.
use strict; local $/; my $text = <STDIN>; my @open;
while ($text =~ m{\G([^<]*)<(/?)([a-z]+)((?: [a-zA-Z-]+="[^"<]*")*)(/?)>\s*}gc) {
	my ($between, $end, $name, $empty) = ($1, $2, $3, $5);
	die "bare &\n" if $between =~ /&(?!#\d+;)/;
	if ($end) { die "</$name>\n" unless pop(@open) eq $name } elsif (!$empty) { push @open, $name }
}
die "rest: " . substr($text, pos($text) // 0, 80) . "\n" if (pos($text) // 0) < length $text;
die "open: @open\n" if @open;
END
for chart in a b; do
	check "$chart.svg is well-formed" sh -c "perl form.pl <$chart.svg"
	check "$chart.svg knows light and dark" grep -q 'prefers-color-scheme:dark' $chart.svg
	check "$chart.svg names machine and date" grep -qF "$(uname -r)" $chart.svg
	check "$chart.svg has a row for the pipe" grep -q '>pipe</text>' $chart.svg
done
check "a chart that was there is replaced" sh -c 'ipcbench -qn 1 -r 1 -s 8 -p none --svg=a.svg pipe >/dev/null && perl form.pl <a.svg'

# --- faults are caught ---

status_is 0 "a pipe that does it right" faulty -n 10 -r 1 -s 64 -p none right
status_is 65 "a byte that is changed" faulty -n 10 -r 1 -s 64 -p none corrupt
says "*byte 63 of block 5 is not what was sent" "and which"
for fault in drop twice swap; do
	status_is 65 "$fault, among the checked blocks" faulty -n 10 -r 1 -s 64 -p none $fault
	says "*: block [56] came instead of block [56]: lost, twice, or out of order" "and which"
	status_is 65 "$fault, among the timed blocks" faulty -n 10 -r 1 -s 64 -p none late-$fault
	status_is 65 "$fault, in blocks of more than a page" faulty -n 10 -r 1 -s 5000 -p none late-$fault
	status_is 65 "$fault, in blocks of one byte" faulty -n 10 -r 1 -s 1 -p none late-$fault
done
status_is 65 "the last block is lost" faulty -n 10 -r 1 -s 64 -p none last-drop
status_is 65 "the others are measured all the same" faulty -n 10 -r 1 -s 64 -p none drop right
check "and shown" sh -c "echo '$out' | grep -Eq '^right +10 '"

# --- stopped ---

# In a shell that waits, so that the signal's default is not ignored as in a background job.
stop_with() { # SIGNAL ARGUMENT...
	rm -f hangs
	perl -e '$SIG{$_} = "DEFAULT" for qw(INT TERM HUP); exec @ARGV' "$BUILD/fault/syncbox" ipcbench -n 10 -r 2 -s 64 -p none "$@" \
		right stuck >stopped.txt 2>stopped.err &
	wait_for exists hangs
	kill -"$signal" $!
	wait $!
}
for signal in INT TERM HUP; do
	status_is $((128 + $(kill -l $signal 2>/dev/null || case $signal in INT) echo 2 ;; TERM) echo 15 ;; *) echo 1 ;; esac))) \
		"SIG$signal ends it" stop_with
	check "but what was measured is printed" grep -Eq '^right +10 ' stopped.txt
	check "and what was not" grep -Eq '^stuck +stopped' stopped.txt
done
signal=INT
stop_with --json
check "also as JSON" sh -c 'perl -MJSON::PP -e "local \$/; my \$m = decode_json(<STDIN>)->{measurements}; exit !(\$m->[0]{blocks} == 10 && \$m->[1]{problem} eq q(stopped))" <stopped.txt'

# --- progress ---

ipcbench -n 10 -r 1 -s 8 -p none pipe 2>progress >/dev/null
check "no progress where nobody looks" test ! -s progress
if command -v script >/dev/null; then
	script -qec 'ipcbench -n 10 -r 1 -s 8 -p none pipe fifo' /dev/null >progress 2>&1 </dev/null
	check "on a terminal it shows where it is" grep -q '2 of 2: fifo, 8 bytes, none: repetition 1 of 1' progress
	check "and draws bars" grep -q '  ####' progress
	script -qec 'ipcbench -qn 10 -r 1 -s 8 -p none pipe' /dev/null >progress 2>&1 </dev/null
	check "but for -q" sh -c '! grep -q "repetition 1" progress'
else
	skip "on a terminal it shows where it is" "no script(1)"
fi
done_testing
