//! `hook capture`: nothing on standard output, and never exit code 2.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::exit::ExitCode;
use super::super::overview;
use crate::config::{self, Environment};
use crate::hook::{self, Captured, Event, Surroundings};
use crate::platform::cancel::Cancel;
use crate::platform::stdin;
use crate::ui::{Ui, UiSettings};

/// How long the host's JSON is waited for.
const INPUT_WAIT: Duration = Duration::from_secs(1);

/// Whether the command line, which cannot be understood, is meant to be a `hook capture`.
pub(in crate::cli) fn is_asked() -> bool {
    let command = overview::command();
    let words = config::plain_words();
    let is_command = |word: &&String| command.find_subcommand(word).is_some();
    let mut words = words.iter().skip_while(|word| !is_command(word));
    words.next().is_some_and(|word| word == "hook")
        && words.next().is_some_and(|word| word == "capture")
}

/// Says what is wrong with the words of a `hook capture`.
pub(in crate::cli) fn wrong_words(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let ui = ui(&Environment::default());
    let mut lines = text.trim_start_matches("error: ").lines();
    ui.error(lines.next().unwrap_or_default().trim());
    ui.hint("`plandex hook capture start` or `plandex hook capture end`");
    ExitCode::Failed
}

/// `plandex hook capture start|end`
pub(in crate::cli) fn capture(event: Event) -> ExitCode {
    let ui = ui(&Environment::default());
    match captured(event) {
        Ok(captured) => {
            for remark in captured.remarks {
                ui.warning(remark);
            }
            ExitCode::Done
        }
        Err(error) => {
            ui.error(format!("{error:#}"));
            ui.hint(
                "nothing was noted of the session; `plandex hook capture --help` says where to",
            );
            ExitCode::Failed
        }
    }
}

/// Variables of other commands may say what they like.
fn ui(environment: &Environment) -> Ui {
    Ui::new(&UiSettings::new(environment))
}

fn captured(event: Event) -> Result<Captured> {
    let input = match stdin::piped(&Cancel::new()?).context("reading standard input")? {
        Some(piped) => piped
            .read_within(INPUT_WAIT, hook::INPUT_MAX, hook::is_whole)
            .context("reading standard input")?,
        None => Vec::new(),
    };
    let around = Surroundings {
        project: config::session_dir(),
        cwd: config::current_dir().ok(),
    };
    hook::capture(event, &input, &around)
}
