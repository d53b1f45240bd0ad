//! What is about to be written, before anybody is asked.

use anyhow::Result;
use serde::Serialize;

use super::args::Apply;
use super::asking::is_conflict;
use crate::apply::{Class, Classified};
use crate::cli::session::{Cli, SCHEMA_VERSION};
use crate::cli::status::op_letter;
use crate::plan::edits::is_auto_run;
use crate::project::{Project, Selected};
use crate::store::changes::{self, Change, Wanted};
use crate::ui::{Style, Text, render};

/// More changes than this are not all listed to a person,
const LISTED_MAX: usize = 100;
/// but so many of those about which there is nothing to say.
const LISTED: usize = 40;

/// Lists the changes with what is odd about them, and names the other plans that want their files.
pub(super) fn show(
    cli: &Cli,
    args: &Apply,
    project: &Project,
    selected: &Selected,
    classified: &[Classified],
) -> Result<()> {
    let paths: Vec<&str> = classified
        .iter()
        .map(|one| one.change.path.as_str())
        .collect();
    let elsewhere = project
        .store
        .read(|tx| changes::pending_elsewhere(tx, &selected.branch.id, &paths))?;
    if cli.json {
        print_planned(cli, args, classified, &elsewhere);
        return Ok(());
    }
    // Without a question nobody needs the list; what is odd is warned of below.
    if !cli.ui.is_quiet() || !args.yes || args.dry_run {
        list(cli, classified);
    }
    for wanted in &elsewhere {
        cli.ui.warning(format!(
            "{} is pending on plan \"{}\" too (branch {})",
            wanted.change.path, wanted.plan, wanted.branch
        ));
    }
    if args.yes && !args.dry_run {
        for one in classified.iter().filter(|one| is_risky(one)) {
            let path = &one.change.path;
            let what = match is_auto_run(path) {
                true => "tools run this file by themselves",
                false => "becomes a program",
            };
            cli.ui.warning(format!("{path}: {what}"));
        }
    }
    Ok(())
}

/// A line for each; to a person, of very many, only those that want a look and some others.
fn list(cli: &Cli, classified: &[Classified]) {
    let is_cut = cli.ui.can_page() && classified.len() > LISTED_MAX;
    let mut plain = 0;
    let mut left_out = 0;
    for one in classified {
        let is_plain = one.class == Class::Clean && !is_risky(one);
        plain += usize::from(is_plain);
        if is_cut && is_plain && plain > LISTED {
            left_out += 1;
        } else {
            cli.ui.line(line(cli, one));
        }
    }
    if left_out > 0 {
        let more = render::counted(left_out, "more file");
        cli.ui
            .line(format!("and {more}: `plandex diff --stat` lists all"));
    }
}

/// Whether it is run by itself, or can be run from now on (HAZARDS.md H15).
fn is_risky(one: &Classified) -> bool {
    let is_written = one.class != Class::Already && one.change.target_hash.is_some();
    is_written && (is_auto_run(&one.change.path) || one.becomes_program())
}

fn line(cli: &Cli, one: &Classified) -> Text {
    let change = &one.change;
    let (added, removed) = (change.added.unsigned_abs(), change.removed.unsigned_abs());
    let stats = render::stats(added, removed, cli.ui.signs());
    let mut line = Text::from(format!("{} {} ", op_letter(change), change.path)).join(stats);
    if let Some(from) = &change.moved_from {
        line = line.plain(format!("  moved from {from}"));
    }
    if change.executable == Some(false) && change.base_hash.is_some() {
        line = line.plain("  is no program any more");
    }
    if one.class != Class::Clean {
        line = line.then(Style::Yellow, format!("  {}", one.class.words()));
    }
    if is_auto_run(&change.path) {
        let words = "  tools run this file by themselves: read it first";
        line = line.then(Style::Yellow, words);
    } else if one.becomes_program() {
        line = line.then(Style::Yellow, "  becomes a program");
    }
    line
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned<'a> {
    r#type: &'static str,
    schema_version: u32,
    dry_run: bool,
    files: Vec<FileDocument<'a>>,
    overlaps: Vec<Overlap<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Conflicted<'a> {
    r#type: &'static str,
    schema_version: u32,
    files: Vec<FileDocument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument<'a> {
    path: &'a str,
    op: &'static str,
    state: &'static str,
    why: &'a str,
    added: i64,
    removed: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    auto_run: bool,
    can_merge: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overlap<'a> {
    path: &'a str,
    plan: &'a str,
    plan_id: &'a str,
    branch: &'a str,
}

fn print_planned(cli: &Cli, args: &Apply, classified: &[Classified], elsewhere: &[Wanted]) {
    let overlaps = elsewhere.iter().map(|wanted| Overlap {
        path: &wanted.change.path,
        plan: &wanted.plan,
        plan_id: &wanted.plan_id,
        branch: &wanted.branch,
    });
    cli.ui.json(&cli.stamped(&Planned {
        r#type: "apply.planned",
        schema_version: SCHEMA_VERSION,
        dry_run: args.dry_run,
        files: classified.iter().map(document).collect(),
        overlaps: overlaps.collect(),
    }));
    let needs_look = |one: &&Classified| {
        is_conflict(one) || matches!(one.class, Class::TypeChanged | Class::Refused(_))
    };
    let files: Vec<_> = classified.iter().filter(needs_look).map(document).collect();
    if !files.is_empty() {
        cli.ui.json(&cli.stamped(&Conflicted {
            r#type: "apply.conflict",
            schema_version: SCHEMA_VERSION,
            files,
        }));
    }
}

fn document(one: &Classified) -> FileDocument<'_> {
    let change = &one.change;
    FileDocument {
        path: &change.path,
        op: op(change),
        state: state(&one.class),
        why: one.class.words(),
        added: change.added,
        removed: change.removed,
        moved_from: change.moved_from.as_deref(),
        executable: change.executable,
        auto_run: is_auto_run(&change.path),
        can_merge: one.can_merge(),
    }
}

fn op(change: &Change) -> &'static str {
    match (op_letter(change), &change.moved_from) {
        (_, Some(_)) => "rename",
        ('A', None) => "add",
        ('D', None) => "delete",
        _ => "update",
    }
}

fn state(class: &Class) -> &'static str {
    match class {
        Class::Clean => "clean",
        Class::Already => "already",
        Class::Drifted => "drifted",
        Class::Missing => "missing",
        Class::Exists => "exists",
        Class::TypeChanged => "typeChanged",
        Class::Refused(_) => "refused",
    }
}
