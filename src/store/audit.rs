//! The audit: who waited and held what, for how long, and how it ended. Its ids are the fences.

use anyhow::Result;
use rusqlite::{Row, params};

use super::tickets::{NewTicket, Ticket};
use super::{ReadTx, TicketTx};
use crate::platform::clock;

/// So many rows are kept; the oldest go first.
const KEPT: i64 = 1_000_000;
/// The oldest are looked for once in so many grants.
const SWEEP_EVERY: i64 = 256;

/// So many rows are looked at for how long operations take: an index would cost every grant a page.
const RECENT: i64 = 5_000;

/// How a ticket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By its owner, with its work done or given up.
    Released,
    /// Its owner hung past the lease.
    LeaseExpired,
    /// Its owner file was free.
    OwnerDied,
    /// Somebody removed it.
    Forced,
    /// Its owner left the line, or was stopped.
    Cancelled,
    /// Its wait was over.
    TimedOut,
    /// It was granted and nobody took the turn up.
    Unconfirmed,
    /// Its wait would have closed a circle of waits.
    Deadlock,
    /// The hold that it worked below ended.
    ParentEnded,
}

impl Outcome {
    /// The words in the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::LeaseExpired => "lease expired",
            Self::OwnerDied => "owner died",
            Self::Forced => "forced",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
            Self::Unconfirmed => "unconfirmed",
            Self::Deadlock => "deadlock",
            Self::ParentEnded => "parent ended",
        }
    }
}

/// One row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The row's number: the fence of the grant it records.
    pub id: i64,
    /// The plan.
    pub plan_id: String,
    /// The ticket.
    pub ticket: i64,
    /// "r" or "w".
    pub scope: String,
    /// The branch of a read.
    pub branch: Option<String>,
    /// The operation's stable reason.
    pub reason: String,
    /// Who it was for.
    pub actor: String,
    /// The owner's pid.
    pub pid: u32,
    /// The command as typed.
    pub command: String,
    /// Wall times; `None` where it did not come to that.
    pub queued_at: i64,
    /// When it was granted.
    pub granted_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How it ended.
    pub outcome: Option<String>,
}

/// Records the grant of a new ticket and mints its fence.
pub(super) fn granted(tx: &TicketTx<'_>, new: &NewTicket, queued_at: i64, now: i64) -> Result<i64> {
    // The ticket's own row follows in this transaction, so its number is the next one.
    tx.sql()
        .prepare_cached(
            "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, branch, reason,
                actor, pid, command, queued_at, granted_at)
             VALUES (?1, ?2,
                1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'repo_locks'), 0),
                ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?2)",
        )?
        .execute(params![
            new.plan_id,
            now,
            new.scope.letter(),
            new.branch,
            new.reason,
            new.owner.actor,
            new.owner.pid,
            new.owner.command,
            queued_at,
        ])?;
    minted(tx)
}

/// Records the grant of a waiting ticket and mints its fence.
pub(super) fn granted_ticket(tx: &TicketTx<'_>, ticket: &Ticket, now: i64) -> Result<i64> {
    insert(tx, ticket, Some(now), None)?;
    minted(tx)
}

/// Records a wait that ended without a grant.
pub(super) fn gave_up(tx: &TicketTx<'_>, ticket: &Ticket, outcome: Outcome) -> Result<()> {
    insert(tx, ticket, None, Some(outcome))
}

/// Records how a grant ended.
pub(super) fn ended(tx: &TicketTx<'_>, fence: i64, outcome: Outcome) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE repo_locks_audit SET ended_at = ?2, outcome = ?3
             WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![fence, clock::wall_ms(), outcome.words()])?;
    Ok(())
}

/// The newest `limit` rows of a plan, newest first.
pub fn history(tx: &ReadTx<'_>, plan_id: &str, limit: i64) -> Result<Vec<Entry>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM repo_locks_audit WHERE plan_id = ?1 ORDER BY created_at DESC, id DESC
         LIMIT ?2",
    )?;
    let rows = select.query_map(params![plan_id, limit], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// As [`durations`], of one plan, among its newest 500 grants.
pub fn durations_of(tx: &ReadTx<'_>, plan_id: &str, reason: &str, limit: i64) -> Result<Vec<i64>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT ended_at - granted_at FROM
            (SELECT * FROM repo_locks_audit WHERE plan_id = ?1
                ORDER BY created_at DESC, id DESC LIMIT 500)
         WHERE reason = ?2 AND outcome = 'released' LIMIT ?3",
    )?;
    let rows = select.query_map(params![plan_id, reason, limit], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How long past operations of `reason` held their tickets, in milliseconds, newest first, among
/// the newest 5,000 grants of the project.
pub fn durations(tx: &ReadTx<'_>, reason: &str, limit: i64) -> Result<Vec<i64>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT ended_at - granted_at FROM
            (SELECT * FROM repo_locks_audit ORDER BY id DESC LIMIT ?3)
         WHERE reason = ?1 AND outcome = 'released' ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = select.query_map(params![reason, limit, RECENT], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const INSERT: &str = "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, branch, \
     reason, actor, pid, command, queued_at, granted_at, ended_at, outcome)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

fn insert(
    tx: &TicketTx<'_>,
    ticket: &Ticket,
    granted_at: Option<i64>,
    outcome: Option<Outcome>,
) -> Result<()> {
    let now = clock::wall_ms();
    tx.sql().prepare_cached(INSERT)?.execute(params![
        ticket.plan_id,
        now,
        ticket.id,
        ticket.scope.letter(),
        ticket.branch,
        ticket.reason,
        ticket.actor,
        ticket.pid,
        ticket.command,
        ticket.queued_at,
        granted_at,
        outcome.map(|_| now),
        outcome.map(Outcome::words),
    ])?;
    Ok(())
}

fn minted(tx: &TicketTx<'_>) -> Result<i64> {
    let fence = tx.sql().last_insert_rowid();
    if fence % SWEEP_EVERY == 0 {
        tx.sql()
            .prepare_cached("DELETE FROM repo_locks_audit WHERE id <= ?1 AND ended_at NOT NULL")?
            .execute([fence - KEPT])?;
    }
    Ok(fence)
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get("id")?,
        plan_id: row.get("plan_id")?,
        ticket: row.get("ticket")?,
        scope: row.get("scope")?,
        branch: row.get("branch")?,
        reason: row.get("reason")?,
        actor: row.get("actor")?,
        pid: row.get("pid")?,
        command: row.get("command")?,
        queued_at: row.get("queued_at")?,
        granted_at: row.get("granted_at")?,
        ended_at: row.get("ended_at")?,
        outcome: row.get("outcome")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tickets::{OnConflict, Owner, Placed, ReadPermit, Scope, place};
    use crate::store::{Connections, Store};
    use std::time::Duration;

    const PLAN: &str = "a plan";
    /// The first grant at which the oldest are looked for and found.
    const SWEPT: i64 = (KEPT / SWEEP_EVERY + 1) * SWEEP_EVERY;

    fn grant(tx: &TicketTx<'_>) -> Result<()> {
        let new = NewTicket {
            plan_id: PLAN.to_owned(),
            scope: Scope::Read,
            branch: Some("main".to_owned()),
            reason: "a test".to_owned(),
            doorbell: String::new(),
            owner: Owner::default(),
            token: None,
            hold_token: String::new(),
        };
        let placed = place::<ReadPermit>(tx, &new, OnConflict::Refuse)?;
        assert!(matches!(placed, Placed::Held(_)));
        Ok(())
    }

    /// The newest million stay, and with them whatever has not ended.
    #[test]
    fn the_oldest_rows_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), Connections::One).unwrap();
        let change = |work: &dyn Fn(&TicketTx<'_>) -> Result<()>| {
            store.tickets(Duration::from_secs(5), work).unwrap();
        };
        change(&|tx| (0..200).try_for_each(|_| grant(tx)));
        change(&|tx| {
            let sql = "UPDATE repo_locks_audit SET ended_at = 1, outcome = 'released'
                       WHERE id <> 3";
            tx.sql().execute(sql, [])?;
            let sql = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'repo_locks_audit'";
            tx.sql().execute(sql, [SWEPT - SWEEP_EVERY])?;
            Ok(())
        });
        let ids = || {
            let rows = store.read(|tx| history(tx, PLAN, i64::MAX)).unwrap();
            let mut ids: Vec<i64> = rows.into_iter().map(|row| row.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids().len(), 200);
        change(&|tx| (1..SWEEP_EVERY).try_for_each(|_| grant(tx)));
        assert_eq!(ids()[0], 1);
        change(&|tx| grant(tx));
        let after = ids();
        assert_eq!(after[after.len() - 1], SWEPT);
        let left: Vec<i64> = after.into_iter().filter(|id| *id <= 200).collect();
        let wanted: Vec<i64> = (1..=200)
            .filter(|id| *id == 3 || *id > SWEPT - KEPT)
            .collect();
        assert_eq!(left, wanted);
        assert!(wanted.len() > 1 && wanted.len() < 200);
    }
}
