//! What became of each file.

use serde::Serialize;

use super::args::Apply;
use super::commit::Outcome;
use crate::apply::{Applied, Reported};
use crate::cli::exit::ExitCode;
use crate::cli::session::{Cli, SCHEMA_VERSION};
use crate::ui::{Style, Text, render};

/// What an apply did, or would do, or an undo.
pub(super) struct Told<'a> {
    applied: &'a Applied,
    dry_run: bool,
    sudo: bool,
    /// The apply that was undone.
    pub(super) undone: Option<&'a str>,
    /// What became of the commit.
    pub(super) committed: Option<Outcome>,
}

impl<'a> Told<'a> {
    pub(super) fn new(applied: &'a Applied, args: &Apply) -> Self {
        Self {
            applied,
            dry_run: args.dry_run,
            sudo: args.sudo,
            undone: None,
            committed: None,
        }
    }

    /// Whether all files are done.
    fn is_whole(&self) -> bool {
        self.applied.skipped.is_empty() && self.applied.failed.is_empty()
    }

    /// The exit code that it has.
    pub(super) fn code(&self) -> ExitCode {
        let commit = self.committed.as_ref().and_then(Outcome::code);
        match commit {
            Some(code) => code,
            None if self.is_whole() => ExitCode::Done,
            None => ExitCode::Partial,
        }
    }

    /// What is said of files that are done, for one and for several.
    fn done(&self) -> &'static str {
        match (self.undone, self.dry_run) {
            (Some(_), true) => "would be brought back",
            (Some(_), false) => "brought back, pending again",
            (None, true) => "would be written",
            (None, false) => "written",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: &'static str,
    schema_version: u32,
    dry_run: bool,
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undone: Option<&'a str>,
    written: &'a [String],
    merged: &'a [String],
    already: &'a [String],
    skipped: Vec<ReportedDocument<'a>>,
    failed: Vec<ReportedDocument<'a>>,
    kept: Vec<ReportedDocument<'a>>,
    /// The commit's hash.
    commit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_committed: Option<Vec<ReportedDocument<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_error: Option<&'a str>,
}

#[derive(Serialize)]
struct ReportedDocument<'a> {
    path: &'a str,
    why: &'a str,
}

fn documents(list: &[Reported]) -> Vec<ReportedDocument<'_>> {
    list.iter()
        .map(|one| ReportedDocument {
            path: &one.path,
            why: &one.why,
        })
        .collect()
}

/// Prints it.
pub(super) fn report(cli: &Cli, told: &Told<'_>) {
    let applied = told.applied;
    if cli.json {
        let outcome = told.committed.as_ref();
        let left_out = outcome.map(|outcome| documents(&outcome.committed.left_out));
        cli.ui.json(&cli.stamped(&Document {
            r#type: "apply.completed",
            schema_version: SCHEMA_VERSION,
            dry_run: told.dry_run,
            id: applied.id.as_deref(),
            undone: told.undone,
            written: &applied.written,
            merged: &applied.merged,
            already: &applied.already,
            skipped: documents(&applied.skipped),
            failed: documents(&applied.failed),
            kept: documents(&applied.kept),
            commit: outcome.and_then(|outcome| outcome.committed.hash.as_deref()),
            not_committed: left_out.filter(|list| !list.is_empty()),
            commit_error: outcome.and_then(|outcome| outcome.error.as_deref()),
        }));
        return;
    }
    if told.is_whole() {
        whole(cli, told);
    } else {
        partial(cli, told);
    }
    for one in &applied.kept {
        cli.ui.line(format!("  - {}: {}", one.path, one.why));
    }
    if let Some(outcome) = &told.committed {
        outcome.say(cli);
    }
}

fn whole(cli: &Cli, told: &Told<'_>) {
    let signs = cli.ui.signs();
    let mut done = told.done().to_owned();
    if !told.applied.merged.is_empty() {
        let merged = render::count(told.applied.merged.len() as u64);
        done = format!("{done}, {merged} of them merged with changes made since");
    }
    let lines = [
        (told.applied.written.len(), Style::Green, signs.ok, done),
        (
            told.applied.already.len(),
            Style::Dim,
            signs.skipped,
            "already up to date".to_owned(),
        ),
    ];
    for (count, style, sign, words) in lines.into_iter().filter(|(count, ..)| *count > 0) {
        let files = render::counted(count as u64, "file");
        cli.ui
            .line(Text::styled(style, sign).plain(format!(" {files} {words}")));
    }
}

/// SEED.md 8.3.2.
fn partial(cli: &Cli, told: &Told<'_>) {
    let (applied, signs) = (told.applied, cli.ui.signs());
    cli.ui.line(match told.dry_run {
        false => "Operation partially completed.",
        true => "Operation would be partially completed.",
    });
    cli.ui.line("");
    cli.ui.line("Summary:");
    let failed = match reasons(&applied.failed) {
        reasons if reasons.is_empty() => "failed".to_owned(),
        reasons => format!("failed ({reasons})"),
    };
    let lines = [
        (
            applied.written.len(),
            Style::Green,
            signs.ok,
            "processed successfully".to_owned(),
        ),
        (applied.failed.len(), Style::Red, signs.failed, failed),
        (
            applied.already.len(),
            Style::Dim,
            signs.skipped,
            "skipped (already up to date)".to_owned(),
        ),
        (
            applied.skipped.len(),
            Style::Yellow,
            signs.skipped,
            match told.undone {
                Some(_) => "skipped (changed since)".to_owned(),
                None => "skipped (still pending)".to_owned(),
            },
        ),
    ];
    for (count, style, sign, words) in lines.into_iter().filter(|(count, ..)| *count > 0) {
        let files = render::counted(count as u64, "file");
        let line = Text::from("  ").then(style, sign);
        cli.ui.line(line.plain(format!(" {files} {words}")));
    }
    listed(cli, "Failed files:", &applied.failed);
    listed(cli, "Skipped files:", &applied.skipped);
    if told.undone.is_some() {
        return;
    }
    if !applied.skipped.is_empty() && !told.dry_run {
        cli.ui.hint(
            "what was skipped is pending still: see `plandex diff`, then `plandex apply \
             --on-conflict overwrite` (or merge), or `plandex reject FILES`",
        );
    }
    if applied.failed.is_empty() {
        return;
    }
    let forbidden = |one: &Reported| {
        ["permission denied", "not permitted", "read-only"]
            .iter()
            .any(|word| one.why.contains(word))
    };
    cli.ui.line("");
    if applied.failed.iter().any(forbidden) && !told.sudo {
        cli.ui.line("To retry failed files with sudo:");
        cli.ui.line("  plandex apply --retry-failed --sudo");
    } else {
        cli.ui.line("To retry failed files:");
        cli.ui.line("  plandex apply --retry-failed");
    }
}

/// The reasons, each once, if they are few.
fn reasons(failed: &[Reported]) -> String {
    const SHOWN: usize = 3;
    let mut reasons: Vec<&str> = Vec::new();
    for one in failed {
        let why = bare(&one.why);
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    if reasons.len() > SHOWN {
        return String::new();
    }
    reasons.join(", ")
}

fn listed(cli: &Cli, head: &str, list: &[Reported]) {
    if list.is_empty() {
        return;
    }
    cli.ui.line("");
    cli.ui.line(head);
    for one in list {
        cli.ui
            .line(format!("  - {}: {}", one.path, capitalised(bare(&one.why))));
    }
}

/// A reason that follows a path, without the path.
fn bare(why: &str) -> &str {
    why.strip_prefix("is ").unwrap_or(why)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
