//! `convo`, `log`.

use anyhow::Result;
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339};
use crate::plan::history;
use crate::store::messages::{Kind, Role, State};
use crate::ui::{Style, Text};

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

/// `plandex convo`
pub(super) fn convo(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let said = history::conversation(&project, &selected)?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plan: String,
            branch: String,
            messages: Vec<MessageDocument>,
        }
        let messages = said
            .into_iter()
            .map(|said| MessageDocument {
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
            })
            .collect();
        let (plan, branch) = (selected.plan.name, selected.branch.name);
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan,
            branch,
            messages,
        });
        return Ok(ExitCode::Done);
    }
    if said.is_empty() {
        cli.ui.note("Nothing has been said yet");
        cli.ui.hint("`plandex tell \"what to do\"`");
    }
    for said in said {
        let message = said.message;
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
        let when = format!("  {}  {}", clock_time(message.created_at), message.source);
        cli.ui
            .line(Text::styled(Style::Bold, head).then(Style::Dim, when));
        if message.role == Role::Assistant && message.source == "literal" {
            cli.ui
                .line("no model configured: the edits were taken from the message");
        }
        if !message.text.is_empty() {
            cli.ui.line(message.text.trim_end_matches('\n'));
        }
        if !said.built.is_empty() {
            cli.ui.line(Text::styled(
                Style::Dim,
                format!("built: {}", said.built.join(", ")),
            ));
        }
        cli.ui.line("");
    }
    Ok(ExitCode::Done)
}

/// `plandex log`
pub(super) fn log(cli: &Cli, args: &args::Log) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let versions = history::log(&project, &selected, args.limit)?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            versions: Vec<VersionDocument>,
        }
        #[derive(Serialize)]
        struct VersionDocument {
            version: String,
            author: String,
            time: String,
            message: String,
        }
        let versions = versions
            .into_iter()
            .map(|entry| VersionDocument {
                version: entry.version.to_string(),
                time: rfc3339(entry.time_ms),
                author: entry.author,
                message: entry.message.trim_end().to_owned(),
            })
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            versions,
        });
        return Ok(ExitCode::Done);
    }
    for entry in versions {
        let short: String = entry.version.to_string().chars().take(10).collect();
        let first = entry.message.lines().next().unwrap_or_default().to_owned();
        let line = Text::styled(Style::Yellow, short)
            .then(Style::Dim, format!("  {}  ", clock_time(entry.time_ms)))
            .plain(first);
        cli.ui.line(line);
    }
    Ok(ExitCode::Done)
}
