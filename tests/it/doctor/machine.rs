//! The machine: memory, disk, permissions, the clock, other users.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Cause, Damage, End};
use crate::disk::Small;
use crate::queue::clock::Clock;
use crate::support::{SOON, Sandbox, holds, needs, skip};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Maps one small file over and over: its pages count each time, and are there once.
const HOG: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
__attribute__((constructor)) static void hog(void) {
    unsetenv("LD_PRELOAD");
    size_t size = 64 << 20;
    int file = memfd_create("hog", MFD_CLOEXEC);
    char *first = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)first;
    if (ftruncate(file, size)) abort();
    for (size_t at = 0; at < size; at += 4096) first[at] = 1;
    for (int more = 0; more < 27; more++)
        mmap(0, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
}
"#;

pub(super) const HIGH_MEMORY: Damage = Damage {
    kind: "high_memory",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        if !crate::support::skip::has("cc") {
            crate::support::skip::skipped(module_path!(), "cc is not installed");
            return None;
        }
        let source = sandbox.write_beside("hog.c", HOG);
        let library = sandbox.place().join("tmp/hog.so");
        let args = [
            Path::new("-shared"),
            Path::new("-fPIC"),
            Path::new("-o"),
            &library,
            &source,
        ];
        sandbox.program("cc", args).finish().ok();
        let holder = sandbox
            .plandex(["exec", "--", "cat"])
            .env("LD_PRELOAD", &library)
            .held_stdin()
            .start();
        holds(sandbox, &holder);
        Some(Cause {
            processes: vec![holder],
            is_busy: true,
            ..Cause::none()
        })
    },
    names: &["MB, more than 1500MB", "pid "],
    end: End::Left(&["`plandex ps`", "`plandex stop`"], |sandbox, cause| {
        sandbox.ok(&["stop"]);
        for mut holder in cause.processes {
            holder.wait(SOON).exits(143);
        }
    }),
};

pub(super) const DISK_SPACE: Damage = Damage {
    kind: "disk_space",
    severity: "error",
    with: &[],
    make: |sandbox| {
        let disk = full_disk(sandbox)?;
        disk.fill(4096);
        Some(Cause {
            disk: Some(disk),
            ..Cause::none()
        })
    },
    names: &["MB are left on the disk", "bytes free"],
    end: End::Left(&["free some space"], |sandbox, cause| {
        cause.disk.as_ref().unwrap().free();
        // Its project goes with it: what goes on must do so here.
        super::clean(sandbox);
        super::goes_on(sandbox);
        drop(cause);
    }),
};

/// A disk of memory with the project on it; room enough for doctor to find nothing.
fn full_disk(sandbox: &Sandbox) -> Option<Small<'_>> {
    if !crate::support::skip::has("mount") {
        crate::support::skip::skipped(module_path!(), "mount is not installed");
        return None;
    }
    let disk = Small::mount(sandbox, 300 << 10);
    let Some(disk) = disk else {
        crate::support::skip::skipped(module_path!(), "mounting is not allowed here");
        return None;
    };
    super::furnish(sandbox);
    Some(disk)
}

pub(super) const MODES: Damage = Damage {
    kind: "file_system",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        set_mode(&sandbox.state_dir(), 0o755);
        set_mode(&sandbox.state_dir().join("plandex.db"), 0o644);
        Some(Cause::none())
    },
    names: &["others may get at", "plandex.db", "mode 700", "mode 600"],
    end: End::Fixed(&["plandex.db to mode 600", ".plandex to mode 700"]),
};

pub(super) const MISSING_DIRECTORY: Damage = Damage {
    kind: "file_system",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        std::fs::remove_dir_all(sandbox.state_dir().join("owners")).unwrap();
        Some(Cause::none())
    },
    names: &["owners is missing"],
    end: End::Fixed(&["create", "owners"]),
};

/// On a full disk nothing is changed that could not be copied first; all else is told as ever.
#[test]
fn without_room_for_a_copy_no_data_is_changed() {
    needs!("mount");
    let sandbox = Sandbox::with_limit(Duration::from_secs(120));
    let Some(disk) = full_disk(&sandbox) else {
        return;
    };
    crate::queue::teller(&sandbox, "first", "thinking").kill();
    disk.fill(64);
    let (outcome, found) = super::report(&sandbox, &[]);
    for kind in ["disk_space", "status_stuck", "orphaned_lock"] {
        assert!(super::issue_of(&found, kind).is_some(), "{kind}\n{outcome}");
    }
    let (outcome, fixed) = super::report(&sandbox, &["--fix"]);
    let left = fixed["leftIssues"].to_string();
    for words in [
        "says replying",
        "no copy could be made first",
        "disk is full",
    ] {
        assert!(left.contains(words), "{words:?}\n{outcome}");
    }
    assert!(
        super::issue_of(&fixed, "status_stuck").is_some(),
        "{outcome}"
    );
    assert_eq!(fixed.get("databaseCopy"), None);
    let copies = |dir: &Path| {
        let all = std::fs::read_dir(dir).unwrap().flatten();
        let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.contains("before-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(copies(&sandbox.state_dir()), [""; 0]);
    disk.free();
    let (outcome, fixed) = super::report(&sandbox, &["--fix"]);
    let copy = fixed["databaseCopy"].as_str().unwrap();
    assert!(Path::new(copy).is_file(), "{outcome}");
    assert_eq!(copies(&sandbox.state_dir()).len(), 1);
    outcome.ok();
    super::clean(&sandbox);
    super::goes_on(&sandbox);
    drop(disk);
}

/// Wall time is for people: set by a day, it makes nobody late, stale, long or old.
#[test]
fn a_clock_set_by_a_day_finds_nothing() {
    needs!("faketime");
    let sandbox = super::project(Duration::from_secs(60));
    let clock = Clock::new(&sandbox);
    let holder = super::locks::writer(&sandbox);
    let waiter = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
    crate::support::waits(&sandbox, &waiter);
    for offset in ["+1d", "-1d", "+400d", "+0"] {
        clock.set(offset);
        let run = clock.rules(sandbox.plandex(["doctor", "--json"]));
        let (outcome, document) = super::check_report(run.finish());
        assert_eq!(super::kinds(&document), [""; 0], "{offset}\n{outcome}");
        let fixed = clock.rules(sandbox.plandex(["doctor", "--fix", "--json"]));
        let (outcome, document) = super::check_report(fixed.finish());
        assert_eq!(document["fixedIssues"], serde_json::json!([]), "{outcome}");
        assert_eq!(
            document["activeLocks"].as_array().unwrap().len(),
            1,
            "{outcome}"
        );
    }
    holder.finish().ok();
    waiter.finish().ok();
    super::clean(&sandbox);
}

/// A real death is found whatever the clock says.
#[test]
fn a_clock_set_by_a_day_hides_nothing() {
    needs!("faketime");
    let sandbox = super::project(Duration::from_secs(60));
    let clock = Clock::new(&sandbox);
    clock.set("-1d");
    super::locks::kill_a_writer(&sandbox);
    let run = clock.rules(sandbox.plandex(["doctor", "--fix", "--json"]));
    let (outcome, document) = super::check_report(run.finish());
    assert!(
        document["fixedIssues"]
            .to_string()
            .contains("of a dead process"),
        "{outcome}"
    );
    outcome.ok();
    super::clean(&sandbox);
}

/// The binary where everybody may run it, in a sandbox that everybody may enter.
fn open_to_all(sandbox: &Sandbox) -> String {
    set_mode(sandbox.place(), 0o755);
    let binary = sandbox.place().join("plandex");
    std::fs::copy(env!("CARGO_BIN_EXE_plandex"), &binary).unwrap();
    set_mode(&binary, 0o755);
    binary.to_str().unwrap().to_owned()
}

const NOBODY: [&str; 4] = ["--reuid", "65534", "--regid", "65534"];

fn may_be_nobody(sandbox: &Sandbox) -> bool {
    let args = [&NOBODY[..], &["--clear-groups", "true"]].concat();
    sandbox.program("setpriv", args).finish().code == Some(0)
}

fn as_nobody(sandbox: &Sandbox, binary: &str, args: &[&str]) -> crate::support::Outcome {
    let all = [&NOBODY[..], &["--clear-groups", binary], args].concat();
    sandbox.program("setpriv", all).finish()
}

#[test]
fn somebody_elses_project_is_told_and_left() {
    needs!("setpriv");
    let sandbox = super::project(Duration::from_secs(60));
    let binary = open_to_all(&sandbox);
    if !may_be_nobody(&sandbox) {
        skip!("no other user can be taken on here");
    }
    set_mode(&sandbox.state_dir(), 0o755);
    for args in [&["doctor", "--json"][..], &["doctor", "--fix", "--json"]] {
        let outcome = as_nobody(&sandbox, &binary, args);
        // Not found, as by every other command, or found and told: never mended.
        assert!(matches!(outcome.code, Some(1 | 2 | 69)), "{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("belongs to user 0"), "{outcome}");
    }
    set_mode(&sandbox.state_dir(), 0o700);
    super::clean(&sandbox);
}

#[test]
fn a_database_that_may_not_be_read_is_told_and_left() {
    needs!("setpriv");
    let sandbox = Sandbox::with_limit(Duration::from_secs(60));
    let binary = open_to_all(&sandbox);
    if !may_be_nobody(&sandbox) {
        skip!("no other user can be taken on here");
    }
    sandbox.write("a.txt", "one\n");
    let everything = [Path::new("-R"), Path::new("65534:65534"), sandbox.place()];
    sandbox.program("chown", everything).finish().ok();
    as_nobody(&sandbox, &binary, &["new", "-n", "work"]).ok();
    let database = sandbox.state_dir().join("plandex.db");
    for (path, mode, was) in [
        (database.clone(), 0o000, 0o600),
        (database, 0o400, 0o600),
        (sandbox.state_dir(), 0o500, 0o700),
        (sandbox.state_dir(), 0o000, 0o700),
    ] {
        set_mode(&path, mode);
        for args in [&["doctor", "--json"][..], &["doctor", "--json", "--fix"]] {
            let outcome = as_nobody(&sandbox, &binary, args);
            assert!(!outcome.stderr.contains("panicked"), "{mode:o}\n{outcome}");
            if outcome.stdout.is_empty() {
                assert!(
                    outcome.stderr.contains("\"message\""),
                    "{mode:o}\n{outcome}"
                );
                assert_ne!(outcome.code, Some(0), "{mode:o}\n{outcome}");
                continue;
            }
            let (outcome, document) = super::check_report(outcome);
            let issue = super::issue_of(&document, "db_connection");
            // A directory that takes no new file is no obstacle to who only looks.
            if mode != 0o500 {
                let issue = issue.unwrap_or_else(|| panic!("{mode:o}\n{outcome}"));
                let suggestion = issue["suggestion"].as_str().unwrap();
                assert!(suggestion.contains("who may read and write"), "{outcome}");
            }
        }
        set_mode(&path, was);
    }
    let outcome = as_nobody(&sandbox, &binary, &["doctor", "--json"]);
    super::check_report(outcome).0.ok();
}
