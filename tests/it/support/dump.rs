//! The whole database as text: one assertion covers every table.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// Columns that differ from run to run and say nothing of the state.
const FLEETING: [&str; 11] = [
    "at",
    "lease_stamp",
    "pid",
    "pid_ns",
    "process_start",
    "boot_id",
    "time_ns",
    "host",
    "doorbell",
    "owner_id",
    "mtime_ns",
];

/// Fields of events that are measured.
const SPANS: [&str; 2] = ["waitedMs", "durationMs"];

/// Every table of the database in `state_dir`, a line per row, ids and versions numbered by first
/// appearance (`#1`, `v1`), times and processes blanked (`~`).
#[track_caller]
pub(crate) fn dump(state_dir: &Path) -> String {
    let connection = connect(state_dir).unwrap();
    let mut names = Names::default();
    let mut text = String::new();
    for table in tables(&connection).unwrap() {
        text.push_str(&rows(&connection, &table, &mut names).unwrap());
    }
    text
}

/// One table, for a report that must not fail.
pub(super) fn table(state_dir: &Path, table: &str) -> String {
    let rows = connect(state_dir)
        .and_then(|connection| rows_in_full(&connection, table))
        .unwrap_or_else(|error| format!("cannot be read: {error}\n"));
    if rows.is_empty() {
        "empty\n".to_owned()
    } else {
        rows
    }
}

/// A connection that only looks: it neither writes nor checkpoints when it is closed.
fn connect(state_dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(state_dir.join("plandex.db"), flags)?;
    connection.busy_timeout(Duration::from_millis(500))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%'
             ESCAPE '!' ORDER BY name",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn rows(connection: &Connection, table: &str, names: &mut Names) -> rusqlite::Result<String> {
    let mut text = String::new();
    each_row(connection, table, |columns, values| {
        write!(text, "{table}:").unwrap();
        for (column, value) in columns.iter().zip(values) {
            write!(text, " {column}={}", names.shown(column, value)).unwrap();
        }
        text.push('\n');
    })?;
    Ok(text)
}

fn rows_in_full(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut text = String::new();
    each_row(connection, table, |columns, values| {
        for (column, value) in columns.iter().zip(values) {
            write!(text, " {column}={value}").unwrap();
        }
        text.push('\n');
    })?;
    Ok(text)
}

fn each_row(
    connection: &Connection,
    table: &str,
    mut take: impl FnMut(&[String], &[String]),
) -> rusqlite::Result<()> {
    let mut select = connection.prepare(&format!("SELECT * FROM {table} ORDER BY rowid"))?;
    let columns: Vec<String> = select
        .column_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns.len())
            .map(|index| Ok(shown(row.get_ref(index)?)))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        take(&columns, &values);
    }
    Ok(())
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("<{} bytes>", bytes.len()),
    }
}

/// An event's fields with their times blanked: those whose names end in "Ms".
fn without_times(payload: &str) -> String {
    let mut parts = payload.split("Ms\\\":");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("Ms\\\":~");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

/// Names in the order of their first appearance.
#[derive(Default)]
struct Names {
    ids: HashMap<String, usize>,
    versions: HashMap<String, usize>,
}

impl Names {
    fn shown(&mut self, column: &str, value: &str) -> String {
        let fleeting = column.ends_with("_at") || FLEETING.contains(&column);
        if fleeting && !matches!(value, "NULL" | "0" | "\"\"") {
            return "~".to_owned();
        }
        if column == "payload" {
            return without_times(value);
        }
        let number = |names: &mut HashMap<String, usize>, id: &str| {
            let next = names.len() + 1;
            *names.entry(id.to_owned()).or_insert(next)
        };
        let versions = &mut self.versions;
        if column == "head" && value != "NULL" {
            return format!("v{}", number(versions, value));
        }
        let ids = &mut self.ids;
        let mut is_span = false;
        replace_words(value, |word| {
            // How long something took, among the fields of an event.
            let was_span = std::mem::replace(&mut is_span, SPANS.contains(&word));
            if was_span && word.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some("~".to_owned());
            }
            is_uuid(word).then(|| format!("#{}", number(ids, word)))
        })
    }
}

/// `text` with what differs from run to run replaced: `paths` first, then ids, versions, pids.
pub(super) fn redacted(text: &str, paths: &[(String, &'static str)]) -> String {
    let mut text = text.to_owned();
    for (path, name) in paths {
        text = text.replace(path, name);
    }
    let mut after_pid = false;
    replace_words(&text, |word| {
        let was_pid = std::mem::replace(&mut after_pid, word == "pid");
        if is_uuid(word) {
            Some("[ID]".to_owned())
        } else if word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Some("[VERSION]".to_owned())
        } else if was_pid && word.bytes().all(|byte| byte.is_ascii_digit()) {
            Some("[PID]".to_owned())
        } else {
            None
        }
    })
}

/// Replaces words (letters, digits and `-`) that `by` has another text for.
fn replace_words(text: &str, mut by: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let is_word = |c: char| c.is_alphanumeric() || c == '-';
        let gap = rest.find(is_word).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        rest = &rest[gap..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if !word.is_empty() {
            out.push_str(&by(word).unwrap_or_else(|| word.to_owned()));
        }
        rest = &rest[end..];
    }
    out
}

fn is_uuid(word: &str) -> bool {
    let groups: Vec<usize> = word.split('-').map(str::len).collect();
    let hex = word
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    groups == [8, 4, 4, 4, 12] && hex
}
