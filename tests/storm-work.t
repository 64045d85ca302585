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

for seed in 1 2 3; do
	check "without a journal no more is lost than what killed workers had in hand" storm "$tools" -s $seed -i 8000
	check "with one nothing is lost, and run again is what they had in hand" storm "$tools" -s $seed -i 4000 -j
done
check "one worker, one at a time" storm "$tools" -s 4 -i 4000 -j -w 1
check "nobody is killed: each job is run once" storm "$tools" -i 0 -w 3

# A storm in which workers had jobs in hand; rarely the first one has none.
n=10
until check "jobs that killed workers had in hand are run again" storm "$tools" -s $n -i 2500 -j && figure_of again || [ $n -gt 20 ]; do
	n=$((n + 1))
done
figure_of again
report $? "... and there were some"

# --- what the checker sees ---

# What a storm leaves, as little of it as there can be: job 0 was run once; job 1 was in the hand of worker 0 when that
# was killed, and has been run again by worker 1; job 2 was done before.
mkdir -p good.d/events
cat >good.d/manifest <<'END'
jobs 3
journal 1
killed 0
ended 1
END
cat >good.d/log <<'END'
begin 2 1 0 102
begin 0 1 1 200
end 2 1 0 102
end 0 1 1 200
begin 1 1 0 101
begin 1 2 1 201
end 1 2 1 201
END
event() { printf '{"event":"%s","time":1.5,"job":%d,"attempt":%d,"slot":1,"pid":%d}\n' "$@"; }
{ event started 1 1 102 && event 'done' 1 1 102 && event started 2 1 101; } >good.d/events/0
{ event started 1 1 200 && event 'done' 1 1 200 && event started 2 2 201 && event 'done' 2 2 201; } >good.d/events/1
judged() { (cd "$1" && "$scratch/bin/work-check"); }
check "the history of a good storm is good" judged good.d
sees_log() { # FIGURE CLAIM SED-SCRIPT FILE...
	figure=$1 claim=$2 change=$3
	shift 3
	rm -rf fake.d
	cp -r good.d fake.d
	(cd fake.d && sed -i "$change" "$@")
	diff -r good.d fake.d >/dev/null && echo "# nothing was changed: $change"
	status_is 1 "the checker sees $claim" judged fake.d
	figure_of "$figure"
	report $? "... and says so: $figure"
}
sees_log lost "that a job is lost" '/ 0 1 1 200/d' log
sees_log lost "that a job is only begun" '/end 0 1 1 200/d' log
sees_log needless "that a job is run again whose worker was not killed" \
	'$ { p; s/.*/begin 0 2 1 202/p; s/begin/end/ }' log
sees_log forgotten "that a job is not run again whose worker was killed" '/ 1 2 1 201/d' log
sees_log attempt "that it is not told how often it was begun" 's/ 1 2 1 201/ 1 1 1 201/' log
sees_log strange "a run that no worker knows of" '$ { p; s/.*/end 0 1 1 203/ }' log
# More than workers that were killed can have had.
sees_log lost "that more is lost than was in hand" 's/jobs 3/jobs 9/; s/journal 1/journal 0/' manifest

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
