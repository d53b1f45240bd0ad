//! The database: whether it opens, answers, can be written, is sound, whole and short.

use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::some_of;
use crate::doctor::Scene;
use crate::doctor::report::{Check, CheckState, Issue, Kind, Report, Severity};
use crate::platform::process;
use crate::project::Place;
use crate::store::{self, Connections, Integrity, Store, StoreError, settings, sqlite_version};

/// How long the write gate may be closed before that is a finding.
const GATE_PATIENCE: Duration = Duration::from_secs(5);

/// What to do where the database is lost.
const MAKE_AGAIN: &str = "put it back with `plandex restore FILE --force`, if there is a backup; else \
     `plandex doctor --rebuild` puts the damaged one aside and makes it again from the plans' \
     repositories, which have every version";

/// Opens the database, if there is one. An empty file is none: opening it would fill it.
pub(in crate::doctor) fn open(place: &Place) -> Result<Store> {
    let path = place.dir.join(store::FILES[0]);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == 0) {
        let problem = "it is an empty file".to_owned();
        return Err(StoreError::Damaged { path, problem }.into());
    }
    Store::open(&place.dir, Connections::One)
}

pub(in crate::doctor) fn connection(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Database Connection";
    let store = match &scene.store {
        Ok(store) => store,
        Err(error) => {
            report.check(NAME, CheckState::Error, "cannot be opened");
            return report.find_database(unusable(error));
        }
    };
    let asked = Instant::now();
    let answer = store.read(settings::intervals);
    let latency = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(error) = answer.as_ref().err().or(scene.unreadable.as_ref()) {
        report.check(NAME, CheckState::Error, "cannot be read");
        return report.find_database(unusable(error));
    }
    if let Err(error) = store.check_writable(GATE_PATIENCE) {
        report.check(NAME, CheckState::Error, "cannot be written");
        return report.find_database(unusable(&error));
    }
    report.checks.push(Check {
        name: NAME.to_owned(),
        status: CheckState::Ok,
        message: "Connected".to_owned(),
        latency: Some(latency),
    });
}

/// Why nothing works, and what to do about it. Never mended here: a repair that guesses loses data.
fn unusable(error: &Error) -> Issue {
    let store = error.downcast_ref::<StoreError>();
    let what = store.map_or_else(|| format!("{error:#}"), ToString::to_string);
    let advice = match store {
        Some(StoreError::Missing(_) | StoreError::Damaged { .. }) => MAKE_AGAIN,
        Some(StoreError::TooNew { .. }) => "use the newer plandex; this one leaves it as it is",
        Some(StoreError::Busy(_)) => "end that program, or wait until it is done",
        Some(StoreError::Full(_)) => "free some space; nothing is lost",
        Some(StoreError::UnsafeFileSystem { .. }) => {
            "move the project, or PLANDEX_DIR, to a local disk"
        }
        Some(StoreError::ForeignOwner { .. }) => "run plandex as that user",
        Some(StoreError::OldSqlite(_)) => "build plandex with the SQLite that it brings along",
        Some(StoreError::Replaced(_) | StoreError::Failed(_) | StoreError::LockLost { .. })
        | None => "check the disk, and who may read and write the .plandex directory",
    };
    Issue::new(
        Kind::DbConnection,
        Severity::Critical,
        format!("The database cannot be used: {what}"),
    )
    .suggest(advice)
    .seen_by(format!("{error:#}"))
}

/// The SQLite inside, and whether another one is at the same file: before 3.51.3 it can corrupt a
/// database in use (HAZARDS.md H5).
pub(in crate::doctor) fn sqlite(scene: &Scene<'_>, report: &mut Report) {
    let mut foreign: Vec<String> = Vec::new();
    for pid in process::with_open(&scene.place.dir.join(store::FILES[0])) {
        // A process is called by its thread that was forked, until it runs its own program.
        let name = process::program(pid).or_else(|| process::name(pid));
        let name = name.unwrap_or_default();
        if !name.starts_with("plandex") {
            foreign.push(format!("pid {pid} ({name})"));
        }
    }
    let version = sqlite_version();
    if foreign.is_empty() {
        return report.check("SQLite", CheckState::Ok, version);
    }
    let message = format!(
        "{version}, but {} has the database open too: an SQLite before 3.51.3 can corrupt it",
        foreign.join(", ")
    );
    report.check("SQLite", CheckState::Warning, message);
}

pub(in crate::doctor) fn integrity(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Database Integrity";
    let Ok(store) = &scene.store else {
        let message = "not checked: the database cannot be opened";
        return report.check(NAME, CheckState::Warning, message);
    };
    match store.integrity(Integrity::Quick) {
        Ok(problems) if problems.is_empty() => {
            report.check(NAME, CheckState::Ok, "quick_check found nothing");
        }
        Ok(problems) => {
            report.check(NAME, CheckState::Error, "quick_check found damage");
            let (path, problem) = (store.path(), "quick_check found damage".to_owned());
            let error = StoreError::Damaged { path, problem };
            report.find_database(unusable(&error.into()).seen_by(some_of(&problems)));
        }
        Err(error) => {
            report.check(NAME, CheckState::Error, "quick_check cannot read it");
            report.find_database(unusable(&error));
        }
    }
}

pub(in crate::doctor) fn schema(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Database Schema";
    let Ok(store) = &scene.store else {
        let message = "not checked: the database cannot be opened";
        return report.check(NAME, CheckState::Warning, message);
    };
    let before = report.issues.len();
    match store.missing_in_schema() {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => report.find(lacking(&missing)),
        Err(error) => {
            report.check(NAME, CheckState::Error, "cannot be read");
            return report.find_database(unusable(&error));
        }
    }
    if let Some(seen) = &scene.seen
        && seen.intervals.lease < seen.intervals.heartbeat * 5
    {
        let (lease, heartbeat) = (seen.intervals.lease, seen.intervals.heartbeat);
        report.find(
            Issue::new(
                Kind::Schema,
                Severity::Warning,
                "The lease is shorter than five heartbeats",
            )
            .suggest("set lock.lease and lock.heartbeat back while no operation runs")
            .seen_by(format!(
                "lock.lease is {lease:?}, lock.heartbeat {heartbeat:?}"
            )),
        );
    }
    let message = format!("version {}", crate::store::SCHEMA_VERSION);
    report.check(NAME, report.state_since(before), message);
}

/// What hangs on tables is made again from the schema; what held data is not.
fn lacking(missing: &[String]) -> Issue {
    let what = "The database lacks a part of its schema: somebody changed it from outside";
    let issue = Issue::new(Kind::Schema, Severity::Error, what).seen_by(some_of(missing));
    if missing.iter().any(|part| held_data(part)) {
        issue.suggest(format!("it held data: {MAKE_AGAIN}"))
    } else {
        issue.fixed_by("copy the database aside, then make what is missing again")
    }
}

/// Whether what is missing in the schema held data.
pub(in crate::doctor) fn held_data(part: &str) -> bool {
    part.starts_with("table ") || part.starts_with("column ")
}

/// The length of the write-ahead log, by stat: nobody but SQLite opens it.
pub(in crate::doctor) fn wal(scene: &Scene<'_>, report: &mut Report) {
    let path = scene.place.dir.join(store::FILES[1]);
    let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    let before = report.issues.len();
    let (worth_knowing, too_long) = scene.limits.wal;
    let size = crate::doctor::checks::machine::megabytes(length);
    if length > worth_knowing {
        let severity = if length > too_long {
            Severity::Warning
        } else {
            Severity::Info
        };
        let issue = Issue::new(
            Kind::WalSize,
            severity,
            format!("The write-ahead log is {size}MB long"),
        );
        // What cannot be trusted is not moved into the database.
        let sound = !report.issues.iter().any(|i| i.kind == Kind::DbConnection);
        let issue = issue.seen_by(format!("{} has {length} bytes", path.display()));
        report.find(if sound {
            issue.fixed_by("move it into the database")
        } else {
            issue
        });
    }
    report.check(
        "Write-Ahead Log",
        report.state_since(before),
        format!("{size}MB"),
    );
}
