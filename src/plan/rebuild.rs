//! `build`: the edits of replies that were not built yet, and of files that failed in the last
//! run, become pending changes. Nobody is asked anything.

use std::time::Instant;

use anyhow::Result;

use super::build;
use super::due;
use super::event::{Event, Recorded};
use super::record::Recorder;
use super::report::Tally;
use super::run::{check_lock, counted};
use super::tell::Told;
use crate::project::Turn;
use crate::store::branches::{self, Status};
use crate::store::messages::State;
use crate::store::streams;
use crate::store::tickets::{Permit as _, WritePermit};

/// Builds what is to be built on the branch called `branch`, reporting to `listener`; `None` if
/// there is nothing, and then nothing is changed. One fenced transaction, as of a tell.
pub fn rebuild(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &str,
    listener: &mut dyn FnMut(Recorded),
) -> Result<Option<Told>> {
    let branch = turn.branch(branch)?;
    let store = &turn.project.store;
    let (mut dues, unbuilt) =
        store.read(|tx| Ok((due::failed(tx, &branch.id)?, due::unbuilt(tx, &branch.id)?)))?;
    dues.extend(unbuilt);
    if dues.is_empty() {
        return Ok(None);
    }
    let since = Instant::now();
    let first = store.write(permit, |tx| {
        branches::set_status(tx, &branch.id, Status::Building, None)?;
        let stream = streams::start(tx, &branch.id, permit.proof().ticket(), None)?;
        let first = Recorded::first(&stream, started(turn));
        streams::add(tx, &stream, &[first.kept()?])?;
        Ok(first)
    })?;
    let stream = &first.run;
    let mut recorder = Recorder::new(turn, permit, &first, listener);
    let outcome = build::build(turn, &branch, stream, &dues, &mut |event| {
        recorder.say(event);
        recorder.keep_up()
    })?;
    check_lock(turn, permit)?;
    let mut tally = Tally::default();
    tally.outcome(&outcome);
    let report = tally.report();
    recorder.say(Event::Completed {
        number: 0,
        state: State::Complete.word().to_owned(),
        built: report.built,
        failed: report.failed,
        malformed: 0,
        kept: 0,
        stopped: None,
        duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    let last_words = recorder.unstored_rows()?;
    let message = format!("Build{}", counted(&outcome));
    turn.advance(permit, &branch, &outcome.tree_changes(), &message, |tx| {
        outcome.record(tx)?;
        streams::add(tx, stream, &last_words)?;
        streams::finish(tx, stream, "ready", Some(&report.stored()))?;
        branches::set_status(tx, &branch.id, Status::Ready, None)
    })?;
    recorder.tell();
    Ok(Some(Told {
        state: State::Complete,
        number: 0,
        report,
        failed: tally.failed(),
        malformed: Vec::new(),
        stopped: None,
        failure: None,
    }))
}

fn started(turn: &Turn<'_>) -> Event {
    Event::Started {
        kind: "build".to_owned(),
        number: 0,
        waited_ms: u64::try_from(turn.waited.as_millis()).unwrap_or(u64::MAX),
        provider: "none".to_owned(),
        model: None,
        provider_source: None,
        prompt_sha256: String::new(),
        prompt_tokens_estimate: 0,
        idle_limit_ms: None,
    }
}
