# shellcheck shell=sh
# For scripts that cannot start themselves again: `. hold.sh`, then hold, work, release.
#
# A plandex exec in the background holds the plan until this script closes a pipe, which it does
# by ending, too, however it ends. Commands of plandex join the hold through the token.

# hold [FLAGS OF plandex exec…]: takes the plan, or returns the exit code that says why not.
hold() {
    hold_dir=$(mktemp -d) || return
    mkfifo "$hold_dir/down" "$hold_dir/up" || return
    plandex exec "$@" -c 'echo "$PLANDEX_LOCK_TOKEN"; exec cat >/dev/null' \
        <"$hold_dir/down" >"$hold_dir/up" &
    hold_pid=$!
    exec 8>"$hold_dir/down"
    if read -r PLANDEX_LOCK_TOKEN <"$hold_dir/up"; then
        export PLANDEX_LOCK_TOKEN
        rm -r "$hold_dir"
    else
        rm -r "$hold_dir"
        release
    fi
}

# release: gives the plan back; returns the exit code of the hold, 79 if it was lost meanwhile.
release() {
    unset PLANDEX_LOCK_TOKEN
    exec 8>&-
    wait "$hold_pid"
}
