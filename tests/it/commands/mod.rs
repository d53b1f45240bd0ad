//! Each command as a person types it: what is printed, where, and how it ends.

mod apply;
mod load;
mod plans;
mod tell;

use std::fmt::Write as _;

use crate::support::{Outcome, Sandbox};

/// `outcome` as one text, without what differs from run to run.
fn shown(outcome: &Outcome) -> String {
    let text = outcome.text();
    let lines: Vec<String> = text.lines().map(undated).collect();
    lines.join("\n") + "\n"
}

/// A line without points in time, ages, and abbreviated versions.
fn undated(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let is_start = out.is_empty() || out.ends_with([' ', '"', '(']);
        if let Some(end) = is_start.then(|| fleeting(rest)).flatten() {
            let name = match &rest[..end] {
                short if short.bytes().all(|b| b.is_ascii_hexdigit()) => "[SHORT]",
                age if age.ends_with('s') => "[AGE]",
                _ => "[TIME]",
            };
            out.push_str(name);
            rest = &rest[end..];
        } else {
            let next = rest.chars().next().unwrap();
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// How long the beginning of `text` is that is a time, an age or a version's first ten digits.
fn fleeting(text: &str) -> Option<usize> {
    let matches = |pattern: &str| {
        text.len() >= pattern.len()
            && pattern.bytes().zip(text.bytes()).all(|(p, b)| match p {
                b'9' => b.is_ascii_digit(),
                b'h' => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
                _ => p == b,
            })
    };
    if matches("9999-99-99 99:99:99") {
        return Some(19);
    }
    let word = text.split([' ', '"', ')']).next().unwrap_or_default();
    if matches("9999-99-99T99:99:99") {
        return Some(word.len());
    }
    if word.len() == 10 && matches("hhhhhhhhhh") && word.bytes().any(|b| b.is_ascii_digit()) {
        return Some(10);
    }
    let number = word.strip_suffix('s')?;
    let is_age = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_age && text[word.len()..].starts_with(" ago")).then_some(word.len())
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    for (line, expected) in [
        (
            "ab5b1f9f52  2026-11-23 07:03:45  Tell",
            "[SHORT]  [TIME]  Tell",
        ),
        (
            "Last run: ready 12s ago, 2 built",
            "Last run: ready [AGE] ago, 2 built",
        ),
        ("at \"2026-11-23T07:03:45.1Z\", 12s", "at \"[TIME]\", 12s"),
        ("2026 files, 10s, decaffated", "2026 files, 10s, decaffated"),
    ] {
        assert_eq!(undated(line), expected);
    }
}

#[track_caller]
fn expect(outcome: &Outcome, expected: &str) {
    let shown = shown(outcome);
    assert!(
        shown == expected,
        "expected:\n{expected}\nbut it is:\n{shown}"
    );
}

/// A block that replaces `from` (nothing: a new file) with `to`.
fn edit(path: &str, from: &str, to: &str) -> String {
    let mut block = format!("{path}\n```\n<<<<<<< SEARCH\n");
    for line in from.lines() {
        writeln!(block, "{line}").unwrap();
    }
    write!(block, "=======\n{to}\n>>>>>>> REPLACE\n```\n").unwrap();
    block
}

fn tell(sandbox: &Sandbox, text: &str) -> Outcome {
    let prompt = sandbox.write_beside("prompt", text);
    let outcome = sandbox.run(&["tell", "-f", prompt.to_str().unwrap()]);
    std::fs::remove_file(prompt).unwrap();
    outcome
}

/// A project with a plan that was shown `src/lib.rs`.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["load", "src/lib.rs"]);
    sandbox
}

/// `src/lib.rs` says `to` in place of "hello".
fn greeting(to: &str) -> String {
    edit("src/lib.rs", "    \"hello\"", &format!("    \"{to}\""))
}

fn pending(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.ok(&["status", "--json"]).json();
    let pending = status["pending"].as_array().unwrap().clone();
    let path = |change: serde_json::Value| change["path"].as_str().unwrap().to_owned();
    pending.into_iter().map(path).collect()
}

/// The types of the objects in `text`, one a line.
fn kinds(text: &str) -> Vec<String> {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let kind = |line| parse(line)["type"].as_str().unwrap().to_owned();
    text.lines().map(kind).collect()
}

#[test]
fn json_of_every_command_is_one_document_with_its_version() {
    let sandbox = Sandbox::new();
    let reply = sandbox.write_beside("reply", &greeting("json"));
    for args in [
        &["new", "-n", "draft"][..],
        &["plans"],
        &["cd", "draft"],
        &["current"],
        &["load", "src/lib.rs"],
        &["ls"],
        &["checkout", "-b", "twig"],
        &["branches"],
        &["status"],
        &["convo"],
        &["log"],
        &["diff"],
        &["diff", "--snapshot"],
        &["ps"],
        &["locks"],
        &["stop"],
    ] {
        let outcome = sandbox.run(&[args, &["--json"]].concat()).ok();
        assert_eq!(outcome.json()["schemaVersion"], 1, "{outcome}");
    }
    for flag in ["--dry-run", "-y"] {
        let applied = sandbox.ok(&["apply", flag, "--json"]).stdout;
        assert_eq!(
            kinds(&applied),
            ["session.started", "apply.completed", "session.ended"]
        );
    }
    // A tell says what happens as it happens, a document a line.
    let args = ["tell", "x", "--json", "--reply", reply.to_str().unwrap()];
    let told = sandbox.ok(&args).stdout;
    let events: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types[..2], ["session.started", "turn.started"], "{told}");
    assert!(types.contains(&"file.started") && types.contains(&"file.completed"));
    let last = types.len() - 2;
    assert_eq!(types[last..], ["turn.completed", "session.ended"], "{told}");
    assert!(events.iter().all(|event| event["v"] == 1), "{told}");
}

/// What cannot be understood is said as JSON to whoever asked for JSON, and so is what needs a
/// decision.
#[test]
fn mistakes_are_objects_with_json() {
    let sandbox = project();
    tell(&sandbox, &greeting("pending")).ok();
    for (args, code, kind) in [
        (&["--json", "status", "--nonsense"][..], 2, "usage"),
        (&["nonsense", "--json"], 2, "usage"),
        (&["exec", "--json"], 2, "usage"),
        (&["exec", "--json", "--wait", "-1", "true"], 2, "usage"),
        (&["apply", "--json"], 9, "unconfirmed"),
        (&["exec", "--json", "no-such-program"], 127, "not_found"),
    ] {
        let outcome = sandbox.run(args).exits(code);
        let printed = kinds(&outcome.stdout);
        // What would be written is told before anybody is asked.
        let stream = ["session.started", "apply.planned", "session.ended"];
        let expected = if args[0] == "apply" { &stream[..] } else { &[] };
        assert_eq!(printed, expected, "{outcome}");
        let said: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
        assert_eq!(said["type"], kind, "{outcome}");
        assert_eq!(said["exitCode"], code, "{outcome}");
    }
    // What stands behind `--` is somebody else's.
    let theirs = sandbox.run(&["status", "--nonsense", "--", "--json"]);
    theirs
        .exits(2)
        .says("error: unexpected argument '--nonsense'");
}
