//! `delete-plan`, `undelete`, `doctor --prune`.

use std::time::Duration;

use super::{audited, check_repositories, expect, names, new_file, with_plans};
use crate::support::{Background, Sandbox};

const SOON: Duration = Duration::from_secs(30);

/// A command that holds the plan until its standard input ends.
fn holder<'s>(sandbox: &'s Sandbox, plan: &str) -> Background<'s> {
    let held = sandbox
        .plandex(["exec", "--plan", plan, "--", "cat"])
        .held_stdin()
        .start();
    sandbox.until_queue("the plan is held", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    held
}

#[test]
fn a_plan_is_deleted_and_brought_back_as_it_was() {
    let sandbox = with_plans(&["auth", "billing"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    let before = sandbox.ok(&["status", "--json"]).json();
    expect(
        &sandbox.run(&["delete-plan", "billing"]),
        "$ plandex delete-plan billing\n--- stderr\n\
         error: deleting a plan needs a confirmation, and there is no terminal to ask on\n\
         hint: `plandex delete-plan -y …`; nothing was deleted\n--- exit 9\n",
    );
    expect(
        &sandbox.run(&["dp", "billing", "-y"]),
        "$ plandex dp billing -y\n--- stdout\nDeleted plan billing\n--- stderr\n\
         hint: `plandex undelete billing` brings it back, until `plandex doctor --prune`\n--- exit 0\n",
    );
    // Nobody is moved to another plan without a word.
    let next = sandbox.run(&["status"]).exits(2);
    assert!(
        next.stderr
            .contains("plan \"billing\", which the project had chosen, was deleted by pid"),
        "{next}"
    );
    assert!(next.stderr.contains("plandex undelete"), "{next}");
    let by = sandbox.ok(&["plans", "--deleted", "--json"]).json();
    let by = by["plans"][0]["deletedBy"].as_str().unwrap().to_owned();
    assert!(by.contains("plandex dp billing -y"), "{by}");
    expect(
        &sandbox.run(&["undelete", "bil"]),
        "$ plandex undelete bil\n--- stdout\nBrought back plan billing\n--- stderr\n\
         hint: choose it with `plandex cd billing`\n--- exit 0\n",
    );
    let after = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(before["pending"], after["pending"]);
    assert_eq!(names(&sandbox, &["--deleted"]), [""; 0]);
    let reasons: Vec<String> = audited(&sandbox)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(reasons, ["tell execution", "delete plan", "undelete plan"]);
    check_repositories(&sandbox);
}

#[test]
fn plans_are_meant_by_number_range_pattern_and_all_of_them() {
    let sandbox = with_plans(&["a1", "a2", "b1", "b2", "c1", "c2", "d1"]);
    let dp = |words: &[&str]| sandbox.run(&[&["delete-plan", "-y"], words].concat());
    assert_eq!(
        dp(&["2-4"]).ok().stdout,
        "Deleted plan a2\nDeleted plan b1\nDeleted plan b2\n"
    );
    assert_eq!(names(&sandbox, &[]), ["a1", "c1", "c2", "d1"]);
    assert_eq!(
        dp(&["c*", "c1", "4"]).ok().stdout,
        "Deleted plan c1\nDeleted plan c2\nDeleted plan d1\n"
    );
    dp(&["x*"]).exits(2).says("no plan fits \"x*\"");
    dp(&["1-2"]).exits(2).says("they are numbered 1 to 1");
    dp(&["0-1"]).exits(2).says("there are no plans 0-1");
    dp(&["nonsense"])
        .exits(2)
        .says("there is no plan \"nonsense\"");
    dp(&[]).exits(2);
    sandbox.run(&["dp", "--all", "a1", "-y"]).exits(2);
    sandbox.ok(&["archive", "a1"]);
    assert_eq!(
        sandbox.ok(&["dp", "--all", "-y"]).stderr,
        "No plans to delete\n"
    );
    assert_eq!(
        dp(&["a1", "--json"]).ok().json()["deleted"][0]["name"],
        "a1"
    );
    assert_eq!(names(&sandbox, &["--deleted"]).len(), 7);
}

/// A name is free as soon as its plan is deleted, and two deleted plans may have the same.
#[test]
fn a_name_is_given_back() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["dp", "auth", "-y"]);
    sandbox.ok(&["new", "-n", "auth"]);
    sandbox
        .run(&["undelete", "auth"])
        .exits(2)
        .says("already a plan \"auth\"");
    sandbox.ok(&["undelete", "auth", "-n", "auth-2"]);
    assert_eq!(names(&sandbox, &[]), ["auth-2", "auth"]);
    sandbox.ok(&["dp", "auth*", "-y"]);
    sandbox.ok(&["new", "-n", "auth"]);
    sandbox.ok(&["dp", "auth", "-y"]);
    sandbox
        .run(&["undelete", "auth"])
        .exits(2)
        .says("fits more than one plan");
    sandbox.ok(&["undelete", "2"]);
    assert_eq!(names(&sandbox, &[]), ["auth"]);
    sandbox
        .run(&["undelete", "9"])
        .exits(2)
        .says("there is no plan \"9\"");
}

/// What runs ends first; who waits behind the deletion is told who did it.
#[test]
fn a_deletion_waits_its_turn_and_who_waited_for_the_plan_is_told() {
    let sandbox = with_plans(&["auth"]);
    let mut held = holder(&sandbox, "auth");
    let deletion = sandbox
        .plandex(["dp", "auth", "-y", "--wait", "forever"])
        .env("PLANDEX_ACTOR", "ann")
        .start();
    sandbox.until_queue("the deletion waits", |line| line.len() == 2);
    let rename = sandbox.start(&["rename", "other", "--wait", "forever"]);
    sandbox.until_queue("the renaming waits", |line| line.len() == 3);
    assert_eq!(names(&sandbox, &[]), ["auth"]);
    held.close_stdin();
    held.finish().ok();
    deletion.finish().ok();
    let told = rename.finish().exits(1);
    assert!(
        told.stderr
            .contains("plan \"auth\" was deleted by ann (pid"),
        "{told}"
    );
    assert!(told.stderr.contains("nothing was changed"), "{told}");
    assert_eq!(names(&sandbox, &["--deleted"]), ["auth"]);
}

/// A plan that is busy is left, the others are deleted, and the exit code says so.
#[test]
fn the_busy_ones_stay_and_the_others_go() {
    let sandbox = with_plans(&["a", "b", "c"]);
    let mut held = holder(&sandbox, "b");
    let outcome = sandbox.run(&["dp", "--all", "-y", "--no-wait"]).exits(75);
    assert_eq!(outcome.stdout, "Deleted plan a\nDeleted plan c\n");
    assert!(outcome.stderr.contains("deleting plan b"), "{outcome}");
    assert_eq!(names(&sandbox, &[]), ["b"]);
    held.close_stdin();
    held.wait(SOON);
}

#[test]
fn pruning_is_for_good_and_asks() {
    let sandbox = with_plans(&["auth", "billing"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    sandbox.ok(&["dp", "billing", "-y"]);
    let repositories = || {
        std::fs::read_dir(sandbox.state_dir().join("plans"))
            .unwrap()
            .count()
    };
    assert_eq!(repositories(), 2);
    sandbox
        .run(&["doctor", "--prune"])
        .exits(9)
        .says("nothing was removed");
    assert_eq!(repositories(), 2);
    expect(
        &sandbox.run(&["doctor", "--prune", "-y"]),
        "$ plandex doctor --prune -y\n--- stdout\nRemoved plan billing for good\n--- exit 0\n",
    );
    assert_eq!(repositories(), 1);
    sandbox
        .run(&["undelete", "billing"])
        .exits(2)
        .says("there is no plan");
    // What was held and by whom stays in the audit; of the plan nothing does.
    let dump = sandbox.dump();
    let rest = dump
        .lines()
        .filter(|line| !line.starts_with("repo_locks_audit"));
    let rest: String = rest.collect();
    assert!(
        !rest.contains("billing") && !rest.contains("a.txt"),
        "{dump}"
    );
    sandbox.ok(&["doctor", "--prune"]).says("No deleted plans");
    sandbox
        .run(&["status"])
        .exits(2)
        .says("no plan is selected");
    sandbox.run(&["doctor", "-y"]).exits(2);
    sandbox.run(&["doctor", "--prune", "--fix"]).exits(2);
}

#[test]
fn on_a_terminal_it_is_asked_first() {
    let sandbox = with_plans(&["auth", "billing"]);
    let mut terminal = sandbox.plandex(["dp", "*"]).on_terminal(100);
    terminal.until_shows("Delete 2 plans? [y/N]");
    let screen = terminal.screen().text();
    assert!(screen.contains("  auth\n  billing"), "{screen}");
    terminal.type_in("n\n");
    terminal.wait(SOON).exits(9);
    assert_eq!(names(&sandbox, &[]).len(), 2);
    let mut terminal = sandbox.plandex(["dp", "auth"]).on_terminal(100);
    terminal.until_shows("Delete plan auth? [y/N]");
    terminal.type_in("y\n");
    terminal.wait(SOON).ok();
    assert_eq!(names(&sandbox, &[]), ["billing"]);
}
