//! Transactions and what each kind may touch.
//!
//! The type of a transaction says which tables a function may change under it: a function that
//! takes [`AppendTx`] can be called with a [`WriteTx`] too, and whoever reads needs only a
//! [`ReadTx`]. The table files name the kind they need, so the compiler keeps the doors apart.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};
use rusqlite::{Connection, ErrorCode};

use super::Integrity;
use crate::platform::bell::Ring;
use crate::platform::crash::crash_point;
use crate::platform::log;

/// Above this many bytes, whoever finds the WAL so after a commit checkpoints it.
pub(super) const WAL_LONG: u64 = 4 << 20;
/// Above this many bytes, a process that wrote checkpoints it before it ends.
pub(super) const WAL_LONG_AT_EXIT: u64 = 1 << 20;
/// Above this, the checkpoint also starts the WAL over.
pub(super) const WAL_TOO_LONG: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// Consistent after a power cut, but the last commits may be gone.
    Normal,
    /// On the disk when COMMIT returns.
    Full,
}

/// A transaction on one connection; rolled back unless committed.
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Tx<'c> {
    pub(super) fn begin_read(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Self {
            connection,
            open: true,
        })
    }

    pub(super) fn begin_write(
        connection: &'c Connection,
        durability: Durability,
    ) -> rusqlite::Result<Self> {
        // The pragma is set at each door because one kind of connection serves all of them; it
        // costs less than a microsecond (DESIGN.md 12).
        connection.execute_batch(match durability {
            Durability::Normal => "PRAGMA synchronous = NORMAL",
            Durability::Full => "PRAGMA synchronous = FULL",
        })?;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self {
            connection,
            open: true,
        })
    }

    /// As [`begin_write`](Self::begin_write); a failure that is no conflict names the file `path`
    /// (SEED.md 6.5).
    pub(super) fn begin_named(
        connection: &'c Connection,
        durability: Durability,
        path: &Path,
    ) -> Result<Self> {
        let not_begun = || format!("error starting transaction on {}", path.display());
        // SQLite begins to write in a file that it may only read, and fails at the first change.
        if connection.is_readonly("main")? {
            bail!("{}: it may only be read", not_begun());
        }
        Self::begin_write(connection, durability).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => error.into(),
            _ => Error::new(error).context(not_begun()),
        })
    }

    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        crash_point("commit.before");
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.open = false;
        crash_point("commit.after");
        Ok(())
    }

    pub(super) fn finish_read(mut self) {
        self.roll_back();
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    fn roll_back(&mut self) {
        if std::mem::replace(&mut self.open, false) && !self.connection.is_autocommit() {
            // A rollback that fails leaves the connection to be closed, which rolls back too.
            drop(self.connection.execute_batch("ROLLBACK"));
        }
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.roll_back();
    }
}

/// One snapshot.
pub struct ReadTx<'t>(pub(super) &'t Tx<'t>);

impl ReadTx<'_> {
    pub(super) fn sql(&self) -> &Connection {
        self.0.connection()
    }
}

macro_rules! transaction_kind {
    ($(#[$doc:meta])* $name:ident : $base:ident) => {
        $(#[$doc])*
        pub struct $name<'t>($base<'t>);

        impl<'t> Deref for $name<'t> {
            type Target = $base<'t>;
            fn deref(&self) -> &$base<'t> {
                &self.0
            }
        }
    };
}

transaction_kind! {
    /// May add context and move a branch's head by compare-and-swap.
    AppendTx: ReadTx
}
transaction_kind! {
    /// May change everything that belongs to the plan whose ticket was proved.
    WriteTx: AppendTx
}
transaction_kind! {
    /// May change the apply journal, under the project's apply lock.
    JournalTx: ReadTx
}
transaction_kind! {
    /// May create plans, choose selections and set settings: operations of scope none.
    ChooseTx: ReadTx
}

impl<'t> AppendTx<'t> {
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        Self(ReadTx(tx))
    }
}

impl<'t> WriteTx<'t> {
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        Self(AppendTx::new(tx))
    }
}

impl<'t> JournalTx<'t> {
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        Self(ReadTx(tx))
    }
}

impl<'t> ChooseTx<'t> {
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        Self(ReadTx(tx))
    }
}

/// May change tickets, heartbeats and audit. Collects the doorbells to ring after the COMMIT.
pub struct TicketTx<'t> {
    read: ReadTx<'t>,
    rings: RefCell<Vec<(String, Ring)>>,
}

impl<'t> TicketTx<'t> {
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        Self {
            read: ReadTx(tx),
            rings: RefCell::default(),
        }
    }

    pub(super) fn ring(&self, doorbell: &str, ring: Ring) {
        if !doorbell.is_empty() {
            self.rings.borrow_mut().push((doorbell.to_owned(), ring));
        }
    }

    pub(super) fn into_rings(self) -> Vec<(String, Ring)> {
        self.rings.into_inner()
    }
}

impl<'t> Deref for TicketTx<'t> {
    type Target = ReadTx<'t>;
    fn deref(&self) -> &ReadTx<'t> {
        &self.read
    }
}

/// When a transaction was asked for, and when it was in the gate.
pub(super) struct Times {
    /// `None` where nobody logs it: a clock costs more than the log may.
    asked: Option<Instant>,
    entered: Cell<Option<Instant>>,
}

impl Times {
    pub(super) fn entered(&self) {
        self.entered.set(self.asked.map(|_| Instant::now()));
    }

    /// "after 312µs, 4µs of it at the gate".
    fn words(&self) -> String {
        let Some(asked) = self.asked else {
            return String::new();
        };
        let whole = asked.elapsed();
        match self.entered.get() {
            Some(entered) => {
                let gate = entered.saturating_duration_since(asked);
                format!("after {whole:?}, {gate:?} of it at the gate")
            }
            None => format!("after {whole:?}, all of it at the gate"),
        }
    }
}

/// Runs a whole write transaction, from before the gate to after it, and logs how it went; what is
/// logged inside is written when it is over.
pub(super) fn logged<T>(
    durability: Durability,
    transaction: impl FnOnce(&Times) -> Result<T>,
) -> Result<T> {
    if log::is_off() {
        let (asked, entered) = (None, Cell::new(None));
        return transaction(&Times { asked, entered });
    }
    log::lock(log::Action::Begin, || match durability {
        Durability::Normal => "transaction on tickets or events".to_owned(),
        Durability::Full => "durable transaction".to_owned(),
    });
    let times = Times {
        asked: Some(Instant::now()),
        entered: Cell::new(None),
    };
    let hold = log::hold();
    let result = transaction(&times);
    match &result {
        Ok(_) => log::lock(log::Action::Commit, || times.words()),
        Err(error) => {
            hold.forget();
            log::lock(log::Action::Rollback, || {
                format!("{}: {error:#}", times.words())
            });
        }
    }
    drop(hold);
    result
}

/// Whether a commit failed on its way to the disk, after which nothing can be trusted.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure)
}

/// Moves what nobody reads any more of the WAL into the database.
pub(super) fn checkpoint_passive(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "PASSIVE")
}

/// Moves all of it, and the next writer starts the WAL over.
pub(super) fn checkpoint_restart(connection: &Connection) -> rusqlite::Result<()> {
    run_within(connection, "RESTART", Duration::from_millis(50))
}

/// As a restart, and the file is empty after it.
pub(super) fn checkpoint_truncate(
    connection: &Connection,
    patience: Duration,
) -> rusqlite::Result<()> {
    run_within(connection, "TRUNCATE", patience)
}

/// Waits for readers for at most `patience`, in which nobody can write.
fn run_within(connection: &Connection, mode: &str, patience: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(patience)?;
    let result = run(connection, mode);
    connection.busy_timeout(super::open::BUSY)?;
    result
}

fn run(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

pub(super) fn integrity(connection: &Connection, check: Integrity) -> Result<Vec<String>> {
    let pragma = match check {
        Integrity::Quick => "PRAGMA quick_check(20)",
        Integrity::Full => "PRAGMA integrity_check(20)",
    };
    let mut statement = connection.prepare(pragma)?;
    let mut found: Vec<String> = statement
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<_>>()?;
    found.retain(|line| line != "ok");
    if check == Integrity::Full {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let dangling = statement.query_map([], |row| {
            Ok(format!(
                "a row of {} points nowhere",
                row.get::<_, String>(0)?
            ))
        })?;
        for line in dangling {
            found.push(line?);
        }
    }
    Ok(found)
}
