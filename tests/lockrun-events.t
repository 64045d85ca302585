#!/bin/sh
# SPDX-License-Identifier: MIT
# lockrun --events and --metrics: lines of JSON that tell the true times, counters that add up.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

# events FILE EXPRESSION: each line is one JSON object of at most 4096 bytes, with event, time and lock; @e are
# they, %e the last of each name; and EXPRESSION holds.
cat >events.pl <<'PERL'
use JSON::PP;
my ($file, $test) = @ARGV;
open my $f, '<', $file or die "$file: $!";
for (<$f>) {
	length() <= 4096 && /\n\z/ or die "not a line of 4096 bytes: $_";
	my $e = decode_json($_);
	ref $e eq 'HASH' && $e->{event} =~ /^[a-z]+$/ && $e->{time} > 1e9 && defined $e->{lock} or die "incomplete: $_";
	push @e, $e;
	$e{$e->{event}} = $e;
}
$names = join ' ', map $_->{event}, @e;
print "$names\n";
exit !eval $test;
PERL
events() { perl events.pl "$@"; }
now() { perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC -e 'printf "%.6f", clock_gettime(CLOCK_MONOTONIC)'; }
mkfifo go begun

# --- events ---

status_is 3 "COMMAND's status" lockrun --events=E L sh -c 'exit 3'
check "acquired, exited: with status and seconds" events E '$names eq "acquired exited" && $e{exited}{status} == 3 &&
	$e{acquired}{wait} >= 0 && $e{exited}{run} > 0 && $e[0]{lock} eq "L"'

lockrun L sh -c 'echo >begun; read x <go' &
holder=$!
read -r _ <begun
: >E
t0=$(now)
lockrun --events=E L sh -c 'echo >begun; read x <go' &
waiter=$!
wait_for test -s E
t1=$(now)
check "wait, at once, with the holders" events E '$names eq "wait" && (grep $_->{pid} == '$holder', @{$e[0]{holders}}) &&
	(grep $_->{command} =~ /^sh -c echo/ && $_->{mode} eq "exclusive" && $_->{user}, @{$e[0]{holders}})'
status_is 75 "75: busy" lockrun --events=B -q -n L true
check "busy, with the holders" events B '$names eq "busy" && (grep $_->{pid} == '$holder', @{$e[0]{holders}})'
status_is 75 "75: not in time" lockrun --events=B2 -q -w 0.1 L true
check "wait and busy, with the time waited" events B2 '$names eq "wait busy" && $e{busy}{wait} >= 0.1'
t2=$(now)
release go
wait $holder # before the open, which SIGCHLD would break
read -r _ <begun
t3=$(now)
perl -e 'select undef, undef, undef, 0.05' # a time that can be told from none
t4=$(now)
release go
wait $waiter
t5=$(now)
check "acquired: as long as it waited" events E '$names eq "wait acquired exited" &&
	$e{acquired}{wait} >= '$t2' - '$t1' && $e{acquired}{wait} <= '$t3' - '$t0
check "exited: as long as it ran" events E '$e{exited}{run} >= '$t4' - '$t3' && $e{exited}{run} <= '$t5' - '$t2
check "lines are appended" events E '@e == 3'

status_is 0 "a descriptor" sh -c 'lockrun --events=7 L true 7>E'
check "gets the lines" events E '$names eq "acquired exited"'
status_is 0 "which COMMAND has not got" sh -c 'lockrun --events=7 L sh -c "! true >&7" 7>E 2>/dev/null'
status_is 0 "but it has its standard error" sh -c 'lockrun --events=2 L sh -c "echo said >&2" 2>E'
check "that served for events" grep -qx said E
status_is 66 "66: the descriptor is not open" lockrun --events=77 L true
status_is 66 "66: no such directory" lockrun --events=no/E L true

# What becomes of the events is nothing to the job.
mkfifo fifo
status_is 66 "66: a FIFO that nobody reads: we do not wait for a reader" timeout -s KILL 20 lockrun --events=fifo L true
cat >gone.pl <<'PERL'
pipe R, W;
$^F = 99;
my $w = fileno W;
close R if $ARGV[0] eq 'gone';
if ($ARGV[0] eq 'full') {
	use Fcntl;
	fcntl W, F_SETFL, O_NONBLOCK;
	1 while syswrite W, 'x' x 65536;
	fcntl W, F_SETFL, 0;
}
fcntl W, 2, 0; # F_SETFD: inherited
$SIG{PIPE} = 'DEFAULT';
exit system("lockrun --events=$w L sh -c 'lockrun --who L >who 2>/dev/null; exit 4'") >> 8;
PERL
for how in gone full; do
	status_is 4 "the reader is $how: the job runs, with its own status" timeout -s KILL 20 perl gone.pl $how
	says "lockrun: an event got lost: *" "that is said"
	check "once" test "$(printf '%s\n' "$err" | wc -l)" -eq 1
	check "and the job had the lock" grep -q ^holds who
done
status_is 4 "a full disk" lockrun --events=/dev/full L sh -c 'exit 4'
says "*an event got lost: No space left on device" "is said"
status_is 124 "with --max-run" lockrun --events=M --max-run=0.05 L sleep 600 2>/dev/null # ok: a job
check "the status is 124 there too" events M '$e{exited}{status} == 124 && $e{exited}{run} >= 0.05'
lockrun --events=F -F L true
check "-F: nobody is left to tell the end" events F '$names eq "acquired"'
sh -c 'lockrun --events=D 9' 9>L2
check "a descriptor as lock" events D '$names eq "acquired" && $e[0]{lock} eq "9"'
name=$(printf 'a"b\\c\nd\377e')
lockrun --events=N --metrics=N.prom "$name" true
check "any name becomes a JSON string" events N '@e == 2 && $e[0]{lock} eq qq(a"b\\c\nd\x{fffd}e)'

# Many holders with long command lines: the line stays one write.
long=$(printf '%0300d' 0)
holders=''
for i in 1 2 3 4 5 6 7 8 9 10; do
	lockrun -s L perl -e 'sleep 600' "$i$long" & # ok: a holder
	holders="$holders $!"
done
hold_all() { [ "$(lockrun --who L | grep -c '^holds.*perl -e')" -ge 20 ]; }
wait_for hold_all
lockrun --events=H -qn L true
check "a list of holders is cut rather than the line" events H '@{$e[0]{holders}} >= 3 && @{$e[0]{holders}} < 20'
# shellcheck disable=SC2086 # a list
kill $holders
wait

# --- metrics ---

# The text format: HELP and TYPE before each family, which is in one piece; names, labels, numbers.
cat >format.pl <<'PERL'
my ($file, $test) = @ARGV;
open my $f, '<', $file or exit !!$ENV{MUST_EXIST};
my ($family, %type, %sample);
while (<$f>) {
	s/\n\z// or die "no end of line: $_";
	next if /^# HELP ([a-z_]+) \S/ && ($family = $1) && !$type{$1};
	if (/^# TYPE ([a-z_]+) (counter|gauge)\z/) {
		$1 eq $family && !$type{$1} or die "out of place: $_";
		$type{$1} = $2;
		next;
	}
	my ($name, $label, $n) = /^([a-z_]+)\{lock="((?:[^"\\\n]|\\["\\n])*)"\} ([-+.e0-9]+)\z/ or die "not a sample: $_";
	$name eq $family && $type{$name} or die "out of its family: $_";
	$type{$name} ne 'counter' || $name =~ /_total\z/ or die "a counter by another name: $_";
	!exists $sample{$name}{$label} or die "twice: $_";
	$n >= 0 or die "negative: $_";
	$sample{$name}{$label} = $n;
}
$lockrun{s/^lockrun_//r} = $sample{$_} for keys %sample;
%of = %lockrun;
exit !(!$test || eval $test);
PERL
format() { MUST_EXIST=1 perl format.pl "$@"; }
check "a name with anything in it" format N.prom '$of{runs_total}{q(a\"b\\\\c\nd)."\xef\xbf\xbde"} == 1'

before=$(date +%s)
lockrun --metrics=P L true
lockrun --metrics=P L sh -c 'exit 3'
lockrun --metrics=P M sh -c 'exit 3'
check "runs, failures, last success, by lock" format P '$of{runs_total}{L} == 2 && $of{failures_total}{L} == 1 &&
	$of{skips_total}{L} == 0 && $of{last_success_timestamp_seconds}{L} >= '"$before"' &&
	$of{runs_total}{M} == 1 && $of{last_success_timestamp_seconds}{M} == 0 && $of{run_seconds_total}{L} > 0'
check "anybody may read it" test "$(stat -c %a P)" = 644
lockrun L sh -c 'echo >begun; read x <go' &
read -r _ <begun
lockrun --metrics=P -qn L true
lockrun --metrics=P -q -w 0.1 L true
release go
wait
check "skips, and time waited" format P '$of{skips_total}{L} == 2 && $of{runs_total}{L} == 2 && $of{wait_seconds_total}{L} >= 0.1'
# While 20 write, each of their jobs looks at what is there.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	{
		lockrun --metrics=Q "L$((i % 4))" perl format.pl Q || echo half
		lockrun --metrics=Q "L$((i % 4))" sh -c 'exit 1'
		lockrun --metrics=Q "L$((i % 4))" perl format.pl Q || echo half
	} >>half 2>&1 &
done
wait
check "nobody has seen half a file" test ! -s half
check "20 writers at once: no run is lost" format Q '$n = 0; $n += $_ for values %{$of{runs_total}}; $n == 60 &&
	4 == grep($of{failures_total}{"L$_"} == 5 && $of{runs_total}{"L$_"} == 15, 0 .. 3)'
check "and nothing is left but the file" test "$(echo Q*)" = Q
if command -v promtool >/dev/null; then
	check "promtool finds no fault" promtool check metrics <Q
else
	skip "promtool finds no fault" "no promtool here"
fi

: >victim
ln -s victim P.new
lockrun --metrics=P L true
check "what a killed writer may have left is no trap" test ! -s victim -a ! -e P.new
echo precious >other
status_is 5 "another file is left alone; the status is COMMAND's" lockrun --metrics=other L sh -c 'exit 5'
says "*'other' is no metrics file of lockrun: it was left alone" "that is said"
check "it is as it was" test "$(cat other)" = precious
rm -f R
lockrun --metrics=R L true
lockrun --metrics=R M true
perl -pi -e 'chomp if eof' R
lockrun --metrics=R L true
check "a last line that somebody has left without its end stays whole" perl "$scratch/format.pl" R
status_is 5 "it cannot be written: the status is COMMAND's" lockrun --metrics=no/P L sh -c 'exit 5'
says "*cannot write metrics to 'no/P': No such file or directory" "that is said, too"
lockrun P sh -c 'echo >begun; read x <go' & # who locks the file keeps metrics waiting,
holder=$!
read -r _ <begun
lockrun --metrics=P L true &
counter=$!
wait_for waits P
check "but nobody who wants the lock" lockrun -w 20 L true
release go
wait $counter $holder
status_is 64 "64: --metrics with -F" lockrun -F --metrics=P L true
status_is 64 "64: --metrics without a command" lockrun --metrics=P 9
status_is 64 "64: --events with --who" lockrun --events=E --who L
done_testing
