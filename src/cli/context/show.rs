//! `show`: an entry as the model is shown it.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::EntryDocument;
use crate::context::{self, Image};
use crate::store::contexts;
use crate::ui::render;

/// `plandex show`
#[derive(Debug, Args)]
#[command(after_help = "\
What is printed is the body as it was loaded, whatever the file holds by now; of an image, what it is.

Examples:
  plandex show 3
  plandex show src/main.rs | head")]
pub(in super::super) struct Show {
    /// The entry's name, or its number in `plandex ls`.
    #[arg(value_name = "NAME|NUMBER")]
    entry: String,
}

/// `plandex show`
pub(in super::super) fn show(cli: &Cli, args: &Show) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let below = super::below(cli, &project);
    let words = std::slice::from_ref(&args.entry);
    let chosen = project
        .store
        .read(|tx| context::chosen(tx, &selected.branch.id, words, &below))?;
    let repo = project.repo(&selected.plan.id)?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown {
            #[serde(flatten)]
            entry: EntryDocument,
            /// `None` for an image.
            body: Option<String>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            contexts: Vec<Shown>,
        }
        let contexts = chosen.iter().map(|entry| {
            Ok(Shown {
                body: String::from_utf8(repo.blob(&entry.blob)?).ok(),
                entry: EntryDocument::new(entry, None),
            })
        });
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            contexts: contexts.collect::<Result<_>>()?,
        });
        return Ok(ExitCode::Done);
    }
    for entry in &chosen {
        let body = repo.blob(&entry.blob)?;
        match Image::sniff(&body).filter(|_| entry.kind == contexts::Kind::Image) {
            Some(image) => cli.ui.line(format!(
                "{}: {}, {} × {} pixels, {}",
                entry.name,
                image.media,
                image.width,
                image.height,
                render::size(body.len() as u64)
            )),
            None => cli.ui.raw(&body),
        }
    }
    Ok(ExitCode::Done)
}
