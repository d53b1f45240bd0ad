//! What this process was told from outside: its environment, read once, and its settings files.
//!
//! The one hard rule: nobody else reads the environment, so that a test can say what a process
//! saw and a command's behaviour follows from one value. Nothing is ignored silently: a variable
//! or a key of ours that cannot be understood is an error that names it.

mod environment;
mod keys;
mod models;
mod secret;
mod settings;
mod token;
mod wait;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;

pub use environment::{BACKGROUND, EditorFrom, Environment};
pub use keys::{Key, Level, SETTINGS, Takes, edited, setting};
pub use models::{
    CommandWords, KeySource, ModelEnvironment, ModelSettings, Origin, parse_duration,
    secret_variable,
};
pub use secret::Secret;
pub use settings::{MAX_FILE_SIZE_DEFAULT, Settings, Shown, parse_size};
pub use token::LockToken;
pub use wait::{WAIT_DEFAULT, WAIT_LONGEST, Wait, parse_wait};

/// The directory this process was started in; an error if it has been removed since.
pub fn current_dir() -> Result<PathBuf> {
    std::env::current_dir().context("finding the current directory")
}

/// The directory that an agent says its session is about (`CLAUDE_PROJECT_DIR`), if there is one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn session_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("CLAUDE_PROJECT_DIR")?);
    dir.is_dir().then_some(dir)
}

/// The zone that people's times are shown in: TZ if it is set, else /etc/localtime, read alone.
/// Asking for the system's zone by name reads the whole zone database, which takes milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    std::fs::read("/etc/localtime")
        .ok()
        .and_then(|bytes| TimeZone::tzif("Local", &bytes).ok())
        .unwrap_or(TimeZone::UTC)
}

/// This program, and the arguments it was given, for starting it once more.
pub fn this_command() -> Result<(PathBuf, Vec<OsString>)> {
    let program = std::env::current_exe().context("finding this program")?;
    Ok((program, std::env::args_os().skip(1).collect()))
}

/// This process's command line as it could be typed again, for people.
pub fn command_line() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words = words.map(|word| quoted(&word));
    std::iter::once(name)
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// This process's words that are no options, before any `--`: for a mistake that keeps the command
/// line from being understood.
pub fn plain_words() -> Vec<String> {
    let words = std::env::args_os().skip(1).take_while(|word| word != "--");
    let words = words.map(|word| word.to_string_lossy().into_owned());
    words.filter(|word| !word.starts_with('-')).collect()
}

/// Whether `word` is one of this process's command line, before any `--`: for a mistake that keeps
/// the command line from being understood.
pub fn has_word(word: &str) -> bool {
    let mut words = std::env::args_os().skip(1).take_while(|word| word != "--");
    words.any(|one| one == word)
}

/// A word as a shell would take it, in single quotes if it must be.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
