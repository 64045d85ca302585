#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzzers' harnesses without a fuzzer: each goes through its corpus, and through inputs made of it, always the same.
# tests/storm/run-fuzz is the long one, with an engine.
# shellcheck disable=SC2317 # functions are called through check
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

changes=3000
for source in "$TOP"/tests/fuzz/*.c; do
	name=${source##*/} name=${name%.c} n=$changes
	case $name in
	# These make files, and lock and settle a thousand slots of each.
	journal | ledger) n=$((changes / 20)) ;;
	pool) n=$((changes / 100)) ;;
	esac
	check "$name keeps its promises" "$BUILD/fuzz/$name" -m $n -s 1 "$TOP/tests/fuzz/corpus/$name"
	case $out in
	files=0*) report 1 "$name has a corpus" ;;
	*) echo "# $out $err" ;;
	esac
done

# What they promise is really looked at: by the same harness over a parser with a fault.
sees() { # HARNESS FILE SED-SCRIPT CLAIM
	rm -rf tree
	mkdir -p tree/tests
	cp -R "$TOP/cmd" "$TOP/libsync" tree
	cp -R "$TOP/tests/fuzz" tree/tests
	sed "$3" "$TOP/$2" >"tree/$2"
	cmp -s "$TOP/$2" "tree/$2" && echo "# nothing changed in $2"
	# shellcheck disable=SC2086 # a compiler may be several words
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -w -Itree/libsync -Itree/cmd -Itree/cmd/mqpipe \
		-o wrong "tree/tests/fuzz/$1.c" 2>err.log
	status_is 134 "$4" sh -c "./wrong -m 3000 \$0; exit \$?" "$TOP/tests/fuzz/corpus/$1"
	says "*must hold*" "by $1"
}
case ${STATIC-}${SANITIZE-} in
'')
	sees value cmd/parse.c 's/ || digit > max//' "a limit of one digit that does not count is seen"
	sees frames cmd/mqpipe/cut.c 's/c->frame->kind != FRAME_FIXED)$/true)/' "a long record that falls apart is seen"
	sees makeflags cmd/makeflags.c 's/!begins_with_dash(s)/*s != 45/' "an option that is taken for letters is seen"
	;;
esac
rm -rf tree wrong
done_testing
