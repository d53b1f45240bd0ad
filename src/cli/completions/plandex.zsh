#compdef plandex
# Completion of plandex for zsh: `plandex completions zsh`.
_plandex() {
    local program=${${(Q)words[1]}/#\~\//$HOME/} kind value about
    local -a given values shown going_on going_on_shown
    local -i width=0 at
    whence -p -- "$program" >/dev/null || program=plandex
    given=("${(@Q)words[1,CURRENT-1]}")
    local -a lines=("${(@f)$("$program" complete zsh -- "${(@)given}" "${(Q)PREFIX}" 2>/dev/null)}")
    kind=$lines[1]
    case $kind in
        files) _files; return ;;
        commands)
            at=${words[(i)--]}
            (( at < CURRENT )) || at=2
            shift $at words
            (( CURRENT -= at ))
            _normal
            return
            ;;
    esac
    for value in "${(@)lines[2,-1]}"; do
        (( ${#${value%%$'\t'*}} > width )) && width=${#${value%%$'\t'*}}
    done
    (( width > 40 )) && width=40
    for about in "${(@)lines[2,-1]}"; do
        value=${about%%$'\t'*}
        about=${about#*$'\t'}
        [[ -n $value ]] || continue
        if (( ${#value} < width )); then
            about="${(r:width:)value}${about:+  $about}"
        else
            about="$value${about:+  $about}"
        fi
        # What goes on needs no blank after it.
        if [[ $value == *[/=] ]]; then
            going_on+=("$value")
            going_on_shown+=("$about")
        else
            values+=("$value")
            shown+=("$about")
        fi
    done
    compadd -V plandex -l -d shown -a -- values
    compadd -V plandex -l -S '' -d going_on_shown -a -- going_on
}
# Read by `eval` or `source`, or run as the function of an autoloaded file.
if [[ $funcstack[1] == _plandex ]]; then
    _plandex "$@"
else
    compdef _plandex plandex
fi
