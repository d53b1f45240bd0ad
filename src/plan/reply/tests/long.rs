//! What long replies cost: as much for each byte as short ones do.

use std::fmt::Write as _;

use super::super::*;
use crate::plan::edits::steps::steps_of;

/// The steps of reading a reply that comes in pieces as from a network; and how many edits it has.
fn cost(reply: &str) -> (usize, usize) {
    let mut edits = 0;
    let steps = steps_of(|| {
        let mut parser = ReplyParser::new();
        let mut take = |events: Vec<ReplyEvent>| {
            for event in events {
                assert!(!matches!(event, ReplyEvent::Malformed(_)), "{event:?}");
                edits += usize::from(matches!(event, ReplyEvent::Edit(_)));
            }
        };
        for piece in reply.as_bytes().chunks(700) {
            take(parser.push(std::str::from_utf8(piece).unwrap()));
        }
        take(parser.finish(Ending::Complete));
    });
    (steps, edits)
}

fn rows(sign: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut rows, row| {
        writeln!(rows, "{sign}let row_{row} = of_the_file({row});").unwrap();
        rows
    })
}

/// Many blocks of each format, `kilobytes` together.
fn many_blocks(kilobytes: usize) -> String {
    let mut reply = String::new();
    for file in 0.. {
        if reply.len() > kilobytes * 1_000 {
            break;
        }
        let (old, new) = (rows("-", 4), rows("+", 5));
        let (search, replace, whole) = (rows("", 4), rows("", 5), rows("", 20));
        write!(
            reply,
            "Some prose.\n\nsrc/a{file}.rs\n```rust\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n```\n\n\
             ```rust:src/b{file}.rs\n{whole}```\n\n\
             ```diff\n--- a/src/c{file}.rs\n+++ b/src/c{file}.rs\n@@ -1,4 +1,5 @@\n{old}{new}```\n\n\
             *** Begin Patch\n*** Update File: src/d{file}.rs\n@@\n{old}{new}*** End Patch\n\n\
             ```rust\n// only to be read\n{whole}```\n\n"
        )
        .unwrap();
    }
    reply
}

/// One block of `kilobytes` in each format.
fn long_blocks(kilobytes: usize) -> [String; 6] {
    let count = kilobytes * 1_000 / 36;
    let (old, new) = (rows("-", count / 2), rows("+", count / 2));
    let (search, whole) = (rows("", count / 2), rows("", count));
    [
        format!("a.rs\n```\n<<<<<<< SEARCH\n{search}=======\n{search}x\n>>>>>>> REPLACE\n```\n"),
        format!("```rust:a.rs\n{whole}```\n"),
        format!("--- a/a.rs\n+++ b/a.rs\n@@ -1 +1 @@\n{old}{new}"),
        format!("*** Begin Patch\n*** Update File: a.rs\n@@\n{old}{new}*** End Patch\n"),
        format!("<PlandexBlock lang=\"rust\" path=\"a.rs\">\n{whole}</PlandexBlock>\n"),
        format!("```text:a.txt\n{}\n```\n", "x".repeat(kilobytes * 1_000)),
    ]
}

#[test]
fn a_long_reply_is_read_as_fast_as_a_short_one() {
    let (short, few) = cost(&many_blocks(1_000));
    let (long, many) = cost(&many_blocks(10_000));
    assert!(few > 1_000 && many > 9 * few, "{few} and {many} edits");
    // Ten times the text; a hundred times the steps where each line looks at all before it.
    assert!(
        long < 11 * short,
        "{short} steps, {long} for ten times the text"
    );
    assert!(long < 5 * 10_000_000, "{long} steps");
}

#[test]
fn a_long_block_is_read_as_fast_as_a_short_one() {
    for (short, long) in long_blocks(100).iter().zip(&long_blocks(1_000)) {
        let ((few, one), (many, also_one)) = (cost(short), cost(long));
        let start = &short[..40];
        assert_eq!((one, also_one), (1, 1), "{start}");
        assert!(
            many < 11 * few,
            "{start}: {few} steps, {many} for ten times the text"
        );
    }
}
