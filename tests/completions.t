#!/bin/sh
# SPDX-License-Identifier: MIT
# The completions are what gen.sh makes now, and bash, zsh and fish offer what they should.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

HOME=$scratch XDG_CONFIG_HOME=$scratch XDG_DATA_HOME=$scratch XDG_CACHE_HOME=$scratch
XDG_RUNTIME_DIR=$scratch TERM=dumb
PATH=$scratch/bin:$PATH
export HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR TERM PATH

mkdir made
check "gen.sh runs" env BIN="$BUILD/bin/syncbox" "$TOP/completions/gen.sh" made
for file in syncbox.bash _syncbox syncbox.fish; do
	check "completions/$file is what gen.sh makes now: if not, make completions" \
		diff "$TOP/completions/$file" "made/$file"
done

# What is typed, what is offered for its last word, and the claim.
cat >cases <<'END'
lockrun --no|--no-fork --no-lend --nonblock|options are completed
lockrun --json --no|--no-fork --no-lend --nonblock|more options are completed
lockrun aa|aaa.lck aab.lck aadir|LOCK is a file or a directory
lockrun fcntl:aaa|fcntl:aaa.lck|LOCK may have a scheme
lockrun -nw 5 aa|aaa.lck aab.lck aadir|the value of an option is not LOCK
lockrun -- aa|aaa.lck aab.lck aadir|LOCK can follow --
lockrun --lock=aa|aaa.lck aab.lck aadir|an option takes a file after =
lockrun --lock=ofd:aaa|ofd:aaa.lck|an option takes a lock with a scheme
lockrun --lock aa|aaa.lck aab.lck aadir|an option takes a file as the next word
lockrun -l aa|aaa.lck aab.lck aadir|a short option takes a file
lockrun --hold=|command tree|the values of an option are offered
lockrun --hold t|tree|the values of an option are offered as the next word
lockrun -w ||nothing is offered for a duration
lockrun aaa.lck zzcmd|zzcmd-one zzcmd-two|a command follows LOCK
lockrun aaa.lck -- zzcmd|zzcmd-one zzcmd-two|a command follows LOCK and --
lockrun -nw 5 -l aab.lck aaa.lck zzcmd|zzcmd-one zzcmd-two|a command follows options and LOCK
lockrun ofd:aaa.lck@0+1 zzcmd|zzcmd-one zzcmd-two|a command follows a range of bytes
lockrun aaa.lck --no|--no-fork --no-lend --nonblock|options can follow LOCK
lockrun aaa.lck -c zzcmd|zzcmd-one zzcmd-two|a shell line begins with a command
lockrun aaa.lck zzcmd-one --no||the options of COMMAND are not ours
lockrun aaa.lck zzcmd-one aa|aaa.lck aab.lck aadir|files can follow COMMAND
flock --no|--no-fork --nonblocking|options of a drop-in are completed
flock aa|aaa.lck aab.lck aadir|its FILE is a file
flock -nw 5 aaa.lck zzcmd|zzcmd-one zzcmd-two|and a command follows FILE
flock aaa.lck -c zzcmd|zzcmd-one zzcmd-two|or a shell line
lockrun aaa.lck lockrun --no|--no-fork --no-lend --nonblock|COMMAND has its own completion
syncbox lock|lockrun|syncbox completes applets
syncbox --install=aa|aadir|syncbox completes its own options
syncbox lockrun --no|--no-fork --no-lend --nonblock|options of an applet follow its name
syncbox lockrun aa|aaa.lck aab.lck aadir|operands of an applet follow its name
syncbox lockrun aaa.lck zzcmd|zzcmd-one zzcmd-two|a command follows the LOCK of an applet
lockrun --lock=file aaa.lck zzcmd|zzcmd-one zzcmd-two|a value after = is no name of a kind
mqpipe re|recv|actions are completed
mqpipe |create dead flush info move peek recv rm send wait work|all actions are offered
mqpipe aa||nothing else is offered for an action
mqpipe send --no|--no-create --nonblock|options of an action are completed
mqpipe send aa --no-c|--no-create|the only option of an action that it can be follows its operands
mqpipe send --un||options of another action are not offered
mqpipe nosuch --||an action that there is not has no options
mqpipe send --oversize=|refuse skip spill truncate|the values of an option of an action are offered
mqpipe send --oversize s|skip spill|the values of an option of an action are offered as the next word
mqpipe recv --journal aa|aadir|an option of an action takes a directory
mqpipe recv --journal=aa|aadir|an option of an action takes a directory after =
mqpipe recv --journal=dir aa||a value after = is not that of the next word
mqpipe send --prog|--progress|an option is offered whose value may be missing
mqpipe recv --progress=|always auto|the value that may be missing is offered after =
mqpipe recv --progress=al|always|the value that may be missing is completed after =
mqpipe recv --progress a||the value that may be missing is not the next word
mqpipe recv --progress --no|--no-create --nonblock|an option follows one without its value
mqpipe send --need-reader=||nothing is offered for a duration that may be missing
mqpipe send aa||nothing is offered for QUEUE
mqpipe send queue aa||nothing is offered for MESSAGE
mqpipe move queue aa||nothing is offered for a second queue
syncls |event jobserver lock mq pool sem shm|a type is offered where one can be
syncls --tree s|sem shm|behind an option, too
syncrm po|pool|a type is completed
syncrm pool aa||nothing is offered for a NAME
syncbox mq|mqpipe|syncbox completes an applet that has actions
syncbox mqpipe re|recv|actions follow the name of their applet
syncbox mqpipe send --no|--no-create --nonblock|options of an action follow its name
syncbox mqpipe recv --progress=|always auto|values of an option of an action follow its name
syncbox mqpipe recv --journal aa|aadir|a directory follows an option of an action
END
syncbox --dump-options >dump
awk -F '\t' '$3 == "" { print $1 }' dump >names # of applets and actions
long_options() { awk -F '\t' -v name="$1" '$1 == name && $3 != "" { print $3 }' dump; }

mkdir bin aadir
touch aaa.lck aab.lck bin/zzcmd-one bin/zzcmd-two
chmod +x bin/*
cut -d '|' -f 1 cases >typed
sed 's/$/ -/' names >>typed
sed '/^syncbox$/d; s/.*/syncbox & -/' names >>typed

# Each shell reads typed and writes to answers.SHELL, line by line, what the line has become when
# everything that can be offered has been put into it.

# Readline itself, no terminal needed; a new session, so that job control finds none either.
ask_bash() { # ANSWERS FILE...
	answers=$1
	shift
	{
		cat <<-'END'
			bind '"\C-x\C-a": insert-completions'
			bind -x '"\C-x\C-b": printf "%s\n" "$READLINE_LINE" >>$answers'
		END
		printf 'answers=%s\n' "$answers"
		printf '. %s\n' "$@"
		while IFS= read -r line; do
			printf '%s\030\001\030\002\025' "$line"
		done <typed
		printf '\n'
	} | INPUTRC=/dev/null HISTFILE='' setsid bash --norc --noprofile -i
}

# The line editor needs a terminal.
ask_zsh() {
	cat >inner <<-'END'
		fpath=($PWD/made $fpath)
		autoload -Uz compinit && compinit -u -D
		zstyle ':completion:*' completer _all_matches _complete
		zstyle ':completion:*' insert true
		zle -C all complete-word _main_complete
		zle-line-init() {
			while IFS= read -r BUFFER; do
				CURSOR=$#BUFFER
				zle all
				print -r -- $BUFFER >>answers.zsh
			done <typed
			BUFFER=exit
			zle accept-line
		}
		zle -N zle-line-init
	END
	cat >outer <<-'END'
		zmodload zsh/zpty
		zpty inner zsh -f
		zpty -w inner '. ./inner'
		while zpty -r inner; do :; done
	END
	timeout 240 zsh -f outer
}

ask_fish() {
	cat >ask.fish <<-'END'
		source made/syncbox.fish
		while read -l line
			set -l offered (complete -C $line | string replace -r '\t.*' '')
			echo (string replace -r '[^ ]*$' '' -- $line)"$offered"
		end <typed >answers.fish
		complete -C 'mqpipe ' >described.fish
	END
	fish --no-config ask.fish
}

# What SHELL offers for the last word of LINE, one a line: without the = of an option that takes a
# value, nor the option before a value, nor the / of a directory.
offered() { # SHELL LINE
	awk -v line="$2" '
	NR == FNR { if ($0 == line) wanted = FNR; next }
	FNR == wanted && $0 != line {
		sub(/[^ ]*$/, "", line)
		n = split(substr($0, length(line) + 1), word, " ")
		for (i = 1; i <= n; i++) {
			sub(/[=\/]$/, "", word[i])
			sub(/^--.*=/, "", word[i])
			print word[i]
		}
	}' typed "answers.$1" | LC_ALL=C sort -u
}

offers() { # SHELL LINE WORDS
	printf '%s\n' "$3" | tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort >expected
	offered "$1" "$2" >got
	diff expected got
}

offers_all_options() { # SHELL LINE NAME
	long_options "$3" | LC_ALL=C sort >expected
	offered "$1" "$2" | grep '^--' >got
	diff expected got
}

describes_actions() {
	sed -n "s/^mqpipe \([^\t]*\)\t\t\t\t/\1\t/p" dump | LC_ALL=C sort >expected
	test -s expected && LC_ALL=C sort described.fish | diff expected -
}

claims() { # SHELL NAME
	while IFS='|' read -r line words claim; do
		if [ "$1" = bash ] && [ "$claim" = "COMMAND has its own completion" ]; then
			skip "$2: $claim" "bash leaves that to bash-completion"
		else
			check "$2: $claim: $line" offers "$1" "$line" "$words"
		fi
	done <cases
	if [ "$1" = zsh ]; then
		skip "$2: an option whose value may be missing is offered without =" "a blank takes the = away"
	else
		check "$2: an option whose value may be missing is offered without =" \
			grep -q '^mqpipe send.* --progress\( \|$\)' "answers.$1"
	fi
	while IFS= read -r name; do
		check "$2: every option of $name is offered" offers_all_options "$1" "$name -" "$name"
		[ "$name" = syncbox ] ||
			check "$2: every option of syncbox $name is offered" \
				offers_all_options "$1" "syncbox $name -" "$name"
	done <names
}

if command -v bash >/dev/null; then
	ask_bash answers.bash made/syncbox.bash >log.bash 2>&1
	claims bash bash
else
	skip "bash completes" "bash is not installed"
fi
package=/usr/share/bash-completion/bash_completion
if command -v bash >/dev/null && [ -r $package ]; then
	ask_bash answers.package $package made/syncbox.bash >log.package 2>&1
	claims package "bash with bash-completion"
else
	skip "bash with bash-completion completes" "bash-completion is not installed"
fi
for shell in zsh fish; do
	if command -v $shell >/dev/null; then
		ask_$shell >log.$shell 2>&1
		claims $shell $shell
		[ $shell = zsh ] || check "fish: actions are offered with their summaries" describes_actions
	else
		skip "$shell completes" "$shell is not installed"
	fi
done

done_testing
