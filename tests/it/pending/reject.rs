//! `reject`.

use super::{edit, tell, two_plans};
use crate::support::Sandbox;

fn pending(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.ok(&["status", "--json"]).json();
    let pending = status["pending"].as_array().unwrap().clone();
    let path = |change: &serde_json::Value| change["path"].as_str().unwrap().to_owned();
    pending.iter().map(path).collect()
}

#[test]
fn a_file_is_given_up_in_a_version_and_never_built_again() {
    let sandbox = two_plans();
    let before = sandbox.git(&["status", "--porcelain"]);
    let one = sandbox.ok(&["reject", "-y", "two.txt"]);
    assert_eq!(one.stdout, "Rejected two.txt\n");
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    let built = sandbox.ok(&["build"]);
    assert!(built.stderr.contains("Nothing to build"), "{built}");
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    let log = sandbox.ok(&["log"]).stdout;
    assert!(log.contains("Reject 1 change"), "{log}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), before);
    // What is asked for anew is built on the file as it is.
    tell(&sandbox, "two", &[edit("two.txt", "", "y")]);
    assert_eq!(pending(&sandbox), ["src/lib.rs", "two.txt"]);
    let all = sandbox.ok(&["rj", "--all", "-y", "--json"]).json();
    assert_eq!(
        all["rejected"],
        serde_json::json!(["src/lib.rs", "two.txt"])
    );
    assert_eq!(pending(&sandbox), [""; 0]);
    // The other plan's are its own.
    let other = sandbox.ok(&["diff", "--plan", "one", "--json"]).json();
    assert_eq!(other["files"].as_array().unwrap().len(), 2);
}

#[test]
fn it_asks_and_says_what_is_pending() {
    let sandbox = two_plans();
    let unasked = sandbox.run(&["reject", "-a"]).exits(9);
    assert!(
        unasked
            .stderr
            .contains("error: reject needs a confirmation"),
        "{unasked}"
    );
    assert!(!unasked.stderr.contains("apply"), "{unasked}");
    sandbox.run(&["reject"]).exits(2);
    let unknown = sandbox.run(&["reject", "-y", "one.txt"]).exits(2);
    assert!(
        unknown.stderr.contains("pending: src/lib.rs, two.txt"),
        "{unknown}"
    );
    assert_eq!(pending(&sandbox).len(), 2);
    sandbox.ok(&["reject", "-ay"]);
    let none = sandbox.ok(&["reject", "-ay"]);
    assert!(none.stderr.contains("No pending changes"), "{none}");
    sandbox.run(&["reject", "-y", "two.txt"]).exits(2);
}

#[test]
fn it_waits_for_its_turn() {
    let sandbox = two_plans();
    let held = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    let holds = |line: &[plandex::store::tickets::Ticket]| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    };
    sandbox.until_queue("the tell holds the plan", holds);
    sandbox.run(&["reject", "-a", "-y", "--no-wait"]).exits(75);
    assert_eq!(pending(&sandbox).len(), 2);
    drop(held);
}
