//! The report as people read it: lines with a style, which the front door prints (SEED.md 8.4, B.5).

use super::Fix;
use super::age::in_words;
use super::report::{Check, CheckState, Issue, Kind, Report, Severity};

/// How a line is coloured, where there is colour. Its mark is in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// The title of a part.
    Title,
    /// Good news.
    Ok,
    /// Something to look at.
    Warning,
    /// Something broken.
    Error,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Text; may be empty.
    Text(Style, String),
    /// A row of a table: rows that follow each other are one table, of which the first is the
    /// head.
    Row(Vec<String>),
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// What is wrong and what was done about it; nothing of what is well.
    Quiet,
    /// What a person needs to decide.
    Normal,
    /// The metrics, the active locks, each issue's suggestion and evidence.
    Verbose,
}

/// The whole text. `fix` says whether the next step is still open (`Look`), was taken (`Repair`),
/// or is to be shown (`DryRun`).
pub fn render(report: &Report, verbosity: Verbosity, fix: Fix) -> Vec<Line> {
    let mut page = Page(Vec::new());
    if verbosity == Verbosity::Quiet {
        checks(report, verbosity, &mut page);
    } else {
        page.text("Checking system health...");
        page.title("Health Checks");
        checks(report, verbosity, &mut page);
    }
    if verbosity == Verbosity::Verbose {
        metrics(report, &mut page);
        active_locks(report, &mut page);
    }
    stale_locks(report, &mut page);
    issues(report, verbosity, fix, &mut page);
    if verbosity != Verbosity::Quiet {
        options(report, verbosity, fix, &mut page);
    }
    outcome(report, &mut page);
    if fix == Fix::DryRun && verbosity != Verbosity::Quiet {
        page.gap();
        page.text("This was a dry run: nothing was changed");
    }
    if report.issues.is_empty() && verbosity != Verbosity::Quiet {
        page.gap();
        page.marked(Style::Ok, "No problems found");
    }
    page.0
}

/// What came of a repair, without the rest: what was done, what is left and remains.
pub fn render_outcome(report: &Report) -> Vec<Line> {
    let mut lines = render(report, Verbosity::Quiet, Fix::Repair);
    if report.issues.is_empty() {
        let mut page = Page(lines);
        page.gap();
        page.marked(Style::Ok, "No problems found");
        lines = page.0;
    }
    lines
}

fn checks(report: &Report, verbosity: Verbosity, page: &mut Page) {
    for check in &report.checks {
        if verbosity != Verbosity::Quiet || check.status != CheckState::Ok {
            page.marked(mark_of(check.status), &line_of(check));
        }
    }
}

/// What `--fix` did and could not do.
fn outcome(report: &Report, page: &mut Page) {
    let parts = [
        ("Fixed", Style::Ok, &report.fixed),
        ("Left", Style::Warning, &report.left),
    ];
    for (title, style, lines) in parts {
        if !lines.is_empty() {
            page.title(title);
            lines.iter().for_each(|line| page.marked(style, line));
        }
    }
    if let Some(copy) = &report.copy {
        page.gap();
        page.text(format!("The database as it was is in {}", copy.display()));
    }
}

/// What a person at a terminal is asked after the text, without ` [y/N]`; `None` if nothing can be
/// repaired.
pub fn question(report: &Report) -> Option<&'static str> {
    let fixable = |issue: &&Issue| issue.action.is_some();
    let mut kinds = report.issues.iter().filter(fixable).map(|issue| issue.kind);
    if !report.is_fixable() {
        return None;
    }
    let only_locks = kinds.all(|kind| matches!(kind, Kind::StaleLock | Kind::OrphanedLock));
    Some(match (only_locks, report.stale_locks.len()) {
        (true, 1) => "Would you like to clean up the stale lock?",
        (true, _) => "Would you like to clean up the stale locks?",
        (false, _) => "Would you like to repair what can be repaired?",
    })
}

struct Page(Vec<Line>);

impl Page {
    fn text(&mut self, text: impl Into<String>) {
        self.0.push(Line::Text(Style::Plain, text.into()));
    }

    fn gap(&mut self) {
        self.text("");
    }

    /// A title between empty lines.
    fn title(&mut self, title: &str) {
        self.gap();
        self.0.push(Line::Text(Style::Title, title.to_owned()));
        self.gap();
    }

    fn marked(&mut self, style: Style, text: &str) {
        let mark = match style {
            Style::Ok => "✓",
            Style::Warning => "⚠",
            Style::Error => "✗",
            Style::Plain | Style::Title => "·",
        };
        self.0.push(Line::Text(style, format!("{mark} {text}")));
    }

    fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.0.push(Line::Row(cells.map(str::to_owned).to_vec()));
    }
}

fn mark_of(state: CheckState) -> Style {
    match state {
        CheckState::Ok => Style::Ok,
        CheckState::Warning => Style::Warning,
        CheckState::Error => Style::Error,
    }
}

fn line_of(check: &Check) -> String {
    let latency = check.latency.map(|ms| format!(" (latency: {ms}ms)"));
    format!(
        "{}: {}{}",
        check.name,
        check.message,
        latency.unwrap_or_default()
    )
}

fn metrics(report: &Report, page: &mut Page) {
    let Some(metrics) = &report.metrics else {
        return;
    };
    page.title("Server Metrics");
    page.text(format!("Uptime: {}", metrics.uptime));
    page.text(format!("Threads: {}", metrics.goroutine_count));
    page.text(format!("Memory: {}MB", metrics.memory_usage_mb));
    page.text(format!("Active streams: {}", metrics.active_streams));
    page.text(format!("Queued operations: {}", metrics.queued_operations));
}

fn active_locks(report: &Report, page: &mut Page) {
    if report.active_locks.is_empty() {
        return;
    }
    page.title("Active Locks");
    page.row(["Plan", "Scope", "Branch", "Holder", "Command", "Since"]);
    for lock in &report.active_locks {
        let holder = lock.holder.as_ref();
        let who = holder.map_or_else(String::new, |holder| {
            let actor = holder.actor.as_ref().map(|actor| format!(" ({actor})"));
            let suspended = if holder.state == "suspended" {
                ", suspended"
            } else {
                ""
            };
            format!("pid {}{}{suspended}", holder.pid, actor.unwrap_or_default())
        });
        let command = holder.map_or("", |holder| &holder.command);
        let held = holder.map_or(0, |holder| holder.held_seconds);
        let since = format!("{} ago", in_words(held));
        let branch = lock.branch.as_deref().unwrap_or("-");
        page.row([&lock.plan_name, &lock.scope, branch, &who, command, &since]);
    }
}

fn stale_locks(report: &Report, page: &mut Page) {
    if report.stale_locks.is_empty() {
        return;
    }
    page.gap();
    page.marked(Style::Warning, "Stale Locks Found");
    page.gap();
    page.row(["Plan", "Scope", "Branch", "Age"]);
    for lock in &report.stale_locks {
        let branch = lock.branch.as_deref().unwrap_or("-");
        page.row([&lock.plan_name, &lock.scope, branch, &lock.age]);
    }
    page.gap();
    page.text("These locks appear to be from crashed operations.");
}

/// The stale locks stand in their table; told again only where there is more to tell of them.
fn issues(report: &Report, verbosity: Verbosity, fix: Fix, page: &mut Page) {
    let in_table = |issue: &Issue| matches!(issue.kind, Kind::StaleLock | Kind::OrphanedLock);
    let in_full = verbosity == Verbosity::Verbose || fix == Fix::DryRun;
    let told: Vec<&Issue> = report
        .issues
        .iter()
        .filter(|issue| in_full || !in_table(issue))
        .collect();
    if told.is_empty() {
        return;
    }
    page.title("Issues Found");
    for issue in told {
        let style = match issue.severity {
            Severity::Info => Style::Plain,
            Severity::Warning => Style::Warning,
            Severity::Error | Severity::Critical => Style::Error,
        };
        page.marked(style, &issue.description);
        let detail = |page: &mut Page, name: &str, text: Option<&String>| {
            if let Some(text) = text {
                page.text(format!("    {name}: {text}"));
            }
        };
        // What --fix leaves to the reader is told at once: it is the next step.
        if in_full || issue.action.is_none() {
            detail(page, "what to do", issue.suggestion.as_ref());
        }
        if in_full {
            detail(page, "seen", issue.evidence.as_ref());
            match &issue.action {
                Some(action) => detail(page, "--fix would", Some(action)),
                None => page.text("    --fix leaves it alone"),
            }
        }
    }
}

/// What can be done now: the three options of the seed where there are stale locks.
fn options(report: &Report, verbosity: Verbosity, fix: Fix, page: &mut Page) {
    let mut choices = Vec::new();
    let has_stale = !report.stale_locks.is_empty();
    if report.is_fixable() && fix != Fix::Repair {
        let what = if has_stale {
            "Clean up stale locks"
        } else {
            "Repair"
        };
        choices.push(format!("{what}: plandex doctor --fix"));
    }
    if !report.issues.is_empty() && verbosity == Verbosity::Normal {
        choices.push("View details: plandex doctor --verbose".to_owned());
    }
    if has_stale {
        let lease = report.lease_seconds.unwrap_or(60);
        choices.push(format!(
            "Wait for locks to expire automatically ({lease} seconds from last heartbeat)"
        ));
    }
    if choices.is_empty() {
        return;
    }
    page.gap();
    page.text("Options:");
    for (number, choice) in (1..).zip(choices) {
        page.text(format!("  {number}. {choice}"));
    }
}
