//! The names that complete a word: what there is of them now. Reads, and never waits; whatever
//! is wrong is for the command itself to tell.

use anyhow::Result;

use super::super::session::Cli;
use crate::config::{self, SETTINGS, Takes};
use crate::store::plans::Which;
use crate::store::{branches, changes, contexts, plans};

/// What a word of the command line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plan of `plandex plans`.
    Plan,
    /// A plan that is archived.
    Archived,
    /// A plan that is deleted.
    Deleted,
    /// A branch of the selected plan.
    Branch,
    /// An entry of what the branch is shown.
    Entry,
    /// A pending change of the branch.
    Pending,
    /// A setting.
    Setting,
    /// The value of the setting that was named before it.
    Value,
    /// A command, or a topic of `help`.
    Topic,
    /// A file.
    File,
    /// A program and its arguments.
    Program,
}

/// The words that each argument takes: of which command ("" for all), which argument, what.
pub(super) const KINDS: [(&str, &str, Kind); 23] = [
    ("", "plan", Kind::Plan),
    ("", "branch", Kind::Branch),
    ("cd", "plan", Kind::Plan),
    ("archive", "plan", Kind::Plan),
    ("unarchive", "plan", Kind::Archived),
    ("delete-plan", "plans", Kind::Plan),
    ("undelete", "plan", Kind::Deleted),
    ("checkout", "name", Kind::Branch),
    ("delete-branch", "name", Kind::Branch),
    ("connect", "run", Kind::Plan),
    ("connect", "branch", Kind::Branch),
    ("load", "paths", Kind::File),
    ("show", "entry", Kind::Entry),
    ("rm", "entries", Kind::Entry),
    ("update", "entries", Kind::Entry),
    ("diff", "files", Kind::Pending),
    ("apply", "files", Kind::Pending),
    ("reject", "files", Kind::Pending),
    ("set-config", "key", Kind::Setting),
    ("set-config", "value", Kind::Value),
    ("exec", "program", Kind::Program),
    ("help", "command", Kind::Topic),
    ("man", "command", Kind::Topic),
];

/// A name with a word about it.
pub(super) type Name = (String, Option<String>);

/// The names of this kind; `words` stand before the cursor.
pub(super) fn of(kind: Kind, cli: &Cli, words: &[String]) -> Result<Vec<Name>> {
    match kind {
        Kind::Plan => of_plans(cli, Which::Open),
        Kind::Archived => of_plans(cli, Which::Archived),
        Kind::Deleted => of_plans(cli, Which::Deleted),
        Kind::Branch => of_branches(cli),
        Kind::Entry => of_entries(cli),
        Kind::Pending => of_pending(cli),
        Kind::Setting => Ok(SETTINGS
            .iter()
            .map(|key| (key.name.to_owned(), Some(key.about.to_owned())))
            .collect()),
        Kind::Value => Ok(of_values(words)),
        Kind::Topic => Ok(of_topics()),
        Kind::File | Kind::Program => Ok(Vec::new()),
    }
}

fn of_plans(cli: &Cli, which: Which) -> Result<Vec<Name>> {
    let listed = cli.open()?.store.read(|tx| plans::list(tx, which))?;
    let name = |listed: plans::Listed| {
        let about = listed.main.map(|(status, pending)| match pending {
            0 => status.word().to_owned(),
            pending => format!("{}, {pending} pending", status.word()),
        });
        (listed.plan.name, about)
    };
    Ok(listed.into_iter().map(name).collect())
}

fn of_branches(cli: &Cli) -> Result<Vec<Name>> {
    // Whatever branch is named or gone: its plan is what counts.
    let project = cli.open()?;
    let selected = project.selected_on("main")?;
    let found = project
        .store
        .read(|tx| branches::of_plan(tx, &selected.plan.id))?;
    let name = |branch: branches::Branch| (branch.name, Some(branch.status.word().to_owned()));
    Ok(found.into_iter().map(name).collect())
}

fn of_entries(cli: &Cli) -> Result<Vec<Name>> {
    let (project, selected) = cli.open_selected()?;
    let found = project
        .store
        .read(|tx| contexts::of_branch(tx, &selected.branch.id))?;
    let name = |entry: contexts::Context| (entry.name, Some(entry.kind.word().to_owned()));
    Ok(found.into_iter().map(name).collect())
}

fn of_pending(cli: &Cli) -> Result<Vec<Name>> {
    let (project, selected) = cli.open_selected()?;
    let found = project
        .store
        .read(|tx| changes::pending(tx, &selected.branch.id))?;
    let name = |change: changes::Change| {
        let about = format!("+{} -{}", change.added, change.removed);
        (change.path, Some(about))
    };
    Ok(found.into_iter().map(name).collect())
}

fn of_values(words: &[String]) -> Vec<Name> {
    let key = words.iter().rev().find_map(|word| config::setting(word));
    match key.map(|key| key.takes) {
        Some(Takes::Switch) => ["true", "false"].map(|word| (word.to_owned(), None)).into(),
        _ => Vec::new(),
    }
}

fn of_topics() -> Vec<Name> {
    let command = super::super::overview::command();
    let names = command.get_subcommands().filter(|one| !one.is_hide_set());
    let about = |one: &clap::Command| one.get_about().map(ToString::to_string);
    let mut topics: Vec<Name> = names
        .map(|one| (one.get_name().to_owned(), about(one)))
        .collect();
    let (name, about) = super::super::help::CONCURRENCY;
    topics.push((name.to_owned(), Some(about.to_owned())));
    topics
}
