//! `tell --no-build` and `build`.

use super::{answered, file, pending, project, rows};

fn edit(from: &str, to: &str) -> String {
    format!("src/lib.rs\n<<<<<<< SEARCH\n    {from}\n=======\n    {to}\n>>>>>>> REPLACE\n")
}

const STATUS_OF_BUILDS: &str = "SELECT path || ' ' || status FROM plan_builds ORDER BY id";

#[test]
fn replies_that_were_kept_are_built_in_their_order() {
    let sandbox = project();
    let first = answered(
        &sandbox,
        &["tell", "-n", "1"],
        &edit("\"hello\"", "\"one\""),
    )
    .ok();
    assert!(
        first.stderr.contains("1 file kept for `plandex build`"),
        "{first}"
    );
    answered(
        &sandbox,
        &["tell", "--no-build", "2"],
        &edit("\"one\"", "\"two\""),
    )
    .ok();
    assert_eq!(pending(&sandbox), [""; 0]);
    assert_eq!(rows(&sandbox, STATUS_OF_BUILDS), [""; 0]);
    let built = sandbox.ok(&["build"]);
    assert!(built.stderr.contains("1 file pending"), "{built}");
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    let builds = rows(&sandbox, STATUS_OF_BUILDS);
    assert_eq!(builds, ["src/lib.rs built", "src/lib.rs built"]);
    assert!(sandbox.ok(&["log"]).stdout.contains("Build"));
    let audit = "SELECT scope || ' ' || reason FROM repo_locks_audit ORDER BY id DESC LIMIT 1";
    assert_eq!(rows(&sandbox, audit), ["w build changes"]);
    sandbox.ok(&["apply", "-y"]);
    assert!(sandbox.read("src/lib.rs").contains("\"two\""));
    let before = sandbox.dump();
    let nothing = sandbox.ok(&["b"]);
    assert!(nothing.stderr.contains("Nothing to build"), "{nothing}");
    assert_eq!(super::rows(&sandbox, STATUS_OF_BUILDS).len(), 2);
    let without_audit = |dump: &str| {
        let lines = dump
            .lines()
            .filter(|line| !line.starts_with("repo_locks_audit"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_audit(&sandbox.dump()), without_audit(&before));
}

#[test]
fn the_next_run_that_builds_takes_what_was_kept() {
    let sandbox = project();
    answered(
        &sandbox,
        &["tell", "-n", "1"],
        &edit("\"hello\"", "\"one\""),
    )
    .ok();
    answered(&sandbox, &["tell", "2"], &edit("\"one\"", "\"two\"")).ok();
    sandbox.ok(&["apply", "-y"]);
    assert!(sandbox.read("src/lib.rs").contains("\"two\""));
}

#[test]
fn edits_in_a_message_can_be_kept_too() {
    let sandbox = project();
    sandbox.ok(&["tell", "-n", &edit("\"hello\"", "\"one\"")]);
    assert_eq!(pending(&sandbox), [""; 0]);
    sandbox.ok(&["build"]);
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
}

#[test]
fn a_file_that_failed_is_tried_again_when_it_has_what_was_missing() {
    let sandbox = project();
    let reply = file("a.txt", "a") + "\n" + &edit("\"hullo\"", "\"one\"");
    answered(&sandbox, &["tell", "x"], &reply).exits(3);
    assert_eq!(pending(&sandbox), ["a.txt"]);
    // Still not: the same again, and no second a.txt.
    let again = sandbox.run(&["build"]).exits(3);
    assert!(again.stderr.contains("NOT FOUND"), "{again}");
    assert!(!again.stderr.contains("a.txt"), "{again}");
    let text = sandbox.read("src/lib.rs").replace("hello", "hullo");
    sandbox.write("src/lib.rs", &text);
    let built = sandbox.ok(&["build"]);
    assert!(built.stderr.contains("src/lib.rs"), "{built}");
    assert_eq!(pending(&sandbox), ["a.txt", "src/lib.rs"]);
    assert!(sandbox.ok(&["build"]).stderr.contains("Nothing to build"));
}

#[test]
fn a_failed_edit_tells_when_the_changed_file_was_loaded() {
    let sandbox = project();
    let reply = edit("\"hello\"", "\"one\"");
    answered(&sandbox, &["tell", "-n", "x"], &reply).ok();
    sandbox.write("src/lib.rs", "// another file by now\n");
    let build = sandbox.plandex(["build"]).env("TZ", "UTC");
    let built = build.finish().exits(3);
    let json = sandbox.run(&["build", "--json"]).exits(3).stdout;
    let (_, stamp) = json.split_once("\"stale\":true,\"loaded_at\":").unwrap();
    let stamp = stamp.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    let shown = rows(
        &sandbox,
        "SELECT updated_at FROM contexts WHERE path = 'src/lib.rs'",
    );
    assert_eq!(shown, [stamp], "{json}");
    let loaded_at: i64 = stamp.parse().unwrap();
    let at = jiff::Timestamp::from_millisecond(loaded_at).unwrap();
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M");
    let said = format!("file changed since context was loaded ({at})");
    assert!(built.stderr.contains(&said), "{said}: {built}");
    let remedy = "plandex update && plandex build";
    assert!(built.stderr.contains(remedy), "{built}");
}

#[test]
fn json_tells_a_build_as_a_run() {
    let sandbox = project();
    answered(&sandbox, &["tell", "-n", "1"], &file("a.txt", "a")).ok();
    let lines = sandbox.ok(&["build", "--json"]).stdout;
    let types: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let run = ["turn.started", "file.completed", "turn.completed"];
    assert_eq!(types[1..types.len() - 1], run);
    assert!(lines.contains("\"kind\":\"build\""), "{lines}");
}

/// What was built on a branch is built on its fork, too.
#[test]
fn a_fork_has_nothing_to_build_again() {
    let sandbox = project();
    answered(&sandbox, &["tell", "x"], &file("a.txt", "a")).ok();
    answered(&sandbox, &["tell", "-n", "x"], &file("b.txt", "b")).ok();
    sandbox.ok(&["checkout", "-b", "fork"]);
    assert_eq!(pending(&sandbox), ["a.txt"]);
    let built = sandbox.ok(&["build"]);
    assert!(built.stderr.contains("1 file pending"), "{built}");
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
}

#[test]
fn a_rejected_or_applied_change_is_not_built_again() {
    let sandbox = project();
    answered(&sandbox, &["tell", "x"], &file("a.txt", "a")).ok();
    sandbox.ok(&["apply", "-y"]);
    answered(&sandbox, &["tell", "x"], &file("a.txt", "a")).ok();
    assert!(sandbox.ok(&["build"]).stderr.contains("Nothing to build"));
}
