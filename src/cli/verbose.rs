//! Where the verbose log goes, and what of it is on.

use anyhow::{Result, anyhow};

use crate::config::Environment;
use crate::platform::{log, signal};
use crate::ui::Ui;

/// `-vv` is so many.
const EVERYTHING: u8 = 2;

/// Starts the log as PLANDEX_LOG, PLANDEX_LOG_FILE and `-vv` say, and makes SIGUSR1 harmless.
///
/// A log file that cannot be opened or written costs one warning, and the work goes on.
pub(super) fn start(ui: &Ui, environment: &Environment, verbosity: u8) -> Result<()> {
    let on = match &environment.log {
        Some(text) => log::topics(text).map_err(|word| unknown(&word))?,
        None if environment.log_file.is_some() => u8::MAX,
        None => 0,
    };
    let on = if verbosity >= EVERYTHING { u8::MAX } else { on };
    let to_stderr =
        |ui: Ui| -> log::Out { Box::new(move |lines: &str| ui.pass_on(b"", lines.as_bytes())) };
    match &environment.log_file {
        None => log::start(on, to_stderr(ui.clone())),
        Some(path) => {
            let (warned, shown) = (ui.clone(), path.display().to_string());
            let failed = move |error: &std::io::Error| {
                warned.warning(format!("the log {shown} is not whole: {error}"));
            };
            match log::file(path, failed) {
                Ok(out) => log::start(on, out),
                Err(error) => {
                    let path = path.display();
                    ui.warning(format!("there is no log: cannot open {path}: {error}"));
                    // What SIGUSR1 asks for still has a way out.
                    log::start(0, to_stderr(ui.clone()));
                }
            }
        }
    }
    signal::survive_questions()
}

fn unknown(word: &str) -> anyhow::Error {
    let known: Vec<&str> = log::TOPICS.iter().map(|(name, _)| *name).collect();
    anyhow!(
        "reading PLANDEX_LOG: there is no topic {word:?} (known: {}, all)",
        known.join(", ")
    )
}
