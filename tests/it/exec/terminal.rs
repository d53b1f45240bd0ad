//! At a terminal: what is typed reaches the command by itself, once.

use rustix::process::Signal;

use crate::support::{Background, Sandbox, needs};

use super::{Marked, SOON, is_free, project, state};

/// `script` in a shell on a pseudo-terminal of its own; what is said to it is typed.
fn typed<'s>(sandbox: &'s Sandbox, shell: &str, script: &str) -> Background<'s> {
    let transcript = sandbox.place().join("io/terminal");
    let command = format!("exec {shell} \"$SCRIPT\"");
    let run = sandbox.program("script", ["-q", "-f", "-e", "-c", command.as_str()]);
    run.args([transcript])
        .env("SHELL", "/bin/sh")
        .env("SCRIPT", script)
        .env("PLANDEX", env!("CARGO_BIN_EXE_plandex"))
        .held_stdin()
        .start()
}

/// The pid of the one exec that holds.
fn holder(sandbox: &Sandbox) -> u32 {
    let is_held = |line: &[plandex::store::tickets::Ticket]| {
        line.len() == 1 && line[0].state == plandex::store::tickets::State::Held
    };
    sandbox.until_queue("one holds", is_held)[0].pid
}

/// Counted by Python: under load dash loses a signal that comes while it starts a program, or ends with it.
#[test]
fn what_is_typed_reaches_the_command_once_and_exec_lives_on() {
    needs!("script");
    needs!("python3");
    let sandbox = project();
    for (name, key) in [("INT", "\x03"), ("QUIT", "\x1c")] {
        let counts = format!(
            "import signal\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIG{name}}})\n\
             print('ready', flush=True)\n\
             for n in (1, 2):\n    \
                 signal.sigwait({{signal.SIG{name}}})\n    \
                 print('heard', n, flush=True)\n    \
                 if n == 1 and signal.sigtimedwait({{signal.SIG{name}}}, 0.3): print('twice', flush=True)\n    \
                 if n == 1: print('next', flush=True)\n\
             raise SystemExit(43)"
        );
        let command = format!("\"$PLANDEX\" exec -- python3 -c \"{counts}\" #");
        let mut terminal = typed(&sandbox, &command, "");
        terminal.until_says("ready");
        terminal.say(key);
        terminal.until_says("next");
        terminal.say(key);
        terminal.until_says("heard 2");
        let ended = terminal.wait(SOON);
        assert_eq!(ended.code, Some(43), "{ended}");
        assert!(!ended.stdout.contains("twice"), "{ended}");
        is_free(&sandbox);
    }
}

/// TERM is not the terminal's: it is passed on, and reaches the whole tree.
#[test]
fn term_reaches_the_tree_and_not_the_script_around_it() {
    needs!("script");
    needs!("flock");
    let sandbox = project();
    let marked = Marked::new(&sandbox);
    let script = format!(
        "\"$PLANDEX\" exec -- sh -c '{}sleep 1000 & echo ready; sleep 1000; :'; echo code $?",
        marked.prelude()
    );
    let mut terminal = typed(&sandbox, "sh -c", &script);
    terminal.until_says("ready");
    let pid = i32::try_from(holder(&sandbox)).unwrap();
    let id = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    terminal.until_says("code 143");
    assert!(marked.all_gone());
    terminal.wait(SOON).ok();
    is_free(&sandbox);
}

#[test]
fn ctrl_z_stops_both_and_fg_continues_both() {
    needs!("script");
    needs!("bash");
    let sandbox = project();
    let script = "--norc --noprofile -i";
    let mut terminal = typed(&sandbox, &format!("bash {script} #"), "");
    terminal.say("echo rea''dy\n");
    terminal.until_says("ready");
    // Nothing that the shell would have to start: stopped in the middle of that, it is in no state T.
    terminal.say("\"$PLANDEX\" exec -- sh -c 'echo pid is $$; read line; echo the end'\n");
    let exec = holder(&sandbox);
    let command: u32 = sandbox.until("the command says its pid", || {
        let said = terminal.stdout();
        let after = said.rsplit_once("pid is ")?.1;
        after.split_once(['\r', '\n'])?.0.trim().parse().ok()
    });
    terminal.say("\x1a");
    sandbox.until("both are stopped", || {
        ([state(exec), state(command)] == [Some('T'), Some('T')]).then_some(())
    });
    terminal.say("fg\n");
    sandbox.until("neither is stopped", || {
        let stopped = [state(exec), state(command)].contains(&Some('T'));
        (!stopped).then_some(())
    });
    terminal.say("more\n");
    terminal.until_says("the end");
    terminal.say("exit 0\n");
    terminal.wait(SOON).ok();
    is_free(&sandbox);
}

/// The window is closed: HUP for all, and the next one's turn.
#[test]
fn a_terminal_that_goes_away_takes_the_command_with_it() {
    needs!("script");
    needs!("flock");
    let sandbox = project();
    let marked = Marked::new(&sandbox);
    let script = format!(
        "\"$PLANDEX\" exec -- sh -c '{}sleep 1000 & echo ready; sleep 1000; :'",
        marked.prelude()
    );
    let terminal = typed(&sandbox, "sh -c", &script);
    terminal.until_says("ready");
    terminal.kill();
    marked.next_finds_all_gone(&sandbox);
}
