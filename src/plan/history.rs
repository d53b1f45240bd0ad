//! Looking back: the conversation and the versions of a branch. Nothing is changed here.

use std::ops::{ControlFlow, RangeInclusive};

use anyhow::Result;
use serde::Serialize;

use crate::project::{APPLY, Project, Selected};
use crate::repo::{LogEntry, Version};
use crate::store::ReadTx;
use crate::store::changes::{self, Build};
use crate::store::messages::{self, Message, Role};

/// A message with what its edits became.
#[derive(Debug, Clone)]
pub struct Said {
    /// The message.
    pub message: Message,
    /// Of a reply: the files that were built from it.
    pub built: Vec<String>,
}

/// A build as the conversation shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedBuild {
    /// The path.
    pub path: String,
    /// The failure report (MODEL.md 3.5).
    pub failures: serde_json::Value,
}

impl From<Build> for FailedBuild {
    fn from(build: Build) -> Self {
        let failures = build
            .error()
            .and_then(|error| serde_json::from_str(error).ok())
            .unwrap_or_default();
        Self {
            path: build.path,
            failures,
        }
    }
}

/// Messages are read so many at a time, so that a long conversation is never all in memory.
const PAGE: i64 = 500;

/// Calls `each` with the messages of the selected branch whose numbers are in `range`, in order,
/// until it says to stop.
pub fn conversation(
    project: &Project,
    selected: &Selected,
    range: RangeInclusive<i64>,
    mut each: impl FnMut(Said) -> ControlFlow<()>,
) -> Result<()> {
    let (mut next, to) = range.into_inner();
    loop {
        let page = project.store.read(|tx| {
            let page = messages::numbered(tx, &selected.branch.id, (next, to), PAGE)?;
            page.into_iter()
                .map(|message| said(tx, message))
                .collect::<Result<Vec<_>>>()
        })?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        next = last.message.number + 1;
        for said in page {
            if each(said).is_break() {
                return Ok(());
            }
        }
    }
}

fn said(tx: &ReadTx<'_>, message: Message) -> Result<Said> {
    let built = match message.role {
        Role::User => Vec::new(),
        Role::Assistant => changes::builds_of(tx, &message.branch_id, &message.id)?
            .into_iter()
            .filter(|build| build.fate == changes::Fate::Built)
            .map(|build| build.path)
            .collect(),
    };
    Ok(Said { message, built })
}

/// The number of the newest message of the selected branch; `None` if nothing was said.
pub fn last_number(project: &Project, selected: &Selected) -> Result<Option<i64>> {
    let last = project
        .store
        .read(|tx| messages::last(tx, &selected.branch.id))?;
    Ok(last.map(|message| message.number))
}

/// A version as `log` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How many versions back from the branch's head: 0 is the head. `rewind` takes it.
    pub steps: usize,
    /// Which version.
    pub version: Version,
    /// Wall time, whole seconds.
    pub time_ms: i64,
    /// Who made it.
    pub author: String,
    /// What a person reads of it, without the trailers; its first line is a title.
    pub message: String,
    /// What its trailers tell.
    pub made_by: MadeBy,
}

impl Entry {
    fn new(steps: usize, entry: LogEntry) -> Self {
        let (message, made_by) = MadeBy::read(&entry.message);
        Self {
            steps,
            version: entry.version,
            time_ms: entry.time_ms,
            author: entry.author,
            message,
            made_by,
        }
    }

    /// The first line of the message.
    pub fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// Who made it, without the address that is nobody's.
    pub fn actor(&self) -> &str {
        self.author.split(" <").next().unwrap_or_default()
    }
}

/// What made a version; empty where versions did not tell it yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MadeBy {
    /// The operation's stable reason.
    pub operation: Option<String>,
    /// The command as typed, shortened.
    pub command: Option<String>,
    /// The ticket.
    pub ticket: Option<i64>,
    /// Its fence.
    pub fence: Option<i64>,
    /// The apply that it ends.
    pub apply: Option<String>,
}

impl MadeBy {
    /// Splits a version's message into what people read and what its last paragraph tells.
    fn read(message: &str) -> (String, Self) {
        let mut made_by = Self::default();
        let Some((text, last)) = message.trim_end().rsplit_once("\n\n") else {
            return (message.trim_end().to_owned(), made_by);
        };
        for line in last.lines() {
            let value = |value: &str| Some(value.to_owned());
            match line.split_once(": ") {
                Some(("Operation", operation)) => made_by.operation = value(operation),
                Some(("Command", command)) => made_by.command = value(command),
                Some(("Ticket", ticket)) => made_by.ticket = ticket.parse().ok(),
                Some(("Fence", fence)) => made_by.fence = fence.parse().ok(),
                Some((APPLY, apply)) => made_by.apply = value(apply),
                // A paragraph of a person's.
                _ => return (message.trim_end().to_owned(), Self::default()),
            }
        }
        (text.to_owned(), made_by)
    }
}

/// Calls `each` with the versions of the selected branch, newest first, until it says to stop.
pub fn log(
    project: &Project,
    selected: &Selected,
    mut each: impl FnMut(Entry) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let Some(head) = &selected.branch.head else {
        return Ok(());
    };
    let repo = project.repo(&selected.plan.id)?;
    for (steps, entry) in repo.history(&head.parse()?).enumerate() {
        if each(Entry::new(steps, entry?))?.is_break() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::MadeBy;

    #[test]
    fn trailers_are_the_last_paragraph_if_all_of_it_is() {
        let whole = "Tell #1: x\n\n1 built\n\nOperation: tell execution\nCommand: plandex tell x\n\
                     Ticket: 3\nFence: 9\n";
        let (text, made_by) = MadeBy::read(whole);
        assert_eq!(text, "Tell #1: x\n\n1 built");
        assert_eq!(made_by.operation.as_deref(), Some("tell execution"));
        assert_eq!((made_by.ticket, made_by.fence), (Some(3), Some(9)));
        for other in ["New plan x", "Title\n\nCommand: x\nand more", "Note: this"] {
            assert_eq!(MadeBy::read(other), (other.to_owned(), MadeBy::default()));
        }
    }
}
