#!/usr/bin/env zsh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# complete.zsh SHELL LINE...: types each LINE and a tab into an interactive bash or zsh
#
# Prints "> LINE", a line for each word that zsh offers (nothing of bash), and "= " with what the line
# has become.  COMPLETION is the directory with our files; the working directory is used besides.
emulate zsh
setopt err_exit no_unset
zmodload zsh/zpty
shell=$1
shift

# Each tells when it reads a line, and what has become of it when ^T is typed, which empties it.
mkdir -p home
cat >home/bashrc <<\END
PS1=
bind 'set bell-style none'
bind -x '"\C-t": printf %s "$READLINE_LINE" >line.new; mv line.new line; READLINE_LINE='
for file in "$COMPLETION"/*.bash; do . "$file"; done
PROMPT_COMMAND=': >ready'
END
cat >home/.zshrc <<\END
PROMPT= RPROMPT= LISTMAX=10000
unsetopt beep prompt_cr prompt_sp
fpath=($COMPLETION $fpath)
autoload -Uz compinit
compinit -u -D
# asked for words that match: those are noted; asked anything else: nothing
compadd() {
	if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
		local -a hits
		builtin compadd -A hits "$@"
		print -rl -- $hits >>offered
	fi
	builtin compadd "$@"
}
tell() { print -rn -- $BUFFER >line.new; mv line.new line; BUFFER= }
zle -N tell
bindkey '^T' tell
bindkey '^I' complete-word
zle-line-init() { : >ready }
zle -N zle-line-init
END

wait_for() { # FILE: reads what the shell prints meanwhile, or it would wait in turn
	integer n=0
	local out
	until [[ -e $1 ]]; do
		zpty -r -t shell out || sleep 0.02
		((++n < 3000)) || { print -u 2 "complete.zsh: $shell: no $1: $out"; exit 1 }
	done
}

rm -f ready
case $shell in
bash) zpty shell 'TERM=dumb bash --noprofile --rcfile home/bashrc -i' ;;
zsh) zpty shell 'TERM=dumb ZDOTDIR=home zsh -d -i' ;;
esac
wait_for ready
for typed; do
	rm -f offered line
	zpty -w -n shell "$typed"$'\t\C-T'
	wait_for line
	print -r -- "> $typed"
	[[ ! -e offered ]] || grep . offered || :
	print -r -- "= $(cat line)"
done
zpty -d shell
