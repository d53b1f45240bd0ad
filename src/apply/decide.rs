//! What is done about each change, decided before anything is written. Pure.

use super::{ApplyError, Class, Classified, Reported};

/// What to do with a change that meets something else than it was built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing at all is written.
    Abort,
    /// That file stays as it is, and its change pending.
    Skip,
    /// The new content replaces it; what is there now is kept with the apply's originals.
    Overwrite,
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
    };
    let mut conflicts = Vec::new();
    for one in classified {
        match one.class {
            Class::Already => decision.already.push(one),
            Class::Clean => decision.write.push(one),
            Class::Drifted | Class::Missing | Class::Exists => match choice(&one, options) {
                OnConflict::Abort => conflicts.push(reported(&one)),
                OnConflict::Skip => decision.skip.push(one),
                OnConflict::Overwrite => decision.write.push(one),
            },
            Class::TypeChanged | Class::Refused(_) => match choice(&one, options) {
                OnConflict::Abort => conflicts.push(reported(&one)),
                OnConflict::Skip | OnConflict::Overwrite => decision.skip.push(one),
            },
        }
    }
    if conflicts.is_empty() {
        Ok(decision)
    } else {
        Err(ApplyError::Conflicts(conflicts))
    }
}

fn choice(one: &Classified, options: &Options) -> OnConflict {
    options
        .answers
        .iter()
        .find(|answer| answer.path == one.change.path && answer.disk_hash == one.disk_hash)
        .map_or(options.on_conflict, |answer| answer.choice)
}

pub(super) fn reported(one: &Classified) -> Reported {
    Reported {
        path: one.change.path.clone(),
        why: one.class.words().to_owned(),
    }
}
