//! Which edits are still to be built: of replies that were kept for later, and of files that
//! failed in the last run.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;

use super::build::Due;
use super::edits::{Edit, EditFailure, Reason};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use crate::store::changes::{Build, Fate};
use crate::store::messages::{self, Kind, Message, State};
use crate::store::{ReadTx, changes};

/// What a reply's text holds, read as a whole.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The edits of files that are whole.
    pub(super) edits: Vec<Edit>,
    /// Blocks that are none, those that were left open among them.
    pub(super) malformed: Vec<Malformed>,
    /// The files of both, as labelled, in their order.
    pub(super) paths: Vec<String>,
}

/// Whether nothing of the file may be built: a block that was misread or cut off may have
/// swallowed part of another of the same file, or belong to it.
pub(super) fn is_suspect(malformed: &[Malformed], path: &str) -> bool {
    malformed
        .iter()
        .any(|found| found.path.as_deref() == Some(path))
}

/// Reads a reply's whole text.
pub(super) fn read(text: &str, state: State) -> Read {
    let ending = match state {
        State::Complete => Ending::Complete,
        State::Open
        | State::Stopped
        | State::Truncated
        | State::Refused
        | State::Error
        | State::Interrupted => Ending::CutOff,
    };
    let mut parser = ReplyParser::new();
    let mut events = parser.push(text);
    events.extend(parser.finish(ending));
    let mut read = Read::default();
    let mut seen = HashSet::new();
    for event in events {
        match event {
            ReplyEvent::Edit(edit) => read.edits.push(edit),
            ReplyEvent::Malformed(found) => read.malformed.push(found),
            ReplyEvent::FileStarted { path, .. } => {
                if seen.insert(path.clone()) {
                    read.paths.push(path);
                }
            }
            ReplyEvent::Prose(_) | ReplyEvent::FileLines { .. } => {}
        }
    }
    read.edits
        .retain(|edit| !is_suspect(&read.malformed, &edit.path));
    read
}

/// The edits of a reply; of one that took them from the message, that message's.
fn edits_of(tx: &ReadTx<'_>, reply: &Message) -> Result<Vec<Edit>> {
    if reply.source != "literal" {
        return Ok(read(&reply.text, reply.state).edits);
    }
    let prompt = messages::by_number(tx, &reply.branch_id, reply.number - 1)?;
    Ok(prompt.map_or_else(Vec::new, |prompt| read(&prompt.text, prompt.state).edits))
}

/// The edits of replies that were not built yet, oldest first.
pub(super) fn unbuilt(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Due>> {
    let mut dues = Vec::new();
    for reply in messages::unbuilt(tx, branch_id)? {
        let edits = edits_of(tx, &reply)?;
        if !edits.is_empty() {
            dues.push(Due {
                message_id: reply.id,
                edits,
            });
        }
    }
    Ok(dues)
}

/// The edits of the files that the last run which built anything could not build.
pub(super) fn failed(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Due>> {
    let builds = changes::builds(tx, branch_id)?;
    let Some(run) = builds.last().map(|build| build.stream_id.clone()) else {
        return Ok(Vec::new());
    };
    let mut dues: BTreeMap<(i64, String), Vec<Edit>> = BTreeMap::new();
    for path in paths_left(&builds, &run) {
        let of_path: Vec<&Build> = builds.iter().filter(|build| build.path == path).collect();
        if let Some((reply, edits)) = tried(tx, branch_id, &of_path)? {
            let key = (reply.number, reply.id);
            dues.entry(key).or_default().extend(edits);
        }
    }
    let due = |((_, message_id), edits)| Due { message_id, edits };
    Ok(dues.into_iter().map(due).collect())
}

fn paths_left(builds: &[Build], run: &str) -> Vec<String> {
    let mut left: BTreeMap<&str, bool> = BTreeMap::new();
    for build in builds.iter().filter(|build| build.stream_id == run) {
        left.insert(&build.path, build.error().is_some());
    }
    let left = left.into_iter().filter(|(_, has_failed)| *has_failed);
    left.map(|(path, _)| path.to_owned()).collect()
}

/// The edits that were last tried on a path whose builds these are, and the reply they count for.
/// A fix was tried together with those edits of the reply before it that had fitted.
fn tried(
    tx: &ReadTx<'_>,
    branch_id: &str,
    builds: &[&Build],
) -> Result<Option<(Message, Vec<Edit>)>> {
    let mut last: Option<(Message, Vec<Edit>, Vec<EditFailure>)> = None;
    for build in builds {
        // Tried again: the same edits.
        if last
            .as_ref()
            .is_some_and(|(reply, ..)| reply.id == build.message_id)
        {
            continue;
        }
        let Some(reply) = messages::by_id(tx, branch_id, &build.message_id)? else {
            continue;
        };
        let mut edits = match (&last, reply.kind) {
            (Some((_, edits, failures)), Kind::Fix) => fitting(edits, failures),
            _ => Vec::new(),
        };
        let own = edits_of(tx, &reply)?.into_iter();
        edits.extend(own.filter(|edit| is_of(&build.path, &edit.path)));
        last = match &build.fate {
            Fate::Failed(report) => {
                let failures = serde_json::from_str(report).unwrap_or_default();
                Some((reply, edits, failures))
            }
            Fate::Built | Fate::Unchanged => None,
        };
    }
    Ok(last.map(|(reply, edits, _)| (reply, edits)))
}

/// The edits that did fit when these failed.
pub(super) fn fitting(edits: &[Edit], failures: &[EditFailure]) -> Vec<Edit> {
    let has_failed = |index: usize| failures.iter().any(|failure| failure.edit == index + 1);
    edits
        .iter()
        .enumerate()
        .filter(|(index, _)| !has_failed(*index))
        .map(|(_, edit)| edit.clone())
        .collect()
}

/// Whether an edit labelled `label` is one of the file `path`, which its bare name may mean.
pub(super) fn is_of(path: &str, label: &str) -> bool {
    path == label
        || (!label.contains('/')
            && path
                .strip_suffix(label)
                .is_some_and(|dir| dir.ends_with('/')))
}

/// The files of a cut-off reply that were left open, as labelled.
pub(super) fn left_open(malformed: &[Malformed]) -> impl Iterator<Item = &str> {
    malformed
        .iter()
        .filter(|found| found.reason == Reason::Incomplete)
        .filter_map(|found| found.path.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "```rust path=src/a.rs\none\n```\n```rust path=b.rs\ntwo\n";

    #[test]
    fn what_a_cut_left_open_is_no_edit() {
        let read = read(TWO, State::Stopped);
        let paths: Vec<&str> = read.edits.iter().map(|edit| edit.path.as_str()).collect();
        assert_eq!(paths, ["src/a.rs"]);
        assert_eq!(read.paths, ["src/a.rs", "b.rs"]);
        assert_eq!(left_open(&read.malformed).collect::<Vec<_>>(), ["b.rs"]);
    }

    #[test]
    fn a_bare_name_means_a_file_somewhere() {
        assert!(is_of("src/a.rs", "a.rs"));
        assert!(is_of("a.rs", "a.rs"));
        assert!(!is_of("src/aa.rs", "a.rs"));
        assert!(!is_of("src/a.rs", "c/a.rs"));
    }

    #[test]
    fn what_fitted_is_what_did_not_fail() {
        let edits = read(
            "```text path=a.txt\n1\n```\n```text path=a.txt\n2\n```\n",
            State::Complete,
        )
        .edits;
        let failed = |edit| {
            Malformed {
                path: Some("a.txt".to_owned()),
                format: edits[0].format,
                line: 1,
                reason: Reason::NotFound,
                message: String::new(),
            }
            .failure(edit, 2)
        };
        assert_eq!(fitting(&edits, &[failed(1)]), [edits[1].clone()]);
        assert_eq!(fitting(&edits, &[]), edits);
    }
}
