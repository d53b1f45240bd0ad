//! What a run came to: every error of it is collected and reported once, at its end
//! (SEED.md 4.3.2), and stays in `status` until the next run starts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::build::FailedFile;
use super::due::is_of;
use super::listen::Reply;
use super::outcome::Outcome;
use super::reply::Malformed;
use crate::store::messages::State;

/// The report of a run, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Files that are pending now.
    pub built: usize,
    /// Files that had their content already.
    pub unchanged: usize,
    /// Files that could not be built.
    pub failed: usize,
    /// The same and those that were cut off, by name.
    pub remaining: Vec<String>,
    /// Files whose edits are kept for `build`.
    pub kept: usize,
    /// Every error, the first being what ended the run, if anything did.
    pub errors: Vec<String>,
    /// Whether part of a reply is kept.
    pub partial: bool,
    /// Whether it was a chat, which changes nothing.
    pub chat: bool,
}

impl Report {
    /// What is stored of a run, read back; nothing of what is no report.
    pub fn read(stored: &str) -> Self {
        serde_json::from_str(stored).unwrap_or_default()
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> String {
        // A struct of strings and numbers always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How many of the file changes are done.
    pub fn completed(&self) -> usize {
        self.built + self.unchanged
    }

    /// How many file changes there were.
    pub fn total(&self) -> usize {
        self.completed() + self.remaining.len()
    }
}

/// Collects what comes of a run's replies.
#[derive(Debug, Default)]
pub(super) struct Tally {
    built: BTreeSet<String>,
    unchanged: BTreeSet<String>,
    failed: BTreeMap<String, FailedFile>,
    /// As labelled: cut off, or misread.
    left: BTreeSet<String>,
    kept: BTreeSet<String>,
    ends: Vec<String>,
    malformed: Vec<Malformed>,
    partial: bool,
    chat: bool,
}

impl Tally {
    /// Adds a reply: its end, if that was no good one, and what of it cannot be built.
    pub(super) fn reply(&mut self, reply: &Reply) {
        self.ends.extend(reply.why.clone());
        self.partial |= reply.state != State::Complete && !reply.text.is_empty();
        self.left.extend(reply.left.iter().cloned());
        for found in &reply.malformed {
            self.left.extend(found.path.clone());
        }
        self.malformed.extend(reply.malformed.iter().cloned());
    }

    /// The run is a chat.
    pub(super) fn chat(&mut self) {
        self.chat = true;
    }

    /// Adds an error that no reply tells of.
    pub(super) fn error(&mut self, words: String) {
        self.ends.push(words);
    }

    /// Notes the files of edits that are kept for later.
    pub(super) fn keep(&mut self, reply: &Reply) {
        self.kept
            .extend(reply.edits.iter().map(|edit| edit.path.clone()));
    }

    /// Adds what was built. What failed before and is built now has not failed.
    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        for path in outcome.unchanged().chain(outcome.built()) {
            self.failed.remove(path);
            self.left.retain(|label| !is_of(path, label));
            let is_other = |found: &Malformed| {
                found
                    .path
                    .as_deref()
                    .is_none_or(|label| !is_of(path, label))
            };
            self.malformed.retain(is_other);
        }
        self.unchanged
            .extend(outcome.unchanged().map(str::to_owned));
        self.built.extend(outcome.built().map(str::to_owned));
        for file in outcome.failed() {
            self.failed.insert(file.path.clone(), file.clone());
        }
    }

    /// The files that could not be built.
    pub(super) fn failed(&self) -> Vec<FailedFile> {
        self.failed.values().cloned().collect()
    }

    /// The blocks that could not be read.
    pub(super) fn malformed(&self) -> &[Malformed] {
        &self.malformed
    }

    /// The report so far.
    pub(super) fn report(&self) -> Report {
        let is_built = |path: &&String| self.built.contains(*path);
        let unchanged = self.unchanged.iter().filter(|path| !is_built(path)).count();
        let mut remaining: BTreeSet<String> = self.failed.keys().cloned().collect();
        let left = self.left.iter();
        remaining.extend(left.filter(|path| !is_built(path)).cloned());
        let malformed = self
            .malformed
            .iter()
            .map(|found| format!("line {}: {}", found.line, found.message));
        let failures = self.failed.values().flat_map(failures);
        Report {
            built: self.built.len(),
            unchanged,
            failed: self.failed.len(),
            remaining: remaining.into_iter().collect(),
            kept: self.kept.len(),
            errors: self
                .ends
                .iter()
                .cloned()
                .chain(malformed)
                .chain(failures)
                .collect(),
            partial: self.partial,
            chat: self.chat,
        }
    }
}

/// A line for each edit that did not fit.
fn failures(file: &FailedFile) -> impl Iterator<Item = String> {
    file.failures.iter().map(|failure| {
        let reason = serde_json::to_value(failure.reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or("failed").replace('_', " ");
        format!(
            "{}: edit {}/{}: {reason}",
            failure.path, failure.edit, failure.of
        )
    })
}
