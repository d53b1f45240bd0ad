//! `load`, `ls`.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339};
use crate::context::{
    self, ContextError, Directories, Freshness, Gathered, Ignored, LoadOptions, Recorded, Source,
};
use crate::lock::{LockError, operation};
use crate::platform::cancel::Cancel;
use crate::platform::stdin;
use crate::project::Turn;
use crate::store::contexts::{self, Context};
use crate::store::tickets::AppendPermit;
use crate::ui::{Frame, Table, render};

/// What is loaded, and how: all that the operation needs.
#[derive(Clone)]
struct Wanted {
    branch: String,
    root: PathBuf,
    cwd: PathBuf,
    paths: Vec<String>,
    note: Option<String>,
    piped: Option<Vec<u8>>,
    options: LoadOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryDocument {
    id: String,
    name: String,
    kind: &'static str,
    path: Option<String>,
    tokens: i64,
    size: i64,
    hash: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<&'static str>,
}

#[derive(Serialize)]
struct SkippedDocument {
    path: String,
    reason: &'static str,
    message: String,
}

/// `plandex load`
pub(super) fn load(cli: &Cli, args: &args::Load) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let piped = if args.paths.is_empty() && args.note.is_none() {
        read_piped()?
    } else {
        None
    };
    if args.paths.is_empty() && args.note.is_none() && piped.is_none() {
        return Err(UsageError::new(
            "there is nothing to load",
            "`plandex load FILE…`, `plandex load -r DIRECTORY`, `plandex load -n NOTE`, or pipe \
             something in",
        )
        .into());
    }
    let options = LoadOptions {
        directories: if args.recursive {
            Directories::Load
        } else {
            Directories::Refuse
        },
        ignored: if args.force {
            Ignored::Include
        } else {
            Ignored::Skip
        },
        max_file_bytes: cli.settings(&project)?.max_file_size,
        ..LoadOptions::default()
    };
    let wanted = Wanted {
        branch: selected.branch.name.clone(),
        root: project.root.clone(),
        cwd: cli.cwd.clone(),
        paths: args.paths.clone(),
        note: args.note.clone(),
        piped,
        options,
    };
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: Some(&selected.branch.name),
        operation: operation::LOAD,
    };
    let (entries, gathered) = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| run(turn, permit, &wanted),
        |()| {},
    )?;
    report(cli, &entries, &gathered);
    let nothing = entries.is_empty();
    Ok(if nothing {
        ExitCode::Failed
    } else {
        ExitCode::Done
    })
}

fn read_piped() -> Result<Option<Vec<u8>>> {
    let cancel = Cancel::new()?;
    let Some(mut piped) = stdin::piped(&cancel).context("looking at standard input")? else {
        return Ok(None);
    };
    let mut body = Vec::new();
    piped
        .by_ref()
        .take(context::PIPED_BYTES_MAX + 1)
        .read_to_end(&mut body)
        .context("reading standard input")?;
    if body.len() as u64 > context::PIPED_BYTES_MAX {
        let most = render::size(context::PIPED_BYTES_MAX);
        return Err(UsageError::new(
            format!("standard input is longer than {most}"),
            "save it to a file of the project and load that",
        )
        .into());
    }
    Ok(Some(body))
}

fn run(
    turn: &Turn<'_>,
    permit: &AppendPermit,
    wanted: &Wanted,
) -> Result<(Vec<Context>, Gathered)> {
    let source = Source {
        root: &wanted.root,
        cwd: &wanted.cwd,
        cancel: &turn.cancel,
    };
    let mut gathered = if wanted.paths.is_empty() {
        Gathered::default()
    } else {
        context::gather(&source, &wanted.paths, &wanted.options)
            .map_err(|error| called_off(error, &turn.cancel))?
    };
    if let Some(note) = &wanted.note {
        gathered.loaded.push(context::note(note)?);
    }
    if let Some(body) = &wanted.piped {
        let known = turn.branch(&wanted.branch)?;
        let entries = turn
            .project
            .store
            .read(|tx| contexts::of_branch(tx, &known.id))?;
        let count = entries
            .iter()
            .filter(|entry| entry.kind == contexts::Kind::Piped)
            .count();
        gathered.loaded.push(context::piped(
            &format!("piped-{}", count + 1),
            body.clone(),
        )?);
    }
    if gathered.loaded.is_empty() {
        return Ok((Vec::new(), gathered));
    }
    let entries = context::add(turn, permit, &wanted.branch, &gathered.loaded)?;
    // The bodies are in the repository; only the lists go back to the terminal.
    gathered.loaded.clear();
    Ok((entries, gathered))
}

/// A reading that was called off ends as the wait before it would have.
fn called_off(error: anyhow::Error, cancel: &Cancel) -> anyhow::Error {
    match (error.downcast_ref(), cancel.reason()) {
        (Some(ContextError::Cancelled), Some(reason)) => LockError::Cancelled(reason).into(),
        _ => error,
    }
}

fn report(cli: &Cli, entries: &[Context], gathered: &Gathered) {
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            loaded: Vec<EntryDocument>,
            skipped: Vec<SkippedDocument>,
            warnings: Vec<String>,
        }
        let skipped = gathered.skipped.iter().map(|skipped| SkippedDocument {
            path: skipped.path.clone(),
            reason: skipped.reason.word(),
            message: skipped.reason.to_string(),
        });
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            loaded: entries.iter().map(|entry| document(entry, None)).collect(),
            skipped: skipped.collect(),
            warnings: gathered.warnings.clone(),
        });
        return;
    }
    for warning in &gathered.warnings {
        cli.ui.warning(warning);
    }
    for skipped in &gathered.skipped {
        cli.ui
            .note(format!("skipped {}: {}", skipped.path, skipped.reason));
    }
    let tokens: i64 = entries.iter().map(|entry| entry.tokens).sum();
    for entry in entries {
        let tokens = render::tokens(entry.tokens.unsigned_abs());
        cli.ui
            .line(format!("loaded {} ({tokens} tokens)", entry.name));
    }
    let count = render::counted(entries.len() as u64, "item");
    match entries.len() {
        0 => cli.ui.note("Nothing was loaded"),
        1 => {}
        _ => cli.ui.note(format!(
            "{count}, {} tokens",
            render::tokens(tokens.unsigned_abs())
        )),
    }
}

/// `plandex ls`
pub(super) fn ls(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let entries = project
        .store
        .read(|tx| contexts::of_branch(tx, &selected.branch.id))?;
    let cancel = Cancel::new()?;
    let source = Source {
        root: &project.root,
        cwd: &cli.cwd,
        cancel: &cancel,
    };
    let fresh: Vec<Option<Freshness>> = entries
        .iter()
        .map(|entry| freshness(&source, entry))
        .collect();
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            contexts: Vec<EntryDocument>,
        }
        let contexts = entries
            .iter()
            .zip(&fresh)
            .map(|(entry, fresh)| document(entry, fresh.as_ref()))
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            contexts,
        });
        return Ok(ExitCode::Done);
    }
    if entries.is_empty() {
        cli.ui.note("Nothing is loaded yet");
        cli.ui.hint("`plandex load PATHS`");
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(Frame::Open, ["#", "Name", "Type", "Tokens", "Updated", ""]);
    for (number, (entry, fresh)) in entries.iter().zip(&fresh).enumerate() {
        let mark = match fresh {
            None | Some(Freshness::Fresh) => String::new(),
            Some(Freshness::Changed) => "outdated".to_owned(),
            Some(Freshness::Missing) => "missing".to_owned(),
            Some(Freshness::Unknown(why)) => why.clone(),
        };
        table.row([
            (number + 1).to_string(),
            entry.name.clone(),
            entry.kind.word().to_owned(),
            render::tokens(entry.tokens.unsigned_abs()),
            clock_time(entry.updated_at),
            mark,
        ]);
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

fn freshness(source: &Source<'_>, entry: &Context) -> Option<Freshness> {
    let path = entry
        .path
        .as_deref()
        .filter(|_| entry.kind == contexts::Kind::File)?;
    let recorded = Recorded {
        path,
        size: entry.size.unsigned_abs(),
        mtime_ns: entry.mtime_ns,
        hash: &entry.hash,
        loaded_at_ms: entry.updated_at,
    };
    Some(context::freshness(source, &recorded))
}

fn document(entry: &Context, fresh: Option<&Freshness>) -> EntryDocument {
    EntryDocument {
        id: entry.id.clone(),
        name: entry.name.clone(),
        kind: entry.kind.word(),
        path: entry.path.clone(),
        tokens: entry.tokens,
        size: entry.size,
        hash: entry.hash.clone(),
        updated_at: rfc3339(entry.updated_at),
        freshness: fresh.map(|fresh| match fresh {
            Freshness::Fresh => "fresh",
            Freshness::Changed => "outdated",
            Freshness::Missing => "missing",
            Freshness::Unknown(_) => "unknown",
        }),
    }
}

/// The next command after a mistake in the arguments.
pub(super) fn hint(error: &ContextError) -> &'static str {
    match error {
        ContextError::IsDirectory(_) => "load the files in it with `plandex load -r DIRECTORY`",
        ContextError::Ignored(_) => "load it all the same with `plandex load -f PATH`",
        ContextError::Missing(_) | ContextError::NoMatch(_) => {
            "paths are relative to the current directory; nothing was loaded"
        }
        ContextError::TooMany(_) | ContextError::TooMuch(_) => {
            "name fewer files; nothing was loaded"
        }
        ContextError::OutsideProject(_)
        | ContextError::Reserved(_)
        | ContextError::BadPattern { .. }
        | ContextError::Empty(_)
        | ContextError::NotText { .. }
        | ContextError::Cancelled => "nothing was loaded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::cancel::Reason;

    #[test]
    fn a_reading_that_was_called_off_ends_with_the_reason_and_other_errors_stay() {
        let cancel = Cancel::new().unwrap();
        let still = called_off(ContextError::Cancelled.into(), &cancel);
        assert!(still.is::<ContextError>());
        cancel.set(Reason::HungUp);
        let ended = called_off(ContextError::Cancelled.into(), &cancel);
        let reason = ended.downcast_ref::<LockError>();
        assert!(matches!(reason, Some(LockError::Cancelled(Reason::HungUp))));
        assert!(called_off(ContextError::TooMany(1).into(), &cancel).is::<ContextError>());
    }
}
