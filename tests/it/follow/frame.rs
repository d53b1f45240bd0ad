//! The lines of JSON: the first, the last, and each kind in between.

use rustix::process::Signal;
use serde_json::Value;

use super::{SOON, file, lines, of_runs, project, runner, types};

/// What every object of a type has, by its name; `?` marks what it may lack.
const FIELDS: &[(&str, &str)] = &[
    (
        "session.started",
        "schemaVersion plandex cwd command plan? planId? branch? provider? model? providerSource? root?",
    ),
    ("session.ended", "schemaVersion exitCode"),
    (
        "lock.waiting",
        "planId operation scope ticket? fencingToken? waitedMs position? total? ahead? holder? \
         estimatedWaitSeconds? givesUpInSeconds? branch? writer? retry? previous?",
    ),
    (
        "lock.progress",
        "planId operation scope ticket? fencingToken? waitedMs position? total? ahead? holder? \
         estimatedWaitSeconds? givesUpInSeconds? branch? writer? retry? previous?",
    ),
    (
        "lock.acquired",
        "planId operation scope ticket fencingToken waitedMs branch? previous?",
    ),
    (
        "lock.timeout",
        "planId operation scope ticket waitedMs position? total? ahead? holder? \
         estimatedWaitSeconds? branch? previous?",
    ),
    (
        "turn.started",
        "turn event kind number waitedMs provider model? providerSource? promptSha256 \
         promptTokensEstimate idleLimitMs?",
    ),
    ("request.phase", "turn event phase detail?"),
    (
        "request.retrying",
        "turn event attempt max delayMs status? kind message",
    ),
    ("reasoning.delta", "turn event text"),
    ("message.delta", "turn event text"),
    (
        "message.started",
        "turn event number kind attempt max paths",
    ),
    ("message.completed", "turn event finish text usage?"),
    ("file.started", "turn event path format"),
    ("file.progress", "turn event path lines"),
    ("file.completed", "turn event status path built? failed?"),
    ("warning", "turn event code message line? path?"),
    (
        "turn.completed",
        "turn event number state built failed malformed kept? stopped? durationMs",
    ),
    (
        "turn.failed",
        "turn event kind message hint? partial exitCode?",
    ),
    (
        "apply.completed",
        "schemaVersion dryRun id undone? written merged already skipped failed kept commit notCommitted? commitError?",
    ),
    ("apply.planned", "schemaVersion dryRun files overlaps"),
    ("apply.conflict", "schemaVersion files"),
    (
        "line.completed",
        "schemaVersion line id? args status exitCode durationMs documents? stdout? stderr? error?",
    ),
    ("batch.completed", "schemaVersion exitCode counts"),
    ("run.waiting", "ticket position"),
    ("run.lost", "turn status pid"),
    (
        "connection.resumed",
        "turn reason status filesDone filesNamed",
    ),
];

/// Each object has its type's fields and no others, all stamped and counted; the first and the last
/// are the frame.
#[track_caller]
pub(super) fn check(text: &str, code: i32) -> Vec<Value> {
    let events = lines(text);
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    for (index, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        let Some((_, fields)) = FIELDS.iter().find(|(known, _)| *known == kind) else {
            panic!("{kind} is not in the table: {event}");
        };
        let all: Vec<&str> = ["v", "seq", "ts", "type"]
            .into_iter()
            .chain(fields.split_whitespace())
            .collect();
        let object = event.as_object().unwrap();
        for field in &all {
            assert!(
                field.ends_with('?') || object.contains_key(*field),
                "{field} is missing: {event}"
            );
        }
        for key in object.keys() {
            let is_known = |field: &&str| field.trim_end_matches('?') == key;
            assert!(all.iter().any(is_known), "{key} is new: {event}");
        }
        assert_eq!(event["v"], 1);
        assert_eq!(event["seq"], index + 1, "{event}");
        event["ts"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    }
    assert_eq!(types(&events).first(), Some(&"session.started"), "{text}");
    assert_eq!(types(&events).last(), Some(&"session.ended"), "{text}");
    assert_eq!(events.last().unwrap()["exitCode"], code, "{text}");
    let frames = events
        .iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("session."));
    assert_eq!(frames.count(), 2, "{text}");
    events
}

#[test]
fn every_line_of_a_tell_is_in_the_table() {
    let sandbox = project();
    let reply = format!(
        "Words.\n\n{}\n{}\nb.txt\n```\n<<<<<<< SEARCH\n",
        file("a.txt", "one"),
        "src/lib.rs\n```\n<<<<<<< SEARCH\nnot there\n=======\nx\n>>>>>>> REPLACE\n```\n",
    );
    let reply = sandbox.write_beside("reply", &reply);
    let reply = reply.to_str().unwrap();
    let args = ["tell", "x", "--reply", reply, "--json", "--deltas"];
    let told = check(&sandbox.run(&args).exits(3).stdout, 3);
    let first = &told[0];
    assert_eq!(
        (&first["plan"], &first["branch"]),
        (&"work".into(), &"main".into())
    );
    assert_eq!(first["provider"], "reply");
    for kind in [
        "turn.started",
        "message.delta",
        "file.started",
        "message.completed",
        "file.completed",
        "warning",
        "turn.completed",
    ] {
        assert!(types(&told).contains(&kind), "{kind}");
    }
    let again = check(
        &sandbox
            .run(&["connect", "1", "--json", "--deltas"])
            .exits(3)
            .stdout,
        3,
    );
    assert_eq!(of_runs(&again), of_runs(&told));
    // Text comes piece by piece only to who asks for it; it is whole at the reply's end.
    let args = ["tell", "x", "--reply", reply, "--json"];
    let told = check(&sandbox.run(&args).exits(3).stdout, 3);
    assert!(!types(&told).contains(&"message.delta"));
    let whole = told
        .iter()
        .find(|event| event["type"] == "message.completed");
    assert!(
        whole.unwrap()["text"]
            .as_str()
            .unwrap()
            .starts_with("Words.\n")
    );
    let again = check(&sandbox.run(&["connect", "2", "--json"]).exits(3).stdout, 3);
    assert_eq!(of_runs(&again), of_runs(&told));
}

/// Whatever ends a command, its last line says how.
#[test]
fn the_last_line_is_there_however_it_ends() {
    let sandbox = project();
    for (args, code) in [
        (&["tell", "nothing to take", "--json"][..], 4),
        (&["tell", "", "--json"], 2),
        (&["tell", "x", "--plan", "none", "--json"], 2),
        (&["connect", "77", "--json"], 2),
        (&["events", "--since", "nonsense", "--json"], 2),
    ] {
        let outcome = sandbox.run(args).exits(code);
        let events = check(&outcome.stdout, code);
        assert_eq!(events.len(), 2, "{outcome}");
        let error: Value = serde_json::from_str(&outcome.stderr).unwrap();
        assert_eq!(error["exitCode"], code, "{outcome}");
    }
    for (signal, code) in [
        (Some(Signal::INT), 130),
        (Some(Signal::TERM), 143),
        (Some(Signal::HUP), 129),
        (None, 143),
    ] {
        let mut runner = runner(&sandbox, &["--json"]);
        match signal {
            Some(signal) => runner.signal(signal),
            None => drop(sandbox.ok(&["stop"])),
        }
        let events = check(&runner.wait(SOON).exits(code).stdout, code);
        let verdict = events
            .iter()
            .find(|event| event["type"] == "turn.completed");
        assert_eq!(verdict.unwrap()["state"], "stopped");
    }
}

#[test]
fn locks_are_told_between_the_first_line_and_the_last() {
    let sandbox = project();
    let mut holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    sandbox.until_queue("it is held", |line| line.len() == 1);
    let message = file("a.txt", "a");
    let outcome = sandbox
        .run(&["tell", &message, "--json", "--wait", "1s"])
        .exits(75);
    let events = check(&outcome.stdout, 75);
    assert_eq!(types(&events)[1], "lock.waiting");
    assert_eq!(types(&events)[events.len() - 2], "lock.timeout");
    let waiter = sandbox.start(&["tell", &message, "--json", "--wait", "forever"]);
    waiter.until_says("lock.waiting");
    holder.close_stdin();
    holder.wait(SOON).ok();
    let events = check(&waiter.finish().ok().stdout, 0);
    assert!(types(&events).contains(&"lock.acquired"));
}

/// Nobody reads any more: it ends quietly.
#[test]
fn a_closed_pipe_is_no_error() {
    let sandbox = project();
    let reply = sandbox.write_beside("reply", &file("a.txt", "a"));
    let script = "{ \"$0\" tell x --reply \"$1\" --json; echo \"code $?\" >&2; } | true";
    let binary = env!("CARGO_BIN_EXE_plandex");
    // Until it hits: `true` may be slower than all of it.
    sandbox.until("it writes to nobody", || {
        let outcome = sandbox
            .program("sh", ["-c", script, binary, reply.to_str().unwrap()])
            .finish()
            .ok();
        (outcome.stderr == "code 141\n").then_some(())
    });
}
