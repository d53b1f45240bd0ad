//! `rewind`: the content of an earlier version in a new one.

use super::trees;
use crate::crash_points::{TWO_FILES, check_mirrors, check_sound, project, without_tables};
use crate::support::Sandbox;

/// What the branch holds, without the tables that only grow.
fn held(sandbox: &Sandbox) -> String {
    let ls = sandbox.ok(&["ls", "--json"]).stdout;
    let convo = sandbox.ok(&["convo", "--json"]).stdout;
    let diff = sandbox.ok(&["diff", "--json"]).stdout;
    format!("{ls}\n{convo}\n{diff}")
}

#[test]
fn a_rewind_and_its_undo_come_to_where_they_say() {
    let sandbox = project();
    let shown = held(&sandbox);
    sandbox.ok(&["tell", TWO_FILES]);
    let told = held(&sandbox);
    sandbox.write("b.txt", "b\n");
    sandbox.ok(&["load", "b.txt"]);
    let loaded = held(&sandbox);
    assert!(shown != told && told != loaded);
    sandbox.ok(&["rewind"]);
    assert_eq!(held(&sandbox), told);
    trees::check(&sandbox, "rewound one step");
    sandbox.ok(&["rewind", "--undo"]);
    assert_eq!(held(&sandbox), loaded);
    trees::check(&sandbox, "undone");
    // load, tell, and the two rewinds.
    let log = sandbox.ok(&["log", "--json"]).json();
    let versions = log["versions"].as_array().unwrap();
    let told_at = versions
        .iter()
        .find(|one| one["title"].as_str().unwrap().starts_with("Tell"))
        .unwrap();
    let id = told_at["version"].as_str().unwrap();
    sandbox.ok(&["rw", &id[..8]]);
    assert_eq!(held(&sandbox), told);
    let steps = sandbox.ok(&["log", "--json"]).json()["versions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["title"].as_str().unwrap().starts_with("Load"))
        .map(|one| one["steps"].to_string());
    sandbox.ok(&["rewind", &steps.unwrap()]);
    trees::check(&sandbox, "to a line of the log");
    check_sound(&sandbox, "after rewinds");
    check_mirrors(&sandbox, "after rewinds");
    // It goes on from there.

    sandbox.ok(&["apply", "--yes"]);
    trees::check(&sandbox, "gone on");
    // The change is pending again, and its file has it already.
    sandbox.ok(&["rewind"]);
    trees::check(&sandbox, "rewound over an apply");
    assert!(held(&sandbox).contains("new/dir/b.txt"));
    sandbox.ok(&["apply", "--yes"]);
    trees::check(&sandbox, "applied again");
}

#[test]
fn what_is_not_there_is_refused_and_changes_nothing() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    let before = without_tables(&sandbox, &[]);
    for (args, words) in [
        (&["rewind", "99"][..], "has no version 99 steps back"),
        (&["rewind", "0"], "is at that version already"),
        (&["rewind", "deadbeef00"], "has no version deadbeef00"),
        (
            &["rewind", "nonsense"],
            "neither a number of steps nor a version",
        ),
        (&["rewind", "--undo"], "is no rewind"),
    ] {
        let refused = sandbox.run(args);
        assert_eq!(refused.code, Some(2), "{}", refused.text());
        assert!(refused.stderr.contains(words), "{}", refused.text());
        assert!(refused.stderr.contains("plandex log"), "{}", refused.text());
        let json = sandbox.run(&[args, &["--json"]].concat());
        assert_eq!(json.code, Some(2));
        assert_eq!(json.stdout, "");
    }
    assert_eq!(without_tables(&sandbox, &[]), before);
}

#[test]
fn the_log_says_who_and_what_and_git_shows_it() {
    let sandbox = project();
    sandbox
        .plandex(["tell", TWO_FILES])
        .env("PLANDEX_ACTOR", "ann")
        .finish()
        .ok();
    let log = sandbox.ok(&["log", "-n", "1"]).stdout;
    assert!(log.contains("  0  ") && log.contains("Tell #1"), "{log}");
    assert!(log.contains("     ann: plandex tell "), "{log}");
    assert!(log.ends_with("(tell execution)\n"), "{log}");
    assert_eq!(log.lines().count(), 2, "{log}");
    let document = sandbox.ok(&["log", "--json"]).json();
    let newest = &document["versions"][0];
    assert_eq!(newest["operation"], "tell execution");
    assert!(newest["fencingToken"].as_i64().unwrap() > 0);
    assert!(newest["ticket"].as_i64().unwrap() > 0);
    assert!(newest["author"].as_str().unwrap().starts_with("ann"));
    for (repo, branch) in crate::crash_points::heads(&sandbox) {
        let git = |args: &[&str]| crate::crash_points::git(&sandbox, &repo, args).ok().stdout;
        let head = branch.head.unwrap();
        let shown = git(&[
            "log",
            "--format=%s | %(trailers:key=Operation,valueonly)",
            &head,
        ]);
        assert!(
            shown.contains("Tell #1") && shown.contains("| tell execution"),
            "{shown}"
        );
        let shown = git(&["show", "--stat", &head]);
        assert!(
            shown.contains("conversation/0000/000001-user.md"),
            "{shown}"
        );
        let text = git(&["show", &format!("{head}:conversation/0000/000001-user.md")]);
        assert!(text.contains("Change one file and make another."), "{text}");
    }
}

#[test]
fn a_conversation_is_shown_by_ranges() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    let more = "More.\n\nc.txt\n```\n<<<<<<< SEARCH\n=======\nc\n>>>>>>> REPLACE\n```";
    sandbox.ok(&["tell", "--no-build", more]);
    let numbers = |args: &[&str]| -> Vec<i64> {
        let document = sandbox.ok(&[args, &["--json"]].concat()).json();
        let all = document["messages"].as_array().unwrap().clone();
        all.iter()
            .map(|one| one["number"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&["convo"]), [1, 2, 3, 4]);
    assert_eq!(numbers(&["convo", "3"]), [3]);
    assert_eq!(numbers(&["convo", "2-3"]), [2, 3]);
    assert_eq!(numbers(&["convo", "3-"]), [3, 4]);
    assert_eq!(
        sandbox.ok(&["convo", "-p", "3"]).stdout,
        format!("{more}\n")
    );
    for bad in ["0", "x", "5-2", "-", "9"] {
        let refused = sandbox.run(&["convo", "--", bad]);
        assert_eq!(refused.code, Some(2), "{bad}: {}", refused.text());
    }
}

#[test]
fn an_apply_is_undone_after_a_rewind_and_the_way_back() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["apply", "--yes"]);
    sandbox.ok(&["rewind", "--skip-revert"]);
    sandbox.ok(&["rewind", "--undo"]);
    sandbox.ok(&["apply", "--undo", "-y"]);
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 2, "{status}");
    trees::check(&sandbox, "undone");
}

#[test]
fn files_go_back_only_if_asked_and_only_as_they_were_written() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["apply", "--yes"]);
    let applied = sandbox.read("a.txt");
    sandbox.ok(&["rewind", "--skip-revert"]);
    assert_eq!(sandbox.read("a.txt"), applied);
    sandbox.ok(&["rewind", "--undo"]);
    // One of the two is somebody's by now.
    sandbox.write("new/dir/b.txt", "mine\n");
    let rewound = sandbox.run(&["rewind", "3", "--revert", "--json"]);
    assert_eq!(rewound.code, Some(10), "{}", rewound.text());
    let document = rewound.json();
    assert_eq!(document["reverted"], serde_json::json!(["a.txt"]));
    assert!(
        document["left"].to_string().contains("new/dir/b.txt"),
        "{document}"
    );
    assert!(sandbox.read("a.txt").starts_with("one\n"));
    assert_eq!(sandbox.read("new/dir/b.txt"), "mine\n");
    trees::check(&sandbox, "rewound with its files");
}
