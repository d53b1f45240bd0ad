//! What a repository must do, asked of the real one on the disk and of plain git.

mod child;
mod crash;
mod damage;
mod fold;
mod versions;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;

const BRANCH: &str = "0199c0de-0000-7000-8000-000000000001";

/// A directory for plans with one new repository in it.
struct Fixture {
    dir: tempfile::TempDir,
    repo: PlanRepo,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = PlanRepo::create(&dir.path().join("plan.git"), BRANCH).unwrap();
        Self { dir, repo }
    }

    /// The same repository, opened as another process would.
    fn other(&self) -> PlanRepo {
        PlanRepo::open(self.repo.path()).unwrap()
    }
}

/// Commits with a fixed author, message and time, so that ids repeat.
fn commit(repo: &PlanRepo, parent: Option<&Version>, changes: &[TreeChange]) -> Version {
    repo.commit(parent, changes, "", "a version", 1_700_000_000_000)
        .unwrap()
}

fn put(path: &str, text: &str) -> TreeChange {
    TreeChange::Put {
        path: path.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn remove(path: &str) -> TreeChange {
    TreeChange::Remove {
        path: path.to_owned(),
    }
}

/// The files of a version as text, for comparing.
fn contents(repo: &PlanRepo, version: &Version) -> Vec<(String, String)> {
    let read = |entry: TreeEntry| {
        let text = String::from_utf8(repo.blob(&entry.id).unwrap()).unwrap();
        assert_eq!(
            repo.file(version, &entry.path).unwrap().unwrap(),
            text.as_bytes()
        );
        (entry.path, text)
    };
    repo.files(version, "")
        .unwrap()
        .into_iter()
        .map(read)
        .collect()
}

/// Plain git, as far from this user's settings as it goes.
fn git_command(repo: &Path) -> Command {
    let mut git = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
    ] {
        git.env_remove(name);
    }
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.arg("--git-dir").arg(repo);
    git
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs plain git on the repository; its output, if it succeeds and has no complaint.
fn git(repo: &Path, arguments: &[&str]) -> String {
    let output = run(git_command(repo).args(arguments));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaint.is_empty(),
        "git {arguments:?}: {complaint}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn fsck(repo: &Path) {
    let said = git(
        repo,
        &[
            "fsck",
            "--full",
            "--strict",
            "--no-dangling",
            "--no-progress",
        ],
    );
    assert_eq!(said, "");
}

/// The paths in the directory of packs that end in `.extension`.
fn packs(repo: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repo.join("objects/pack")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

/// Overwrites a file of a repository, as a failing disk would.
#[expect(
    clippy::disallowed_methods,
    reason = "damage is neither atomic nor durable"
)]
fn overwrite(path: &Path, bytes: &[u8]) {
    // A new file, since some process may have the old one mapped.
    std::fs::remove_file(path).ok();
    std::fs::write(path, bytes).unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
