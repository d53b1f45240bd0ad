//! `locks --sql`: SEED.md 6.4's three queries, run through the views or printed.

use anyhow::Result;
use serde_json::{Map, Value};

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::args::Query;
use crate::store::history;
use crate::ui::{Frame, Table, render};

/// With fewer columns of the terminal for a column of the answer, each value has its own line.
const CELL: usize = 18;

/// `plandex locks --sql active|expired|history [--print]`
pub(super) fn sql(cli: &Cli, query: Query, print: bool) -> Result<ExitCode> {
    let (project, plan) = match query {
        Query::Active | Query::Expired => (cli.open()?, None),
        Query::History => {
            let (project, selected) = cli.open_selected()?;
            (project, Some(selected.plan.id))
        }
    };
    let sql = match query {
        Query::Active => history::ACTIVE,
        Query::Expired => history::EXPIRED,
        Query::History => history::HISTORY,
    };
    // Ids are UUIDs: there is nothing in one that SQL could take for a quote.
    let shown = match &plan {
        Some(plan) => sql.replace("?1", &format!("'{}'", plan.replace('\'', "''"))),
        None => sql.to_owned(),
    };
    if print {
        print_query(cli, &shown, query);
        return Ok(ExitCode::Done);
    }
    let answer = project
        .store
        .read(|tx| history::query(tx, sql, plan.as_deref()))?;
    if cli.json {
        let rows: Vec<Map<String, Value>> = answer
            .rows
            .into_iter()
            .map(|row| {
                let names = answer.columns.iter().map(|column| camel(column));
                names.zip(row).collect()
            })
            .collect();
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "sql": shown, "rows": rows,
        }));
        return Ok(ExitCode::Done);
    }
    if answer.rows.is_empty() {
        cli.ui.note("No rows");
        return Ok(ExitCode::Done);
    }
    if let Some(width) = cli.ui.width()
        && width < answer.columns.len() * CELL
    {
        for row in &answer.rows {
            cli.ui.line("");
            for (column, value) in answer.columns.iter().zip(row) {
                let line = format!("{column}: {}", cell(value));
                cli.ui.line(render::truncated(&line, width, cli.ui.signs()));
            }
        }
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(Frame::Open, answer.columns.iter().map(String::as_str));
    for row in answer.rows {
        table.row(row.iter().map(cell));
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

fn print_query(cli: &Cli, sql: &str, query: Query) {
    if cli.json {
        let document = serde_json::json!({"schemaVersion": SCHEMA_VERSION, "sql": sql});
        cli.ui.json(&document);
        return;
    }
    cli.ui.line(format!("{sql};"));
    match query {
        // The views ask for the time by functions that only plandex gives SQLite.
        Query::Active => cli
            .ui
            .hint("only `plandex locks --sql active` can run it: its view reads plandex's clocks"),
        Query::Expired => cli
            .ui
            .hint("only `plandex locks --sql expired` can run it: its view reads plandex's clocks"),
        Query::History => {}
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// "last_heartbeat_at" as "lastHeartbeatAt".
fn camel(column: &str) -> String {
    let mut words = column.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_become_camel_case() {
        for (column, name) in [
            ("id", "id"),
            ("plan_id", "planId"),
            ("last_heartbeat_at", "lastHeartbeatAt"),
        ] {
            assert_eq!(super::camel(column), name);
        }
    }
}
