//! `plandex man`: the man pages, made of what `--help` says.
//!
//! Nothing is written here that help does not say, but for the tables of plandex(1); the same
//! binary makes the same bytes whenever and wherever it is run.

mod page;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::exit::ExitCode;
use super::help::CONCURRENCY;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::platform::file;
use page::Page;

/// `plandex man`
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the page is shown as `man` shows it; elsewhere it is printed as roff.

Examples:
  plandex man                              plandex(1)
  plandex man tell                         plandex-tell(1)
  plandex man concurrency                  plandex-concurrency(7)
  plandex man apply | man -l -             through a pipe
  plandex man --dir ~/.local/share/man     all of them, for `man plandex-tell`

Exit codes: 0 done, 1 a file could not be written, 2 there is no such command.")]
pub(super) struct Man {
    /// A command, or \"concurrency\"; else plandex itself.
    #[arg(value_name = "COMMAND|TOPIC")]
    command: Vec<String>,
    /// Write all pages below this directory, into man1 and man7.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// `plandex man [COMMAND] [--dir DIR]`
pub(super) fn man(cli: &Cli, args: &Man) -> Result<ExitCode> {
    let pages = page::all()?;
    if let Some(dir) = &args.dir {
        return write(cli, &pages, &cli.cwd.join(dir));
    }
    let page = find(pages, &args.command)?;
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION,
            "name": page.name, "section": page.section, "roff": page.roff,
        }));
    } else if cli.ui.can_page() {
        cli.ui
            .paged("man -l -", |ui| ui.pass_on(page.roff.as_bytes(), &[]));
    } else {
        cli.ui.pass_on(page.roff.as_bytes(), &[]);
    }
    Ok(ExitCode::Done)
}

/// The page of the command that `words` name, by its own name or another.
fn find(pages: Vec<Page>, words: &[String]) -> Result<Page> {
    let whole = super::overview::command();
    let mut command = &whole;
    let mut name = "plandex".to_owned();
    for word in words {
        name.push('-');
        match command.find_subcommand(word) {
            Some(found) => {
                command = found;
                name.push_str(found.get_name());
            }
            None => name.push_str(word),
        }
    }
    let found = pages.into_iter().find(|page| page.name == name);
    found.ok_or_else(|| {
        let words = format!("there is no man page for {:?}", words.join(" "));
        let hint = format!("a command of `plandex help`, or `{}`", CONCURRENCY.0);
        UsageError::new(words, hint).into()
    })
}

fn write(cli: &Cli, pages: &[Page], dir: &Path) -> Result<ExitCode> {
    for page in pages {
        let below = dir.join(format!("man{}", page.section));
        std::fs::create_dir_all(&below)
            .with_context(|| format!("making the directory {}", below.display()))?;
        let path = below.join(format!("{}.{}", page.name, page.section));
        file::write_atomic(&path, page.roff.as_bytes(), 0o644)?;
    }
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "pages": pages.len(), "dir": dir.to_string_lossy(),
        }));
    } else {
        let (count, dir) = (pages.len(), dir.display());
        cli.ui.note(format!("Wrote {count} man pages below {dir}"));
    }
    Ok(ExitCode::Done)
}
