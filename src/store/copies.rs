//! Copies of a database: what a backup holds.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::transaction::{Durability, Tx};
use super::{ReadTx, Store, open};

/// Runs `work` on a copy of a database ([`Store::copy_to`]), which nobody else has.
pub fn looking_at<T>(copy: &Path, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
    let connection = open::connect(copy)?;
    let tx = Tx::begin_read(&connection)?;
    let value = work(&ReadTx(&tx));
    tx.finish_read();
    value
}

impl Store {
    /// Forgets the processes that worked when this copy of a database was made: their tickets, and
    /// their applies, whose files are those of another time.
    pub fn forget_processes(&self) -> Result<()> {
        self.transact(Durability::Full, Duration::from_secs(5), |tx| {
            tx.connection()
                .execute_batch("DELETE FROM repo_locks; DELETE FROM applies")?;
            Ok(())
        })
    }
}
