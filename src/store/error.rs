//! What can be wrong with the store.

use std::path::PathBuf;

/// What can be wrong with the store itself; callers branch on it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no plandex.db at this place.
    #[error("there is no plandex project in {0}")]
    Missing(PathBuf),
    /// The database was written by a newer plandex.
    #[error("{path} was written by a newer plandex (schema {found}, this one knows {known})")]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// SQLite is older than the fix of the WAL-reset bug.
    #[error("SQLite {0} can corrupt a database that several processes use (3.51.3 has the fix)")]
    OldSqlite(&'static str),
    /// WAL is not safe on this file system.
    #[error("{path} is on {kind}, where several processes would corrupt the database")]
    UnsafeFileSystem {
        /// The directory.
        path: PathBuf,
        /// The file system's name.
        kind: String,
    },
    /// The state directory belongs to another user.
    #[error("{path} belongs to user {owner}, and plandex runs as user {us}")]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// The ticket is gone or carries another fence: nothing was written.
    #[error("the lock was lost while working (ticket {ticket}); nothing was written after that")]
    LockLost {
        /// The ticket that no longer holds.
        ticket: i64,
    },
    /// The gate or SQLite's write lock was not free in time: nothing was written.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The file is not a database, or is damaged.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// The disk is full, or a quota is.
    #[error("no space left for {0}")]
    Full(PathBuf),
    /// The file was replaced or removed while it was in use.
    #[error("{0} was replaced while it was in use; nothing more is written to it")]
    Replaced(PathBuf),
    /// An earlier write failed on its way to the disk: nothing is acknowledged any more.
    #[error("an earlier write to {0} failed; this process writes nothing more")]
    Failed(PathBuf),
}

/// Whether a transaction could not begin because somebody outside plandex's gate keeps SQLite's
/// write lock: unlike the gate, nobody there gives turns.
pub fn is_conflicted(error: &anyhow::Error) -> bool {
    let is_busy = matches!(error.downcast_ref(), Some(StoreError::Busy(_)));
    is_busy && error.downcast_ref::<rusqlite::Error>().is_some()
}
