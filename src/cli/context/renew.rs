//! The look at the context before a model is asked.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::super::session::Cli;
use super::update::{ChangeDocument, documents, of_branch, show};
use super::{Halt, SkippedDocument, called_off, skipped_documents};
use crate::context::{self, Compared, Source};
use crate::model::{Chosen, Provider};
use crate::platform::cancel::Cancel;
use crate::project::{Project, Selected, Turn};
use crate::store::tickets::WritePermit;
use crate::ui::{Confirmed, Preset, render};

/// What a run does about outdated context.
#[derive(Debug, Clone)]
pub(in super::super) enum Renewing {
    /// Nothing: it is true, nobody is shown it, or it is sent as it was loaded.
    Not,
    /// It is loaded again under the run's own turn.
    First {
        /// Where the command stands.
        cwd: PathBuf,
        /// Longer files stay as they were.
        max_file_bytes: u64,
    },
}

/// What the settings say about outdated context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AutoUpdate {
    /// It is loaded again.
    Yes,
    /// A person is asked; without one, the run is refused.
    No,
    /// A person is asked; without one, the run says so and goes on.
    Unsaid,
}

impl AutoUpdate {
    /// What the flag says, else the settings.
    fn of(cli: &Cli, project: &Project, flag: Option<bool>) -> Result<Self> {
        Ok(match flag {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None if cli.settings(project)?.auto_update_context => Self::Yes,
            None if cli.is_set(project, "auto-update-context")? => Self::No,
            None => Self::Unsaid,
        })
    }
}

impl Renewing {
    /// Looks, before anybody waits, whether what `chosen` is shown is outdated, and what to do then;
    /// `None` if a person called it off.
    ///
    /// Fails with [`Halt::Outdated`] if nobody is there to ask and the settings forbid to go on.
    pub(in super::super) fn decide(
        cli: &Cli,
        project: &Project,
        selected: &Selected,
        chosen: &Chosen,
        flag: Option<bool>,
    ) -> Result<Option<Self>> {
        if !matches!(
            chosen.provider,
            Provider::Endpoint(_) | Provider::Command(_)
        ) {
            return Ok(Some(Self::Not));
        }
        let auto = AutoUpdate::of(cli, project, flag)?;
        let max_file_bytes = cli.settings(project)?.max_file_size;
        let first = || Self::First {
            cwd: cli.cwd.clone(),
            max_file_bytes,
        };
        if auto == AutoUpdate::Yes {
            return Ok(Some(first()));
        }
        let source = Source {
            root: &project.root,
            cwd: &cli.cwd,
            cancel: &Cancel::new()?,
        };
        let entries = of_branch(project, selected)?;
        let compared = context::compare(&source, &entries, max_file_bytes, &[])?;
        if compared.outdated.is_empty() {
            return Ok(Some(Self::Not));
        }
        let items = render::counted(compared.outdated.len() as u64, "item");
        if !cli.json {
            cli.ui.note(format!("Outdated context: {items}"));
            show(cli, project, selected, &compared);
        }
        Ok(match cli.ui.confirm("Update it first?", Preset::Yes) {
            Confirmed::Yes => Some(first()),
            Confirmed::No => Some(Self::Not),
            Confirmed::Cancelled => None,
            Confirmed::NotATerminal if auto == AutoUpdate::No => {
                return Err(Halt::Outdated(items).into());
            }
            Confirmed::NotATerminal => {
                cli.ui.warning(
                    "the model is shown the context as it was loaded; `plandex update` or \
                     --auto-update-context loads it again",
                );
                Some(Self::Not)
            }
        })
    }

    /// Loads again what is outdated, if that is wanted.
    pub(in super::super) fn refresh(
        &self,
        turn: &Turn<'_>,
        permit: &WritePermit,
        branch_name: &str,
    ) -> Result<Option<Compared>> {
        let Self::First {
            cwd,
            max_file_bytes,
        } = self
        else {
            return Ok(None);
        };
        let source = Source {
            root: &turn.project.root,
            cwd,
            cancel: &turn.cancel,
        };
        let refreshing = context::Refreshing {
            max_file_bytes: *max_file_bytes,
            pages: &[],
            only: None,
        };
        context::refresh_branch(turn, permit, branch_name, &source, &refreshing)
            .map(Some)
            .map_err(|error| called_off(error, &turn.cancel))
    }
}

/// Says what a run has loaded again before it asked.
pub(in super::super) fn renewed(
    cli: &Cli,
    project: &Project,
    selected: &Selected,
    compared: &Compared,
) {
    if compared.outdated.is_empty() && compared.skipped.is_empty() {
        return;
    }
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Updated {
            r#type: &'static str,
            updated: Vec<ChangeDocument>,
            skipped: Vec<SkippedDocument>,
        }
        return cli.ui.json(&cli.stamped(&Updated {
            r#type: "context.updated",
            updated: documents(project, selected, &compared.outdated),
            skipped: skipped_documents(&compared.skipped),
        }));
    }
    cli.ui.note("Updated context:");
    show(cli, project, selected, compared);
}
