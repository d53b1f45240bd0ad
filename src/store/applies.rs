//! The journal of an apply: from it an interrupted one is finished or undone.

use anyhow::{Result, ensure};
use rusqlite::{Row, params};

use super::{JournalTx, ReadTx, WriteTx};
use crate::platform::clock;

/// How far an apply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Staging: no file of the project is touched yet.
    Open,
    /// All is staged; files may be old or new, and who holds the apply lock next decides.
    Writing,
    /// Given up: every file goes back to what it was.
    Undoing,
    /// All files are new; slots that stand among the user's files are being removed.
    Clearing,
    /// All files are new; the plan's rows follow.
    FilesDone,
    /// All files are old again; the plan's rows follow.
    FilesUndone,
    /// Files and rows are new.
    Done,
    /// Files and rows are as before.
    Undone,
}

/// The states in which files may be half written, or something of ours stands among them.
pub const UNDECIDED: &[State] = &[State::Open, State::Writing, State::Undoing, State::Clearing];
/// The states in which the files are decided and the plan's rows are not.
pub const UNSETTLED: &[State] = &[State::FilesDone, State::FilesUndone];
/// The states in which all is over.
pub const FINISHED: &[State] = &[State::Done, State::Undone];

const WORDS: [(State, &str); 8] = [
    (State::Open, "open"),
    (State::Writing, "writing"),
    (State::Undoing, "undoing"),
    (State::Clearing, "clearing"),
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
    /// The apply whose originals it brings back, if it is an undo.
    pub undoes: Option<String>,
}

/// What became of one path of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Not yet, or not known: the disk tells.
    Planned,
    /// The new content is in place.
    Written,
    /// The old content is in place, again or still.
    Restored,
    /// It could not be written, or not be put back.
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

/// Where the slot of a path is: the file that holds what is not in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotPlace {
    /// In the apply's own directory.
    Private,
    /// Beside the path, because the apply's own directory is another mount.
    Beside,
    /// There is none: the path is written through sudo, from a file in the apply's own directory.
    Sudo,
}

impl SlotPlace {
    fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Beside => "beside",
            Self::Sudo => "sudo",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "beside" => Self::Beside,
            "sudo" => Self::Sudo,
            _ => Self::Private,
        }
    }
}

/// One path of an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyFile {
    /// Counted from 0; names the slot.
    pub number: i64,
    /// The pending change.
    pub change_id: String,
    /// The path in the project, with '/'.
    pub path: String,
    /// SHA-256 of what was there; `None` for nothing. With -x or +x behind it where it differs from
    /// the target only in whether the file is a program.
    pub base_hash: Option<String>,
    /// SHA-256 of what is to be there, likewise; `None` for nothing.
    pub target_hash: Option<String>,
    /// Where its slot is.
    pub slot: SlotPlace,
    /// How many of its directories were there before.
    pub parents: u32,
    /// What became of it.
    pub state: FileState,
    /// Why it was left or failed.
    pub error: Option<String>,
}

/// Opens the journal of an apply with all its paths, before anything is staged.
///
/// Fails if files of another apply are undecided: who writes must have recovered them first.
pub fn open(tx: &WriteTx<'_>, apply: &Apply, files: &[ApplyFile]) -> Result<()> {
    let undecided = standing(tx, UNDECIDED)?;
    ensure!(
        undecided.is_empty(),
        "an earlier apply is neither finished nor undone yet"
    );
    tx.sql()
        .prepare_cached(
            "INSERT INTO applies (id, plan_id, branch_id, ticket, state, created_at, undoes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            apply.id,
            apply.plan_id,
            apply.branch_id,
            apply.ticket,
            apply.state.word(),
            apply.created_at,
            apply.undoes,
        ])?;
    let mut insert = tx.sql().prepare_cached(
        "INSERT INTO apply_files (apply_id, number, change_id, path, base_hash, target_hash, slot,
            parents, state, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for file in files {
        insert.execute(params![
            apply.id,
            file.number,
            file.change_id,
            file.path,
            file.base_hash,
            file.target_hash,
            file.slot.word(),
            file.parents,
            file.state.word(),
            file.error,
        ])?;
    }
    Ok(())
}

/// Records that all is staged and durable, and which paths are not written after all: from here
/// on files of the project are touched. The transaction's fence is the last look at the ticket
/// before that.
pub fn start_writing(tx: &WriteTx<'_>, id: &str, files: &[ApplyFile]) -> Result<()> {
    for file in files {
        if matches!(file.state, FileState::Failed | FileState::Left) {
            update_file(tx, id, file)?;
        }
    }
    set_state(tx, id, State::Writing)
}

/// Records that the files go back to what they were.
pub fn start_undoing(tx: &JournalTx<'_>, id: &str) -> Result<()> {
    set_state(tx, id, State::Undoing)
}

fn update_file(tx: &ReadTx<'_>, apply_id: &str, file: &ApplyFile) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "UPDATE apply_files SET state = ?3, error = ?4 WHERE apply_id = ?1 AND number = ?2",
        )?
        .execute(params![
            apply_id,
            file.number,
            file.state.word(),
            file.error
        ])?;
    Ok(())
}

/// Records what became of every path: all files are decided, or, for [`State::Clearing`], all but
/// for what is still to be removed. The plan's rows follow under its write ticket.
pub fn decide(tx: &JournalTx<'_>, id: &str, state: State, files: &[ApplyFile]) -> Result<()> {
    debug_assert!(
        state == State::Clearing || UNSETTLED.contains(&state),
        "{state:?} decides no files"
    );
    for file in files {
        update_file(tx, id, file)?;
    }
    set_state(tx, id, state)
}

/// Ends an apply, as [`State::Done`] or [`State::Undone`]: its files and its plan's rows agree.
pub fn finish(tx: &WriteTx<'_>, id: &str, state: State) -> Result<()> {
    debug_assert!(FINISHED.contains(&state), "{state:?} is no end");
    set_state(tx, id, state)
}

fn set_state(tx: &ReadTx<'_>, id: &str, state: State) -> Result<()> {
    let finished = FINISHED.contains(&state).then(clock::wall_ms);
    tx.sql()
        .prepare_cached(
            "UPDATE applies SET state = ?2, finished_at = coalesce(finished_at, ?3) WHERE id = ?1",
        )?
        .execute(params![id, state.word(), finished])?;
    Ok(())
}

/// Forgets a finished apply whose originals are gone.
pub fn forget(tx: &JournalTx<'_>, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM applies WHERE id = ?1 AND state IN ('done', 'undone')")?
        .execute([id])?;
    Ok(())
}

/// The applies of the whole project that stand in one of `states`, oldest first.
pub fn standing(tx: &ReadTx<'_>, states: &[State]) -> Result<Vec<Apply>> {
    let mut all = Vec::new();
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM applies WHERE state = ?1")?;
    for state in states {
        for apply in select.query_map([state.word()], from_row)? {
            all.push(apply?);
        }
    }
    all.sort_by(|one, two| (one.created_at, &one.id).cmp(&(two.created_at, &two.id)));
    Ok(all)
}

/// The applies of a plan whose files are decided and whose rows are not, oldest first: for the
/// next write turn on it, which ends the changes of written files that are still pending, and
/// then the apply.
pub fn unsettled(tx: &ReadTx<'_>, plan_id: &str) -> Result<Vec<(Apply, Vec<ApplyFile>)>> {
    standing(tx, UNSETTLED)?
        .into_iter()
        .filter(|apply| apply.plan_id == plan_id)
        .map(|apply| {
            let files = files(tx, &apply.id)?;
            Ok((apply, files))
        })
        .collect()
}

/// The applies of a branch that can be undone, newest first: those whose files and rows are new, but
/// for undos; each with whether it is undone already.
pub fn undoable(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<(Apply, bool)>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT *, EXISTS (SELECT 1 FROM applies u WHERE u.undoes = a.id AND u.state = 'done')
            AS is_undone
         FROM applies a WHERE branch_id = ?1 AND state = 'done' AND undoes IS NULL
         ORDER BY created_at DESC, id DESC",
    )?;
    let rows = select.query_map([branch_id], |row| {
        Ok((from_row(row)?, row.get("is_undone")?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The changes of the paths that failed in the newest apply of a branch; one that was called off or
/// killed, and taken back, is passed over.
pub fn failed_last(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<String>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT change_id FROM apply_files WHERE state = 'failed' AND apply_id =
            (SELECT id FROM applies a WHERE branch_id = ?1 AND undoes IS NULL
                AND (state IN ('files_done', 'done') OR EXISTS (SELECT 1 FROM apply_files f
                    WHERE f.apply_id = a.id AND f.state = 'failed'))
             ORDER BY created_at DESC, id DESC LIMIT 1)
         ORDER BY number",
    )?;
    let rows = select.query_map([branch_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The paths of an apply, in order.
pub fn files(tx: &ReadTx<'_>, id: &str) -> Result<Vec<ApplyFile>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT number, change_id, path, base_hash, target_hash, slot, parents, state, error
         FROM apply_files WHERE apply_id = ?1 ORDER BY number",
    )?;
    let rows = select.query_map([id], |row| {
        let slot: String = row.get(5)?;
        let state: String = row.get(7)?;
        Ok(ApplyFile {
            number: row.get(0)?,
            change_id: row.get(1)?,
            path: row.get(2)?,
            base_hash: row.get(3)?,
            target_hash: row.get(4)?,
            slot: SlotPlace::parse(&slot),
            parents: row.get(6)?,
            state: FileState::parse(&state),
            error: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Apply> {
    let state: String = row.get("state")?;
    Ok(Apply {
        id: row.get("id")?,
        plan_id: row.get("plan_id")?,
        branch_id: row.get("branch_id")?,
        ticket: row.get("ticket")?,
        state: State::parse(&state),
        created_at: row.get("created_at")?,
        undoes: row.get("undoes")?,
    })
}
