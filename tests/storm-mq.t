#!/bin/sh
# SPDX-License-Identifier: MIT
# The kill storm for mqpipe in short, and real data: no message twice, none lost but by who is killed, with a journal
# none at all; and what is wrong is always seen. tests/storm/run-mq is the long one.
# shellcheck disable=SC2317 # functions are called through check and status_is
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

tools=$(dirname "$(command -v mqpipe)")
messages=20000 small=2 large=8
[ -z "${SANITIZE-}" ] || messages=4000 small=1 large=4 # such an mqpipe is slow
unset STORM_FAULT

storm() { # OPTION... BINDIR
	rm -rf storm.d
	mkdir storm.d
	(cd storm.d && "$scratch/bin/mq-storm" "$@" "$scratch/bin/mq-check" && cat errors)
}

# The figure is there, and it is not zero.
figure_of() { # NAME
	case " $out " in
	*" $1=0 "*) return 1 ;;
	*" $1="*) return 0 ;;
	*) return 1 ;;
	esac
}

survives() { # CLAIM OPTION...
	claim=$1
	shift
	check "$claim" storm -n $messages -i 400 "$@" "$tools"
	figure_of kills
	report $? "... though processes were killed"
}

sees() { # FIGURE FAULT CLAIM OPTION...
	figure=$1 STORM_FAULT=$2 claim=$3
	export STORM_FAULT
	shift 3
	status_is 1 "$claim" storm -n $((messages / 2)) "$@" "$scratch/bin/mq-wrong.bin"
	unset STORM_FAULT
	figure_of "$figure"
	report $? "... and says so: $figure"
}

real_data() {
	BUILD='' STORM=$scratch/bin MQBIN=$tools "$TOP/tests/storm/run-mq" data "$small" "$large"
}

check "the storm's programs compile" "$TOP/tests/storm/build" bin mq

for kind in posix sysv; do
	check "$kind: without kills each message arrives once, and in order" storm -k $kind -n $messages -i 0 "$tools"
	case " $out " in
	*" lost=0 "*) true ;;
	*) false ;;
	esac
	report $? "$kind: ... and none is lost"
	survives "$kind: a killed receiver loses one message at the most, and none is written twice" -k $kind
	survives "$kind: ... nor are lines" -k $kind -l -s 2
	survives "$kind: with a journal none is lost, and what is written twice is said" -k $kind -j -s 3
	# In a slow build the few that are killed may all have been waiting.
	[ -n "${SANITIZE-}" ] || figure_of recovered || figure_of saved || figure_of repeated
	report $? "$kind: ... and some would have been"
done

STORM_FAULT=none
export STORM_FAULT
# It is simple, and what the machine does to it once must not be taken for a fault of the checker.
spotless() { storm -n 10000 -i 500 "$scratch/bin/mq-wrong.bin"; }
passes_in_three() { spotless || spotless || spotless; }
check "an mqpipe without a fault passes" passes_in_three
unset STORM_FAULT

sees duplicates duplicates "the storm sees that a message is written twice" -i 500
sees lost loses "... that one is lost, where nobody was killed" -i 0
sees damaged truncates "... that one has lost a byte" -i 500
sees damaged changes "... that one has another byte" -i 500
sees disorder reorders "... that one is passed by a later one" -i 500
sees alien invents "... that one was not sent" -i 500
sees damaged half "... that half a message is the last, and nobody was killed" -i 0
sees failed gives-up "... that a receiver ends by itself" -i 0
sees stuck deaf "... that a receiver does not receive" -i 0 -t 1
sees lost ignores "... that a journal is of no use" -i 500 -j
sees duplicates silent "... that nobody says what may be there twice" -n 2000 -i 2000 -r -j
sees wolf wolf "... that it is said of too many" -n 2000 -i 2000 -r -j
sees lost skips "... that one is not sent" -i 0
sees duplicates resends "... that one is sent twice" -i 500
sees damaged header "... that a message is not just what was sent" -i 500

check "the system's own text goes through two queues and a filter, and memory stays as it is" real_data
echo "$out" | sed 's/^/# /'

done_testing
