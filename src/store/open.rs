//! Making and opening the database: the checks that come before the first query.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::gate::Gate;
use super::{Connections, Source, Store, StoreError, migrate, probe, settings};
use crate::platform::fs_type::{self, FsType};
use crate::platform::{clock, file, process};

/// SQLite's own waiting, which the gate makes a backstop only.
pub(super) const BUSY: Duration = Duration::from_secs(2);
/// The first SQLite with the fix of the WAL-reset bug (HAZARDS.md F6).
const OLDEST_SQLITE: i32 = 3_051_003;
/// After a checkpoint that reaches the end, the WAL shrinks to this many bytes.
const WAL_KEPT: i64 = 1 << 20;

pub(super) fn create(dir: &Path, connections: Connections) -> Result<Store> {
    file::create_dir_private(dir)?;
    check_place(dir)?;
    for name in ["plans", "owners", "apply"] {
        file::create_dir_private(&dir.join(name))?;
    }
    // Under the gate: two `plandex new` at once make one database.
    let gate = Gate::open(dir)?;
    let entered = gate.enter(Some(Duration::from_secs(30)))?;
    if !dir.join(".gitignore").exists() {
        file::write_atomic(&dir.join(".gitignore"), b"*\n", 0o600)?;
    }
    let path = dir.join("plandex.db");
    if !path.exists() {
        // The one time that we open it ourselves: created 0600, before this process has a
        // connection, so that SQLite's -wal and -shm inherit the mode.
        drop(file::write_new(&path, b"", 0o600)?);
        file::sync_dir(dir)?;
        let connection = connect(&path).map_err(|error| name_error(&path, error))?;
        connection.execute_batch("PRAGMA page_size=1024")?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    drop(entered);
    drop(gate);
    open(dir, connections)
}

/// As [`super::Store::recreate`].
pub(super) fn recreate(
    dir: &Path,
    fill: impl FnOnce(&super::WriteTx<'_>) -> Result<()>,
) -> Result<Option<PathBuf>> {
    check_place(dir)?;
    let gate = Gate::open(dir)?;
    let entered = gate.enter(Some(Duration::from_secs(30)))?;
    let path = dir.join("plandex.db");
    let aside = put_aside(dir)?;
    drop(file::write_new(&path, b"", 0o600)?);
    file::sync_dir(dir)?;
    let connection = connect(&path).map_err(|error| name_error(&path, error))?;
    connection.execute_batch("PRAGMA page_size=1024")?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    migrate::make(&connection, fill)?;
    drop(entered);
    Ok(aside)
}

/// Gives the files of a lost database other names: nobody but SQLite opens them, and a name is all
/// that is changed. An empty one goes.
fn put_aside(dir: &Path) -> Result<Option<PathBuf>> {
    let path = dir.join("plandex.db");
    let to = format!("lost-{}.db", clock::wall_ms());
    let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    for (name, ending) in super::FILES.into_iter().zip(["", "-wal", "-shm"]) {
        let from = dir.join(name);
        if from.exists() && length == 0 {
            file::remove_file(&from)?;
        } else if from.exists() {
            file::rename(&from, &dir.join(format!("{to}{ending}")))?;
        }
    }
    Ok((length > 0).then(|| dir.join(to)))
}

/// As [`super::Store::copy_to`].
pub(super) fn copy_to(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("copying the database to {}", to.display());
    // SQLite takes an empty file for none, and leaves its mode.
    let made = file::write_new(to, b"", 0o600).with_context(context)?;
    let connection = connect(from)?;
    connection
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .with_context(context)?;
    file::sync_file(&made, to)
}

pub(super) fn open(dir: &Path, connections: Connections) -> Result<Store> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite(rusqlite::version()).into());
    }
    let path = dir.join("plandex.db");
    let Some(inode) = inode(&path) else {
        return Err(StoreError::Missing(dir.to_owned()).into());
    };
    check_place(dir)?;
    let gate = Gate::open(dir)?;
    let first = || -> Result<Connection> {
        let connection = connect(&path)?;
        migrate::migrate(&connection, &gate, dir)?;
        gate.set_lease(settings::lease(&connection)?);
        Ok(connection)
    };
    let connection = first().map_err(|error| name_error(&path, error))?;
    let source = match connections {
        Connections::One => Source::One(Mutex::new(connection)),
        Connections::Pool => Source::Pool(pool(&path)),
    };
    Ok(Store {
        dir: dir.to_owned(),
        source,
        gate,
        inode,
        failed: AtomicBool::new(false),
    })
}

/// r2d2 by default starts three threads and opens its connections at once; this one opens each
/// when it is first needed and never tests an idle one.
fn pool(path: &Path) -> r2d2::Pool<SqliteConnectionManager> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let manager = SqliteConnectionManager::file(path)
        .with_flags(flags)
        .with_init(|connection| prepare(connection));
    r2d2::Pool::builder()
        .max_size(4)
        .min_idle(Some(0))
        .test_on_check_out(false)
        .build_unchecked(manager)
}

/// Opens one connection; the path is taken as it is, never as a URI.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .with_context(|| format!("opening {}", path.display()))?;
    prepare(&connection).with_context(|| format!("opening {}", path.display()))?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Nobody checkpoints inside somebody's COMMIT or at exit: only who finds the WAL long.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("plandex_wall_ms", 0, flags, |_| Ok(clock::wall_ms()))?;
    connection.create_scalar_function("plandex_monotonic_ms", 0, flags, |_| {
        Ok(clock::monotonic_ms())
    })?;
    connection.create_scalar_function("plandex_boot_id", 0, flags, |_| {
        Ok(clock::Frame::here().boot_id.clone())
    })?;
    connection.create_scalar_function("plandex_time_ns", 0, flags, |_| {
        Ok(clock::Frame::here().time_ns)
    })
}

/// The inode of `path`, by stat: the file is not opened.
pub(super) fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.ino())
}

fn check_place(dir: &Path) -> Result<()> {
    let meta = std::fs::metadata(dir).with_context(|| format!("looking at {}", dir.display()))?;
    let us = process::effective_user();
    if meta.uid() != us {
        let (path, owner) = (dir.to_owned(), meta.uid());
        return Err(StoreError::ForeignOwner { path, owner, us }.into());
    }
    match fs_type::of(dir)? {
        FsType::Local(_) => Ok(()),
        FsType::Shared(kind) => Err(unsafe_place(dir, kind.to_owned())),
        FsType::Unknown(magic) => probe::ask(dir).map_err(|problem| {
            unsafe_place(
                dir,
                format!("an unknown file system (0x{magic:X}: {problem:#})"),
            )
        }),
    }
}

fn unsafe_place(dir: &Path, kind: String) -> anyhow::Error {
    StoreError::UnsafeFileSystem {
        path: dir.to_owned(),
        kind,
    }
    .into()
}

/// Turns SQLite's words into [`StoreError`] where callers branch on them.
pub(super) fn name_error(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let Some(sqlite) = error.downcast_ref::<rusqlite::Error>() else {
        return error;
    };
    let named = match sqlite.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy("a program outside plandex holds its write lock".to_owned())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged {
            path: path.to_owned(),
            problem: sqlite.to_string(),
        },
        Some(ErrorCode::DiskFull) => StoreError::Full(path.to_owned()),
        // A full disk shows as a failure to grow the shared memory too (SQLITE_IOERR_SHMSIZE).
        _ if sqlite
            .sqlite_error()
            .is_some_and(|cause| cause.extended_code == 4874) =>
        {
            StoreError::Full(path.to_owned())
        }
        _ => return error,
    };
    error.context(named)
}

/// As [`Store::is_own_file`](super::Store::is_own_file), for the state directory `dir` before it is opened.
pub fn is_own_file(dir: &Path, meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    super::FILES.iter().any(|name| {
        let own = std::fs::metadata(dir.join(name));
        own.is_ok_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino()))
    })
}
