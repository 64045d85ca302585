#!/bin/sh
# SPDX-License-Identifier: MIT
# make demo: lockrun on this machine's own files, and a timeline of who ran when. Nothing is staged:
# each job writes down when it asked, began and ended, and the picture is drawn from that.
set -eu
PATH=${BUILD:?run it with make demo}/bin:$PATH
unset SYNCBOX_HELD
dir=$(mktemp -d)
trap 'cd /; rm -rf "$dir"' EXIT
cd "$dir"
: >log
note() { echo "$1 $2 $(date +%s%N)" >>log; }

cat >job <<'SH'
#!/bin/sh
# NAME: archive the system's headers, writing down begin and end.
echo "$1 begin $(date +%s%N)" >>log
tar -C /usr -cf - include 2>/dev/null | gzip >"$1.tar.gz"
echo "$1 end $(date +%s%N)" >>log
SH
chmod +x job
ask() { # NAME LOCKRUN-ARGUMENTS...
	name=$1
	shift
	note "$name" ask
	lockrun "$@" ./job "$name"
}
running() { # NAME: wait until it runs
	until grep -q "^$1 begin" log; do sleep 0.02; done # ok: a demonstration
}

printf '\n1. Two backups are started together under one lock; they take turns.\n'
printf '   A third gives up after 0.1 s:\n\n'
ask backup-1 backup.lock &
running backup-1
ask backup-2 backup.lock &
ask backup-3 -w 0.1 backup.lock 2>&1 | sed 's/^/     /' || :
note backup-3 gave-up
wait

printf '\n2. kill -9 hits the lockrun above a running backup. The backup still holds the lock, so the\n'
printf '   next one waits for it all the same:\n\n'
note orphan ask
lockrun backup.lock ./job orphan &
wrapper=$!
running orphan
kill -9 $wrapper
note orphan killed-wrapper
lockrun -n backup.lock true 2>&1 | sed 's/^/     /' || :
ask next backup.lock
wait

printf '\n3. kill -9 hits the backup itself: its lock is free at once, for the one that waits.\n'
note victim ask
lockrun backup.lock sh -c 'echo $$ >pid; exec ./job victim' &
until [ -s pid ]; do sleep 0.02; done # ok: a demonstration
running victim
ask heir backup.lock &
until lockrun --who backup.lock | grep -q waits; do :; done
note victim killed # before it is, as the heir may begin at once
kill -9 "$(cat pid)"
wait

printf '\n4. Two readers share the lock; a writer waits for both.\n'
ask reader-1 -s data.lock &
ask reader-2 -s data.lock &
running reader-1
running reader-2
ask writer data.lock
wait

printf '\nThe timeline, from what they wrote down ( . waits, = runs, x killed, ! gives up ):\n\n'
awk '
	{ t = $3 / 1e9; if (!start) start = t; if (!($1 in seen)) order[++n] = $1
	  seen[$1] = 1; at[$1, $2] = t - start; last = t - start }
	END {
		width = 72; scale = last / width
		for (i = 1; i <= n; i++) {
			name = order[i]; line = ""
			end = (name, "end") in at ? at[name, "end"] : (name, "killed") in at ? at[name, "killed"] : at[name, "gave-up"]
			for (c = 0; c < width; c++) {
				a = c * scale; b = a + scale
				if (b <= at[name, "ask"] || a > end) ch = " "
				else if (!((name, "begin") in at) || b <= at[name, "begin"]) ch = "."
				else ch = "="
				if ((name, "killed") in at && at[name, "killed"] >= a && at[name, "killed"] < b) ch = "x"
				if ((name, "gave-up") in at && at[name, "gave-up"] >= a && at[name, "gave-up"] < b) ch = "!"
				if ((name, "killed-wrapper") in at && at[name, "killed-wrapper"] >= a && at[name, "killed-wrapper"] < b) ch = "x"
				line = line ch
			}
			printf "  %-9s|%s|\n", name, line
		}
		printf "  %-9s 0%*s %.1f s\n", "", width - 6, "", last
	}' log

# And is it true? No two backups overlap, nor the writer with a reader.
awk '
	$2 == "begin" { begin[$1] = $3 }
	$2 == "end" || $2 == "killed" { if (!($1 in end)) end[$1] = $3 }
	function overlap(a, b) { return begin[a] < end[b] && begin[b] < end[a] }
	END {
		split("backup-1 backup-2 orphan next victim heir", b, " ")
		for (i = 1; i <= 6; i++)
			for (j = i + 1; j <= 6; j++)
				bad += overlap(b[i], b[j])
		bad += overlap("writer", "reader-1") + overlap("writer", "reader-2")
		shared = overlap("reader-1", "reader-2")
		printf "\nchecked: %d overlaps that must not be; the readers did%s overlap\n", bad, shared ? "" : " not"
		exit bad > 0 || !shared
	}' log
