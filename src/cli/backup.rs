//! `backup`, `restore`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use super::exit::ExitCode;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::project::backup::{self, Existing};
use crate::project::{self, ProjectError};
use crate::ui::render;

/// `plandex backup`
#[derive(Debug, Args)]
#[command(
    after_help = "One tar file, readable by its owner alone: the database as SQLite copies it, and the objects of \
        every plan's repository, deleted plans' too until they are pruned. Nobody is kept waiting, and \
        what is in it is consistent: the state of one moment after the command began. Left out: the \
        originals of past applies.\n\n\
        Examples:\n  plandex backup ../work.plandex\n  plandex backup \"$HOME/backups/$(date +%F).plandex\"\n\n\
        Exit codes: 0 the file is there and durable; 1 it is not, and nothing is left of it; 2 a file of \
        that name is there already."
)]
pub(super) struct Backup {
    /// The file to make; it must not exist.
    file: PathBuf,
}

/// `plandex restore`
#[derive(Debug, Args)]
#[command(
    after_help = "Everything is unpacked beside the project and checked (digest, database, every version) before \
        it gets its place; a file that is cut off or damaged changes nothing. Files of your project are \
        not touched.\n\n\
        Examples:\n  plandex restore ../work.plandex           where there is no project yet\n  plandex \
        restore ../work.plandex --force   in the place of the one that is here, which is kept aside\n\n\
        Exit codes: 0 restored; 1 not a whole backup, nothing was changed; 2 there is a project (give \
        --force); 75 operations run or wait on it."
)]
pub(super) struct Restore {
    /// What `plandex backup` made.
    file: PathBuf,
    /// Move the .plandex that is here aside first; refused while operations run or wait.
    #[arg(long)]
    force: bool,
}

/// `plandex backup FILE`
pub(super) fn backup(cli: &Cli, args: &Backup) -> Result<ExitCode> {
    let project = cli.open()?;
    let to = cli.cwd.join(&args.file);
    if to.exists() {
        let message = format!("{} exists already", to.display());
        let hint = "choose another name, or move it away; nothing was written";
        return Err(UsageError::new(message, hint).into());
    }
    let progress = cli.ui.progress();
    let made = backup::backup(&project.store, &to, &mut |done, all| {
        progress.say("Backing up", &format!("{done}/{all} plans"));
    });
    drop(progress);
    let made = made.with_context(|| format!("backing up to {}", to.display()))?;
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "file": to, "plans": made.plans, "files": made.files,
        }));
    } else {
        let noun = if made.plans == 1 { "plan" } else { "plans" };
        let size = to.metadata().map_or(0, |file| file.len());
        cli.ui.line(format!(
            "Backed up {} {noun} to {} ({})",
            made.plans,
            to.display(),
            render::size(size)
        ));
        let name = crate::config::quoted(&args.file.display().to_string());
        cli.ui.hint(format!(
            "`plandex restore {name}` makes a project of it, where there is none"
        ));
    }
    Ok(ExitCode::Done)
}

/// `plandex restore FILE [--force]`
pub(super) fn restore(cli: &Cli, args: &Restore) -> Result<ExitCode> {
    let named = cli.environment.plandex_dir.as_deref();
    let place = match crate::doctor::locate(&cli.cwd, named) {
        Ok(place) => place,
        Err(error) if error.is::<ProjectError>() => project::place_for_new(&cli.cwd, named)?,
        Err(error) => return Err(error),
    };
    let existing = if args.force {
        Existing::MoveAside
    } else {
        Existing::Refuse
    };
    let made = backup::restore(&place, &cli.cwd.join(&args.file), existing)?;
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "directory": place.dir, "plans": made.plans,
            "movedAside": made.moved_aside,
        }));
        return Ok(ExitCode::Done);
    }
    let noun = if made.plans == 1 { "plan" } else { "plans" };
    cli.ui.line(format!(
        "Restored {} {noun} to {}",
        made.plans,
        place.dir.display()
    ));
    if let Some(aside) = &made.moved_aside {
        cli.ui
            .note(format!("What was there is in {}", aside.display()));
    }
    Ok(ExitCode::Done)
}
