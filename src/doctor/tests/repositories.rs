//! Repositories: the project's and the plans'; and what dead processes leave beside them.

use std::path::{Path, PathBuf};

use super::super::{CheckState, Fixed, Kind, Severity};
use super::{Sandbox, age, check, clean, only, put};
use crate::repo::TreeChange;

/// Every file below the repository's objects.
fn objects(repo: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![repo.join("objects")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let into = if path.is_dir() { &mut dirs } else { &mut found };
            into.push(path);
        }
    }
    found
}

#[test]
fn a_missing_repository() {
    let sandbox = Sandbox::new();
    std::fs::remove_dir_all(sandbox.repo()).unwrap();
    let report = sandbox.examine();
    let issue = only(&report, Kind::RepositoryDamaged, Severity::Error);
    assert!(issue.description.ends_with("is missing"), "{issue:?}");
    assert_eq!(issue.plan_id.as_ref(), Some(&sandbox.plan.id));
    assert_eq!(sandbox.fix(&report), Fixed::default());
    assert_eq!(
        check(&report, "Plan Repositories").status,
        CheckState::Error
    );
}

#[test]
fn a_repository_without_its_head_file() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.repo().join("HEAD")).unwrap();
    let report = sandbox.examine();
    let issue = only(&report, Kind::RepositoryDamaged, Severity::Error);
    assert!(issue.description.ends_with("cannot be opened"), "{issue:?}");
}

/// HAZARDS.md H2: whatever holds the newest version, emptied, cut, overwritten, gone.
#[test]
fn every_damaged_object_is_found() {
    let sandbox = Sandbox::new();
    let found = objects(&sandbox.repo());
    assert!(!found.is_empty());
    for path in found {
        let whole = std::fs::read(&path).unwrap();
        let mut zeroed = whole.clone();
        zeroed[whole.len() / 4..whole.len() * 3 / 4].fill(0);
        std::fs::remove_file(&path).unwrap();
        for damage in [
            None,
            Some(&whole[..0]),
            Some(&whole[..whole.len() / 2]),
            Some(&zeroed),
        ] {
            if let Some(bytes) = damage {
                put(&path, bytes);
            }
            let report = sandbox.examine();
            let length = damage.map(<[u8]>::len);
            assert!(!report.issues.is_empty(), "{} {length:?}", path.display());
            let issue = &report.issues[0];
            let expected = (Kind::RepositoryDamaged, Severity::Error);
            assert_eq!(
                (issue.kind, issue.severity),
                expected,
                "{} {length:?}",
                path.display()
            );
            assert!(issue.evidence.is_some(), "{issue:?}");
        }
        put(&path, &whole);
        clean(&sandbox.examine());
    }
}

#[test]
fn a_head_that_is_no_version() {
    let sandbox = Sandbox::new();
    sandbox.sql("UPDATE branches SET head = 'HEAD~1'");
    only(&sandbox.examine(), Kind::RepositoryDamaged, Severity::Error);
}

/// Makes a second version; returns the first and the second.
fn advance(sandbox: &Sandbox) -> (String, String) {
    let branch = sandbox.branch();
    let first = branch.head.clone().unwrap();
    let change = TreeChange::Put {
        path: "settings.json".to_owned(),
        bytes: b"{}\n".to_vec(),
    };
    sandbox
        .write(move |permit, turn| turn.advance(permit, &branch, &[change], "Second", |_| Ok(())))
        .unwrap();
    (first, sandbox.branch().head.unwrap())
}

fn ref_path(sandbox: &Sandbox) -> PathBuf {
    sandbox.repo().join("refs/heads").join(sandbox.branch().id)
}

#[test]
fn a_lagging_ref_follows_its_row_again() {
    let sandbox = Sandbox::new();
    let (first, second) = advance(&sandbox);
    clean(&sandbox.examine());
    put(&ref_path(&sandbox), format!("{first}\n").as_bytes());
    let report = sandbox.examine();
    let issue = only(&report, Kind::RefMismatch, Severity::Info);
    assert!(
        issue.description.ends_with("shows an older version"),
        "{issue:?}"
    );
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (1, 0), "{fixed:?}");
    let shown = std::fs::read_to_string(ref_path(&sandbox)).unwrap();
    assert_eq!(shown.trim(), second);
    clean(&sandbox.examine());
}

#[test]
fn a_ref_that_is_gone_comes_back() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(ref_path(&sandbox)).unwrap();
    let report = sandbox.examine();
    only(&report, Kind::RefMismatch, Severity::Info);
    assert_eq!(sandbox.fix(&report).left, [""; 0]);
    clean(&sandbox.examine());
}

#[test]
fn a_ref_that_shows_something_else_is_a_warning() {
    let sandbox = Sandbox::new();
    let (first, second) = advance(&sandbox);
    sandbox.sql(&format!("UPDATE branches SET head = '{first}'"));
    let report = sandbox.examine();
    let issue = only(&report, Kind::RefMismatch, Severity::Warning);
    assert!(
        issue.evidence.as_ref().unwrap().contains(&second),
        "{issue:?}"
    );
    assert_eq!(sandbox.fix(&report).left, [""; 0]);
    clean(&sandbox.examine());
}

#[test]
fn a_plan_that_is_busy_is_left_and_said_so() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(ref_path(&sandbox)).unwrap();
    let report = sandbox.examine();
    let living = super::Living::new(&sandbox);
    sandbox.ticket(&living.row, crate::store::tickets::Scope::Read);
    let fixed = sandbox.fix(&report);
    assert_eq!(fixed.done, [""; 0]);
    let says = "plan \"demo\": lock conflict: cannot acquire write lock";
    assert!(fixed.left[0].starts_with(says), "{fixed:?}");
    // Under a living ticket a ref may be on its way.
    clean(&sandbox.examine());
}

/// HAZARDS.md H29.
#[test]
fn what_dead_processes_leave_in_a_repository_goes() {
    let sandbox = Sandbox::new();
    let left = [
        sandbox.repo().join("HEAD.lock"),
        sandbox.repo().join("refs/heads/x.lock"),
        sandbox.repo().join("objects/tmp_obj_0198"),
    ];
    for path in &left {
        put(path, b"half");
        age(path);
    }
    let report = sandbox.examine();
    let issue = only(&report, Kind::Leftovers, Severity::Info);
    assert!(issue.description.contains("3 files"), "{issue:?}");
    let fixed = sandbox.fix(&report);
    assert_eq!(
        fixed.done,
        ["plan \"demo\": removed 3 files that a dead process left"]
    );
    assert!(left.iter().all(|path| !path.exists()));
    clean(&sandbox.examine());
}

#[test]
fn what_dead_processes_leave_beside_them_goes() {
    let sandbox = Sandbox::new();
    // A living owner's file stays, and so does what is young.
    let living = super::Living::new(&sandbox);
    let young = sandbox.path("..gitignore.0198.tmp");
    put(&young, b"*");
    clean(&sandbox.examine());
    put(&sandbox.path("owners/0198-dead"), b"");
    let report = sandbox.examine();
    only(&report, Kind::Leftovers, Severity::Info);
    assert_eq!(
        sandbox.fix(&report).done,
        ["removed 1 owner file of dead processes"]
    );
    assert!(sandbox.path("owners").join(&living.row.id).exists());

    let unfinished = sandbox.path("plans/.0199.git.0198.tmp");
    std::fs::create_dir(&unfinished).unwrap();
    put(&unfinished.join("HEAD"), b"half");
    age(&unfinished);
    age(&young);
    let report = sandbox.examine();
    only(&report, Kind::Leftovers, Severity::Info);
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (2, 0), "{fixed:?}");
    assert!(!unfinished.exists() && !young.exists());
    clean(&sandbox.examine());
}

#[test]
fn a_repository_that_no_plan_knows_is_listed_and_left() {
    let sandbox = Sandbox::new();
    sandbox.sql("DELETE FROM plans");
    clean(&sandbox.examine());
    age(&sandbox.repo());
    let report = sandbox.examine();
    let issue = only(&report, Kind::Leftovers, Severity::Info);
    assert_eq!(issue.action, None);
    assert_eq!(sandbox.fix(&report), Fixed::default());
    assert!(sandbox.repo().exists());
}

#[test]
fn the_project_s_own_repository() {
    let sandbox = Sandbox::new();
    let of = |message: &str| {
        let report = sandbox.examine();
        assert_eq!(check(&report, "Git Repository").message, message);
        report
    };
    clean(&of("OK (trunk)"));
    let git = sandbox.place.root.join(".git");
    put(
        &git.join("HEAD"),
        b"0123456789012345678901234567890123456789\n",
    );
    clean(&of("OK (detached at 012345678901)"));
    put(&git.join("HEAD"), b"\0\0\0\0");
    only(
        &of("cannot be read"),
        Kind::RepositoryDamaged,
        Severity::Error,
    );
    std::fs::remove_file(git.join("HEAD")).unwrap();
    only(
        &of("cannot be read"),
        Kind::RepositoryDamaged,
        Severity::Error,
    );
    // A linked work tree.
    std::fs::remove_dir_all(&git).unwrap();
    let elsewhere = sandbox.home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    put(&elsewhere.join("HEAD"), b"ref: refs/heads/side\n");
    put(&git, b"gitdir: ../elsewhere\n");
    clean(&of("OK (side)"));
    put(&git, b"nonsense");
    only(
        &of("cannot be read"),
        Kind::RepositoryDamaged,
        Severity::Error,
    );
}

#[test]
fn a_project_without_git_is_fine() {
    let sandbox = Sandbox::new();
    std::fs::remove_dir_all(sandbox.place.root.join(".git")).unwrap();
    let report = sandbox.examine();
    clean(&report);
    assert_eq!(check(&report, "Git Repository").status, CheckState::Ok);
}

#[test]
fn an_old_lock_of_a_git_command_is_told_and_left() {
    let sandbox = Sandbox::new();
    let lock = sandbox.place.root.join(".git/index.lock");
    put(&lock, b"");
    clean(&sandbox.examine());
    age(&lock);
    let report = sandbox.examine();
    let issue = only(&report, Kind::Leftovers, Severity::Info);
    assert!(
        issue.suggestion.as_ref().unwrap().contains("index.lock"),
        "{issue:?}"
    );
    assert_eq!(sandbox.fix(&report), Fixed::default());
    assert!(lock.exists());
}
