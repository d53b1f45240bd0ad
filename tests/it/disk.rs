//! A full disk, met at every place where a command needs room: an error, nothing acknowledged
//! lost, and everything well once there is room again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::crash_points::{check_mirrors, check_sound, files};
use crate::support::{Outcome, Sandbox, needs, skip};

const BINARY: &str = env!("CARGO_BIN_EXE_plandex");

/// How much more room there is from one try to the next, at first; later in proportion.
const FIRST_STEP_KIB: u64 = 12;

/// A small file system of memory for one sandbox's project, gone with it.
pub(crate) struct Small<'s> {
    sandbox: &'s Sandbox,
    at: PathBuf,
}

impl<'s> Small<'s> {
    /// Mounts it over the sandbox's root; `None` where that is not allowed.
    pub(crate) fn mount(sandbox: &'s Sandbox, kib: u64) -> Option<Self> {
        let at = sandbox.root().to_owned();
        let options = format!("size={kib}k,mode=0755");
        let mounted = sandbox
            .program(
                "mount",
                ["-t", "tmpfs", "-o", &options, "none", at.to_str().unwrap()],
            )
            .cwd(sandbox.place())
            .finish();
        (mounted.code == Some(0)).then_some(Self { sandbox, at })
    }

    /// Fills it up to `kib` of free space with a file that [`Small::free`] removes.
    pub(crate) fn fill(&self, kib: u64) {
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let ballast = free.saturating_sub(kib << 10);
        std::fs::write(self.ballast(), vec![7; usize::try_from(ballast).unwrap()]).unwrap();
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let args = [Path::new("-l"), &self.at];
        drop(
            self.sandbox
                .program("umount", args)
                .cwd(self.sandbox.place())
                .finish(),
        );
    }
}

/// A block that makes `path` of `lines` lines, of which compression makes no less than half.
fn wide_edit(path: &str, lines: usize) -> String {
    use std::fmt::Write as _;
    let mut block = format!("{path}\n```\n<<<<<<< SEARCH\n=======\n");
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..lines {
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(block, "{state:016x}").unwrap();
        }
        block.push('\n');
    }
    block + ">>>>>>> REPLACE\n```\n"
}

/// What a command on a full disk may end as: done, or an error that says so.
#[track_caller]
fn check_end(outcome: &Outcome, what: &str) -> bool {
    assert!(!outcome.stderr.contains("panicked"), "{what}\n{outcome}");
    match outcome.code {
        Some(0) => true,
        Some(1) => {
            let says = [
                "no space left",
                "No space left",
                "disk is full",
                "database or disk",
            ];
            assert!(
                says.iter().any(|words| outcome.stderr.contains(words)),
                "{what}: it does not say why\n{outcome}"
            );
            assert!(outcome.stderr.contains("hint: "), "{what}\n{outcome}");
            false
        }
        _ => panic!("{what}\n{outcome}"),
    }
}

/// What was acknowledged: how much of each there is.
#[derive(Debug, PartialEq, Eq)]
struct Acknowledged {
    messages: usize,
    contexts: usize,
    pending: usize,
    versions: usize,
}

fn acknowledged(sandbox: &Sandbox) -> Acknowledged {
    let count = |command: &str, list: &str| {
        let json = sandbox.ok(&[command, "--json"]).json();
        json[list].as_array().unwrap().len()
    };
    Acknowledged {
        messages: count("convo", "messages"),
        contexts: count("ls", "contexts"),
        pending: count("status", "pending"),
        versions: count("log", "versions"),
    }
}

/// Tries a command with more and more free space, from none to where it succeeds, on one project.
/// `prepare` makes the `n`-th try possible and returns its arguments; the same are run again once
/// there is room.
fn squeeze(prepare: impl Fn(&Sandbox, usize) -> Vec<String>) {
    let sandbox = Sandbox::with_limit(Duration::from_secs(300));
    let Some(disk) = Small::mount(&sandbox, 32 << 10) else {
        skip!("mounting is not allowed here");
    };
    sandbox.write("a.txt", "one\n");
    sandbox.ok(&["new", "-n", "draft"]);
    let (mut kib, mut failures, mut successes) = (0, 0, 0);
    for number in 0.. {
        let args = prepare(&sandbox, number);
        let command = &args[0];
        let before = acknowledged(&sandbox);
        let files_before = files(&sandbox);
        disk.fill(kib);
        let what = format!("{command} with {kib} KiB free");
        let is_done = check_end(&sandbox.plandex(&args).finish(), &what);
        disk.free();
        // There is room again: what the failed one left is repaired, and nothing is missing.
        sandbox.ok(&["diff"]);
        let after = acknowledged(&sandbox);
        for (was, is) in [
            (before.messages, after.messages),
            (before.contexts, after.contexts),
            (before.versions, after.versions),
        ] {
            assert!(is >= was, "{what}: {before:?} became {after:?}");
        }
        if is_done {
            assert_ne!(before, after, "{what}: it says it did it");
        } else {
            assert_eq!(after.pending, before.pending, "{what}");
            assert!(
                files(&sandbox) == files_before,
                "{what}: the project was touched"
            );
        }
        check_sound(&sandbox, &what);
        sandbox.plandex(&args).finish().ok();
        check_sound(&sandbox, &what);
        check_mirrors(&sandbox, &what);
        assert!(sandbox.tickets().is_empty(), "{what}");
        if is_done {
            successes += 1;
        } else {
            failures += 1;
        }
        // A few in a row went well: what is larger goes well too.
        if successes >= 2 {
            break;
        }
        kib += FIRST_STEP_KIB.max(kib / 6);
        assert!(kib < 16 << 10, "{what} never succeeds");
    }
    assert!(failures >= 3, "it met a full disk {failures} times only");
    drop(disk);
}

#[test]
fn a_tell_on_a_full_disk_loses_nothing() {
    needs!("mount");
    squeeze(|_, number| {
        let prompt = wide_edit(&format!("wide-{number}.txt"), 800);
        vec!["tell".to_owned(), prompt]
    });
}

#[test]
fn a_load_on_a_full_disk_loses_nothing() {
    needs!("mount");
    squeeze(|sandbox, number| {
        let path = format!("wide-{number}.txt");
        sandbox.write(&path, wide_edit(&path, 800));
        vec!["load".to_owned(), path]
    });
}

#[test]
fn an_apply_on_a_full_disk_writes_all_or_nothing() {
    needs!("mount");
    squeeze(|sandbox, number| {
        let edits = ["a", "b"].map(|name| wide_edit(&format!("{number}-{name}.txt"), 400));
        sandbox.ok(&["tell", &edits.join("\n")]);
        vec!["apply".to_owned(), "-y".to_owned()]
    });
}

#[test]
fn a_new_on_a_full_disk_leaves_no_half_project() {
    needs!("mount");
    let sandbox = Sandbox::with_limit(Duration::from_secs(300));
    let (mut kib, mut failures) = (0, 0);
    loop {
        let Some(disk) = Small::mount(&sandbox, 4 << 10) else {
            skip!("mounting is not allowed here");
        };
        disk.fill(kib);
        let what = format!("new with {kib} KiB free");
        let outcome = sandbox.program(BINARY, ["new"]).finish();
        let is_done = check_end(&outcome, &what);
        disk.free();
        sandbox.ok(&["new"]);
        check_sound(&sandbox, &what);
        let plans = sandbox.ok(&["plans", "--json"]).json();
        let plans = plans["plans"].as_array().unwrap();
        // Its plan is there if it said so, and only then.
        assert_eq!(plans.len(), if is_done { 2 } else { 1 }, "{what}");
        for plan in plans {
            let name = plan["name"].as_str().unwrap();
            sandbox.ok(&["load", "--plan", name, "--note", "room again"]);
        }
        check_mirrors(&sandbox, &what);
        drop(disk);
        if is_done {
            break;
        }
        failures += 1;
        kib += FIRST_STEP_KIB;
        assert!(kib < 4 << 10, "{what} never succeeds");
    }
    assert!(failures >= 2, "never met a full disk");
}

/// A file system that is on no list is tried by two processes before it is trusted (HAZARDS.md
/// H18); ramfs is one that this kernel has.
#[test]
fn an_unknown_file_system_is_tried_and_then_used() {
    needs!("mount");
    needs!("strace");
    let sandbox = Sandbox::without_git();
    let at = sandbox.root().to_owned();
    let mounted = sandbox
        .program("mount", ["-t", "ramfs", "none", at.to_str().unwrap()])
        .cwd(sandbox.place())
        .finish();
    if mounted.code != Some(0) {
        skip!("mounting is not allowed here");
    }
    let _unmounted_at_the_end = Small {
        sandbox: &sandbox,
        at,
    };
    let made = sandbox
        .program(
            "strace",
            [
                "-f",
                "-qq",
                "-e",
                "trace=execve",
                BINARY,
                "new",
                "-n",
                "ram",
            ],
        )
        .finish()
        .ok();
    assert!(made.stderr.contains("probe-file-system"), "{made}");
    sandbox.ok(&["plans"]);
    let left = std::fs::read_dir(sandbox.state_dir()).unwrap();
    let probes = left
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("probe-"));
    assert_eq!(probes.count(), 0, "the trial is cleaned up");
}
