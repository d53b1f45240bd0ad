//! Tickets below a hold: plandex commands inside `plandex exec`.
//!
//! Such a ticket names the hold that its process runs below (`parent`), on whatever plan, and
//! falls with it. On the same plan it queues only among the tickets below the nearest hold of that
//! plan (`below`), whose turn it shares; on another plan it stands in the plan's own line.

use anyhow::Result;
use rusqlite::params;

use super::queue::grant;
use super::{COLUMNS, NewTicket, Scope, Ticket, by_id, line};
use crate::config::LockToken;
use crate::platform::bell::Ring;
use crate::store::audit::{self, Outcome};
use crate::store::{ReadTx, TicketTx};

/// One line: a plan's own, or that of the tickets below one hold of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line<'a> {
    /// The plan.
    pub plan_id: &'a str,
    /// The hold; 0 for the plan's own line.
    pub below: i64,
}

impl<'a> From<&'a str> for Line<'a> {
    fn from(plan_id: &'a str) -> Self {
        Self { plan_id, below: 0 }
    }
}

impl<'a> From<&'a String> for Line<'a> {
    fn from(plan_id: &'a String) -> Self {
        Self::from(plan_id.as_str())
    }
}

impl<'a> From<&'a Ticket> for Line<'a> {
    fn from(ticket: &'a Ticket) -> Self {
        Self {
            plan_id: &ticket.plan_id,
            below: ticket.below,
        }
    }
}

/// Where a new ticket stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Footing {
    pub(super) parent: Option<i64>,
    pub(super) below: i64,
}

impl Footing {
    pub(super) fn line(self, new: &NewTicket) -> Line<'_> {
        Line {
            plan_id: &new.plan_id,
            below: self.below,
        }
    }
}

/// What a token makes of a new ticket.
pub(super) enum Found {
    Footing(Footing),
    /// It would change a plan below this hold, which only reads it.
    WriteBelowRead(i64),
}

/// Finds the holds above `new` by its token. A token that no living hold carries counts as none.
pub(super) fn footing(tx: &ReadTx<'_>, new: &NewTicket) -> Result<Found> {
    let Some(token) = &new.token else {
        return Ok(Found::Footing(Footing::default()));
    };
    let holds = holds_above(tx, token)?;
    let Some((parent, _, _)) = holds.first() else {
        return Ok(Found::Footing(Footing::default()));
    };
    let same_plan = holds.iter().find(|(_, plan, _)| *plan == new.plan_id);
    Ok(match same_plan {
        Some((hold, _, scope)) if scope == "r" && new.scope == Scope::Write => {
            Found::WriteBelowRead(*hold)
        }
        same_plan => Found::Footing(Footing {
            parent: Some(*parent),
            below: same_plan.map_or(0, |(hold, _, _)| *hold),
        }),
    })
}

/// The hold that carries `token`, and those above it: number, plan and scope letter. A hold is older
/// than what is below it, so that a row edited by hand leads in no circle.
fn holds_above(tx: &ReadTx<'_>, token: &LockToken) -> Result<Vec<(i64, String, String)>> {
    let mut select = tx.sql().prepare_cached(
        "WITH RECURSIVE up (id, parent, plan_id, scope, height) AS (
            SELECT id, parent, plan_id, scope, 0 FROM repo_locks
                WHERE id = ?1 AND hold_token = ?2 AND state IN ('granted', 'held')
            UNION ALL
            SELECT r.id, r.parent, r.plan_id, r.scope, up.height + 1
                FROM up JOIN repo_locks r ON r.id = up.parent AND r.id < up.id)
         SELECT id, plan_id, scope FROM up ORDER BY height",
    )?;
    let rows = select.query_map(params![token.ticket(), token.secret()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether the hold that `token` names still carries it.
pub fn is_honoured(tx: &ReadTx<'_>, token: &LockToken) -> Result<bool> {
    Ok(!holds_above(tx, token)?.is_empty())
}

/// What the commands that the owner of `ticket` runs under its other holds know these by.
pub fn tokens_beside(tx: &ReadTx<'_>, ticket: &Ticket) -> Result<Vec<LockToken>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, hold_token FROM repo_locks
         WHERE owner_id = ?1 AND id <> ?2 AND hold_token <> ''",
    )?;
    let rows = select.query_map(params![ticket.owner_id, ticket.id], |row| {
        let secret: String = row.get(1)?;
        Ok(LockToken::new(row.get(0)?, &secret))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All tickets below the hold `id`, on whatever plan, at whatever depth.
pub(super) fn all_below(tx: &ReadTx<'_>, id: i64) -> Result<Vec<Ticket>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "WITH RECURSIVE down (under) AS (
            SELECT id FROM repo_locks WHERE parent = ?1
            UNION
            SELECT r.id FROM down JOIN repo_locks r ON r.parent = down.under)
         SELECT {COLUMNS} FROM repo_locks WHERE id IN (SELECT under FROM down)
         ORDER BY id"
    ))?;
    let rows = select.query_map([id], Ticket::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Sees to what fell with the hold `id`: `fallen` was below it, and it is deleted. Notes how each
/// ended, tells its owner, and grants whoever waited behind it on another plan.
pub(super) fn settle_fallen(tx: &TicketTx<'_>, id: i64, fallen: &[Ticket]) -> Result<()> {
    for ticket in fallen {
        // The schema has deleted it already, unless its foreign keys are not enforced.
        tx.sql()
            .prepare_cached("DELETE FROM repo_locks WHERE id = ?1")?
            .execute([ticket.id])?;
        if ticket.state.blocks() && ticket.fence != 0 {
            audit::ended(tx, ticket.fence, Outcome::ParentEnded)?;
        } else if !ticket.is_kept_place() {
            audit::gave_up(tx, ticket, Outcome::ParentEnded)?;
        }
        tx.ring(&ticket.doorbell, Ring::Look);
    }
    let is_gone = |below: i64| below == id || fallen.iter().any(|ticket| ticket.id == below);
    let mut lines: Vec<Line<'_>> = fallen
        .iter()
        .map(Line::from)
        .filter(|line| !is_gone(line.below))
        .collect();
    lines.sort_unstable_by_key(|line| (line.plan_id, line.below));
    lines.dedup();
    for line in lines {
        grant(tx, line)?;
    }
    Ok(())
}

/// The line that `new` would stand in.
pub fn line_of_new(tx: &ReadTx<'_>, new: &NewTicket) -> Result<Vec<Ticket>> {
    match footing(tx, new)? {
        Found::Footing(footing) => line(tx, footing.line(new)),
        Found::WriteBelowRead(_) => Ok(Vec::new()),
    }
}

/// Whether anybody waits behind `ticket` in its line.
pub fn has_waiting_behind(tx: &ReadTx<'_>, ticket: &Ticket) -> Result<bool> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM repo_locks WHERE plan_id = ?1 AND below = ?2
                AND id > ?3 AND state = 'waiting')",
        )?
        .query_row(params![ticket.plan_id, ticket.below, ticket.id], |row| {
            row.get(0)
        })?)
}

/// The row of the hold that refuses a write.
pub(super) fn reading_hold(tx: &ReadTx<'_>, id: i64) -> Result<Option<Box<Ticket>>> {
    Ok(by_id(tx, id)?.map(Box::new))
}
