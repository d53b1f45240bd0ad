//! What dead processes left in the state directory: owner files, temporary files, repositories
//! that no plan knows.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{count, seen, some_of};
use crate::doctor::Scene;
use crate::doctor::report::{Issue, Kind, Report, Severity};
use crate::doctor::seen::Seen;
use crate::lock::owner;
use crate::repo;
use crate::store::{Store, plans};

pub(in crate::doctor) fn leftovers(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Leftovers";
    let (Some(seen), Ok(store)) = (seen(scene, report, NAME), &scene.store) else {
        return;
    };
    let before = report.issues.len();
    let dir = &scene.place.dir;
    // Those that a ticket names are the lock's matter: it goes first.
    let mut owners = owner::leftovers(dir);
    owners.retain(|id| !seen.owners.named.contains(id));
    let files = temporary(dir, scene.now_ms - scene.limits.leftover_ms);
    let unknown = unknown_repositories(scene, store, seen);
    let total = owners.len() + files.len() + unknown.len();
    if !owners.is_empty() {
        let what = format!(
            "{} of dead processes",
            count(owners.len(), "owner file", "owner files")
        );
        report.find(
            Issue::new(Kind::Leftovers, Severity::Info, what)
                .seen_by(some_of(&owners))
                .fixed_by("remove what no lock names"),
        );
    }
    if !files.is_empty() {
        let what = format!(
            "{} that a dead process left",
            count(files.len(), "file", "files")
        );
        report.find(
            Issue::new(Kind::Leftovers, Severity::Info, what)
                .seen_by(some_of(&shown(&files)))
                .fixed_by("remove them"),
        );
    }
    if !unknown.is_empty() {
        let what = format!(
            "{} without a plan: `new` died before its plan was recorded, or the database is an \
             older one",
            count(unknown.len(), "repository", "repositories")
        );
        report.find(
            Issue::new(Kind::Leftovers, Severity::Info, what)
                .suggest("`git log` in it shows what it holds; plandex leaves it alone")
                .seen_by(some_of(&shown(&unknown))),
        );
    }
    let message = match total {
        0 => "none".to_owned(),
        many => count(many, "file", "files"),
    };
    report.check(NAME, report.state_since(before), message);
}

/// Temporary files and unfinished repositories in the state directory that are older than
/// `before_ms`.
pub(in crate::doctor) fn temporary(dir: &Path, before_ms: i64) -> Vec<PathBuf> {
    let is_temporary = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (name.starts_with('.') && name.ends_with(".tmp")) || name.starts_with("probe-")
    };
    let mut found: Vec<PathBuf> = entries(dir).into_iter().filter(is_temporary).collect();
    found.extend(repo::unfinished(&dir.join("plans")).unwrap_or_default());
    found.retain(|path| modified_ms(path).is_some_and(|at| at < before_ms));
    found.sort();
    found
}

/// Finished repositories that no plan, live or deleted, has.
fn unknown_repositories(scene: &Scene<'_>, store: &Store, seen: &Seen) -> Vec<PathBuf> {
    let before_ms = scene.now_ms - scene.limits.leftover_ms;
    let id = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some(name.strip_suffix(".git")?.to_owned())
    };
    let is_unknown = |path: &PathBuf| {
        let Some(id) = id(path) else { return false };
        let known = || store.read(|tx| plans::by_id(tx, &id));
        let young = modified_ms(path).is_none_or(|at| at >= before_ms);
        // One that cannot be looked up is not called unknown.
        !young && !seen.names.contains_key(&id) && matches!(known(), Ok(None))
    };
    let mut found = entries(&scene.place.dir.join("plans"));
    found.retain(is_unknown);
    found.sort();
    found
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

/// When `path` was last changed, in wall-clock milliseconds.
pub(in crate::doctor) fn modified_ms(path: &Path) -> Option<i64> {
    let changed = std::fs::symlink_metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect()
}
