//! `diff` in its manners.

use std::time::Duration;

use super::{edit, tell, two_plans};
use crate::support::Sandbox;

#[test]
fn what_is_printed_for_a_program_is_so_to_the_byte() {
    let sandbox = Sandbox::new();
    // An escape sequence and a lone CR are content like any other.
    sandbox.write("odd", b"\x1b[31mred\rx\n\xff\xfe\nlast");
    sandbox.write("utf8.txt", "1\n\x1b[31m\n");
    sandbox.ok(&["new", "-n", "p"]);
    tell(
        &sandbox,
        "p",
        &[
            edit("utf8.txt", "1", "2\rx"),
            edit("`new file.txt`", "", "\u{202e}x"),
        ],
    );
    let script = r#""$P" diff --plain > ../tmp/patch && git apply --check ../tmp/patch && git apply ../tmp/patch"#;
    let run = sandbox.program("sh", ["-c", script]);
    run.env("P", env!("CARGO_BIN_EXE_plandex")).finish().ok();
    let by_git = (sandbox.read("utf8.txt"), sandbox.read("new file.txt"));
    sandbox.git(&["checkout", "--", "README.md"]);
    sandbox.write("utf8.txt", "1\n\x1b[31m\n");
    std::fs::remove_file(sandbox.root().join("new file.txt")).unwrap();
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(
        (sandbox.read("utf8.txt"), sandbox.read("new file.txt")),
        by_git
    );
}

#[test]
fn files_are_chosen_from_where_one_stands() {
    let sandbox = two_plans();
    let names = |args: &[&str], dir: &str| {
        let run = sandbox.plandex(args).cwd(&sandbox.root().join(dir));
        let document = run.finish().ok().json();
        let files = document["files"].as_array().unwrap().clone();
        let path = |file: &serde_json::Value| file["path"].as_str().unwrap().to_owned();
        files.iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(names(&["diff", "--json"], "."), ["src/lib.rs", "two.txt"]);
    assert_eq!(names(&["diff", "--json", "src"], "."), ["src/lib.rs"]);
    assert_eq!(names(&["diff", "--json", "."], "src"), ["src/lib.rs"]);
    assert_eq!(names(&["diff", "--json", "../two.txt"], "src"), ["two.txt"]);
    let none = sandbox.run(&["diff", "one.txt"]).exits(2);
    let words = "\"one.txt\" is no pending file; pending: src/lib.rs, two.txt";
    assert!(none.stderr.contains(words), "{none}");
    // Patterns, and whole paths from anywhere.
    assert_eq!(names(&["diff", "--json", "**/*.rs"], "."), ["src/lib.rs"]);
    assert_eq!(names(&["diff", "--json", "*.rs"], "src"), ["src/lib.rs"]);
    let whole = sandbox.root().join("two.txt");
    let whole = whole.to_str().unwrap();
    assert_eq!(names(&["diff", "--json", whole], "src"), ["two.txt"]);
    sandbox.ok(&["reject", "-y", "*.txt"]);
    assert_eq!(names(&["diff", "--json"], "."), ["src/lib.rs"]);
}

#[test]
fn the_exit_code_says_whether_there_are_changes() {
    let sandbox = two_plans();
    sandbox.run(&["diff", "--exit-code", "--stat"]).exits(1);
    sandbox.run(&["diff", "--stat"]).exits(0);
    sandbox.ok(&["reject", "-a", "-y"]);
    sandbox.run(&["diff", "--exit-code", "--snapshot"]).exits(0);
}

#[test]
fn a_summary_and_two_sides() {
    let sandbox = two_plans();
    let stat = sandbox.ok(&["diff", "--stat"]).stdout;
    assert_eq!(
        stat,
        " src/lib.rs |   2 +-\n two.txt    |   1 +\n \
         2 files changed, 2 insertions(+), 1 deletion(-)\n"
    );
    let side = sandbox.ok(&["diff", "-s", "src/lib.rs"]).stdout;
    let row = side.lines().find(|line| line.contains("hello")).unwrap();
    assert!(
        row.contains("2     \"hello\"") && row.contains("|     2     \"second\""),
        "{side}"
    );
    sandbox.run(&["diff", "--side", "--stat"]).exits(2);
}

#[test]
fn on_a_terminal_a_pager_shows_it() {
    let sandbox = two_plans();
    let shown = |pager: &str, args: &[&str]| {
        let mut all = vec!["diff"];
        all.extend(args);
        let run = sandbox.plandex(all).env("PLANDEX_PAGER", pager);
        let mut terminal = run.on_terminal(80);
        terminal.wait(Duration::from_secs(30)).ok();
        terminal.raw()
    };
    assert!(shown("sed s/second/PAGED/", &[]).contains("PAGED"));
    assert!(!shown("sed s/second/PAGED/", &["--no-pager"]).contains("PAGED"));
    assert!(!shown("sed s/second/PAGED/", &["--plain"]).contains("PAGED"));
    // One that is left at once has shown what was wanted; one that is not there shows nothing.
    assert!(!shown("true", &[]).contains("second"));
    assert!(shown("no-such-pager", &[]).contains("second"));
}
