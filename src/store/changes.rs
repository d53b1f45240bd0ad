//! Builds and the pending changes they end in.

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Result;
use rusqlite::{Row, params};

use super::{ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// A built file change that is not yet in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// UUIDv7; a fork's change has that of the change it was forked from.
    pub id: String,
    /// The branch.
    pub branch_id: String,
    /// The reply it was built from.
    pub message_id: String,
    /// The path in the project, with '/'.
    pub path: String,
    /// SHA-256 of the content it was built on; `None` if the file was to be new.
    pub base_hash: Option<String>,
    /// The git blob of that content; `None` also where it is not kept any more.
    pub base_blob: Option<String>,
    /// The git blob of the new content; `None` for a deletion.
    pub blob: Option<String>,
    /// SHA-256 of the new content; `None` for a deletion.
    pub target_hash: Option<String>,
    /// Whether the file is to be a program; `None` leaves that as it is (a new file is none).
    pub executable: Option<bool>,
    /// The file that this one was before it got its name: gone by another change of the same
    /// build, its mode is this one's.
    pub moved_from: Option<String>,
    /// Lines added.
    pub added: i64,
    /// Lines removed.
    pub removed: i64,
    /// What a reader should know of the build, as JSON.
    pub notes: String,
    /// Wall time of the build.
    pub created_at: i64,
}

/// Read by their places: thousands of rows are read, and a name is looked for in each.
const COLUMNS: &str = "c.id, c.branch_id, c.message_id, c.path, c.base_hash, c.base_blob, c.blob, \
     c.target_hash, c.executable, c.moved_from, c.added, c.removed, c.notes, c.created_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        id: row.get(0)?,
        branch_id: row.get(1)?,
        message_id: row.get(2)?,
        path: row.get(3)?,
        base_hash: row.get(4)?,
        base_blob: row.get(5)?,
        blob: row.get(6)?,
        target_hash: row.get(7)?,
        executable: row.get(8)?,
        moved_from: row.get(9)?,
        added: row.get(10)?,
        removed: row.get(11)?,
        notes: row.get(12)?,
        created_at: row.get(13)?,
    })
}

/// How a pending change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is in the project.
    Applied,
    /// The user did not want it.
    Rejected,
    /// A later build of the same path took its place.
    Replaced,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

/// The pending changes of a branch, by path.
pub fn pending(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Change>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM pending_changes c WHERE branch_id = ?1 AND state = 'pending'
         ORDER BY path"
    ))?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A pending change with the plan and the branch that it is pending on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The change.
    pub change: Change,
    /// The plan.
    pub plan_id: String,
    /// The plan's name.
    pub plan: String,
    /// The branch's name.
    pub branch: String,
}

fn wanted_from_row(row: &Row<'_>) -> rusqlite::Result<Wanted> {
    Ok(Wanted {
        change: from_row(row)?,
        plan_id: row.get(14)?,
        plan: row.get(15)?,
        branch: row.get(16)?,
    })
}

/// The pending changes of live branches of plans that are neither deleted nor put away.
fn wanted() -> String {
    format!(
        "SELECT {COLUMNS}, p.id AS plan_id, p.name AS plan_name, b.name AS branch_name
         FROM pending_changes c JOIN branches b ON b.id = c.branch_id
            JOIN plans p ON p.id = b.plan_id
         WHERE c.state = 'pending' AND b.deleted_at IS NULL AND p.deleted_at IS NULL
            AND p.archived_at IS NULL"
    )
}

/// Who else wants these files of the branch's own pending changes, by path: other plans, and other
/// branches of the same plan that want something else of the file (a fork begins with the same).
pub fn pending_elsewhere(tx: &ReadTx<'_>, branch_id: &str, paths: &[&str]) -> Result<Vec<Wanted>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = tx.sql().prepare_cached(&format!(
        "{} AND c.branch_id <> ?1 AND EXISTS
            (SELECT 1 FROM pending_changes mine JOIN branches m ON m.id = mine.branch_id
             WHERE mine.branch_id = ?1 AND mine.state = 'pending' AND mine.path = c.path
                AND NOT (m.plan_id = b.plan_id AND mine.target_hash IS c.target_hash
                    AND mine.executable IS c.executable))
         ORDER BY c.path, p.created_at, p.id, b.created_at, b.id",
        wanted()
    ))?;
    let rows = select.query_map([branch_id], wanted_from_row)?;
    let all: Vec<Wanted> = rows.collect::<rusqlite::Result<_>>()?;
    let paths: HashSet<&str> = paths.iter().copied().collect();
    let of_those = |wanted: &Wanted| paths.contains(wanted.change.path.as_str());
    Ok(all.into_iter().filter(of_those).collect())
}

/// Who wants the file `path`: every plan and branch it is pending on.
pub fn wanting(tx: &ReadTx<'_>, path: &str) -> Result<Vec<Wanted>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "{} AND c.path = ?1 ORDER BY p.created_at, p.id, b.created_at, b.id",
        wanted()
    ))?;
    let rows = select.query_map([path], wanted_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Every file that more than one plan wants, by path, with all who want it.
pub fn wanted_twice(tx: &ReadTx<'_>) -> Result<Vec<Wanted>> {
    let wanted = wanted();
    let mut select = tx.sql().prepare_cached(&format!(
        "{wanted} AND c.path IN
            (SELECT path FROM ({wanted}) GROUP BY path HAVING count(DISTINCT plan_id) > 1)
         ORDER BY c.path, p.created_at, p.id, b.created_at, b.id"
    ))?;
    let rows = select.query_map([], wanted_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a pending change, in the place of an earlier one of the same path.
pub fn put(tx: &WriteTx<'_>, change: &Change) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE pending_changes SET state = 'replaced', ended_at = ?3
             WHERE branch_id = ?1 AND path = ?2 AND state = 'pending'",
        )?
        .execute(params![change.branch_id, change.path, clock::wall_ms()])?;
    tx.sql()
        .prepare_cached(
            "INSERT INTO pending_changes (id, branch_id, message_id, path, base_hash,
                base_blob, blob, target_hash, executable, moved_from, added, removed, notes,
                created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            change.id,
            change.branch_id,
            change.message_id,
            change.path,
            change.base_hash,
            change.base_blob,
            change.blob,
            change.target_hash,
            change.executable,
            change.moved_from,
            change.added,
            change.removed,
            change.notes,
            change.created_at,
        ])?;
    Ok(())
}

/// Notes that a pending change's file has another content by now, one that the change was built on;
/// which is not kept.
pub fn rebase(tx: &WriteTx<'_>, branch_id: &str, id: &str, base_hash: Option<&str>) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE pending_changes SET base_hash = ?3, base_blob = NULL
             WHERE branch_id = ?1 AND id = ?2 AND state = 'pending'",
        )?
        .execute(params![branch_id, id, base_hash])?;
    Ok(())
}

/// One change of a branch, however it ended.
pub fn by_id(tx: &ReadTx<'_>, branch_id: &str, id: &str) -> Result<Option<Change>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM pending_changes c WHERE branch_id = ?1 AND id = ?2"
    ))?;
    let mut rows = select.query_map([branch_id, id], from_row)?;
    Ok(rows.next().transpose()?)
}

/// Makes a change that ended pending again; `false` if it is pending. However it ended: a rewind and
/// the way back leave what was applied as replaced.
///
/// Fails if another change of its path is pending.
pub fn reopen(tx: &WriteTx<'_>, branch_id: &str, id: &str) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE pending_changes SET state = 'pending', ended_at = NULL
             WHERE branch_id = ?1 AND id = ?2 AND state <> 'pending'",
        )?
        .execute(params![branch_id, id])?;
    Ok(changed == 1)
}

/// Ends a change of a branch that is still pending there; `false` if it was ended already.
pub fn end(tx: &WriteTx<'_>, branch_id: &str, id: &str, ended: Ended) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE pending_changes SET state = ?3, ended_at = ?4
             WHERE branch_id = ?1 AND id = ?2 AND state = 'pending'",
        )?
        .execute(params![branch_id, id, ended.word(), clock::wall_ms()])?;
    Ok(changed == 1)
}

/// What became of a file's edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// They are pending.
    Built,
    /// The file has that content already.
    Unchanged,
    /// They are not: the failure report as JSON.
    Failed(String),
}

impl Fate {
    /// The word in the table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Unchanged => "unchanged",
            Self::Failed(_) => "failed",
        }
    }

    /// What the row with this word and report says.
    pub fn parse(word: &str, report: Option<String>) -> Self {
        match word {
            "built" => Self::Built,
            "unchanged" => Self::Unchanged,
            _ => Self::Failed(report.unwrap_or_default()),
        }
    }
}

/// One file build: what became of a reply's edits to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// UUIDv7; a fork's build has that of the build it was forked from.
    pub id: String,
    /// The reply.
    pub message_id: String,
    /// The run that built it.
    pub stream_id: String,
    /// The path.
    pub path: String,
    /// What became of it.
    pub fate: Fate,
    /// Wall time of its end.
    pub created_at: i64,
}

impl Build {
    /// A build that ended now.
    pub fn new(message_id: &str, stream_id: &str, path: &str, fate: Fate) -> Self {
        Self {
            id: new_id(),
            message_id: message_id.to_owned(),
            stream_id: stream_id.to_owned(),
            path: path.to_owned(),
            fate,
            created_at: clock::wall_ms(),
        }
    }

    /// The failure report, if it failed.
    pub fn error(&self) -> Option<&str> {
        match &self.fate {
            Fate::Failed(report) => Some(report),
            Fate::Built | Fate::Unchanged => None,
        }
    }
}

/// Records a finished build.
pub fn record_build(tx: &WriteTx<'_>, branch_id: &str, build: &Build) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO plan_builds (id, branch_id, message_id, stream_id, path, status, error,
                created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            build.id,
            branch_id,
            build.message_id,
            build.stream_id,
            build.path,
            build.fate.word(),
            build.error(),
            build.created_at,
        ])?;
    Ok(())
}

/// All builds of a branch, oldest first.
pub fn builds(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Build>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, message_id, stream_id, path, status, error, created_at FROM plan_builds WHERE branch_id = ?1
         ORDER BY created_at, id",
    )?;
    let rows = select.query_map([branch_id], build_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What became of the edits of one message of a branch, oldest first.
pub fn builds_of(tx: &ReadTx<'_>, branch_id: &str, message_id: &str) -> Result<Vec<Build>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, message_id, stream_id, path, status, error, created_at FROM plan_builds
         WHERE branch_id = ?1 AND message_id = ?2 ORDER BY created_at, id",
    )?;
    let rows = select.query_map([branch_id, message_id], build_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The paths that the run could not build, and that it did not build at a second try either.
pub fn left_by(tx: &ReadTx<'_>, stream_id: &str) -> Result<Vec<String>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT DISTINCT path FROM streams s JOIN plan_builds b
            ON b.branch_id = s.branch_id AND b.stream_id = s.id
         WHERE s.id = ?1 AND b.status = 'failed' AND NOT EXISTS
            (SELECT 1 FROM plan_builds later WHERE later.branch_id = b.branch_id
             AND later.stream_id = b.stream_id AND later.path = b.path
             AND later.status <> 'failed' AND later.id > b.id)
         ORDER BY path",
    )?;
    let rows = select.query_map([stream_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn build_from_row(row: &Row<'_>) -> rusqlite::Result<Build> {
    let status: String = row.get("status")?;
    Ok(Build {
        id: row.get("id")?,
        message_id: row.get("message_id")?,
        stream_id: row.get("stream_id")?,
        path: row.get("path")?,
        fate: Fate::parse(&status, row.get("error")?),
        created_at: row.get("created_at")?,
    })
}

/// `paths` with all that pending moves tie to them: where a file goes, and what makes room for it.
pub fn tied_by_moves<'p>(
    pending: &'p [Change],
    paths: impl IntoIterator<Item = &'p str>,
) -> BTreeSet<String> {
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for change in pending {
        if let Some(from) = &change.moved_from {
            neighbours.entry(&change.path).or_default().push(from);
            neighbours.entry(from).or_default().push(&change.path);
        }
    }
    let mut tied: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<&str> = paths.into_iter().collect();
    while let Some(path) = next.pop() {
        if tied.insert(path.to_owned()) {
            next.extend(neighbours.get(path).into_iter().flatten());
        }
    }
    tied
}
