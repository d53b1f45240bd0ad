//! Which plan and branch a terminal works on. The project's own choice serves scripts.

use anyhow::Result;
use rusqlite::{OptionalExtension as _, params};

use super::{ChooseTx, ReadTx};
use crate::platform::clock;

/// The key of the project's own choice.
pub const PROJECT: &str = "";

/// A choice of plan and branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The plan.
    pub plan_id: String,
    /// The branch's name.
    pub branch: String,
}

/// What `terminal` has chosen.
pub fn of(tx: &ReadTx<'_>, terminal: &str) -> Result<Option<Selection>> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT plan_id, branch FROM selections WHERE terminal = ?1")?
        .query_row([terminal], |row| {
            Ok(Selection {
                plan_id: row.get(0)?,
                branch: row.get(1)?,
            })
        })
        .optional()?)
}

/// Notes the choice of `terminal`.
pub fn choose(tx: &ChooseTx<'_>, terminal: &str, selection: &Selection) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO selections (terminal, plan_id, branch, chosen_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (terminal) DO UPDATE SET plan_id = excluded.plan_id,
                branch = excluded.branch, chosen_at = excluded.chosen_at",
        )?
        .execute(params![
            terminal,
            selection.plan_id,
            selection.branch,
            clock::wall_ms()
        ])?;
    Ok(())
}
