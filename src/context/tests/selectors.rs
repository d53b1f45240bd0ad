//! What words mean which entries.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn entry(name: &str, path: Option<&str>) -> Context {
    let mut item = note("text").unwrap();
    name.clone_into(&mut item.name);
    item.path = path.map(str::to_owned);
    entry_of(&item, 0)
}

fn files(paths: &[&str]) -> Vec<Context> {
    paths.iter().map(|path| entry(path, Some(path))).collect()
}

fn chosen(words: &[&str], below: &str) -> Result<Vec<usize>, SelectorError> {
    let mut entries = files(&["src/a.rs", "src/b/c.rs", "README.md", "src/b/d.md"]);
    entries.push(entry("remember this", None));
    entries.push(entry("2", None));
    entries.push(entry("https://h/x", None));
    select(&entries, &owned(words), below)
}

#[test]
fn names_numbers_ranges_directories_and_patterns_are_told_apart() {
    for (words, below, expected) in [
        (&["src/a.rs"][..], "", &[0][..]),
        (&["a.rs"], "src", &[0]),
        (&["../README.md", "./b/c.rs"], "src", &[1, 2]),
        (&["remember this"], "src", &[4]),
        (&["https://h/x"], "", &[6]),
        (&["3"], "", &[2]),
        // A name comes before a number.
        (&["2"], "", &[5]),
        (&["1-3", "3"], "", &[0, 1, 2]),
        (&["6-"], "", &[5, 6]),
        (&["-2"], "", &[0, 1]),
        (&["src"], "", &[0, 1, 3]),
        (&["src/b/"], "", &[1, 3]),
        (&["b"], "src", &[1, 3]),
        (&["."], "", &[0, 1, 2, 3]),
        (&["src/*.rs"], "", &[0]),
        (&["src/**/*.rs"], "", &[0, 1]),
        (&["**/*.md"], "", &[2, 3]),
        (&["*.md"], "", &[2]),
        (&["rem*"], "", &[4]),
        (&["{README,src/b/d}.md"], "", &[2, 3]),
    ] {
        assert_eq!(
            chosen(words, below),
            Ok(expected.to_vec()),
            "{words:?} in {below:?}"
        );
    }
}

#[test]
fn a_word_that_fits_nothing_is_named_and_nothing_is_chosen() {
    let nothing = |words: &[&str]| Err(SelectorError::Nothing(owned(words)));
    assert_eq!(chosen(&["src", "x", "y*"], ""), nothing(&["x", "y*"]));
    for word in ["", "-", "!src/a.rs", "#", "[", "../../..", "a-b", "1-2-3"] {
        assert_eq!(chosen(&[word], "src/b"), nothing(&[word]), "{word:?}");
    }
    let no = |number: &str| {
        Err(SelectorError::NoNumber {
            number: number.to_owned(),
            last: 7,
        })
    };
    assert_eq!(chosen(&["8"], ""), no("8"));
    assert_eq!(chosen(&["0"], ""), no("0"));
    assert_eq!(
        chosen(&["1-99999999999999999999999"], ""),
        no("99999999999999999999999")
    );
    assert_eq!(
        chosen(&["4-3"], ""),
        Err(SelectorError::Backwards("4-3".to_owned()))
    );
}

proptest! {
    #[test]
    fn a_range_is_every_number_in_it(count in 1_usize..40, one in 1_usize..50, other in 1_usize..50) {
        let names: Vec<String> = (0..count).map(|number| format!("file {number}")).collect();
        let entries = files(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let found = select(&entries, &[format!("{one}-{other}")], "");
        if one.max(other) > count {
            prop_assert!(matches!(found, Err(SelectorError::NoNumber { .. })), "{found:?}");
        } else if one > other {
            prop_assert_eq!(found, Err(SelectorError::Backwards(format!("{one}-{other}"))));
        } else {
            prop_assert_eq!(found.unwrap(), (one - 1..other).collect::<Vec<_>>());
        }
    }

    /// Words in any order, any number of times, mean what they mean one by one.
    #[test]
    fn words_together_are_the_union_of_each(
        words in prop::collection::vec(
            prop::sample::select(vec!["1", "2-4", "src", "src/*", "**/*.rs", "README.md", "-2", "5-"]),
            1..8,
        )
    ) {
        let mut union = BTreeSet::new();
        for word in &words {
            union.extend(chosen(&[word], "").unwrap());
        }
        prop_assert_eq!(chosen(&words, "").unwrap(), union.into_iter().collect::<Vec<_>>());
    }

    /// A pattern made of the path of a file by wildcards fits that file.
    #[test]
    fn a_pattern_made_of_a_path_fits_it(
        parts in prop::collection::vec("[a-z]{1,6}", 1..5),
        at in any::<prop::sample::Index>(),
        wild in prop::sample::select(vec!["*", "?*", "**"]),
    ) {
        let path = parts.join("/");
        let mut pattern = parts.clone();
        let at = at.index(parts.len());
        pattern[at] = wild.to_owned();
        let entries = files(&[path.as_str(), "another/path/altogether.x"]);
        let found = select(&entries, &[pattern.join("/")], "").unwrap();
        prop_assert!(found.contains(&0), "{pattern:?} does not fit {path}");
    }

    #[test]
    fn no_word_is_a_panic(words in prop::collection::vec(".{0,12}", 0..4), below in "[a-z/.]{0,8}") {
        drop(select(&files(&["a", "b/c"]), &words, &below));
    }
}
