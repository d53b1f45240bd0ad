//! `locks --stats`: how long operations waited and held, and how they ended, from the audit.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION};
use crate::lock::operation;
use crate::store::history::{self, Span};
use crate::ui::{Frame, Table, render};

/// Narrower than this, the table would be nothing but wrapped cells.
const NARROW: usize = 76;
/// Figures are of so many operations, the newest.
const SAMPLES: usize = 2_000;

/// Half of them were at most `p50` long, and 95 of 100 at most `p95`, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spread {
    count: usize,
    p50: i64,
    p95: i64,
    max: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    reason: String,
    title: String,
    operations: usize,
    /// From the queue to the grant, of those that were granted.
    wait_ms: Option<Spread>,
    /// From the grant to the release, of those that were released.
    hold_ms: Option<Spread>,
    outcomes: BTreeMap<String, usize>,
}

/// `plandex locks --stats [--since D]`
pub(super) fn stats(cli: &Cli, since: Option<&str>) -> Result<ExitCode> {
    let from = since.map_or(Ok(0), super::since_time)?;
    let project = cli.open()?;
    let plan = super::named_plan(&project)?;
    let (rows, is_more) = project
        .store
        .read(|tx| history::spans_since(tx, from, plan.as_deref(), SAMPLES))?;
    let figures = figures(&rows);
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "operations": figures, "isMore": is_more,
        }));
        return Ok(ExitCode::Done);
    }
    if figures.is_empty() {
        cli.ui.note("Nothing has ended yet");
        return Ok(ExitCode::Done);
    }
    match cli.ui.width() {
        Some(width) if width < NARROW => figures.iter().for_each(|one| stacked(cli, one, width)),
        _ => table(cli, &figures),
    }
    if is_more {
        cli.ui.note(format!(
            "Of the newest {}",
            render::counted(rows.len() as u64, "operation")
        ));
    }
    Ok(ExitCode::Done)
}

fn table(cli: &Cli, figures: &[Figures]) {
    let headings = [
        "Operation",
        "Count",
        "Wait p50",
        "p95",
        "Hold p50",
        "p95",
        "Ended otherwise",
    ];
    let mut table = Table::new(Frame::Open, headings);
    for figure in figures {
        let [wait_50, wait_95] = cells(figure.wait_ms);
        let [hold_50, hold_95] = cells(figure.hold_ms);
        table.row([
            figure.title.clone(),
            figure.operations.to_string(),
            wait_50,
            wait_95,
            hold_50,
            hold_95,
            figure.otherwise(),
        ]);
    }
    cli.ui.table(&table);
}

/// An operation's figures as a few lines, none wider than `width`.
fn stacked(cli: &Cli, figure: &Figures, width: usize) {
    let mut lines = vec![format!("{} ({})", figure.title, figure.operations)];
    for (name, spread) in [("wait", figure.wait_ms), ("hold", figure.hold_ms)] {
        if spread.is_some() {
            let [half, most] = cells(spread);
            lines.push(format!("  {name} p50 {half}, p95 {most}"));
        }
    }
    let otherwise = figure.otherwise();
    if !otherwise.is_empty() {
        lines.push(format!("  {otherwise}"));
    }
    for line in lines {
        cli.ui.line(render::truncated(&line, width, cli.ui.signs()));
    }
}

impl Figures {
    /// "1 forced, 2 timed out": how those ended that were not released.
    fn otherwise(&self) -> String {
        let others = self.outcomes.iter().filter(|(word, _)| *word != "released");
        let others: Vec<String> = others
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        others.join(", ")
    }
}

fn cells(spread: Option<Spread>) -> [String; 2] {
    spread.map_or_else(Default::default, |spread| {
        [span(spread.p50), span(spread.p95)]
    })
}

/// A span of milliseconds in as little room as possible: "3 ms", "1.2 s", "2m 5s".
pub(in crate::cli) fn span(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => render::age(std::time::Duration::from_millis(ms.unsigned_abs())),
    }
}

fn figures(rows: &[Span]) -> Vec<Figures> {
    let mut by_reason: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for row in rows {
        by_reason.entry(&row.reason).or_default().push(row);
    }
    let mut figures: Vec<Figures> = by_reason
        .into_iter()
        .map(|(reason, rows)| of(reason, &rows))
        .collect();
    figures.sort_by_key(|one| std::cmp::Reverse(one.operations));
    figures
}

fn of(reason: &str, rows: &[&Span]) -> Figures {
    let waits = rows.iter().filter_map(|row| {
        // Wall time may have been set back in between.
        Some((row.granted_at? - row.queued_at).max(0))
    });
    let released = rows
        .iter()
        .filter(|row| row.outcome.as_deref() == Some("released"));
    let holds = released.filter_map(|row| Some((row.ended_at? - row.granted_at?).max(0)));
    let mut outcomes = BTreeMap::new();
    for row in rows {
        let word = row.outcome.as_deref().unwrap_or("running");
        *outcomes.entry(word.to_owned()).or_default() += 1;
    }
    Figures {
        reason: reason.to_owned(),
        title: operation::title_of(reason).to_owned(),
        operations: rows.len(),
        wait_ms: spread(waits.collect()),
        hold_ms: spread(holds.collect()),
        outcomes,
    }
}

/// By nearest rank: the smallest value that so many of a hundred do not exceed.
fn spread(mut values: Vec<i64>) -> Option<Spread> {
    values.sort_unstable();
    let max = *values.last()?;
    let rank = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
    Some(Spread {
        count: values.len(),
        p50: rank(50),
        p95: rank(95),
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::{Spread, span, spread};

    #[test]
    fn a_spread_is_of_values_that_were_there() {
        assert_eq!(spread(vec![]), None);
        for (values, p50, p95, max) in [
            (vec![7], 7, 7, 7),
            (vec![2, 1], 1, 2, 2),
            ((1..=100).rev().collect(), 50, 95, 100),
            ((1..=20).collect(), 10, 19, 20),
        ] {
            let count = values.len();
            let expected = Spread {
                count,
                p50,
                p95,
                max,
            };
            assert_eq!(spread(values), Some(expected));
        }
    }

    #[test]
    fn spans_take_little_room() {
        for (ms, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (59_999, "59.9 s"),
            (125_000, "2m 5s"),
        ] {
            assert_eq!(span(ms), shown);
        }
    }
}
