//! What the user has shown a branch; bodies are blobs of the plan's repository.

use anyhow::Result;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{AppendTx, ReadTx, WriteTx};

/// What a context entry was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of the project.
    File,
    /// The listing of a directory.
    Tree,
    /// The outline of a directory: its files with the names they define.
    Map,
    /// A remark of the user's.
    Note,
    /// Standard input of `load`.
    Piped,
    /// A page of the web.
    Url,
    /// An image of the project; its body is no text.
    Image,
}

impl Kind {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Tree => "tree",
            Self::Map => "map",
            Self::Note => "note",
            Self::Piped => "piped",
            Self::Url => "url",
            Self::Image => "image",
        }
    }

    /// The kind of that [`word`](Self::word); a file if there is none.
    pub fn parse(word: &str) -> Self {
        match word {
            "tree" => Self::Tree,
            "map" => Self::Map,
            "note" => Self::Note,
            "piped" => Self::Piped,
            "url" => Self::Url,
            "image" => Self::Image,
            _ => Self::File,
        }
    }
}

/// How much of an image a model is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All of it, tile by tile.
    High,
    /// A small version of it.
    Low,
}

impl Detail {
    /// The word in the table, in requests and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }

    /// The detail of that [`word`](Self::word).
    pub fn parse(word: &str) -> Option<Self> {
        [Self::High, Self::Low]
            .into_iter()
            .find(|detail| detail.word() == word)
    }
}

/// What it takes to make an entry again, beside its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Where a page is.
    pub url: Option<String>,
    /// The link by whose name a file was loaded; the path is its target's.
    pub link: Option<String>,
    /// How much of an image is looked at.
    pub detail: Option<Detail>,
    /// Whether the ignore rules were passed over.
    pub is_forced: bool,
    /// Of a tree or a map: a hash of the paths, sizes and times of what is in it.
    pub listing: Option<String>,
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
    /// The path in the project, with '/', of a file or directory; empty for the root.
    pub path: Option<String>,
    /// What else it takes to make it again.
    pub origin: Origin,
    /// The git blob of its body.
    pub blob: String,
    /// SHA-256 of the file, which is the body unless that was converted.
    pub hash: String,
    /// Bytes of the file, or of the body of what is none.
    pub size: i64,
    /// The file's modification time in nanoseconds when it was read (of a map, the newest of its
    /// files'); 0 for what is no file.
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
    let detail: Option<String> = row.get("detail")?;
    Ok(Context {
        id: row.get("id")?,
        branch_id: row.get("branch_id")?,
        kind: Kind::parse(&kind),
        name: row.get("name")?,
        path: row.get("path")?,
        origin: Origin {
            url: row.get("url")?,
            link: row.get("link")?,
            detail: detail.as_deref().and_then(Detail::parse),
            is_forced: row.get("forced")?,
            listing: row.get("listing")?,
        },
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

/// How many entries a branch has, and their estimated tokens in all.
pub fn sum(tx: &ReadTx<'_>, branch_id: &str) -> Result<(usize, u64)> {
    let mut select = tx.sql().prepare_cached(
        "SELECT count(*), coalesce(sum(tokens), 0) FROM contexts WHERE branch_id = ?1",
    )?;
    let (count, tokens): (i64, i64) =
        select.query_row([branch_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((usize::try_from(count)?, tokens.unsigned_abs()))
}

/// The entry of a branch with this id.
pub fn by_id(tx: &ReadTx<'_>, branch_id: &str, id: &str) -> Result<Option<Context>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM contexts WHERE branch_id = ?1 AND id = ?2")?;
    Ok(select.query_row([branch_id, id], from_row).optional()?)
}

/// The entries of a branch whose name is `name` or whose path is `path`, in their order.
pub fn named(
    tx: &ReadTx<'_>,
    branch_id: &str,
    name: &str,
    path: Option<&str>,
) -> Result<Vec<Context>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM contexts WHERE branch_id = ?1 AND name = ?2
         UNION SELECT * FROM contexts WHERE branch_id = ?1 AND path = ?3
            AND kind IN ('file', 'tree', 'map', 'note', 'piped', 'url', 'image')
         ORDER BY created_at, id",
    )?;
    let rows = select.query_map(params![branch_id, name, path], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The entries of a branch that show the project's `path`, in their order.
pub fn at_path(tx: &ReadTx<'_>, branch_id: &str, path: &str) -> Result<Vec<Context>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM contexts WHERE branch_id = ?1 AND path = ?2
            AND kind IN ('file', 'tree', 'map', 'note', 'piped', 'url', 'image')
         ORDER BY created_at, id",
    )?;
    let rows = select.query_map([branch_id, path], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The entry of a branch that shows the page at `url`.
pub fn at_url(tx: &ReadTx<'_>, branch_id: &str, url: &str) -> Result<Option<Context>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM contexts WHERE branch_id = ?1 AND url = ?2")?;
    Ok(select.query_row([branch_id, url], from_row).optional()?)
}

/// The paths of a branch's entries, each once.
pub fn paths(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<String>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT DISTINCT path FROM contexts WHERE branch_id = ?1 AND path IS NOT NULL",
    )?;
    let rows = select.query_map([branch_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The names of a branch's images, in their order.
pub fn images(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<String>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT name FROM contexts WHERE branch_id = ?1 AND kind = 'image'
         ORDER BY created_at, id",
    )?;
    let rows = select.query_map([branch_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds an entry, or replaces the one of the same id (which keeps the time of its first load).
pub fn put(tx: &AppendTx<'_>, entry: &Context) -> Result<()> {
    let origin = &entry.origin;
    tx.sql()
        .prepare_cached(
            "INSERT INTO contexts (id, branch_id, kind, name, path, url, link, detail, forced,
                listing, blob, hash, size, mtime_ns, tokens, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (branch_id, id) DO UPDATE SET
                kind = excluded.kind, name = excluded.name, path = excluded.path,
                url = excluded.url, link = excluded.link, detail = excluded.detail,
                forced = excluded.forced, listing = excluded.listing, blob = excluded.blob,
                hash = excluded.hash, size = excluded.size, mtime_ns = excluded.mtime_ns,
                tokens = excluded.tokens, updated_at = excluded.updated_at",
        )?
        .execute(params![
            entry.id,
            entry.branch_id,
            entry.kind.word(),
            entry.name,
            entry.path,
            origin.url,
            origin.link,
            origin.detail.map(Detail::word),
            origin.is_forced,
            origin.listing,
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
