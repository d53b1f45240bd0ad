//! Looking back: the conversation and the versions of a branch.

use anyhow::Result;
use serde::Serialize;

use crate::project::{Project, Selected};
use crate::repo::{LogEntry, Version};
use crate::store::changes::{self, Build};
use crate::store::messages::{self, Message};

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

/// The conversation of the selected branch, in order.
pub fn conversation(project: &Project, selected: &Selected) -> Result<Vec<Said>> {
    project.store.read(|tx| {
        let builds = changes::builds(tx, &selected.branch.id)?;
        let said = messages::of_branch(tx, &selected.branch.id)?
            .into_iter()
            .map(|message| {
                let of_reply = builds.iter().filter(|build| build.message_id == message.id);
                let built = of_reply
                    .filter(|b| b.fate == changes::Fate::Built)
                    .map(|b| b.path.clone())
                    .collect();
                Said { message, built }
            });
        Ok(said.collect())
    })
}

/// The newest `limit` versions of the selected branch, newest first.
pub fn log(project: &Project, selected: &Selected, limit: usize) -> Result<Vec<LogEntry>> {
    let Some(head) = &selected.branch.head else {
        return Ok(Vec::new());
    };
    project
        .repo(&selected.plan.id)?
        .log(&head.parse::<Version>()?, limit)
}
