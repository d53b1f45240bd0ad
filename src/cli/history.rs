//! `convo`, `log`.

use std::ops::{ControlFlow, RangeInclusive};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::locks::actor;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339, since};
use crate::plan::history::{self, Entry, Said};
use crate::store::messages::{Kind, Message, Role, State};
use crate::ui::{Style, Text, render};

/// `plandex convo`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plandex convo             all of it\n  \
                        plandex convo 3           message 3\n  \
                        plandex convo 2-5         messages 2 to 5\n  \
                        plandex convo 2-          from message 2 on\n  \
                        plandex convo -p 4        what message 4 says, and nothing else")]
pub(super) struct Convo {
    /// Which messages: a number, `A-B`, or `A-` to the end.
    #[arg(value_name = "N|A-B|A-")]
    range: Option<String>,
    /// Print the texts alone: no heads, no styles.
    #[arg(long, short)]
    plain: bool,
}

/// `plandex log`
#[derive(Debug, Args)]
#[command(
    after_help = "The number before a version is how many versions back it is: what `plandex rewind` takes.\n\n\
                  Examples:\n  plandex log               the newest 1000 versions\n  \
                  plandex log -n 5          the newest 5\n  \
                  plandex log -v            with the whole messages, tickets and fences"
)]
pub(super) struct Log {
    /// Show at most so many versions.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000)]
    limit: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageDocument {
    id: String,
    number: i64,
    role: &'static str,
    kind: &'static str,
    source: String,
    state: &'static str,
    text: String,
    built: Vec<String>,
    created_at: String,
    completed_at: Option<String>,
}

impl From<Said> for MessageDocument {
    fn from(said: Said) -> Self {
        Self {
            number: said.message.number,
            role: said.message.role.word(),
            kind: said.message.kind.word(),
            state: said.message.state.word(),
            created_at: rfc3339(said.message.created_at),
            completed_at: said.message.completed_at.map(rfc3339),
            id: said.message.id,
            source: said.message.source,
            text: said.message.text,
            built: said.built,
        }
    }
}

/// `plandex convo [RANGE] [-p]`
pub(super) fn convo(cli: &Cli, args: &Convo) -> Result<ExitCode> {
    let range = args.range.as_deref().map_or(Ok(1..=i64::MAX), range)?;
    let (project, selected) = cli.open_selected()?;
    let (mut documents, mut is_empty) = (Vec::new(), true);
    history::conversation(&project, &selected, range.clone(), |said| {
        is_empty = false;
        if cli.ui.stdout_closed() {
            return ControlFlow::Break(());
        }
        if cli.json {
            documents.push(MessageDocument::from(said));
        } else if args.plain {
            cli.ui.line(said.message.text.trim_end_matches('\n'));
        } else {
            show(cli, &said);
        }
        ControlFlow::Continue(())
    })?;
    if is_empty && args.range.is_some() {
        let message = match history::last_number(&project, &selected)? {
            None => "nothing has been said yet".to_owned(),
            Some(last) => format!(
                "there is no message {}: the last one is {last}",
                range.start(),
            ),
        };
        return Err(UsageError::new(message, "`plandex convo`").into());
    }
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plan: String,
            branch: String,
            messages: Vec<MessageDocument>,
        }
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan: selected.plan.name,
            branch: selected.branch.name,
            messages: documents,
        });
    } else if is_empty {
        cli.ui.note("Nothing has been said yet");
        cli.ui.hint("`plandex tell \"what to do\"`");
    }
    Ok(ExitCode::Done)
}

/// The numbers that a person means.
fn range(text: &str) -> Result<RangeInclusive<i64>> {
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0);
    let found = match text.split_once('-') {
        None => number(text).map(|one| one..=one),
        Some((from, "")) => number(from).map(|from| from..=i64::MAX),
        Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..=to),
    };
    found.filter(|range| !range.is_empty()).ok_or_else(|| {
        let message = format!("\"{text}\" names no messages");
        let hint = "`plandex convo 3`, `plandex convo 2-5` or `plandex convo 2-`";
        UsageError::new(message, hint).into()
    })
}

fn show(cli: &Cli, said: &Said) {
    let message = &said.message;
    cli.ui.line(head(message));
    if message.role == Role::Assistant && message.source == "literal" {
        cli.ui
            .line("no model configured: the edits were taken from the message");
    }
    if !message.text.is_empty() {
        cli.ui.line(message.text.trim_end_matches('\n'));
    }
    if !said.built.is_empty() {
        let built = format!("built: {}", said.built.join(", "));
        cli.ui.line(Text::styled(Style::Dim, built));
    }
    cli.ui.line("");
}

fn head(message: &Message) -> Text {
    let state = if message.state == State::Complete {
        String::new()
    } else {
        format!(" ({})", message.state.word())
    };
    let kind = match message.kind {
        Kind::Tell => String::new(),
        kind @ (Kind::Chat | Kind::Continue | Kind::Fix) => format!(", {}", kind.word()),
    };
    let head = format!("#{} {}{state}{kind}", message.number, message.role.word());
    let when = format!("  {}", clock_time(message.created_at));
    let head = Text::styled(Style::Bold, head).then(Style::Dim, when);
    match source(&message.source) {
        "user" | "" => head,
        source => head.then(Style::Dim, format!("  {source}")),
    }
}

/// Where a message came from, for people: of a reply's file its name, not what is in it.
fn source(source: &str) -> &str {
    match source.rsplit_once(' ') {
        Some((file, hash))
            if file.starts_with("reply:")
                && hash.len() == 64
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            file
        }
        _ => source,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionDocument {
    steps: usize,
    version: String,
    author: String,
    time: String,
    title: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fencing_token: Option<i64>,
}

impl From<Entry> for VersionDocument {
    fn from(entry: Entry) -> Self {
        Self {
            steps: entry.steps,
            version: entry.version.to_string(),
            time: rfc3339(entry.time_ms),
            title: entry.title().to_owned(),
            author: entry.author,
            message: entry.message,
            operation: entry.made_by.operation,
            command: entry.made_by.command,
            ticket: entry.made_by.ticket,
            fencing_token: entry.made_by.fence,
        }
    }
}

/// `plandex log [-n N]`
pub(super) fn log(cli: &Cli, args: &Log) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let mut versions = Vec::new();
    history::log(&project, &selected, |entry| {
        if entry.steps >= args.limit || cli.ui.stdout_closed() {
            return Ok(ControlFlow::Break(()));
        }
        if cli.json {
            versions.push(VersionDocument::from(entry));
        } else {
            show_version(cli, &entry);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plan: String,
            branch: String,
            versions: Vec<VersionDocument>,
        }
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan: selected.plan.name,
            branch: selected.branch.name,
            versions,
        });
    }
    Ok(ExitCode::Done)
}

fn show_version(cli: &Cli, entry: &Entry) {
    let short: String = entry.version.to_string().chars().take(10).collect();
    let age = render::age(since(entry.time_ms));
    let line = Text::from(format!("{:>3}  ", entry.steps))
        .then(Style::Yellow, short)
        .then(Style::Dim, format!("  {age} ago  "))
        .plain(entry.title());
    cli.ui.line(line);
    if cli.verbosity() > 0 {
        for line in entry.message.lines().skip(1) {
            cli.ui.line(format!("     {line}").trim_end());
        }
    }
    let detail = match cli.verbosity() {
        0 => Detail::Some,
        _ => Detail::All,
    };
    let made_by = made_by(entry, detail);
    if made_by.is_empty() {
        return;
    }
    let shown = match (detail, cli.ui.width()) {
        (Detail::Some, Some(width)) => {
            render::truncated(&made_by, width.saturating_sub(6), cli.ui.signs())
        }
        _ => made_by,
    };
    cli.ui
        .line(Text::styled(Style::Dim, format!("     {shown}")));
}

/// Who, by what command, in which operation: "ann: plandex tell x (tell execution)"; all that is
/// known of it in `detail`: "(tell execution, ticket 3, fence 9)".
fn made_by(entry: &Entry, detail: Detail) -> String {
    let made_by = &entry.made_by;
    let mut inner: Vec<String> = made_by.operation.iter().cloned().collect();
    if let (Detail::All, Some(ticket), Some(fence)) = (detail, made_by.ticket, made_by.fence) {
        inner.extend([format!("ticket {ticket}"), format!("fence {fence}")]);
    }
    let inner = inner.join(", ");
    let what = match (&made_by.command, inner.is_empty()) {
        (Some(command), true) => command.clone(),
        (Some(command), false) => format!("{command} ({inner})"),
        (None, _) => inner,
    };
    match (actor(entry.actor()), what.is_empty()) {
        // Nobody said who it is: the program's own name tells nothing, nor does a terminal's.
        ("plandex" | "", _) => what,
        (actor, true) => actor.to_owned(),
        (actor, false) => format!("{actor}: {what}"),
    }
}

/// How much of what made a version is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Some,
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(author: &str, made_by: history::MadeBy) -> Entry {
        Entry {
            steps: 0,
            version: "0123456789012345678901234567890123456789".parse().unwrap(),
            time_ms: 0,
            author: format!("{author} <plandex@localhost>"),
            message: "Tell #1: x".to_owned(),
            made_by,
        }
    }

    #[test]
    fn a_version_says_who_made_it_only_if_somebody_is_known() {
        let by = || history::MadeBy {
            operation: Some("tell execution".to_owned()),
            command: Some("plandex tell x".to_owned()),
            ticket: Some(3),
            fence: Some(9),
            apply: None,
        };
        let some = "plandex tell x (tell execution)";
        for nobody in ["plandex", "tty34817-7893-4547479"] {
            assert_eq!(made_by(&entry(nobody, by()), Detail::Some), some);
        }
        let ann = made_by(&entry("ann", by()), Detail::All);
        let all = "ann: plandex tell x (tell execution, ticket 3, fence 9)";
        assert_eq!(ann, all);
        let unknown = history::MadeBy::default();
        assert_eq!(made_by(&entry("plandex", unknown.clone()), Detail::All), "");
        assert_eq!(made_by(&entry("ann", unknown), Detail::Some), "ann");
    }

    #[test]
    fn a_reply_is_named_by_its_file() {
        let hash = "0f".repeat(32);
        assert_eq!(source(&format!("reply:a b.md {hash}")), "reply:a b.md");
        assert_eq!(source("reply:a b.md"), "reply:a b.md");
        assert_eq!(source("openai:m"), "openai:m");
    }
}
