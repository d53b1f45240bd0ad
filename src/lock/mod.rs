//! Whose turn it is: tickets, leases, doorbells.
//!
//! An operation takes a ticket on its plan: a row in `repo_locks`. The queue is the lock: a ticket
//! is granted when nothing in line conflicts with it ([`rules`]), and deleting it releases. The
//! transaction that removes a ticket also grants the next in line, so the order is exact and the
//! woken process owns the lock when it wakes.
//!
//! Three things keep a lock honest that nobody watches over:
//!
//! * *The owner file* (`owner.rs`) is flocked for the life of the process. Free means dead, at
//!   once, whatever killed it.
//! * *The lease* (`lease.rs`) is the second opinion, for owners that hang: a heartbeat renews it,
//!   CLOCK_MONOTONIC measures it, two looks judge it, and then the ticket is condemned, what its
//!   owner started is killed, and the next is granted.
//! * *The fence* is the number of the grant. Every transaction that changes plan data proves inside
//!   itself that its ticket is still held with its fence (`store.write(&permit, …)`). So a process
//!   that was suspended, judged hung and replaced cannot commit anything late.
//!
//! A wait ends in one of five ways: it is its turn, the deadline passes (its place is kept for a
//! minute for the same command of the same actor), it is called off, it would close a circle of waits
//! ([`graph`]), or the hold above it is lost. Only what conflicts is tried again by a schedule
//! ([`backoff`]): a circle of waits, and a transaction that somebody outside the gate keeps from
//! beginning. Waiting in line and at the gate has no schedule, because there somebody rings.
//!
//! A command run by `plandex exec` is handed the hold as a token. Plandex commands in it take tickets
//! below that hold: on the same plan they queue among themselves only, on another plan in its own
//! line, and everywhere they fall with the hold and are fenced by it.
//!
//! The order of everything that can be waited for is: ticket → apply lock → process mutex → gate →
//! SQLite. Nobody waits for a thing on the left while holding one on the right, so there is no
//! deadlock between them; circles of tickets on several plans are found when they close. No
//! transaction is open while anything is waited for, no ticket is ever upgraded, and a permit can only
//! be made by the SQL that granted it.

pub mod backoff;
mod error;
pub mod estimate;
mod forced;
pub mod graph;
mod hung;
mod lease;
mod notice;
pub mod operation;
pub mod owner;
mod past;
mod place;
mod retry;
pub mod rules;
mod said;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;

pub use error::LockError;
pub use forced::{Forced, force};
pub use graph::{Link, Tie};
pub use hung::{Hung, is_out_of_sight, replace_hung};
pub use notice::{Ahead, Notice, Retry, RetryReason, Waiting};
pub use operation::Operation;
pub use retry::retrying;
pub use wait::grant_step;

use crate::config::LockToken;

use crate::platform::cancel::{Cancel, Reason};
use crate::platform::log;
use crate::platform::touch;
use crate::store::audit::Outcome;
use crate::store::settings::{self, Intervals};
use crate::store::tickets::{self, NewTicket, Permit, Proof};
use crate::store::{Store, history};
use lease::Registry;
use owner::Owner;
use place::Attempt;
use retry::Retries;

/// How long a command waits for everything it may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// Until this moment.
    Until(Instant),
    /// For as long as it takes.
    Forever,
}

/// The gate opens within this even for a command that does not wait in line: the transactions
/// before it take milliseconds.
const GATE_PATIENCE: Duration = Duration::from_secs(5);

impl Patience {
    /// Until `limit` from now.
    pub fn within(limit: Duration) -> Self {
        Instant::now()
            .checked_add(limit)
            .map_or(Self::Forever, Self::Until)
    }

    /// What is left of it.
    pub fn left(&self) -> Option<Duration> {
        match self {
            Self::None => Some(Duration::ZERO),
            Self::Until(moment) => Some(moment.saturating_duration_since(Instant::now())),
            Self::Forever => None,
        }
    }

    /// How long the write gate may be waited for.
    fn at_the_gate(&self) -> Duration {
        match self {
            Self::None => GATE_PATIENCE,
            Self::Until(_) => self
                .left()
                .unwrap_or_default()
                .max(Duration::from_millis(10)),
            Self::Forever => Duration::from_secs(365 * 24 * 3600),
        }
    }
}

/// What an operation asks for.
pub struct Request<'a, P> {
    /// The plan.
    pub plan_id: &'a str,
    /// The branch of a read; `None` is the root. Ignored for writes, which take the whole plan.
    pub branch: Option<&'a str>,
    /// What is to be done.
    pub operation: Operation<P>,
    /// How long to wait.
    pub patience: Patience,
    /// Calls the wait off, and the work: set when the lock is lost.
    pub cancel: &'a Cancel,
}

/// The tickets of one process on one project; clones are the same ones.
#[derive(Clone)]
pub struct Locks {
    inner: Arc<Inner>,
    /// The hold that this process runs below.
    token: Option<LockToken>,
}

struct Inner {
    store: Arc<Store>,
    registry: Arc<Registry>,
    intervals: Intervals,
    actor: String,
    command: String,
    owner: Mutex<Option<Arc<Owner>>>,
    end: Cancel,
}

impl Locks {
    /// Prepares to take tickets; nothing is created before the first one.
    ///
    /// `actor` is who the tickets are for (PLANDEX_ACTOR or the terminal, may be empty), `command`
    /// the command as typed.
    pub fn new(store: Arc<Store>, actor: &str, command: &str) -> Result<Self> {
        let intervals = store.read(settings::intervals)?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                registry: Arc::default(),
                intervals,
                actor: actor.to_owned(),
                command: command.to_owned(),
                owner: Mutex::new(None),
                end: Cancel::new()?,
            }),
            token: None,
        })
    }

    /// The same below the hold that `token` proves: what `plandex exec` hands to its command. A
    /// token of a hold that is over counts as none.
    #[must_use]
    pub fn below(mut self, token: Option<LockToken>) -> Self {
        self.token = token;
        self
    }

    /// Takes a ticket and waits until it is held.
    ///
    /// `on_wait` is called with the line whenever it changed, and before each pause of a retry,
    /// from the waiting thread, with no transaction open. Fails with a [`LockError`] where the
    /// ticket could not be had.
    pub fn acquire<P: Permit>(
        &self,
        request: &Request<'_, P>,
        on_wait: &mut dyn FnMut(&Notice),
    ) -> Result<Hold<P>> {
        let begun = Instant::now();
        let owner = self.inner.owner()?;
        let reason = request.operation.reason();
        said::asked(request);
        let mut retries = Retries::new(request.patience, request.cancel);
        // Whether the hold above was there: from then on the work must not go on without it.
        let mut was_below = false;
        let (permit, hold_token) = loop {
            if let Some(why) = request.cancel.reason() {
                let error = LockError::Cancelled(why).into();
                said::refused(reason, &error, begun);
                return Err(error);
            }
            let new = self.new_ticket(request, &owner);
            let attempt = Attempt {
                inner: &self.inner,
                owner: &owner,
                request,
                new: &new,
                begun,
            };
            match attempt.run(&mut was_below, on_wait) {
                Ok(permit) => break (permit, new.hold_token),
                Err(error) => retries
                    .pause(error, on_wait)
                    .inspect_err(|error| said::refused(reason, error, begun))?,
            }
        };
        said::had(reason, permit.proof(), begun);
        let ticket = permit.proof().ticket();
        let token = (!hold_token.is_empty()).then(|| LockToken::new(ticket, &hold_token));
        self.inner
            .registry
            .insert(ticket, request.cancel.clone(), token);
        Ok(Hold {
            permit: Some(permit),
            inner: Arc::clone(&self.inner),
            waited: begun.elapsed(),
        })
    }

    fn new_ticket<P: Permit>(&self, request: &Request<'_, P>, owner: &Owner) -> NewTicket {
        let scope = request.operation.scope();
        let reason = request.operation.reason();
        let branch = request.branch.filter(|_| scope == tickets::Scope::Read);
        let hold_token = if operation::is_command(reason) {
            LockToken::secret_of(rand::random())
        } else {
            String::new()
        };
        NewTicket {
            plan_id: request.plan_id.to_owned(),
            scope,
            branch: branch.map(str::to_owned),
            reason: reason.to_owned(),
            doorbell: crate::platform::bell::name_for(rand::random()),
            owner: owner.row.clone(),
            token: self.token.clone(),
            hold_token,
        }
    }

    /// What a command run under the held ticket is to be given as `PLANDEX_LOCK_TOKEN`; `None` if
    /// it is not held, or its operation runs no command.
    pub fn token_of(&self, ticket: i64) -> Option<LockToken> {
        self.inner.registry.token(ticket)
    }

    /// The owner file of this process, for a command that inherits it; created if need be.
    pub fn owner_file(&self) -> Result<std::fs::File> {
        Ok(self.inner.owner()?.file.try_clone()?)
    }

    /// Notes that a command runs with `token`, until [`Locks::command_ended`].
    pub fn command_runs(&self, token: &LockToken) -> Result<()> {
        self.inner.owner()?.mark(&token.to_string())
    }

    /// The command with `token` has ended: what it left behind holds nothing.
    pub fn command_ended(&self, token: &LockToken) -> Result<()> {
        self.inner.owner()?.unmark(&token.to_string())
    }

    /// Tells whoever follows what this process does that there is something new: costs a
    /// microsecond, and waits for nobody.
    pub fn tell_followers(&self) {
        if let Some(owner) = self.inner.owner.lock().as_ref() {
            touch::touch(&owner.file);
        }
    }

    /// Where that file is.
    pub fn owner_path(&self) -> Result<std::path::PathBuf> {
        Ok(self.inner.owner()?.path.clone())
    }

    /// The intervals of this project.
    pub fn intervals(&self) -> Intervals {
        self.inner.intervals
    }
}

impl Inner {
    /// This process as an owner: its file locked, its heart beating.
    fn owner(&self) -> Result<Arc<Owner>> {
        let mut slot = self.owner.lock();
        if let Some(owner) = slot.as_ref() {
            return Ok(Arc::clone(owner));
        }
        let owner = Arc::new(Owner::create(self.store.dir(), &self.actor, &self.command)?);
        lease::start(lease::Heart {
            store: Arc::clone(&self.store),
            owner: Arc::clone(&owner),
            registry: Arc::clone(&self.registry),
            intervals: self.intervals,
            end: self.end.clone(),
        })?;
        *slot = Some(Arc::clone(&owner));
        Ok(owner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end.set(Reason::GivenUp);
        for (proof, outcome) in self.registry.take_owed() {
            let released = self
                .store
                .tickets(LAST_TRY, |tx| tickets::release(tx, &proof, outcome));
            if released.is_err() {
                self.registry.owe(proof, outcome);
            }
        }
        // A ticket that could not be released keeps its owner file, which is free from here on
        // and tells whoever comes next.
        if let Some(owner) = self.owner.lock().take()
            && self.registry.is_empty()
        {
            crate::platform::file::remove_file(&owner.path).ok();
            self.store.shorten_wal();
        }
    }
}

/// A held ticket; dropping it releases.
#[must_use]
pub struct Hold<P: Permit> {
    permit: Option<P>,
    inner: Arc<Inner>,
    waited: Duration,
}

impl<P: Permit> std::fmt::Debug for Hold<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("waited", &self.waited)
            .finish_non_exhaustive()
    }
}

impl<P: Permit> Hold<P> {
    /// The proof to write with.
    pub fn permit(&self) -> &P {
        self.permit.as_ref().expect("present until released")
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Releases the ticket and grants the next. Fails with
    /// [`crate::store::StoreError::LockLost`] if it was lost before, and then nothing was written since.
    pub fn release(mut self, outcome: Outcome) -> Result<()> {
        match self.permit.take() {
            Some(permit) => self.give_back(&permit, outcome),
            None => Ok(()),
        }
    }

    fn give_back(&self, permit: &P, outcome: Outcome) -> Result<()> {
        let proof = permit.proof();
        self.inner.registry.remove(proof.ticket());
        // Whatever keeps it from being released, a panic too: somebody will do it.
        let owed = Owed {
            registry: &self.inner.registry,
            owed: Some((proof.for_release(), outcome)),
        };
        let lease = self.inner.intervals.lease;
        let released = self.inner.store.tickets(lease, |tx| {
            if tickets::release(tx, proof, outcome)? {
                return Ok(None);
            }
            let by = history::forced_by(tx, proof.fence())?;
            // Committed all the same: one that was condemned goes.
            Ok(Some(history::lost(proof.ticket(), by.as_deref())))
        });
        let released = released.and_then(|lost| lost.map_or(Ok(()), Err));
        let is_lost = released.as_ref().is_err_and(said::is_lost);
        if is_lost {
            log::lock(log::Action::Lost, || {
                format!(
                    "ticket {}: it was gone when it was to be released",
                    proof.ticket()
                )
            });
        }
        if released.is_ok() || is_lost {
            owed.settled();
        }
        released
    }
}

/// How long the last try to release a ticket lasts, at the end of its owner.
const LAST_TRY: Duration = Duration::from_millis(250);

/// A ticket that is left to the heartbeat unless it is [`settled`](Self::settled).
struct Owed<'r> {
    registry: &'r Registry,
    owed: Option<(Proof, Outcome)>,
}

impl Owed<'_> {
    fn settled(mut self) {
        self.owed = None;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if let Some((proof, outcome)) = self.owed.take() {
            self.registry.owe(proof, outcome);
        }
    }
}

impl<P: Permit> Drop for Hold<P> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            // Whoever needs to know whether it was lost calls release(); a ticket that cannot be
            // released now falls with its owner.
            self.give_back(&permit, Outcome::Cancelled).ok();
        }
    }
}

#[cfg(test)]
mod tests;
