#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of bash and of zsh offers what help knows, of each verb, also of verbs to come; names as they
# are; and nothing is run that somebody has named something.
. "$(dirname "$0")/../lib.sh"
requires zsh

export COMPLETION=$TOP/tools/completion
mkdir bin
ln -s "$MIRRORFS" "$MIRRORCTL" bin
PATH=$work/bin:$PATH

# offers WORD...: what bash offers for the last of the WORDs, and how else it would go on, in parentheses
offers() {
	bash --norc -uc '
		IFS=:
		shopt -s failglob nullglob
		compopt() { echo "($2)"; }
		. "$COMPLETION/${1##*/}.bash"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"_${1##*/}" "$1"
		[ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"' - "$@" 2>&1
}

# assert_offers WANTED WORD...: WANTED in lines, in any order
assert_offers() {
	offers "${@:2}" | sort >got
	sort <<<"$1" | sed '/^$/d' | diff - got >differs || fail "${*:2}: bash should (<) and does (>) offer: $(cat differs)"
}

typed=() wanted=()
# zsh_offers WANTED LINE: is to be asked when all have come together
zsh_offers() {
	wanted+=("$1") typed+=("$2")
}

assert_zsh_offers() {
	local i
	"$SRCDIR/complete.zsh" zsh "${typed[@]}" >typed.out
	for ((i = 0; i < ${#typed[@]}; i++)); do
		line=${typed[i]} awk '/^> / { on = $0 == "> " ENVIRON["line"] } on && /^[^>=]/' typed.out | sort -u >got
		sort <<<"${wanted[i]}" | sed '/^$/d' | diff - got >differs ||
			fail "${typed[i]}: zsh should (<) and does (>) offer: $(cat differs)"
	done
	typed=() wanted=()
}

# both WANTED LINE: LINE has no quotes
both() {
	local words
	read -r -a words <<<"$2"
	[[ $2 != *" " ]] || words+=("")
	assert_offers "$1" "${words[@]}"
	[[ $1 = "("* ]] || zsh_offers "$1" "$2"
}

prefixed() { # PREFIX LINES
	printf '%s\n' "$1${2//$'\n'/$'\n'$1}"
}

echo "what help knows"
verbs=$("$MIRRORCTL" help | awk '/^  [a-z]/ { print $1 }')
[ "$(wc -l <<<"$verbs")" -gt 5 ] || fail "verbs: $verbs"
both "$verbs"$'\n--help\n--version' "mirrorctl "
both "$verbs" "mirrorctl help "
for verb in $verbs; do
	both "$("$MIRRORCTL" help "$verb" | awk '/^  --/ { print $1 }')" "mirrorctl $verb -"
done
both $'create\nlist\ndelete' "mirrorctl snapshot "
both $'list\nforget' "mirrorctl replica --json "
help=$("$MIRRORFS" --help)
options=$(grep -Eo '^  -[^o][^ ]*( --[a-z]+)?' <<<"$help" | tr -d ',' | tr -s ' ' '\n' | grep .)
mount_options=$(sed -n 's/^  -o \([a-z_]*=*\).*/\1/p' <<<"$help" | grep .)
both "$options"$'\n-o' "mirrorfs -"
assert_offers "$mount_options" mirrorfs -o ""
zsh_offers "${mount_options//=/}" "mirrorfs -o "
assert_zsh_offers

echo "what the man page knows"
sed -n '/^\.Sh OPTIONS/,/^\.Sh [^O]/p' "$TOP/man/mirrorfs.8" | awk '
	/^\.It Fl o Cm/ { print "-o " $5 ($7 ~ /=/ ? "=" : ""); next }
	/^\.It Fl o Ar/ { next }
	/^\.It Fl/ { for (i = 3; i <= NF; i++) if ($i != "Fl" && $i != ",") print "-" $i }' | sort >page
sort - <(prefixed "-o " "$mount_options") <<<"$options" | diff - page ||
	fail "mirrorfs --help (<) and its page (>)"

echo "arguments, and values of options"
both "(dirnames)" "mirrorctl sync x "
both "(dirnames)" "mirrorctl sync --quiet --keep 3 x "
assert_offers "" mirrorctl sync x y ""
both "" "mirrorctl sync --keep "
both $'auto\njson\nnone' "mirrorctl sync --progress "
both "json" "mirrorctl scrub --progress j"
both $'idle\nbest-effort\nrealtime' "mirrorctl sync --io-priority "
both "(dirnames)" "mirrorctl status -- -"
zsh_offers "" "mirrorctl status -- -"
assert_offers "(default)" mirrorctl sync --config ""
assert_offers "(default)" mirrorctl sync --config =
assert_offers "(default)" mirrorctl sync --config = x
assert_offers "(dirnames)" mirrorctl sync --config = x y ""
assert_offers "" mirrorctl sync --config = x y z ""
assert_offers "(dirnames)" mirrorctl sync --config x y ""
assert_offers "(dirnames)" mirrorctl scrub --repair ""
assert_contains "$(offers mirrorctl sync --pre-hook "")" setpriv "--pre-hook"
assert_offers "$(prefixed ro, "$mount_options")" mirrorfs -o ro,
assert_offers "$(prefixed 4, "$mount_options")" mirrorfs -o block_size = 4,ro,save_interval = 4,
assert_offers $'(nospace)\n4,block_size=' mirrorfs -o save_interval = 4,b
assert_offers "" mirrorfs -o block_size = 4
assert_offers "" mirrorfs -o block_size =
assert_offers "(dirnames)" mirrorfs -o block_size = 4 x ""
both "" "mirrorctl nonsense "
both "" "mirrorctl nonsense -"
assert_offers "" mirrorctl "" -
for word in "\$(touch run)" "\`touch run\`" "x]" "'" '"' "\\" "*" "@"; do
	assert_offers "" mirrorctl snapshot "$word" x ""
	assert_offers "" mirrorctl sync "$word" "-$word" x ""
	assert_offers "(dirnames)" mirrorctl sync --js "$word"
	assert_offers "" mirrorctl "$word" x ""
	assert_offers "" mirrorfs "-$word"
done
[ ! -e run ] || fail "ran what was only given"
assert_offers "(dirnames)" /nowhere/mirrorfs x
assert_offers "" /nowhere/mirrorctl sync -

echo "what there is"
mkdir source
echo 1 >source/a
"$MIRRORCTL" sync --quiet --keep 2 source replica
echo 2 >source/b
"$MIRRORCTL" sync --quiet --keep 2 source replica
both "$("$MIRRORCTL" replica list --json source | jq -r .replicas[].uuid)" "mirrorctl replica forget source "
assert_offers "" mirrorctl replica list source ""
both $'1\n2' "mirrorctl restore replica --at "
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	mount_source source
	"$MIRRORCTL" snapshot create source this >created
	"$MIRRORCTL" snapshot create source a:b@c >created
	both "this" "mirrorctl snapshot delete source t"
	both "" "mirrorctl snapshot create source "
	assert_offers 'a\:b\@c' mirrorctl snapshot delete ./sour\\ce a
fi
assert_zsh_offers

echo "in a shell"
mkdir "one of two" "more \$(touch run)" 'col:on'
touch one.conf
for shell in bash zsh; do
	# shellcheck disable=SC2088
	HOME=$work "$SRCDIR/complete.zsh" $shell "mirrorctl sync one" "mirrorctl sync ./one x" "mirrorctl sync more" \
		"mirrorctl sync --config=one." "mirrorctl sync 'one of" "mirrorctl sync one\\ of\\ two mo" \
		"mirrorctl sync ~/one" "mirrorctl sync col" "mirrorctl scrub --rep" "bin/mirrorctl he" "mirrorfs -o no_" \
		"mirrorctl restore \$(touch run) --at " "\$(touch run)/mirrorctl sync --" \
		"mirrorctl \$(touch run) --" "mirrorctl sync --config=\$(touch run) --k" |
		sed -n 's/^= //p' | sed "s/[ =,]*\$//; s/col\\\\:/col:/; s,'/\$,/," >lines
	diff - lines <<-'END' || fail "$shell should (<) and does (>) complete that"
		mirrorctl sync one\ of\ two/
		mirrorctl sync ./one x
		mirrorctl sync more\ \$\(touch\ run\)/
		mirrorctl sync --config=one.conf
		mirrorctl sync 'one of two/
		mirrorctl sync one\ of\ two more\ \$\(touch\ run\)/
		mirrorctl sync ~/one\ of\ two/
		mirrorctl sync col:on/
		mirrorctl scrub --repair
		bin/mirrorctl help
		mirrorfs -o no_allow_other
		mirrorctl restore $(touch run) --at
		$(touch run)/mirrorctl sync --
		mirrorctl $(touch run) --
		mirrorctl sync --config=$(touch run) --keep
	END
	[ ! -e run ] || fail "$shell: ran what was only named"
done

echo "help that there isn't yet"
rm bin/mirrorctl
cat >bin/mirrorctl <<'EOF2'
#!/bin/sh
case "$*" in
help)
	cat <<'END'
  checkpoint ACTION SOURCE [NAME] make one
  send       SOURCE FILE...       send what $(touch run) `touch run` 'has' changed: [all]
END
	;;
"help checkpoint")
	cat <<'END'
usage: mirrorctl checkpoint ACTION SOURCE [NAME]

create SOURCE NAME  makes: one
delete SOURCE NAME
re-read SOURCE      reads
this is of SOURCE.
END
	;;
"help send")
	cat <<'END'
usage: mirrorctl send [OPTION...] SOURCE FILE...

Sends it.

  --json           JSON
  --io-priority idle|best-effort of: [processes] \ 'or' $(touch run)
  --a-name-that-is-long and takes nothing
  --lock-timeout SECONDS wait
  --since NAME|REPLICA what was, in a line
                   of its own
  --until NAME|REPLICA
                   likewise
  --progress
END
	;;
"send list --json -- source") echo ' "name": "plain"' ;;
"replica list --json -- source") echo ' "uuid": "that"' ;;
"checkpoint list --json -- source")
	printf '"name": %s,\n' '"$(touch run)"' null '"`touch run`"' '"plain"'
	;;
esac
EOF2
chmod +x bin/mirrorctl
both $'checkpoint\nsend\n--help\n--version' "mirrorctl "
both $'--json\n--since\n--until\n--io-priority\n--a-name-that-is-long\n--lock-timeout\n--progress' "mirrorctl send --"
both $'idle\nbest-effort' "mirrorctl send --io-priority "
both "" "mirrorctl send --lock-timeout "
both $'that\nplain' "mirrorctl send source --since "
both $'that' "mirrorctl send source --until t"
assert_offers "(dirnames)" mirrorctl send --json ""
assert_offers "(dirnames)" mirrorctl send --a-name-that-is-long ""
both $'create\ndelete\nre-read' "mirrorctl checkpoint "
assert_offers "" mirrorctl checkpoint re-read source ""
both $'\\$\\(touch\\ run\\)\n\\`touch\\ run\\`\nplain' "mirrorctl checkpoint delete source "
both "plain" "mirrorctl checkpoint delete source pl"
assert_offers "(default)" mirrorctl send a b c d ""
assert_zsh_offers
[ ! -e run ] || fail "ran what was only named"
