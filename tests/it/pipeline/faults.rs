//! Faults that were made on purpose: each a patch beside this file, applied to a copy of the tree in
//! which a job must notice.
//!
//! The copy stays in one place below `target` and uses its builds: nothing but the crate itself is
//! built again, and no program comes to stand where the tests have theirs. It is a version of its
//! own, for cargo tells two trees apart by that alone: what was built of one would pass for the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parking_lot::Mutex;

use super::{files, root, text};

/// One at a time.
static COPY: Mutex<()> = Mutex::new(());

fn faults() -> PathBuf {
    root().join("tests/it/pipeline/faults")
}

/// The directory of the builds, of which this test is one.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// Makes the copy equal to the tree, touching only what differs: what was built of it stays.
fn copy() -> PathBuf {
    let copy = target().join("faults/tree");
    let wanted = files();
    for path in &wanted {
        let (from, to) = (root().join(path), copy.join(path));
        let mut content = std::fs::read(&from).unwrap();
        if ["Cargo.toml", "Cargo.lock"]
            .iter()
            .any(|name| path == Path::new(name))
        {
            content = renumbered(&String::from_utf8(content).unwrap()).into_bytes();
        }
        if std::fs::read(&to).is_ok_and(|there| there == content) {
            continue;
        }
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, &to).unwrap();
        std::fs::write(to, content).unwrap();
    }
    remove_others(&copy, &copy, &wanted);
    copy
}

/// A manifest or a lock file with another version of plandex.
fn renumbered(text: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let own = format!("name = \"plandex\"\nversion = \"{version}\"");
    assert!(
        text.contains(&own),
        "the version of plandex is not where it was"
    );
    text.replacen(
        &own,
        &format!("name = \"plandex\"\nversion = \"{version}-faulty\""),
        1,
    )
}

fn remove_others(copy: &Path, dir: &Path, wanted: &[PathBuf]) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            remove_others(copy, &path, wanted);
        } else if !wanted.iter().any(|name| copy.join(name) == path) {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// `git apply` in `dir`, as if no repository were around it.
fn apply(dir: &Path, fault: &str, words: &[&str]) {
    let mut git = Command::new("git");
    git.arg("apply")
        .args(words)
        .arg(faults().join(format!("{fault}.patch")));
    git.env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap());
    let output = git.current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{fault}: {}", text(&output));
}

fn run(copy: &Path, job: &str) -> Output {
    let mut run = Command::new("timeout");
    // An hour is the limit of the job in the workflow, too.
    run.args(["--kill-after=10", "3600", "scripts/ci-local", job]);
    run.env("CARGO_TARGET_DIR", target());
    // Beside the logs of the job that may be running this.
    run.env("CI_LOGS", target().join("faults/logs"));
    // There it is not asked whether it would notice.
    run.env("PLANDEX_CI_FAULT", "1");
    run.current_dir(copy).output().unwrap()
}

/// The job must fail in a copy with the fault, and say these words about it.
#[track_caller]
fn is_noticed(fault: &str, job: &str, words: &[&str]) {
    let copy = copy();
    apply(&copy, fault, &[]);
    let output = run(&copy, job);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{fault}: {text}");
    for words in words {
        assert!(text.contains(words), "{fault}: {words}: {text}");
    }
}

#[test]
fn a_broken_build_a_failing_test_and_a_filter_without_a_test_are_noticed() {
    let _alone = COPY.lock();
    let job = "backoff-tests";
    let output = run(&copy(), job);
    assert!(output.status.success(), "{}", text(&output));
    let lost = "ci: backoff-tests: no test ran for: retry_backof::attempt_3";
    is_noticed("lost_filter", job, &[lost]);
    let failed = "ci: backoff-tests: tests failed: lock::backoff::tests::retry_backoff::attempt_5";
    is_noticed("failing_test", job, &[failed]);
    let broke = "ci: backoff-tests: the build broke";
    is_noticed("broken_build", job, &[broke, "src/lock/backoff.rs:21"]);
}

/// `scripts/ci-job race-detection` runs it when it has found nothing itself.
#[test]
#[ignore = "builds the crate under ThreadSanitizer"]
fn a_race_is_noticed() {
    let _alone = COPY.lock();
    let reported = "ci: race-detection: ThreadSanitizer reported ";
    let place = "<plandex::lock::lease::Registry>::insert";
    is_noticed("race", "race-detection", &[reported, place]);
}

/// Whoever changes what a fault is made of sees to the fault.
#[test]
fn every_fault_can_still_be_made() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(faults()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        apply(root(), &name, &["--check"]);
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        ["broken_build", "failing_test", "lost_filter", "race"]
    );
}
