# Completion of plandex for bash: `plandex completions bash`.
_plandex() {
    local program=${1/#\~\//$HOME/} kind='' value
    type -P -- "$program" >/dev/null || program=plandex
    COMPREPLY=()
    {
        read -r kind
        while IFS=$'\t' read -r value _; do
            COMPREPLY+=("$value")
        done
    } < <("$program" complete bash -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    case $kind in
        files) compopt -o default ;;
        commands)
            local at
            for ((at = 1; at < COMP_CWORD; at++)); do
                [[ ${COMP_WORDS[at]} == -- ]] && break
            done
            if declare -F _command_offset >/dev/null; then
                _command_offset $((at + 1))
            elif ((COMP_CWORD <= at + 1)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$2")
            else
                compopt -o default
            fi
            ;;
        words)
            # What goes on needs no blank after it.
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
            ;;
    esac
}
complete -o nosort -F _plandex plandex 2>/dev/null || complete -F _plandex plandex
