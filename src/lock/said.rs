//! What the log says of an acquisition. Never a command line: a prompt may stand in it.

use std::time::Instant;

use anyhow::Error;

use super::{LockError, Patience, Request, Waiting};
use crate::platform::log::{self, Action};
use crate::store::StoreError;
use crate::store::tickets::{Permit, Proof, Ticket};

pub(super) fn asked<P: Permit>(request: &Request<'_, P>) {
    log::lock_of(Action::Attempt, request.operation.reason(), || {
        let (scope, plan) = (request.operation.scope().word(), request.plan_id);
        let branch = request
            .branch
            .map_or_else(String::new, |branch| format!(" branch {branch}"));
        let patience = match request.patience {
            Patience::None => "does not wait".to_owned(),
            Patience::Until(_) => {
                format!(
                    "waits at most {:?}",
                    request.patience.left().unwrap_or_default()
                )
            }
            Patience::Forever => "waits for as long as it takes".to_owned(),
        };
        format!("{scope} lock on plan {plan}{branch}, {patience}")
    });
}

/// Where it stands, if that is not what was `logged` last.
pub(super) fn waits(reason: &str, waiting: &Waiting, logged: &mut usize) {
    if waiting.position == std::mem::replace(logged, waiting.position) {
        return;
    }
    log::lock_of(Action::Wait, reason, || {
        let running: Vec<Ticket> = waiting.running().cloned().collect();
        let (ticket, position) = (waiting.ticket, waiting.position);
        match running.as_slice() {
            [] => format!("ticket {ticket}, position {position}"),
            running => format!(
                "ticket {ticket}, position {position}, behind {}",
                tickets(running)
            ),
        }
    });
}

pub(super) fn had(reason: &str, proof: &Proof, begun: Instant) {
    log::lock_of(Action::Acquired, reason, || {
        let (ticket, fence) = (proof.ticket(), proof.fence());
        format!(
            "ticket {ticket}, fence {fence}, after {:?}",
            begun.elapsed()
        )
    });
}

/// Why it could not be had.
pub(super) fn refused(reason: &str, error: &Error, begun: Instant) {
    let Some(error) = error.downcast_ref::<LockError>() else {
        if let Some(StoreError::LockLost { ticket }) = error.downcast_ref() {
            log::lock_of(Action::Lost, reason, || {
                format!("ticket {ticket}, which this one works below")
            });
        }
        return;
    };
    let after = || format!("after {:?}", begun.elapsed());
    match error {
        LockError::Timeout { waiting, kept, .. } => log::lock_of(Action::Timeout, reason, || {
            let place = if kept.is_some() {
                "its place is kept"
            } else {
                "it left"
            };
            let (ticket, position) = (waiting.ticket, waiting.position);
            format!("ticket {ticket}, position {position}, {}: {place}", after())
        }),
        LockError::Conflict { ahead, .. } => log::lock_of(Action::Conflict, reason, || {
            format!("not to wait for {}", tickets(ahead))
        }),
        LockError::QueueFull { waiting } => {
            log::lock_of(Action::Full, reason, || format!("{waiting} wait already"));
        }
        LockError::Cancelled(why) => {
            log::lock_of(Action::Cancel, reason, || format!("{why:?} {}", after()));
        }
        LockError::Removed => log::lock_of(Action::Cancel, reason, || {
            format!("the ticket was removed {}", after())
        }),
        LockError::Deadlock { chain, attempts } => log::lock_of(Action::Deadlock, reason, || {
            let circle: Vec<Ticket> = chain.iter().map(|link| link.ticket.clone()).collect();
            format!("given up after {attempts} retries: {}", tickets(&circle))
        }),
        // What was retried is said by the retries.
        LockError::Spent { .. } | LockError::RetryEnded { .. } => {}
        LockError::WriteBelowRead { hold } => log::lock_of(Action::Conflict, reason, || {
            format!("a change below ticket {}, which only reads", hold.id)
        }),
    }
}

/// "ticket 3 of pid 4711, ticket 4 of pid 4712".
fn tickets(tickets: &[Ticket]) -> String {
    let words = tickets
        .iter()
        .map(|ticket| format!("ticket {} of pid {}", ticket.id, ticket.pid));
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn circle(chain: &[super::Link]) {
    let Some(first) = chain.first() else { return };
    log::lock_of(Action::Deadlock, &first.ticket.reason, || {
        let circle: Vec<Ticket> = chain.iter().map(|link| link.ticket.clone()).collect();
        format!("gives way in a circle of {}", tickets(&circle))
    });
}

/// Whether an error says that the lock is lost.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::LockLost { .. }))
}
