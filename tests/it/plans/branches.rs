//! `branches`, `checkout`, `delete-branch`.

use std::time::Duration;

use super::{audited, expect, new_file, with_plans};
use crate::support::Sandbox;

const SOON: Duration = Duration::from_secs(30);

fn current(sandbox: &Sandbox) -> String {
    let branch = sandbox.ok(&["current", "--json"]).json()["plan"]["branch"].clone();
    branch.as_str().unwrap().to_owned()
}

#[test]
fn a_branch_is_made_where_one_stands_and_only_if_it_is_meant() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    expect(
        &sandbox.run(&["checkout", "twig"]),
        "$ plandex checkout twig\n--- stderr\nerror: the plan has no branch \"twig\"\n\
         hint: list them with `plandex branches`\n--- exit 2\n",
    );
    let made = sandbox.ok(&["co", "-y", "twig"]);
    assert_eq!(made.stdout, "Created and changed to branch twig\n");
    assert_eq!(
        sandbox.ok(&["co", "-y", "twig"]).stdout,
        "Changed to branch twig\n"
    );
    sandbox.ok(&["tell", &new_file("b.txt")]);
    sandbox.ok(&["co", "-b", "leaf"]);
    expect(
        &sandbox.run(&["branches"]),
        "$ plandex branches\n--- stdout\n   #  Name  From  Status  Pending  Updated\n   \
         1  main        ready   1        [AGE] ago\n   2  twig  main  ready   2        [AGE] ago\n\
         *  3  leaf  twig  ready   2        [AGE] ago\n--- exit 0\n",
    );
    assert_eq!(sandbox.ok(&["co", "1"]).stdout, "Changed to branch main\n");
    let listed = sandbox.ok(&["branches", "--json"]).json();
    assert_eq!(listed["branches"][2]["parent"], "twig");
    assert_eq!(listed["branches"][0]["isCurrent"], true);
    sandbox
        .run(&["co", "-b", "twig"])
        .exits(2)
        .says("already a branch");
    sandbox
        .run(&["co", " "])
        .exits(2)
        .says("branch's name is empty");
    sandbox.run(&["co", "-y", "9"]).ok();
    assert_eq!(current(&sandbox), "9");
    let reasons: Vec<String> = audited(&sandbox)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    let branch = "create branch";
    assert_eq!(
        reasons,
        ["tell execution", branch, "tell execution", branch, branch]
    );
}

#[test]
fn a_branch_is_deleted_but_for_main() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["co", "-b", "twig"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    sandbox
        .run(&["dlb", "twig"])
        .exits(9)
        .says("nothing was deleted");
    sandbox
        .run(&["dlb", "main", "-y"])
        .exits(2)
        .says("\"main\" cannot be deleted");
    sandbox
        .run(&["dlb", "none", "-y"])
        .exits(2)
        .says("no branch \"none\"");
    expect(
        &sandbox.run(&["delete-branch", "2", "-y"]),
        "$ plandex delete-branch 2 -y\n--- stdout\nDeleted branch twig\nChanged to branch main\n\
         --- exit 0\n",
    );
    assert_eq!(current(&sandbox), "main");
    // Its name is free, and what it held is not on the new one.
    sandbox.ok(&["co", "-b", "twig"]);
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!(
        audited(&sandbox)[2],
        ("delete branch".to_owned(), "w".to_owned())
    );
    let deleted = sandbox.ok(&["dlb", "twig", "-y", "--json"]).json();
    assert_eq!(deleted["deleted"], "twig");
    sandbox.ok(&["doctor"]);
}

/// Another terminal that is on the branch is told, and gets away from it.
#[test]
fn who_is_on_a_deleted_branch_is_told() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["co", "-b", "twig"]);
    sandbox.ok(&["dlb", "twig", "-y", "--branch", "main"]);
    let told = sandbox.run(&["status"]).exits(2);
    assert!(
        told.stderr
            .contains("branch \"twig\", which the project had chosen, is no branch of plan"),
        "{told}"
    );
    sandbox.ok(&["co", "main"]);
    sandbox.ok(&["status"]);
}

#[test]
fn on_a_terminal_it_is_asked_whether_a_branch_is_to_be_made() {
    let sandbox = with_plans(&["auth"]);
    let mut terminal = sandbox.plandex(["co", "twig"]).on_terminal(100);
    terminal.until_shows("There is no branch \"twig\". Make it from \"main\"? [Y/n]");
    terminal.type_in("n\n");
    terminal.wait(SOON).exits(9);
    let mut terminal = sandbox.plandex(["co", "twig"]).on_terminal(100);
    terminal.until_shows("[Y/n]");
    terminal.type_in("y\n");
    terminal.wait(SOON).ok();
    let mut terminal = sandbox.plandex(["dlb", "twig"]).on_terminal(100);
    terminal.until_shows("Delete branch twig of plan auth? [y/N]");
    terminal.type_in("y\n");
    terminal.wait(SOON).ok();
    assert_eq!(
        sandbox.ok(&["branches", "--json"]).json()["branches"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
