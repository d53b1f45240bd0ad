//! `apply --commit`: what was written, and nothing else, becomes a commit.

use anyhow::Result;

use super::args::Apply;
use crate::apply::git::{self, Before, Committed, GitError, Waiting};
use crate::apply::{Applied, Classified};
use crate::cli::exit::ExitCode;
use crate::cli::operate::hear_signals;
use crate::cli::session::Cli;
use crate::project::{Project, Selected};
use crate::ui::{Style, Text, render};

/// What became of the commit.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) committed: Committed,
    /// Why git did not commit.
    pub(super) error: Option<String>,
    /// What git and its hooks said then.
    said: String,
    /// How the command ends because of it, if it was called off.
    stopped: Option<ExitCode>,
    /// Whether there was anything to commit.
    is_asked: bool,
}

/// Looks at the repository before anything is written, if it is to be committed: by the flag, else
/// by the setting. Where there is no repository the flag fails, and the setting says so.
pub(super) fn wanted(
    cli: &Cli,
    args: &Apply,
    project: &Project,
    classified: &[Classified],
) -> Result<Option<Before>> {
    if args.commit {
        return look(project, classified).map(Some);
    }
    if args.skip_commit || !cli.settings(project)?.auto_commit {
        return Ok(None);
    }
    match look(project, classified) {
        Err(error) if matches!(error.downcast_ref(), Some(GitError::NoRepository)) => {
            cli.ui
                .warning("auto-commit: nothing is committed, because this is no git repository");
            Ok(None)
        }
        looked => looked.map(Some),
    }
}

/// Looks at the repository before anything is written; fails if there is none.
fn look(project: &Project, classified: &[Classified]) -> Result<Before> {
    let paths: Vec<&str> = classified
        .iter()
        .map(|one| one.change.path.as_str())
        .collect();
    Ok(git::look(&project.root, &paths)?)
}

/// Commits what was written.
pub(super) fn commit(
    cli: &Cli,
    project: &std::sync::Arc<Project>,
    selected: &Selected,
    before: &Before,
    (applied, message): (&Applied, Option<&str>),
) -> Result<Outcome> {
    if applied.written.is_empty() {
        return Ok(Outcome::default());
    }
    let signals = match cli.is_line() {
        true => None,
        false => Some(hear_signals(cli, project)?),
    };
    let waiting = Waiting {
        patience: cli.patience(project)?,
        cancel: &project.cancel,
    };
    let message = |paths: &[&str]| match message {
        Some(message) => message.to_owned(),
        None => git::message(&selected.plan.name, paths),
    };
    let made = git::commit(
        (&project.root, project.dir()),
        before,
        &applied.written,
        message,
        &waiting,
    );
    drop(signals);
    let mut outcome = Outcome {
        is_asked: true,
        ..Outcome::default()
    };
    match made {
        Ok(committed) => outcome.committed = committed,
        Err(error) => {
            outcome.stopped = project.cancel.reason().map(ExitCode::from);
            outcome.error = Some(error.to_string());
            if let GitError::Refused { said } = error {
                outcome.said = said;
            }
        }
    }
    Ok(outcome)
}

impl Outcome {
    /// How the command ends, if not as the files say.
    pub(super) fn code(&self) -> Option<ExitCode> {
        let is_short = self.error.is_some() || !self.committed.left_out.is_empty();
        self.stopped.or(is_short.then_some(ExitCode::Partial))
    }

    /// Says what became of it.
    pub(super) fn say(&self, cli: &Cli) {
        if let Some(error) = &self.error {
            if !self.said.is_empty() {
                cli.ui
                    .pass_on(b"", format!("{}\n", plain(&self.said)).as_bytes());
            }
            cli.ui
                .error(format!("{error}; the files are applied, and not committed"));
            cli.ui.hint(
                "see to it, then commit them with `git commit --only`, or `plandex apply --undo`",
            );
            return;
        }
        if let Some(hash) = &self.committed.hash {
            let short = hash.get(..10).unwrap_or(hash);
            let files = render::counted(self.committed.paths.len() as u64, "file");
            let sign = Text::styled(Style::Green, cli.ui.signs().ok);
            cli.ui
                .line(sign.plain(format!(" {files} committed as {short}")));
        } else if self.is_asked && self.committed.left_out.is_empty() {
            cli.ui
                .note("Nothing to commit: git has these files already");
        }
        for one in &self.committed.left_out {
            let warning = format!("{} is not in the commit: it {}", one.path, one.why);
            cli.ui.warning(warning);
        }
        if !self.committed.left_out.is_empty() {
            cli.ui.hint(
                "those files are applied: look at them with `git diff HEAD -- FILES`, and commit what \
                 you want of them",
            );
        }
    }
}

/// What a program said, without what a terminal would obey.
fn plain(said: &str) -> String {
    let is_shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    said.chars().filter(is_shown).collect()
}
