//! `load`, `ls`, `show`, `rm`, `clear`, `update`: what the plan is shown.

mod list;
mod load;
mod remove;
mod renew;
mod show;
mod update;

use anyhow::Result;
use serde::Serialize;

pub(super) use list::ls;
pub(super) use load::{Load, load};
pub(super) use remove::{Remove, clear, remove};
pub(super) use renew::{Renewing, renewed};
pub(super) use show::{Show, show};
pub(super) use update::{Update, update};

use super::choice::ModelChoice;
use super::exit::ExitCode;
use super::session::{Cli, rfc3339};
use crate::context::{self, Budget, ContextError, Freshness, Loaded, Skipped};
use crate::lock::LockError;
use crate::platform::cancel::Cancel;
use crate::project::Project;
use crate::store::contexts::Context;

/// Why a command that would change or send the context ended before it did.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// There was nobody to ask.
    #[error("update needs a confirmation, and there is no terminal to ask on")]
    Unconfirmed,
    /// So many items are outdated, and the settings want them updated by hand.
    #[error("the context is outdated: {0}")]
    Outdated(String),
}

impl Halt {
    /// The exit code, the word in JSON and the next command.
    pub(super) fn verdict(&self) -> (ExitCode, &'static str, &'static str) {
        match self {
            Self::Unconfirmed => (
                ExitCode::Declined,
                "unconfirmed",
                "`plandex update --yes`; nothing was changed",
            ),
            Self::Outdated(_) => (
                ExitCode::Drifted,
                "context_outdated",
                "`plandex update`, or run it with `--auto-update-context`; nothing was sent",
            ),
        }
    }
}

/// An entry for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryDocument {
    id: String,
    name: String,
    kind: &'static str,
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    tokens: i64,
    size: i64,
    hash: String,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<&'static str>,
}

impl EntryDocument {
    fn new(entry: &Context, fresh: Option<&Freshness>) -> Self {
        Self {
            id: entry.id.clone(),
            name: entry.name.clone(),
            kind: entry.kind.word(),
            path: entry.path.clone(),
            url: entry.origin.url.clone(),
            link: entry.origin.link.clone(),
            detail: entry.origin.detail.map(context::Detail::word),
            tokens: entry.tokens,
            size: entry.size,
            hash: entry.hash.clone(),
            created_at: rfc3339(entry.created_at),
            updated_at: rfc3339(entry.updated_at),
            freshness: fresh.map(|fresh| match fresh {
                Freshness::Fresh => "fresh",
                Freshness::Changed => "outdated",
                Freshness::Missing => "missing",
                Freshness::Unknown(_) => "unknown",
            }),
        }
    }
}

/// Something that is not shown, for programs.
#[derive(Serialize)]
struct SkippedDocument {
    path: String,
    reason: &'static str,
    message: String,
}

fn skipped_documents(skipped: &[Skipped]) -> Vec<SkippedDocument> {
    let document = |skipped: &Skipped| SkippedDocument {
        path: skipped.path.clone(),
        reason: skipped.reason.word(),
        message: skipped.reason.to_string(),
    };
    skipped.iter().map(document).collect()
}

/// The estimated tokens of all `entries`.
fn tokens_of(entries: &[Context]) -> u64 {
    entries
        .iter()
        .map(|entry| entry.tokens.unsigned_abs())
        .sum()
}

/// What the model that is configured takes; `None` if there is none, or its window is not known.
fn budget(cli: &Cli, project: &Project) -> Option<Budget> {
    // Whether it can be asked is found out when it is.
    let chosen = ModelChoice::default().choose(cli, project).ok()?;
    Some(Budget {
        model: chosen.name(),
        room: chosen.window?.saturating_sub(chosen.reserve),
        permille: chosen.permille,
    })
}

/// Gets the pages at `urls`, saying so on a terminal: it may take seconds.
fn fetch_all(cli: &Cli, urls: &[String]) -> Result<Vec<Loaded>> {
    let progress = cli.ui.progress();
    urls.iter()
        .map(|url| {
            if cli.ui.is_live() {
                progress.say(&format!("fetching {url}"), "");
            }
            context::fetch(url)
        })
        .collect()
}

/// The directory that this command stands in, relative to the root, with '/'.
fn below(cli: &Cli, project: &Project) -> String {
    let cwd = cli.cwd.strip_prefix(&project.root);
    cwd.map_or_else(
        |_| String::new(),
        |below| below.to_string_lossy().into_owned(),
    )
}

/// A reading that was called off ends as the wait before it would have.
fn called_off(error: anyhow::Error, cancel: &Cancel) -> anyhow::Error {
    match (error.downcast_ref(), cancel.reason()) {
        (Some(ContextError::Cancelled), Some(reason)) => LockError::Cancelled(reason).into(),
        _ => error,
    }
}

/// The next command after a mistake in the arguments.
pub(super) fn hint(error: &ContextError) -> &'static str {
    match error {
        ContextError::IsDirectory(_) => {
            "load the files in it with `plandex load -r DIRECTORY`, its paths with `--tree`"
        }
        ContextError::Ignored(_) => "load it all the same with `plandex load -f PATH`",
        ContextError::Missing(_) | ContextError::NoMatch(_) => {
            "paths are relative to the current directory; nothing was loaded"
        }
        ContextError::TooMany(_) | ContextError::TooMuch(_) => {
            "name fewer files; nothing was loaded"
        }
        ContextError::TooManyItems { .. } => {
            "name fewer files, or raise the limit with `--max-items N`; nothing was loaded"
        }
        ContextError::OverBudget { .. } => {
            "nothing was loaded; make room with `plandex rm`, load less (`--tree`, `--map`), or use a \
             model with a larger window"
        }
        ContextError::NoMaps => {
            "build it with `cargo build --release --features maps`, or use `--tree`"
        }
        ContextError::OutsideProject(_)
        | ContextError::Reserved(_)
        | ContextError::BadPattern { .. }
        | ContextError::Empty(_)
        | ContextError::NotText { .. }
        | ContextError::Cancelled => "nothing was loaded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::cancel::Reason;

    #[test]
    fn a_reading_that_was_called_off_ends_with_the_reason_and_other_errors_stay() {
        let cancel = Cancel::new().unwrap();
        let still = called_off(ContextError::Cancelled.into(), &cancel);
        assert!(still.is::<ContextError>());
        cancel.set(Reason::HungUp);
        let ended = called_off(ContextError::Cancelled.into(), &cancel);
        let reason = ended.downcast_ref::<LockError>();
        assert!(matches!(reason, Some(LockError::Cancelled(Reason::HungUp))));
        assert!(called_off(ContextError::TooMany(1).into(), &cancel).is::<ContextError>());
    }
}
