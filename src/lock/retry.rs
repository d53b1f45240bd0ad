//! Trying again by the schedule: what conflicts is neither waited for blindly nor given up at once.

use std::os::fd::AsFd as _;
use std::time::Instant;

use anyhow::{Error, Result};

use super::{LockError, Notice, Patience, Request, Retry, RetryReason, backoff};
use crate::platform::{log, threads, wait};
use crate::store;

/// The retries of one acquisition.
pub(super) struct Retries<'a, P> {
    request: &'a Request<'a, P>,
    made: u32,
}

impl<'a, P> Retries<'a, P> {
    pub(super) fn new(request: &'a Request<'a, P>) -> Self {
        Self { request, made: 0 }
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
        let left = self.request.patience.left();
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
        let cancel = self.request.cancel;
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
        if self.request.patience == Patience::None {
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
