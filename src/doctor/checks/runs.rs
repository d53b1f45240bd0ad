//! Work that died half way: a status that claims work, an apply whose files or rows are open.

use super::{count, seen};
use crate::doctor::Scene;
use crate::doctor::age::{in_words, rfc3339, seconds_between};
use crate::doctor::report::{Issue, Kind, Report, Severity};
use crate::doctor::seen::Seen;
use crate::store::applies::{Apply, State};
use crate::store::branches::Branch;

pub(in crate::doctor) fn interrupted(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Interrupted Work";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let before = report.issues.len();
    for apply in &seen.interrupted {
        report.find(open_apply(seen, apply, scene.now_ms));
    }
    for branch in &seen.stuck {
        report.find(stuck(seen, branch, scene.now_ms));
    }
    let message = match (seen.interrupted.len(), seen.stuck.len()) {
        (0, 0) => "none".to_owned(),
        (applies, 0) => format!("{} half done", count(applies, "apply", "applies")),
        (0, stuck) => count(stuck, "stuck status", "stuck statuses"),
        (applies, stuck) => {
            let (applies, stuck) = (
                count(applies, "apply", "applies"),
                count(stuck, "stuck status", "stuck statuses"),
            );
            format!("{applies} half done, {stuck}")
        }
    };
    report.check(NAME, report.state_since(before), message);
}

fn open_apply(seen: &Seen, apply: &Apply, now_ms: i64) -> Issue {
    let age = in_words(seconds_between(apply.created_at, now_ms));
    let (what, action) = match apply.state {
        State::Open | State::Writing | State::Undoing | State::Clearing => (
            "died while it wrote files of the project",
            "finish or undo its files, whichever is whole",
        ),
        State::FilesDone | State::Done => (
            "wrote its files, and its plan does not say so yet",
            "mark its changes applied",
        ),
        State::FilesUndone | State::Undone => (
            "was undone, and its plan does not say so yet",
            "keep its changes pending",
        ),
    };
    let name = seen.name(&apply.plan_id);
    let description = format!("Plan \"{name}\": an apply of {age} ago {what}");
    let started = rfc3339(apply.created_at).unwrap_or_default();
    Issue::new(Kind::InterruptedApply, Severity::Error, description)
        .on_plan(&apply.plan_id)
        .seen_by(format!(
            "apply {} is {}, ticket {}, started {started}",
            apply.id,
            apply.state.word(),
            apply.ticket
        ))
        .fixed_by(action)
}

fn stuck(seen: &Seen, branch: &Branch, now_ms: i64) -> Issue {
    let age = in_words(seconds_between(branch.updated_at, now_ms));
    let status = branch.status.word();
    let description = format!(
        "Plan \"{}\": branch \"{}\" says {status}, and nothing works on it",
        seen.name(&branch.plan_id),
        branch.name
    );
    Issue::new(Kind::StatusStuck, Severity::Warning, description)
        .on_plan(&branch.plan_id)
        .seen_by(format!("no living write ticket; last changed {age} ago"))
        .fixed_by("keep the partial reply and mark it interrupted")
}
