//! A film as one picture that moves, without a script: each row is there from when to when.

use std::fmt::Write as _;

use super::film::{COLUMNS, Film, ROWS, Row};

/// A character's width and a row's height.
const CELL: (f64, f64) = (7.8, 18.0);
const PADDING: f64 = 14.0;
const BAR: f64 = 30.0;
const GAP: f64 = 16.0;

const STYLE: &str = "\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
fill:#d8dee9;white-space:pre}\
.title{fill:#8b94a5}.red{fill:#f2777a}.green{fill:#99d08c}.yellow{fill:#f0c674}.cyan{fill:#7fcfd6}\
.bold{font-weight:bold}.dim{fill-opacity:.65}";

pub(super) fn draw(film: &Film) -> String {
    let pane_width = f64::from(COLUMNS) * CELL.0 + 2.0 * PADDING;
    let height = BAR + f64::from(ROWS) * CELL.1 + PADDING;
    let width = 2.0 * pane_width + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>Two terminals: an apply waits for a tell, and then goes on</title>\n\
         <style>{STYLE}</style>\n"
    );
    for pane in 0..2 {
        let left = if pane == 0 { 0.0 } else { pane_width + GAP };
        let middle = pane_width / 2.0;
        write!(
            svg,
            "<g transform=\"translate({left:.1} 0)\">\n\
             <rect x=\".5\" y=\".5\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\" fill=\"#1d222b\" \
             stroke=\"#4c566a\"/>\n",
            pane_width - 1.0,
            height - 1.0
        )
        .unwrap();
        for (number, colour) in ["#f2777a", "#f0c674", "#99d08c"].iter().enumerate() {
            let x = 18 + 18 * number;
            writeln!(
                svg,
                "<circle cx=\"{x}\" cy=\"15\" r=\"5\" fill=\"{colour}\"/>"
            )
            .unwrap();
        }
        writeln!(
            svg,
            "<text class=\"title\" x=\"{middle:.1}\" y=\"19\" text-anchor=\"middle\">terminal {}</text>",
            pane + 1
        )
        .unwrap();
        for row in 0..usize::from(ROWS) {
            draw_row(&mut svg, film, pane, row);
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Everything that stands in one row, one after the other.
fn draw_row(svg: &mut String, film: &Film, pane: usize, row: usize) {
    let at = |frame: usize| &film.frames[frame].panes[pane][row];
    let mut from = 0;
    while from < film.frames.len() {
        let same = (from..film.frames.len()).take_while(|frame| at(*frame) == at(from));
        let to = from + same.count();
        if !at(from).is_empty() {
            let is_still = (from..to).contains(&film.still);
            let ends = film.frames.get(to).map(|frame| frame.at_ms);
            let times = (film.frames[from].at_ms, ends);
            text(svg, at(from), row, is_still, &animation(film, times));
        }
        from = to;
    }
}

fn animation(film: &Film, (from, to): (u32, Option<u32>)) -> String {
    let share = |ms: u32| format!("{:.4}", f64::from(ms) / f64::from(film.length_ms));
    let (values, times) = match (from, to) {
        (0, None) => return String::new(),
        (0, Some(to)) => ("visible;hidden", format!("0;{}", share(to))),
        (from, None) => ("hidden;visible", format!("0;{}", share(from))),
        (from, Some(to)) => (
            "hidden;visible;hidden",
            format!("0;{};{}", share(from), share(to)),
        ),
    };
    format!(
        "<animate attributeName=\"visibility\" calcMode=\"discrete\" dur=\"{:.2}s\" \
         repeatCount=\"indefinite\" values=\"{values}\" keyTimes=\"{times}\"/>",
        f64::from(film.length_ms) / 1000.0
    )
}

fn text(svg: &mut String, runs: &Row, row: usize, is_still: bool, animation: &str) {
    let y = BAR + CELL.1 * (row as f64 + 0.8);
    let hidden = if is_still {
        ""
    } else {
        " visibility=\"hidden\""
    };
    write!(svg, "<text y=\"{y:.1}\" xml:space=\"preserve\"{hidden}>").unwrap();
    for run in runs {
        let blanks = run.text.chars().take_while(|c| *c == ' ').count();
        let shown = run.text.trim_start();
        let x = PADDING + CELL.0 * (f64::from(run.column) + blanks as f64);
        // Whatever font there is, the columns stand below each other.
        let length = CELL.0 * shown.chars().count() as f64;
        let class = match run.style.join(" ") {
            style if style.is_empty() => style,
            style => format!(" class=\"{style}\""),
        };
        let shown = shown
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        write!(
            svg,
            "<tspan x=\"{x:.1}\" textLength=\"{length:.1}\"{class}>{shown}</tspan>"
        )
        .unwrap();
    }
    writeln!(svg, "{animation}</text>").unwrap();
}
