#!/bin/sh
# SPDX-License-Identifier: MIT
# flock and flock(1): what the kernel is asked, what if it says no, and record locks.
# shellcheck source=tests/flock.sh
. "$(dirname "$0")/flock.sh"

faults() {
	if [ -z "$tracing" ]; then
		skip "$who: faults injected into system calls" "no strace, or a build that it would disturb"
		return
	fi
	inject 0 "the open" open,openat:delay_exit=1 L true
	check "$who: O_RDONLY, O_NOCTTY, O_CREAT, 0666, and nothing else" \
		grep -qE '"L", O_RDONLY\|O_CREAT\|O_NOCTTY(\|O_LARGEFILE)?, 0666\)' trace
	for fault in EROFS:73:'Read-only file system' ENOSPC:73:'No space left on device' EMFILE:71:'Too many open files' \
		ENFILE:71:'Too many open files in system' ENOMEM:71:'Cannot allocate memory' EACCES:66:'Permission denied'; do
		code=${fault#*:}
		inject "${code%%:*}" "${code%%:*}: ${fault%%:*} when it is opened" "open,openat:error=${fault%%:*}" L true
		case $fault in ENFILE*) continue ;; esac
		wrote "flock: cannot open lock file L: ${fault##*:}" "and says so"
	done
	for error in EIO EBADF; do
		inject 0 "$error: an NFS server wants a file that can be written" "flock:error=$error:when=1" L true
		strace -qq -o trace -P L -e trace=open,openat,flock -e "inject=flock:error=$error:when=1" "$flock" L true 2>/dev/null
		check "$who: it gets it" test "$(sed -n 's/.*\(O_RD[A-Z]*\|LOCK_EX\).*/\1/p' trace | tr '\n' ' ')" = \
			"O_RDONLY LOCK_EX O_RDWR LOCK_EX "
		inject 0 "$error: for -u too" "flock:error=$error:when=1" -u L true
		inject 65 "65: $error once more" "flock:error=$error" L true
		inject 65 "65: $error, shared" "flock:error=$error" -s L true
		status_is 65 "65: $error of a descriptor" strace -qq -o trace -e trace=flock \
			-e "inject=flock:error=$error" sh -c "exec '$flock' 9 9<L"
	done
	wrote 'flock: 9: Bad file descriptor' "and says so"
	inject 65 "65: EIO, shared" flock:error=EIO -s L true
	wrote 'flock: L: Input/output error' "and says so"
	inject 71 "71: out of locks" flock:error=ENOLCK L true
	wrote 'flock: L: No locks available' "and says so"
	inject 71 "71: out of memory" flock:error=ENOMEM L true
	inject 65 "65: another error" flock:error=EINVAL L true
	wrote 'flock: L: Invalid argument' "and says so"
	if has --fcntl; then
		inject 1 "1: EACCES is busy too" flock:error=EACCES --verbose L true
		wrote 'flock: failed to get lock' "and is said to be"
	else
		skip "$who: 1: EACCES is busy too" "since 2.41"
	fi
	inject 1 "1: EAGAIN is, though it was to wait" flock:error=EAGAIN --verbose L true
	inject 0 "EINTR: once more" flock:error=EINTR:when=1 L true
	rm -f ran
	status_is 71 "$who: 71: fork refused" strace -qq -o trace -e trace=fork,vfork,clone,clone3 \
		-e inject=fork,vfork,clone,clone3:error=EAGAIN "$flock" L sh -c ': >ran'
	wrote 'flock: fork failed: Resource temporarily unavailable' "and says so"
	check "$who: and nothing was run" test ! -e ran
	status_is 71 "$who: 71: out of memory for COMMAND" strace -f -qq -o trace -e trace=execve \
		-e inject=execve:error=ENOMEM:when=2+ "$flock" L true
	wrote 'flock: failed to execute true: Cannot allocate memory' "and says so"
}

record_locks() {
	if ! has --fcntl; then
		skip "$who: --fcntl" "it came with 2.41"
		return
	fi
	is 0 "--fcntl" --fcntl L true
	is 0 "--fcntl -s" --fcntl -s L true
	is 0 "--fc is enough" --fc L true
	mkdir dir
	is 65 "65: --fcntl of a directory, exclusive" --fcntl dir true
	wrote 'flock: dir: Is a directory' "and says so"
	is 0 "shared it can be" --fcntl -s dir true
	status_is 65 "$who: 65: exclusive, and only open for reading" sh -c "'$flock' --fcntl 9 9<L"
	wrote 'flock: 9: Bad file descriptor' "and says so"
	status_is 65 "$who: 65: shared, and only open for writing" sh -c "'$flock' --fcntl -s 9 9>L"
	status_is 0 "$who: open for it" sh -c "'$flock' --fcntl 9 9>L && '$flock' --fcntl -s 9 9<L"
	hold
	is 0 "a lock of flock(2) does not mind" --fcntl -n L true
	let_go
	hold --fcntl
	is 0 "nor does it mind this" -n L true
	is 1 "--fcntl minds" --fcntl -n L true
	is 1 "-w bounds it" --fcntl -w 0.05 --verbose L true
	wrote 'flock: timeout while waiting to get lock' "and says so"
	status_is 75 "$who: so do fcntl(2) locks of a process" lockrun -n fcntl:L true
	let_go
	status_is 0 "$who: -u" sh -c "exec 9>>L; '$flock' --fcntl 9; '$flock' --fcntl -u 9; '$flock' --fcntl -n L true"
	if ! has --start 1; then
		skip "$who: --start" "it came with 2.42"
		return
	fi
	hold --start 10 --length 0x5
	is 1 "--start and --length: these bytes" --start 14 --length 1 -n L true
	is 0 "not those before" --length 10 -n L true
	is 0 "nor those behind" --start 15 -n L true
	let_go
	hold --start 1K --length 1KiB
	is 0 "1K is 1024" --length 1024 -n L true
	is 1 "1KiB too" --start 2047 --length 1 -n L true
	is 0 "and no more" --start 2048 -n L true
	is 1 "1KB is 1000" --start 1KB --length 25 -n L true
	is 1 "0.5M is 524288, which is far enough" --length 0.5M -n L true
	let_go
	hold --start 4096
	is 1 "to the end without --length" --start 1T --length 1 -n L true
	let_go
	for value in -1 x '' 1X 1.5 0.5.5K 1Ki; do
		is 64 "64: --start '$value'" --start "$value" L true
		is 64 "64: --length '$value'" --length "$value" L true
	done
	is 64 "64: --length beyond 64 bits" --length 16E L true
	is 65 "65: a range that ends too late" --start 8191P --length 8191P L true
}

of_each faults record_locks
done_testing
