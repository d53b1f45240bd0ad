//! The checks, by theme. Each looks at one thing, adds one line and an issue for each thing wrong.

pub(super) mod database;
pub(super) mod leftovers;
pub(super) mod locks;
pub(super) mod machine;
pub(super) mod repositories;
pub(super) mod runs;

use super::Scene;
use super::report::{CheckState, Report};
use super::seen::Seen;

/// What the tables say, or the check's line that it could not be made.
fn seen<'s>(scene: &'s Scene<'_>, report: &mut Report, name: &str) -> Option<&'s Seen> {
    if scene.seen.is_none() {
        let message = "not checked: the database cannot be read";
        report.check(name, CheckState::Warning, message);
    }
    scene.seen.as_ref()
}

/// "1 lock", "2 locks".
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}

/// The first few of `items`, and how many more there are.
fn some_of(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let text = items[..items.len().min(SHOWN)].join("; ");
    match items.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}
