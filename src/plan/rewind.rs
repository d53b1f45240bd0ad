//! `rewind`: a branch goes back to one of its earlier versions, which is a new version. Nothing is
//! taken out of the history, so a rewind is itself come back from.

use anyhow::{Result, ensure};

use super::history::{self, Entry};
use crate::lock::operation;
use crate::project::{Project, Selected, Turn};
use crate::repo::Version;
use crate::store::tickets::WritePermit;

/// How long a name must be to be the beginning of a version, and not a number of steps.
const PREFIX_MIN: usize = 7;

/// What to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// So many versions back.
    Steps(usize),
    /// The version whose id begins so.
    Beginning(String),
    /// What the last rewind left.
    BeforeRewind,
}

impl Target {
    /// What a person wrote: a number of steps, which is also a line's number in `log`, or the
    /// beginning of a version.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.len() < PREFIX_MIN && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::Steps);
        }
        let is_version = is_hex && (4..=40).contains(&text.len());
        is_version.then(|| Self::Beginning(text.to_lowercase()))
    }
}

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// The branch has no such version.
    #[error("branch \"{branch}\" has no version {wanted}; it has {count} in all")]
    Unknown {
        /// The branch.
        branch: String,
        /// What was asked for.
        wanted: String,
        /// How many versions there are.
        count: usize,
    },
    /// Several versions begin so.
    #[error("several versions begin with {0}")]
    Ambiguous(String),
    /// It is where the branch stands.
    #[error("branch \"{0}\" is at that version already")]
    Here(String),
    /// Something else was done since, or nothing was ever rewound.
    #[error("the last version of branch \"{branch}\" is no rewind: it is \"{title}\"")]
    NoRewind {
        /// The branch.
        branch: String,
        /// What its last version is.
        title: String,
    },
}

/// The way from a branch's head back to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The head.
    pub from: Entry,
    /// The version to come back to.
    pub to: Entry,
    /// The applies that were ended by versions in between, newest first.
    pub applies: Vec<String>,
    /// Whether it takes a rewind back.
    pub is_undo: bool,
}

/// Finds the way to `target`; changes nothing. Fails with [`NoTarget`] if there is none.
pub fn way(project: &Project, selected: &Selected, target: &Target) -> Result<Way> {
    let branch = selected.branch.name.clone();
    let (mut passed, mut found) = (Vec::new(), Vec::new());
    history::log(project, selected, |entry| {
        let (is_it, is_over) = match target {
            Target::Steps(steps) => (entry.steps == *steps, entry.steps == *steps),
            // To the end of the history: another one may begin so.
            Target::Beginning(text) => (entry.version.to_string().starts_with(text), false),
            Target::BeforeRewind => (entry.steps == 1, entry.steps == 1),
        };
        if is_it {
            found.push(entry.clone());
        }
        passed.push(entry);
        Ok(if is_over {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        })
    })?;
    let count = passed.len();
    let is_undo = *target == Target::BeforeRewind;
    if let (true, Some(head)) = (is_undo, passed.first())
        && head.made_by.operation.as_deref() != Some(operation::REWIND.reason())
    {
        let title = head.title().to_owned();
        return Err(NoTarget::NoRewind { branch, title }.into());
    }
    if found.len() > 1 {
        let Target::Beginning(text) = target else {
            unreachable!("a number of steps is one version")
        };
        return Err(NoTarget::Ambiguous(text.clone()).into());
    }
    let Some(to) = found.pop() else {
        let wanted = match target {
            Target::Steps(steps) => format!("{steps} steps back"),
            Target::Beginning(text) => text.clone(),
            Target::BeforeRewind => "before its rewind".to_owned(),
        };
        return Err(NoTarget::Unknown {
            branch,
            wanted,
            count,
        }
        .into());
    };
    ensure!(to.steps > 0, NoTarget::Here(branch));
    let between = passed.iter().filter(|entry| entry.steps < to.steps);
    let applies = between
        .filter_map(|entry| entry.made_by.apply.clone())
        .collect();
    let from = passed.remove(0);
    Ok(Way {
        from,
        to,
        applies,
        is_undo,
    })
}

/// Goes `way` on the branch called `branch`; returns the new version. Fails if the branch has moved
/// since the way was found.
pub fn rewind(turn: &Turn<'_>, permit: &WritePermit, branch: &str, way: &Way) -> Result<Version> {
    let branch = turn.branch(branch)?;
    let short: String = way.to.version.to_string().chars().take(10).collect();
    let title = way.to.title();
    let message = match way.is_undo {
        false => format!("Rewind {} to {short}: {title}", steps(way.to.steps)),
        true => format!("Undo rewind, back to {short}: {title}"),
    };
    turn.restore(permit, &branch, &way.to.version, &message, |_| Ok(()))
}

/// "1 step", "3 steps".
pub fn steps(count: usize) -> String {
    match count {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_target_is_a_number_of_steps_or_the_beginning_of_a_version() {
        for (text, target) in [
            ("1", Some(Target::Steps(1))),
            ("123456", Some(Target::Steps(123_456))),
            ("1234567", Some(Target::Beginning("1234567".to_owned()))),
            ("AB12", Some(Target::Beginning("ab12".to_owned()))),
            ("abc", None),
            ("-1", None),
            ("", None),
            ("main", None),
        ] {
            assert_eq!(Target::parse(text), target, "{text}");
        }
    }
}
