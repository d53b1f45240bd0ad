//! A trial of an unknown file system: two processes, one flock, one WAL database.
//!
//! The second process is this program itself, called as `plandex probe-file-system DIR`. It must
//! find the lock taken and must see, through the shared memory, what the first one committed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::Connection;

use crate::platform::{file, file_lock};

/// Runs the trial in `dir`; an error says what does not work there.
pub(super) fn ask(dir: &Path) -> Result<()> {
    let place = tempfile::Builder::new().prefix("probe-").tempdir_in(dir)?;
    let lock = file::open_private(&place.path().join("lock"))?;
    file_lock::exclusive(&lock).context("flock does not work")?;
    let database = Connection::open(place.path().join("probe.db"))?;
    database.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    database.execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)")?;
    let program = std::env::current_exe().context("finding this program for the trial")?;
    let is_us = program.file_stem().is_some_and(|name| name == "plandex");
    ensure!(is_us, "only the plandex program can try it");
    let output = Command::new(program)
        .arg("probe-file-system")
        .arg(place.path())
        .stdin(Stdio::null())
        .output()
        .context("starting the second process")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let seen: i64 = database.query_row("SELECT max(n) FROM t", [], |row| row.get(0))?;
    ensure!(seen == 2, "shared memory does not work between processes");
    Ok(())
}

/// The second process's part, in the directory that the first one made.
pub fn answer(place: &Path) -> Result<()> {
    let lock = file::open_private(&place.join("lock"))?;
    if file_lock::try_exclusive(&lock)? == file_lock::Attempt::Locked {
        bail!("flock does not exclude other processes");
    }
    let database = Connection::open(place.join("probe.db"))?;
    let seen: i64 = database.query_row("SELECT max(n) FROM t", [], |row| row.get(0))?;
    ensure!(seen == 1, "shared memory does not work between processes");
    database.execute_batch("INSERT INTO t VALUES (2)")?;
    Ok(())
}
