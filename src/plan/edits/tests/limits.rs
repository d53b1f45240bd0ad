use super::build::{build, check_fails, replace, whole};
use crate::plan::edits::{Edit, FILE_BYTES_MAX, FILE_LINES_MAX, LineCount, Reason, build_file};

#[test]
fn files_that_are_not_text_are_only_replaced_whole() {
    for base in [&b"a\0b\n"[..], b"caf\xe9\n", b"\xff\xfea"] {
        let built = build_file("a.bin", Some(base), &[whole("x\n")]).unwrap();
        assert_eq!(built.content.unwrap(), b"x\n");
        for edit in [replace("a\n", "b\n"), replace("", "b\n")] {
            let failures = build_file("a.bin", Some(base), &[edit]).unwrap_err();
            assert_eq!(failures[0].reason, Reason::Binary);
        }
    }
    check_fails("a\n", &[whole("b\0\n")], &[(1, Reason::Binary)]);
    check_fails("a\n", &[replace("a\n", "b\0\n")], &[(1, Reason::Binary)]);
}

#[test]
fn unsafe_paths_and_huge_files_fail_before_anything_else() {
    let edits = [whole("a\n"), replace("x\n", "y\n")];
    for path in ["../a", "/a", ".git/hooks/pre-commit", "a\0"] {
        let failures = build_file(path, None, &edits).unwrap_err();
        let reasons: Vec<Reason> = failures.iter().map(|failure| failure.reason).collect();
        assert_eq!(reasons, [Reason::UnsafePath; 2], "{path}");
    }
    let large = vec![b'a'; FILE_BYTES_MAX + 1];
    let failures = build_file("a", Some(&large), &edits).unwrap_err();
    assert_eq!(failures[0].reason, Reason::TooLarge);
    let grown = build_file("a", Some(&large[..FILE_BYTES_MAX]), &[replace("", "x\n")]);
    assert_eq!(grown.unwrap_err()[0].reason, Reason::EmptySearch);
    let made = build_file("a", None, &[whole(&"a".repeat(FILE_BYTES_MAX + 1))]);
    assert_eq!(made.unwrap_err()[0].reason, Reason::TooLarge);
    let lines = vec![b'\n'; FILE_LINES_MAX + 1];
    let failures = build_file("a", Some(&lines), &edits).unwrap_err();
    assert_eq!(failures[0].reason, Reason::TooLarge);
}

#[test]
fn a_shift_cannot_make_a_file_huge() {
    let base = format!("{}deep\n", " ".repeat(1_000_000));
    let edit = replace("deep\n", &"x\n".repeat(1_000));
    let failures = build_file("a", Some(base.as_bytes()), &[edit]).unwrap_err();
    assert_eq!(failures[0].reason, Reason::TooLarge);
}

#[test]
fn a_thousand_edits_of_one_file() {
    let line = |index: usize| format!("    let value_{index} = compute({index});\n");
    let base: String = (0..20_000).map(line).collect();
    let edits: Vec<Edit> = (0..1_000)
        .map(|edit| {
            let index = edit * 19 + 7;
            replace(&line(index), &format!("{}    // {index}\n", line(index)))
        })
        .collect();
    let started = std::time::Instant::now();
    let built = build(&base, &edits).unwrap();
    assert_eq!(
        built.lines,
        LineCount {
            added: 1_000,
            removed: 0
        }
    );
    let missing: Vec<Edit> = (0..1_000)
        .map(|index| replace(&line(index + 20_000), ""))
        .collect();
    assert_eq!(build(&base, &missing).unwrap_err().len(), 1_000);
    // Seconds, where trying each edit at each line would take hours.
    assert!(started.elapsed().as_secs() < 120);
}
