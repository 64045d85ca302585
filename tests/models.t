#!/bin/sh
# SPDX-License-Identifier: MIT
# The SPIN models, with few clients: no error, and what is planted is found. tests/storm/run-models is the long run.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

if ! command -v spin >/dev/null; then
	skip "the models" "there is no spin"
	done_testing
fi

check "removal of a lock file, a pool's line and the escrow: all states are good, each fault is seen" \
	"$TOP/tests/storm/run-models" short
echo "$out" | sed 's/^/# /'

done_testing
