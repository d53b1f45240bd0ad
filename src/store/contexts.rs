//! What the user has shown a branch; bodies are blobs of the plan's repository.

use anyhow::Result;
use rusqlite::{Row, params};

use super::{AppendTx, ReadTx, WriteTx};

/// What a context entry was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of the project.
    File,
    /// The listing of a directory.
    Tree,
    /// A remark of the user's.
    Note,
    /// Standard input of `load`.
    Piped,
}

impl Kind {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Tree => "tree",
            Self::Note => "note",
            Self::Piped => "piped",
        }
    }

    /// What the row with this word says.
    pub fn parse(word: &str) -> Self {
        match word {
            "tree" => Self::Tree,
            "note" => Self::Note,
            "piped" => Self::Piped,
            _ => Self::File,
        }
    }
}

/// One context entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// UUIDv7; a fork's entry has that of the entry it was forked from.
    pub id: String,
    /// The branch.
    pub branch_id: String,
    /// What it was made from.
    pub kind: Kind,
    /// What people call it: the path, or a name given at load.
    pub name: String,
    /// The path in the project, with '/', of a file or directory.
    pub path: Option<String>,
    /// The git blob of its body.
    pub blob: String,
    /// SHA-256 of the body.
    pub hash: String,
    /// Bytes of the body.
    pub size: i64,
    /// The file's modification time in nanoseconds when it was read; 0 for what is no file.
    pub mtime_ns: i64,
    /// Estimated tokens.
    pub tokens: i64,
    /// Wall time of its first load.
    pub created_at: i64,
    /// Wall time of its last load.
    pub updated_at: i64,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Context> {
    let kind: String = row.get("kind")?;
    Ok(Context {
        id: row.get("id")?,
        branch_id: row.get("branch_id")?,
        kind: Kind::parse(&kind),
        name: row.get("name")?,
        path: row.get("path")?,
        blob: row.get("blob")?,
        hash: row.get("hash")?,
        size: row.get("size")?,
        mtime_ns: row.get("mtime_ns")?,
        tokens: row.get("tokens")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The entries of a branch in the order of their first load.
pub fn of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Context>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM contexts WHERE branch_id = ?1 ORDER BY created_at, id")?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds an entry, or replaces the one of the same path (which keeps its id and first load).
pub fn put(tx: &AppendTx<'_>, entry: &Context) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO contexts (id, branch_id, kind, name, path, blob, hash, size, mtime_ns,
                tokens, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (branch_id, path) WHERE path IS NOT NULL DO UPDATE SET
                kind = excluded.kind, name = excluded.name, blob = excluded.blob,
                hash = excluded.hash, size = excluded.size, mtime_ns = excluded.mtime_ns,
                tokens = excluded.tokens, updated_at = excluded.updated_at",
        )?
        .execute(params![
            entry.id,
            entry.branch_id,
            entry.kind.word(),
            entry.name,
            entry.path,
            entry.blob,
            entry.hash,
            entry.size,
            entry.mtime_ns,
            entry.tokens,
            entry.created_at,
            entry.updated_at,
        ])?;
    Ok(())
}

/// Removes an entry of a branch.
pub fn remove(tx: &WriteTx<'_>, branch_id: &str, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM contexts WHERE branch_id = ?1 AND id = ?2")?
        .execute([branch_id, id])?;
    Ok(())
}
