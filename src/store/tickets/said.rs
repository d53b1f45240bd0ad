//! What the log says of tickets. Written after the transaction, and only if it was committed.

use super::{NewTicket, Proof, Ticket};
use crate::platform::log::{self, Action};
use crate::store::audit::Outcome;

pub(super) fn granted_at_once(new: &NewTicket, ticket: i64, fence: i64) {
    log::lock_of(Action::Grant, &new.reason, || {
        format!("ticket {ticket}, fence {fence}, at once")
    });
}

pub(super) fn granted(ticket: &Ticket, fence: i64) {
    log::lock_of(Action::Grant, &ticket.reason, || {
        format!("ticket {}, fence {fence}, to pid {}", ticket.id, ticket.pid)
    });
}

pub(super) fn confirmed(proof: &Proof) {
    log::lock(Action::Confirm, || {
        format!("ticket {}, fence {}", proof.ticket, proof.fence)
    });
}

pub(super) fn released(proof: &Proof, outcome: Outcome) {
    log::lock(Action::Release, || {
        let (ticket, fence) = (proof.ticket, proof.fence);
        format!("ticket {ticket}, fence {fence}: {}", outcome.words())
    });
}

pub(super) fn parked(ticket: &Ticket, why: &str) {
    log::lock_of(Action::Park, &ticket.reason, || {
        format!("ticket {} of pid {}: {why}", ticket.id, ticket.pid)
    });
}

pub(super) fn rejoined(ticket: i64) {
    log::lock(Action::Rejoin, || {
        format!("ticket {ticket} waits in its place again")
    });
}

pub(super) fn condemned(ticket: i64, lease_ms: i64) {
    log::lock(Action::Condemn, || {
        format!("ticket {ticket}: no heartbeat for more than {lease_ms} ms")
    });
}

pub(super) fn deleted(ticket: &Ticket, outcome: Outcome) {
    log::delete(|| {
        let (id, pid, state) = (ticket.id, ticket.pid, ticket.state.word());
        format!("ticket {id} of pid {pid}, {state}: {}", outcome.words())
    });
}

pub(super) fn place_given_up(ticket: &Ticket) {
    log::delete(|| format!("ticket {}: nobody came back to its kept place", ticket.id));
}
