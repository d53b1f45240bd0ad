//! What a conversation was about, in a model's words.

use anyhow::Result;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// One summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// UUIDv7.
    pub id: String,
    /// The number of the last message that it tells of.
    pub up_to: i64,
    /// Who made it, as of a message.
    pub source: String,
    /// The text.
    pub text: String,
    /// Wall time.
    pub created_at: i64,
}

impl Summary {
    /// A summary made now.
    pub fn new(up_to: i64, source: String, text: String) -> Self {
        Self {
            id: new_id(),
            up_to,
            source,
            text,
            created_at: clock::wall_ms(),
        }
    }
}

/// The newest summary of a branch.
pub fn last(tx: &ReadTx<'_>, branch_id: &str) -> Result<Option<Summary>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, up_to, source, text, created_at FROM summaries WHERE branch_id = ?1
         ORDER BY up_to DESC LIMIT 1",
    )?;
    Ok(select.query_row([branch_id], from_row).optional()?)
}

/// All summaries of a branch, by the last message told of.
pub fn of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Summary>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, up_to, source, text, created_at FROM summaries WHERE branch_id = ?1
         ORDER BY up_to",
    )?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        up_to: row.get(1)?,
        source: row.get(2)?,
        text: row.get(3)?,
        created_at: row.get(4)?,
    })
}

/// Keeps a summary, in the place of an earlier one of the same messages.
pub fn put(tx: &WriteTx<'_>, branch_id: &str, summary: &Summary) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT OR REPLACE INTO summaries (id, branch_id, up_to, source, text, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            summary.id,
            branch_id,
            summary.up_to,
            summary.source,
            summary.text,
            summary.created_at,
        ])?;
    Ok(())
}
