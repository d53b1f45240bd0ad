//! What a dead run left, mended by the next writer before its own work.

use anyhow::Result;

use super::event::{Event, Recorded};
use super::report::Report;
use crate::platform::clock;
use crate::project::{Turn, tree};
use crate::store::WriteTx;
use crate::store::branches::{self, Branch, Status};
use crate::store::messages::{self, Message, State};
use crate::store::streams::{self, Stream};
use crate::store::tickets::WritePermit;

/// Ends the runs of this plan that died: each partial reply is kept and marked interrupted, the
/// branch's status tells the truth, refs follow their rows. Under a write permit no run of this
/// plan can be alive, so whatever claims to be at work is dead.
pub fn repair(turn: &Turn<'_>, permit: &WritePermit) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let store = &turn.project.store;
    let branches = store.read(|tx| branches::of_plan(tx, turn.plan_id))?;
    // An apply that died is settled by its own room.
    let is_run =
        |branch: &&Branch| branch.status.claims_work() && branch.status != Status::Applying;
    for branch in branches.iter().filter(is_run) {
        lines.push(interrupt(turn, permit, branch)?);
        turn.mend_mirrors(permit)?;
    }
    Ok(lines)
}

fn interrupt(turn: &Turn<'_>, permit: &WritePermit, branch: &Branch) -> Result<String> {
    let store = &turn.project.store;
    let (open, runs) = store.read(|tx| {
        Ok((
            messages::open_of_branch(tx, &branch.id)?,
            streams::unfinished(tx, &branch.id)?,
        ))
    })?;
    let mut replies = Vec::new();
    for message in open {
        let run = runs
            .iter()
            .find(|run| run.message_id.as_ref() == Some(&message.id));
        let text = match run {
            Some(run) => store.read(|tx| streams::text(tx, &run.id))?,
            None => String::new(),
        };
        let completed_at = Some(clock::wall_ms());
        replies.push(Message {
            text,
            state: State::Interrupted,
            completed_at,
            ..message
        });
    }
    let mut files = Vec::new();
    for reply in &replies {
        let prompt = store.read(|tx| messages::by_number(tx, &branch.id, reply.number - 1))?;
        files.extend(prompt.iter().map(tree::message));
        files.push(tree::message(reply));
    }
    let kept: usize = replies.iter().map(|reply| reply.text.len()).sum();
    let was = branch.status.word();
    let report = Report {
        errors: vec!["the process died before the run was over".to_owned()],
        partial: kept > 0,
        ..Report::default()
    }
    .stored();
    let rows = |tx: &WriteTx<'_>| {
        replies
            .iter()
            .try_for_each(|reply| messages::complete(tx, reply))?;
        end(tx, &runs, &report, kept > 0)?;
        branches::set_status(tx, &branch.id, Status::Interrupted, None)
    };
    if files.is_empty() {
        store.write(permit, rows)?;
    } else {
        turn.advance(
            permit,
            branch,
            &files,
            "Interrupted: the partial reply is kept",
            rows,
        )?;
    }
    let left = match replies.is_empty() {
        true => "nothing of it is left".to_owned(),
        false => format!("its partial reply ({kept} bytes) is kept"),
    };
    Ok(format!(
        "branch \"{}\": an operation died while {was}; {left}",
        branch.name
    ))
}

/// Ends the runs, each with its last event.
fn end(tx: &WriteTx<'_>, runs: &[Stream], report: &str, partial: bool) -> Result<()> {
    for run in runs {
        let last = Recorded {
            run: run.id.clone(),
            number: streams::last_number(tx, &run.id)? + 1,
            at: clock::wall_ms(),
            event: died(partial),
        };
        streams::add(tx, &run.id, &[last.kept()?])?;
        streams::finish(tx, &run.id, "interrupted", Some(report))?;
    }
    Ok(())
}

/// The last event of a run that could not say it itself.
fn died(partial: bool) -> Event {
    Event::Failed {
        kind: "interrupted".to_owned(),
        message: "its process ended before it did".to_owned(),
        hint: None,
        partial,
        exit_code: None,
    }
}
