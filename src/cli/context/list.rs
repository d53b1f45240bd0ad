//! `ls`.

use anyhow::Result;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION, clock_time};
use super::{EntryDocument, tokens_of};
use crate::context::{self, Freshness, Source};
use crate::platform::cancel::Cancel;
use crate::store::contexts;
use crate::ui::{Frame, Table, render};

/// `plandex ls`
pub(in super::super) fn ls(cli: &Cli) -> Result<ExitCode> {
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
    let fresh = context::freshness(&source, &entries)?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            contexts: Vec<EntryDocument>,
            total_tokens: u64,
        }
        let contexts = entries
            .iter()
            .zip(&fresh)
            .map(|(entry, fresh)| EntryDocument::new(entry, fresh.as_ref()))
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            contexts,
            total_tokens: tokens_of(&entries),
        });
        return Ok(ExitCode::Done);
    }
    if entries.is_empty() {
        cli.ui.note("Nothing is loaded yet");
        cli.ui.hint("`plandex load PATHS`");
        return Ok(ExitCode::Done);
    }
    let headings = ["#", "Name", "Type", "Tokens", "Added", "Updated", ""];
    let mut table = Table::new(Frame::Open, headings);
    let mut is_outdated = false;
    for (number, (entry, fresh)) in entries.iter().zip(&fresh).enumerate() {
        let mark = match fresh {
            None | Some(Freshness::Fresh) => String::new(),
            Some(Freshness::Changed) => "outdated".to_owned(),
            Some(Freshness::Missing) => "missing".to_owned(),
            Some(Freshness::Unknown(why)) => why.clone(),
        };
        is_outdated |= matches!(fresh, Some(Freshness::Changed | Freshness::Missing));
        table.row([
            (number + 1).to_string(),
            entry.name.clone(),
            entry.kind.word().to_owned(),
            render::tokens(entry.tokens.unsigned_abs()),
            clock_time(entry.created_at),
            clock_time(entry.updated_at),
            mark,
        ]);
    }
    cli.ui.table(&table);
    let items = render::counted(entries.len() as u64, "item");
    let sum = render::tokens(tokens_of(&entries));
    cli.ui.note(format!("{items}, {sum} tokens"));
    if is_outdated {
        cli.ui.hint("load them again with `plandex update`");
    }
    Ok(ExitCode::Done)
}
