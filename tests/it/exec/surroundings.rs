//! What the command finds around it: what we were given, and one thing more.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Run, needs};

use super::{SOON, holds, is_free, project, waits, writer};

/// Variables as a program sees them, sorted.
fn variables(run: Run<'_>) -> BTreeMap<String, String> {
    let printed = run.finish().ok().stdout;
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    printed.split_terminator('\0').map(pair).collect()
}

#[test]
fn the_environment_is_untouched_but_for_the_token() {
    let sandbox = project();
    let plain = variables(with_odd_variables(sandbox.program("env", ["-0"])));
    let run = sandbox.plandex(["exec", "--", "env", "-0"]);
    let mut held = variables(with_odd_variables(run));
    held.remove("PLANDEX_LOCK_TOKEN");
    assert_eq!(held, plain);
    assert_eq!(held["PLANDEX_ACTOR"], "somebody");
}

fn with_odd_variables(run: Run<'_>) -> Run<'_> {
    run.env("PLANDEX_ACTOR", "somebody")
        .env("EMPTY", "")
        .env("LINES_IN_IT", "one\ntwo\n")
        .env("SPACED", " a = b ")
}

/// From its first word on, everything is the command's; before it, everything is ours.
#[test]
fn the_two_dashes_may_be_left_out() {
    let sandbox = project();
    let run = |words: &[&str]| sandbox.plandex(["exec"]).args(words).finish();
    run(&["sh", "-c", "exit 3"]).exits(3);
    run(&["-E9", "--no-wait", "sh", "-c", "exit 3"]).exits(3);
    let ended = run(&["echo", "--wait", "-1", "--help", "--", "-x"]).ok();
    assert_eq!(ended.stdout, "--wait -1 --help -- -x\n");
    run(&["--no-such-flag", "true"]).exits(2);
    run(&["-x", "true"]).exits(2);
    run(&["--", "-x"]).exits(127);
}

#[test]
fn directory_input_output_and_arguments_are_the_commands_own() {
    let sandbox = project();
    let run = sandbox.plandex(["exec", "--", "sh", "-c", "pwd; cat; echo \"$@\" >&2", "x"]);
    let run = run.args(["--json", "-q", "--", "a b", "", "*"]);
    let ended = run.cwd(&sandbox.root().join("src")).stdin("in\n").finish();
    let root = sandbox.root().canonicalize().unwrap();
    let ended = ended.ok();
    assert_eq!(ended.stdout, format!("{}/src\nin\n", root.display()));
    assert_eq!(ended.stderr, "--json -q -- a b  *\n");
}

/// HAZARDS.md H23: no descriptor of ours but the one that proves that it lives.
#[test]
fn one_descriptor_is_inherited_and_no_script_takes_its_number() {
    let sandbox = project();
    let list = "for fd in /proc/self/fd/*; do echo \"${fd##*/} $(readlink $fd)\"; done";
    let ended = sandbox.plandex(["exec", "--", "bash", "-c", list]);
    let printed = ended.finish().ok().stdout;
    let owners = sandbox.state_dir().join("owners");
    let owners = owners.canonicalize().unwrap();
    let ours: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains(owners.to_str().unwrap()))
        .collect();
    assert_eq!(ours.len(), 1, "{printed}");
    let number: u32 = ours[0].split(' ').next().unwrap().parse().unwrap();
    assert!(number >= 10, "{printed}");
    let state = sandbox.state_dir().canonicalize().unwrap();
    let of_state = |line: &&str| line.contains(state.to_str().unwrap());
    assert_eq!(printed.lines().filter(of_state).count(), 1, "{printed}");
}

#[test]
fn closed_standard_streams_harm_nobody() {
    let sandbox = project();
    let all = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"];
    for closed in all {
        let script = format!("\"$0\" exec -- sh -c 'echo ran > ran; exit 6' {closed}");
        let run = sandbox.program("sh", ["-c", &script, env!("CARGO_BIN_EXE_plandex")]);
        run.finish().exits(6);
        assert_eq!(sandbox.read("ran"), "ran\n", "{closed}");
        std::fs::remove_file(sandbox.root().join("ran")).unwrap();
    }
    // The database is sound, and none of its files was taken for a stream.
    sandbox.ok(&["doctor"]);
    is_free(&sandbox);
}

#[test]
fn arguments_may_be_as_many_as_the_system_takes() {
    let sandbox = project();
    let many: Vec<String> = (0..20_000)
        .map(|number| format!("argument{number}"))
        .collect();
    let run = sandbox.plandex(["exec", "--", "sh", "-c", "echo $#; echo ${20000}", "sh"]);
    let ended = run.args(&many).finish().ok();
    assert_eq!(ended.stdout, "20000\nargument19999\n");
    // One that is longer than the system takes cannot be run, and harms nothing.
    let script = "exec \"$0\" exec -- sh -c 'export LONG=$(head -c 200000 /dev/zero | tr \"\\0\" x); \
                  exec \"$0\" exec --plan other -- true' \"$0\"";
    sandbox.ok(&["new", "--name", "other"]);
    sandbox.ok(&["cd", "work"]);
    let run = sandbox.program("sh", ["-c", script, env!("CARGO_BIN_EXE_plandex")]);
    let refused = run.finish();
    assert_eq!(refused.code, Some(126), "{refused}");
    is_free(&sandbox);
}

/// Whoever waits in line shows little of it.
#[test]
fn a_huge_command_line_is_shown_short() {
    let sandbox = project();
    let long = "x".repeat(100_000);
    let run = sandbox.plandex(["exec", "--", "sh", "-c", "cat", &long]);
    let holder = run.held_stdin().start();
    holds(&sandbox, &holder);
    let row = sandbox.tickets().remove(0);
    assert!(row.command.len() <= 1_000, "{}", row.command.len());
    assert!(row.command.starts_with("plandex exec -- sh -c cat xxx"));
    let refused = sandbox.run(&["exec", "--no-wait", "--", "true"]).exits(75);
    assert!(refused.stderr.len() < 3_000, "{}", refused.stderr.len());
    holder.finish().ok();
}

/// Nobody reads what the waiting exec says on stderr: it runs and gives its turn back all the same.
#[test]
fn a_full_pipe_on_stderr_holds_nobody_up() {
    needs!("mkfifo");
    let sandbox = project();
    let holder = writer(&sandbox);
    // A pipe that is full from the start, with its reading end open and never read.
    let script = "mkfifo ../tmp/full && exec 4<>../tmp/full && \
                  { dd if=/dev/zero bs=4096 count=64 oflag=nonblock >&4 2>/dev/null; \
                    exec \"$0\" exec --wait forever -- sh -c 'echo ran > ran' 2>&4; }";
    let run = sandbox.program("sh", ["-c", script, env!("CARGO_BIN_EXE_plandex")]);
    let blocked = run.held_stdin().start();
    waits(&sandbox, &blocked);
    // It has come to say that it waits, and stands still there.
    sandbox.until("it stands at the full pipe", || {
        let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", blocked.pid()));
        let wchan = wchan.unwrap_or_default();
        (wchan.contains("pipe") || wchan == "0").then_some(())
    });
    let mut next = sandbox.start(&["exec", "--wait", "forever", "--", "cat", "ran"]);
    waits(&sandbox, &next);
    holder.finish().ok();
    assert_eq!(next.wait(SOON).ok().stdout, "ran\n");
    blocked.kill();
    is_free(&sandbox);
}

/// The same pipe on stdout is the command's business: it waits there, and holds.
#[test]
fn a_command_at_a_full_pipe_is_told_to_end_like_any_other() {
    let sandbox = project();
    let run = sandbox.program("sh", ["-c", "\"$0\" exec -- cat /dev/zero | head -c 1"]);
    let mut pipeline = run.args([env!("CARGO_BIN_EXE_plandex")]).start();
    // The reader goes away: SIGPIPE ends the command as it would without us.
    pipeline.wait(Duration::from_secs(30)).ok();
    let stopped = "(\"$0\" exec -- cat /dev/zero; echo $? > code) | sleep 1000";
    let run = sandbox.program("sh", ["-c", stopped, env!("CARGO_BIN_EXE_plandex")]);
    let pipeline = run.start();
    let line = sandbox.until_queue("somebody holds", |line| {
        line.iter()
            .any(|ticket| ticket.state == plandex::store::tickets::State::Held)
    });
    assert_eq!(line.len(), 1);
    sandbox.ok(&["stop"]);
    let code = sandbox.until("it has ended", || {
        let code = std::fs::read_to_string(sandbox.root().join("code")).ok()?;
        code.ends_with('\n').then_some(code)
    });
    assert_eq!(code, "143\n");
    is_free(&sandbox);
    drop(pipeline);
}
