//! `summary`: what the conversation was about.

use anyhow::Result;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report;
use super::super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339};
use super::args;
use super::tell::asked;
use crate::lock::operation;
use crate::model::Provider;
use crate::plan::{self, Summarized, TellError};
use crate::platform::cancel::Reason;
use crate::store::summaries::{self, Summary};
use crate::ui::{Style, Text};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    plan: &'a str,
    branch: &'a str,
    summary: Option<&'a str>,
    up_to: i64,
    source: Option<&'a str>,
    created_at: Option<String>,
}

/// `plandex summary`
pub(in super::super) fn summary(cli: &Cli, args: &args::Summary) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let branch = &selected.branch;
    let kept = project.store.read(|tx| summaries::last(tx, &branch.id))?;
    let print = |summary: Option<&Summary>| {
        show(cli, &selected.plan.name, &branch.name, summary);
        Ok(ExitCode::Done)
    };
    if kept.is_some() && !args.make {
        return print(kept.as_ref());
    }
    let chosen = asked(cli, args.choice.choose(cli, &project)?);
    if chosen.provider == Provider::Literal {
        return Err(TellError::NeedsModel("summary").into());
    }
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::SUMMARIZE,
    };
    let name = branch.name.clone();
    let made = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| plan::summarize(turn, permit, &name, &chosen),
        |()| {},
    )?;
    match made {
        Summarized::Made(summary) => print(Some(&summary)),
        Summarized::Nothing => print(kept.as_ref()),
        Summarized::Stopped(reason) => {
            cli.ui.note("Stopped: no summary was made");
            Ok(report::stopped(reason.unwrap_or(Reason::Interrupted)))
        }
    }
}

fn show(cli: &Cli, plan: &str, branch: &str, summary: Option<&Summary>) {
    if cli.json {
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan,
            branch,
            summary: summary.map(|summary| summary.text.as_str()),
            up_to: summary.map_or(0, |summary| summary.up_to),
            source: summary.map(|summary| summary.source.as_str()),
            created_at: summary.map(|summary| rfc3339(summary.created_at)),
        });
        return;
    }
    let Some(summary) = summary else {
        cli.ui.note("Nothing has been said yet");
        return;
    };
    let head = format!("Messages 1 to {}", summary.up_to);
    let when = format!("  {}  {}", clock_time(summary.created_at), summary.source);
    cli.ui
        .line(Text::styled(Style::Bold, head).then(Style::Dim, when));
    cli.ui.line(summary.text.trim_end());
}
