//! `hook install`, `hook uninstall`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::Where;
use crate::config;
use crate::hook::{self, Change, Commands, Whose};

/// `plandex hook install [--user | --project]`
pub(super) fn install(cli: &Cli, at: Where) -> Result<ExitCode> {
    let (whose, path) = place(cli, at)?;
    let commands = commands(whose)?;
    let change = hook::install(&path, whose, &commands)
        .with_context(|| format!("installing hooks in {}", path.display()))?;
    said(cli, &path, &change, true);
    if !cli.json {
        match change {
            Change::None => cli
                .ui
                .line(format!("The hooks are in {} already", path.display())),
            Change::Changed | Change::Made | Change::Removed => {
                cli.ui
                    .line(format!("Installed hooks in {}", path.display()));
                cli.ui.hint("`plandex hook log` shows what they note, `plandex hook uninstall` takes them out");
            }
        }
    }
    Ok(ExitCode::Done)
}

/// `plandex hook uninstall [--user | --project]`
pub(super) fn uninstall(cli: &Cli, at: Where) -> Result<ExitCode> {
    let (_, path) = place(cli, at)?;
    let change = hook::uninstall(&path)
        .with_context(|| format!("taking hooks out of {}", path.display()))?;
    said(cli, &path, &change, false);
    if !cli.json {
        cli.ui.line(match change {
            Change::None => format!("There are no hooks of plandex in {}", path.display()),
            Change::Changed | Change::Made => {
                format!("Took the hooks out of {}", path.display())
            }
            Change::Removed => format!("Removed {}: there was nothing else in it", path.display()),
        });
    }
    Ok(ExitCode::Done)
}

fn said(cli: &Cli, path: &Path, change: &Change, installed: bool) {
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "file": path, "installed": installed,
            "changed": *change != Change::None,
        }));
    }
}

fn place(cli: &Cli, at: Where) -> Result<(Whose, PathBuf)> {
    let (whose, dir) = if at.user {
        let home = cli.environment.home.clone();
        (
            Whose::User,
            home.context("HOME is not set to an absolute path")?,
        )
    } else {
        (Whose::Project, root(&cli.cwd))
    };
    Ok((whose, dir.join(".claude").join("settings.json")))
}

/// The nearest directory above that is a repository's or a plandex project's; else this one.
fn root(cwd: &Path) -> PathBuf {
    let is_root = |dir: &&Path| {
        let marks = [".git", ".plandex"];
        marks
            .iter()
            .any(|mark| dir.join(mark).symlink_metadata().is_ok())
    };
    cwd.ancestors().find(is_root).unwrap_or(cwd).to_owned()
}

/// What the host is to run: this very program for this user, the program of that name for everybody
/// who works on the project.
fn commands(whose: Whose) -> Result<Commands> {
    let (path, _) = config::this_command()?;
    let is_named = path.file_name().is_some_and(|name| name == "plandex");
    let program = match (whose, path.to_str()) {
        (Whose::User, Some(path)) if is_named => config::quoted(path),
        _ => "plandex".to_owned(),
    };
    Ok(Commands { program })
}
