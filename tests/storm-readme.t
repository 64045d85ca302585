#!/bin/sh
# SPDX-License-Identifier: MIT
# Each hazard of tests/storm/README.md has a claim, and each claim that it quotes is in the file that it names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TOP" || exit 1

# ROW FILE CLAIM
perl -ne '
	next unless /^\| (\d+) \|/;
	my $row = $1;
	my $cells = s/^.*\| (?=`)//r;
	my $quoted = 0;
	while ($cells =~ /\G`([^`]+)` "((?:[^"\\]|\\.)*)"(?:; | \|$)/gc) {
		print "$row\t$1\t$2\n";
		$quoted++;
	}
	print "$row\tnot understood\t$_" unless $quoted && $cells =~ /\G\s*$/;
' tests/storm/README.md >"$scratch/quotes"

check "the hazards are numbered from 1 to 62" \
	test "$(grep -o '^| [0-9]* |' tests/storm/README.md | tr -dc '0-9\n' | tr '\n' ' ')" = "$(seq -s ' ' 62) "
tab=$(printf '\t')
while IFS=$tab read -r row file claim; do
	check "hazard $row: $claim" grep -qF -- "$claim" "$file"
done <"$scratch/quotes"
check "and each has at least one" test "$(cut -f1 "$scratch/quotes" | sort -un | wc -l)" -eq 62
done_testing
