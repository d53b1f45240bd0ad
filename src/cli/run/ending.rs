//! How a run ended: every error once (SEED.md 4.3.2), the next command, the exit code.

use std::fmt::Write as _;

use anyhow::{Context as _, Error, Result};

use super::super::exit::ExitCode;
use super::super::session::Cli;
use crate::plan::{Report, TellError, Told};
use crate::store::messages::State;
use crate::ui::render;

/// So many errors are named; `status` has them all.
const NAMED: usize = 10;

/// The hint after a reply of which a part came.
const GO_ON: &str = "the partial reply is kept: see `plandex convo`, go on with `plandex continue`";

/// Says what a run came to whose last event means `code`, and the next command.
pub(super) fn conclude(cli: &Cli, told: Told, code: Option<ExitCode>) -> Result<ExitCode> {
    let code = code.context("the run has no last event")?;
    if cli.json {
        return match told.failure {
            Some(failure) => Err(Error::from(failure).context(TellError::ReplyFailed)),
            None => Ok(code),
        };
    }
    came_to(cli, &told.report, told.state.word());
    if let Some(hint) = told
        .failure
        .as_ref()
        .and_then(|failure| failure.hint.clone())
    {
        cli.ui.hint(hint);
    }
    Ok(code)
}

/// What a run came to whose last reply ended in `state`.
pub(super) fn came_to(cli: &Cli, report: &Report, state: &str) {
    let ui = &cli.ui;
    let is = |one: State| state == one.word();
    if is(State::Stopped) {
        ui.note("Stopped");
    }
    if report.errors.is_empty() && report.chat {
        // An answer is all there is to it.
    } else if report.errors.is_empty() {
        ui.note(match (report.built, report.kept) {
            (0, 0) => "No changes".to_owned(),
            (0, kept) => format!("{} kept for `plandex build`", files(kept)),
            (built, _) => format!("{} pending", files(built)),
        });
    } else {
        ui.refusal(failed(report));
    }
    let is_cut = [State::Stopped, State::Truncated, State::Error].map(is);
    if is_cut.contains(&true) {
        ui.hint(match report.partial {
            true => GO_ON,
            false => "ask again with `plandex continue`",
        });
    } else if is(State::Refused) {
        ui.hint("ask in other words; what came of the reply is kept: see `plandex convo`");
    } else if report.failed > 0 {
        ui.hint(
            "mend the files and `plandex build` again, or say what they need with `plandex tell`",
        );
    }
    if report.built > 0 {
        ui.hint("look with `plandex diff`, write them with `plandex apply`");
    }
}

fn files(count: usize) -> String {
    render::counted(count as u64, "file")
}

/// SEED.md 4.3.2's block, with true values; what there were no file changes of, it does not count.
fn failed(report: &Report) -> String {
    let is_partial = report.completed() > 0 || report.partial;
    let mut text = match is_partial {
        true => "Operation failed after partial completion.\n\n",
        false => "Operation failed.\n\n",
    }
    .to_owned();
    for error in report.errors.iter().take(NAMED) {
        line(&mut text, &format!("Error: {error}"));
    }
    if let Some(more) = report
        .errors
        .len()
        .checked_sub(NAMED)
        .filter(|more| *more > 0)
    {
        line(&mut text, &format!("Error: and {more} more"));
    }
    let (completed, total) = (report.completed(), report.total());
    if total > 0 {
        line(
            &mut text,
            &format!("Completed: {completed}/{total} file changes"),
        );
    }
    if !report.remaining.is_empty() {
        let left = files(report.remaining.len());
        line(&mut text, &format!("Remaining: {left} skipped"));
    }
    text.push_str("\nRun 'plandex status' for details.");
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string never fails.
    writeln!(text, "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_has_the_seeds_words_and_true_counts() {
        let report = Report {
            built: 11,
            unchanged: 1,
            failed: 0,
            remaining: ["a", "b", "c"].map(str::to_owned).to_vec(),
            errors: vec!["the reply was cut off".to_owned()],
            ..Report::default()
        };
        assert_eq!(
            failed(&report),
            "Operation failed after partial completion.\n\n\
             Error: the reply was cut off\n\
             Completed: 12/15 file changes\n\
             Remaining: 3 files skipped\n\n\
             Run 'plandex status' for details."
        );
    }

    #[test]
    fn nothing_is_counted_where_there_was_nothing_to_change() {
        let report = Report {
            errors: vec!["refused".to_owned(); 12],
            ..Report::default()
        };
        let text = failed(&report);
        assert!(
            text.starts_with("Operation failed.\n\nError: refused\n"),
            "{text}"
        );
        assert!(text.contains("Error: and 2 more\n\nRun"), "{text}");
    }
}
