//! Branches: where each stands. `head` is the truth; the git ref only mirrors it.

use anyhow::{Result, bail};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{AppendTx, ReadTx, WriteTx};
use crate::platform::clock;

/// What the last run on a branch is doing, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing has been told yet.
    Draft,
    /// The last run ended well.
    Ready,
    /// A reply is coming in.
    Replying,
    /// Its edits are being built.
    Building,
    /// Pending changes are being written to the project.
    Applying,
    /// Somebody stopped it; the partial reply is kept.
    Stopped,
    /// It failed.
    Error,
    /// Its process died; the partial reply is kept.
    Interrupted,
}

const WORDS: [(Status, &str); 8] = [
    (Status::Draft, "draft"),
    (Status::Ready, "ready"),
    (Status::Replying, "replying"),
    (Status::Building, "building"),
    (Status::Applying, "applying"),
    (Status::Stopped, "stopped"),
    (Status::Error, "error"),
    (Status::Interrupted, "interrupted"),
];

impl Status {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("draft", |(_, word)| word)
    }

    pub(super) fn parse(word: &str) -> Self {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Error, |(status, _)| *status)
    }

    /// Whether it claims that an operation is at work.
    pub fn claims_work(self) -> bool {
        matches!(self, Self::Replying | Self::Building | Self::Applying)
    }
}

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// UUIDv7; the name of its ref on disk.
    pub id: String,
    /// The plan.
    pub plan_id: String,
    /// Unique among the plan's live branches.
    pub name: String,
    /// The branch it was forked from.
    pub parent_id: Option<String>,
    /// Its newest version.
    pub head: Option<String>,
    /// What its last run is doing, or how it ended.
    pub status: Status,
    /// Why the last run failed.
    pub error: Option<String>,
    /// Wall time of its making.
    pub created_at: i64,
    /// Wall time of its last change.
    pub updated_at: i64,
}

const COLUMNS: &str = "id, plan_id, name, parent_id, head, status, error, updated_at, created_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Branch> {
    let status: String = row.get(5)?;
    Ok(Branch {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        name: row.get(2)?,
        parent_id: row.get(3)?,
        head: row.get(4)?,
        status: Status::parse(&status),
        error: row.get(6)?,
        updated_at: row.get(7)?,
        created_at: row.get(8)?,
    })
}

/// The live branches of a plan, oldest first.
pub fn of_plan(tx: &ReadTx<'_>, plan_id: &str) -> Result<Vec<Branch>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM branches WHERE plan_id = ?1 AND deleted_at IS NULL
         ORDER BY created_at, id"
    ))?;
    let rows = select.query_map([plan_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A branch as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The branch.
    pub branch: Branch,
    /// Wall time of its making.
    pub created_at: i64,
    /// The name of the branch that it was forked from, live or deleted.
    pub parent: Option<String>,
    /// How many changes are pending on it.
    pub pending: u64,
}

/// The live branches of a plan with what a list shows of them, in the order of [`of_plan`].
pub fn list(tx: &ReadTx<'_>, plan_id: &str) -> Result<Vec<Listed>> {
    let columns = format!("b.{}", COLUMNS.replace(", ", ", b."));
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {columns}, p.name, (SELECT count(*) FROM pending_changes c
            WHERE c.branch_id = b.id AND c.state = 'pending')
         FROM branches b LEFT JOIN branches p ON p.id = b.parent_id
         WHERE b.plan_id = ?1 AND b.deleted_at IS NULL ORDER BY b.created_at, b.id"
    ))?;
    let rows = select.query_map([plan_id], |row| {
        let pending: i64 = row.get(10)?;
        Ok(Listed {
            branch: from_row(row)?,
            created_at: row.get(8)?,
            parent: row.get(9)?,
            pending: pending.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The live branch of a plan called `name`.
pub fn by_name(tx: &ReadTx<'_>, plan_id: &str, name: &str) -> Result<Option<Branch>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM branches WHERE plan_id = ?1 AND name = ?2 AND deleted_at IS NULL"
        ))?
        .query_row([plan_id, name], from_row)
        .optional()?)
}

/// The branch with this id.
pub fn by_id(tx: &ReadTx<'_>, id: &str) -> Result<Option<Branch>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM branches WHERE id = ?1"))?
        .query_row([id], from_row)
        .optional()?)
}

/// All live branches whose status claims work.
pub fn at_work(tx: &ReadTx<'_>) -> Result<Vec<Branch>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM branches WHERE status IN ('replying', 'building', 'applying')
         AND deleted_at IS NULL"
    ))?;
    let rows = select.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Moves the head from `from` to `to`; `false` if it stands elsewhere by now.
pub fn move_head(tx: &AppendTx<'_>, id: &str, from: Option<&str>, to: &str) -> Result<bool> {
    let moved = tx
        .sql()
        .prepare_cached(
            "UPDATE branches SET head = ?3, updated_at = ?4 WHERE id = ?1 AND head IS ?2",
        )?
        .execute(params![id, from, to, clock::wall_ms()])?;
    Ok(moved == 1)
}

/// Sets what the branch is doing; `error` says why if it failed.
pub fn set_status(tx: &WriteTx<'_>, id: &str, status: Status, error: Option<&str>) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE branches SET status = ?2, error = ?3, updated_at = ?4 WHERE id = ?1",
        )?
        .execute(params![id, status.word(), error, clock::wall_ms()])?;
    Ok(())
}

/// Deletes the branch: its name is free again, its rows and versions stay.
pub fn delete(tx: &WriteTx<'_>, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("UPDATE branches SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1")?
        .execute(params![id, clock::wall_ms()])?;
    Ok(())
}

/// Where a branch stands, live or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The branch.
    pub id: String,
    /// Its newest version.
    pub head: Option<String>,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// Where all branches of all plans stand, by the plans' ids; deleted ones, too.
pub fn by_plan(tx: &ReadTx<'_>) -> Result<Vec<(String, Vec<Standing>)>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT p.id, b.id, b.head, b.deleted_at IS NOT NULL FROM plans p
         JOIN branches b ON b.plan_id = p.id ORDER BY p.id, b.id",
    )?;
    let mut rows = select.query([])?;
    let mut plans: Vec<(String, Vec<Standing>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let plan: String = row.get(0)?;
        let standing = Standing {
            id: row.get(1)?,
            head: row.get(2)?,
            is_deleted: row.get(3)?,
        };
        match plans.last_mut() {
            Some((last, branches)) if *last == plan => branches.push(standing),
            _ => plans.push((plan, vec![standing])),
        }
    }
    Ok(plans)
}

/// Inserts a branch as it is told by its repository.
pub fn put(tx: &WriteTx<'_>, branch: &Branch) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO branches (id, plan_id, name, parent_id, head, status, error, created_at,
                updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            branch.id,
            branch.plan_id,
            branch.name,
            branch.parent_id,
            branch.head,
            branch.status.word(),
            branch.error,
            branch.created_at,
            branch.updated_at,
        ])?;
    Ok(())
}

/// A branch as it is forked.
#[derive(Debug, Clone, Copy)]
pub struct NewBranch<'a> {
    /// UUIDv7.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its first version of its own.
    pub head: &'a str,
    /// Wall time.
    pub created_at: i64,
}

/// Forks `from`: same context, conversation, pending changes and settings under the same ids, which
/// are those that the head's tree has. Fails if a live branch of the plan has that name.
pub fn fork(tx: &WriteTx<'_>, from: &Branch, fork: &NewBranch<'_>) -> Result<()> {
    let NewBranch {
        id,
        name,
        head,
        created_at: now,
    } = *fork;
    if by_name(tx, &from.plan_id, name)?.is_some() {
        bail!("the plan has already a branch \"{name}\"");
    }
    tx.sql()
        .prepare_cached(
            "INSERT INTO branches (id, plan_id, name, parent_id, head, status, created_at,
                updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )?
        .execute(params![
            id,
            from.plan_id,
            name,
            from.id,
            head,
            from.status.word(),
            now
        ])?;
    for copy in [
        "INSERT INTO contexts SELECT id, ?2, kind, name, path, url, link, detail, forced, listing,
            blob, hash, size, mtime_ns, tokens,
            created_at, updated_at
         FROM contexts WHERE branch_id = ?1",
        "INSERT INTO convo_messages SELECT id, ?2, number, role, kind, source, text, state,
            kept, tokens_to, created_at, completed_at
         FROM convo_messages WHERE branch_id = ?1 AND state <> 'open'",
        "INSERT INTO pending_changes SELECT id, ?2, message_id, path, base_hash, base_blob,
            blob, target_hash, executable, moved_from, added, removed, notes, state, created_at,
            ended_at
         FROM pending_changes WHERE branch_id = ?1 AND state = 'pending'",
        "INSERT INTO plan_builds SELECT id, ?2, message_id, stream_id, path, status, error,
            created_at
         FROM plan_builds WHERE branch_id = ?1",
        "INSERT INTO summaries SELECT id, ?2, up_to, source, text, created_at
         FROM summaries WHERE branch_id = ?1",
        "INSERT INTO branch_settings SELECT ?2, name, value
         FROM branch_settings WHERE branch_id = ?1",
    ] {
        tx.sql()
            .prepare_cached(copy)?
            .execute(params![from.id, id])?;
    }
    Ok(())
}
