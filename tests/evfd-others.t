#!/bin/sh
# SPDX-License-Identifier: MIT
# evfd: who is in the way of a named event: squatters that do not answer, and floods of clients.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
unset EVFD EVFD_COUNT

E=evo.$$
# shellcheck disable=SC2086 # words
trap '$mine evfd rm -f $E; evfd rm -f $E $E.2; cleanup' EXIT
mine=''

# --- a squatter that does not answer, and whose queue is full ---

cat >squat <<'PERL'
# Bind the address, and let so many connect to it that there is no room for more.
use Socket;
use Fcntl;
my $name = pack_sockaddr_un("\0libsync-event/$ARGV[0]");
socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die;
bind $s, $name or die "bind: $!";
listen $s, 1 or die;
my @full;
for (1 .. 100) {
	socket my $c, AF_UNIX, SOCK_SEQPACKET, 0 or die;
	fcntl $c, F_SETFL, O_NONBLOCK;
	connect $c, $name or last;
	push @full, $c;
}
open my $f, '>', 'squats' or die;
close $f;
read STDIN, my $x, 1;
PERL
chmod 777 . && chmod 711 "$scratch"
mkfifo hold && exec 7<>hold
perl squat "$(id -u)/$E" <&7 7<&- &
squatter=$!
wait_for exists squats
for action in create add rm; do
	evfd $action $E >out.$action 2>err.$action &
	eval "$action=$!"
done
status_is 73 "73: create -x: the name is taken" evfd create -x $E
# shellcheck disable=SC2154 # set by eval
for action in create add rm; do
	eval "wait \$$action"
	status_is 69 "69: $action, where nobody answers" sh -c "exit $?"
	check "says so" grep -q "^evfd $action: cannot [a-z]* '$E': its holder does not answer" err.$action
done
check "create prints no name that leads nowhere" test ! -s out.create
kill $squatter
wait $squatter 2>/dev/null
check "when it has gone, the name is ours" evfd create -x $E
evfd rm $E
# Neither holder nor nobody: it was tried again and again.
perl -MSocket -e 'socket my $s, AF_UNIX, SOCK_SEQPACKET, 0; bind $s, pack_sockaddr_un("\0libsync-event/$ARGV[0]") or die;
	open my $f, ">", "binds"; close $f; read STDIN, my $x, 1' "$(id -u)/$E" <&7 7<&- &
squatter=$!
wait_for exists binds
status_is 73 "73: create, where somebody has the name and does not listen" evfd create $E
says "evfd create: cannot create '$E': somebody has the name and does not serve it" "so it says"
kill $squatter
wait $squatter 2>/dev/null
cat >mute <<'PERL'
# One that answers, but is no holder.
use Socket;
socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die;
bind $s, pack_sockaddr_un("\0libsync-event/$ARGV[0]") or die "bind: $!";
listen $s, 9 or die;
open my $f, '>', 'mutes' or die;
close $f;
while (accept my $c, $s) {
	send $c, 'x' x 20, 0;
}
PERL
perl mute "$(id -u)/$E" &
squatter=$!
wait_for exists mutes
status_is 65 "65: create, where one answers that is no holder" evfd create $E
check "prints no name, either" test "$out" = ''
kill $squatter
wait $squatter 2>/dev/null

# --- a flood ---

cat >flood <<'PERL'
# Connect, and read no answer, until the holder has refused some; then stay.
use Socket;
my ($name, $most) = @ARGV;
my @open;
for (1 .. $most) {
	socket my $c, AF_UNIX, SOCK_SEQPACKET, 0 or die;
	connect $c, pack_sockaddr_un("\0libsync-event/$name") or die "connect: $!";
	push @open, $c;
}
# The last of them has been accepted when it has an answer: that it is refused.
my $bits = '';
vec($bits, fileno $open[-1], 1) = 1;
select $bits, undef, undef, 60 or die 'no answer';
recv $open[-1], my $answer, 100, 0;
open my $f, '>', 'floods' or die;
print $f unpack('x4 l', $answer), "\n";
close $f;
read STDIN, my $x, 1;
PERL
if [ "$(id -u)" -eq 0 ]; then
	chmod 777 "$scratch"
	mine='setpriv --reuid=65534 --regid=65534 --clear-groups'
	other='setpriv --reuid=65533 --regid=65533 --clear-groups'
	# Where they can reach it.
	mkdir bin && cp -L "$BUILD/bin/evfd" bin
	EVFD_BIN=$scratch/bin/evfd
	# shellcheck disable=SC2086 # words, from here on
	{
		$mine sh -c "ulimit -n 64 && exec $EVFD_BIN create -m 666 $E" >/dev/null
		rm -f floods
		$other perl flood 65534/$E 200 <&7 7<&- &
		flood=$!
		wait_for test -s floods
		check "a flood of clients of another user: some are refused" test "$(cat floods)" -lt 0
		check "the owner still gets in" $mine "$EVFD_BIN" add $E 2
		check "and root does" evfd add 65534/$E 3
		check "as often as they like" sh -c "for i in 1 2 3 4 5 6 7 8 9 10; do $mine $EVFD_BIN get $E || exit 1; done"
		check "all was added" test "$($mine "$EVFD_BIN" get $E)" = 5
		status_is 71 "71: others are refused at once, while it lasts" $other "$EVFD_BIN" get 65534/$E
		says "*too many ask it at once*" "and told why"
		check "another event of the owner's is as it was" $mine sh -c "ulimit -n 64 && $EVFD_BIN create $E.2 && $EVFD_BIN add $E.2 && $EVFD_BIN rm $E.2"
		kill $flood
		wait $flood 2>/dev/null
		comes_in() { $other "$EVFD_BIN" add 65534/$E; }
		check "when it has gone, others get in" wait_for comes_in
		rm floods
		# Fewer than may be served and wait: all have an answer in the end.
		$other sh -c "seq 40 | xargs -P 10 -n 1 $EVFD_BIN add 65534/$E"
		check "others that read their answers are all served" test "$($mine "$EVFD_BIN" get $E)" = 826
		check "the owner may remove it" $mine "$EVFD_BIN" rm $E
	}
else
	skip "a flood of another user's clients" "needs root to be two"
fi
done_testing
