//! Where nothing can be written, and words that are none: exit code 1, never 2, and nothing on
//! standard output.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Outcome, Sandbox, needs, skip};

const INPUT: &str = r#"{"session_id": "s"}"#;

#[track_caller]
fn refused(sandbox: &Sandbox) -> Outcome {
    let outcome = super::capture(sandbox, "start", INPUT).finish().exits(1);
    assert_eq!(outcome.stdout, "");
    outcome.says("error: ").says("hint: ")
}

#[test]
fn a_directory_without_permission() {
    let sandbox = Sandbox::without_git();
    sandbox.write("logs/keep", "");
    let logs = sandbox.root().join("logs");
    std::fs::set_permissions(&logs, PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::File::create(logs.join("probe")).is_ok() {
        // Root writes anywhere; it is nobody here.
        needs!("setpriv");
        std::fs::set_permissions(sandbox.place(), PermissionsExt::from_mode(0o755)).unwrap();
        let binary = env!("CARGO_BIN_EXE_plandex");
        let args = ["--reuid=65534", "--regid=65534", "--clear-groups", binary];
        let probe = sandbox
            .program("setpriv", args)
            .args(["--version"])
            .finish();
        if probe.code != Some(0) {
            skip!("nobody can run this binary");
        }
        let outcome = sandbox
            .program("setpriv", args)
            .args(["hook", "capture", "start"])
            .stdin(INPUT)
            .finish()
            .exits(1);
        assert_eq!(outcome.stdout, "");
        outcome.says("ermission denied").says("logs");
    } else {
        refused(&sandbox).says("ermission denied").says("logs");
    }
}

#[test]
fn a_file_in_the_place_of_the_directory() {
    let sandbox = Sandbox::without_git();
    sandbox.write("logs", "a file");
    refused(&sandbox).says("logs");
    assert_eq!(sandbox.read("logs"), "a file");
}

#[test]
fn a_link_in_the_place_of_the_log() {
    let sandbox = Sandbox::without_git();
    let target = sandbox.write("precious", "mine");
    sandbox.write("logs/keep", "");
    symlink(&target, sandbox.root().join("logs/session_s.jsonl")).unwrap();
    refused(&sandbox).says("is a symbolic link");
    assert_eq!(sandbox.read("precious"), "mine");
}

#[test]
fn a_read_only_file_system() {
    needs!("mount");
    let sandbox = Sandbox::without_git();
    let at = sandbox.root().to_str().unwrap().to_owned();
    let mount = |args: &[&str]| sandbox.program("mount", args).cwd(sandbox.place()).finish();
    if mount(&["-t", "tmpfs", "-o", "size=1m", "none", &at]).code != Some(0) {
        skip!("mounting is not allowed here");
    }
    let mounted = mount(&["-o", "remount,ro", &at]);
    let outcome = super::capture(&sandbox, "start", INPUT).finish();
    sandbox
        .program("umount", ["-l", &at])
        .cwd(sandbox.place())
        .finish()
        .ok();
    mounted.ok();
    let outcome = outcome.exits(1);
    assert_eq!(outcome.stdout, "");
    outcome.says("Read-only file system").says("hint: ");
}

#[test]
fn wrong_words_are_never_exit_code_2() {
    let sandbox = Sandbox::without_git();
    for words in [
        &["hook", "capture"][..],
        &["hook", "capture", "stop"],
        &["hook", "capture", "start", "more"],
        &["hook", "capture", "--no-such", "start"],
        &["hook", "--json", "capture", "stop"],
        &["--plan", "p", "hook", "capture", "stop"],
        &["--color", "mauve", "hook", "capture", "start"],
        &["--wait", "1s", "--no-wait", "hook", "capture", "start"],
    ] {
        let outcome = sandbox.plandex(words).stdin(INPUT).finish().exits(1);
        assert_eq!(outcome.stdout, "", "{words:?}");
        outcome.says("error: ").says("hint: ");
    }
    assert!(!sandbox.root().join("logs").exists());
    // Others are what they are everywhere.
    sandbox.run(&["hook", "install", "--no-such"]).exits(2);
    sandbox.run(&["hook"]).exits(2);
}

#[test]
fn a_batch_has_no_host() {
    let sandbox = crate::support::project();
    let lines = sandbox.write_beside("lines", "hook capture start\n");
    let outcome = sandbox.run(&["batch", lines.to_str().unwrap()]);
    assert_ne!(outcome.code, Some(0), "{outcome}");
    outcome.says("it is a host's to run");
    assert!(!sandbox.root().join("logs").exists());
}
