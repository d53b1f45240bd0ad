//! Plans: created by `new`, listed by everybody.

use anyhow::{Result, bail};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{ChooseTx, ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// One plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// UUIDv7; the name of its repository on disk.
    pub id: String,
    /// Unique among the live plans.
    pub name: String,
    /// Wall time of its making.
    pub created_at: i64,
    /// Wall time of its last version.
    pub updated_at: i64,
    /// When it was archived.
    pub archived_at: Option<i64>,
    /// When it was deleted; its repository stays until it is pruned.
    pub deleted_at: Option<i64>,
    /// Who deleted it (PLANDEX_ACTOR, a terminal or a command), if that is known.
    pub deleted_by: Option<String>,
}

const COLUMNS: &str = "id, name, created_at, updated_at, archived_at, deleted_at, deleted_by";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        archived_at: row.get(4)?,
        deleted_at: row.get(5)?,
        deleted_by: row.get(6)?,
    })
}

/// The plan and the branch that [`create`] makes, before anything is written.
#[derive(Debug, Clone)]
pub struct NewPlan {
    /// The plan's id.
    pub id: String,
    /// The id of its branch "main".
    pub branch_id: String,
}

impl NewPlan {
    /// Draws the ids, so that the repository can be made before the rows.
    pub fn draw() -> Self {
        Self {
            id: new_id(),
            branch_id: new_id(),
        }
    }
}

/// Inserts the plan `name` with its branch "main" standing at `head`; fails if a live plan has
/// that name.
pub fn create(tx: &ChooseTx<'_>, new: &NewPlan, name: &str, head: &str) -> Result<()> {
    if by_name(tx, name)?.is_some() {
        bail!("there is already a plan \"{name}\"");
    }
    let now = clock::wall_ms();
    tx.sql()
        .prepare_cached(
            "INSERT INTO plans (id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![new.id, name, now])?;
    tx.sql()
        .prepare_cached(
            "INSERT INTO branches (id, plan_id, name, head, created_at, updated_at)
             VALUES (?1, ?2, 'main', ?3, ?4, ?4)",
        )?
        .execute(params![new.branch_id, new.id, head, now])?;
    Ok(())
}

/// All plans that are not deleted, oldest first.
pub fn live(tx: &ReadTx<'_>) -> Result<Vec<Plan>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM plans WHERE deleted_at IS NULL ORDER BY created_at, id"
    ))?;
    let rows = select.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The live plan called `name`.
pub fn by_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<Plan>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM plans WHERE name = ?1 AND deleted_at IS NULL"
        ))?
        .query_row([name], from_row)
        .optional()?)
}

/// The plan with this id, live or deleted.
pub fn by_id(tx: &ReadTx<'_>, id: &str) -> Result<Option<Plan>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM plans WHERE id = ?1"))?
        .query_row([id], from_row)
        .optional()?)
}

/// Notes that the plan has a new version.
pub fn touch(tx: &WriteTx<'_>, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("UPDATE plans SET updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, clock::wall_ms()])?;
    Ok(())
}
