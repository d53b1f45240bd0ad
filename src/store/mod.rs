//! The SQLite file: opened here, read here, written here, and by nobody else.
//!
//! The one hard rule: no code opens `plandex.db`, `-wal` or `-shm` but SQLite itself. Closing any
//! other descriptor of those files drops SQLite's POSIX locks, and in a trial that lost an
//! acknowledged commit (HAZARDS.md F3, H3). Even a backup goes through SQLite.
//!
//! Every transaction that may write starts IMMEDIATE, behind the gate, and is one of four doors:
//!
//! | door | who may | durability |
//! |---|---|---|
//! | [`Store::write`] / [`Store::append`] | whoever proves a held ticket; the fence is checked inside | FULL |
//! | [`Store::journal`] | whoever holds the project's apply lock; the journal only | FULL |
//! | [`Store::choose`] | operations of scope none: a new plan, a selection, a setting | FULL |
//! | [`Store::tickets`] | the lock room: tickets, heartbeats, audit | NORMAL |
//! | [`Store::note`] | a run with its permit: stream events in batches | NORMAL |

pub mod applies;
pub mod audit;
pub mod branch_settings;
pub mod branches;
pub mod changes;
pub mod contexts;
mod copies;
mod error;
mod gate;
pub mod history;
pub mod messages;
mod migrate;
mod open;
pub mod plans;
mod probe;
pub mod ratios;
pub mod rows;
pub mod selections;
pub mod settings;
pub mod streams;
pub mod summaries;
pub mod tickets;
pub mod tokens;
mod transaction;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use parking_lot::Mutex;
use rusqlite::Connection;

pub use copies::looking_at;
pub use error::{StoreError, is_conflicted};
pub use gate::Quiet;
pub use migrate::SCHEMA_VERSION;
pub use open::is_own_file;
pub use probe::answer as answer_probe;
pub use transaction::{AppendTx, ChooseTx, JournalTx, ReadTx, TicketTx, WriteTx};

use crate::platform::file_lock::DirLock;
use tickets::Permit;
use transaction::{Durability, Tx, logged};

/// The database's files in the state directory: the database, its log, its shared memory. Nobody but
/// SQLite may open them; looking at them by name (stat, chmod) does no harm.
pub const FILES: [&str; 3] = ["plandex.db", "plandex.db-wal", "plandex.db-shm"];

/// How many connections a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// One plain connection: a command with one operation (a pool costs 0.4 ms at start).
    One,
    /// A pool of up to four: `batch` and the library.
    Pool,
}

enum Source {
    One(Mutex<Connection>),
    Pool(r2d2::Pool<r2d2_sqlite::SqliteConnectionManager>),
}

/// One opened database.
pub struct Store {
    dir: PathBuf,
    source: Source,
    gate: gate::Gate,
    /// The inode of plandex.db when it was opened.
    inode: u64,
    /// Set when a commit failed on its way to the disk.
    failed: AtomicBool,
}

/// A connection that one thread keeps for itself: the heartbeat's.
pub struct OwnConnection(Connection);

impl Store {
    /// Creates the state directory `dir` (0700) with an empty database, or opens the one there.
    pub fn create(dir: &Path, connections: Connections) -> Result<Self> {
        open::create(dir, connections)
    }

    /// Opens the database in the state directory `dir`.
    ///
    /// Fails with a [`StoreError`] where it is missing, too new, unsafe or not ours.
    pub fn open(dir: &Path, connections: Connections) -> Result<Self> {
        open::open(dir, connections)
    }

    /// Makes a database that is lost again, filled by `fill` in the one transaction that makes it.
    /// What there is of the old one is put aside; returns where.
    ///
    /// Fails if there is a database by now.
    pub fn recreate(
        dir: &Path,
        fill: impl FnOnce(&WriteTx<'_>) -> Result<()>,
    ) -> Result<Option<PathBuf>> {
        open::recreate(dir, fill)
    }

    /// Writes a consistent copy of the database to `path`, where nothing may be yet, while others
    /// work (`VACUUM INTO`).
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        open::copy_to(&self.path(), path)
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database file, for messages.
    pub fn path(&self) -> PathBuf {
        self.dir.join("plandex.db")
    }

    /// Whether `meta` is of one of [`FILES`], under whatever name: closing a descriptor of it would
    /// drop SQLite's locks, so whoever opens what a person named asks first.
    pub fn is_own_file(&self, meta: &std::fs::Metadata) -> bool {
        open::is_own_file(&self.dir, meta)
    }

    /// Runs `work` on one snapshot; never waits for a writer and writes nothing.
    pub fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.with(|connection| {
            let tx = Tx::begin_read(connection)?;
            let value = work(&ReadTx(&tx));
            tx.finish_read();
            value
        })
        .map_err(|error| self.name(error))
    }

    /// Runs `work` in one durable transaction that first proves that `permit`'s ticket is held.
    ///
    /// Fails with [`StoreError::LockLost`] if it is not. Waits for the gate for at most `patience`.
    pub fn write<T>(
        &self,
        permit: &tickets::WritePermit,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.transact(Durability::Full, self.lease(), |tx| {
            tickets::check_fence(tx, permit.proof())?;
            work(&WriteTx::new(tx))
        })
    }

    /// As [`Store::write`], for the one change made under a read ticket: adding context.
    pub fn append<T>(
        &self,
        permit: &tickets::AppendPermit,
        work: impl FnOnce(&AppendTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.transact(Durability::Full, self.lease(), |tx| {
            tickets::check_fence(tx, permit.proof())?;
            work(&AppendTx::new(tx))
        })
    }

    /// As [`Store::write`] but without waiting for the disk: a power cut may take the last batch.
    pub fn note<T>(
        &self,
        permit: &tickets::WritePermit,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.transact(Durability::Normal, self.lease(), |tx| {
            tickets::check_fence(tx, permit.proof())?;
            work(&WriteTx::new(tx))
        })
    }

    /// Runs `work` on the apply journal, guarded by the apply lock of the project's root.
    pub fn journal<T>(
        &self,
        _lock: &DirLock,
        work: impl FnOnce(&JournalTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.transact(Durability::Full, self.lease(), |tx| {
            work(&JournalTx::new(tx))
        })
    }

    /// Runs `work` for an operation of scope none (a new plan, a selection, a setting).
    pub fn choose<T>(
        &self,
        patience: Duration,
        work: impl FnOnce(&ChooseTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.transact(Durability::Full, patience, |tx| work(&ChooseTx::new(tx)))
    }

    /// As [`Store::choose`], with the limits of [`Store::tickets_trying`].
    pub fn choose_trying<T>(
        &self,
        patience: Duration,
        busy: Duration,
        work: impl FnOnce(&ChooseTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|connection| {
            impatiently(connection, busy, || {
                self.transact_on(connection, Durability::Full, patience, |tx| {
                    work(&ChooseTx::new(tx))
                })
            })
        })
        .map_err(|error| self.name(error))
    }

    /// Runs `work` on the tickets, waiting for the gate for at most `patience`; doorbells that it
    /// asks for are rung after the COMMIT, never before.
    pub fn tickets<T>(
        &self,
        patience: Duration,
        work: impl FnOnce(&TicketTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|connection| self.tickets_on(connection, Some(patience), work))
            .map_err(|error| self.name(error))
    }

    /// As [`Store::tickets`], but SQLite itself waits only for `busy` if somebody outside plandex
    /// holds its write lock: whoever calls has a schedule of its own ([`is_conflicted`]).
    pub fn tickets_trying<T>(
        &self,
        patience: Duration,
        busy: Duration,
        work: impl FnOnce(&TicketTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|connection| {
            impatiently(connection, busy, || {
                self.tickets_on(connection, Some(patience), work)
            })
        })
        .map_err(|error| self.name(error))
    }

    /// As [`Store::tickets`] on a thread's own connection, and without a limit at the gate: while
    /// nobody can write, nobody can take the lock either.
    pub fn tickets_patiently<T>(
        &self,
        connection: &OwnConnection,
        work: impl FnOnce(&TicketTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.tickets_on(&connection.0, None, work)
            .map_err(|error| self.name(error))
    }

    /// Opens one more connection for a thread of its own; `busy` limits SQLite's own waiting.
    pub fn own_connection(&self, busy: Duration) -> Result<OwnConnection> {
        let connection = open::connect(&self.path()).map_err(|error| self.name(error))?;
        connection.busy_timeout(busy)?;
        Ok(OwnConnection(connection))
    }

    /// Who is in the gate before every write now, in words ("pid 4711 (plandex, stopped)"); `None`
    /// if nobody that can be seen from here.
    pub fn writer(&self) -> Option<String> {
        self.gate.writer()
    }

    /// Waits until no thread of this process is inside a write transaction and keeps it so: for
    /// the moment before the process stops under Ctrl-Z.
    pub fn quiet(&self) -> Quiet<'_> {
        self.gate.quiet()
    }

    /// Moves the whole WAL into the database and empties its file, unless a reader needs it:
    /// called by doctor.
    pub fn checkpoint(&self) -> Result<()> {
        let entered = self.gate.enter(Some(Duration::from_secs(5)))?;
        let result = self.with(|connection| {
            Ok(transaction::checkpoint_truncate(
                connection,
                Duration::from_millis(50),
            )?)
        });
        drop(entered);
        result
    }

    /// Checks that a write transaction can begin, waiting at the gate for at most `patience`;
    /// changes nothing. Fails with [`StoreError::Busy`] where somebody keeps the write lock.
    pub fn check_writable(&self, patience: Duration) -> Result<()> {
        self.with(|connection| {
            let entered = self.gate.enter(Some(patience))?;
            let tx = Tx::begin_named(connection, Durability::Normal, &self.path())?;
            drop((tx, entered));
            Ok(())
        })
        .map_err(|error| self.name(error))
    }

    /// What [`SCHEMA_VERSION`] has and this database lacks, as words ("index x is missing");
    /// empty if it is whole.
    pub fn missing_in_schema(&self) -> Result<Vec<String>> {
        self.with(migrate::missing)
            .map_err(|error| self.name(error))
    }

    /// Makes the indexes, triggers and views of the schema again that this database lacks, in one
    /// transaction; returns their names. Missing tables and columns held data, which nothing here
    /// knows: they are left.
    pub fn complete_schema(&self) -> Result<Vec<String>> {
        self.transact(Durability::Full, Duration::from_secs(5), |tx| {
            migrate::complete(tx.connection())
        })
    }

    /// What SQLite's own check says: empty if the file is sound. Reads the whole database.
    pub fn integrity(&self, check: Integrity) -> Result<Vec<String>> {
        self.with(|connection| transaction::integrity(connection, check))
            .map_err(|error| self.name(error))
    }

    fn tickets_on<T>(
        &self,
        connection: &Connection,
        patience: Option<Duration>,
        work: impl FnOnce(&TicketTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.check_usable()?;
        let (value, rings) = logged(Durability::Normal, |times| {
            let entered = self.gate.enter(patience)?;
            times.entered();
            let tx = Tx::begin_named(connection, Durability::Normal, &self.path())?;
            let ticket_tx = TicketTx::new(&tx);
            let value = work(&ticket_tx)?;
            let rings = ticket_tx.into_rings();
            self.commit(tx)?;
            drop(entered);
            Ok((value, rings))
        })?;
        for (doorbell, ring) in rings {
            crate::platform::bell::ring(&doorbell, ring);
        }
        self.checkpoint_if_long(connection);
        Ok(value)
    }

    fn transact<T>(
        &self,
        durability: Durability,
        patience: Duration,
        work: impl FnOnce(&Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|connection| self.transact_on(connection, durability, patience, work))
            .map_err(|error| self.name(error))
    }

    fn transact_on<T>(
        &self,
        connection: &Connection,
        durability: Durability,
        patience: Duration,
        work: impl FnOnce(&Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.check_usable()?;
        let value = logged(durability, |times| {
            let _entered = self.gate.enter(Some(patience))?;
            times.entered();
            let tx = Tx::begin_named(connection, durability, &self.path())?;
            let value = work(&tx)?;
            self.commit(tx).map(|()| value)
        })?;
        self.checkpoint_if_long(connection);
        Ok(value)
    }

    /// Commits, or marks the store failed for good: an fsync that fails once must not be retried,
    /// because the kernel forgets the dirty pages (HAZARDS.md H20).
    fn commit(&self, tx: Tx<'_>) -> Result<()> {
        self.check_not_replaced()?;
        let result = tx.commit();
        if let Err(error) = &result
            && transaction::is_disk_failure(error)
        {
            self.failed.store(true, Ordering::SeqCst);
        }
        Ok(result?)
    }

    fn check_usable(&self) -> Result<()> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(StoreError::Failed(self.path()).into());
        }
        Ok(())
    }

    fn check_not_replaced(&self) -> Result<()> {
        if open::inode(&self.path()) != Some(self.inode) {
            return Err(StoreError::Replaced(self.path()).into());
        }
        Ok(())
    }

    /// Shortens what the next lone command has to read before it starts: called when a process that
    /// wrote gives its tickets back for good. Waits for nobody.
    pub fn shorten_wal(&self) {
        let wal = self.dir.join(FILES[1]);
        let length = std::fs::metadata(wal).map_or(0, |meta| meta.len());
        let none = Duration::ZERO;
        if length > transaction::WAL_LONG_AT_EXIT
            && let Ok(entered) = self.gate.enter(Some(none))
        {
            let shorten =
                |connection: &Connection| Ok(transaction::checkpoint_truncate(connection, none)?);
            self.with(shorten).ok();
            drop(entered);
        }
    }

    /// Moves a long WAL's content into the database. The passive way disturbs nobody and needs no
    /// gate; only starting the WAL over does. One that cannot run now runs after a later commit.
    fn checkpoint_if_long(&self, connection: &Connection) {
        let wal = self.dir.join(FILES[1]);
        let length = std::fs::metadata(wal).map_or(0, |meta| meta.len());
        if length > transaction::WAL_TOO_LONG {
            let entered = self.gate.enter(Some(Duration::from_millis(50)));
            if entered.is_ok() {
                transaction::checkpoint_restart(connection).ok();
            }
        } else if length > transaction::WAL_LONG {
            transaction::checkpoint_passive(connection).ok();
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &self.source {
            Source::One(connection) => work(&connection.lock()),
            Source::Pool(pool) => {
                let connection = pool.get()?;
                work(&connection)
            }
        }
    }

    /// How long data may wait at the gate: until the lease would end.
    fn lease(&self) -> Duration {
        self.gate.lease()
    }

    /// Turns SQLite's words into [`StoreError`] where callers branch on them.
    fn name(&self, error: anyhow::Error) -> anyhow::Error {
        open::name_error(&self.path(), error)
    }
}

/// Runs `work` while SQLite itself waits for no longer than `busy`.
fn impatiently<T>(
    connection: &Connection,
    busy: Duration,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.busy_timeout(busy)?;
    let result = work();
    connection.busy_timeout(open::BUSY)?;
    result
}

/// How deep [`Store::integrity`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// `PRAGMA quick_check`.
    Quick,
    /// `PRAGMA integrity_check` and `foreign_key_check`.
    Full,
}

/// A moment from now, if there is a limit at all.
pub(crate) fn deadline(patience: Option<Duration>) -> Option<Instant> {
    patience.and_then(|patience| Instant::now().checked_add(patience))
}

/// The version of the SQLite inside this program.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// A new id: UUIDv7 text, sorted by time.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
