//! Ending the ticket of an owner that lives, by the word of a person.
//!
//! What plandex itself does under a ticket is fenced: the row goes, and nothing late is written. A
//! program under `exec` is reached by no fence, so its ticket is condemned first: its owner hears
//! of it and ends the program, what is left after the grace is killed, and only then is the next
//! in line granted.

use anyhow::Result;

use super::{Notice, Patience, hung, retrying};
use crate::platform::cancel::Cancel;
use crate::store::tickets::Ticket;
use crate::store::{Store, history};

/// What became of a ticket that somebody released by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forced {
    /// It is removed, and the next in line is granted.
    Released,
    /// It ended, or was granted anew, since it was looked at: nothing was changed.
    Changed,
    /// What runs under it cannot be seen from here or does not die. Its owner is fenced off, and it
    /// still blocks.
    Stays,
}

/// Releases `ticket` as it was seen: compared by id and fence in the transaction that ends it. `by`
/// is who does it (actor, pid, command), for the owner's words. A database that is busy is tried
/// again as [`retrying`] does; where that fails, nothing was changed.
pub fn force(
    store: &Store,
    ticket: &Ticket,
    by: &str,
    cancel: &Cancel,
    patience: Patience,
    on_wait: &mut dyn FnMut(&Notice),
) -> Result<Forced> {
    let (id, fence) = (ticket.id, ticket.fence);
    if !(hung::is_command(ticket) && ticket.state.blocks()) {
        let removed = retrying(patience, cancel, on_wait, |gate, busy| {
            store.tickets_trying(gate, busy, |tx| history::force(tx, id, fence, by))
        })?;
        return Ok(if removed {
            Forced::Released
        } else {
            Forced::Changed
        });
    }
    let condemned = retrying(patience, cancel, on_wait, |gate, busy| {
        store.tickets_trying(gate, busy, |tx| {
            history::condemn_by_force(tx, id, fence, by)
        })
    })?;
    let Some(ticket) = condemned else {
        return Ok(Forced::Changed);
    };
    // If one of those who wait removes it first, it is gone either way.
    Ok(if hung::see_to_its_end(store, &ticket, cancel)? {
        Forced::Released
    } else {
        Forced::Stays
    })
}
