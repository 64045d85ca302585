#!/bin/sh
# SPDX-License-Identifier: MIT
# Write the completions for bash, zsh and fish: BIN=build/bin/syncbox completions/gen.sh DIR
#
# The program is asked for everything: --dump-options for the options, and the usage lines at the
# top of --help for the operands. What a word may be is told by its metavar: see kind() below.
set -eu

bin=${BIN:?which binary to ask, such as build/bin/syncbox}
dir=${1:?usage: BIN=SYNCBOX gen.sh DIR}
LC_ALL=C
export LC_ALL
unset ARGP_HELP_FMT

# The usage of NAME, each form on one line: in the shape of the dump, but for an empty first field.
usage() { # NAME HELP
	printf '%s\n' "$2" | awk -v name="$1" '
	NR > 1 && !/^ / { exit }
	$1 == "Usage:" || $1 == "or:" {
		if (form != "") print "\t" name "\t" form
		form = ""
		$1 = $2 = ""
	}
	{ form = form " " $0 }
	END { print "\t" name "\t" form }'
}

# The dump, which begins with syncbox itself, and then all usages.
ask() {
	dump=$("$bin" --dump-options) || exit
	printf '%s\n' "$dump"
	set --
	for name in $(printf '%s\n' "$dump" | awk -F '\t' '$3 == "" { print $1 }'); do
		[ "$name" = syncbox ] || set -- "$name"
		help=$("$bin" "$@" --help) || exit
		usage "$name" "$help"
	done
}

# Turns that into what the shells need to know, tab-separated:
#
#	applet NAME SUMMARY
#	option NAME SHORT LONG METAVAR KIND DOC		KIND is - without a value
#	operand CONTEXT POSITION METAVAR KIND		at POSITION, or from there on if it ends in +
#	word CONTEXT WORD DOC				a choice for the operand of KIND word
#
# KIND is file, dir, command, any, or word: an option has its words in the same field; an operand in
# lines of their own, where each leads to another context. A context is syncbox, an applet, or an
# applet and its subcommand.
model='
BEGIN { FS = OFS = "\t" }
function kind(metavar, doc) {
	metavar = "|" metavar "|"
	if (metavar ~ /[|](LOCK|FILE|PATH)[|]/) return "file"
	if (metavar ~ /[|]DIR[|]/) return "dir"
	if (metavar ~ /[|](COMMAND|LINE)[|]/) return "command"
	if (metavar ~ /[|]APPLET[|]/) return "word"
	return values(doc)
}
# "Until when: command, it has ended; tree, and all it started" lists the values.
function values(doc,	i, n, part, list) {
	n = split(substr(doc, index(doc, ": ") + 2), part, /; */)
	for (i = 1; i <= n; i++) {
		if (n < 2 || part[i] !~ /^[a-z][a-z0-9-]*(,|$)/) return "any"
		sub(/,.*/, "", part[i])
		list = list " " part[i]
	}
	return n ? "word" list : "any"
}
function operand(context, position, metavar, k,	key) {
	key = context OFS position
	if (!(key in kinds)) keys[++operands] = key
	else if (k != "command" && kinds[key] !~ /\tany$/) return
	kinds[key] = metavar OFS k
}
function word(context, w, doc) {
	if (!((context, w) in words)) print "word", context, w, doc
	words[context, w] = 1
}
# What token[i] and those after it say of a context whose first n operands have been seen.
function walk(context, i, n,	t, many, k, p, alternative) {
	for (; i in token; i++) {
		t = token[i]
		many = sub(/[.][.][.]/, "", t)
		gsub(/[][]/, "", t)
		if (t == "" || t == "--" || t == "OPTION") continue
		if (t ~ /^-/) {
			if (t in takes_value) i++
			continue
		}
		if (t ~ /^[a-z]/ && !n) {
			operand(context, 1, "SUBCOMMAND", "word")
			split(t, alternative, "|")
			for (p = 1; p in alternative; p++) {
				word(context, alternative[p], "")
				walk(context " " alternative[p], i + 1, 0)
			}
			return
		}
		k = kind(t, "")
		n++
		operand(context, many && k != "command" && k != "word" ? n "+" : n, t, k)
		if (k == "command" || k == "word") return
	}
}
$1 != "" && $3 == "" {
	print "applet", $1, $5
	if ($1 != "syncbox") word("syncbox", $1, $5)
}
$1 != "" && $3 != "" {
	print "option", $1, $2, $3, $4, ($4 == "-" ? "-" : kind($4, $5)), $5
	if ($4 != "-") with_value[$1] = with_value[$1] " " $2 " " $3
}
$1 == "" {
	split("", takes_value)
	for (n = split(with_value[$2], list, " "); n; n--) takes_value[list[n]]
	delete takes_value["-"]
	split($3, token, " ")
	walk($2, 1, 0)
}
END {
	for (i = 1; i <= operands; i++) if (keys[i] !~ /[+]/) print "operand", keys[i], kinds[keys[i]]
	for (i = 1; i <= operands; i++) if (keys[i] ~ /[+]/) print "operand", keys[i], kinds[keys[i]]
}
'

# The files: a table that is made from the model, and code that is not.

bash_table='
BEGIN { FS = "\t" }
$1 == "applet" { applet[++applets] = $2 }
$1 == "option" {
	value = $6 == "-" ? "" : "=" $6
	options[$2] = options[$2] "\t\t\t\047" $4 value "\047"
	if ($3 != "-") options[$2] = options[$2] " \047" $3 value "\047"
	options[$2] = options[$2] "\n"
}
$1 == "word" { words[$2] = words[$2] " " $3 }
$1 == "operand" {
	pattern = "\047" $2 " " ($3 ~ /[+]/ ? "\047*" : $3 "\047")
	kinds = kinds "\t" pattern ") kind=\047" $5 ($5 == "word" ? words[$2] : "") "\047 ;;\n"
}
END {
	print "# The options of an applet, each with = and what its value is, if it has one."
	print "_syncbox_options() {\n\tcase $1 in"
	for (i = 1; i <= applets; i++) {
		print "\t" applet[i] " | " applet[i] "\\ *)"
		print "\t\toptions=(\n" options[applet[i]] "\t\t)\n\t\t;;"
		all = all " " applet[i]
	}
	print "\t*) options=() ;;\n\tesac\n}\n"
	print "# What the operand of a context is, by its number."
	print "_syncbox_operand() {\n\tcase \"$1 $2\" in"
	print kinds "\t*) kind=any ;;\n\tesac\n}\n"
	print "complete -F _syncbox" all "\n"
}'
bash_code() {
	cat <<'END'
# The words up to the cursor, and where each begins in COMP_WORDS: readline cuts at = : @ too.
_syncbox_split() {
	local line=${COMP_LINE:0:COMP_POINT} blanks word i
	for ((i = 0; i <= COMP_CWORD; i++)); do
		blanks=${line%%[![:space:]]*}
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=${line#"$blanks"}
		line=${line#*"$word"}
		if ((i)) && [[ ! $blanks && ($word == [=:@]* || ${COMP_WORDS[i - 1]} == *[=:@]) ]]; then
			words[-1]+=$word
		else
			words+=("$word")
			begins+=("$i")
		fi
	done
}

# If the next word is the value of this option, then what it is.
_syncbox_value() {
	local word=$1 option found='' i
	kind=''
	if [[ $word == --* ]]; then
		for option in "${options[@]}"; do
			[[ $option == "$word"* ]] && found=$option # an abbreviation will do
			[[ ${option%%=*} == "$word" ]] && break
		done
		[[ $found == *=* ]] && kind=${found#*=}
		return
	fi
	for ((i = 1; i < ${#word}; i++)); do
		for option in "${options[@]}"; do
			[[ $option == "-${word:i:1}="* ]] || continue
			((i == ${#word} - 1)) && kind=${option#*=}
			return
		done
	done
}

_syncbox_reply() { # KIND WORD [PREFIX]
	case $1 in
	file) compopt -o bashdefault -o default ;;
	dir) compopt -o dirnames ;;
	command)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -c -d -- "$2")
		;;
	word*) mapfile -t COMPREPLY < <(compgen -P "${3-}" -W "${1#word}" -- "$2") ;;
	esac
}

_syncbox_reply_options() {
	local option list=()
	for option in "${options[@]}"; do
		case $option in
		--*=*) list+=("${option%%=*}=") ;;
		--*) list+=("$option") ;;
		esac
	done
	mapfile -t COMPREPLY < <(compgen -W "${list[*]}" -- "$1")
	if [[ ${COMPREPLY[*]} == *= ]]; then
		compopt -o nospace
	fi
}

# A command and its words, from number BEGIN of COMP_WORDS on.
_syncbox_reply_command() { # BEGIN
	local offset
	for offset in _comp_command_offset _command_offset; do # of bash-completion 2.12, and before
		if declare -F "$offset" >/dev/null; then
			"$offset" "$1"
			return
		fi
	done
	if (($1 == COMP_CWORD)); then
		_syncbox_reply command "${COMP_WORDS[COMP_CWORD]}"
	else
		_syncbox_reply file
	fi
}

_syncbox() {
	local words=() begins=() options=() kind='' ended='' prefix='' n=0 i word
	COMPREPLY=()
	if [[ ${COMP_WORDS[COMP_CWORD - 1]} == *[\<\>] ]]; then
		_syncbox_reply file
		return
	fi
	_syncbox_split
	local context=${words[0]##*/} last=$((${#words[@]} - 1))
	_syncbox_options "$context"
	for ((i = 1; i < last; i++)); do
		word=${words[i]}
		if [[ ! $ended && $word == -- ]]; then
			ended=1
		elif [[ ! $ended && $word == -?* ]]; then
			_syncbox_value "$word"
			if [[ $kind ]] && ((++i == last)); then
				_syncbox_reply "$kind" "${words[last]}"
				return
			fi
		else
			_syncbox_operand "$context" $((++n))
			if [[ $kind == command ]]; then
				_syncbox_reply_command "${begins[i]}"
				return
			elif [[ $kind == word* ]]; then
				context="${context/#syncbox/} $word"
				context=${context# }
				_syncbox_options "$context"
				n=0 ended=''
			fi
		fi
	done
	word=${words[last]}
	if [[ ! $ended && $word == --*=* ]]; then
		[[ ${COMP_WORDS[COMP_CWORD]} == --*=* ]] && prefix=${word%%=*}=
		_syncbox_value "${word%%=*}"
		_syncbox_reply "$kind" "${word#*=}" "$prefix"
	elif [[ ! $ended && $word == -* ]]; then
		_syncbox_reply_options "$word"
	else
		_syncbox_operand "$context" $((n + 1))
		if [[ $kind == command ]]; then
			_syncbox_reply_command "${begins[last]}"
		else
			_syncbox_reply "$kind" "$word"
		fi
	fi
}
END
}

zsh_table='
BEGIN { FS = "\t" }
function quote(s) {
	gsub(/\047/, "\047\\\047\047", s)
	return "\047" s "\047"
}
function escape(s) {
	gsub(/\\/, "\\\\&", s)
	gsub(/[]:[]/, "\\\\&", s)
	return s
}
function action(kind) {
	if (kind == "file") return "_syncbox_file"
	if (kind == "dir") return "_files -/"
	if (kind == "command") return "_command_names -e"
	if (sub(/^word /, "", kind)) return "(" kind ")"
	return " "
}
function add_option(name, text, before, after) {
	options[name] = options[name] "\t\t\t" quote(before text after) "\n"
}
$1 == "applet" { applet[++applets] = $2 }
$1 == "option" && $6 == "-" {
	before = "(" ($3 == "-" ? "" : $3 " ") $4 ")"
	if ($3 != "-") add_option($2, $3, before, "[" escape($7) "]")
	add_option($2, $4, before, "[" escape($7) "]")
}
$1 == "option" && $6 != "-" {
	after = "[" escape($7) "]:" $5 ":" action($6)
	if ($3 != "-") add_option($2, $3 "+", "*", after)
	add_option($2, $4 "=", "*", after)
}
$1 == "word" {
	choices[$2] = choices[$2] "\t\t\t" quote(escape($3) ($4 == "" ? "" : ":" $4)) "\n"
	if (choices[$2] !~ /\n./) choosers[++n] = $2
}
$1 == "operand" {
	if (!($2 in operand)) contexts[++m] = $2
	at = $3 ~ /[+]/ ? "*" : $3
	if ($5 == "command") spec = "*:::" $4 ":_syncbox_command"
	else if ($5 == "word") spec = "*:::" $4 ": _syncbox_choose " $2
	else spec = at ":" $4 ":" action($5)
	operand[$2] = operand[$2] " " quote(spec)
}
END {
	print "# What can be given in a context."
	print "_syncbox_at() {\n\tlocal -a flags operands\n\tcase $1 in"
	for (i = 1; i <= applets; i++) {
		print "\t" applet[i] "(| *))"
		print "\t\tflags=(\n" options[applet[i]] "\t\t)\n\t\t;;"
	}
	print "\tesac\n\tcase $1 in"
	for (i = 1; i <= m; i++)
		print "\t" quote(contexts[i]) ") operands=(" substr(operand[contexts[i]], 2) ") ;;"
	print "\tesac\n\t(( $#flags )) && _arguments -s -S : $flags $operands\n}\n"
	print "# The first operand of a context leads to another."
	print "_syncbox_choose() {\n\tlocal -a choices\n\tcase $1 in"
	for (i = 1; i <= n; i++) {
		print "\t" choosers[i] ")"
		print "\t\tchoices=(\n" choices[choosers[i]] "\t\t)\n\t\t;;"
	}
	print "\tesac"
}'
zsh_code() {
	cat <<'END'
	if (( CURRENT == 1 )); then
		_describe -t commands command choices
	else
		_syncbox_at ${${1:#syncbox}:+$1 }$words[1]
	fi
}

# Locks can be written flock:PATH.
_syncbox_file() {
	_files "$@" || { compset -P '[a-z]##:' && _files "$@" }
}

# COMMAND, or one more option before it.
_syncbox_command() {
	if [[ $CURRENT == 1 && $PREFIX == -* ]]; then
		words=(- "$words[@]") CURRENT=2
		_arguments -s : $flags
	else
		_normal
	fi
}

_syncbox() {
	_syncbox_at ${service:t}
}

_syncbox "$@"
END
}

fish_table='
BEGIN { FS = "\t" }
function quote(s) {
	gsub(/\\/, "\\\\&", s)
	gsub(/\047/, "\\\\&", s)
	return "\047" s "\047"
}
function value(kind) {
	if (kind == "-") return ""
	if (kind == "file") return " -r -F"
	if (kind == "dir") return " -x -a \047(__fish_complete_directories)\047"
	if (kind == "command") return " -x -a \047(__fish_complete_command)\047"
	if (sub(/^word /, "", kind)) return " -x -a " quote(kind)
	return " -x"
}
function commands(applet) {
	return "complete -c syncbox" (applet == "syncbox" ? "" : " -c " applet)
}
$1 == "applet" {
	applet[++applets] = $2
	all = all " -c " $2
}
$1 == "option" {
	short = $3 ~ /^-[A-Za-z0-9]$/ ? substr($3, 2) "/" : ""
	specs[$2] = specs[$2] " " short substr($4, 3) ($6 == "-" ? "" : "=")
	short = $3 == "-" ? "" : " -s " (short == "" ? quote(substr($3, 2)) : substr($3, 2))
	completes = completes commands($2) " -n \047__syncbox_in " $2 "\047" \
		short " -l " substr($4, 3) value($6) " -d " quote($7) "\n"
}
$1 == "word" {
	split($2, part, " ")
	completes = completes commands(part[1]) " -n \047__syncbox_chooses " $2 "\047" \
		" -a " $3 ($4 == "" ? "" : " -d " quote($4)) "\n"
}
$1 == "operand" {
	at = $3 ~ /[+]/ ? "*" : $3
	kinds = kinds "\tcase " quote($2 " " at) "\n\t\techo " $5 "\n"
}
END {
	print "# The options of an applet, for argparse."
	print "function __syncbox_options -a applet\n\tswitch $applet"
	for (i = 1; i <= applets; i++)
		print "\tcase " applet[i] "\n\t\tprintf \047%s\\n\047" specs[applet[i]]
	print "\tend\nend\n"
	print "# What the operand of a context is, by its number."
	print "function __syncbox_operand -a context number\n\tswitch \"$context $number\""
	print kinds "\tcase \047*\047\n\t\techo any\n\tend\nend\n"
	printf "%s", completes
	print "complete" all " -n \047not __syncbox_wants file\047 -f"
	print "complete" all " -n \047__syncbox_wants command\047 -a \047(__syncbox_command)\047\n"
}'
fish_code() {
	cat <<'END'
# Where the cursor is: the applet whose options can come here, the context, what the operand to
# come is; and, when COMMAND has begun, its words up to here.
function __syncbox_place
	set -l words (commandline -opc)
	set -l context (string replace -r '.*/' '' -- $words[1])
	set -l number 1
	while true
		set -e words[1]
		set -l applet (string split ' ' -- $context)[1]
		set -l kind (__syncbox_operand $context $number)
		if argparse -s (__syncbox_options $applet) -- $words 2>/dev/null
			set words $argv
		else
			set words
			set kind any # the value of the last option is to come
		end
		if not set -q words[1]
			printf '%s\n' $applet $context $kind
			return
		end
		switch $kind
		case command
			printf '%s\n' '' $context $kind $words
			return
		case word
			set context (string replace -r '^syncbox ' '' -- "$context $words[1]")
			set number 1
		case '*'
			set number (math $number + 1)
		end
	end
end

function __syncbox_in -a applet
	set -l place (__syncbox_place)
	test "$place[1]" = $applet
end

function __syncbox_chooses -a context
	set -l place (__syncbox_place)
	test "$place[2..3]" = "$context word"
end

function __syncbox_wants -a kind
	set -l place (__syncbox_place)
	test "$place[3]" = $kind
end

function __syncbox_command
	set -l place (__syncbox_place)
	set -l line (commandline -ct)
	if set -q place[4]
		set line (string join ' ' -- (string escape -- $place[4..]) "$line")
	end
	complete --do-complete="$line"
end
END
}

top() { # SHELL
	echo '# SPDX-License-Identifier: MIT'
	echo "# Completion for $1; generated by completions/gen.sh from \`syncbox --dump-options\`."
	echo
}

asked=$(ask)
known=$(printf '%s\n' "$asked" | awk "$model")
table() { # AWK-PROGRAM
	printf '%s\n' "$known" | awk "$1"
}
{
	top bash
	table "$bash_table"
	bash_code
} >"$dir/syncbox.bash"
{
	echo "#compdef$(printf '%s\n' "$known" | awk -F '\t' '$1 == "applet" { printf " %s", $2 }')"
	top zsh
	table "$zsh_table"
	zsh_code
} >"$dir/_syncbox"
{
	top fish
	table "$fish_table"
	fish_code
} >"$dir/syncbox.fish"
