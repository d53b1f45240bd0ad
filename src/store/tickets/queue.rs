//! What moves a ticket: placed, granted, confirmed, released, parked, condemned, removed.
//!
//! Every change of a row ends with the grant step, in the same transaction. The grant step needs
//! to look only at the first in line: reads that run together stand in one block, so whoever
//! stands behind a ticket that must wait must wait too (the rule is `lock::rules`; a property test
//! holds this SQL to it).

use anyhow::Result;
use rusqlite::{OptionalExtension as _, named_params, params};

use super::below::{self, Footing, Found, Line};
use super::kept;
use super::permit::{Permit, Proof};
use super::{COLUMNS, NewTicket, Owner, State, Ticket, by_id, line, said};
use crate::platform::bell::Ring;
use crate::platform::clock::{self, Frame};
use crate::store::audit::{self, Outcome};
use crate::store::{ReadTx, TicketTx, settings};

/// What became of a new ticket.
#[derive(Debug)]
pub enum Placed<P> {
    /// It is held already.
    Held(P),
    /// It waits; or has been granted in its kept place, and is to be confirmed.
    Waiting(i64),
    /// It was refused, and there is no row: `queue.max` tickets wait already.
    QueueFull(i64),
    /// It was refused, and there is no row: it would have had to wait.
    Conflict,
    /// It was refused, and there is no row: it would write below this hold, which reads.
    WriteBelowRead(Option<Box<Ticket>>),
}

/// What to do with a new ticket that cannot be granted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It waits in line.
    Queue,
    /// It is not inserted.
    Refuse,
}

/// The conflict predicate of `lock::rules` in SQL: `e` keeps the ticket (`:scope`, `:branch`) out.
///
/// `IS`, not `=`: a comparison with the root's NULL would make the whole predicate NULL, which
/// keeps nobody out.
const CONFLICTS: &str =
    "NOT (e.scope = 'r' AND :scope = 'r' AND e.branch IS NOT NULL AND e.branch IS :branch)";

/// Inserts a ticket: held at once if nothing in its line conflicts with it, else waiting or
/// refused.
pub fn place<P: Permit>(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    on_conflict: OnConflict,
) -> Result<Placed<P>> {
    enter(tx, new, on_conflict, &|_| true)
}

/// As [`place`], after the dead tickets of its line (`is_alive` denies their owners) are removed.
/// One look at the line serves both.
pub fn enter<P: Permit>(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    on_conflict: OnConflict,
    is_alive: &dyn Fn(&str) -> bool,
) -> Result<Placed<P>> {
    debug_assert_eq!(new.scope, P::SCOPE);
    let footing = match below::footing(tx, new)? {
        Found::Footing(footing) => footing,
        Found::WriteBelowRead(hold) => {
            return Ok(Placed::WriteBelowRead(below::reading_hold(tx, hold)?));
        }
    };
    let its_line = footing.line(new);
    let (_, there) = clear(tx, its_line, is_alive)?;
    let kept = there.iter().find(|row| row.is_kept_for(new, footing));
    if there.is_empty() || !is_kept_out(tx, new, its_line)? {
        if let Some(kept) = kept {
            delete(tx, kept.id)?;
        }
        return Ok(Placed::Held(hold_at_once(tx, new, footing)?));
    }
    if on_conflict == OnConflict::Refuse {
        return Ok(Placed::Conflict);
    }
    if let Some(kept) = kept {
        kept::take_up(tx, kept.id, new, its_line)?;
        return Ok(Placed::Waiting(kept.id));
    }
    let waiting = there.iter().filter(|row| row.state == State::Waiting);
    let waiting = i64::try_from(waiting.count()).unwrap_or(i64::MAX);
    // Those below a hold do not count: the hold itself is one place.
    if footing.below == 0 && waiting >= settings::queue_max(tx)? {
        return Ok(Placed::QueueFull(waiting));
    }
    let ticket = insert(tx, new, footing, State::Waiting, 0, None)?;
    Ok(Placed::Waiting(ticket))
}

/// Whether something in `line` keeps a new ticket from being granted at once.
fn is_kept_out(tx: &ReadTx<'_>, new: &NewTicket, line: Line<'_>) -> Result<bool> {
    let mut blocked = tx.sql().prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM repo_locks e WHERE e.plan_id = :plan AND e.below = :below
            AND e.state IN ('granted', 'held', 'condemned', 'waiting') AND {CONFLICTS})"
    ))?;
    Ok(blocked.query_row(
        named_params! {":plan": line.plan_id, ":below": line.below, ":scope": new.scope.letter(),
        ":branch": new.branch},
        |row| row.get(0),
    )?)
}

fn hold_at_once<P: Permit>(tx: &TicketTx<'_>, new: &NewTicket, footing: Footing) -> Result<P> {
    let now = clock::wall_ms();
    let fence = audit::granted(tx, new, now, now)?;
    let ticket = insert(tx, new, footing, State::Held, fence, Some(now))?;
    said::granted_at_once(new, ticket, fence);
    Ok(P::mint(Proof {
        ticket,
        fence,
        plan_id: new.plan_id.clone(),
        branch: new.branch.clone(),
        has_parent: footing.parent.is_some(),
        below: footing.below,
        hands_on: !new.hold_token.is_empty(),
    }))
}

fn insert(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    footing: Footing,
    state: State,
    fence: i64,
    granted_at: Option<i64>,
) -> Result<i64> {
    let frame = Frame::here();
    let doorbell = if state == State::Held {
        &new.owner.doorbell
    } else {
        &new.doorbell
    };
    let now = clock::wall_ms();
    tx.sql()
        .prepare_cached(
            "INSERT INTO repo_locks (state, fence, plan_id, scope, branch, reason, doorbell,
                owner_id, actor, pid, pid_ns, process_start, host, command, queued_at, granted_at,
                last_heartbeat_at, lease_stamp, boot_id, time_ns, parent, below, hold_token)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?15,
                ?17, ?18, ?19, ?20, ?21, ?22)",
        )?
        .execute(params![
            state.word(),
            fence,
            new.plan_id,
            new.scope.letter(),
            new.branch,
            new.reason,
            doorbell,
            new.owner.id,
            new.owner.actor,
            new.owner.pid,
            new.owner.pid_ns,
            new.owner.process_start,
            new.owner.host,
            new.owner.command,
            now,
            granted_at,
            clock::monotonic_ms(),
            frame.boot_id,
            frame.time_ns,
            footing.parent,
            footing.below,
            new.hold_token,
        ])?;
    Ok(tx.sql().last_insert_rowid())
}

/// The grant step of one line: grants its head while it conflicts with no granted ticket, and
/// rings the granted and the one then first in line. Returns how many were granted.
pub fn grant<'a>(tx: &TicketTx<'_>, line: impl Into<Line<'a>>) -> Result<usize> {
    let line = line.into();
    let mut granted = 0;
    loop {
        let head = tx
            .sql()
            .prepare_cached(&head())?
            .query_row(params![line.plan_id, line.below], Ticket::from_row)
            .optional()?;
        let Some(head) = head else { return Ok(granted) };
        if is_blocked(tx, &head)? {
            tx.ring(&head.doorbell, Ring::Look);
            return Ok(granted);
        }
        let now = clock::wall_ms();
        let fence = audit::granted_ticket(tx, &head, now)?;
        tx.sql()
            .prepare_cached(
                "UPDATE repo_locks SET state = 'granted', fence = ?2, granted_at = ?3,
                    lease_stamp = ?4 WHERE id = ?1",
            )?
            .execute(params![head.id, fence, now, clock::monotonic_ms()])?;
        tx.ring(&head.doorbell, Ring::Granted);
        said::granted(&head, fence);
        granted += 1;
    }
}

/// The first that waits in a line.
fn head() -> String {
    format!(
        "SELECT {COLUMNS} FROM repo_locks
         WHERE plan_id = ?1 AND below = ?2 AND state = 'waiting' ORDER BY id LIMIT 1"
    )
}

fn is_blocked(tx: &ReadTx<'_>, ticket: &Ticket) -> Result<bool> {
    Ok(tx
        .sql()
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM repo_locks e WHERE e.plan_id = :plan AND e.below = :below
                AND e.state IN ('granted', 'held', 'condemned') AND {CONFLICTS})"
        ))?
        .query_row(
            named_params! {":plan": ticket.plan_id, ":below": ticket.below,
            ":scope": ticket.scope.letter(), ":branch": ticket.branch},
            |row| row.get(0),
        )?)
}

/// Confirms a grant: the owner takes its turn up. `None` if it is not granted (any more).
pub fn confirm<P: Permit>(tx: &TicketTx<'_>, id: i64, owner: &Owner) -> Result<Option<P>> {
    let row = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'held', doorbell = ?3, lease_stamp = ?4,
                last_heartbeat_at = ?5
             WHERE id = ?1 AND owner_id = ?2 AND state = 'granted' AND scope = ?6
             RETURNING fence, plan_id, branch, parent IS NOT NULL, hold_token <> '', below",
        )?
        .query_row(
            params![
                id,
                owner.id,
                owner.doorbell,
                clock::monotonic_ms(),
                clock::wall_ms(),
                P::SCOPE.letter()
            ],
            |row| {
                Ok(Proof {
                    ticket: id,
                    fence: row.get(0)?,
                    plan_id: row.get(1)?,
                    branch: row.get(2)?,
                    has_parent: row.get(3)?,
                    hands_on: row.get(4)?,
                    below: row.get(5)?,
                })
            },
        )
        .optional()?;
    row.iter().for_each(said::confirmed);
    Ok(row.map(P::mint))
}

/// Releases a held ticket, keyed by id and fence, and grants the next. `false` if it was lost. One
/// that was condemned goes too: nobody knows better than its owner that what it ran is over. What
/// works below it falls with it.
pub fn release(tx: &TicketTx<'_>, proof: &Proof, outcome: Outcome) -> Result<bool> {
    let fallen = if proof.hands_on {
        below::all_below(tx, proof.ticket)?
    } else {
        Vec::new()
    };
    let deleted = tx
        .sql()
        .prepare_cached("DELETE FROM repo_locks WHERE id = ?1 AND fence = ?2 AND state = 'held'")?
        .execute(params![proof.ticket, proof.fence])?;
    if deleted == 0 {
        let ours = by_id(tx, proof.ticket)?.filter(|ticket| ticket.fence == proof.fence);
        if ours.is_some() {
            remove_condemned(tx, proof.ticket)?;
        }
        return Ok(false);
    }
    audit::ended(tx, proof.fence, outcome)?;
    said::released(proof, outcome);
    below::settle_fallen(tx, proof.ticket, &fallen)?;
    let (plan_id, below) = (proof.plan_id.as_str(), proof.below);
    grant(tx, Line { plan_id, below })?;
    Ok(true)
}

/// Takes a ticket that was never confirmed out of the line, granted or not.
pub fn leave(tx: &TicketTx<'_>, id: i64, outcome: Outcome) -> Result<()> {
    if let Some(ticket) = by_id(tx, id)? {
        remove(tx, &ticket, outcome)?;
        grant(tx, &ticket)?;
    }
    Ok(())
}

/// Puts a parked ticket of `owner` back to waiting in its place.
pub fn rejoin(tx: &TicketTx<'_>, id: i64, owner: &Owner) -> Result<()> {
    let back: Option<(String, i64)> = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'waiting', fence = 0, granted_at = NULL
             WHERE id = ?1 AND owner_id = ?2 AND state = 'parked' RETURNING plan_id, below",
        )?
        .query_row(params![id, owner.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((plan_id, below)) = &back {
        let below = *below;
        said::rejoined(id);
        grant(tx, Line { plan_id, below })?;
    }
    Ok(())
}

/// Removes the tickets of a line whose owners `is_alive` denies, and kept places that nobody came
/// back to, then grants.
pub fn remove_dead<'a>(
    tx: &TicketTx<'_>,
    line: impl Into<Line<'a>>,
    is_alive: &dyn Fn(&str) -> bool,
) -> Result<usize> {
    Ok(clear(tx, line.into(), is_alive)?.0)
}

/// How many were removed, and the line after it.
fn clear(
    tx: &TicketTx<'_>,
    its_line: Line<'_>,
    is_alive: &dyn Fn(&str) -> bool,
) -> Result<(usize, Vec<Ticket>)> {
    let there = line(tx, its_line)?;
    let mut removed = 0;
    for ticket in &there {
        if ticket.is_kept_too_long() {
            // How its wait ended was noted when it did.
            delete(tx, ticket.id)?;
            said::place_given_up(ticket);
            removed += 1;
        } else if !ticket.is_kept_place() && !is_alive(&ticket.owner_id) {
            remove(tx, ticket, Outcome::OwnerDied)?;
            removed += 1;
        }
    }
    if removed == 0 {
        return Ok((0, there));
    }
    grant(tx, its_line)?;
    Ok((removed, line(tx, its_line)?))
}

/// Parks the grants of a line that nobody confirmed within `limit_ms`, then grants the next.
pub fn park_unconfirmed<'a>(
    tx: &TicketTx<'_>,
    its_line: impl Into<Line<'a>>,
    limit_ms: i64,
) -> Result<usize> {
    let its_line = its_line.into();
    let overdue: Vec<Ticket> = line(tx, its_line)?
        .into_iter()
        .filter(|ticket| ticket.state == State::Granted)
        .filter(|ticket| {
            ticket
                .silence_ms()
                .is_some_and(|silence| silence > limit_ms)
        })
        .collect();
    for ticket in &overdue {
        audit::ended(tx, ticket.fence, Outcome::Unconfirmed)?;
        tx.sql()
            .prepare_cached("UPDATE repo_locks SET state = 'parked' WHERE id = ?1")?
            .execute([ticket.id])?;
        tx.ring(&ticket.doorbell, Ring::Look);
        said::parked(ticket, "nobody took its grant up");
    }
    if !overdue.is_empty() {
        grant(tx, its_line)?;
    }
    Ok(overdue.len())
}

/// Condemns a held ticket whose lease is over, if its stamp is still `seen_stamp`: the second
/// look, so that a stall of the whole machine expires nobody. Its fence fails from here on.
pub fn condemn(tx: &TicketTx<'_>, id: i64, seen_stamp: i64, lease_ms: i64) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'condemned'
             WHERE id = ?1 AND state = 'held' AND lease_stamp = ?2 AND ?3 - lease_stamp > ?4",
        )?
        .execute(params![id, seen_stamp, clock::monotonic_ms(), lease_ms])?;
    if changed == 1 {
        said::condemned(id, lease_ms);
    }
    Ok(changed == 1)
}

/// Removes a condemned ticket, after what its owner started is gone, and grants the next.
pub fn remove_condemned(tx: &TicketTx<'_>, id: i64) -> Result<()> {
    if let Some(ticket) = by_id(tx, id)?
        && ticket.state == State::Condemned
    {
        remove(tx, &ticket, Outcome::LeaseExpired)?;
        grant(tx, &ticket)?;
    }
    Ok(())
}

/// Removes a ticket by the words of a person (`doctor --fix`), if it still carries `fence`.
pub fn remove_forced(tx: &TicketTx<'_>, id: i64, fence: i64) -> Result<bool> {
    match by_id(tx, id)? {
        Some(ticket) if ticket.fence == fence => {
            remove(tx, &ticket, Outcome::Forced)?;
            tx.ring(&ticket.doorbell, Ring::Look);
            grant(tx, &ticket)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Deletes a ticket, with what works below it, and notes how it ended.
fn remove(tx: &TicketTx<'_>, ticket: &Ticket, outcome: Outcome) -> Result<()> {
    let fallen = below::all_below(tx, ticket.id)?;
    delete(tx, ticket.id)?;
    said::deleted(ticket, outcome);
    if ticket.state.blocks() && ticket.fence != 0 {
        audit::ended(tx, ticket.fence, outcome)?;
    } else if !ticket.is_kept_place() {
        audit::gave_up(tx, ticket, outcome)?;
    }
    below::settle_fallen(tx, ticket.id, &fallen)
}

fn delete(tx: &TicketTx<'_>, id: i64) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM repo_locks WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Renews the leases of the tickets `ids` that `owner_id` holds; returns those still there, with
/// whether somebody asked them to stop.
pub fn beat(tx: &TicketTx<'_>, owner_id: &str, ids: &[i64]) -> Result<Vec<(i64, bool)>> {
    let mut update = tx.sql().prepare_cached(
        "UPDATE repo_locks SET last_heartbeat_at = ?3, lease_stamp = ?4
         WHERE id = ?1 AND owner_id = ?2 AND state = 'held' RETURNING id, cancel_requested",
    )?;
    let (wall, stamp) = (clock::wall_ms(), clock::monotonic_ms());
    let mut rows = Vec::new();
    for id in ids {
        let row = update
            .query_row(params![id, owner_id, wall, stamp], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        rows.extend(row);
    }
    Ok(rows)
}

/// The held tickets of `owner_id` with whether somebody asked them to stop.
pub fn held_by(tx: &ReadTx<'_>, owner_id: &str) -> Result<Vec<(i64, bool)>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, cancel_requested FROM repo_locks WHERE owner_id = ?1 AND state = 'held'",
    )?;
    let rows = select.query_map([owner_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
