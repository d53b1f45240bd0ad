//! The schema and its versions: one transaction, under the gate, or not at all.
//!
//! `schema.sql` is the whole of the newest schema, and it alone says what that is: an older
//! database is brought to it by making anew each table that has another text, with what its
//! columns hold, and each index, trigger and view. What else a version changes of what is *in* the
//! tables stands in [`STEPS`].

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;

use super::StoreError;
use super::gate::Gate;
use super::transaction::{Durability, Tx, WriteTx};
use crate::platform::crash::crash_point;

/// The schema this program writes: `PRAGMA user_version` of the database.
pub const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = include_str!("../../schema.sql");

type Step = fn(&Connection) -> Result<()>;

/// What each version changes of the content: the version that it leads to, and its work, which is
/// done when the tables have their newest form.
const STEPS: [(i64, Step); 1] = [(2, share_ids)];

/// Columns without a default that a database may lack, and what they hold of its rows: before
/// events were numbered within their run, they were so by their ids alone.
const FILLED: [(&str, &str, &str); 1] = [(
    "stream_events",
    "number",
    "row_number() OVER (PARTITION BY stream_id ORDER BY id)",
)];

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
    // A table that goes would take what points at it along. The pragma does nothing inside a
    // transaction, so it stands around it; foreign_key_check looks before the commit.
    connection.pragma_update(None, "foreign_keys", false)?;
    let migrated = in_one_transaction(connection, dir);
    connection.pragma_update(None, "foreign_keys", true)?;
    migrated?;
    drop(entered);
    Ok(())
}

fn in_one_transaction(connection: &Connection, dir: &Path) -> Result<()> {
    let tx = Tx::begin_write(connection, Durability::Full)?;
    // Looked at again inside: another process may have done it meanwhile.
    match check(connection, dir)? {
        SCHEMA_VERSION => return Ok(()),
        0 => {
            connection
                .execute_batch(SCHEMA)
                .context("creating the schema")?;
            crash_point("schema.change");
        }
        found => upgrade(connection, found)
            .with_context(|| format!("bringing the database from version {found} to the newest"))?,
    }
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit().context("writing the schema")
}

/// Makes the schema in an empty database, and what `fill` puts in it, in one transaction.
pub(super) fn make(
    connection: &Connection,
    fill: impl FnOnce(&WriteTx<'_>) -> Result<()>,
) -> Result<()> {
    let tx = Tx::begin_write(connection, Durability::Full)?;
    connection
        .execute_batch(SCHEMA)
        .context("creating the schema")?;
    crash_point("schema.change");
    fill(&WriteTx::new(&tx))?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit().context("writing the schema")
}

/// Gives the database of version `found` the newest schema.
fn upgrade(connection: &Connection, found: i64) -> Result<()> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(SCHEMA)?;
    let (old, new) = (texts(connection)?, texts(&model)?);
    // What hangs on tables first, so that nothing of it follows a table that gets another name.
    for (kind, name) in old.keys().filter(|(kind, _)| kind != "table") {
        connection.execute_batch(&format!("DROP {kind} {name}"))?;
    }
    // Or SQLite would write the passing name into what refers to the table.
    connection.pragma_update(None, "legacy_alter_table", true)?;
    for (part, text) in new.iter().filter(|((kind, _), _)| kind == "table") {
        match old.get(part) {
            Some(same) if same == text => {}
            Some(_) => make_anew(connection, &part.1, text)
                .with_context(|| format!("making the table {} anew", part.1))?,
            None => connection.execute_batch(text)?,
        }
        crash_point("schema.change");
    }
    connection.pragma_update(None, "legacy_alter_table", false)?;
    for (_, text) in new.iter().filter(|((kind, _), _)| kind != "table") {
        connection.execute_batch(text)?;
    }
    add_settings(connection, &model)?;
    for (_, step) in STEPS.iter().filter(|(version, _)| *version > found) {
        step(connection)?;
        crash_point("schema.change");
    }
    let mut dangling = connection.prepare("PRAGMA foreign_key_check")?;
    ensure!(
        dangling.query([])?.next()?.is_none(),
        "rows point at what is not there"
    );
    Ok(())
}

/// The text of each table, index, trigger and view, by kind and name.
fn texts(connection: &Connection) -> Result<BTreeMap<(String, String), String>> {
    let mut select = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'",
    )?;
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes the table `name` as `text` says, with what its columns held that it still has. Numbers
/// that were given once are not given again.
fn make_anew(connection: &Connection, name: &str, text: &str) -> Result<()> {
    let given: Option<i64> = connection
        .query_row(
            "SELECT max(seq) FROM sqlite_sequence WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .unwrap_or(None);
    connection.execute_batch(&format!(
        "ALTER TABLE {name} RENAME TO {name}_before; {text}"
    ))?;
    let kept = columns(connection, &format!("{name}_before"))?;
    let mut both = columns(connection, name)?;
    both.retain(|column| kept.contains(column));
    let mut values = both.clone();
    for (_, column, value) in FILLED.iter().filter(|(table, ..)| *table == name) {
        if !kept.iter().any(|kept| kept == column) {
            both.push((*column).to_owned());
            values.push((*value).to_owned());
        }
    }
    let (both, values) = (both.join(", "), values.join(", "));
    connection.execute_batch(&format!(
        "INSERT INTO {name} ({both}) SELECT {values} FROM {name}_before; DROP TABLE {name}_before"
    ))?;
    if let Some(given) = given {
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [name])?;
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
            rusqlite::params![name, given],
        )?;
    }
    Ok(())
}

/// The columns of a table that hold something of their own.
fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut select =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
    let rows = select.query_map([table], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The settings that the newest schema has and the database has not.
fn add_settings(connection: &Connection, model: &Connection) -> Result<()> {
    let mut select = model.prepare("SELECT name, value FROM settings")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
        connection.execute(
            "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [name, value],
        )?;
    }
    Ok(())
}

/// Version 2: the things of a fork have the ids of those that they were forked from, which are
/// those in the tree that both share. Before, they had ids of their own. A copy is known by what
/// it was copied from, oldest fork first; what the branch got later keeps its id.
fn share_ids(connection: &Connection) -> Result<()> {
    let mut select = connection.prepare(
        "SELECT id, parent_id FROM branches WHERE parent_id IS NOT NULL ORDER BY created_at, id",
    )?;
    let forks: Vec<(String, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    // A completed message refuses every change.
    let trigger: String = connection.query_row(
        "SELECT sql FROM sqlite_schema WHERE name = 'convo_messages_are_final'",
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch("DROP TRIGGER convo_messages_are_final")?;
    for (fork, parent) in forks {
        // Builds before messages: they name them.
        connection.execute(
            "UPDATE plan_builds SET message_id = theirs.id
             FROM convo_messages ours, convo_messages theirs
             WHERE plan_builds.branch_id = ?1 AND ours.branch_id = ?1
               AND ours.id = plan_builds.message_id AND theirs.branch_id = ?2
               AND theirs.number = ours.number AND theirs.created_at = ours.created_at",
            [&fork, &parent],
        )?;
        for (table, same) in [
            ("convo_messages", "theirs.number = ours.number"),
            (
                "contexts",
                "theirs.kind = ours.kind AND theirs.name = ours.name",
            ),
            (
                "pending_changes",
                "theirs.path = ours.path AND theirs.message_id = ours.message_id",
            ),
            ("summaries", "theirs.up_to = ours.up_to"),
            (
                "plan_builds",
                "theirs.path = ours.path AND theirs.message_id = ours.message_id
                 AND theirs.status = ours.status",
            ),
        ] {
            connection.execute(
                &format!(
                    "UPDATE OR IGNORE {table} AS ours SET id = theirs.id FROM {table} AS theirs
                     WHERE ours.branch_id = ?1 AND theirs.branch_id = ?2
                       AND theirs.created_at = ours.created_at AND {same}"
                ),
                [&fork, &parent],
            )?;
        }
    }
    connection.execute_batch(&trigger)?;
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

/// Makes what hangs on tables and is missing again: indexes, triggers, views.
pub(super) fn complete(connection: &Connection) -> Result<Vec<String>> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(SCHEMA)?;
    let found = texts(connection)?;
    let mut made = Vec::new();
    for ((kind, name), text) in texts(&model)? {
        if kind == "table" || found.contains_key(&(kind.clone(), name.clone())) {
            continue;
        }
        let part = format!("{kind} {name}");
        connection
            .execute_batch(&text)
            .with_context(|| format!("making the {part} again"))?;
        made.push(part);
    }
    Ok(made)
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
