//! Runs and what they said, in batches: what is left when a runner dies.

use anyhow::Result;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{ChooseTx, ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// UUIDv7.
    pub id: String,
    /// The branch.
    pub branch_id: String,
    /// The ticket it ran under.
    pub ticket: i64,
    /// The reply it writes.
    pub message_id: Option<String>,
    /// Wall time of its start.
    pub started_at: i64,
    /// Wall time of its end.
    pub finished_at: Option<i64>,
    /// How it ended: ready, stopped, error or interrupted.
    pub ended: Option<String>,
    /// What `status` shows of it, as JSON.
    pub report: Option<String>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Stream> {
    Ok(Stream {
        id: row.get("id")?,
        branch_id: row.get("branch_id")?,
        ticket: row.get("ticket")?,
        message_id: row.get("message_id")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        ended: row.get("ended")?,
        report: row.get("report")?,
    })
}

/// So many runs of a branch keep all their events, the newest; of older ones only the last event
/// stays, which says how the run ended.
pub const RUNS_KEPT: i64 = 20;
/// The events of so many runs before those are looked at when a run starts,
const RUNS_CLEARED: i64 = 64;
/// and so many of them removed: a very long run goes in pieces.
const EVENTS_CLEARED: i64 = 1_000;

/// Records the start of a run; returns its id.
pub fn start(
    tx: &WriteTx<'_>,
    branch_id: &str,
    ticket: i64,
    message: Option<&str>,
) -> Result<String> {
    let id = new_id();
    tx.sql()
        .prepare_cached(
            "INSERT INTO streams (id, branch_id, ticket, message_id, started_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id, branch_id, ticket, message, clock::wall_ms()])?;
    forget_old(tx, branch_id)?;
    Ok(id)
}

fn forget_old(tx: &WriteTx<'_>, branch_id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "DELETE FROM stream_events WHERE id IN (
                SELECT e.id FROM
                    (SELECT id FROM streams WHERE branch_id = ?1
                     ORDER BY started_at DESC, id DESC LIMIT ?3 OFFSET ?2) AS old
                JOIN stream_events e ON e.stream_id = old.id
                WHERE e.kind NOT IN ('turn.completed', 'turn.failed') LIMIT ?4)",
        )?
        .execute(params![branch_id, RUNS_KEPT, RUNS_CLEARED, EVENTS_CLEARED])?;
    Ok(())
}

/// Records a run that was over before it was one, `ended` so ("ready", "error"): `status` and
/// `connect` show `report` and the event `last`. Does nothing if there was a run under the ticket.
pub fn add_over(
    tx: &ChooseTx<'_>,
    (branch_id, ticket): (&str, i64),
    (ended, report): (&str, &str),
    last: &Kept,
) -> Result<()> {
    // One that failed so before may have kept its place, and with it the ticket.
    let came_to_nothing =
        |run: Stream| run.message_id.is_none() && run.ended.as_deref() == Some("error");
    if of_ticket(tx, ticket)?.is_some_and(|run| !came_to_nothing(run)) {
        return Ok(());
    }
    let id = new_id();
    tx.sql()
        .prepare_cached(
            "INSERT INTO streams (id, branch_id, ticket, started_at, finished_at, ended, report)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            branch_id,
            ticket,
            clock::wall_ms(),
            ended,
            report
        ])?;
    insert(tx, &id, std::slice::from_ref(last))
}

/// Records that the run's next reply is the message `message_id`, of which the events after the
/// number `after` tell.
pub fn next_reply(tx: &WriteTx<'_>, id: &str, message_id: &str, after: i64) -> Result<()> {
    tx.sql()
        .prepare_cached("UPDATE streams SET message_id = ?2, reply_from = ?3 WHERE id = ?1")?
        .execute(params![id, message_id, after])?;
    Ok(())
}

/// Something that happened in a run, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Counted from 1 in its run.
    pub number: i64,
    /// Wall time.
    pub at: i64,
    /// Its type, such as `message.delta`.
    pub kind: String,
    /// Its other fields, as a JSON object.
    pub payload: String,
}

/// Adds what happened to a run, in order.
pub fn add(tx: &WriteTx<'_>, stream_id: &str, events: &[Kept]) -> Result<()> {
    insert(tx, stream_id, events)
}

fn insert(tx: &ReadTx<'_>, stream_id: &str, events: &[Kept]) -> Result<()> {
    let mut insert = tx.sql().prepare_cached(
        "INSERT INTO stream_events (stream_id, number, at, kind, payload)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for event in events {
        insert.execute(params![
            stream_id,
            event.number,
            event.at,
            event.kind,
            event.payload
        ])?;
    }
    Ok(())
}

/// What happened to a run after its event `number`, at most `limit` of it.
pub fn after(tx: &ReadTx<'_>, stream_id: &str, number: i64, limit: i64) -> Result<Vec<Kept>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT number, at, kind, payload FROM stream_events
         WHERE stream_id = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let rows = select.query_map(params![stream_id, number, limit], kept)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        number: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        payload: row.get(3)?,
    })
}

/// The last event of a run that is over; `None` if it says none.
pub fn verdict(tx: &ReadTx<'_>, stream_id: &str) -> Result<Option<Kept>> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT number, at, kind, payload FROM stream_events
             WHERE stream_id = ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([stream_id], kept)
        .optional()?
        .filter(|last| matches!(last.kind.as_str(), "turn.completed" | "turn.failed")))
}

/// The number of a run's newest event; 0 if it has none.
pub fn last_number(tx: &ReadTx<'_>, stream_id: &str) -> Result<i64> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT coalesce(max(number), 0) FROM stream_events WHERE stream_id = ?1")?
        .query_row([stream_id], |row| row.get(0))?)
}

/// How far a run is with its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Those that are built, or could not be.
    pub done: u64,
    /// All that its reply has named so far.
    pub named: u64,
}

/// How far the run is with its files.
pub fn files(tx: &ReadTx<'_>, stream_id: &str) -> Result<Files> {
    let mut select = tx.sql().prepare_cached(
        "SELECT count(DISTINCT json_extract(payload, '$.path')) FROM stream_events
         WHERE stream_id = ?1 AND kind = ?2 AND kind IN ('file.started', 'file.completed')",
    )?;
    let mut count = |kind: &str| select.query_row([stream_id, kind], |row| row.get::<_, u32>(0));
    let named = u64::from(count("file.started")?);
    let done = u64::from(count("file.completed")?);
    Ok(Files {
        done,
        named: named.max(done),
    })
}

/// The text so far of the reply that a run writes now.
pub fn text(tx: &ReadTx<'_>, stream_id: &str) -> Result<String> {
    let mut select = tx.sql().prepare_cached(
        "SELECT json_extract(payload, '$.text') FROM stream_events
         WHERE stream_id = ?1 AND kind = 'message.delta'
           AND number > (SELECT reply_from FROM streams WHERE id = ?1)
         ORDER BY number",
    )?;
    let rows = select.query_map([stream_id], |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<rusqlite::Result<String>>()?)
}

/// Records the end of a run.
pub fn finish(tx: &WriteTx<'_>, id: &str, ended: &str, report: Option<&str>) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE streams SET finished_at = ?2, ended = ?3, report = ?4
             WHERE id = ?1 AND finished_at IS NULL",
        )?
        .execute(params![id, clock::wall_ms(), ended, report])?;
    Ok(())
}

/// Removes a run that came to nothing.
pub fn withdraw(tx: &WriteTx<'_>, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM streams WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// The runs of a branch that have not ended: at work, or dead.
pub fn unfinished(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Stream>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM streams WHERE branch_id = ?1 AND finished_at IS NULL ORDER BY started_at",
    )?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest run of a branch.
pub fn last(tx: &ReadTx<'_>, branch_id: &str) -> Result<Option<Stream>> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT * FROM streams WHERE branch_id = ?1 ORDER BY started_at DESC, id DESC LIMIT 1",
        )?
        .query_row([branch_id], from_row)
        .optional()?)
}

/// The run `id`.
pub fn by_id(tx: &ReadTx<'_>, id: &str) -> Result<Option<Stream>> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT * FROM streams WHERE id = ?1")?
        .query_row([id], from_row)
        .optional()?)
}

/// The run under `ticket`.
pub fn of_ticket(tx: &ReadTx<'_>, ticket: i64) -> Result<Option<Stream>> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT * FROM streams WHERE ticket = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([ticket], from_row)
        .optional()?)
}

/// Runs whose id begins with `prefix`: two if there are several.
pub fn beginning_with(tx: &ReadTx<'_>, prefix: &str) -> Result<Vec<Stream>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM streams WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT 2",
    )?;
    let rows = select.query_map([prefix], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
