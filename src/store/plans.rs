//! Plans: created by `new`, listed by everybody.

use anyhow::{Result, bail};
use rusqlite::{OptionalExtension as _, Row, params};

use super::branches::Status;
use super::{ChooseTx, ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// One plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// UUIDv7; the name of its repository on disk.
    pub id: String,
    /// Unique among the live plans.
    pub name: String,
    /// Whether nobody named it: the first prompt does.
    pub is_draft: bool,
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

const COLUMNS: &str =
    "id, name, created_at, updated_at, archived_at, deleted_at, deleted_by, is_draft";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        archived_at: row.get(4)?,
        deleted_at: row.get(5)?,
        deleted_by: row.get(6)?,
        is_draft: row.get(7)?,
    })
}

/// The plan and the branch that [`create`] makes, before anything is written.
#[derive(Debug, Clone)]
pub struct NewPlan {
    /// The plan's id.
    pub id: String,
    /// The id of its branch "main".
    pub branch_id: String,
    /// Wall time of their making.
    pub created_at: i64,
}

impl NewPlan {
    /// Draws the ids, so that the repository can be made before the rows.
    pub fn draw() -> Self {
        Self {
            id: new_id(),
            branch_id: new_id(),
            created_at: clock::wall_ms(),
        }
    }
}

/// Inserts the plan `name` with its branch "main" standing at `head`; fails if a live plan has
/// that name.
pub fn create(tx: &ChooseTx<'_>, new: &NewPlan, name: &str, head: &str) -> Result<()> {
    if by_name(tx, name)?.is_some() {
        bail!("there is already a plan \"{name}\"");
    }
    let now = new.created_at;
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

/// As [`create`], for a plan that nobody named.
pub fn create_draft(tx: &ChooseTx<'_>, new: &NewPlan, name: &str, head: &str) -> Result<()> {
    create(tx, new, name, head)?;
    tx.sql()
        .prepare_cached("UPDATE plans SET is_draft = 1 WHERE id = ?1")?
        .execute([&new.id])?;
    Ok(())
}

/// A plan as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The plan.
    pub plan: Plan,
    /// Of its branch "main": its status, and how many changes are pending on it.
    pub main: Option<(Status, u64)>,
}

/// Which plans are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are neither archived nor deleted.
    Open,
    /// Those that are archived and not deleted.
    Archived,
    /// Those that are deleted and not pruned.
    Deleted,
}

/// These plans, oldest first: the order in which they are numbered.
pub fn list(tx: &ReadTx<'_>, which: Which) -> Result<Vec<Listed>> {
    let those = match which {
        Which::Open => "p.deleted_at IS NULL AND p.archived_at IS NULL",
        Which::Archived => "p.deleted_at IS NULL AND p.archived_at IS NOT NULL",
        Which::Deleted => "p.deleted_at IS NOT NULL",
    };
    let columns = format!("p.{}", COLUMNS.replace(", ", ", p."));
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {columns}, b.status, (SELECT count(*) FROM pending_changes c
            WHERE c.branch_id = b.id AND c.state = 'pending')
         FROM plans p LEFT JOIN branches b
            ON b.plan_id = p.id AND b.name = 'main' AND b.deleted_at IS NULL
         WHERE {those} ORDER BY p.created_at, p.id"
    ))?;
    let rows = select.query_map([], |row| {
        let status: Option<String> = row.get(8)?;
        let pending: i64 = row.get(9)?;
        Ok(Listed {
            plan: from_row(row)?,
            main: status.map(|status| (Status::parse(&status), pending.unsigned_abs())),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All plans that are not deleted, oldest first.
pub fn live(tx: &ReadTx<'_>) -> Result<Vec<Plan>> {
    those(tx, "deleted_at IS NULL ORDER BY created_at, id")
}

/// All plans that are deleted and not pruned, oldest first.
pub fn deleted(tx: &ReadTx<'_>) -> Result<Vec<Plan>> {
    those(tx, "deleted_at IS NOT NULL ORDER BY created_at, id")
}

fn those(tx: &ReadTx<'_>, which: &str) -> Result<Vec<Plan>> {
    let sql = format!("SELECT {COLUMNS} FROM plans WHERE {which}");
    let mut select = tx.sql().prepare_cached(&sql)?;
    let rows = select.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Inserts a plan as it is told by its repository.
pub fn put(tx: &WriteTx<'_>, plan: &Plan) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO plans (id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![plan.id, plan.name, plan.created_at])?;
    set(tx, plan)
}

/// Writes what may change of a plan: its name, whether it is archived, whether it is deleted.
pub fn set(tx: &WriteTx<'_>, plan: &Plan) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE plans SET name = ?2, is_draft = ?3, archived_at = ?4, deleted_at = ?5,
                deleted_by = ?6, updated_at = ?7 WHERE id = ?1",
        )?
        .execute(params![
            plan.id,
            plan.name,
            plan.is_draft,
            plan.archived_at,
            plan.deleted_at,
            plan.deleted_by,
            plan.updated_at,
        ])?;
    Ok(())
}

/// Removes a deleted plan's rows for good, and what terminals had chosen of it; `false` if it is
/// not deleted (any more), or if somebody is in its line.
pub fn prune(tx: &ChooseTx<'_>, id: &str) -> Result<bool> {
    let removed = tx
        .sql()
        .prepare_cached(
            "DELETE FROM plans WHERE id = ?1 AND deleted_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM repo_locks WHERE plan_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM applies WHERE plan_id = ?1
                AND state NOT IN ('done', 'undone'))",
        )?
        .execute([id])?;
    if removed == 1 {
        tx.sql()
            .prepare_cached("DELETE FROM selections WHERE plan_id = ?1")?
            .execute([id])?;
    }
    Ok(removed == 1)
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
