//! The room from outside: what is written, what is read, what becomes of settings.

mod entries;
mod file_locking;
mod places;
mod settings;

/// The lines of a log, each of which must be JSON.
fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Puts a file anywhere.
#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: &std::path::Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
