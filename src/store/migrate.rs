//! The schema and its versions: one transaction, under the gate, or not at all.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::Connection;

use super::StoreError;
use super::gate::Gate;
use super::transaction::{Durability, Tx};

/// The schema this program writes: `PRAGMA user_version` of the database.
pub const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = include_str!("../../schema.sql");

/// Brings the database to [`SCHEMA_VERSION`], or refuses one that is newer.
pub(super) fn migrate(connection: &Connection, gate: &Gate, dir: &Path) -> Result<()> {
    match check(connection, dir)? {
        SCHEMA_VERSION => return Ok(()),
        0 => refuse_lost_database(dir)?,
        _ => {}
    }
    let entered = gate.enter(Some(std::time::Duration::from_secs(30)))?;
    // A database that died before it was told so is not in WAL mode yet; asking again is free.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let tx = Tx::begin_write(connection, Durability::Full)?;
    // Looked at again inside: another process may have done it meanwhile.
    let found = check(connection, dir)?;
    if found == 0 {
        connection
            .execute_batch(SCHEMA)
            .context("creating the schema")?;
    }
    // Later versions: one step each, from `found` to SCHEMA_VERSION, here.
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit().context("writing the schema")?;
    drop(entered);
    Ok(())
}

/// Names everything that the schema has: tables with their columns, indexes, triggers, views.
const PARTS: &str =
    "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' \
         ESCAPE '~'
     UNION ALL
     SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table'";

/// What the schema has and `connection`'s database lacks. Texts are not compared: a comment in
/// schema.sql is part of them.
pub(super) fn missing(connection: &Connection) -> Result<Vec<String>> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(SCHEMA)?;
    let found = parts(connection)?;
    let mut missing = parts(&model)?;
    missing.retain(|part| !found.contains(part));
    Ok(missing
        .into_iter()
        .map(|part| format!("{part} is missing"))
        .collect())
}

fn parts(connection: &Connection) -> Result<Vec<String>> {
    let mut select = connection.prepare(PARTS)?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn check(connection: &Connection, dir: &Path) -> Result<i64> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA_VERSION {
        let path = dir.join("plandex.db");
        return Err(StoreError::TooNew {
            path,
            found,
            known: SCHEMA_VERSION,
        }
        .into());
    }
    Ok(found)
}

/// An empty database beside plan repositories is a lost one: making a new schema in it would hide
/// that.
fn refuse_lost_database(dir: &Path) -> Result<()> {
    let plans = dir.join("plans");
    let has_plans = std::fs::read_dir(&plans).is_ok_and(|mut entries| entries.next().is_some());
    if has_plans {
        let problem = "it is empty, but there are plan repositories beside it".to_owned();
        return Err(StoreError::Damaged {
            path: dir.join("plandex.db"),
            problem,
        }
        .into());
    }
    Ok(())
}
