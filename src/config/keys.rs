//! The settings that people change: their names, their defaults, where each may stand.

use std::path::Path;

use anyhow::{Result, anyhow};
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

use super::settings::{File, parse_size};
use super::wait::parse_wait;

/// Where a setting may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The project's file and the user's.
    Files,
    /// The user's file alone: a project's file may have come with the project, and is not trusted
    /// with what is run.
    UserFile,
    /// The project's database, so that all its processes agree.
    Database,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// true or false.
    Switch,
    /// A command line.
    Line,
    /// How long to wait.
    Wait,
    /// A number of bytes.
    Size,
    /// A length of time that is limited.
    Duration,
    /// A count.
    Count,
}

impl Takes {
    /// The good values, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Line => "a command line, such as \"code --wait\"",
            Self::Wait => "a time such as \"30s\", \"1h30m\", \"0\", \"forever\"",
            Self::Size => "a size such as \"512 KiB\", \"2 MiB\"",
            Self::Duration => "a time such as \"3s\", \"500ms\"",
            Self::Count => "a number from 1 to 1000000",
        }
    }
}

/// A setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub takes: Takes,
    /// Where it may stand.
    pub level: Level,
    /// What it does.
    pub about: &'static str,
}

const fn key(name: &'static str, takes: Takes, level: Level, about: &'static str) -> Key {
    Key {
        name,
        takes,
        level,
        about,
    }
}

/// Every setting that `set-config` changes.
pub const SETTINGS: [Key; 12] = [
    key(
        "auto-build",
        Takes::Switch,
        Level::Files,
        "build the edits of a reply at once",
    ),
    key(
        "auto-apply",
        Takes::Switch,
        Level::Files,
        "write what a run built to the project, as `apply -y`",
    ),
    key(
        "auto-commit",
        Takes::Switch,
        Level::Files,
        "commit what an apply wrote, as `apply --commit`",
    ),
    key(
        "auto-update-context",
        Takes::Switch,
        Level::Files,
        "load outdated context again before a model is asked",
    ),
    key(
        "auto-continue",
        Takes::Switch,
        Level::Files,
        "go on, at most 3 times, when a reply was cut by its length",
    ),
    key(
        "editor",
        Takes::Line,
        Level::UserFile,
        "what a prompt is written in when none is given",
    ),
    key(
        "skip-changes-menu",
        Takes::Switch,
        Level::Files,
        "do not ask after a run what to do with its changes",
    ),
    key(
        "wait",
        Takes::Wait,
        Level::Files,
        "how long a command waits for its turn",
    ),
    key(
        "context.max-file-size",
        Takes::Size,
        Level::Files,
        "larger files are not loaded",
    ),
    key(
        "lock.heartbeat",
        Takes::Duration,
        Level::Database,
        "between two signs of life of who holds a plan",
    ),
    key(
        "lock.lease",
        Takes::Duration,
        Level::Database,
        "how long one is believed; at least 5 heartbeats",
    ),
    key(
        "queue.max",
        Takes::Count,
        Level::Database,
        "how many operations may wait for one plan",
    ),
];

/// The setting called `name`.
pub fn setting(name: &str) -> Option<&'static Key> {
    SETTINGS.iter().find(|key| key.name == name)
}

/// The text of a settings file with `key` set to what `text` says, or without it (`None`); all else
/// stays as it was written, remarks too.
///
/// Fails on a value that the key does not take, and on a file that is not understood (`path` is
/// for that error).
pub fn edited(path: &Path, before: &str, key: &Key, text: Option<&str>) -> Result<String> {
    let broken = |error: &dyn std::fmt::Display| {
        let reason = error.to_string();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        anyhow!("{} is left as it is: {reason}", path.display())
    };
    let mut document: DocumentMut = before.parse().map_err(|error| broken(&error))?;
    let (table, name) = match key.name.split_once('.') {
        None => (document.as_table_mut() as &mut dyn TableLike, key.name),
        Some((table, name)) => {
            let entry = document.entry(table).or_insert(Item::Table(Table::new()));
            let table = entry.as_table_like_mut();
            (table.ok_or_else(|| broken(&"`context` is no table"))?, name)
        }
    };
    match text {
        Some(text) => put(table, name, written(key, text)?),
        None => {
            table.remove(name);
        }
    }
    if let Some((table, _)) = key.name.split_once('.')
        && text.is_none()
        && document
            .get(table)
            .and_then(Item::as_table)
            .is_some_and(Table::is_empty)
    {
        document.remove(table);
    }
    let after = document.to_string();
    // What would not be read again is not written.
    toml::from_str::<File>(&after).map_err(|error| broken(&error.message()))?;
    Ok(after)
}

/// Sets `name`, keeping what stands around the value that it replaces.
fn put(table: &mut dyn TableLike, name: &str, new: toml_edit::Value) {
    if let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) {
        let decor = old.decor().clone();
        *old = new;
        *old.decor_mut() = decor;
        return;
    }
    table.insert(name, value(new));
}

/// `text` as it stands in a file.
fn written(key: &Key, text: &str) -> Result<toml_edit::Value> {
    let refused = || anyhow!("`{}` takes {}, not {text:?}", key.name, key.takes.words());
    let trimmed = text.trim();
    Ok(match key.takes {
        Takes::Switch => switch(trimmed).ok_or_else(refused)?.into(),
        Takes::Line if trimmed.is_empty() => return Err(refused()),
        Takes::Line => trimmed.into(),
        Takes::Wait => {
            parse_wait(trimmed).map_err(|_| refused())?;
            trimmed.into()
        }
        Takes::Size => {
            parse_size(trimmed).ok_or_else(refused)?;
            trimmed.into()
        }
        Takes::Duration | Takes::Count => return Err(refused()),
    })
}

/// "true" and "false" in the words that people have for them.
fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}
