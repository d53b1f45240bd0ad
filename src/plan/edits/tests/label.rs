use proptest::prelude::*;

use crate::plan::edits::elision::is_elision;
use crate::plan::edits::label::{
    extension, from_info, from_line, from_line_surely, language, mentioned,
};

#[test]
fn info_strings() {
    for (info, expect) in [
        ("rust:src/a.rs", Some("src/a.rs")),
        ("src/a.rs", Some("src/a.rs")),
        ("./src/a.rs", Some("src/a.rs")),
        ("c++:a.cpp", Some("a.cpp")),
        ("make:Makefile", Some("Makefile")),
        (".env", Some(".env")),
        ("rust path=src/a.rs", Some("src/a.rs")),
        ("rust file='src/a b.rs' x=1", Some("src/a b.rs")),
        ("rust title=\"src/a.rs\"", Some("src/a.rs")),
        ("rust filename=a.rs,linenos", Some("a.rs")),
        ("{.rust path=src/a.rs}", Some("src/a.rs")),
        ("rust:src/a.rs title=Example", Some("src/a.rs")),
        ("python:../../etc/passwd.txt", Some("../../etc/passwd.txt")),
        ("", None),
        ("rust", None),
        ("rust,ignore", None),
        ("c++", None),
        ("vb.net", None),
        ("Makefile", None),
        ("src/Makefile", Some("src/Makefile")),
        ("application/json", None),
        ("{.python}", None),
        ("12:15:src/a.rs", None),
        ("rust:src/a.rs:10-20", None),
        ("rust src/a.rs", None),
        ("rust title=\"How it works\"", None),
        ("text mypath=src/a.rs", None),
        ("http://example.com/a.rs", None),
        ("rust:src/", None),
    ] {
        assert_eq!(from_info(info).as_deref(), expect, "{info}");
    }
}

#[test]
fn lines_that_are_paths() {
    // The path that a block would take, and whether a whole file would.
    for (line, expect, is_sure) in [
        ("src/a.rs", Some("src/a.rs"), true),
        ("  src/a.rs  ", Some("src/a.rs"), true),
        ("`src/a.rs`:", Some("src/a.rs"), true),
        ("**src/a.rs**", Some("src/a.rs"), true),
        ("*src/a.rs*", Some("src/a.rs"), true),
        ("### **`src/a.rs`**", Some("src/a.rs"), true),
        ("- `src/a.rs`:", Some("src/a.rs"), true),
        ("- src/a.rs:", Some("src/a.rs"), true),
        ("- src/a.rs", Some("src/a.rs"), false),
        ("2) src/a.rs", Some("src/a.rs"), false),
        ("File: src/a b.rs", Some("src/a b.rs"), true),
        ("file path: `x`", Some("x"), true),
        ("**Path**: bin/run", Some("bin/run"), true),
        ("`my dir/a b.rs`", Some("my dir/a b.rs"), true),
        ("__init__.py", Some("__init__.py"), true),
        ("# a.py", Some("a.py"), true),
        (".gitignore", Some(".gitignore"), true),
        ("Makefile:", Some("Makefile"), true),
        ("../x.rs", Some("../x.rs"), true),
        ("C:\\x\\a.rs", Some("C:\\x\\a.rs"), true),
        ("bin/run", Some("bin/run"), false),
        ("Input/Output:", Some("Input/Output"), false),
        ("os.path", Some("os.path"), false),
        ("", None, false),
        ("Example:", None, false),
        ("**Note:**", None, false),
        ("## Summary", None, false),
        ("Edit src/a.rs:", None, false),
        ("In `src/a.rs`:", None, false),
        ("my file.rs", None, false),
        ("Done.", None, false),
        ("etc...", None, false),
        ("v1.2", None, false),
        ("3.14", None, false),
        ("src/", None, false),
        ("https://example.com/a.rs", None, false),
        ("foo(bar.rs);", None, false),
        ("x = a.b", None, false),
        ("}", None, false),
        ("```", None, false),
        ("*.rs", None, false),
    ] {
        assert_eq!(from_line(line).as_deref(), expect, "{line}");
        let sure = from_line_surely(line);
        assert_eq!(sure.as_deref(), expect.filter(|_| is_sure), "{line}");
    }
}

#[test]
fn sentences_that_speak_of_files() {
    for (line, expect) in [
        ("In `src/b.rs`, change:", &["src/b.rs"][..]),
        ("Now (see src/a.rs and ./x/.env):", &["src/a.rs", "x/.env"]),
        ("Like `b.rs`.", &["b.rs"]),
        ("Like b.rs.", &[]),
        ("and/or, TCP/IP, `x`, `f()`, https://example.com/a.rs", &[]),
    ] {
        assert_eq!(mentioned(line), expect, "{line}");
    }
}

#[test]
fn long_lines_are_no_work() {
    let line = format!("src/a.rs{}", ":".repeat(10_000_000));
    assert_eq!(from_line(&line), None);
}

#[test]
fn languages_and_extensions() {
    assert_eq!(language("Rust:src/a.rs"), "rust");
    assert_eq!(language("diff title=x"), "diff");
    assert_eq!(language("sh{.x}"), "sh");
    assert_eq!(language(""), "");
    assert_eq!(extension("a/b.tar.gz"), "gz");
    assert_eq!(extension("a.b/c"), "");
    assert_eq!(extension(".env"), "");
}

proptest! {
    #[test]
    fn any_line_can_be_asked(line in "([-#*`:./<>{}\\[\\]()\"'= ]|…|é|a|rest|\\PC){0,24}") {
        let sure = from_line_surely(&line);
        prop_assert!(sure.is_none() || sure == from_line(&line));
        for path in mentioned(&line).into_iter().chain(from_info(&line)) {
            prop_assert!(!path.is_empty() && !path.ends_with('/'), "{}", path);
        }
        for path in ["a.rs", "a.md", "a.py"] {
            prop_assert_eq!(is_elision(path, &line), is_elision(path, &format!("  {line} ")));
        }
    }
}
