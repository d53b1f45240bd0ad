//! The pipeline: its workflow is what it must be, its jobs fail when they should.

mod faults;
mod jobs;
mod workflow;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The jobs that test, in the workflow's order.
const JOBS: [&str; 5] = [
    "race-detection",
    "concurrency-unit-tests",
    "doctor-tests",
    "stress-tests",
    "backoff-tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The files of the tree: those that git tracks and those that it would.
fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others"]);
    let listed = git.arg("--exclude-standard").current_dir(root()).output();
    let listed = listed.unwrap();
    assert!(listed.status.success(), "{}", text(&listed));
    let paths = String::from_utf8(listed.stdout).unwrap();
    let paths = paths.split_terminator('\0').map(PathBuf::from);
    // One that was removed and not yet committed is no file.
    paths.filter(|path| root().join(path).is_file()).collect()
}

/// Both streams of a program that ended.
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
