//! How the command ended is how exec ends.

use crate::support::{Outcome, Sandbox};

use super::{Marked, error_type, is_free, pids, project, state};
use crate::support::needs;

fn run_script(sandbox: &Sandbox, script: &str) -> Outcome {
    sandbox.run(&["exec", "--", "sh", "-c", script])
}

#[test]
fn the_exit_code_is_the_commands_own_or_128_and_its_signal() {
    let sandbox = project();
    for code in [0, 1, 2, 7, 75, 79, 126, 127, 128, 255] {
        run_script(&sandbox, &format!("exit {code}")).exits(code);
    }
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("HUP", 129)] {
        let ended = run_script(&sandbox, &format!("ulimit -c 0; kill -{signal} $$"));
        ended.exits(code);
    }
    is_free(&sandbox);
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let sandbox = project();
    for name in ["no-such-program", "./no-such-file", "/no/such/dir/x", ""] {
        let missing = sandbox.run(&["exec", "--", name, "x"]).exits(127);
        missing.says(&format!("{name}: command not found"));
    }
    let missing = sandbox.run(&["exec", "--json", "--", "no-such-program"]);
    assert_eq!(error_type(&missing.exits(127).stderr), "not_found");
    is_free(&sandbox);
}

#[test]
fn a_program_that_cannot_be_run_is_126() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = project();
    sandbox.write("plain.txt", "not a program\n");
    let script = sandbox.write("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (name, words) in [
        ("./plain.txt", "./plain.txt: "),
        ("/", "/: "),
        ("./src", "./src: "),
        ("./README.md/x", "./README.md/x: "),
        ("./script", "./script: its interpreter was not found"),
    ] {
        let refused = sandbox.run(&["exec", "--", name]).exits(126);
        refused.says(words);
    }
    let refused = sandbox.run(&["exec", "--json", "--", "/"]);
    assert_eq!(error_type(&refused.exits(126).stderr), "cannot_run");
    is_free(&sandbox);
}

/// As the manual's `flock -c`, and as a here-document.
#[test]
fn a_shell_takes_one_string_or_its_standard_input() {
    let sandbox = project();
    let script = "echo one && echo two; exit 4";
    for flag in ["-c", "--shell"] {
        let ended = sandbox.run(&["exec", flag, script]).exits(4);
        assert_eq!(ended.stdout, "one\ntwo\n");
        let ended = sandbox.run(&["exec", flag, "--", script]).exits(4);
        assert_eq!(ended.stdout, "one\ntwo\n");
    }
    let from_stdin = sandbox.plandex(["exec", "-c"]).stdin(script).finish();
    assert_eq!(from_stdin.exits(4).stdout, "one\ntwo\n");
    // Whatever the user's own shell is.
    let run = sandbox.plandex(["exec", "-c", "echo one"]);
    run.env("SHELL", "/bin/false").finish().ok();
    let two = sandbox.run(&["exec", "-c", "echo", "one"]).exits(2);
    two.says("--shell takes one string").says("quote");
    sandbox.run(&["exec"]).exits(2);
    sandbox.run(&["exec", "--"]).exits(2);
}

/// `flock -o`, without the flag: what is left behind holds nothing.
#[test]
fn a_daemon_left_by_a_command_that_ended_holds_nothing() {
    needs!("setsid");
    let sandbox = project();
    for script in [
        "setsid sleep 1000 >/dev/null 2>&1 & echo $!",
        "sleep 1000 >/dev/null 2>&1 & echo $!",
        // Its own code is no sign of a signal.
        "sleep 1000 >/dev/null 2>&1 & echo $!; exit 130",
    ] {
        let left = run_script(&sandbox, script);
        let daemon: u32 = left.stdout.trim().parse().unwrap();
        sandbox.ok(&["exec", "--no-wait", "--", "true"]);
        assert!(state(daemon).is_some(), "{daemon} is gone");
        is_free(&sandbox);
    }
}

/// A command that a signal ended did not mean to leave anything behind.
#[test]
fn what_a_command_that_was_killed_left_is_ended_before_the_next_turn() {
    needs!("flock");
    let sandbox = project();
    let marked = Marked::new(&sandbox);
    let script = marked.prelude() + "sleep 1000 & echo ready; echo $$; cat; :";
    let mut command = super::ready(&sandbox, &script);
    let shell = pids(&sandbox, &command, 1)[0];
    let id = rustix::process::Pid::from_raw(i32::try_from(shell).unwrap()).unwrap();
    assert!(!marked.all_gone());
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
    command.wait(super::SOON).exits(137);
    assert!(marked.all_gone());
    is_free(&sandbox);
}
