//! `status`: the queue as SEED.md 8.2.2 shows it.

use super::{holder, is_well_formed, project, waiter};

#[test]
fn the_queue_marks_your_operation_and_tells_when_it_starts() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let mine = waiter(&sandbox, "me", &["--read", "--", "true"]);
    let other = waiter(&sandbox, "bob", &["--", "true"]);
    let status = |actor: &str, args: &[&str]| {
        let args = [&["status"], args].concat();
        sandbox
            .plandex(args)
            .env("PLANDEX_ACTOR", actor)
            .finish()
            .ok()
    };
    let shown = status("me", &[]).stdout;
    let queue = &shown[shown.find("Your operation is queued.").unwrap()..];
    let rows: Vec<&str> = queue.lines().collect();
    assert_eq!(rows[2], "Queue status for plan 'work':");
    assert!(
        rows[3].starts_with("  1. [Running] ann: Command (started "),
        "{shown}"
    );
    let own = "  2. [Waiting] Your operation: Reading command (main) (waiting for ";
    assert!(rows[4].starts_with(own), "{shown}");
    assert!(
        rows[5].starts_with("  3. [Waiting] bob: Command (waiting for "),
        "{shown}"
    );
    // Nothing of the kind ever ended here.
    assert_eq!(rows[7], "Estimated start time: unknown");
    let others = status("ann", &[]).stdout;
    assert!(
        others.contains("[Running] Your operation: Command"),
        "{others}"
    );
    assert!(
        !others.contains("is queued") && !others.contains("Estimated"),
        "{others}"
    );
    let plan = sandbox.tickets()[0].plan_id.clone();
    for nth in 0..3 {
        super::raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor,
                    pid, command, queued_at, granted_at, ended_at, outcome)
                 VALUES (?1, 0, 900 + ?2, 'w', 'exec', '', 1, 'x', 0, 0, 7200000, 'released')",
                rusqlite::params![plan, nth],
            )
            .unwrap();
    }
    let shown = status("me", &[]).stdout;
    assert!(
        shown.contains("Estimated start time: ~1 hour 59 minutes"),
        "{shown}"
    );
    let document = status("me", &["--json"]).json();
    is_well_formed(&document);
    assert!((7_000..=7_200).contains(&document["estimatedStartSeconds"].as_u64().unwrap()));
    assert_eq!(document["queue"][1]["isYours"], true);
    assert_eq!(document["queue"][1]["position"], 2);
    drop((mine, other));
    held.finish().ok();
}

#[test]
fn a_run_that_was_cut_short_says_what_is_left_of_it() {
    let sandbox = project();
    super::teller(&sandbox, "thinking").kill();
    let dead = sandbox.ok(&["status"]);
    assert!(dead.stdout.contains("its process is gone"), "{dead}");
    assert!(
        dead.stdout
            .contains("interrupted (the next operation repairs it)"),
        "{dead}"
    );
    // All who show a status say the same.
    assert_eq!(
        sandbox.ok(&["status", "--json"]).json()["status"],
        "interrupted"
    );
    let plans = sandbox.ok(&["plans", "--json"]).json();
    assert_eq!(plans["plans"][0]["status"], "interrupted");
    let branches = sandbox.ok(&["branches", "--json"]).json();
    assert_eq!(branches["branches"][0]["status"], "interrupted");
    let current = sandbox.ok(&["current"]);
    assert!(current.stdout.contains("interrupted"), "{current}");
    sandbox.ok(&["exec", "--", "true"]);
    let repaired = sandbox.ok(&["status"]);
    assert!(
        repaired.stdout.contains("Last run: interrupted"),
        "{repaired}"
    );
    repaired.says("the partial reply is kept");
}

#[test]
fn the_last_run_says_what_it_could_not_do() {
    let sandbox = project();
    sandbox.write("a.txt", "a\n");
    let edit = "x\n\na.txt\n```\n<<<<<<< SEARCH\nnope\n=======\ny\n>>>>>>> REPLACE\n```\n\nb.txt\n```\nb\n```\n";
    let message = sandbox.write_beside("message", edit);
    sandbox
        .run(&["tell", "-f", message.to_str().unwrap()])
        .exits(3);
    let document = sandbox.ok(&["status", "--json"]).json();
    is_well_formed(&document);
    let last = &document["lastRun"];
    assert_eq!((&last["built"], &last["failed"]), (&1.into(), &1.into()));
    assert_eq!(last["filesLeft"], serde_json::json!(["a.txt"]));
    assert_eq!(last["errors"].as_array().unwrap().len(), 1, "{last}");
    let shown = sandbox.ok(&["status"]);
    assert!(
        shown.stdout.contains("1 of 2 files built, 1 failed"),
        "{shown}"
    );
    assert!(shown.stdout.contains("Files left: a.txt"), "{shown}");
    // Until the next run starts.
    let message = sandbox.write_beside("message", "x\n\nc.txt\n```\nc\n```\n");
    sandbox.ok(&["tell", "-f", message.to_str().unwrap()]);
    assert!(!sandbox.ok(&["status"]).stdout.contains("Files left"));
}

#[test]
fn very_many_pending_files_are_listed_if_all_are_asked_for() {
    let sandbox = project();
    let files: String = (10..60)
        .map(|number| format!("```text path=many/{number}.txt\nnumber {number}\n```\n\n"))
        .collect();
    let prompt = sandbox.write_beside("prompt", &files);
    sandbox.ok(&["tell", "-f", prompt.to_str().unwrap()]);
    let short = sandbox.ok(&["status"]).stdout;
    assert!(short.contains("Pending changes (50):"), "{short}");
    assert_eq!(short.matches("many/").count(), 20, "{short}");
    assert!(
        short.contains("\n  and 30 more: `plandex status -v` lists all\n"),
        "{short}"
    );
    let all = sandbox.ok(&["status", "-v"]).stdout;
    assert_eq!(all.matches("many/").count(), 50, "{all}");
    let document = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(document["pending"].as_array().unwrap().len(), 50);
}
