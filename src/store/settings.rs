//! Settings that every process of a project must agree on; they live in the database only.

use std::time::Duration;

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{ChooseTx, ReadTx};

/// How often a held ticket proves its life, and for how long one proof is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two heartbeats (3 s unless changed).
    pub heartbeat: Duration,
    /// Without a heartbeat, a ticket is believed for so long (60 s unless changed).
    pub lease: Duration,
}

impl Intervals {
    /// A third of the heartbeat (1 s unless changed): between the two looks before an owner is
    /// condemned, and for an unconfirmed grant.
    pub fn grace(&self) -> Duration {
        self.heartbeat / 3
    }
}

/// The intervals of this project.
pub fn intervals(tx: &ReadTx<'_>) -> Result<Intervals> {
    Ok(Intervals {
        heartbeat: milliseconds(tx.sql(), "lock.heartbeat", 3_000)?,
        lease: lease(tx.sql())?,
    })
}

pub(super) fn lease(connection: &Connection) -> Result<Duration> {
    milliseconds(connection, "lock.lease", 60_000)
}

/// Why a setting of the database was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The lease would be too short.
    #[error("lock.lease must be at least five times lock.heartbeat")]
    LeaseTooShort,
    /// Somebody works with it.
    #[error("it can be changed only while no operation runs or waits, and {0} of them do")]
    InUse(i64),
}

/// How many tickets may wait on one plan.
pub fn queue_max(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(number(tx.sql(), "queue.max")?.unwrap_or(100))
}

/// Fails with [`SettingError::InUse`] if there is a ticket.
fn check_unused(tx: &ReadTx<'_>) -> Result<()> {
    let tickets: i64 = tx.sql().query_row(
        // A kept place is nobody's, and knows no intervals.
        "SELECT count(*) FROM repo_locks WHERE state <> 'parked' OR owner_id <> ''",
        [],
        |row| row.get(0),
    )?;
    match tickets {
        0 => Ok(()),
        some => Err(SettingError::InUse(some).into()),
    }
}

/// Changes the intervals, which is allowed only while no ticket exists. Fails with a
/// [`SettingError`].
pub fn set_intervals(tx: &ChooseTx<'_>, intervals: Intervals) -> Result<()> {
    if intervals.lease < intervals.heartbeat * 5 || intervals.heartbeat.is_zero() {
        return Err(SettingError::LeaseTooShort.into());
    }
    check_unused(tx)?;
    put(
        tx,
        "lock.heartbeat",
        &intervals.heartbeat.as_millis().to_string(),
    )?;
    put(tx, "lock.lease", &intervals.lease.as_millis().to_string())
}

/// Changes how many tickets may wait on one plan, while no ticket exists. Fails with a
/// [`SettingError`].
pub fn change_queue_max(tx: &ChooseTx<'_>, most: u32) -> Result<()> {
    check_unused(tx)?;
    set_queue_max(tx, most)
}

/// Sets how many tickets may wait on one plan.
pub fn set_queue_max(tx: &ChooseTx<'_>, most: u32) -> Result<()> {
    put(tx, "queue.max", &most.to_string())
}

/// The value of the setting `name`.
pub fn get(tx: &ReadTx<'_>, name: &str) -> Result<Option<String>> {
    text(tx.sql(), name)
}

/// Sets the setting `name`.
pub fn put(tx: &ChooseTx<'_>, name: &str, value: &str) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO settings (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![name, value])?;
    Ok(())
}

fn milliseconds(connection: &Connection, name: &str, otherwise: u64) -> Result<Duration> {
    let ms = number(connection, name)?.and_then(|ms| u64::try_from(ms).ok());
    Ok(Duration::from_millis(
        ms.filter(|ms| *ms > 0).unwrap_or(otherwise),
    ))
}

fn number(connection: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(text(connection, name)?.and_then(|text| text.parse().ok()))
}

fn text(connection: &Connection, name: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}
