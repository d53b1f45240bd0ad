//! `locks` and `ps`: the queue as people see it.
//!
//! The one hard rule: what looks takes no ticket and writes nothing to the project's state.

pub(super) mod args;
mod explain;
mod picture;
mod release;
mod rows;
mod seen;
mod sql;
mod stats;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

pub(super) use release::by;
pub(super) use seen::{Seen, actor, is_orphaned, named_plan, seen};
pub(super) use stats::span;

use super::exit::ExitCode;
use super::follow::Follower;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::config::{self, Wait};
use crate::platform::clock;
use crate::project::Project;
use args::{Locks, LocksCommand, Ps};

/// At most one picture of the queue in this time on a terminal; and at least one look, because the
/// death or the suspension of an owner changes no row.
const TICK: Duration = Duration::from_secs(1);

/// `plandex ps`: what runs and waits now, on any plan of the project.
pub(super) fn ps(cli: &Cli, args: &Ps) -> Result<ExitCode> {
    let project = cli.open()?;
    if args.watch {
        return watch(cli, &project, rows::runs);
    }
    let seen = in_line(&project)?;
    if seen.is_empty() && !cli.json {
        cli.ui.note("Nothing runs");
        return Ok(ExitCode::Done);
    }
    rows::runs(cli, &project, &seen);
    Ok(ExitCode::Done)
}

/// `plandex locks`: everybody who holds or waits.
pub(super) fn locks(cli: &Cli, args: &Locks) -> Result<ExitCode> {
    if args.since.is_some() && !args.stats && args.timeline.is_none() {
        let hint = "see `plandex locks --help`";
        return Err(UsageError::new("--since is for --timeline and --stats", hint).into());
    }
    match (&args.command, args.sql, &args.timeline) {
        (Some(LocksCommand::Release(args)), _, _) => return release::release(cli, args),
        (None, Some(query), _) => return sql::sql(cli, query, args.print),
        (None, None, Some(file)) => return picture::timeline(cli, file, args),
        (None, None, None) if args.stats => return stats::stats(cli, args.since.as_deref()),
        (None, None, None) => {}
    }
    let show = if args.explain {
        explain::explain
    } else {
        rows::tickets
    };
    let project = cli.open()?;
    if args.watch {
        return watch(cli, &project, show);
    }
    let all = seen(&project)?;
    if all.is_empty() && !cli.json {
        cli.ui.note("No operation runs or waits");
        return Ok(ExitCode::Done);
    }
    show(cli, &project, &all);
    Ok(ExitCode::Done)
}

/// What runs, then what waits; parked tickets do neither.
fn in_line(project: &Project) -> Result<Vec<Seen>> {
    let mut all = seen(project)?;
    all.retain(|seen| seen.position.is_some() || seen.ticket.state.blocks());
    Ok(all)
}

/// Shows the queue again and again until it is called off: on a terminal in place, once a second;
/// elsewhere whenever it changed.
fn watch(cli: &Cli, project: &Project, show: fn(&Cli, &Project, &[Seen])) -> Result<ExitCode> {
    let mut follower = Follower::new(cli, project)?;
    let in_place = cli.ui.can_redraw();
    let mut shown = None;
    // Until whoever watches has seen enough.
    loop {
        let all = seen(project)?;
        let key: Vec<_> = all.iter().map(Seen::key).collect();
        let fits = if in_place { fitting(cli) } else { usize::MAX };
        if in_place {
            cli.ui.clear_screen();
        } else if shown.is_some() && shown.as_ref() != Some(&key) && !cli.json {
            cli.ui.line("");
        }
        if in_place || shown.as_ref() != Some(&key) {
            if all.is_empty() && !cli.json {
                cli.ui.line("No operation runs or waits");
            } else {
                show(cli, project, &all[..all.len().min(fits)]);
            }
            if all.len() > fits {
                cli.ui.line(format!("and {} more", all.len() - fits));
            }
            shown = Some(key);
        }
        let pause = if in_place {
            follower.pause(TICK)?
        } else {
            follower.until_changed(TICK)?
        };
        if let Some(code) = pause {
            return Ok(code);
        }
    }
}

/// How many tickets a terminal surely shows at once: what scrolls away cannot be redrawn.
fn fitting(cli: &Cli) -> usize {
    let height = cli.ui.height().unwrap_or(24).saturating_sub(3);
    let width = cli.ui.width().unwrap_or(80);
    (height / rows::lines_a_ticket(width)).max(1)
}

/// Tickets as one document.
fn document(cli: &Cli, project: &Project, all: &[Seen]) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        schema_version: u32,
        locks: Vec<seen::Document>,
    }
    let locks = all
        .iter()
        .map(|seen| seen::Document::new(cli, project, seen))
        .collect();
    cli.ui.json(&Document {
        schema_version: SCHEMA_VERSION,
        locks,
    });
}

/// The wall time that lies `text` ("90s", "1h", "forever") back.
pub(super) fn since_time(text: &str) -> Result<i64> {
    let Ok(span) = config::parse_wait(text) else {
        let message = format!("--since: {text:?} is no span of time (of at most 365 days)");
        return Err(UsageError::new(message, "use 90s, 15m, 1h30m, 7d or forever").into());
    };
    Ok(match span {
        Wait::For(back) => {
            let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
            clock::wall_ms().saturating_sub(back)
        }
        Wait::No => clock::wall_ms(),
        Wait::Forever => 0,
    })
}
