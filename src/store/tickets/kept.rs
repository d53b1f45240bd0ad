//! Kept places: a wait that timed out stays in line for a minute, parked and without an owner, so
//! that it blocks nobody. The same command run again by the same actor takes it up.

use std::time::Duration;

use anyhow::Result;
use rusqlite::params;

use super::below::{Footing, Line};
use super::queue::grant;
use super::{NewTicket, State, Ticket, by_id, said};
use crate::platform::clock::{self, Frame};
use crate::store::TicketTx;
use crate::store::audit::{self, Outcome};

/// For so long a place is kept.
pub const KEPT: Duration = Duration::from_secs(60);

impl Ticket {
    /// Whether it is the place of a wait that timed out: nobody's now.
    pub fn is_kept_place(&self) -> bool {
        self.state == State::Parked && self.owner_id.is_empty()
    }

    /// Whether it is a kept place that has been kept long enough, or since another boot: whoever
    /// comes next on its line removes it.
    pub fn is_kept_too_long(&self) -> bool {
        let most = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        self.is_kept_place() && self.silence_ms().is_none_or(|silence| silence > most)
    }

    /// Whether it is the place that `new` had.
    pub(super) fn is_kept_for(&self, new: &NewTicket, footing: Footing) -> bool {
        self.is_kept_place()
            && !self.is_kept_too_long()
            && !new.owner.actor.is_empty()
            && self.actor == new.owner.actor
            && self.scope == new.scope
            && self.branch == new.branch
            && self.reason == new.reason
            && self.command == new.owner.command
            && (self.parent, self.below) == (footing.parent, footing.below)
    }
}

/// Ends the wait of the ticket `id` but keeps its place. `false` if it does not wait (any more).
pub fn keep_place(tx: &TicketTx<'_>, id: i64) -> Result<bool> {
    let Some(ticket) = by_id(tx, id)? else {
        return Ok(false);
    };
    if !matches!(ticket.state, State::Waiting | State::Parked) {
        return Ok(false);
    }
    let frame = Frame::here();
    tx.sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'parked', owner_id = '', doorbell = '', hold_token = '',
                pid = 0, fence = 0, granted_at = NULL, cancel_requested = 0,
                lease_stamp = ?2, last_heartbeat_at = ?3, boot_id = ?4, time_ns = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            clock::monotonic_ms(),
            clock::wall_ms(),
            frame.boot_id,
            frame.time_ns,
        ])?;
    audit::gave_up(tx, &ticket, Outcome::TimedOut)?;
    said::parked(&ticket, "its wait is over, its place is kept");
    grant(tx, Line::from(&ticket))?;
    Ok(true)
}

/// Puts `new` where its kept place `id` is: it waits there, and is granted if it can be.
pub(super) fn take_up(tx: &TicketTx<'_>, id: i64, new: &NewTicket, line: Line<'_>) -> Result<()> {
    let frame = Frame::here();
    tx.sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'waiting', doorbell = ?2, owner_id = ?3, pid = ?4,
                pid_ns = ?5, process_start = ?6, host = ?7, queued_at = ?8,
                last_heartbeat_at = ?8, lease_stamp = ?9, boot_id = ?10, time_ns = ?11,
                hold_token = ?12
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            new.doorbell,
            new.owner.id,
            new.owner.pid,
            new.owner.pid_ns,
            new.owner.process_start,
            new.owner.host,
            clock::wall_ms(),
            clock::monotonic_ms(),
            frame.boot_id,
            frame.time_ns,
            new.hold_token,
        ])?;
    said::rejoined(id);
    grant(tx, line)?;
    Ok(())
}
