use crate::plan::edits::elision::{Old, find_elided, is_elision};

#[test]
fn placeholders_are_known() {
    let lines = [
        ("a.rs", "// ... existing code ..."),
        ("a.rs", "    // ... existing code ..."),
        ("a.rs", "..."),
        ("a.rs", "    …"),
        ("a.rs", "// ..."),
        ("a.rs", "/* ... */"),
        ("a.rs", "/* ... rest of the code ... */"),
        ("a.py", "# ... rest of the file ..."),
        ("a.py", "# rest of the file"),
        ("a.py", "# Rest of the code remains unchanged"),
        ("a.py", "# ... (rest of the file remains the same)"),
        ("a.py", "# unchanged"),
        ("a.py", "# (unchanged)"),
        ("a.js", "// existing code"),
        ("a.js", "// ... other methods ..."),
        ("a.js", "// ...existing code..."),
        ("a.js", "// ... keep the existing handlers for login"),
        ("a.js", "// rest of the methods..."),
        ("a.js", "{/* ... existing props ... */}"),
        ("a.html", "<!-- ... existing content ... -->"),
        ("a.md", "<!-- rest of the document unchanged -->"),
        ("a.md", "... rest of the file ..."),
        ("a.md", "rest of the file unchanged"),
        ("a.md", "[...]"),
        ("a.md", "[rest of the file unchanged]"),
        ("a.sql", "-- ... existing code ..."),
        ("a.rs", "// same as before"),
        ("a.rs", "// code omitted for brevity"),
        ("a.rs", "// Plandex: removed code"),
    ];
    for (path, line) in lines {
        assert!(is_elision(path, line), "{path}: {line}");
    }
}

#[test]
fn ordinary_lines_are_not() {
    let lines = [
        ("a.rs", ""),
        ("a.rs", "}"),
        ("a.rs", "foo(...)"),
        ("a.rs", "let rest = ..;"),
        ("a.rs", "..Default::default()"),
        ("a.rs", ".."),
        ("a.rs", "// other methods"),
        ("a.rs", "// remaining fields"),
        ("a.rs", "// unchanged lines are copied byte for byte"),
        ("a.rs", "// Waits for the other side..."),
        ("a.rs", "// Existing users are migrated..."),
        (
            "a.rs",
            "// The rest of the queue is drained by the heartbeat thread.",
        ),
        ("a.rs", "unchanged,"),
        ("a.py", "# previous"),
        ("a.py", "return ..."),
        ("a.py", "def f(self): ..."),
        ("a.md", "## Existing code"),
        ("a.md", "* existing code"),
        ("a.md", "### Unchanged"),
        ("a.md", "Wait ..."),
        ("a.js", "...rest,"),
        ("a.js", "...existing"),
        ("a.js", "{ ...other }"),
        ("a.js", "[...rest]"),
        ("a.c", "#include <existing.h>"),
        ("a.txt", "unchanged"),
    ];
    for (path, line) in lines {
        assert!(!is_elision(path, line), "{path}: {line}");
    }
}

fn in_region(path: &str, new: &[&str], old: &[&str]) -> Option<usize> {
    find_elided(path, new, Old::Region(old), || old.to_vec())
}

fn in_file(path: &str, new: &[&str], old: &[&str]) -> Option<usize> {
    find_elided(path, new, Old::File(old), || old.to_vec())
}

#[test]
fn a_line_that_was_there_may_stay_there() {
    let old = ["a", "...", "b"];
    assert_eq!(in_region("a.md", &["x", "...", "b"], &old), None);
    assert_eq!(in_region("a.md", &["x", "...", "b", "..."], &old), Some(3));
    assert_eq!(
        in_region("a.md", &["x", "// ... existing code ..."], &old),
        Some(1)
    );
    assert_eq!(in_file("a.md", &["a", "", "...", "c"], &old), None);
    assert_eq!(in_file("a.md", &["x", "...", "b"], &old), Some(1));
    assert_eq!(in_file("a.md", &["a", "..."], &[]), Some(1));
}

#[test]
fn a_python_stub_is_a_body_only_where_nothing_else_was() {
    let stub = [
        "class P(Protocol):",
        "    def f(self) -> int:",
        "        ...",
        "",
        "x = 1",
    ];
    assert_eq!(in_file("p.py", &stub, &[]), None);
    assert_eq!(in_file("p.rs", &stub, &[]), Some(2));
    let with_body = ["    def f(self) -> int:", "        return 1"];
    assert_eq!(in_file("p.py", &stub, &with_body), Some(2));
    assert_eq!(in_region("p.py", &stub, &with_body), Some(2));
    let more_after = ["def f():", "    ...", "    return 2"];
    assert_eq!(in_file("p.py", &more_after, &[]), Some(1));
    assert_eq!(in_file("p.py", &["x = 1", "..."], &[]), Some(1));
}
