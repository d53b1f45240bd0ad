//! Repositories: the project's own git, and one for each plan.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::{count, seen, some_of};
use crate::doctor::Scene;
use crate::doctor::age::{in_words, seconds_between};
use crate::doctor::checks::leftovers::modified_ms;
use crate::doctor::report::{CheckState, Issue, Kind, Report, Severity};
use crate::doctor::seen::PlanSeen;
use crate::repo::{Depth, PlanRepo, Version};
use crate::store::branches::Branch;

/// How far back an older version is looked for when a ref does not show the newest.
const HISTORY: usize = 1000;

/// The project's own repository: plandex works without one, so none is no issue. Read as files;
/// no git is started.
pub(in crate::doctor) fn of_project(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Git Repository";
    let mut places = scene.place.root.ancestors().map(|dir| dir.join(".git"));
    let Some(dot_git) = places.find(|path| path.exists()) else {
        let message = "none here (plandex works without one)";
        return report.check(NAME, CheckState::Ok, message);
    };
    let head = git_dir(&dot_git).and_then(|dir| Ok((read_head(&dir)?, dir)));
    let (head, dir) = match head {
        Ok(found) => found,
        Err(error) => {
            let what = "The project's git repository cannot be read";
            report.find(
                Issue::new(Kind::RepositoryDamaged, Severity::Error, what)
                    .suggest("`git status` and `git fsck` say more; plandex leaves it alone")
                    .seen_by(format!("{error:#}")),
            );
            return report.check(NAME, CheckState::Error, "cannot be read");
        }
    };
    let lock = dir.join("index.lock");
    if let Some(at) = modified_ms(&lock).filter(|at| scene.now_ms - at > scene.limits.leftover_ms) {
        let age = in_words(seconds_between(at, scene.now_ms));
        let what = format!("A git command left its lock in the project's repository {age} ago");
        let advice = format!("if no git command runs, remove it: `rm {}`", lock.display());
        let issue = Issue::new(Kind::Leftovers, Severity::Info, what);
        report.find(issue.suggest(advice).seen_by(lock.display().to_string()));
    }
    report.check(NAME, CheckState::Ok, format!("OK ({head})"));
}

/// `.git` is the repository, or a file that says where it is (a linked work tree, a submodule).
fn git_dir(dot_git: &Path) -> Result<PathBuf> {
    if dot_git.is_dir() {
        return Ok(dot_git.to_owned());
    }
    let text = read(dot_git)?;
    let named = text.strip_prefix("gitdir:").map(str::trim);
    let named = named.with_context(|| format!("{} names no repository", dot_git.display()))?;
    Ok(dot_git.with_file_name(named))
}

fn read_head(dir: &Path) -> Result<String> {
    let path = dir.join("HEAD");
    let text = read(&path)?;
    let text = text.trim();
    if let Some(name) = text.strip_prefix("ref:") {
        let name = name.trim();
        return Ok(name.strip_prefix("refs/heads/").unwrap_or(name).to_owned());
    }
    let is_id = matches!(text.len(), 40 | 64) && text.chars().all(|c| c.is_ascii_hexdigit());
    ensure!(is_id, "{} says {text:?}", path.display());
    Ok(format!("detached at {}", &text[..12]))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The repository of every plan: it opens, each branch's head is there and reads, its ref shows it.
pub(in crate::doctor) fn of_plans(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Plan Repositories";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let before = report.issues.len();
    for plan in &seen.plans {
        // Between its row and its ref a working operation has everything half done.
        let refs = if seen.is_at_work(&plan.plan.id) {
            Refs::Moving
        } else {
            Refs::Still
        };
        of_plan(scene, report, plan, refs);
    }
    let found = report.issues.len() - before;
    let looked = count(seen.plans.len(), "plan", "plans");
    let message = match found {
        0 => format!("{looked} looked at"),
        some => format!("{looked} looked at, {}", count(some, "finding", "findings")),
    };
    report.check(NAME, report.state_since(before), message);
}

/// Whether a plan's refs and temporary files say anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refs {
    Still,
    Moving,
}

fn of_plan(scene: &Scene<'_>, report: &mut Report, plan: &PlanSeen, refs: Refs) {
    let id = &plan.plan.id;
    let path = scene.place.dir.join("plans").join(format!("{id}.git"));
    let repo = match PlanRepo::open(&path) {
        Ok(repo) => repo,
        Err(error) => {
            let what = if path.exists() {
                "cannot be opened"
            } else {
                "is missing"
            };
            return report.find(damaged(plan, what, format!("{error:#}")));
        }
    };
    for branch in &plan.branches {
        let Some(head) = &branch.head else { continue };
        let version = match head.parse::<Version>() {
            Ok(version) => version,
            Err(error) => {
                let what = format!("has no version of branch \"{}\"", branch.name);
                report.find(damaged(plan, &what, format!("{error:#}")));
                continue;
            }
        };
        let damage = repo.verify(&version, Depth::Tip);
        if !damage.is_empty() {
            let what = format!("is damaged on branch \"{}\"", branch.name);
            let told = damage.iter().map(|d| format!("{}: {}", d.place, d.problem));
            report.find(damaged(plan, &what, some_of(&told.collect::<Vec<_>>())));
        } else if refs == Refs::Still {
            report
                .issues
                .extend(mismatch(&repo, plan, branch, &version));
        }
    }
    if refs == Refs::Still {
        report.issues.extend(left_in(&repo, plan));
    }
}

fn damaged(plan: &PlanSeen, what: &str, evidence: String) -> Issue {
    let description = format!("The repository of plan \"{}\" {what}", plan.plan.name);
    Issue::new(Kind::RepositoryDamaged, Severity::Error, description)
        .on_plan(&plan.plan.id)
        .suggest(
            "copy .plandex aside first; then `plandex restore FILE --force` from a backup, or put \
             the files back from a copy of .plandex/plans",
        )
        .seen_by(evidence)
}

fn mismatch(repo: &PlanRepo, plan: &PlanSeen, branch: &Branch, head: &Version) -> Option<Issue> {
    let shown = match repo.mirrored(&branch.id) {
        Ok(shown) if shown == Some(*head) => return None,
        Ok(shown) => shown,
        Err(error) => {
            let what = format!("hides the ref of branch \"{}\"", branch.name);
            return Some(damaged(plan, &what, format!("{error:#}")));
        }
    };
    // A death between the row and the ref leaves an older version shown, which is harmless.
    // Anything else was somebody's doing.
    let lags = |shown: &Version| {
        let history = repo.log(head, HISTORY).unwrap_or_default();
        history.iter().any(|entry| entry.version == *shown)
    };
    let (severity, what) = match &shown {
        None => (Severity::Info, "is missing".to_owned()),
        Some(shown) if lags(shown) => (Severity::Info, "shows an older version".to_owned()),
        Some(_) => (Severity::Warning, "shows something else".to_owned()),
    };
    let shown = shown.map_or_else(|| "nothing".to_owned(), |shown| shown.to_string());
    let description = format!(
        "Plan \"{}\": the git ref of branch \"{}\" {what}",
        plan.plan.name, branch.name
    );
    let issue = Issue::new(Kind::RefMismatch, severity, description)
        .on_plan(&plan.plan.id)
        .seen_by(format!("the row says {head}, the ref {shown}"))
        .fixed_by("set the ref to what the row says");
    Some(issue)
}

fn left_in(repo: &PlanRepo, plan: &PlanSeen) -> Option<Issue> {
    let found = repo.leftovers().ok()?;
    if found.is_empty() {
        return None;
    }
    let paths: Vec<String> = found
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let description = format!(
        "The repository of plan \"{}\" has {} that a dead process left",
        plan.plan.name,
        count(found.len(), "file", "files")
    );
    let issue = Issue::new(Kind::Leftovers, Severity::Info, description)
        .on_plan(&plan.plan.id)
        .seen_by(some_of(&paths))
        .fixed_by("remove them");
    Some(issue)
}
