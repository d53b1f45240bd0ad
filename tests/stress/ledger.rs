//! What the commands of `exec` wrote when they entered and left: no two that exclude each other
//! may both be inside.

use std::collections::{BTreeMap, BTreeSet};

/// Checks the ledger of one plan; `acknowledged` are the tokens whose `exec` ended with 0.
///
/// A command that was killed leaves an entry without an exit; whoever enters next ends it, and a
/// line it writes after that shows that it was still inside.
pub(crate) fn check(text: &str, acknowledged: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ended: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split(' ');
        let (Some(act), Some(scope), Some(token), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            found.push(format!("ledger line {}: torn: {line:?}", number + 1));
            continue;
        };
        if let Some(by) = ended.get(token) {
            found.push(format!(
                "ledger line {}: {token} was still inside when {by} entered",
                number + 1
            ));
        }
        if act == "enter" {
            let out: Vec<&str> = inside
                .iter()
                .filter(|(_, other)| conflict(other, scope))
                .map(|(other, _)| *other)
                .collect();
            for other in out {
                inside.remove(other);
                ended.insert(other, token);
            }
            inside.insert(token, scope);
        } else {
            inside.remove(token);
            left.insert(token);
        }
    }
    for token in acknowledged {
        if !left.contains(token) {
            found.push(format!("ledger: {token} ended with 0 and never left"));
        }
    }
    found
}

/// The conflict table of the locks, in the words of the ledger: reads of one branch go together.
pub(crate) fn conflict(one: &str, other: &str) -> bool {
    !(one.starts_with("r:") && one == other)
}

/// Shows that the check finds what it is for.
pub(crate) fn prove() {
    let check = |text: &str, acknowledged: &[&str]| {
        check(text, &acknowledged.iter().copied().collect()).len()
    };
    assert_eq!(
        check("enter w a\nleave w a\nenter w b\nleave w b\n", &["a", "b"]),
        0
    );
    assert_eq!(
        check(
            "enter r:main a\nenter r:main b\nleave r:main a\nleave r:main b\n",
            &[]
        ),
        0
    );
    assert_eq!(check("enter w killed\nenter w b\nleave w b\n", &["b"]), 0);
    assert_eq!(
        check("enter w a\nenter w b\nleave w a\nleave w b\n", &[]),
        1
    );
    assert_eq!(
        check("enter r:main a\nenter r:side b\nleave r:main a\n", &[]),
        1
    );
    assert_eq!(check("enter root a\nenter root b\nleave root a\n", &[]), 1);
    assert_eq!(check("enter r:main a\nenter w b\nleave r:main a\n", &[]), 1);
    assert_eq!(check("enter w a\n", &["a"]), 1);
    assert_eq!(check("enter w\n", &[]), 1);
}
