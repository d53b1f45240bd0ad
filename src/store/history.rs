//! What looking commands read of the past, and who ended somebody else's ticket.
//!
//! Every query here is bounded: the audit may hold a million rows, and a command that looks at it
//! takes about as long as on an empty one.

use anyhow::Result;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row, params};
use serde_json::Value;

use super::audit::{self, Entry, Outcome};
use super::tickets::{self, State, Ticket};
use super::{ReadTx, Store, StoreError, TicketTx};
use crate::platform::bell::Ring;
use crate::platform::clock::{self, Frame};

/// So many rows are looked at for figures, and before a window for what reaches into it.
pub const RECENT: i64 = 5_000;

/// One row of the audit with all that looking shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The row.
    pub entry: Entry,
    /// Who forced its end.
    pub ended_by: Option<String>,
}

fn past(row: &Row<'_>) -> rusqlite::Result<Past> {
    Ok(Past {
        entry: audit::from_row(row)?,
        ended_by: row.get("ended_by")?,
    })
}

impl Store {
    /// A number that changes whenever another connection has changed the database: what a follower
    /// looks at instead of the rows. Costs microseconds and writes nothing.
    pub fn change_count(&self) -> Result<i64> {
        self.with(|connection| {
            let mut pragma = connection.prepare_cached("PRAGMA data_version")?;
            Ok(pragma.query_row([], |row| row.get(0))?)
        })
    }
}

/// The rows that ended at `from` (wall milliseconds) or later, or not yet, oldest first: at most the
/// `most` newest of them, and whether there are more. Of those that began before `from` only the
/// newest [`RECENT`] are looked at.
pub fn since(
    tx: &ReadTx<'_>,
    from: i64,
    plan_id: Option<&str>,
    most: usize,
) -> Result<(Vec<Past>, bool)> {
    newest(tx, "*", from, plan_id, most, past)
}

/// What figures need of a row: strings are most of what reading one costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The operation's stable reason.
    pub reason: String,
    /// Wall times, as in [`Entry`].
    pub queued_at: i64,
    /// When it was granted.
    pub granted_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How it ended.
    pub outcome: Option<String>,
}

/// As [`since`], but only what figures need.
pub fn spans_since(
    tx: &ReadTx<'_>,
    from: i64,
    plan_id: Option<&str>,
    most: usize,
) -> Result<(Vec<Span>, bool)> {
    let columns = "reason, queued_at, granted_at, outcome";
    newest(tx, columns, from, plan_id, most, |row| {
        Ok(Span {
            ended_at: row.get(1)?,
            reason: row.get(2)?,
            queued_at: row.get(3)?,
            granted_at: row.get(4)?,
            outcome: row.get(5)?,
        })
    })
}

/// The rows that [`since`] tells of, as `of` reads them from their time of making, their end, and
/// `columns`.
fn newest<T>(
    tx: &ReadTx<'_>,
    columns: &str,
    from: i64,
    plan_id: Option<&str>,
    most: usize,
    of: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<(Vec<T>, bool)> {
    let select = format!("SELECT created_at, ended_at, {columns} FROM repo_locks_audit");
    let mut select = tx.sql().prepare_cached(&match plan_id {
        Some(_) => format!("{select} WHERE plan_id = ?1 ORDER BY created_at DESC, id DESC"),
        None => format!("{select} ORDER BY id DESC"),
    })?;
    let mut rows = match plan_id {
        Some(plan) => select.query([plan])?,
        None => select.query([])?,
    };
    let (mut found, mut before, mut is_more) = (Vec::new(), 0, false);
    while let Some(row) = rows.next()? {
        before += i64::from(row.get::<_, i64>(0)? < from);
        is_more = found.len() >= most;
        if is_more || before > RECENT {
            break;
        }
        let ended: Option<i64> = row.get(1)?;
        if ended.is_none_or(|ended| ended >= from) {
            found.push(of(row)?);
        }
    }
    found.reverse();
    Ok((found, is_more))
}

/// The rows with a number above `id`, oldest first, at most `limit`.
pub fn after(tx: &ReadTx<'_>, id: i64, limit: i64) -> Result<Vec<Past>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM repo_locks_audit WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = select.query_map([id, limit], past)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The row `id`.
pub fn by_id(tx: &ReadTx<'_>, id: i64) -> Result<Option<Past>> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT * FROM repo_locks_audit WHERE id = ?1")?
        .query_row([id], past)
        .optional()?)
}

/// The number of the newest row; 0 if there is none.
pub fn last_id(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT coalesce(max(id), 0) FROM repo_locks_audit")?
        .query_row([], |row| row.get(0))?)
}

/// One thing that a run said, with where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its number.
    pub id: i64,
    /// The run.
    pub stream_id: String,
    /// Wall time.
    pub at: i64,
    /// Its type: "message.delta" for words of the reply.
    pub kind: String,
    /// Its fields, as a JSON object.
    pub payload: String,
}

/// What runs said with a number above `id`, oldest first, at most `limit`.
pub fn said_after(tx: &ReadTx<'_>, id: i64, limit: i64) -> Result<Vec<Said>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, stream_id, at, kind, payload FROM stream_events WHERE id > ?1
         ORDER BY id LIMIT ?2",
    )?;
    let rows = select.query_map([id, limit], |row| {
        Ok(Said {
            id: row.get(0)?,
            stream_id: row.get(1)?,
            at: row.get(2)?,
            kind: row.get(3)?,
            payload: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The number before the first thing said at `at` (wall milliseconds) or later, among the newest
/// [`RECENT`]; of the newest thing if none was.
pub fn said_before(tx: &ReadTx<'_>, at: i64) -> Result<i64> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT coalesce(
                (SELECT min(id) - 1 FROM
                    (SELECT id, at FROM stream_events ORDER BY id DESC LIMIT ?2) WHERE at >= ?1),
                (SELECT max(id) FROM stream_events), 0)",
        )?
        .query_row([at, RECENT], |row| row.get(0))?)
}

/// A run with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSeen {
    /// Grows from run to run.
    pub row: i64,
    /// UUIDv7.
    pub id: String,
    /// Its plan.
    pub plan_id: String,
    /// Its branch's name.
    pub branch: String,
    /// Its ticket.
    pub ticket: i64,
    /// Wall time of its start.
    pub started_at: i64,
    /// Wall time of its end.
    pub finished_at: Option<i64>,
    /// How it ended.
    pub ended: Option<String>,
}

const RUNS: &str = "SELECT s.rowid, s.id, b.plan_id, b.name, s.ticket, s.started_at, \
     s.finished_at, s.ended FROM streams s JOIN branches b ON b.id = s.branch_id";

fn run(row: &Row<'_>) -> rusqlite::Result<RunSeen> {
    Ok(RunSeen {
        row: row.get(0)?,
        id: row.get(1)?,
        plan_id: row.get(2)?,
        branch: row.get(3)?,
        ticket: row.get(4)?,
        started_at: row.get(5)?,
        finished_at: row.get(6)?,
        ended: row.get(7)?,
    })
}

/// The runs from row `row` on, oldest first: a run that came to nothing gives its row back, so the
/// last one seen is looked at again.
pub fn runs_from(tx: &ReadTx<'_>, row: i64, limit: i64) -> Result<Vec<RunSeen>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "{RUNS} WHERE s.rowid >= ?1 ORDER BY s.rowid LIMIT ?2"
    ))?;
    let rows = select.query_map([row, limit], run)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The run `id`.
pub fn run_by_id(tx: &ReadTx<'_>, id: &str) -> Result<Option<RunSeen>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!("{RUNS} WHERE s.id = ?1"))?
        .query_row([id], run)
        .optional()?)
}

/// The run that goes on under `ticket`, among the newest [`RECENT`].
pub fn run_of(tx: &ReadTx<'_>, ticket: i64) -> Result<Option<RunSeen>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!(
            "{RUNS} WHERE s.rowid > (SELECT max(rowid) FROM streams) - ?2 AND s.ticket = ?1
                AND s.finished_at IS NULL ORDER BY s.rowid DESC LIMIT 1"
        ))?
        .query_row([ticket, RECENT], run)
        .optional()?)
}

/// The row of the newest run; 0 if there is none.
pub fn last_run(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT coalesce(max(rowid), 0) FROM streams")?
        .query_row([], |row| row.get(0))?)
}

/// A table as SQLite gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows' values.
    pub rows: Vec<Vec<Value>>,
}

/// SEED.md 6.4 "Active Locks".
pub const ACTIVE: &str = "SELECT * FROM active_locks ORDER BY last_heartbeat_at DESC";
/// SEED.md 6.4 "Expired Locks".
pub const EXPIRED: &str = "SELECT * FROM expired_locks";
/// SEED.md 6.4 "Lock History", of the plan `?1`.
pub const HISTORY: &str =
    "SELECT * FROM repo_locks_audit WHERE plan_id = ?1 ORDER BY created_at DESC, id DESC LIMIT 50";

/// Runs one of the three queries above; `plan_id` is for [`HISTORY`].
pub fn query(tx: &ReadTx<'_>, sql: &str, plan_id: Option<&str>) -> Result<Answer> {
    let mut select = tx.sql().prepare(sql)?;
    let names = select.column_names();
    let columns: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let mut rows = match plan_id {
        Some(plan) => select.query([plan])?,
        None => select.query([])?,
    };
    let mut answer = Answer {
        columns,
        rows: Vec::new(),
    };
    while let Some(row) = rows.next()? {
        let cells = (0..answer.columns.len()).map(|index| Ok(json(row.get_ref(index)?)));
        let cells = cells.collect::<rusqlite::Result<_>>()?;
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
    }
}

/// Ends the ticket `id` by the word of `by`, if it still carries `fence`, and grants the next. The
/// owner is rung, so that it hears at once.
pub fn force(tx: &TicketTx<'_>, id: i64, fence: i64, by: &str) -> Result<bool> {
    if !tickets::remove_forced(tx, id, fence)? {
        return Ok(false);
    }
    // A ticket that never was granted has a row of its own, the newest one of its number.
    tx.sql()
        .prepare_cached(
            "UPDATE repo_locks_audit SET ended_by = ?2 WHERE outcome = 'forced' AND id = CASE ?3
                WHEN 0 THEN (SELECT id FROM repo_locks_audit WHERE ticket = ?1
                    ORDER BY id DESC LIMIT 1)
                ELSE ?3 END",
        )?
        .execute(params![id, by, fence])?;
    Ok(true)
}

/// The first half of [`force`] for a ticket whose owner runs a program that no fence reaches: it is
/// condemned, so that nobody is granted before that program is gone. Returns it as it is then;
/// `None` if it carries `fence` no more.
pub fn condemn_by_force(
    tx: &TicketTx<'_>,
    id: i64,
    fence: i64,
    by: &str,
) -> Result<Option<Ticket>> {
    let found = tickets::by_id(tx, id)?.filter(|ticket| ticket.fence == fence);
    let Some(ticket) = found.filter(|ticket| ticket.state.blocks()) else {
        return Ok(None);
    };
    if ticket.state != State::Condemned {
        // The stamp is when: its owner has some time from here, and renews it no more.
        let frame = Frame::here();
        tx.sql()
            .prepare_cached(
                "UPDATE repo_locks SET state = 'condemned', lease_stamp = ?2, boot_id = ?3,
                    time_ns = ?4 WHERE id = ?1",
            )?
            .execute(params![
                id,
                clock::monotonic_ms(),
                frame.boot_id,
                frame.time_ns
            ])?;
    }
    // Recorded now: whoever removes the row later adds nothing to what stands here.
    audit::ended(tx, fence, Outcome::Forced)?;
    tx.sql()
        .prepare_cached("UPDATE repo_locks_audit SET ended_by = ?2 WHERE id = ?1")?
        .execute(params![fence, by])?;
    tx.ring(&ticket.doorbell, Ring::Look);
    tickets::by_id(tx, id)
}

/// Who ended the grant `fence` by force.
pub fn forced_by(tx: &ReadTx<'_>, fence: i64) -> Result<Option<String>> {
    Ok(by_id(tx, fence)?.and_then(|past| past.ended_by))
}

/// Who took the waiting ticket `id` out of the line by force.
pub fn removed_by(tx: &ReadTx<'_>, id: i64) -> Result<Option<String>> {
    let newest = tx
        .sql()
        .prepare_cached(
            "SELECT ended_by FROM (SELECT * FROM repo_locks_audit ORDER BY id DESC LIMIT ?2)
             WHERE ticket = ?1 LIMIT 1",
        )?
        .query_row([id, RECENT], |row| row.get(0))
        .optional()?;
    Ok(newest.flatten())
}

/// The newest row of the ticket `id`, among the newest [`RECENT`].
pub fn of_ticket(tx: &ReadTx<'_>, id: i64) -> Result<Option<Past>> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT * FROM (SELECT * FROM repo_locks_audit ORDER BY id DESC LIMIT ?2)
             WHERE ticket = ?1 LIMIT 1",
        )?
        .query_row([id, RECENT], past)
        .optional()?)
}

/// That the grant `fence` of `ticket` was lost; names who forced it, if somebody did.
pub fn lost(ticket: i64, by: Option<&str>) -> anyhow::Error {
    let error = anyhow::Error::from(StoreError::LockLost { ticket });
    match by {
        Some(by) => error.context(format!("released by force by {by}")),
        None => error,
    }
}
