//! What `set-model` chose for each branch.

use anyhow::Result;
use rusqlite::params;

use super::{ReadTx, WriteTx};

/// One setting of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchSetting {
    /// Its name, as in a settings file ("provider", "model", …; `schema.sql` has them all).
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// The settings of a branch, by name.
pub fn of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<BranchSetting>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT name, value FROM branch_settings WHERE branch_id = ?1 ORDER BY name",
    )?;
    let rows = select.query_map([branch_id], |row| {
        Ok(BranchSetting {
            name: row.get(0)?,
            value: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes `settings` those of the branch, in place of the ones that it has.
pub fn replace(tx: &WriteTx<'_>, branch_id: &str, settings: &[BranchSetting]) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM branch_settings WHERE branch_id = ?1")?
        .execute([branch_id])?;
    let mut insert = tx.sql().prepare_cached(
        "INSERT INTO branch_settings (branch_id, name, value) VALUES (?1, ?2, ?3)",
    )?;
    for setting in settings {
        insert.execute(params![branch_id, setting.name, setting.value])?;
    }
    Ok(())
}
