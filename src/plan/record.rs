//! The record of a run: what happens is stored first and told after, so that whoever follows from
//! another process hears exactly what the runner's own terminal does.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::event::{Event, Recorded};
use crate::platform::clock;
use crate::project::Turn;
use crate::store::streams::{self, Kept};
use crate::store::tickets::WritePermit;

/// What has happened is stored at least this often while a reply arrives.
pub(super) const BATCH_EVERY: Duration = Duration::from_millis(100);
/// And at least every so many bytes of text.
const BATCH_BYTES: usize = 4096;

/// Keeps one run's events.
pub(super) struct Recorder<'r> {
    turn: &'r Turn<'r>,
    permit: &'r WritePermit,
    run: String,
    number: i64,
    unstored: Vec<Recorded>,
    bytes: usize,
    last: Instant,
    listener: &'r mut dyn FnMut(Recorded),
}

impl<'r> Recorder<'r> {
    /// The record of a run, whose `first` event is stored.
    pub(super) fn new(
        turn: &'r Turn<'r>,
        permit: &'r WritePermit,
        first: &Recorded,
        listener: &'r mut dyn FnMut(Recorded),
    ) -> Self {
        turn.project.locks().tell_followers();
        listener(first.clone());
        Self {
            turn,
            permit,
            run: first.run.clone(),
            number: first.number,
            unstored: Vec::new(),
            bytes: 0,
            last: Instant::now(),
            listener,
        }
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The number of the newest event.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Notes an event. Pieces of one text that come within a batch's time are one event.
    pub(super) fn say(&mut self, event: Event) {
        let last = self.unstored.last_mut().map(|recorded| &mut recorded.event);
        match (last, &event) {
            (Some(Event::Text { text }), Event::Text { text: more })
            | (Some(Event::Thinking { text }), Event::Thinking { text: more }) => {
                text.push_str(more);
                self.bytes += more.len();
                return;
            }
            (_, Event::Text { text } | Event::Thinking { text }) => self.bytes += text.len(),
            _ => {}
        }
        self.number += 1;
        self.unstored.push(Recorded {
            run: self.run.clone(),
            number: self.number,
            at: clock::wall_ms(),
            event,
        });
    }

    /// Stores and tells what was noted, if it is time.
    pub(super) fn keep_up(&mut self) -> Result<()> {
        if self.bytes < BATCH_BYTES && self.last.elapsed() < BATCH_EVERY {
            return Ok(());
        }
        self.store()
    }

    /// Stores and tells what was noted.
    pub(super) fn store(&mut self) -> Result<()> {
        if self.unstored.is_empty() {
            return Ok(());
        }
        let kept = self.unstored_rows()?;
        let store = &self.turn.project.store;
        store.note(self.permit, |tx| streams::add(tx, &self.run, &kept))?;
        self.tell();
        Ok(())
    }

    /// What is noted and not stored, for a transaction of the caller's, who calls
    /// [`Self::tell`] once it is committed.
    pub(super) fn unstored_rows(&self) -> Result<Vec<Kept>> {
        self.unstored.iter().map(Recorded::kept).collect()
    }

    /// Tells what is stored now: those who follow first, because this listener may be slow.
    pub(super) fn tell(&mut self) {
        self.turn.project.locks().tell_followers();
        self.bytes = 0;
        self.last = Instant::now();
        for recorded in self.unstored.drain(..) {
            (self.listener)(recorded);
        }
    }
}
