use std::ops::Range;

use crate::plan::edits::Tier;
use crate::plan::edits::choice::Leads;
use crate::plan::edits::matcher::{Shift, locate, locate_strictly};
use crate::plan::edits::text::Text;

/// The places, and how many tiers were tried.
type Missed<'a> = (&'a [usize], usize);

fn behind(after: Option<usize>) -> Leads<'static> {
    Leads {
        after,
        ..Leads::default()
    }
}

/// What `locate` finds: the file's lines with the tier, or the places and the tiers tried.
fn check(
    file: &str,
    search: &[&str],
    after: Option<usize>,
    expect: Result<(Range<usize>, Tier), Missed<'_>>,
) {
    let mut text = Text::read(file.as_bytes()).unwrap();
    match (locate(&mut text, search, &behind(after)), expect) {
        (Ok(spot), Ok((range, tier))) => {
            assert_eq!(
                (spot.range, spot.tier),
                (range, tier),
                "{search:?} in {file:?}"
            );
        }
        (Err(miss), Err((places, tried))) => {
            assert_eq!(miss.places, places, "{search:?} in {file:?}");
            assert_eq!(miss.tiers_tried.len(), tried, "{search:?} in {file:?}");
        }
        (found, expect) => panic!("{search:?} in {file:?}: {found:?}, not {expect:?}"),
    }
}

#[test]
fn each_tier_finds_what_the_ones_before_do_not() {
    let file = "fn a() {\n    let x = 1; \n\n    let y = “two”;\n}\n";
    check(file, &["fn a() {"], None, Ok((0..1, Tier::Exact)));
    check(
        file,
        &["fn a() {", "    let x = 1;"],
        None,
        Ok((0..2, Tier::TrailingSpace)),
    );
    check(file, &["let x = 1;"], None, Ok((1..2, Tier::Indentation)));
    check(
        file,
        &["", "let x = 1;", "  "],
        None,
        Ok((1..2, Tier::BlankLines)),
    );
    check(
        file,
        &["", "fn a() {", ""],
        None,
        Ok((0..1, Tier::BlankLines)),
    );
    check(
        file,
        &["    let y = \"two\";"],
        None,
        Ok((3..4, Tier::Typography)),
    );
    check(
        file,
        &["", "let y = \"two\";"],
        None,
        Ok((2..4, Tier::Typography)),
    );
    check(
        file,
        &["", "let y = \"two\";", "", ""],
        None,
        Ok((3..4, Tier::Typography)),
    );
    check(file, &["", "let z = 3;"], None, Err((&[], 5)));
    check(file, &["let z = 3;"], None, Err((&[], 4)));
}

#[test]
fn a_place_must_be_the_only_one() {
    let file = "x\na\ny\na\nz\na\n";
    check(file, &["a"], None, Err((&[1, 3, 5], 1)));
    check(file, &["a"], Some(4), Ok((5..6, Tier::Exact)));
    check(file, &["a"], Some(5), Ok((5..6, Tier::Exact)));
    check(file, &["a"], Some(2), Err((&[1, 3, 5], 1)));
    check(file, &["a"], Some(6), Err((&[1, 3, 5], 1)));
    // The only place counts wherever the edit before it was.
    check(file, &["y"], Some(4), Ok((2..3, Tier::Exact)));
    check("a\na\na\n", &["a", "a"], None, Err((&[0, 1], 1)));
}

#[test]
fn no_tier_is_looser_than_an_ambiguous_one() {
    // Exactly twice; with blank ends ignored, once more.
    check("a\n\nb\na\n\nb\n", &["a", ""], None, Err((&[0, 3], 1)));
    // Twice with one shift each; exactly nowhere.
    check("  a\n    a\n", &["a"], None, Err((&[0, 1], 3)));
    // Trailing space twice, indented once.
    check("a \na  \n  a\n", &["a"], None, Err((&[0, 1], 2)));
}

#[test]
fn a_shift_is_the_same_for_all_lines() {
    let spot = |file: &str, search: &[&str]| {
        let mut text = Text::read(file.as_bytes()).unwrap();
        locate(&mut text, search, &Leads::default())
            .map(|spot| spot.shift)
            .ok()
    };
    let deeper = |more: &str| Some(Shift::Deeper(more.to_owned()));
    let shallower = |less: &str| Some(Shift::Shallower(less.to_owned()));
    assert_eq!(
        spot("    a\n\n      b\n", &["a", "", "  b"]),
        deeper("    ")
    );
    assert_eq!(spot("\ta\n\t\tb\n", &["a", "\tb"]), deeper("\t"));
    assert_eq!(spot("\t  a\n", &["  a"]), deeper("\t"));
    assert_eq!(spot("a\n  b\n", &["    a", "      b"]), shallower("    "));
    assert_eq!(spot("    a\n    b\n", &["a", "  b"]), None);
    assert_eq!(spot("\ta\n", &["    a"]), None);
    assert_eq!(spot("\ta\n  b\n", &["a", "b"]), None);
    assert_eq!(spot("    a\n", &["\u{a0}\u{a0}a"]), deeper("  "));
}

#[test]
fn typographic_characters_fold_both_ways() {
    let file = "say “hi” – don’t\u{a0}stop\n";
    check(
        file,
        &["say \"hi\" - don't stop"],
        None,
        Ok((0..1, Tier::Typography)),
    );
    check(
        "say \"hi\"\n",
        &["say “hi”"],
        None,
        Ok((0..1, Tier::Typography)),
    );
}

#[test]
fn large_files_are_only_searched_strictly() {
    let file = format!("{}  a\n", "x\n".repeat(1_100_000));
    check(
        &file,
        &["  a "],
        None,
        Ok((1_100_000..1_100_001, Tier::TrailingSpace)),
    );
    check(&file, &["a"], None, Err((&[], 2)));
}

#[test]
fn files_of_equal_lines_take_linear_time() {
    let file = "same\n".repeat(200_000);
    let search = vec!["same"; 100_000];
    let mut text = Text::read(file.as_bytes()).unwrap();
    assert_eq!(
        locate(&mut text, &search, &Leads::default())
            .unwrap_err()
            .places
            .len(),
        100_001
    );
    let almost = [vec!["same"; 100_000], vec!["other"]].concat();
    assert!(
        locate(&mut text, &almost, &Leads::default())
            .unwrap_err()
            .places
            .is_empty()
    );
}

#[test]
fn too_many_shifts_to_look_at_count_as_several_places() {
    // Every line matches but for its indentation, which goes wrong only at the end of the search.
    let file = "  same\n".repeat(60_000) + " same\n";
    let search = [vec!["same"; 30_000], vec![" same"]].concat();
    let mut text = Text::read(file.as_bytes()).unwrap();
    let miss = locate(&mut text, &search, &Leads::default()).unwrap_err();
    assert_eq!(miss.places.len(), 30_001);
    assert_eq!(miss.tiers_tried.last(), Some(&Tier::Indentation));
}

#[test]
fn strict_places_are_told_all() {
    let mut text = Text::read(b"a \nb\nc\nb\n").unwrap();
    assert_eq!(
        locate_strictly(&mut text, &["a", "b"]),
        vec![Range { start: 0, end: 2 }]
    );
    assert_eq!(locate_strictly(&mut text, &["b"]), [1..2, 3..4]);
    assert_eq!(locate_strictly(&mut text, &[" c"]), [] as [Range<usize>; 0]);
}
