//! This machine: the state directory's file system and permissions, what the living processes use,
//! and the room that is left.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{count, seen, some_of};
use crate::doctor::Scene;
use crate::doctor::age::{in_words, seconds_between};
use crate::doctor::report::{CheckState, Issue, Kind, Metrics, Report, Severity};
use crate::platform::fs_type::{self, FsType};
use crate::platform::process;
use crate::store;

/// Whole megabytes, rounded.
pub(super) fn megabytes(bytes: u64) -> u64 {
    bytes.saturating_add(1 << 19) >> 20
}

pub(in crate::doctor) fn file_system(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "File System";
    let dir = &scene.place.dir;
    let before = report.issues.len();
    let mut broken = |severity, what: String, advice: &str, evidence: String| {
        let issue = Issue::new(Kind::FileSystem, severity, what);
        report.find(issue.suggest(advice).seen_by(evidence));
    };
    let kind = match fs_type::of(dir) {
        Ok(FsType::Local(kind)) => kind.to_owned(),
        Ok(FsType::Shared(kind)) => {
            let what = format!(
                "{} is on {kind}, where SQLite's WAL corrupts",
                dir.display()
            );
            let advice = "move the project, or PLANDEX_DIR, to a local disk";
            broken(Severity::Error, what, advice, format!("statfs says {kind}"));
            kind.to_owned()
        }
        // The database opens on such a file system only after a trial with two processes.
        Ok(FsType::Unknown(magic)) => format!("unknown (0x{magic:X}), tried when it was opened"),
        Err(error) => {
            let what = format!("{} cannot be looked at", dir.display());
            let advice = "check that it is there, and who may read it";
            broken(Severity::Error, what, advice, format!("{error:#}"));
            "unknown".to_owned()
        }
    };
    let problems = untidy(dir);
    if !problems.is_empty() {
        let what = "The state directory is not as plandex made it";
        let actions: Vec<String> = problems.iter().map(Untidy::action).collect();
        let found: Vec<String> = problems.iter().map(Untidy::finding).collect();
        report.find(
            Issue::new(Kind::FileSystem, Severity::Warning, what)
                .seen_by(some_of(&found))
                .fixed_by(actions.join(", ")),
        );
    }
    report.check(NAME, report.state_since(before), kind);
}

/// Something about the state directory that can be put right.
pub(in crate::doctor) enum Untidy {
    /// Others than its owner may read or write this path; it should have this mode.
    Open(PathBuf, u32),
    /// This directory is missing.
    Missing(PathBuf),
}

impl Untidy {
    pub(in crate::doctor) fn action(&self) -> String {
        match self {
            Self::Open(path, mode) => format!("set {} to mode {mode:o}", path.display()),
            Self::Missing(path) => format!("create {}", path.display()),
        }
    }

    fn finding(&self) -> String {
        match self {
            Self::Open(path, _) => format!("others may get at {}", path.display()),
            Self::Missing(path) => format!("{} is missing", path.display()),
        }
    }
}

/// What is not as `new` made it: the directory and the database are the user's alone, and the
/// directories that every operation needs are there. Looks by stat alone.
pub(in crate::doctor) fn untidy(dir: &Path) -> Vec<Untidy> {
    let modes = store::FILES.map(|name| (name, 0o600));
    let open = modes
        .into_iter()
        .chain([("", 0o700)])
        .filter_map(|(name, mode)| {
            let path = if name.is_empty() {
                dir.to_owned()
            } else {
                dir.join(name)
            };
            let found = std::fs::metadata(&path).ok()?.permissions().mode();
            (found & 0o077 != 0).then_some(Untidy::Open(path, mode))
        });
    let missing = ["plans", "owners", "apply"]
        .into_iter()
        .map(|name| dir.join(name))
        .filter(|path| dir.is_dir() && !path.is_dir())
        .map(Untidy::Missing);
    open.chain(missing).collect()
}

/// Memory, and with it all that is summed over the living owners: of doctor alone it says nothing.
pub(in crate::doctor) fn memory(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Memory Usage";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let working = working(&seen.owners.processes);
    let bytes = working.iter().map(|process| process.bytes).sum();
    let used = megabytes(bytes);
    let born = seen.owners.living.iter().filter_map(|id| born_ms(id)).min();
    let uptime = born.map_or(0, |born| seconds_between(born, scene.now_ms));
    report.metrics = Some(Metrics {
        uptime: in_words(uptime),
        goroutine_count: working.iter().map(|process| process.threads).sum(),
        memory_usage_mb: used,
        active_streams: seen.owners.running_streams as u64,
        queued_operations: seen.owners.waiting as u64,
    });
    let before = report.issues.len();
    if bytes > scene.limits.memory {
        let pids: Vec<String> = working
            .iter()
            .map(|process| format!("pid {}: {}MB", process.pid, megabytes(process.bytes)))
            .collect();
        let limit = megabytes(scene.limits.memory);
        let what = format!("The running plandex processes use {used}MB, more than {limit}MB");
        report.find(
            Issue::new(Kind::HighMemory, Severity::Warning, what)
                .suggest("`plandex ps` shows what they do; `plandex stop` ends an operation")
                .seen_by(some_of(&pids)),
        );
    }
    let message = format!("{used}MB{}", of_processes(working.len()));
    report.check(NAME, report.state_since(before), message);
}

pub(in crate::doctor) fn threads(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Threads";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let working = working(&seen.owners.processes);
    let threads: u64 = working.iter().map(|process| process.threads).sum();
    let message = format!("{threads}{}", of_processes(working.len()));
    report.check(NAME, CheckState::Ok, message);
}

fn of_processes(number: usize) -> String {
    match number {
        0 => " (no process is at work)".to_owned(),
        1 => String::new(),
        many => format!(" ({})", count(many, "process", "processes")),
    }
}

struct Working {
    pid: u32,
    threads: u64,
    bytes: u64,
}

/// The processes that are still those that took the tickets.
fn working(processes: &BTreeSet<(u32, i64)>) -> Vec<Working> {
    let look = |(pid, start): &(u32, i64)| {
        let stat = process::stat(*pid).filter(|stat| stat.start_ticks == *start)?;
        Some(Working {
            pid: *pid,
            threads: stat.threads,
            bytes: process::resident_bytes(*pid)?,
        })
    };
    processes.iter().filter_map(look).collect()
}

/// When the owner was born: its id is a UUIDv7, which begins with the time.
fn born_ms(owner_id: &str) -> Option<i64> {
    let time = uuid::Uuid::try_parse(owner_id).ok()?.get_timestamp()?;
    let (seconds, nanos) = time.to_unix();
    let ms = seconds.checked_mul(1000)? + u64::from(nanos) / 1_000_000;
    i64::try_from(ms).ok()
}

pub(in crate::doctor) fn disk(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Disk Space";
    let (low, too_low) = scene.limits.free;
    let before = report.issues.len();
    let mut least: Option<u64> = None;
    let (dir, root) = (&scene.place.dir, &scene.place.root);
    for (path, whose) in [(dir, "the plans"), (root, "the project")] {
        let Ok(free) = fs_type::free_bytes(path) else {
            continue;
        };
        // Both are on one disk as a rule, which is then said once.
        if free < low && least != Some(free) {
            let severity = if free < too_low {
                Severity::Error
            } else {
                Severity::Warning
            };
            let size = megabytes(free);
            let what = format!("Only {size}MB are left on the disk of {whose}");
            report.find(
                Issue::new(Kind::DiskSpace, severity, what)
                    .suggest("free some space; what plandex has acknowledged is safe")
                    .seen_by(format!("{}: {free} bytes free", path.display())),
            );
        }
        least = Some(least.map_or(free, |known| known.min(free)));
    }
    match least {
        Some(free) => {
            let message = format!("{}MB free", megabytes(free));
            report.check(NAME, report.state_since(before), message);
        }
        None => report.check(NAME, CheckState::Warning, "cannot be asked for"),
    }
}
