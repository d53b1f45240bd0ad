//! What is done about each change, decided before anything is written. Pure.

use std::collections::{HashMap, HashSet};

use super::{ApplyError, Class, Classified, Reported};
use crate::platform::digest;

/// What to do with a change that meets something else than it was built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing at all is written.
    Abort,
    /// That file stays as it is, and its change pending.
    Skip,
    /// The new content replaces it; what is there now is kept with the apply's originals.
    Overwrite,
    /// The change is brought into what is there now, if the two do not touch; else as `Abort`.
    Merge,
}

/// What a path that cannot be written by itself means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// They are written.
    #[default]
    GoOn,
    /// Nothing is written: whatever was goes back.
    UndoAll,
}

/// What was answered for one path. It counts only while the disk has what was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The path in the project.
    pub path: String,
    /// What the disk had when the question was asked ([`Classified::disk_hash`]).
    pub disk_hash: Option<String>,
    /// The answer.
    pub choice: OnConflict,
}

/// How conflicts are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For every path without an answer of its own.
    pub on_conflict: OnConflict,
    /// Answers for single paths.
    pub answers: Vec<Answer>,
    /// What one failure means for the others.
    pub on_failure: OnFailure,
}

impl Options {
    /// The same for every conflict.
    pub fn all(on_conflict: OnConflict) -> Self {
        Self {
            on_conflict,
            answers: Vec::new(),
            on_failure: OnFailure::GoOn,
        }
    }

    /// Whether anything is to be merged.
    pub(super) fn merges(&self) -> bool {
        self.on_conflict == OnConflict::Merge
            || self
                .answers
                .iter()
                .any(|answer| answer.choice == OnConflict::Merge)
    }
}

/// What will be done, change by change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// These are written.
    pub write: Vec<Classified>,
    /// These stay pending, their files as they are.
    pub skip: Vec<Classified>,
    /// These are in the project already; only their rows end.
    pub already: Vec<Classified>,
    /// Decides files that change between this decision and the write.
    pub(super) on_conflict: OnConflict,
    /// What one failure means for the others.
    pub(super) on_failure: OnFailure,
    /// The apply whose originals are brought back.
    pub(super) undoes: Option<String>,
}

/// Decides about each of `classified`.
///
/// Fails with [`ApplyError::Conflicts`] if one of them calls for abort: then nothing is written.
/// What is refused cannot be overwritten: it is skipped, or it calls for abort too.
pub fn plan_writes(classified: Vec<Classified>, options: &Options) -> Result<Decision, ApplyError> {
    let mut decision = Decision {
        write: Vec::new(),
        skip: Vec::new(),
        already: Vec::new(),
        on_conflict: options.on_conflict,
        on_failure: options.on_failure,
        undoes: None,
    };
    let answers: HashMap<&str, &Answer> = options
        .answers
        .iter()
        .map(|answer| (answer.path.as_str(), answer))
        .collect();
    let choice = |one: &Classified| {
        answers
            .get(one.change.path.as_str())
            .filter(|answer| answer.disk_hash == one.disk_hash)
            .map_or(options.on_conflict, |answer| answer.choice)
    };
    let mut conflicts = Vec::new();
    for one in classified {
        match one.class {
            Class::Already => decision.already.push(one),
            Class::Clean => decision.write.push(one),
            Class::Drifted | Class::Missing | Class::Exists => match choice(&one) {
                OnConflict::Abort => conflicts.push(reported(&one)),
                OnConflict::Skip => decision.skip.push(one),
                OnConflict::Overwrite => decision.write.push(Classified {
                    merged: None,
                    ..one
                }),
                OnConflict::Merge => match merged(one) {
                    Ok(one) if one.class == Class::Already => decision.already.push(one),
                    Ok(one) => decision.write.push(one),
                    Err(why) => conflicts.push(why),
                },
            },
            Class::TypeChanged | Class::Refused(_) => match choice(&one) {
                OnConflict::Abort => conflicts.push(reported(&one)),
                OnConflict::Skip | OnConflict::Overwrite | OnConflict::Merge => {
                    decision.skip.push(one);
                }
            },
        }
    }
    skip_partners(&mut decision);
    if conflicts.is_empty() {
        Ok(decision)
    } else {
        Err(ApplyError::Conflicts(conflicts))
    }
}

/// The change as it is written into what is there now.
fn merged(mut one: Classified) -> Result<Classified, Reported> {
    let Some(content) = &one.merged else {
        return Err(unmerged(&one));
    };
    let hash = digest::sha256_hex(content);
    let has_bit = !one.becomes_program() && one.change.executable != Some(false);
    one.class = if one.disk_hash.as_ref() == Some(&hash) && has_bit {
        // What is there has all of the change.
        Class::Already
    } else {
        Class::Drifted
    };
    one.change.target_hash = Some(hash);
    Ok(one)
}

fn unmerged(one: &Classified) -> Reported {
    let words = one.class.words();
    let why = match one.class == Class::Drifted {
        true => format!("{words}, and does not merge: both changed the same lines"),
        false => format!("{words}, and there is nothing to merge"),
    };
    Reported {
        path: one.change.path.clone(),
        why,
    }
}

/// A file that is moved is two changes, and one is never made without the other.
fn skip_partners(decision: &mut Decision) {
    let skipped: HashSet<String> = decision
        .skip
        .iter()
        .map(|one| one.change.path.clone())
        .collect();
    if skipped.is_empty() {
        return;
    }
    let sources: HashMap<String, String> = decision
        .write
        .iter()
        .chain(&decision.skip)
        .filter_map(|one| Some((one.change.moved_from.clone()?, one.change.path.clone())))
        .collect();
    let is_half = |one: &Classified| {
        let path = &one.change.path;
        let other = one.change.moved_from.as_ref().or_else(|| sources.get(path));
        let other = other.filter(|other| skipped.contains(*other))?;
        Some(format!("stays, for \"{other}\" does"))
    };
    let (skip, write): (Vec<_>, Vec<_>) = std::mem::take(&mut decision.write)
        .into_iter()
        .map(|one| (is_half(&one), one))
        .partition(|(why, _)| why.is_some());
    decision.write = write.into_iter().map(|(_, one)| one).collect();
    decision.skip.extend(skip.into_iter().map(|(why, one)| {
        let class = Class::Refused(why.unwrap_or_default());
        Classified { class, ..one }
    }));
}

pub(super) fn reported(one: &Classified) -> Reported {
    Reported {
        path: one.change.path.clone(),
        why: one.class.words().to_owned(),
    }
}
