# shellcheck shell=sh disable=SC2034,SC2154 # lib.sh sets scratch, others use what is set here
# SPDX-License-Identifier: MIT
# For the tests of jobpool: a directory for its pools, and ./job, which counts those of its kind.
#
#	jobs_are N	so many jobs have begun and wait at the FIFO "hold"
#	at_most N	never more were there at once
#	in_pool NAME	prints how many permits of that pool are free
#	empty DIRECTORY

SYNC_DIR=$scratch/sync
mkdir "$SYNC_DIR" here
export SYNC_DIR
# A job that tells how many of its kind there are, and lasts until it is told to end, if there is a FIFO "hold".
cat >job <<'SH'
#!/bin/sh
: >"here/$$"
ls -l /proc/self/fd | sed -n 's/.*pipe:.\([0-9]*\).*/\1/p' >>pipes
find here -type f | wc -l >>crowd
[ ! -p hold ] || { echo >>jobs; read -r x <>hold; }
rm "here/$$"
SH
chmod +x job
jobs_are() { [ "$(wc -l <"jobs" 2>/dev/null)" -eq "$1" ]; }
at_most() { [ "$(sort -n crowd | tail -n 1)" -le "$1" ]; }
in_pool() { semwait --value "jobserver:fifo:$SYNC_DIR/$1.jobs"; }
empty() { [ -z "$(ls -A "$1")" ]; }
