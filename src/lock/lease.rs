//! The heartbeat: one thread a process renews the leases of all its tickets.
//!
//! It has its own connection, opened before the first ticket. Between beats it listens to the
//! owner's doorbell, so that `stop` is heard at once. Losing a ticket stops the work: SEED.md 5.4
//! drew "stop loop" there and let the operation run on without its lock.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use rand::RngExt as _;

use super::owner::Owner;
use crate::config::LockToken;
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::{log, threads, wait};
use crate::store::audit::Outcome;
use crate::store::settings::Intervals;
use crate::store::tickets::Proof;
use crate::store::{OwnConnection, Store, tickets};

/// So many failed beats in a row end the operations (SEED.md 5.4: more than five).
const ERRORS_MAX: u32 = 6;

/// The tickets that this process holds, with the word that stops each one's work.
///
/// Written on acquire and release, read by the heartbeat: `MutexUsage/activeLockIds` of the seed.
#[derive(Debug, Default)]
pub(super) struct Registry {
    held: Mutex<HashMap<i64, Held>>,
    /// Tickets that are over and could not be released: a full disk, a busy database, a panic. They
    /// would keep their plans until this process ends.
    owed: Mutex<Vec<(Proof, Outcome)>>,
}

/// What is known of one held ticket.
#[derive(Debug)]
struct Held {
    cancel: Cancel,
    /// What its command is given, if it runs one.
    token: Option<LockToken>,
}

impl Registry {
    pub(super) fn insert(&self, ticket: i64, cancel: Cancel, token: Option<LockToken>) {
        self.held.lock().insert(ticket, Held { cancel, token });
    }

    pub(super) fn token(&self, ticket: i64) -> Option<LockToken> {
        self.held.lock().get(&ticket)?.token.clone()
    }

    /// Takes a ticket out before it is released, so that no beat misses its row.
    pub(super) fn remove(&self, ticket: i64) {
        self.held.lock().remove(&ticket);
    }

    /// Whether nothing is held, and nothing has to be given back yet.
    pub(super) fn is_empty(&self) -> bool {
        self.held.lock().is_empty() && self.owed.lock().is_empty()
    }

    /// Leaves a ticket to the heartbeat, which releases it as soon as it can.
    pub(super) fn owe(&self, proof: Proof, outcome: Outcome) {
        self.owed.lock().push((proof, outcome));
    }

    /// What has to be given back yet, for one try.
    pub(super) fn take_owed(&self) -> Vec<(Proof, Outcome)> {
        std::mem::take(&mut self.owed.lock())
    }

    fn ids(&self) -> Vec<i64> {
        self.held.lock().keys().copied().collect()
    }

    fn cancel(&self, ticket: i64, reason: Reason) {
        if let Some(held) = self.held.lock().get(&ticket) {
            held.cancel.set(reason);
        }
    }
}

/// What the heartbeat thread works with.
pub(super) struct Heart {
    pub(super) store: Arc<Store>,
    pub(super) owner: Arc<Owner>,
    pub(super) registry: Arc<Registry>,
    pub(super) intervals: Intervals,
    /// Set when the process gives its tickets back for good.
    pub(super) end: Cancel,
}

/// Starts the heartbeat thread; its connection is open when this returns.
pub(super) fn start(heart: Heart) -> Result<()> {
    // A beat that waits for SQLite longer than one interval has failed.
    let busy = heart.intervals.heartbeat.min(Duration::from_secs(2));
    let connection = heart.store.own_connection(busy)?;
    // Not joined: at exit it may stand at the gate behind a stopped process, and a beat that is
    // cut off is rolled back like any other transaction.
    std::thread::Builder::new()
        .name("heartbeat".to_owned())
        .spawn(move || heart.run(&connection))
        .context("starting the heartbeat thread")?;
    Ok(())
}

impl Heart {
    fn run(&self, connection: &OwnConnection) {
        let guard = LostWithThread(&self.registry);
        log::heartbeat(|| {
            let interval = self.intervals.heartbeat;
            format!(
                "starts: every {interval:?}, lease {:?}",
                self.intervals.lease
            )
        });
        let mut failures = Failures::default();
        let mut next = Instant::now() + self.pause(0);
        loop {
            let left = next.saturating_duration_since(Instant::now());
            let mut fds = vec![self.end.as_fd()];
            fds.extend(self.owner.bell.as_ref().map(|bell| bell.as_fd()));
            let heard = {
                let _waits = threads::waits("its next beat, or the owner's doorbell");
                wait::readable(&fds, left).unwrap_or_default()
            };
            if heard.first() == Some(&true) {
                break;
            }
            let rang = heard.get(1) == Some(&true);
            if let (true, Some(bell)) = (rang, &self.owner.bell) {
                bell.drain();
            }
            if !rang && Instant::now() < next {
                continue;
            }
            self.release_owed(connection);
            let ids = self.registry.ids();
            if !ids.is_empty() {
                self.beat(connection, &ids, &mut failures);
            }
            next = Instant::now() + self.pause(failures.in_a_row);
        }
        log::heartbeat(|| "ends with its owner".to_owned());
        std::mem::forget(guard);
    }

    /// One beat for `ids`, the tickets held before it began: a row that is missing is lost.
    fn beat(&self, connection: &OwnConnection, ids: &[i64], failures: &mut Failures) {
        let begun = Instant::now();
        let beat = self
            .store
            .tickets_patiently(connection, |tx| tickets::beat(tx, &self.owner.row.id, ids));
        match beat {
            Ok(rows) => {
                log::heartbeat(|| {
                    let (renewed, took) = (rows.len(), begun.elapsed());
                    format!("renewed {renewed} of tickets {ids:?} in {took:?}")
                });
                *failures = Failures::default();
                for id in ids {
                    match rows.iter().find(|(row, _)| row == id) {
                        None => {
                            log::heartbeat(|| format!("ticket {id} is gone: its lock is lost"));
                            self.registry.cancel(*id, Reason::LockLost);
                        }
                        Some((_, true)) => {
                            log::heartbeat(|| format!("ticket {id} is asked to stop"));
                            self.registry.cancel(*id, Reason::Stopped);
                        }
                        Some((_, false)) => {}
                    }
                }
            }
            Err(error) => {
                failures.in_a_row += 1;
                let count = failures.in_a_row;
                log::heartbeat(|| format!("failed, {count} in a row of {ERRORS_MAX}: {error:#}"));
                // Time at the gate does not count: while nobody can write, nobody can take the
                // lock. What SQLite made us wait is at most one busy timeout.
                failures.trying += begun.elapsed().min(self.intervals.heartbeat);
                failures.trying += self.pause(failures.in_a_row);
                if failures.in_a_row >= ERRORS_MAX || failures.trying > self.intervals.lease * 3 / 4
                {
                    log::heartbeat(|| format!("given up: the locks {ids:?} are lost"));
                    ids.iter()
                        .for_each(|id| self.registry.cancel(*id, Reason::LockLost));
                }
            }
        }
    }

    /// Releases what could not be released when it was over.
    fn release_owed(&self, connection: &OwnConnection) {
        for (proof, outcome) in self.registry.take_owed() {
            let released = self
                .store
                .tickets_patiently(connection, |tx| tickets::release(tx, &proof, outcome));
            // A ticket that is gone is owed to nobody.
            if released.is_err() {
                self.registry.owe(proof, outcome);
            }
        }
    }

    /// The pause before the next beat: the interval with up to 10 % × (errors + 1) of jitter; a
    /// quarter of it after a failure.
    fn pause(&self, errors: u32) -> Duration {
        let interval = if errors == 0 {
            self.intervals.heartbeat
        } else {
            self.intervals.heartbeat / 4
        };
        let jitter = 0.1 * f64::from(errors + 1) * rand::rng().random_range(0.0..1.0);
        interval.mul_f64(1.0 + jitter)
    }
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    trying: Duration,
}

/// If the thread dies of a panic, every ticket counts as lost: nobody renews it any more.
struct LostWithThread<'r>(&'r Registry);

impl Drop for LostWithThread<'_> {
    fn drop(&mut self) {
        for id in self.0.ids() {
            self.0.cancel(id, Reason::LockLost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod mutex_usage {
        use super::*;

        /// SEED.md B.3 MutexUsage/activeLockIds_concurrent_access.
        #[test]
        fn active_lock_ids_concurrent_access() {
            let registry = Registry::default();
            std::thread::scope(|scope| {
                let mut threads = Vec::new();
                for thread in 0..100_i64 {
                    let registry = &registry;
                    threads.push(scope.spawn(move || {
                        for step in 0..50 {
                            let id = thread * 1000 + step;
                            registry.insert(id, Cancel::new().unwrap(), None);
                            assert!(registry.ids().contains(&id));
                            registry.cancel(id, Reason::Stopped);
                            if step % 2 == 0 {
                                registry.remove(id);
                            }
                        }
                    }));
                }
                for thread in threads {
                    thread.join().unwrap();
                }
            });
            assert_eq!(registry.ids().len(), 100 * 25);
            assert!(
                registry
                    .held
                    .lock()
                    .values()
                    .all(|held| held.cancel.reason() == Some(Reason::Stopped))
            );
        }
    }
}
