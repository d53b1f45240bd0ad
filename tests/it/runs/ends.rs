//! How a run ends: every error once, with true counts, and `status` knows until the next one.

use super::{answered, file, project};

const MISFIT: &str = "src/lib.rs\n<<<<<<< SEARCH\n    \"hullo\"\n=======\n    1\n>>>>>>> REPLACE\n";

#[test]
fn what_did_not_fit_is_reported_once_with_what_was_done() {
    let sandbox = project();
    let reply = file("a.txt", "a") + "\n" + &file("b.txt", "b") + "\n" + MISFIT;
    let outcome = answered(&sandbox, &["tell", "x"], &reply).exits(3);
    let block = "Operation failed after partial completion.\n\n\
         Error: src/lib.rs: edit 1/1: not found\n\
         Completed: 2/3 file changes\n\
         Remaining: 1 file skipped\n\n\
         Run 'plandex status' for details.\n";
    assert_eq!(outcome.stderr.matches(block).count(), 1, "{outcome}");
    let status = sandbox.ok(&["status"]).stdout;
    assert!(status.contains("2 of 3 files built, 1 failed"), "{status}");
    assert!(
        status.contains("  src/lib.rs: edit 1/1: not found\n"),
        "{status}"
    );
    assert!(status.contains("Files left: src/lib.rs\n"), "{status}");
    let json = sandbox.ok(&["status", "--json"]).json();
    let run = &json["lastRun"];
    assert_eq!(run["built"], 2, "{run}");
    assert_eq!(run["remaining"][0], "src/lib.rs", "{run}");
    assert_eq!(run["errors"][0], "src/lib.rs: edit 1/1: not found", "{run}");
    // The next run has its own.
    answered(&sandbox, &["tell", "x"], "Words.\n").ok();
    let status = sandbox.ok(&["status"]).stdout;
    assert!(!status.contains("not found"), "{status}");
}

#[test]
fn nothing_done_is_no_partial_completion() {
    let sandbox = project();
    let outcome = answered(&sandbox, &["tell", "x"], MISFIT).exits(3);
    assert!(
        outcome.stderr.contains(
            "Operation failed.\n\nError: src/lib.rs: edit 1/1: not found\n\
             Completed: 0/1 file changes\nRemaining: 1 file skipped\n"
        ),
        "{outcome}"
    );
}

#[test]
fn a_reply_that_breaks_off_says_why_and_what_remains() {
    let sandbox = project();
    let reply = sandbox.place().join("bad.md");
    // What comes in one piece with a bad byte is refused with it.
    let text = file("a.txt", "a") + "\n```text path=b.txt\n" + &"half\n".repeat(20_000);
    std::fs::write(&reply, [text.as_bytes(), b"\xff\n"].concat()).unwrap();
    let path = reply.to_str().unwrap();
    let outcome = sandbox.run(&["tell", "x", "--reply", path]).exits(5);
    let (_, block) = outcome.stderr.split_once("Operation failed after").unwrap();
    assert!(block.contains("Error: the reply is not UTF-8"), "{outcome}");
    assert!(block.contains("Completed: 1/2 file changes\n"), "{outcome}");
    assert!(block.contains("Remaining: 1 file skipped\n"), "{outcome}");
    assert_eq!(outcome.stderr.matches("not UTF-8").count(), 1, "{outcome}");
    let status = sandbox.ok(&["status"]).stdout;
    assert!(status.contains("Files left: b.txt"), "{status}");
    // To a program it is the last event before the frame's end, and an error with its kind.
    let json = sandbox
        .run(&["tell", "x", "--json", "--reply", path])
        .exits(5);
    let events = json.stdout.lines();
    let mut events = events.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let last = events.find(|event| event["type"] == "turn.failed").unwrap();
    assert_eq!(last["partial"], true, "{json}");
}

#[test]
fn a_run_that_died_says_so_until_the_next_one() {
    let sandbox = project();
    super::replying(&sandbox, &["tell", "x"], "Half.\n").kill();
    sandbox.run(&["diff"]);
    let status = sandbox.ok(&["status"]);
    assert!(
        status
            .stdout
            .contains("the process died before the run was over"),
        "{status}"
    );
    assert!(status.stderr.contains("`plandex continue`"), "{status}");
}
