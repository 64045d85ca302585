#!/bin/sh
# SPDX-License-Identifier: MIT
# syncls as a plain user, in containers, with /proc hidden or missing: what it can it shows, and says what it cannot; and
# at a terminal.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/syncls.sh
. "$TOP/tests/syncls.sh"
K=$(printf '0x%08x' $((0x54000000 + $$)))
N=world$$
trap 'ipcrm -Q $K 2>/dev/null; mqpipe rm -f "/$N"; cleanup' EXIT

# --- at a terminal ---
cat >drive.pl <<'PERL'
# Runs script(1) with what follows, in long lines as the scratch directory may be far down, and types Ctrl-C when the screen has been drawn so often.
my ($times, @command) = @ARGV;
$SIG{INT} = $SIG{QUIT} = 'DEFAULT';
pipe my $in, my $keys;
defined(my $pid = fork) or die;
if (!$pid) { open STDIN, '<&', $in; open STDOUT, '>', '/dev/null'; exec 'timeout', '-s', 'KILL', 60, 'script', '-qefc', "stty rows 24 cols 1000; exec @command", 'screen' }
select undef, undef, undef, 0.05 until (() = slurp() =~ /\e\[H/g) >= $times || waitpid($pid, 1) > 0; # ok: a look
sub slurp { open my $f, '<', 'screen' or return ''; local $/; scalar <$f> }
syswrite $keys, "\003";
waitpid $pid, 0;
print slurp();
PERL
made flock W
a=$!
if command -v script >/dev/null; then
	perl drive.pl 3 syncls --watch=100ms lock "$PWD/W" >drawn
	check "--watch draws again and again, in place" test "$(grep -c "$(printf '\033\\[H')" drawn)" -ge 3
	check "what is there" grep -q "flock:$PWD/W .* $a own" drawn
	check "it wipes behind each line and below, and changes no mode of the terminal" perl -0777 -ne '
		s/\A.*?\e\[2J//s; exit 1 if /\e\[\?|\e[78c]|\e\[s/; exit !/\e\[K\r?\n\e\[J/' drawn
else
	skip "--watch at a terminal" "no script(1)"
fi
syncls --watch=100ms lock "$PWD/W" >lists &
b=$!
wait_for sh -c 'test "$(grep -c "^lock" lists)" -ge 2'
check "--watch into a file: one list after the other" sh -c 'test "$(grep -c "^TYPE" lists)" -ge 2'
kill $b
wait $b 2>/dev/null
check "--watch ends when nobody reads" sh -c 'timeout 50 syncls --watch=100ms lock W | head -n 1 | grep -q TYPE'
check "also between two lists" sh -c '{ timeout 30 syncls --watch=1h lock W; echo $? >ended; } | head -n 1; test "$(cat ended)" -ne 124'
check "it sleeps between" sh -c '
	syncls --watch=1h lock W >/dev/null & p=$!
	i=0; until grep -q "^271 \|^7 " /proc/$p/syscall 2>/dev/null || [ $((i += 1)) -gt 2000 ]; do sleep 0.01; done # ok: a look
	test $i -le 2000 || ! test -r /proc/$p/syscall; s=$?; kill $p; exit $s'
kill $a

# --- not root ---
drop=''
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	drop="setpriv --reuid=65534 --regid=65534 --clear-groups env SYNC_DIR=$PWD/none"
	# shellcheck disable=SC2086
	$drop syncls --version >/dev/null 2>&1 || drop=''
fi
if [ "$drop" ]; then
	chmod 711 .
	made flock L
	a=$!
	chmod 644 L
	# shellcheck disable=SC2086 # words are wanted
	{
		status_is 0 "another user's lock is listed" $drop syncls lock "$PWD/L"
		says '*could not be looked into: root sees them all' "and it says what it could not see"
		check "with who asked for it" wait_for sh -c "$drop syncls --json lock '$PWD/L' 2>/dev/null | perl ask.pl people holders pid | grep -qx $a"
		lockrun --shared S sleep 600 & # ok: a holder
		b=$!
		lockrun --shared S sleep 600 & # ok: a holder
		c=$!
		check "and two that share one with each other" wait_for sh -c "
			test \"\$($drop syncls --json lock '$PWD/S' 2>/dev/null | perl ask.pl people holders pid |
				tr -c 0-9 '\\n' | grep -cx -e $b -e $c)\" -eq 2"
		kill $b $c
		lockrun -m 644 ofd:O sleep 600 & # ok: a holder
		b=$!
		wait_for holds O
		nobody() { test "$($drop syncls --json lock "ofd:$PWD/O" | perl ask.pl people holders pid user command since)" = 'null null null null'; }
		check "one of which the kernel does not tell who asked for it is there, without a process" wait_for nobody
		kill $b
		status_is 0 "a list of everything" $drop syncls
		mqpipe create "/$N" 2>/dev/null
		if unshare -m true 2>/dev/null; then
			status_is 0 "without /dev/mqueue" unshare -m sh -c "umount -l /dev/mqueue 2>/dev/null; $drop syncls mq"
			says '*queues that nobody has open could not be listed*' "it says that queues may be missing"
			mqpipe rm "/$N"
			mqpipe create -m 644 "/$N" 2>/dev/null
			check "but one that it may read can be asked for" sh -c "unshare -m sh -c 'umount -l /dev/mqueue 2>/dev/null; $drop syncls mq /$N 2>/dev/null' | grep -q 'posix:/$N '"
			check "root needs none" sh -c "unshare -m sh -c 'umount -l /dev/mqueue 2>/dev/null; syncls mq' | grep -q 'posix:/$N '"
			check "with one a plain user sees them all" unshare -m sh -c \
				"mount -t tmpfs -o mode=755 none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue && $drop syncls mq 2>&1 | grep -q 'posix:/$N '"
		fi
		mqpipe rm "/$N"
	}
	kill $a
else
	skip "not root" "needs root, and a binary that others may run"
fi

# --- other worlds ---
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
	if [ -z "${SANITIZE-}" ]; then
		status_is 71 "71: no /proc" unshare -m sh -c 'mount -t tmpfs none /proc && syncls'
		says "syncls: cannot look at processes: /proc is not mounted: mount it" "it says so"
	else
		skip "71: no /proc" "the sanitizers want it"
	fi
	if [ "$drop" ] && unshare -m mount -t proc -o hidepid=2 proc /proc 2>/dev/null; then
		# shellcheck disable=SC2086
		status_is 0 "/proc with hidepid=2" unshare -m sh -c "mount -t proc -o hidepid=2 proc /proc && $drop syncls lock"
		says '*hidden (/proc is mounted with hidepid): root sees them all*' "it says what is hidden"
	else
		skip "/proc with hidepid=2" "needs root, and a /proc that can be mounted so"
	fi
	status_is 0 "without /dev/shm" unshare -m sh -c 'mount -t tmpfs none /dev && syncls sem'
	says '*no posix: semaphores and memory, nor ledgers of jobservers' "it says so"

	mkdir m
	made flock m/L
	a=$!
	cat >inner <<-'SH'
		mount -t tmpfs none m && cd m && exec ../own flock L
	SH
	unshare -m sh inner &
	b=$!
	wait_for sh -c "syncls --json lock | grep -q '\"pid\":$b,'"
	other() { syncls --json lock | perl -MJSON::PP -e 'local $/; print join " ", map { "$_->{name} " . ($_->{reachable} ? "here" : "not") } grep { grep { ($_->{pid} // 0) == $ARGV[0] } @{$_->{holders}} } @{decode_json(<STDIN>)}' "$1"; }
	check "a file of another mount namespace is told apart from ours of that path" test "$(other $a), $(other $b)" = \
		"flock:$PWD/m/L here, flock:$PWD/m/L not"
	check "which alone the name means" test "$(pids holders lock m/L)" = $a
	kill $a $b
	wait 2>/dev/null

	if ipcs -q >/dev/null 2>&1 && unshare -i true 2>/dev/null; then
		made msgrcv "$K" 1
		a=$!
		wait_for waiting $a mq "sysv:$K"
		id=$(field id mq "sysv:$K")
		# The numbers there begin at 0: make queues until ours is used there, too.
		cat >inner <<-PERL
			use IPC::SysV qw(IPC_CREAT IPC_PRIVATE);
			my \$q;
			for (0 .. 200) { \$q = msgget(IPC_PRIVATE, IPC_CREAT | 0600); last if \$q == $id }
			exec './own', 'msgrcv', '$K', 1 if \$q != $id;
			open my \$f, '>', 'same'; close \$f;
			msgrcv(\$q, my \$buf, 1, 0, 0);
		PERL
		unshare -i perl inner &
		b=$!
		wait_for sh -c "test \"\$(cut -d' ' -f1 /proc/$b/syscall)\" = 70 || test -e up.$b"
		check "who waits for the same number in another IPC namespace is not ours" test "$(pids waiters mq "sysv:$K")" = $a
		check "nor is ours theirs" nsenter --target $b --ipc sh -c "! PATH='$PATH' syncls --json mq | grep -q '\"pid\":$a,'"
		kill $a $b
		wait 2>/dev/null
		if mqpipe create "/$N" 2>/dev/null; then
			unshare -i sh -c "PATH='$PATH' mqpipe create '/$N' && exec mqpipe recv '/$N'" &
			b=$!
			seen() { syncls --json mq | perl -MJSON::PP -e 'local $/; print join " ", sort map { $_->{reachable} ? "here" : "not" } grep { $_->{name} eq "posix:/$ARGV[0]" } @{decode_json(<STDIN>)}' $N; }
			wait_for sh -c "syncls --json mq | grep -q '\"pid\":$b,'"
			check "a queue of the same name there is another" test "$(seen)" = "here not"
			check "and not the one that is removed by that name" syncrm mq "/$N"
			kill $b
			wait 2>/dev/null
		else
			skip "queues in another IPC namespace" "no POSIX queues here"
		fi
	else
		skip "another IPC namespace" "no System V, or it cannot be unshared"
	fi
else
	skip "other worlds" "needs root, and mount namespaces"
fi

# --- labels of System V objects ---
cat >labels <<'SH'
n() { find /dev/shm -mindepth 1 ! -path "/dev/shm/${1-none}" | grep -c .; }
for i in 1 2 3 4 5 6 7 8; do semwait -i 1 "a$i" true || exit 8; done
mqpipe create sysv:a1 || exit 9
syncls --json sem sysv:a3 | grep -q '"sysv:a3"' || { echo "no name"; exit 1; }
syncls --json mq sysv:a1 | grep -q '"sysv:a1"' || { echo "no name of a queue"; exit 2; }
syncls shm | grep sysv && { echo "they are memory of somebody"; exit 3; }
[ "$(n "$@")" -eq 1 ] || { echo "not one file"; exit 4; }
# Without our knowledge; the queue has the label of a1 still.
syncls --json sem | grep -o '"id": *[0-9]*' | sed 's/.*: *//' | while read -r id; do ipcrm -s "$id"; done
mqpipe rm sysv:a1
[ "$(n "$@")" -eq 0 ] || { echo "a file of labels without an object"; exit 5; }
semwait -i 1 a1 true && semwait -i 1 a2 true || exit 8
syncrm sem a1
syncls --json sem | grep -q '"sysv:a2"' || { echo "one took away the other's"; exit 6; }
syncrm sem a2
[ "$(n "$@")" -eq 0 ] || { echo "it is left behind"; exit 7; }
long=$(printf '%0200d' 1)
semwait -i 1 "$long" true || { echo "not with a long name"; exit 10; }
[ "$(n "$@")" -eq 0 ] || { echo "a label for a name that it has no room for"; exit 11; }
SH
apart=''
for try in "-im" "-Urim"; do
	[ "$apart" ] || ! unshare $try mount -t tmpfs none /dev/shm 2>/dev/null || apart="unshare $try"
done
if [ "$apart" ]; then
	check "labels are in one file, and go with the objects, whoever removes those" $apart \
		sh -c 'mount -t tmpfs none /dev/shm && sh labels'
	check "also if a stranger has taken the name of the file" $apart \
		sh -c 'mount -t tmpfs none /dev/shm && : >/dev/shm/sysv.0 && chown 1 /dev/shm/sysv.0 2>/dev/null ||
			{ rm /dev/shm/sysv.0 && mkdir /dev/shm/sysv.0; } && sh labels sysv.0 && test -e /dev/shm/sysv.0'
	check "or the link that stands there leads nowhere" $apart \
		sh -c 'mount -t tmpfs none /dev/shm && ln -s none /dev/shm/sysv.0 && sh labels sysv.0'
else
	skip "labels" "no namespaces"
fi

done_testing
