//! What follows a run by itself: going on with a reply that was cut, writing what was built to the
//! project, or asking what is to be done with it.

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use super::super::args::{Arguments, Command};
use super::super::exit::ExitCode;
use super::super::session::Cli;
use super::super::{apply, diff};
use super::args::{Applying, Edits};
use crate::config::Settings;
use crate::plan::{Building, Report, Told};
use crate::project::{Project, Selected};
use crate::store::messages::State;
use crate::ui::{Choice, Chosen};

/// How often a reply that was cut by its length is gone on with.
pub(super) const GOES_ON: u32 = 3;

const MENU: [Choice<'_>; 3] = [
    Choice {
        letter: 'd',
        title: "Look at the changes",
    },
    Choice {
        letter: 'a',
        title: "Apply them",
    },
    Choice {
        letter: 'l',
        title: "Leave them pending",
    },
];

/// What is done once a run is over: the flags of its command, else the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) building: Building,
    applies: bool,
    passed_on: Option<&'static str>,
    goes_on: bool,
    asks: bool,
}

impl Wishes {
    /// Of a run that builds, if `edits` are its flags; `None` is one that changes nothing.
    pub(super) fn of(cli: &Cli, project: &Project, edits: Option<&Edits>) -> Result<Self> {
        let settings = cli.settings(project)?;
        let builds = match edits {
            Some(edits) => edits.builds().unwrap_or(settings.auto_build),
            None => false,
        };
        let wishes = Self::with(&settings, edits.map(Edits::applying));
        Ok(Self {
            building: match builds {
                true => Building::AtOnce,
                false => Building::Later,
            },
            applies: wishes.applies && builds,
            asks: wishes.asks && builds,
            ..wishes
        })
    }

    /// Of `build`.
    pub(super) fn of_build(cli: &Cli, project: &Project, applying: &Applying) -> Result<Self> {
        Ok(Self::with(&cli.settings(project)?, Some(applying)))
    }

    fn with(settings: &Settings, applying: Option<&Applying>) -> Self {
        Self {
            building: Building::AtOnce,
            applies: applying
                .and_then(Applying::wish)
                .unwrap_or(settings.auto_apply),
            passed_on: applying.and_then(Applying::passed_on),
            goes_on: settings.auto_continue,
            asks: !settings.skip_changes_menu,
        }
    }

    /// Whether the reply was cut by its length alone, and is to be gone on with.
    pub(super) fn goes_on(&self, told: &Told) -> bool {
        self.goes_on && told.state == State::Truncated && told.failure.is_none()
    }

    /// Does what follows a run with this report that ended with `code`; returns how the command
    /// ends. What was not built whole is not written.
    pub(super) fn follow(
        self,
        cli: &Cli,
        selected: &Selected,
        report: &Report,
        code: ExitCode,
    ) -> Result<ExitCode> {
        if code != ExitCode::Done || report.built == 0 {
            return Ok(code);
        }
        // Whatever is chosen meanwhile, it is this branch's changes that were built.
        cli.pin(selected);
        if self.applies {
            return self.apply(cli);
        }
        if self.asks && cli.ui.can_ask() && !cli.is_line() {
            return self.ask(cli);
        }
        Ok(code)
    }

    fn apply(self, cli: &Cli) -> Result<ExitCode> {
        let mut words = vec!["apply", "-y"];
        words.extend(self.passed_on);
        let Command::Apply(args) = parsed(&words)? else {
            bail!("`plandex apply` is another command");
        };
        apply::apply(cli, &args)
    }

    fn ask(self, cli: &Cli) -> Result<ExitCode> {
        loop {
            match cli.ui.choose("What now?", &MENU) {
                Chosen::This(0) | Chosen::AllThatRemain(0) => {
                    if let Command::Diff(args) = parsed(&["diff"])? {
                        diff::diff(cli, &args)?;
                    }
                }
                Chosen::This(1) | Chosen::AllThatRemain(1) => return self.apply(cli),
                Chosen::This(_)
                | Chosen::AllThatRemain(_)
                | Chosen::Nothing
                | Chosen::NotATerminal
                | Chosen::Cancelled => return Ok(ExitCode::Done),
            }
        }
    }
}

/// A command as it would be typed.
fn parsed(words: &[&str]) -> Result<Command> {
    let line = std::iter::once("plandex").chain(words.iter().copied());
    let arguments = Arguments::try_parse_from(line);
    Ok(arguments
        .with_context(|| format!("running `plandex {}`", words.join(" ")))?
        .command)
}
