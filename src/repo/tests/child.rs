//! A second process: this test binary again, doing one task and nothing else.

use std::process::ExitStatus;

use super::*;
use crate::platform::crash;

/// What the child is to do, and where.
const TASK: &str = "REPO_TEST_TASK";
const PLACE: &str = "REPO_TEST_PLACE";
/// The crash point to die at, counted from 1.
const KILL_AT: &str = "REPO_TEST_KILL_AT";

/// The work of the child. In an ordinary run of the tests there is no task, and nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test binary has no `config` to ask"
)]
fn child_process() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let place = PathBuf::from(std::env::var(PLACE).unwrap());
    let kill_at = std::env::var(KILL_AT)
        .ok()
        .map(|text| text.parse().unwrap());
    crash::arm(kill_at, None, None);
    match task.as_str() {
        "create" => drop(PlanRepo::create(&place, BRANCH).unwrap()),
        "commit" => {
            let repo = PlanRepo::open(&place).unwrap();
            let parent = repo.mirrored(BRANCH).unwrap();
            let version = commit(&repo, parent.as_ref(), &next_changes());
            repo.mirror(BRANCH, &version).unwrap();
        }
        other => panic!("no task {other:?}"),
    }
}

/// What the task `commit` puts into the version after the one that is mirrored.
pub(super) fn next_changes() -> Vec<TreeChange> {
    vec![
        put("conversation/2", "hello again"),
        put("settings", "x = 1"),
        remove("context/a"),
    ]
}

/// The command that does `task` at `place` in a process of its own.
pub(super) fn command(task: &str, place: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "repo::tests::child::child_process",
        "--test-threads=1",
    ]);
    child.env(TASK, task).env(PLACE, place);
    child
}

/// Does `task` at `place`, to be killed at the `kill_at`-th crash point.
pub(super) fn run_and_kill(task: &str, place: &Path, kill_at: u64) -> ExitStatus {
    run(command(task, place).env(KILL_AT, kill_at.to_string())).status
}
