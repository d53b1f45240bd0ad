//! Trying again by the schedule: what conflicts is neither waited for blindly nor given up at once.
//!
//! Tickets are taken so, and so is every transaction that a command makes outside its ticket.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::{LockError, Notice, Patience, Retry, RetryReason, backoff};
use crate::platform::cancel::Cancel;
use crate::platform::{log, threads, wait};
use crate::store::{self, StoreError};

/// How long one try at the gate lasts before it is looked whether it was called off.
const GATE_TURN: Duration = Duration::from_millis(250);
/// How long SQLite itself waits for a writer outside the gate: with the longest pauses of the
/// schedule, seven such tries end within the thirty seconds that a command waits by default.
const BUSY: Duration = GATE_TURN;

/// Runs a transaction that takes no ticket, again by the schedule while somebody outside the gate
/// keeps it from beginning. It is given how long the gate, and then SQLite, may be waited for.
///
/// Fails as [`super::Locks::acquire`] does where the schedule or the time is spent.
pub fn retrying<T>(
    patience: Patience,
    cancel: &Cancel,
    on_wait: &mut dyn FnMut(&Notice),
    mut transaction: impl FnMut(Duration, Duration) -> Result<T>,
) -> Result<T> {
    let mut retries = Retries::new(patience, cancel);
    loop {
        match at_the_gate(patience, cancel, &mut transaction) {
            Ok(value) => return Ok(value),
            Err(error) => retries.pause(error, on_wait)?,
        }
    }
}

/// One try of a transaction, in short turns at the gate, so that whoever is stopped inside it keeps
/// nobody from being called off.
pub(super) fn at_the_gate<T>(
    patience: Patience,
    cancel: &Cancel,
    mut transaction: impl FnMut(Duration, Duration) -> Result<T>,
) -> Result<T> {
    let until = Instant::now().checked_add(patience.at_the_gate());
    loop {
        let left = until.map_or(GATE_TURN, |until| {
            GATE_TURN.min(until.saturating_duration_since(Instant::now()))
        });
        let busy = BUSY.min(left.max(Duration::from_millis(10)));
        let done = transaction(left, busy);
        let is_over = until.is_some_and(|until| Instant::now() >= until);
        match done {
            Err(error) if !is_over && is_busy(&error) && !store::is_conflicted(&error) => {
                if let Some(reason) = cancel.reason() {
                    return Err(LockError::Cancelled(reason).into());
                }
            }
            done => return done,
        }
    }
}

/// Whether nothing was done because somebody else was writing.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Busy(_)))
}

/// The retries of one acquisition, or of one transaction.
pub(super) struct Retries<'a> {
    patience: Patience,
    cancel: &'a Cancel,
    made: u32,
}

impl<'a> Retries<'a> {
    pub(super) fn new(patience: Patience, cancel: &'a Cancel) -> Self {
        Self {
            patience,
            cancel,
            made: 0,
        }
    }

    /// Pauses before the next try after `error`, having said so. Fails with what the acquisition
    /// fails with: where `error` is nothing to retry, the schedule or the time is spent, or the
    /// operation is called off in the pause.
    pub(super) fn pause(&mut self, error: Error, on_wait: &mut dyn FnMut(&Notice)) -> Result<()> {
        let Some(why) = self.reason(&error) else {
            return Err(error);
        };
        if self.made == backoff::RETRIES {
            return Err(self.spent(error));
        }
        let delay = backoff::draw(self.made);
        self.made += 1;
        let cause = cause(&error, why);
        let left = self.patience.left();
        log::retry(|| {
            let (made, of) = (self.made, backoff::RETRIES);
            format!("Retry {made}/{of} in {delay:?}: {cause}")
        });
        on_wait(&Notice::Retrying(Retry {
            attempt: self.made,
            of: backoff::RETRIES,
            delay,
            why,
            cause: cause.clone(),
            left,
        }));
        let cancel = self.cancel;
        let until = Instant::now() + left.map_or(delay, |left| delay.min(left));
        // A signal may end a poll early; the pause goes on.
        let _waits = threads::waits("its next retry");
        while !cancel.is_set() && Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            wait::readable(&[cancel.as_fd()], rest)?;
        }
        let is_over = left.is_some_and(|left| left < delay);
        if cancel.is_set() || is_over {
            log::retry(|| format!("context canceled while waiting to retry: {cause}"));
            return Err(LockError::RetryEnded {
                reason: cancel.reason(),
                attempts: self.made,
                why,
                cause: match error.downcast_ref() {
                    Some(LockError::Deadlock { .. }) => error.to_string(),
                    _ => cause,
                },
            }
            .into());
        }
        Ok(())
    }

    fn reason(&self, error: &Error) -> Option<RetryReason> {
        if self.patience == Patience::None {
            return None;
        }
        if matches!(error.downcast_ref(), Some(LockError::Deadlock { .. })) {
            return Some(RetryReason::Deadlock);
        }
        store::is_conflicted(error).then_some(RetryReason::Busy)
    }

    fn spent(&self, error: Error) -> Error {
        let attempts = self.made;
        log::retry(|| format!("Failed to acquire lock after {attempts} attempts"));
        match error.downcast() {
            Ok(LockError::Deadlock { chain, .. }) => LockError::Deadlock { chain, attempts }.into(),
            Ok(other) => other.into(),
            Err(error) => LockError::Spent {
                attempts,
                cause: error.to_string(),
            }
            .into(),
        }
    }
}

/// What was in the way, in SEED.md 4.4.1's words.
fn cause(error: &Error, why: RetryReason) -> String {
    match why {
        RetryReason::Deadlock => "deadlock detected".to_owned(),
        RetryReason::Busy => error.to_string(),
    }
}
