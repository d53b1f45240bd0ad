//! `locks --timeline`: the audit as a picture, written whole, and never through a link.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use roxmltree::{Document, ParsingOptions};

use super::{SOON, holder, is_well_formed, project, raw, waiter};
use crate::support::Sandbox;
use rustix::process::Signal;

fn place(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.place().join("tmp").join(name)
}

fn draw(sandbox: &Sandbox, file: &Path, flags: &[&str]) -> crate::support::Outcome {
    let args = [&["locks", "--timeline", file.to_str().unwrap()], flags].concat();
    sandbox.run(&args)
}

fn classes(text: &str, class: &str) -> usize {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).unwrap();
    let has = |classes: &str| classes.split(' ').any(|one| one == class);
    let all = document.descendants();
    all.filter(|node| node.attribute("class").is_some_and(has))
        .count()
}

fn audit_rows(sandbox: &Sandbox) -> usize {
    let count: i64 = raw(sandbox)
        .query_row("SELECT count(*) FROM repo_locks_audit", [], |row| {
            row.get(0)
        })
        .unwrap();
    usize::try_from(count).unwrap()
}

#[test]
fn every_operation_has_its_bar() {
    let sandbox = project();
    for _ in 0..3 {
        sandbox.ok(&["exec", "--", "true"]);
    }
    let mut dead = holder(&sandbox, "ann");
    dead.signal(Signal::KILL);
    dead.wait(SOON);
    let held = holder(&sandbox, "<b>&'\"");
    sandbox
        .run(&["exec", "--wait", "50ms", "--", "true"])
        .exits(75);
    let hostile = [
        "--",
        "sh",
        "-c",
        "# </title><script>alert('x')</script> \u{1b}[2J",
    ];
    let waits = waiter(&sandbox, "bob", &hostile);
    for name in ["queue.svg", "queue.html"] {
        let file = place(&sandbox, name);
        let outcome = draw(&sandbox, &file, &["--json"]).ok();
        let document = outcome.json();
        is_well_formed(&document);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(classes(&text, "bar"), audit_rows(&sandbox), "{name}");
        assert_eq!(classes(&text, "waiting"), 1, "{name}");
        assert_eq!(document["operations"], audit_rows(&sandbox) + 1);
        for (class, count) in [("released", 3), ("owner-died", 1), ("holds", 1)] {
            assert_eq!(classes(&text, class), count, "{class} in {name}");
        }
        assert!(
            !text.contains("<script") && !text.contains('\x1b'),
            "{name}"
        );
        assert!(text.contains("&lt;script&gt;"), "{name}");
        assert!(
            !std::fs::read_dir(file.parent().unwrap())
                .unwrap()
                .any(|entry| {
                    entry
                        .unwrap()
                        .file_name()
                        .to_string_lossy()
                        .ends_with(".tmp")
                })
        );
    }
    drop(waits);
    held.finish().ok();
}

#[test]
fn only_an_earlier_picture_is_replaced() {
    let sandbox = project();
    sandbox.ok(&["exec", "--", "true"]);
    let file = place(&sandbox, "queue.svg");
    draw(&sandbox, &file, &[]).ok();
    sandbox.ok(&["exec", "--", "true"]);
    draw(&sandbox, &file, &[]).ok();
    assert_eq!(classes(&std::fs::read_to_string(&file).unwrap(), "bar"), 2);
    std::fs::write(&file, "mine").unwrap();
    draw(&sandbox, &file, &[])
        .exits(2)
        .says("no earlier picture");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    draw(&sandbox, &file, &["--force"]).ok();
    assert_eq!(classes(&std::fs::read_to_string(&file).unwrap(), "bar"), 2);
    // A link: what it names is never written, not even by force, and not if it is a picture.
    let target = place(&sandbox, "target.svg");
    std::fs::copy(&file, &target).unwrap();
    let before = std::fs::read(&target).unwrap();
    let link = place(&sandbox, "link.svg");
    symlink(&target, &link).unwrap();
    draw(&sandbox, &link, &[])
        .exits(2)
        .says("no earlier picture");
    sandbox.ok(&["exec", "--", "true"]);
    draw(&sandbox, &link, &["--force"]).ok();
    assert_eq!(std::fs::read(&target).unwrap(), before);
    assert!(!std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(classes(&std::fs::read_to_string(&link).unwrap(), "bar"), 3);
    // What cannot be written is an error that names it, and leaves nothing.
    let missing = place(&sandbox, "nowhere/queue.svg");
    let refused = draw(&sandbox, &missing, &[]).exits(2);
    refused.says("nowhere is no directory");
    let dir = place(&sandbox, "dir.svg");
    std::fs::create_dir(&dir).unwrap();
    draw(&sandbox, &dir, &[]).exits(2);
    draw(&sandbox, &dir, &["--force"]).exits(1);
}

/// The database under another name is not even opened: that would drop SQLite's locks.
#[test]
fn the_database_is_no_picture() {
    let sandbox = project();
    let alias = place(&sandbox, "alias.svg");
    std::fs::hard_link(sandbox.state_dir().join("plandex.db"), &alias).unwrap();
    draw(&sandbox, &alias, &[])
        .exits(2)
        .says("no earlier picture");
    sandbox.ok(&["exec", "--", "true"]);
}

#[test]
fn the_window_is_what_since_says() {
    let sandbox = project();
    sandbox.ok(&["exec", "--", "true"]);
    raw(&sandbox)
        .execute(
            "UPDATE repo_locks_audit SET created_at = created_at - 7200000, queued_at = queued_at -
             7200000, granted_at = granted_at - 7200000, ended_at = ended_at - 7200000",
            [],
        )
        .unwrap();
    sandbox.ok(&["exec", "--", "true"]);
    let file = place(&sandbox, "queue.svg");
    for (since, bars) in [("1h", 1), ("3h", 2), ("forever", 2)] {
        draw(&sandbox, &file, &["--since", since]).ok();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(classes(&text, "bar"), bars, "{since}");
    }
}
