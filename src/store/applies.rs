//! The journal of an apply: from it an interrupted one is finished or undone.

use anyhow::Result;
use rusqlite::{Row, params};

use super::{JournalTx, ReadTx, WriteTx};
use crate::platform::clock;

/// How far an apply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Files may be half written: who holds the apply lock next decides.
    Open,
    /// All files are new; the plan's rows follow.
    FilesDone,
    /// All files are old again; the plan's rows follow.
    FilesUndone,
    /// Files and rows are new.
    Done,
    /// Files and rows are as before.
    Undone,
}

const WORDS: [(State, &str); 5] = [
    (State::Open, "open"),
    (State::FilesDone, "files_done"),
    (State::FilesUndone, "files_undone"),
    (State::Done, "done"),
    (State::Undone, "undone"),
];

impl State {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("open", |(_, word)| word)
    }

    fn parse(word: &str) -> Self {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Open, |(state, _)| *state)
    }
}

/// One apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// UUIDv7; the name of its directory of staged files and originals.
    pub id: String,
    /// The plan.
    pub plan_id: String,
    /// The branch.
    pub branch_id: String,
    /// The ticket it ran under.
    pub ticket: i64,
    /// How far it has come.
    pub state: State,
    /// Wall time of its start.
    pub created_at: i64,
}

/// What became of one path of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Not yet, or not known: the disk tells.
    Planned,
    /// The new content is in place.
    Written,
    /// The old content is back in place.
    Restored,
    /// It could not be written.
    Failed,
    /// It has neither content: the user's, left as it is.
    Left,
}

const FILE_WORDS: [(FileState, &str); 5] = [
    (FileState::Planned, "planned"),
    (FileState::Written, "written"),
    (FileState::Restored, "restored"),
    (FileState::Failed, "failed"),
    (FileState::Left, "left"),
];

impl FileState {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        FILE_WORDS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("planned", |(_, word)| word)
    }

    fn parse(word: &str) -> Self {
        FILE_WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Planned, |(state, _)| *state)
    }
}

/// One path of an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyFile {
    /// Counted from 0; names the kept original `<number>.old` and the staged file `<number>.new`.
    pub number: i64,
    /// The pending change.
    pub change_id: String,
    /// The path in the project, with '/'.
    pub path: String,
    /// SHA-256 of what was there; `None` for nothing.
    pub base_hash: Option<String>,
    /// SHA-256 of what is to be there; `None` for nothing.
    pub target_hash: Option<String>,
    /// Permission bits of the new file.
    pub mode: u32,
    /// What became of it.
    pub state: FileState,
    /// Why it failed.
    pub error: Option<String>,
}

/// Opens the journal of an apply with all its paths, before the first file is touched.
pub fn open(tx: &WriteTx<'_>, apply: &Apply, files: &[ApplyFile]) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO applies (id, plan_id, branch_id, ticket, state, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            apply.id,
            apply.plan_id,
            apply.branch_id,
            apply.ticket,
            apply.state.word(),
            apply.created_at,
        ])?;
    let mut insert = tx.sql().prepare_cached(
        "INSERT INTO apply_files (apply_id, number, change_id, path, base_hash, target_hash, mode,
            state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for file in files {
        insert.execute(params![
            apply.id,
            file.number,
            file.change_id,
            file.path,
            file.base_hash,
            file.target_hash,
            file.mode,
            file.state.word(),
        ])?;
    }
    Ok(())
}

/// Records what became of one path.
pub fn set_file(
    tx: &JournalTx<'_>,
    apply_id: &str,
    number: i64,
    state: FileState,
    error: Option<&str>,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE apply_files SET state = ?3, error = ?4 WHERE apply_id = ?1 AND number = ?2",
        )?
        .execute(params![apply_id, number, state.word(), error])?;
    Ok(())
}

/// Records that all files are decided; the plan's rows follow under its write ticket.
pub fn set_files_decided(tx: &JournalTx<'_>, id: &str, state: State) -> Result<()> {
    set_state(tx, id, state)
}

/// Ends an apply: its files and its plan's rows agree.
pub fn finish(tx: &WriteTx<'_>, id: &str, state: State) -> Result<()> {
    set_state(tx, id, state)
}

fn set_state(tx: &ReadTx<'_>, id: &str, state: State) -> Result<()> {
    let finished = matches!(state, State::Done | State::Undone).then(clock::wall_ms);
    tx.sql()
        .prepare_cached(
            "UPDATE applies SET state = ?2, finished_at = coalesce(finished_at, ?3) WHERE id = ?1",
        )?
        .execute(params![id, state.word(), finished])?;
    Ok(())
}

/// The applies of the whole project that stand in one of `states`, oldest first.
pub fn standing(tx: &ReadTx<'_>, states: &[State]) -> Result<Vec<Apply>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, plan_id, branch_id, ticket, state, created_at FROM applies
         WHERE state IN ('open', 'files_done', 'files_undone') ORDER BY created_at, id",
    )?;
    let rows = select.query_map([], from_row)?;
    let all: Vec<Apply> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(all
        .into_iter()
        .filter(|apply| states.contains(&apply.state))
        .collect())
}

/// The paths of an apply, in order.
pub fn files(tx: &ReadTx<'_>, id: &str) -> Result<Vec<ApplyFile>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT number, change_id, path, base_hash, target_hash, mode, state, error
         FROM apply_files WHERE apply_id = ?1 ORDER BY number",
    )?;
    let rows = select.query_map([id], |row| {
        let state: String = row.get(6)?;
        Ok(ApplyFile {
            number: row.get(0)?,
            change_id: row.get(1)?,
            path: row.get(2)?,
            base_hash: row.get(3)?,
            target_hash: row.get(4)?,
            mode: row.get(5)?,
            state: FileState::parse(&state),
            error: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Apply> {
    let state: String = row.get(4)?;
    Ok(Apply {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        branch_id: row.get(2)?,
        ticket: row.get(3)?,
        state: State::parse(&state),
        created_at: row.get(5)?,
    })
}
