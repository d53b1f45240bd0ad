//! Where the log goes, and what turns it on.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::{log_file, message, project};

#[test]
fn nothing_is_logged_unless_somebody_asks() {
    let sandbox = project();
    let outcome = sandbox.ok(&["exec", "--plan", "a", "--", "true"]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let outcome = sandbox.ok(&["exec", "--plan", "a", "-v", "--", "true"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn topics_go_to_stderr_and_stdout_stays_data() {
    let sandbox = project();
    let heads = |topics: &str| {
        let run = sandbox.plandex(["load", "--plan", "a", "-n", "x", "--json"]);
        let outcome = run.env("PLANDEX_LOG", topics).finish().ok();
        outcome.json();
        let mut heads: Vec<String> = outcome
            .stderr
            .lines()
            .map(|line| message(line).split([' ', ']']).next().unwrap().to_owned())
            .collect();
        heads.sort();
        heads.dedup();
        heads
    };
    assert_eq!(heads("queue"), ["[Queue"]);
    assert_eq!(heads("locks"), ["[Lock"]);
    assert_eq!(heads("transactions,queue"), ["[Lock", "[Queue"]);
    assert!(heads("").is_empty());
    let all = sandbox
        .ok(&["load", "--plan", "a", "-n", "y", "-vv"])
        .stderr;
    assert!(
        all.contains("[Queue] ") && all.contains(" BEGIN ") && all.contains(" ACQUIRED "),
        "{all}"
    );
}

#[test]
fn a_topic_that_is_none_is_named() {
    let sandbox = project();
    let run = sandbox
        .plandex(["plans"])
        .env("PLANDEX_LOG", "locks,tables");
    run.finish()
        .exits(2)
        .says("\"tables\"")
        .says("heartbeat, transactions, all");
}

/// Twenty processes append to one file of their owner's alone, and no line is torn.
#[test]
fn many_processes_write_whole_lines_to_one_file() {
    let sandbox = project();
    let start = |number: usize| {
        let plan = ["a", "b"][number % 2];
        let run = sandbox.plandex(["load", "--plan", plan, "-n", "x"]);
        run.env("PLANDEX_LOG_FILE", log_file(&sandbox)).start()
    };
    let all: Vec<_> = (0..20).map(start).collect();
    for one in all {
        let outcome = one.finish().ok();
        assert!(!outcome.stderr.contains("[Lock]"), "{outcome}");
    }
    let log = std::fs::read_to_string(log_file(&sandbox)).unwrap();
    let mut released = 0;
    for line in log.lines() {
        let said = message(line);
        assert!(
            said.starts_with("[Lock][") || said.starts_with("[Queue] "),
            "{line}"
        );
        released += usize::from(said.contains(" RELEASE "));
    }
    assert_eq!(released, 20);
    let mode = std::fs::metadata(log_file(&sandbox))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_log_that_cannot_be_written_costs_one_warning() {
    let sandbox = project();
    let mut lines = String::new();
    for _ in 0..5 {
        writeln!(lines, "exec --plan a -- true").unwrap();
    }
    for (path, words) in [
        ("/no/such/directory/log", "cannot open"),
        ("/dev/full", "is not whole"),
    ] {
        let run = sandbox.plandex(["batch", "-"]).stdin(&lines);
        let outcome = run.env("PLANDEX_LOG_FILE", path).finish().ok();
        assert_eq!(outcome.stderr.matches("warning:").count(), 1, "{outcome}");
        assert!(
            outcome.stderr.contains(words) && outcome.stderr.contains(path),
            "{outcome}"
        );
        assert!(outcome.stderr.contains("5 of 5 lines done"), "{outcome}");
    }
}
