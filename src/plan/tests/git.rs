//! What is pending as a patch: git makes of it what the plan says.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::model::Files;
use super::*;

/// The project's files after `git apply` of what is pending, each with whether it is a program.
pub(super) fn applied(bench: &Bench) -> Files {
    let copy = tempfile::tempdir().unwrap();
    let mut files = Files::new();
    let mut cp = Command::new("cp");
    cp.args(["-a", "."])
        .arg(copy.path())
        .current_dir(&bench.root);
    assert!(cp.status().unwrap().success());
    std::fs::remove_dir_all(copy.path().join(".plandex")).unwrap();
    let patch = bench.patch();
    if !patch.is_empty() {
        let mut git = Command::new("git")
            .args(["apply", "--whitespace=nowarn", "-"])
            .current_dir(copy.path())
            .env("GIT_CEILING_DIRECTORIES", copy.path().parent().unwrap())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        git.stdin.take().unwrap().write_all(&patch).unwrap();
        let output = git.wait_with_output().unwrap();
        let (words, patch) = (
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&patch),
        );
        assert!(output.status.success(), "{words}\n{patch}");
    }
    gather(copy.path(), copy.path(), &mut files);
    files
}

fn gather(root: &Path, dir: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, files);
            continue;
        }
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let content = std::fs::read(&path).unwrap();
        // What is no text is compared by what it would be in Latin-1.
        let text = String::from_utf8(content);
        let text =
            text.unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
        files.insert(name, (text, is_program(&path)));
    }
}

#[test]
fn names_contents_and_kinds_of_any_sort() {
    let bench = Bench::new(&[
        ("-rf", "dash\n"),
        ("a b/c d", "space\n"),
        ("ünï/文件", "old\n"),
        ("no end", "1\n2"),
        ("crlf", "1\r\n2\r\n"),
        ("gone", "x\ny\n"),
        ("empty gone", ""),
        ("tool", "#!/bin/sh\n"),
        ("moved", "1\n2\n3\n4\n5\n"),
        ("x'y$(z)`", "quote\n"),
    ]);
    let latin = b"caf\xe9\nx\n".as_slice();
    #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
    {
        std::fs::write(bench.path("latin"), latin).unwrap();
        std::fs::write(bench.path("picture"), [0, 1, 2, 255, 0].repeat(300)).unwrap();
        std::fs::write(bench.path("picture 2"), [0, 7]).unwrap();
    }
    let turned = bench.turn(vec![
        whole("-rf", 1, "dash!\n"),
        whole("a b/c d", 2, "space!\n"),
        whole("ünï/文件", 3, "new"),
        replace("no end", 4, "2\n", "2\n3\n"),
        whole("crlf", 5, "1\n3\n"),
        delete("gone", 6),
        delete("empty gone", 7),
        mode("tool", 8, true),
        rename("moved", 9, "to/there now"),
        replace("moved", 10, "3\n", "three\n"),
        mode("moved", 11, true),
        whole("x'y$(z)`", 12, "quoted\n"),
        whole("empty new", 13, ""),
        whole("new tool", 14, "#!/bin/sh\n"),
        mode("new tool", 15, true),
        rename("latin", 16, "latin 1"),
        rename("picture", 17, "p/picture"),
        delete("picture 2", 18),
        whole("--- a/x", 19, "-- \n++ \n@@ -1 +1 @@\n"),
    ]);
    assert_eq!(turned.failed, []);
    let after = applied(&bench);
    let text = |path: &str| after[path].0.as_str();
    assert_eq!(text("-rf"), "dash!\n");
    assert_eq!(text("no end"), "1\n2\n3");
    assert_eq!(text("crlf"), "1\r\n3\r\n");
    assert_eq!(text("ünï/文件"), "new\n");
    assert!(after["tool"].1);
    assert!(after["new tool"].1);
    assert_eq!(
        after["to/there now"],
        ("1\n2\nthree\n4\n5\n".to_owned(), true)
    );
    assert_eq!(text("empty new"), "");
    assert_eq!(text("latin 1"), "caf\u{e9}\nx\n");
    assert_eq!(text("p/picture").chars().count(), 1500);
    assert_eq!(text("--- a/x"), "-- \n++ \n@@ -1 +1 @@\n");
    for gone in [
        "gone",
        "empty gone",
        "moved",
        "latin",
        "picture",
        "picture 2",
    ] {
        assert!(!after.contains_key(gone), "{gone}");
    }
}

#[test]
fn what_is_no_text_is_changed_to_the_byte() {
    let bench = Bench::new(&[("a", "text\n"), ("b", "text\n")]);
    bench.turn(vec![rename("a", 1, "b")]);
    // The file that goes is no text by now: it goes all the same.
    let noise: Vec<u8> = (0..70_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
    std::fs::write(bench.path("b"), &noise).unwrap();
    let after = applied(&bench);
    assert_eq!(after.get("b"), Some(&("text\n".to_owned(), false)));
    assert!(!after.contains_key("a"));
}

#[test]
fn both_names_of_a_moved_file_are_rejected_together() {
    let bench = Bench::new(&[("a", "A\n"), ("b", "B\n"), ("c", "C\n")]);
    bench.turn(vec![
        rename("a", 1, "b"),
        rename("b", 2, "d"),
        whole("c", 3, "c\n"),
    ]);
    assert_eq!(bench.reject("c"), ["c"]);
    assert_eq!(bench.reject("d"), ["a", "b", "d"]);
    assert_eq!(bench.contents(), texts([]));
    assert_eq!(bench.version_files("pending"), [""; 0]);
}
