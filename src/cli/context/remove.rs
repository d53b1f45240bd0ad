//! `rm`, `clear`.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::session::{Cli, SCHEMA_VERSION};
use super::EntryDocument;
use crate::context;
use crate::lock::operation::{self, Operation};
use crate::store::ReadTx;
use crate::store::contexts::{self, Context};
use crate::store::tickets::WritePermit;
use crate::ui::render;

/// `plandex rm`
#[derive(Debug, Args)]
#[command(after_help = "\
A word is, the first that fits: the name of an entry; a number or a range of `plandex ls` (`2-5`,
`2-`); a directory, for all that was loaded from it; a pattern (quoted, or the shell takes it).
Nothing is removed unless every word fits something. No file of the project is touched, and
`plandex rewind` brings the entries back.

Examples:
  plandex rm src/main.rs
  plandex rm 2-5 9
  plandex rm 'src/**/*.rs' docs

Exit codes: 0 removed, 2 a word fits nothing, 75 the plan could not be had.")]
pub(in super::super) struct Remove {
    /// Names, numbers, ranges, patterns, directories.
    #[arg(value_name = "ENTRY", required = true)]
    entries: Vec<String>,
}

/// `plandex rm`
pub(in super::super) fn remove(cli: &Cli, args: &Remove) -> Result<ExitCode> {
    let words = args.entries.clone();
    take_out(
        cli,
        operation::REMOVE,
        "Remove",
        move |tx, branch_id, below| context::chosen(tx, branch_id, &words, below),
    )
}

/// `plandex clear`
pub(in super::super) fn clear(cli: &Cli) -> Result<ExitCode> {
    take_out(cli, operation::CLEAR, "Clear", |tx, branch_id, _| {
        contexts::of_branch(tx, branch_id)
    })
}

/// Removes what `choose` names of the branch's entries.
fn take_out(
    cli: &Cli,
    operation: Operation<WritePermit>,
    what: &'static str,
    choose: impl Fn(&ReadTx<'_>, &str, &str) -> Result<Vec<Context>> + Send + 'static,
) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let below = super::below(cli, &project);
    // A number means what it means on the screen now, whoever changes the list before our turn.
    let chosen = project
        .store
        .read(|tx| choose(tx, &selected.branch.id, &below))?;
    let ids: Vec<String> = chosen.into_iter().map(|entry| entry.id).collect();
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation,
    };
    let name = selected.branch.name.clone();
    let removed = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| {
            let branch = turn.branch(&name)?;
            let store = &turn.project.store;
            let entries = store.read(|tx| {
                let found = ids.iter().map(|id| contexts::by_id(tx, &branch.id, id));
                let found: Vec<Option<Context>> = found.collect::<Result<_>>()?;
                Ok(found.into_iter().flatten().collect::<Vec<_>>())
            })?;
            if !entries.is_empty() {
                context::remove(turn, permit, &branch, &entries, what)?;
            }
            Ok(entries)
        },
        |()| {},
    )?;
    let (_, total) = project
        .store
        .read(|tx| contexts::sum(tx, &selected.branch.id))?;
    report(cli, &removed, total);
    Ok(ExitCode::Done)
}

fn report(cli: &Cli, removed: &[Context], total: u64) {
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            removed: Vec<EntryDocument>,
            total_tokens: u64,
        }
        let removed = removed.iter().map(|entry| EntryDocument::new(entry, None));
        return cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            removed: removed.collect(),
            total_tokens: total,
        });
    }
    for entry in removed {
        let tokens = render::tokens(entry.tokens.unsigned_abs());
        cli.ui
            .line(format!("removed {} ({tokens} tokens)", entry.name));
    }
    match removed.len() {
        0 => cli.ui.note("Nothing is loaded"),
        count => {
            let items = render::counted(count as u64, "item");
            let total = render::tokens(total);
            cli.ui
                .note(format!("{items} removed; {total} tokens loaded"));
        }
    }
}
