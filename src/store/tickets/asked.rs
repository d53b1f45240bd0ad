//! Asking operations to stop.

use anyhow::Result;

use super::{Scope, State, Ticket, line};
use crate::platform::bell::Ring;
use crate::store::TicketTx;

/// Which operations of a plan are to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToStop {
    /// Those that change it now.
    Writing,
    /// The one with this ticket, which may as well read, or wait for its turn.
    One(i64),
}

/// Asks operations of a plan to stop; returns them.
pub fn request_cancel(tx: &TicketTx<'_>, plan_id: &str, which: ToStop) -> Result<Vec<Ticket>> {
    let is_meant = |ticket: &Ticket| match which {
        ToStop::Writing => ticket.scope == Scope::Write && ticket.state.blocks(),
        ToStop::One(id) => ticket.id == id,
    };
    let asked: Vec<Ticket> = line(tx, plan_id)?
        .into_iter()
        .filter(|ticket| ticket.state != State::Condemned && is_meant(ticket))
        .collect();
    for ticket in &asked {
        tx.sql()
            .prepare_cached("UPDATE repo_locks SET cancel_requested = 1 WHERE id = ?1")?
            .execute([ticket.id])?;
        tx.ring(&ticket.doorbell, Ring::Look);
    }
    Ok(asked)
}
