#!/bin/sh
# SPDX-License-Identifier: MIT
# The kill storm for mqpipe work in short: no job is lost, or run again without need; and what is wrong is seen.
# tests/storm/run-work is the long one.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if [ ! -e /proc/thread-self/children ]; then
	skip "the kill storm" "this kernel does not list children in /proc"
	done_testing
fi
# What all queues of a user may have in all is not much.
prlimit --pid $$ --msgqueue=unlimited 2>/dev/null

jobs=300
[ -z "${SANITIZE-}" ] || jobs=100 # such a worker is slow
tools=$(dirname "$(command -v mqpipe)")
check "the storm's programs compile" "$TOP/tests/storm/build" bin work
for p in storm check job; do
	[ -x bin/work-$p ] || done_testing
done

storm() { # BINDIR OPTION...
	from=$1
	shift
	rm -rf storm.d
	mkdir storm.d
	(cd storm.d && "$scratch/bin/work-storm" -n $jobs "$@" "$from" "$scratch/bin/work-job" && "$scratch/bin/work-check") ||
		{ sed 's/^/errors: /' storm.d/errors | head -n 5 && false; }
}
# The figure is there, and it is not zero.
figure_of() { # NAME
	case " $out " in
	*" $1=0 "*) return 1 ;;
	*" $1="*) return 0 ;;
	*) return 1 ;;
	esac
}
count_of() { printf '%s\n' "$out" | sed -n "s/.* $1=\([0-9]*\).*/\1/p"; }

for seed in 1 2 3; do
	check "without a journal no more is lost than what killed workers had in hand" storm "$tools" -s $seed -i 8000
	check "with one nothing is lost, and run again is what they had in hand" storm "$tools" -s $seed -i 4000 -j
done
check "one worker, one at a time" storm "$tools" -s 4 -i 4000 -j -w 1
check "nobody is killed: each job is run once" storm "$tools" -i 0 -w 3

# --- what the checker sees ---

# A storm in which workers had jobs in hand; rarely the first one has none.
n=10
until check "with jobs that are run again" storm "$tools" -s $n -i 2500 -j && [ "$(count_of again)" -gt 2 ] || [ $n -gt 20 ]; do
	n=$((n + 1))
done
cat >fake <<'PERL'
# Change the log of a good storm, in the directory "fake.d": fake FAULT
my $fault = shift;
open my $f, '<', 'fake.d/manifest' or die;
my %killed = map { /^killed (\d+)/ ? ($1 => 1) : () } <$f>;
open $f, '<', 'fake.d/log' or die;
my @log = map { my @w = split; { what => $w[0], job => $w[1], attempt => $w[2], worker => $w[3], pid => $w[4] } } <$f>;
my %runs;
push @{$runs{$_->{job}}}, $_ for grep { $_->{what} eq 'begin' } @log;
my ($again) = sort { $a <=> $b } grep { my $r = $runs{$_}; @$r > 1 && $killed{$r->[0]{worker}} && !$killed{$r->[1]{worker}} } keys %runs;
my ($once) = sort { $a <=> $b } grep { @{$runs{$_}} == 1 && !$killed{$runs{$_}[0]{worker}} } keys %runs;
die "nothing to change" if !defined $again || !defined $once;
if ($fault eq 'loses') {
	@log = grep { $_->{job} != $once } @log;
} elsif ($fault eq 'half') {
	@log = grep { $_->{job} != $once || $_->{what} ne 'end' } @log;
} elsif ($fault eq 'again') {
	push @log, map { { %$_, attempt => 2, pid => 9999999 } } grep { $_->{job} == $once } @log;
} elsif ($fault eq 'forgets') {
	my $first = $runs{$again}[0]{pid};
	@log = grep { $_->{job} != $again || $_->{pid} == $first } @log;
} elsif ($fault eq 'attempt') {
	$_->{attempt} = 1 for grep { $_->{job} == $again } @log;
} elsif ($fault eq 'unknown') {
	push @log, { what => 'end', job => $once, attempt => 1, worker => 0, pid => 9999999 };
}
open $f, '>', 'fake.d/log' or die;
print $f join(' ', @$_{qw(what job attempt worker pid)}), "\n" for @log;
PERL
cp -r storm.d whole.d
sees_log() { # FIGURE FAULT CLAIM
	rm -rf fake.d
	cp -r whole.d fake.d
	perl fake "$2" || echo "# the log could not be changed"
	status_is 1 "the checker sees $3" sh -c "cd fake.d && $scratch/bin/work-check"
	figure_of "$1"
	report $? "... and says so: $1"
}
cp -r whole.d fake.d
perl fake none
check "a log that was only read and written is good" sh -c "cd fake.d && $scratch/bin/work-check"
sees_log lost loses "that a job is lost"
sees_log lost half "that a job is only begun"
sees_log needless again "that a job is run again whose worker was not killed"
sees_log forgotten forgets "that a job is not run again whose worker was killed"
sees_log attempt attempt "that it is not told how often it was begun"
sees_log strange unknown "a run that no worker knows of"
rm -rf fake.d
cp -r whole.d fake.d
# More than workers that were killed can have had, however many there were.
sed -i 's/^jobs .*/jobs 100000/; s/^journal 1/journal 0/' fake.d/manifest
status_is 1 "the checker sees that more is lost than was in hand" sh -c "cd fake.d && $scratch/bin/work-check"
figure_of lost
report $? "... and says so: lost"

# --- workers with a fault ---

mkdir wrong
cat >wrong/mqpipe <<'SH'
#!/bin/sh
# mqpipe work with a fault: $STORM_FAULT says which.
shift
n=$#
while [ $n -gt 0 ]; do
	word=$1
	shift
	case $STORM_FAULT:$word in
	ignores:--journal=*) ;;
	lazy:*/work-job) set -- "$@" true ;;
	eager:*/work-job) set -- "$@" sh -c "cat >job.\$\$; '$word' <job.\$\$; '$word' <job.\$\$; rm job.\$\$" ;;
	*) set -- "$@" "$word" ;;
	esac
	n=$((n - 1))
done
exec "$MQPIPE" work "$@"
SH
chmod +x wrong/mqpipe
MQPIPE=$tools/mqpipe
export MQPIPE
sees() { # FIGURE FAULT CLAIM
	STORM_FAULT=$2
	export STORM_FAULT
	status_is 1 "$3" storm "$scratch/wrong" -s 5 -i 3000 -j
	figure_of "$1"
	report $? "... and says so: $1"
}
# Slow ones are hardly ever killed when they have a job.
if [ -z "${SANITIZE-}" ]; then
	STORM_FAULT=none
	export STORM_FAULT
	check "a worker that is started by a script passes" storm "$scratch/wrong" -s 5 -i 10000 -j
	sees forgotten ignores "the storm sees a worker that keeps no journal"
	sees lost lazy "... one that does not run jobs"
	sees strange eager "... one that runs them twice"
fi

# --- a real list of jobs ---

STORM=$scratch/bin MQBIN=$tools
export STORM MQBIN
check "to compress the files of a tree through a queue is to compress them" \
	"$TOP/tests/storm/run-work" tree "$TOP/man" "$TOP/libsync"
done_testing
