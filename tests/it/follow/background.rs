//! Runs that go on apart from the terminal.

use std::path::PathBuf;

use plandex::platform::process;
use plandex::store::tickets::State;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::{SOON, file, lines, newest, project, runner, types, until_stored};
use crate::support::{Background, Outcome, Sandbox, needs};

const BINARY: &str = env!("CARGO_BIN_EXE_plandex");

/// The pid that `tell --bg --json` printed.
fn pid_of(answer: &Value) -> u32 {
    u32::try_from(answer["pid"].as_u64().unwrap()).unwrap()
}

fn ends(sandbox: &Sandbox, pid: u32) {
    sandbox.until(&format!("pid {pid} is gone"), || {
        process::stat(pid)
            .is_none_or(|stat| stat.state == 'Z')
            .then_some(())
    });
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A program that holds the plan until its standard input is closed.
fn holder(sandbox: &Sandbox) -> Background<'_> {
    let holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    sandbox.until_queue("it is held", |line| {
        line.iter().any(|ticket| ticket.state == State::Held)
    });
    holder
}

fn release(mut holder: Background<'_>) {
    holder.close_stdin();
    holder.wait(SOON).ok();
}

/// A named pipe whose writing end the test has.
fn pipe(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.place().join("tmp").join("reply.fifo");
    sandbox.program("mkfifo", [&path]).finish().ok();
    path
}

fn last_run(sandbox: &Sandbox) -> Value {
    sandbox.ok(&["status", "--json"]).json()["lastRun"].clone()
}

#[test]
fn a_run_in_the_background_goes_on_apart_from_its_terminal() {
    let sandbox = project();
    let mut first = sandbox
        .plandex(["tell", "x", "--reply", "-", "--bg", "--json"])
        .held_stdin()
        .start();
    let answer = first.wait(SOON).ok().json();
    assert_eq!(answer["schemaVersion"], 1);
    assert_eq!(
        (&answer["ticket"], &answer["state"]),
        (&1.into(), &"held".into())
    );
    assert_eq!(
        (&answer["plan"], &answer["branch"]),
        (&"work".into(), &"main".into())
    );
    let pid = pid_of(&answer);
    let stat = process::stat(pid).unwrap();
    assert_eq!((stat.session, stat.tty), (pid, 0));
    let open = |fd: u32| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
    sandbox.until("it has let go of its streams", || {
        let is_null = |fd| open(fd) == std::path::Path::new("/dev/null");
        (is_null(1) && is_null(2)).then_some(())
    });
    first.say("I begin.\n");
    until_stored(&sandbox, "I begin.");
    let ps = sandbox.ok(&["ps"]);
    assert!(ps.stdout.contains("in the background"), "{ps}");
    let ps = sandbox.ok(&["ps", "--json"]).json();
    let row = &ps["locks"][0];
    assert_eq!(row["isDetached"], true, "{ps}");
    assert_eq!(row["run"], newest(&sandbox).unwrap().id, "{ps}");
    assert_eq!(row["command"], "plandex tell x --reply - --bg --json");
    first.say(&file("a.txt", "a"));
    until_stored(&sandbox, "a.txt");
    let ps = sandbox.ok(&["ps", "--json"]).json();
    assert_eq!(ps["locks"][0]["filesNamed"], 1, "{ps}");
    sandbox
        .ok(&["status"])
        .says("plandex connect 1")
        .stdout
        .contains("Run 1 is at work")
        .then_some(())
        .unwrap();
    let follower = sandbox.start(&["connect"]);
    follower.until_says("I begin.");
    first.close_stdin();
    follower.finish().ok().says("1 file pending");
    ends(&sandbox, pid);
    assert_eq!(last_run(&sandbox)["status"], "ready");
}

/// The terminal goes away: the run hears nothing of it.
#[test]
fn the_end_of_the_terminal_is_not_the_run_s() {
    needs!("mkfifo");
    let sandbox = project();
    let reply = pipe(&sandbox);
    let command = format!(
        "'{BINARY}' tell x --bg --reply '{}'; echo returned; cat",
        reply.display()
    );
    let mut terminal = sandbox.program("sh", ["-c", &command]).on_terminal(80);
    terminal.until_shows("returned");
    let shown = terminal.screen().text();
    assert!(
        shown.contains("Run 1 is at work in the background"),
        "{shown}"
    );
    let pid = sandbox.tickets()[0].pid;
    assert_eq!(process::stat(pid).unwrap().tty, 0);
    terminal.hang_up();
    terminal.wait(SOON);
    std::fs::write(&reply, file("a.txt", "a")).unwrap();
    ends(&sandbox, pid);
    sandbox.run(&["connect"]).ok().says("1 file pending");
}

#[test]
fn a_run_in_the_background_waits_for_as_long_as_it_takes() {
    let sandbox = project();
    let held = holder(&sandbox);
    let args = ["tell", &file("a.txt", "a"), "--bg"];
    // What is set for others is not meant for who has nobody waiting.
    let first = sandbox.plandex(args).env("PLANDEX_WAIT", "0").finish().ok();
    assert!(
        first
            .stdout
            .starts_with("Run 2 waits in the background, position 2 (pid "),
        "{first}"
    );
    let first = first.says("plandex connect 2").says("plandex ps");
    // `stop` would end what it waits for.
    assert!(!first.stderr.contains("plandex stop"), "{first}");
    let pid = sandbox.tickets()[1].pid;
    let first = first.says(&format!("`kill {pid}`"));
    drop(first);
    release(held);
    sandbox.until("it has run", || {
        newest(&sandbox)?.ended.is_some().then_some(())
    });
    assert_eq!(last_run(&sandbox)["status"], "ready");
}

/// A run that still waits is called off by its pid, and that is what is left of it.
#[test]
fn a_run_that_waits_can_be_called_off() {
    let sandbox = project();
    let held = holder(&sandbox);
    let args = ["tell", &file("a.txt", "a"), "--bg", "--json"];
    let pid = pid_of(&sandbox.ok(&args).json());
    signal(pid, Signal::TERM);
    ends(&sandbox, pid);
    assert_eq!(sandbox.tickets().len(), 1);
    sandbox.run(&["connect", "2"]).exits(143);
    assert_eq!(last_run(&sandbox)["status"], "error");
    release(held);
}

/// What is wrong before there is a ticket is the first command's error.
#[test]
fn what_is_wrong_at_once_is_said_at_once() {
    let sandbox = Sandbox::new();
    let bg = |flags: &[&str]| -> Outcome { sandbox.run(&[&["tell", "--bg"], flags].concat()) };
    bg(&["x"]).exits(1).says("no plandex project");
    sandbox.ok(&["new", "--name", "work"]);
    bg(&["x"]).exits(4).says("no model is configured");
    bg(&[""]).exits(2).says("the prompt is empty");
    bg(&["x", "--reply", "nowhere"])
        .exits(2)
        .says("cannot read the reply");
    bg(&["x", "--plan", "none"]).exits(2);
    let error = bg(&["x", "--json"]).exits(4);
    assert_eq!(error.stdout, "");
    let error: Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!(error["type"], "no_model");
    let held = holder(&sandbox);
    bg(&[&file("a.txt", "a"), "--no-wait"]).exits(75);
    assert_eq!(sandbox.tickets().len(), 1);
    release(held);
    assert!(newest(&sandbox).is_none());
    sandbox
        .plandex(["batch", "-"])
        .stdin("tell x --bg\n")
        .finish()
        .exits(2)
        .says("none is in the background");
}

/// What goes wrong after is kept for whoever looks.
#[test]
fn a_run_that_fails_before_its_turn_says_so_in_status() {
    let sandbox = project();
    let held = holder(&sandbox);
    let args = [
        "tell",
        &file("a.txt", "a"),
        "--bg",
        "--wait",
        "1s",
        "--json",
    ];
    let answer = sandbox.ok(&args).json();
    assert_eq!(
        (&answer["state"], &answer["position"]),
        (&"waiting".into(), &2.into())
    );
    let follower = sandbox.start(&["connect", "2"]);
    follower.until_says("position 2");
    ends(&sandbox, pid_of(&answer));
    follower.finish().exits(75);
    let status = sandbox.ok(&["status"]);
    assert!(status.stdout.contains("Last run: error"), "{status}");
    let last = last_run(&sandbox);
    assert_eq!(
        (&last["status"], &last["ticket"]),
        (&"error".into(), &2.into())
    );
    assert!(
        last["errors"][0]
            .as_str()
            .unwrap()
            .contains("another operation is still in progress"),
        "{last}"
    );
    let events = lines(&sandbox.run(&["connect", "2", "--json"]).exits(75).stdout);
    assert_eq!(
        types(&events),
        ["session.started", "turn.failed", "session.ended"]
    );
    release(held);
    // The branch itself is as it was.
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["status"], "draft");
}

#[test]
fn a_prompt_may_be_piped_into_the_background() {
    let sandbox = project();
    let message = file("a.txt", "a");
    sandbox
        .plandex(["tell", "--bg"])
        .stdin(&message)
        .finish()
        .ok();
    sandbox.until("it has run", || {
        newest(&sandbox)?.ended.is_some().then_some(())
    });
    assert_eq!(last_run(&sandbox)["built"], 1);
    // Called off while the prompt is still read: nothing is left behind.
    let mut reading = sandbox.plandex(["tell", "--bg"]).held_stdin().start();
    let child = sandbox.until("it has started itself once more", || {
        let children = format!("/proc/{0}/task/{0}/children", reading.pid());
        let children = std::fs::read_to_string(children).ok()?;
        children.split_whitespace().next()?.parse::<u32>().ok()
    });
    sandbox.until("it is apart", || {
        (process::stat(child)?.session == child).then_some(())
    });
    reading.signal(Signal::INT);
    reading.wait(SOON).exits(130);
    ends(&sandbox, child);
    let terminal = "a run in the background cannot read its reply from a terminal";
    let mut asked = sandbox
        .plandex(["tell", "x", "--bg", "--reply", "-"])
        .on_terminal(100);
    asked.until_shows(terminal);
    asked.wait(SOON).exits(2);
}

/// Below a hold, a run in the background has a place of its own, and outlives the command.
#[test]
fn below_a_command_it_stands_in_line_for_itself() {
    let sandbox = project();
    let message = file("a.txt", "a");
    let script = "\"$0\" tell --bg \"$1\" && echo started";
    let outcome = sandbox.ok(&["exec", "--", "sh", "-c", script, BINARY, &message]);
    assert!(
        outcome
            .stdout
            .contains("waits in the background, position 2"),
        "{outcome}"
    );
    sandbox.until("it has run", || {
        newest(&sandbox)?.ended.is_some().then_some(())
    });
    assert_eq!(last_run(&sandbox)["status"], "ready");
}

/// Nor does it end with a command that is ended with all that it started.
#[test]
fn the_end_of_the_command_around_it_is_not_its_own() {
    let sandbox = project();
    let message = file("a.txt", "a");
    let script = "\"$0\" tell --bg \"$1\" && echo started && exec sleep 1000";
    let mut around = sandbox.start(&["exec", "--", "sh", "-c", script, BINARY, &message]);
    around.until_says("started");
    around.signal(Signal::TERM);
    around.wait(SOON).exits(143);
    sandbox.until("it has run", || {
        newest(&sandbox)?.ended.is_some().then_some(())
    });
    assert_eq!(last_run(&sandbox)["status"], "ready");
}

#[test]
fn stop_ends_it_and_keeps_what_came() {
    let sandbox = project();
    let mut first = sandbox
        .plandex(["tell", "x", "--reply", "-", "--bg", "--json"])
        .held_stdin()
        .start();
    let pid = pid_of(&first.wait(SOON).ok().json());
    first.say("I begin.\n");
    until_stored(&sandbox, "I begin.");
    let follower = sandbox.start(&["connect"]);
    follower.until_says("I begin.");
    sandbox.ok(&["stop"]);
    follower.finish().exits(143).says("Stopped");
    ends(&sandbox, pid);
    let convo = sandbox.ok(&["convo", "--json"]).json();
    assert_eq!(convo["messages"][1]["text"], "I begin.\n");
    assert_eq!(convo["messages"][1]["state"], "stopped");
    // And so do signals of its own.
    let mut second = sandbox
        .plandex(["tell", "x", "--reply", "-", "--bg", "--json"])
        .held_stdin()
        .start();
    let pid = pid_of(&second.wait(SOON).ok().json());
    second.say("Again.\n");
    until_stored(&sandbox, "Again.");
    signal(pid, Signal::KILL);
    ends(&sandbox, pid);
    sandbox
        .run(&["connect"])
        .exits(1)
        .says("Plan status: interrupted");
}

/// A program that a run starts is not taken for a run in the background.
#[test]
fn the_word_of_the_background_is_not_handed_on() {
    let sandbox = project();
    let mut other = runner(&sandbox, &[]);
    let answer = sandbox
        .plandex(["ps", "--json"])
        .env("PLANDEX_BACKGROUND", "1")
        .finish()
        .ok()
        .json();
    assert_eq!(answer["locks"][0]["isDetached"], false);
    other.close_stdin();
    other.wait(SOON).ok();
}
