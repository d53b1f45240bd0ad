//! What is wrong with a project, and what can be done about it.
//!
//! The one hard rule: looking changes nothing. [`examine`] takes no ticket, writes nothing, and
//! turns whatever it cannot read into a finding, so it works on a database that is missing, held,
//! damaged or newer, and beside any number of working processes. Only [`fix`] repairs, and it looks
//! at each finding again inside the transaction that repairs it: what came back to life is left
//! alone.
//!
//! A look at living processes may catch one on its way out. So what looks dead is looked at twice,
//! and only what is dead both times counts (`seen.rs`).

pub mod age;
mod checks;
mod copies;
mod mend;
mod place;
mod rebuild;
mod report;
mod seen;
mod text;

#[cfg(test)]
mod tests;

use anyhow::Result;

pub use mend::{Fixed, Recovery, fix};
pub use place::locate;
pub use rebuild::{NOT_BACK, Rebuilt, is_lost, rebuild_rows, recreate};
pub use report::{
    ActiveLock, Check, CheckState, Holder, Issue, Kind, Metrics, Report, Request, Severity,
    StaleLock,
};
pub use text::{Line, Style, Verbosity, question, render, render_outcome};

use crate::project::{Place, SelectError, find_plan};
use crate::store::Store;
use seen::Seen;

/// What doctor is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Only this plan: its name, its id, or as `cd` takes it. What belongs to no plan is looked at
    /// all the same.
    pub plan: Option<String>,
    /// Whether to repair.
    pub fix: Fix,
}

/// Whether doctor repairs what it finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fix {
    /// It looks; on a terminal it may ask.
    #[default]
    Look,
    /// It repairs.
    Repair,
    /// It says what it would repair.
    DryRun,
}

impl From<Request> for Options {
    fn from(request: Request) -> Self {
        let fix = if request.fix { Fix::Repair } else { Fix::Look };
        Self {
            plan: request.plan_id,
            fix,
        }
    }
}

/// From where on a figure is worth an issue.
#[derive(Debug, Clone)]
struct Limits {
    /// Resident memory of all owners, in bytes.
    memory: u64,
    /// Waiting tickets of one plan.
    waiting: usize,
    /// How long the oldest of them has waited.
    waiting_ms: i64,
    /// How long an operation may take without being known for it.
    long_ms: i64,
    /// What is shorter is never long, however short the others of its kind were.
    long_ms_least: i64,
    /// The WAL's length in bytes: worth knowing, worth a warning.
    wal: (u64, u64),
    /// Free bytes: below, a warning; below, an error.
    free: (u64, u64),
    /// What is younger may belong to a living process.
    leftover_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        Self {
            memory: 1500 << 20,
            waiting: 10,
            waiting_ms: 5 * MINUTE,
            long_ms: 30 * MINUTE,
            long_ms_least: MINUTE / 6,
            wal: (16 << 20, 64 << 20),
            free: (256 << 20, 16 << 20),
            leftover_ms: 10 * MINUTE,
        }
    }
}

/// What the checks look at: gathered once, so that they agree with each other.
struct Scene<'a> {
    place: &'a Place,
    /// The database, or why it cannot be opened.
    store: Result<Store>,
    /// What its tables say; `None` if they cannot be read, which the database check reports.
    seen: Option<Seen>,
    /// Why `seen` is missing, if the database could be opened.
    unreadable: Option<anyhow::Error>,
    limits: Limits,
    /// Wall time of the look.
    now_ms: i64,
}

/// One check: adds its line, and an issue for each thing that is wrong.
type Examination = fn(&Scene<'_>, &mut Report);

/// All checks, in the order people read them.
const CHECKS: [Examination; 15] = [
    checks::database::connection,
    checks::database::sqlite,
    checks::database::integrity,
    checks::database::schema,
    checks::database::wal,
    checks::machine::file_system,
    checks::repositories::of_project,
    checks::repositories::of_plans,
    checks::locks::locks,
    checks::locks::queue,
    checks::runs::interrupted,
    checks::leftovers::leftovers,
    checks::machine::memory,
    checks::machine::threads,
    checks::machine::disk,
];

/// Looks at everything and changes nothing.
///
/// Fails only with [`SelectError`], if there is no such plan as `options` names: everything else
/// that goes wrong is a finding.
pub fn examine(place: &Place, options: &Options) -> Result<Report> {
    examine_within(place, options, Limits::default())
}

fn examine_within(place: &Place, options: &Options, limits: Limits) -> Result<Report> {
    let store = checks::database::open(place);
    let (mut seen, mut unreadable) = (None, None);
    if let Ok(store) = &store {
        match gather(store, options.plan.as_deref()) {
            Ok(found) => seen = Some(found),
            Err(error) if error.is::<SelectError>() => return Err(error),
            Err(error) => unreadable = Some(error),
        }
    }
    let scene = Scene {
        place,
        store,
        seen,
        unreadable,
        limits,
        now_ms: crate::platform::clock::wall_ms(),
    };
    let mut report = Report::default();
    for check in CHECKS {
        check(&scene, &mut report);
    }
    put_database_first(&mut report);
    report.judge();
    Ok(report)
}

/// What cannot be trusted is not written to: a repair that needs the database waits for it.
fn put_database_first(report: &mut Report) {
    if !report.issues.iter().any(|i| i.kind == Kind::DbConnection) {
        return;
    }
    for issue in &mut report.issues {
        if issue.kind != Kind::FileSystem && issue.action.take().is_some() {
            issue.suggestion = Some("put the database right first".to_owned());
        }
    }
}

fn gather(store: &Store, plan: Option<&str>) -> Result<Seen> {
    let plan = plan
        .map(|name| store.read(|tx| find_plan(tx, name)))
        .transpose()?;
    Seen::gather(store, plan.as_ref().map(|plan| plan.id.as_str()))
}
