//! `load`.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report::UsageError;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::{EntryDocument, SkippedDocument, called_off, skipped_documents, tokens_of};
use crate::config;
use crate::context::{
    self, Budget, Detail, Directories, Gathered, Ignored, LoadOptions, Loaded, Progress, Shape,
    Source,
};
use crate::lock::operation;
use crate::platform::cancel::Cancel;
use crate::platform::stdin;
use crate::project::Turn;
use crate::store::contexts::{self, Context};
use crate::store::tickets::AppendPermit;
use crate::ui::{Bar, render};

/// Fewer files are read before a bar is seen.
const WORTH_A_BAR: u64 = 200;

/// `plandex load`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct Load {
    /// Files, directories (with -r, --tree or --map), globs (quoted ones too), images, URLs; none
    /// to load standard input.
    paths: Vec<String>,
    /// Load directories with all they hold, but for what is ignored.
    #[arg(long, short, conflicts_with_all = ["tree", "map"])]
    recursive: bool,
    /// Load the paths below each directory, not the files.
    #[arg(long, conflicts_with = "map")]
    tree: bool,
    /// Load an outline of each directory or file: the names that its code defines.
    #[arg(long)]
    map: bool,
    /// Load a remark.
    #[arg(long, short, value_name = "TEXT")]
    note: Option<String>,
    /// Load what .gitignore or .plandexignore names, too.
    #[arg(long, short)]
    force: bool,
    /// How much of images the model is to look at.
    #[arg(long, short, value_name = "HOW", default_value = "high")]
    detail: DetailWord,
    /// Skip files larger than this ("512 KiB", "4MB"; at most 25 MiB); else context.max-file-size,
    /// 1 MiB.
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// Take at most so many items at once.
    #[arg(long, value_name = "N", default_value_t = context::ITEMS_MAX_DEFAULT)]
    max_items: usize,
}

const EXAMPLES: &str = "\
Examples:
  plandex load src/main.rs README.md
  plandex load -r src                        all files in it
  plandex load 'src/**/*.rs'                 the pattern may be quoted
  plandex load --tree .                      the paths alone
  plandex load --map src                     … with the names that the code defines
  plandex load -n 'keep it short'
  plandex load https://example.com/api.html  fetched now; again by `plandex update`
  plandex load -d low shot.png
  git diff | plandex load

What .gitignore, .ignore and .plandexignore name is left out (-f takes it all the same). Binary,
oversized and generated files are listed as skipped. Loading a path again replaces it. Nothing is
loaded if anything that was named is missing, if there are more than --max-items, or if the model
that is configured would take no more.

Exit codes: 0 loaded, 1 nothing of it could be shown, 2 usage, 5 a URL could not be fetched, 75 the
plan could not be had.";

/// How much of an image is looked at, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DetailWord {
    /// All of it, tile by tile.
    High,
    /// A small version, for few tokens.
    Low,
}

/// What is loaded, and how: all that the operation needs.
struct Wanted {
    branch: String,
    root: PathBuf,
    cwd: PathBuf,
    paths: Vec<String>,
    pages: Vec<Loaded>,
    note: Option<String>,
    piped: Option<Vec<u8>>,
    options: LoadOptions,
    budget: Option<Budget>,
}

/// What a load came to.
struct Came {
    entries: Vec<Context>,
    gathered: Gathered,
    /// The tokens of all that the branch holds now.
    total: u64,
}

/// `plandex load`
pub(in super::super) fn load(cli: &Cli, args: &Load) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let piped = match args.paths.is_empty() && args.note.is_none() {
        true => read_piped()?,
        false => None,
    };
    if args.paths.is_empty() && args.note.is_none() && piped.is_none() {
        return Err(UsageError::new(
            "there is nothing to load",
            "`plandex load FILE…`, `plandex load -r DIRECTORY`, `plandex load -n NOTE`, or pipe \
             something in",
        )
        .into());
    }
    let settings = cli.settings(&project)?;
    let options = args.options(settings.max_file_size)?;
    let (urls, paths): (Vec<String>, Vec<String>) = args
        .paths
        .iter()
        .cloned()
        .partition(|argument| context::is_url(argument));
    let budget = super::budget(cli, &project);
    let room = budget.as_ref().map(|budget| budget.room);
    let wanted = Wanted {
        branch: selected.branch.name.clone(),
        root: project.root.clone(),
        cwd: cli.cwd.clone(),
        paths,
        // Before the turn: nobody waits for a server that does not answer.
        pages: super::fetch_all(cli, &urls)?,
        note: args.note.clone(),
        piped,
        options,
        budget,
    };
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: Some(&selected.branch.name),
        operation: operation::LOAD,
    };
    let progress = cli.ui.progress();
    let mut bar: Option<(Bar, u64)> = None;
    let came = operate(
        cli,
        &job,
        move |permit, turn, events| run(turn, permit, wanted, events),
        |Progress { done, total }| {
            if total < WORTH_A_BAR {
                return;
            }
            let (bar, shown) = bar.get_or_insert_with(|| (progress.bar(total, "Reading"), 0));
            while *shown < done {
                bar.advance();
                *shown += 1;
            }
        },
    )?;
    drop(bar);
    drop(progress);
    report(cli, &came, room);
    Ok(match came.entries.is_empty() {
        true => ExitCode::Failed,
        false => ExitCode::Done,
    })
}

impl Load {
    fn options(&self, max_file_size: u64) -> Result<LoadOptions> {
        let max_file_bytes = match &self.max_size {
            None => max_file_size,
            Some(text) => config::parse_size(text).ok_or_else(|| {
                UsageError::new(
                    format!("--max-size: {text} is no size"),
                    "give it as `--max-size 512KiB` or `--max-size 4MB`",
                )
            })?,
        };
        Ok(LoadOptions {
            shape: match (self.tree, self.map) {
                (true, _) => Shape::Tree,
                (_, true) => Shape::Map,
                _ => Shape::Bodies,
            },
            detail: match self.detail {
                DetailWord::High => Detail::High,
                DetailWord::Low => Detail::Low,
            },
            directories: match self.recursive {
                true => Directories::Load,
                false => Directories::Refuse,
            },
            ignored: match self.force {
                true => Ignored::Include,
                false => Ignored::Skip,
            },
            max_file_bytes,
            max_items: self.max_items,
            ..LoadOptions::default()
        })
    }
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
    wanted: Wanted,
    events: &mut dyn FnMut(Progress),
) -> Result<Came> {
    let source = Source {
        root: &wanted.root,
        cwd: &wanted.cwd,
        cancel: &turn.cancel,
    };
    let mut gathered = match wanted.paths.is_empty() {
        true => Gathered::default(),
        false => context::gather(&source, &wanted.paths, &wanted.options, events)
            .map_err(|error| called_off(error, &turn.cancel))?,
    };
    gathered.loaded.extend(wanted.pages);
    if let Some(note) = &wanted.note {
        gathered.loaded.push(context::note(note)?);
    }
    let branch = turn.branch(&wanted.branch)?;
    let of_branch = || {
        let store = &turn.project.store;
        store.read(|tx| contexts::of_branch(tx, &branch.id))
    };
    if let Some(body) = wanted.piped {
        let name = next_piped(&of_branch()?);
        gathered.loaded.push(context::piped(&name, body)?);
    }
    let entries = match gathered.loaded.is_empty() {
        true => Vec::new(),
        false => {
            let budget = wanted.budget.as_ref();
            context::add(turn, permit, &wanted.branch, &gathered.loaded, budget)?
        }
    };
    // The bodies are in the repository; only the lists go back to the terminal.
    gathered.loaded.clear();
    Ok(Came {
        entries,
        gathered,
        total: turn
            .project
            .store
            .read(|tx| contexts::sum(tx, &branch.id))?
            .1,
    })
}

/// The first free name of piped text, behind all that were given.
fn next_piped(known: &[Context]) -> String {
    let number = |entry: &Context| entry.name.strip_prefix("piped-")?.parse::<u64>().ok();
    let last = known.iter().filter_map(number).max().unwrap_or_default();
    format!("piped-{}", last.saturating_add(1))
}

fn report(cli: &Cli, came: &Came, room: Option<u64>) {
    let Came {
        entries,
        gathered,
        total,
    } = came;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            loaded: Vec<EntryDocument>,
            skipped: Vec<SkippedDocument>,
            warnings: Vec<String>,
            tokens: u64,
            total_tokens: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            room_tokens: Option<u64>,
        }
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            loaded: entries
                .iter()
                .map(|entry| EntryDocument::new(entry, None))
                .collect(),
            skipped: skipped_documents(&gathered.skipped),
            warnings: gathered.warnings.clone(),
            tokens: tokens_of(entries),
            total_tokens: *total,
            room_tokens: room,
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
    if cli.ui.is_quiet() && !entries.is_empty() {
        let items = render::counted(entries.len() as u64, "item");
        let tokens = render::tokens(tokens_of(entries));
        cli.ui.line(format!("loaded {items} ({tokens} tokens)"));
        return;
    }
    for entry in entries {
        let tokens = render::tokens(entry.tokens.unsigned_abs());
        cli.ui
            .line(format!("loaded {} ({tokens} tokens)", entry.name));
    }
    if entries.is_empty() {
        cli.ui.note("Nothing was loaded");
        return;
    }
    let items = render::counted(entries.len() as u64, "item");
    let (sum, total) = (render::tokens(tokens_of(entries)), render::tokens(*total));
    let of = room.map_or_else(String::new, |room| {
        format!(" of the {} that the model takes", render::tokens(room))
    });
    cli.ui
        .note(format!("{items}, {sum} tokens; {total} loaded{of}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contexts::{Kind, Origin};

    #[test]
    fn a_piped_text_never_takes_the_name_of_another() {
        let piped = |name: &str| Context {
            id: String::new(),
            branch_id: String::new(),
            kind: Kind::Piped,
            name: name.to_owned(),
            path: None,
            origin: Origin::default(),
            blob: String::new(),
            hash: String::new(),
            size: 0,
            mtime_ns: 0,
            tokens: 0,
            created_at: 0,
            updated_at: 0,
        };
        assert_eq!(next_piped(&[]), "piped-1");
        assert_eq!(next_piped(&[piped("piped-2"), piped("piped-x")]), "piped-3");
    }
}
