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
	sub("^ *(Usage|or): *" name, "") {
		if (NR > 1) print "\t" name "\t" form
		form = ""
	}
	{ form = form " " $0 }
	END { print "\t" name "\t" form }'
}

# The dump, which begins with syncbox itself, and then all usages.
ask() {
	dump=$("$bin" --dump-options) || exit
	printf '%s\n' "$dump"
	names=$(printf '%s\n' "$dump" | awk -F '\t' '$3 == "" { print $1 }')
	printf '%s\n' "$names" | while IFS= read -r name; do
		# shellcheck disable=SC2086 # an applet, or an applet and its action
		help=$("$bin" ${name#syncbox} --help) || exit
		usage "$name" "$help"
	done
}

# Turns that into what the shells need to know, tab-separated:
#
#	context CONTEXT
#	option CONTEXT SHORT LONG METAVAR KIND DOC	KIND is - without a value, and ?KIND if it may be missing
#	operand CONTEXT POSITION METAVAR KIND		at POSITION, or from there on if it ends in +
#	word CONTEXT WORD DOC				a choice for the operand of KIND word
#
# KIND is file, dir, command, any, choice with its words, or word: an option has its words in the same field; an operand in
# lines of their own, where each leads to another context. A context is syncbox, an applet, or an
# applet and its action.
model='
BEGIN { FS = OFS = "\t" }
function kind(metavar, doc) {
	metavar = "|" metavar "|"
	if (metavar ~ /[|](LOCK|FILE|PATH)[|]/) return "file"
	if (metavar ~ /[|]DIR[|]/) return "dir"
	if (metavar ~ /[|](COMMAND|LINE)[|]/) return "command"
	if (metavar ~ /[|](APPLET|ACTION)[|]/) return "word"
	if (metavar ~ /^[|]([a-z]+[|])+$/) { # an operand that is one of these
		gsub(/^[|]|[|]$/, "", metavar)
		gsub(/[|]/, " ", metavar)
		return "choice " metavar
	}
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
# A usage line of a context.
function usage(context, form,	token, count, i, t, many, k, n) {
	count = split(form, token, " ")
	for (i = 1; i <= count; i++) {
		t = token[i]
		many = sub(/[.][.][.]/, "", t)
		gsub(/[][]/, "", t)
		if (t == "" || t == "--" || t == "OPTION") continue
		if (t ~ /^-/) {
			if (t != "-" && (context, t) in takes_value) i++
			continue
		}
		k = kind(t, "")
		if (k ~ /^choice/) t = "TYPE"
		n++
		operand(context, many && k != "command" && k != "word" ? n "+" : n, t, k)
		if (many) return # what comes behind -- has no number
		if (k == "command" || k == "word") return
	}
}
$1 != "" && $3 == "" {
	print "context", $1
	if (split($1, name, " ") == 2) print "word", name[1], name[2], $5
	else if ($1 != "syncbox") print "word", "syncbox", $1, $5
}
$1 != "" && $3 != "" {
	optional = gsub(/^[[]|[]]$/, "", $4) ? "?" : ""
	print "option", $1, $2, $3, $4, ($4 == "-" ? "-" : optional kind($4, $5)), $5
	if ($4 != "-" && !optional) takes_value[$1, $2] = takes_value[$1, $3] = 1
}
$1 == "" { usage($2, $3) }
END {
	for (i = 1; i <= operands; i++) if (keys[i] !~ /[+]/) print "operand", keys[i], kinds[keys[i]]
	for (i = 1; i <= operands; i++) if (keys[i] ~ /[+]/) print "operand", keys[i], kinds[keys[i]]
}
'

# The files: a table that is made from the model, and code that is not.

bash_table='
BEGIN { FS = "\t" }
$1 == "context" {
	context[++contexts] = $2
	if ($2 !~ / /) applets = applets " " $2
}
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
	print "# The options of a context, each with = and what its value is, if it has one: =? if that may be missing."
	print "_syncbox_options() {\n\tcase $1 in"
	for (i = 1; i <= contexts; i++) {
		print "\t\047" context[i] "\047)"
		print "\t\toptions=(\n" options[context[i]] "\t\t)\n\t\t;;"
	}
	print "\t*) options=() ;;\n\tesac\n}\n"
	print "# What the operand of a context is, by its number."
	print "_syncbox_operand() {\n\tcase \"$1 $2\" in"
	print kinds "\t*) kind=any ;;\n\tesac\n}\n"
	print "complete -F _syncbox" applets "\n"
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

# What the value of this option is, if it has one: of short ones the last.
_syncbox_value() {
	local word=$1 option found='' i
	kind=''
	if [[ $word == --* ]]; then
		for option in "${options[@]}"; do
			[[ ${option%%=*} == "$word"* ]] && found=$option # an abbreviation will do
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
	choice*) mapfile -t COMPREPLY < <(compgen -W "${1#choice}" -- "$2") ;;
	esac
}

_syncbox_reply_options() {
	local option list=()
	for option in "${options[@]}"; do
		case $option in
		--*=\?*) list+=("${option%%=*}" "${option%%=*}=") ;;
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
			if [[ $kind && $kind != \?* ]] && ((++i == last)); then
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
		_syncbox_reply "${kind#\?}" "${word#*=}" "$prefix"
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
function action(metavar, kind) {
	if (kind == "file") return "_syncbox_file"
	if (kind == "dir") return "_files -/"
	if (kind == "command") return "_command_names -e"
	if (sub(/^(word|choice) /, "", kind)) return "(" kind ")"
	return " _syncbox_any \"" metavar "\""
}
function add_option(name, text, before, after) {
	options[name] = options[name] "\t\t\t" quote(before text after) "\n"
}
$1 == "context" { context[++contexts] = $2 }
$1 == "option" && $6 == "-" {
	before = "(" ($3 == "-" ? "" : $3 " ") $4 ")"
	if ($3 != "-") add_option($2, $3, before, "[" escape($7) "]")
	add_option($2, $4, before, "[" escape($7) "]")
}
$1 == "option" && $6 != "-" {
	optional = sub(/^[?]/, "", $6)
	after = "[" escape($7) "]" (optional ? "::" : ":") $5 ":" action($5, $6)
	if ($3 != "-") add_option($2, $3 (optional ? "-" : "+"), "*", after)
	add_option($2, $4 (optional ? "=-" : "="), "*", after)
}
$1 == "word" {
	choices[$2] = choices[$2] "\t\t\t" quote(escape($3) ($4 == "" ? "" : ":" $4)) "\n"
	if (choices[$2] !~ /\n./) choosers[++n] = $2
}
$1 == "operand" {
	at = $3 ~ /[+]/ ? "*" : $3
	if ($5 == "command") spec = "*:::" $4 ":_syncbox_command"
	else if ($5 == "word") spec = "*:::" $4 ": _syncbox_choose " $2
	else spec = at ":" $4 ":" action($4, $5)
	operand[$2] = operand[$2] " " quote(spec)
}
END {
	print "# What can be given in a context."
	print "_syncbox_at() {\n\tlocal -a flags operands\n\tcase $1 in"
	for (i = 1; i <= contexts; i++) {
		print "\t" quote(context[i]) ")"
		print "\t\tflags=(\n" options[context[i]] "\t\t)"
		print "\t\toperands=(" substr(operand[context[i]], 2) ")\n\t\t;;"
	}
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

# Nothing can be offered. Not said where an option is typed: after a message zsh would not insert that.
_syncbox_any() {
	[[ $PREFIX == -* ]] || _message -e "$1"
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
	if (sub(/^[?]word /, "", kind)) return " -f -a " quote(kind)
	if (kind ~ /^[?]/) return " -f"
	if (kind == "file") return " -r -F"
	if (kind == "dir") return " -x -a \047(__fish_complete_directories)\047"
	if (kind == "command") return " -x -a \047(__fish_complete_command)\047"
	if (sub(/^word /, "", kind)) return " -x -a " quote(kind)
	return " -x"
}
function commands(context) {
	sub(/ .*/, "", context)
	return "complete -c syncbox" (context == "syncbox" ? "" : " -c " context)
}
$1 == "context" {
	context[++contexts] = $2
	if ($2 !~ / /) all = all " -c " $2
}
$1 == "option" {
	short = $3 ~ /^-[A-Za-z0-9]$/ ? substr($3, 2) "/" : ""
	specs[$2] = specs[$2] " " short substr($4, 3) ($6 == "-" ? "" : $6 ~ /^[?]/ ? "=\\?" : "=")
	short = $3 == "-" ? "" : " -s " (short == "" ? quote(substr($3, 2)) : substr($3, 2))
	completes = completes commands($2) " -n \047__syncbox_in " $2 "\047" \
		short " -l " substr($4, 3) value($6) " -d " quote($7) "\n"
}
$1 == "word" {
	completes = completes commands($2) " -n \047__syncbox_chooses " $2 "\047" \
		" -a " $3 ($4 == "" ? "" : " -d " quote($4)) "\n"
}
$1 == "operand" {
	at = $3 ~ /[+]/ ? "*" : $3
	if (sub(/^choice /, "", $5)) {
		completes = completes commands($2) " -n \047__syncbox_picks " $2 "\047 -a " quote($5) "\n"
		$5 = "choice"
	}
	kinds = kinds "\tcase " quote($2 " " at) "\n\t\techo " $5 "\n"
}
END {
	print "# The options of a context, for argparse."
	print "function __syncbox_options -a context\n\tswitch $context"
	for (i = 1; i <= contexts; i++)
		print "\tcase " quote(context[i]) "\n\t\tprintf \047%s\\n\047" specs[context[i]]
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
# Where the cursor is: the context, what the operand to come is; and, when COMMAND has begun, its
# words up to here.
function __syncbox_place
	set -l words (commandline -opc)
	set -l context (string replace -r '.*/' '' -- $words[1])
	set -l number 1
	while true
		set -e words[1]
		set -l kind (__syncbox_operand $context $number)
		if argparse -s (__syncbox_options $context) -- $words 2>/dev/null
			set words $argv
		else
			set words
			set kind any # the value of the last option is to come
		end
		if not set -q words[1]
			printf '%s\n' $context $kind
			return
		end
		switch $kind
		case command
			printf '%s\n' $context $kind $words
			return
		case word
			set context (string replace -r '^syncbox ' '' -- "$context $words[1]")
			set number 1
		case '*'
			set number (math $number + 1)
		end
	end
end

# Whether options of this context can come.
function __syncbox_in
	set -l place (__syncbox_place)
	test "$place[1]" = "$argv"; and not set -q place[3]
end

function __syncbox_chooses
	set -l place (__syncbox_place)
	test "$place" = "$argv word"
end

# The same where a word does not lead to another context.
function __syncbox_picks
	set -l place (__syncbox_place)
	test "$place" = "$argv choice"
end

function __syncbox_wants -a kind
	set -l place (__syncbox_place)
	test "$place[2]" = $kind
end

function __syncbox_command
	set -l place (__syncbox_place)
	set -l line (commandline -ct)
	if set -q place[3]
		set line (string join ' ' -- (string escape -- $place[3..]) "$line")
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
	echo "#compdef$(printf '%s\n' "$known" | awk -F '\t' '$1 == "context" && $2 !~ / / { printf " %s", $2 }')"
	top zsh
	table "$zsh_table"
	zsh_code
} >"$dir/_syncbox"
{
	top fish
	table "$fish_table"
	fish_code
} >"$dir/syncbox.fish"
