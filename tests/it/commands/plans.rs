//! `new`, `plans`, `cd`, `current`, `branches`, `checkout`.

use super::{edit, expect, greeting, pending, project, tell};
use crate::support::Sandbox;

#[test]
fn new_makes_its_project_at_the_top_of_the_git_work_tree() {
    let sandbox = Sandbox::new();
    let below = sandbox.root().join("src");
    expect(
        &sandbox.plandex(["new"]).cwd(&below).finish(),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["new", "-n", "auth"]),
        r#"$ plandex new -n auth
--- stdout
Created plan auth and made it current
--- stderr
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    expect(
        &sandbox.plandex(["plans"]).cwd(&below).finish(),
        r#"$ plandex plans
--- stdout
   #  Name   Branch  Status  Pending  Updated
   1  draft  main    draft   0        [AGE] ago
*  2  auth   main    draft   0        [AGE] ago
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["current"]),
        r#"$ plandex current
--- stdout
Plan        auth
Branch      main
Status      draft
Decided by  project
Context     0 tokens
Convo       0 tokens
Project     [ROOT]
--- exit 0
"#,
    );
    // Nothing of it shows up in the user's git.
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn new_outside_git_makes_it_where_one_stands() {
    let sandbox = Sandbox::without_git();
    let below = sandbox.root().join("deep/down");
    std::fs::create_dir_all(&below).unwrap();
    expect(
        &sandbox.plandex(["new"]).cwd(&below).finish(),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]/deep/down
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    assert!(below.join(".plandex/plandex.db").is_file());
    expect(
        &sandbox.run(&["plans"]),
        r#"$ plandex plans
--- stderr
error: no plandex project in [ROOT] or above it
hint: create one with `plandex new`
--- exit 1
"#,
    );
}

#[test]
fn plandex_dir_keeps_the_state_elsewhere_and_knows_its_project() {
    let sandbox = Sandbox::new();
    let dir = sandbox.place().join("state");
    let with_dir = |args: &[&str]| {
        let run = sandbox.plandex(args).env("PLANDEX_DIR", &dir);
        run.cwd(&sandbox.root().join("src")).finish()
    };
    expect(
        &with_dir(&["new"]),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]
Its state is kept in [PLACE]/state
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    assert!(!sandbox.state_dir().exists());
    with_dir(&["tell", &greeting("elsewhere")]).ok();
    with_dir(&["apply", "-y"]).ok();
    assert!(sandbox.read("src/lib.rs").contains("elsewhere"));
    expect(
        &with_dir(&["current"]),
        r#"$ plandex current
--- stdout
Plan        src-lib-rs
Branch      main
Status      ready
Decided by  project
Context     0 tokens
Convo       28 tokens
Project     [ROOT]
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["current"]),
        r#"$ plandex current
--- stderr
error: no plandex project in [ROOT] or above it
hint: create one with `plandex new`
--- exit 1
"#,
    );
}

#[test]
fn cd_takes_a_name_a_beginning_or_a_number() {
    let sandbox = Sandbox::new();
    for name in ["auth login", "auth logout", "billing"] {
        sandbox.ok(&["new", "--name", name]);
    }
    expect(
        &sandbox.run(&["cd", "auth login"]),
        r#"$ plandex cd 'auth login'
--- stdout
Changed to plan auth login
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "bil"]),
        r#"$ plandex cd bil
--- stdout
Changed to plan billing
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "2"]),
        r#"$ plandex cd 2
--- stdout
Changed to plan auth logout
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "auth"]),
        r#"$ plandex cd auth
--- stderr
error: "auth" fits more than one plan: auth login, auth logout
hint: give more of the name
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["cd", "9"]),
        r#"$ plandex cd 9
--- stderr
error: there is no plan "9"
hint: list them with `plandex plans`
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["plans"]),
        r#"$ plandex plans
--- stdout
   #  Name         Branch  Status  Pending  Updated
   1  auth login   main    draft   0        [AGE] ago
*  2  auth logout  main    draft   0        [AGE] ago
   3  billing      main    draft   0        [AGE] ago
--- exit 0
"#,
    );
    let current = sandbox.ok(&["cd", "bil", "--json"]).json();
    assert_eq!(current["plan"]["name"], "billing");
    let named = sandbox
        .plandex(["current", "--json"])
        .env("PLANDEX_PLAN", "auth logout")
        .finish();
    assert_eq!(named.json()["plan"]["name"], "auth logout");
    assert_eq!(named.json()["decidedBy"], "PLANDEX_PLAN");
}

#[test]
fn branches_fork_from_where_one_stands_and_keep_apart() {
    let sandbox = project();
    tell(&sandbox, &greeting("trunk")).ok();
    expect(
        &sandbox.run(&["checkout", "-b", "twig"]),
        r#"$ plandex checkout -b twig
--- stdout
Created and changed to branch twig
--- exit 0
"#,
    );
    tell(&sandbox, &edit("twig.txt", "", "twig")).ok();
    assert_eq!(pending(&sandbox), ["src/lib.rs", "twig.txt"]);
    expect(
        &sandbox.run(&["branches"]),
        r#"$ plandex branches
--- stdout
   #  Name  From  Status  Pending  Updated
   1  main        ready   1        [AGE] ago
*  2  twig  main  ready   2        [AGE] ago
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["checkout", "main"]),
        r#"$ plandex checkout main
--- stdout
Changed to branch main
--- exit 0
"#,
    );
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    expect(
        &sandbox.run(&["checkout", "-b", "twig"]),
        r#"$ plandex checkout -b twig
--- stderr
error: the plan has already a branch "twig"
hint: `plandex checkout twig`, or choose another name
--- exit 2
"#,
    );
    let on_twig = sandbox.ok(&["status", "--json", "--branch", "twig"]).json();
    assert_eq!(on_twig["pending"].as_array().unwrap().len(), 2);
}
