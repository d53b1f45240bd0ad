//! Waiting in line: one poll for the doorbell, the death of those before, cancel and deadline.
//!
//! The doorbell is a hint and the row is the truth: it is bound before the last look at the row,
//! and every tick (a second, unless the intervals are changed) the line is looked at anyway, so a
//! row that was removed by hand or by a newer plandex hangs nobody.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::hung;
use super::owner::{self, Owner};
use super::past::Past;
use super::place::{deadlock, give_way};
use super::retry::is_busy;
use super::rules::{self, Claim, Lease, Standing};
use super::{Ahead, Inner, LockError, Notice, Patience, Request, Waiting, said};
use crate::platform::bell::{self, Bell, Ring};
use crate::platform::cancel::Reason;
use crate::platform::{clock, process, threads, wait};
use crate::store::audit::Outcome;
use crate::store::tickets::{self, Line, NewTicket, Permit, Scope, State, Ticket};
use crate::store::{Store, TicketTx, history};

/// The poll's limit where a doorbell cannot be heard.
const DEAF: Duration = Duration::from_millis(10);
/// A wait shorter than this is not estimated: turns that change hands at once are not held up by
/// reading the past.
const UNKNOWN: Duration = Duration::from_millis(200);

/// One ticket's wait.
pub(super) struct Waiter<'a, P> {
    inner: &'a Inner,
    owner: &'a Arc<Owner>,
    ticket: i64,
    /// The hold it queues below; 0 for the plan's own line.
    below: i64,
    /// The hold its process runs below.
    parent: Option<i64>,
    bell: Option<Bell>,
    request: &'a Request<'a, P>,
    begun: Instant,
    /// Who is watched for death: owner id → a descriptor that is readable at its end, if any.
    watched: HashMap<String, Option<OwnedFd>>,
    /// Leases found over: ticket → (stamp, when seen first).
    looks: HashMap<i64, (i64, Instant)>,
    /// How long such operations took before, by reason; read once a wait.
    past: Past,
    /// Whether some bell in the line is out of reach, so that rings may be lost.
    deaf: bool,
    /// The position that was logged last; 0 before.
    logged: usize,
}

/// What a look at the line came to.
enum Look {
    Wait,
    Confirm,
    Rejoin,
    Removed,
    Stopped,
}

impl<'a, P: Permit> Waiter<'a, P> {
    pub(super) fn new(
        inner: &'a Inner,
        owner: &'a Arc<Owner>,
        row: &Ticket,
        new: &NewTicket,
        request: &'a Request<'a, P>,
        begun: Instant,
    ) -> Self {
        // Bound after the row is there and before the first look at it.
        let bell = Bell::bind(&new.doorbell);
        let (watched, looks) = (HashMap::new(), HashMap::new());
        let deaf = bell.is_none();
        Self {
            inner,
            owner,
            ticket: row.id,
            below: row.below,
            parent: row.parent,
            bell,
            request,
            begun,
            watched,
            looks,
            past: Past::default(),
            deaf,
            logged: 0,
        }
    }

    fn line(&self) -> Line<'a> {
        Line {
            plan_id: self.request.plan_id,
            below: self.below,
        }
    }

    pub(super) fn wait(&mut self, on_wait: &mut dyn FnMut(&Notice)) -> Result<P> {
        let result = self.wait_in_line(on_wait);
        let has_left = |error: &anyhow::Error| {
            is_busy(error) || matches!(error.downcast_ref(), Some(LockError::Timeout { .. }))
        };
        if result.as_ref().is_err_and(|error| !has_left(error)) {
            // Nothing of it may stay in line, but for a place that is kept. If the database cannot be written now, the row falls
            // with its owner.
            self.leave(Outcome::Cancelled).ok();
        }
        result
    }

    fn wait_in_line(&mut self, on_wait: &mut dyn FnMut(&Notice)) -> Result<P> {
        loop {
            if let Some(reason) = self.request.cancel.reason() {
                return Err(LockError::Cancelled(reason).into());
            }
            let line = self.inner.store.read(|tx| tickets::line(tx, self.line()))?;
            let changed = match self.look(&line) {
                Look::Confirm => match self.confirm()? {
                    Some(permit) => return Ok(permit),
                    None => true,
                },
                Look::Rejoin => {
                    self.rejoin()?;
                    true
                }
                Look::Removed => return Err(self.removed()?),
                Look::Stopped => return Err(LockError::Cancelled(Reason::Stopped).into()),
                Look::Wait => self.tend(&line)?,
            };
            if changed && !self.is_over() {
                continue;
            }
            let waiting = self.report(line);
            if self.is_over() {
                return self.give_up(waiting);
            }
            said::waits(self.request.operation.reason(), &waiting, &mut self.logged);
            on_wait(&Notice::Waiting(waiting));
            if let Some(permit) = self.sleep()? {
                return Ok(permit);
            }
        }
    }

    fn look(&self, line: &[Ticket]) -> Look {
        let Some(mine) = line.iter().find(|ticket| ticket.id == self.ticket) else {
            return Look::Removed;
        };
        match mine.state {
            _ if mine.cancel_requested => Look::Stopped,
            State::Granted => Look::Confirm,
            State::Parked => Look::Rejoin,
            State::Waiting => Look::Wait,
            State::Held | State::Condemned => Look::Removed,
        }
    }

    /// Looks after those that hold and the one before this ticket: removes the dead, condemns the
    /// hung, parks grants that nobody took up, and runs the grant step if nothing is in the way.
    /// `true` if the line was changed, or could not be for now.
    fn tend(&mut self, line: &[Ticket]) -> Result<bool> {
        let standings: Vec<Standing<'_>> = line.iter().map(Standing::from).collect();
        let Some(me) = line.iter().position(|ticket| ticket.id == self.ticket) else {
            return Ok(true);
        };
        self.deaf = self.bell.is_none()
            || line
                .iter()
                .any(|ticket| !bell::is_in_reach(&ticket.doorbell));
        let at = |indices: Vec<usize>| indices.into_iter().map(|index| &line[index]).collect();
        let watched: Vec<&Ticket> = at(rules::watched(&standings, me));
        let tended: Vec<&Ticket> = at(rules::tended(&standings, me));
        self.watch(&watched);
        let dir = self.inner.store.dir();
        if tended
            .iter()
            .any(|ticket| !owner::is_alive(dir, &ticket.owner_id))
        {
            let is_alive = |id: &str| owner::is_alive(dir, id);
            self.change_soon(|tx| tickets::remove_dead(tx, self.line(), &is_alive))?;
            return Ok(true);
        }
        if !rules::grantable(&standings).is_empty() {
            self.change_soon(|tx| tickets::grant(tx, self.line()))?;
            return Ok(true);
        }
        self.tend_hung(&tended)
    }

    fn tend_hung(&mut self, tended: &[&Ticket]) -> Result<bool> {
        let limit = i64::try_from(self.grace().as_millis()).unwrap_or(i64::MAX);
        let lease = i64::try_from(self.inner.intervals.lease.as_millis()).unwrap_or(i64::MAX);
        let mut changed = false;
        for ticket in tended {
            let silence = ticket.silence_ms();
            if silence.is_some_and(|silence| rules::is_overdue(ticket.state, silence, limit)) {
                self.change_soon(|tx| tickets::park_unconfirmed(tx, self.line(), limit))?;
                return Ok(true);
            }
            changed |= match (ticket.state, silence) {
                // Whatever clock its stamp is of: it is decided.
                (State::Condemned, _) => self.remove_condemned(ticket)?,
                (State::Held, Some(silence)) => self.judge(ticket, silence, lease)?,
                (State::Held | State::Waiting | State::Granted | State::Parked, _) => false,
            };
        }
        Ok(changed)
    }

    /// The two looks at a lease, a grace apart; the second one is repeated inside the condemning
    /// update.
    fn judge(&mut self, ticket: &Ticket, silence: i64, lease: i64) -> Result<bool> {
        let seen = self.looks.get(&ticket.id).copied();
        let looked_at = seen
            .filter(|(_, when)| when.elapsed() >= self.grace())
            .map(|(stamp, _)| stamp);
        match rules::judge(silence, lease, ticket.lease_stamp, looked_at) {
            Lease::Alive => {
                self.looks.remove(&ticket.id);
                Ok(false)
            }
            Lease::FirstLook => {
                let stale = seen.is_none_or(|(stamp, _)| stamp != ticket.lease_stamp);
                if stale && self.at_once(|_| Ok(true))? {
                    self.looks
                        .insert(ticket.id, (ticket.lease_stamp, Instant::now()));
                }
                Ok(false)
            }
            Lease::Over if hung::is_out_of_sight(ticket) => Ok(false),
            Lease::Over => {
                let (id, stamp) = (ticket.id, ticket.lease_stamp);
                let condemned = self.at_once(|tx| tickets::condemn(tx, id, stamp, lease))?;
                if !condemned {
                    self.looks.remove(&id);
                }
                Ok(condemned)
            }
        }
    }

    fn remove_condemned(&self, ticket: &Ticket) -> Result<bool> {
        let patience = self.within_patience(self.grace() / 2);
        match hung::end_condemned(&self.inner.store, ticket, self.request.cancel, patience) {
            Err(error) if is_busy(&error) => Ok(false),
            done => done,
        }
    }

    /// Opens a watch on the death of each owner ahead, dropping those of owners no longer ahead.
    fn watch(&mut self, ahead: &[&Ticket]) {
        self.watched
            .retain(|id, _| ahead.iter().any(|ticket| ticket.owner_id == *id));
        for ticket in ahead {
            let visible = ticket.pid_ns == clock::namespace("pid");
            self.watched
                .entry(ticket.owner_id.clone())
                .or_insert_with(|| {
                    visible
                        .then(|| process::exit_watch(ticket.pid, ticket.process_start))
                        .flatten()
                });
        }
    }

    /// Sleeps until something happens or the next tick; a permit if it was this ticket's turn.
    fn sleep(&mut self) -> Result<Option<P>> {
        let limit = self.limit();
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.request.cancel.as_fd()];
        fds.extend(self.bell.as_ref().map(|bell| bell.as_fd()));
        let fixed = fds.len();
        let owners: Vec<String> = self
            .watched
            .iter()
            .filter(|(_, fd)| fd.is_some())
            .map(|(id, _)| id.clone())
            .collect();
        fds.extend(
            self.watched
                .values()
                .filter_map(|fd| fd.as_ref().map(OwnedFd::as_fd)),
        );
        let heard = {
            let _waits = threads::waits(format!("ticket {} in its line", self.ticket));
            wait::readable(&fds, limit)?
        };
        // A watch that fired says so for ever: from here on the owner file alone is looked at.
        for (owner, _) in owners
            .iter()
            .zip(&heard[fixed..])
            .filter(|(_, fired)| **fired)
        {
            self.watched.insert(owner.clone(), None);
        }
        let rung = self.bell.as_ref().and_then(Bell::drain);
        if rung == Some(Ring::Granted) {
            self.confirm()
        } else {
            Ok(None)
        }
    }

    fn limit(&self) -> Duration {
        let tick = if self.deaf {
            DEAF.min(self.grace())
        } else {
            self.grace()
        };
        // Soon enough that whoever is told of the wait after 400 ms is told the estimate too.
        let tick = match UNKNOWN.checked_sub(self.begun.elapsed()) {
            Some(left) => tick.min(left + Duration::from_millis(1)),
            None => tick,
        };
        self.within_patience(tick)
    }

    fn within_patience(&self, limit: Duration) -> Duration {
        match self.request.patience.left() {
            Some(left) => limit.min(left.max(Duration::from_millis(1))),
            None => limit,
        }
    }

    fn grace(&self) -> Duration {
        self.inner.intervals.grace()
    }

    fn is_over(&self) -> bool {
        match self.request.patience {
            Patience::None => true,
            Patience::Until(moment) => Instant::now() >= moment,
            Patience::Forever => false,
        }
    }

    /// Back to waiting after a turn that was not taken up, which may close a circle of waits.
    fn rejoin(&self) -> Result<()> {
        let circle = self.change_soon(|tx| {
            tickets::rejoin(tx, self.ticket, &self.owner.row)?;
            match tickets::by_id(tx, self.ticket)? {
                Some(row) => give_way(tx, &row),
                None => Ok(None),
            }
        })?;
        circle
            .flatten()
            .inspect(|chain| said::circle(chain))
            .map_or(Ok(()), |chain| Err(deadlock(chain)))
    }

    /// Why the ticket is gone: with the hold above it, or by somebody's hand.
    fn removed(&self) -> Result<anyhow::Error> {
        self.inner.store.read(|tx| {
            let parent = match self.parent {
                Some(parent) if tickets::by_id(tx, parent)?.is_none() => Some(parent),
                _ => None,
            };
            let by = history::removed_by(tx, parent.unwrap_or(self.ticket))?;
            Ok(match (parent, by) {
                (Some(parent), by) => history::lost(parent, by.as_deref()),
                (None, Some(by)) => anyhow::Error::from(LockError::Removed)
                    .context(format!("released by force by {by}")),
                (None, None) => LockError::Removed.into(),
            })
        })
    }

    fn confirm(&self) -> Result<Option<P>> {
        let permit = self.change_soon(|tx| tickets::confirm(tx, self.ticket, &self.owner.row))?;
        Ok(permit.flatten())
    }

    /// The wait is over: learns in its last transaction whether it was granted meanwhile, else
    /// leaves its place to the same command of the same actor, if that can be told.
    fn give_up(&self, waiting: Waiting) -> Result<P> {
        let keeps = !self.owner.row.actor.is_empty();
        let (granted, is_kept) = self.change(|tx| {
            let permit = tickets::confirm(tx, self.ticket, &self.owner.row)?;
            if permit.is_some() {
                return Ok((permit, false));
            }
            if keeps && tickets::keep_place(tx, self.ticket)? {
                return Ok((None, true));
            }
            tickets::leave(tx, self.ticket, Outcome::TimedOut)?;
            Ok((None, false))
        })?;
        granted.ok_or_else(|| {
            let (title, waited) = (self.request.operation.title(), self.begun.elapsed());
            LockError::Timeout {
                title,
                waited,
                waiting: Box::new(waiting),
                kept: is_kept.then_some(tickets::KEPT),
            }
            .into()
        })
    }

    fn leave(&self, outcome: Outcome) -> Result<()> {
        self.change(|tx| tickets::leave(tx, self.ticket, outcome))
    }

    /// The last transaction of a wait.
    fn change<T>(&self, work: impl FnOnce(&TicketTx<'_>) -> Result<T>) -> Result<T> {
        self.inner.store.tickets(super::GATE_PATIENCE, work)
    }

    /// A transaction that the next look can run as well: `None` if the database was busy, so that
    /// whoever is stopped inside the gate keeps no waiter from its deadline and its cancellation.
    fn change_soon<T>(&self, work: impl FnOnce(&TicketTx<'_>) -> Result<T>) -> Result<Option<T>> {
        let limit = self.within_patience(self.grace() / 2);
        match self.inner.store.tickets(limit, work) {
            Err(error) if is_busy(&error) => Ok(None),
            done => done.map(Some),
        }
    }

    /// One of the two looks that condemn. Both go through the gate, without having been kept from
    /// it: while nobody can write no heart can beat, and silence proves nothing.
    fn at_once(&self, work: impl FnOnce(&TicketTx<'_>) -> Result<bool>) -> Result<bool> {
        let (asked, limit) = (Instant::now(), self.grace() / 2);
        let done = self.change_soon(|tx| {
            if asked.elapsed() > limit {
                return Ok(false);
            }
            work(tx)
        })?;
        Ok(done.unwrap_or(false))
    }

    fn report(&mut self, line: Vec<Ticket>) -> Waiting {
        let standings: Vec<Standing<'_>> = line.iter().map(Standing::from).collect();
        let me = line.iter().position(|ticket| ticket.id == self.ticket);
        let me = me.unwrap_or(line.len());
        let position = match me < line.len() {
            true => rules::position(&standings, me).unwrap_or(line.len()),
            false => line.len(),
        };
        let total = line.iter().filter(|row| row.state != State::Parked);
        let waiting_before = line[..me].iter().filter(|row| row.state == State::Waiting);
        let before: Vec<&Ticket> = waiting_before.collect();
        let running: Vec<&Ticket> = line.iter().filter(|row| row.state.blocks()).collect();
        let ahead = Ahead::count(running.iter().chain(&before).copied());
        let scope = self.request.operation.scope();
        let me = Claim {
            scope,
            branch: self.request.branch.filter(|_| scope == Scope::Read),
        };
        let estimate = (self.begun.elapsed() >= UNKNOWN)
            .then(|| {
                let (store, plan_id) = (&self.inner.store, self.request.plan_id);
                self.past.until_turn(store, plan_id, &running, &before, me)
            })
            .flatten();
        Waiting {
            ticket: self.ticket,
            title: self.request.operation.title(),
            position,
            total: total.count(),
            ahead,
            estimate,
            waited: self.begun.elapsed(),
            left: self.request.patience.left(),
            line,
        }
    }
}

/// Runs the grant step of all lines of a plan after removing its dead tickets: what every waiter
/// does, for `doctor --fix`.
pub fn grant_step(store: &Store, plan_id: &str) -> Result<usize> {
    store.tickets(Duration::from_secs(5), |tx| {
        let mut removed = 0;
        let mut lines: Vec<i64> = tickets::of_plan(tx, plan_id)?
            .iter()
            .map(|row| row.below)
            .collect();
        lines.push(0);
        lines.sort_unstable();
        lines.dedup();
        for below in lines {
            let line = Line { plan_id, below };
            removed += tickets::remove_dead(tx, line, &|id| owner::is_alive(store.dir(), id))?;
            tickets::grant(tx, line)?;
        }
        Ok(removed)
    })
}
