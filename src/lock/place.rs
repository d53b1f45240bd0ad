//! Getting into line: one transaction, after what may keep it from beginning.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::owner::{self, Owner};
use super::rules::{self, Claim, Standing};
use super::wait::Waiter;
use super::{Inner, Link, LockError, Notice, Patience, Request, graph, retry, said};
use crate::store::audit::Outcome;
use crate::store::tickets::{self, NewTicket, OnConflict, Permit, Placed, State, Ticket};
use crate::store::{StoreError, TicketTx, plans};

/// One try to get a ticket and to have it held.
pub(super) struct Attempt<'a, P> {
    pub(super) inner: &'a Inner,
    pub(super) owner: &'a Arc<Owner>,
    pub(super) request: &'a Request<'a, P>,
    pub(super) new: &'a NewTicket,
    pub(super) begun: Instant,
}

/// What became of the new ticket, with its row if it waits.
enum Stands<P> {
    Done(Placed<P>),
    InLine(Box<Ticket>),
    GaveWay(Vec<Link>),
}

impl<P: Permit> Attempt<'_, P> {
    /// `was_below` is set once the hold that the process says it runs below was found.
    pub(super) fn run(&self, was_below: &mut bool, on_wait: &mut dyn FnMut(&Notice)) -> Result<P> {
        let scope = self.new.scope.word();
        match self.place(was_below)? {
            Stands::InLine(row) => {
                let mut waiter = Waiter::new(
                    self.inner,
                    self.owner,
                    &row,
                    self.new,
                    self.request,
                    self.begun,
                );
                waiter.wait(on_wait)
            }
            Stands::GaveWay(chain) => {
                said::circle(&chain);
                Err(deadlock(chain))
            }
            Stands::Done(Placed::Held(permit)) => Ok(permit),
            Stands::Done(Placed::QueueFull(waiting)) => {
                Err(LockError::QueueFull { waiting }.into())
            }
            Stands::Done(Placed::WriteBelowRead(hold)) => Err(match hold {
                Some(hold) => LockError::WriteBelowRead { hold }.into(),
                None => LockError::Removed.into(),
            }),
            Stands::Done(Placed::Conflict | Placed::Waiting(_)) => {
                let ahead = self.in_the_way()?;
                Err(LockError::Conflict { scope, ahead }.into())
            }
        }
    }

    fn place(&self, was_below: &mut bool) -> Result<Stands<P>> {
        let Request {
            patience, cancel, ..
        } = *self.request;
        retry::at_the_gate(patience, cancel, |gate, busy| {
            let store = &self.inner.store;
            store.tickets_trying(gate, busy, |tx| self.enter(tx, was_below))
        })
    }

    /// One transaction: dead tickets go, the new one is placed, and it leaves again if its wait
    /// would never end.
    fn enter(&self, tx: &TicketTx<'_>, was_below: &mut bool) -> Result<Stands<P>> {
        if let Some(token) = &self.new.token {
            let is_below = tickets::is_honoured(tx, token)?;
            if *was_below && !is_below {
                let ticket = token.ticket();
                return Err(StoreError::LockLost { ticket }.into());
            }
            *was_below = is_below;
        }
        let on_conflict = match self.request.patience {
            Patience::None => OnConflict::Refuse,
            Patience::Until(_) | Patience::Forever => OnConflict::Queue,
        };
        let dir = self.inner.store.dir();
        let is_alive = |id: &str| owner::is_alive(dir, id);
        let placed = tickets::enter(tx, self.new, on_conflict, &is_alive)?;
        let Placed::Waiting(id) = placed else {
            return Ok(Stands::Done(placed));
        };
        let Some(row) = tickets::by_id(tx, id)? else {
            return Err(LockError::Removed.into());
        };
        Ok(match give_way(tx, &row)? {
            Some(chain) => Stands::GaveWay(chain),
            None => Stands::InLine(Box::new(row)),
        })
    }

    /// What keeps the new ticket from being granted: for the words of a refusal.
    fn in_the_way(&self) -> Result<Vec<Ticket>> {
        let new = self.new;
        let line = self.inner.store.read(|tx| tickets::line_of_new(tx, new))?;
        let claim = Claim {
            scope: new.scope,
            branch: new.branch.as_deref(),
        };
        let conflicts = |ticket: &Ticket| {
            let in_line = ticket.state.blocks() || ticket.state == State::Waiting;
            in_line && rules::conflicts(Standing::from(ticket).claim, claim)
        };
        Ok(line.into_iter().filter(conflicts).collect())
    }
}

/// Whether the ticket `row` closes a circle of waits: if so, it leaves the line again, in the same
/// transaction, and the circle is returned.
pub(super) fn give_way(tx: &TicketTx<'_>, row: &Ticket) -> Result<Option<Vec<Link>>> {
    // Only what something depends on can close one: a hold above it, or a ticket behind it.
    if row.parent.is_none() && !tickets::has_waiting_behind(tx, row)? {
        return Ok(None);
    }
    let name = |plan: &str| Some(plans::by_id(tx, plan).ok()??.name);
    let chain = graph::chain(&tickets::all(tx)?, row.id, name);
    if chain.is_some() {
        tickets::leave(tx, row.id, Outcome::Deadlock)?;
    }
    Ok(chain)
}

/// The error of who gave way, before any retry.
pub(super) fn deadlock(chain: Vec<Link>) -> anyhow::Error {
    let attempts = 0;
    LockError::Deadlock { chain, attempts }.into()
}
