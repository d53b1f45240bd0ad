//! `new`, `plans`, `cd`, `current`, `rename`, `archive`.

use super::{audited, check_repositories, expect, names, new_file, with_plans};
use crate::support::Sandbox;

#[test]
fn the_first_prompt_names_a_plan_that_nobody_named() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new"]);
    sandbox.ok(&["new"]);
    assert_eq!(names(&sandbox, &[]), ["draft", "draft-2"]);
    let prompt = format!("Add a --json flag\n{}", new_file("a.txt"));
    let told = sandbox.ok(&["tell", &prompt]);
    assert!(
        told.stderr
            .contains("The plan is called add-a-json-flag now"),
        "{told}"
    );
    // The next one that says the same gets a name of its own; the second prompt names nothing.
    sandbox.ok(&["cd", "draft"]);
    sandbox.ok(&["tell", &prompt]);
    sandbox.ok(&["tell", "--plan", "add-a-json-flag-2", &new_file("b.txt")]);
    assert_eq!(
        names(&sandbox, &[]),
        ["add-a-json-flag-2", "add-a-json-flag"]
    );
    // A script that says its name says it again in its next line.
    sandbox.ok(&["new"]);
    sandbox.ok(&["tell", "--plan", "draft", &prompt]);
    assert!(names(&sandbox, &[]).contains(&"draft".to_owned()));
    sandbox.ok(&["tell", &prompt]);
    assert!(!names(&sandbox, &[]).contains(&"draft".to_owned()));
    // Who named it is not overruled.
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["tell", &prompt]);
    assert!(names(&sandbox, &[]).contains(&"draft".to_owned()));
    check_repositories(&sandbox);
}

#[test]
fn a_plan_is_renamed_in_its_turn_and_names_are_unique() {
    let sandbox = with_plans(&["auth", "billing"]);
    expect(
        &sandbox.run(&["rename", "payment"]),
        "$ plandex rename payment\n--- stdout\nRenamed plan billing to payment\n--- exit 0\n",
    );
    expect(
        &sandbox.run(&["rename", "auth"]),
        "$ plandex rename auth\n--- stderr\nerror: there is already a plan \"auth\"\n\
         hint: choose another name, or `plandex cd NAME`\n--- exit 2\n",
    );
    sandbox
        .run(&["rename", "  "])
        .exits(2)
        .says("name is empty");
    sandbox
        .run(&["rename", "a\nb"])
        .exits(2)
        .says("control characters");
    assert_eq!(names(&sandbox, &[]), ["auth", "payment"]);
    let log = sandbox.ok(&["log"]).stdout;
    assert!(log.contains("Rename plan to payment"), "{log}");
    let write = |reason: &str| (reason.to_owned(), "w".to_owned());
    assert_eq!(
        audited(&sandbox),
        [write("rename plan"), write("rename plan")]
    );
    let renamed = sandbox.ok(&["rename", "pay", "--json"]).json();
    assert_eq!(renamed["plan"]["name"], "pay");
    // Every branch of it says the same.
    sandbox.ok(&["checkout", "-b", "twig"]);
    sandbox.ok(&["rename", "paid"]);
    let repository = std::fs::read_dir(sandbox.state_dir().join("plans"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max()
        .unwrap();
    let git = |args: &[&str]| {
        let dir = ["--git-dir", repository.to_str().unwrap()];
        sandbox
            .program("git", [&dir, args].concat())
            .finish()
            .ok()
            .stdout
    };
    let branches = git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(branches.lines().count(), 2);
    for branch in branches.lines() {
        let about = git(&["show", &format!("{branch}:plan.json")]);
        assert!(about.contains("\"paid\""), "{branch}: {about}");
    }
}

#[test]
fn a_list_of_nothing_names_the_archived_plans() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["archive"]);
    expect(
        &sandbox.run(&["plans"]),
        "$ plandex plans\n--- stderr\nNo plans but archived ones\n\
         hint: list those with `plandex plans -a`, or create one with `plandex new`\n--- exit 0\n",
    );
    sandbox
        .run(&["unarchive", "nope"])
        .exits(2)
        .says("list them with `plandex plans -a`");
    sandbox
        .run(&["undelete", "nope"])
        .exits(2)
        .says("there is no plan \"nope\" among those that were deleted");
}

#[test]
fn an_archived_plan_is_off_the_list_and_still_there() {
    let sandbox = with_plans(&["auth", "billing", "cache"]);
    expect(
        &sandbox.run(&["archive", "2"]),
        "$ plandex archive 2\n--- stdout\nArchived plan billing\n--- stderr\n\
         hint: list archived plans with `plandex plans -a`, take it back with `plandex unarchive billing`\n\
         --- exit 0\n",
    );
    assert_eq!(names(&sandbox, &[]), ["auth", "cache"]);
    expect(
        &sandbox.run(&["plans", "-a"]),
        "$ plandex plans -a\n--- stdout\n   #  Name     Branch  Status  Pending  Updated\n   \
         1  billing  main    draft   0        [AGE] ago\n--- exit 0\n",
    );
    // Numbers are those of the list that one sees.
    sandbox.ok(&["cd", "2"]);
    assert_eq!(
        sandbox.ok(&["current", "--json"]).json()["plan"]["name"],
        "cache"
    );
    sandbox
        .run(&["cd", "3"])
        .exits(2)
        .says("there is no plan \"3\"");
    sandbox.ok(&["cd", "bil"]).says("it is archived");
    assert!(
        sandbox
            .ok(&["current"])
            .stdout
            .contains("billing (archived)")
    );
    sandbox
        .run(&["new", "-n", "billing"])
        .exits(2)
        .says("already a plan");
    let again = sandbox.ok(&["archive", "billing"]).stdout;
    assert_eq!(again, "Plan billing is archived already\n");
    assert_eq!(
        sandbox.ok(&["unarchive", "1"]).stdout,
        "Unarchived plan billing\n"
    );
    assert_eq!(
        sandbox.ok(&["unarchive"]).stdout,
        "Plan billing is not archived\n"
    );
    assert_eq!(names(&sandbox, &[]), ["auth", "billing", "cache"]);
    expect(
        &sandbox.run(&["plans", "-a"]),
        "$ plandex plans -a\n--- stderr\nNo archived plans\nhint: archive one with `plandex archive`\n\
         --- exit 0\n",
    );
    let reasons: Vec<String> = audited(&sandbox)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(reasons, ["archive plan", "unarchive plan"]);
}

#[test]
fn current_says_what_is_worked_on_and_who_decided_it() {
    let sandbox = with_plans(&["auth", "billing"]);
    sandbox.ok(&["load", "README.md"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    sandbox.ok(&["checkout", "-b", "twig"]);
    let shown = sandbox.ok(&["current"]).stdout;
    for line in [
        "Plan        billing",
        "Branch      twig",
        "Status      ready",
        "Decided by  project",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    let said = sandbox.ok(&["current", "--json"]).json();
    assert!(said["contextTokens"].as_u64().unwrap() > 0, "{said}");
    assert!(said["convoTokens"].as_u64().unwrap() > 0, "{said}");
    let decided = |run: crate::support::Run<'_>| {
        let said = run.finish().ok().json();
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        [
            &said["plan"]["name"],
            &said["decidedBy"],
            &said["plan"]["branch"],
            &said["branchDecidedBy"],
        ]
        .map(word)
    };
    let json = ["current", "--json"];
    assert_eq!(
        decided(sandbox.plandex(json)),
        ["billing", "project", "twig", "project"]
    );
    // The flag is over the environment, which is over what was chosen.
    let named = || sandbox.plandex(json).env("PLANDEX_PLAN", "auth");
    assert_eq!(
        decided(named()),
        ["auth", "PLANDEX_PLAN", "main", "default"]
    );
    assert_eq!(
        decided(named().args(["--plan", "billing"])),
        ["billing", "--plan", "twig", "project"]
    );
    assert_eq!(
        decided(sandbox.plandex(json).env("PLANDEX_BRANCH", "main")),
        ["billing", "project", "main", "PLANDEX_BRANCH"]
    );
    assert_eq!(
        decided(
            sandbox
                .plandex(json)
                .env("PLANDEX_BRANCH", "main")
                .args(["--branch", "twig"])
        ),
        ["billing", "project", "twig", "--branch"]
    );
    sandbox
        .run(&["current", "--branch", "none"])
        .exits(2)
        .says("the plan has no branch \"none\"");
    // Who changes to the plan that one is on stays on its branch.
    sandbox.ok(&["cd", "billing"]);
    assert_eq!(decided(sandbox.plandex(json))[2], "twig");
}
