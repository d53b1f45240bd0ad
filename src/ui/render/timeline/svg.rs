//! The drawing itself.

use std::fmt::Write as _;
use std::time::Duration;

use super::lanes::{self, Bar, Lane, Scale};
use super::{ENDS, End, MARK, Operation, Timeline, axis, xml};
use crate::ui::render::{age, counted, truncated};
use crate::ui::style::UNICODE;

const WIDTH: f64 = 1240.0;
const MARGIN: f64 = 16.0;
/// Left of the bars, for the names of processes.
const GUTTER: f64 = 300.0;
/// So many rows may have a band and a name at the left each; more share bands.
const STACKED_MOST: usize = 40;
/// The width of one character of a name, in its font size.
const CHARACTER: f64 = 0.61;
/// Names are this long at most, in characters.
const NAME_GUTTER: usize = 42;
const NAME_INSIDE: usize = 18;
/// Above the first row: title, legend, axis.
const HEAD: f64 = 108.0;
const FOOT: f64 = 36.0;
/// At most so many marks on the axis.
const TICKS: i64 = 9;

/// How everything is laid out.
struct Plan {
    scale: Scale,
    lanes: Vec<Lane>,
    rows: usize,
    row_height: f64,
    is_stacked: bool,
}

impl Plan {
    /// Bands of their own for a few processes, or for many that are busy from edge to edge; shared
    /// ones for many that come and go.
    fn new(timeline: &Timeline) -> Self {
        let stacked = Self::stacked(timeline);
        if stacked.lanes.len() <= STACKED_MOST {
            return stacked;
        }
        let packed = Self::packed(timeline, &stacked);
        if packed.rows * 4 <= stacked.rows * 3 {
            packed
        } else {
            stacked
        }
    }

    fn stacked(timeline: &Timeline) -> Self {
        let spans = timeline
            .operations
            .iter()
            .map(|one| one.span(timeline.until));
        let first = spans.map(|span| span.0).min().unwrap_or(timeline.from);
        let scale = Scale {
            from: first.max(timeline.from).min(timeline.until - 1),
            until: timeline.until,
            left: GUTTER,
            width: WIDTH - GUTTER - MARGIN,
        };
        let mut lanes = lanes::lanes(timeline, &scale);
        let rows = lanes::stack(&mut lanes, MARGIN, WIDTH - MARGIN);
        Self {
            scale,
            lanes,
            rows,
            row_height: match rows {
                0..=12 => 28.0,
                13..=60 => 20.0,
                _ => 16.0,
            },
            is_stacked: true,
        }
    }

    fn packed(timeline: &Timeline, stacked: &Self) -> Self {
        let scale = Scale {
            left: MARGIN,
            width: WIDTH - 2.0 * MARGIN,
            ..stacked.scale
        };
        let row_height = 18.0;
        let mut lanes = lanes::lanes(timeline, &scale);
        let edges = (scale.left, scale.right());
        let rows = lanes::pack(&mut lanes, edges, |lane| {
            let name = inside_name(timeline, lane);
            let characters = u32::try_from(name.chars().count()).unwrap_or(u32::MAX);
            f64::from(characters) * CHARACTER * font(row_height) + 6.0
        });
        Self {
            scale,
            lanes,
            rows,
            row_height,
            is_stacked: false,
        }
    }

    fn y(&self, row: usize) -> f64 {
        HEAD + f64::from(u32::try_from(row).unwrap_or(u32::MAX)) * self.row_height
    }

    fn height(&self) -> f64 {
        self.y(self.rows.max(1)) + FOOT
    }
}

/// The font size of names in rows of this height.
fn font(row_height: f64) -> f64 {
    (row_height * 0.62).clamp(8.0, 12.0)
}

/// The picture as SVG.
pub fn svg(timeline: &Timeline) -> String {
    format!("{MARK}\n{}", drawing(timeline))
}

/// The picture as a page, with the operations as a table below it.
pub fn html(timeline: &Timeline) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n{MARK}\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>{}</title>\
         <style>body{{font:14px/1.4 system-ui,sans-serif;margin:1em;background:#fff;color:#1e293b}}\
         svg{{max-width:100%;height:auto}}table{{border-collapse:collapse;margin-top:1em}}\
         td,th{{text-align:left;padding:.2em .7em;border-bottom:1px solid #e2e8f0;\
         vertical-align:top}}td:last-child{{font-family:ui-monospace,monospace}}</style></head>\
         <body>\n{}\n<details><summary>{}</summary><table><tr><th>Ticket</th><th>Plan</th>\
         <th>Operation</th><th>Queued</th><th>Waited</th><th>Held</th><th>Ended</th>\
         <th>Process</th></tr>\n",
        xml(&timeline.title),
        drawing(timeline),
        counted_operations(timeline.operations.len()),
    );
    let mut rows: Vec<&Operation> = timeline.operations.iter().collect();
    rows.sort_by_key(|one| (one.queued_at, one.ticket));
    for one in rows {
        let spans = Spans::of(one, timeline.until);
        let cells = [
            one.ticket.to_string(),
            one.plan.clone(),
            one.title.clone(),
            axis::time(one.queued_at, "%Y-%m-%d %H:%M:%S%.3f", &timeline.zone),
            span(spans.waited),
            spans.held.map(span).unwrap_or_default(),
            ended(one),
            process(one),
        ];
        page.push_str("<tr>");
        for cell in cells {
            write!(page, "<td>{}</td>", xml(&cell)).ok();
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></details>\n</body></html>\n");
    page
}

fn drawing(timeline: &Timeline) -> String {
    let plan = Plan::new(timeline);
    let (height, title) = (plan.height(), xml(&timeline.title));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\" \
         font-family=\"system-ui,'DejaVu Sans',sans-serif\" font-size=\"12\" fill=\"#1e293b\">\n\
         <title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    head(&mut out, timeline, &plan);
    legend(&mut out, timeline);
    if timeline.operations.is_empty() {
        let y = plan.y(0) + 18.0;
        writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"{y}\">Nothing happened</text>"
        )
        .ok();
    }
    for (number, lane) in plan.lanes.iter().enumerate() {
        band(&mut out, timeline, &plan, lane, number);
    }
    grid(&mut out, timeline, &plan);
    for lane in &plan.lanes {
        name(&mut out, timeline, &plan, lane);
        for bar in &lane.bars {
            draw(&mut out, timeline, &plan, lane, bar);
        }
    }
    out.push_str("</svg>");
    out
}

fn head(out: &mut String, timeline: &Timeline, plan: &Plan) {
    let day = |at| axis::time(at, "%Y-%m-%d %H:%M:%S", &timeline.zone);
    let zone = axis::time(plan.scale.until, "%z", &timeline.zone);
    let processes = counted(plan.lanes.len() as u64, "process").replace("processs", "processes");
    let mut words = format!(
        "{} to {} (UTC{zone}), {} of {processes}",
        day(plan.scale.from),
        day(plan.scale.until),
        counted_operations(timeline.operations.len()),
    );
    if timeline.is_more {
        words.push_str("; earlier ones are left out");
    }
    writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"26\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
         <text x=\"{MARGIN}\" y=\"46\" fill=\"#475569\">{}</text>",
        xml(&truncated(&timeline.title, 120, &UNICODE)),
        xml(&words)
    )
    .ok();
}

/// The forms of the bars, and the colours of those ends that there are.
fn legend(out: &mut String, timeline: &Timeline) {
    let mut x = MARGIN;
    let mut entry = |shape: &str, words: &str| {
        writeln!(
            out,
            "<g transform=\"translate({x},56)\">{shape}<text x=\"28\" y=\"13\" \
             fill=\"#475569\">{words}</text></g>"
        )
        .ok();
        x += 44.0 + 6.6 * f64::from(u32::try_from(words.len()).unwrap_or(0));
    };
    let wait = "<rect y=\"7\" width=\"22\" height=\"4\" fill=\"#cbd5e1\"/>";
    entry(wait, "waited");
    for (height, words) in [(14, "wrote"), (7, "read")] {
        let y = 9.0 - f64::from(height) / 2.0;
        let shape = format!(
            "<rect y=\"{y}\" width=\"22\" height=\"{height}\" fill=\"none\" stroke=\"#475569\"/>"
        );
        entry(&shape, words);
    }
    for end in ENDS {
        if timeline.operations.iter().any(|one| one.end == end) {
            let shape = format!(
                "<rect x=\"6\" y=\"2\" width=\"14\" height=\"14\" rx=\"2\" fill=\"{}\"/>",
                end.colour()
            );
            entry(&shape, end.word().0);
        }
    }
}

fn band(out: &mut String, timeline: &Timeline, plan: &Plan, lane: &Lane, number: usize) {
    let fill = match (plan.is_stacked, number % 2) {
        (true, 0) => "#f8fafc",
        (true, _) => "#eef2f7",
        (false, _) => "#f1f5f9",
    };
    let operation = &timeline.operations[lane.bars[0].operation];
    writeln!(
        out,
        "<rect class=\"lane\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" \
         fill=\"{fill}\" data-pid=\"{}\"/>",
        lane.from,
        plan.y(lane.row) + 1.0,
        lane.to - lane.from,
        f64::from(u32::try_from(lane.rows).unwrap_or(u32::MAX)) * plan.row_height - 2.0,
        operation.pid,
    )
    .ok();
}

fn grid(out: &mut String, timeline: &Timeline, plan: &Plan) {
    let (top, bottom) = (HEAD - 6.0, plan.height() - FOOT + 6.0);
    for tick in axis::ticks(plan.scale.from, plan.scale.until, TICKS, &timeline.zone) {
        let x = plan.scale.x(tick.at);
        // A label never leaves the picture.
        let anchor = if x > WIDTH - 50.0 {
            "end"
        } else if x < 40.0 {
            "start"
        } else {
            "middle"
        };
        let label = xml(&tick.label);
        writeln!(
            out,
            "<g class=\"tick\" data-at=\"{}\"><line x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"{top}\" \
             y2=\"{bottom}\" stroke=\"#cbd5e1\" stroke-width=\"1\" stroke-dasharray=\"2 3\"/>\
             <text x=\"{x:.2}\" y=\"{:.2}\" font-size=\"11\" text-anchor=\"{anchor}\" \
             fill=\"#475569\">{label}</text>\
             <text x=\"{x:.2}\" y=\"{:.2}\" font-size=\"11\" text-anchor=\"{anchor}\" \
             fill=\"#475569\">{label}</text></g>",
            tick.at,
            top - 4.0,
            bottom + 14.0,
        )
        .ok();
    }
}

/// The name of a lane: at the left of the picture, or behind its bars, or before them.
fn name(out: &mut String, timeline: &Timeline, plan: &Plan, lane: &Lane) {
    let size = font(plan.row_height);
    let y = plan.y(lane.row) + plan.row_height / 2.0 + size * 0.36;
    let is_behind = lane.end() + 1.0 < lane.to;
    let (x, shown) = if plan.is_stacked {
        let operation = &timeline.operations[lane.bars[0].operation];
        (
            MARGIN + 4.0,
            truncated(&process(operation), NAME_GUTTER, &UNICODE),
        )
    } else if is_behind {
        (lane.end() + 3.0, inside_name(timeline, lane))
    } else {
        (lane.from + 3.0, inside_name(timeline, lane))
    };
    writeln!(
        out,
        "<text class=\"name\" x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size:.1}\" \
         font-family=\"ui-monospace,'DejaVu Sans Mono',monospace\">{}</text>",
        xml(&shown)
    )
    .ok();
}

fn draw(out: &mut String, timeline: &Timeline, plan: &Plan, lane: &Lane, bar: &Bar) {
    let operation = &timeline.operations[bar.operation];
    let middle = plan.y(lane.row + bar.row) + plan.row_height / 2.0;
    let (word, class) = operation.end.word();
    // What waits has no row in the audit: only those that have are bars of it.
    let (kind, number) = match operation.audit {
        Some(id) => ("bar", format!(" data-audit=\"{id}\"")),
        None => ("waiting", String::new()),
    };
    write!(
        out,
        "<g class=\"{kind} {class}\"{number} data-ticket=\"{}\"><title>{}</title>",
        operation.ticket,
        tooltip(operation, timeline)
    )
    .ok();
    let mut part = |class: &str, from: f64, to: f64, share: f64, fill: &str| {
        let height = plan.row_height * share;
        write!(
            out,
            "<rect class=\"{class}\" x=\"{from:.2}\" y=\"{:.2}\" width=\"{:.2}\" \
             height=\"{height:.2}\" fill=\"{fill}\"/>",
            middle - height / 2.0,
            to - from,
        )
        .ok();
    };
    let colour = operation.end.colour();
    if operation.granted_at.is_some() {
        if bar.granted > bar.from {
            part("wait", bar.from, bar.granted, 0.2, "#b6c2d2");
        }
        let share = if operation.is_write { 0.68 } else { 0.36 };
        part("hold", bar.granted, bar.to, share, colour);
        let size = font(plan.row_height) - 1.0;
        let room = bar.to - bar.granted - 8.0;
        let shown = if matches!(operation.end, End::Released | End::Holds) {
            operation.title.clone()
        } else {
            format!("{} ({word})", operation.title)
        };
        let width = f64::from(u32::try_from(shown.chars().count()).unwrap_or(u32::MAX));
        if operation.is_write && width * size * CHARACTER <= room {
            write!(
                out,
                "<text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{size:.1}\" fill=\"#ffffff\">{}</text>",
                bar.granted + 4.0,
                middle + size * 0.36,
                xml(&shown)
            )
            .ok();
        }
    } else {
        // A wait that came to nothing ends in a mark of its end's colour.
        let mark = bar.from.max(bar.to - 5.0);
        if mark > bar.from {
            part("wait", bar.from, mark, 0.2, "#b6c2d2");
        }
        part("mark", mark, bar.to, 0.68, colour);
    }
    out.push_str("</g>\n");
}

fn inside_name(timeline: &Timeline, lane: &Lane) -> String {
    let operation = &timeline.operations[lane.bars[0].operation];
    let command = operation.command.as_str();
    let who = match operation.actor.as_str() {
        "" => command.strip_prefix("plandex ").unwrap_or(command),
        actor => actor,
    };
    truncated(&format!("{} {who}", operation.pid), NAME_INSIDE, &UNICODE)
}

/// "ann 4711 plandex tell x".
fn process(operation: &Operation) -> String {
    let Operation {
        actor,
        pid,
        command,
        ..
    } = operation;
    if actor.is_empty() {
        format!("{pid} {command}")
    } else {
        format!("{actor} {pid} {command}")
    }
}

/// How long it waited and held, in milliseconds.
struct Spans {
    waited: i64,
    held: Option<i64>,
}

impl Spans {
    fn of(operation: &Operation, until: i64) -> Self {
        let (_, end) = operation.span(until);
        let turn = operation.granted_at.unwrap_or(end);
        Self {
            waited: (turn - operation.queued_at).max(0),
            held: operation.granted_at.map(|at| (end - at).max(0)),
        }
    }
}

fn span(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{:03} s", ms / 1_000, ms % 1_000),
        _ => age(Duration::from_millis(ms.unsigned_abs())),
    }
}

fn ended(operation: &Operation) -> String {
    let word = operation.end.word().0;
    match &operation.ended_by {
        Some(by) => format!("{word} by {by}"),
        None => word.to_owned(),
    }
}

/// What a pointer over a bar shows: lines that are escaped one by one.
fn tooltip(operation: &Operation, timeline: &Timeline) -> String {
    let at = |at| axis::time(at, "%Y-%m-%d %H:%M:%S%.3f", &timeline.zone);
    let spans = Spans::of(operation, timeline.until);
    let scope = if operation.is_write {
        "writes"
    } else {
        "reads"
    };
    let branch = operation.branch.as_deref();
    let on = branch.map_or(String::new(), |branch| format!(", branch {branch}"));
    let mut lines = vec![
        format!("{} ({scope} plan {}{on})", operation.title, operation.plan),
        process(operation),
        format!(
            "ticket {}, queued {}",
            operation.ticket,
            at(operation.queued_at)
        ),
        format!("waited {}", span(spans.waited)),
    ];
    if let (Some(granted), Some(held)) = (operation.granted_at, spans.held) {
        lines.push(format!("granted {}, held {}", at(granted), span(held)));
    }
    let when = operation
        .ended_at
        .map_or(String::new(), |ended| format!(" {}", at(ended)));
    lines.push(format!("{}{when}", ended(operation)));
    let lines: Vec<String> = lines.iter().map(|line| xml(line)).collect();
    lines.join("\n")
}

fn counted_operations(count: usize) -> String {
    counted(count as u64, "operation")
}
