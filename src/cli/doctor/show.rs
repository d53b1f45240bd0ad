//! The report on the terminal, or as JSON.

use serde::Serialize;

use crate::cli::session::{Cli, SCHEMA_VERSION};
use crate::doctor::{self, Fix, Line, Report, Verbosity};
use crate::ui::{Frame, Style, Table, Text};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn show(cli: &Cli, report: &Report, fix: Fix) {
    if cli.json {
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            report,
        });
        return;
    }
    let verbosity = match (cli.verbosity(), cli.ui.is_quiet()) {
        (1.., _) => Verbosity::Verbose,
        (0, true) => Verbosity::Quiet,
        (0, false) => Verbosity::Normal,
    };
    print(cli, doctor::render(report, verbosity, fix));
}

/// What came of a repair, for somebody who has just read the rest.
pub(super) fn outcome(cli: &Cli, report: &Report) {
    print(cli, doctor::render_outcome(report));
}

fn print(cli: &Cli, lines: Vec<Line>) {
    let mut table: Option<Table> = None;
    for line in lines {
        match line {
            Line::Row(cells) => match &mut table {
                Some(table) => {
                    table.row(cells);
                }
                None => table = Some(Table::new(Frame::Boxed, cells.iter().map(String::as_str))),
            },
            Line::Text(style, text) => {
                if let Some(table) = table.take() {
                    cli.ui.table(&table);
                }
                cli.ui.line(styled(cli, style, &text));
            }
        }
    }
    if let Some(table) = table {
        cli.ui.table(&table);
    }
}

/// The text in its colour; its mark is one that this locale can show.
fn styled(cli: &Cli, style: doctor::Style, text: &str) -> Text {
    let signs = cli.ui.signs();
    let text = ["\u{2713}", "\u{26a0}", "\u{2717}"]
        .into_iter()
        .zip([signs.ok, signs.warning, signs.failed])
        .find_map(|(mark, sign)| text.strip_prefix(mark).map(|rest| format!("{sign}{rest}")))
        .unwrap_or_else(|| text.to_owned());
    let style = match style {
        doctor::Style::Plain => Style::Plain,
        doctor::Style::Title => Style::Bold,
        doctor::Style::Ok => Style::Green,
        doctor::Style::Warning => Style::Yellow,
        doctor::Style::Error => Style::Red,
    };
    Text::styled(style, text)
}
