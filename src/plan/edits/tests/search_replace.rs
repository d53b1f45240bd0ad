use crate::plan::edits::EditBody;
use crate::plan::edits::search_replace::{Block, BlockStep, Marker};

/// The readings of a block with these lines, the preferred one first.
fn readings(indent: &str, lines: &[&str]) -> Vec<(String, String)> {
    let Some(Marker::Search(signs)) = Marker::read(lines[0].trim_start()) else {
        panic!("{lines:?}");
    };
    let mut block = Block::open(Some("a".into()), 1, signs, indent.into());
    for line in &lines[1..lines.len() - 1] {
        assert!(matches!(block.step(line), BlockStep::Row), "{line}");
    }
    let BlockStep::Closed(edit) = block.step(lines[lines.len() - 1]) else {
        panic!("{lines:?}");
    };
    let pair = |body: EditBody| {
        let EditBody::Replace { search, replace } = body else {
            panic!("{body:?}");
        };
        (search, replace)
    };
    [edit.body]
        .into_iter()
        .chain(edit.other_readings)
        .map(pair)
        .collect()
}

#[test]
fn the_divider_of_the_blocks_own_length_counts() {
    let read = readings(
        "",
        &[
            "<<<<< SEARCH",
            "=======",
            "a",
            "=====",
            "=======",
            ">>>>> REPLACE",
        ],
    );
    assert_eq!(read, [("=======\na\n".into(), "=======\n".into())]);
}

#[test]
fn of_three_dividers_the_middle_one_is_preferred() {
    let read = readings(
        "",
        &[
            "<<<<< SEARCH",
            "T",
            "=====",
            "old",
            "=====",
            "T",
            "=====",
            "new",
            ">>>>> REPLACE",
        ],
    );
    assert_eq!(
        read[0],
        ("T\n=====\nold\n".into(), "T\n=====\nnew\n".into())
    );
    assert_eq!(read.len(), 3);
}

#[test]
fn both_parts_lose_the_same_indentation_or_none() {
    let shared = [
        "  <<<<< SEARCH",
        "    a",
        "",
        "  =====",
        "  b",
        "  >>>>> REPLACE",
    ];
    assert_eq!(readings("  ", &shared), [("  a\n\n".into(), "b\n".into())]);
    let unshared = ["  <<<<< SEARCH", "    a", "  =====", "b", "  >>>>> REPLACE"];
    assert_eq!(
        readings("  ", &unshared),
        [("    a\n".into(), "b\n".into())]
    );
}
