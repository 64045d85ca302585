# shellcheck shell=sh disable=SC2034 # others use what is set here
# SPDX-License-Identifier: MIT
# For the tests of flock, a drop-in for flock(1) of util-linux: every claim is made of ours and of theirs, if
# that is here.
#
#	of_each FUNCTION...	call each with $who (ours, theirs) and $flock, in a directory of its own
#
# What differs between releases of theirs, so that an older one is asked for the older answer, or not asked:
#
#	release		what came with it			Debian 12 has 2.38
#	2.41		--fcntl; EACCES is busy too
#	2.42		--start, --length; so --s is ambiguous
#	after 2.42	--fd; "invalid timeout: ...", not "invalid timeout value: ..."; "invalid file descriptor:
#			...", not "bad file descriptor: ..."; a negative descriptor is a usage error
#
# And of ours, as flock(1) says: the words of --help and --version, -w with SIGALRM blocked, descriptors 0 to 2.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# The locale is that of the messages we expect, and -c has the shell that we expect.
LC_ALL=C
export LC_ALL
unset SHELL

peer=$(theirs flock) || peer=
case $peer in ?*) case $("$peer" -V 2>/dev/null) in *util-linux*) ;; *) peer= ;; esac ;; esac
mkfifo go
traced() { command -v strace >/dev/null && [ -z "${SANITIZE-}" ] && strace -o /dev/null true 2>/dev/null; }
traced && tracing=yes || tracing=

# --- how claims are made of either ---

# is STATUS CLAIM ARG...: of $flock
is() {
	want=$1 claim=$2
	shift 2
	status_is "$want" "$who: $claim" "$flock" "$@"
}
# What the last one wrote; the libcs word some errors in their own way.
wrote() { # STDERR CLAIM
	[ "$err" = "$1" ] || err=$(printf '%s\n' "$err" | sed '/^strace: /d; s/I\/O error/Input\/output error/; s/No file descriptors available/Too many open files/
		s/Out of memory/Cannot allocate memory/; s/Symbolic link loop/Too many levels of symbolic links/
		s/Result not representable/Numerical result out of range/')
	[ "$err" = "$1" ]
	report $? "$who: $2"
}
hint="Try 'flock --help' for more information."
# refused CLAIM MESSAGE ARG...: 64, and this on stderr
refused() {
	claim=$1 message=$2
	shift 2
	is 64 "64: $claim" "$@"
	wrote "$message" "and the message"
}
# Does it have this option (with a value, or none)?
has() { "$flock" "$@" --version >/dev/null 2>&1; }
# As is, with errors injected into its system calls: inject CALLS:error=... on file L
inject() {
	want=$1 claim=$2 what=$3
	shift 3
	status_is "$want" "$who: $claim" strace -qq -o trace -P L -e "trace=${what%%:*}" \
		-e "inject=$what" "$flock" "$@"
}
# Hold L with OPTIONS until told to go.
hold() {
	# The fifo is opened before the lock is taken, so that release finds its reader.
	"$flock" "$@" L sh -c ': >held; read -r x' <>go >held.out &
	holder=$!
	wait_for test -e held
}
let_go() {
	release go
	wait $holder
	rm -f held
}

spelled() { # OPTION...
	rm -f ran
	"$flock" "$@" L sh -c ': >ran' >out.log 2>&1 && [ -e ran ]
}

# By its bare name, with which theirs begins messages about options.
flock=flock
of_each() {
	path=$PATH
	mkdir bin
	for who in ours theirs; do
		if [ $who = theirs ] && [ -z "$peer" ]; then
			skip "the same of theirs" "no flock of util-linux here"
			continue
		fi
		[ $who = ours ] || { ln -s "$peer" bin/flock && PATH=$scratch/bin:$path; }
		mkdir $who
		cd $who || exit 1
		ln ../go go
		for claims; do
			"$claims"
		done
		cd ..
	done
	who=ours PATH=$path
}
