//! Two plans that want one file.

use super::{edit, tell, two_plans};

#[test]
fn each_is_told_of_the_other() {
    let sandbox = two_plans();
    for (plan, other) in [("one", "two"), ("two", "one")] {
        let status = sandbox.ok(&["status", "--plan", plan]);
        let words = format!("src/lib.rs is pending on plan {other}, branch main, too");
        assert!(status.stdout.contains(&words), "{status}");
        let status = sandbox.ok(&["status", "--plan", plan, "--json"]).json();
        let pending = status["pending"].as_array().unwrap();
        let of = |path: &str| {
            pending
                .iter()
                .find(|change| change["path"] == path)
                .unwrap()
        };
        assert_eq!(of("src/lib.rs")["wantedBy"][0]["plan"], other);
        assert!(of(&format!("{plan}.txt")).get("wantedBy").is_none());
    }
    let who = sandbox.ok(&["who", "src/lib.rs"]);
    for plan in ["plan one, branch main", "plan two, branch main"] {
        assert!(who.stdout.contains(plan), "{who}");
    }
    let all = sandbox.ok(&["who", "--json"]).json();
    assert_eq!(all["files"].as_array().unwrap().len(), 1);
    assert_eq!(all["files"][0]["path"], "src/lib.rs");
    assert_eq!(all["files"][0]["wantedBy"][1]["op"], "update");
    assert!(all["files"][0]["wantedBy"][1]["running"].is_null());
    let nobody = sandbox.run(&["who", "README.md"]).exits(1);
    assert!(nobody.stderr.contains("Nobody wants README.md"), "{nobody}");
    sandbox.run(&["who", "two.txt"]).exits(0);
}

#[test]
fn who_applies_first_makes_the_other_one_drift() {
    let sandbox = two_plans();
    sandbox.ok(&["apply", "-y", "--plan", "one"]);
    assert!(sandbox.read("src/lib.rs").contains("first"));
    sandbox.run(&["apply", "-y", "--plan", "two"]).exits(7);
    assert!(sandbox.read("src/lib.rs").contains("first"));
    let diff = sandbox.ok(&["diff", "--plan", "two"]);
    assert!(
        diff.stderr
            .contains("src/lib.rs was modified since last read"),
        "{diff}"
    );
    let status = sandbox.ok(&["status", "--plan", "two"]);
    assert!(!status.stdout.contains("pending on plan"), "{status}");
    sandbox.run(&["who"]).exits(1);
}

#[test]
fn a_fork_wants_the_same_until_it_wants_something_else() {
    let sandbox = two_plans();
    sandbox.ok(&["reject", "-ay", "--plan", "one"]);
    sandbox.ok(&["checkout", "-b", "other"]);
    let status = sandbox.ok(&["status"]);
    assert!(!status.stdout.contains("is pending on"), "{status}");
    tell(
        &sandbox,
        "two",
        &[edit("src/lib.rs", "    \"second\"", "    \"third\"")],
    );
    let status = sandbox.ok(&["status"]);
    let words = "src/lib.rs is pending on plan two, branch main, too";
    assert!(status.stdout.contains(words), "{status}");
}

#[test]
fn what_runs_there_now_is_named() {
    let sandbox = two_plans();
    let held = sandbox
        .plandex(["tell", "wait", "--plan", "one", "--reply", "-"])
        .env("PLANDEX_ACTOR", "alice")
        .held_stdin()
        .start();
    let holds = |line: &[plandex::store::tickets::Ticket]| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    };
    sandbox.until_queue("the tell holds the plan", holds);
    let who = sandbox.ok(&["who", "src/lib.rs"]);
    assert!(
        who.stdout.contains("Tell operation runs there now (alice)"),
        "{who}"
    );
    drop(held);
}
