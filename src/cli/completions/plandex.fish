# Completion of plandex for fish: `plandex completions fish`.
function __plandex_complete
    set -l given (commandline -opc)
    set -l current (commandline -ct)
    set -l program $given[1]
    type -fq -- $program 2>/dev/null; or set program plandex
    set -l lines (command $program complete fish -- $given "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case commands
            complete -C (commandline -cp | string replace -r '^.*? -- ' '' | string collect)
        case '*'
            string collect -- $lines[2..-1]
    end
end
complete -c plandex -f -k -a '(__plandex_complete)'
