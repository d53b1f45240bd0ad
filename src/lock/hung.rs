//! Ending the ticket of an owner that hangs: condemn it, kill what it started, remove it.
//!
//! Each step is taken up by whoever finds it half done: the first waiter in line, or
//! `doctor --fix`. The owner itself is not killed: its fence fails from the first step on.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{operation, owner, rules};
use crate::platform::cancel::Cancel;
use crate::platform::{clock, process, wait};
use crate::store::settings::Intervals;
use crate::store::tickets::{self, State, Ticket};
use crate::store::{Store, TicketTx, settings};

/// How long what a condemned owner started may take to die of SIGKILL.
const DYING: Duration = Duration::from_secs(5);
/// Between two looks at whether it died.
const TICK: Duration = Duration::from_millis(10);

/// What became of a ticket whose lease was found over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hung {
    /// It is removed, and the next in line is granted.
    Replaced,
    /// It was renewed: its owner lives, and it was left alone.
    CameBack,
    /// It was gone already.
    Gone,
    /// What its owner started cannot be seen from here or does not die, or we were called off; it
    /// still blocks.
    Stays,
}

/// Ends the held ticket `id` if its owner hangs, as a waiter would: two looks at its lease, the
/// grace apart, the second one inside the transaction that condemns it.
pub fn replace_hung(store: &Store, id: i64, cancel: &Cancel) -> Result<Hung> {
    let (intervals, found) =
        store.read(|tx| Ok((settings::intervals(tx)?, tickets::by_id(tx, id)?)))?;
    let Some(ticket) = found else {
        return Ok(Hung::Gone);
    };
    let patience = super::GATE_PATIENCE.max(intervals.lease);
    if ticket.state != State::Condemned {
        let lease = i64::try_from(intervals.lease.as_millis()).unwrap_or(i64::MAX);
        let silence = ticket.silence_ms().unwrap_or(0);
        let first = rules::judge(silence, lease, ticket.lease_stamp, None);
        if ticket.state != State::Held || first == rules::Lease::Alive {
            return Ok(Hung::CameBack);
        }
        if is_out_of_sight(&ticket) {
            return Ok(Hung::Stays);
        }
        // Both looks go through the gate without having been kept from it: while nobody can write,
        // no heart can beat, and silence proves nothing.
        if !at_once(store, &intervals, |_| Ok(true))? {
            return Ok(Hung::CameBack);
        }
        wait::readable(&[cancel.as_fd()], intervals.grace())?;
        if cancel.is_set() {
            return Ok(Hung::Stays);
        }
        let seen = ticket.lease_stamp;
        if !at_once(store, &intervals, |tx| {
            tickets::condemn(tx, id, seen, lease)
        })? {
            return Ok(Hung::CameBack);
        }
    }
    if end_condemned(store, &ticket, cancel, patience)? {
        Ok(Hung::Replaced)
    } else {
        Ok(Hung::Stays)
    }
}

/// One look: `false` if the gate kept it waiting.
fn at_once(
    store: &Store,
    intervals: &Intervals,
    look: impl FnOnce(&TicketTx<'_>) -> Result<bool>,
) -> Result<bool> {
    let (asked, limit) = (Instant::now(), intervals.grace() / 2);
    store.tickets(super::GATE_PATIENCE, |tx| {
        if asked.elapsed() > limit {
            Ok(false)
        } else {
            look(tx)
        }
    })
}

/// Kills what a condemned owner started (not the owner itself), then removes its ticket. `false`
/// if something of it still lives.
pub(super) fn end_condemned(
    store: &Store,
    ticket: &Ticket,
    cancel: &Cancel,
    patience: Duration,
) -> Result<bool> {
    if is_command(ticket) && !kill_started(store, ticket, cancel)? {
        return Ok(false);
    }
    store.tickets(patience, |tx| tickets::remove_condemned(tx, ticket.id))?;
    Ok(true)
}

pub(super) fn kill_started(store: &Store, ticket: &Ticket, cancel: &Cancel) -> Result<bool> {
    let path = owner::path(store.dir(), &ticket.owner_id);
    let started = || -> Vec<u32> {
        process::with_open(&path)
            .into_iter()
            .filter(|pid| *pid != ticket.pid)
            .collect()
    };
    let until = Instant::now() + DYING;
    let mut left = started();
    while !left.is_empty() && Instant::now() < until && !cancel.is_set() {
        left.iter()
            .for_each(|pid| process::kill_if_open(*pid, &path));
        wait::readable(&[cancel.as_fd()], TICK)?;
        left = started();
    }
    Ok(left.is_empty())
}

/// Whether it is a command's whose processes cannot be seen from this pid namespace. No fence
/// reaches an arbitrary program, so while the owner file is held its lease does not end.
pub(super) fn is_out_of_sight(ticket: &Ticket) -> bool {
    ticket.pid_ns != clock::namespace("pid") && is_command(ticket)
}

/// Whether the ticket is an `exec`'s: its owner file is inherited by a command of the user's.
pub(super) fn is_command(ticket: &Ticket) -> bool {
    operation::is_command(&ticket.reason)
}
