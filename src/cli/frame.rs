//! The frame around a stream of JSON lines (MODEL.md §7): the first line says what is run, the last
//! one how it ended, whatever happens in between.
//!
//! A command that writes such a stream says so once, in [`is_stream`]; the first line is printed as
//! soon as signals are heard, or at the end if nothing came so far, the last one by whoever
//! concludes the command. Nothing follows a closed stdout.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;

use super::args::Command;
use super::exit::ExitCode;
use super::session::{Cli, SCHEMA_VERSION};

/// What the first line says of the work, as far as it is known.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// The plan's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan_id: Option<String>,
    /// The branch's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    /// Who answers: the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    /// What decided both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider_source: Option<String>,
    /// The project's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    r#type: &'static str,
    schema_version: u32,
    plandex: &'static str,
    cwd: String,
    command: String,
    #[serde(flatten)]
    about: &'a About,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    r#type: &'static str,
    schema_version: u32,
    exit_code: u8,
}

/// The command writes no stream; its first line is still to come; it was printed.
const NONE: u8 = 0;
const DUE: u8 = 1;
const BEGUN: u8 = 2;

/// One command's frame: how far it is, and what its first line says.
#[derive(Debug, Default)]
pub(super) struct Frame {
    state: AtomicU8,
    about: OnceLock<About>,
}

impl Frame {
    /// Whether it was `from`; it is `to` then.
    fn moved(&self, from: u8, to: u8) -> bool {
        let order = Ordering::Relaxed;
        self.state.compare_exchange(from, to, order, order).is_ok()
    }
}

/// Whether `command` writes a stream of lines with `--json`; all others write one document.
fn is_stream(command: &Command) -> bool {
    let asks = command.asking();
    asks.is_some_and(|asking| !asking.only_prints())
        || matches!(
            command,
            Command::Apply(_)
                | Command::Batch(_)
                | Command::Build(_)
                | Command::Connect(_)
                | Command::Events(_)
        )
}

impl Cli {
    /// Prepares the frame of `command`, if it has one.
    pub(super) fn expect_stream(&self, command: &Command) {
        // One in the background has but one thing to say, and that is another's to print; what frames
        // a line of a batch is the batch's own object about it.
        let is_apart = self.detached().is_some() || self.is_line();
        if self.json && !is_apart && is_stream(command) {
            self.frame().moved(NONE, DUE);
        }
    }

    /// Says what the command is about, before its stream begins.
    pub(super) fn stream_about(&self, about: About) {
        // The first word stands.
        self.frame().about.set(about).ok();
    }

    /// What was said that the command is about.
    pub(super) fn about(&self) -> About {
        self.frame().about.get().cloned().unwrap_or_default()
    }

    /// The command prints one document after all.
    pub(super) fn no_stream(&self) {
        self.frame().moved(DUE, NONE);
    }

    /// Prints the first line, if it is due.
    pub(super) fn begin_stream(&self) {
        if self.frame().moved(DUE, BEGUN) {
            let started = Started {
                r#type: "session.started",
                schema_version: SCHEMA_VERSION,
                plandex: env!("CARGO_PKG_VERSION"),
                cwd: self.cwd.to_string_lossy().into_owned(),
                command: self.command_line(),
                about: &self.about(),
            };
            self.ui.json(&self.stamped(&started));
        }
    }

    /// Prints the last line of a command that ends with `code`, if it has a frame.
    pub(super) fn end_stream(&self, code: ExitCode) {
        self.begin_stream();
        if self.frame().moved(BEGUN, NONE) && !self.ui.stdout_closed() {
            let ended = Ended {
                r#type: "session.ended",
                schema_version: SCHEMA_VERSION,
                exit_code: code.code(),
            };
            self.ui.json(&self.stamped(&ended));
        }
    }
}
