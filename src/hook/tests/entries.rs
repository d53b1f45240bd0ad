//! What is read of logs.

use std::path::Path;

use proptest::prelude::*;

use super::put;
use crate::hook::read::Entries;
use crate::hook::read_logs;

#[test]
fn what_is_no_entry_is_counted_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    assert_eq!(read_logs(&logs, &[]).unwrap().files, 0);
    put(
        &logs.join("session_a.jsonl"),
        b"{\"n\":1,\"timestamp\":\"2026-02\"}\n{\"n\":\n\n[1]\n\xff\n{\"n\":2,\"timestamp\":\"2026-04\"}\n{\"n",
    );
    put(
        &logs.join("session_b.jsonl"),
        b"{\"n\":3,\"timestamp\":\"2026-03\"}\n",
    );
    put(&logs.join("other.jsonl"), b"{\"n\":4}\n");
    let found = read_logs(&logs, &[]).unwrap();
    let numbers: Vec<i64> = found
        .entries
        .iter()
        .map(|one| one["n"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 3, 2]);
    let bad: Vec<usize> = found.bad_lines.iter().map(|(_, line)| *line).collect();
    assert_eq!((bad, found.files), (vec![2, 4, 5, 7], 2));
    let named = read_logs(&logs, &[logs.join("other.jsonl")]).unwrap();
    assert_eq!((named.entries.len(), named.files), (1, 1));
    assert!(read_logs(&logs, &[logs.join("none")]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_entries_or_bad_lines(bytes in prop::collection::vec(
        prop_oneof![Just(b'\n'), Just(b'{'), Just(b'}'), Just(b'"'), any::<u8>()], 0..200,
    )) {
        let mut found = Entries::default();
        found.read(bytes.as_slice(), Path::new("x")).unwrap();
        let lines = bytes.split(|byte| *byte == b'\n');
        let said = lines.filter(|line| !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(found.entries.len() + found.bad_lines.len(), said);
    }
}
